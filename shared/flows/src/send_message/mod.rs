//! Sending: decide, claim, mark, call SES once, record. Never twice; never silently lost.
//!
//! Each message on `sender`'s queue becomes a `Job`: a journey's `Send`, the confirmation mail of a
//! `Consent Requested`, or the wake of a send that was put off. What a delivery does by the state it
//! finds, and who may move a send where, is the table of [`odyssey_domain::message::LedgerItem`]'s
//! module; this flow carries it out:
//!
//! 0. Where SES refused mails for its rate, wait for one's turn ([`SendRate`]), before anything is
//!    read: what was decided must not grow old.
//! 1. Read the ledger. Terminal states acknowledge, a fresh SENDING waits, an old one is given up
//!    to UNCONFIRMED.
//! 2. Decide over profile, contact, topic and journey, and render. A skip is recorded with all its
//!    reasons, and in the same transaction takes back what an earlier try had claimed. So is a
//!    deferral; then its timer is armed, and its wake begins here again.
//! 3. Claim: one transaction over the ledger's item and the contact at the version the decision
//!    was made on. Where either changed, begin again, at most `CLAIM_ATTEMPTS` times.
//! 4. Compare-and-set to SENDING, then exactly one call.
//! 5. Take the claim off the contact if the mail certainly did not go out; then record what the
//!    call came to. Where that write fails, nothing is sent again: the next delivery
//!    finds SENDING, gives it up, and SES's own event settles it.
//!
//! Write units of a send: 4 for the claim, 1 each for SENDING and SENT, and with its feedback
//! (SES's `Send` changes nothing then, `Delivery` is 1) 7 in all. A deferral adds 1, and 2 where it
//! goes through the due index.

mod call;
mod claim;
mod compose;
mod job;
mod tally;

pub use tally::Tally;

use crate::catalog::{CatalogCache, CatalogError};
use crate::contacts::ContactError;
use crate::ledger;
use crate::ports::{Consistency, Mailer, Queues, Tables};
use crate::queue::{Disposition, QueueRecord, chain};
use crate::stored::{self, Committed, StoredError, Versioned};
use claim::{Attempt, Claim};
use compose::{Composition, Decided};
use futures_util::StreamExt as _;
use job::{Asked, Job};
use odyssey_domain::catalog::Catalog;
use odyssey_domain::ids::{EventHash, OwnerToken};
use odyssey_domain::keyring::Keyring;
use odyssey_domain::message::render::TemplateCache;
use odyssey_domain::message::{LedgerItem, OnDelivery, SendRate, Turn};
use odyssey_domain::time::{Span, Stamp};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How often a delivery begins again because the contact or the ledger changed under it.
const CLAIM_ATTEMPTS: usize = 5;
/// How often a claim whose answer was lost is sent again at once.
const TRANSACT_ATTEMPTS: usize = 3;
/// How often an outcome is written over what others wrote meanwhile.
const RECORD_ATTEMPTS: usize = 4;
/// Messages of one batch under way at a time.
const AT_ONCE: usize = 10;

/// What the flow needs beside the ports; one per process.
#[derive(Debug)]
pub struct Sending {
    /// The stack's keys.
    pub keys: Keyring,
    /// Where the links in mails lead: the HTTP API's own URL.
    pub public_url: String,
    /// The published workspace.
    pub catalog: CatalogCache,
    /// Its compiled mails.
    pub templates: TemplateCache,
    /// What became of sends since it was last asked.
    pub tally: Tally,
    /// How fast SES takes mails from this process.
    rate: Mutex<SendRate>,
}

impl Sending {
    /// With empty caches.
    #[must_use]
    pub fn new(keys: Keyring, public_url: impl Into<String>) -> Sending {
        Sending {
            keys,
            public_url: public_url.into(),
            catalog: CatalogCache::default(),
            templates: TemplateCache::default(),
            tally: Tally::default(),
            rate: Mutex::default(),
        }
    }

    /// The rate is whole after every call, so that a panic elsewhere spoils nothing.
    fn rate(&self) -> MutexGuard<'_, SendRate> {
        self.rate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a delivery came to no end.
#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    Contact(#[from] ContactError),
    #[error(transparent)]
    Stored(#[from] StoredError),
}

impl SendError {
    fn disposition(&self) -> Disposition {
        let (transient, newer) = match self {
            SendError::Catalog(CatalogError::Stored(error)) | SendError::Stored(error) => {
                (error.is_transient(), matches!(error, StoredError::Newer { .. }))
            }
            SendError::Catalog(error) => (error.is_transient(), false),
            SendError::Contact(error) => (error.is_transient(), false),
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
    sending: &Sending,
    tables: &impl Tables,
    queues: &impl Queues,
    mailer: &impl Mailer,
    records: Vec<QueueRecord>,
    now: Stamp,
) -> Vec<Disposition> {
    sending.rate().begin(now);
    let delivery = Delivery { sending, tables, queues, mailer, now };
    let all = records.iter().enumerate();
    let each = all.map(|(index, record)| Box::pin(delivery.record(index, record)));
    futures_util::stream::iter(each).buffered(AT_ONCE).collect().await
}

/// Back to the queue until SES may have room, up to half as long again by the message's id.
fn later(span: Span, message_id: &str) -> Disposition {
    let [byte, ..] = EventHash::of(message_id).0;
    let jitter = Span::from_ms(span.ms() * u64::from(byte) / 510);
    let reason = "SES takes no more for now".to_owned();
    Disposition::Retry { reason, after: Some(Span::from_ms(span.ms() + jitter.ms())) }
}

/// One invocation.
struct Delivery<'a, T, Q, M> {
    sending: &'a Sending,
    tables: &'a T,
    queues: &'a Q,
    mailer: &'a M,
    now: Stamp,
}

impl<T: Tables, Q: Queues, M: Mailer> Delivery<'_, T, Q, M> {
    async fn record(&self, index: usize, record: &QueueRecord) -> Disposition {
        let catalog = match self.sending.catalog.catalog(self.tables, self.now).await {
            Ok(catalog) => catalog,
            Err(error) => return SendError::from(error).disposition(),
        };
        let confirmation = &catalog.confirmation_mail;
        let asked = match Asked::parse(&record.body, &self.sending.keys, confirmation, self.now) {
            Ok(asked) => asked,
            Err(refused) => return refused,
        };
        let turn = self.sending.rate().turn(self.now);
        match turn {
            Turn::In(Span::ZERO) => {}
            Turn::In(span) => self.mailer.wait(span).await,
            Turn::Later(span) => return later(span, &record.message_id),
        }
        // The index keeps one message, twice in one batch, from taking itself for its own owner.
        let receipt = format!("{}#{}#{index}", record.message_id, record.receive_count);
        let owner = OwnerToken::derive(&record.request_id, &receipt);
        match Box::pin(self.asked(&catalog, asked, owner)).await {
            Ok(disposition) => disposition,
            Err(error) => error.disposition(),
        }
    }

    async fn asked(
        &self,
        catalog: &Catalog,
        asked: Asked,
        owner: OwnerToken,
    ) -> Result<Disposition, SendError> {
        match asked {
            // Nobody has written this send yet, as a rule, and nobody is just changing its contact.
            // The first try stands on reads of half the price; what it writes is conditional on
            // them.
            Asked::First(job) => {
                let found = ledger::load(self.tables, job.send, Consistency::Eventual).await?;
                self.deliver(catalog, &job, owner, found, Consistency::Eventual).await
            }
            Asked::Again(send) => {
                let found = ledger::load(self.tables, send, Consistency::Strong).await?;
                let item = found.as_ref().map(|found| &found.item);
                match (LedgerItem::on_wake(item, self.now), item.and_then(Job::again)) {
                    (OnDelivery::Acknowledge, _) | (_, None) => Ok(Disposition::Done),
                    (_, Some(job)) => {
                        self.deliver(catalog, &job, owner, found, Consistency::Strong).await
                    }
                }
            }
        }
    }

    /// Goes by the state of the send, from `found` on, which was read at `consistency`.
    async fn deliver(
        &self,
        catalog: &Catalog,
        job: &Job,
        owner: OwnerToken,
        mut found: Option<Versioned<LedgerItem>>,
        mut consistency: Consistency,
    ) -> Result<Disposition, SendError> {
        for attempt in 0..CLAIM_ATTEMPTS {
            match LedgerItem::on_delivery(found.as_ref().map(|found| &found.item), self.now) {
                OnDelivery::Acknowledge => {
                    // What another delivery ended while this one ran is no request made twice.
                    if attempt == 0 {
                        self.sending.tally.duplicate();
                    }
                    return Ok(Disposition::Done);
                }
                OnDelivery::Arm { arm, due } => {
                    self.arm(job.send, arm, due).await?;
                    return Ok(Disposition::Done);
                }
                OnDelivery::Wait(span) => {
                    let reason = "another delivery is sending it".to_owned();
                    return Ok(Disposition::Retry { reason, after: Some(span) });
                }
                OnDelivery::GiveUp => {
                    if self.give_up(found).await? {
                        return Ok(Disposition::Done);
                    }
                }
                OnDelivery::Decide => {
                    let composition =
                        self.compose(catalog, job, consistency, found.as_ref()).await?;
                    // Not sending writes nothing to the contact that could tell an old read: the
                    // consent may just have been given.
                    if matches!(composition.decided, Decided::Send(_))
                        || consistency == Consistency::Strong
                    {
                        let token = format!("{owner}-{attempt}");
                        let attempt = Attempt { owner, token: &token };
                        match self.claim(catalog, job, composition, attempt, found).await? {
                            Claim::Held(held) => {
                                let (item, mail) = *held;
                                return self.call(item, owner, mail).await;
                            }
                            Claim::Settled => return Ok(Disposition::Done),
                            Claim::Lost => {}
                        }
                    }
                }
            }
            consistency = Consistency::Strong;
            found = ledger::load(self.tables, job.send, consistency).await?;
        }
        let reason = format!("changed by others {CLAIM_ATTEMPTS} times over");
        Ok(Disposition::Retry { reason, after: None })
    }

    async fn compose(
        &self,
        catalog: &Catalog,
        job: &Job,
        consistency: Consistency,
        found: Option<&Versioned<LedgerItem>>,
    ) -> Result<Composition, SendError> {
        let deferral = found.and_then(|found| found.item.deferral.as_ref());
        let when =
            compose::When { consistency, deferred_since: deferral.map(|d| d.since), now: self.now };
        compose::compose(self.sending, self.tables, catalog, job, when).await
    }

    async fn give_up(&self, found: Option<Versioned<LedgerItem>>) -> Result<bool, SendError> {
        let Some(found) = found else { return Ok(false) };
        let Some(item) = found.item.given_up(self.now) else { return Ok(false) };
        let write = ledger::put(&item, Some(found.version))?;
        let given_up = stored::commit(self.tables, write).await? == Committed::Done;
        if given_up {
            self.sending.tally.unconfirmed();
        }
        Ok(given_up)
    }
}
