//! Conditions and event predicates as the files write them.
//!
//! ```yaml
//! {event: Order Completed, where: {total: {at_least: 100}, currency: EUR}}
//! {fact: cart.value, at_least: 10000}
//! {all: [{trait: plan, equals: gold}, {not: {performed: Order Completed, within: 30d}}]}
//! ```

use super::Known;
use super::fault::Place;
use super::fields::{Fields, Reading};
use super::names::FACTS;
use super::settings::one_of;
use super::yaml::{Kind, Node, quoted};
use crate::contact::TopicId;
use crate::predicate::{Comparison, Condition, ConsentAsked, EventPredicate, PropertyTest};
use crate::profile::{COMPUTED_WINDOW_DAYS_MAX, COUNTED_EVENTS};
use crate::segment::SegmentName;
use crate::time::Span;
use serde_json::Value;

/// The keys of an event predicate.
pub const EVENT_KEYS: &[&str] = &["event", "where"];
/// The words that compare a value.
pub const COMPARISON_KEYS: &[&str] = &[
    "equals",
    "not_equals",
    "exists",
    "above",
    "at_least",
    "below",
    "at_most",
    "contains",
    "one_of",
];
/// The words that begin a condition.
pub const CONDITION_KEYS: &[&str] =
    &["all", "any", "not", "trait", "fact", "trigger", "performed", "signal", "segment", "consent"];
/// The words that begin a condition of a journey: it reads no contacts, `sender` asks them.
pub const JOURNEY_CONDITION_KEYS: &[&str] =
    &["all", "any", "not", "trait", "fact", "trigger", "performed", "signal", "segment"];
/// The words that begin a condition of a segment: nothing triggers it, and none stands on another,
/// so that no order of deciding them matters.
pub const SEGMENT_CONDITION_KEYS: &[&str] =
    &["all", "any", "not", "trait", "fact", "performed", "signal", "consent"];
/// The most conditions inside one another.
const NESTING_MAX: usize = 8;
/// The most times that `performed` can ask for.
const PERFORMED_MAX: u64 = 1_000_000;
/// The longest path of a property, in bytes.
const PATH_BYTES_MAX: usize = 200;

/// An event, by name or with tests of its properties, and with further `keys` that the caller
/// reads.
pub(crate) fn event(
    reading: &mut Reading<'_>,
    fields: Fields<'_>,
    known: &Known,
    name_key: &str,
) -> Option<EventPredicate> {
    let name = reading.need(fields, name_key, "Order Completed");
    let name = name.and_then(|node| event_name(reading, node, known));
    let tests = match fields.get("where") {
        None => Some(Vec::new()),
        Some(node) => property_tests(reading, node),
    };
    Some(EventPredicate { event: name?, tests: tests? })
}

/// A predicate that stands alone: `{event: …, where: …}`.
pub(crate) fn event_alone(
    reading: &mut Reading<'_>,
    node: &Node,
    known: &Known,
) -> Option<EventPredicate> {
    let fields = reading.fields(node, "an event, as {event: Order Completed}", EVENT_KEYS)?;
    event(reading, fields, known, "event")
}

fn event_name(reading: &mut Reading<'_>, node: &Node, known: &Known) -> Option<String> {
    let name = reading.text(node, "the name of an event")?;
    let Some(events) = &known.events else { return Some(name.to_owned()) };
    if !events.contains(name) {
        let near = super::nearest(name, events.iter().map(String::as_str));
        let hint = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => "list events of your own under `events` in workspace.yaml".to_owned(),
        };
        reading.fault_with_hint(
            node.place,
            format!("event {}", quoted(name)),
            "an event of the Segment Spec or one listed under `events` in workspace.yaml",
            Some(hint),
        );
        return None;
    }
    Some(name.to_owned())
}

fn property_tests(reading: &mut Reading<'_>, node: &Node) -> Option<Vec<PropertyTest>> {
    let fields = reading.open(node, "tests of properties, as {total: {at_least: 100}}")?;
    let mut tests = Vec::new();
    for (key, node) in fields.entries() {
        path(reading, &key.name, key.place)?;
        let property = key.name.clone();
        let comparisons = match &node.kind {
            Kind::Map(_) => {
                let fields = reading.fields(node, "a comparison", COMPARISON_KEYS)?;
                comparisons(reading, fields)?
            }
            // A bare value is what the property must equal.
            _ => vec![Comparison::Equals(node.to_json())],
        };
        tests.extend(
            comparisons.into_iter().map(|is| PropertyTest { property: property.clone(), is }),
        );
    }
    Some(tests)
}

/// Checks the path of a property.
pub(crate) fn path(reading: &mut Reading<'_>, name: &str, place: Place) -> Option<()> {
    let ok = !name.is_empty()
        && name.len() <= PATH_BYTES_MAX
        && name.split('.').all(|part| !part.is_empty());
    if !ok {
        reading.fault(place, quoted(name), "a path such as `total` or `products.category`");
        return None;
    }
    Some(())
}

/// The comparisons among a mapping's keys, at least one.
fn comparisons(reading: &mut Reading<'_>, fields: Fields<'_>) -> Option<Vec<Comparison>> {
    let mut found = Vec::new();
    for (key, node) in fields.entries() {
        if COMPARISON_KEYS.contains(&key.name.as_str()) {
            found.push(comparison(reading, &key.name, node)?);
        }
    }
    if found.is_empty() {
        let expected = format!("one of {}", COMPARISON_KEYS.join(", "));
        reading.fault(fields.place, "no comparison", expected);
        return None;
    }
    Some(found)
}

fn comparison(reading: &mut Reading<'_>, word: &str, node: &Node) -> Option<Comparison> {
    let value = node.to_json();
    Some(match word {
        "equals" => Comparison::Equals(scalar(reading, node)?),
        "not_equals" => Comparison::NotEquals(scalar(reading, node)?),
        "contains" => Comparison::Contains(scalar(reading, node)?),
        "exists" => {
            let Value::Bool(wanted) = value else {
                reading.fault(node.place, node.describe(), "true or false");
                return None;
            };
            Comparison::Exists(wanted)
        }
        "one_of" => {
            let items = reading.list(node, "a list of values")?;
            let values: Option<Vec<Value>> =
                items.iter().map(|item| scalar(reading, item)).collect();
            Comparison::OneOf(values?)
        }
        _ => {
            if !value.is_number() {
                reading.fault(node.place, node.describe(), "a number");
                return None;
            }
            match word {
                "above" => Comparison::Above(value),
                "at_least" => Comparison::AtLeast(value),
                "below" => Comparison::Below(value),
                _ => Comparison::AtMost(value),
            }
        }
    })
}

fn scalar(reading: &mut Reading<'_>, node: &Node) -> Option<Value> {
    match node.kind {
        Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) => Some(node.to_json()),
        Kind::Null | Kind::List(_) | Kind::Map(_) => {
            reading.fault(node.place, node.describe(), "a text, a number, true or false");
            None
        }
    }
}

/// A condition of a journey.
pub(crate) fn condition(
    reading: &mut Reading<'_>,
    node: &Node,
    known: &Known,
) -> Option<Condition> {
    nested(reading, node, (known, JOURNEY_CONDITION_KEYS), 0)
}

/// A condition of a segment.
pub(crate) fn of_segment(
    reading: &mut Reading<'_>,
    node: &Node,
    known: &Known,
) -> Option<Condition> {
    nested(reading, node, (known, SEGMENT_CONDITION_KEYS), 0)
}

fn nested(
    reading: &mut Reading<'_>,
    node: &Node,
    (known, allowed): (&Known, &[&str]),
    depth: usize,
) -> Option<Condition> {
    if depth > NESTING_MAX {
        reading.fault(
            node.place,
            "a condition",
            format!("at most {NESTING_MAX} inside one another"),
        );
        return None;
    }
    let fields = reading.open(node, "a condition, as {fact: orders.count, at_least: 1}")?;
    let mut words =
        fields.entries().iter().filter(|(key, _)| CONDITION_KEYS.contains(&key.name.as_str()));
    let (Some((word, value)), None) = (words.next(), words.next()) else {
        if let Some((key, _)) = fields.entries().first() {
            reading.unknown(key.place, "condition", &key.name, allowed.iter().copied());
        } else {
            let expected = format!("exactly one of {}", allowed.join(", "));
            reading.fault(node.place, "no condition", expected);
        }
        return None;
    };
    if !allowed.contains(&word.name.as_str()) {
        let hint = match word.name.as_str() {
            "consent" => "a journey asks `segment: NAME`, and the segment asks `consent`",
            "segment" => "write here what that segment says",
            _ => "nothing triggers a segment",
        };
        let found = format!("condition `{}`", word.name);
        let expected = format!("one of {}", allowed.join(", "));
        reading.fault_with_hint(word.place, found, expected, Some(hint.to_owned()));
        return None;
    }
    match word.name.as_str() {
        "all" | "any" => {
            reading.fields(node, "a condition", &["all", "any"]);
            let items = reading.list(value, "a list of conditions")?;
            // Every item is read before any failure counts, so that all mistakes are told.
            let read: Vec<Option<Condition>> = items
                .iter()
                .map(|item| nested(reading, item, (known, allowed), depth + 1))
                .collect();
            let parts = read.into_iter().collect::<Option<Vec<_>>>()?;
            Some(if word.name == "all" { Condition::All(parts) } else { Condition::Any(parts) })
        }
        "not" => {
            reading.fields(node, "a condition", &["not"]);
            Some(Condition::Not(Box::new(nested(reading, value, (known, allowed), depth + 1)?)))
        }
        "performed" => {
            reading.fields(node, "a condition", &["performed", "where", "within", "at_least"]);
            let event = event(reading, fields, known, "performed");
            if let Some(least) = fields.get("at_least") {
                return counted(reading, least, fields.get("within"), event);
            }
            let within = match fields.get("within") {
                None => Some(None),
                Some(node) => reading.span(node).map(Some),
            };
            Some(Condition::Performed { event: event?, within: within? })
        }
        "signal" => {
            let fields = reading.fields(node, "a condition", &["signal", "within"])?;
            let name = reading.text(value, "the name of a signal").and_then(|name| {
                if !known.signals.contains_key(name) {
                    let names: Vec<&str> = known.signals.keys().map(String::as_str).collect();
                    reading.unknown(value.place, "signal", name, names);
                    return None;
                }
                Some(name.to_owned())
            });
            let within = match fields.get("within") {
                None => Some(None),
                Some(node) => reading.span(node).map(Some),
            };
            Some(Condition::Signal { name: name?, within: within? })
        }
        "segment" => {
            reading.fields(node, "a condition", &["segment"]);
            segment_name(reading, value, known).map(|name| Condition::Segment { name })
        }
        "consent" => consent(reading, node, value, known),
        kind => leaf(reading, node, kind, value),
    }
}

/// How often something was performed: counted by UTC days.
fn counted(
    reading: &mut Reading<'_>,
    least: &Node,
    within: Option<&Node>,
    event: Option<EventPredicate>,
) -> Option<Condition> {
    let number = match &least.kind {
        Kind::Number(number) => number.as_u64().filter(|n| (1..=PERFORMED_MAX).contains(n)),
        _ => None,
    };
    if number.is_none() {
        let expected = format!("a whole number of times, from 1 to {PERFORMED_MAX}");
        reading.fault(least.place, least.describe(), expected);
    }
    let days = match within {
        None => Some(None),
        Some(node) => reading.span(node).and_then(|span| {
            let (days, rest) = (span.ms() / Span::DAY.ms(), span.ms() % Span::DAY.ms());
            let days = u32::try_from(days).ok().filter(|days| {
                rest == 0 && (1..=COMPUTED_WINDOW_DAYS_MAX).contains(days)
            });
            if days.is_none() {
                let expected = format!(
                    "whole days, from 1d to {COMPUTED_WINDOW_DAYS_MAX}d, by which events are counted"
                );
                reading.fault(node.place, span.to_string(), expected);
            }
            days.map(Some)
        }),
    };
    Some(Condition::counted(event?, days?, number?))
}

/// The name of a segment that exists.
pub(crate) fn segment_name(
    reading: &mut Reading<'_>,
    node: &Node,
    known: &Known,
) -> Option<SegmentName> {
    let text = reading.text(node, "the name of a segment")?;
    if !known.segments.contains(text) {
        reading.unknown(node.place, "segment", text, known.segments.iter().map(String::as_str));
        return None;
    }
    SegmentName::parse(text).ok()
}

fn consent(
    reading: &mut Reading<'_>,
    node: &Node,
    value: &Node,
    known: &Known,
) -> Option<Condition> {
    let fields = reading.fields(node, "a condition", &["consent", "is"])?;
    let topic = reading.text(value, "a topic").and_then(|text| {
        if let Some(topics) = &known.topics
            && !topics.contains(text)
        {
            reading.unknown(value.place, "topic", text, topics.iter().map(String::as_str));
            return None;
        }
        reading.slug(text, value.place, "topic's name", TopicId::parse)
    });
    let is = reading.need(fields, "is", "granted").and_then(|node| {
        let words = [ConsentAsked::Granted, ConsentAsked::Withdrawn, ConsentAsked::Unanswered]
            .map(|asked| (asked.word(), asked));
        one_of(reading, node, "consent", &words)
    });
    Some(Condition::Consent { topic: topic?, is: is? })
}

/// A value and what it must be; several comparisons must all hold.
fn leaf(reading: &mut Reading<'_>, node: &Node, kind: &str, value: &Node) -> Option<Condition> {
    let keys: Vec<&str> = std::iter::once(kind).chain(COMPARISON_KEYS.iter().copied()).collect();
    let fields = reading.fields(node, "a condition", &keys)?;
    let name = reading.text(value, "a name");
    let found = comparisons(reading, fields);
    let (name, found) = (name?, found?);
    path(reading, name, value.place)?;
    if kind == "fact"
        && let Some(event) = name.strip_prefix("events.")
        && !event.is_empty()
        && !FACTS.contains(&name)
        && !COUNTED_EVENTS.contains(&event)
    {
        not_counted(reading, value.place, event);
        return None;
    }
    if kind == "fact" && !is_fact(name) {
        let known = FACTS.iter().copied().chain(["events.<name>"]);
        reading.unknown(value.place, "fact", name, known.collect::<Vec<_>>());
        return None;
    }
    let mut parts: Vec<Condition> = found
        .into_iter()
        .map(|is| match kind {
            "trait" => Condition::Trait { name: name.to_owned(), is },
            "fact" => Condition::Fact { name: name.to_owned(), is },
            _ => Condition::Trigger { property: name.to_owned(), is },
        })
        .collect();
    match (parts.pop(), parts.is_empty()) {
        (Some(only), true) => Some(only),
        (Some(last), false) => {
            parts.push(last);
            Some(Condition::All(parts))
        }
        (None, _) => None,
    }
}

/// The fact would hold so many events as came since something else began to ask for them: none, or
/// any number but the right one.
fn not_counted(reading: &mut Reading<'_>, place: Place, event: &str) {
    let hint = match super::nearest(event, COUNTED_EVENTS) {
        Some(near) => format!("did you mean `events.{near}`?"),
        None => format!("ask for {{performed: {event}, at_least: 3}}, which counts them all"),
    };
    reading.fault_with_hint(
        place,
        format!("fact {}", quoted(&format!("events.{event}"))),
        "`events.` and an event that every profile counts (docs/EVENTS.md names them)",
        Some(hint),
    );
}

fn is_fact(name: &str) -> bool {
    FACTS.contains(&name)
        || name.strip_prefix("events.").is_some_and(|event| COUNTED_EVENTS.contains(&event))
        || name.strip_prefix("browse.").is_some_and(|category| !category.is_empty())
}
