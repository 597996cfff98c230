//! What a batch saw for the tracking plan.

use crate::world::{World, accepted, catalog, envelope, identify, minute, track};
use odyssey_domain::ids::SendId;
use odyssey_domain::plan::{Inferred, ViolationKind};
use odyssey_domain::wire::{BUS_SCHEMA, FeedbackKind, MessageFeedback, detail_type};
use odyssey_testkit::Fault;
use serde_json::json;

fn planned() -> World {
    let mut catalog = catalog();
    catalog.plan = serde_json::from_value(json!({"events": {
        "Product Viewed": {"properties": {"product_id": {"type": "text", "required": true}}},
    }}))
    .unwrap();
    World::of(catalog)
}

#[test]
fn what_violates_the_plan_is_counted_and_folded() {
    let world = planned();
    let who = json!({"userId": "ann"});
    let events = vec![
        track("m1", 0, "Product Viewed", &who, &json!({"product_id": "p1"})),
        track("m2", 1, "Product Viewed", &who, &json!({"product_id": 7, "colour": "purple"})),
        track("m3", 2, "Other", &who, &json!({})),
        identify("m4", 3, &who, &json!({"email": "ann@example.com"})),
    ];
    let counts = world.fold_done(vec![accepted(4, events)], minute(5));
    assert_eq!((counts.folded, counts.violations), (4, 3));
    let seen = &counts.seen.events["Product Viewed"];
    assert_eq!((seen.count, seen.first), (2, minute(4)));
    let wrong = &seen.violations[&ViolationKind::WrongType]["product_id"];
    assert_eq!(wrong.example.position.at, minute(1));
    assert_eq!(
        counts.seen.events.keys().collect::<Vec<_>>(),
        ["Other", "Product Viewed", "identify"]
    );
    assert_eq!(world.view(world.user("ann")).facts["events.Product Viewed"], 2);
    let text = serde_json::to_string(&counts.seen).unwrap();
    assert!(!text.contains("ann@example.com") && !text.contains("purple"), "{text}");
}

#[test]
fn what_this_stack_says_itself_is_in_nobodys_plan() {
    let world = planned();
    let fed = MessageFeedback {
        v: BUS_SCHEMA,
        send: SendId::from_bytes([1; 16]),
        profile: Some(world.user("ann").into()),
        kind: FeedbackKind::BouncedHard,
        at: minute(1),
        accepted: None,
        machine: None,
    };
    let fed = envelope(detail_type::MESSAGE_FEEDBACK, &serde_json::to_value(fed).unwrap());
    let counts = world.fold_done(vec![fed], minute(1));
    assert_eq!((counts.folded, counts.violations), (1, 0));
    assert_eq!(counts.seen, Inferred::default());
    // By who says it: a property's event of the same name is the property's.
    let who = json!({"userId": "ann"});
    let own = vec![track("m1", 2, "Consent Changed", &who, &json!({}))];
    let counts = world.fold_done(vec![accepted(2, own)], minute(2));
    assert_eq!((counts.seen.events["Consent Changed"].count, counts.violations), (1, 1));
}

#[test]
fn a_redelivery_is_not_seen_again() {
    let world = planned();
    let who = json!({"userId": "ann"});
    let batch = || accepted(1, vec![track("m1", 0, "Other", &who, &json!({}))]);
    // Twice in one batch, and once more later.
    let first = world.fold_done(vec![batch(), batch()], minute(2));
    assert_eq!((first.seen.events["Other"].count, first.violations), (1, 1));
    let again = world.fold_done(vec![batch()], minute(3));
    assert_eq!((again.seen, again.violations), (Inferred::default(), 0));
}

#[test]
fn what_was_not_written_was_not_seen() {
    let world = planned();
    let who = json!({"userId": "ann"});
    let batch = || accepted(1, vec![track("m1", 0, "Other", &who, &json!({}))]);
    world.memory.on_call(|call| match call.operation {
        odyssey_testkit::Operation::Write(_) | odyssey_testkit::Operation::Transact => {
            Fault::FailBefore
        }
        _ => Fault::None,
    });
    let (_, counts) = world.fold(vec![batch()], minute(2));
    assert_eq!((counts.folded, counts.seen), (0, Inferred::default()));
    world.memory.calm();
    assert_eq!(world.fold_done(vec![batch()], minute(3)).seen.events["Other"].count, 1);
}
