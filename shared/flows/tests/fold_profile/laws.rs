//! The laws of identities, on the flow itself: whatever the network did, the profiles are the same.
//!
//! Five hundred histories of each here; `HISTORIES=100000 cargo test --profile sim -p odyssey-flows
//! --test fold_profile laws` looks at as many as it says.

mod late;

use crate::world::*;
use odyssey_domain::catalog::{Catalog, SignalKind, SignalRule, Threshold};
use odyssey_domain::event::Event;
use odyssey_domain::ids::IdentityKey;
use odyssey_domain::profile::{Accumulator, IdentityItem, RefusedLink, Root, Watched};
use odyssey_domain::segment::{Segment, SegmentName};
use odyssey_domain::signal::{Bounds, Stage, Stages};
use odyssey_domain::time::{Span, Stamp};
use odyssey_domain::wire::{SourceKind, SourceRef};
use odyssey_flows::links::split;
use odyssey_flows::queue::QueueRecord;
use odyssey_testkit::run;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Everything was received by then; minutes after the start.
const RECEIVED: i64 = 100;
const MONTH: i64 = 30 * 24 * 60;

fn histories() -> u32 {
    let told = std::env::var("HISTORIES").ok().and_then(|text| text.parse().ok());
    told.unwrap_or(500)
}

/// An event, and whether a server says it.
#[derive(Debug, Clone)]
struct Told {
    event: Event,
    server: bool,
}

/// Of whom and of which ids a history tells.
#[derive(Debug, Clone, Copy)]
struct Breadth {
    users: &'static [&'static str],
    devices: &'static [&'static str],
    ids: &'static [(&'static str, &'static str)],
    /// The most events.
    most: usize,
}

/// Few of each, so that they meet.
const FEW: Breadth = Breadth {
    users: &["ann", "bob"],
    devices: &["tv", "phone"],
    ids: &[
        ("email", "ann@example.com"),
        ("email", "Family@Example.com"),
        ("phone", "+49 30 1234567"),
        ("shop", "1"),
        ("ticket", "1"),
    ],
    most: 12,
};

/// As many as one profile can hold at once, should one user claim them all: its own, eight devices
/// of eleven, and seven that take a server's word.
const MANY: Breadth = Breadth {
    users: &["ann", "bob", "cem"],
    devices: &["tv", "phone", "watch", "car", "kiosk", "tablet", "work", "desk"],
    ids: &[
        ("email", "ann@example.com"),
        ("email", "Family@Example.com"),
        ("email", "cem@example.com"),
        ("phone", "+49 30 1234567"),
        ("phone", "+49 30 7654321"),
        ("shop", "1"),
        ("ticket", "1"),
    ],
    most: 40,
};

fn who(of: Breadth) -> impl Strategy<Value = (Option<&'static str>, Option<&'static str>, Value)> {
    let user = proptest::option::weighted(0.5, proptest::sample::select(of.users));
    let device = proptest::option::weighted(0.5, proptest::sample::select(of.devices));
    let id = proptest::sample::select(of.ids);
    let ids = proptest::collection::vec(id, 0..3).prop_map(|ids| {
        let entries = ids.into_iter().map(|(named, id)| json!({"type": named, "id": id}));
        json!(entries.collect::<Vec<_>>())
    });
    (user, device, ids)
}

/// What moves the lifecycle, subscriptions and support; some of it is nothing that the customer does.
const OTHERS: [&str; 14] = [
    "Trial Started",
    "Trial Ended",
    "Subscription Started",
    "Subscription Renewed",
    "Subscription Cancelled",
    "Form Submitted",
    "Signed Up",
    "Order Cancelled",
    "Ticket Opened",
    "Ticket Solved",
    "Complaint Filed",
    "Score Given",
    "Email Opened",
    "Email Link Clicked",
];

fn told(of: Breadth) -> impl Strategy<Value = Told> {
    (who(of), 0..60_i64, 0..8_u8, any::<bool>()).prop_map(
        |((user, device, ids), at, what, server)| {
            let mut event = match what {
                0 => {
                    json!({"type": "identify", "traits": {"plan": at, "email": "ann@example.com"}})
                }
                1 => json!({"type": "track", "name": "Order Completed", "properties": {
                "order_id": at, "total": at, "currency": "EUR"}}),
                2 => json!({"type": "track", "name": "Product Viewed", "properties": {
                "product_id": at % 5, "category": "Tents"}}),
                3 | 4 => json!({"type": "track", "name": (OTHERS[usize::try_from(at).unwrap_or(0) % OTHERS.len()]),
                "properties": {"trial_end": minute(at + 50), "subscription_id": at % 3,
                "renews_at": minute(at + 70), "ticket_id": at % 3, "form": "demo",
                "email_id": at % 4, "complaint_id": at % 2, "score": at % 5}}),
                _ => json!({"type": "track", "name": "Product Added", "properties": {
                "product_id": at % 5, "price": "1.50"}}),
            };
            event["context"] = json!({"externalIds": ids});
            event["at"] = json!(minute(at));
            event["id"] = "".into();
            if let Some(user) = user {
                event["userId"] = user.into();
            }
            if let Some(device) = device {
                event["anonymousId"] = device.into();
            }
            Told { event: serde_json::from_value(event).unwrap(), server }
        },
    )
}

fn history(of: Breadth) -> impl Strategy<Value = Vec<Told>> {
    proptest::collection::vec(told(of), 1..of.most).prop_map(|mut told| {
        for (n, told) in told.iter_mut().enumerate() {
            told.event.id = format!("e{n}");
        }
        told
    })
}

/// Two of three of few, since those are the quicker.
fn histories_of_both() -> impl Strategy<Value = Vec<Told>> {
    prop_oneof![2 => history(FEW), 1 => history(MANY)]
}

fn record(told: &[&Told]) -> QueueRecord {
    let server = told.first().is_some_and(|told| told.server);
    let kind = if server { SourceKind::Server } else { SourceKind::Browser };
    accepted_from(kind, RECEIVED, told.iter().map(|told| told.event.clone()).collect())
}

/// The order in which `picks` draws, then what is left, last first.
fn shuffled<'a>(told: &'a [Told], picks: &[Index]) -> Vec<&'a Told> {
    let mut left: Vec<&Told> = told.iter().collect();
    let mut drawn = Vec::new();
    for pick in picks {
        if !left.is_empty() {
            drawn.push(left.swap_remove(pick.index(left.len())));
        }
    }
    drawn.extend(left.into_iter().rev());
    drawn
}

/// Each event in a delivery of its own, in the order of the list.
fn one_by_one(world: &World, told: &[Told]) -> usize {
    let fold = |told: &Told| world.fold_done(vec![record(&[told])], minute(RECEIVED)).folded;
    told.iter().map(fold).sum()
}

/// The accumulators of all profiles, with the ids they know.
fn accumulators(world: &World, keys: &BTreeSet<IdentityKey>) -> BTreeMap<IdentityKey, Accumulator> {
    let mut all = BTreeMap::new();
    for key in keys {
        if let Some(IdentityItem::Root(root)) = world.item(*key) {
            all.extend(root.accumulators);
        }
    }
    all
}

fn keys_of(world: &World) -> BTreeSet<IdentityKey> {
    world.facts().keys().map(|key| key.parse().unwrap()).collect()
}

/// The identity that an event folds under, as DESIGN says it: the user's, else what a server names,
/// else the device's.
fn own(world: &World, told: &Told) -> Option<IdentityKey> {
    let event = &told.event;
    let user = event.user_id.as_ref().map(|user| world.keyring.user_key(user));
    let vouched = odyssey_domain::identity::vouched(event.kind, &event.traits, &event.context);
    let named = vouched.first().filter(|_| told.server).map(|id| world.keyring.identity_key(id));
    let device = event.anonymous_id.as_ref().map(|id| world.keyring.anonymous_key(id));
    user.or(named).or(device)
}

/// A workspace that decides on stages, computed traits and segments.
fn deciding() -> Catalog {
    let published = minute(-60);
    let stages = Stages {
        new: Span::MINUTE.times(20),
        dormant: Span::HOUR,
        lapsed: Span::HOUR.times(2),
        ..Stages::default()
    };
    let lifecycle = SignalRule {
        stages: Some(stages),
        ..SignalRule::new(SignalKind::StageChanged, &[Threshold::After(Span::MINUTE.times(45))])
    };
    let added = json!({"event": "Product Added"});
    let computed = json!({
        "carts": {"kind": "count", "event": added, "days": null},
        "spent": {"kind": {"sum": {"of": "total", "currency": "EUR"}},
            "event": {"event": "Order Completed"}, "days": 30},
        "latest": {"kind": {"latest": "product_id"}, "event": added, "days": 7},
    });
    let segments = json!({
        "buyer": {"fact": {"name": "events.Order Completed", "is": {"at_least": 1}}},
        "lately": {"performed": {"event": added, "within": "75m"}},
        "idle": {"not": {"performed": {"event": {"event": "Product Viewed"}, "within": "80m"}}},
    });
    let segment = |(name, when): (&String, &Value)| {
        let when = serde_json::from_value(when.clone()).unwrap();
        let segment = Segment { title: "T".to_owned(), when, since: published, watched: published };
        (SegmentName::parse(name).unwrap(), segment)
    };
    let mut catalog = catalog();
    catalog.signals.push(lifecycle);
    Catalog {
        published,
        computed_traits: serde_json::from_value(computed).unwrap(),
        segments: segments.as_object().unwrap().iter().map(segment).collect(),
        ..catalog
    }
}

/// What is decided of a profile is what its own events say, and nothing else: those of `told` that
/// fold under an accumulator that it holds. How many decisions that were.
fn is_decided_by_its_own(world: &World, key: IdentityKey, told: &[Told], now: Stamp) -> usize {
    let catalog = deciding();
    let (profile, root) = world.root(key);
    let watched = Watched::of(&catalog.kept_matches()).computing(&catalog.computed_traits);
    let mut alone = Root::default();
    for told in told {
        let Some(own) = own(world, told).filter(|own| root.accumulators.contains_key(own)) else {
            continue;
        };
        let kind = if told.server { SourceKind::Server } else { SourceKind::Browser };
        let source = SourceRef { name: "web".to_owned(), kind };
        let _ = alone.accumulator_of(own, own).1.fold(&told.event, &source, &watched);
    }
    let view = root.view_at(profile, &catalog.computed_traits, now);
    let expected = alone.view_at(profile, &catalog.computed_traits, now);
    assert_eq!(view.traits, expected.traits, "computed traits");
    let holds = |(name, of): (&SegmentName, &Segment)| of.is_in(&expected, now).then_some(*name);
    let expected: Vec<SegmentName> = catalog.segments.iter().filter_map(holds).collect();
    assert_eq!(view.segments.keys().copied().collect::<Vec<_>>(), expected, "segments");
    let rule = catalog.signals.iter().find(|rule| rule.kind == SignalKind::StageChanged).unwrap();
    let bounds =
        Bounds { at_risk: *rule.thresholds.first().unwrap(), stages: rule.stages.unwrap() };
    let stage = Stage::of(&alone.facts(), &bounds, now);
    let said = root.said.stages.values().next().map_or(Stage::Visitor, |mark| mark.stage);
    assert_eq!(said, stage, "stage");
    expected.len() + usize::from(stage != Stage::Visitor)
}

/// The links of a world: what is claimed, and by whom.
fn links(world: &World, keys: &BTreeSet<IdentityKey>) -> Vec<(IdentityKey, IdentityKey)> {
    let link = |key: &IdentityKey| match world.item(*key) {
        Some(IdentityItem::Pointer { to, .. }) => Some((*key, to)),
        _ => None,
    };
    keys.iter().filter_map(link).collect()
}

/// Splits one of the links of a history, where there is one. How many decisions stood on both sides.
fn splits(told: &[Told], pick: Index) -> Option<usize> {
    let world = World::of(deciding());
    one_by_one(&world, told);
    // Some of it was decided on before, by timers.
    world.wake_until(minute(RECEIVED));
    let keys = keys_of(&world);
    let before = accumulators(&world, &keys);
    let links = links(&world, &keys);
    if links.is_empty() {
        return None;
    }
    let (id, user) = links[pick.index(links.len())];
    let done = run(split(&world.memory, id, minute(RECEIVED + 1))).unwrap();
    assert_eq!(IdentityKey::from(done.from), user);
    assert_eq!(accumulators(&world, &keys), before);
    let Some(IdentityItem::Root(root)) = world.item(id) else { panic!("it is no profile") };
    assert_eq!(root.accumulators.keys().copied().collect::<Vec<_>>(), vec![id]);
    // Both are looked at a minute later.
    let mut decided = 0;
    for later in [3, 30, 3 * 60] {
        world.wake_until(minute(RECEIVED + later));
        for side in [id, user] {
            decided += is_decided_by_its_own(&world, side, told, minute(RECEIVED + later));
        }
    }
    let said = world.signals().len();
    for late in [6 * 60, MONTH] {
        world.wake_until(minute(RECEIVED + late));
        let _ = world.signals();
        for told in told.iter().rev() {
            let record = record(&[told]);
            let counts = world.fold_done(vec![record], minute(RECEIVED + late));
            assert_eq!(counts.folded, 0);
        }
        assert_eq!(accumulators(&world, &keys), before);
        let linked = matches!(world.item(id), Some(IdentityItem::Pointer { to, .. }) if to == user);
        assert!(!linked, "a claim undid the split");
        world.wake_until(minute(RECEIVED + late));
        let again = world.signals();
        assert!(again.is_empty(), "after {said}: {again:?}");
        for side in [id, user] {
            is_decided_by_its_own(&world, side, told, minute(RECEIVED + late));
        }
    }
    Some(decided)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: histories(), ..ProptestConfig::default() })]

    /// Any permutation, duplication and regrouping, late links and early ones; and a redelivery of
    /// everything a month later.
    #[test]
    fn any_delivery_gives_the_same_profiles(
        told in histories_of_both(),
        picks in proptest::collection::vec(any::<Index>(), 40),
        cuts in proptest::collection::vec(any::<bool>(), 40),
        again in proptest::collection::vec(any::<Index>(), 0..5),
    ) {
        let plain = World::new();
        let folded = one_by_one(&plain, &told);
        let expected = plain.facts();

        let world = World::new();
        let mut records = Vec::new();
        let mut part: Vec<&Told> = Vec::new();
        for (told, cut) in shuffled(&told, &picks).into_iter().zip(&cuts) {
            if part.first().is_some_and(|first| first.server != told.server || *cut) {
                records.push(record(&part));
                part.clear();
            }
            part.push(told);
        }
        records.push(record(&part));
        for index in again {
            let twice = records[index.index(records.len())].clone();
            records.insert(index.index(records.len()), twice);
        }
        let mut counted = 0;
        let batch = 1 + cuts.iter().filter(|cut| **cut).count() % 4;
        for some in records.chunks(batch) {
            let counts = world.fold_done(some.to_vec(), minute(RECEIVED));
            counted += counts.folded;
            prop_assert!(!counts.refused_links.contains_key(&RefusedLink::Full), "past the limits");
        }
        prop_assert_eq!(counted, folded);
        prop_assert_eq!(&world.facts(), &expected);

        for told in &told {
            let counts = world.fold_done(vec![record(&[told])], minute(RECEIVED + MONTH));
            prop_assert_eq!(counts.folded, 0);
        }
        prop_assert_eq!(&world.facts(), &expected);
    }

    /// A split gives back what each id had, to the byte and to the id, and what is decided on it:
    /// stage, computed traits, segments. Nothing that comes again undoes it or is said, and nothing
    /// is lost by it.
    #[test]
    fn a_split_gives_back_what_each_had(told in histories_of_both(), pick in any::<Index>()) {
        let _ = splits(&told, pick);
    }
}

/// The laws say something: histories have links to be split, decisions on both sides, and profiles
/// of many ids.
#[test]
fn links_and_splits_are_not_vacuous() {
    let mut runner = TestRunner::deterministic();
    let (mut split, mut decided, mut most) = (0, 0, 0);
    for _ in 0..200 {
        let drawn = (histories_of_both(), any::<Index>()).new_tree(&mut runner).unwrap();
        let (told, pick) = drawn.current();
        let found = splits(&told, pick);
        split += usize::from(found.is_some());
        decided += usize::from(found.is_some_and(|decisions| decisions > 6));
        let world = World::new();
        one_by_one(&world, &told);
        let keys = keys_of(&world);
        let sizes = keys.iter().filter_map(|key| match world.item(*key) {
            Some(IdentityItem::Root(root)) => Some(root.accumulators.len()),
            _ => None,
        });
        most = most.max(sizes.max().unwrap_or(0));
    }
    assert!(split >= 120 && decided >= 60, "{split} split, {decided} with decisions, of 200");
    assert!(most >= 8, "{most} identifiers in one profile");
}
