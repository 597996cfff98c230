//! Raised signals with their evidence, kept beside the timeline.
//!
//! A profile's item says of each rule what was decided last, and no more: evidence for all that was
//! ever raised would be most of it. Each raise has a row of its own instead, written when it is
//! published, so that what was decided can be shown as long as the events it was decided on.

use crate::ports::{Consistency, Key, Query, Table, Tables, Written};
use crate::stored::{self, Stored, StoredError};
use odyssey_domain::ids::IdentityKey;
use odyssey_domain::signal::Raise;
use odyssey_domain::time::{Span, Stamp};

/// As long as the timeline.
const KEPT: Span = Span::DAY.times(400);
/// The most signals of one identity that are read.
const SIGNALS_PER_READ_MAX: usize = 100;

impl Stored for Raise {
    const NAME: &'static str = "signal";
    const SCHEMA: u16 = 1;
    /// Evidence is about 400 bytes; what should pass this is kept without it.
    const BYTES_MAX: usize = 8 * 1024;

    fn expires(&self) -> Option<Stamp> {
        Some(self.at.plus(KEPT))
    }
}

/// Where a raise of the profile stored at `root` stands: after its events, which begin with digits.
#[must_use]
pub fn key(root: IdentityKey, raise: &Raise) -> Key {
    Key {
        table: Table::Timeline,
        pk: root.to_string(),
        sk: format!("signal#{:015}#{}", raise.at.ms(), raise.id),
    }
}

/// Keeps a raise. Keeping it again changes nothing.
pub(crate) async fn keep(
    tables: &impl Tables,
    root: IdentityKey,
    raise: &Raise,
) -> Result<(), StoredError> {
    let write = match stored::put(key(root, raise), raise, None) {
        Err(StoredError::TooLarge { .. }) => {
            let mut without = raise.clone();
            without.evidence.clear();
            without.evidence.insert("trimmed".to_owned(), true.into());
            stored::put(key(root, raise), &without, None)?
        }
        put => put?,
    };
    match tables.write(write).await? {
        Written::Done | Written::Conflict { .. } => Ok(()),
    }
}

/// The raises under the identities of one profile (its `owners`), each once, the last first, at
/// most `limit`. Eventually consistent.
///
/// # Errors
/// Where the port fails or a row cannot be read.
pub async fn latest(
    tables: &impl Tables,
    owners: &[IdentityKey],
    limit: usize,
) -> Result<Vec<Raise>, StoredError> {
    let mut found: Vec<Raise> = Vec::new();
    let asked = owners.iter().map(async |owner| {
        let query = Query {
            table: Table::Timeline,
            pk: owner.to_string(),
            from: "signal#".to_owned(),
            to: "signal#~".to_owned(),
            limit: limit.clamp(1, SIGNALS_PER_READ_MAX),
            descending: true,
            consistency: Consistency::Eventual,
        };
        tables.query(&query).await
    });
    for rows in futures_util::future::join_all(asked).await {
        for row in rows? {
            let raise: Raise = stored::decode(&row)?;
            // Both sides of a link may have kept it, as the write that made it was repeated.
            if found.iter().all(|known| known.id != raise.id) {
                found.push(raise);
            }
        }
    }
    found.sort_by_key(|raise| std::cmp::Reverse((raise.at, raise.id)));
    found.truncate(limit);
    Ok(found)
}
