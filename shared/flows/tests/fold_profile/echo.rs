//! A write whose answer was lost and which the SDK sent again meets its own trace.

use crate::world::*;
use odyssey_domain::wire::SourceKind;
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
