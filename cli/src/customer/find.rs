//! Whom an operator means.

use crate::profile::id;
use odyssey_domain::ids::ProfileId;
use odyssey_domain::keyring::Keyring;
use odyssey_domain::personal::EmailAddress;
use odyssey_domain::profile::Root;
use odyssey_domain::wire::SourceKind;
use odyssey_flows::ports::Tables;
use odyssey_flows::profiles::{self, Found};
use odyssey_flows::stored::StoredError;

/// Who answers to an address or an id.
#[derive(Debug)]
pub enum Whom {
    /// One profile.
    One(ProfileId, Box<Root>),
    /// These gave this address: themselves, and whether it is still theirs. Several, or one whose
    /// it no longer is.
    Several(Vec<(ProfileId, bool)>),
    /// Nobody.
    Nobody,
    /// Somebody who was erased.
    Erased,
    /// The text is neither an address nor an id.
    NoId(String),
}

/// Finds a customer by e-mail, by an id such as `user:42`, or by a profile's own id.
///
/// # Errors
/// Where a table cannot be read.
pub async fn find(tables: &impl Tables, keys: &Keyring, text: &str) -> Result<Whom, StoredError> {
    let text = text.trim();
    if let Ok(address) = EmailAddress::parse(text.strip_prefix("email:").unwrap_or(text)) {
        return by_email(tables, keys, &address).await;
    }
    let asked = match id::read(text, keys) {
        Ok(asked) => asked,
        Err(error) => return Ok(Whom::NoId(error.to_string())),
    };
    Ok(match profiles::find(tables, asked.key).await? {
        Found::Nobody => Whom::Nobody,
        Found::Erased => Whom::Erased,
        Found::Profile(profile, root) => Whom::One(profile, Box::new(root.item)),
    })
}

async fn by_email(
    tables: &impl Tables,
    keys: &Keyring,
    address: &EmailAddress,
) -> Result<Whom, StoredError> {
    let is_theirs = |profile: ProfileId, root: &Root| {
        let email = root.view(profile).email;
        email.is_some_and(|email| email.normalized() == address.normalized())
    };
    // Whose identifier it is, by a server's word, comes first.
    let mut found: Vec<(ProfileId, Root)> = Vec::new();
    if let Ok(asked) = id::read(&format!("email:{}", address.expose()), keys)
        && let Found::Profile(profile, root) = profiles::find(tables, asked.key).await?
    {
        found.push((profile, root.item));
    }
    let owned = found.first().is_some_and(|(id, root)| {
        // A profile that is known by the address alone need not have been told it.
        root.view(*id).email.is_none() || is_theirs(*id, root)
    });
    for other in profiles::find_by_email(tables, keys.contact_key(address)).await? {
        // Beside the owner, what browsers say is nobody's claim: no number of them hides whose it is.
        let counts = !owned || other.kind == SourceKind::Server;
        if counts && found.iter().all(|(known, _)| *known != other.profile) {
            found.push((other.profile, other.root.item));
        }
    }
    match found.as_slice() {
        [] => return Ok(Whom::Nobody),
        [(profile, root)] if owned || is_theirs(*profile, root) => {
            return Ok(Whom::One(*profile, Box::new(root.clone())));
        }
        _ => {}
    }
    Ok(Whom::Several(found.iter().map(|(id, root)| (*id, is_theirs(*id, root))).collect()))
}
