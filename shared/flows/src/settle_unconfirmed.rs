//! What an operator found out about a send whose outcome nobody knew.
//!
//! Normally SES's own event settles an unconfirmed send within minutes. What is left after an hour
//! is looked up by hand (in SES's message insights, or by asking the recipient) and told here. No
//! verdict sends anything: a mail that did not go out stays unsent and is on record as failed.

use crate::contacts;
use crate::ledger;
use crate::ports::{Consistency, Tables};
use crate::stored::{self, Committed, StoredError};
use odyssey_domain::ids::SendId;
use odyssey_domain::message::{LedgerItem, SendState, Verdict};
use odyssey_domain::time::Stamp;

/// How often it is settled anew because others wrote the send meanwhile.
const ATTEMPTS: usize = 5;

/// Why a send was not settled.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    /// There is no such send.
    #[error("no send {0} is in the ledger")]
    Unknown(SendId),
    /// Its outcome is known.
    #[error("send {send} is not unconfirmed: it is {found}")]
    Known {
        /// Which.
        send: SendId,
        /// Its state.
        found: &'static str,
    },
    /// Others kept writing to it.
    #[error("the send was changed by others {ATTEMPTS} times over")]
    Contended,
    /// Reading or writing failed.
    #[error(transparent)]
    Stored(#[from] StoredError),
}

/// Settles an unconfirmed send; the item as it now stands. One that was not sent is taken off its
/// contact's claims, so that it does not count against the caps.
///
/// # Errors
/// Where it is not unconfirmed (any more), or a table fails.
pub async fn settle(
    tables: &impl Tables,
    send: SendId,
    verdict: &Verdict,
    now: Stamp,
) -> Result<LedgerItem, SettleError> {
    for _ in 0..ATTEMPTS {
        let found = ledger::load(tables, send, Consistency::Strong).await?;
        let found = found.ok_or(SettleError::Unknown(send))?;
        let Some(item) = found.item.decided(verdict, now) else {
            return Err(SettleError::Known { send, found: found.item.state.name() });
        };
        let write = ledger::put(&item, Some(found.version))?;
        if stored::commit(tables, write).await? != Committed::Done {
            continue;
        }
        if let (SendState::Failed { .. }, Some(contact)) = (&item.state, item.contact) {
            let released = contacts::change(tables, contact, |c| Ok(c.release(send))).await;
            if let Err(error) = released {
                tracing::warn!(%send, %error, "a claim could not be taken back");
            }
        }
        return Ok(item);
    }
    Err(SettleError::Contended)
}
