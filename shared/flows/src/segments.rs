//! How many are in each segment: counted where profiles are written, never scanned.
//!
//! A segment's count is the sum of its [`SHARDS`] counters. Whoever writes identity items adds, in
//! the same transaction, what the write changes of their memberships ([`changes`]), which is read
//! off the items themselves: so the sum is the number of stored memberships whatever fails, also
//! over links, splits and erasures.

use crate::ports::{Consistency, Key, PortError, Query, Table, Tables, Write};
use odyssey_domain::ids::IdentityKey;
use odyssey_domain::profile::IdentityItem;
use odyssey_domain::segment::SegmentName;
use std::collections::BTreeMap;

/// Counters of one segment. Transactions that change one counter at the same time get in each
/// other's way, so that there are more than profiles that are written at once; their sum costs one
/// read unit.
pub const SHARDS: u8 = 64;

/// The partition of a segment's counters.
fn partition(segment: SegmentName) -> String {
    format!("segment#{segment}")
}

/// The counter of a segment in the shard that an identity picks.
fn counter_key(segment: SegmentName, identity: IdentityKey) -> Key {
    let byte = identity.bytes().first().copied().unwrap_or(0);
    let sk = format!("{:02x}", byte % SHARDS);
    Key { table: Table::Workspace, pk: partition(segment), sk }
}

/// The segments that an identity's item is in; a pointer and a tombstone are in none.
#[must_use]
pub fn memberships(item: Option<&IdentityItem>) -> Vec<SegmentName> {
    match item {
        Some(IdentityItem::Root(root)) => root.said.segments.members.keys().copied().collect(),
        _ => Vec::new(),
    }
}

/// What the counts of segments change by in one transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes(BTreeMap<SegmentName, i64>);

impl Changes {
    /// Notes that an identity's item was in these segments as it was read, and is in those as it is
    /// to be written.
    pub fn note(&mut self, before: &[SegmentName], after: &[SegmentName]) {
        for segment in after {
            *self.0.entry(*segment).or_default() += 1;
        }
        for segment in before {
            *self.0.entry(*segment).or_default() -= 1;
        }
    }

    /// The writes that change them: one for each segment whose count does change, all in the
    /// counters of one shard, which the first identity that is written picks. So a transaction has
    /// at most as many as there are segments; a single counter may fall below zero, their sum does
    /// not.
    pub fn into_writes(self, shard_of: IdentityKey) -> impl Iterator<Item = Write> {
        let changed = self.0.into_iter().filter(|(_, by)| *by != 0);
        changed.map(move |(segment, by)| Write::Add { key: counter_key(segment, shard_of), by })
    }
}

/// How many profiles are in a segment.
///
/// # Errors
/// Where the port fails or a counter cannot be read.
pub async fn count(tables: &impl Tables, segment: SegmentName) -> Result<i64, PortError> {
    let query = Query {
        table: Table::Workspace,
        pk: partition(segment),
        from: "00".to_owned(),
        to: "ff".to_owned(),
        limit: usize::from(SHARDS),
        descending: false,
        consistency: Consistency::Strong,
    };
    let mut sum: i64 = 0;
    for row in tables.query(&query).await? {
        let number = std::str::from_utf8(&row.body).ok().and_then(|text| text.parse::<i64>().ok());
        let unreadable = || PortError::Permanent {
            operation: "count",
            cause: format!("counter {} of segment {segment} is no number", row.key.sk),
        };
        sum = sum.saturating_add(number.ok_or_else(unreadable)?);
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_differences_are_written() {
        let name = |text| SegmentName::parse(text).unwrap();
        let (a, b) = (IdentityKey::from_bytes([1; 16]), IdentityKey::from_bytes([65; 16]));
        let mut changes = Changes::default();
        changes.note(&[name("vip"), name("old")], &[name("vip"), name("new")]);
        changes.note(&[name("new")], &[]);
        let writes: Vec<Write> = changes.into_writes(a).collect();
        assert_eq!(writes, [Write::Add { key: counter_key(name("old"), a), by: -1 }]);
        assert_eq!(counter_key(name("vip"), b).sk, "01");
    }
}
