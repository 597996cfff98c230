//! What a value is, and what of it may be shown.

use crate::event::stamp;
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};
use std::fmt;

/// What a property's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ValueType {
    /// Text that is no time.
    #[serde(rename = "text")]
    Text,
    /// A text such as `2026-01-02` or `2026-01-02T03:04:05Z`.
    #[serde(rename = "time")]
    Time,
    /// A number without a fraction, however it is written: `3`, `3.0`.
    #[serde(rename = "whole number")]
    Whole,
    /// Another number.
    #[serde(rename = "number")]
    Number,
    /// `true` or `false`.
    #[serde(rename = "boolean")]
    Boolean,
    /// An array.
    #[serde(rename = "list")]
    List,
    /// An object.
    #[serde(rename = "object")]
    Object,
    /// `null`: the property is as good as absent.
    #[serde(rename = "null")]
    Null,
}

impl ValueType {
    /// Those that a plan can ask for.
    pub const DECLARABLE: [ValueType; 7] = [
        ValueType::Text,
        ValueType::Number,
        ValueType::Whole,
        ValueType::Boolean,
        ValueType::List,
        ValueType::Object,
        ValueType::Time,
    ];

    /// Its word in files and on screens.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            ValueType::Text => "text",
            ValueType::Time => "time",
            ValueType::Whole => "whole number",
            ValueType::Number => "number",
            ValueType::Boolean => "boolean",
            ValueType::List => "list",
            ValueType::Object => "object",
            ValueType::Null => "null",
        }
    }

    /// What `value` is.
    #[must_use]
    pub fn of(value: &Value) -> ValueType {
        match value {
            Value::Null => ValueType::Null,
            Value::Bool(_) => ValueType::Boolean,
            Value::Number(number) if is_whole(number) => ValueType::Whole,
            Value::Number(_) => ValueType::Number,
            Value::String(text) if is_time(text) => ValueType::Time,
            Value::String(_) => ValueType::Text,
            Value::Array(_) => ValueType::List,
            Value::Object(_) => ValueType::Object,
        }
    }

    /// Whether a value that is `found` will do where this is asked for. A whole number is a number,
    /// a time is text, and a number may be a time (milliseconds since 1970).
    #[must_use]
    pub const fn takes(self, found: ValueType) -> bool {
        matches!(
            (self, found),
            (ValueType::Text, ValueType::Text | ValueType::Time)
                | (ValueType::Time, ValueType::Time | ValueType::Whole | ValueType::Number)
                | (ValueType::Number, ValueType::Number | ValueType::Whole)
                | (ValueType::Whole, ValueType::Whole)
                | (ValueType::Boolean, ValueType::Boolean)
                | (ValueType::List, ValueType::List)
                | (ValueType::Object, ValueType::Object)
                | (ValueType::Null, ValueType::Null)
        )
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

fn is_whole(number: &Number) -> bool {
    number.is_i64()
        || number.is_u64()
        || number.as_f64().is_some_and(|float| float.fract().abs() < f64::EPSILON)
}

/// Whether a text is a date or a time. What merely consists of digits is not: an order's number
/// would be one.
fn is_time(text: &str) -> bool {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', ..] = text.as_bytes() else { return false };
    [y1, y2, y3, y4, m1, m2].iter().all(|byte| byte.is_ascii_digit()) && stamp::read(text).is_some()
}

/// The longest number whose value is shown, in characters: a longer one may be a telephone number
/// or somebody's id.
const NUMBER_CHARS_MAX: usize = 6;

/// What may be shown of a value: enough to find the mistake, nothing of a person.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// There was none.
    Absent,
    /// `null`
    Null,
    /// `true` or `false`, as it was.
    Boolean(bool),
    /// A number of at most six characters, as it was.
    Number(String),
    /// A longer number: how many characters.
    LongNumber(usize),
    /// A date or a time.
    Time,
    /// A text: how many characters.
    Text(usize),
    /// An array: how many items.
    List(usize),
    /// An object: how many members.
    Object(usize),
}

impl Shape {
    /// Of a value.
    #[must_use]
    pub fn of(value: &Value) -> Shape {
        match value {
            Value::Null => Shape::Null,
            Value::Bool(flag) => Shape::Boolean(*flag),
            Value::Number(number) => {
                let text = number.to_string();
                if text.len() <= NUMBER_CHARS_MAX {
                    Shape::Number(text)
                } else {
                    Shape::LongNumber(text.len())
                }
            }
            Value::String(text) if is_time(text) => Shape::Time,
            Value::String(text) => Shape::Text(text.chars().count()),
            Value::Array(items) => Shape::List(items.len()),
            Value::Object(members) => Shape::Object(members.len()),
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shape::Absent => f.write_str("nothing"),
            Shape::Null => f.write_str("null"),
            Shape::Boolean(flag) => write!(f, "{flag}"),
            Shape::Number(text) => write!(f, "the number {text}"),
            Shape::LongNumber(n) => write!(f, "a number of {n} characters"),
            Shape::Time => f.write_str("a time"),
            Shape::Text(0) => f.write_str("an empty text"),
            Shape::Text(1) => f.write_str("a text of 1 character"),
            Shape::Text(n) => write!(f, "a text of {n} characters"),
            Shape::List(n) => write!(f, "a list of {n}"),
            Shape::Object(n) => write!(f, "an object of {n}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_what_they_look_like() {
        for (value, expected) in [
            (json!(null), ValueType::Null),
            (json!(true), ValueType::Boolean),
            (json!(3), ValueType::Whole),
            (json!(-3.0), ValueType::Whole),
            (json!(u64::MAX), ValueType::Whole),
            (json!(3.5), ValueType::Number),
            (json!("2026-01-02"), ValueType::Time),
            (json!("2026-01-02T03:04:05.678+02:00"), ValueType::Time),
            (json!("2026-13-02"), ValueType::Text),
            (json!("20260102"), ValueType::Text),
            (json!("1795000000000"), ValueType::Text),
            (json!("2026-01"), ValueType::Text),
            (json!(""), ValueType::Text),
            (json!([1]), ValueType::List),
            (json!({}), ValueType::Object),
        ] {
            assert_eq!(ValueType::of(&value), expected, "{value}");
        }
    }

    #[test]
    fn a_shape_holds_nothing_of_a_person() {
        for (value, shown) in [
            (json!("ann@example.com"), "a text of 15 characters"),
            (json!(4_917_612_345_678_u64), "a number of 13 characters"),
            (json!(-12.5), "the number -12.5"),
            (json!(false), "false"),
            (json!(["ann", "lee"]), "a list of 2"),
            (json!({"name": "Ann"}), "an object of 1"),
            (json!("1990-05-17"), "a time"),
            (json!("é"), "a text of 1 character"),
        ] {
            assert_eq!(Shape::of(&value).to_string(), shown);
        }
    }

    #[test]
    fn every_type_takes_itself() {
        for kind in ValueType::DECLARABLE {
            assert!(kind.takes(kind), "{kind}");
            assert!(!kind.takes(ValueType::Null), "{kind}");
        }
        assert!(ValueType::Number.takes(ValueType::Whole));
        assert!(!ValueType::Whole.takes(ValueType::Number));
        assert!(!ValueType::Number.takes(ValueType::Text));
    }
}
