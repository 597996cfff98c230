//! `Tables` in memory.

use super::{Memory, State, StoredRow};
use crate::fault::Operation;
use crate::row_size::{check_key, check_row, row_bytes};
use odyssey_domain::ids::EventHash;
use odyssey_domain::time::Stamp;
use odyssey_flows::ports::{
    Consistency, Expect, Key, PortError, Query, Row, SEGMENTS_MAX, Scan, Scanned, Table, Tables,
    Write, Written,
};
use std::collections::BTreeSet;

/// The most keys of one `get_many`.
const GET_MANY_MAX: usize = 100;
/// The most writes of a transaction (`TransactWriteItems`).
const TRANSACT_MAX: usize = 100;
/// The most bytes of a transaction.
const TRANSACT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The most rows of a query.
const QUERY_MAX: usize = 1_000;

fn permanent(operation: Operation, cause: impl Into<String>) -> PortError {
    PortError::Permanent { operation: operation.name(), cause: cause.into() }
}

pub(crate) const fn parts(write: &Write) -> (&Key, Expect) {
    match write {
        Write::Put { row, expect } => (&row.key, *expect),
        Write::Delete { key, expect } | Write::Check { key, expect } => (key, *expect),
        Write::Add { key, .. } => (key, Expect::Any),
    }
}

pub(crate) fn validate(operation: Operation, write: &Write) -> Result<(), PortError> {
    match write {
        Write::Put { row, .. } => check_row(operation.name(), row),
        Write::Delete { key, .. } | Write::Check { key, .. } | Write::Add { key, .. } => {
            check_key(operation.name(), key)
        }
    }
}

impl State {
    fn holds(&self, key: &Key, expect: Expect) -> bool {
        let found = self.rows.get(key);
        match expect {
            Expect::Any => true,
            Expect::Absent => found.is_none(),
            Expect::Version(version) => found.is_some_and(|s| s.row.version == version),
        }
    }

    pub(crate) fn current(&self, key: &Key) -> Option<Row> {
        self.rows.get(key).map(|stored| stored.row.clone())
    }

    fn apply(&mut self, write: Write) {
        match write {
            Write::Put { row, .. } => {
                self.rows.insert(row.key.clone(), StoredRow { row, ids: BTreeSet::new() });
            }
            Write::Delete { key, .. } => {
                self.rows.remove(&key);
            }
            Write::Add { key, by } => self.add(key, by),
            Write::Check { .. } => {}
        }
    }

    fn add(&mut self, key: Key, by: i64) {
        let stored = self.rows.entry(key.clone()).or_insert_with(|| empty(key));
        if stored.row.version > 0 {
            // A row that was put shows its body, whatever else the item holds.
            return;
        }
        let text = std::str::from_utf8(&stored.row.body).unwrap_or_default();
        let sum = text.parse::<i64>().unwrap_or(0).saturating_add(by);
        stored.row.body = sum.to_string().into_bytes();
    }

    pub(crate) fn write(&mut self, writes: Vec<Write>) -> Written {
        for (index, write) in writes.iter().enumerate() {
            let (key, expect) = parts(write);
            if !self.holds(key, expect) {
                return Written::Conflict { index, current: self.current(key) };
            }
        }
        for write in writes {
            self.apply(write);
        }
        Written::Done
    }

    pub(crate) fn transact(
        &mut self,
        writes: Vec<Write>,
        token: &str,
    ) -> Result<Written, PortError> {
        const AT: Operation = Operation::Transact;
        if writes.len() > TRANSACT_MAX {
            return Err(permanent(AT, format!("{} writes, at most 100", writes.len())));
        }
        let mut keys = BTreeSet::new();
        let mut bytes = 0;
        for write in &writes {
            validate(AT, write)?;
            if !keys.insert(parts(write).0) {
                return Err(permanent(AT, "two writes to one row"));
            }
            if let Write::Put { row, .. } = write {
                bytes += row_bytes(row);
            }
        }
        if bytes > TRANSACT_BYTES_MAX {
            return Err(permanent(AT, format!("{bytes} bytes, at most {TRANSACT_BYTES_MAX}")));
        }
        // A check of nothing is not part of what DynamoDB is sent.
        let is_sent = |write: &&Write| !matches!(write, Write::Check { expect: Expect::Any, .. });
        let sent: Vec<Write> = writes.iter().filter(is_sent).cloned().collect();
        if sent.is_empty() {
            return Ok(Written::Done);
        }
        match self.tokens.get(token) {
            Some(before) if *before == sent => return Ok(Written::Done),
            Some(_) => {
                let cause = "the token was used for other writes".to_owned();
                return Err(PortError::Transient { operation: AT.name(), cause });
            }
            None => {}
        }
        let written = self.write(writes);
        if written == Written::Done {
            self.tokens.insert(token.to_owned(), sent);
        }
        Ok(written)
    }

    pub(crate) fn query(&self, query: &Query) -> Result<Vec<Row>, PortError> {
        let at = Operation::Query(query.table);
        if query.limit == 0 || query.limit > QUERY_MAX {
            return Err(permanent(at, format!("limit {}, expected 1..=1000", query.limit)));
        }
        if query.from > query.to {
            return Ok(Vec::new());
        }
        let key = |sk: &str| Key { table: query.table, pk: query.pk.clone(), sk: sk.to_owned() };
        let found =
            self.rows.range(key(&query.from)..=key(&query.to)).map(|(_, stored)| &stored.row);
        Ok(if query.descending {
            found.rev().take(query.limit).cloned().collect()
        } else {
            found.take(query.limit).cloned().collect()
        })
    }

    pub(crate) fn scan(&self, scan: &Scan) -> Result<Scanned, PortError> {
        let at = Operation::Scan(scan.table);
        if scan.limit == 0 || scan.limit > QUERY_MAX {
            return Err(permanent(at, format!("limit {}, expected 1..=1000", scan.limit)));
        }
        if scan.segments == 0 || scan.segments > SEGMENTS_MAX || scan.segment >= scan.segments {
            let cause = format!("segment {} of {}", scan.segment, scan.segments);
            return Err(permanent(at, cause));
        }
        let inside = |row: &&Row| {
            let after = scan.after.as_ref().is_none_or(|after| row.key > *after);
            row.key.table == scan.table
                && segment_of(&row.key.pk, scan.segments) == scan.segment
                && after
        };
        let mut rows = self.rows.values().map(|stored| &stored.row).filter(inside).peekable();
        let page: Vec<&Row> = rows.by_ref().take(scan.limit).collect();
        let next = page.last().filter(|_| rows.peek().is_some()).map(|row| row.key.clone());
        let wanted = |row: &&&Row| scan.sk.as_ref().is_none_or(|sk| row.key.sk == *sk);
        Ok(Scanned { rows: page.iter().filter(wanted).map(|row| (*row).clone()).collect(), next })
    }

    pub(crate) fn add_ids(
        &mut self,
        key: &Key,
        ids: &[EventHash],
        expires: Stamp,
    ) -> Result<(), PortError> {
        check_key("add_ids", key)?;
        let stored = self.rows.entry(key.clone()).or_insert_with(|| empty(key.clone()));
        stored.ids.extend(ids);
        stored.row.expires = Some(whole_second(expires));
        Ok(())
    }

    pub(crate) fn query_index(
        &self,
        table: Table,
        index_pk: &str,
        limit: usize,
    ) -> Result<Vec<Row>, PortError> {
        let at = Operation::QueryIndex(table);
        if limit == 0 || limit > QUERY_MAX {
            return Err(permanent(at, format!("limit {limit}, expected 1..=1000")));
        }
        if table != Table::Ledger {
            return Err(permanent(at, "the table has no index"));
        }
        let of = |row: &Row| match &row.index {
            Some((pk, sk)) if pk == index_pk => Some(sk.clone()),
            _ => None,
        };
        let rows = self.rows.values().filter(|stored| stored.row.key.table == table);
        let mut found: Vec<(String, Row)> =
            rows.filter_map(|s| of(&s.row).map(|sk| (sk, s.row.clone()))).collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found.into_iter().take(limit).map(|(_, row)| row).collect())
    }

    pub(crate) fn have_ids(&self, keys: &[Key], ids: &[EventHash]) -> Vec<EventHash> {
        let has = |id: &EventHash| {
            keys.iter().any(|key| self.rows.get(key).is_some_and(|s| s.ids.contains(id)))
        };
        ids.iter().copied().filter(has).collect()
    }
}

/// Rows of one partition are in one segment.
fn segment_of(pk: &str, segments: u32) -> u32 {
    let [a, b, c, d, ..] = EventHash::of(pk).0;
    u32::from_be_bytes([a, b, c, d]) % segments
}

/// What `UpdateItem` makes of a key where nothing stands.
fn empty(key: Key) -> StoredRow {
    let row = Row { key, version: 0, schema: 0, body: Vec::new(), expires: None, index: None };
    StoredRow { row, ids: BTreeSet::new() }
}

/// Expiry is stored in whole seconds, rounded up.
fn whole_second(at: Stamp) -> Stamp {
    Stamp::from_ms((at.ms() + 999) / 1_000 * 1_000)
}

pub(crate) fn stored_as(write: Write) -> Write {
    match write {
        Write::Put { mut row, expect } => {
            row.expires = row.expires.map(whole_second);
            Write::Put { row, expect }
        }
        other => other,
    }
}

impl Tables for Memory {
    async fn get(&self, key: &Key, _: Consistency) -> Result<Option<Row>, PortError> {
        self.call(Operation::Get(key.table), |state| {
            check_key("get", key)?;
            Ok(state.current(key))
        })
        .await
    }

    async fn get_many(&self, keys: &[Key], _: Consistency) -> Result<Vec<Option<Row>>, PortError> {
        self.call(Operation::GetMany, |state| {
            if keys.len() > GET_MANY_MAX {
                let cause = format!("{} keys, at most {GET_MANY_MAX}", keys.len());
                return Err(permanent(Operation::GetMany, cause));
            }
            keys.iter().try_for_each(|key| check_key("get_many", key))?;
            Ok(keys.iter().map(|key| state.current(key)).collect())
        })
        .await
    }

    async fn write(&self, write: Write) -> Result<Written, PortError> {
        let at = Operation::Write(parts(&write).0.table);
        let write = stored_as(write);
        self.call(at, |state| {
            validate(at, &write)?;
            Ok(state.write(vec![write.clone()]))
        })
        .await
    }

    async fn transact(&self, writes: Vec<Write>, token: &str) -> Result<Written, PortError> {
        let writes: Vec<Write> = writes.into_iter().map(stored_as).collect();
        self.call(Operation::Transact, |state| state.transact(writes.clone(), token)).await
    }

    async fn query(&self, query: &Query) -> Result<Vec<Row>, PortError> {
        self.call(Operation::Query(query.table), |state| state.query(query)).await
    }

    async fn query_index(
        &self,
        table: Table,
        index_pk: &str,
        limit: usize,
    ) -> Result<Vec<Row>, PortError> {
        let at = Operation::QueryIndex(table);
        self.call(at, |state| state.query_index(table, index_pk, limit)).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Scanned, PortError> {
        self.call(Operation::Scan(scan.table), |state| state.scan(scan)).await
    }

    async fn add_ids(&self, key: &Key, ids: &[EventHash], expires: Stamp) -> Result<(), PortError> {
        if ids.is_empty() {
            return Ok(());
        }
        self.call(Operation::AddIds, |state| state.add_ids(key, ids, expires)).await
    }

    async fn have_ids(&self, keys: &[Key], ids: &[EventHash]) -> Result<Vec<EventHash>, PortError> {
        self.call(Operation::HaveIds, |state| Ok(state.have_ids(keys, ids))).await
    }
}
