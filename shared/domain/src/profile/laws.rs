//! The laws of the fold, as properties over random histories.

mod described;
mod generate;
mod signals;

use super::*;
use crate::histories::{histories, long_histories};
use crate::ids::EventHash;
use crate::predicate::EventPredicate;
use crate::wire::{SourceKind, SourceRef};
use generate::{Told, WIDE, history, order, short, shuffled};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::OnceLock;

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
        let source = SourceRef { name: "s".to_owned(), kind: told.1 };
        three[usize::from(part(n))].fold(&told.0, at, &source, watched());
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
    #![proptest_config(ProptestConfig { cases: histories(2_000), ..ProptestConfig::default() })]

    #[test]
    fn traits_declared_late_are_traits_declared_early(
        events in short(20),
        told in (0..20_usize, 0..20_usize, 0..20_usize),
        unaware in any::<bool>(),
    ) {
        filled_late_is_filled_early(&events, told.into(), unaware);
    }

    #[test]
    fn any_order_gives_the_same_bytes(
        events in short(20),
        picks in order(20),
        cuts in proptest::collection::vec(proptest::bool::weighted(0.2), 1..8),
    ) {
        any_delivery_gives_the_same_bytes(&events, &picks, &cuts);
    }

    #[test]
    fn merging_is_order_free(
        events in short(20),
        parts in proptest::collection::vec(any::<u8>(), 1..30),
    ) {
        any_merge_gives_the_same_bytes(&events, &parts);
    }

    #[test]
    fn the_top_is_the_top(
        writes in proptest::collection::vec((0..8_u8, 0..50_i64), 0..40),
        picks in order(40),
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
        let write = |writes: &[(String, Position)]| {
            let mut top: Top<String, Position, 3> = Top::default();
            for (key, at) in writes {
                top.write(key.as_str(), *at, || *at);
            }
            serde_json::to_string(&top).unwrap()
        };
        prop_assert_eq!(write(&writes), write(&drawn));
    }
}

proptest! {
    // Histories of hundreds: a fiftieth of `HISTORIES`.
    #![proptest_config(ProptestConfig { cases: long_histories(40, 50), ..ProptestConfig::default() })]

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

/// Found by `bounds_do_not_depend_on_the_order`: one event's products, of which there is room for
/// one.
#[test]
fn of_what_one_event_writes_the_same_is_kept() {
    let position = |ms| Position { at: Stamp::from_ms(ms), id: EventHash([0; 8]) };
    let kept = |writes: &[(&str, i64)]| {
        let mut top: Top<String, i64, 2> = Top::default();
        for (key, ms) in writes {
            top.write(*key, position(*ms), || *ms);
        }
        serde_json::to_string(&top).unwrap()
    };
    let event = [("d", 5), ("b", 5), ("e", 5)];
    let late = kept(&[&[("z", 9), ("a", 1)][..], &event].concat());
    assert_eq!(late, kept(&[&event[..], &[("a", 1), ("z", 9)]].concat()));
    assert!(late.contains("\"e\"") && !late.contains("\"d\""));
}
