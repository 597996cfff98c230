//! Segments: memberships, their signals and their counts.

mod backfilled;

use crate::world::*;
use backfilled::{backfill, declaring, often, publish_at, three};
use odyssey_domain::catalog::Catalog;
use odyssey_domain::contact::{ConsentState, TopicId};
use odyssey_domain::event::Event;
use odyssey_domain::ids::IdentityKey;
use odyssey_domain::personal::EmailAddress;
use odyssey_domain::predicate::{Condition, EventPredicate};
use odyssey_domain::profile::IdentityItem;
use odyssey_domain::segment::{Segment, SegmentName};
use odyssey_domain::signal::{SignalKind, SignalRule, Threshold};
use odyssey_domain::time::{Span, Stamp};
use odyssey_domain::wire::{SourceKind, detail_type};
use odyssey_flows::backfill::Report;
use odyssey_flows::catalog::{CatalogCache, Publication, publish};
use odyssey_flows::ports::{Expect, Queue, Table, Write};
use odyssey_flows::queue::Disposition;
use odyssey_flows::segments::PassedOver;
use odyssey_flows::{contacts, segments, stored};
use odyssey_testkit::{Fault, Operation, run};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

fn name(text: &str) -> SegmentName {
    SegmentName::parse(text).unwrap()
}

fn segment(when: Value, since: Stamp) -> Segment {
    let when: Condition = serde_json::from_value(when).unwrap();
    Segment { title: "T".to_owned(), when, since, watched: since }
}

fn counted(event: &str, least: u64) -> Value {
    json!({"fact": {"name": format!("events.{event}"), "is": {"at_least": least}}})
}

fn lately(event: &str, span: &str) -> Value {
    json!({"performed": {"event": {"event": event}, "within": span}})
}

fn consented() -> Value {
    json!({"consent": {"topic": "offers", "is": "granted"}})
}

fn with(segments: &[(&str, Value)]) -> Catalog {
    let published = minute(-60);
    let segments = segments.iter();
    let segments = segments.map(|(text, when)| (name(text), segment(when.clone(), published)));
    Catalog { published, segments: segments.collect(), ..catalog() }
}

fn did(id: &str, at: i64, event: &str, who: &Value) -> Event {
    track(id, at, event, who, &json!({"product_id": "p"}))
}

fn ann() -> Value {
    json!({"userId": "ann"})
}

fn count(world: &World, segment: &str) -> i64 {
    run(segments::count(&world.memory, name(segment))).unwrap()
}

/// How many stored profiles say that they are in each segment.
fn stored(world: &World) -> BTreeMap<SegmentName, i64> {
    let mut members: BTreeMap<SegmentName, i64> = BTreeMap::new();
    for row in world.memory.rows_of(Table::Profiles) {
        if row.key.sk == "identity"
            && let IdentityItem::Root(root) = stored::decode(&row).unwrap()
        {
            for member in root.said.segments.members.keys() {
                *members.entry(*member).or_default() += 1;
            }
        }
    }
    members
}

fn members(world: &World, key: IdentityKey) -> BTreeSet<SegmentName> {
    world.root(key).1.said.segments.members.into_keys().collect()
}

fn names(world: &World) -> Vec<String> {
    let said = |signal: &odyssey_domain::wire::SignalRaised| {
        format!("{} {}", signal.signal, signal.threshold.value())
    };
    world.signals().iter().map(said).collect()
}

#[test]
fn entering_and_leaving_are_signals_and_are_counted() {
    let world = World::of(with(&[("fan", lately("Signed In", "10m")), ("none", counted("X", 1))]));
    let events = || vec![did("e1", 0, "Signed In", &ann())];
    world.fold_done(vec![accepted(0, events())], minute(0));
    let raised = world.signals();
    assert_eq!(raised.len(), 1);
    assert_eq!((raised[0].signal.as_str(), raised[0].since), ("Segment Entered", minute(0)));
    assert_eq!(serde_json::to_value(&raised[0]).unwrap()["segment"], "fan");
    assert_eq!(raised[0].evidence["answers"][0]["asked"], "Signed In within 10m");
    assert_eq!((count(&world, "fan"), count(&world, "none")), (1, 0));
    assert_eq!(world.view(world.user("ann")).segments, [(name("fan"), minute(0))].into());
    // Delivered again it is neither said nor counted again.
    world.fold_done(vec![accepted(0, events())], minute(1));
    assert!(world.signals().is_empty());
    assert_eq!(count(&world, "fan"), 1);
    // Time alone ends it.
    world.wake_until(minute(10));
    assert_eq!((names(&world), count(&world, "fan")), (vec![], 1));
    world.wake_until(minute(11));
    assert_eq!(names(&world), ["Segment Exited fan"]);
    assert_eq!((count(&world, "fan"), members(&world, world.user("ann")).len()), (0, 0));
}

#[test]
fn whoever_was_there_before_a_segment_enters_it_in_silence() {
    let world = World::of(catalog());
    world.fold_done(vec![accepted(0, vec![did("e1", 0, "Signed In", &ann())])], minute(0));
    let later = Catalog { published: minute(5), ..with(&[("fan", counted("Signed In", 1))]) };
    let segments = later.segments.into_iter();
    let segments = segments.map(|(name, of)| (name, Segment { since: minute(5), ..of })).collect();
    let catalog = Catalog { segments, ..later };
    let publication = Publication { catalog, journeys: BTreeMap::new(), mails: BTreeMap::new() };
    run(publish(&world.memory, &publication)).unwrap();
    let world = World { catalog: CatalogCache::default(), ..world };
    world.fold_done(vec![accepted(6, vec![did("e2", 6, "Signed In", &ann())])], minute(6));
    assert!(names(&world).is_empty());
    assert_eq!(count(&world, "fan"), 1);
    // Somebody who comes after it enters it aloud.
    let bob = json!({"userId": "bob"});
    world.fold_done(vec![accepted(7, vec![did("e3", 7, "Signed In", &bob)])], minute(7));
    assert_eq!(names(&world), ["Segment Entered fan"]);
    assert_eq!(count(&world, "fan"), 2);
}

#[test]
fn a_link_moves_a_membership_and_is_counted_once() {
    let world = World::of(with(&[("fan", counted("Signed In", 1))]));
    let device = json!({"anonymousId": "a"});
    world.fold_done(vec![accepted(0, vec![did("e1", 0, "Signed In", &device)])], minute(0));
    let bare = vec![did("e2", 1, "Cart Viewed", &ann())];
    world.fold_done(vec![accepted(1, bare)], minute(1));
    assert_eq!(names(&world), ["Segment Entered fan"]);
    assert_eq!(count(&world, "fan"), 1);
    let both = json!({"userId": "ann", "anonymousId": "a"});
    world.fold_done(vec![accepted(2, vec![did("e3", 2, "Cart Viewed", &both)])], minute(2));
    assert!(names(&world).is_empty(), "whoever was in it stays in it");
    assert_eq!((count(&world, "fan"), stored(&world)[&name("fan")]), (1, 1));
    assert_eq!(members(&world, world.user("ann")), [name("fan")].into());
    // The device was another's earlier: what it did goes with it, and so does the membership.
    let earlier = json!({"userId": "bob", "anonymousId": "a"});
    world.fold_done(vec![accepted(3, vec![did("e0", 1, "Cart Viewed", &earlier)])], minute(3));
    assert_eq!(names(&world), ["Segment Exited fan", "Segment Entered fan"]);
    assert_eq!((count(&world, "fan"), stored(&world)[&name("fan")]), (1, 1));
    assert_eq!(members(&world, world.user("bob")), [name("fan")].into());
}

/// A customer of before a segment, who comes back by a device that is new: the link brings together
/// somebody new to the segment and somebody it is new to.
#[test]
fn a_customer_of_before_who_comes_by_a_new_device_enters_in_silence() {
    let world = World::of(catalog());
    world.fold_done(vec![accepted(0, vec![did("e1", 0, "Signed In", &ann())])], minute(0));
    let when = serde_json::from_value(counted("Signed In", 1)).unwrap();
    let world = publish_at(world, declaring(when, minute(5)));
    let device = json!({"anonymousId": "a"});
    world.fold_done(vec![accepted(6, vec![did("e2", 6, "Cart Viewed", &device)])], minute(6));
    let both = json!({"userId": "ann", "anonymousId": "a"});
    world.fold_done(vec![accepted(7, vec![did("e3", 7, "Cart Viewed", &both)])], minute(7));
    assert!(names(&world).is_empty());
    assert_eq!(count(&world, "often"), 1);
}

fn consent(world: &World, email: &str, state: ConsentState, at: i64) {
    let contact = world.keyring.contact_key(&EmailAddress::parse(email).unwrap());
    let offers = TopicId::parse("offers").unwrap();
    let change = |of: &mut odyssey_domain::contact::Contact| {
        Ok(of.answers(&offers, state, minute(at), "test").unwrap())
    };
    run(contacts::change(&world.memory, contact, change)).unwrap();
    let detail = json!({"v": 1, "contact": contact, "profile": null, "topic": "offers",
        "state": state, "at": minute(at), "via": "test"});
    world.fold_done(vec![envelope(detail_type::CONSENT_CHANGED, &detail)], minute(at));
    // Whom it concerns is looked at by a message each.
    let looks = world.memory.take(Queue::Profile, minute(at));
    world.fold_done(looks, minute(at));
}

/// A server grants for an address, and names no profile.
#[test]
fn a_consent_reaches_everybody_with_the_address() {
    let world = World::of(with(&[("subscribed", consented())]));
    let traits = json!({"email": "ann@example.com"});
    for (id, who) in [("e1", "ann"), ("e2", "bob")] {
        let events = vec![identify(id, 0, &json!({"userId": who}), &traits)];
        world.fold_done(vec![accepted_from(SourceKind::Server, 0, events)], minute(0));
    }
    assert_eq!(count(&world, "subscribed"), 0);
    consent(&world, "ann@example.com", ConsentState::Granted, 1);
    assert_eq!(names(&world), ["Segment Entered subscribed", "Segment Entered subscribed"]);
    assert_eq!(count(&world, "subscribed"), 2);
    // A change that nobody heard of is found by the next write.
    let contact = world.keyring.contact_key(&EmailAddress::parse("ann@example.com").unwrap());
    let offers = TopicId::parse("offers").unwrap();
    let withdraw = |of: &mut odyssey_domain::contact::Contact| {
        Ok(of.answers(&offers, ConsentState::Withdrawn, minute(2), "test").unwrap())
    };
    run(contacts::change(&world.memory, contact, withdraw)).unwrap();
    world.fold_done(vec![accepted(3, vec![did("e3", 3, "Cart Viewed", &ann())])], minute(3));
    assert_eq!(names(&world), ["Segment Exited subscribed"]);
    assert_eq!(count(&world, "subscribed"), 1);
    // Another address has other consents.
    let other = vec![identify("e4", 4, &json!({"userId": "bob"}), &json!({"email": "b@x.org"}))];
    world.fold_done(vec![accepted_from(SourceKind::Server, 4, other)], minute(4));
    assert_eq!(count(&world, "subscribed"), 0);
    // An address that nobody has concerns nobody.
    consent(&world, "nobody@example.com", ConsentState::Granted, 5);
    assert!(world.signals().len() == 1);
}

/// Where no segment asks for consent, a change of it reads nothing more.
#[test]
fn consent_that_nobody_asks_for_costs_nothing() {
    let world = World::of(with(&[("fan", counted("Signed In", 1))]));
    let before = world.memory.calls().len();
    let detail = json!({"v": 1, "contact": "a".repeat(26), "profile": null, "topic": "offers",
        "state": "granted", "at": minute(0), "via": "test"});
    world.fold_done(vec![envelope(detail_type::CONSENT_CHANGED, &detail)], minute(0));
    let calls = world.memory.calls();
    assert_eq!(calls.get(before..).unwrap(), [Operation::Get(Table::Workspace)]);
}

#[derive(Debug, Clone)]
enum Step {
    /// An event of somebody, so many minutes ago, with or without the device.
    Event { who: usize, name: usize, ago: i64, device: Option<usize> },
    /// Time passes.
    Pass(i64),
}

const WHO: [&str; 3] = ["ann", "bob", "cal"];
const DEVICES: [&str; 2] = ["a", "b"];
const EVENTS: [&str; 3] = ["Signed In", "Cart Viewed", "Order Completed"];

fn steps() -> impl Strategy<Value = Vec<(Step, Option<(usize, Fault)>)>> {
    let device = proptest::option::weighted(0.3, 0..DEVICES.len());
    let event = (0..=WHO.len(), 0..EVENTS.len(), prop_oneof![3 => Just(0), 1 => 0..40_i64], device)
        .prop_map(|(who, name, ago, device)| Step::Event { who, name, ago, device });
    let step = prop_oneof![4 => event, 1 => (1..30_i64).prop_map(Step::Pass)];
    // What goes wrong at the so many-th call, where there is one.
    let fault = (
        0..9_usize,
        prop_oneof![Just(Fault::FailBefore), Just(Fault::FailAfter), Just(Fault::Echo)],
    );
    proptest::collection::vec((step, proptest::option::weighted(0.4, fault)), 1..14)
}

fn play(steps: &[(Step, Option<(usize, Fault)>)]) {
    let world = World::of(with(&[
        ("fan", lately("Signed In", "10m")),
        ("quiet", json!({"not": lately("Order Completed", "25m")})),
        ("often", counted("Cart Viewed", 2)),
    ]));
    let mut now = 60;
    for (n, (step, failure)) in steps.iter().enumerate() {
        match step {
            Step::Pass(minutes) => {
                now += minutes;
                world.wake_until(minute(now));
            }
            Step::Event { who, name, ago, device } => {
                let mut whose = json!({});
                if let Some(user) = WHO.get(*who) {
                    whose["userId"] = (*user).into();
                }
                if whose.as_object().unwrap().is_empty() || device.is_some() {
                    whose["anonymousId"] = DEVICES[device.unwrap_or(0)].into();
                }
                let event = did(&format!("e{n}"), now - ago, EVENTS[*name], &whose);
                let record = || accepted(now, vec![event.clone()]);
                if let Some((after, fault)) = failure.clone() {
                    let at = world.memory.calls().len() + after;
                    world.memory.on_call(move |call| {
                        if call.ordinal == at { fault.clone() } else { Fault::None }
                    });
                }
                // As the queue does: until it is done.
                for _ in 0..5 {
                    let (dispositions, _) = world.fold(vec![record()], minute(now));
                    world.memory.calm();
                    if dispositions == [Disposition::Done] {
                        break;
                    }
                }
            }
        }
        for segment in ["fan", "quiet", "often"] {
            let members = stored(&world).get(&name(segment)).copied().unwrap_or(0);
            assert_eq!(count(&world, segment), members, "{segment} after step {n}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Whatever fails, and whoever is linked to whom.
    #[test]
    fn a_count_is_the_number_of_members(steps in steps()) {
        play(&steps);
    }
}

#[test]
fn predicates_of_segments_are_kept() {
    let catalog = with(&[("fan", lately("Signed In", "10m"))]);
    let kept = catalog.kept_matches();
    let event = |name: &str| EventPredicate { event: name.to_owned(), tests: Vec::new() };
    assert_eq!(kept, [event("Order Completed"), event("Signed In")]);
}

#[test]
fn a_preview_asks_a_sample_and_writes_nothing() {
    let now = minute(3 * 24 * 60);
    let world = publish_at(three(), declaring(often(), now));
    backfill(&world, now);
    let catalog = declaring(often(), now);
    let when: Condition = serde_json::from_value(json!({"all": [
        serde_json::to_value(often()).unwrap(), consented()]}))
    .unwrap();
    let segment = Segment { title: "T".to_owned(), when, since: now, watched: now };
    let before = world.memory.rows();
    let ask = |limit| {
        let (memory, keys) = (&world.memory, &world.keyring);
        let computed = &catalog.computed_traits;
        let asked = run(segments::preview(memory, keys, computed, &segment, limit, now)).unwrap();
        assert_eq!(asked.passed_over, PassedOver::default());
        (asked.sample, asked.whole)
    };
    let (sample, whole) = ask(100);
    assert_eq!((sample.profiles, sample.members, whole), (3, 0, true));
    let counts: Vec<(u32, u32)> = sample.leaves.iter().map(|l| (l.held, l.alone)).collect();
    assert_eq!(counts, [(2, 0), (0, 2)]);
    assert_eq!(sample.keeps_out().unwrap().asked, "consent to offers granted");
    let (sample, whole) = ask(2);
    assert_eq!((sample.profiles, whole), (2, false));
    assert_eq!(world.memory.rows(), before);
    // Somebody with an address, who consented.
    let traits = json!({"email": "ann@example.com"});
    let events = vec![identify("i", 4_320, &ann(), &traits)];
    world.fold_done(vec![accepted_from(SourceKind::Server, 4_320, events)], now);
    consent(&world, "ann@example.com", ConsentState::Granted, 4_320);
    assert_eq!(ask(100).0.members, 1);
}
