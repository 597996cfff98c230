//! A second delivery changes nothing and repeats its effects; faults lose and double nothing.

use crate::world::*;
use odyssey_domain::ids::EventHash;
use odyssey_domain::wire::{SourceKind, detail_type};
use odyssey_flows::ports::{Row, Table};
use odyssey_flows::profiles::identity_key;
use odyssey_flows::queue::Disposition;
use odyssey_testkit::{Fault, Operation};
use serde_json::json;

fn sample() -> Vec<odyssey_domain::event::Event> {
    let who = json!({"userId": "ann", "anonymousId": "a1"});
    vec![
        identify("1", 0, &who, &json!({"email": "ann@example.com", "plan": "pro"})),
        track("2", 1, "Signed Up", &who, &json!({})),
        track("3", 2, "Product Added", &who, &json!({"product_id": "p", "price": 18.99})),
        track(
            "4",
            3,
            "Consent Requested",
            &who,
            &json!({"topic": "offers", "email": "ann@example.com"}),
        ),
        // Without an address it is an effect of the profile's state.
        track("5", 4, "Consent Requested", &who, &json!({"topic": "news"})),
    ]
}

#[test]
fn a_second_delivery_changes_nothing_and_repeats_its_effects() {
    let world = World::new();
    let record = accepted(5, sample());
    let counts = world.fold_done(vec![record.clone()], minute(5));
    assert_eq!((counts.folded, counts.duplicates), (5, 0));
    let rows = world.memory.rows();
    let entries = world.memory.take_bus_entries();
    let kinds: Vec<&str> = entries.iter().map(|entry| entry.detail_type).collect();
    let (folded, requested) = (detail_type::EVENT_FOLDED, detail_type::CONSENT_REQUESTED);
    assert_eq!(kinds, [folded, requested, requested]);
    assert!(entries[1..].iter().all(|entry| entry.detail.contains("ann@example.com")));

    let counts = world.fold_done(vec![record.clone(), record], minute(6));
    assert_eq!((counts.folded, counts.duplicates), (0, 10));
    let same = |a: &Row, b: &Row| a.key == b.key && a.body == b.body;
    let again = world.memory.rows();
    assert_eq!(rows.len(), again.len());
    assert!(rows.iter().zip(&again).all(|(a, b)| same(a, b)));
    let mut repeated = world.memory.take_bus_entries();
    repeated.dedup();
    assert_eq!(
        repeated.len(),
        5,
        "what a message says with each message, what the state says once"
    );
    assert!(repeated.iter().all(|entry| entries.contains(entry)));
}

#[test]
fn the_profile_is_what_the_events_say() {
    let world = World::new();
    world.fold_done(vec![accepted(5, sample())], minute(5));
    let view = world.view(world.anonymous("a1"));
    assert_eq!(view.profile, world.user("ann").into());
    assert_eq!(view.email.unwrap().expose(), "ann@example.com");
    assert_eq!(view.traits["plan"], "pro");
    assert_eq!(view.facts["cart.value"], 1_899);
    assert_eq!(view.facts["cart.currency"], "USD");
    assert_eq!(view.facts["events.Product Added"], 1);
    assert_eq!(view.owners, [world.user("ann"), world.anonymous("a1")]);
    let contact = world
        .keyring
        .contact_key(&odyssey_domain::personal::EmailAddress::parse("ann@example.com").unwrap());
    let found =
        odyssey_testkit::run(odyssey_flows::profiles::find_by_email(&world.memory, contact))
            .unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].profile, world.user("ann").into());
}

#[test]
fn an_item_of_the_reference_workload_is_small() {
    let world = World::new();
    let who = json!({"userId": "ann", "anonymousId": "a1"});
    let mut events = sample();
    for n in 0..6 {
        events.push(track(
            &format!("view-{n}"),
            10 + n,
            "Product Viewed",
            &who,
            &json!({"product_id": format!("507f1f77bcf86cd79943901{n}"), "category": "Games",
                "name": format!("Monopoly: {n}rd Edition"), "price": 18.99 , "currency": "USD",
                "url": format!("https://www.example.com/product/path-{n}"),
                "image_url": format!("https://www.example.com/product/path-{n}.jpg")}),
        ));
    }
    world.fold_done(vec![accepted(20, events)], minute(20));
    let key = identity_key(world.user("ann"));
    let row = world.memory.rows().into_iter().find(|row| row.key == key).unwrap();
    assert!(row.body.len() < 1_900, "{} bytes", row.body.len());
}

#[test]
fn poison_fails_alone() {
    let world = World::new();
    let who = json!({"userId": "ann"});
    let good = accepted(5, vec![track("1", 0, "Signed Up", &who, &json!({}))]);
    let newer = envelope(detail_type::EVENTS_ACCEPTED, &json!({"v": 2, "anything": []}));
    let broken = envelope(
        detail_type::EVENTS_ACCEPTED,
        &json!({"v": 1, "events": [{"id": 3, "userId": "secret-id"}]}),
    );
    let other = envelope("Order Shipped", &json!({}));
    let records = vec![record("x", "{\"not\": \"it\"}"), newer, broken, good, other];
    let (dispositions, counts) = world.fold(records, minute(5));
    let reasons: Vec<&str> = dispositions
        .iter()
        .map(|disposition| match disposition {
            Disposition::Done => "done",
            Disposition::Retry { .. } => "retry",
            Disposition::Park { reason, .. } => reason,
        })
        .collect();
    assert_eq!(reasons, ["malformed", "unknown_schema", "malformed", "done", "misdirected"]);
    assert!(!format!("{dispositions:?}").contains("secret-id"));
    assert_eq!(counts.folded, 1);
}

#[test]
fn an_unpublished_workspace_is_waited_for() {
    let mut world = World::new();
    world.memory = odyssey_testkit::Memory::new();
    let who = json!({"userId": "ann"});
    let good = accepted(5, vec![track("1", 0, "Signed Up", &who, &json!({}))]);
    let (dispositions, _) = world.fold(vec![good], minute(5));
    assert!(matches!(dispositions[..], [Disposition::Retry { .. }]));
}

/// Every call fails or halts the process once, before and after it took effect; the redelivery
/// must bring everything to where it would have been.
#[test]
fn a_fault_at_any_call_is_healed_by_redelivery() {
    let calm = World::new();
    calm.fold_done(vec![accepted(5, sample())], minute(5));
    let expected = (calm.facts(), calm.memory.rows_of(Table::Timeline).len());
    let calls = calm.memory.calls().len();
    for fault in [Fault::FailBefore, Fault::FailAfter, Fault::HaltBefore, Fault::HaltAfter] {
        for at in 0..calls {
            let world = World::new();
            let (mut n, wrong) = (0, fault.clone());
            world.memory.on_call(move |_| {
                n += 1;
                if n == at + 1 { wrong.clone() } else { Fault::None }
            });
            let World { memory, keyring, catalog, .. } = &world;
            let record = accepted(5, sample());
            let _ = odyssey_testkit::run_or_halt(odyssey_flows::fold_profile::run(
                memory,
                memory,
                memory,
                keyring,
                catalog,
                vec![record.clone()],
                minute(5),
            ));
            world.memory.calm();
            let mut again = record;
            again.receive_count = 2;
            world.fold_done(vec![again], minute(6));
            let found = (world.facts(), world.memory.rows_of(Table::Timeline).len());
            assert_eq!(found, expected, "fault {fault:?} at call {at}");
            let entries = world.memory.take_bus_entries();
            for wanted in ["Signed Up", "offers", "news"] {
                assert!(entries.iter().any(|e| e.detail.contains(wanted)), "{wanted} at {at}");
            }
            let armed = world.memory.queue(odyssey_flows::ports::Queue::Profile);
            assert!(!armed.is_empty(), "no timer after {fault:?} at call {at}");
        }
    }
}

/// The simulator's seed 46707: while the timeline was down for hours, each try of each record put
/// its events on the bus once more, and each copy had journey retry in turn.
#[test]
fn what_the_timeline_does_not_take_reaches_the_bus_once() {
    let world = World::new();
    world.memory.on_call(|call| match call.operation {
        Operation::Write(Table::Timeline) => Fault::FailBefore,
        _ => Fault::None,
    });
    for at in 5..15 {
        let (dispositions, _) = world.fold(vec![accepted(5, sample())], minute(at));
        assert!(matches!(dispositions[..], [Disposition::Retry { .. }]));
    }
    // What the state asks for is repeated until all of the delivery is done.
    let of_the_message = || {
        let entries = world.memory.take_bus_entries().into_iter();
        entries.filter(|entry| !entry.detail.contains("news")).count()
    };
    assert_eq!(of_the_message(), 2);
    world.memory.calm();
    world.fold_done(vec![accepted(5, sample())], minute(15));
    assert_eq!(of_the_message(), 2);
}

#[test]
fn what_a_lost_write_decided_is_carried_out_by_the_next_attempt() {
    let world = World::new();
    let who = json!({"userId": "ann"});
    let added = track("1", 0, "Product Added", &who, &json!({"product_id": "p"}));
    world.fold_done(vec![accepted(0, vec![added])], minute(0));
    let wake = world.memory.take(odyssey_flows::ports::Queue::Profile, minute(10));
    let (identity, here) = (identity_key(world.user("ann")), world.memory.clone());
    // The write takes effect and loses its answer, and is written over by one that keeps what it
    // stored, as a back-fill's does.
    let (mut lost, mut over) = (false, false);
    world.memory.on_call(move |call| {
        if lost && !over {
            let stands = here.rows().into_iter().find(|row| row.key == identity);
            if let Some(row) = stands {
                here.seed(Row { version: row.version + 1, ..row });
            }
            over = true;
        }
        if lost || call.operation != Operation::Write(Table::Profiles) {
            return Fault::None;
        }
        lost = true;
        Fault::FailAfter
    });
    world.fold_done(wake, minute(10));
    world.memory.calm();
    assert_eq!(world.signals().len(), 1, "the cart was abandoned");
    // And the next timer is armed.
    world.wake_until(minute(240));
    assert_eq!(world.signals().len(), 1);
}

#[test]
fn a_hot_profile_goes_back_to_the_queue() {
    let viewed = |id| track(id, 4, "Product Viewed", &json!({"userId": "ann"}), &json!({}));
    let elsewhere = World::new();
    elsewhere.fold_done(vec![accepted(4, vec![viewed("theirs")])], minute(4));
    let rows = elsewhere.memory.rows_of(Table::Profiles);
    let world = World::new();
    // Before each of its writes somebody else writes to the profile.
    let (here, mut version) = (world.memory.clone(), 1);
    world.memory.on_call(move |call| {
        if matches!(call.operation, Operation::Write(Table::Profiles) | Operation::Transact) {
            version += 1;
            for row in &rows {
                here.seed(Row { version, ..row.clone() });
            }
        }
        Fault::None
    });
    let (dispositions, counts) = world.fold(vec![accepted(5, vec![viewed("ours")])], minute(5));
    assert!(matches!(&dispositions[..], [Disposition::Retry { after: Some(_), .. }]));
    assert_eq!((counts.hot, counts.conflicts, counts.folded), (1, 4, 0));
    let memory = &world.memory;
    assert!(memory.bus_entries().is_empty() && memory.rows_of(Table::Timeline).is_empty());
}

#[test]
fn thousands_of_events_stay_exact() {
    let world = World::new();
    let who = json!({"userId": "ann"});
    let mut n = 0;
    for batch in 0..12_i64 {
        let events: Vec<_> = (0..250)
            .map(|_| {
                n += 1;
                track(&format!("e{n}"), batch, "Product Clicked", &who, &json!({}))
            })
            .collect();
        let records = vec![accepted_from(SourceKind::Server, batch, events)];
        world.fold_done(records.clone(), minute(batch));
        world.fold_done(records, minute(batch));
    }
    // Every one once more, all in one record.
    let all = (1..=n).map(|n| track(&format!("e{n}"), 20, "Product Clicked", &who, &json!({})));
    let before = world.memory.calls().len();
    let counts = world.fold_done(vec![accepted(20, all.collect())], minute(20));
    assert_eq!(counts.duplicates, n);
    let calls = world.memory.calls().split_off(before);
    let asked = calls.iter().filter(|call| **call == Operation::HaveIds).count();
    assert_eq!(asked, 1, "the sets are asked once for all");
    let (_, root) = world.root(world.user("ann"));
    let held = &root.accumulators[&world.user("ann")];
    assert_eq!(held.facts.total, 3_000);
    assert!(held.recent.len() <= 1_000 && held.spilled_since.is_some());
}

/// The simulator's seed 6276: asked one by one, a record of an import took longer than the function
/// may, each time it came again.
#[test]
fn an_import_asks_the_timeline_for_all_at_once() {
    let world = World::new();
    let who = json!({"userId": "ann"});
    let month = 30 * 24 * 60;
    let events = (0..190).map(|n| track(&format!("old-{n}"), n, "Clicked", &who, &json!({})));
    let record = accepted(month, events.collect());
    for (folded, duplicates, rows) in [(190, 0, 190), (0, 190, 0)] {
        let before = world.memory.calls().len();
        let counts = world.fold_done(vec![record.clone()], minute(month));
        assert_eq!((counts.folded, counts.duplicates), (folded, duplicates));
        let calls = world.memory.calls().split_off(before);
        let is_read = |call: &&Operation| {
            matches!(call, Operation::Get(Table::Timeline | Table::Profiles) | Operation::GetMany)
        };
        // The identity, and the timeline's rows a hundred each.
        assert_eq!(calls.iter().filter(is_read).count(), 3);
        let is_put = |call: &&Operation| **call == Operation::Write(Table::Timeline);
        assert_eq!(calls.iter().filter(is_put).count(), rows, "what is there is not put again");
    }
}

#[test]
fn a_late_event_is_looked_up_in_the_timeline() {
    let world = World::new();
    let who = json!({"userId": "ann"});
    let month = 30 * 24 * 60;
    let event = track("old", 0, "Product Clicked", &who, &json!({}));
    let counts = world.fold_done(vec![accepted(month, vec![event.clone()])], minute(month));
    assert_eq!(counts.folded, 1);
    // Its id has left the recent ones: the timeline still knows.
    let key = identity_key(world.user("ann"));
    let mut row = world.memory.rows().into_iter().find(|row| row.key == key).unwrap();
    let (_, mut root) = world.root(world.user("ann"));
    for held in root.accumulators.values_mut() {
        let _ = held.recent.take_oldest(10);
    }
    let item = odyssey_domain::profile::IdentityItem::Root(Box::new(root));
    row.body = odyssey_flows::stored::encode(&item).unwrap();
    world.memory.seed(row);
    let counts = world.fold_done(vec![accepted(month + 1, vec![event])], minute(month + 1));
    assert_eq!((counts.folded, counts.duplicates), (0, 1));
}

/// Deliveries that begin with the same event and hold others: the timeline holds each once.
#[test]
fn the_timeline_holds_every_event_once() {
    let world = World::new();
    let who = json!({"userId": "ann"});
    let event = |n: i64| track(&format!("e{n}"), n, "Product Clicked", &who, &json!({}));
    for some in [vec![1, 2, 3], vec![1], vec![1, 4], vec![2, 5], vec![1, 2, 3, 4, 5]] {
        world.fold_done(vec![accepted(9, some.into_iter().map(event).collect())], minute(9));
    }
    let read = odyssey_testkit::run(odyssey_flows::fold_profile::timeline::read(
        &world.memory,
        world.user("ann"),
        minute(0),
        minute(9),
    ));
    let ids: Vec<String> = read.unwrap().into_iter().map(|(_, event)| event.id).collect();
    assert_eq!(ids, ["e1", "e2", "e3", "e4", "e5"]);
}

/// A profile past DynamoDB's item limit is cut, says so, and takes the next event all the same.
#[test]
fn an_item_past_its_limit_is_cut_and_not_lost() {
    use odyssey_domain::identity::IdKind;
    use odyssey_domain::ids::{ContentHash, IdentityKey, Position};
    use odyssey_domain::profile::{Accumulator, IdentityItem, Link, Root, Watched};
    use odyssey_domain::wire::SourceRef;
    let noise = |seed: String| -> String {
        (0..20).map(|n| ContentHash::of(format!("{seed}/{n}").as_bytes()).to_string()).collect()
    };
    let world = World::new();
    let own = world.user("ann");
    let source = SourceRef { name: "web".to_owned(), kind: SourceKind::Browser };
    let mut root = Root::default();
    for n in 0..16_u8 {
        let mut accumulator = Accumulator::default();
        for m in 0..950_i64 {
            let traits = json!({format!("t{}", m % 60): noise(format!("{n}/{m}"))});
            let event = identify(&format!("{n}-{m}"), m, &json!({"userId": "ann"}), &traits);
            accumulator.fold(&event, &source, &Watched::default());
        }
        let key = if n == 0 { own } else { IdentityKey::from_bytes([n; 16]) };
        root.accumulators.insert(key, accumulator);
        if n > 0 {
            let claim = Position { at: minute(0), id: EventHash([0; 8]) };
            root.links.insert(key, Link::new(IdKind::Anonymous, claim));
        }
    }
    let total = root.facts().total;
    world.memory.seed(Row {
        key: identity_key(own),
        version: 7,
        schema: 1,
        body: {
            let mut body = vec![0];
            body.extend(serde_json::to_vec(&IdentityItem::Root(Box::new(root))).unwrap());
            body
        },
        expires: None,
        index: None,
    });
    let event = track("new", 2_000, "Product Viewed", &json!({"userId": "ann"}), &json!({}));
    let counts = world.fold_done(vec![accepted(2_000, vec![event])], minute(2_000));
    assert_eq!(counts.folded, 1);
    let view = world.view(own);
    assert_eq!(view.facts["events.total"], total + 1);
    // Ids that left the item are still known.
    let old = identify("0-5", 5, &json!({"userId": "ann"}), &json!({}));
    let counts = world.fold_done(vec![accepted(5, vec![old])], minute(2_000));
    assert_eq!(counts.duplicates, 1);
    let row = world.memory.rows().into_iter().find(|row| row.version == 8).unwrap();
    assert!(row.body.len() <= 390 * 1024, "{}", row.body.len());
}
