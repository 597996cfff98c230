//! Enrollments: letting profiles into journeys and moving them on.
//!
//! Three kinds of record come in. An `Event Folded` lets its profile into journeys it triggers and
//! is a hint to look at the enrollments the profile has. A `Signal Raised` lets in. A wake moves
//! the one enrollment whose timer it is.
//!
//! Each step is one conditional write that holds its own effects; they are carried out after it.
//! Whoever finds effects that may not have been carried out (the record was delivered before, or
//! another write is about to replace them) carries them out; no write exists only to clear them.
//! At most one read of the enrollment, one of the profile and one write belong to a step, and one
//! put and one delete in the due index for a long wait.

mod advance;
mod effects;
mod slots;

pub use slots::{SLOTS_MAX, slot_key};

use crate::catalog::{CatalogCache, CatalogError};
use crate::ports::{Queues, Tables};
use crate::queue::{Disposition, QueueBody, QueueBodyError, QueueRecord, chain};
use crate::stored::StoredError;
use advance::Advance;
use effects::{Effects, carry_out_all};
use futures_util::future::join_all;
use odyssey_domain::ids::ProfileId;
use odyssey_domain::time::Stamp;
use odyssey_domain::wire::{
    BUS_SCHEMA, BusEnvelope, Command, EventFolded, Owner, SignalRaised, Wake, detail_type,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// Conflicting writes after which a record goes back to its queue.
pub const ATTEMPTS_MAX: usize = 3;

/// Why a record could not be dealt with.
#[derive(Debug, thiserror::Error)]
pub enum AdvanceError {
    /// The message is neither an event nor a command.
    #[error("a message of journey's queue cannot be read")]
    Body(#[from] QueueBodyError),
    /// An event's detail is not what its type says.
    #[error("detail of {detail_type} cannot be read at line {line} column {column}")]
    Detail {
        /// The type.
        detail_type: &'static str,
        /// Where.
        line: usize,
        /// Where.
        column: usize,
    },
    /// A newer release wrote it.
    #[error("{detail_type} has schema {found}, this release reads up to {BUS_SCHEMA}")]
    Newer {
        /// The type.
        detail_type: &'static str,
        /// What it says.
        found: u16,
    },
    /// It belongs on another queue.
    #[error("expected Event Folded, Signal Raised or an enrollment's wake, found {found}")]
    Unexpected {
        /// What it is.
        found: &'static str,
    },
    /// The workspace is not there.
    #[error("the published workspace cannot be read")]
    Catalog(#[from] CatalogError),
    /// A table or queue failed, or an item cannot be read.
    #[error("an enrollment cannot be moved on")]
    Stored(#[from] StoredError),
    /// A slot's write was not answered, and may take effect later.
    #[error("an enrollment's write was not answered")]
    Unanswered(#[source] StoredError),
    /// Others kept writing to the same slot.
    #[error("a slot was written to by others {ATTEMPTS_MAX} times in a row")]
    Contended,
}

impl AdvanceError {
    /// Whether trying again may work.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            AdvanceError::Body(_)
            | AdvanceError::Detail { .. }
            | AdvanceError::Newer { .. }
            | AdvanceError::Unexpected { .. } => false,
            AdvanceError::Catalog(error) => error.is_transient(),
            AdvanceError::Stored(error) => error.is_transient(),
            AdvanceError::Unanswered(_) | AdvanceError::Contended => true,
        }
    }

    /// Of a slot's write that failed.
    fn of_write(error: StoredError) -> AdvanceError {
        if error.is_transient() {
            AdvanceError::Unanswered(error)
        } else {
            AdvanceError::Stored(error)
        }
    }

    const fn reason(&self) -> &'static str {
        match self {
            AdvanceError::Body(_) | AdvanceError::Detail { .. } => "malformed",
            AdvanceError::Newer { .. } | AdvanceError::Stored(StoredError::Newer { .. }) => {
                "unknown_schema"
            }
            AdvanceError::Unexpected { .. } => "unexpected",
            AdvanceError::Catalog(_) => "workspace",
            AdvanceError::Stored(StoredError::TooLarge { .. }) => "item_too_large",
            AdvanceError::Stored(StoredError::Corrupt { .. }) => "corrupt_item",
            AdvanceError::Stored(StoredError::Port(_)) | AdvanceError::Unanswered(_) => "refused",
            AdvanceError::Contended => "contended",
        }
    }

    /// Whether a newer release wrote what was read: it is being deployed, and this process is about
    /// to be replaced by it.
    const fn is_overtaken(&self) -> bool {
        match self {
            AdvanceError::Catalog(CatalogError::Stored(error)) | AdvanceError::Stored(error) => {
                matches!(error, StoredError::Newer { .. })
            }
            _ => false,
        }
    }

    fn disposition(&self) -> Disposition {
        if self.is_transient() || self.is_overtaken() {
            Disposition::Retry { reason: chain(self).join(": "), after: None }
        } else {
            Disposition::Park { reason: self.reason(), chain: chain(self) }
        }
    }
}

/// What a record asks for.
#[derive(Debug)]
enum Request {
    Folded(Box<EventFolded>, Stamp),
    Raised(Box<SignalRaised>, Stamp),
    Woken(Wake, ProfileId),
}

impl Request {
    fn of(record: &QueueRecord) -> Result<Request, AdvanceError> {
        match QueueBody::parse(&record.body)? {
            QueueBody::Event(envelope) => match envelope.detail_type.as_str() {
                detail_type::EVENT_FOLDED => {
                    let folded = detail(&envelope, detail_type::EVENT_FOLDED)?;
                    Ok(Request::Folded(Box::new(folded), put_at(&envelope)))
                }
                detail_type::SIGNAL_RAISED => {
                    let raised = detail(&envelope, detail_type::SIGNAL_RAISED)?;
                    Ok(Request::Raised(Box::new(raised), put_at(&envelope)))
                }
                _ => Err(AdvanceError::Unexpected { found: "another event" }),
            },
            QueueBody::Command(Command::Wake(wake)) => match &wake.owner {
                Owner::Enrollment(slot) => {
                    let profile = slot.profile;
                    Ok(Request::Woken(wake, profile))
                }
                Owner::Profile(_) => Err(AdvanceError::Unexpected { found: "a profile's wake" }),
                Owner::Send(_) => Err(AdvanceError::Unexpected { found: "a send's wake" }),
            },
            QueueBody::Command(Command::Send(_)) => {
                Err(AdvanceError::Unexpected { found: "a send request" })
            }
            QueueBody::Command(Command::Look { .. }) => {
                Err(AdvanceError::Unexpected { found: "a look at a profile" })
            }
        }
    }

    /// Records of one profile are dealt with one after the other: they may touch the same slots.
    fn profile(&self) -> ProfileId {
        match self {
            Request::Folded(folded, _) => folded.profile,
            Request::Raised(raised, _) => raised.profile,
            Request::Woken(_, profile) => *profile,
        }
    }

    /// When it should have come.
    const fn due(&self) -> Stamp {
        match self {
            Request::Folded(_, at) | Request::Raised(_, at) => *at,
            Request::Woken(wake, _) => wake.due,
        }
    }
}

/// When the bus took it; one that does not say so may be of any age.
fn put_at(envelope: &BusEnvelope) -> Stamp {
    Stamp::parse(&envelope.time).unwrap_or(Stamp::MIN)
}

fn detail<T: DeserializeOwned>(
    envelope: &BusEnvelope,
    detail_type: &'static str,
) -> Result<T, AdvanceError> {
    #[derive(Deserialize)]
    struct Schema {
        v: u16,
    }
    // serde's own messages may quote the content, so only the place of the fault is kept.
    let malformed = |e: serde_json::Error| AdvanceError::Detail {
        detail_type,
        line: e.line(),
        column: e.column(),
    };
    let schema: Schema = serde_json::from_str(envelope.detail.get()).map_err(malformed)?;
    if schema.v > BUS_SCHEMA {
        return Err(AdvanceError::Newer { detail_type, found: schema.v });
    }
    serde_json::from_str(envelope.detail.get()).map_err(malformed)
}

/// What a batch came to, for the invocation's summary.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Enrollments that began.
    pub entered: usize,
    /// Triggers that had let their profile in before.
    pub duplicates: usize,
}

/// What was done about a record, and what is still to be carried out.
#[derive(Debug, Default)]
struct Work {
    effects: Effects,
    counts: Counts,
    /// A wake came before this, its time. It stays on the queue: a message in its place would not
    /// say that it was delivered before, and what that delivery still stores would be forgotten.
    early: Option<Stamp>,
    /// The first fault; the record's other enrollments were moved on all the same.
    failure: Option<AdvanceError>,
}

impl Work {
    fn note(&mut self, result: Result<(), impl Into<AdvanceError>>) {
        if let Err(error) = result {
            self.failure.get_or_insert(error.into());
        }
    }
}

impl From<AdvanceError> for Work {
    fn from(failure: AdvanceError) -> Work {
        Work { failure: Some(failure), ..Work::default() }
    }
}

/// Deals with messages of journey's queue; what is to become of each, in the same order.
pub async fn run(
    tables: &impl Tables,
    queues: &impl Queues,
    cache: &CatalogCache,
    records: Vec<QueueRecord>,
    now: Stamp,
) -> Vec<Disposition> {
    run_counted(tables, queues, cache, records, now).await.0
}

/// [`run`], with what the batch came to.
pub async fn run_counted(
    tables: &impl Tables,
    queues: &impl Queues,
    cache: &CatalogCache,
    records: Vec<QueueRecord>,
    now: Stamp,
) -> (Vec<Disposition>, Counts) {
    let mut counts = Counts::default();
    let catalog = match cache.catalog(tables, now).await {
        Ok(catalog) => catalog,
        Err(error) => {
            let disposition = AdvanceError::from(error).disposition();
            return (records.iter().map(|_| disposition.clone()).collect(), counts);
        }
    };
    let advance = Advance { tables, queues, cache, catalog: &catalog, now };
    let mut works: Vec<Work> = records.iter().map(|_| Work::default()).collect();
    let mut groups: BTreeMap<ProfileId, Vec<(usize, Request, bool)>> = BTreeMap::new();
    for (index, (record, work)) in records.iter().zip(&mut works).enumerate() {
        match Request::of(record) {
            Ok(request) => {
                let again = record.may_be_repeated(request.due(), now);
                groups.entry(request.profile()).or_default().push((index, request, again));
            }
            Err(error) => *work = Work::from(error),
        }
    }
    let groups = groups.into_values().map(|group| {
        let advance = &advance;
        async move {
            let mut done = Vec::with_capacity(group.len());
            for (index, request, again) in group {
                done.push((index, Box::pin(advance.deal_with(request, again)).await));
            }
            done
        }
    });
    for (index, done) in join_all(groups).await.into_iter().flatten() {
        if let Some(work) = works.get_mut(index) {
            *work = done;
        }
    }
    for work in &works {
        counts.entered += work.counts.entered;
        counts.duplicates += work.counts.duplicates;
    }
    let (effects, outcomes): (Vec<Effects>, Vec<_>) =
        works.into_iter().map(|work| (work.effects, (work.failure, work.early))).unzip();
    let carried_out = carry_out_all(tables, queues, effects, now).await;
    let results = outcomes.into_iter().zip(carried_out).zip(&records);
    let dispositions = results
        .map(|(((failure, early), carried_out), record)| match (failure, carried_out) {
            (Some(error @ AdvanceError::Unanswered(_)), _) => {
                let reason = chain(&error).join(": ");
                Disposition::unanswered(&record.message_id, record.receive_count, reason)
            }
            // What may pass comes first: the record must come back for it.
            (_, Err(error)) if error.is_transient() => AdvanceError::from(error).disposition(),
            (Some(failure), _) => failure.disposition(),
            (None, Err(error)) => AdvanceError::from(error).disposition(),
            (None, Ok(())) => early.map_or(Disposition::Done, |due| Disposition::early(due, now)),
        })
        .collect();
    (dispositions, counts)
}
