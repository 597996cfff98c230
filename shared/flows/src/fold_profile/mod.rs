//! The queue flow of `profile`: events fold into profiles, silences are decided on, effects leave.
//!
//! A batch is decoded into deliveries (`delivery`), those that touch one profile are grouped, and
//! each group becomes one load, one decision and one write over the identity items involved
//! (`world`, `fold`); what one write cannot hold is divided (`divide`). After the commit come the
//! effects (`effects`): what is a function of the delivered message alone on every delivery,
//! duplicates included, then what the write decided.

mod addresses;
mod delivery;
mod divide;
mod effects;
mod feedback;
mod fold;
mod recall;
mod segments;
pub mod timeline;
mod world;

pub use delivery::{Claim, claims};

use crate::catalog::CatalogCache;
use crate::ports::{Bus, Consistency, PortError, Queues, Row, Tables};
use crate::profiles::identity_key;
use crate::queue::{Disposition, QueueRecord, chain};
use crate::stored::StoredError;
use delivery::{Delivery, decode};
use futures_util::StreamExt as _;
use odyssey_domain::catalog::Catalog;
use odyssey_domain::ids::{EventHash, IdentityKey};
use odyssey_domain::keyring::Keyring;
use odyssey_domain::plan::Inferred;
use odyssey_domain::profile::{IdentityItem, RefusedLink, Watched};
use odyssey_domain::time::{Span, Stamp};
use std::collections::{BTreeMap, BTreeSet};

/// Profiles worked on at once in one batch.
const PARALLEL: usize = 8;
/// A write that meets another's is tried so often again before the records go back to the queue.
const RETRIES: u32 = 3;
/// Keys of one `get_many`.
const KEYS_PER_READ: usize = 100;
/// Rows of one transaction (`DynamoDB`'s quota; developer guide, read 2026-11).
const WRITES_MAX: usize = 100;
/// Bytes of one transaction's items: the quota is 4 MB, of which keys and attribute names take
/// some 200 bytes an item.
const WRITE_BYTES_MAX: usize = 4 * 1024 * 1024 - WRITES_MAX * 512;
/// A hot profile's records come back after this and up to as much again.
const HOT_DELAY: Span = Span::from_ms(2_000);

/// What every group of deliveries is worked on with.
struct Setting<'a, T, B, Q> {
    tables: &'a T,
    bus: &'a B,
    queues: &'a Q,
    keyring: &'a Keyring,
    catalog: &'a Catalog,
    watched: &'a Watched,
    now: Stamp,
}

/// Why a group of deliveries did not go through.
#[derive(Debug, thiserror::Error)]
enum FoldError {
    /// Another write came between, each time.
    #[error("the profile was written by others {RETRIES} times in a row: it is hot")]
    Hot,
    /// More than one transaction can write.
    #[error(
        "{writes} rows of {bytes} bytes to be written together, the limit is {WRITES_MAX} of {WRITE_BYTES_MAX}"
    )]
    TooMuch {
        /// Rows.
        writes: usize,
        /// What they take; 0 where there are too many of them to look.
        bytes: usize,
    },
    /// A stored item or a port failed.
    #[error(transparent)]
    Stored(#[from] StoredError),
    /// A wake came before this, its time.
    #[error("its time has not come")]
    Early(Stamp),
    /// The bus or a queue did not take everything.
    #[error("{0} entries were not taken by the bus")]
    NotPublished(usize),
}

impl From<PortError> for FoldError {
    fn from(error: PortError) -> FoldError {
        FoldError::Stored(error.into())
    }
}

impl FoldError {
    fn disposition(&self, message_id: &str, now: Stamp) -> Disposition {
        let after = matches!(self, FoldError::Hot).then(|| jitter(message_id));
        match self {
            FoldError::Early(due) => Disposition::early(*due, now),
            FoldError::Hot
            | FoldError::NotPublished(_)
            // Written by a newer release: this process is about to be replaced by it.
            | FoldError::Stored(StoredError::Newer { .. }) => {
                Disposition::Retry { reason: self.to_string(), after }
            }
            FoldError::Stored(error) if error.is_transient() => {
                Disposition::Retry { reason: self.to_string(), after }
            }
            FoldError::Stored(StoredError::Port(error)) => Disposition::of_port_error(error),
            FoldError::Stored(StoredError::Corrupt { .. }) => {
                Disposition::Park { reason: "corrupt_item", chain: chain(self) }
            }
            FoldError::Stored(StoredError::TooLarge { .. }) => {
                Disposition::Park { reason: "item_too_large", chain: chain(self) }
            }
            FoldError::TooMuch { .. } => {
                Disposition::Park { reason: "too_many_identities", chain: chain(self) }
            }
        }
    }
}

/// Between [`HOT_DELAY`] and twice that, by the message's id: the records of a hot profile must
/// not come back together.
fn jitter(message_id: &str) -> Span {
    let byte = EventHash::of(message_id).0.first().copied().unwrap_or(0);
    Span::from_ms(HOT_DELAY.ms() + HOT_DELAY.ms() * u64::from(byte) / 255)
}

/// What a batch came to, for the invocation's summary.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events that are new in a profile.
    pub folded: usize,
    /// Events that already were in theirs.
    pub duplicates: usize,
    /// Events from before their profile's erasure, dropped.
    pub erased: usize,
    /// Signals raised.
    pub raised: usize,
    /// Profiles given back to the queue because others kept writing to them.
    pub hot: usize,
    /// Writes that met another's.
    pub conflicts: usize,
    /// Links refused, by reason.
    pub refused_links: BTreeMap<RefusedLink, usize>,
    /// What the events that are new look like, for the tracking plan.
    pub seen: Inferred,
    /// What they have against the declared plan, all in all.
    pub violations: usize,
}

impl Counts {
    fn add(&mut self, other: &Counts) {
        self.folded += other.folded;
        self.duplicates += other.duplicates;
        self.erased += other.erased;
        self.raised += other.raised;
        self.hot += other.hot;
        self.conflicts += other.conflicts;
        for (reason, times) in &other.refused_links {
            *self.refused_links.entry(*reason).or_default() += times;
        }
        self.seen.merge(&other.seen);
        self.violations += other.violations;
    }
}

/// What became of one group.
struct GroupOutcome {
    dispositions: Vec<(usize, Disposition)>,
    counts: Counts,
}

/// Folds a batch. The answer has one disposition for each record, in their order; each record's
/// fault is its own.
pub async fn run(
    tables: &impl Tables,
    bus: &impl Bus,
    queues: &impl Queues,
    keyring: &Keyring,
    catalog_cache: &CatalogCache,
    records: Vec<QueueRecord>,
    now: Stamp,
) -> Vec<Disposition> {
    run_counted(tables, bus, queues, keyring, catalog_cache, records, now).await.0
}

/// [`run`], with what the batch came to.
pub async fn run_counted(
    tables: &impl Tables,
    bus: &impl Bus,
    queues: &impl Queues,
    keyring: &Keyring,
    catalog_cache: &CatalogCache,
    records: Vec<QueueRecord>,
    now: Stamp,
) -> (Vec<Disposition>, Counts) {
    let mut counts = Counts::default();
    let mut dispositions: Vec<Disposition> = vec![Disposition::Done; records.len()];
    let catalog = match catalog_cache.catalog(tables, now).await {
        Ok(catalog) => catalog,
        Err(error) => {
            // Whatever is wrong with the workspace, the events must not be lost with it.
            let retry = Disposition::Retry { reason: error.to_string(), after: None };
            return (vec![retry; records.len()], counts);
        }
    };
    let mut deliveries = Vec::new();
    for (index, record) in records.iter().enumerate() {
        match decode(index, record, keyring, now) {
            Ok(delivery) => deliveries.extend(delivery),
            Err(park) => set(&mut dispositions, index, park),
        }
    }
    let watched = Watched::of(&catalog.kept_matches()).computing(&catalog.computed_traits);
    let watched = watched.under(catalog.watches_under());
    let setting =
        Setting { tables, bus, queues, keyring, catalog: &catalog, watched: &watched, now };
    let read = match preload(tables, &deliveries).await {
        Ok(read) => read,
        Err(error) => {
            for delivery in &deliveries {
                set(&mut dispositions, delivery.index, Disposition::of_port_error(&error));
            }
            return (dispositions, counts);
        }
    };
    let work = group(deliveries, &read).into_iter().map(|group| process(&setting, group, &read));
    let outcomes: Vec<GroupOutcome> =
        futures_util::stream::iter(work).buffer_unordered(PARALLEL).collect().await;
    for outcome in outcomes {
        counts.add(&outcome.counts);
        for (index, disposition) in outcome.dispositions {
            set(&mut dispositions, index, disposition);
        }
    }
    (dispositions, counts)
}

fn set(dispositions: &mut [Disposition], index: usize, disposition: Disposition) {
    if let Some(slot) = dispositions.get_mut(index) {
        *slot = disposition;
    }
}

/// Rows as they stood when the batch began.
type Preloaded = BTreeMap<IdentityKey, Option<Row>>;

/// Reads the item of every identity that events fold under, and the roots that pointers among them
/// lead to: two calls for a whole batch.
async fn preload(tables: &impl Tables, deliveries: &[Delivery]) -> Result<Preloaded, PortError> {
    let wanted: BTreeSet<IdentityKey> = deliveries.iter().flat_map(Delivery::identities).collect();
    let mut read = Preloaded::new();
    read_into(&mut read, tables, wanted.into_iter().collect()).await?;
    let roots: Vec<IdentityKey> = read
        .values()
        .filter_map(|row| pointer_of(row.as_ref()))
        .filter(|to| !read.contains_key(to))
        .collect();
    let roots: BTreeSet<IdentityKey> = roots.into_iter().collect();
    read_into(&mut read, tables, roots.into_iter().collect()).await?;
    Ok(read)
}

async fn read_into(
    read: &mut Preloaded,
    tables: &impl Tables,
    wanted: Vec<IdentityKey>,
) -> Result<(), PortError> {
    for some in wanted.chunks(KEYS_PER_READ) {
        let keys: Vec<_> = some.iter().map(|identity| identity_key(*identity)).collect();
        let rows = tables.get_many(&keys, Consistency::Strong).await?;
        read.extend(some.iter().copied().zip(rows));
    }
    Ok(())
}

fn pointer_of(row: Option<&Row>) -> Option<IdentityKey> {
    match crate::stored::decode::<IdentityItem>(row?) {
        Ok(IdentityItem::Pointer { to, .. }) => Some(to),
        _ => None,
    }
}

/// Puts deliveries that may touch one profile together: those that share an identity, or a root
/// that an identity points to. What touches nobody stands alone.
fn group(deliveries: Vec<Delivery>, read: &Preloaded) -> Vec<Vec<Delivery>> {
    let mut parent: BTreeMap<IdentityKey, IdentityKey> = BTreeMap::new();
    let mut join = |a: IdentityKey, b: IdentityKey| {
        let (a, b) = (top_of(&parent, a), top_of(&parent, b));
        parent.insert(a.max(b), a.min(b));
    };
    for (identity, row) in read {
        if let Some(to) = pointer_of(row.as_ref()) {
            join(*identity, to);
        }
    }
    for delivery in &deliveries {
        let touched = delivery.touches();
        for pair in touched.windows(2) {
            if let [a, b] = pair {
                join(*a, *b);
            }
        }
    }
    let mut groups: BTreeMap<IdentityKey, Vec<Delivery>> = BTreeMap::new();
    let mut alone: Vec<Vec<Delivery>> = Vec::new();
    for delivery in deliveries {
        match delivery.touches().first() {
            Some(first) => groups.entry(top_of(&parent, *first)).or_default().push(delivery),
            None => alone.push(vec![delivery]),
        }
    }
    alone.extend(groups.into_values());
    alone
}

/// The identity that stands for all that are joined with `key`.
fn top_of(parent: &BTreeMap<IdentityKey, IdentityKey>, mut key: IdentityKey) -> IdentityKey {
    while let Some(up) = parent.get(&key).filter(|up| **up != key) {
        key = *up;
    }
    key
}

/// One group: load, decide, write, and again where another write came between; then the effects.
/// What is more than one transaction can write is divided, and its parts follow one another: a part
/// that was folded is a duplicate when its record comes again.
async fn process<T: Tables, B: Bus, Q: Queues>(
    setting: &Setting<'_, T, B, Q>,
    group: Vec<Delivery>,
    read: &Preloaded,
) -> GroupOutcome {
    let mut counts = Counts::default();
    let mut dispositions: BTreeMap<usize, Disposition> =
        group.iter().map(|delivery| (delivery.index, Disposition::Done)).collect();
    // The last is the next.
    let mut pieces = vec![(group, Some(read))];
    while let Some((piece, read)) = pieces.pop() {
        // What is left of a delivery that failed comes with its redelivery.
        let failed = |delivery: &Delivery| {
            dispositions.get(&delivery.index).is_some_and(|found| *found != Disposition::Done)
        };
        if piece.iter().any(failed) {
            continue;
        }
        let records: Vec<(usize, String)> =
            piece.iter().map(|delivery| (delivery.index, delivery.message_id.clone())).collect();
        let error = match attempt_all(setting, &piece, read, &mut counts).await {
            Ok(failed) => {
                for (index, id) in &records {
                    if let Some(error) = failed.get(index) {
                        dispositions.insert(*index, error.disposition(id, setting.now));
                    }
                }
                continue;
            }
            Err(error) => error,
        };
        if matches!(error, FoldError::TooMuch { .. })
            && let Some(parts) = divide::divide(piece)
        {
            // What was read for the batch is out of date once a part is written.
            pieces.extend(parts.into_iter().rev().map(|part| (part, None)));
            continue;
        }
        counts.hot += usize::from(matches!(error, FoldError::Hot));
        let each = records.iter().map(|(index, id)| (*index, error.disposition(id, setting.now)));
        dispositions.extend(each);
    }
    GroupOutcome { dispositions: dispositions.into_iter().collect(), counts }
}

/// Deliveries whose effects failed, by record.
type Failed = BTreeMap<usize, FoldError>;

async fn attempt_all<T: Tables, B: Bus, Q: Queues>(
    setting: &Setting<'_, T, B, Q>,
    group: &[Delivery],
    read: Option<&Preloaded>,
    counts: &mut Counts,
) -> Result<Failed, FoldError> {
    let needed: BTreeSet<IdentityKey> = group.iter().flat_map(Delivery::identities).collect();
    if needed.len() > WRITES_MAX {
        return Err(FoldError::TooMuch { writes: needed.len(), bytes: 0 });
    }
    for attempt in 0..=RETRIES {
        let mut world = world::World::new(setting.tables);
        if attempt == 0
            && let Some(read) = read
        {
            let touched: Vec<IdentityKey> = group.iter().flat_map(Delivery::touches).collect();
            world.preload(read, &touched);
        }
        world.fetch_roots(&needed).await?;
        let Some(mut done) = fold::decide(setting, &mut world, group).await? else {
            counts.conflicts += 1;
            continue;
        };
        // The write that met another's may have been this one's own, whose answer was lost, with
        // another on top of it: what it stored is still to be carried out.
        done.repeat_stored |= attempt > 0;
        effects::settle_foreign(setting, &mut world).await?;
        if world.commit(setting.now).await? {
            counts.add(&done.counts);
            return effects::carry_out(setting, &world, group, &done).await;
        }
        counts.conflicts += 1;
    }
    Err(FoldError::Hot)
}
