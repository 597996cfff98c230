//! Whom an operator means.

use crate::profile::id;
use odyssey_domain::ids::ProfileId;
use odyssey_domain::keyring::Keyring;
use odyssey_domain::personal::EmailAddress;
use odyssey_domain::profile::Root;
use odyssey_flows::ports::Tables;
use odyssey_flows::profiles::{self, Found};
use odyssey_flows::stored::StoredError;

/// Who answers to an address or an id.
#[derive(Debug)]
pub enum Whom {
    /// One profile.
    One(ProfileId, Box<Root>),
    /// Several gave this address: themselves, and whether it is still theirs.
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
    let mut found = profiles::find_by_email(tables, keys.contact_key(address)).await?;
    if found.is_empty()
        && let Ok(asked) = id::read(&format!("email:{}", address.expose()), keys)
        && let Found::Profile(profile, root) = profiles::find(tables, asked.key).await?
    {
        return Ok(Whom::One(profile, Box::new(root.item)));
    }
    let is_theirs = |profile: ProfileId, root: &Root| {
        let email = root.view(profile).email;
        email.is_some_and(|email| email.normalized() == address.normalized())
    };
    Ok(match found.len() {
        0 => Whom::Nobody,
        1 => match found.pop() {
            Some((profile, root)) => Whom::One(profile, Box::new(root.item)),
            None => Whom::Nobody,
        },
        _ => Whom::Several(
            found.iter().map(|(id, root)| (*id, is_theirs(*id, &root.item))).collect(),
        ),
    })
}
