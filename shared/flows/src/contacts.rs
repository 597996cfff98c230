//! Stored contacts: where they stand, and how they are changed.

use crate::ports::{Consistency, Key, Table, Tables, Write};
use crate::stored::{self, Committed, Stored, StoredError, Versioned};
use odyssey_domain::contact::{CLAIMS_MAX, Claim, Claims, Contact, TooManyTopics, TopicId};
use odyssey_domain::ids::{ContactKey, EnrollmentId, SendId};
use odyssey_domain::journey::JourneyId;
use odyssey_domain::time::{Span, Stamp};
use std::sync::LazyLock;

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

/// What real claims may take beyond those that stand for them in [`room`], in bytes.
const ROOM_SPARE: usize = 12;

/// As many claims as a contact may hold, of the same kind of bytes as real ones.
static CLAIMS_LIKE_ANY: LazyLock<Vec<(SendId, Claim)>> = LazyLock::new(|| {
    (0..CLAIMS_MAX)
        .filter_map(|n| {
            let send = SendId::derive(EnrollmentId::derive("", "", &n.to_string()), "", 0);
            let topic = TopicId::parse(&format!("topic-{n}")).ok()?;
            let journey = JourneyId::parse(&format!("journey-{n}")).ok()?;
            let [a, b, c, ..] = *send.bytes();
            let hours = u64::from(u32::from_be_bytes([0, a, b, c])) % 2_000;
            let at = Stamp::from_ms(1_800_000_000_000).plus(Span::MINUTE.times(hours * 59));
            Some((send, Claim::new(at, &topic, Some(&journey))))
        })
        .collect()
});

/// How many claims a contact has room for beside its answers; an answer is never left out for
/// a claim. Found by trying, because what a claim takes depends on what else is deflated with it;
/// most contacts have room for all at the first try.
#[must_use]
pub fn room(contact: &Contact) -> usize {
    let mut trial = Contact { claims: Claims::default(), ..contact.clone() };
    for (send, claim) in CLAIMS_LIKE_ANY.iter() {
        trial.claim(*send, *claim, |_| true);
    }
    let fits = |trial: &Contact| {
        stored::encode(trial).is_ok_and(|body| body.len() + ROOM_SPARE <= Contact::BYTES_MAX)
    };
    while !fits(&trial) && trial.forget_oldest_claim(None) {}
    trial.claims.len()
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
