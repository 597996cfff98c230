//! Deliveries of many customers: what one transaction cannot write goes in several.

use crate::world::*;
use odyssey_domain::catalog::Catalog;
use odyssey_domain::contact::{ConsentState, TopicId};
use odyssey_domain::event::Event;
use odyssey_domain::identity::IdKind;
use odyssey_domain::ids::{EventHash, Position};
use odyssey_domain::personal::EmailAddress;
use odyssey_domain::profile::{Accumulator, IdentityItem, Link, Root, Watched};
use odyssey_domain::segment::{Segment, SegmentName};
use odyssey_domain::wire::{Command, SourceKind, SourceRef, detail_type};
use odyssey_flows::ports::{Queue, Table};
use odyssey_flows::profiles::identity_key;
use odyssey_flows::queue::{Disposition, QueueRecord};
use odyssey_flows::{contacts, segments};
use odyssey_testkit::{Fault, Operation, run};
use serde_json::json;
use std::collections::BTreeSet;

/// What a till says that gives every customer its own number as their device.
fn sold(n: usize) -> Event {
    let who = json!({"userId": format!("user-{n}"), "anonymousId": "till-7"});
    let at = i64::try_from(n % 50).unwrap();
    track(&format!("sale-{n}"), at, "Product Added", &who, &json!({"product_id": "p"}))
}

fn till(from: usize, to: usize) -> QueueRecord {
    accepted_from(SourceKind::Server, 60, (from..to).map(sold).collect())
}

fn segmented() -> Catalog {
    let when = json!({"fact": {"name": "events.Product Added", "is": {"at_least": 1}}});
    let segment = Segment {
        title: "T".to_owned(),
        when: serde_json::from_value(when).unwrap(),
        since: minute(-60),
        watched: minute(-60),
    };
    let segments = [(SegmentName::parse("buyer").unwrap(), segment)].into();
    Catalog { published: minute(-60), segments, ..catalog() }
}

fn transactions(world: &World, since: usize) -> usize {
    let calls = world.memory.calls().split_off(since);
    calls.iter().filter(|call| **call == Operation::Transact).count()
}

#[test]
fn a_till_that_gives_all_customers_one_device_loses_nothing() {
    let world = World::of(segmented());
    let counts = world.fold_done(vec![till(0, 1_000)], minute(60));
    assert_eq!((counts.folded, counts.duplicates), (1_000, 0));
    for n in [0, 1, 499, 999] {
        let view = world.view(world.user(&format!("user-{n}")));
        assert_eq!(view.facts["cart.items"], 1, "{n}");
    }
    // The device is one customer's, as ever, and the counts are right.
    assert!(matches!(world.item(world.anonymous("till-7")), Some(IdentityItem::Pointer { .. })));
    let name = SegmentName::parse("buyer").unwrap();
    assert_eq!(run(segments::count(&world.memory, name)).unwrap(), 1_000);
    assert_eq!(
        world
            .memory
            .rows_of(Table::Timeline)
            .iter()
            .filter(|row| !row.key.sk.starts_with("signal"))
            .count(),
        1_000
    );
    // Delivered again it is known, whole or in another record.
    let again = vec![till(0, 1_000), till(500, 700)];
    let counts = world.fold_done(again, minute(61));
    assert_eq!((counts.folded, counts.duplicates), (0, 1_200));
}

/// The records of one batch are folded together where they share an identity; where that is too
/// much, each by itself, and one that cannot be folded is its own fault.
#[test]
fn records_that_are_too_much_together_are_folded_apart() {
    let world = World::new();
    let records: Vec<_> = (0..10).map(|n| till(n * 60, (n + 1) * 60)).collect();
    let before = world.memory.calls().len();
    let counts = world.fold_done(records, minute(60));
    assert_eq!(counts.folded, 600);
    assert!(transactions(&world, before) <= 20, "{}", transactions(&world, before));
}

/// Whatever call fails, the redelivery brings what is missing, and nothing is counted twice.
#[test]
fn a_fault_between_two_runs_is_made_up_for() {
    let calm = World::new();
    let before = calm.memory.calls().len();
    calm.fold_done(vec![till(0, 150)], minute(60));
    let calls = calm.memory.calls().split_off(before);
    let wrong: Vec<usize> = (0..calls.len())
        .filter(|at| matches!(calls[*at], Operation::Transact | Operation::GetMany))
        .collect();
    for at in wrong {
        for fault in [Fault::FailBefore, Fault::HaltBefore, Fault::HaltAfter] {
            let world = World::new();
            let from = world.memory.calls().len();
            world.memory.on_call(move |call| {
                if call.ordinal >= from + at { fault.clone() } else { Fault::None }
            });
            let World { memory, keyring, catalog, .. } = &world;
            let folded = odyssey_flows::fold_profile::run(
                memory,
                memory,
                memory,
                keyring,
                catalog,
                vec![till(0, 150)],
                minute(60),
            );
            if let Some(dispositions) = odyssey_testkit::run_or_halt(folded) {
                assert!(matches!(dispositions[..], [Disposition::Retry { .. }]));
            }
            world.memory.calm();
            world.fold_done(vec![till(0, 150)], minute(61));
            assert_eq!(world.facts(), calm.facts());
            for n in 0..150 {
                let root = world.root(world.user(&format!("user-{n}"))).1;
                assert_eq!(root.facts().total, 1);
            }
        }
    }
}

/// Profiles of so many bytes that a dozen of them are more than a transaction takes.
#[test]
fn profiles_that_are_too_large_together_are_written_apart() {
    let world = World::new();
    let source = SourceRef { name: "web".to_owned(), kind: SourceKind::Server };
    let noise = |seed: String| -> String {
        (0..60).map(|part| EventHash::of(&format!("{seed}/{part}")).to_string()).collect()
    };
    for user in 0..14 {
        let own = world.user(&format!("user-{user}"));
        let mut root = Root::default();
        for device in 0..16_u8 {
            let mut held = Accumulator::default();
            for n in 0..60 {
                let id = format!("{user}/{device}/{n}");
                let traits = json!({format!("t{n}"): noise(id.clone())});
                held.fold(&identify(&id, n, &json!({}), &traits), &source, &Watched::default());
            }
            let key = if device == 0 { own } else { world.anonymous(&format!("{user}/{device}")) };
            if device > 0 {
                let claim = Position { at: minute(0), id: EventHash([0; 8]) };
                root.links.insert(key, Link::new(IdKind::Anonymous, claim));
            }
            root.accumulators.insert(key, held);
        }
        let item = IdentityItem::Root(Box::new(root));
        let row = odyssey_flows::stored::row(identity_key(own), &item, 3).unwrap();
        assert!(row.body.len() > 310_000, "{}", row.body.len());
        world.memory.seed(row);
    }
    let before = world.memory.calls().len();
    let counts = world.fold_done(vec![till(0, 14)], minute(60));
    assert_eq!(counts.folded, 14);
    assert!(transactions(&world, before) >= 2);
}

/// Imports of what was long ago: each device that is linked makes earlier ones final, whose
/// pointers are written too.
#[test]
fn an_import_that_compacts_is_folded() {
    let world = World::new();
    let day = 24 * 60;
    let users = 12;
    for user in 0..users {
        let events = (0..11).map(|n| {
            let who = json!({"userId": format!("u{user}"), "anonymousId": format!("d{user}-{n}")});
            track(&format!("{user}-{n}"), n, "Product Added", &who, &json!({"product_id": "p"}))
        });
        world.fold_done(vec![accepted_from(SourceKind::Server, 20, events.collect())], minute(20));
    }
    // All of them on one more device each, and on one that they share.
    let events = (0..users).flat_map(|user| {
        ["x", "shared"].map(|device| {
            let device = if device == "x" { format!("x{user}") } else { device.to_owned() };
            let who = json!({"userId": format!("u{user}"), "anonymousId": device});
            track(&format!("{user}-{device}"), 60 * day, "Product Added", &who, &json!({}))
        })
    });
    let record = accepted_from(SourceKind::Server, 60 * day, events.collect());
    let counts = world.fold_done(vec![record], minute(60 * day));
    assert_eq!(counts.folded, 24);
    assert!(counts.refused_links.is_empty());
    for user in 0..users {
        let root = world.root(world.user(&format!("u{user}"))).1;
        assert_eq!(root.facts().total, 13);
        assert!(root.accumulators.len() <= 3);
    }
}

/// A consent may concern a hundred profiles, each of them with a count to change.
#[test]
fn a_consent_that_concerns_a_hundred_profiles_looks_at_each_by_itself() {
    let when = json!({"consent": {"topic": "offers", "is": "granted"}});
    let segment = Segment {
        title: "T".to_owned(),
        when: serde_json::from_value(when).unwrap(),
        since: minute(-60),
        watched: minute(-60),
    };
    let name = SegmentName::parse("subscribed").unwrap();
    let published = minute(-60);
    let world = World::of(Catalog { published, segments: [(name, segment)].into(), ..catalog() });
    for n in 0..100 {
        let who = json!({"userId": format!("user-{n}")});
        let events =
            vec![identify(&format!("i{n}"), 0, &who, &json!({"email": "all@example.com"}))];
        world.fold_done(vec![accepted_from(SourceKind::Browser, 0, events)], minute(0));
    }
    let contact = world.keyring.contact_key(&EmailAddress::parse("all@example.com").unwrap());
    let offers = TopicId::parse("offers").unwrap();
    let grant = |of: &mut odyssey_domain::contact::Contact| {
        Ok(of.answers(&offers, ConsentState::Granted, minute(1), "test").unwrap())
    };
    run(contacts::change(&world.memory, contact, grant)).unwrap();
    let detail = json!({"v": 1, "contact": contact, "profile": null, "topic": "offers",
        "state": "granted", "at": minute(1), "via": "test"});
    let changed = envelope(detail_type::CONSENT_CHANGED, &detail);
    // Where the queue does not take all of them, it comes again.
    world.memory.on_call(|call| match call.operation {
        Operation::Enqueue(_) => Fault::FailBefore,
        _ => Fault::None,
    });
    let (dispositions, _) = world.fold(vec![changed.clone()], minute(1));
    assert!(matches!(dispositions[..], [Disposition::Retry { .. }]), "{dispositions:?}");
    world.memory.calm();
    world.fold_done(vec![changed], minute(1));
    let looks = world.memory.take(Queue::Profile, minute(1));
    let asked: BTreeSet<String> = looks.iter().map(|look| look.body.clone()).collect();
    assert_eq!(asked.len(), 100);
    assert!(matches!(serde_json::from_str(&looks[0].body), Ok(Command::Look { .. })));
    for some in looks.chunks(10) {
        world.fold_done(some.to_vec(), minute(1));
    }
    assert_eq!(run(segments::count(&world.memory, name)).unwrap(), 100);
}
