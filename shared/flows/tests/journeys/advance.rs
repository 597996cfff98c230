//! Entering, moving on, redelivery.

use crate::world::{START, World, ada, after, envelope, event, folded, raised, two_mails, wake_of};
use odyssey_domain::catalog::JourneyState;
use odyssey_domain::ids::{ContentHash, ProfileId, SignalId};
use odyssey_domain::journey::{Ending, Journey};
use odyssey_flows::catalog::{CatalogCache, CatalogError, document_key};
use odyssey_flows::ports::{Queue, Table, Tables as _};
use odyssey_flows::queue::Disposition;
use odyssey_flows::stored;
use odyssey_testkit::{Operation, run};
use serde_json::json;

fn added(world: &World, id: &str, at: odyssey_domain::time::Stamp) -> String {
    let event = event("Product Added", id, at);
    world.fold(ada(), &event);
    folded(ada(), &[ada()], &event)
}

#[test]
fn a_trigger_lets_in_and_the_due_index_moves_on() {
    let mut world = World::new(&two_mails());
    let body = added(&world, "m-1", START);
    assert_eq!(world.deliver(&[body], 1, START), [Disposition::Done]);
    let first = world.hers();
    assert_eq!((first.step.as_str(), first.due), ("hour", Some(after("1h"))));
    assert_eq!(world.memory.rows_of(Table::Due).len(), 1, "an hour is longer than a queue delays");
    world.live(START, after("26h"));
    assert_eq!(world.sent_steps(), ["last", "remind"]);
    assert_eq!(world.sends().len(), 2, "each was asked for once");
    let hers = world.hers();
    assert_eq!(hers.ended, Some((Ending::Completed, after("25h"))));
    assert_eq!(world.memory.rows_of(Table::Due), []);
    let row = world.memory.rows_of(Table::Enrollments).remove(0);
    assert_eq!(row.expires, Some(hers.forget.unwrap()));
}

#[test]
fn a_step_costs_what_it_may() {
    let mut world = World::new(&two_mails());
    let body = added(&world, "m-1", START);
    world.deliver(&[body], 1, START);
    let before = world.memory.calls().len();
    let wake = wake_of(&world.hers());
    world.deliver(&[wake], 1, after("1h"));
    let calls: Vec<Operation> = world.memory.calls().split_off(before);
    assert_eq!(
        calls,
        [
            // The workspace, read again after half a minute.
            Operation::Get(Table::Workspace),
            Operation::Get(Table::Enrollments),
            Operation::Get(Table::Profiles),
            Operation::Write(Table::Enrollments),
            Operation::Enqueue(Queue::Sender),
            Operation::Write(Table::Due),
        ]
    );
}

#[test]
fn an_order_ends_it_whenever_it_arrives() {
    let mut world = World::new(&two_mails());
    let body = added(&world, "m-1", START);
    world.deliver(&[body], 1, START);
    let order = event("Order Completed", "o-1", after("20m"));
    world.fold(ada(), &order);
    // Lost on the way: the next step finds it all the same.
    world.live(START, after("2h"));
    assert_eq!(world.hers().ended, Some((Ending::Exited, after("20m"))));
    assert_eq!(world.sends(), []);
    // And it does not start again by the same trigger.
    let again = folded(ada(), &[ada()], &event("Product Added", "m-1", START));
    assert_eq!(world.deliver(&[again], 1, after("2h")), [Disposition::Done]);
    assert_eq!(world.hers().ended, Some((Ending::Exited, after("20m"))));
}

#[test]
fn an_order_that_came_first_lets_nobody_in() {
    let mut world = World::new(&two_mails());
    world.fold(ada(), &event("Order Completed", "o-1", after("1s")));
    let body = added(&world, "m-1", START);
    world.deliver(&[body], 1, after("2s"));
    assert_eq!(world.memory.rows_of(Table::Enrollments), []);
}

#[test]
fn a_second_delivery_of_anything_changes_nothing() {
    let mut world = World::new(&two_mails());
    let trigger = added(&world, "m-1", START);
    world.deliver(std::slice::from_ref(&trigger), 1, START);
    let entered = world.memory.rows();
    for count in [1, 2, 7] {
        assert_eq!(
            world.deliver(std::slice::from_ref(&trigger), count, after("5s")),
            [Disposition::Done]
        );
        assert_eq!(world.memory.rows(), entered, "the due item is the same one");
    }
    let wake = wake_of(&world.hers());
    world.deliver(std::slice::from_ref(&wake), 1, after("1h"));
    let (moved, sent) = (world.memory.rows(), world.sends());
    for count in [1, 2, 7] {
        assert_eq!(
            world.deliver(std::slice::from_ref(&wake), count, after("1h")),
            [Disposition::Done]
        );
        assert_eq!(world.memory.rows(), moved);
    }
    let again = world.sends();
    assert!(again.iter().all(|send| *send == sent[0]), "repeated sends have the same id");
    assert_eq!(again.len(), 3, "a first receipt repeats nothing, a later one does");
}

#[test]
fn two_records_of_one_profile_in_a_batch_follow_each_other() {
    let mut world = World::new(&two_mails());
    let first = added(&world, "m-1", START);
    let second = added(&world, "m-2", START);
    let order = event("Order Completed", "o-1", after("1s"));
    let done = world.deliver(&[first, second], 1, START);
    assert_eq!(done, [Disposition::Done, Disposition::Done]);
    assert_eq!(world.memory.rows_of(Table::Enrollments).len(), 1);
    assert_eq!(world.hers().why.trigger_id, "m-1");
    world.fold(ada(), &order);
    let hint = folded(ada(), &[ada()], &order);
    world.deliver(&[hint.clone(), hint], 1, after("2s"));
    assert_eq!(world.hers().ended, Some((Ending::Exited, after("1s"))));
}

#[test]
fn a_poison_record_fails_alone() {
    let mut world = World::new(&two_mails());
    let good = added(&world, "m-1", START);
    let bodies = [
        "{".to_owned(),
        envelope("Event Folded", &json!({"v": 1, "profile": "short"})),
        envelope("Event Folded", &json!({"v": 99})),
        envelope("Signal Raised", &json!("nothing")),
        envelope("Consent Changed", &json!({"v": 1})),
        json!({"command": "wake", "owner": {"profile": ada()}, "arm": 1, "due": 1}).to_string(),
        good,
        json!({"command": "wake", "owner": {"enrollment": {"profile": ada(),
               "journey": "gone", "key": ada()}}, "arm": 1, "due": 1})
        .to_string(),
    ];
    let reasons: Vec<&str> = world
        .deliver(&bodies, 1, START)
        .iter()
        .map(|disposition| match disposition {
            Disposition::Done => "done",
            Disposition::Retry { .. } => "retry",
            Disposition::Park { reason, chain } => {
                let text = chain.join(" ");
                assert!(!text.contains("short") && !text.contains("nothing"), "{text}");
                reason
            }
        })
        .collect();
    assert_eq!(
        reasons,
        [
            "malformed",
            "malformed",
            "unknown_schema",
            "malformed",
            "unexpected",
            "unexpected",
            "done",
            "done"
        ]
    );
    assert_eq!(world.hers().step.as_str(), "hour");
}

#[test]
fn a_newer_release_s_slot_is_left_alone_and_the_others_move_on() {
    let mut world = World::new(&two_mails());
    let body = added(&world, "m-1", START);
    world.deliver(&[body], 1, START);
    let mut row = world.memory.rows_of(Table::Enrollments).remove(0);
    row.schema = 9;
    row.key.sk = "another-journey#x".to_owned();
    world.memory.seed(row.clone());
    let order = event("Order Completed", "o-1", after("1m"));
    world.fold(ada(), &order);
    let done = world.deliver(&[folded(ada(), &[ada()], &order)], 1, after("1m"));
    // It waits for that release to come to this function too.
    assert!(matches!(done.as_slice(), [Disposition::Retry { .. }]), "{done:?}");
    assert!(world.hers().ended.is_some());
    assert!(world.memory.rows_of(Table::Enrollments).contains(&row));
}

#[test]
fn a_paused_journey_stands_still_and_goes_on() {
    let mut world = World::new(&two_mails());
    let body = added(&world, "m-1", START);
    world.deliver(&[body], 1, START);
    world.publish(JourneyState::Paused);
    world.live(after("30m"), after("4h"));
    assert_eq!(world.sends(), []);
    assert_eq!(world.hers().parked, Some(after("1h")));
    let newcomer = ProfileId::from_bytes([2; 16]);
    let other = event("Product Added", "m-9", after("2h"));
    world.fold(newcomer, &other);
    world.deliver(&[folded(newcomer, &[], &other)], 1, after("4h"));
    assert_eq!(world.enrollment(&world.slot(newcomer, "c-1")), None, "nobody enters");
    world.publish(JourneyState::Live);
    world.live(after("4h"), after("30h"));
    assert_eq!(world.sent_steps(), ["last", "remind"]);
}

#[test]
fn those_inside_an_archived_journey_go_on() {
    let mut world = World::new(&two_mails());
    let body = added(&world, "m-1", START);
    world.deliver(&[body], 1, START);
    world.publish(JourneyState::Archived);
    world.live(after("30m"), after("26h"));
    assert_eq!(world.sent_steps(), ["last", "remind"]);
    let body = added(&world, "m-2", after("27h"));
    world.deliver(&[body], 1, after("27h"));
    assert_eq!(world.hers().why.trigger_id, "m-1", "nobody enters");
}

#[test]
fn an_erased_profile_is_mailed_nothing() {
    let mut world = World::new(&two_mails());
    let body = added(&world, "m-1", START);
    world.deliver(std::slice::from_ref(&body), 1, START);
    world.erase(ada());
    world.live(START, after("26h"));
    assert_eq!(world.hers().ended.unwrap().0, Ending::Erased);
    assert!(world.hers().why.evidence.is_empty());
    assert_eq!(world.deliver(&[body], 1, after("26h")), [Disposition::Done]);
    assert_eq!(world.sends(), []);
}

#[test]
fn an_enrollment_under_another_identity_is_found_by_its_owner_key() {
    let mut world = World::new(&two_mails());
    let device = ProfileId::from_bytes([7; 16]);
    let before = event("Product Added", "m-1", START);
    world.fold(device, &before);
    world.deliver(&[folded(device, &[device], &before)], 1, START);
    // She signs in: the device is linked to her, and the trigger is delivered again under her.
    let order = event("Order Completed", "o-1", after("10m"));
    world.fold(ada(), &order);
    world.deliver(&[folded(ada(), &[ada(), device], &before)], 2, after("5m"));
    assert_eq!(world.enrollment(&world.slot(ada(), "c-1")), None, "it is the same enrollment");
    let next = event("Product Added", "m-2", after("6m"));
    world.deliver(&[folded(ada(), &[ada(), device], &next)], 1, after("6m"));
    assert_eq!(world.enrollment(&world.slot(ada(), "c-1")), None, "she is inside already");
    world.deliver(&[folded(ada(), &[ada(), device], &order)], 1, after("10m"));
    let there = world.enrollment(&world.slot(device, "c-1")).unwrap();
    assert_eq!(there.ended, Some((Ending::Exited, after("10m"))));
}

#[test]
fn a_signal_lets_in_once() {
    let mut journey = two_mails();
    journey["trigger"] = json!({"signal": {"name": "Cart Abandoned", "after": "4h"}});
    let mut world = World::new(&journey);
    let id = SignalId::from_bytes([3; 16]).to_string();
    let signal = raised(ada(), &id, START, after("4h"));
    for count in [1, 1, 2] {
        assert_eq!(
            world.deliver(std::slice::from_ref(&signal), count, after("4h")),
            [Disposition::Done]
        );
    }
    let hers = world.hers();
    assert_eq!((hers.started, hers.due), (START, Some(after("5h"))));
    assert_eq!(hers.why.evidence["lines"][0]["name"], "Wool socks");
    world.live(after("4h"), after("30h"));
    assert_eq!(world.sent_steps(), ["last", "remind"]);
}

/// A signal lets her in, its effects fail, and before it is delivered again its journey is
/// archived: she is inside, and goes on.
#[test]
fn what_letting_in_stored_is_carried_out_although_the_journey_is_archived_since() {
    let mut journey = two_mails();
    journey["trigger"] = json!({"signal": {"name": "Cart Abandoned", "after": "4h"}});
    let mut world = World::new(&journey);
    let id = SignalId::from_bytes([7; 16]).to_string();
    let signal = raised(ada(), &id, START, after("4h"));
    world.memory.on_call(|call| match call.operation {
        Operation::Enqueue(_) | Operation::Write(Table::Due) => odyssey_testkit::Fault::FailBefore,
        _ => odyssey_testkit::Fault::None,
    });
    let done = world.deliver(std::slice::from_ref(&signal), 1, after("4h"));
    assert!(matches!(done.as_slice(), [Disposition::Retry { .. }]), "{done:?}");
    world.memory.calm();
    world.publish(JourneyState::Archived);
    assert_eq!(world.deliver(&[signal], 2, after("5h")), [Disposition::Done]);
    let armed = !world.memory.rows_of(Table::Due).is_empty()
        || !world.memory.queue(Queue::Journey).is_empty();
    assert!(armed, "nothing will wake her");
}

#[test]
fn journeys_that_a_process_has_not_seen_are_read_in_one_call() {
    let world = World::new(&two_mails());
    let journeys = ["a", "b", "c"].map(|id| {
        let mut journey = two_mails();
        journey["id"] = id.into();
        let journey: Journey = serde_json::from_value(journey).unwrap();
        (ContentHash::of(&serde_json::to_vec(&journey).unwrap()), journey)
    });
    for (hash, journey) in &journeys {
        let put = stored::put(document_key(*hash), journey, None).unwrap();
        run(world.memory.write(put)).unwrap();
    }
    let cache = CatalogCache::default();
    let [(a, first), (b, _), (c, _)] = &journeys;
    assert_eq!(*run(cache.journey(&world.memory, *a)).unwrap(), *first);
    let before = world.memory.calls().len();
    let calls = || world.memory.calls().split_off(before);
    let found = run(cache.journeys(&world.memory, &[*c, *a, *b, *c])).unwrap();
    let ids: Vec<&str> = found.iter().map(|journey| journey.id.as_str()).collect();
    assert_eq!(ids, ["c", "a", "b", "c"]);
    assert_eq!(calls(), [Operation::GetMany]);
    run(cache.journeys(&world.memory, &[*a, *b, *c])).unwrap();
    assert_eq!(calls(), [Operation::GetMany], "now it has them");
    let missing = ContentHash::of(b"not published");
    let error = run(cache.journeys(&world.memory, &[*a, missing])).unwrap_err();
    assert!(matches!(error, CatalogError::Missing(hash) if hash == missing), "{error}");
}
