//! Derived ids: each is a hash of what it stands for, so that any redelivery derives the same one.
//!
//! An id is the first 16 bytes of SHA-256 over a domain tag (`send.v1`) and its parts, each led by
//! its length, and prints as 26 letters of base32. The vectors in the tests are a contract: stored
//! items and links in people's inboxes hold such ids, so a change here needs a new tag.

use crate::time::Stamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

/// Hashes `parts` under a domain `tag`; the lengths make `["ab","c"]` and `["a","bc"]` differ.
#[must_use]
pub(crate) fn digest(tag: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in std::iter::once(&tag.as_bytes()).chain(parts) {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

fn first_16(bytes: [u8; 32]) -> [u8; 16] {
    let mut out = [0; 16];
    out.copy_from_slice(&bytes[..16]);
    out
}

/// RFC 4648 base32 without padding, in lower case: safe in URLs, keys, tags and file names.
fn base32(bytes: &[u8]) -> String {
    data_encoding::BASE32_NOPAD.encode(bytes).to_ascii_lowercase()
}

/// A text is not the id it was taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 26 letters and digits of base32")]
pub struct IdError;

/// Declares a 16-byte id that prints as base32 and is stored as that text.
macro_rules! id_16 {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "std::borrow::Cow<'_, str>", into = "String")]
        pub struct $name([u8; 16]);

        impl $name {
            /// The id with these bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }
            /// Its bytes.
            #[must_use]
            pub const fn bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&base32(&self.0))
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), base32(&self.0))
            }
        }
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let bytes = data_encoding::BASE32_NOPAD
                    .decode(text.to_ascii_uppercase().as_bytes())
                    .map_err(|_| IdError)?;
                Ok(Self(bytes.try_into().map_err(|_| IdError)?))
            }
        }
        impl TryFrom<std::borrow::Cow<'_, str>> for $name {
            type Error = IdError;
            fn try_from(text: std::borrow::Cow<'_, str>) -> Result<Self, IdError> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.to_string()
            }
        }
    )+};
}

id_16! {
    /// The key of one identifier (a user id or an anonymous id): an HMAC under the stack's own
    /// secret, made by [`crate::keyring::Keyring::user_key`], so that keys in tables, logs and
    /// backups do not give the identifier away.
    IdentityKey,
    /// One profile: the identity key at which its item is stored (its user id's, or its anonymous
    /// id's while nobody has signed in).
    ProfileId,
    /// One address on one channel: an HMAC made by [`crate::keyring::Keyring::contact_key`].
    ContactKey,
    /// One raising of a signal: hash(rule, profile, episode).
    SignalId,
    /// One profile's passage through one journey: hash(journey, enrollment key, trigger's id);
    /// without the profile, so that it survives merges.
    EnrollmentId,
    /// One message to one customer: hash(enrollment, step, iteration); the key of the send ledger.
    SendId,
    /// Which attempt holds a claim in the ledger; a new one for each delivery of the request.
    OwnerToken,
    /// The hash of a published document, which is also its address.
    ContentHash,
    /// An enrollment key as it stands in a slot's key.
    EnrollmentKeyHash,
    /// An event predicate: hash of its canonical form. Profiles keep the last match of each.
    PredicateKey,
}

impl From<IdentityKey> for ProfileId {
    fn from(key: IdentityKey) -> ProfileId {
        ProfileId(key.0)
    }
}

impl From<ProfileId> for IdentityKey {
    fn from(profile: ProfileId) -> IdentityKey {
        IdentityKey(profile.0)
    }
}

impl SignalId {
    /// `rule` names the signal and its threshold; `episode` is what makes this raising one of its
    /// kind: the event that began the silence.
    #[must_use]
    pub fn derive(rule: &str, profile: ProfileId, episode: EventHash) -> SignalId {
        SignalId(first_16(digest("signal.v1", &[rule.as_bytes(), &profile.0, &episode.0])))
    }
}

impl EnrollmentId {
    /// `trigger` is the message id of the triggering event or the id of the triggering signal.
    #[must_use]
    pub fn derive(journey: &str, enrollment_key: &str, trigger: &str) -> EnrollmentId {
        EnrollmentId(first_16(digest(
            "enrollment.v1",
            &[journey.as_bytes(), enrollment_key.as_bytes(), trigger.as_bytes()],
        )))
    }
}

impl SendId {
    /// The send of `step` in its `iteration`-th passage (0 for the first).
    #[must_use]
    pub fn derive(enrollment: EnrollmentId, step: &str, iteration: u32) -> SendId {
        SendId(first_16(digest(
            "send.v1",
            &[&enrollment.0, step.as_bytes(), &iteration.to_be_bytes()],
        )))
    }

    /// The one confirmation mail that a consent request may cause for an address and topic on one
    /// UTC day; the day is what limits how many there are.
    #[must_use]
    pub fn derive_confirmation(contact: ContactKey, topic: &str, day: i64) -> SendId {
        SendId(first_16(digest(
            "confirmation.v1",
            &[&contact.0, topic.as_bytes(), &day.to_be_bytes()],
        )))
    }
}

impl OwnerToken {
    /// `request` is the Lambda invocation's id and `record` the queue message's: the pair is new
    /// for every delivery.
    #[must_use]
    pub fn derive(request: &str, record: &str) -> OwnerToken {
        OwnerToken(first_16(digest("owner.v1", &[request.as_bytes(), record.as_bytes()])))
    }
}

impl ContentHash {
    /// The address of a document with these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> ContentHash {
        ContentHash(first_16(digest("content.v1", &[bytes])))
    }
}

impl EnrollmentKeyHash {
    /// The hash of an enrollment key's text; an empty text where the journey declares no key.
    #[must_use]
    pub fn of(enrollment_key: &str) -> EnrollmentKeyHash {
        EnrollmentKeyHash(first_16(digest("enrollment-key.v1", &[enrollment_key.as_bytes()])))
    }
}

impl PredicateKey {
    /// `canonical` is the predicate's canonical JSON.
    #[must_use]
    pub fn of(canonical: &str) -> PredicateKey {
        PredicateKey(first_16(digest("predicate.v1", &[canonical.as_bytes()])))
    }
}

/// Eight bytes that stand for a message id in dedupe and in ties of the total order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EventHash(pub [u8; 8]);

impl EventHash {
    /// The hash of a message id.
    #[must_use]
    pub fn of(message_id: &str) -> EventHash {
        let mut out = [0; 8];
        out.copy_from_slice(&digest("event.v1", &[message_id.as_bytes()])[..8]);
        EventHash(out)
    }
}

impl fmt::Display for EventHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for EventHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for EventHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EventHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<EventHash, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        let bytes =
            data_encoding::HEXLOWER.decode(text.as_bytes()).map_err(serde::de::Error::custom)?;
        Ok(EventHash(
            bytes
                .try_into()
                .map_err(|_| serde::de::Error::custom("expected 16 hexadecimal digits"))?,
        ))
    }
}

/// What profiles keep the state of a computed trait under: the first eight bytes of the hash of its
/// rule. The name is not part of it, so that a renamed trait goes on and a changed one starts anew.
/// Prints as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ComputedKey(EventHash);

impl ComputedKey {
    /// `canonical` is the rule's canonical JSON.
    #[must_use]
    pub fn of(canonical: &str) -> ComputedKey {
        let mut out = [0; 8];
        out.copy_from_slice(&digest("computed.v1", &[canonical.as_bytes()])[..8]);
        ComputedKey(EventHash(out))
    }
}

impl fmt::Display for ComputedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for ComputedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The position of an event in the total order of a customer's history: by time, then by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// When it happened.
    pub at: Stamp,
    /// Which event it was.
    pub id: EventHash,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden vectors: ids in stored items and in links that were already mailed.
    #[test]
    fn golden_vectors() {
        let profile = ProfileId::from_bytes([7; 16]);
        let enrollment = EnrollmentId::derive("cart-recovery", "cart-9", "message-1");
        let vectors = [
            ("event", EventHash::of("message-1").to_string()),
            (
                "signal",
                SignalId::derive("Cart Abandoned/4h", profile, EventHash::of("message-1"))
                    .to_string(),
            ),
            ("enrollment", enrollment.to_string()),
            ("send", SendId::derive(enrollment, "remind", 0).to_string()),
            (
                "confirmation",
                SendId::derive_confirmation(ContactKey::from_bytes([9; 16]), "offers", 20_000)
                    .to_string(),
            ),
            ("owner", OwnerToken::derive("request-1", "record-1").to_string()),
            ("content", ContentHash::of(b"{}").to_string()),
            ("enrollment key", EnrollmentKeyHash::of("cart-9").to_string()),
            ("predicate", PredicateKey::of("{}").to_string()),
            ("computed", ComputedKey::of("{}").to_string()),
        ];
        let expected = [
            ("event", "8bb8adddabe1045b"),
            ("signal", "akoe5luqwxeoxo3ts5iujhikjq"),
            ("enrollment", "egrpojrnoz2pu4y3wbxcndhwuy"),
            ("send", "lrh5gf6luedx7tq5bnksmmj6iu"),
            ("confirmation", "vrnvucdnqgppfig4v67osg44j4"),
            ("owner", "pn57h2nlw6khwlliwux5qqf3za"),
            ("content", "o66kgnq5dlbakveyafm3aosx3q"),
            ("enrollment key", "gedkjc2odpx5fztmv5wqyvd6dm"),
            ("predicate", "f2epmxmvhxt5l2x37rekpdmg7m"),
            ("computed", "e1533fa797db2acd"),
        ];
        let found: Vec<(&str, &str)> =
            vectors.iter().map(|(name, id)| (*name, id.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn parts_do_not_run_together() {
        assert_ne!(digest("t", &[b"ab", b"c"]), digest("t", &[b"a", b"bc"]));
        assert_ne!(digest("t", &[b"a"]), digest("ta", &[]));
    }

    #[test]
    fn ids_print_as_they_parse() {
        let id = SendId::from_bytes([0xA5; 16]);
        assert_eq!(id.to_string().parse::<SendId>().unwrap(), id);
        assert_eq!(id.to_string().len(), 26);
        assert!("short".parse::<SendId>().is_err());
    }
}
