//! The inferred plan beside the declared one.

use odyssey_domain::plan::{
    Declared, DeclaredProperty, Inferred, SeenEvent, SeenProperty, SeenViolation, ValueType,
    ViolationKind, near_spec,
};
use odyssey_domain::time::{Span, Stamp};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Both plans, event by event.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Every event that was seen or planned, by name.
    pub events: Vec<EventPart>,
    /// Whether a plan is declared at all.
    pub planned: bool,
    /// Events whose names were beyond the limits.
    pub trimmed: u64,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EventPart {
    /// Its name.
    pub event: String,
    /// Whether the plan names it.
    pub planned: bool,
    /// What the plan says it means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// How often it was seen.
    pub count: u64,
    /// How often a day, lately.
    pub per_day: f64,
    /// When it was first received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<String>,
    /// When it was last received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
    /// How often through which source.
    pub sources: BTreeMap<String, u64>,
    /// The Segment Spec's event that it probably is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meant: Option<&'static str>,
    /// Its properties, those that were seen and those that are planned.
    pub properties: Vec<PropertyPart>,
    /// What events have against the plan, most often first.
    pub violations: Vec<ViolationPart>,
    /// Properties beyond the limits.
    pub trimmed: u64,
}

/// One property.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PropertyPart {
    /// Its name.
    pub property: String,
    /// How often it was of which type.
    pub types: BTreeMap<&'static str, u64>,
    /// In how many of a hundred events it was there; none where it was never seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<u64>,
    /// The UTC day it was first received on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<String>,
    /// The UTC day it was last received on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
    /// What the plan asks of it, in words; none where the plan does not name it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub planned: Option<String>,
}

/// One violation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ViolationPart {
    /// Its code.
    pub kind: &'static str,
    /// The property; none where it is the event itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub property: Option<String>,
    /// What is wrong, in words.
    pub what: String,
    /// How many events have it.
    pub count: u64,
    /// When the first was received.
    pub first: String,
    /// When the last was received.
    pub last: String,
    /// What was found in one of them; nothing of its content.
    pub found: String,
    /// The hash of that one's message id, as in the timeline's keys.
    pub message: String,
    /// Its stamp.
    pub at: String,
    /// Its source.
    pub source: String,
}

impl Report {
    /// Brings both plans together.
    #[must_use]
    pub fn new(inferred: &Inferred, declared: &Declared, now: Stamp) -> Report {
        let names: BTreeSet<&String> =
            inferred.events.keys().chain(declared.events.keys()).collect();
        let events = names
            .into_iter()
            .map(|name| event(name, inferred.events.get(name), declared, now))
            .collect();
        Report { events, planned: !declared.is_empty(), trimmed: inferred.trimmed }
    }

    /// How many different violations there are, and of how many events.
    #[must_use]
    pub fn violations(&self) -> (usize, u64) {
        let all = || self.events.iter().flat_map(|event| &event.violations);
        (all().count(), all().map(|violation| violation.count).sum())
    }
}

fn event(name: &str, seen: Option<&SeenEvent>, plan: &Declared, now: Stamp) -> EventPart {
    let declared = plan.events.get(name);
    let mut violations: Vec<ViolationPart> = seen
        .into_iter()
        .flat_map(SeenEvent::all_violations)
        .filter(|(kind, property, _)| plan.still_asks(name, *kind, property))
        .map(|(kind, property, found)| violation(kind, property, found))
        .collect();
    violations.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.property.cmp(&b.property)));
    let empty = BTreeMap::new();
    let found = seen.map_or(&empty, |seen| &seen.properties);
    let none = BTreeMap::new();
    let asked = declared.map_or(&none, |declared| &declared.properties);
    let names: BTreeSet<&String> = found.keys().chain(asked.keys()).collect();
    let count = seen.map_or(0, |seen| seen.count);
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let per_day = seen.map_or(0.0, |seen| seen.tenths_per_day(now) as f64 / 10.0);
    EventPart {
        event: name.to_owned(),
        planned: declared.is_some(),
        description: declared.and_then(|declared| declared.description.clone()),
        count,
        per_day,
        first: seen.map(|seen| seen.first.to_string()),
        last: seen.map(|seen| seen.last.to_string()),
        sources: seen.map(|seen| seen.sources.clone()).unwrap_or_default(),
        meant: near_spec(name).filter(|_| declared.is_none()),
        properties: names
            .into_iter()
            .map(|name| property(name, found.get(name), asked.get(name), count))
            .collect(),
        violations,
        trimmed: seen.map_or(0, |seen| seen.trimmed),
    }
}

fn property(
    name: &str,
    seen: Option<&SeenProperty>,
    asked: Option<&DeclaredProperty>,
    events: u64,
) -> PropertyPart {
    let mut types: BTreeMap<&'static str, u64> = BTreeMap::new();
    let found = seen.into_iter().flat_map(|seen| &seen.types);
    let fractions = || seen.is_some_and(|seen| seen.types.contains_key(&ValueType::Number));
    for (kind, count) in found {
        // A price that is whole now and then is still a number.
        let whole = *kind == ValueType::Whole && fractions();
        *types.entry(if whole { ValueType::Number } else { *kind }.word()).or_default() += count;
    }
    PropertyPart {
        property: name.to_owned(),
        types,
        percent: seen.map(|seen| seen.present().saturating_mul(100) / events.max(1)),
        first: seen.map(|seen| date(seen.first_day)),
        last: seen.map(|seen| date(seen.last_day)),
        planned: asked.map(in_words),
    }
}

/// `2026-11-22` of a day since 1970.
fn date(day: i64) -> String {
    let time = Stamp::from_ms(day.saturating_mul(Span::DAY.ms_i64())).to_string();
    time.get(..10).unwrap_or(&time).to_owned()
}

impl PropertyPart {
    /// From which day to which it was received: `2026-11-20 – 2026-11-22`.
    #[must_use]
    pub fn days(&self) -> String {
        match (&self.first, &self.last) {
            (Some(first), Some(last)) => format!("{first} – {last}"),
            _ => String::new(),
        }
    }
}

/// What the plan asks of a property: `number, required`, `text: EUR, USD`.
fn in_words(asked: &DeclaredProperty) -> String {
    let mut words = asked.kind.map_or("anything", ValueType::word).to_owned();
    if asked.required {
        words.push_str(", required");
    }
    if !asked.values.is_empty() {
        let values: Vec<String> = asked.values.iter().map(shown).collect();
        words.push_str(": ");
        words.push_str(&values.join(", "));
    }
    words
}

fn shown(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn violation(kind: ViolationKind, property: &str, seen: &SeenViolation) -> ViolationPart {
    ViolationPart {
        kind: kind.code(),
        property: (!property.is_empty()).then(|| property.to_owned()),
        what: kind.to_string(),
        count: seen.count,
        first: seen.first.to_string(),
        last: seen.last.to_string(),
        found: seen.example.found.to_string(),
        message: seen.example.position.id.to_string(),
        at: seen.example.position.at.to_string(),
        source: seen.example.source.clone(),
    }
}

/// `2026-11-22 09:00` of an RFC 3339 time.
pub(crate) fn minute(time: &str) -> String {
    time.get(..16).unwrap_or(time).replace('T', " ")
}

/// One thing that is wrong, on one line, without what it is about.
#[must_use]
pub fn sentence(violation: &ViolationPart) -> String {
    let times = match violation.count {
        1 => "once".to_owned(),
        n => format!("{n} times"),
    };
    format!(
        "{times}, for example {}, from {} at {} (message {})",
        violation.found,
        violation.source,
        minute(&violation.at),
        violation.message
    )
}
