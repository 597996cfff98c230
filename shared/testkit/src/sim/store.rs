//! The tables of a run: exact semantics, and what DynamoDB does beside: reads that are seconds old,
//! transactions that meet, deletion by time to live.

use crate::memory::State;
use crate::memory::tables::parts;
use odyssey_domain::time::{Span, Stamp};
use odyssey_flows::ports::{Key, Query, Row, Table, Write};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

/// An eventually consistent read is at most so old.
pub(crate) const STALE_MAX: Span = Span::from_ms(4_000);

/// A row as it stood before a write.
#[derive(Debug)]
struct Past {
    at: Stamp,
    key: Key,
    row: Option<Row>,
}

/// The tables.
#[derive(Default)]
pub(crate) struct Store {
    pub(crate) state: State,
    past: VecDeque<Past>,
    /// Writes that are on their way, by invocation: a transaction meets those.
    under_way: BTreeMap<Key, BTreeSet<u32>>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("rows", &self.state.rows.len()).finish_non_exhaustive()
    }
}

impl Store {
    /// The row at a key, now.
    pub(crate) fn row(&self, key: &Key) -> Option<Row> {
        self.state.current(key)
    }

    /// Every row of a table.
    pub(crate) fn rows_of(&self, table: Table) -> impl Iterator<Item = &Row> {
        let rows = self.state.rows.values().map(|stored| &stored.row);
        rows.filter(move |row| row.key.table == table)
    }

    /// Remembers a row before it is written over.
    pub(crate) fn remember(&mut self, now: Stamp, key: &Key) {
        let row = self.row(key);
        self.past.push_back(Past { at: now, key: key.clone(), row });
        let oldest = now.minus(STALE_MAX);
        while self.past.front().is_some_and(|past| past.at < oldest) {
            self.past.pop_front();
        }
    }

    /// A row as it stood then.
    pub(crate) fn row_at(&self, key: &Key, then: Stamp) -> Option<Row> {
        let after = self.past.iter().find(|past| past.at > then && past.key == *key);
        after.map_or_else(|| self.row(key), |past| past.row.clone())
    }

    /// The rows of a query as they stood then.
    pub(crate) fn query_at(&self, query: &Query, then: Stamp, mut rows: Vec<Row>) -> Vec<Row> {
        let mut undone: BTreeSet<&Key> = BTreeSet::new();
        for past in self.past.iter().filter(|past| past.at > then) {
            let inside = past.key.table == query.table
                && past.key.pk == query.pk
                && past.key.sk >= query.from
                && past.key.sk <= query.to;
            if inside && undone.insert(&past.key) {
                rows.retain(|row| row.key != past.key);
                rows.extend(past.row.clone());
            }
        }
        rows.sort_by(|a, b| a.key.sk.cmp(&b.key.sk));
        if query.descending {
            rows.reverse();
        }
        rows.truncate(query.limit);
        rows
    }

    /// Whether a partition has no row at all.
    pub(crate) fn is_empty(&self, table: Table, pk: &str) -> bool {
        let from = Key { table, pk: pk.to_owned(), sk: String::new() };
        let first = self.state.rows.range(from..).next();
        first.is_none_or(|(key, _)| key.table != table || key.pk != pk)
    }

    /// Notes that writes are on their way.
    pub(crate) fn begin(&mut self, invocation: u32, writes: &[Write]) {
        for write in writes {
            self.under_way.entry(parts(write).0.clone()).or_default().insert(invocation);
        }
    }

    /// Notes that they arrived, or never will.
    pub(crate) fn end(&mut self, invocation: u32, writes: &[Write]) {
        for write in writes {
            let key = parts(write).0;
            if let Some(held) = self.under_way.get_mut(key) {
                held.remove(&invocation);
                if held.is_empty() {
                    self.under_way.remove(key);
                }
            }
        }
    }

    /// Notes that an invocation is over.
    pub(crate) fn end_all(&mut self, invocation: u32) {
        self.under_way.retain(|_, held| {
            held.remove(&invocation);
            !held.is_empty()
        });
    }

    /// Whether another invocation's write to one of the same rows is on its way.
    pub(crate) fn meets(&self, invocation: u32, writes: &[Write]) -> bool {
        writes.iter().any(|write| {
            let held = self.under_way.get(parts(write).0);
            held.is_some_and(|held| held.iter().any(|other| *other != invocation))
        })
    }

    /// Keys of rows whose time to live is over.
    pub(crate) fn expired(&self, now: Stamp) -> Vec<Key> {
        let over = |row: &Row| row.expires.is_some_and(|at| at < now);
        let rows = self.state.rows.values().map(|stored| &stored.row);
        rows.filter(|row| over(row)).map(|row| row.key.clone()).collect()
    }

    /// When the first timer of the due index is due.
    pub(crate) fn first_due(&self) -> Option<Stamp> {
        let due = self.rows_of(Table::Due).filter_map(|row| row.key.sk.get(..15)?.parse().ok());
        due.min().map(Stamp::from_ms)
    }
}
