//! What a profile keeps of a computed trait: a fold of distinct events, of which every kind commutes.

use super::buckets::Buckets;
use super::computed::{Amounts, ComputedKind, ComputedRule};
use super::lately::Lately;
use super::money::{Currency, Money};
use super::number::{from_thousandths, thousandths};
use super::product::{ProductFields, products};
use super::tally::{Distinct, Tally};
use super::text::{NAME_BYTES_MAX, clip, trait_value};
use super::top::Register;
use crate::event::Event;
use crate::ids::Position;
use crate::predicate::{is_page_name, property_values, property_values_beside};
use crate::time::Stamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Different values that `most_frequent` counts; of more those whose hash is least, which no order
/// of arrival changes.
pub(super) const VALUES_MAX: usize = 64;
/// The same for each day of a window.
pub(super) const VALUES_PER_DAY_MAX: usize = 8;
/// Different values that `distinct` within a window tells apart; of more those that came last.
pub(super) const LATELY_MAX: usize = 128;
/// Below so many `distinct` for ever is exact; from there on it is an estimate.
pub(super) const EXACT_MAX: usize = 64;
/// Values of one event that count; a list may hold more.
const VALUES_PER_EVENT_MAX: usize = 200;

/// The most bytes of a number with what stands around it, of two of them, and of a kept value with
/// its place among the events.
const NUMBER_BYTES: usize = 26;
const NUMBERS_BYTES: usize = 40;
const VALUE_BYTES: usize = NAME_BYTES_MAX + 64;
/// A name with its count.
const NAME_BYTES: usize = NAME_BYTES_MAX + 12;

impl ComputedRule {
    /// The most bytes that its state takes for one identifier, characters that JSON escapes aside.
    #[must_use]
    pub fn bytes_max(&self) -> usize {
        let days = usize::try_from(self.days.unwrap_or(1)).unwrap_or(usize::MAX);
        let each = |bytes: usize| days.saturating_mul(bytes);
        let state = match &self.kind {
            ComputedKind::Count
            | ComputedKind::Sum(_)
            | ComputedKind::Minimum(_)
            | ComputedKind::Maximum(_) => each(NUMBER_BYTES),
            ComputedKind::Average(_) => each(NUMBERS_BYTES),
            ComputedKind::First(_) => each(VALUE_BYTES),
            ComputedKind::Latest(_) => VALUE_BYTES,
            ComputedKind::MostFrequent(_) if self.days.is_none() => VALUES_MAX * NAME_BYTES,
            ComputedKind::MostFrequent(_) => each(VALUES_PER_DAY_MAX * NAME_BYTES + NUMBER_BYTES),
            // Seven bytes each in base64.
            ComputedKind::Distinct(_) => LATELY_MAX * 10,
        };
        // The key of the state, and what its kind is called.
        state.saturating_add(64)
    }
}

/// The state of one computed trait.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum ComputedState {
    #[serde(rename = "n")]
    Count(Buckets<u64>),
    #[serde(rename = "s")]
    Sum(Buckets<u64>),
    /// How many, and what they come to.
    #[serde(rename = "a")]
    Average(Buckets<(u64, u64)>),
    #[serde(rename = "l")]
    Minimum(Buckets<Option<u64>>),
    #[serde(rename = "g")]
    Maximum(Buckets<u64>),
    /// The first of each day: as days leave the window, a later one is the first.
    #[serde(rename = "f")]
    First(Buckets<Option<Register<Value>>>),
    /// The last there was; whether that is still in the window is the reader's to say.
    #[serde(rename = "r")]
    Latest(Option<Register<Value>>),
    #[serde(rename = "m")]
    MostFrequent(Buckets<Tally<VALUES_MAX>>),
    #[serde(rename = "d")]
    Distinct(Distinct<EXACT_MAX>),
    #[serde(rename = "w")]
    DistinctWithin(Lately<LATELY_MAX>),
}

impl ComputedState {
    /// The state before any event.
    pub(super) fn of(rule: &ComputedRule) -> ComputedState {
        let within = rule.days.unwrap_or(0);
        match &rule.kind {
            ComputedKind::Count => ComputedState::Count(Buckets::new(within)),
            ComputedKind::Sum(_) => ComputedState::Sum(Buckets::new(within)),
            ComputedKind::Average(_) => ComputedState::Average(Buckets::new(within)),
            ComputedKind::Minimum(_) => ComputedState::Minimum(Buckets::new(within)),
            ComputedKind::Maximum(_) => ComputedState::Maximum(Buckets::new(within)),
            ComputedKind::First(_) => ComputedState::First(Buckets::new(within)),
            ComputedKind::Latest(_) => ComputedState::Latest(None),
            ComputedKind::MostFrequent(_) => ComputedState::MostFrequent(Buckets::new(within)),
            ComputedKind::Distinct(_) if within > 0 => {
                ComputedState::DistinctWithin(Lately::new(within))
            }
            ComputedKind::Distinct(_) => ComputedState::Distinct(Distinct::default()),
        }
    }

    /// Folds an event that the rule's filter lets through.
    pub(super) fn fold(&mut self, rule: &ComputedRule, event: &Event, at: Position) {
        let day = at.at.day();
        match (self, &rule.kind) {
            (ComputedState::Count(days), ComputedKind::Count) => {
                if let Some(count) = days.at(day) {
                    *count = count.saturating_add(1);
                }
            }
            (ComputedState::Sum(days), ComputedKind::Sum(of)) => {
                for amount in amounts(event, of) {
                    if let Some(sum) = days.at(day) {
                        *sum = sum.saturating_add(amount);
                    }
                }
            }
            (ComputedState::Average(days), ComputedKind::Average(of)) => {
                for amount in amounts(event, of) {
                    if let Some(held) = days.at(day) {
                        add_to_average(held, &(1, amount));
                    }
                }
            }
            (ComputedState::Minimum(days), ComputedKind::Minimum(of)) => {
                for amount in amounts(event, of) {
                    if let Some(least) = days.at(day) {
                        lower(least, Some(amount));
                    }
                }
            }
            (ComputedState::Maximum(days), ComputedKind::Maximum(of)) => {
                for amount in amounts(event, of) {
                    if let Some(most) = days.at(day) {
                        *most = amount.max(*most);
                    }
                }
            }
            (ComputedState::First(days), ComputedKind::First(of)) => {
                if let Some(value) = scalar(event, of)
                    && let Some(slot) = days.at(day)
                {
                    Register::rewrite_first(slot, at, &value);
                }
            }
            (ComputedState::Latest(slot), ComputedKind::Latest(of)) => {
                if let Some(value) = scalar(event, of) {
                    Register::write(slot, at, || value);
                }
            }
            (ComputedState::MostFrequent(days), ComputedKind::MostFrequent(of)) => {
                let most = if days.is_windowed() { VALUES_PER_DAY_MAX } else { VALUES_MAX };
                for name in names(event, of) {
                    if let Some(tally) = days.at(day) {
                        tally.add(clip(&name, NAME_BYTES_MAX), 1);
                        tally.bound(most);
                    }
                }
            }
            (ComputedState::Distinct(distinct), ComputedKind::Distinct(of)) => {
                for name in names(event, of) {
                    distinct.add(&name);
                }
            }
            (ComputedState::DistinctWithin(lately), ComputedKind::Distinct(of)) => {
                for name in names(event, of) {
                    lately.add(&name, day);
                }
            }
            // The state stands under the hash of its rule, so that its kind is the rule's.
            _ => {}
        }
    }

    /// Adds the state of other events.
    pub(super) fn merge(&mut self, other: &ComputedState) {
        match (self, other) {
            (ComputedState::Count(days), ComputedState::Count(other))
            | (ComputedState::Sum(days), ComputedState::Sum(other)) => {
                days.merge(other, |held, more| *held = held.saturating_add(*more));
            }
            (ComputedState::Average(days), ComputedState::Average(other)) => {
                days.merge(other, add_to_average);
            }
            (ComputedState::Minimum(days), ComputedState::Minimum(other)) => {
                days.merge(other, |held, more| lower(held, *more));
            }
            (ComputedState::Maximum(days), ComputedState::Maximum(other)) => {
                days.merge(other, |held, more| *held = (*held).max(*more));
            }
            (ComputedState::First(days), ComputedState::First(other)) => {
                days.merge(other, |held, more| {
                    if let Some(more) = more {
                        Register::rewrite_first(held, more.at, &more.value);
                    }
                });
            }
            (ComputedState::Latest(slot), ComputedState::Latest(other)) => {
                Register::merge(slot, other.as_ref());
            }
            (ComputedState::MostFrequent(days), ComputedState::MostFrequent(other)) => {
                let most = if days.is_windowed() { VALUES_PER_DAY_MAX } else { VALUES_MAX };
                days.merge(other, |held, more| {
                    held.merge(more);
                    held.bound(most);
                });
            }
            (ComputedState::Distinct(distinct), ComputedState::Distinct(other)) => {
                distinct.merge(other);
            }
            (ComputedState::DistinctWithin(lately), ComputedState::DistinctWithin(other)) => {
                lately.merge(other);
            }
            _ => {}
        }
    }

    /// Whether it has days, or names, of a window.
    pub(super) fn is_windowed(&self) -> bool {
        match self {
            ComputedState::Count(days)
            | ComputedState::Sum(days)
            | ComputedState::Maximum(days) => days.is_windowed(),
            ComputedState::Average(days) => days.is_windowed(),
            ComputedState::Minimum(days) => days.is_windowed(),
            ComputedState::First(days) => days.is_windowed(),
            ComputedState::MostFrequent(days) => days.is_windowed(),
            ComputedState::DistinctWithin(_) => true,
            ComputedState::Latest(_) | ComputedState::Distinct(_) => false,
        }
    }

    /// The bytes it is stored in.
    pub(super) fn bytes(&self) -> usize {
        serde_json::to_vec(self).map_or(0, |json| json.len())
    }

    /// Cuts what has names to at most `max` of them, for an item that would pass its limit.
    pub(super) fn bound(&mut self, max: usize) {
        match self {
            ComputedState::MostFrequent(days) => days.each(|tally| tally.bound(max)),
            ComputedState::DistinctWithin(lately) => lately.bound(max),
            _ => {}
        }
    }

    /// Its value at `now`; none where no event that counts has one.
    pub(super) fn value(&self, rule: &ComputedRule, now: Stamp) -> Option<Value> {
        let today = now.day();
        let unit = |amount: u64| match &rule.kind {
            ComputedKind::Sum(of)
            | ComputedKind::Minimum(of)
            | ComputedKind::Maximum(of)
            | ComputedKind::Average(of)
                if of.currency.is_none() =>
            {
                from_thousandths(amount)
            }
            _ => Value::from(amount),
        };
        let sum = |days: &Buckets<u64>| days.until(today).fold(0, |a: u64, b| a.saturating_add(*b));
        match self {
            ComputedState::Count(days) => Some(sum(days).into()),
            ComputedState::Sum(days) => Some(unit(sum(days))),
            ComputedState::Average(days) => {
                let mut all = (0, 0);
                days.until(today).for_each(|day| add_to_average(&mut all, day));
                let (times, sum) = all;
                // Rounded half up, as amounts are.
                sum.saturating_add(times / 2).checked_div(times).map(unit)
            }
            ComputedState::Minimum(days) => days.until(today).flatten().min().copied().map(unit),
            ComputedState::Maximum(days) => days.until(today).max().copied().map(unit),
            ComputedState::First(days) => {
                days.until(today).flatten().next().map(|first| first.value.clone())
            }
            ComputedState::Latest(slot) => {
                let last = slot.as_ref()?;
                let inside =
                    rule.days.is_none_or(|days| last.at.at.day() > today - i64::from(days));
                inside.then(|| last.value.clone())
            }
            ComputedState::MostFrequent(days) => most_frequent(days, today),
            ComputedState::Distinct(distinct) => Some(distinct.count().into()),
            ComputedState::DistinctWithin(lately) => Some(lately.count(today).into()),
        }
    }

    /// Whether there was more than is kept, of what counts at `now`, so that the value is not exact.
    pub(super) fn is_trimmed(&self, now: Stamp) -> bool {
        match self {
            ComputedState::MostFrequent(days) => days.until(now.day()).any(Tally::is_trimmed),
            ComputedState::DistinctWithin(lately) => lately.is_trimmed(now.day()),
            ComputedState::Distinct(distinct) => distinct.is_estimate(),
            _ => false,
        }
    }

    /// When time alone may change the value: at the UTC midnight at which something leaves the
    /// window. None for what has no window or nothing in it.
    pub(super) fn changes(&self, rule: &ComputedRule, now: Stamp) -> Option<Stamp> {
        let today = now.day();
        let day = match self {
            ComputedState::Count(days)
            | ComputedState::Sum(days)
            | ComputedState::Maximum(days) => days.leaves(today),
            ComputedState::Average(days) => days.leaves(today),
            ComputedState::Minimum(days) => days.leaves(today),
            ComputedState::First(days) => days.leaves(today),
            ComputedState::MostFrequent(days) => days.leaves(today),
            ComputedState::DistinctWithin(lately) => lately.leaves(today),
            ComputedState::Latest(slot) => {
                let leaves = slot.as_ref()?.at.at.day() + i64::from(rule.days?);
                (leaves > today).then_some(leaves)
            }
            ComputedState::Distinct(_) => None,
        }?;
        Some(Stamp::from_ms(day.saturating_mul(crate::time::Span::DAY.ms_i64())))
    }
}

fn add_to_average(held: &mut (u64, u64), more: &(u64, u64)) {
    held.0 = held.0.saturating_add(more.0);
    held.1 = held.1.saturating_add(more.1);
}

fn lower(held: &mut Option<u64>, more: Option<u64>) {
    *held = match (*held, more) {
        (Some(held), Some(more)) => Some(held.min(more)),
        (held, more) => held.or(more),
    };
}

/// The value with most events; of several the first by name.
fn most_frequent(days: &Buckets<Tally<VALUES_MAX>>, today: i64) -> Option<Value> {
    let mut all: std::collections::BTreeMap<&str, u64> = std::collections::BTreeMap::new();
    for (name, count) in days.until(today).flat_map(Tally::iter) {
        let held = all.entry(name).or_default();
        *held = held.saturating_add(count);
    }
    let most = all.into_iter().max_by(|(a, x), (b, y)| x.cmp(y).then(b.cmp(a)));
    most.map(|(name, _)| name.into())
}

/// What a path leads to, lists opened.
fn values<'e>(event: &'e Event, path: &str) -> Vec<&'e Value> {
    opened(property_values(event, path).into_iter())
}

/// Values, and what is in those that are lists.
fn opened<'e>(values: impl Iterator<Item = &'e Value>) -> Vec<&'e Value> {
    let mut found = Vec::new();
    for value in values {
        match value {
            Value::Array(items) => found.extend(items.iter().take(VALUES_PER_EVENT_MAX)),
            other => found.push(other),
        }
    }
    found.truncate(VALUES_PER_EVENT_MAX);
    found
}

/// A text, a number or a truth value as it is kept.
fn kept(value: &Value) -> Option<Value> {
    match value {
        Value::String(text) => Some(clip(text.trim(), NAME_BYTES_MAX).into()),
        Value::Number(_) => trait_value(value),
        Value::Bool(_) => Some(value.clone()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
    .filter(|value| value.as_str() != Some(""))
}

/// The first thing a path leads to that can be kept.
fn scalar(event: &Event, path: &str) -> Option<Value> {
    let found = values(event, path);
    if found.is_empty() && is_page_name(event, path) {
        return kept(&Value::String(event.name.clone()?));
    }
    found.into_iter().find_map(kept)
}

/// The values that names are counted by, as texts.
fn names(event: &Event, path: &str) -> Vec<String> {
    let found = values(event, path);
    if found.is_empty() && is_page_name(event, path) {
        return event.name.clone().into_iter().collect();
    }
    found
        .into_iter()
        .filter_map(|value| match value {
            Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(yes) => Some(yes.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        })
        .collect()
}

/// The amounts an event has: minor units of the rule's currency, or thousandths of a number.
fn amounts(event: &Event, of: &Amounts) -> Vec<u64> {
    let Some(currency) = of.currency else {
        return values(event, &of.of).into_iter().filter_map(thousandths).collect();
    };
    let said = currency_of(event);
    let found = property_values_beside(event, &of.of, "currency").into_iter();
    let ours = found.filter(|(_, beside)| {
        beside.map(Currency::parse).or(said).is_none_or(|said| said == currency)
    });
    let amounts = opened(ours.map(|(value, _)| value)).into_iter();
    amounts.filter_map(|value| Money::parse(value, currency)).map(|m| m.0).collect()
}

/// The currency that an event names, else the first of its products that names one.
fn currency_of(event: &Event) -> Option<Currency> {
    let of = |fields| ProductFields::of(fields).currency();
    of(&event.properties).or_else(|| products(&event.properties).find_map(of))
}
