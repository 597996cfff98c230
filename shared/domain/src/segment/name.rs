//! The name of a segment.

use crate::slug::{SlugError, is_slug};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// The longest name of a segment, in bytes.
pub const SEGMENT_NAME_BYTES_MAX: usize = 40;

/// The name of a segment: lower-case letters, digits and hyphens, led by a letter. Kept in place
/// and not on the heap, so that a [`crate::signal::Threshold`] that holds one is copied like the
/// others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentName {
    /// Zeros after the name, which no name contains: bytes order as texts do.
    bytes: [u8; SEGMENT_NAME_BYTES_MAX],
    length: u8,
}

impl SegmentName {
    /// Reads a name.
    ///
    /// # Errors
    /// Where it is not lower-case letters, digits and hyphens, led by a letter, at most
    /// [`SEGMENT_NAME_BYTES_MAX`].
    pub fn parse(text: &str) -> Result<SegmentName, SlugError> {
        let mut bytes = [0; SEGMENT_NAME_BYTES_MAX];
        let length = u8::try_from(text.len()).map_err(|_| SlugError)?;
        match bytes.get_mut(..text.len()) {
            Some(space) if is_slug(text) => space.copy_from_slice(text.as_bytes()),
            _ => return Err(SlugError),
        }
        Ok(SegmentName { bytes, length })
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..usize::from(self.length)).unwrap_or_default();
        // Only ASCII goes in.
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SegmentName({self})")
    }
}

impl Serialize for SegmentName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for SegmentName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SegmentName, D::Error> {
        let text = Cow::<'_, str>::deserialize(deserializer)?;
        SegmentName::parse(&text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_as_they_print() {
        let longest = "a".repeat(SEGMENT_NAME_BYTES_MAX);
        for text in ["vip", "at-risk", "a1", longest.as_str()] {
            let name = SegmentName::parse(text).unwrap();
            assert_eq!(name.as_str(), text);
            assert_eq!(serde_json::to_string(&name).unwrap(), format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<SegmentName>(&format!("\"{text}\"")).unwrap(), name);
        }
    }

    #[test]
    fn other_texts_are_no_names() {
        let long = "a".repeat(SEGMENT_NAME_BYTES_MAX + 1);
        let longer = "a".repeat(300);
        for text in ["", "Vip", "at_risk", "1a", "-a", "a b", "ä", "a\0", &long, &longer] {
            assert!(SegmentName::parse(text).is_err(), "{text:?}");
        }
        assert!(serde_json::from_str::<SegmentName>("\"At Risk\"").is_err());
    }

    #[test]
    fn names_order_as_texts_do() {
        let mut texts = ["b", "a-b", "ab", "a", "a1", "abc"];
        let mut names = texts.map(|text| SegmentName::parse(text).unwrap());
        texts.sort_unstable();
        names.sort_unstable();
        assert_eq!(names.map(|name| name.to_string()), texts.map(str::to_owned));
    }
}
