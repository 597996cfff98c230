//! The message id: the client's where it sent one, else derived.
//!
//! Dedupe and ties of the total order go by it, so that a retry must come out the same.

use crate::ids::digest;
use crate::personal::is_placeholder;
use std::borrow::Cow;

/// The longest id that is kept as it is (Segment's own limit).
pub const MESSAGE_ID_BYTES_MAX: usize = 100;

/// The client's id. A longer one than [`MESSAGE_ID_BYTES_MAX`] becomes its hash, so that its
/// retries are still recognised; `None` for an empty one or a placeholder, which every message of
/// that client would share.
#[must_use]
pub fn of_client(text: Cow<'_, str>) -> Option<Cow<'_, str>> {
    let trimmed = text.trim();
    if trimmed.is_empty() || is_placeholder(trimmed) {
        None
    } else if trimmed.len() > MESSAGE_ID_BYTES_MAX {
        Some(Cow::Owned(base32(&digest("message-long.v1", &[trimmed.as_bytes()]))))
    } else if trimmed.len() == text.len() {
        Some(text)
    } else {
        Some(Cow::Owned(trimmed.to_owned()))
    }
}

/// The id of a message without one: the same only for the same item of the same API request, so
/// that two posts are two events.
#[must_use]
pub fn derived(request: &str, index: usize) -> String {
    let index = u64::try_from(index).unwrap_or(u64::MAX);
    base32(&digest("message.v1", &[request.as_bytes(), &index.to_be_bytes()]))
}

/// Sixteen bytes, as other ids are.
fn base32(hash: &[u8; 32]) -> String {
    let (half, _) = hash.split_at(16);
    data_encoding::BASE32_NOPAD.encode(half).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_vectors() {
        let long = "x".repeat(101);
        assert_eq!(derived("request-1", 0), "df4jp4jxh5fuqbhvig25mj4kfe");
        assert_eq!(of_client(Cow::Borrowed(&long)).unwrap(), "4zhwtrilszr6bsl7nyvycpdm4e");
    }

    #[test]
    fn kept_hashed_or_none() {
        let of = |text| of_client(Cow::Borrowed(text));
        let limit = "y".repeat(100);
        assert_eq!(of("m-1").as_deref(), Some("m-1"));
        assert_eq!(of(" m-1 ").as_deref(), Some("m-1"));
        assert_eq!(of(&limit).as_deref(), Some(limit.as_str()));
        for none in ["", "  ", "undefined", "null", "0", "00000000-0000-0000-0000-000000000000"] {
            assert_eq!(of(none), None, "{none}");
        }
        assert_ne!(derived("r", 0), derived("r", 1));
        assert_ne!(derived("r", 0), derived("s", 0));
    }
}
