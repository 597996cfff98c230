//! Stored contacts: where they stand, and how they are changed.

use crate::ports::{Consistency, Key, Table, Tables, Write};
use crate::stored::{self, Committed, Stored, StoredError, Versioned};
use odyssey_domain::contact::{CLAIMS_MAX, Claims, Contact, TooManyTopics};
use odyssey_domain::ids::{ContactKey, SendId};

impl Stored for Contact {
    const NAME: &'static str = "contact";
    /// 2: claims are packed, and know their topic and journey.
    const SCHEMA: u16 = 2;
    /// With its key and the attributes' names the item stays within 1 KB: one write unit.
    const BYTES_MAX: usize = 960;
}

/// How often a change is tried again when others change the same contact.
const ATTEMPTS: usize = 6;

/// Where a contact stands.
#[must_use]
pub fn key(contact: ContactKey) -> Key {
    Key { table: Table::Contacts, pk: contact.to_string(), sk: "contact".to_owned() }
}

/// Why a contact was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ContactError {
    /// Others changed it each time.
    #[error("the contact was changed by others {ATTEMPTS} times over")]
    Contended,
    /// It has answered for too many topics.
    #[error(transparent)]
    TooManyTopics(#[from] TooManyTopics),
    /// Reading or writing failed.
    #[error(transparent)]
    Stored(#[from] StoredError),
}

impl ContactError {
    /// Whether trying again may work.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            ContactError::Contended => true,
            ContactError::TooManyTopics(_) => false,
            ContactError::Stored(error) => error.is_transient(),
        }
    }
}

/// Reads a contact. A write that is conditional on the version that was read may stand on a read
/// that is a moment old; a decision that writes nothing to the contact must not.
///
/// # Errors
/// Where the port fails or the row cannot be read.
pub async fn load(
    tables: &impl Tables,
    contact: ContactKey,
    consistency: Consistency,
) -> Result<Option<Versioned<Contact>>, StoredError> {
    stored::load(tables, key(contact), consistency).await
}

/// A put of a contact at the version it was read at. Where it would pass its limit the oldest
/// claims are left out, but never `keep`.
///
/// # Errors
/// Where it passes its limit all the same.
pub fn put(
    contact: &Contact,
    read_at: Option<u64>,
    keep: Option<SendId>,
) -> Result<Write, StoredError> {
    let mut slimmer = contact.clone();
    loop {
        match stored::put(key(contact.key), &slimmer, read_at) {
            Err(StoredError::TooLarge { .. }) if slimmer.forget_oldest_claim(keep) => {}
            other => return other,
        }
    }
}

/// What a claim takes in the encoded item: 15 bytes that do not compress, in base64, of which
/// deflating leaves six bits a character and a little more.
const CLAIM_BYTES: usize = 16;
/// What the field of the claims takes beside them.
const CLAIMS_FIELD_BYTES: usize = 24;

/// How many claims a contact has room for beside its answers; an answer is never left out for
/// a claim.
#[must_use]
pub fn room(contact: &Contact) -> usize {
    let bare = Contact { claims: Claims::default(), ..contact.clone() };
    let taken = stored::encode(&bare).map_or(Contact::BYTES_MAX, |body| body.len());
    let left = Contact::BYTES_MAX.saturating_sub(taken + CLAIMS_FIELD_BYTES);
    (left / CLAIM_BYTES).min(CLAIMS_MAX)
}

/// Changes a contact, creating it where there is none, until no other change comes between.
/// `change` says whether it changed anything; where it did not, nothing is written. Returns the
/// contact as it now stands.
///
/// # Errors
/// Where the port fails, the change is refused, or others keep coming between.
pub async fn change(
    tables: &impl Tables,
    contact: ContactKey,
    mut change: impl FnMut(&mut Contact) -> Result<bool, TooManyTopics>,
) -> Result<Contact, ContactError> {
    for _ in 0..ATTEMPTS {
        let found = load(tables, contact, Consistency::Strong).await?;
        let read_at = found.as_ref().map(|found| found.version);
        let mut item = found.map_or_else(|| Contact::new(contact), |found| found.item);
        if !change(&mut item)? {
            return Ok(item);
        }
        if let Committed::Done = stored::commit(tables, put(&item, read_at, None)?).await? {
            return Ok(item);
        }
    }
    Err(ContactError::Contended)
}
