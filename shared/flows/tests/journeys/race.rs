//! Writing to one slot at the same time.

use crate::world::{START, World, ada, after, event, folded, two_mails, wake_of};
use odyssey_domain::ids::EventHash;
use odyssey_domain::time::Stamp;
use odyssey_flows::ports::{
    Consistency, Key, PortError, Query, Row, Scan, Scanned, Table, Tables, Write, Written,
};
use odyssey_flows::queue::Disposition;
use odyssey_testkit::Memory;
use std::sync::Mutex;

/// Tables in which somebody else writes these rows just before each of our writes to a slot.
struct Race {
    memory: Memory,
    others: Mutex<Vec<Row>>,
}

impl Tables for Race {
    async fn get(&self, key: &Key, consistency: Consistency) -> Result<Option<Row>, PortError> {
        self.memory.get(key, consistency).await
    }
    async fn get_many(
        &self,
        keys: &[Key],
        consistency: Consistency,
    ) -> Result<Vec<Option<Row>>, PortError> {
        self.memory.get_many(keys, consistency).await
    }
    async fn write(&self, write: Write) -> Result<Written, PortError> {
        if let Write::Put { row, .. } = &write
            && row.key.table == Table::Enrollments
            && let Some(other) = self.others.lock().unwrap().pop()
        {
            self.memory.seed(other);
        }
        self.memory.write(write).await
    }
    async fn transact(&self, writes: Vec<Write>, token: &str) -> Result<Written, PortError> {
        self.memory.transact(writes, token).await
    }
    async fn query(&self, query: &Query) -> Result<Vec<Row>, PortError> {
        self.memory.query(query).await
    }
    async fn query_index(
        &self,
        table: Table,
        index_pk: &str,
        limit: usize,
    ) -> Result<Vec<Row>, PortError> {
        self.memory.query_index(table, index_pk, limit).await
    }
    async fn scan(&self, scan: &Scan) -> Result<Scanned, PortError> {
        self.memory.scan(scan).await
    }
    async fn add_ids(&self, key: &Key, ids: &[EventHash], expires: Stamp) -> Result<(), PortError> {
        self.memory.add_ids(key, ids, expires).await
    }
    async fn have_ids(&self, keys: &[Key], ids: &[EventHash]) -> Result<Vec<EventHash>, PortError> {
        self.memory.have_ids(keys, ids).await
    }
}

/// She is inside; her slot's row.
fn begun() -> (World, Row) {
    let mut world = World::new(&two_mails());
    let added = event("Product Added", "m-1", START);
    world.fold(ada(), &added);
    world.deliver(&[folded(ada(), &[ada()], &added)], 1, START);
    let row = world.memory.rows_of(Table::Enrollments).remove(0);
    (world, row)
}

#[test]
fn a_conflict_is_decided_again_on_what_was_written() {
    let (mut world, before) = begun();
    let wake = wake_of(&world.hers());
    world.deliver(std::slice::from_ref(&wake), 1, after("1h"));
    let moved = world.memory.rows_of(Table::Enrollments).remove(0);
    // The same wake is taken by somebody else between our read and our write.
    world.memory.seed(before);
    let race = Race { memory: world.memory.clone(), others: Mutex::new(vec![moved.clone()]) };
    assert_eq!(world.deliver_over(&race, &wake, after("1h")), [Disposition::Done]);
    assert_eq!(world.memory.rows_of(Table::Enrollments), [moved], "theirs stands");
    // What they wrote is to the byte what we would have: it may be our own write, sent twice by the
    // SDK, so its effects are carried out here as well. Their ids are the same.
    assert_eq!(world.sent_steps(), ["remind"]);
}

#[test]
fn a_slot_that_is_written_to_all_the_time_is_tried_later() {
    let (mut world, before) = begun();
    let wake = wake_of(&world.hers());
    let others = (0..9).map(|i| Row { version: before.version + 9 - i, ..before.clone() });
    let race = Race { memory: world.memory.clone(), others: Mutex::new(others.collect()) };
    let done = world.deliver_over(&race, &wake, after("1h"));
    assert!(matches!(done.as_slice(), [Disposition::Retry { .. }]), "{done:?}");
    assert_eq!(world.sends(), []);
    assert_eq!(world.deliver(&[wake], 2, after("1h")), [Disposition::Done]);
    assert_eq!(world.sent_steps(), ["remind"]);
}

#[test]
fn two_at_the_door_at_once_let_one_in() {
    let (world, first) = begun();
    let key = first.key.clone();
    let other = event("Product Added", "m-2", after("1s"));
    world.fold(ada(), &other);
    // To the second, the slot was still free when it looked.
    let mut fresh = World::new(&two_mails());
    fresh.fold(ada(), &other);
    let race = Race { memory: fresh.memory.clone(), others: Mutex::new(vec![first]) };
    let body = folded(ada(), &[ada()], &other);
    assert_eq!(fresh.deliver_over(&race, &body, after("2s")), [Disposition::Done]);
    let rows = fresh.memory.rows_of(Table::Enrollments);
    assert_eq!(rows.iter().map(|row| &row.key).collect::<Vec<_>>(), [&key]);
    assert_eq!(fresh.hers().why.trigger_id, "m-1");
}
