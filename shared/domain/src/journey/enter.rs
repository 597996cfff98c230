//! Entering: who is let in, under which enrollment key, and how often.

use super::{
    EARLIER_MAX, Ending, Enrollment, Input, Journey, Plan, ReEntry, SlotId, Transition, Trigger,
    step,
};
use crate::event::{Event, EventKind};
use crate::ids::{ContentHash, EnrollmentId, EnrollmentKeyHash};
use crate::predicate::{Answer, Facts, path};
use crate::profile::ProfileView;
use crate::time::{Span, Stamp};
use crate::wire::{self, SignalRaised, Why};
use serde_json::{Map, Value};
use std::sync::Arc;

/// A trigger older than this lets nobody in: an app that was offline over a weekend still counts,
/// an import of last year's orders does not.
pub const TRIGGER_AGE_MAX: Span = Span::DAY.times(3);

/// A trigger's name is shown no longer than this.
const NAME_CHARS_MAX: usize = 60;

/// One happening of a trigger.
#[derive(Debug, Clone, PartialEq)]
pub struct Occasion {
    /// `event Product Added` or `signal Cart Abandoned after 4h`.
    pub what: String,
    /// The message id or signal id.
    pub id: String,
    /// What exit rules and goals count from: when the event happened, or when the silence that a
    /// signal speaks of began.
    pub since: Stamp,
    /// When it happened or was raised.
    pub at: Stamp,
    /// The event's properties (traits of an identify or group call) or the signal's evidence.
    pub carried: Map<String, Value>,
}

impl Occasion {
    /// Of an event.
    #[must_use]
    pub fn of_event(event: &Event) -> Occasion {
        let name = crate::predicate::EventPredicate::name_of(event).unwrap_or_default();
        let name: String = name.chars().take(NAME_CHARS_MAX).collect();
        let carried = match event.kind {
            EventKind::Identify | EventKind::Group => &event.traits,
            EventKind::Track | EventKind::Page | EventKind::Screen | EventKind::Alias => {
                &event.properties
            }
        };
        Occasion {
            what: format!("event {name}"),
            id: event.id.clone(),
            since: event.at,
            at: event.at,
            carried: carried.clone(),
        }
    }

    /// Of a signal.
    #[must_use]
    pub fn of_signal(signal: &SignalRaised) -> Occasion {
        Occasion {
            what: format!("signal {} {}", signal.signal, signal.threshold),
            id: signal.id.to_string(),
            since: signal.since,
            at: signal.at,
            carried: signal.evidence.clone(),
        }
    }

    /// The text of the journey's enrollment key; empty where the journey names none, or where the
    /// trigger does not carry it: all those share one slot.
    #[must_use]
    pub fn enrollment_key(&self, journey: &Journey) -> String {
        let property = journey.enrollment_key.as_deref();
        property.and_then(|property| path::text(&self.carried, property)).unwrap_or_default()
    }
}

impl Trigger {
    /// Whether this event is what the journey waits for.
    #[must_use]
    pub fn is_event(&self, event: &Event) -> bool {
        match self {
            Trigger::Event(predicate) => predicate.matches(event),
            Trigger::Signal { .. } => false,
        }
    }

    /// Whether this signal, at this threshold, is what the journey waits for.
    #[must_use]
    pub fn is_signal(&self, signal: &SignalRaised) -> bool {
        match self {
            Trigger::Signal { name, threshold } => {
                *name == signal.signal && *threshold == signal.threshold
            }
            Trigger::Event(_) => false,
        }
    }
}

/// Somebody at the door.
#[derive(Debug, Clone, Copy)]
pub struct Application<'a> {
    /// The journey.
    pub plan: &'a Plan,
    /// The version that is live.
    pub version: ContentHash,
    /// What brought them.
    pub occasion: &'a Occasion,
    /// Who.
    pub view: &'a ProfileView,
    /// What stands in the slots of this journey and key, under any identity of the profile.
    pub slots: &'a [Enrollment],
    /// The time.
    pub now: Stamp,
}

/// Why somebody is not let in. A value, not an error.
#[derive(Debug, Clone, PartialEq)]
pub enum Refusal {
    /// They are inside under this key.
    Inside,
    /// The re-entry rule says not again, or not yet.
    ReEntry,
    /// The trigger is older than the one that let them in last, or let them in before that: a late
    /// redelivery.
    Older,
    /// The trigger is older than [`TRIGGER_AGE_MAX`].
    TooOld,
    /// The goal was reached or an exit rule held before they entered.
    AlreadyOver(Ending),
    /// The entry filter did not hold.
    Filtered(Vec<Answer>),
}

impl Refusal {
    /// A stable word for counts and logs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Refusal::Inside => "inside",
            Refusal::ReEntry => "re_entry",
            Refusal::Older => "older",
            Refusal::TooOld => "too_old",
            Refusal::AlreadyOver(_) => "already_over",
            Refusal::Filtered(_) => "filtered",
        }
    }
}

/// What comes of an application.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// Let in, and moved on as far as it goes.
    Enrolled(Box<Transition>),
    /// This trigger let them in before: the effects may have to be repeated, nothing else.
    Repeated(Box<Enrollment>),
    /// Not let in.
    Refused(Refusal),
}

/// Decides whether an occasion lets a profile in.
#[must_use]
pub fn enter(application: &Application<'_>) -> Entry {
    let Application { plan, occasion, view, now, .. } = *application;
    let journey = plan.journey();
    let key = occasion.enrollment_key(journey);
    let id = EnrollmentId::derive(journey.id.as_str(), &key, &occasion.id);
    if let Some(same) = application.slots.iter().find(|slot| slot.id == id) {
        return Entry::Repeated(Box::new(same.clone()));
    }
    // The first stamp of an event counts; a later copy with another one is the same trigger.
    if application.slots.iter().any(|slot| slot.earlier.contains(&id)) {
        return Entry::Refused(Refusal::Older);
    }
    if let Some(refusal) = refuses_again(application) {
        return Entry::Refused(refusal);
    }
    let mut enrollment = Enrollment {
        id,
        slot: SlotId {
            profile: view.profile,
            journey: journey.id.clone(),
            key: EnrollmentKeyHash::of(&key),
        },
        version: application.version,
        started: occasion.since,
        entered: now,
        step: journey.first.clone(),
        reached: occasion.since,
        iteration: 0,
        // Arm numbers are never reused in a slot, so that a wake of the enrollment that stood here
        // before is stale.
        arm: application.slots.iter().map(|slot| slot.arm).max().unwrap_or(0),
        due: None,
        parked: None,
        ended: None,
        forget: None,
        earlier: earlier(application.slots),
        why: Arc::new(Why {
            trigger: occasion.what.clone(),
            trigger_id: occasion.id.clone(),
            trigger_at: occasion.at,
            evidence: occasion.carried.clone(),
            conditions: Vec::new(),
        }),
        pending: Vec::new(),
    };
    if let Some((ending, _)) = is_over(plan, &enrollment, view, now) {
        return Entry::Refused(Refusal::AlreadyOver(ending));
    }
    if let Some(filter) = &journey.entry_filter {
        // Asked of everything the trigger carried, before that is trimmed.
        let facts = Facts { view, why: &enrollment.why, started: enrollment.started, now };
        let (held, answers) = filter.evaluate(&facts);
        if !held {
            return Entry::Refused(Refusal::Filtered(answers));
        }
        Arc::make_mut(&mut enrollment.why).conditions = answers;
    }
    Arc::make_mut(&mut enrollment.why).trim();
    Entry::Enrolled(Box::new(step(plan, &enrollment, view, Input::Entered, now)))
}

/// Who entered under this key before, the latest first.
fn earlier(slots: &[Enrollment]) -> Vec<EnrollmentId> {
    let mut latest_first: Vec<&Enrollment> = slots.iter().collect();
    latest_first.sort_by_key(|slot| std::cmp::Reverse(slot.entered));
    let before = latest_first.iter().flat_map(|slot| &slot.earlier);
    let mut ids: Vec<EnrollmentId> = Vec::new();
    for id in latest_first.iter().map(|slot| &slot.id).chain(before) {
        if ids.len() < EARLIER_MAX && !ids.contains(id) {
            ids.push(*id);
        }
    }
    ids
}

fn refuses_again(application: &Application<'_>) -> Option<Refusal> {
    let Application { plan, occasion, slots, now, .. } = *application;
    if now.since(occasion.at) > TRIGGER_AGE_MAX {
        return Some(Refusal::TooOld);
    }
    if slots.iter().any(|slot| slot.ended.is_none()) {
        return Some(Refusal::Inside);
    }
    let last = slots.iter().max_by_key(|slot| slot.started)?;
    if occasion.since <= last.started {
        return Some(Refusal::Older);
    }
    let again = match plan.journey().re_entry {
        ReEntry::Never => false,
        ReEntry::AfterExit => true,
        ReEntry::After(span) => slots.iter().all(|slot| slot.entered.plus(span) <= now),
    };
    (!again).then_some(Refusal::ReEntry)
}

/// Whether the facts end what `why` led to: asked once more before a message leaves, which may be
/// long after its step was taken.
#[must_use]
pub fn over(
    plan: &Plan,
    enrolled: &wire::Enrolled,
    why: &Why,
    view: &ProfileView,
    now: Stamp,
) -> Option<(Ending, Stamp)> {
    let wire::Enrolled { started, entered, .. } = *enrolled;
    ended_by_facts(plan, &Facts { view, why, started, now }, entered)
}

/// Whether the facts end an enrollment, and when they did: the goal, within its conversion window
/// from the letting in, before the exit rules.
pub(super) fn is_over(
    plan: &Plan,
    enrollment: &Enrollment,
    view: &ProfileView,
    now: Stamp,
) -> Option<(Ending, Stamp)> {
    let facts = Facts { view, why: &enrollment.why, started: enrollment.started, now };
    ended_by_facts(plan, &facts, enrollment.entered)
}

fn ended_by_facts(plan: &Plan, facts: &Facts<'_>, entered: Stamp) -> Option<(Ending, Stamp)> {
    if let (Some(goal), Some(key)) = (&plan.journey().goal, plan.goal())
        && let Some(event) = facts.last_since(key, facts.started)
        && event.at <= entered.plus(goal.within)
    {
        return Some((Ending::GoalReached, event.at));
    }
    let exits = plan.exits().iter();
    let event = exits.filter_map(|key| facts.last_since(*key, facts.started)).min()?;
    Some((Ending::Exited, event.at))
}
