//! Names without data in them.
//!
//! `Viewed product 8817236` and `Mailed ann@example.com` are names with a value inside. Each value
//! would be an event of its own, and may say who it was. Words that look like values become `…`,
//! so that such events are one.

use super::NAME_BYTES_MAX;
use std::borrow::Cow;

/// What stands for a value in a name.
const VALUE: &str = "…";
/// So many digits in a row are a value, unless they are a year.
const DIGITS_MIN: usize = 3;
/// A word of letters and digits that is so long and has [`DIGITS_MIN`] digits is a value.
const MIXED_CHARS_MIN: usize = 8;
/// A longer word is none.
const WORD_CHARS_MAX: usize = 40;

/// `name` with each word that looks like a value replaced by `…`; none where it is empty, too long
/// before or after that, or has control characters, or such as turn the text around: then the whole
/// of it is data.
#[must_use]
pub fn plain(name: &str) -> Option<Cow<'_, str>> {
    if name.trim().is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(is_unsafe) {
        return None;
    }
    let suspicious =
        |byte: u8| byte.is_ascii_digit() || byte == b'@' || byte == b'%' || !byte.is_ascii();
    if name.len() <= WORD_CHARS_MAX && !name.bytes().any(suspicious) {
        return Some(Cow::Borrowed(name));
    }
    let mut out = String::with_capacity(name.len());
    for word in name.split_inclusive(is_space) {
        let (word, space) = match word.char_indices().next_back() {
            Some((at, last)) if is_space(last) => word.split_at(at),
            _ => (word, ""),
        };
        put_word(&mut out, word);
        out.push_str(space);
    }
    (out.len() <= NAME_BYTES_MAX).then_some(Cow::Owned(out))
}

/// Control characters, and those that turn the text around them, or break its line, without being
/// seen: a name with them may be shown as another one.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Between words. The marks of an address, a UUID or a decimal are not among these.
fn is_space(c: char) -> bool {
    c.is_whitespace() || "/:|,;()[]{}<>\"'=&?#".contains(c)
}

fn put_word(out: &mut String, word: &str) {
    if word.contains('@') || word.contains('%') || is_uuid(word) || is_decimal(word) {
        return put_value(out);
    }
    for part in word.split_inclusive(['-', '_', '.', '+', '~']) {
        let bare = part.trim_end_matches(['-', '_', '.', '+', '~']);
        if is_value(bare) {
            put_value(out);
        } else {
            out.push_str(bare);
        }
        out.push_str(part.get(bare.len()..).unwrap_or_default());
    }
}

/// One mark for values that follow each other.
fn put_value(out: &mut String) {
    if !out.ends_with(VALUE) {
        out.push_str(VALUE);
    }
}

fn is_uuid(word: &str) -> bool {
    let hex = word.bytes().filter(u8::is_ascii_hexdigit).count();
    hex >= 32 && word.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// `12.99`, `10.0.0.1`: digits and dots with at least [`DIGITS_MIN`] digits.
fn is_decimal(word: &str) -> bool {
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    digits >= DIGITS_MIN
        && word.contains('.')
        && word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

fn is_value(part: &str) -> bool {
    let chars = part.chars().count();
    let digits = part.chars().filter(|c| c.is_numeric()).count();
    if chars > WORD_CHARS_MAX {
        return true;
    }
    if digits == chars {
        return digits >= DIGITS_MIN && !is_year(part);
    }
    let longest_run = part.split(|c: char| !c.is_numeric()).map(|run| run.chars().count()).max();
    longest_run.unwrap_or(0) > DIGITS_MIN || (chars >= MIXED_CHARS_MIN && digits >= DIGITS_MIN)
}

fn is_year(part: &str) -> bool {
    part.len() == 4 && (part.starts_with("19") || part.starts_with("20"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_in_names_become_one() {
        for (name, expected) in [
            ("Order Completed", "Order Completed"),
            ("Order Completed ", "Order Completed "),
            ("add_to_cart", "add_to_cart"),
            ("Viewed product 8817236", "Viewed product …"),
            ("order_8817236_completed", "order_…_completed"),
            ("Mailed ann.lee@example.com", "Mailed …"),
            ("/users/550e8400-e29b-41d4-a716-446655440000/edit", "/users/…/edit"),
            ("/p/10.0.0.1", "/p/…"),
            ("Price 12.99", "Price …"),
            ("Session 5f3a9c1be7", "Session …"),
            ("Black Friday 2026", "Black Friday 2026"),
            ("Step 2 Viewed", "Step 2 Viewed"),
            ("3ds2 Challenge", "3ds2 Challenge"),
            ("ga4_event", "ga4_event"),
            ("Größe gewählt", "Größe gewählt"),
            ("Заказ 123456", "Заказ …"),
            ("id=123456&id=234567", "id=…&id=…"),
            ("C0FFEE00123 done", "… done"),
        ] {
            assert_eq!(plain(name).as_deref(), Some(expected), "{name}");
        }
        assert_eq!(plain(""), None);
        assert_eq!(plain("a\u{0}b"), None);
        for turned in ["Order\u{202e}detelpmoC", "\u{2066}Paid", "Paid\u{200f}", "a\u{2028}b"] {
            assert_eq!(plain(turned), None, "{}", turned.escape_unicode());
        }
        assert_eq!(plain("می\u{200c}خواهم").as_deref(), Some("می\u{200c}خواهم"));
        assert_eq!(plain(&"x".repeat(NAME_BYTES_MAX + 1)), None);
        assert_eq!(plain(&"x".repeat(60)).as_deref(), Some(VALUE));
        // A mark is longer than what it stands for.
        assert_eq!(plain(&format!("@{}", " x".repeat(NAME_BYTES_MAX / 2 - 1))), None);
    }

    proptest! {
        #[test]
        fn a_plain_name_is_short_and_stays_plain(name in "\\PC{0,120}") {
            if let Some(once) = plain(&name) {
                prop_assert!(!once.contains('@') && once.len() <= NAME_BYTES_MAX);
                let twice = plain(&once);
                prop_assert_eq!(twice.as_deref(), Some(once.as_ref()));
            }
        }

        #[test]
        fn no_number_of_four_digits_gets_through(before in "[a-z ]{0,9}", n in 2_100_u64..u64::MAX, after in "[a-z_ ]{0,9}") {
            let name = format!("{before}{n}{after}");
            let kept = plain(&name).unwrap_or_default().into_owned();
            prop_assert!(!kept.contains(&n.to_string()), "{}", kept);
        }
    }
}
