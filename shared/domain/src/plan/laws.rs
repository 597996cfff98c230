//! What holds of inferred plans, whatever was seen.

use super::*;
use crate::event::Event;
use crate::time::{Span, Stamp};
use crate::workspace::{Files, Workspace};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// One event as it was seen: the event, its source, when it was received.
#[derive(Debug, Clone)]
struct Seen(Event, &'static str, Stamp);

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        (-1e6..1e6_f64).prop_map(Value::from),
        "[a-z@0-9-]{0,12}".prop_map(Value::from),
        Just(json!("2026-01-02")),
        Just(json!([1, "a"])),
        Just(json!({"a": 1})),
    ]
}

fn fields(names: &'static str) -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::btree_map(names, value(), 0..5).prop_map(|map| map.into_iter().collect())
}

fn seen(events: &'static str, properties: &'static str) -> impl Strategy<Value = Seen> {
    let kinds = prop::sample::select(vec!["track", "track", "track", "identify", "page"]);
    let sources = prop::sample::select(vec!["web", "backend"]);
    (kinds, events, fields(properties), sources, 0..40_u64, any::<u32>()).prop_map(
        |(kind, name, fields, source, days, id)| {
            let mut event =
                json!({"id": id.to_string(), "at": 5, "type": kind, "name": name, "userId": "u"});
            event[if kind == "identify" { "traits" } else { "properties" }] = fields.into();
            let received = Stamp::from_ms(1_795_000_000_000).plus(Span::DAY.times(days));
            Seen(serde_json::from_value(event).unwrap(), source, received)
        },
    )
}

fn plan() -> Declared {
    serde_json::from_value(json!({"events": {
        "a": {"properties": {"a": {"type": "number", "required": true}, "b": {"values": [1]}}},
        "b": {"open": true},
        "identify": {"properties": {"a": {"type": "text"}}},
    }}))
    .unwrap()
}

fn of<'s>(all: impl IntoIterator<Item = &'s Seen>) -> Inferred {
    let mut inferred = Inferred::default();
    for Seen(event, source, received) in all {
        inferred.see(event, source, *received, &plan());
    }
    inferred
}

fn merged(parts: &[Inferred]) -> Inferred {
    let mut whole = Inferred::default();
    for part in parts {
        whole.merge(part);
    }
    whole
}

fn check_bounds(inferred: &Inferred) -> Result<(), TestCaseError> {
    prop_assert!(inferred.events.len() <= EVENTS_MAX);
    for (name, seen) in &inferred.events {
        prop_assert!(name.len() <= NAME_BYTES_MAX);
        prop_assert!(seen.properties.len() <= PROPERTIES_MAX);
        prop_assert!(seen.days.len() <= DAYS_MAX);
        prop_assert!(seen.all_violations().count() <= VIOLATIONS_MAX);
        prop_assert!(seen.sources.len() <= SOURCES_MAX);
    }
    Ok(())
}

/// Everything that was seen is counted or trimmed.
fn total(inferred: &Inferred) -> u64 {
    inferred.trimmed + inferred.events.values().map(|seen| seen.count).sum::<u64>()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_order_and_grouping_gives_the_same(
        all in prop::collection::vec(seen("[a-d]", "[a-d]"), 0..40),
        cut in any::<prop::sample::Index>(),
        turn in any::<prop::sample::Index>(),
    ) {
        let whole = of(&all);
        let cut = cut.index(all.len() + 1);
        let (a, b) = all.split_at(cut);
        prop_assert_eq!(&merged(&[of(a), of(b)]), &whole);
        prop_assert_eq!(&merged(&[of(b), of(a)]), &whole);
        let mut turned = all.clone();
        turned.rotate_left(turn.index(all.len() + 1).min(all.len()));
        let each: Vec<Inferred> = turned.iter().map(|one| of([one])).collect();
        prop_assert_eq!(merged(&each), whole);
    }

    #[test]
    fn bounds_hold_and_nothing_is_dropped_uncounted(
        all in prop::collection::vec(seen("[a-z]{1,2}|.{0,120}", "[a-z]{1,3}|.{0,120}"), 0..60),
        step in 1..9_u32,
    ) {
        let inferred = of(&all);
        prop_assert_eq!(total(&inferred), all.len() as u64);
        let mut twice = inferred.clone();
        twice.merge(&inferred);
        check_bounds(&twice)?;
        prop_assert_eq!(total(&twice), 2 * all.len() as u64);
        prop_assert!(!twice.is_news_to(&inferred));
        let mut cut = twice.clone();
        cut.cut(step);
        check_bounds(&cut)?;
        prop_assert_eq!(total(&cut), total(&twice));
        let text = serde_json::to_string(&cut).unwrap();
        prop_assert_eq!(serde_json::from_str::<Inferred>(&text).unwrap(), cut);
    }

    #[test]
    fn no_example_holds_a_text(
        all in prop::collection::vec(seen("[a-c]", "[a-c]|who"), 1..20),
        secret in "[a-zA-Z]{7,20}",
    ) {
        let mut told = all;
        for Seen(event, _, _) in &mut told {
            for field in event.properties.values_mut().chain(event.traits.values_mut()) {
                if field.is_string() {
                    *field = Value::from(secret.clone());
                }
            }
        }
        let text = serde_json::to_string(&of(&told)).unwrap();
        prop_assert!(!text.contains(&secret));
    }

    #[test]
    fn what_came_keeps_to_the_plan_that_is_drafted_of_it(
        all in prop::collection::vec(seen("[A-D][a-d ]{0,3}|yes|3x|a: b", "[a-d_]{1,3}|no|ü|a b"), 0..60),
    ) {
        let drafted = of(&all).draft();
        let files = Files::from([("plan.yaml".to_owned(), drafted.to_yaml())]);
        let read = Workspace::read_plan(&files).map_err(|faults| TestCaseError::fail(format!("{faults:?}")))?;
        prop_assert_eq!(&read, &drafted);
        for Seen(event, _, _) in &all {
            let violations = drafted.check(event);
            prop_assert!(violations.is_empty(), "{:?}", violations);
        }
    }
}

#[test]
fn an_event_of_the_plan_displaces_one_that_was_made_up() {
    let at = Stamp::from_ms(1_795_000_000_000);
    let named = |name: String| -> Event {
        serde_json::from_value(json!({"id": name, "at": 1, "type": "track", "name": name})).unwrap()
    };
    let letters = |n: usize| {
        let letter = |n: usize| char::from(b'a' + u8::try_from(n % 26).unwrap());
        format!("made up {}{}", letter(n / 26), letter(n))
    };
    let mut inferred = Inferred::default();
    for n in 0..EVENTS_MAX + 50 {
        inferred.see(&named(letters(n)), "web", at, &Declared::default());
    }
    assert_eq!((inferred.events.len(), inferred.trimmed), (EVENTS_MAX, 50));
    let mut later = Inferred::default();
    let declared = Declared { events: [("Mine".to_owned(), DeclaredEvent::default())].into() };
    for name in ["Mine", "Order Completed", "Theirs"] {
        later.see(&named(name.to_owned()), "web", at.plus(Span::DAY), &declared);
    }
    assert!(later.is_news_to(&inferred));
    inferred.merge(&later);
    assert!(
        inferred.events.contains_key("Mine") && inferred.events.contains_key("Order Completed")
    );
    assert!(!inferred.events.contains_key("Theirs"));
    assert_eq!((inferred.events.len(), inferred.trimmed), (EVENTS_MAX, 53));
    assert!(!later.is_news_to(&inferred) || later.events.contains_key("Theirs"));
}

#[test]
fn rates_are_of_whole_days() {
    let at = |day: u64, hour: u64| {
        Stamp::from_ms(1_795_046_400_000 / 86_400_000 * 86_400_000)
            .plus(Span::DAY.times(day))
            .plus(Span::HOUR.times(hour))
    };
    let event: Event =
        serde_json::from_value(json!({"id": "m", "at": 1, "type": "track", "name": "x"})).unwrap();
    let mut inferred = Inferred::default();
    for (day, times) in [(0, 4), (1, 2), (2, 9)] {
        for _ in 0..times {
            inferred.see(&event, "web", at(day, 5), &Declared::default());
        }
    }
    let seen = &inferred.events["x"];
    assert_eq!(seen.tenths_per_day(at(2, 6)), 30);
    assert_eq!(seen.tenths_per_day(at(3, 0)), 50);
    assert_eq!(seen.tenths_per_day(at(10, 0)), 0);
    let mut new = Inferred::default();
    new.see(&event, "web", at(0, 5), &Declared::default());
    assert_eq!(new.events["x"].tenths_per_day(at(0, 6)), 10);
}

#[test]
fn what_was_not_seen_for_long_is_forgotten() {
    let start = Stamp::from_ms(1_795_000_000_000);
    let mut inferred = of([&Seen(
        serde_json::from_value(
            json!({"id": "m", "at": 1, "type": "track", "name": "a", "properties": {"c": 1}}),
        )
        .unwrap(),
        "web",
        start,
    )]);
    inferred.forget(start.plus(VIOLATIONS_KEPT));
    assert_eq!(inferred.events["a"].all_violations().count(), 2);
    inferred.forget(start.plus(VIOLATIONS_KEPT).plus(Span::DAY));
    assert_eq!(inferred.events["a"].all_violations().count(), 0);
    assert_eq!(inferred.events["a"].properties.len(), 1);
    inferred.forget(start.plus(FORGET_AFTER).plus(Span::DAY));
    assert!(inferred.is_empty());
}

#[test]
fn a_property_bomb_is_bounded() {
    let bomb: Map<String, Value> =
        (0..10_000).map(|n| (format!("{}{n}", "key_".repeat(n % 3)), json!(n))).collect();
    let event: Event = serde_json::from_value(
        json!({"id": "m", "at": 1, "type": "track", "name": "a", "properties": bomb}),
    )
    .unwrap();
    let inferred = of([&Seen(event, "web", Stamp::MIN)]);
    let seen = &inferred.events["a"];
    assert!(seen.properties.len() <= PROPERTIES_MAX && seen.trimmed > 9_000);
    assert!(serde_json::to_vec(&inferred).unwrap().len() < 32 * 1024);
}
