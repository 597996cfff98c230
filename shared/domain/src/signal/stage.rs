//! The lifecycle: visitor → lead → new → active → loyal → at risk → dormant → lapsed.
//!
//! Three mechanisms change a stage, each with ids that no order of arrival changes:
//! - a *milestone* (to lead, new, active, loyal) is a crossing: what was reached stays reached, unless
//!   what led to it turns out to be another customer's, and each is said once for each profile,
//!   whatever lies between;
//! - a *silence* of a customer (to at risk, dormant, lapsed) is said by a timer, once for each
//!   episode, as other silences are;
//! - a *return* ends the silences of one episode, and leads back to the last milestone.
//!
//! So the ids of all that is raised are the same in every order that leaves each event on its side
//! of each timer, and the stage that a profile comes to is a function of facts and time
//! ([`Stage::of`]). What `from` says is where the profile stood when it was decided.

use super::rule::{SignalKind, SignalRule, Threshold};
use super::{Decided, Raise, SESSION_CLOSE, evidence, rule_id};
use crate::ids::{EventHash, Position, ProfileId, SignalId};
use crate::profile::Facts;
use crate::time::{Span, Stamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where somebody stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Nothing but visits.
    Visitor,
    /// Left an address, sent off a form, signed up or began a trial.
    Lead,
    /// Bought or subscribed, once and lately.
    New,
    /// Bought again, or first bought some time ago.
    Active,
    /// Bought several times.
    Loyal,
    /// A customer who has not been here for a while.
    AtRisk,
    /// A customer who has not been here for long.
    Dormant,
    /// A customer who is not expected any more.
    Lapsed,
}

/// The stages of a silence, the least deep first.
const SILENT: [Stage; 3] = [Stage::AtRisk, Stage::Dormant, Stage::Lapsed];

impl Stage {
    /// Its name in evidence and facts: `at risk`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Stage::Visitor => "visitor",
            Stage::Lead => "lead",
            Stage::New => "new",
            Stage::Active => "active",
            Stage::Loyal => "loyal",
            Stage::AtRisk => "at risk",
            Stage::Dormant => "dormant",
            Stage::Lapsed => "lapsed",
        }
    }

    /// The stage of these facts at `now`, under the bounds of a rule.
    #[must_use]
    pub fn of(facts: &Facts, bounds: &Bounds, now: Stamp) -> Stage {
        let reached = milestones(facts, bounds, now).last().map_or(Stage::Visitor, |one| one.0);
        let Some(last) = facts.rhythm.last.filter(|_| reached >= Stage::New) else {
            return reached;
        };
        let silent =
            |stage: &&Stage| bounds.silence(**stage).is_some_and(|s| last.at.plus(s) <= now);
        SILENT.iter().rev().find(silent).copied().unwrap_or(reached)
    }
}

/// What the stages are told apart by, beside the silence that puts a customer at risk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stages {
    /// So long after the first purchase a customer is new.
    pub new: Span,
    /// So many purchases make a customer loyal; 2 to 8.
    pub loyal: u64,
    /// So long a silence of a customer is dormancy.
    pub dormant: Span,
    /// After so long a silence a customer is not expected any more.
    pub lapsed: Span,
}

impl Default for Stages {
    fn default() -> Stages {
        Stages {
            new: Span::DAY.times(30),
            loyal: 3,
            dormant: Span::DAY.times(60),
            lapsed: Span::DAY.times(180),
        }
    }
}

/// All that the stages are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// So long a silence puts a customer at risk.
    pub at_risk: Span,
    /// The rest.
    pub stages: Stages,
}

impl Bounds {
    fn silence(&self, stage: Stage) -> Option<Span> {
        match stage {
            Stage::AtRisk => Some(self.at_risk),
            Stage::Dormant => Some(self.stages.dormant),
            Stage::Lapsed => Some(self.stages.lapsed),
            _ => None,
        }
    }
}

/// What was decided of a profile's stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageMark {
    /// Where it stands, as was decided last.
    #[serde(rename = "s")]
    pub stage: Stage,
    /// The last milestone that was decided on.
    #[serde(rename = "r")]
    reached: Stage,
    /// When the stage was decided.
    pub at: Stamp,
    /// When what it was decided on happened.
    pub since: Stamp,
    /// Whether that was raised; otherwise it was over for too long, or it is where everybody begins.
    #[serde(default, rename = "p", skip_serializing_if = "std::ops::Not::not")]
    pub raised: bool,
    /// The last silence that was decided on for each of its stages: what began it, and when it was.
    #[serde(default, rename = "q", skip_serializing_if = "BTreeMap::is_empty")]
    silences: BTreeMap<Stage, (Position, Stamp)>,
}

impl StageMark {
    const fn new(now: Stamp) -> StageMark {
        StageMark {
            stage: Stage::Visitor,
            reached: Stage::Visitor,
            at: now,
            since: now,
            raised: false,
            silences: BTreeMap::new(),
        }
    }

    /// Whether a silence that this event began was decided on for a stage.
    fn is_decided(&self, stage: Stage, episode: Position) -> bool {
        let held = self.silences.get(&stage);
        held.is_some_and(|(before, at)| episode <= *before || episode.at <= *at)
    }

    /// Takes in what another profile has decided: what either has reached is not said again.
    pub fn absorb(&mut self, other: StageMark) {
        self.reached = self.reached.max(other.reached);
        // A customer's silences are their own: those of a device would hide the next one.
        if self.stage < Stage::New {
            self.stage = self.stage.max(other.stage);
            self.silences = other.silences;
        }
        if self.stage < Stage::AtRisk {
            self.stage = self.stage.max(self.reached);
        }
    }
}

/// The rules of this kind, at each of their thresholds.
fn rules_of(rules: &[SignalRule]) -> impl Iterator<Item = (&SignalRule, Threshold, Bounds)> {
    let of_kind = rules.iter().filter(|rule| rule.kind == SignalKind::StageChanged);
    of_kind.flat_map(|rule| {
        let stages = rule.stages.unwrap_or_default();
        rule.each().filter_map(move |threshold| match threshold {
            Threshold::After(at_risk) => Some((rule, threshold, Bounds { at_risk, stages })),
            Threshold::Before(_) | Threshold::AtLeast(_) | Threshold::Segment(_) => None,
        })
    })
}

/// When the orders and subscriptions were that the stages count, the earliest first.
fn purchases(facts: &Facts) -> Vec<Stamp> {
    let mut stamps = facts.orders.completed_at();
    stamps.extend(facts.rhythm.subscribed_at());
    stamps.sort_unstable();
    stamps
}

/// Every milestone that is reached by `now`, and when it was.
fn milestones(facts: &Facts, bounds: &Bounds, now: Stamp) -> Vec<(Stage, Stamp)> {
    let bought = purchases(facts);
    let first = bought.first().copied();
    let nth = |n: u64| usize::try_from(n).ok().and_then(|n| bought.get(n.checked_sub(1)?)).copied();
    let grown = first.map(|first| first.plus(bounds.stages.new)).filter(|grown| *grown <= now);
    let reached = [
        (Stage::Lead, facts.rhythm.known.into_iter().chain(first).min()),
        (Stage::New, first),
        (Stage::Active, grown.into_iter().chain(nth(2)).min()),
        (Stage::Loyal, nth(bounds.stages.loyal)),
    ];
    reached.into_iter().filter_map(|(stage, at)| Some((stage, at?))).collect()
}

/// When the next stage would be reached by time alone; it may be past.
pub(super) fn next_due(
    facts: &Facts,
    marks: &BTreeMap<String, StageMark>,
    rules: &[SignalRule],
) -> Option<Stamp> {
    let mut next: Option<Stamp> = None;
    for (rule, threshold, bounds) in rules_of(rules) {
        let Some(first) = purchases(facts).first().copied() else { continue };
        let mark = marks.get(&rule_id(&rule.name, threshold));
        let stage = mark.map_or(Stage::Visitor, |mark| mark.stage);
        let silences = facts.rhythm.last.into_iter().flat_map(|last| {
            let open = SILENT.into_iter().filter(move |silent| *silent > stage);
            open.filter_map(move |silent| Some(last.at.plus(bounds.silence(silent)?)))
        });
        let young = stage < Stage::Active;
        let grown = young.then(|| first.plus(bounds.stages.new));
        next = next.into_iter().chain(silences).chain(grown).min();
    }
    next
}

/// Decides on the stage: on each write that folds (returns and milestones), and when the timer
/// fires (`silences` as well).
#[must_use]
pub fn change(
    facts: &Facts,
    marks: &BTreeMap<String, StageMark>,
    profile: ProfileId,
    rules: &[SignalRule],
    now: Stamp,
    silences: bool,
) -> Decided {
    let mut decided = Decided::default();
    for (rule, threshold, bounds) in rules_of(rules) {
        let id = rule_id(&rule.name, threshold);
        let held = marks.get(&id);
        let mark = held.cloned().unwrap_or_else(|| StageMark::new(now));
        let mut change =
            Change { facts, rule, threshold, id, profile, now, mark, raises: Vec::new() };
        change.fall_back(&bounds);
        change.come_back(&bounds);
        if silences {
            change.fall_silent(&bounds);
        }
        change.reach(milestones(facts, &bounds, now));
        if held != Some(&change.mark) {
            decided.stages.insert(change.id, change.mark);
        }
        decided.raises.extend(change.raises);
    }
    decided
}

/// Of what was decided of a profile, what an identifier takes along that is split off it: the
/// milestones that its own facts have reached, without a word, and the silences of its own last deed.
#[must_use]
pub fn own_stages(
    facts: &Facts,
    stages: &BTreeMap<String, StageMark>,
    profile: ProfileId,
    rules: &[SignalRule],
    now: Stamp,
) -> BTreeMap<String, StageMark> {
    let mut own = change(facts, &BTreeMap::new(), profile, rules, now, false).stages;
    for (id, mark) in &mut own {
        let Some(whole) = stages.get(id) else { continue };
        let silences = whole.silences.iter().map(|(stage, held)| (*stage, *held));
        let of_own = silences.filter(|(_, (episode, _))| Some(*episode) == facts.rhythm.last);
        mark.silences = of_own.collect();
    }
    own
}

/// One decision under way.
struct Change<'a> {
    facts: &'a Facts,
    rule: &'a SignalRule,
    threshold: Threshold,
    id: String,
    profile: ProfileId,
    now: Stamp,
    mark: StageMark,
    raises: Vec<Raise>,
}

impl Change<'_> {
    /// Where the facts put it beside every silence. Not beyond what was decided: see [`Self::reach`].
    fn own(&self, bounds: &Bounds) -> (Stage, Stamp) {
        let own = milestones(self.facts, bounds, self.now).last().copied();
        own.unwrap_or((Stage::Visitor, self.now))
    }

    /// A split, or an earlier claim, took away what had led here: it stands where its own facts put
    /// it, in silence. What was reached is still said once.
    fn fall_back(&mut self, bounds: &Bounds) {
        let (own, since) = self.own(bounds);
        if self.mark.stage > own && (self.mark.stage < Stage::AtRisk || own < Stage::New) {
            self.enter(own, since, None);
        }
    }

    /// A deed after the silence was decided on. One that was done before and arrives later belongs
    /// to the time before.
    fn come_back(&mut self, bounds: &Bounds) {
        let silence = self.mark.silences.get(&self.mark.stage).copied();
        let (Some((episode, at)), Some(deed)) = (silence, self.facts.rhythm.last) else { return };
        if self.mark.stage >= Stage::AtRisk && deed.at > at && deed > episode {
            // What was reached during the silence and is over for too long is not said any more.
            for (stage, since) in milestones(self.facts, bounds, self.now) {
                if stage > self.mark.reached {
                    if self.is_fresh(since) {
                        break;
                    }
                    self.mark.reached = stage;
                }
            }
            let id = SignalId::derive(&format!("{}#back", self.id), self.profile, episode.id);
            self.enter(self.mark.reached.min(self.own(bounds).0), deed.at, Some(id));
        }
    }

    fn fall_silent(&mut self, bounds: &Bounds) {
        let is_customer = !purchases(self.facts).is_empty();
        let Some(last) = self.facts.rhythm.last.filter(|_| is_customer) else { return };
        for stage in SILENT {
            let Some(over) = bounds.silence(stage).map(|span| last.at.plus(span)) else { continue };
            if over > self.now {
                continue;
            }
            // What was reached before it was over comes first, however late both are decided on.
            let before = milestones(self.facts, bounds, over.min(self.now));
            self.reach(before.into_iter().filter(|(_, since)| *since < over));
            // Decided before, of somebody who stands below it: a split took the return away.
            let decided = self.mark.is_decided(stage, last);
            if !decided {
                self.mark.silences.insert(stage, (last, self.now));
            }
            if stage > self.mark.stage {
                let id = format!("{}#{}", self.id, stage.name());
                let id = SignalId::derive(&id, self.profile, last.id);
                let aloud = !decided && self.is_fresh(over);
                self.enter(stage, last.at, aloud.then_some(id));
            }
        }
    }

    fn is_fresh(&self, since: Stamp) -> bool {
        since.plus(SESSION_CLOSE) >= self.now
    }

    /// Milestones, each from the one before. Those of somebody who is silent wait for the return, so
    /// that it makes no difference which of the two arrives first.
    fn reach(&mut self, milestones: impl IntoIterator<Item = (Stage, Stamp)>) {
        if self.mark.stage >= Stage::AtRisk {
            return;
        }
        for (stage, since) in milestones {
            if stage <= self.mark.reached {
                if stage > self.mark.stage {
                    self.enter(stage, since, None);
                }
                continue;
            }
            self.mark.reached = stage;
            let id = SignalId::derive(&self.id, self.profile, EventHash::of(stage.name()));
            self.enter(stage, since, self.is_fresh(since).then_some(id));
        }
    }

    /// Goes over to a stage, aloud where there is an id to say it under.
    fn enter(&mut self, to: Stage, since: Stamp, aloud: Option<SignalId>) {
        let from = std::mem::replace(&mut self.mark.stage, to);
        (self.mark.at, self.mark.since, self.mark.raised) = (self.now, since, aloud.is_some());
        let Some(id) = aloud else { return };
        self.raises.push(Raise {
            id,
            signal: self.rule.name.clone(),
            threshold: self.threshold,
            since,
            at: self.now,
            evidence: evidence::stage(self.facts, from, to, since),
        });
    }
}
