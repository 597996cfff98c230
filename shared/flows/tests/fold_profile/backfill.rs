//! Computed traits that are declared when profiles already have events.

use super::world::{World, accepted, accepted_from, catalog, identify, minute, track};
use odyssey_domain::catalog::Catalog;
use odyssey_domain::event::Event;
use odyssey_domain::ids::IdentityKey;
use odyssey_domain::profile::{NotYet, ProfileView};
use odyssey_domain::time::{Span, Stamp};
use odyssey_domain::wire::SourceKind;
use odyssey_flows::backfill::{self, Later, Outcome, PARTS, Report};
use odyssey_flows::catalog::CatalogCache;
use odyssey_flows::ports::{Expect, Row, Table, Tables, Write};
use odyssey_flows::queue::QueueRecord;
use odyssey_testkit::{Fault, Operation, run, run_or_halt};
use serde_json::{Value, json};

/// Orders and what they come to, and what was looked at lately.
fn declared() -> Catalog {
    let of = |event: &str, kind: Value, days: Option<u32>| json!({"kind": kind, "event": {"event": event}, "days": days});
    let rules = json!({
        "orders": of("Order Completed", json!("count"), None),
        "spent_30d": of("Order Completed", json!({"sum": {"of": "total", "currency": "EUR"}}), Some(30)),
        "favourite": of("Product Viewed", json!({"most_frequent": "category"}), Some(90)),
    });
    Catalog { computed_traits: serde_json::from_value(rules).unwrap(), ..catalog() }
}

fn order(id: &str, at: i64, who: &Value) -> Event {
    track(
        id,
        at,
        "Order Completed",
        who,
        &json!({"order_id": id, "total": 12.5, "currency": "EUR"}),
    )
}

fn viewed(id: &str, at: i64, who: &Value) -> Event {
    track(id, at, "Product Viewed", who, &json!({"product_id": id, "category": "tents"}))
}

/// Ann, who came under a cookie first, and Bob; each record a minute after the one before.
fn history() -> Vec<QueueRecord> {
    let (cookie, ann) = (json!({"anonymousId": "a1"}), json!({"userId": "ann"}));
    let both = json!({"anonymousId": "a1", "userId": "ann"});
    vec![
        accepted(1, vec![viewed("v1", 1, &cookie), viewed("v2", 1, &cookie)]),
        accepted(2, vec![order("o1", 2, &json!({"userId": "bob"}))]),
        accepted(3, vec![order("o2", 3, &cookie)]),
        accepted(4, vec![identify("i1", 4, &both, &json!({"plan": "gold"}))]),
        accepted(5, vec![order("o3", 5, &ann), viewed("v3", 5, &ann)]),
    ]
}

fn fold_all(world: &World, records: Vec<QueueRecord>) {
    for (n, record) in (1..).zip(records) {
        world.fold_done(vec![record], minute(n));
    }
}

/// A world in which all of this happened before the traits were declared, at minute 10.
fn declared_late() -> World {
    let world = World::new();
    fold_all(&world, history());
    world.publish(declared(), minute(10));
    world
}

fn view(world: &World, key: IdentityKey, now: Stamp) -> ProfileView {
    let (profile, root) = world.root(key);
    root.view_at(profile, &declared().computed_traits, now)
}

fn backfill(world: &World, now: Stamp) -> Report {
    run(backfill::run(&world.memory, &world.keyring, &|| now, |_| {})).unwrap()
}

fn fill(tables: &impl Tables, key: IdentityKey, now: Stamp) -> Outcome {
    let keyring = World::new().keyring;
    run(backfill::fill(tables, &keyring, &declared(), key, now)).unwrap()
}

#[test]
fn declared_late_and_filled_is_declared_early() {
    let early = World::of(declared());
    fold_all(&early, history());
    let late = declared_late();
    let ann = late.user("ann");
    let before = view(&late, ann, minute(11));
    assert_eq!(before.facts["computed.filling"], json!(["favourite", "orders", "spent_30d"]));
    assert!(!before.traits.contains_key("orders"));
    let report = backfill(&late, minute(11));
    assert_eq!((report.profiles, report.filled, report.complete), (2, 2, 0), "{report:?}");
    assert_eq!((report.events, report.missing, report.parts), (7, 0, PARTS));
    assert!(report.left.is_empty() && !report.republished);
    assert_eq!(late.facts(), early.facts());
    let after = view(&late, ann, minute(11));
    assert_eq!(after.traits["orders"], 2);
    assert_eq!(after.traits["spent_30d"], 2_500);
    assert_eq!(after.traits["favourite"], "tents");
    assert!(!after.facts.contains_key("computed.filling"));
    // What comes then is folded into it, and what came before is known.
    let next = accepted(12, vec![order("o4", 12, &json!({"userId": "ann"}))]);
    late.fold_done([history(), vec![next]].concat(), minute(12));
    assert_eq!(view(&late, ann, minute(12)).traits["orders"], 3);
    assert_eq!(view(&late, ann, minute(12).plus(Span::DAY.times(31))).traits["spent_30d"], 0);
}

/// Raised signals stand beside the events of a timeline, and are none.
#[test]
fn a_profile_with_signals_is_filled() {
    let world = World::new();
    let added =
        track("c1", 0, "Product Added", &json!({"userId": "ann"}), &json!({"product_id": "p"}));
    world.fold_done(
        vec![accepted(0, vec![added, order("o1", -1, &json!({"userId": "ann"}))])],
        minute(0),
    );
    world.wake_until(minute(4 * 60));
    let is_signal = |row: &Row| row.key.sk.starts_with("signal#");
    assert!(world.memory.rows_of(Table::Timeline).iter().any(is_signal), "one was raised");
    let now = minute(5 * 60);
    world.publish(declared(), now);
    let report = backfill(&world, now);
    assert_eq!(report.filled, 1, "{report:?}");
    assert_eq!(view(&world, world.user("ann"), now).traits["orders"], 1);
}

#[test]
fn a_second_run_writes_nothing() {
    let world = declared_late();
    backfill(&world, minute(11));
    let calls = world.memory.calls().len();
    let rows = world.memory.rows();
    let report = backfill(&world, minute(12));
    assert_eq!((report.profiles, report.complete, report.filled), (2, 2, 0));
    assert_eq!(report.ahead(), Some(0));
    let calls = world.memory.calls().split_off(calls);
    assert!(!calls.iter().any(|call| matches!(call, Operation::Write(_) | Operation::Transact)));
    assert_eq!(world.memory.rows(), rows);
    let mut pages = 0;
    run(backfill::run(&world.memory, &world.keyring, &|| minute(13), |_| pages += 1)).unwrap();
    assert_eq!(pages, PARTS);
}

#[test]
fn a_new_profile_needs_no_back_fill() {
    let world = World::of(declared());
    fold_all(&world, history());
    assert_eq!(view(&world, world.user("ann"), minute(6)).traits["orders"], 2);
    assert_eq!(backfill(&world, minute(6)).complete, 2);
}

/// Whatever fails at whichever call, another run brings it to the same end.
#[test]
fn a_fault_at_any_call_is_healed_by_another_run() {
    let calm = declared_late();
    let before = calm.memory.calls().len();
    backfill(&calm, minute(11));
    let calls = calm.memory.calls().len() - before;
    let expected = calm.facts();
    for fault in
        [Fault::FailBefore, Fault::FailAfter, Fault::Echo, Fault::HaltBefore, Fault::HaltAfter]
    {
        for at in (0..calls).filter(|at| *at < 4 || *at + 40 > calls || at % 7 == 0) {
            let world = declared_late();
            let (mut n, wrong) = (0, fault.clone());
            world.memory.on_call(move |_| {
                n += 1;
                if n == at + 1 { wrong.clone() } else { Fault::None }
            });
            let _ =
                run_or_halt(backfill::run(&world.memory, &world.keyring, &|| minute(11), |_| {}));
            world.memory.calm();
            let report = backfill(&world, minute(12));
            assert!(report.left.is_empty(), "{fault:?} at {at}: {report:?}");
            assert_eq!(world.facts(), expected, "{fault:?} at {at}");
        }
    }
}

#[test]
fn an_event_that_is_folded_meanwhile_is_counted_once() {
    let next = || {
        let ann = json!({"userId": "ann"});
        vec![accepted(11, vec![order("o9", 11, &ann), order("o3", 5, &ann)])]
    };
    for late in [false, true] {
        let world = declared_late();
        let key = world.user("ann");
        let other = world.beside();
        // Just before its timeline is read, or between that and the write.
        let of = move |call| match call {
            Operation::Query(_) => !late,
            Operation::Write(_) | Operation::Transact => late,
            _ => false,
        };
        world.memory.meanwhile(of, 0, move || drop(other.fold(next(), minute(11))));
        let outcome = fill(&world.memory, key, minute(11));
        assert!(matches!(outcome, Outcome::Filled { .. }), "{late}: {outcome:?}");
        assert_eq!(view(&world, key, minute(12)).traits["orders"], 3, "{late}");
        let early = World::of(declared());
        fold_all(&early, history());
        early.fold_done(next(), minute(11));
        assert_eq!(world.facts()[&key.to_string()], early.facts()[&key.to_string()], "{late}");
    }
}

/// A device's events move to their user between two reads of the back-fill.
#[test]
fn a_link_meanwhile_is_no_harm() {
    let world = World::new();
    let (cookie, both) =
        (json!({"anonymousId": "a1"}), json!({"anonymousId": "a1", "userId": "ann"}));
    world.fold_done(vec![accepted(1, vec![order("o1", 1, &cookie)])], minute(1));
    world.publish(declared(), minute(10));
    let (device, ann) = (world.anonymous("a1"), world.user("ann"));
    let other = world.beside();
    let link = vec![accepted(11, vec![order("o2", 11, &both)])];
    let timeline_is_read = |call| matches!(call, Operation::Query(_));
    world.memory.meanwhile(timeline_is_read, 0, move || drop(other.fold(link, minute(11))));
    let outcome = fill(&world.memory, device, minute(11));
    assert_eq!(outcome, Outcome::Complete, "it is a pointer now");
    let read = view(&world, ann, minute(11));
    assert_eq!(read.facts["computed.filling"], json!(["favourite", "orders", "spent_30d"]));
    assert!(matches!(fill(&world.memory, ann, minute(12)), Outcome::Filled { events: 1, .. }));
    assert_eq!(view(&world, ann, minute(12)).traits["orders"], 2);
}

/// The timeline is written after the fold: until it is, nothing is filled.
#[test]
fn a_timeline_that_is_behind_is_waited_for() {
    let world = World::new();
    fold_all(&world, history());
    world.memory.on_call(|call| match call.operation {
        Operation::Write(Table::Timeline) => Fault::FailBefore,
        _ => Fault::None,
    });
    let late = accepted(6, vec![order("o4", 6, &json!({"userId": "ann"}))]);
    let _ = world.fold(vec![late.clone()], minute(6));
    world.memory.calm();
    world.publish(declared(), minute(10));
    let key = world.user("ann");
    let behind = Later::Uneven(NotYet::Behind { missing: 1, total: 4 });
    assert_eq!(fill(&world.memory, key, minute(11)), Outcome::NotYet(behind));
    let report = backfill(&world, minute(11));
    assert_eq!((report.filled, report.left_in_all()), (1, 1), "{report:?}");
    assert_eq!(report.named.len(), 1);
    world.fold_done(vec![late], minute(12));
    assert_eq!(backfill(&world, minute(13)).filled, 1);
    assert_eq!(view(&world, key, minute(13)).traits["orders"], 3);
}

/// A process that still works with the catalog before drops what it would miss.
#[test]
fn a_stale_process_costs_a_back_fill_and_no_number() {
    let world = declared_late();
    let stale = CatalogCache::default();
    world.publish(catalog(), minute(10));
    run(stale.catalog(&world.memory, minute(11))).unwrap();
    world.publish(declared(), minute(11));
    backfill(&world, minute(11));
    let key = world.user("ann");
    assert_eq!(view(&world, key, minute(11)).traits["orders"], 2);
    let World { memory, keyring, .. } = &world;
    let records = vec![accepted(11, vec![order("o5", 11, &json!({"userId": "ann"}))])];
    let now = minute(11).plus(Span::from_ms(1));
    run(odyssey_flows::fold_profile::run(memory, memory, memory, keyring, &stale, records, now));
    assert!(view(&world, key, now).facts.contains_key("computed.filling"));
    let report = backfill(&world, minute(12));
    assert_eq!((report.filled, report.complete), (1, 1));
    assert_eq!(view(&world, key, minute(12)).traits["orders"], 3);
}

#[test]
fn what_the_timeline_has_forgotten_is_said() {
    let world = declared_late();
    let (ann, now) = (world.user("ann"), minute(0).plus(Span::DAY.times(500)));
    for row in world.memory.rows_of(Table::Timeline) {
        let delete = Write::Delete { key: row.key, expect: Expect::Any };
        run(world.memory.write(delete)).unwrap();
    }
    let order = track("o9", 500 * 1_440, "Order Completed", &json!({"userId": "ann"}), &json!({}));
    world.fold_done(vec![accepted(500 * 1_440, vec![order])], now);
    let report = backfill(&world, now);
    assert_eq!((report.filled, report.partial, report.missing), (2, 2, 7), "{report:?}");
    let read = view(&world, ann, now);
    assert_eq!(read.traits["orders"], 1);
    assert_eq!(read.facts["computed.partial"], json!(["orders"]));
}

#[test]
fn a_long_timeline_is_read_page_by_page() {
    let world = World::new();
    let who = json!({"userId": "ann"});
    for n in 0..450_i64 {
        let events = vec![order(&format!("o{n}"), n, &who), viewed(&format!("v{n}"), n, &who)];
        world.fold_done(vec![accepted_from(SourceKind::Server, n, events)], minute(n));
    }
    // Events that come late have rows of their own, and are folded all the same.
    let old = |n: i64| order(&format!("late{n}"), n - 20_000, &who);
    let late: Vec<Event> = (0..300).map(old).collect();
    world.fold_done(vec![accepted_from(SourceKind::Server, 500, late)], minute(500));
    world.publish(declared(), minute(600));
    let outcome = fill(&world.memory, world.user("ann"), minute(601));
    assert_eq!(outcome, Outcome::Filled { events: 1_200, missing: 0 });
    assert_eq!(view(&world, world.user("ann"), minute(601)).traits["orders"], 750);
}

#[test]
fn a_publication_meanwhile_is_told() {
    let world = declared_late();
    let (memory, mut asked) = (world.memory.clone(), false);
    let report = run(backfill::run(&world.memory, &world.keyring, &|| minute(11), |_| {
        if !std::mem::replace(&mut asked, true) {
            let changed = odyssey_flows::catalog::Publication {
                catalog: catalog(),
                journeys: std::collections::BTreeMap::new(),
                mails: std::collections::BTreeMap::new(),
            };
            run(odyssey_flows::catalog::publish(&memory, &changed)).unwrap();
        }
    }))
    .unwrap();
    assert!(report.republished);
}

/// A plan is made, another publication goes through, and then the plan is carried out.
#[test]
fn what_was_published_since_is_not_written_over() {
    use odyssey_flows::catalog::{CatalogError, Publication, current_key, publish, publish_over};
    let world = World::new();
    let current = || {
        let rows = world.memory.rows();
        rows.into_iter().find(|row| row.key == current_key())
    };
    let planned_on = current().map(|row| row.version);
    let none = || (std::collections::BTreeMap::new(), std::collections::BTreeMap::new());
    let publication = |catalog| {
        let (journeys, mails) = none();
        Publication { catalog, journeys, mails }
    };
    run(publish(&world.memory, &publication(declared()))).unwrap();
    let stands = current();
    let late = run(publish_over(&world.memory, &publication(catalog()), planned_on));
    assert!(matches!(late, Err(CatalogError::Conflict)), "{late:?}");
    assert_eq!(current(), stands);
}
