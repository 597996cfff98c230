//! Writing to one slot at the same time.

use crate::world::{START, World, ada, after, event, folded, two_mails, wake_of};
use odyssey_flows::ports::{Row, Table};
use odyssey_flows::queue::Disposition;
use odyssey_testkit::{Fault, Memory, Operation};

/// Somebody else writes these rows, the last first, each just before a write of ours to a slot.
fn race(memory: &Memory, mut others: Vec<Row>) {
    let elsewhere = memory.clone();
    memory.on_call(move |call| {
        if call.operation == Operation::Write(Table::Enrollments)
            && let Some(other) = others.pop()
        {
            elsewhere.seed(other);
        }
        Fault::None
    });
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
    race(&world.memory, vec![moved.clone()]);
    assert_eq!(world.deliver(&[wake], 1, after("1h")), [Disposition::Done]);
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
    race(&world.memory, others.collect());
    let done = world.deliver(std::slice::from_ref(&wake), 1, after("1h"));
    assert!(matches!(done.as_slice(), [Disposition::Retry { .. }]), "{done:?}");
    assert_eq!(world.sends(), []);
    world.memory.calm();
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
    race(&fresh.memory, vec![first]);
    let body = folded(ada(), &[ada()], &other);
    assert_eq!(fresh.deliver(&[body], 1, after("2s")), [Disposition::Done]);
    let rows = fresh.memory.rows_of(Table::Enrollments);
    assert_eq!(rows.iter().map(|row| &row.key).collect::<Vec<_>>(), [&key]);
    assert_eq!(fresh.hers().why.trigger_id, "m-1");
}
