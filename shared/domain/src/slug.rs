//! Names that a workspace's author chooses: journeys, steps, topics, mails, senders, sources.

/// The longest name, in bytes.
pub const SLUG_BYTES_MAX: usize = 48;

/// A text is not a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a name of lower-case letters, digits and hyphens that begins with a letter, at most {SLUG_BYTES_MAX} long"
)]
pub struct SlugError;

/// Whether `text` may be such a name.
#[must_use]
pub fn is_slug(text: &str) -> bool {
    text.len() <= SLUG_BYTES_MAX
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Declares names of one kind, so that a topic cannot stand where a journey should.
macro_rules! slug {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Reads a name.
            ///
            /// # Errors
            /// Where it is not lower-case letters, digits and hyphens, led by a letter, at most 48.
            pub fn parse(text: &str) -> Result<Self, $crate::slug::SlugError> {
                if $crate::slug::is_slug(text) { Ok(Self(text.to_owned())) } else { Err($crate::slug::SlugError) }
            }
            /// The name.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl TryFrom<String> for $name {
            type Error = $crate::slug::SlugError;
            fn try_from(text: String) -> Result<Self, $crate::slug::SlugError> {
                Self::parse(&text)
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }
    )+};
}
pub(crate) use slug;
