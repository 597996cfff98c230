//! Everything made with the stack's one secret: keys of identifiers and contacts, write keys, and
//! the tokens in links.
//!
//! Each use has its own subkey, HMAC-SHA-256(secret, purpose), so that no value made for one
//! purpose is worth anything for another.

use crate::identity::Identifier;
use crate::ids::{ContactKey, IdentityKey};
use crate::personal::{AnonymousId, EmailAddress, UserId};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::collections::BTreeMap;
use std::fmt;
use subtle::ConstantTimeEq;

/// Fewer bytes than this are no secret.
const SECRET_BYTES_MIN: usize = 32;
/// A token's tag: 128 bits of HMAC-SHA-256.
const TAG_BYTES: usize = 16;
/// A longer token is refused before it is decoded.
pub const TOKEN_BYTES_MAX: usize = 512;

/// The stack's secrets, by key id. Never logged: `Debug` shows the key ids alone.
///
/// Stored in Secrets Manager as `{"k1": "…", "k2": "…"}`: the lowest key id makes identity and
/// contact keys for ever (they are primary keys of tables), the highest signs new tokens, and all
/// of them verify.
#[derive(Clone)]
pub struct Keyring {
    secrets: BTreeMap<String, Vec<u8>>,
    first: Vec<u8>,
    newest: String,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("key_ids", &self.secrets.keys()).finish_non_exhaustive()
    }
}

/// Why a secret's text is not a [`Keyring`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// Not a JSON object of strings.
    #[error("expected a JSON object of key ids and secrets")]
    Malformed,
    /// No key in it.
    #[error("expected at least one key")]
    Empty,
    /// A secret too short to be one.
    #[error("expected secrets of at least {SECRET_BYTES_MIN} bytes")]
    TooShort,
    /// A key id is not `k` and a number.
    #[error("expected key ids k1, k2 … k9")]
    BadKeyId,
}

/// What a token in a link allows; one thing each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Confirming an address and a topic.
    Confirm,
    /// Withdrawing one topic. Never expires.
    Unsubscribe,
}

impl Purpose {
    const fn tag(self) -> &'static str {
        match self {
            Purpose::Confirm => "token.confirm.v1",
            Purpose::Unsubscribe => "token.unsubscribe.v1",
        }
    }
}

fn mac(key: &[u8], tag: &str, parts: &[&[u8]]) -> [u8; 32] {
    // HMAC takes keys of every length (RFC 2104 §2), so this cannot fail.
    let Ok(mut mac) = <Hmac<Sha256> as KeyInit>::new_from_slice(key) else {
        return [0; 32];
    };
    for part in std::iter::once(&tag.as_bytes()).chain(parts) {
        mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn first_16(bytes: [u8; 32]) -> [u8; 16] {
    let mut out = [0; 16];
    out.copy_from_slice(&bytes[..16]);
    out
}

impl Keyring {
    /// Reads the secret's text.
    ///
    /// # Errors
    /// Where it is not a JSON object of at least one key id (`k1` … `k9`) with a secret of 32
    /// bytes or more.
    pub fn parse(text: &str) -> Result<Keyring, KeyringError> {
        let raw: BTreeMap<String, String> =
            serde_json::from_str(text).map_err(|_| KeyringError::Malformed)?;
        let mut secrets = BTreeMap::new();
        for (id, secret) in raw {
            let id_ok = matches!(id.as_bytes(), [b'k', b'1'..=b'9']);
            if !id_ok {
                return Err(KeyringError::BadKeyId);
            }
            if secret.len() < SECRET_BYTES_MIN {
                return Err(KeyringError::TooShort);
            }
            secrets.insert(id, secret.into_bytes());
        }
        let first = secrets.first_key_value().ok_or(KeyringError::Empty)?.1.clone();
        let newest = secrets.last_key_value().ok_or(KeyringError::Empty)?.0.clone();
        Ok(Keyring { secrets, first, newest })
    }

    /// The key of a user id.
    #[must_use]
    pub fn user_key(&self, user: &UserId) -> IdentityKey {
        IdentityKey::from_bytes(first_16(mac(
            &self.first,
            "identity.user.v1",
            &[user.expose().as_bytes()],
        )))
    }

    /// The key of an anonymous id.
    #[must_use]
    pub fn anonymous_key(&self, anonymous: &AnonymousId) -> IdentityKey {
        let parts: [&[u8]; 1] = [anonymous.expose().as_bytes()];
        IdentityKey::from_bytes(first_16(mac(&self.first, "identity.anonymous.v1", &parts)))
    }

    /// The key of an identifier, whatever its kind: an HMAC of its kind and its normalised value.
    #[must_use]
    pub fn identity_key(&self, identifier: &Identifier) -> IdentityKey {
        let key =
            |tag, parts: &[&[u8]]| IdentityKey::from_bytes(first_16(mac(&self.first, tag, parts)));
        match identifier {
            Identifier::User(user) => self.user_key(user),
            Identifier::Anonymous(anonymous) => self.anonymous_key(anonymous),
            Identifier::Email(address) => {
                key("identity.email.v1", &[address.normalized().as_bytes()])
            }
            Identifier::Phone(number) => key("identity.phone.v1", &[number.expose().as_bytes()]),
            Identifier::External(named, id) => {
                let parts = [named.as_str().as_bytes(), id.expose().as_bytes()];
                key("identity.external.v1", &parts)
            }
        }
    }

    /// The key of an address on the e-mail channel: of its normalised form.
    #[must_use]
    pub fn contact_key(&self, address: &EmailAddress) -> ContactKey {
        let normalized = address.normalized();
        let parts: [&[u8]; 1] = [normalized.as_bytes()];
        ContactKey::from_bytes(first_16(mac(&self.first, "contact.email.v1", &parts)))
    }

    /// The write key of a source: `name.tag`, where the tag proves that this stack made it.
    /// `generation` is raised in the workspace file to revoke the keys before it.
    #[must_use]
    pub fn write_key(&self, source: &str, generation: u32) -> String {
        let parts: [&[u8]; 2] = [source.as_bytes(), &generation.to_be_bytes()];
        let tag = first_16(mac(&self.first, "write-key.v1", &parts));
        format!("{source}.{}", data_encoding::BASE32_NOPAD.encode(&tag).to_ascii_lowercase())
    }

    /// Whether `given` is the write key of this source; in constant time.
    #[must_use]
    pub fn is_write_key(&self, given: &str, source: &str, generation: u32) -> bool {
        let wanted = self.write_key(source, generation);
        given.as_bytes().ct_eq(wanted.as_bytes()).into()
    }

    /// Signs `payload` into a token for a URL: `kid.payload.tag`, base64url without padding.
    #[must_use]
    pub fn sign(&self, purpose: Purpose, payload: &[u8]) -> String {
        let secret = self.secrets.get(&self.newest).unwrap_or(&self.first);
        let tag = mac(secret, purpose.tag(), &[self.newest.as_bytes(), payload]);
        let encode = |bytes: &[u8]| data_encoding::BASE64URL_NOPAD.encode(bytes);
        format!("{}.{}.{}", self.newest, encode(payload), encode(&tag[..TAG_BYTES]))
    }

    /// The payload of a token that this stack signed for this purpose, with any of its keys.
    #[must_use]
    pub fn verify(&self, purpose: Purpose, token: &str) -> Option<Vec<u8>> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let mut parts = token.split('.');
        let (key_id, payload, tag) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let decode = |text: &str| data_encoding::BASE64URL_NOPAD.decode(text.as_bytes()).ok();
        let (payload, tag) = (decode(payload)?, decode(tag)?);
        let secret = self.secrets.get(key_id)?;
        let wanted = mac(secret, purpose.tag(), &[key_id.as_bytes(), &payload]);
        let equal: bool = tag.ct_eq(&wanted[..TAG_BYTES]).into();
        equal.then_some(payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = r#"{"k1":"0123456789abcdef0123456789abcdef"}"#;
    const TWO: &str =
        r#"{"k1":"0123456789abcdef0123456789abcdef","k2":"fedcba9876543210fedcba9876543210"}"#;

    #[test]
    fn golden_vectors() {
        let keys = Keyring::parse(ONE).unwrap();
        let found = [
            keys.user_key(&UserId::parse("u1").unwrap()).to_string(),
            keys.anonymous_key(&AnonymousId::parse("u1").unwrap()).to_string(),
            keys.contact_key(&EmailAddress::parse("Ann@Example.com").unwrap()).to_string(),
            keys.write_key("web", 1),
            keys.sign(Purpose::Unsubscribe, b"payload"),
        ];
        let expected = [
            "3bisqaicyczurvyy4vvs7vwszy",
            "45g5by4kk5izxye4vsj3e7svqu",
            "6ptct4rwoaw2eaaazg3eggbqva",
            "web.wf35sbzi64yqrj2c7fnpx7ihw4",
            "k1.cGF5bG9hZA.8StGSu-drndBf9i_RDyXZw",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn golden_vectors_of_identifiers() {
        let keys = Keyring::parse(ONE).unwrap();
        let key = |text: &str| keys.identity_key(&text.parse().unwrap()).to_string();
        let found = [
            "user:u1",
            "anonymous:u1",
            "email:Ann@Example.com",
            "phone:+49 151 1234567",
            "external:shop_customer_id:u1",
            "external:ticket_user:u1",
        ]
        .map(key);
        let expected = [
            "3bisqaicyczurvyy4vvs7vwszy",
            "45g5by4kk5izxye4vsj3e7svqu",
            "nqxcdrao2lgnmmu5i5s7svtely",
            "ecx43446f5azeus5cjgmfwg7wi",
            "3fqefytymmwjadhjieh2qn2brm",
            "z36an2scj2elqt7oehjgta2n7a",
        ];
        assert_eq!(found, expected);
        assert_eq!(key("email:ann@example.com"), key("email:ANN@EXAMPLE.COM"));
    }

    #[test]
    fn case_does_not_make_a_second_contact() {
        let keys = Keyring::parse(ONE).unwrap();
        let key = |text| keys.contact_key(&EmailAddress::parse(text).unwrap());
        assert_eq!(key("ann@example.com"), key(" ANN@Example.COM "));
    }

    #[test]
    fn old_keys_keep_verifying_and_identity_keys_stay() {
        let (one, two) = (Keyring::parse(ONE).unwrap(), Keyring::parse(TWO).unwrap());
        let old = one.sign(Purpose::Unsubscribe, b"x");
        assert_eq!(two.verify(Purpose::Unsubscribe, &old).as_deref(), Some(&b"x"[..]));
        assert!(one.verify(Purpose::Unsubscribe, &two.sign(Purpose::Unsubscribe, b"x")).is_none());
        let user = UserId::parse("u1").unwrap();
        assert_eq!(one.user_key(&user), two.user_key(&user));
    }

    #[test]
    fn every_flipped_bit_and_every_other_purpose_is_refused() {
        let keys = Keyring::parse(ONE).unwrap();
        let token = keys.sign(Purpose::Unsubscribe, b"contact and topic");
        assert!(keys.verify(Purpose::Confirm, &token).is_none());
        for at in 0..token.len() {
            for bit in 0..7 {
                let mut forged = token.clone().into_bytes();
                forged[at] ^= 1 << bit;
                if let Ok(forged) = String::from_utf8(forged) {
                    assert!(keys.verify(Purpose::Unsubscribe, &forged).is_none(), "{at} {bit}");
                }
            }
        }
        assert!(keys.verify(Purpose::Unsubscribe, &"a".repeat(10_000)).is_none());
    }

    #[test]
    fn secrets_that_are_none() {
        for (text, error) in [
            ("", KeyringError::Malformed),
            ("{}", KeyringError::Empty),
            (r#"{"k1":"short"}"#, KeyringError::TooShort),
            (r#"{"key":"0123456789abcdef0123456789abcdef"}"#, KeyringError::BadKeyId),
        ] {
            assert_eq!(Keyring::parse(text).unwrap_err(), error);
        }
        assert!(!format!("{:?}", Keyring::parse(ONE).unwrap()).contains("0123"));
    }
}
