//! From nested lists of steps to the graph that runs: each step knows the id of the next.

use super::fault::Place;
use super::fields::Reading;
use super::steps::{Does, Item};
use crate::journey::{Step, StepId, StepKind};
use std::collections::{BTreeMap, BTreeSet};

/// The graph so far, and where each step is written.
#[derive(Default)]
struct Graph {
    steps: BTreeMap<StepId, Step>,
    places: BTreeMap<StepId, Place>,
}

/// Links the steps. `None` where an id stands twice, a `next` leads nowhere, a step cannot be
/// reached, or steps lead back to themselves.
pub(crate) fn build(
    reading: &mut Reading<'_>,
    place: Place,
    items: &[Item],
) -> Option<(StepId, BTreeMap<StepId, Step>)> {
    let before = reading.faults.count();
    let mut graph = Graph::default();
    let first = graph.link(reading, items, None)?;
    for (_, target, place) in explicit(items) {
        if !graph.steps.contains_key(&target) {
            let known: Vec<&str> = graph.places.keys().map(StepId::as_str).collect();
            reading.unknown(place, "step", target.as_str(), known);
        }
    }
    if reading.faults.count() == before {
        graph.check_reach(reading, &first);
        graph.check_loops(reading, place, &first);
    }
    (reading.faults.count() == before).then_some((first, graph.steps))
}

/// Every explicit `next`, with its place.
fn explicit(items: &[Item]) -> Vec<(StepId, StepId, Place)> {
    let mut found = Vec::new();
    for item in items {
        if let Some((target, place)) = &item.next {
            found.push((item.id.clone(), target.clone(), *place));
        }
        match &item.does {
            Does::Branch { arms, otherwise } => {
                for (_, steps) in arms {
                    found.extend(explicit(steps));
                }
                found.extend(explicit(otherwise));
            }
            Does::WaitUntil { on_event, on_timeout, .. } => {
                found.extend(explicit(on_event.as_deref().unwrap_or_default()));
                found.extend(explicit(on_timeout.as_deref().unwrap_or_default()));
            }
            Does::Send { .. } | Does::Delay { .. } | Does::Exit => {}
        }
    }
    found
}

impl Graph {
    /// Adds a list whose last step leads to `after`; the first step's id, or `after` of an empty
    /// list.
    fn link(
        &mut self,
        reading: &mut Reading<'_>,
        items: &[Item],
        after: Option<&StepId>,
    ) -> Option<StepId> {
        let mut next: Option<StepId> = after.cloned();
        for item in items.iter().rev() {
            let onward = item.next.as_ref().map(|(id, _)| id.clone()).or(next);
            let step = self.step(reading, item, onward.as_ref());
            self.add(reading, item, step);
            next = Some(item.id.clone());
        }
        next
    }

    fn step(&mut self, reading: &mut Reading<'_>, item: &Item, next: Option<&StepId>) -> Step {
        let onward = next.cloned();
        match &item.does {
            Does::Send { mail, topic, when_capped, when_quiet } => Step {
                kind: StepKind::Send {
                    mail: mail.clone(),
                    topic: topic.clone(),
                    when_capped: *when_capped,
                    when_quiet: *when_quiet,
                },
                next: onward,
            },
            Does::Delay { length } => {
                Step { kind: StepKind::Delay { length: *length }, next: onward }
            }
            Does::WaitUntil { event, timeout, on_event, on_timeout } => {
                let mut way = |steps: &Option<Vec<Item>>, name: &str| {
                    steps.as_ref().map(|steps| self.way(reading, item, steps, next, name))
                };
                let on_event = way(on_event, "event");
                let on_timeout = way(on_timeout, "timeout");
                let (event, timeout) = (event.clone(), *timeout);
                Step {
                    kind: StepKind::WaitUntil { event, timeout, on_event, on_timeout },
                    next: onward,
                }
            }
            Does::Branch { arms, otherwise } => {
                let arms = arms
                    .iter()
                    .map(|(condition, steps)| {
                        (condition.clone(), self.way(reading, item, steps, next, "end"))
                    })
                    .collect();
                let otherwise = self.link(reading, otherwise, next);
                Step { kind: StepKind::Branch { arms }, next: otherwise }
            }
            Does::Exit => Step { kind: StepKind::Exit, next: None },
        }
    }

    /// Where a way of its own leads. An empty way at the end of the journey needs a step to lead
    /// to: it gets one that ends.
    fn way(
        &mut self,
        reading: &mut Reading<'_>,
        item: &Item,
        steps: &[Item],
        next: Option<&StepId>,
        name: &str,
    ) -> StepId {
        if let Some(first) = self.link(reading, steps, next) {
            return first;
        }
        let id = StepId::parse(&format!("{}-{name}", item.id)).unwrap_or_else(|_| item.id.clone());
        if !self.steps.contains_key(&id) {
            self.steps.insert(id.clone(), Step { kind: StepKind::Exit, next: None });
        }
        id
    }

    fn add(&mut self, reading: &mut Reading<'_>, item: &Item, step: Step) {
        if let Some(other) = self.places.get(&item.id) {
            let (first, second) = (item.place.min(*other), item.place.max(*other));
            let found = format!("step id `{}` a second time", item.id);
            let expected = format!("each id once; the first is on line {}", first.line);
            reading.fault(second, found, expected);
            return;
        }
        if self.steps.contains_key(&item.id) {
            let found = format!("step id `{}`", item.id);
            reading.fault(item.place, found, "another id: a way that ends here has this one");
            return;
        }
        self.places.insert(item.id.clone(), item.place);
        self.steps.insert(item.id.clone(), step);
    }

    /// Where a step may lead.
    fn onward(&self, id: &StepId) -> Vec<&StepId> {
        let Some(step) = self.steps.get(id) else { return Vec::new() };
        let mut onward: Vec<&StepId> = match &step.kind {
            StepKind::Branch { arms } => {
                arms.iter().map(|(_, to)| to).chain(step.next.as_ref()).collect()
            }
            StepKind::WaitUntil { on_event, on_timeout, .. } => [on_event, on_timeout]
                .into_iter()
                .filter_map(|way| way.as_ref().or(step.next.as_ref()))
                .collect(),
            StepKind::Exit => Vec::new(),
            StepKind::Send { .. } | StepKind::Delay { .. } => step.next.iter().collect(),
        };
        onward.dedup();
        onward
    }

    fn check_reach(&self, reading: &mut Reading<'_>, first: &StepId) {
        let mut seen = BTreeSet::new();
        let mut open = vec![first];
        while let Some(id) = open.pop() {
            if seen.insert(id) {
                open.extend(self.onward(id));
            }
        }
        for (id, place) in &self.places {
            if !seen.contains(id) {
                let found = format!("step `{id}`, which nothing leads to");
                reading.fault(*place, found, "steps that can be reached");
            }
        }
    }

    /// Follows every way from the first step; a step met again on the same way is a loop.
    fn check_loops(&self, reading: &mut Reading<'_>, place: Place, first: &StepId) {
        let mut done: BTreeSet<&StepId> = BTreeSet::new();
        let mut way: Vec<&StepId> = Vec::new();
        let mut open: Vec<(&StepId, usize)> = vec![(first, 0)];
        while let Some((id, depth)) = open.pop() {
            way.truncate(depth);
            if let Some(start) = way.iter().position(|earlier| *earlier == id) {
                let round: Vec<&str> =
                    way.iter().skip(start).chain([&id]).map(|id| id.as_str()).collect();
                let place = way.last().and_then(|id| self.places.get(*id)).unwrap_or(&place);
                let found = format!("a loop: {}", round.join(" → "));
                reading.fault(*place, found, "steps that only lead forward");
                continue;
            }
            if !done.insert(id) {
                continue;
            }
            way.push(id);
            open.extend(self.onward(id).into_iter().map(|next| (next, depth + 1)));
        }
    }
}
