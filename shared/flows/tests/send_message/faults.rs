//! Something goes wrong at every call there is, once and twice over; then calm, redelivery, and
//! SES's own events. Never two mails, and always an outcome.

use crate::world::{World, offers, seconds, send_id, ses_event, wants};
use odyssey_domain::ids::SendId;
use odyssey_domain::message::SendState;
use odyssey_flows::ports::Table;
use odyssey_flows::queue::{Disposition, QueueRecord};
use odyssey_testkit::{Call, Fault, Operation};
use serde_json::json;

fn faults() -> [Fault; 5] {
    [Fault::FailBefore, Fault::FailAfter, Fault::Refuse, Fault::HaltBefore, Fault::HaltAfter]
}

/// Which calls of a whole story go wrong, counted from its beginning.
type Plan = Vec<(usize, Fault)>;

/// Delivers until the queue is satisfied, under `plan`; how many calls that took.
fn story(world: &World, message: &dyn Fn(u32) -> QueueRecord, send: SendId, plan: Plan) -> usize {
    let first = world.memory.calls().len();
    let shown = format!("{plan:?}");
    world.memory.on_call(move |call| {
        let planned = plan.iter().find(|(at, _)| first + at == call.ordinal);
        planned.map_or(Fault::None, |(_, fault)| fault.clone())
    });
    let mut done = false;
    for receipt in 1..8 {
        // Each delivery comes when the one before is certainly over.
        let now = seconds(u64::from(receipt) * 40);
        match world.deliver_or_halt(message(receipt), now) {
            Some(Disposition::Done) => {
                done = true;
                break;
            }
            // Parked: an operator sends it back once what refused it is mended.
            Some(Disposition::Retry { .. } | Disposition::Park { .. }) | None => {}
        }
    }
    let calls = world.memory.calls().len() - first;
    world.memory.calm();
    assert!(done, "{shown}: no end");
    let mails = world.memory.mails();
    assert!(mails.len() <= 1, "{shown}: {} mails", mails.len());
    for mail in &mails {
        let event = ses_event("Send", send, &mail.ses_id, &json!({ "send": {} }));
        assert_eq!(world.feedback(&event), Disposition::Done, "{shown}");
    }
    let item = world.ledger(send).unwrap_or_else(|| panic!("{shown}: no trace of it"));
    match (&item.state, mails.len()) {
        (SendState::Sent { ses_id, .. }, 1) => assert_eq!(*ses_id, mails[0].ses_id, "{shown}"),
        (SendState::Unconfirmed { .. } | SendState::Failed { .. }, 0) => {}
        (state, mails) => panic!("{shown}: {state:?} with {mails} mails"),
    }
    // Whatever comes now changes nothing.
    let stored = world.stored();
    assert_eq!(world.deliver_or_halt(message(90), seconds(4_000)), Some(Disposition::Done));
    assert_eq!(world.stored(), stored, "{shown}");
    let claims = world.contact().map_or(0, |contact| contact.claims.len());
    // A confirmation is exempt. What went out is counted; what certainly did not may be uncounted
    // before the ledger says so.
    let most = usize::from(item.asked_by.is_some());
    let least = if mails.is_empty() { 0 } else { most };
    assert!((least..=most).contains(&claims), "{shown}: {claims} claims");
    calls
}

fn marketing(plan: Plan) -> usize {
    story(&World::with_ann(), &offers, send_id(), plan)
}

fn confirmation(plan: Plan) -> usize {
    let at = crate::world::NOW;
    let contact = crate::world::contact_key();
    let send = SendId::derive_confirmation(contact, "offers", at.day());
    story(&World::empty(), &|receipt| wants("offers", at, receipt), send, plan)
}

#[test]
fn one_fault_anywhere() {
    for story in [marketing, confirmation] {
        let calls = story(Vec::new());
        assert!(calls >= 6, "{calls}");
        for at in 0..calls {
            for fault in faults() {
                story(vec![(at, fault)]);
            }
        }
    }
}

/// The simulator's seed 1246: its id was that of another day by then, and the claim stood for ever.
#[test]
fn a_confirmation_put_back_days_later_ends() {
    let world = World::empty();
    let at = crate::world::NOW;
    let send = SendId::derive_confirmation(crate::world::contact_key(), "offers", at.day());
    let marks = |call: Call| call.operation == Operation::Write(Table::Ledger);
    world.memory.on_call(move |call| if marks(call) { Fault::Refuse } else { Fault::None });
    let asked = world.deliver(vec![wants("offers", at, 1)], at);
    world.memory.on_call(|_| Fault::None);
    assert!(matches!(asked.as_slice(), [Disposition::Park { .. }]), "{asked:?}");
    assert_eq!(world.ledger(send).unwrap().state, SendState::Claimed);
    let later = at.plus(odyssey_domain::time::Span::DAY.times(5));
    assert_eq!(world.deliver(vec![wants("offers", at, 1)], later), [Disposition::Done]);
    let ended = world.ledger(send).unwrap().state;
    assert!(matches!(ended, SendState::Skipped { .. }), "{ended:?}");
    assert_eq!(world.memory.rows_of(Table::Ledger).len(), 1);
}

#[test]
fn two_faults_anywhere() {
    for first in 0..10 {
        for fault in faults() {
            let calls = marketing(vec![(first, fault.clone())]);
            for second in first + 1..calls {
                for other in faults() {
                    marketing(vec![(first, fault.clone()), (second, other)]);
                }
            }
        }
    }
}
