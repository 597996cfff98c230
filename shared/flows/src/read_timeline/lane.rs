//! One identity's rows, read in one direction as far as a page needs them.

use super::Direction;
use crate::fold_profile::timeline::{EVENT_KEYS, TimelineRow};
use crate::ports::{Consistency, Query, Row, Table, Tables};
use crate::stored::{self, StoredError};
use odyssey_domain::ids::IdentityKey;
use odyssey_domain::time::{Span, Stamp};

/// Rows of a lane's first read; each further one doubles it.
const ROWS_FIRST: usize = 32;
/// Rows of one read (`Tables::query`).
const ROWS_PER_READ_MAX: usize = 1_000;
/// The first and the last sort key that an event's row can have.
const LEAST: &str = EVENT_KEYS.0;
const GREATEST: &str = EVENT_KEYS.1;

/// One identity's rows.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) owner: IdentityKey,
    direction: Direction,
    /// Where the first read begins.
    start: String,
    /// The last sort key that was read.
    last: Option<String>,
    /// Nothing is left to read.
    pub(super) exhausted: bool,
    rows_next: usize,
}

/// What a read brought.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) rows: Vec<TimelineRow>,
    /// Rows that this release cannot read.
    pub(super) unreadable: usize,
}

impl Lane {
    /// All rows at or past `from`, and those that stand up to `before` before it.
    pub(super) fn new(
        owner: IdentityKey,
        direction: Direction,
        from: Option<Stamp>,
        before: Span,
    ) -> Lane {
        let start = match (direction, from) {
            (Direction::NewestFirst, None) => GREATEST.to_owned(),
            (Direction::NewestFirst, Some(at)) => format!("{:015}#~", at.plus(before).ms()),
            (Direction::OldestFirst, None) => LEAST.to_owned(),
            (Direction::OldestFirst, Some(at)) => format!("{:015}", at.minus(before).ms()),
        };
        Lane { owner, direction, start, last: None, exhausted: false, rows_next: ROWS_FIRST }
    }

    /// The stamp of the last row that was read; what was not read lies at it or past it. `None`
    /// before the first read.
    pub(super) fn frontier(&self) -> Option<Stamp> {
        let digits = self.last.as_ref()?.split('#').next()?;
        Some(Stamp::from_ms(digits.parse().ok()?))
    }

    /// Reads on.
    pub(super) async fn read(mut self, tables: &impl Tables) -> Result<(Lane, Read), StoredError> {
        let descending = self.direction == Direction::NewestFirst;
        let at = self.last.clone().unwrap_or_else(|| self.start.clone());
        let (from, to) =
            if descending { (LEAST.to_owned(), at) } else { (at, GREATEST.to_owned()) };
        let limit = self.rows_next.min(ROWS_PER_READ_MAX);
        let query = Query {
            table: Table::Timeline,
            pk: self.owner.to_string(),
            from,
            to,
            limit,
            descending,
            consistency: Consistency::Eventual,
        };
        let found = tables.query(&query).await?;
        self.exhausted = found.len() < limit;
        self.rows_next = limit * 2;
        // Both ends of a query are inclusive: the row at which the last read ended comes again.
        let known = self.last.take();
        let new = found.iter().filter(|row| known.as_ref() != Some(&row.key.sk));
        let mut read = Read::default();
        for row in new {
            match decode(row)? {
                Some(row) => read.rows.push(row),
                None => read.unreadable += 1,
            }
        }
        self.last = found.last().map(|row| row.key.sk.clone()).or(known);
        Ok((self, read))
    }
}

/// A row that cannot be read hides no other: it is counted.
fn decode(row: &Row) -> Result<Option<TimelineRow>, StoredError> {
    match stored::decode(row) {
        Ok(row) => Ok(Some(row)),
        Err(StoredError::Corrupt { .. } | StoredError::Newer { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
