//! From a workspace and its compiled mails to what is stored.

use super::Workspace;
use crate::catalog::{Catalog, JourneyEntry, JourneyState};
use crate::ids::{ContentHash, PredicateKey};
use crate::journey::{Journey, StepKind, Trigger};
use crate::message::Mail;
use crate::predicate::{Condition, EventPredicate};
use crate::profile::{ComputedRule, ComputedTraits};
use crate::signal::{SignalKind, SignalRule, Threshold};
use crate::time::Stamp;
use std::collections::{BTreeMap, BTreeSet};

/// The catalog and the documents it names.
#[derive(Debug, Clone, PartialEq)]
pub struct Published {
    /// The catalog.
    pub catalog: Catalog,
    /// Journeys by the hash of their canonical JSON.
    pub journeys: BTreeMap<ContentHash, Journey>,
    /// Mails by the hash of their canonical JSON.
    pub mails: BTreeMap<ContentHash, Mail>,
}

fn address<T: serde::Serialize>(document: &T) -> ContentHash {
    // Field order is the structs' and maps are sorted, so one document has one text.
    ContentHash::of(&serde_json::to_vec(document).unwrap_or_default())
}

impl Workspace {
    /// What is to be stored, given its mails as compiled.
    #[must_use]
    pub fn publish(&self, compiled: Vec<Mail>, now: Stamp) -> Published {
        let mut journeys = BTreeMap::new();
        let mut entries = BTreeMap::new();
        for (id, file) in &self.journeys {
            let version = address(&file.journey);
            journeys.insert(version, file.journey.clone());
            let frequency_caps = file.journey.frequency_caps.clone();
            entries.insert(id.clone(), JourneyEntry { version, state: file.state, frequency_caps });
        }
        let mails: BTreeMap<ContentHash, Mail> =
            compiled.into_iter().map(|mail| (address(&mail), mail)).collect();
        let running: Vec<&Journey> = self.running().collect();
        let settings = &self.settings;
        let catalog = Catalog {
            published: now,
            sources: settings.sources.clone(),
            topics: settings.topics.clone(),
            pacing: settings.pacing.clone(),
            brand: settings.brand.clone(),
            signals: self.signals(),
            segments: self.segments.iter().map(|(name, file)| (*name, file.segment(now))).collect(),
            journeys: entries,
            mails: mails.iter().map(|(hash, mail)| (mail.id.clone(), *hash)).collect(),
            confirmation_mail: settings.confirmation_mail.clone(),
            watched: watched(running.iter().copied()),
            retired: Vec::new(),
            computed_traits: self.computed_traits(),
            forwarded: forwarded(running.iter().copied()),
            plan: self.plan.clone(),
        };
        Published { catalog, journeys, mails }
    }

    /// Journeys that may have people in them: all but drafts.
    fn running(&self) -> impl Iterator<Item = &Journey> {
        self.journeys
            .values()
            .filter(|file| file.state != JourneyState::Draft)
            .map(|file| &file.journey)
    }

    /// Each signal in use with its default threshold first, then those that live journeys override
    /// it with. In use is what the file names, what a live journey begins with, what a segment or a
    /// condition of a live journey asks for, and what is always on.
    fn signals(&self) -> Vec<SignalRule> {
        let asked = self.asked_signals();
        let rule = |kind: SignalKind| {
            let default = self.settings.signals.get(kind.name()).copied();
            let default =
                default.or_else(|| asked.contains(kind.name()).then(|| kind.default_threshold()));
            let mut thresholds: Vec<Threshold> = default.into_iter().collect();
            let live = self.journeys.values().filter(|file| file.state == JourneyState::Live);
            for file in live {
                if let Trigger::Signal { name, threshold } = &file.journey.trigger
                    && name == kind.name()
                    && !thresholds.contains(threshold)
                {
                    thresholds.push(*threshold);
                }
            }
            (!thresholds.is_empty()).then(|| {
                let stages = (kind == SignalKind::StageChanged).then_some(self.settings.stages);
                SignalRule { stages, ..SignalRule::new(kind, &thresholds) }
            })
        };
        SignalKind::ALL.into_iter().filter_map(rule).collect()
    }

    /// Every condition of segments, and of journeys that may have people in them.
    fn conditions(&self) -> impl Iterator<Item = &Condition> {
        let of_segments = self.segments.values().map(|file| &file.when);
        of_segments.chain(self.running().flat_map(conditions))
    }

    /// The signals that conditions ask for by name.
    fn asked_signals(&self) -> BTreeSet<&str> {
        let mut asked = BTreeSet::new();
        for condition in self.conditions() {
            condition.each_leaf(&mut |leaf| {
                if let Condition::Signal { name, .. } = leaf {
                    asked.insert(name.as_str());
                }
            });
        }
        asked
    }

    /// The computed traits that conditions count by.
    pub(super) fn counters(&self) -> BTreeMap<String, ComputedRule> {
        let mut counters = BTreeMap::new();
        for condition in self.conditions() {
            condition.each_leaf(&mut |leaf| counters.extend(leaf.counter()));
        }
        counters
    }

    /// The computed traits that the file declares, and those that conditions count by.
    fn computed_traits(&self) -> ComputedTraits {
        let mut rules: BTreeMap<String, ComputedRule> =
            self.settings.computed_traits.clone().into();
        rules.extend(self.counters());
        rules.into()
    }
}

/// Every condition of a journey: its entry filter's and its branches'.
fn conditions(journey: &Journey) -> impl Iterator<Item = &Condition> {
    let arms = journey.steps.values().flat_map(|step| match &step.kind {
        StepKind::Branch { arms } => arms.as_slice(),
        _ => &[],
    });
    journey.entry_filter.iter().chain(arms.map(|(condition, _)| condition))
}

/// Every event predicate that these journeys mention, each once, in the order of their keys.
#[must_use]
pub fn watched<'j>(journeys: impl IntoIterator<Item = &'j Journey>) -> Vec<EventPredicate> {
    let mut found: BTreeMap<PredicateKey, EventPredicate> = BTreeMap::new();
    for journey in journeys {
        let mut predicates: Vec<&EventPredicate> = journey.exit_when.iter().collect();
        predicates.extend(journey.goal.as_ref().map(|goal| &goal.event));
        if let Some(filter) = &journey.entry_filter {
            performed(filter, &mut predicates);
        }
        for step in journey.steps.values() {
            match &step.kind {
                StepKind::WaitUntil { event, .. } => predicates.push(event),
                StepKind::Branch { arms } => {
                    for (condition, _) in arms {
                        performed(condition, &mut predicates);
                    }
                }
                StepKind::Send { .. } | StepKind::Delay { .. } | StepKind::Exit => {}
            }
        }
        for predicate in predicates {
            found.insert(predicate.key(), predicate.clone());
        }
    }
    found.into_values().collect()
}

fn performed<'c>(condition: &'c Condition, found: &mut Vec<&'c EventPredicate>) {
    condition.each_leaf(&mut |leaf| {
        if let Condition::Performed { event, .. } = leaf {
            found.push(event);
        }
    });
}

/// The names of events that start, move or end an enrollment of these journeys, sorted.
fn forwarded<'j>(journeys: impl IntoIterator<Item = &'j Journey>) -> Vec<String> {
    let mut names: BTreeSet<&str> = BTreeSet::new();
    for journey in journeys {
        if let Trigger::Event(event) = &journey.trigger {
            names.insert(&event.event);
        }
        names.extend(journey.exit_when.iter().map(|event| event.event.as_str()));
        names.extend(journey.goal.as_ref().map(|goal| goal.event.event.as_str()));
        for step in journey.steps.values() {
            if let StepKind::WaitUntil { event, .. } = &step.kind {
                names.insert(&event.event);
            }
        }
    }
    names.into_iter().map(str::to_owned).collect()
}
