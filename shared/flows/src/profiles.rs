//! Reading profiles: an identity's item, the pointer it may be, the view of the root behind it.

use crate::ports::{Consistency, Key, PortError, Query, Row, Scan, Scanned, Table, Tables};
use crate::stored::{self, Stored, StoredError, Versioned, load};
use odyssey_domain::ids::{ContactKey, IdentityKey, ProfileId};
use odyssey_domain::profile::{ComputedTraits, IdentityItem, ProfileView, Root};
use odyssey_domain::time::{Span, Stamp};
use odyssey_domain::wire::SourceKind;
use serde::{Deserialize, Serialize};

impl Stored for IdentityItem {
    const NAME: &'static str = "identity";
    const SCHEMA: u16 = 1;
    /// `DynamoDB`'s item limit is 400 KB (quota page, read 2026-11), keys and attribute names
    /// included.
    const BYTES_MAX: usize = 390 * 1024;
}

/// Where an identifier's item stands.
#[must_use]
pub fn identity_key(identity: IdentityKey) -> Key {
    Key { table: Table::Profiles, pk: identity.to_string(), sk: "identity".to_owned() }
}

/// Rows of one page of a scan.
const ROWS_PER_SCAN: usize = 200;
/// An identity whose links others keep moving is looked for so often.
const FIND_READS: usize = 6;

/// One part of all profiles, counted from 0, of so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) part: u32,
    pub(crate) of: u32,
}

impl Part {
    /// All of them.
    pub(crate) const WHOLE: Part = Part { part: 0, of: 1 };
}

/// The identities' rows of one page of a part, and where the next page begins.
pub(crate) async fn scan(
    tables: &impl Tables,
    part: Part,
    after: Option<Key>,
) -> Result<Scanned, PortError> {
    let scan = Scan {
        table: Table::Profiles,
        segment: part.part,
        segments: part.of,
        after,
        sk: Some("identity".to_owned()),
        limit: ROWS_PER_SCAN,
    };
    tables.scan(&scan).await
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
    let (mut at, mut claimed) = (identity, None);
    // A pointer leads to a root in one step; the others cover links made between two reads.
    for _ in 0..FIND_READS {
        let key = identity_key(at);
        match load::<IdentityItem>(tables, key, Consistency::Strong).await? {
            None => return Ok(Found::Nobody),
            Some(Versioned { item: IdentityItem::Tombstone { .. }, .. }) => {
                return Ok(Found::Erased);
            }
            Some(Versioned { item: IdentityItem::Pointer { to, claim }, .. }) => {
                (at, claimed) = (to, Some(claim));
            }
            Some(Versioned { item: IdentityItem::Root(root), .. })
                if claimed.is_some_and(|claim| !root.is_home_of(identity, claim)) =>
            {
                (at, claimed) = (identity, None);
            }
            Some(Versioned { item: IdentityItem::Root(root), version, key }) => {
                let found = Versioned { key, version, item: *root };
                return Ok(Found::Profile(at.into(), Box::new(found)));
            }
        }
    }
    Ok(Found::Nobody)
}

/// The view of the profile behind an id as it is `now`, with these computed traits; an empty one
/// where nobody is there, `None` where it was erased.
///
/// # Errors
/// Where the port fails or an item cannot be read.
pub async fn load_view(
    tables: &impl Tables,
    profile: ProfileId,
    traits: &ComputedTraits,
    now: Stamp,
) -> Result<Option<ProfileView>, StoredError> {
    Ok(match find(tables, profile.into()).await? {
        Found::Nobody => Some(ProfileView::nobody(profile, traits, now)),
        Found::Profile(id, root) => Some(root.item.view_at(id, traits, now)),
        Found::Erased => None,
    })
}

/// The row that leads from an address to an identity under which it was given. It holds nothing but
/// its key; links and splits leave it alone, since whoever reads it follows the identity's pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmailLookUp {}

impl Stored for EmailLookUp {
    const NAME: &'static str = "email look-up";
    const SCHEMA: u16 = 1;
    const BYTES_MAX: usize = 64;
}

fn email_partition(contact: ContactKey) -> String {
    format!("email#{contact}")
}

/// A browser's word leads to an identity for so long after it was given last, which is as long as
/// the timeline holds the event. Its key is public: without an end, anybody could fill an address's
/// partition for good.
const BROWSERS_WORD_KEPT: Span = Span::DAY.times(400);

/// The look-up row of an address that was given under an identity, by a source of this kind. What
/// servers say stands first, so that no number of browsers that name somebody's address hides whose
/// it is.
///
/// # Errors
/// Never in fact: the row is empty.
pub fn email_row(
    contact: ContactKey,
    identity: IdentityKey,
    kind: SourceKind,
    received: Stamp,
) -> Result<Row, StoredError> {
    let (rank, expires) = match kind {
        SourceKind::Server => (0, None),
        SourceKind::Browser => (1, Some(received.plus(BROWSERS_WORD_KEPT))),
    };
    let sk = format!("{rank}#{identity}");
    let key = Key { table: Table::Profiles, pk: email_partition(contact), sk };
    Ok(Row { expires, ..stored::row(key, &EmailLookUp {}, 1)? })
}

/// Look-up rows of one address that are read, at most.
pub const PROFILES_PER_EMAIL_MAX: usize = 100;

/// The identities under which an address was ever given, each once with the kind of source that
/// gave it, those of servers first, of at most [`PROFILES_PER_EMAIL_MAX`] rows; strongly
/// consistent. Each leads to a profile, as any profile's id does.
///
/// # Errors
/// Where the port fails.
pub async fn email_profiles(
    tables: &impl Tables,
    contact: ContactKey,
) -> Result<Vec<(ProfileId, SourceKind)>, PortError> {
    let query = Query {
        table: Table::Profiles,
        pk: email_partition(contact),
        from: "0".to_owned(),
        to: "~".to_owned(),
        limit: PROFILES_PER_EMAIL_MAX,
        descending: false,
        consistency: Consistency::Strong,
    };
    let mut found: Vec<(ProfileId, SourceKind)> = Vec::new();
    for row in tables.query(&query).await? {
        // The release before put no rank before the id: nothing is known of who said it.
        let (rank, id) = row.key.sk.split_once('#').unwrap_or(("", &row.key.sk));
        let kind = if rank == "0" { SourceKind::Server } else { SourceKind::Browser };
        let Ok(id) = id.parse() else { continue };
        if found.iter().all(|(known, _)| *known != id) {
            found.push((id, kind));
        }
    }
    Ok(found)
}

/// A profile that an address leads to.
#[derive(Debug, Clone, PartialEq)]
pub struct Addressed {
    /// Its id.
    pub profile: ProfileId,
    /// The root it is now.
    pub root: Versioned<Root>,
    /// Who said that the address is its: a server, where any did.
    pub kind: SourceKind,
}

/// The profiles that ever gave an address, each once, those of servers first, at most
/// [`PROFILES_PER_EMAIL_MAX`]; whether it is still their address is for the caller to ask of their
/// views. Erased ones are left out.
///
/// # Errors
/// Where the port fails or an item cannot be read.
pub async fn find_by_email(
    tables: &impl Tables,
    contact: ContactKey,
) -> Result<Vec<Addressed>, StoredError> {
    let mut found: Vec<Addressed> = Vec::new();
    for (given_by, kind) in email_profiles(tables, contact).await? {
        if let Found::Profile(profile, root) = find(tables, given_by.into()).await?
            && found.iter().all(|known| known.profile != profile)
        {
            found.push(Addressed { profile, root: *root, kind });
        }
    }
    Ok(found)
}
