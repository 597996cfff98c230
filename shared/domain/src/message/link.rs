//! The links in mails: what their tokens say, and how long.
//!
//! A token is opaque and signed for one purpose ([`crate::keyring`]); it names a contact by key,
//! never an address. A confirmation is valid for [`CONFIRM_VALID`], an unsubscribe for ever.

use crate::contact::TopicId;
use crate::ids::{ContactKey, ProfileId};
use crate::keyring::{Keyring, Purpose};
use crate::time::{Span, Stamp};

/// How long the link in a confirmation mail works.
pub const CONFIRM_VALID: Span = Span::from_ms(7 * 86_400_000);

/// The first byte of a token's payload.
const PAYLOAD_SCHEMA: u8 = 1;

/// What a link is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Whose consent.
    pub contact: ContactKey,
    /// The profile the mail went to, where there is one: it is told of the change.
    pub profile: Option<ProfileId>,
    /// To what.
    pub topic: TopicId,
    /// When the mail was made.
    pub issued: Stamp,
}

/// Why a token is not a link of ours that works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// Not signed by this stack for this purpose.
    #[error("the link is not one of ours, or not complete")]
    Invalid,
    /// It was, but its time is over.
    #[error("the link is too old")]
    Expired,
}

impl Link {
    /// The token that stands for this link.
    #[must_use]
    pub fn token(&self, keys: &Keyring, purpose: Purpose) -> String {
        let mut payload = vec![PAYLOAD_SCHEMA];
        payload.extend_from_slice(self.contact.bytes());
        payload.extend_from_slice(&self.issued.ms().to_be_bytes());
        match self.profile {
            Some(profile) => {
                payload.push(1);
                payload.extend_from_slice(profile.bytes());
            }
            None => payload.push(0),
        }
        payload.extend_from_slice(self.topic.as_str().as_bytes());
        keys.sign(purpose, &payload)
    }

    /// The address of the page that acts on this link: `/c/` confirms, `/u/` unsubscribes.
    #[must_use]
    pub fn url(&self, keys: &Keyring, purpose: Purpose, public_url: &str) -> String {
        let path = match purpose {
            Purpose::Confirm => "c",
            Purpose::Unsubscribe => "u",
        };
        format!("{}/{path}/{}", public_url.trim_end_matches('/'), self.token(keys, purpose))
    }

    /// Reads a token.
    ///
    /// # Errors
    /// Where this stack did not sign it for this purpose, or its time is over.
    pub fn read(
        keys: &Keyring,
        purpose: Purpose,
        token: &str,
        now: Stamp,
    ) -> Result<Link, LinkError> {
        let payload = keys.verify(purpose, token).ok_or(LinkError::Invalid)?;
        let link = Link::parse(&payload).ok_or(LinkError::Invalid)?;
        match purpose {
            Purpose::Confirm if now.since(link.issued) > CONFIRM_VALID => Err(LinkError::Expired),
            Purpose::Confirm | Purpose::Unsubscribe => Ok(link),
        }
    }

    fn parse(payload: &[u8]) -> Option<Link> {
        let (&schema, rest) = payload.split_first()?;
        let (&contact, rest) = rest.split_first_chunk::<16>()?;
        let (&issued, rest) = rest.split_first_chunk::<8>()?;
        let (&has_profile, rest) = rest.split_first()?;
        let (profile, topic) = match has_profile {
            0 => (None, rest),
            1 => {
                let (&profile, rest) = rest.split_first_chunk::<16>()?;
                (Some(ProfileId::from_bytes(profile)), rest)
            }
            _ => return None,
        };
        if schema != PAYLOAD_SCHEMA {
            return None;
        }
        Some(Link {
            contact: ContactKey::from_bytes(contact),
            profile,
            topic: TopicId::parse(std::str::from_utf8(topic).ok()?).ok()?,
            issued: Stamp::from_ms(i64::from_be_bytes(issued)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys() -> Keyring {
        Keyring::parse(r#"{"k1":"0123456789abcdef0123456789abcdef"}"#).unwrap()
    }

    fn link(profile: bool) -> Link {
        Link {
            contact: ContactKey::from_bytes([1; 16]),
            profile: profile.then(|| ProfileId::from_bytes([2; 16])),
            topic: TopicId::parse("offers").unwrap(),
            issued: Stamp::from_ms(1_795_289_075_839),
        }
    }

    /// Links that are in people's inboxes for good.
    #[test]
    fn golden_vector() {
        let token = link(true).token(&keys(), Purpose::Unsubscribe);
        assert_eq!(
            token,
            "k1.AQEBAQEBAQEBAQEBAQEBAQEAAAGh_5FQfwECAgICAgICAgICAgICAgICb2ZmZXJz.31dIEiIiEgh5fYNnkibdrw"
        );
    }

    #[test]
    fn tokens_read_as_they_were_written() {
        for link in [link(true), link(false)] {
            for purpose in [Purpose::Confirm, Purpose::Unsubscribe] {
                let token = link.token(&keys(), purpose);
                assert_eq!(Link::read(&keys(), purpose, &token, link.issued).unwrap(), link);
                assert!(token.len() < crate::keyring::TOKEN_BYTES_MAX);
            }
        }
    }

    #[test]
    fn a_confirmation_ends_and_an_unsubscribe_does_not() {
        let link = link(true);
        let read =
            |purpose, now| Link::read(&keys(), purpose, &link.token(&keys(), purpose), now).err();
        let end = link.issued.plus(CONFIRM_VALID);
        assert_eq!(read(Purpose::Confirm, end), None);
        assert_eq!(read(Purpose::Confirm, end.plus(Span::SECOND)), Some(LinkError::Expired));
        assert_eq!(read(Purpose::Unsubscribe, Stamp::MAX), None);
    }

    #[test]
    fn one_purpose_is_not_the_other() {
        let token = link(true).token(&keys(), Purpose::Unsubscribe);
        let read = Link::read(&keys(), Purpose::Confirm, &token, link(true).issued);
        assert_eq!(read, Err(LinkError::Invalid));
    }

    proptest! {
        #[test]
        fn nothing_else_reads(text in "\\PC{0,80}", payload in prop::collection::vec(any::<u8>(), 0..60)) {
            let read = |token: &str| Link::read(&keys(), Purpose::Confirm, token, Stamp::MIN);
            prop_assert_eq!(read(&text), Err(LinkError::Invalid));
            // Signed, but not a link: it must not panic.
            let _ = read(&keys().sign(Purpose::Confirm, &payload));
        }
    }
}
