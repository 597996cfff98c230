//! What was decided is written down: a claim, a deferral or a skip.
//!
//! A claim and the contact it counts in change in one transaction, and so do a skip or a deferral
//! and the place that an earlier claim gives back: no delivery can take back the claim of another
//! that took the send over meanwhile.

use super::compose::{Composed, Composition, Decided};
use super::job::Job;
use super::{Delivery, SendError, TRANSACT_ATTEMPTS};
use crate::ports::{Consistency, Mailer, OutgoingMail, Queues, Tables, Write, Written};
use crate::stored::{self, Committed, StoredError, Versioned, is_row_of};
use crate::{contacts, due, ledger};
use odyssey_domain::catalog::Catalog;
use odyssey_domain::contact::{self, Contact};
use odyssey_domain::ids::{ContactKey, OwnerToken, SendId};
use odyssey_domain::message::{Deferral, LedgerItem, SendState};
use odyssey_domain::policy::Reason;
use odyssey_domain::time::Stamp;
use odyssey_domain::wire::{Owner, Wake};

/// What came of writing down a decision.
pub(super) enum Claim {
    /// It is ours: the item as it stands, and the mail to send.
    Held(Box<(Versioned<LedgerItem>, OutgoingMail)>),
    /// Decided not to send, or not yet, and recorded.
    Settled,
    /// Something changed meanwhile: begin again.
    Lost,
}

/// Whose attempt it is: the owner, and the token of its transaction.
#[derive(Clone, Copy)]
pub(super) struct Attempt<'a> {
    pub owner: OwnerToken,
    pub token: &'a str,
}

impl<T: Tables, Q: Queues, M: Mailer> Delivery<'_, T, Q, M> {
    /// Claims, defers or skips, as was decided.
    pub(super) async fn claim(
        &self,
        catalog: &Catalog,
        job: &Job,
        Composition { profile, decided }: Composition,
        attempt: Attempt<'_>,
        found: Option<Versioned<LedgerItem>>,
    ) -> Result<Claim, SendError> {
        let before = found.as_ref().map(|found| &found.item);
        let item = LedgerItem {
            send: job.send,
            profile: profile.or(job.profile),
            contact: before.and_then(|before| before.contact),
            asked_by: job.asked_by.clone(),
            mail: job.mail.clone(),
            topic: job.topic.clone(),
            state: SendState::Claimed,
            owner: attempt.owner,
            at: self.now,
            sending_at: None,
            consent: None,
            delivery: None,
            deferral: before.and_then(|before| before.deferral.clone()),
            why: job.why.clone(),
        };
        match decided {
            Decided::Send(composed) => {
                self.hold(catalog, job, item, *composed, attempt, found).await
            }
            Decided::Defer { until, reasons } => {
                self.defer(job, item, until, reasons, attempt.token, found).await
            }
            Decided::Skip(reasons) => {
                if before.is_some_and(|before| matches!(before.state, SendState::Skipped { .. })) {
                    return Ok(Claim::Settled);
                }
                let item = LedgerItem { state: SendState::Skipped { reasons }, ..item };
                if !self.settle(&item, attempt.token, found).await? {
                    return Ok(Claim::Lost);
                }
                self.sending.tally.skipped();
                Ok(Claim::Settled)
            }
        }
    }

    async fn hold(
        &self,
        catalog: &Catalog,
        job: &Job,
        item: LedgerItem,
        Composed { mail, evidence, contact, read }: Composed,
        attempt: Attempt<'_>,
        found: Option<Versioned<LedgerItem>>,
    ) -> Result<Claim, SendError> {
        let earlier = item.contact.filter(|earlier| *earlier != contact);
        let consent = Some(evidence.to_string());
        let claimed = LedgerItem { contact: Some(contact), consent, ..item };
        let read_at = found.as_ref().map(|found| found.version);
        let mut writes = vec![
            ledger::put(&claimed, read_at)?,
            claimed_contact(catalog, job, contact, read.as_ref(), self.now)?,
        ];
        // The address changed between two claims; the earlier one's contact is not counted.
        writes.extend(self.given_back(job.send, earlier).await?);
        if !self.transact(writes, attempt.token).await? {
            return Ok(Claim::Lost);
        }
        let version = read_at.unwrap_or(0) + 1;
        let held = Versioned { key: ledger::key(job.send), version, item: claimed };
        Ok(Claim::Held(Box::new((held, mail))))
    }

    /// Records that the send is put off, then arms its timer. Where that fails the message comes
    /// again, finds the deferral and arms it.
    async fn defer(
        &self,
        job: &Job,
        item: LedgerItem,
        until: Stamp,
        reasons: Vec<Reason>,
        token: &str,
        found: Option<Versioned<LedgerItem>>,
    ) -> Result<Claim, SendError> {
        let mut deferral = item.deferral.clone().unwrap_or_else(|| Deferral {
            arm: 0,
            since: self.now,
            codes: Vec::new(),
            enrolled: job.enrolled,
        });
        deferral.arm += 1;
        for reason in &reasons {
            if !deferral.codes.contains(&reason.code) {
                deferral.codes.push(reason.code);
            }
        }
        let arm = deferral.arm;
        let state = SendState::Deferred { until, reasons };
        let item = LedgerItem { state, deferral: Some(deferral), ..item };
        if !self.settle(&item, token, found).await? {
            return Ok(Claim::Lost);
        }
        self.sending.tally.deferred();
        self.arm(job.send, arm, until).await?;
        Ok(Claim::Settled)
    }

    /// Arms the timer of a deferred send: by the sender's own queue where its time is near, else in
    /// the due index. Doing it again changes nothing.
    pub(super) async fn arm(&self, send: SendId, arm: u64, due: Stamp) -> Result<(), StoredError> {
        let wake = Wake { owner: Owner::Send(send), arm, due };
        due::arm(self.tables, self.queues, &wake, self.now).await
    }

    /// Writes that a send does not go out, or not yet, and gives back the place that an earlier
    /// claim of it holds. Says whether that is durable.
    async fn settle(
        &self,
        item: &LedgerItem,
        token: &str,
        found: Option<Versioned<LedgerItem>>,
    ) -> Result<bool, SendError> {
        let write = ledger::put(item, found.as_ref().map(|found| found.version))?;
        let back = self.given_back(item.send, item.contact).await?;
        Ok(match back {
            None => stored::commit(self.tables, write).await? == Committed::Done,
            Some(back) => self.transact(vec![write, back], token).await?,
        })
    }

    /// The write that takes a claim off a contact; none where there is none.
    pub(super) async fn given_back(
        &self,
        send: SendId,
        contact: Option<ContactKey>,
    ) -> Result<Option<Write>, StoredError> {
        let Some(contact) = contact else { return Ok(None) };
        let found = contacts::load(self.tables, contact, Consistency::Strong).await?;
        let Some(Versioned { version, item: mut contact, .. }) = found else { return Ok(None) };
        if !contact.release(send) {
            return Ok(None);
        }
        contacts::put(&contact, Some(version), None).map(Some)
    }

    /// Whether the transaction is durable. Its first write is the ledger's, whose owner token
    /// tells one's own earlier try from another's.
    pub(super) async fn transact(
        &self,
        writes: Vec<Write>,
        token: &str,
    ) -> Result<bool, StoredError> {
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
}

/// The contact with the claim, where caps may count it; else as it was, so that the claim fails
/// with every change of it all the same.
fn claimed_contact(
    catalog: &Catalog,
    job: &Job,
    key: ContactKey,
    read: Option<&Versioned<Contact>>,
    now: Stamp,
) -> Result<Write, StoredError> {
    let mut contact = read.map_or_else(|| Contact::new(key), |read| read.item.clone());
    let journey = job.asked_by.as_ref().map(|(journey, _)| journey);
    let exempt =
        catalog.topics.get(&job.topic).is_none_or(odyssey_domain::catalog::Topic::is_exempt);
    if journey.is_some() && !exempt {
        let claim = contact::Claim::new(now, &job.topic, journey);
        let paced = job.paced(catalog, None, contacts::room(&contact));
        contact.claim(job.send, claim, |claim| paced.needs(claim, now));
    }
    contacts::put(&contact, read.map(|read| read.version), Some(job.send))
}
