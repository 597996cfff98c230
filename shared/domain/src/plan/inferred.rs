//! The inferred plan: a bounded sum of what was seen.
//!
//! Sums are commutative: counts add, firsts are the least, lasts the greatest, and what does not
//! fit is decided by an order that does not depend on who saw it when. While the limits are not
//! passed, any grouping gives the same.

use super::declared::{Declared, fields_of};
use super::name::plain;
use super::near::spec;
use super::value::ValueType;
use super::violation::{Example, SeenViolation, Violation, ViolationKind};
use super::{EVENTS_MAX, PROPERTIES_MAX, SOURCES_MAX, VIOLATIONS_MAX};
use crate::event::Event;
use crate::predicate::EventPredicate;
use crate::time::{Span, Stamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The days of which events are counted one by one, for their rate.
pub const DAYS_MAX: usize = 14;
/// An event or property that was not seen for so long is forgotten, which makes room.
pub const FORGET_AFTER: Span = Span::DAY.times(90);
/// A violation that was not seen for so long is forgotten.
pub const VIOLATIONS_KEPT: Span = Span::DAY.times(30);

/// What was seen of all events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Inferred {
    /// By name: track events by their own, the other calls by the call's word. At most
    /// [`EVENTS_MAX`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub events: BTreeMap<String, SeenEvent>,
    /// Events whose name was no name, or beyond the limit.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub trimmed: u64,
}

/// What was seen of one event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenEvent {
    /// How many.
    #[serde(rename = "n")]
    pub count: u64,
    /// When the first was received.
    pub first: Stamp,
    /// When the last was received.
    pub last: Stamp,
    /// Whether the plan named it when it was last seen: such events are the last to be trimmed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub declared: bool,
    /// How many were received on each of the last [`DAYS_MAX`] UTC days with any, by the day's
    /// number since 1970.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub days: BTreeMap<i64, u64>,
    /// How many came through each source.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<String, u64>,
    /// Its properties (traits of identify and group), by name. At most [`PROPERTIES_MAX`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, SeenProperty>,
    /// What they had against the plan, by kind and property (empty for the event itself).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub violations: BTreeMap<ViolationKind, BTreeMap<String, SeenViolation>>,
    /// Properties and violations beyond the limits, each as often as it came.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub trimmed: u64,
}

/// What was seen of one property.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenProperty {
    /// How often its value was of which type. `null` counts as absent for how often it was there.
    #[serde(rename = "t")]
    pub types: BTreeMap<ValueType, u64>,
    /// The UTC day it was first received on, since 1970.
    #[serde(rename = "f")]
    pub first_day: i64,
    /// The UTC day it was last received on.
    #[serde(rename = "l")]
    pub last_day: i64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde's skip_serializing_if passes a reference"
)]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// Whether a name is the word of a call that has no name of its own.
#[must_use]
pub fn is_call(name: &str) -> bool {
    matches!(name, "identify" | "page" | "screen" | "group" | "alias")
}

impl SeenProperty {
    /// How often it was there, `null` not counted.
    #[must_use]
    pub fn present(&self) -> u64 {
        let there = self.types.iter().filter(|(kind, _)| **kind != ValueType::Null);
        there.fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    fn merge(&mut self, other: &SeenProperty) {
        for (kind, count) in &other.types {
            add(&mut self.types, *kind, *count);
        }
        self.first_day = self.first_day.min(other.first_day);
        self.last_day = self.last_day.max(other.last_day);
    }
}

fn add<K: Ord>(counts: &mut BTreeMap<K, u64>, key: K, count: u64) {
    let slot = counts.entry(key).or_default();
    *slot = slot.saturating_add(count);
}

impl SeenEvent {
    fn new(received: Stamp) -> SeenEvent {
        SeenEvent {
            count: 0,
            first: received,
            last: received,
            declared: false,
            days: BTreeMap::new(),
            sources: BTreeMap::new(),
            properties: BTreeMap::new(),
            violations: BTreeMap::new(),
            trimmed: 0,
        }
    }

    /// How many a day, over the last seven days that are over at `now`, or fewer where it is newer;
    /// the day that is not over counts with what it has where it is the only one. In tenths.
    #[must_use]
    pub fn tenths_per_day(&self, now: Stamp) -> u64 {
        const WEEK: i64 = 7;
        let today = now.day();
        let from = (today - WEEK).max(self.first.day());
        if from >= today {
            return self.days.get(&today).copied().unwrap_or(0).saturating_mul(10);
        }
        let sum = self.days.range(from..today).fold(0_u64, |sum, (_, n)| sum.saturating_add(*n));
        sum.saturating_mul(10) / u64::try_from(today - from).unwrap_or(1).max(1)
    }

    /// Every violation with its kind and property.
    pub fn all_violations(&self) -> impl Iterator<Item = (ViolationKind, &str, &SeenViolation)> {
        self.violations.iter().flat_map(|(kind, by_property)| {
            by_property.iter().map(|(property, seen)| (*kind, property.as_str(), seen))
        })
    }

    fn see_properties(&mut self, fields: &Map<String, Value>, declared: Names<'_>, day: i64) {
        for (raw, value) in fields {
            let name =
                if declared.has(raw) { Some(Cow::Borrowed(raw.as_str())) } else { plain(raw) };
            let Some(name) = name else {
                self.trimmed = self.trimmed.saturating_add(1);
                continue;
            };
            let kind = ValueType::of(value);
            if let Some(seen) = self.properties.get_mut(name.as_ref()) {
                add(&mut seen.types, kind, 1);
                seen.first_day = seen.first_day.min(day);
                seen.last_day = seen.last_day.max(day);
            } else if self.properties.len() < PROPERTIES_MAX {
                let types = BTreeMap::from([(kind, 1)]);
                let seen = SeenProperty { types, first_day: day, last_day: day };
                self.properties.insert(name.into_owned(), seen);
            } else {
                self.trimmed = self.trimmed.saturating_add(1);
            }
        }
    }

    fn see_violation(&mut self, violation: &Violation<'_>, example: Example, received: Stamp) {
        let Some(property) = name_of_property(violation) else {
            self.trimmed = self.trimmed.saturating_add(1);
            return;
        };
        let seen = SeenViolation { count: 1, first: received, last: received, example };
        let full = self.all_violations().count() >= VIOLATIONS_MAX;
        let of_kind = self.violations.entry(violation.kind).or_default();
        match of_kind.get_mut(property.as_ref()) {
            Some(held) => held.merge(&seen),
            None if full => self.trimmed = self.trimmed.saturating_add(1),
            None => drop(of_kind.insert(property.into_owned(), seen)),
        }
        self.violations.retain(|_, of_kind| !of_kind.is_empty());
    }

    fn merge(&mut self, other: &SeenEvent) {
        self.declared = match self.last.cmp(&other.last) {
            std::cmp::Ordering::Less => other.declared,
            std::cmp::Ordering::Equal => self.declared || other.declared,
            std::cmp::Ordering::Greater => self.declared,
        };
        self.count = self.count.saturating_add(other.count);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.trimmed = self.trimmed.saturating_add(other.trimmed);
        for (day, count) in &other.days {
            add(&mut self.days, *day, *count);
        }
        for (source, count) in &other.sources {
            add(&mut self.sources, source.clone(), *count);
        }
        for (name, seen) in &other.properties {
            match self.properties.get_mut(name) {
                Some(held) => held.merge(seen),
                None => drop(self.properties.insert(name.clone(), seen.clone())),
            }
        }
        for (kind, by_property) in &other.violations {
            let held = self.violations.entry(*kind).or_default();
            for (property, seen) in by_property {
                match held.get_mut(property) {
                    Some(held) => held.merge(seen),
                    None => drop(held.insert(property.clone(), seen.clone())),
                }
            }
        }
        self.bound(PROPERTIES_MAX, VIOLATIONS_MAX);
    }

    /// Keeps what the limits allow: the latest days, the properties and violations first seen.
    fn bound(&mut self, properties: usize, violations: usize) {
        while self.days.len() > DAYS_MAX {
            self.days.pop_first();
        }
        while self.sources.len() > SOURCES_MAX {
            self.sources.pop_last();
        }
        for (_, seen) in keep(&mut self.properties, properties, |_, seen| seen.first_day) {
            let times = seen.types.values().fold(0_u64, |sum, n| sum.saturating_add(*n));
            self.trimmed = self.trimmed.saturating_add(times);
        }
        let mut all: BTreeMap<(ViolationKind, String), SeenViolation> = BTreeMap::new();
        if self.all_violations().count() > violations {
            for (kind, by_property) in std::mem::take(&mut self.violations) {
                all.extend(by_property.into_iter().map(|(name, seen)| ((kind, name), seen)));
            }
            for (_, seen) in keep(&mut all, violations, |_, seen| seen.first.ms()) {
                self.trimmed = self.trimmed.saturating_add(seen.count);
            }
            for ((kind, name), seen) in all {
                self.violations.entry(kind).or_default().insert(name, seen);
            }
        }
    }
}

/// The name under which a violation is counted: a property that the plan does not know may have
/// data in its name, all others are the plan's own words.
fn name_of_property<'v>(violation: &Violation<'v>) -> Option<Cow<'v, str>> {
    match violation.kind {
        ViolationKind::UnknownProperty => plain(violation.property),
        _ => Some(Cow::Borrowed(violation.property)),
    }
}

/// Keeps the `max` entries of the least rank, then of the least key; returns the others.
fn keep<K: Ord + Clone, V, R: Ord>(
    entries: &mut BTreeMap<K, V>,
    max: usize,
    rank: impl Fn(&K, &V) -> R,
) -> Vec<(K, V)> {
    if entries.len() <= max {
        return Vec::new();
    }
    let mut order: Vec<(R, K)> =
        entries.iter().map(|(key, value)| (rank(key, value), key.clone())).collect();
    order.sort_unstable();
    order.into_iter().skip(max).filter_map(|(_, key)| entries.remove_entry(&key)).collect()
}

/// The property names that the plan has for one event.
#[derive(Clone, Copy)]
struct Names<'d>(Option<&'d super::DeclaredEvent>);

impl Names<'_> {
    fn has(self, name: &str) -> bool {
        self.0.is_some_and(|declared| declared.properties.contains_key(name))
    }
}

impl Inferred {
    /// Whether nothing was seen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.trimmed == 0
    }

    /// Counts one event, and what it has against the plan; how many violations that were.
    pub fn see(
        &mut self,
        event: &Event,
        source: &str,
        received: Stamp,
        declared: &Declared,
    ) -> usize {
        let violations = declared.check(event);
        let count = violations.len();
        let Some(raw) = EventPredicate::name_of(event) else {
            self.trimmed = self.trimmed.saturating_add(1);
            return count;
        };
        let of_plan = declared.events.get(raw);
        let name = if of_plan.is_some() { Some(Cow::Borrowed(raw)) } else { plain(raw) };
        let full = self.events.len() >= EVENTS_MAX && of_plan.is_none();
        let Some(name) = name.filter(|name| !full || self.events.contains_key(name.as_ref()))
        else {
            self.trimmed = self.trimmed.saturating_add(1);
            return count;
        };
        let entry = self.events.entry(name.into_owned());
        let seen = entry.or_insert_with(|| SeenEvent::new(received));
        if received >= seen.last {
            seen.declared = of_plan.is_some();
        }
        seen.count = seen.count.saturating_add(1);
        seen.first = seen.first.min(received);
        seen.last = seen.last.max(received);
        add(&mut seen.days, received.day(), 1);
        while seen.days.len() > DAYS_MAX {
            seen.days.pop_first();
        }
        add(&mut seen.sources, source.to_owned(), 1);
        seen.see_properties(fields_of(event), Names(of_plan), received.day());
        for violation in violations {
            let example = Example {
                position: event.position(),
                source: source.to_owned(),
                found: violation.found.clone(),
            };
            seen.see_violation(&violation, example, received);
        }
        count
    }

    /// Adds what another process saw.
    pub fn merge(&mut self, other: &Inferred) {
        for (name, seen) in &other.events {
            match self.events.get_mut(name) {
                Some(held) => held.merge(seen),
                None => drop(self.events.insert(name.clone(), seen.clone())),
            }
        }
        self.trimmed = self.trimmed.saturating_add(other.trimmed);
        self.bound(EVENTS_MAX, PROPERTIES_MAX, VIOLATIONS_MAX);
    }

    fn bound(&mut self, events: usize, properties: usize, violations: usize) {
        let rank = |name: &String, seen: &SeenEvent| (!is_known(name, seen), seen.first.ms());
        for (_, dropped) in keep(&mut self.events, events, rank) {
            self.trimmed = self.trimmed.saturating_add(dropped.count);
        }
        for seen in self.events.values_mut() {
            seen.bound(properties, violations);
        }
    }

    /// Cuts it below its limits, harder with each `step` from 1: for an item that would take too
    /// many bytes.
    pub fn cut(&mut self, step: u32) {
        let half = |max: usize, times: u32| max.checked_shr(times).unwrap_or(0).max(1);
        self.bound(
            half(EVENTS_MAX, step.saturating_sub(2)),
            half(PROPERTIES_MAX, step),
            half(VIOLATIONS_MAX, step),
        );
    }

    /// Forgets what was not seen for long.
    pub fn forget(&mut self, now: Stamp) {
        let (before, violations) = (now.minus(FORGET_AFTER), now.minus(VIOLATIONS_KEPT));
        self.events.retain(|_, seen| seen.last >= before);
        for seen in self.events.values_mut() {
            seen.properties.retain(|_, property| property.last_day >= before.day());
            for by_property in seen.violations.values_mut() {
                by_property.retain(|_, seen| seen.last >= violations);
            }
            seen.violations.retain(|_, by_property| !by_property.is_empty());
        }
    }

    /// Whether something is in here that `known` does not have and has room for: a name, a type, a
    /// source, a violation. Mere counts are no news.
    #[must_use]
    pub fn is_news_to(&self, known: &Inferred) -> bool {
        self.events.iter().any(|(name, seen)| match known.events.get(name) {
            None => known.events.len() < EVENTS_MAX || is_known(name, seen),
            Some(held) => seen.is_news_to(held),
        })
    }
}

/// Whether an event is a call, one of the Spec's or one of the plan's: not made up by a client.
fn is_known(name: &str, seen: &SeenEvent) -> bool {
    seen.declared || is_call(name) || spec(name)
}

impl SeenEvent {
    fn is_news_to(&self, known: &SeenEvent) -> bool {
        let new_source = self.sources.keys().any(|source| !known.sources.contains_key(source));
        let new_property =
            self.properties.iter().any(|(name, seen)| match known.properties.get(name) {
                None => known.properties.len() < PROPERTIES_MAX,
                Some(held) => seen.types.keys().any(|kind| !held.types.contains_key(kind)),
            });
        let room = known.all_violations().count() < VIOLATIONS_MAX;
        let new_violation = room
            && self.all_violations().any(|(kind, property, _)| {
                known.violations.get(&kind).is_none_or(|held| !held.contains_key(property))
            });
        (new_source && known.sources.len() < SOURCES_MAX) || new_property || new_violation
    }
}
