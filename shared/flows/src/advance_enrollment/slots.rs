//! Slots: where enrollments are stored and how they are read and written.

use crate::ports::{Consistency, Expect, Key, Query, Row, Table, Tables, Write, Written};
use crate::stored::{self, Stored, StoredError, Versioned, decode};
use futures_util::future::join_all;
use odyssey_domain::ids::ProfileId;
use odyssey_domain::journey::{Enrollment, SlotId};
use odyssey_domain::time::Stamp;
use odyssey_domain::wire::Why;
use std::sync::Arc;

impl Stored for Enrollment {
    const NAME: &'static str = "enrollment";
    const SCHEMA: u16 = 1;
    /// One write unit is 1,024 bytes of item: the longest keys, the attribute names and the other
    /// attributes take 144 of them.
    const BYTES_MAX: usize = 880;

    fn expires(&self) -> Option<Stamp> {
        self.forget
    }
}

/// Slots read of one profile and identity at most; beyond them the oldest journeys by name win.
/// A profile would have to be in so many journeys or under so many enrollment keys within 60 days.
pub const SLOTS_MAX: usize = 500;

/// Where a slot stands.
#[must_use]
pub fn slot_key(slot: &SlotId) -> Key {
    Key {
        table: Table::Enrollments,
        pk: slot.profile.to_string(),
        sk: format!("{}#{}", slot.journey, slot.key),
    }
}

/// One slot; none where nobody ever entered it, or that is forgotten.
pub(super) async fn load(
    tables: &impl Tables,
    slot: &SlotId,
    consistency: Consistency,
) -> Result<Option<Versioned<Enrollment>>, StoredError> {
    stored::load(tables, slot_key(slot), consistency).await
}

/// All slots under an identity, ended ones included; each that cannot be read is an error of its
/// own.
pub(super) async fn load_all(
    tables: &impl Tables,
    owner: ProfileId,
) -> Result<Vec<Result<Versioned<Enrollment>, StoredError>>, StoredError> {
    let query = Query {
        table: Table::Enrollments,
        pk: owner.to_string(),
        // Sort keys begin with a journey's name, which begins with a letter.
        from: "a".to_owned(),
        to: "~".to_owned(),
        limit: SLOTS_MAX,
        descending: false,
        consistency: Consistency::Strong,
    };
    Ok(tables.query(&query).await?.into_iter().map(read).collect())
}

/// The same slot under several identities.
pub(super) async fn load_same(
    tables: &impl Tables,
    owners: &[ProfileId],
    slot: &SlotId,
) -> Result<Vec<Versioned<Enrollment>>, StoredError> {
    let same = owners.iter().map(|owner| SlotId { profile: *owner, ..slot.clone() });
    let loads = same.map(|slot| async move { load(tables, &slot, Consistency::Strong).await });
    let found: Result<Vec<Option<Versioned<Enrollment>>>, StoredError> =
        join_all(loads).await.into_iter().collect();
    Ok(found?.into_iter().flatten().collect())
}

pub(super) fn read(row: Row) -> Result<Versioned<Enrollment>, StoredError> {
    Ok(Versioned { item: decode(&row)?, version: row.version, key: row.key })
}

/// Writes a slot, conditional on the version it was read at (`None`: on its absence). Where the
/// item would pass one write unit, its reasons are trimmed further.
pub(super) async fn save(
    tables: &impl Tables,
    enrollment: &mut Enrollment,
    read_at: Option<u64>,
) -> Result<Written, StoredError> {
    let key = slot_key(&enrollment.slot);
    let mut limit = Why::BYTES_MAX;
    let put = loop {
        match stored::put(key.clone(), enrollment, read_at) {
            Err(StoredError::TooLarge { .. }) if limit > 0 => {
                limit = limit.saturating_sub(Why::BYTES_MAX / 4);
                Arc::make_mut(&mut enrollment.why).trim_to(limit);
            }
            put => break put?,
        }
    };
    // What stood there may be forgotten: TTL deletes within days, and a slot that is gone is free.
    debug_assert!(!matches!(put, Write::Put { expect: Expect::Any, .. }));
    let written = tables.write(put.clone()).await?;
    Ok(match &written {
        // One's own write, whose answer was lost and which the SDK sent again: its effects are
        // still to be carried out.
        Written::Conflict { current: Some(row), .. } if stored::is_row_of(&put, row) => {
            Written::Done
        }
        _ => written,
    })
}
