//! How many are in each segment: counted where profiles are written, never scanned. Previews of what
//! a segment would hold, and the back-fill of one that is new.
//!
//! A segment's count is the sum of its [`SHARDS`] counters. Whoever writes identity items adds, in
//! the same transaction, what the write changes of their memberships ([`Changes`]), which is read
//! off the items themselves: so the sum is the number of stored memberships whatever fails, also
//! over links, splits and erasures.

use crate::catalog::current_key;
use crate::contacts;
use crate::ports::{
    Consistency, Key, PortError, Query, Queue, QueueMessage, Queues, Table, Tables, Write,
};
use crate::profiles::{self, Part};
use crate::stored::{self, StoredError};
use odyssey_domain::catalog::Catalog;
use odyssey_domain::contact::{ConsentState, Contact, TopicId};
use odyssey_domain::ids::{ContactKey, IdentityKey, ProfileId};
use odyssey_domain::keyring::Keyring;
use odyssey_domain::profile::{ComputedTraits, IdentityItem, ProfileView, Root};
use odyssey_domain::segment::{Sample, Segment, SegmentName};
use odyssey_domain::time::{Span, Stamp};
use odyssey_domain::wire::Command;
use std::collections::{BTreeMap, BTreeSet};

/// Counters of one segment. Transactions that change one counter at the same time get in each
/// other's way, so that there are more than profiles that are written at once; their sum costs one
/// read unit.
pub const SHARDS: u8 = 64;

/// The partition of a segment's counters.
fn partition(segment: SegmentName) -> String {
    format!("segment#{segment}")
}

/// The counter of a segment in the shard that an identity picks.
fn counter_key(segment: SegmentName, identity: IdentityKey) -> Key {
    let byte = identity.bytes().first().copied().unwrap_or(0);
    let sk = format!("{:02x}", byte % SHARDS);
    Key { table: Table::Workspace, pk: partition(segment), sk }
}

/// The segments that an identity's item is in; a pointer and a tombstone are in none.
#[must_use]
pub fn memberships(item: Option<&IdentityItem>) -> Vec<SegmentName> {
    match item {
        Some(IdentityItem::Root(root)) => memberships_of(root),
        _ => Vec::new(),
    }
}

/// The segments that a root is in.
pub(crate) fn memberships_of(root: &Root) -> Vec<SegmentName> {
    root.said.segments.members.keys().copied().collect()
}

/// What the counts of segments change by in one transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes(BTreeMap<SegmentName, i64>);

impl Changes {
    /// Notes that an identity's item was in these segments as it was read, and is in those as it is
    /// to be written.
    pub fn note(&mut self, before: &[SegmentName], after: &[SegmentName]) {
        for segment in after {
            *self.0.entry(*segment).or_default() += 1;
        }
        for segment in before {
            *self.0.entry(*segment).or_default() -= 1;
        }
    }

    /// The writes that change them: one for each segment whose count does change, all in the
    /// counters of one shard, which the first identity that is written picks. So a transaction has
    /// at most as many as there are segments; a single counter may fall below zero, their sum does
    /// not.
    pub fn into_writes(self, shard_of: IdentityKey) -> impl Iterator<Item = Write> {
        let changed = self.0.into_iter().filter(|(_, by)| *by != 0);
        changed.map(move |(segment, by)| Write::Add { key: counter_key(segment, shard_of), by })
    }
}

/// How many profiles are in a segment.
///
/// # Errors
/// Where the port fails or a counter cannot be read.
pub async fn count(tables: &impl Tables, segment: SegmentName) -> Result<i64, PortError> {
    let query = Query {
        table: Table::Workspace,
        pk: partition(segment),
        from: "00".to_owned(),
        to: "ff".to_owned(),
        limit: usize::from(SHARDS),
        descending: false,
        consistency: Consistency::Strong,
    };
    let mut sum: i64 = 0;
    for row in tables.query(&query).await? {
        let number = std::str::from_utf8(&row.body).ok().and_then(|text| text.parse::<i64>().ok());
        let unreadable = || PortError::Permanent {
            operation: "count",
            cause: format!("counter {} of segment {segment} is no number", row.key.sk),
        };
        sum = sum.saturating_add(number.ok_or_else(unreadable)?);
    }
    Ok(sum)
}

/// Contacts of one `get_many`.
const KEYS_PER_READ: usize = 100;
/// Looks that are asked for with one call.
const LOOKS_AT_ONCE: usize = 10;

/// The profiles of one page.
struct Page {
    found: Vec<(ProfileId, Root)>,
    /// Those that could not be read.
    unreadable: Vec<Unreadable>,
    /// Where the next page begins.
    next: Option<Key>,
}

async fn page(tables: &impl Tables, after: Option<Key>) -> Result<Page, StoredError> {
    let scanned = profiles::scan(tables, Part::WHOLE, after).await?;
    let mut page = Page { found: Vec::new(), unreadable: Vec::new(), next: scanned.next };
    for row in &scanned.rows {
        let Ok(identity) = row.key.pk.parse::<IdentityKey>() else { continue };
        match stored::decode(row) {
            Ok(IdentityItem::Root(root)) => page.found.push((identity.into(), *root)),
            Ok(IdentityItem::Pointer { .. } | IdentityItem::Tombstone { .. }) => {}
            Err(error) => page.unreadable.push(Unreadable { identity, why: error.to_string() }),
        }
    }
    Ok(page)
}

/// A profile that could not be read, by its key, which names nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Its identity.
    pub identity: IdentityKey,
    /// Why.
    pub why: String,
}

/// Some of the profiles that could not be read, and how many there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PassedOver {
    /// How many.
    pub profiles: u64,
    /// The first of them.
    pub named: Vec<Unreadable>,
}

/// Profiles that are named of those that could not be read.
const NAMED_MAX: usize = 20;

impl PassedOver {
    fn add(&mut self, unreadable: Vec<Unreadable>) {
        for one in unreadable {
            self.profiles += 1;
            if self.named.len() < NAMED_MAX {
                self.named.push(one);
            }
        }
    }
}

/// What a preview came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview<'s> {
    /// What the profiles answered.
    pub sample: Sample<'s>,
    /// Whether they are all there are.
    pub whole: bool,
    /// Those that could not be read, and are not in the sample.
    pub passed_over: PassedOver,
}

/// Asks a sample of at most `limit` profiles whether they would be in a segment. Rows stand in the
/// order of hashes, so that the first are a fair sample. One that cannot be read is passed over.
///
/// # Errors
/// Where the port fails or a contact cannot be read.
pub async fn preview<'s>(
    tables: &impl Tables,
    keyring: &Keyring,
    computed: &ComputedTraits,
    segment: &'s Segment,
    limit: u32,
    now: Stamp,
) -> Result<Preview<'s>, StoredError> {
    let (mut sample, mut passed_over) = (Sample::of(segment), PassedOver::default());
    let mut after = None;
    loop {
        let Page { found, unreadable, next } = page(tables, after).await?;
        passed_over.add(unreadable);
        let mut views: Vec<ProfileView> =
            found.iter().map(|(profile, root)| root.view_at(*profile, computed, now)).collect();
        if segment.asks_consent() {
            read_consents(tables, keyring, &mut views).await?;
        }
        for (view, (_, root)) in views.iter().zip(&found) {
            if sample.profiles >= limit {
                return Ok(Preview { sample, whole: false, passed_over });
            }
            sample.ask(view, now);
            sample.unknown += u32::from(root.is_undecidable(segment, view));
        }
        after = next;
        if after.is_none() {
            return Ok(Preview { sample, whole: true, passed_over });
        }
    }
}

/// Puts what the contacts behind their addresses have said into views.
async fn read_consents(
    tables: &impl Tables,
    keyring: &Keyring,
    views: &mut [ProfileView],
) -> Result<(), StoredError> {
    for views in views.chunks_mut(KEYS_PER_READ) {
        // An address may be several profiles'; a key is asked for once.
        let contact =
            |view: &ProfileView| view.email.as_ref().map(|email| keyring.contact_key(email));
        let wanted: BTreeSet<ContactKey> = views.iter().filter_map(contact).collect();
        let keys: Vec<Key> = wanted.iter().map(|wanted| contacts::key(*wanted)).collect();
        let rows = tables.get_many(&keys, Consistency::Eventual).await?;
        let mut known: BTreeMap<ContactKey, Contact> = BTreeMap::new();
        for (key, row) in wanted.into_iter().zip(rows) {
            if let Some(row) = row {
                known.insert(key, stored::decode(&row)?);
            }
        }
        for view in views {
            if let Some(contact) = contact(view).and_then(|key| known.get(&key)) {
                let answers = contact.consents.iter();
                view.consents =
                    answers.map(|(topic, consent)| (topic.clone(), consent.state)).collect();
            }
        }
    }
    Ok(())
}

/// What the contact behind a profile's address has said. Read each time, and consistently: a copy
/// in the profile would be wrong whenever a change of consent was lost on its way, or the address
/// is another one now.
pub(crate) async fn answers_of(
    tables: &impl Tables,
    keyring: &Keyring,
    root: &Root,
) -> Result<BTreeMap<TopicId, ConsentState>, StoredError> {
    let email = root.facts().email.address().cloned();
    let Some(email) = email else { return Ok(BTreeMap::new()) };
    let contact = keyring.contact_key(&email);
    let found = contacts::load(tables, contact, Consistency::Strong).await?;
    let answers = found.map(|found| found.item.consents).unwrap_or_default();
    Ok(answers.into_iter().map(|(topic, consent)| (topic, consent.state)).collect())
}

/// What a back-fill of memberships has come to so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Looked {
    /// Profiles that were read.
    pub profiles: u64,
    /// Those that the publication is new to; `profile` was asked to look at them.
    pub asked: u64,
    /// Those that could not be read.
    pub passed_over: PassedOver,
}

/// Why memberships could not be back-filled.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// Nothing was ever published.
    #[error("no workspace has been published yet")]
    Unpublished,
    /// The profiles or the workspace cannot be read.
    #[error(transparent)]
    Stored(#[from] StoredError),
    /// The queue failed.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The queue did not take everything.
    #[error("{0} messages were not taken by profile's queue")]
    NotSent(usize),
}

/// Has `profile` look at every profile that the publication is new to: it decides on segments that
/// were not decided on, and arms the timers that new signal rules need of customers who do nothing.
/// Asking twice is asking once, so that a run may be stopped at any point and begun again. A profile
/// that cannot be read is passed over.
///
/// # Errors
/// Where nothing was published, the tables cannot be read, or the queue does not take a message.
pub async fn look_at_all(
    tables: &impl Tables,
    queues: &impl Queues,
    now: Stamp,
    mut progress: impl FnMut(&Looked),
) -> Result<Looked, LookError> {
    let found = stored::load::<Catalog>(tables, current_key(), Consistency::Strong).await?;
    let catalog = found.ok_or(LookError::Unpublished)?.item;
    let declared = catalog.declared();
    let mut looked = Looked::default();
    let mut after = None;
    loop {
        let Page { found, unreadable, next } = page(tables, after).await?;
        looked.passed_over.add(unreadable);
        let mut looks = Vec::new();
        for (profile, root) in found {
            looked.profiles += 1;
            let is_unarmed = root.unarmed(&catalog.signals, now).is_some();
            if is_unarmed || root.said.segments.lag(declared) {
                // Nothing in it that JSON cannot hold.
                let body = serde_json::to_string(&Command::Look { profile }).unwrap_or_default();
                looks.push(QueueMessage { body, delay: Span::ZERO });
            }
        }
        for some in looks.chunks(LOOKS_AT_ONCE) {
            let unsent = queues.send(Queue::Profile, some).await?;
            if !unsent.is_empty() {
                return Err(LookError::NotSent(unsent.len()));
            }
            looked.asked += u64::try_from(some.len()).unwrap_or(0);
        }
        progress(&looked);
        after = next;
        if after.is_none() {
            return Ok(looked);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_differences_are_written() {
        let name = |text| SegmentName::parse(text).unwrap();
        let (a, b) = (IdentityKey::from_bytes([1; 16]), IdentityKey::from_bytes([65; 16]));
        let mut changes = Changes::default();
        changes.note(&[name("vip"), name("old")], &[name("vip"), name("new")]);
        changes.note(&[name("new")], &[]);
        let writes: Vec<Write> = changes.into_writes(a).collect();
        assert_eq!(writes, [Write::Add { key: counter_key(name("old"), a), by: -1 }]);
        assert_eq!(counter_key(name("vip"), b).sk, "01");
    }
}
