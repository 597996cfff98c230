//! Signals: what is derived from behaviour and said to the outside, once.
//!
//! There are two kinds of rules, and one mechanism for each.
//!
//! A **silence** (`silence`) begins with an *episode*: the last thing done to the cart, the last
//! visit. When nothing follows for a rule's threshold, the signal is raised by a timer.
//!
//! A **crossing** (`crossing`) is decided on the write that folds: the second order, the complaint,
//! the third video of a day. What was reached stays reached, so the ids are the same in every order
//! of arrival.
//!
//! A **stage** of the lifecycle (`stage`) changes by both.
//!
//! Each is raised once: its id is hash(rule, profile, episode). Everything here is a function of
//! the facts, so events that arrive late or in another order change what is decided only until it
//! is decided.

mod crossing;
mod evidence;
mod rule;
mod silence;
mod stage;

pub use crossing::Crossed;
pub use rule::{NUMBERED_MAX, SignalKind, SignalRule, Threshold};
pub use stage::{Bounds, Stage, StageMark, Stages, change, own_stages};

use crate::ids::{EventHash, Position, ProfileId, SignalId};
use crate::profile::Facts;
use crate::time::{Span, Stamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use silence::Silences;
use std::collections::BTreeMap;

/// What happened within this long of each other is one session: of its abandonments the deepest is
/// raised (the checkout's before the cart's before the browsing's). A silence found this long after
/// it was over (an import of old events, an outage of a week) is not raised either, nor is what was
/// reached by events that are older than this.
pub const SESSION_CLOSE: Span = Span::DAY.times(7);

/// What a rule last decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The event that began the silence. No episode at or before it is decided on again.
    pub episode: Position,
    /// When it was decided. An episode that began before this and arrives later is the same
    /// silence, and is not decided on either.
    pub at: Stamp,
    /// What was decided.
    pub outcome: Outcome,
}

/// What became of an episode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The signal was raised.
    Raised,
    /// The session holds a deeper abandonment, of this name.
    Superseded(String),
    /// It was found more than [`SESSION_CLOSE`] after it was over, or the date it speaks of had passed.
    Stale,
    /// The absence is noted: what is raised is the return from it.
    Noted,
}

/// A signal to be published.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Raise {
    /// Its id.
    pub id: SignalId,
    /// Its name.
    pub signal: String,
    /// The threshold it was raised at.
    #[serde(flatten)]
    pub threshold: Threshold,
    /// When the silence began, or what was reached last happened.
    pub since: Stamp,
    /// When it was raised.
    pub at: Stamp,
    /// What it was decided on, readable, about 400 bytes.
    pub evidence: Map<String, Value>,
}

/// What is decided at one instant.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Decided {
    /// Signals to publish.
    pub raises: Vec<Raise>,
    /// The new marks, by rule id.
    pub marks: BTreeMap<String, Mark>,
    /// What was crossed, by rule id.
    pub crossed: BTreeMap<String, Crossed>,
    /// Where the profile stands, by rule id.
    pub stages: BTreeMap<String, StageMark>,
}

/// The id of a rule at one threshold: `Cart Abandoned/4h`, `Repeat Purchase/2`.
#[must_use]
pub fn rule_id(name: &str, threshold: Threshold) -> String {
    format!("{name}/{}", threshold.value())
}

/// Whether `id` is a rule of the published workspace.
#[must_use]
pub fn is_published(rules: &[SignalRule], id: &str) -> bool {
    each_threshold(rules).any(|(rule, threshold)| rule_id(&rule.name, threshold) == id)
}

fn each_threshold(rules: &[SignalRule]) -> impl Iterator<Item = (&SignalRule, Threshold)> {
    rules.iter().flat_map(|rule| rule.each().map(move |threshold| (rule, threshold)))
}

fn is_decided(mark: Option<&Mark>, episode: Position) -> bool {
    mark.is_some_and(|mark| episode <= mark.episode || episode.at <= mark.at)
}

/// Of what was decided for a profile, the marks on these facts' own last deeds: what an identifier
/// takes along that is split off the profile.
#[must_use]
pub fn own_marks(
    facts: &Facts,
    marks: &BTreeMap<String, Mark>,
    rules: &[SignalRule],
) -> BTreeMap<String, Mark> {
    let silences = Silences::of(facts, rules);
    each_threshold(rules)
        .filter_map(|(rule, threshold)| {
            let id = rule_id(&rule.name, threshold);
            let mark = marks.get(&id)?;
            let silence = silences.of_rule(rule.kind, threshold)?;
            (silence.episode == mark.episode).then(|| (id, mark.clone()))
        })
        .collect()
}

/// When the next silence would be over, among those not decided on; it may be past.
#[must_use]
pub fn next_due(
    facts: &Facts,
    marks: &BTreeMap<String, Mark>,
    stages: &BTreeMap<String, StageMark>,
    rules: &[SignalRule],
) -> Option<Stamp> {
    let silences = Silences::of(facts, rules);
    let stage = stage::next_due(facts, stages, rules);
    each_threshold(rules)
        .filter_map(|(rule, threshold)| {
            let silence = silences.of_rule(rule.kind, threshold)?;
            let mark = marks.get(&rule_id(&rule.name, threshold));
            (!is_decided(mark, silence.episode)).then_some(silence.over)
        })
        .chain(stage)
        .min()
}

/// Decides on every silence that is over by `now`.
#[must_use]
pub fn due(
    facts: &Facts,
    marks: &BTreeMap<String, Mark>,
    profile: ProfileId,
    rules: &[SignalRule],
    now: Stamp,
) -> Decided {
    let silences = Silences::of(facts, rules);
    let mut decided = Decided::default();
    for (rule, threshold) in each_threshold(rules) {
        let id = rule_id(&rule.name, threshold);
        let Some(silence) = silences.of_rule(rule.kind, threshold) else { continue };
        let episode = silence.episode;
        if is_decided(marks.get(&id), episode) || silence.over > now {
            continue;
        }
        let outcome = match silences.deeper(rule.kind) {
            Some(deeper) => Outcome::Superseded(deeper.to_owned()),
            None if rule.kind == SignalKind::BackAfterAbsence => Outcome::Noted,
            None if silence.is_stale(now) => Outcome::Stale,
            None => Outcome::Raised,
        };
        if outcome == Outcome::Raised {
            decided.raises.push(Raise {
                id: SignalId::derive(&id, profile, episode.id),
                signal: rule.name.clone(),
                threshold,
                since: episode.at,
                at: now,
                evidence: silences.evidence(rule.kind, episode),
            });
        }
        decided.marks.insert(id, Mark { episode, at: now, outcome });
    }
    decided
}

/// Decides on everything that the facts have reached and that was not decided on: on each write
/// that folds.
#[must_use]
pub fn cross(
    facts: &Facts,
    marks: &BTreeMap<String, Mark>,
    crossed: &BTreeMap<String, Crossed>,
    profile: ProfileId,
    rules: &[SignalRule],
    now: Stamp,
) -> Decided {
    let mut decided = Decided::default();
    for (rule, threshold) in each_threshold(rules) {
        if rule.kind == SignalKind::BackAfterAbsence {
            returned(facts, marks, profile, (rule, threshold), now, &mut decided);
            continue;
        }
        let Threshold::AtLeast(level) = threshold else { continue };
        let reached = crossing::of_rule(rule.kind, level, facts);
        if reached.is_empty() {
            continue;
        }
        let id = rule_id(&rule.name, threshold);
        let mut held = crossed.get(&id).cloned();
        let mut changed = false;
        for one in &reached {
            if held.as_ref().is_some_and(|held| held.has(&one.key)) {
                continue;
            }
            let raised = one.until().plus(SESSION_CLOSE) >= now;
            let held = held.get_or_insert_with(|| Crossed::new(one.since, now));
            held.add(&one.key);
            (held.at, held.since, held.raised) = (now, one.since, raised);
            changed = true;
            if raised {
                decided.raises.push(Raise {
                    id: SignalId::derive(&id, profile, EventHash::of(&one.key.text())),
                    signal: rule.name.clone(),
                    threshold,
                    since: one.since,
                    at: now,
                    evidence: crossing::evidence(rule.kind, threshold, facts, one),
                });
            }
        }
        if let Some(mut held) = held.filter(|_| changed) {
            held.bound(&reached);
            decided.crossed.insert(id, held);
        }
    }
    decided
}

/// Says the return from an absence that was noted: a deed after the noting. One that was done
/// before it and arrives later belongs to the time before.
fn returned(
    facts: &Facts,
    marks: &BTreeMap<String, Mark>,
    profile: ProfileId,
    (rule, threshold): (&SignalRule, Threshold),
    now: Stamp,
    decided: &mut Decided,
) {
    let id = rule_id(&rule.name, threshold);
    let noted = marks.get(&id).filter(|mark| mark.outcome == Outcome::Noted);
    let (Some(mark), Some(deed)) = (noted, facts.rhythm.last) else { return };
    if deed.at <= mark.at || deed <= mark.episode {
        return;
    }
    let mut evidence = evidence::absence(facts, None, deed);
    evidence.insert("absent_since".to_owned(), json!(mark.episode.at.to_string()));
    let days = deed.at.since(mark.episode.at).ms() / Span::DAY.ms();
    evidence.insert("absent_days".to_owned(), days.into());
    decided.raises.push(Raise {
        id: SignalId::derive(&id, profile, mark.episode.id),
        signal: rule.name.clone(),
        threshold,
        since: deed.at,
        at: now,
        evidence,
    });
    decided.marks.insert(id, Mark { outcome: Outcome::Raised, ..mark.clone() });
}

#[cfg(test)]
mod tests;
