//! Segments: memberships, their signals and their counts.

use crate::world::*;
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

fn publish_at(world: World, catalog: Catalog) -> World {
    let publication = Publication { catalog, journeys: BTreeMap::new(), mails: BTreeMap::new() };
    run(publish(&world.memory, &publication)).unwrap();
    World { catalog: CatalogCache::default(), ..world }
}

/// Three profiles of before there were segments.
fn three() -> World {
    let world = World::of(catalog());
    let days = |n: i64| minute(n * 24 * 60).ms() - minute(0).ms();
    for (who, times) in [("ann", 3), ("bob", 1), ("cal", 2)] {
        for n in 0..times {
            let at = days(n) / 60_000;
            let event = did(&format!("{who}{n}"), at, "Signed In", &json!({"userId": who}));
            world.fold_done(vec![accepted(at, vec![event])], minute(at));
        }
    }
    world
}

fn backfill(world: &World, now: Stamp) -> Report {
    let (memory, keys) = (&world.memory, &world.keyring);
    run(odyssey_flows::backfill::run(memory, keys, &|| now, |_| ())).unwrap()
}

fn often() -> Condition {
    let event = EventPredicate { event: "Signed In".to_owned(), tests: Vec::new() };
    Condition::counted(event, Some(30), 2)
}

fn declaring(when: Condition, published: Stamp) -> Catalog {
    let computed_traits = BTreeMap::from_iter(when.counter()).into();
    let segment = Segment { title: "T".to_owned(), when, since: published, watched: published };
    let segments = [(name("often"), segment)].into();
    Catalog { published, segments, computed_traits, ..catalog() }
}

/// A segment that counts, declared when there are profiles: their counts are made up for, and who is
/// in it is decided in the same write, with the count and the timer; nothing is raised.
#[test]
fn a_segment_over_what_is_filled_is_decided_with_it() {
    let now = minute(3 * 24 * 60);
    let world = publish_at(three(), declaring(often(), now));
    let _ = world.signals();
    let report = backfill(&world, now);
    assert_eq!(report.filled, 3);
    assert_eq!(count(&world, "often"), 2);
    assert_eq!(members(&world, world.user("ann")), [name("often")].into());
    let looked = run(segments::look_at_all(&world.memory, &world.memory, now, |_| ())).unwrap();
    assert_eq!((looked.profiles, looked.asked), (3, 0));
    let again = backfill(&world, now);
    assert_eq!((again.filled, count(&world, "often")), (0, 2));
    // Their timers are armed: 30 days on, all have left, aloud.
    assert!(names(&world).is_empty());
    world.wake_until(minute(40 * 24 * 60));
    assert_eq!(count(&world, "often"), 0);
    assert_eq!(names(&world), ["Segment Exited often", "Segment Exited often"]);
}

/// Nobody lacks anything: `profile` is asked to look at each, and finds idle ones in silence.
#[test]
fn a_new_segment_finds_who_does_nothing() {
    let now = minute(3 * 24 * 60);
    let when = serde_json::from_value(counted("Signed In", 2)).unwrap();
    let world = publish_at(three(), declaring(when, now));
    let _ = world.signals();
    assert_eq!(backfill(&world, now).filled, 0);
    let mut steps = 0;
    let looked =
        run(segments::look_at_all(&world.memory, &world.memory, now, |_| steps += 1)).unwrap();
    assert_eq!((looked.profiles, looked.asked, steps), (3, 3, 1));
    let looks = world.memory.take(Queue::Profile, now);
    assert_eq!(looks.len(), 3);
    // Delivered twice, and one to where nobody is.
    world.fold_done(looks.clone(), now);
    world.fold_done(looks, now);
    let nobody = json!({"command": "look", "profile": world.user("nobody")}).to_string();
    world.fold_done(vec![record("m", &nobody)], now);
    assert!(names(&world).is_empty());
    assert_eq!(count(&world, "often"), 2);
    assert_eq!(members(&world, world.user("ann")), [name("often")].into());
    let again = run(segments::look_at_all(&world.memory, &world.memory, now, |_| ())).unwrap();
    assert_eq!((again.profiles, again.asked), (3, 0));
}

/// A rule that is published later is nothing to somebody who does nothing, until they are looked
/// at; then their silence is timed, and one that was over long before says nothing.
#[test]
fn a_new_signal_of_silence_is_timed_for_who_does_nothing() {
    let day = |n: i64| minute(n * 24 * 60);
    let rule = SignalRule::new(SignalKind::BecameDormant, &[Threshold::After(Span::DAY.times(60))]);
    let publishing =
        |at: Stamp| Catalog { published: at, signals: vec![rule.clone()], ..catalog() };
    let world = publish_at(three(), publishing(day(20)));
    let _ = world.signals();
    let look = |world: &World, now: Stamp| {
        let looked = run(segments::look_at_all(&world.memory, &world.memory, now, |_| ())).unwrap();
        world.fold_done(world.memory.take(Queue::Profile, now), now);
        looked.asked
    };
    // Bob came once and is not known well enough to be missed.
    assert_eq!((look(&world, day(20)), look(&world, day(20))), (2, 0));
    world.wake_until(day(50));
    assert!(world.signals().is_empty());
    world.wake_until(day(61));
    world.wake_until(day(62));
    let raised: Vec<Stamp> = world.signals().iter().map(|raised| raised.since).collect();
    assert_eq!(raised, [day(1), day(2)]);
    assert_eq!(look(&world, day(100)), 0, "they were decided on");

    let world = publish_at(three(), publishing(day(90)));
    let _ = world.signals();
    assert_eq!(look(&world, day(90)), 2);
    world.wake_until(day(100));
    assert!(world.signals().is_empty(), "their silence was over before anybody asked");
    assert_eq!(look(&world, day(100)), 0);
}

/// Whom nobody can read is passed over and told, and keeps nobody else from being found.
#[test]
fn a_profile_that_cannot_be_read_is_passed_over() {
    let now = minute(3 * 24 * 60);
    let when: Condition = serde_json::from_value(counted("Signed In", 2)).unwrap();
    let world = publish_at(three(), declaring(when, now));
    let key = world.user("bob");
    let row = world.memory.rows().into_iter().find(|row| row.key.pk == key.to_string()).unwrap();
    let row = odyssey_flows::ports::Row { body: vec![9], ..row };
    let put = Write::Put { row, expect: Expect::Any };
    run(odyssey_flows::ports::Tables::write(&world.memory, put)).unwrap();
    let looked = run(segments::look_at_all(&world.memory, &world.memory, now, |_| ())).unwrap();
    assert_eq!((looked.profiles, looked.asked, looked.passed_over.profiles), (2, 2, 1));
    assert_eq!(looked.passed_over.named[0].identity, key);
    let catalog = declaring(often(), now);
    let (memory, keys, of) = (&world.memory, &world.keyring, &catalog.computed_traits);
    let segment = &catalog.segments[&name("often")];
    let asked = run(segments::preview(memory, keys, of, segment, 9, now)).unwrap();
    assert_eq!((asked.sample.profiles, asked.passed_over.profiles, asked.whole), (2, 1, true));
}

/// A back-fill makes up for what one segment asks; what is entered of the others is still said.
#[test]
fn a_back_fill_silences_no_other_segment() {
    let world = World::of(with(&[("fan", counted("Signed In", 2))]));
    world.fold_done(vec![accepted(0, vec![did("e1", 0, "Signed In", &ann())])], minute(0));
    let of = |segments: &[(&str, Value)]| with(segments).segments;
    let mut catalog = declaring(often(), minute(5));
    catalog.segments.extend(of(&[("fan", counted("Signed In", 2))]));
    let world = publish_at(world, catalog);
    assert_eq!(backfill(&world, minute(6)).filled, 1);
    world.fold_done(vec![accepted(7, vec![did("e2", 7, "Signed In", &ann())])], minute(7));
    assert_eq!(names(&world), ["Segment Entered fan", "Segment Entered often"]);
}

/// What a profile's earlier write has to have done stays to be done, and the counts are right,
/// whatever fails at whichever call.
#[test]
fn a_fault_in_a_back_fill_of_segments_is_healed_by_another_run() {
    let now = minute(3 * 24 * 60);
    let calm = publish_at(three(), declaring(often(), now));
    let before = calm.memory.calls().len();
    backfill(&calm, now);
    let all = calm.memory.calls().split_off(before);
    let touched = |call: &Operation| !matches!(call, Operation::Scan(_));
    let places = all.iter().enumerate().filter(|(_, call)| touched(call)).map(|(at, _)| at);
    for at in places {
        for fault in [Fault::FailBefore, Fault::FailAfter, Fault::Echo] {
            let world = publish_at(three(), declaring(often(), now));
            let (mut n, wrong) = (0, fault.clone());
            world.memory.on_call(move |_| {
                n += 1;
                if n == at + 1 { wrong.clone() } else { Fault::None }
            });
            let (memory, keys) = (&world.memory, &world.keyring);
            let _ = run(odyssey_flows::backfill::run(memory, keys, &|| now, |_| ()));
            world.memory.calm();
            backfill(&world, now);
            let members = stored(&world).get(&name("often")).copied();
            assert_eq!((count(&world, "often"), members), (2, Some(2)), "{fault:?} at {at}");
            let _ = world.signals();
            world.wake_until(minute(40 * 24 * 60));
            assert_eq!((count(&world, "often"), names(&world).len()), (0, 2), "{fault:?} at {at}");
        }
    }
}

fn asking(when: &Value, published: Stamp) -> Catalog {
    declaring(serde_json::from_value(when.clone()).unwrap(), published)
}

/// Whether somebody did something is known of the time since it is watched alone: until a back-fill
/// has read what was before, nobody is taken for one who did it, nor for one who did not.
#[test]
fn what_was_done_before_it_was_watched_is_read_back() {
    let now = minute(4 * 24 * 60);
    let quiet = json!({"not": lately("Signed In", "60d")});
    for (when, expected) in [(quiet, 0), (lately("Signed In", "60d"), 3)] {
        let world = publish_at(three(), asking(&when, now));
        let _ = world.signals();
        // Something else they do tells nothing of it.
        let other = did("x1", 4 * 1_440 + 1, "Cart Viewed", &ann());
        world.fold_done(vec![accepted(4 * 1_440 + 1, vec![other])], minute(4 * 1_440 + 1));
        assert_eq!(count(&world, "often"), 0, "{when}");
        let memory = &world.memory;
        let looked = run(segments::look_at_all(memory, memory, now, |_| ())).unwrap();
        assert_eq!(looked.asked, 2, "{when}");
        world.fold_done(world.memory.take(Queue::Profile, now), now);
        assert_eq!(count(&world, "often"), 0, "{when}");
        let catalog = asking(&when, now);
        let segment = &catalog.segments[&name("often")];
        let preview = || {
            let (keys, computed) = (&world.keyring, &catalog.computed_traits);
            run(segments::preview(memory, keys, computed, segment, 9, now)).unwrap().sample
        };
        assert_eq!(preview().unknown, 3, "{when}");
        assert_eq!(backfill(&world, now).filled, 3, "{when}");
        assert_eq!((preview().unknown, i64::from(preview().members)), (0, expected), "{when}");
        assert_eq!((count(&world, "often"), backfill(&world, now).filled), (expected, 0), "{when}");
        // What they do again is no exit, and no entering.
        let again = did("x2", 4 * 1_440 + 2, "Signed In", &ann());
        world.fold_done(vec![accepted(4 * 1_440 + 2, vec![again])], minute(4 * 1_440 + 2));
        assert!(names(&world).is_empty(), "{when}");
        // 60 days on time alone moves them, aloud.
        world.wake_until(minute(70 * 24 * 60));
        assert_eq!((count(&world, "often"), names(&world).len()), (3 - expected, 3), "{when}");
    }
}

/// A computed trait that is worked out otherwise puts nobody out who is in: nobody knows its value
/// until a back-fill, and then each is where they belong, in silence.
#[test]
fn another_rule_of_a_trait_puts_nobody_out() {
    let of = |days: u32, published| {
        let rule = json!({"kind": "count", "event": {"event": "Signed In"}, "days": days});
        let when = json!({"trait": {"name": "visits", "is": {"at_least": 1}}});
        let computed_traits = serde_json::from_value(json!({"visits": rule})).unwrap();
        Catalog { computed_traits, ..asking(&when, published) }
    };
    let day = |n: i64| n * 24 * 60;
    let first = of(30, minute(-60));
    let world = World::of(first.clone());
    let bob = json!({"userId": "bob"});
    let events = vec![did("e1", 0, "Signed In", &ann()), did("e2", day(9), "Signed In", &bob)];
    for (at, event) in [0, day(9)].into_iter().zip(events) {
        world.fold_done(vec![accepted(at, vec![event])], minute(at));
    }
    assert_eq!((names(&world).len(), count(&world, "often")), (2, 2));
    let mut second = of(5, minute(day(10)));
    second.retire(&first, &[]);
    let world = publish_at(world, second);
    for (n, who) in [ann(), bob].iter().enumerate() {
        let event = did(&format!("x{n}"), day(10) + 1, "Cart Viewed", who);
        world.fold_done(vec![accepted(day(10) + 1, vec![event])], minute(day(10) + 1));
    }
    assert!(names(&world).is_empty());
    assert_eq!(count(&world, "often"), 2);
    assert_eq!(backfill(&world, minute(day(10) + 2)).filled, 2);
    assert_eq!((names(&world), count(&world, "often")), (vec![], 1));
    world.wake_until(minute(day(16)));
    assert_eq!((names(&world).len(), count(&world, "often")), (1, 0));
}

/// Who comes after such a segment was published was watched from the first event on.
#[test]
fn whoever_comes_later_needs_no_back_fill() {
    let world = World::of(asking(&lately("Signed In", "60d"), minute(-60)));
    let both = json!({"userId": "ann", "anonymousId": "a"});
    let device = json!({"anonymousId": "a"});
    world.fold_done(vec![accepted(0, vec![did("e1", 0, "Cart Viewed", &device)])], minute(0));
    world.fold_done(vec![accepted(1, vec![did("e2", 1, "Signed In", &both)])], minute(1));
    assert_eq!(names(&world), ["Segment Entered often"]);
    assert_eq!(backfill(&world, minute(2)).complete, 1);
    // Another publication, which goes on watching, is none that lacks anything.
    let later =
        Catalog { published: minute(3), ..asking(&lately("Signed In", "60d"), minute(-60)) };
    let world = publish_at(world, later);
    world.fold_done(vec![accepted(4, vec![did("e3", 4, "Cart Viewed", &ann())])], minute(4));
    assert_eq!((backfill(&world, minute(5)).complete, count(&world, "often")), (1, 1));
    assert!(names(&world).is_empty());
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
