//! Whom an address leads to.

use crate::world::*;
use odyssey_domain::catalog::Catalog;
use odyssey_domain::contact::{ConsentState, TopicId};
use odyssey_domain::ids::{ContactKey, IdentityKey};
use odyssey_domain::personal::EmailAddress;
use odyssey_domain::segment::{Segment, SegmentName};
use odyssey_domain::wire::{SourceKind, detail_type};
use odyssey_flows::ports::{Queue, Row, Table};
use odyssey_flows::{contacts, profiles, segments};
use odyssey_testkit::{Fault, run, run_or_halt};
use serde_json::{Value, json};

const ADDRESS: &str = "ann@example.com";

fn contact(world: &World) -> ContactKey {
    world.keyring.contact_key(&EmailAddress::parse(ADDRESS).unwrap())
}

fn found(world: &World) -> Vec<IdentityKey> {
    let found = run(profiles::find_by_email(&world.memory, contact(world))).unwrap();
    found.into_iter().map(|found| found.profile.into()).collect()
}

fn look_ups(world: &World) -> Vec<Row> {
    let rows = world.memory.rows_of(Table::Profiles).into_iter();
    rows.filter(|row| row.key.pk.starts_with("email#")).collect()
}

fn gives(world: &World, kind: SourceKind, id: &str, at: i64, who: &Value) {
    let event = identify(id, at, who, &json!({"email": ADDRESS}));
    world.fold_done(vec![accepted_from(kind, at, vec![event])], minute(at));
}

#[test]
fn an_address_goes_where_its_device_goes() {
    let world = World::new();
    let on = |user: &str| json!({"userId": user, "anonymousId": "tablet"});
    world.fold_done(
        vec![accepted(10, vec![track("1", 10, "Signed In", &on("bob"), &json!({}))])],
        minute(10),
    );
    gives(&world, SourceKind::Browser, "2", 11, &json!({"anonymousId": "tablet"}));
    assert_eq!(found(&world), [world.user("bob")]);
    // Ann was on it first.
    world.fold_done(
        vec![accepted(12, vec![track("3", 5, "Signed In", &on("ann"), &json!({}))])],
        minute(12),
    );
    assert_eq!(found(&world), [world.user("ann")]);
    assert!(world.view(world.user("bob")).email.is_none());
    // And it is its own profile again.
    let tablet = world.anonymous("tablet");
    run(odyssey_flows::links::split(&world.memory, tablet, minute(13))).unwrap();
    assert_eq!(found(&world), [tablet]);
}

#[test]
fn strangers_do_not_hide_whose_an_address_is() {
    let world = World::new();
    let stranger = |n: i64| json!({"anonymousId": format!("stranger-{n}")});
    for n in 0..150 {
        gives(&world, SourceKind::Browser, &format!("s{n}"), n, &stranger(n));
    }
    gives(&world, SourceKind::Server, "hers", 200, &json!({"userId": "ann"}));
    let first = found(&world);
    assert_eq!(first.first(), Some(&world.user("ann")));
    assert!(first.len() <= profiles::PROFILES_PER_EMAIL_MAX);
    // What browsers say is forgotten, unless they say it again.
    let expiring = look_ups(&world).into_iter().filter(|row| row.expires.is_some()).count();
    assert_eq!((expiring, look_ups(&world).len()), (150, 151));
    let of_first = |world: &World| {
        let key = world.anonymous("stranger-0").to_string();
        look_ups(world).into_iter().find(|row| row.key.sk.ends_with(&key)).unwrap().expires
    };
    let before = of_first(&world);
    gives(&world, SourceKind::Browser, "again", 300, &stranger(0));
    assert!(of_first(&world) > before);
    // A row of the release before.
    let mut old = look_ups(&world).remove(0);
    old.key.sk = world.user("ann").to_string();
    world.memory.seed(old);
    assert_eq!(found(&world).first(), Some(&world.user("ann")));
}

/// The process dies at any of its calls; before the record comes again, consent is granted.
#[test]
fn a_consent_between_a_commit_and_its_effects_finds_the_profile() {
    let segment = Segment {
        title: "T".to_owned(),
        when: serde_json::from_value(json!({"consent": {"topic": "offers", "is": "granted"}}))
            .unwrap(),
        since: minute(-60),
        watched: minute(-60),
    };
    let name = SegmentName::parse("subscribed").unwrap();
    for at in 0..12 {
        for fault in [Fault::HaltBefore, Fault::HaltAfter] {
            let segments = [(name, segment.clone())].into();
            let world = World::of(Catalog { published: minute(-60), segments, ..catalog() });
            let from = world.memory.calls().len();
            world.memory.on_call(move |call| {
                if call.ordinal == from + at { fault.clone() } else { Fault::None }
            });
            let who = json!({"userId": "ann"});
            let record = accepted(0, vec![identify("1", 0, &who, &json!({"email": ADDRESS}))]);
            let World { memory, keyring, catalog, .. } = &world;
            let _ = run_or_halt(odyssey_flows::fold_profile::run(
                memory,
                memory,
                memory,
                keyring,
                catalog,
                vec![record.clone()],
                minute(0),
            ));
            world.memory.calm();
            let offers = TopicId::parse("offers").unwrap();
            let grant = |of: &mut odyssey_domain::contact::Contact| {
                Ok(of.answers(&offers, ConsentState::Granted, minute(1), "test").unwrap())
            };
            run(contacts::change(&world.memory, contact(&world), grant)).unwrap();
            let detail = json!({"v": 1, "contact": contact(&world), "profile": null,
                "topic": "offers", "state": "granted", "at": minute(1), "via": "test"});
            world.fold_done(vec![envelope(detail_type::CONSENT_CHANGED, &detail)], minute(1));
            let looks = world.memory.take(Queue::Profile, minute(1));
            world.fold_done(looks, minute(1));
            world.fold_done(vec![record], minute(2));
            assert_eq!(run(segments::count(&world.memory, name)).unwrap(), 1, "call {at}");
        }
    }
}
