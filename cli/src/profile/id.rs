//! An id as an operator gives it: `user:42`, `email:…`, or a profile's own.

use crate::Failure;
use odyssey_domain::identity::{IdKind, Identifier};
use odyssey_domain::ids::{IdentityKey, ProfileId};
use odyssey_domain::keyring::Keyring;

/// What an operator asks about.
#[derive(Debug, Clone)]
pub struct Asked {
    /// As it was given.
    pub text: String,
    /// Its key.
    pub key: IdentityKey,
    /// Its kind; none of a profile's id, which does not tell.
    pub kind: Option<IdKind>,
}

/// Reads an id.
///
/// # Errors
/// Where it is in no form that is known.
pub fn read(text: &str, keys: &Keyring) -> Result<Asked, Failure> {
    let text = text.trim();
    if let Ok(profile) = text.parse::<ProfileId>() {
        return Ok(Asked { text: text.to_owned(), key: profile.into(), kind: None });
    }
    let id: Identifier = text.parse().map_err(|error| Failure::Asked(format!("an id: {error}")))?;
    Ok(Asked { text: text.to_owned(), key: keys.identity_key(&id), kind: Some(id.kind()) })
}
