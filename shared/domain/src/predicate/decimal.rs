//! Numbers compared as the decimals they were written as, never as binary fractions.

use serde_json::Value;
use std::cmp::Ordering;

/// A longer text is not taken for a number.
const DIGITS_MAX: usize = 400;

/// A decimal number of any size: `±0.d₁d₂d₃… × 10^exponent`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    negative: bool,
    /// Without leading or trailing zeros; empty for zero.
    digits: Vec<u8>,
    exponent: i64,
}

impl Decimal {
    /// The number in a JSON value. A text that is a plain decimal counts: many shops send prices
    /// as texts. JSON has no NaN and no infinity, and `nan` is not a plain decimal.
    pub(super) fn of(value: &Value) -> Option<Decimal> {
        match value {
            // The shortest text that reads back as the same number: what the property wrote.
            Value::Number(number) => Decimal::parse(&number.to_string()),
            Value::String(text) => Decimal::parse(text.trim()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    fn parse(text: &str) -> Option<Decimal> {
        if text.len() > DIGITS_MAX {
            return None;
        }
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        let dangling = mantissa.contains('.') && fraction.is_empty();
        if whole.is_empty() || dangling || !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        let significant: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        let leading = significant.iter().take_while(|d| **d == b'0').count();
        let trailing = significant.iter().rev().take_while(|d| **d == b'0').count();
        if leading == significant.len() {
            return Some(Decimal { negative: false, digits: Vec::new(), exponent: 0 });
        }
        let digits = significant.get(leading..significant.len() - trailing)?.to_vec();
        let point = i64::try_from(whole.len()).ok()? - i64::try_from(leading).ok()?;
        Some(Decimal { negative, digits, exponent: point + i64::from(exponent) })
    }

    fn magnitude(&self, other: &Decimal) -> Ordering {
        // Zero has no digits and the exponent 0; only there does the exponent not decide.
        match (self.digits.is_empty(), other.digits.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => {
                self.exponent.cmp(&other.exponent).then_with(|| self.digits.cmp(&other.digits))
            }
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Decimal) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Decimal) -> Ordering {
        match (self.negative, other.negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => self.magnitude(other),
            (true, true) => other.magnitude(self),
        }
    }
}

/// How two JSON values compare as numbers; none where either is no number.
pub(super) fn compare(found: &Value, asked: &Value) -> Option<Ordering> {
    if let (Some(found), Some(asked)) = (found.as_i64(), asked.as_i64()) {
        return Some(found.cmp(&asked));
    }
    Some(Decimal::of(found)?.cmp(&Decimal::of(asked)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn decimals_compare_as_written() {
        let ordered = [
            json!(-1e300),
            json!(-20),
            json!("-3.5"),
            json!(-3.25),
            json!(0),
            json!("0.000001"),
            json!(0.1),
            json!("0.11"),
            json!(0.3),
            json!(1),
            json!(19.99),
            json!("20"),
            json!(9_007_199_254_740_993_i64),
            json!(9_007_199_254_740_994_i64),
            json!(u64::MAX),
            json!(1e300),
        ];
        for (i, a) in ordered.iter().enumerate() {
            for (j, b) in ordered.iter().enumerate() {
                assert_eq!(compare(a, b), Some(i.cmp(&j)), "{a} against {b}");
            }
        }
        assert_eq!(compare(&json!(0.30), &json!("0.3")), Some(Ordering::Equal));
        assert_eq!(compare(&json!("-0"), &json!(0.0)), Some(Ordering::Equal));
        assert_eq!(compare(&json!("1e3"), &json!(1000)), Some(Ordering::Equal));
        assert_eq!(compare(&json!("007"), &json!(7)), Some(Ordering::Equal));
    }

    #[test]
    fn what_is_no_number_does_not_compare() {
        for text in ["", "-", ".5", "5.", "1.2.3", "NaN", "inf", "0x10", "1e", "1e99999999999", "٣"]
        {
            assert_eq!(compare(&json!(text), &json!(1)), None, "{text}");
        }
        for value in [json!(null), json!(true), json!([1]), json!({"a": 1})] {
            assert_eq!(compare(&value, &json!(1)), None, "{value}");
        }
        assert_eq!(compare(&json!("1".repeat(DIGITS_MAX + 1)), &json!(1)), None);
    }

    proptest! {
        #[test]
        fn integers_compare_as_integers(a in any::<i64>(), b in any::<i64>()) {
            let text = |n: i64| Value::String(n.to_string());
            prop_assert_eq!(compare(&json!(a), &json!(b)), Some(a.cmp(&b)));
            prop_assert_eq!(compare(&text(a), &text(b)), Some(a.cmp(&b)));
        }

        #[test]
        fn cents_compare_as_cents(a in -1_000_000_i64..1_000_000, b in -1_000_000_i64..1_000_000) {
            let text = |n: i64| {
                let sign = if n < 0 { "-" } else { "" };
                Value::String(format!("{sign}{}.{:02}", n.abs() / 100, n.abs() % 100))
            };
            prop_assert_eq!(compare(&text(a), &text(b)), Some(a.cmp(&b)));
        }

        #[test]
        fn any_text_is_compared_without_a_panic(text in ".{0,40}") {
            let _ = compare(&Value::String(text), &json!(1));
        }
    }
}
