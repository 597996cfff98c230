//! Reading profiles: an identity's item, the pointer it may be, the view of the root behind it.

use crate::ports::{Consistency, Key, Table, Tables};
use crate::stored::{Stored, StoredError, Versioned, load};
use odyssey_domain::ids::{IdentityKey, ProfileId};
use odyssey_domain::profile::{IdentityItem, ProfileView, Root};

impl Stored for IdentityItem {
    const NAME: &'static str = "identity";
    const SCHEMA: u16 = 1;
    /// DynamoDB's item limit is 400 KB (quota page, read 2026-11), keys and attribute names
    /// included.
    const BYTES_MAX: usize = 390 * 1024;
}

/// Where an identifier's item stands.
#[must_use]
pub fn identity_key(identity: IdentityKey) -> Key {
    Key { table: Table::Profiles, pk: identity.to_string(), sk: "identity".to_owned() }
}

/// What a profile id leads to.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// Nothing was ever stored there.
    Nobody,
    /// A profile; its id is the root's, which differs from the one asked for after a link.
    Profile(ProfileId, Box<Versioned<Root>>),
    /// It was erased.
    Erased,
}

/// Loads the root behind an identity, following its pointer; strongly consistent.
///
/// # Errors
/// Where the port fails or an item cannot be read.
pub async fn find(tables: &impl Tables, identity: IdentityKey) -> Result<Found, StoredError> {
    let mut at = identity;
    // A pointer leads to a root in one step; the second covers a link made between two reads.
    for _ in 0..3 {
        let key = identity_key(at);
        match load::<IdentityItem>(tables, key, Consistency::Strong).await? {
            None => return Ok(Found::Nobody),
            Some(Versioned { item: IdentityItem::Tombstone { .. }, .. }) => {
                return Ok(Found::Erased);
            }
            Some(Versioned { item: IdentityItem::Pointer { to, .. }, .. }) => at = to,
            Some(Versioned { item: IdentityItem::Root(root), version, key }) => {
                let found = Versioned { key, version, item: *root };
                return Ok(Found::Profile(at.into(), Box::new(found)));
            }
        }
    }
    Ok(Found::Nobody)
}

/// The view of the profile behind an id; an empty one where nobody is there, `None` where it was
/// erased.
///
/// # Errors
/// Where the port fails or an item cannot be read.
pub async fn load_view(
    tables: &impl Tables,
    profile: ProfileId,
) -> Result<Option<ProfileView>, StoredError> {
    Ok(match find(tables, profile.into()).await? {
        Found::Nobody => Some(ProfileView::empty(profile)),
        Found::Profile(id, root) => Some(root.item.view(id)),
        Found::Erased => None,
    })
}
