//! Whole numbers, times and short texts as events write them.

use super::money::minor_units;
use super::text::clip;
use crate::event::stamp;
use crate::time::Stamp;
use serde_json::Value;

/// A number from 0, as number or text, rounded half up; what is above `max` is `max`. Negative
/// numbers and everything else are none.
pub(super) fn whole(value: Option<&Value>, max: u32) -> Option<u32> {
    decimal(value, 0, max)
}

/// The same in units of 10^-`decimals`.
pub(super) fn decimal(value: Option<&Value>, decimals: u32, max: u32) -> Option<u32> {
    let units = match value? {
        Value::Number(number) if decimals == 0 && number.is_u64() => number.as_u64(),
        // A number beyond what counts as an amount is still above the greatest.
        Value::Number(number) if number.is_u64() => {
            number.as_u64()?.checked_mul(10_u64.pow(decimals)).or(Some(u64::MAX))
        }
        Value::Number(number) => minor_units(&number.to_string(), decimals),
        Value::String(text) => minor_units(text.trim(), decimals),
        _ => None,
    }?;
    Some(u32::try_from(units).unwrap_or(max).min(max))
}

/// A number from 0 in thousandths, rounded half up; none for what is negative or above what counts
/// as an amount ([`super::Money::MINOR_MAX`]).
pub(super) fn thousandths(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) if number.is_u64() => {
            number.as_u64()?.checked_mul(1_000).filter(|units| *units <= super::Money::MINOR_MAX)
        }
        Value::Number(number) => minor_units(&number.to_string(), 3),
        Value::String(text) => minor_units(text.trim(), 3),
        _ => None,
    }
}

/// Thousandths as the number that people write.
pub(super) fn from_thousandths(units: u64) -> Value {
    if units.is_multiple_of(1_000) {
        return (units / 1_000).into();
    }
    let text = format!("{}.{:03}", units / 1_000, units % 1_000);
    text.parse::<serde_json::Number>().map_or(Value::Null, Value::Number)
}

/// A time: RFC 3339, a date, or a number since 1970.
pub(super) fn time(value: Option<&Value>) -> Option<Stamp> {
    match value? {
        Value::String(text) => stamp::read(text),
        Value::Number(number) => stamp::from_number(&number.to_string()),
        _ => None,
    }
}

/// The beginning of a text that is not empty.
pub(super) fn text(value: Option<&Value>, limit: usize) -> Option<&str> {
    let text = value.and_then(Value::as_str)?.trim();
    Some(clip(text, limit)).filter(|text| !text.is_empty())
}

/// An identifier: a text or a number.
pub(super) fn id(value: Option<&Value>, limit: usize) -> Option<std::borrow::Cow<'_, str>> {
    match value? {
        Value::Number(number) => Some(number.to_string().into()),
        other => text(Some(other), limit).map(Into::into),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn absurd_numbers_are_bounded_or_none() {
        for (value, expected) in [
            (json!(12), Some(12)),
            (json!(12.5), Some(13)),
            (json!("7"), Some(7)),
            (json!(u64::MAX), Some(100)),
            (json!(-3), None),
            (json!(-0.1), None),
            (json!("NaN"), None),
            (json!(1e300), None),
            (json!(null), None),
            (json!([1]), None),
        ] {
            assert_eq!(whole(Some(&value), 100), expected, "{value}");
        }
        for (value, units) in [
            (json!(12), Some(12_000)),
            (json!("4.5"), Some(4_500)),
            (json!(0.0005), Some(1)),
            (json!(-1), None),
            (json!(u64::MAX), None),
            (json!(true), None),
        ] {
            assert_eq!(thousandths(&value), units, "{value}");
        }
        assert_eq!(from_thousandths(4_500), json!(4.5));
        assert_eq!(from_thousandths(7_000), json!(7));
        assert_eq!(decimal(Some(&json!(4.25)), 2, 1_000_000), Some(425));
        assert_eq!(decimal(Some(&json!(u64::MAX)), 2, 1_000_000), Some(1_000_000));
    }
}
