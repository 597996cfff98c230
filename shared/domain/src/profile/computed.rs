//! Computed traits: values that the workspace declares and that profiles keep up to date as events
//! fold.
//!
//! Each accumulator holds a state for each rule, under the hash of the rule. A state is *complete*:
//! it is the fold of every event of its accumulator. So an accumulator that has events when a rule is
//! first seen has no state for it and gets none by folding further; its readers see no value until a
//! back-fill ([`super::Fill`]) puts the state there. Whoever folds without knowing a rule drops the
//! state of it, since it would miss what they fold: a stale process costs a back-fill, never a wrong
//! number.

use super::computed_state::ComputedState;
use super::facts::Facts;
use super::money::Currency;
use crate::event::Event;
use crate::ids::{ComputedKey, Position};
use crate::predicate::EventPredicate;
use crate::time::Stamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The most computed traits of one workspace: each is a state in every profile.
pub const COMPUTED_TRAITS_MAX: usize = 32;
/// The longest window, in days. Shorter than the timeline is kept (400 days), so that a windowed
/// trait can always be filled whole.
pub const COMPUTED_WINDOW_DAYS_MAX: u32 = 366;
/// The most bytes that the states of a workspace's computed traits may take for one identifier
/// ([`ComputedTraits::bytes_max`]), of the 390 KB of a profile's item: one `most_frequent` of a year,
/// or thirty counts.
pub const COMPUTED_BYTES_MAX: usize = 320 * 1024;
/// The longest name of a computed trait, in bytes.
pub const COMPUTED_NAME_BYTES_MAX: usize = 48;

/// Numbers or amounts of money.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Amounts {
    /// The property, by its path; every number it leads to counts.
    pub of: String,
    /// The currency they are in: then the value is whole minor units, and what is said to be in
    /// another currency does not count. None: plain numbers from 0, in thousandths inside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
}

/// What is made of the events that count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ComputedKind {
    /// How many.
    Count,
    /// What their numbers come to; 0 where there is none.
    Sum(Amounts),
    /// The least number.
    Minimum(Amounts),
    /// The greatest number.
    Maximum(Amounts),
    /// The sum by how many numbers there are, rounded half up.
    Average(Amounts),
    /// The value of the first event that has one, by its stamp.
    First(String),
    /// The value of the last event that has one.
    Latest(String),
    /// The value that occurs most often, as a text; of several the first in the alphabet.
    MostFrequent(String),
    /// How many different values there are.
    Distinct(String),
}

impl ComputedKind {
    /// The word for it in `workspace.yaml`.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            ComputedKind::Count => "count",
            ComputedKind::Sum(_) => "sum",
            ComputedKind::Minimum(_) => "minimum",
            ComputedKind::Maximum(_) => "maximum",
            ComputedKind::Average(_) => "average",
            ComputedKind::First(_) => "first",
            ComputedKind::Latest(_) => "latest",
            ComputedKind::MostFrequent(_) => "most_frequent",
            ComputedKind::Distinct(_) => "distinct",
        }
    }
}

/// How a computed trait is worked out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComputedRule {
    /// What is made of them.
    pub kind: ComputedKind,
    /// Which events count.
    pub event: EventPredicate,
    /// How many UTC days back, today among them, 1..=[`COMPUTED_WINDOW_DAYS_MAX`]; none is for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
}

impl ComputedRule {
    /// What its state stands under.
    #[must_use]
    pub fn key(&self) -> ComputedKey {
        // Field order is the structs' and maps are sorted, so one rule has one text.
        ComputedKey::of(&serde_json::to_string(self).unwrap_or_default())
    }
}

/// The computed traits of a workspace, by name.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, ComputedRule>", into = "BTreeMap<String, ComputedRule>")]
pub struct ComputedTraits(BTreeMap<String, (ComputedKey, ComputedRule)>);

impl From<BTreeMap<String, ComputedRule>> for ComputedTraits {
    fn from(rules: BTreeMap<String, ComputedRule>) -> ComputedTraits {
        let keyed = |(name, rule): (String, ComputedRule)| (name, (rule.key(), rule));
        ComputedTraits(rules.into_iter().map(keyed).collect())
    }
}

impl From<ComputedTraits> for BTreeMap<String, ComputedRule> {
    fn from(traits: ComputedTraits) -> BTreeMap<String, ComputedRule> {
        traits.0.into_iter().map(|(name, (_, rule))| (name, rule)).collect()
    }
}

impl ComputedTraits {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Each name with its rule and what the rule's state stands under.
    pub fn iter(&self) -> impl Iterator<Item = (&str, ComputedKey, &ComputedRule)> {
        self.0.iter().map(|(name, (key, rule))| (name.as_str(), *key, rule))
    }

    /// The rules by what their states stand under; two names may share one.
    #[must_use]
    pub fn by_key(&self) -> BTreeMap<ComputedKey, &ComputedRule> {
        self.0.values().map(|(key, rule)| (*key, rule)).collect()
    }

    /// The most bytes that their states take for one identifier; two names may share one.
    #[must_use]
    pub fn bytes_max(&self) -> usize {
        self.by_key().into_values().map(ComputedRule::bytes_max).sum()
    }

    /// When time alone may next change one of their values: at a UTC midnight after `now`.
    #[must_use]
    pub fn changes(&self, facts: &Facts, now: Stamp) -> Option<Stamp> {
        let of = |(_, key, rule): (&str, ComputedKey, &ComputedRule)| {
            facts.computed.states.get(&key)?.changes(rule, now)
        };
        self.iter().filter_map(of).min()
    }

    /// What each is worth to somebody with these facts.
    pub(super) fn read<'t>(
        &'t self,
        facts: &'t Facts,
        now: Stamp,
    ) -> impl Iterator<Item = (&'t str, Reading)> {
        self.iter().map(move |(name, key, rule)| {
            let reading = match facts.computed.states.get(&key) {
                Some(state) => Reading::Complete {
                    value: state.value(rule, now),
                    partial: state.is_trimmed(now) || facts.computed.partial.contains(&key),
                },
                // Of somebody without events nothing is missing.
                None if facts.total == 0 => Reading::Complete {
                    value: ComputedState::of(rule).value(rule, now),
                    partial: false,
                },
                None => Reading::BeingFilled,
            };
            (name, reading)
        })
    }
}

/// What a profile says of a computed trait.
#[derive(Debug, PartialEq)]
pub(super) enum Reading {
    /// It is the fold of all events, but for what `partial` says is not kept.
    Complete { value: Option<Value>, partial: bool },
    /// Nobody knows yet.
    BeingFilled,
}

/// The rules as the fold asks for them: by the name of the event.
#[derive(Debug, Clone, Default)]
pub(super) struct Computing {
    rules: BTreeMap<ComputedKey, ComputedRule>,
    by_name: BTreeMap<String, Vec<ComputedKey>>,
}

impl Computing {
    pub(super) fn of(traits: &ComputedTraits) -> Computing {
        let mut computing = Computing::default();
        for (key, rule) in traits.by_key() {
            computing.by_name.entry(rule.event.event.clone()).or_default().push(key);
            computing.rules.insert(key, rule.clone());
        }
        computing
    }

    fn named<'s>(&'s self, name: &str) -> impl Iterator<Item = (ComputedKey, &'s ComputedRule)> {
        let keys = self.by_name.get(name).map_or(&[][..], Vec::as_slice);
        keys.iter().filter_map(|key| Some((*key, self.rules.get(key)?)))
    }
}

/// The states of one accumulator, or of a profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Computed {
    #[serde(default, rename = "s", skip_serializing_if = "BTreeMap::is_empty")]
    states: BTreeMap<ComputedKey, ComputedState>,
    /// Those that lack what was no longer in the timeline when they were filled.
    #[serde(default, rename = "p", skip_serializing_if = "BTreeSet::is_empty")]
    partial: BTreeSet<ComputedKey>,
}

impl Computed {
    pub(super) fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// Which rules have a state.
    pub fn keys(&self) -> impl Iterator<Item = ComputedKey> {
        self.states.keys().copied()
    }

    /// Whether a rule has one.
    #[must_use]
    pub fn has(&self, key: ComputedKey) -> bool {
        self.states.contains_key(&key)
    }

    /// Whether every state here is the one that `all` has: what a fold that knew every rule from the
    /// beginning would have come to.
    #[must_use]
    pub fn is_part_of(&self, all: &Computed) -> bool {
        self.states.iter().all(|(key, state)| all.states.get(key) == Some(state))
    }

    /// How many bytes each state with a window takes.
    pub(super) fn windowed(&self) -> impl Iterator<Item = (ComputedKey, usize)> {
        let windowed = self.states.iter().filter(|(_, state)| state.is_windowed());
        windowed.map(|(key, state)| (*key, state.bytes()))
    }

    /// Forgets states, which a back-fill puts back.
    pub(super) fn forget(&mut self, keys: &BTreeSet<ComputedKey>) {
        self.states.retain(|key, _| !keys.contains(key));
        self.partial.retain(|key| !keys.contains(key));
    }

    /// Begins every state that is missing; only where no event was folded before.
    pub(super) fn begin(&mut self, computing: &Computing) {
        for (key, rule) in &computing.rules {
            self.states.entry(*key).or_insert_with(|| ComputedState::of(rule));
        }
    }

    /// Folds one event that was never folded before. States of rules that are not among these would
    /// miss it: they are dropped.
    pub(super) fn fold(&mut self, computing: &Computing, name: &str, event: &Event, at: Position) {
        let strange = |key: &ComputedKey| !computing.rules.contains_key(key);
        if self.states.keys().any(strange) {
            self.states.retain(|key, _| !strange(key));
            self.partial.retain(|key| !strange(key));
        }
        for (key, rule) in computing.named(name) {
            if let Some(state) = self.states.get_mut(&key)
                && rule.event.matches(event)
            {
                state.fold(rule, event, at);
            }
        }
    }

    /// Adds the states of other events. What either side cannot say, both together cannot.
    pub(super) fn merge(&mut self, other: &Computed) {
        self.states.retain(|key, _| other.states.contains_key(key));
        for (key, state) in &mut self.states {
            if let Some(more) = other.states.get(key) {
                state.merge(more);
            }
        }
        self.partial.extend(&other.partial);
        self.partial.retain(|key| self.states.contains_key(key));
    }

    /// Cuts what has names to at most `max` of them; with none left, forgets all: a value that lacks
    /// what it was made of is worse than none.
    pub(super) fn bound(&mut self, max: usize) {
        if max == 0 {
            *self = Computed::default();
        }
        self.states.values_mut().for_each(|state| state.bound(max));
    }

    /// Puts states that a back-fill made; `partial` says that they lack what is no longer known,
    /// which a window does not reach.
    pub(super) fn fill(&mut self, filled: Computed, rules: &Computing, partial: bool) {
        for (key, state) in filled.states {
            let windowed = rules.rules.get(&key).is_some_and(|rule| rule.days.is_some());
            self.states.entry(key).or_insert(state);
            if partial && !windowed {
                self.partial.insert(key);
            }
        }
    }
}
