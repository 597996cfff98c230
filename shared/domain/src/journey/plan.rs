//! A journey made ready for stepping: what only depends on the journey is worked out once.

use super::{Journey, Step, StepId, StepKind};
use crate::ids::PredicateKey;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A journey with the keys of its predicates and its loops.
#[derive(Debug, Clone)]
pub struct Plan {
    journey: Arc<Journey>,
    exits: Vec<PredicateKey>,
    goal: Option<PredicateKey>,
    waits: BTreeMap<StepId, PredicateKey>,
    /// Edges that close a loop. A passage along one raises the iteration.
    closing: BTreeSet<(StepId, StepId)>,
    endless: bool,
}

impl Plan {
    /// Makes a journey ready. Every journey has a plan; faults in it (a loop without a wait, a
    /// step that is not there) end its enrollments, they do not break anything.
    #[must_use]
    pub fn of(journey: Arc<Journey>) -> Plan {
        let exits = journey.exit_when.iter().map(crate::predicate::EventPredicate::key).collect();
        let goal = journey.goal.as_ref().map(|goal| goal.event.key());
        let waits = journey
            .steps
            .iter()
            .filter_map(|(id, step)| match &step.kind {
                StepKind::WaitUntil { event, .. } => Some((id.clone(), event.key())),
                StepKind::Send { .. }
                | StepKind::Delay { .. }
                | StepKind::Branch { .. }
                | StepKind::Exit => None,
            })
            .collect();
        let closing = journey.loops();
        let endless = journey.loop_without_wait().is_some();
        Plan { journey, exits, goal, waits, closing, endless }
    }

    /// The journey.
    #[must_use]
    pub fn journey(&self) -> &Journey {
        &self.journey
    }

    pub(super) fn exits(&self) -> &[PredicateKey] {
        &self.exits
    }

    pub(super) const fn goal(&self) -> Option<PredicateKey> {
        self.goal
    }

    /// Whether it can go round without ever waiting.
    pub(super) const fn is_endless(&self) -> bool {
        self.endless
    }

    pub(super) fn wait(&self, step: &StepId) -> Option<PredicateKey> {
        self.waits.get(step).copied()
    }

    pub(super) fn closes_a_loop(&self, from: &StepId, to: &StepId) -> bool {
        // Most journeys have no loop, and then no key is made to look one up.
        !self.closing.is_empty() && self.closing.contains(&(from.clone(), to.clone()))
    }
}

impl Step {
    /// Every step this one may lead to.
    #[must_use]
    pub fn targets(&self) -> Vec<&StepId> {
        let mut targets: Vec<&StepId> = match &self.kind {
            StepKind::WaitUntil { on_event, on_timeout, .. } => {
                on_event.iter().chain(on_timeout).collect()
            }
            StepKind::Branch { arms } => arms.iter().map(|(_, target)| target).collect(),
            StepKind::Send { .. } | StepKind::Delay { .. } | StepKind::Exit => Vec::new(),
        };
        targets.extend(self.next.as_ref());
        targets
    }

    /// Whether an enrollment may stand at this step; a loop without such a step never ends.
    #[must_use]
    pub const fn waits(&self) -> bool {
        match &self.kind {
            StepKind::Delay { length } | StepKind::WaitUntil { timeout: length, .. } => {
                length.ms() > 0
            }
            StepKind::Send { .. } | StepKind::Branch { .. } | StepKind::Exit => false,
        }
    }
}

impl Journey {
    /// A step from which the journey can go round a loop that never waits. Publishing refuses such
    /// a journey; one that got through all the same ends its enrollments without a mail.
    #[must_use]
    pub fn loop_without_wait(&self) -> Option<StepId> {
        let onward = |id: &StepId| match self.steps.get(id) {
            Some(step) if !step.waits() => step.targets(),
            Some(_) | None => Vec::new(),
        };
        let mut done = BTreeSet::new();
        let mut closing = BTreeSet::new();
        for id in self.steps.keys() {
            closing_edges(id, &onward, &mut done, &mut closing);
        }
        closing.into_iter().next().map(|(from, _)| from)
    }

    fn loops(&self) -> BTreeSet<(StepId, StepId)> {
        let onward = |id: &StepId| self.steps.get(id).map(Step::targets).unwrap_or_default();
        let mut closing = BTreeSet::new();
        closing_edges(&self.first, &onward, &mut BTreeSet::new(), &mut closing);
        closing
    }
}

/// Depth first, without recursion: an edge to a step that is still open closes a loop. Every loop
/// has at least one such edge.
fn closing_edges<'j>(
    first: &'j StepId,
    onward: &impl Fn(&StepId) -> Vec<&'j StepId>,
    done: &mut BTreeSet<&'j StepId>,
    closing: &mut BTreeSet<(StepId, StepId)>,
) {
    if done.contains(first) {
        return;
    }
    let mut open: BTreeSet<&StepId> = BTreeSet::from([first]);
    let mut path = vec![(first, onward(first).into_iter())];
    while let Some((id, rest)) = path.last_mut() {
        let from = *id;
        match rest.next() {
            Some(to) if open.contains(to) => {
                closing.insert((from.clone(), to.clone()));
            }
            Some(to) if !done.contains(to) => {
                open.insert(to);
                path.push((to, onward(to).into_iter()));
            }
            Some(_) => {}
            None => {
                open.remove(from);
                done.insert(from);
                path.pop();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn journey(steps: &serde_json::Value) -> Journey {
        serde_json::from_value(json!({
            "id": "j", "trigger": {"event": {"event": "E"}}, "re_entry": "never",
            "first": "a", "steps": steps,
        }))
        .unwrap()
    }

    fn edges(steps: &serde_json::Value) -> Vec<String> {
        journey(steps).loops().iter().map(|(from, to)| format!("{from}>{to}")).collect()
    }

    #[test]
    fn loops_are_found_where_they_close() {
        let delay = |next: &str| json!({"kind": "delay", "length": "1h", "next": next});
        assert_eq!(
            edges(&json!({"a": delay("b"), "b": delay("c"), "c": {"kind": "exit"}})),
            Vec::<String>::new()
        );
        assert_eq!(edges(&json!({"a": delay("b"), "b": delay("a")})), ["b>a"]);
        assert_eq!(edges(&json!({"a": delay("a")})), ["a>a"]);
        // Two ways to one step are no loop.
        let split = json!({"kind": "wait_until", "event": {"event": "X"}, "timeout": "1h",
                           "on_event": "b", "on_timeout": "c"});
        assert_eq!(
            edges(&json!({"a": split, "b": delay("c"), "c": {"kind": "exit"}})),
            Vec::<String>::new()
        );
        // A target that is not there is no edge that closes anything.
        assert_eq!(edges(&json!({"a": delay("nowhere")})), Vec::<String>::new());
    }

    #[test]
    fn loops_that_never_wait_are_found() {
        let branch = |next: &str| json!({"kind": "branch", "arms": [], "next": next});
        let delay = |next: &str| json!({"kind": "delay", "length": "1h", "next": next});
        let found = |steps: serde_json::Value| journey(&steps).loop_without_wait();
        assert_eq!(found(json!({"a": branch("b"), "b": delay("a")})), None);
        assert_eq!(found(json!({"a": delay("a")})), None);
        let name = |text: &str| Some(StepId::parse(text).unwrap());
        assert_eq!(found(json!({"a": delay("b"), "b": branch("c"), "c": branch("b")})), name("c"));
        assert_eq!(found(json!({"a": branch("a")})), name("a"));
    }
}
