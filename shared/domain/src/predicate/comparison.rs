//! How a comparison is answered, and how it reads.

use super::decimal::compare;
use super::{Comparison, shown};
use serde_json::Value;
use std::cmp::Ordering;
use std::fmt;

impl Comparison {
    /// Whether one value passes; `None` and null are no value.
    #[must_use]
    pub fn holds(&self, found: Option<&Value>) -> bool {
        self.holds_of(found.as_slice())
    }

    /// Whether the values that a path led to pass: any of them for what asks for a value, none of
    /// them for [`Comparison::NotEquals`] and `Exists(false)`. A list among them stands for its
    /// elements, except where a list or `contains` is asked for.
    #[must_use]
    pub fn holds_of(&self, found: &[&Value]) -> bool {
        let any = |test: &dyn Fn(&Value) -> bool| found.iter().any(|value| test(value));
        match self {
            Comparison::Exists(wanted) => any(&|value| !value.is_null()) == *wanted,
            // Null is no value: equal to null means that there is none.
            Comparison::Equals(Value::Null) => !any(&|value| !value.is_null()),
            Comparison::NotEquals(Value::Null) => any(&|value| !value.is_null()),
            Comparison::Equals(asked) => any(&|value| equals_any(value, asked)),
            Comparison::NotEquals(asked) => !any(&|value| equals_any(value, asked)),
            Comparison::OneOf(asked) => {
                any(&|value| asked.iter().any(|asked| equals_any(value, asked)))
            }
            Comparison::Contains(asked) => any(&|value| contains(value, asked)),
            Comparison::Above(asked) => any(&|value| orders(value, asked, Ordering::is_gt)),
            Comparison::AtLeast(asked) => any(&|value| orders(value, asked, Ordering::is_ge)),
            Comparison::Below(asked) => any(&|value| orders(value, asked, Ordering::is_lt)),
            Comparison::AtMost(asked) => any(&|value| orders(value, asked, Ordering::is_le)),
        }
    }

    /// Whether it compares with a number, so that an absent count is zero.
    pub(super) fn asks_for_a_number(&self) -> bool {
        match self {
            Comparison::Equals(asked)
            | Comparison::NotEquals(asked)
            | Comparison::Above(asked)
            | Comparison::AtLeast(asked)
            | Comparison::Below(asked)
            | Comparison::AtMost(asked) => asked.is_number(),
            Comparison::OneOf(asked) => asked.iter().any(Value::is_number),
            Comparison::Exists(_) | Comparison::Contains(_) => false,
        }
    }
}

fn orders(found: &Value, asked: &Value, passes: fn(Ordering) -> bool) -> bool {
    match found {
        Value::Array(list) => list.iter().any(|element| orders(element, asked, passes)),
        found => compare(found, asked).is_some_and(passes),
    }
}

fn equals_any(found: &Value, asked: &Value) -> bool {
    match (found, asked) {
        (Value::Array(list), asked) if !asked.is_array() => {
            list.iter().any(|element| equals(element, asked))
        }
        (found, asked) => equals(found, asked),
    }
}

/// What was asked for decides the kind: a number asked for also finds the text of that number.
fn equals(found: &Value, asked: &Value) -> bool {
    match (found, asked) {
        (found, Value::Number(_)) => compare(found, asked).is_some_and(Ordering::is_eq),
        (Value::Array(found), Value::Array(asked)) => {
            found.len() == asked.len() && found.iter().zip(asked).all(|(f, a)| equals(f, a))
        }
        (Value::Object(found), Value::Object(asked)) => {
            found.len() == asked.len()
                && asked.iter().all(|(name, a)| found.get(name).is_some_and(|f| equals(f, a)))
        }
        (found, asked) => found == asked,
    }
}

fn contains(found: &Value, asked: &Value) -> bool {
    match (found, asked) {
        (Value::String(text), Value::String(part)) => text.contains(part.as_str()),
        (Value::Array(list), asked) => list.iter().any(|element| equals(element, asked)),
        _ => false,
    }
}

/// As people read it, to stand after what is compared: `at least 2`.
impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Comparison::Equals(asked) => write!(f, "is {}", shown(asked)),
            Comparison::NotEquals(asked) => write!(f, "is not {}", shown(asked)),
            Comparison::Exists(true) => f.write_str("is known"),
            Comparison::Exists(false) => f.write_str("is not known"),
            Comparison::Above(asked) => write!(f, "above {}", shown(asked)),
            Comparison::AtLeast(asked) => write!(f, "at least {}", shown(asked)),
            Comparison::Below(asked) => write!(f, "below {}", shown(asked)),
            Comparison::AtMost(asked) => write!(f, "at most {}", shown(asked)),
            Comparison::Contains(asked) => write!(f, "contains {}", shown(asked)),
            Comparison::OneOf(asked) => {
                f.write_str("is one of ")?;
                for (i, value) in asked.iter().enumerate() {
                    let comma = if i == 0 { "" } else { ", " };
                    write!(f, "{comma}{}", shown(value))?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_comparison_answers() {
        use Comparison::{
            Above, AtLeast, AtMost, Below, Contains, Equals, Exists, NotEquals, OneOf,
        };
        let cases = [
            (Equals(json!("a")), json!("a"), true),
            (Equals(json!("a")), json!("A"), false),
            (Equals(json!(5)), json!(5.0), true),
            (Equals(json!(5)), json!("5"), true),
            (Equals(json!("5")), json!(5), false),
            (Equals(json!(true)), json!("true"), false),
            (Equals(json!("red")), json!(["blue", "red"]), true),
            (Equals(json!(["red"])), json!(["red"]), true),
            (Equals(json!(["red"])), json!("red"), false),
            (Equals(json!({"a": 1})), json!({"a": 1.0}), true),
            (Equals(json!(null)), json!(null), true),
            (Equals(json!(null)), json!(0), false),
            (NotEquals(json!("a")), json!("b"), true),
            (NotEquals(json!("a")), json!(null), true),
            (NotEquals(json!("red")), json!(["blue", "red"]), false),
            (Exists(true), json!(false), true),
            (Exists(true), json!(null), false),
            (Exists(false), json!(null), true),
            (Above(json!(10)), json!(10), false),
            (Above(json!(10)), json!("10.01"), true),
            (Above(json!(10)), json!([1, 11]), true),
            (AtLeast(json!(0.3)), json!(0.3), true),
            (Below(json!(10)), json!("cheap"), false),
            (Below(json!(10)), json!(null), false),
            (AtMost(json!(10)), json!(10), true),
            (Contains(json!("shoe")), json!("red shoes"), true),
            (Contains(json!("shoe")), json!(["shoe"]), true),
            (Contains(json!("shoe")), json!(["red shoes"]), false),
            (Contains(json!(3)), json!([1, 3]), true),
            (OneOf(vec![json!("a"), json!(2)]), json!(2), true),
            (OneOf(vec![]), json!(2), false),
        ];
        for (comparison, found, expected) in cases {
            assert_eq!(comparison.holds(Some(&found)), expected, "{found} {comparison}");
        }
        assert!(!Above(json!(0)).holds(None));
        assert!(NotEquals(json!(0)).holds(None));
    }

    #[test]
    fn comparisons_read_as_sentences() {
        assert_eq!(Comparison::AtLeast(json!(2)).to_string(), "at least 2");
        assert_eq!(Comparison::OneOf(vec![json!("a"), json!("b")]).to_string(), "is one of a, b");
    }
}
