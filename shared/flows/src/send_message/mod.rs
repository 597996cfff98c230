//! Sending: decide, claim, mark, call SES once, record. Never twice; never silently lost.
//!
//! Each message on `sender`'s queue becomes a `Job`: a journey's `Send`, or the confirmation
//! mail of a `Consent Requested`. What a delivery does by the state it finds, and who may move a
//! send where, is the table of [`odyssey_domain::message::LedgerItem`]'s module; this flow carries
//! it out:
//!
//! 1. Read the ledger. Terminal states acknowledge, a fresh SENDING waits, an old one is given up
//!    to UNCONFIRMED.
//! 2. Decide over profile, contact and topic, and render. A skip is recorded with all its reasons,
//!    and in the same transaction takes back what an earlier try had claimed.
//! 3. Claim: one transaction over the ledger's item and the contact at the version the decision
//!    was made on. Where either changed, begin again, at most `CLAIM_ATTEMPTS` times.
//! 4. Compare-and-set to SENDING, then exactly one call.
//! 5. Take the claim off the contact if the mail certainly did not go out; then record what the
//!    call came to. Where that write fails, nothing is sent again: the next delivery
//!    finds SENDING, gives it up, and SES's own event settles it.
//!
//! Write units of a send: 4 for the claim, 1 each for SENDING and SENT, and with its feedback
//! (SES's `Send` changes nothing then, `Delivery` is 1) 7 in all.

mod compose;
mod job;

use crate::catalog::{CatalogCache, CatalogError};
use crate::contacts::{self, ContactError};
use crate::ledger;
use crate::ports::{Consistency, Mailer, OutgoingMail, Queues, SendAnswer, Tables, Write, Written};
use crate::queue::{Disposition, QueueRecord, chain};
use crate::stored::{self, Committed, StoredError, Versioned, is_row_of};
use compose::{Composed, Composition};
use futures_util::StreamExt as _;
use job::Job;
use odyssey_domain::catalog::Catalog;
use odyssey_domain::contact::Contact;
use odyssey_domain::ids::{ContactKey, OwnerToken, SendId};
use odyssey_domain::keyring::Keyring;
use odyssey_domain::message::render::TemplateCache;
use odyssey_domain::message::{CallOutcome, LedgerItem, OnDelivery, SENDING_STALE, SendState};
use odyssey_domain::time::Stamp;

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
        }
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
    let delivery = Delivery { sending, tables, queues, mailer, now };
    let all = records.iter().enumerate();
    let each = all.map(|(index, record)| Box::pin(delivery.record(index, record)));
    futures_util::stream::iter(each).buffered(AT_ONCE).collect().await
}

/// One invocation.
struct Delivery<'a, T, Q, M> {
    sending: &'a Sending,
    tables: &'a T,
    #[expect(dead_code, reason = "deferring comes next")]
    queues: &'a Q,
    mailer: &'a M,
    now: Stamp,
}

/// What came of trying to claim.
enum Claim {
    /// It is ours: the item as it stands, and the mail to send.
    Held(Box<(Versioned<LedgerItem>, OutgoingMail)>),
    /// Decided not to send, and recorded.
    Skipped,
    /// Something changed meanwhile: begin again.
    Lost,
}

impl<T: Tables, Q: Queues, M: Mailer> Delivery<'_, T, Q, M> {
    async fn record(&self, index: usize, record: &QueueRecord) -> Disposition {
        let catalog = match self.sending.catalog.catalog(self.tables, self.now).await {
            Ok(catalog) => catalog,
            Err(error) => return SendError::from(error).disposition(),
        };
        let confirmation = &catalog.confirmation_mail;
        let job = match Job::parse(&record.body, &self.sending.keys, confirmation, self.now) {
            Ok(job) => job,
            Err(refused) => return refused,
        };
        // The index keeps one message, twice in one batch, from taking itself for its own owner.
        let receipt = format!("{}#{}#{index}", record.message_id, record.receive_count);
        let owner = OwnerToken::derive(&record.request_id, &receipt);
        match Box::pin(self.deliver(&catalog, &job, owner)).await {
            Ok(disposition) => disposition,
            Err(error) => error.disposition(),
        }
    }

    async fn deliver(
        &self,
        catalog: &Catalog,
        job: &Job,
        owner: OwnerToken,
    ) -> Result<Disposition, SendError> {
        // Nobody has written this send yet, as a rule, and nobody is just changing its contact. The
        // first try stands on reads of half the price; what it writes is conditional on them.
        let mut consistency = Consistency::Eventual;
        for attempt in 0..CLAIM_ATTEMPTS {
            let found = ledger::load(self.tables, job.send, consistency).await?;
            match LedgerItem::on_delivery(found.as_ref().map(|found| &found.item), self.now) {
                OnDelivery::Acknowledge => return Ok(Disposition::Done),
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
                    let composition = self.compose(catalog, job, consistency).await?;
                    // Not sending writes nothing to the contact that could tell an old read: the
                    // consent may just have been given.
                    if composition.decided.is_ok() || consistency == Consistency::Strong {
                        let token = format!("{owner}-{attempt}");
                        match self.claim(job, composition, owner, &token, found).await? {
                            Claim::Held(held) => {
                                let (item, mail) = *held;
                                return self.call(item, owner, mail).await;
                            }
                            Claim::Skipped => return Ok(Disposition::Done),
                            Claim::Lost => {}
                        }
                    }
                }
            }
            consistency = Consistency::Strong;
        }
        let reason = format!("changed by others {CLAIM_ATTEMPTS} times over");
        Ok(Disposition::Retry { reason, after: None })
    }

    async fn compose(
        &self,
        catalog: &Catalog,
        job: &Job,
        consistency: Consistency,
    ) -> Result<Composition, SendError> {
        compose::compose(self.sending, self.tables, catalog, job, consistency, self.now).await
    }

    async fn give_up(&self, found: Option<Versioned<LedgerItem>>) -> Result<bool, SendError> {
        let Some(found) = found else { return Ok(false) };
        let Some(item) = found.item.given_up(self.now) else { return Ok(false) };
        let write = ledger::put(&item, Some(found.version))?;
        Ok(stored::commit(self.tables, write).await? == Committed::Done)
    }

    /// Claims or skips, as was decided.
    async fn claim(
        &self,
        job: &Job,
        Composition { profile, decided }: Composition,
        owner: OwnerToken,
        token: &str,
        found: Option<Versioned<LedgerItem>>,
    ) -> Result<Claim, SendError> {
        let item = |state, contact, consent| LedgerItem {
            send: job.send,
            profile: profile.or(job.profile),
            contact,
            asked_by: job.asked_by.clone(),
            mail: job.mail.clone(),
            topic: job.topic.clone(),
            state,
            owner,
            at: self.now,
            sending_at: None,
            consent,
            delivery: None,
            why: job.why.clone(),
        };
        let Composed { mail, evidence, contact, read } = match decided {
            Ok(composed) => *composed,
            Err(reasons) => {
                let skipped = item(SendState::Skipped { reasons }, None, None);
                return self.skip(found, skipped, token).await;
            }
        };
        let claimed = item(SendState::Claimed, Some(contact), Some(evidence.to_string()));
        let read_at = found.as_ref().map(|found| found.version);
        let writes = vec![
            ledger::put(&claimed, read_at)?,
            claimed_contact(job, contact, read.as_ref(), self.now)?,
        ];
        if !self.transact(writes, token).await? {
            return Ok(Claim::Lost);
        }
        if let Some(other) = found.and_then(|found| found.item.contact)
            && other != contact
        {
            // The address changed between two claims; the earlier one's contact is not counted.
            self.release_claim(job.send, other).await;
        }
        let version = read_at.unwrap_or(0) + 1;
        let held = Versioned { key: ledger::key(job.send), version, item: claimed };
        Ok(Claim::Held(Box::new((held, mail))))
    }

    /// Records a skip. One that stands already is left as it is. A claim of an earlier try is taken
    /// back in the same transaction: later it may be another delivery's, which decided afresh.
    async fn skip(
        &self,
        found: Option<Versioned<LedgerItem>>,
        item: LedgerItem,
        token: &str,
    ) -> Result<Claim, SendError> {
        let before = found.as_ref().map(|found| &found.item);
        if before.is_some_and(|before| matches!(before.state, SendState::Skipped { .. })) {
            return Ok(Claim::Skipped);
        }
        let counted = match before.and_then(|before| before.contact) {
            Some(contact) => contacts::load(self.tables, contact, Consistency::Strong).await?,
            None => None,
        };
        let put = ledger::put(&item, found.as_ref().map(|found| found.version))?;
        let released = counted.and_then(|mut read| read.item.release(item.send).then_some(read));
        let durable = match released {
            Some(read) => {
                let writes = vec![put, contacts::put(&read.item, Some(read.version), None)?];
                self.transact(writes, token).await?
            }
            None => stored::commit(self.tables, put).await? == Committed::Done,
        };
        Ok(if durable { Claim::Skipped } else { Claim::Lost })
    }

    /// Whether the transaction is durable. Its first write is the ledger's, whose owner token
    /// tells one's own earlier try from another's.
    async fn transact(&self, writes: Vec<Write>, token: &str) -> Result<bool, StoredError> {
        let mut attempt = 1;
        loop {
            match self.tables.transact(writes.clone(), token).await {
                Ok(Written::Done) => return Ok(true),
                Ok(Written::Conflict { index: 0, current: Some(row) }) => {
                    return Ok(writes.first().is_some_and(|write| is_row_of(write, &row)));
                }
                Ok(Written::Conflict { .. }) => return Ok(false),
                Err(error) if error.is_transient() && attempt < TRANSACT_ATTEMPTS => attempt += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// SENDING, the one call, and what it came to.
    async fn call(
        &self,
        held: Versioned<LedgerItem>,
        owner: OwnerToken,
        mail: OutgoingMail,
    ) -> Result<Disposition, SendError> {
        let lost = || Disposition::Retry {
            reason: "another delivery took it over".to_owned(),
            after: Some(SENDING_STALE),
        };
        let Some(sending) = held.item.sending(owner, self.now) else { return Ok(lost()) };
        let write = ledger::put(&sending, Some(held.version))?;
        if stored::commit(self.tables, write).await? != Committed::Done {
            return Ok(lost());
        }
        let outcome = match self.mailer.send(&mail).await {
            SendAnswer::Accepted(id) => CallOutcome::Sent(id),
            SendAnswer::Released(why) => CallOutcome::Released(why),
            SendAnswer::Failed(why) => CallOutcome::Failed(why),
            SendAnswer::Ambiguous(_) => CallOutcome::Unconfirmed,
        };
        if let (CallOutcome::Released(_) | CallOutcome::Failed(_), Some(contact)) =
            (&outcome, sending.contact)
        {
            // Before the ledger says so: after RELEASED the claim may be another delivery's.
            self.release_claim(sending.send, contact).await;
        }
        let version = held.version + 1;
        self.outcome(Versioned { item: sending, version, ..held }, owner, &outcome).await?;
        Ok(match outcome {
            CallOutcome::Released(why) => {
                Disposition::Retry { reason: format!("released: {why}"), after: None }
            }
            CallOutcome::Sent(_) | CallOutcome::Failed(_) | CallOutcome::Unconfirmed => {
                Disposition::Done
            }
        })
    }

    /// Writes what the call came to, over an UNCONFIRMED that another delivery wrote meanwhile;
    /// what SES's own event settled stays.
    async fn outcome(
        &self,
        mut at: Versioned<LedgerItem>,
        owner: OwnerToken,
        outcome: &CallOutcome,
    ) -> Result<(), SendError> {
        for _ in 0..RECORD_ATTEMPTS {
            let Some(item) = at.item.after_call(owner, outcome, self.now) else { return Ok(()) };
            let write = ledger::put(&item, Some(at.version))?;
            match stored::commit(self.tables, write).await? {
                Committed::Done => return Ok(()),
                Committed::Conflict(_) => {
                    match ledger::load(self.tables, item.send, Consistency::Strong).await? {
                        Some(found) => at = found,
                        None => return Ok(()),
                    }
                }
            }
        }
        Err(SendError::Contact(ContactError::Contended))
    }

    /// Takes a claim back. Where it fails the claim stays and counts: the careful side, and a
    /// later claim of the same send finds it in place.
    async fn release_claim(&self, send: SendId, contact: ContactKey) {
        let released = contacts::change(self.tables, contact, |c| Ok(c.release(send))).await;
        if let Err(error) = released {
            tracing::warn!(%send, %error, "a claim could not be taken back");
        }
    }
}

fn claimed_contact(
    job: &Job,
    key: ContactKey,
    read: Option<&Versioned<Contact>>,
    now: Stamp,
) -> Result<Write, StoredError> {
    let mut contact = read.map_or_else(|| Contact::new(key), |read| read.item.clone());
    contact.claim(job.send, now);
    contacts::put(&contact, read.map(|read| read.version), Some(job.send))
}
