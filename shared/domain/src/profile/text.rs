//! Texts and values from events, cut to what a profile keeps.

use serde_json::{Map, Number, Value};

/// The longest text a trait keeps, in bytes.
pub(super) const TRAIT_TEXT_BYTES_MAX: usize = 512;
/// A trait that is a list or an object and takes more than this as JSON is not kept.
pub(super) const TRAIT_JSON_BYTES_MAX: usize = 1_024;
/// The longest name of a trait or an event that is kept, in bytes.
pub(super) const NAME_BYTES_MAX: usize = 96;

/// The beginning of `text`, at most `limit` bytes, cut between characters.
#[must_use]
pub fn clip(text: &str, limit: usize) -> &str {
    if text.len() <= limit {
        return text;
    }
    let end = (0..=limit).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.get(..end).unwrap_or("")
}

/// Whether it is a text of which [`clip`] takes something, blanks around it apart.
pub(super) fn exceeds(value: Option<&Value>, limit: usize) -> bool {
    let text = value.and_then(Value::as_str);
    // Most texts are short: their blanks need not be looked for.
    text.is_some_and(|text| text.len() > limit && text.trim().len() > limit)
}

/// A trait's value as it is kept: texts cut, decimals brought to 15 significant digits (so that
/// what is written reads back as the same number), lists and objects whole or not at all.
pub(super) fn trait_value(value: &Value) -> Option<Value> {
    let kept = canonical(value);
    let large = match &kept {
        Value::Array(_) | Value::Object(_) => {
            serde_json::to_string(&kept).map_or(usize::MAX, |json| json.len())
                > TRAIT_JSON_BYTES_MAX
        }
        _ => false,
    };
    (!large).then_some(kept)
}

fn canonical(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(clip(text, TRAIT_TEXT_BYTES_MAX).to_owned()),
        Value::Number(number) => decimal(number),
        Value::Array(items) => Value::Array(items.iter().map(canonical).collect()),
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .map(|(name, value)| (name.clone(), canonical(value)))
                .collect::<Map<_, _>>(),
        ),
        Value::Null | Value::Bool(_) => value.clone(),
    }
}

/// A whole number as it is; any other with 15 significant digits, which is what a double holds
/// exactly in both directions; one so large or small that its text would not read back as the same
/// number, as that text. It is kept, never computed with.
fn decimal(number: &Number) -> Value {
    if number.is_i64() || number.is_u64() {
        return Value::Number(number.clone());
    }
    let float: f64 =
        number.as_f64().and_then(|float| format!("{float:.14e}").parse().ok()).unwrap_or(0.0);
    // The negative zero is equal to the other and prints differently.
    let float = if float == 0.0 { 0.0 } else { float };
    let exact = float == 0.0 || (1e-7..1e15).contains(&float.abs());
    match Number::from_f64(float) {
        Some(number) if exact => Value::Number(number),
        _ => Value::String(number.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(clip("abc", 3), "abc");
        assert_eq!(clip("aé", 2), "a");
        assert_eq!(clip("é", 1), "");
    }

    #[test]
    fn large_lists_are_not_kept() {
        assert!(trait_value(&json!(vec!["x".repeat(100); 20])).is_none());
        assert_eq!(trait_value(&json!({"city": "Paris"})), Some(json!({"city": "Paris"})));
    }

    proptest! {
        #[test]
        fn numbers_read_back_as_they_were_written(float in -1e15..1e15_f64, small in -1.0..1.0_f64, any in any::<f64>()) {
            for float in [float, small, any].into_iter().filter(|float| float.is_finite()) {
                let kept = trait_value(&json!(float)).unwrap();
                let text = serde_json::to_string(&kept).unwrap();
                let again: Value = serde_json::from_str(&text).unwrap();
                prop_assert_eq!(serde_json::to_string(&again).unwrap(), text);
                prop_assert_eq!(again, kept);
            }
        }
    }
}
