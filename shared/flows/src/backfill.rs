//! The back-fill: what profiles lack of the published workspace, made up for from their timelines.
//!
//! A computed trait that is declared when profiles already have events has no value until somebody
//! reads those events; and the last match of an event is not kept of before it was watched. [`run`]
//! does it for every profile, [`fill`] for one, each in one conditional write that a fold which came
//! between makes fail. The same write decides on the segments that ask for what was made up for, so
//! that nobody is told of an entering that is none, nor kept from being told of a true one; whom a
//! new segment only has to find is [`crate::segments::look_at_all`]'s. Both may be stopped at any
//! point and run again: what is complete is passed over, and nothing is kept between runs.

use crate::catalog::current_key;
use crate::due;
use crate::fold_profile::timeline;
use crate::ports::{Consistency, Key, Query, Row, Table, Tables, Write};
use crate::profiles::{self, Part, identity_key};
use crate::segments::{Changes, answers_of, memberships_of};
use crate::stored::{self, StoredError, Versioned, load};
use futures_util::StreamExt as _;
use odyssey_domain::catalog::Catalog;
use odyssey_domain::ids::{ComputedKey, IdentityKey};
use odyssey_domain::keyring::Keyring;
use odyssey_domain::profile::{Fill, IdentityItem, NotYet, ProfileEffect, Root};
use odyssey_domain::time::Stamp;
use odyssey_domain::wire::{Owner, Wake};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// The parts that the profiles are read in.
pub const PARTS: u32 = 64;
/// Parts that are read at once.
const PARTS_AT_ONCE: usize = 4;
/// Profiles of one part that are filled at once.
const FILLS_AT_ONCE: usize = 8;
/// Rows of one read of a timeline; each holds a delivery's events.
const ROWS_PER_READ: usize = 200;
/// How often a profile that others write to meanwhile is read anew before it is left for later.
const ATTEMPTS: usize = 4;
/// Profiles that are looked at a second time at the end, because they could not be filled at first.
const AGAIN_MAX: usize = 10_000;
/// Profiles that the report names of those that could not be filled.
const NAMED_MAX: usize = 20;

/// What became of one profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It lacked nothing, or there is no profile here.
    Complete,
    /// What it lacked is there now.
    Filled {
        /// Events that were read for it.
        events: u64,
        /// Events that it counts and its timeline no longer keeps: traits without a window say that
        /// they lack them.
        missing: u64,
    },
    /// It is as it was, and lacks what it lacked.
    NotYet(Later),
}

/// Why a profile is left for later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Later {
    /// Its timeline does not tell of the same events as its facts.
    #[error(transparent)]
    Uneven(#[from] NotYet),
    /// Others wrote to it each time.
    #[error("the profile was written by others {ATTEMPTS} times in a row")]
    Hot,
}

/// Fills what one profile lacks, where `identity` is a profile's own, and decides in the same write,
/// in silence, on the segments that ask for it and on those that are new to the profile.
///
/// # Errors
/// Where the port fails, an item cannot be read, or it would pass its limit.
pub async fn fill(
    tables: &impl Tables,
    keyring: &Keyring,
    catalog: &Catalog,
    identity: IdentityKey,
    now: Stamp,
) -> Result<Outcome, StoredError> {
    let key = identity_key(identity);
    let mut later = Later::Hot;
    for _ in 0..ATTEMPTS {
        let found = load::<IdentityItem>(tables, key.clone(), Consistency::Strong).await?;
        let Some(Versioned { item: IdentityItem::Root(mut root), version, .. }) = found else {
            return Ok(Outcome::Complete);
        };
        root.note_waiting(identity.into(), catalog.declared(), now);
        let (events, missing) = match fill_root(tables, catalog, identity, &mut root, now).await? {
            Ok(None) => return Ok(Outcome::Complete),
            Ok(Some(filled)) => filled,
            Err(uneven) if later == Later::Uneven(uneven) => break,
            Err(uneven) => {
                // A fold between the two reads makes them differ; the next look tells.
                later = Later::Uneven(uneven);
                continue;
            }
        };
        let mut writes = settle(tables, keyring, catalog, identity, &mut root, now).await?;
        writes.push(stored::put(key.clone(), &IdentityItem::Root(root), Some(version))?);
        if stored::commit_all(tables, writes).await? {
            return Ok(Outcome::Filled { events, missing });
        }
        later = Later::Hot;
    }
    Ok(Outcome::NotYet(later))
}

/// Decides on the segments that waited for what is there now. The writes that go with that of the
/// root: what it changes of the segments' counts, and the timer's, which nobody else would arm.
async fn settle(
    tables: &impl Tables,
    keyring: &Keyring,
    catalog: &Catalog,
    identity: IdentityKey,
    root: &mut Root,
    now: Stamp,
) -> Result<Vec<Write>, StoredError> {
    let declared = catalog.declared();
    let consents = if declared.ask_consent() {
        answers_of(tables, keyring, root).await?
    } else {
        BTreeMap::new()
    };
    let was_in = memberships_of(root);
    // What is pending stays in the item as it was: it is of earlier writes, whose messages carry it
    // out.
    let mut pending = std::mem::take(&mut root.said.pending);
    root.settle_filled(identity.into(), declared, consents, now);
    let armed = std::mem::take(&mut root.said.pending);
    let mut changes = Changes::default();
    changes.note(&was_in, &memberships_of(root));
    let mut writes: Vec<Write> = changes.into_writes(identity).collect();
    for effect in armed {
        if let ProfileEffect::Arm { arm, due } = effect {
            pending.retain(|effect| !matches!(effect, ProfileEffect::Arm { .. }));
            writes.push(due::write(&Wake { owner: Owner::Profile(identity.into()), arm, due })?);
        }
    }
    root.said.pending = pending;
    Ok(writes)
}

/// What the accumulators of a root lack of a workspace: the states of computed traits, and whether
/// the last matches of what it watches.
fn lacks(root: &Root, catalog: &Catalog) -> BTreeMap<IdentityKey, (BTreeSet<ComputedKey>, bool)> {
    let states = root.lacks(&catalog.computed_traits);
    let mut lacks: BTreeMap<_, _> =
        states.into_iter().map(|(identity, states)| (identity, (states, false))).collect();
    let since = catalog.declared().watched();
    for identity in since.map(|since| root.unwatched(since)).unwrap_or_default() {
        lacks.entry(identity).or_default().1 = true;
    }
    lacks
}

/// Makes up for what the accumulators of a root lack. `None` where they lack nothing; else how many
/// events were read, and how many are no longer there to be read.
async fn fill_root(
    tables: &impl Tables,
    catalog: &Catalog,
    own: IdentityKey,
    root: &mut Root,
    now: Stamp,
) -> Result<Result<Option<(u64, u64)>, NotYet>, StoredError> {
    let kept = catalog.kept_matches();
    let mut read = None;
    for (identity, (states, matches)) in lacks(root, catalog) {
        let timelines = root.timelines_of(own, identity);
        let Some(accumulator) = root.accumulators.get_mut(&identity) else { continue };
        let horizon = now.minus(timeline::KEPT);
        let mut fill = Fill::begin(accumulator, &catalog.computed_traits, &states, horizon);
        if matches {
            fill = fill.matching(&kept, catalog.published);
        }
        for timeline in timelines {
            read_into(tables, timeline, &mut fill).await?;
        }
        match fill.finish(accumulator) {
            Ok(filled) => {
                let (events, missing) = read.get_or_insert((0_u64, 0_u64));
                *events = events.saturating_add(filled.events);
                *missing = missing.saturating_add(filled.missing);
            }
            Err(uneven) => return Ok(Err(uneven)),
        }
    }
    Ok(Ok(read))
}

/// Reads a whole timeline, page by page, each strongly consistent.
async fn read_into(
    tables: &impl Tables,
    identity: IdentityKey,
    fill: &mut Fill,
) -> Result<(), StoredError> {
    let (first, last) = timeline::EVENT_KEYS;
    let mut from = first.to_owned();
    loop {
        let rows = tables
            .query(&Query {
                table: Table::Timeline,
                pk: identity.to_string(),
                from,
                to: last.to_owned(),
                limit: ROWS_PER_READ,
                descending: false,
                consistency: Consistency::Strong,
            })
            .await?;
        for row in &rows {
            let packed: timeline::TimelineRow = stored::decode(row)?;
            for event in &packed.events {
                fill.take(identity, packed.received, event);
            }
        }
        match rows.last() {
            // No sort key is another's with a mark behind it: they are all of one length.
            Some(last) if rows.len() >= ROWS_PER_READ => from = format!("{}!", last.key.sk),
            _ => return Ok(()),
        }
    }
}

/// What a run has come to so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Profiles that were looked at.
    pub profiles: u64,
    /// Those that lacked nothing.
    pub complete: u64,
    /// Those that were filled.
    pub filled: u64,
    /// Events that were read for them.
    pub events: u64,
    /// Profiles that were filled although their timelines no longer keep all their events.
    pub partial: u64,
    /// How many events these timelines lack.
    pub missing: u64,
    /// Profiles that could not be filled, by why.
    pub left: BTreeMap<String, u64>,
    /// Some of them, by their keys, which name nobody.
    pub named: Vec<(IdentityKey, String)>,
    /// Parts that are done.
    pub parts: u32,
    /// Of how many.
    pub of: u32,
    /// Whether the workspace was published anew meanwhile: what it declares now is not filled.
    pub republished: bool,
}

impl Report {
    /// Profiles that are left as they were.
    #[must_use]
    pub fn left_in_all(&self) -> u64 {
        self.left.values().sum()
    }

    /// How many profiles are still to be looked at, by those of the parts that are done; none
    /// while none is.
    #[must_use]
    pub fn ahead(&self) -> Option<u64> {
        let to_do = u64::from(self.of.saturating_sub(self.parts));
        self.profiles.saturating_mul(to_do).checked_div(u64::from(self.parts))
    }

    fn add(&mut self, identity: IdentityKey, outcome: &Result<Outcome, StoredError>) {
        let why = match outcome {
            Ok(Outcome::Complete) => {
                self.complete += 1;
                return;
            }
            Ok(Outcome::Filled { events, missing }) => {
                self.filled += 1;
                self.events = self.events.saturating_add(*events);
                self.missing = self.missing.saturating_add(*missing);
                self.partial += u64::from(*missing > 0);
                return;
            }
            Ok(Outcome::NotYet(Later::Uneven(NotYet::Behind { .. }))) => {
                "events are not in the timeline yet".to_owned()
            }
            Ok(Outcome::NotYet(Later::Uneven(NotYet::Ahead { .. }))) => {
                "the timeline holds events that the profile does not count".to_owned()
            }
            Ok(Outcome::NotYet(later @ Later::Hot)) => later.to_string(),
            Err(error) => error.to_string(),
        };
        *self.left.entry(why.clone()).or_default() += 1;
        if self.named.len() < NAMED_MAX {
            self.named.push((identity, why));
        }
    }
}

/// Why a run could not begin, or not go on.
#[derive(Debug, thiserror::Error)]
pub enum BackfillError {
    /// Nothing was ever published.
    #[error("no workspace has been published yet")]
    Unpublished,
    /// The profiles or the workspace cannot be read.
    #[error(transparent)]
    Stored(#[from] StoredError),
}

/// A run under way.
struct Running<'r, T, C, P> {
    tables: &'r T,
    keyring: &'r Keyring,
    catalog: &'r Catalog,
    parts: u32,
    clock: &'r C,
    progress: Mutex<(Report, P)>,
    again: Mutex<Vec<IdentityKey>>,
}

/// Fills every profile of the stack. `clock` tells the time, `progress` is told of each page; those
/// that could not be filled are looked at a second time at the end.
///
/// # Errors
/// Where nothing was published, or the tables cannot be read; what was filled until then stays.
pub async fn run<T: Tables>(
    tables: &T,
    keyring: &Keyring,
    clock: &(impl Fn() -> Stamp + Sync),
    progress: impl FnMut(&Report) + Send,
) -> Result<Report, BackfillError> {
    run_in(tables, keyring, PARTS, clock, progress).await
}

/// [`run`], the profiles read in so many parts, from 1.
///
/// # Errors
/// As [`run`].
pub async fn run_in<T: Tables>(
    tables: &T,
    keyring: &Keyring,
    parts: u32,
    clock: &(impl Fn() -> Stamp + Sync),
    progress: impl FnMut(&Report) + Send,
) -> Result<Report, BackfillError> {
    let catalog = published(tables).await?;
    let running = Running {
        tables,
        keyring,
        catalog: &catalog,
        parts,
        clock,
        progress: Mutex::new((Report { of: parts, ..Report::default() }, progress)),
        again: Mutex::default(),
    };
    let work = (0..parts).map(|part| running.part(part));
    let mut work = futures_util::stream::iter(work).buffer_unordered(PARTS_AT_ONCE);
    while let Some(done) = work.next().await {
        done?;
    }
    drop(work);
    let again = std::mem::take(&mut *lock(&running.again));
    running.fill_all(again, Look::Second).await;
    let current = published(tables).await?;
    let republished = current.computed_traits != catalog.computed_traits
        || current.segments != catalog.segments
        || current.signals != catalog.signals;
    let (mut report, _) = running.progress.into_inner().unwrap_or_else(PoisonError::into_inner);
    report.republished = republished;
    Ok(report)
}

async fn published(tables: &impl Tables) -> Result<Catalog, BackfillError> {
    let found = load::<Catalog>(tables, current_key(), Consistency::Strong).await?;
    Ok(found.ok_or(BackfillError::Unpublished)?.item)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a profile that cannot be filled now is kept for the end.
#[derive(Clone, Copy, PartialEq)]
enum Look {
    First,
    Second,
}

impl<T: Tables, C: Fn() -> Stamp + Sync, P: FnMut(&Report) + Send> Running<'_, T, C, P> {
    async fn part(&self, part: u32) -> Result<(), StoredError> {
        let mut after: Option<Key> = None;
        loop {
            let part = Part { part, of: self.parts };
            let page = profiles::scan(self.tables, part, after).await?;
            let lacking = page.rows.iter().filter_map(|row| self.lacking(row)).collect();
            self.fill_all(lacking, Look::First).await;
            self.tell(|report| report.parts += u32::from(page.next.is_none()));
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// The profile in a row, if it lacks something or cannot be read. The row may be old, so that
    /// whoever fills reads it anew; one that lacks nothing is passed over by it alone.
    fn lacking(&self, row: &Row) -> Option<IdentityKey> {
        let identity: IdentityKey = row.key.pk.parse().ok()?;
        let complete = match stored::decode::<IdentityItem>(row) {
            Ok(IdentityItem::Root(root)) => lacks(&root, self.catalog).is_empty(),
            Ok(IdentityItem::Pointer { .. } | IdentityItem::Tombstone { .. }) => return None,
            Err(_) => false,
        };
        self.count(|report| {
            report.profiles += 1;
            report.complete += u64::from(complete);
        });
        (!complete).then_some(identity)
    }

    async fn fill_all(&self, identities: Vec<IdentityKey>, look: Look) {
        let work = identities.into_iter().map(async |identity| {
            (
                identity,
                fill(self.tables, self.keyring, self.catalog, identity, (self.clock)()).await,
            )
        });
        let mut fills = futures_util::stream::iter(work).buffer_unordered(FILLS_AT_ONCE);
        while let Some((identity, outcome)) = fills.next().await {
            let in_time = match &outcome {
                Ok(Outcome::NotYet(_)) => false,
                Ok(_) => true,
                Err(error) => !error.is_transient(),
            };
            if !in_time && look == Look::First {
                let mut again = lock(&self.again);
                if again.len() < AGAIN_MAX {
                    again.push(identity);
                    continue;
                }
            }
            self.count(|report| report.add(identity, &outcome));
        }
    }

    fn count(&self, change: impl FnOnce(&mut Report)) {
        change(&mut lock(&self.progress).0);
    }

    fn tell(&self, change: impl FnOnce(&mut Report)) {
        let mut held = lock(&self.progress);
        let (report, progress) = &mut *held;
        change(report);
        progress(report);
    }
}
