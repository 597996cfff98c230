//! Customers' own words, made fit to be shown: bounded, and without characters that command a
//! terminal or turn a line around.

use serde_json::Value;
use std::fmt::Write as _;

/// The longest word of a customer's that is shown in one place, in characters.
pub const SHOWN_MAX: usize = 160;
/// The most members of one object or list that are shown.
pub const MEMBERS_MAX: usize = 40;

/// Characters that no one sees and that change how others are seen: controls, and those that
/// override or embed a direction of writing.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{061c}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A text of at most `max` characters in one line: what is left out is counted, and what cannot be
/// seen is named.
#[must_use]
pub fn clean(text: &str, max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(max * 4));
    for (shown, (at, c)) in text.char_indices().enumerate() {
        if shown == max {
            // Writing to a String cannot fail.
            let _ = write!(out, "… ({} of {} in all)", bytes(at), bytes(text.len()));
            break;
        }
        match c {
            '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' => out.push(' '),
            c if is_unseen(c) => {
                let _ = write!(out, "⟨U+{:04X}⟩", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

/// `812 B`, `1.0 MB`
#[must_use]
pub fn bytes(n: usize) -> String {
    match n {
        0..1_000 => format!("{n} B"),
        1_000..1_000_000 => format!("{}.{} KB", n / 1_000, n / 100 % 10),
        _ => format!("{}.{} MB", n / 1_000_000, n / 100_000 % 10),
    }
}

/// `1,048,576`
#[must_use]
pub fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Whether a value says nothing: a zero, a no, an empty text or list.
#[must_use]
pub fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(held) => !held,
        Value::Number(number) => number.as_f64().is_some_and(|n| n.abs() < f64::EPSILON),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
    }
}

/// `1 order`, `2 orders`
#[must_use]
pub fn several(n: u64, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{} {one}s", number(n)) }
}

/// A JSON value in one line.
#[must_use]
pub fn value(value: &Value, max: usize) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => clean(text, max),
        Value::Array(items) if items.iter().all(is_scalar) => {
            let shown: Vec<String> =
                items.iter().take(MEMBERS_MAX).map(|item| self::value(item, max)).collect();
            clean(&(shown.join(", ") + &more(items.len())), max)
        }
        other => clean(&other.to_string(), max),
    }
}

const fn is_scalar(value: &Value) -> bool {
    !matches!(value, Value::Array(_) | Value::Object(_))
}

/// `, and 9,960 more` where there are more members than are shown.
#[must_use]
pub fn more(all: usize) -> String {
    match all.saturating_sub(MEMBERS_MAX) {
        0 => String::new(),
        rest => format!(", and {} more", number(u64::try_from(rest).unwrap_or(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn one_line_of_bounded_length() {
        assert_eq!(clean("a\nb\tc", 9), "a b c");
        assert_eq!(clean("\u{1b}[31m\u{202e}moc", 20), "⟨U+001B⟩[31m⟨U+202E⟩moc");
        assert_eq!(clean(&"é".repeat(500_000), 3), "ééé… (6 B of 1.0 MB in all)");
        assert_eq!(
            clean("شكرا", 10),
            "شكرا",
            "a script that is written from the right is none of them"
        );
    }

    #[test]
    fn values() {
        let many: Vec<u32> = (0..10_000).collect();
        assert!(value(&json!(many), 4_000).ends_with("39, and 9,960 more"));
        assert_eq!(value(&json!(["a", 1, true]), 99), "a, 1, yes");
        assert_eq!(value(&json!({"a": {"b": 1}}), 99), r#"{"a":{"b":1}}"#);
    }

    #[test]
    fn numbers() {
        let found = [0, 999, 1_000, 1_048_576].map(number);
        assert_eq!(found, ["0", "999", "1,000", "1,048,576"]);
        assert_eq!(
            (several(1, "order"), several(2_000, "order")),
            ("1 order".into(), "2,000 orders".into())
        );
        assert_eq!([812, 1_500, 1_048_576].map(bytes), ["812 B", "1.5 KB", "1.0 MB"]);
    }
}
