//! What can be wrong with a request or with one event of it, worded for the developer who sent it.
//!
//! A message names the place (a JSON path), what was found there and what was expected; it never
//! repeats a value, because values are personal data.

use std::fmt;

/// What stands at a place in a JSON text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// The field is absent.
    Nothing,
    /// `null`
    Null,
    /// `true` or `false`
    Boolean,
    /// A number.
    Number,
    /// A string.
    Text,
    /// An array.
    List,
    /// An object.
    Object,
}

impl Found {
    /// What the first byte of a well-formed JSON value says it is; there is no white space before
    /// it.
    #[must_use]
    pub(crate) fn of(json: &str) -> Found {
        match json.as_bytes().first() {
            None => Found::Nothing,
            Some(b'n') => Found::Null,
            Some(b't' | b'f') => Found::Boolean,
            Some(b'"') => Found::Text,
            Some(b'[') => Found::List,
            Some(b'{') => Found::Object,
            Some(_) => Found::Number,
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Found::Nothing => "nothing",
            Found::Null => "null",
            Found::Boolean => "a boolean",
            Found::Number => "a number",
            Found::Text => "a string",
            Found::List => "an array",
            Found::Object => "an object",
        })
    }
}

/// What is wrong at one place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Not JSON; the place counts from the start of the body.
    #[error("malformed JSON at line {line} column {column}: {what}")]
    Malformed {
        /// The parser's word for it, without content.
        what: String,
        /// From 1.
        line: usize,
        /// From 1, in bytes.
        column: usize,
    },
    /// Another kind of value.
    #[error("expected {expected}, found {found}")]
    Wrong {
        /// What belongs there.
        expected: &'static str,
        /// What stands there.
        found: Found,
    },
    /// An empty string where a name or an id belongs.
    #[error("expected {expected}, found an empty string")]
    Empty {
        /// What belongs there.
        expected: &'static str,
    },
    /// A string past its limit.
    #[error("expected at most {limit} bytes, found {bytes}")]
    TooLong {
        /// The limit.
        limit: usize,
        /// Its length.
        bytes: usize,
    },
    /// An id with a control character in it.
    #[error("expected an id without control characters, found one with some")]
    Control,
    /// An id that is not Unicode text: it would be somebody else's as well.
    #[error("expected Unicode text, found a lone surrogate or bytes that are not UTF-8")]
    NotUnicode,
    /// An id that stands for nobody, where somebody must be named.
    #[error("expected an id, found a placeholder for none")]
    Placeholder,
    /// A string that names no call.
    #[error("expected one of track, identify, page, screen, group and alias, found another string")]
    UnknownType,
    /// A string or number that is no time.
    #[error(
        "expected an ISO 8601 time such as 2026-01-02T03:04:05.678Z, or milliseconds since 1970, \
         found {found} that is neither"
    )]
    NoTime {
        /// A string or a number.
        found: Found,
    },
    /// No id says who it was.
    #[error(
        "expected a userId or an anonymousId that names somebody, or from a server an entry of \
         context.externalIds or an identify's trait email or phone, found none"
    )]
    Nobody,
    /// Objects and arrays inside each other, too deep.
    #[error("expected at most {limit} objects and arrays inside each other, found more")]
    Nested {
        /// The limit.
        limit: usize,
    },
    /// A number that no 64-bit float holds.
    #[error("expected numbers below 1.8e308, found a larger one")]
    Number,
    /// The whole event is past its limit.
    #[error(
        "expected an event of at most {limit} bytes, batch-level context included, found {bytes}"
    )]
    TooLarge {
        /// The limit.
        limit: usize,
        /// Its size.
        bytes: usize,
    },
}

/// A place in a request and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {problem}", self.path())]
pub struct Refusal {
    /// Which item of the batch; `None` where it is the body itself or a single call.
    pub index: Option<usize>,
    /// The field in it; empty for the item itself.
    pub field: &'static str,
    /// What is wrong.
    #[source]
    pub problem: Problem,
}

impl Refusal {
    const fn path(&self) -> Path<'_> {
        Path { index: self.index, field: self.field }
    }
}

/// A JSON path.
struct Path<'a> {
    index: Option<usize>,
    field: &'a str,
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        if let Some(index) = self.index {
            write!(f, ".batch[{index}]")?;
        }
        if self.field.is_empty() { Ok(()) } else { write!(f, ".{}", self.field) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_place_the_found_and_the_expected() {
        let wrong = |found| Problem::Wrong { expected: "a string or a number", found };
        for (index, field, found, text) in [
            (
                Some(3),
                "userId",
                Found::List,
                "$.batch[3].userId: expected a string or a number, found an array",
            ),
            (
                None,
                "userId",
                Found::Boolean,
                "$.userId: expected a string or a number, found a boolean",
            ),
            (Some(0), "", Found::Null, "$.batch[0]: expected a string or a number, found null"),
            (None, "", Found::Nothing, "$: expected a string or a number, found nothing"),
        ] {
            let refusal = Refusal { index, field, problem: wrong(found) };
            assert_eq!(refusal.to_string(), text);
        }
    }
}
