//! In which order the flow calls its ports: what `tests/sim/small_model/ours.rs` explores. Where
//! one changes, so must the other.

use crate::world::{NOW, World, offers, seconds, send_id};
use odyssey_domain::contact::ConsentState;
use odyssey_domain::message::SendState;
use odyssey_flows::ports::{SendAnswer, Table};
use odyssey_testkit::{Fault, Operation, ScriptedAnswer};

const READ_LEDGER: Operation = Operation::Get(Table::Ledger);
const WRITE_LEDGER: Operation = Operation::Write(Table::Ledger);
const READ_CONTACT: Operation = Operation::Get(Table::Contacts);
const WRITE_CONTACT: Operation = Operation::Write(Table::Contacts);
const TRANSACT: Operation = Operation::Transact;
const CALL_SES: Operation = Operation::SendMail;

/// What a delivery calls of what the model knows.
fn order(world: &World, delivery: impl FnOnce()) -> Vec<Operation> {
    let before = world.memory.calls().len();
    delivery();
    let calls = world.memory.calls().split_off(before);
    let known = [READ_LEDGER, WRITE_LEDGER, READ_CONTACT, WRITE_CONTACT, TRANSACT, CALL_SES];
    calls.into_iter().filter(|call| known.contains(call)).collect()
}

fn deliver(world: &World, receipt: u32, after: u64) -> Vec<Operation> {
    order(world, || {
        world.deliver_or_halt(offers(receipt), seconds(after));
    })
}

fn answers(world: &World, answer: SendAnswer) {
    world.memory.script([ScriptedAnswer::Answer(answer)]);
}

/// The process is killed at the first call of this kind.
fn dies_after(world: &World, last: Operation) {
    world.memory.on_call(
        move |call| {
            if call.operation == last { Fault::HaltAfter } else { Fault::None }
        },
    );
}

#[test]
fn of_a_send() {
    let world = World::with_ann();
    let sent = [READ_LEDGER, READ_CONTACT, TRANSACT, WRITE_LEDGER, CALL_SES, WRITE_LEDGER];
    assert_eq!(deliver(&world, 1, 0), sent);
    assert_eq!(deliver(&world, 2, 0), [READ_LEDGER], "acknowledged");
}

/// The claim is taken back before the ledger says RELEASED or FAILED: afterwards it may be
/// another delivery's, which would then go out uncounted.
#[test]
fn of_a_send_that_certainly_did_not_go_out() {
    for answer in [SendAnswer::Released("429".to_owned()), SendAnswer::Failed("400".to_owned())] {
        let world = World::with_ann();
        answers(&world, answer);
        let released = [
            READ_LEDGER,
            READ_CONTACT,
            TRANSACT,
            WRITE_LEDGER,
            CALL_SES,
            READ_CONTACT,
            WRITE_CONTACT,
            WRITE_LEDGER,
        ];
        assert_eq!(deliver(&world, 1, 0), released);
        assert!(world.contact().unwrap().claims.is_empty());
    }
}

/// A claim of an earlier try is taken back in the transaction that skips.
#[test]
fn of_a_skip() {
    let world = World::with_ann();
    dies_after(&world, TRANSACT);
    deliver(&world, 1, 0);
    world.memory.calm();
    assert_eq!(world.contact().unwrap().claims.len(), 1);
    world.set("offers", ConsentState::Withdrawn);
    // The first reads may be old, so nothing is skipped on them.
    let skipped = [READ_LEDGER, READ_CONTACT, READ_LEDGER, READ_CONTACT, READ_CONTACT, TRANSACT];
    assert_eq!(deliver(&world, 2, 0), skipped);
    assert!(matches!(world.ledger(send_id()).unwrap().state, SendState::Skipped { .. }));
    assert!(world.contact().unwrap().claims.is_empty());

    let world = World::with_ann();
    world.set("offers", ConsentState::Withdrawn);
    let skipped = [READ_LEDGER, READ_CONTACT, READ_LEDGER, READ_CONTACT, WRITE_LEDGER];
    assert_eq!(deliver(&world, 1, 0), skipped);
}

#[test]
fn of_giving_up() {
    let world = World::with_ann();
    dies_after(&world, CALL_SES);
    deliver(&world, 1, 0);
    world.memory.calm();
    assert_eq!(deliver(&world, 2, 1), [READ_LEDGER], "waits");
    assert_eq!(deliver(&world, 3, 31), [READ_LEDGER, WRITE_LEDGER]);
    let item = world.ledger(send_id()).unwrap();
    assert!(matches!(item.state, SendState::Unconfirmed { .. }));
    assert_eq!(item.at, NOW);
}
