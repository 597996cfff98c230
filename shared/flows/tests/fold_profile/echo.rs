//! What was stored is carried out, whoever comes back for it: the SDK with its own write, or the
//! operator with a dead letter.

use crate::world::*;
use odyssey_domain::wire::SourceKind;
use odyssey_flows::ports::{Queue, Table};
use odyssey_flows::queue::{Disposition, redriven};
use odyssey_testkit::{Fault, Operation};
use serde_json::json;

/// The first delivery of a wake decides on a silence and meets its own write: the signal it stored
/// there must be published all the same, and the next timer armed.
#[test]
fn a_wake_that_meets_its_own_write_is_carried_out() {
    let world = World::new();
    let who = json!({"userId": "ann"});
    let added = track("1", 0, "Product Added", &who, &json!({"product_id": "p1", "quantity": 1}));
    world.fold_done(vec![accepted_from(SourceKind::Browser, 0, vec![added])], minute(0));
    world.memory.on_call(|call| match call.operation {
        Operation::Write(_) => Fault::Echo,
        _ => Fault::None,
    });
    world.wake_until(minute(10));
    assert_eq!(world.signals().len(), 1);
    world.wake_until(minute(4 * 60));
    assert_eq!(world.signals().len(), 1);
}

/// A wake stores a signal, cannot publish it, is given up, and comes back out of the dead letters
/// as a new message: what it stored leaves then.
#[test]
fn a_wake_that_is_redriven_is_carried_out() {
    let world = World::new();
    let who = json!({"userId": "ann"});
    let added = track("1", 0, "Product Added", &who, &json!({"product_id": "p1", "quantity": 1}));
    world.fold_done(vec![accepted_from(SourceKind::Browser, 0, vec![added])], minute(0));
    let mut wake = world.memory.take(Queue::Profile, minute(10)).remove(0);
    world.memory.on_call(|call| match call.operation {
        Operation::Publish | Operation::Enqueue(_) | Operation::Write(Table::Due) => {
            Fault::FailBefore
        }
        _ => Fault::None,
    });
    let (dispositions, _) = world.fold(vec![wake.clone()], minute(10));
    assert!(matches!(dispositions[..], [Disposition::Retry { .. }]), "{dispositions:?}");
    world.memory.calm();
    wake.body = redriven(&wake.body);
    world.fold_done(vec![wake], minute(11));
    assert_eq!(world.signals().len(), 1);
    world.wake_until(minute(4 * 60));
    assert_eq!(world.signals().len(), 1);
}

/// While the bus is down a wake is tried again and again. It must not put further wakes on the
/// queue, each of which would do the same.
#[test]
fn a_wake_that_fails_does_not_multiply() {
    let world = World::new();
    let who = json!({"userId": "ann"});
    for (id, at) in [("1", 0), ("2", 5)] {
        let name = "Product Added";
        let added = track(id, at, name, &who, &json!({"product_id": "p1", "quantity": 1}));
        world.fold_done(vec![accepted_from(SourceKind::Browser, at, vec![added])], minute(at));
    }
    world.wake_until(minute(15));
    assert_eq!(world.signals().len(), 1);
    let (key, root) = (world.user("ann"), world.root(world.user("ann")).1);
    let (arm, due) = (root.said.arm, root.said.due.unwrap());
    let wake = json!({"command": "wake", "owner": {"profile": key}, "arm": arm, "due": due});
    let wake = record("wake", &wake.to_string());
    let before = world.memory.queue(Queue::Profile).len();
    world.memory.on_call(|call| match call.operation {
        Operation::Publish => Fault::FailBefore,
        _ => Fault::None,
    });
    for _ in 0..5 {
        let _ = world.fold(vec![wake.clone()], due);
    }
    assert!(world.memory.queue(Queue::Profile).len() <= before + 1);
}
