//! A profile's whole history in the order in which it happened, page by page.
//!
//! The timeline's rows stand under the identity that each event was folded under, so that a link
//! moves none of them; the history of a profile is their merge, made on read, compacted identities
//! included. A page ends at a place and not after a count ([`Cursor`]): what arrives meanwhile, late
//! or not, lands where it belongs, and no event is shown twice or passed over in a walk that it was
//! there for.
//!
//! An event that was delivered several times may stand in several rows, and under several stamps
//! where its client's clock was corrected differently. Of copies within five minutes of each other
//! the one received first is shown: most likely the one that was folded.

mod cursor;
mod lane;

pub use cursor::{Cursor, CursorError, Place};

use crate::fold_profile::timeline::{ROW_SPAN, TimelineRow};
use crate::ports::Tables;
use crate::stored::StoredError;
use futures_util::StreamExt as _;
use lane::Lane;
use odyssey_domain::event::Event;
use odyssey_domain::ids::{EventHash, IdentityKey};
use odyssey_domain::time::{Span, Stamp};
use odyssey_domain::wire::SourceRef;
use std::collections::BTreeMap;

/// The most events of one page.
pub const EVENTS_PER_PAGE_MAX: usize = 500;
/// The most rows that one page reads, give or take one read of each identity.
pub const ROWS_PER_PAGE_MAX: usize = 4_000;
/// Copies of one event within this of each other are told apart from two events.
const NEAR: Span = ROW_SPAN;
/// Identities that are read at a time.
const READS_AT_ONCE: usize = 16;

/// Which way a walk goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From now into the past.
    NewestFirst,
    /// From the first event on.
    OldestFirst,
}

impl Direction {
    /// How far before an event rows are read that may hold it or copies of it. A row stands at its
    /// first event and reaches forward in time.
    const fn before(self) -> Span {
        match self {
            Direction::NewestFirst => NEAR,
            Direction::OldestFirst => Span::from_ms(NEAR.ms() + ROW_SPAN.ms()),
        }
    }

    /// The same past it.
    const fn past(self) -> Span {
        match self {
            Direction::NewestFirst => Direction::OldestFirst.before(),
            Direction::OldestFirst => NEAR,
        }
    }
}

/// One event of the history.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// Its place in the order.
    pub place: Place,
    /// When it was received.
    pub received: Stamp,
    /// Through which source.
    pub source: SourceRef,
    /// The event.
    pub event: Event,
}

/// A page.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Page {
    /// In the order of the walk. May be fewer than were asked for although there are more.
    pub events: Vec<Told>,
    /// Where the next page begins; none where the walk is over.
    pub next: Option<Cursor>,
    /// A stretch of time that holds more rows than one page reads: between these two instants
    /// events may be out of order, or be missing.
    pub crowded: Option<(Stamp, Stamp)>,
    /// Rows that this release cannot read, and left out.
    pub unreadable: usize,
}

/// Reads one page of the history of the identities `owners` (a profile's own, as its view lists
/// them), at most `limit` events, from `after` on. Eventually consistent.
///
/// # Errors
/// Where the port fails.
pub async fn page(
    tables: &impl Tables,
    owners: &[IdentityKey],
    direction: Direction,
    after: Option<Cursor>,
    limit: usize,
) -> Result<Page, StoredError> {
    let limit = limit.clamp(1, EVENTS_PER_PAGE_MAX);
    let mut walk = Walk::new(owners, direction, after, direction.before());
    if !walk.fill(tables, limit).await? && walk.decided().next().is_none() && walk.is_behind() {
        // So much lies just ahead of where the page begins that nothing of the page was reached.
        walk = Walk::new(owners, direction, after, Span::ZERO);
        walk.fill(tables, limit).await?;
    }
    Ok(walk.into_page(limit))
}

/// What a page has read so far.
struct Walk {
    direction: Direction,
    after: Option<Cursor>,
    lanes: Vec<Lane>,
    held: BTreeMap<Place, Told>,
    /// The stamps and receipts of each event.
    copies: BTreeMap<(IdentityKey, EventHash), Vec<(Stamp, Stamp)>>,
    rows: usize,
    unreadable: usize,
}

impl Walk {
    fn new(
        owners: &[IdentityKey],
        direction: Direction,
        after: Option<Cursor>,
        before: Span,
    ) -> Walk {
        let from = after.map(|cursor| cursor.0.at.at);
        let lanes = owners.iter().map(|owner| Lane::new(*owner, direction, from, before)).collect();
        Walk {
            direction,
            after,
            lanes,
            held: BTreeMap::new(),
            copies: BTreeMap::new(),
            rows: 0,
            unreadable: 0,
        }
    }

    /// Reads until the page is certain, or as much as a page may; whether it is certain.
    async fn fill(&mut self, tables: &impl Tables, limit: usize) -> Result<bool, StoredError> {
        loop {
            // One more than the page holds says that there is a next one.
            if self.decided().take(limit + 1).count() > limit || self.is_exhausted() {
                return Ok(true);
            }
            if self.rows >= ROWS_PER_PAGE_MAX {
                return Ok(false);
            }
            self.read_on(tables, limit).await?;
        }
    }

    fn is_exhausted(&self) -> bool {
        self.lanes.iter().all(|lane| lane.exhausted)
    }

    /// Reads the lanes that hold the page back.
    async fn read_on(&mut self, tables: &impl Tables, limit: usize) -> Result<(), StoredError> {
        let wanted = self.shown().nth(limit).map(|told| self.along(told.place.at.at));
        let mut reads = Vec::new();
        for lane in std::mem::take(&mut self.lanes) {
            let frontier = lane.frontier().map(|at| self.along(at));
            let is_past = match (wanted, frontier) {
                (Some(wanted), Some(frontier)) => wanted + self.slack() < frontier,
                _ => false,
            };
            if lane.exhausted || is_past {
                self.lanes.push(lane);
            } else {
                reads.push(lane.read(tables));
            }
        }
        let mut reads = futures_util::stream::iter(reads).buffer_unordered(READS_AT_ONCE);
        while let Some(read) = reads.next().await {
            let (lane, read) = read?;
            self.rows += read.rows.len() + read.unreadable;
            self.unreadable += read.unreadable;
            for row in read.rows {
                self.hold(lane.owner, row);
            }
            self.lanes.push(lane);
        }
        Ok(())
    }

    fn hold(&mut self, owner: IdentityKey, row: TimelineRow) {
        let TimelineRow { received, source, events } = row;
        for event in events {
            let place = Place { at: event.position(), owner };
            let copies = self.copies.entry((owner, place.at.id)).or_default();
            match copies.iter_mut().find(|(at, _)| *at == place.at.at) {
                None => copies.push((place.at.at, received)),
                Some((_, first)) if received < *first => *first = received,
                Some(_) => continue,
            }
            let source = source.clone();
            self.held.insert(place, Told { place, received, source, event });
        }
    }

    /// An instant as the way that the walk has come.
    fn along(&self, at: Stamp) -> i64 {
        along(self.direction, at)
    }

    /// How far past an event its lanes must have been read for it to be certain.
    const fn slack(&self) -> i64 {
        self.direction.past().ms_i64()
    }

    /// How far everything was read; none where a lane was not read at all.
    fn frontier(&self) -> Option<i64> {
        let open = self.lanes.iter().filter(|lane| !lane.exhausted);
        let each = open.map(|lane| lane.frontier().map(|at| self.along(at)));
        each.min().unwrap_or(Some(i64::MAX))
    }

    /// Whether what was read does not even reach where the page begins.
    fn is_behind(&self) -> bool {
        let begin = self.after.map(|cursor| self.along(cursor.0.at.at));
        begin.is_some_and(|begin| self.frontier().is_none_or(|read| read <= begin))
    }

    /// What is held past the cursor, in the order of the walk, of copies one.
    fn shown(&self) -> impl Iterator<Item = &Told> {
        let after = self.after.map(|cursor| cursor.0);
        let (forth, back) = match (self.direction, after) {
            (Direction::OldestFirst, None) => (Some(self.held.range(..)), None),
            (Direction::OldestFirst, Some(after)) => {
                let past = (std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded);
                (Some(self.held.range(past)), None)
            }
            (Direction::NewestFirst, None) => (None, Some(self.held.range(..).rev())),
            (Direction::NewestFirst, Some(after)) => (None, Some(self.held.range(..after).rev())),
        };
        let all = forth.into_iter().flatten().chain(back.into_iter().flatten());
        all.map(|(_, told)| told).filter(|told| self.is_first_copy(told))
    }

    /// The part of it that nothing which was not read can change.
    fn decided(&self) -> impl Iterator<Item = &Told> {
        let (frontier, slack) = (self.frontier(), self.slack());
        self.shown().take_while(move |told| {
            frontier.is_some_and(|frontier| self.along(told.place.at.at) + slack < frontier)
        })
    }

    fn is_first_copy(&self, told: &Told) -> bool {
        let at = told.place.at.at;
        let copies = self.copies.get(&(told.place.owner, told.place.at.id));
        let is_before = |(other, received): &(Stamp, Stamp)| {
            let near = other.since(at).max(at.since(*other)) <= NEAR;
            near && (*received, *other) < (told.received, at)
        };
        !copies.into_iter().flatten().any(is_before)
    }

    fn into_page(self, limit: usize) -> Page {
        let mut page = Page { unreadable: self.unreadable, ..Page::default() };
        page.events = self.decided().take(limit + 1).cloned().collect();
        let mut more = !self.is_exhausted();
        if page.events.is_empty() && more {
            return self.into_crowded_page(page, limit);
        }
        more |= page.events.len() > limit;
        page.events.truncate(limit);
        page.next = page.events.last().filter(|_| more).map(|told| Cursor::at(told.place));
        page
    }

    /// The best that can be said where more lies at one time than a page reads: what was read,
    /// and how far to pass over.
    fn into_crowded_page(self, mut page: Page, limit: usize) -> Page {
        let begin = self.after.map(|cursor| self.along(cursor.0.at.at));
        let read = self.frontier().unwrap_or(0).max(begin.map_or(i64::MIN, |at| at + 2));
        page.events = self
            .shown()
            .take_while(|told| self.along(told.place.at.at) < read)
            .take(limit + 1)
            .cloned()
            .collect();
        let over = page.events.len() > limit;
        page.events.truncate(limit);
        let at = |way: i64| Stamp::from_ms(way.saturating_abs());
        page.next = Some(match page.events.last().filter(|_| over) {
            Some(last) => Cursor::at(last.place),
            // What happened at that very millisecond is still to come.
            None if self.direction == Direction::NewestFirst => Cursor::between(at(read - 1)),
            None => Cursor::between(at(read)),
        });
        let ends = [at(read), at(read.saturating_sub(self.slack()))];
        page.crowded = Some((ends[0].min(ends[1]), ends[0].max(ends[1])));
        page
    }
}

fn along(direction: Direction, at: Stamp) -> i64 {
    match direction {
        Direction::NewestFirst => -at.ms(),
        Direction::OldestFirst => at.ms(),
    }
}
