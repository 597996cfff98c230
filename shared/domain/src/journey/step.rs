//! The step function: from where an enrollment stands and what is known, to where it stands next
//! and what is to be done.
//!
//! *Time.* A step is reached when the wait before it was due (or when its event happened), not
//! when somebody got round to it, so that lateness does not add up from wait to wait. Only a step
//! that is late by more than [`OVERDUE`] (an outage, a pause) has its own wait counted from now:
//! else mails meant to be days apart would go out together.
//!
//! *Facts.* Exit rules and the goal are asked before every step and so immediately before every
//! send. They are asked of what the profile remembers, not of the input: an input says only that
//! now is a good time to look. The profile remembers the last event of each kind, so a goal whose
//! event was repeated after its window looks like one that came too late.

use super::{
    Ending, Enrollment, JourneyEffect, OVERDUE, Plan, ReEntry, Step, StepId, StepKind, is_over,
};
use crate::predicate::Facts;
use crate::profile::ProfileView;
use crate::time::{Span, Stamp};
use std::sync::Arc;

/// The most steps taken for one input; a wake that is due at once takes the next.
pub const NODES_PER_STEP_MAX: usize = 64;
/// The most mails asked for in one write, which must fit one kilobyte; the next goes out by a wake
/// that is due at once.
pub const SENDS_PER_STEP_MAX: usize = 2;
/// An ended enrollment stays at least so long, longer than any message may be redelivered (SQS
/// keeps one for at most 14 days).
pub const ENDED_KEPT: Span = Span::DAY.times(60);
/// A parked enrollment is looked at again after a quarter of the time it has been parked, but not
/// sooner than this …
pub const PARKED_CHECK_MIN: Span = Span::MINUTE.times(15);
/// … and not later than this: what a resumed journey may take to move on.
pub const PARKED_CHECK_MAX: Span = Span::HOUR.times(6);

/// Why the enrollment is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// It was just let in.
    Entered,
    /// Something happened to the profile.
    Hint,
    /// A timer came due.
    Woken {
        /// Which arming.
        arm: u64,
    },
}

/// What comes of an input. A stale or repeated one gives the same enrollment and no effects.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    /// Where the enrollment stands now; `pending` holds the effects where it changed.
    pub enrollment: Enrollment,
    /// What is to be done, in this order: sends, then the wake.
    pub effects: Vec<JourneyEffect>,
}

impl Transition {
    /// Nothing changes.
    fn none(enrollment: &Enrollment) -> Transition {
        Transition { enrollment: enrollment.clone(), effects: Vec::new() }
    }

    /// The timer rang before its time: it is armed again as it was.
    fn early(enrollment: &Enrollment, due: Stamp) -> Transition {
        let wake = JourneyEffect::Wake { arm: enrollment.arm, due };
        Transition { enrollment: enrollment.clone(), effects: vec![wake] }
    }

    fn changed(mut enrollment: Enrollment, effects: Vec<JourneyEffect>) -> Transition {
        enrollment.pending.clone_from(&effects);
        Transition { enrollment, effects }
    }
}

/// Moves an enrollment on as far as it goes.
#[must_use]
pub fn step(
    plan: &Plan,
    enrollment: &Enrollment,
    view: &ProfileView,
    input: Input,
    now: Stamp,
) -> Transition {
    if enrollment.ended.is_some() || is_stale(enrollment, input) {
        return Transition::none(enrollment);
    }
    let due = enrollment.parked.or(enrollment.due);
    let walk = Walk { plan, view, now, before: enrollment, effects: Vec::new(), sends: 0, due };
    walk.run(input)
}

fn is_stale(enrollment: &Enrollment, input: Input) -> bool {
    match input {
        Input::Woken { arm } => arm != enrollment.arm || enrollment.due.is_none(),
        Input::Entered | Input::Hint => false,
    }
}

/// What happens to an enrollment whose journey is paused: nothing, but that a timer that comes due
/// is armed again, so that the enrollment notices when the journey runs again.
#[must_use]
pub fn park(enrollment: &Enrollment, input: Input, now: Stamp) -> Transition {
    let (None, Some(due)) = (enrollment.ended, enrollment.due) else {
        return Transition::none(enrollment);
    };
    match input {
        Input::Woken { .. } if is_stale(enrollment, input) => return Transition::none(enrollment),
        Input::Woken { .. } if now < due => return Transition::early(enrollment, due),
        Input::Woken { .. } => {}
        // Its timer was lost.
        Input::Hint if now.since(due) > OVERDUE => {}
        Input::Hint | Input::Entered => return Transition::none(enrollment),
    }
    let since = enrollment.parked.unwrap_or(due);
    let pause = Span::from_ms(now.since(since).ms() / 4);
    let mut parked = enrollment.clone();
    parked.parked = Some(since);
    parked.arm += 1;
    let next = now.plus(pause.clamp(PARKED_CHECK_MIN, PARKED_CHECK_MAX));
    parked.due = Some(next);
    let wake = JourneyEffect::Wake { arm: parked.arm, due: next };
    Transition::changed(parked, vec![wake])
}

/// Ends an enrollment whose profile was erased, and forgets what it carried.
#[must_use]
pub fn erase(enrollment: &Enrollment, now: Stamp) -> Transition {
    let mut erased = enrollment.clone();
    let why = Arc::make_mut(&mut erased.why);
    why.evidence.clear();
    why.conditions.clear();
    if erased.ended.is_none() {
        erased.ended = Some((Ending::Erased, now));
        erased.due = None;
        erased.parked = None;
        erased.forget = Some(now.plus(ENDED_KEPT));
        erased.pending.clear();
    }
    Transition { enrollment: erased, effects: Vec::new() }
}

struct Walk<'a> {
    plan: &'a Plan,
    view: &'a ProfileView,
    now: Stamp,
    before: &'a Enrollment,
    effects: Vec<JourneyEffect>,
    sends: usize,
    /// When the wait of the current step is due, where it was armed already.
    due: Option<Stamp>,
}

/// Where a step leads.
enum Move {
    /// To a step, or out where there is none, reached at this time.
    On(Option<StepId>, Stamp),
    /// Nowhere until then.
    Wait(Stamp),
    /// Out.
    Out,
}

impl Walk<'_> {
    fn run(mut self, input: Input) -> Transition {
        let before = self.before;
        // What is known does not change while it runs: asked once is asked before every step.
        if let Some((ending, at)) = is_over(self.plan, before, self.view, self.now) {
            return self.end(before.clone(), ending, at);
        }
        if self.plan.is_endless() {
            // The journey is wrong, and a wrong journey sends nothing.
            return self.end(before.clone(), Ending::Exited, before.reached);
        }
        let mut at = None;
        for _ in 0..NODES_PER_STEP_MAX {
            let here = at.as_ref().unwrap_or(before);
            let Some(node) = self.plan.journey().steps.get(&here.step) else {
                let (here, reached) = (here.clone(), here.reached);
                return self.end(here, Ending::Completed, reached);
            };
            // A wait that goes on changes nothing, so the enrollment is copied only to move it.
            let moved = match &node.kind {
                StepKind::Branch { .. } => self.branch(at.get_or_insert_with(|| before.clone())),
                _ => self.take(here, node),
            };
            if let Move::Wait(due) = moved {
                return self.wait(at, due, input);
            }
            let mut here = at.unwrap_or_else(|| before.clone());
            match moved {
                Move::On(Some(next), reached) => self.go(&mut here, next, reached),
                Move::On(None, reached) => return self.end(here, Ending::Completed, reached),
                Move::Out | Move::Wait(_) => {
                    let reached = here.reached;
                    return self.end(here, Ending::Completed, reached);
                }
            }
            at = Some(here);
        }
        // Enough for one write: go on by a wake, at once or when the wait reached here is due.
        let here = at.as_ref().unwrap_or(before).clone();
        let due = match self.plan.journey().steps.get(&here.step).map(|node| &node.kind) {
            Some(StepKind::Delay { length } | StepKind::WaitUntil { timeout: length, .. }) => {
                self.due_after(&here, *length)
            }
            Some(StepKind::Send { .. } | StepKind::Branch { .. } | StepKind::Exit) | None => {
                self.now
            }
        };
        self.wait(at, due, input)
    }

    /// When a wait that begins now is due.
    fn due_after(&mut self, here: &Enrollment, length: Span) -> Stamp {
        let late = self.now.since(here.reached) > OVERDUE;
        let from = if late { self.now } else { here.reached };
        self.due.take().unwrap_or_else(|| from.plus(length))
    }

    fn take(&mut self, here: &Enrollment, node: &Step) -> Move {
        match &node.kind {
            StepKind::Send { .. } if self.sends >= SENDS_PER_STEP_MAX => Move::Wait(self.now),
            StepKind::Send { mail, topic, .. } => {
                self.sends += 1;
                self.effects.push(JourneyEffect::Send {
                    step: here.step.clone(),
                    iteration: here.iteration,
                    mail: mail.clone(),
                    topic: topic.clone(),
                    due: here.reached.max(here.entered),
                });
                Move::On(node.next.clone(), here.reached)
            }
            StepKind::Delay { length } => {
                let due = self.due_after(here, *length);
                if self.now < due {
                    return Move::Wait(due);
                }
                Move::On(node.next.clone(), due)
            }
            StepKind::WaitUntil { timeout, on_event, on_timeout, .. } => {
                let due = self.due_after(here, *timeout);
                let happened = self.plan.wait(&here.step).and_then(|key| {
                    self.facts(here).last_since(key, here.reached).filter(|p| p.at <= due)
                });
                match happened {
                    // A millisecond later, so that the same event is not the next wait's as well.
                    Some(event) => Move::On(
                        on_event.clone().or_else(|| node.next.clone()),
                        event.at.plus(Span::from_ms(1)),
                    ),
                    None if self.now < due => Move::Wait(due),
                    None => Move::On(on_timeout.clone().or_else(|| node.next.clone()), due),
                }
            }
            // A branch is taken by `branch`, which keeps its answers.
            StepKind::Branch { .. } => Move::On(node.next.clone(), here.reached),
            StepKind::Exit => Move::Out,
        }
    }

    fn branch(&self, here: &mut Enrollment) -> Move {
        let Some(Step { kind: StepKind::Branch { arms }, next }) =
            self.plan.journey().steps.get(&here.step)
        else {
            return Move::Out;
        };
        for (condition, target) in arms {
            let (held, answers) = condition.evaluate(&self.facts(here));
            let why = Arc::make_mut(&mut here.why);
            why.conditions.extend(answers);
            why.trim();
            if held {
                return Move::On(Some(target.clone()), here.reached);
            }
        }
        Move::On(next.clone(), here.reached)
    }

    fn facts<'b>(&'b self, here: &'b Enrollment) -> Facts<'b> {
        Facts { view: self.view, why: &here.why, started: here.started, now: self.now }
    }

    fn go(&mut self, here: &mut Enrollment, next: StepId, reached: Stamp) {
        if self.plan.closes_a_loop(&here.step, &next) {
            here.iteration += 1;
        }
        here.step = next;
        here.reached = reached;
        self.due = None;
    }

    fn wait(mut self, moved: Option<Enrollment>, due: Stamp, input: Input) -> Transition {
        let Some(mut here) = moved.or_else(|| {
            let as_armed = self.before.due == Some(due) && self.before.parked.is_none();
            (!as_armed).then(|| self.before.clone())
        }) else {
            return match input {
                Input::Woken { .. } => Transition::early(self.before, due),
                Input::Entered | Input::Hint => Transition::none(self.before),
            };
        };
        here.arm += 1;
        here.due = Some(due);
        here.parked = None;
        self.effects.push(JourneyEffect::Wake { arm: here.arm, due });
        Transition::changed(here, self.effects)
    }

    fn end(self, mut here: Enrollment, ending: Ending, at: Stamp) -> Transition {
        // An event that ends it may be older than the letting in, where it arrived late.
        let at = at.max(here.entered);
        here.ended = Some((ending, at));
        here.due = None;
        here.parked = None;
        let kept = at.max(self.now).plus(ENDED_KEPT);
        here.forget = match self.plan.journey().re_entry {
            ReEntry::Never => None,
            ReEntry::AfterExit => Some(kept),
            ReEntry::After(span) => Some(kept.max(here.entered.plus(span))),
        };
        Transition::changed(here, self.effects)
    }
}
