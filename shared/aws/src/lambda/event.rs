//! The event of an invocation: taken from the runtime as bytes, and read.

use super::LambdaError;
use bytes::Bytes;
use lambda_runtime::LambdaInvocation;
use serde::de::DeserializeOwned;
use std::cell::Cell;
use std::mem;

/// Where the event of the invocation under way lies between the runtime and its handler. The
/// runtime handles one at a time.
///
/// Handed the event itself, the runtime would parse it as JSON before the handler does, a fifth of
/// all that `ingest` computes for a request, and its errors would repeat the content.
#[derive(Default)]
pub(super) struct EventDesk(Cell<Bytes>);

impl EventDesk {
    /// Takes the event out of an invocation; the runtime reads `null` in its place.
    pub(super) fn put(&self, mut invocation: LambdaInvocation) -> LambdaInvocation {
        self.0.set(mem::replace(&mut invocation.body, Bytes::from_static(b"null")));
        invocation
    }

    /// The event, once.
    pub(super) fn take(&self) -> Bytes {
        self.0.take()
    }
}

/// Reads an event; the error names the place, never the content.
///
/// What clients and services sent stands in Lambda's events as a string, JSON in JSON, with every
/// quote escaped. `simd-json` unescapes it in a third of `serde_json`'s time; what it does not take
/// is for `serde_json` to judge, which knows line and column.
pub(super) fn decode<T: DeserializeOwned>(
    event: &[u8],
    expected: &'static str,
) -> Result<T, LambdaError> {
    // It unescapes in place.
    if let Ok(read) = simd_json::serde::from_slice(&mut event.to_vec()) {
        return Ok(read);
    }
    serde_json::from_slice(event).map_err(|error| LambdaError::Event {
        expected,
        line: error.line(),
        column: error.column(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Eq, Deserialize)]
    struct Letter {
        body: String,
        #[serde(default)]
        is_base64: bool,
    }

    fn read(event: &[u8]) -> Result<Letter, LambdaError> {
        decode(event, "a letter")
    }

    #[test]
    fn errors_name_the_place_and_not_the_content() {
        for (event, place) in [
            (&br#"{"body":"kim@example.com","is_base64":7}"#[..], "line 1 column 39"),
            (b"{\"body\":\"kim@example.com\",\n]", "line 2 column 1"),
            (b"{}", "line 1 column 2"),
            (b"", "line 1 column 0"),
            (b"{\"body\":\"\xff\"}", "line 1 column 10"),
        ] {
            let said = read(event).unwrap_err().to_string();
            assert!(said.ends_with(place), "{said}");
            assert!(!said.contains("kim"), "{said}");
        }
    }

    /// In a client's body half an emoji is a text of six letters. No service escapes one itself; if
    /// one did, the NUL in its place would spoil that body alone, since JSON has none in a text.
    #[test]
    fn half_an_emoji_costs_at_most_its_body() {
        for (event, body) in
            [(&br#"{"body":"a\\ud83db"}"#[..], r"a\ud83db"), (br#"{"body":"a\ud83db"}"#, "a\0b")]
        {
            assert_eq!(read(event).unwrap().body, body);
        }
    }

    proptest! {
        #[test]
        fn reads_what_serde_json_reads(body in any::<String>(), noise in any::<String>()) {
            let event = serde_json::json!({"noise": [noise.clone(), {"body": noise}], "body": body});
            let event = event.to_string();
            let expected: Letter = serde_json::from_str(&event).unwrap();
            prop_assert_eq!(read(event.as_bytes()).unwrap(), expected);
        }
    }
}
