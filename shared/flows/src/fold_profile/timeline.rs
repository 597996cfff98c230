//! The timeline: what was folded, by identity and time.
//!
//! A delivery's events of one identity are packed into one row that stands at the first of them,
//! those more than five minutes on into the next one; an event received more than seven days after
//! its stamp has a row of its own, so that it can be looked up by itself. Rows are written only
//! after the fold, so their presence proves it.

use super::fold::LATE_AFTER;
use crate::ports::{Consistency, Key, Query, Table, Tables, Written};
use crate::stored::{self, Stored, StoredError};
use odyssey_domain::event::Event;
use odyssey_domain::ids::{IdentityKey, Position};
use odyssey_domain::time::{Span, Stamp};
use odyssey_domain::wire::SourceRef;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Rows of one read of a timeline.
const ROWS_PER_READ: usize = 1_000;
/// The events of one row lie within this of its first: who looks for what happened at a time then
/// knows how far back a row that holds it can stand.
pub const ROW_SPAN: Span = Span::MINUTE.times(5);
/// What was folded is kept so long.
pub const KEPT: Span = Span::DAY.times(400);

/// The range of sort keys in which events stand; raised signals ([`crate::signals`]) follow it.
pub const EVENT_KEYS: (&str, &str) = ("0", "9~");

/// Events of one identity that arrived together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TimelineRow {
    /// When they were received.
    pub received: Stamp,
    /// Through which source.
    pub source: SourceRef,
    /// In the order of their positions; never empty.
    pub events: Vec<Event>,
}

impl Stored for TimelineRow {
    const NAME: &'static str = "timeline";
    const SCHEMA: u16 = 1;
    /// A bus entry holds at most 256 KB, and a row holds less than one.
    const BYTES_MAX: usize = 256 * 1024;

    fn expires(&self) -> Option<Stamp> {
        Some(self.received.plus(KEPT))
    }
}

/// Where the row that begins with this event stands.
#[must_use]
pub fn key(identity: IdentityKey, first: Position) -> Key {
    Key {
        table: Table::Timeline,
        pk: identity.to_string(),
        sk: format!("{:015}#{}", first.at.ms(), first.id),
    }
}

/// Packs one identity's events of one delivery into rows.
pub(super) fn pack(
    received: Stamp,
    source: &SourceRef,
    mut events: Vec<&Event>,
) -> Vec<(Position, TimelineRow)> {
    events.sort_by_key(|event| event.position());
    let (late, packed): (Vec<&Event>, Vec<&Event>) =
        events.into_iter().partition(|event| received.since(event.at) > LATE_AFTER);
    let row = |events: &[&Event]| {
        let first = events.first()?.position();
        let events = events.iter().map(|event| (*event).clone()).collect();
        Some((first, TimelineRow { received, source: source.clone(), events }))
    };
    late.iter().map(std::slice::from_ref).chain(spans(&packed)).filter_map(row).collect()
}

/// Sorted events in runs of at most [`ROW_SPAN`].
fn spans<'e, 'a>(mut events: &'e [&'a Event]) -> impl Iterator<Item = &'e [&'a Event]> {
    std::iter::from_fn(move || {
        let last = events.first()?.at.plus(ROW_SPAN);
        let (row, rest) = events.split_at(events.partition_point(|event| event.at <= last));
        events = rest;
        Some(row)
    })
}

/// Puts a row. One that already stands there stays as it is, and what it lacks is put at the next
/// place: another delivery may begin with the same event and hold others.
pub(super) async fn put(
    tables: &impl Tables,
    identity: IdentityKey,
    mut first: Position,
    mut row: TimelineRow,
) -> Result<(), StoredError> {
    loop {
        let key = key(identity, first);
        let write = stored::put(key.clone(), &row, None)?;
        let current = match tables.write(write).await? {
            Written::Done => return Ok(()),
            Written::Conflict { current: Some(current), .. } => Some(current),
            Written::Conflict { current: None, .. } => {
                let found = tables.get_many(&[key], Consistency::Strong).await?;
                found.into_iter().next().flatten()
            }
        };
        // Gone meanwhile, as only its erasure or its expiry can make it: nothing to write beside.
        let Some(current) = current else { return Ok(()) };
        let held: TimelineRow = stored::decode(&current)?;
        let ids: BTreeSet<&str> = held.events.iter().map(|event| event.id.as_str()).collect();
        row.events.retain(|event| !ids.contains(event.id.as_str()));
        let before = first;
        let Some(next) = row.events.first() else { return Ok(()) };
        first = next.position();
        if first == before {
            let cause = "does not hold the event it stands at".to_owned();
            return Err(StoredError::Corrupt { name: TimelineRow::NAME, cause });
        }
    }
}

/// The events of an identity between two instants, inclusive, oldest first, each once; at most
/// 1,000 rows of them, the latest where there are more. Eventually consistent.
///
/// # Errors
/// Where the port fails or a row cannot be read.
pub async fn read(
    tables: &impl Tables,
    identity: IdentityKey,
    from: Stamp,
    to: Stamp,
) -> Result<Vec<(SourceRef, Event)>, StoredError> {
    let rows = tables
        .query(&Query {
            table: Table::Timeline,
            pk: identity.to_string(),
            // A row stands at its first event and may reach into the span from before it.
            from: format!("{:015}", from.minus(LATE_AFTER).ms()),
            to: format!("{:015}#~", to.ms()),
            limit: ROWS_PER_READ,
            descending: true,
            consistency: Consistency::Eventual,
        })
        .await?;
    let mut seen = BTreeSet::new();
    let mut events = Vec::new();
    for row in &rows {
        let row: TimelineRow = stored::decode(row)?;
        for event in row.events {
            if event.at >= from && event.at <= to && seen.insert(event.id.clone()) {
                events.push((row.source.clone(), event));
            }
        }
    }
    events.sort_by_key(|(_, event)| event.position());
    Ok(events)
}
