//! SES's own events: settle the ledger, suppress, tell the bus.
//!
//! Idempotent, in any order, however often: reports only ever raise a send's state
//! ([`odyssey_domain::message::LedgerItem::settled`]) and a contact's suppression, and what is
//! published is a function of the report. A hard bounce or a complaint suppresses its address
//! whoever sent the mail; what else concerns mails of others is acknowledged.
//!
//! `Send` and `Delivery` are not published: at one each per mail they would cost more than all
//! else here. `Send` writes nothing where the sender itself recorded it, `Delivery` one unit.

use crate::contacts::{self, ContactError};
use crate::ledger;
use crate::ports::{Bus, BusEntry, Consistency, PortError, Tables};
use crate::queue::{Disposition, QueueRecord, chain};
use crate::stored::{self, Committed, StoredError};
use futures_util::StreamExt as _;
use odyssey_domain::ids::{ProfileId, SendId};
use odyssey_domain::keyring::Keyring;
use odyssey_domain::message::SendState;
use odyssey_domain::message::feedback::{self, Feedback, Report};
use odyssey_domain::time::Stamp;
use odyssey_domain::wire::{BUS_SCHEMA, FeedbackKind, MessageFeedback, detail_type, source};

/// How often a send is settled anew because others wrote it meanwhile.
const ATTEMPTS: usize = 5;

/// Reports of one batch under way at a time. Two of one send may come between each other: the
/// later one settles anew.
const AT_ONCE: usize = 10;

/// Why a report was not recorded.
#[derive(Debug, thiserror::Error)]
enum RecordError {
    #[error("the send was changed by others {ATTEMPTS} times over")]
    Contended,
    #[error(transparent)]
    Contact(#[from] ContactError),
    #[error(transparent)]
    Stored(#[from] StoredError),
}

impl RecordError {
    fn disposition(&self) -> Disposition {
        let (transient, newer) = match self {
            RecordError::Contended => (true, false),
            RecordError::Contact(ContactError::Stored(error)) | RecordError::Stored(error) => {
                (error.is_transient(), matches!(error, StoredError::Newer { .. }))
            }
            RecordError::Contact(error) => (error.is_transient(), false),
        };
        // A newer release's item waits for that release to come to this function too.
        if transient || newer {
            Disposition::Retry { reason: self.to_string(), after: None }
        } else {
            Disposition::Park { reason: "refused", chain: chain(self) }
        }
    }
}

/// One delivery of the queue's messages: a disposition for each record, in their order.
pub async fn run(
    tables: &impl Tables,
    bus: &impl Bus,
    keys: &Keyring,
    records: Vec<QueueRecord>,
    now: Stamp,
) -> Vec<Disposition> {
    let each = records.iter().map(|record| Box::pin(one(tables, keys, record, now)));
    let done: Vec<(Disposition, Option<BusEntry>)> =
        futures_util::stream::iter(each).buffered(AT_ONCE).collect().await;
    let mut dispositions = Vec::with_capacity(records.len());
    let mut entries = Vec::new();
    let mut of_record = Vec::new();
    for (at, (disposition, entry)) in done.into_iter().enumerate() {
        dispositions.push(disposition);
        if let Some(entry) = entry {
            entries.push(entry);
            of_record.push(at);
        }
    }
    if entries.is_empty() {
        return dispositions;
    }
    let untold = publish(bus, &entries).await;
    for (entry, disposition) in untold {
        let record = of_record.get(entry).and_then(|at| dispositions.get_mut(*at));
        if let Some(slot) = record {
            *slot = disposition;
        }
    }
    dispositions
}

/// One record, and what the bus is to be told of it.
async fn one(
    tables: &impl Tables,
    keys: &Keyring,
    record: &QueueRecord,
    now: Stamp,
) -> (Disposition, Option<BusEntry>) {
    match feedback::parse(&record.body) {
        Err(error) => (Disposition::Park { reason: "malformed", chain: chain(&error) }, None),
        Ok(Feedback::Ignored(_)) => (Disposition::Done, None),
        Ok(Feedback::Report(report)) => match apply(tables, keys, &report, now).await {
            Err(error) => (error.disposition(), None),
            Ok(profile) => (Disposition::Done, told(&report, profile, now)),
        },
    }
}

/// Suppresses first, then settles the ledger; the send's profile, where the ledger knows it.
async fn apply(
    tables: &impl Tables,
    keys: &Keyring,
    report: &Report,
    now: Stamp,
) -> Result<Option<ProfileId>, RecordError> {
    for (address, reason) in &report.suppress {
        let since = report.at.unwrap_or(now);
        contacts::change(tables, keys.contact_key(address), |contact| {
            Ok(contact.suppress(*reason, since))
        })
        .await?;
    }
    match report.send {
        Some(send) => settle(tables, send, report).await,
        None => Ok(None),
    }
}

async fn settle(
    tables: &impl Tables,
    send: SendId,
    report: &Report,
) -> Result<Option<ProfileId>, RecordError> {
    // Half the price, and enough: what a report does not change in an older state of a send, it
    // does not change in a newer one either. Only its absence must be certain, and SKIPPED: a
    // confirmation may have been decided afresh since.
    let mut consistency = Consistency::Eventual;
    for _ in 0..ATTEMPTS {
        let found = match ledger::load(tables, send, consistency).await? {
            Some(found) if !matches!(found.item.state, SendState::Skipped { .. }) => Some(found),
            found if consistency == Consistency::Strong => found,
            _ => {
                consistency = Consistency::Strong;
                ledger::load(tables, send, consistency).await?
            }
        };
        let Some(found) = found else { return Ok(None) };
        let Some(item) = found.item.settled(report) else { return Ok(found.item.profile) };
        consistency = Consistency::Strong;
        let write = ledger::put(&item, Some(found.version))?;
        if stored::commit(tables, write).await? == Committed::Done {
            return Ok(item.profile);
        }
    }
    Err(RecordError::Contended)
}

/// What the bus is told of a report; nothing of mails that others sent.
fn told(report: &Report, profile: Option<ProfileId>, now: Stamp) -> Option<BusEntry> {
    match report.kind {
        FeedbackKind::Sent | FeedbackKind::Delivered | FeedbackKind::Delayed => return None,
        FeedbackKind::BouncedHard
        | FeedbackKind::BouncedSoft
        | FeedbackKind::Complained
        | FeedbackKind::Rejected
        | FeedbackKind::RenderingFailed
        | FeedbackKind::Opened
        | FeedbackKind::Clicked
        | FeedbackKind::Subscription => {}
    }
    let event = MessageFeedback {
        v: BUS_SCHEMA,
        send: report.send?,
        profile,
        kind: report.kind,
        // The same however often the report comes: ids are made of it.
        at: report.at.or(report.accepted).unwrap_or(now),
        accepted: report.accepted,
        machine: report.machine,
    };
    Some(BusEntry {
        source: source::FEEDBACK,
        detail_type: detail_type::MESSAGE_FEEDBACK,
        detail: serde_json::to_string(&event).ok()?,
    })
}

/// The entries that are not on the bus, each with what becomes of its record.
async fn publish(bus: &impl Bus, entries: &[BusEntry]) -> Vec<(usize, Disposition)> {
    let again = |reason: &str| Disposition::Retry { reason: reason.to_owned(), after: None };
    let all = |error: PortError| {
        let disposition = Disposition::of_port_error(&error);
        (0..entries.len()).map(|at| (at, disposition.clone())).collect()
    };
    match bus.publish(entries).await {
        Ok(left) => left.into_iter().map(|at| (at, again("the bus did not take it"))).collect(),
        Err(error) => all(error),
    }
}
