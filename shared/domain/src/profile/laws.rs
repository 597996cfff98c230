//! The laws of the fold, as properties over random histories.

use super::*;
use crate::event::Event;
use crate::ids::{EventHash, SignalId};
use crate::predicate::EventPredicate;
use crate::signal::{Bounds, SignalKind, SignalRule, Stage, Stages, Threshold};
use crate::time::Span;
use crate::wire::{SourceKind, SourceRef};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::OnceLock;

/// One event of a history, and through which kind of source it came.
type Told = (Event, SourceKind);

const NAMES: [&str; 40] = [
    "Product Added",
    "Product Added",
    "Product Added",
    "Product Removed",
    "Product Viewed",
    "Product Viewed",
    "Product List Viewed",
    "Cart Viewed",
    "Checkout Started",
    "Order Completed",
    "Order Completed",
    "Order Updated",
    "Order Cancelled",
    "Order Refunded",
    "Payment Info Entered",
    "Something Else",
    "Page Left",
    "Page Left",
    "Element Hovered",
    "Video Content Started",
    "Video Content Playing",
    "Video Content Completed",
    "Form Started",
    "Form Submitted",
    "Form Abandoned",
    "Signed Up",
    "Ticket Opened",
    "Ticket Closed",
    "Complaint Filed",
    "Score Given",
    "Email Delivered",
    "Email Opened",
    "Email Link Clicked",
    "Email Bounced",
    "Unsubscribed",
    "Subscription Started",
    "Subscription Renewed",
    "Subscription Cancelled",
    "Live Chat Conversation Started",
    "Call Answered",
];

/// How many different products, traits, orders and minutes a history has.
#[derive(Clone, Copy)]
struct Breadth {
    keys: u32,
    minutes: i64,
}

const NARROW: Breadth = Breadth { keys: 4, minutes: 12 };
/// Past every bound of the collections.
const WIDE: Breadth = Breadth { keys: 150, minutes: 60 * 24 * 40 };

fn properties(breadth: Breadth) -> impl Strategy<Value = Value> {
    let key = 0..breadth.keys;
    let products = proptest::collection::vec((0..breadth.keys, 0..4_u32), 0..4);
    (key, 0..5_u32, 0..3_u32, products, 0..100_000_u64).prop_map(
        |(key, quantity, currency, products, cents)| {
            let currency = ["USD", "eur", "JPY"][currency as usize];
            let products: Vec<Value> = products
                .iter()
                .map(|(key, n)| match n {
                    0 => json!({"product_id": format!("p{key}")}),
                    n => json!({"product_id": format!("p{key}"), "quantity": n, "price": 2.5}),
                })
                .collect();
            let mut all = json!({"product_id": format!("p{key}"), "order_id": format!("o{key}"),
                "name": format!("Product {key}"), "category": format!("c{key}"),
                "price": format!("{}.{:02}", cents / 100, cents % 100), "currency": currency,
                "total": cents, "products": products});
            if quantity > 0 {
                all["quantity"] = quantity.into();
            }
            touched(&mut all, key, quantity, cents);
            all
        },
    )
}

/// What the other touchpoints read.
fn touched(all: &mut Value, key: u32, n: u32, cents: u64) {
    let more = json!({"content_asset_id": format!("v{key}"), "title": "A film", "position": cents,
        "total_length": 5_400, "genre": [format!("g{key}"), "drama"], "form": format!("f{}", key % 20),
        "fields": n, "ticket_id": key, "complaint_id": key % 90, "score": format!("{n}.5"),
        "email_id": format!("m{key}"), "machine": n == 4, "seconds": cents % 900,
        "scroll_depth": cents % 140, "session_id": format!("s{key}"), "brand": format!("b{key}"),
        "dwell": [{"product_id": format!("p{key}"), "category": format!("c{key}"), "seconds": n,
            "hovers": n}, {"category": "c0", "seconds": cents % 60}],
        "channel": (["phone", "Store", "letter", "semaphore", ""][n as usize]),
        "renews_at": "2026-12-24"});
    let more = more.as_object().cloned().unwrap_or_default();
    all.as_object_mut().unwrap().extend(more);
}

/// What comes with most events.
fn context(key: u32, minute: i64) -> Value {
    json!({"locale": format!("l{key}"), "timezone": "Europe/Paris", "sessionId": format!("s{key}"),
        "userAgent": (["Mozilla/5.0 (iPhone; Mobile)", "Mozilla/5.0 (X11; Linux)", "curl"][key as usize % 3]),
        "location": {"country": format!("C{}", key % 5), "city": "Aix"},
        "campaign": {"name": format!("n{}", minute % 7), "source": "mail"}})
}

fn told(breadth: Breadth) -> impl Strategy<Value = Told> {
    let name = select(NAMES.as_slice());
    let kind = select([SourceKind::Browser, SourceKind::Server].as_slice());
    (0..breadth.minutes, name, properties(breadth), 0..breadth.keys, 0..6_u32, kind).prop_map(
        |(minute, name, properties, key, what, kind)| {
            let at = minute * 60_000;
            let event = match what {
                0 => json!({"type": "identify", "traits": {
                    format!("t{key}"): minute, "plan": name, "score": 0.1 * f64::from(key),
                    "email": if key == 0 { Value::Null } else { format!("u{key}@example.com").into() }}}),
                1 => json!({"type": "page", "name": name, "properties": properties,
                    "context": {"locale": format!("l{key}"), "timezone": "Europe/Paris",
                        "traits": {format!("t{key}"): name}}}),
                2 => json!({"type": "track", "name": name, "properties": properties,
                    "context": context(key, minute)}),
                _ => json!({"type": "track", "name": name, "properties": properties}),
            };
            let mut event = event;
            event["at"] = at.into();
            event["id"] = "".into();
            (serde_json::from_value(event).unwrap(), kind)
        },
    )
}

/// A history of distinct events.
fn history(breadth: Breadth, most: usize) -> impl Strategy<Value = Vec<Told>> {
    proptest::collection::vec(told(breadth), 1..most).prop_map(|mut events| {
        for (n, (event, _)) in events.iter_mut().enumerate() {
            event.id = format!("e{n}");
        }
        events
    })
}

/// What facts are folded with; made once, since it is asked for with every event.
fn watched() -> &'static Watched {
    static WATCHED: OnceLock<Watched> = OnceLock::new();
    WATCHED.get_or_init(|| watched_alone().computing(&every_kind()))
}

/// What signals are decided with, which ask no computed trait.
fn watched_alone() -> Watched {
    let predicates = ["Order Completed", "Product Added", "Something Else", "page"]
        .into_iter()
        .map(|event| EventPredicate { event: event.to_owned(), tests: Vec::new() });
    Watched::of(&predicates.collect::<Vec<_>>())
}

/// A computed trait of every kind, for ever and within windows that a history leaves.
fn every_kind() -> ComputedTraits {
    let total = |currency: Option<&str>| match currency {
        Some(code) => json!({"of": "total", "currency": code}),
        None => json!({"of": "products.quantity"}),
    };
    let kinds = [
        ("count", json!("count")),
        ("sum", json!({"sum": total(Some("EUR"))})),
        ("numbers", json!({"sum": total(None)})),
        ("minimum", json!({"minimum": total(Some("USD"))})),
        ("maximum", json!({"maximum": total(Some("JPY"))})),
        ("average", json!({"average": total(None)})),
        ("first", json!({"first": "category"})),
        ("latest", json!({"latest": "products.product_id"})),
        ("frequent", json!({"most_frequent": "products.product_id"})),
        ("distinct", json!({"distinct": "genre"})),
    ];
    let filters = [
        json!({"event": "Order Completed"}),
        json!({"event": "Product Added", "where": [{"property": "total", "is": {"above": 30_000}}]}),
        json!({"event": "page"}),
    ];
    let mut rules = serde_json::Map::new();
    for (n, (name, kind)) in kinds.iter().enumerate() {
        let window = if n % 2 == 0 { 1 } else { 7 };
        for (days, name) in [(None, name.to_string()), (Some(window), format!("{name}_lately"))] {
            rules.insert(name, json!({"kind": kind, "event": filters[n % 3], "days": days}));
        }
    }
    serde_json::from_value(rules.into()).unwrap()
}

fn offer(accumulator: &mut Accumulator, (event, kind): &Told) -> Folded {
    let source = SourceRef { name: "s".to_owned(), kind: *kind };
    accumulator.fold(event, &source, watched())
}

/// The same without computed traits.
fn tell(accumulator: &mut Accumulator, (event, kind): &Told, watched: &Watched) {
    let source = SourceRef { name: "s".to_owned(), kind: *kind };
    let _ = accumulator.fold(event, &source, watched);
}

fn folded<'a>(events: impl IntoIterator<Item = &'a Told>) -> Accumulator {
    let mut accumulator = Accumulator::default();
    for told in events {
        offer(&mut accumulator, told);
    }
    accumulator
}

fn bytes(facts: &Facts) -> String {
    serde_json::to_string(facts).unwrap()
}

/// The order in which `picks` draws from `events`, then what is left, last first.
fn shuffled<'a>(events: &'a [Told], picks: &[Index]) -> Vec<&'a Told> {
    let mut left: Vec<&Told> = events.iter().collect();
    let mut drawn = Vec::new();
    for pick in picks {
        if !left.is_empty() {
            drawn.push(left.swap_remove(pick.index(left.len())));
        }
    }
    drawn.extend(left.into_iter().rev());
    drawn
}

fn order(most: usize) -> impl Strategy<Value = Vec<Index>> {
    proptest::collection::vec(any::<Index>(), most)
}

/// Any order, duplication and regrouping, through storage at every boundary between groups.
fn any_delivery_gives_the_same_bytes(events: &[Told], picks: &[Index], cuts: &[bool]) {
    let expected = bytes(&folded(events).facts);
    let mut accumulator = Accumulator::default();
    for (n, told) in shuffled(events, picks).into_iter().enumerate() {
        offer(&mut accumulator, told);
        if cuts.get(n % cuts.len().max(1)).copied().unwrap_or(false) {
            let stored = serde_json::to_vec(&accumulator).unwrap();
            accumulator = serde_json::from_slice(&stored).unwrap();
            assert_eq!(offer(&mut accumulator, told), Folded::Duplicate);
            let first = events.first().unwrap();
            offer(&mut accumulator, first);
        }
    }
    for told in events {
        assert_eq!(offer(&mut accumulator, told), Folded::Duplicate);
    }
    assert_eq!(bytes(&accumulator.facts), expected);
}

/// Facts of disjoint events, merged in any order and grouping, are the facts of all of them.
fn any_merge_gives_the_same_bytes(events: &[Told], parts: &[u8]) {
    let part = |n: usize| parts.get(n % parts.len().max(1)).copied().unwrap_or(0) % 3;
    let mut three = [Facts::default(), Facts::default(), Facts::default()];
    for (n, told) in events.iter().enumerate() {
        let at = told.0.position();
        three[usize::from(part(n))].fold(&told.0, at, told.1, watched());
    }
    let expected = bytes(&folded(events).facts);
    for [a, b, c] in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
        let mut left = three[a].clone();
        left.merge(&three[b]);
        left.merge(&three[c]);
        assert_eq!(bytes(&left), expected);
        let mut right = three[b].clone();
        right.merge(&three[c]);
        let mut all = three[a].clone();
        all.merge(&right);
        assert_eq!(bytes(&all), expected);
    }
}

/// Every signal, at thresholds that a history of minutes reaches.
fn rules() -> Vec<SignalRule> {
    let minutes = |n| Threshold::After(Span::MINUTE.times(n));
    let rule = |kind: SignalKind| {
        let thresholds = match (kind, kind.default_threshold()) {
            (SignalKind::CartAbandoned, _) => vec![minutes(30), minutes(5)],
            (SignalKind::BrowseAbandoned, _) => vec![minutes(8)],
            (SignalKind::CheckoutAbandoned, _) => vec![minutes(4), minutes(31)],
            (_, Threshold::After(_)) => vec![minutes(7)],
            (_, Threshold::Before(_)) => vec![Threshold::Before(Span::DAY.times(7))],
            (SignalKind::InterestShown, _) => vec![Threshold::AtLeast(3), Threshold::AtLeast(40)],
            (_, Threshold::AtLeast(n)) => vec![Threshold::AtLeast(n), Threshold::AtLeast(n + 1)],
            (_, Threshold::Segment(_)) => Vec::new(),
        };
        let stages = Stages {
            new: Span::MINUTE.times(9),
            loyal: 3,
            dormant: Span::MINUTE.times(20),
            lapsed: Span::HOUR,
        };
        let stages = (kind == SignalKind::StageChanged).then_some(stages);
        SignalRule { stages, ..SignalRule::new(kind, &thresholds) }
    };
    SignalKind::ALL.into_iter().map(rule).collect()
}

fn raised(root: &Root) -> impl Iterator<Item = SignalId> {
    root.said.pending.iter().filter_map(|effect| match effect {
        ProfileEffect::Raise(raise) => Some(raise.id),
        ProfileEffect::Arm { .. } | ProfileEffect::Settle { .. } => None,
    })
}

/// Tells a root of some events at one instant, then lets its timers run until another.
fn live(root: &mut Root, events: &[&Told], now: Stamp, until: Stamp, ids: &mut Vec<SignalId>) {
    let profile = ProfileId::from_bytes([1; 16]);
    let key = IdentityKey::from(profile);
    let watched = watched_alone();
    for told in events {
        tell(root.accumulator_of(key, key).1, told, &watched);
        root.said.pending.clear();
        root.cross(profile, &rules(), now);
        root.rearm(&rules(), now);
        ids.extend(raised(root));
    }
    while let Some(due) = root.said.due.filter(|due| *due <= until) {
        root.said.pending.clear();
        let arm = root.said.arm;
        assert_eq!(root.wake(profile, arm, &rules(), due), Woken::Decided);
        ids.extend(raised(root));
        assert_eq!(root.wake(profile, arm, &rules(), due), Woken::Stale);
    }
}

/// Somebody who was there before the traits were declared, filled at any moment, ends as somebody who
/// was there after; until then there is no state. Before, between and after the fill events are
/// folded, some by a process that does not know of the traits.
fn filled_late_is_filled_early(events: &[Told], told: [usize; 3], unaware: bool) {
    let traits = every_kind();
    let key = IdentityKey::from_bytes([1; 16]);
    let (before, rest) = events.split_at(told[0].min(events.len()));
    let (between, after) = rest.split_at(told[1].min(rest.len()));
    let source = SourceRef { name: "s".to_owned(), kind: SourceKind::Server };
    let mut root = Root::default();
    for (event, _) in before {
        root.accumulator_of(key, key).1.fold(event, &source, &Watched::default());
    }
    for (n, (event, _)) in between.iter().enumerate() {
        let none = Watched::default();
        let watched = if unaware && n == 0 { &none } else { watched() };
        root.accumulator_of(key, key).1.fold(event, &source, watched);
    }
    let folded = before.len() + between.len();
    let unknown = !before.is_empty() || (unaware && !between.is_empty());
    let lacks = root.lacks(&traits);
    assert_eq!(lacks.get(&key).map_or(0, BTreeSet::len), if unknown { traits.len() } else { 0 });
    if let Some(lacks) = lacks.get(&key) {
        let held = root.accumulators.get_mut(&key).unwrap();
        let mut fill = Fill::begin(held, &traits, lacks, Stamp::MIN);
        for (event, _) in
            events.iter().take(folded).rev().chain(events.iter().take(told[2].min(folded)))
        {
            fill.take(key, event.at, event);
        }
        let events = u64::try_from(folded).unwrap();
        assert_eq!(fill.finish(held), Ok(Filled { events, missing: 0 }));
    }
    for (event, _) in after {
        root.accumulator_of(key, key).1.fold(event, &source, watched());
    }
    let mut early = Accumulator::default();
    for (event, _) in events {
        early.fold(event, &source, watched());
    }
    assert_eq!(root.facts().computed, early.facts.computed);
    assert!(root.lacks(&traits).is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn traits_declared_late_are_traits_declared_early(
        events in history(NARROW, 20),
        told in (0..20_usize, 0..20_usize, 0..20_usize),
        unaware in any::<bool>(),
    ) {
        filled_late_is_filled_early(&events, told.into(), unaware);
    }

    #[test]
    fn any_order_gives_the_same_bytes(
        events in history(NARROW, 20),
        picks in order(20),
        cuts in proptest::collection::vec(proptest::bool::weighted(0.2), 1..8),
    ) {
        any_delivery_gives_the_same_bytes(&events, &picks, &cuts);
    }

    #[test]
    fn merging_is_order_free(
        events in history(NARROW, 20),
        parts in proptest::collection::vec(any::<u8>(), 1..30),
    ) {
        any_merge_gives_the_same_bytes(&events, &parts);
    }

    #[test]
    fn signals_do_not_depend_on_the_order(
        before in history(NARROW, 14),
        after in history(NARROW, 8),
        (one, two) in (order(14), order(14)),
        wait in 0..40_u64,
    ) {
        let noon = Stamp::from_ms(12 * 60_000);
        let second = noon.plus(Span::MINUTE.times(wait));
        let after: Vec<Told> = after.into_iter().map(|(mut event, kind)| {
            event.id.insert(0, 'b');
            event.at = event.at.plus(Span::MINUTE.times(6)).min(second);
            (event, kind)
        }).collect();
        let mut told = [Vec::new(), Vec::new()];
        for (ids, picks) in told.iter_mut().zip([one, two]) {
            let mut root = Root::default();
            live(&mut root, &shuffled(&before, &picks), noon, second, ids);
            let end = second.plus(Span::DAY);
            live(&mut root, &shuffled(&after, &picks), second, end, ids);
            prop_assert_eq!(signal_count(ids), ids.len(), "raised twice");
            prop_assert!(root.said.due.is_none_or(|due| due > end));
            // Where somebody stands in the end is a function of facts and time.
            let rule = rules().into_iter().find(|rule| rule.kind == SignalKind::StageChanged);
            let stages = rule.and_then(|rule| rule.stages).unwrap();
            let bounds = Bounds { at_risk: Span::MINUTE.times(7), stages };
            let said = root.said.stages.values().next().map_or(Stage::Visitor, |mark| mark.stage);
            prop_assert_eq!(said, Stage::of(&root.facts(), &bounds, end));
        }
        let [mut first, mut second] = told;
        first.sort();
        second.sort();
        prop_assert_eq!(first, second);
    }

    /// What is decided on the write that folds: whatever the order, the grouping into writes and the
    /// duplicates, the same ids are raised, each once; and a redelivery of everything a month later
    /// raises nothing.
    #[test]
    fn crossings_do_not_depend_on_the_order(
        events in history(NARROW, 16),
        picks in order(16),
        cuts in proptest::collection::vec(any::<bool>(), 1..8),
    ) {
        let now = Stamp::from_ms(12 * 60_000);
        let profile = ProfileId::from_bytes([1; 16]);
        let key = IdentityKey::from(profile);
        let watched = watched_alone();
        let one: Vec<&Told> = events.iter().collect();
        let mut all = Vec::new();
        for (told, cuts) in [(one, vec![true]), (shuffled(&events, &picks), cuts)] {
            let mut root = Root::default();
            let mut ids = Vec::new();
            let rules = rules();
            let mut write = |root: &mut Root, now: Stamp| {
                root.cross(profile, &rules, now);
                ids.extend(raised(root));
                root.said.pending.clear();
                *root = serde_json::from_slice(&serde_json::to_vec(root).unwrap()).unwrap();
            };
            for (n, told) in told.into_iter().enumerate() {
                tell(root.accumulator_of(key, key).1, told, &watched);
                if cuts[n % cuts.len()] {
                    write(&mut root, now);
                    tell(root.accumulator_of(key, key).1, told, &watched);
                }
            }
            write(&mut root, now);
            for told in &events {
                tell(root.accumulator_of(key, key).1, told, &watched);
            }
            write(&mut root, now.plus(Span::DAY.times(30)));
            prop_assert_eq!(signal_count(&ids), ids.len(), "raised twice");
            ids.sort();
            all.push(ids);
        }
        prop_assert_eq!(&all[0], &all[1]);
    }

    #[test]
    fn the_top_is_the_top(
        writes in proptest::collection::vec((0..8_u8, 0..50_i64), 0..40),
        picks in order(40),
        cleared in proptest::option::of(0..50_i64),
    ) {
        let position = |n: usize, ms: i64| {
            Position { at: Stamp::from_ms(ms), id: EventHash((n as u64).to_be_bytes()) }
        };
        let writes: Vec<(String, Position)> = writes
            .iter()
            .enumerate()
            .map(|(n, (key, ms))| (key.to_string(), position(n, *ms)))
            .collect();
        let mut left = writes.clone();
        let mut drawn = Vec::new();
        for pick in &picks {
            if !left.is_empty() {
                drawn.push(left.swap_remove(pick.index(left.len())));
            }
        }
        let write = |writes: &[(String, Position)], late: bool| {
            let mut top: Top<String, Position, 3> = Top::default();
            let cleared = cleared.map(Stamp::from_ms);
            for (n, (key, at)) in writes.iter().enumerate() {
                if late && n < writes.len() / 2 || cleared.is_none_or(|cleared| at.at > cleared) {
                    top.write(key.as_str(), *at, || *at);
                }
                if n == writes.len() / 2 && let Some(cleared) = cleared {
                    top.clear_until(cleared);
                }
            }
            if let Some(cleared) = cleared {
                top.clear_until(cleared);
            }
            serde_json::to_string(&top).unwrap()
        };
        prop_assert_eq!(write(&writes, false), write(&drawn, true));
    }
}

fn signal_count(ids: &[SignalId]) -> usize {
    ids.iter().collect::<BTreeSet<_>>().len()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// The same with more of everything than is kept.
    #[test]
    fn bounds_do_not_depend_on_the_order(
        events in history(WIDE, 500),
        picks in order(500),
        parts in proptest::collection::vec(any::<u8>(), 1..30),
    ) {
        any_delivery_gives_the_same_bytes(&events, &picks, &[false, false, false, true, false]);
        any_merge_gives_the_same_bytes(&events, &parts);
    }

    #[test]
    fn windows_do_not_depend_on_when_they_were_declared(
        events in history(WIDE, 200),
        told in (0..200_usize, 0..200_usize, 0..200_usize),
    ) {
        filled_late_is_filled_early(&events, told.into(), true);
    }
}
