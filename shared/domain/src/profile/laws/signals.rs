//! The laws of signals: which are raised, whatever the order.

use super::generate::{Breadth, DAILY, NARROW, Told, history, order, shuffled};
use super::{tell, watched_alone};
use crate::histories::histories;
use crate::ids::{IdentityKey, ProfileId, SignalId};
use crate::profile::{ProfileEffect, Root, Woken};
use crate::signal::{Bounds, Raise, SignalKind, SignalRule, Stage, Stages, Threshold};
use crate::time::{Span, Stamp};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use std::collections::{BTreeMap, BTreeSet};

/// A signal is raised in at least so many of the histories of [`COUNTED`] that are counted.
const LEAST: usize = 10;
const COUNTED: usize = 1_000;
/// When histories begin.
const START: Stamp = Stamp::from_ms(0);

fn profile() -> ProfileId {
    ProfileId::from_bytes([1; 16])
}

fn stages(step: Span) -> Stages {
    Stages { new: step.times(9), loyal: 3, dormant: step.times(20), lapsed: step.times(60) }
}

/// Every signal, at thresholds that a history of these steps reaches.
fn rules(step: Span) -> Vec<SignalRule> {
    let steps = |n| Threshold::After(step.times(n));
    let rule = |kind: SignalKind| {
        let thresholds = match (kind, kind.default_threshold()) {
            (SignalKind::CartAbandoned, _) => vec![steps(30), steps(5)],
            (SignalKind::BrowseAbandoned, _) => vec![steps(8)],
            (SignalKind::CheckoutAbandoned, _) => vec![steps(4), steps(31)],
            (_, Threshold::After(_)) => vec![steps(7)],
            (_, Threshold::Before(_)) => vec![Threshold::Before(step.times(7))],
            (SignalKind::BingeStarted, _) => vec![Threshold::AtLeast(2), Threshold::AtLeast(3)],
            (SignalKind::InterestShown, _) => vec![Threshold::AtLeast(3), Threshold::AtLeast(40)],
            (_, Threshold::AtLeast(n)) => vec![Threshold::AtLeast(n), Threshold::AtLeast(n + 1)],
            (_, Threshold::Segment(_)) => Vec::new(),
        };
        let stages = (kind == SignalKind::StageChanged).then_some(stages(step));
        SignalRule { stages, ..SignalRule::new(kind, &thresholds) }
    };
    SignalKind::ALL.into_iter().map(rule).collect()
}

fn raised(root: &Root) -> impl Iterator<Item = Raise> {
    root.said.pending.iter().filter_map(|effect| match effect {
        ProfileEffect::Raise(raise) => Some(raise.clone()),
        _ => None,
    })
}

fn ids(raises: &[Raise]) -> Vec<SignalId> {
    let mut ids: Vec<SignalId> = raises.iter().map(|raise| raise.id).collect();
    ids.sort();
    ids
}

/// What is done at noon, and a while after that.
#[derive(Debug, Clone)]
struct Life {
    breadth: Breadth,
    before: Vec<Told>,
    /// When the rest arrives; all of it was done by then and in the week before.
    second: Stamp,
    after: Vec<Told>,
}

impl Life {
    fn noon(&self) -> Stamp {
        START.plus(self.breadth.step.times(self.breadth.steps.unsigned_abs()))
    }

    fn end(&self) -> Stamp {
        self.second.plus(self.breadth.step.times(1_440))
    }
}

fn life(breadth: Breadth) -> impl Strategy<Value = Life> {
    (history(breadth, 14), history(breadth, 8), 0..40_u64).prop_map(move |(before, after, wait)| {
        let mut life = Life { breadth, before, second: START, after };
        let second = life.noon().plus(breadth.step.times(wait));
        life.second = second;
        for (event, _) in &mut life.after {
            event.id.insert(0, 'b');
            let at = event.at.plus(breadth.step.times(6)).min(second);
            event.at = at.max(second.minus(crate::signal::SESSION_CLOSE));
        }
        life
    })
}

fn lives() -> impl Strategy<Value = Life> {
    prop_oneof![life(NARROW), life(DAILY)]
}

/// Tells a root of some events at one instant, then lets its timers run until another.
fn live(
    root: &mut Root,
    events: &[&Told],
    rules: &[SignalRule],
    (now, until): (Stamp, Stamp),
    raises: &mut Vec<Raise>,
) {
    let key = IdentityKey::from(profile());
    let watched = watched_alone();
    for told in events {
        tell(root.accumulator_of(key, key).1, told, &watched);
        root.said.pending.clear();
        root.cross(profile(), rules, now);
        root.rearm(rules, now);
        raises.extend(raised(root));
    }
    while let Some(due) = root.said.due.filter(|due| *due <= until) {
        root.said.pending.clear();
        let arm = root.said.arm;
        assert_eq!(root.wake(profile(), arm, rules, due), Woken::Decided);
        raises.extend(raised(root));
        assert_eq!(root.wake(profile(), arm, rules, due), Woken::Stale);
    }
}

/// All that is raised in a life, of which each half arrives in an order; and nothing when all of it
/// arrives again a month after the end.
fn lived(life: &Life, order: &[prop::sample::Index]) -> Vec<Raise> {
    let (mut root, mut raises) = (Root::default(), Vec::new());
    let (rules, end) = (rules(life.breadth.step), life.end());
    let (before, after) = (shuffled(&life.before, order), shuffled(&life.after, order));
    live(&mut root, &before, &rules, (life.noon(), life.second), &mut raises);
    live(&mut root, &after, &rules, (life.second, end), &mut raises);
    assert_eq!(ids(&raises).into_iter().collect::<BTreeSet<_>>().len(), raises.len(), "twice");
    assert!(root.said.due.is_none_or(|due| due > end));
    // Where somebody stands in the end is a function of facts and time.
    let step = life.breadth.step;
    let bounds = Bounds { at_risk: step.times(7), stages: stages(step) };
    let said = root.said.stages.values().next().map_or(Stage::Visitor, |mark| mark.stage);
    assert_eq!(said, Stage::of(&root.facts(), &bounds, end));
    let facts = root.facts().into_owned();
    let all: Vec<&Told> = after.into_iter().chain(before).collect();
    let (month, mut again) = (end.plus(Span::DAY.times(30)), Vec::new());
    live(&mut root, &all, &rules, (month, month.plus(step.times(1_440))), &mut again);
    assert_eq!(again, [], "raised of a redelivery");
    assert_eq!(root.facts().into_owned(), facts);
    raises
}

/// What is decided on the writes that fold: one after each event that `cuts` says, and after all;
/// each event that is followed by a write is told again after it, and everything a month later.
fn crossed(events: &[Told], order: &[&Told], cuts: &[bool], breadth: Breadth) -> Vec<Raise> {
    let now = START.plus(breadth.step.times(breadth.steps.unsigned_abs()));
    let key = IdentityKey::from(profile());
    let (watched, rules) = (watched_alone(), rules(breadth.step));
    let (mut root, mut raises) = (Root::default(), Vec::new());
    let mut write = |root: &mut Root, now: Stamp| {
        root.cross(profile(), &rules, now);
        raises.extend(raised(root));
        root.said.pending.clear();
        *root = serde_json::from_slice(&serde_json::to_vec(root).unwrap()).unwrap();
    };
    for (n, told) in order.iter().enumerate() {
        tell(root.accumulator_of(key, key).1, told, &watched);
        if cuts[n % cuts.len()] {
            write(&mut root, now);
            tell(root.accumulator_of(key, key).1, told, &watched);
        }
    }
    write(&mut root, now);
    for told in events {
        tell(root.accumulator_of(key, key).1, told, &watched);
    }
    write(&mut root, now.plus(Span::DAY.times(30)));
    raises
}

fn breadths() -> impl Strategy<Value = (Breadth, Vec<Told>)> {
    let of = |breadth| history(breadth, 16).prop_map(move |events| (breadth, events));
    prop_oneof![of(NARROW), of(DAILY)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: histories(2_000), ..ProptestConfig::default() })]

    /// In every order that leaves each event on its side of each timer the same signals are raised,
    /// each once, and a redelivery a month later raises none.
    #[test]
    fn signals_do_not_depend_on_the_order(
        life in lives(), (one, two) in (order(14), order(14)),
    ) {
        prop_assert_eq!(ids(&lived(&life, &one)), ids(&lived(&life, &two)));
    }

    /// What is decided on the write that folds: whatever the order, the grouping into writes and the
    /// duplicates, the same ids are raised, each once; and a redelivery of everything a month later
    /// raises nothing.
    #[test]
    fn crossings_do_not_depend_on_the_order(
        (breadth, events) in breadths(),
        picks in order(16),
        cuts in proptest::collection::vec(any::<bool>(), 1..8),
    ) {
        let one: Vec<&Told> = events.iter().collect();
        let plain = crossed(&events, &one, &[true], breadth);
        let other = crossed(&events, &shuffled(&events, &picks), &cuts, breadth);
        for raises in [&plain, &other] {
            let distinct: BTreeSet<SignalId> = ids(raises).into_iter().collect();
            prop_assert_eq!(distinct.len(), raises.len(), "raised twice");
        }
        prop_assert_eq!(ids(&plain), ids(&other));
    }
}

/// In how many histories each signal is raised, and to which stages `Stage Changed` leads.
fn count<T>(of: impl Strategy<Value = T>, of_one: impl Fn(&T) -> Vec<Raise>) -> Times {
    let mut runner = TestRunner::deterministic();
    let mut times = Times::new();
    for _ in 0..COUNTED {
        let raised = of_one(&of.new_tree(&mut runner).unwrap().current());
        let names = raised.iter().flat_map(|raise| {
            let stage = raise.evidence.get("to").and_then(|to| to.as_str());
            std::iter::once(raise.signal.clone()).chain(stage.map(str::to_owned))
        });
        for name in names.collect::<BTreeSet<_>>() {
            *times.entry(name).or_default() += 1;
        }
    }
    times
}

type Times = BTreeMap<String, usize>;

fn assert_none_is_vacuous<'a>(times: &Times, names: impl IntoIterator<Item = &'a str>) {
    for name in names {
        let raised = times.get(name).copied().unwrap_or(0);
        assert!(raised >= LEAST, "{name} in {raised} of {COUNTED} histories: {times:?}");
    }
}

/// A law of signals says nothing of one that its histories never raise.
#[test]
fn no_signal_is_vacuous_in_the_laws() {
    let straight = order(0).new_tree(&mut TestRunner::deterministic()).unwrap().current();
    let times = count(lives(), |life| lived(life, &straight));
    let stages = ["lead", "new", "active", "loyal", "at risk", "dormant", "lapsed"];
    assert_none_is_vacuous(&times, SignalKind::ALL.map(SignalKind::name).into_iter().chain(stages));
    let times = count(breadths(), |(breadth, events)| {
        crossed(events, &events.iter().collect::<Vec<_>>(), &[true], *breadth)
    });
    let numbered = SignalKind::ALL.into_iter().filter(|kind| {
        let told = matches!(kind.default_threshold(), Threshold::AtLeast(_));
        told && *kind != SignalKind::EngagementDeclining
    });
    let names: Vec<&str> = numbered.map(SignalKind::name).collect();
    assert_eq!(names.len(), 6);
    assert_none_is_vacuous(&times, names.into_iter().chain(["lead", "new", "active", "loyal"]));
}
