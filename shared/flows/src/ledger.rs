//! The stored ledger: where its items stand, and how they are written.

use crate::ports::{Consistency, Key, Table, Tables, Write};
use crate::stored::{self, Stored, StoredError, Versioned};
use odyssey_domain::ids::SendId;
use odyssey_domain::message::{LedgerItem, SendState};
use odyssey_domain::time::{Span, Stamp};

/// How long a send is remembered: longer than any redelivery, redrive or question about it.
pub const LEDGER_KEPT: Span = Span::from_ms(400 * 86_400_000);
/// The index partition of the unconfirmed sends; its sort key is `<15-digit ms since>`.
pub const UNCONFIRMED: &str = "unconfirmed";

impl Stored for LedgerItem {
    const NAME: &'static str = "ledger";
    /// 2: sends may be deferred.
    const SCHEMA: u16 = 2;
    /// With its key, the attributes' names and the index entry the item stays within 1 KB: one
    /// write unit.
    const BYTES_MAX: usize = 920;

    fn expires(&self) -> Option<Stamp> {
        Some(self.at.plus(LEDGER_KEPT))
    }

    fn index(&self) -> Option<(String, String)> {
        match self.state {
            SendState::Unconfirmed { since } => {
                Some((UNCONFIRMED.to_owned(), format!("{:015}", since.ms())))
            }
            _ => None,
        }
    }
}

/// Where a send stands.
#[must_use]
pub fn key(send: SendId) -> Key {
    Key { table: Table::Ledger, pk: send.to_string(), sk: "send".to_owned() }
}

/// Reads a send. Every write of a send is conditional on the version that was read, so that a read
/// that is a moment old costs another round and nothing else; that a send is absent is only true of
/// a strongly consistent read.
///
/// # Errors
/// Where the port fails or the row cannot be read.
pub async fn load(
    tables: &impl Tables,
    send: SendId,
    consistency: Consistency,
) -> Result<Option<Versioned<LedgerItem>>, StoredError> {
    stored::load(tables, key(send), consistency).await
}

/// A put of a send at the version it was read at (`None`: on its absence). Where it would pass its
/// limit, what explains it is left out before what decides it ([`LedgerItem::slim`]).
///
/// # Errors
/// Where it passes its limit all the same.
pub fn put(item: &LedgerItem, read_at: Option<u64>) -> Result<Write, StoredError> {
    let mut slimmer = item.clone();
    loop {
        match stored::put(key(item.send), &slimmer, read_at) {
            Err(StoredError::TooLarge { .. }) if slimmer.slim() => {}
            other => return other,
        }
    }
}

/// The sends whose outcome nobody knows, oldest first, at most `limit`; a moment old.
///
/// # Errors
/// Where the port fails or a row cannot be read.
pub async fn unconfirmed(
    tables: &impl Tables,
    limit: usize,
) -> Result<Vec<LedgerItem>, StoredError> {
    let rows = tables.query_index(Table::Ledger, UNCONFIRMED, limit).await?;
    rows.iter().map(stored::decode).collect()
}
