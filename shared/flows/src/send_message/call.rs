//! The one call, and what is written of it.

use super::{Delivery, RECORD_ATTEMPTS, SendError};
use crate::contacts::ContactError;
use crate::ledger;
use crate::ports::{Consistency, Mailer, OutgoingMail, Queues, SendAnswer, Tables};
use crate::queue::Disposition;
use crate::stored::{self, Committed, Versioned};
use odyssey_domain::ids::OwnerToken;
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
    /// what SES's own event settled stays. A message that certainly did not go out is taken off
    /// the contact's claims in the same transaction.
    async fn outcome(
        &self,
        mut at: Versioned<LedgerItem>,
        owner: OwnerToken,
        outcome: &CallOutcome,
    ) -> Result<(), SendError> {
        let mut back = matches!(outcome, CallOutcome::Released(_) | CallOutcome::Failed(_));
        for attempt in 0..RECORD_ATTEMPTS {
            let Some(item) = at.item.after_call(owner, outcome, self.now) else { return Ok(()) };
            let write = ledger::put(&item, Some(at.version))?;
            // On the last try without the contact: that the message did not go out is worth more
            // than its place, which then counts until its windows have passed.
            back &= attempt + 1 < RECORD_ATTEMPTS;
            let contact =
                if back { self.given_back(item.send, item.contact).await } else { Ok(None) };
            let written = match contact {
                Ok(Some(contact)) => {
                    let token = format!("{owner}-after-{attempt}");
                    self.transact(vec![write, contact], &token).await
                }
                Ok(None) => {
                    stored::commit(self.tables, write).await.map(|done| done == Committed::Done)
                }
                Err(error) => Err(error),
            };
            match written {
                Ok(true) => return Ok(()),
                Ok(false) => match ledger::load(self.tables, item.send, Consistency::Strong).await?
                {
                    Some(found) => at = found,
                    None => return Ok(()),
                },
                Err(error) if back => {
                    tracing::warn!(send = %item.send, %error, "a claim could not be taken back");
                    back = false;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(SendError::Contact(ContactError::Contended))
    }
}
