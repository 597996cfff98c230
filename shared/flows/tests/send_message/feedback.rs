//! SES's reports.

use crate::world::{
    ADDRESS, NOW, World, ann, contact_key, keys, offers, record, send_id, ses_event,
};
use odyssey_domain::contact::{Suppression, SuppressionReason};
use odyssey_domain::message::machine::Machine;
use odyssey_domain::message::{Delivery, SendState, Verdict};
use odyssey_domain::wire::{FeedbackKind, MessageFeedback, detail_type};
use odyssey_flows::ports::{SendAnswer, Table};
use odyssey_flows::queue::Disposition;
use odyssey_flows::{record_feedback, settle_unconfirmed};
use odyssey_testkit::{Fault, Operation, ScriptedAnswer, run};
use serde_json::json;

fn bounce(kind: &str) -> String {
    let part = json!({ "bounce": {
        "bounceType": kind, "bouncedRecipients": [{ "emailAddress": ADDRESS }],
        "timestamp": "2026-11-18T12:00:05.000Z",
    }});
    ses_event("Bounce", send_id(), "ses-0", &part)
}

fn complaint() -> String {
    let part = json!({ "complaint": {
        "complainedRecipients": [{ "emailAddress": ADDRESS.to_uppercase() }],
        "timestamp": "2026-11-18T12:00:09.000Z",
    }});
    ses_event("Complaint", send_id(), "ses-0", &part)
}

fn told(world: &World) -> Vec<MessageFeedback> {
    let entries = world.memory.bus_entries();
    let ours = entries.iter().filter(|e| e.detail_type == detail_type::MESSAGE_FEEDBACK);
    ours.map(|entry| serde_json::from_str(&entry.detail).unwrap()).collect()
}

#[test]
fn a_hard_bounce_suppresses_and_is_told() {
    let world = World::with_ann();
    world.deliver_done(offers(1));
    assert_eq!(world.feedback(&bounce("Permanent")), Disposition::Done);
    let suppression = world.contact().unwrap().suppression.unwrap();
    assert_eq!(suppression.reason, SuppressionReason::HardBounce);
    assert_eq!(suppression.at.to_string(), "2026-11-18T12:00:05.000Z");
    assert_eq!(world.ledger(send_id()).unwrap().delivery, Some(Delivery::Bounced));
    let told = told(&world);
    assert_eq!((told.len(), told[0].kind), (1, FeedbackKind::BouncedHard));
    assert_eq!((told[0].send, told[0].profile), (send_id(), Some(ann())));
}

#[test]
fn doubles_and_any_order_come_to_the_same() {
    let delivered = json!({ "delivery": { "timestamp": "2026-11-18T12:00:02.000Z" } });
    let reports = [
        ses_event("Send", send_id(), "ses-0", &json!({ "send": {} })),
        ses_event("Delivery", send_id(), "ses-0", &delivered),
        bounce("Transient"),
        bounce("Permanent"),
        complaint(),
        ses_event("Open", send_id(), "ses-0", &json!({ "open": {} })),
    ];
    let end = |order: &[usize]| {
        let world = World::with_ann();
        world.deliver_done(offers(1));
        for at in order {
            assert_eq!(world.feedback(&reports[*at]), Disposition::Done);
        }
        (world.ledger(send_id()).unwrap(), world.contact().unwrap())
    };
    let expected = end(&[0, 1, 2, 3, 4, 5]);
    assert_eq!(expected.0.delivery, Some(Delivery::Complained));
    assert_eq!(expected.1.suppression.as_ref().unwrap().reason, SuppressionReason::Complaint);
    for order in [[5, 4, 3, 2, 1, 0], [4, 0, 2, 5, 1, 3], [3, 4, 5, 0, 1, 2]] {
        assert_eq!(end(&order), expected, "{order:?}");
        let doubled: Vec<usize> = order.iter().chain(&order).copied().collect();
        assert_eq!(end(&doubled), expected, "{doubled:?}");
    }
}

#[test]
fn mails_of_others_suppress_and_nothing_else() {
    let world = World::empty();
    let untagged = |text: String| text.replace(&send_id().to_string(), "not-one-of-ours");
    let open = ses_event("Open", send_id(), "ses-9", &json!({ "open": {} }));
    assert_eq!(world.feedback(&untagged(open)), Disposition::Done);
    assert_eq!(world.stored(), []);
    assert_eq!(world.feedback(&untagged(bounce("Permanent"))), Disposition::Done);
    assert!(matches!(
        world.contact().unwrap().suppression,
        Some(Suppression { reason: SuppressionReason::HardBounce, .. })
    ));
    assert_eq!(world.memory.rows_of(Table::Ledger), []);
    assert_eq!(told(&world), []);
    // Suppressed is suppressed, whoever found out.
    world.set("offers", odyssey_domain::contact::ConsentState::Granted);
    world.identify(&json!({ "email": ADDRESS }));
    world.deliver_done(offers(1));
    assert!(matches!(world.ledger(send_id()).unwrap().state, SendState::Skipped { .. }));
}

/// An operator's verdict is a guess, SES's event is not.
#[test]
fn a_wrong_verdict_is_corrected_by_a_late_report() {
    let world = World::with_ann();
    world.memory.script([ScriptedAnswer::AcceptedBut(SendAnswer::Ambiguous("timeout".to_owned()))]);
    world.deliver_done(offers(1));
    run(settle_unconfirmed::settle(&world.memory, send_id(), &Verdict::NotSent, NOW)).unwrap();
    assert!(matches!(world.ledger(send_id()).unwrap().state, SendState::Failed { .. }));
    let delivered = json!({ "delivery": { "timestamp": "2026-11-18T12:00:02.000Z" } });
    let event = ses_event("Delivery", send_id(), "ses-0", &delivered);
    for _ in 0..2 {
        assert_eq!(world.feedback(&event), Disposition::Done);
        let item = world.ledger(send_id()).unwrap();
        assert!(matches!(item.state, SendState::Sent { .. }), "{:?}", item.state);
        assert_eq!(item.delivery, Some(Delivery::Delivered));
    }
}

#[test]
fn sends_and_deliveries_are_not_told() {
    let world = World::with_ann();
    world.deliver_done(offers(1));
    for kind in ["Send", "Delivery", "DeliveryDelay"] {
        let event = ses_event(kind, send_id(), "ses-0", &json!({}));
        assert_eq!(world.feedback(&event), Disposition::Done);
    }
    for kind in ["Open", "Click", "Reject", "Rendering Failure"] {
        let event = ses_event(kind, send_id(), "ses-0", &json!({}));
        assert_eq!(world.feedback(&event), Disposition::Done);
    }
    assert_eq!(told(&world).len(), 4);
    assert!(matches!(world.ledger(send_id()).unwrap().state, SendState::Failed { .. }));
}

/// Why an open is a machine's goes on the bus; what said so does not.
#[test]
fn the_user_agent_is_judged_and_not_told() {
    let world = World::with_ann();
    world.deliver_done(offers(1));
    let part = json!({ "open": { "ipAddress": "192.0.2.77", "userAgent": "Mozilla/5.0",
        "timestamp": "2026-11-18T13:00:00.000Z" } });
    assert_eq!(world.feedback(&ses_event("Open", send_id(), "ses-0", &part)), Disposition::Done);
    assert_eq!(told(&world)[0].machine, Some(Machine::Prefetch));
    let entries = world.memory.bus_entries();
    let ours = entries.iter().find(|e| e.detail_type == detail_type::MESSAGE_FEEDBACK).unwrap();
    assert!(!ours.detail.contains("Mozilla") && !ours.detail.contains("192.0.2.77"));
}

#[test]
fn a_batch_fails_only_where_it_must() {
    let world = World::with_ann();
    world.deliver_done(offers(1));
    let records = || {
        vec![
            record("1", 1, &bounce("Transient")),
            record("2", 1, "secret@example.com"),
            record("3", 1, &complaint()),
        ]
    };
    let go = || run(record_feedback::run(&world.memory, &world.memory, &keys(), records(), NOW));
    world.memory.on_call(|call| match call.operation {
        Operation::Publish => Fault::Partial(vec![1]),
        _ => Fault::None,
    });
    let first = go();
    assert_eq!(first[0], Disposition::Done);
    let Disposition::Park { chain, .. } = &first[1] else { panic!("{first:?}") };
    assert!(!chain.join(" ").contains("secret"));
    assert!(matches!(first[2], Disposition::Retry { .. }));
    world.memory.on_call(|call| match call.operation {
        Operation::Publish => Fault::FailBefore,
        _ => Fault::None,
    });
    assert!(matches!(go()[0], Disposition::Retry { .. }));
    world.memory.calm();
    let stored = world.stored();
    assert_eq!(go()[2], Disposition::Done);
    assert_eq!(world.stored(), stored);
}

#[test]
fn a_fault_anywhere_is_mended_by_the_next_delivery() {
    let calm = World::with_ann();
    calm.deliver_done(offers(1));
    let before = calm.memory.calls().len();
    assert_eq!(calm.feedback(&complaint()), Disposition::Done);
    let calls = calm.memory.calls().len() - before;
    for at in 0..calls {
        for fault in [Fault::FailBefore, Fault::FailAfter, Fault::Refuse] {
            let world = World::with_ann();
            world.deliver_done(offers(1));
            let first = world.memory.calls().len();
            let planned = fault.clone();
            world.memory.on_call(move |call| {
                if call.ordinal == first + at { planned.clone() } else { Fault::None }
            });
            world.feedback(&complaint());
            world.memory.calm();
            assert_eq!(world.feedback(&complaint()), Disposition::Done);
            assert_eq!(world.ledger(send_id()), calm.ledger(send_id()), "{at} {fault:?}");
            let contact = world.contact().unwrap();
            assert_eq!(contact, calm.contact().unwrap(), "{at} {fault:?}");
            assert!(contact.suppression.is_some());
            assert!(!told(&world).is_empty());
        }
    }
    assert_eq!(contact_key(), calm.contact().unwrap().key);
}

/// Every sample of SES's developer guide goes through the flow, where it is at hand.
#[test]
fn the_samples_of_the_developer_guide() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/ses-events");
    let Ok(files) = std::fs::read_dir(folder) else {
        println!("SKIPPED: the folder ../shared/data/ses-events is not here");
        return;
    };
    let world = World::empty();
    let (mut done, mut parked) = (0, 0);
    for file in files {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "json") {
            continue;
        }
        match world.feedback(&std::fs::read_to_string(path).unwrap()) {
            Disposition::Done => done += 1,
            Disposition::Park { .. } => parked += 1,
            Disposition::Retry { reason, .. } => panic!("{reason}"),
        }
    }
    // Six files show parts of events.
    assert_eq!((done, parked), (26, 6));
    let jane = odyssey_domain::personal::EmailAddress::parse("jane@example.com").unwrap();
    let jane = run(odyssey_flows::set_consent::read(&world.memory, keys().contact_key(&jane)));
    assert!(jane.unwrap().unwrap().suppression.is_some());
}
