//! Personal data: values that may be stored, sent and shown to their owner, never logged.
//!
//! `Debug` redacts and there is no `Display`, so that no log line, metric or panic message can
//! carry one by accident; `expose` is the one way out and is easy to search for.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Declares a validated string that redacts itself in `Debug`.
macro_rules! personal_string {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The value itself, for storing, sending and showing; never for a log.
            #[must_use]
            pub fn expose(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "(…{} bytes)"), self.0.len())
            }
        }

        impl TryFrom<String> for $name {
            type Error = PersonalError;
            fn try_from(text: String) -> Result<Self, PersonalError> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.0
            }
        }
    };
}

/// Why a text is not the personal value it was taken for. The text itself is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PersonalError {
    /// Empty after trimming.
    #[error("is empty")]
    Empty,
    /// Longer than the limit, in bytes.
    #[error("is longer than {limit} bytes")]
    TooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// A control character, which could forge a header or break a key.
    #[error("contains a control character")]
    Control,
    /// One of the values that stand for "nobody" (`null`, `undefined`, zeros …).
    #[error("is a placeholder, not an id")]
    Placeholder,
    /// Not of the form `local@domain`.
    #[error("is not an e-mail address")]
    NotAnAddress,
    /// Not a phone number with its country code.
    #[error("is not a phone number with its country code, such as +4930123456")]
    NotANumber,
}

personal_string! {
    /// An address of the form `local@domain`, kept as it was written but for white space around it;
    /// at most 254 bytes (RFC 5321 §4.5.3.1.3), ASCII only, because SES takes no others in the
    /// local part (SES developer guide, "Email format", read 2026-11).
    EmailAddress
}

/// RFC 5321 §4.5.3.1.3, less the angle brackets.
const EMAIL_BYTES_MAX: usize = 254;
/// RFC 5321 §4.5.3.1.1.
const EMAIL_LOCAL_BYTES_MAX: usize = 64;

impl EmailAddress {
    /// Reads an address.
    ///
    /// # Errors
    /// Where it is empty, too long, or not of the form `local@domain`.
    pub fn parse(text: &str) -> Result<EmailAddress, PersonalError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(PersonalError::Empty);
        }
        if text.len() > EMAIL_BYTES_MAX {
            return Err(PersonalError::TooLong { limit: EMAIL_BYTES_MAX });
        }
        if text.chars().any(char::is_control) {
            return Err(PersonalError::Control);
        }
        let (local, domain) = text.rsplit_once('@').ok_or(PersonalError::NotAnAddress)?;
        let local_ok = !local.is_empty()
            && local.len() <= EMAIL_LOCAL_BYTES_MAX
            && !local.starts_with('.')
            && !local.ends_with('.')
            && !local.contains("..")
            && local
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&b));
        let label_ok = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        if !local_ok || !domain.contains('.') || !domain.split('.').all(label_ok) {
            return Err(PersonalError::NotAnAddress);
        }
        Ok(EmailAddress(text.to_owned()))
    }

    /// The form that keys are made from: all lower case. Two spellings that differ by case alone
    /// are one mailbox at every provider that matters, and one consent.
    #[must_use]
    pub fn normalized(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    /// A form that may be shown where the whole address may not: `e…@example.com`.
    #[must_use]
    pub fn masked(&self) -> String {
        let (local, domain) = self.0.rsplit_once('@').unwrap_or(("", &self.0));
        let first: String = local.chars().take(1).collect();
        format!("{first}…@{domain}")
    }
}

personal_string! {
    /// The id a property gave a customer it knows (`userId`); at most 256 bytes.
    UserId
}
personal_string! {
    /// The id a device or browser gave itself (`anonymousId`); at most 256 bytes.
    AnonymousId
}

personal_string! {
    /// The id another system gave a customer (a shop's customer id, a ticket system's user); its
    /// type says which system. At most 256 bytes.
    ExternalId
}
personal_string! {
    /// A phone number in E.164's form: `+`, a country code, at most 15 digits in all.
    PhoneNumber
}

/// The most digits of a phone number (ITU-T E.164 §6.2).
const PHONE_DIGITS_MAX: usize = 15;
/// Fewer digits are a short code, or somebody's slip.
const PHONE_DIGITS_MIN: usize = 7;

impl PhoneNumber {
    /// Reads a number with its country code, `+` or `00` before it; spaces, dots, dashes, slashes
    /// and parentheses are only for people. One without a country code is somebody's in every
    /// country, so it is none here.
    ///
    /// # Errors
    /// Where it is empty or not of that form.
    pub fn parse(text: &str) -> Result<PhoneNumber, PersonalError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(PersonalError::Empty);
        }
        let rest = text.strip_prefix('+').or_else(|| text.strip_prefix("00"));
        let rest = rest.ok_or(PersonalError::NotANumber)?;
        // `+44 (0)20 …` is how people write a number for both kinds of callers.
        let rest = rest.replacen("(0)", "", 1);
        let digits: String = rest.chars().filter(|c| !" .-/()\u{a0}".contains(*c)).collect();
        let right = (PHONE_DIGITS_MIN..=PHONE_DIGITS_MAX).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0');
        if right { Ok(PhoneNumber(format!("+{digits}"))) } else { Err(PersonalError::NotANumber) }
    }
}

/// Longer ids are refused: they are some other value put in the wrong field.
pub const ID_BYTES_MAX: usize = 256;

/// What SDKs and page scripts send when they mean "nobody". Compared in lower case.
const PLACEHOLDERS: [&str; 18] = [
    "null",
    "undefined",
    "nil",
    "none",
    "nan",
    "n/a",
    "na",
    "unknown",
    "anonymous",
    "guest",
    "false",
    "true",
    "[object object]",
    "(null)",
    "-",
    "-1",
    "{}",
    "<nil>",
];

/// The longest of them.
const PLACEHOLDER_BYTES_MAX: usize = 15;

/// Whether a trimmed text stands for "nobody".
pub(crate) fn is_placeholder(text: &str) -> bool {
    text.bytes().all(|b| b == b'0' || b == b'-')
        || text.len() <= PLACEHOLDER_BYTES_MAX
            && PLACEHOLDERS.iter().any(|placeholder| placeholder.eq_ignore_ascii_case(text))
}

/// The id in `text`, without the white space around it.
pub(crate) fn check_id(text: &str) -> Result<&str, PersonalError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(PersonalError::Empty);
    }
    if text.len() > ID_BYTES_MAX {
        return Err(PersonalError::TooLong { limit: ID_BYTES_MAX });
    }
    let has_control = if text.is_ascii() {
        text.bytes().fold(false, |any, byte| any | byte.is_ascii_control())
    } else {
        text.chars().any(char::is_control)
    };
    if has_control {
        return Err(PersonalError::Control);
    }
    if is_placeholder(text) { Err(PersonalError::Placeholder) } else { Ok(text) }
}

fn parse_id(text: &str) -> Result<String, PersonalError> {
    check_id(text).map(str::to_owned)
}

impl UserId {
    /// Reads an id.
    ///
    /// # Errors
    /// Where it is empty, too long, has control characters, or is a placeholder.
    pub fn parse(text: &str) -> Result<UserId, PersonalError> {
        parse_id(text).map(UserId)
    }
}

impl AnonymousId {
    /// Reads an id.
    ///
    /// # Errors
    /// Where it is empty, too long, has control characters, or is a placeholder.
    pub fn parse(text: &str) -> Result<AnonymousId, PersonalError> {
        parse_id(text).map(AnonymousId)
    }
}

impl ExternalId {
    /// Reads an id.
    ///
    /// # Errors
    /// Where it is empty, too long, has control characters, or is a placeholder.
    pub fn parse(text: &str) -> Result<ExternalId, PersonalError> {
        parse_id(text).map(ExternalId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for good in ["a@b.io", " ann.lee+tag@Example.CO.UK ", "bounce@simulator.amazonses.com"] {
            assert!(EmailAddress::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "a",
            "@b.io",
            "a@",
            "a@b",
            "a b@c.io",
            "a@b..io",
            "a@-b.io",
            "a@b.io\r\nBcc: x@y.z",
            ".a@b.io",
            "a..b@c.io",
            "a,b@c.io",
            "<a@b.io>",
            "ü@b.io",
        ] {
            assert!(EmailAddress::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn debug_never_shows_the_value() {
        let shown = format!("{:?}", EmailAddress::parse("secret@example.com").unwrap());
        assert!(!shown.contains("secret") && !shown.contains("example"), "{shown}");
    }

    #[test]
    fn placeholders_are_nobody() {
        for id in [
            "null",
            "NULL",
            "undefined",
            "0",
            "0000",
            "00000000-0000-0000-0000-000000000000",
            "None",
            " - ",
        ] {
            assert_eq!(UserId::parse(id), Err(PersonalError::Placeholder), "{id}");
        }
        assert!(UserId::parse("u1").is_ok());
    }

    #[test]
    fn numbers() {
        for (text, number) in [
            ("+49 151 1234567", "+491511234567"),
            ("0049-151-123.45.67", "+491511234567"),
            ("+44 (0)20 7946 0000", "+442079460000"),
            (" +1 (212) 555-0100 ", "+12125550100"),
        ] {
            assert_eq!(PhoneNumber::parse(text).unwrap().expose(), number, "{text}");
        }
        for bad in [
            "",
            "0151 1234567",
            "151",
            "+",
            "+49",
            "+0491511234567",
            "+49151123456789012",
            "+49 151 CALL",
            "null",
            "+\u{0661}\u{0662}\u{0663}\u{0664}\u{0665}\u{0666}\u{0667}",
        ] {
            assert!(PhoneNumber::parse(bad).is_err(), "{bad}");
        }
    }
}
