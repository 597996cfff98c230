//! The one call, and what is written of it.

use super::{Delivery, RECORD_ATTEMPTS, SendError};
use crate::contacts::{self, ContactError};
use crate::ledger;
use crate::ports::{Consistency, Mailer, OutgoingMail, Queues, SendAnswer, Tables};
use crate::queue::Disposition;
use crate::stored::{self, Committed, Versioned};
use odyssey_domain::ids::{ContactKey, OwnerToken, SendId};
use odyssey_domain::message::{CallOutcome, LedgerItem, SENDING_STALE};

impl<T: Tables, Q: Queues, M: Mailer> Delivery<'_, T, Q, M> {
    /// SENDING, the one call, and what it came to.
    pub(super) async fn call(
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
        match outcome {
            CallOutcome::Sent(_) => {
                self.sending.tally.accepted();
                self.sending.rate().accepted();
            }
            CallOutcome::Unconfirmed => self.sending.tally.unconfirmed(),
            CallOutcome::Released(_) => self.sending.rate().refused(self.now),
            CallOutcome::Failed(_) => {}
        }
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
