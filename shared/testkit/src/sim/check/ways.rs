//! The ways through journeys: until when a wait lasts, and where it leads.

use super::Check;
use super::past::{Past, name_of};
use odyssey_domain::event::Event;
use odyssey_domain::ids::IdentityKey;
use odyssey_domain::journey::{Enrollment, Journey, OVERDUE, StepId, StepKind};
use odyssey_domain::time::{Span, Stamp};

/// What the step `advise` of the cart's journey asks for, in minor units.
const ADVISED: u64 = 15_000;

/// The wait that leads to a step, whether by its event, and which event that is.
fn wait_before<'j>(journey: &'j Journey, step: &StepId) -> Option<(&'j StepId, bool, &'j str)> {
    journey.steps.iter().find_map(|(id, wait)| match &wait.kind {
        StepKind::WaitUntil { event, on_event, on_timeout, .. } if on_event != on_timeout => {
            let by_event = on_event.as_ref() == Some(step);
            let led = by_event || on_timeout.as_ref() == Some(step);
            led.then_some((id, by_event, event.event.as_str()))
        }
        _ => None,
    })
}

/// The most that carts can ever have held: the price of a line is that of its product's last event.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some hundreds")]
fn put_in(past: &Past<'_>) -> u64 {
    let number =
        |event: &Event, name: &str| event.properties.get(name).and_then(serde_json::Value::as_f64);
    let named = ["Product Added", "Product Removed", "Product Viewed"].into_iter();
    let priced = named.flat_map(|name| past.named(name));
    let price = priced.filter_map(|event| number(event, "price")).fold(0.0, f64::max);
    let many = past.named("Product Added").map(|event| number(event, "quantity").unwrap_or(1.0));
    (price * 100.0 * many.sum::<f64>()).ceil() as u64
}

impl Check {
    /// A timer that is armed for a wait comes after the wait's length, counted from when its step was
    /// reached; only what is late by more than [`OVERDUE`] counts from now.
    pub(super) fn waits_as_said(
        &mut self,
        now: Stamp,
        journey: &Journey,
        before: Option<&Enrollment>,
        after: &Enrollment,
    ) {
        let length = match journey.steps.get(&after.step).map(|step| &step.kind) {
            Some(StepKind::Delay { length } | StepKind::WaitUntil { timeout: length, .. }) => {
                *length
            }
            _ => return,
        };
        let armed = before.is_none_or(|before| before.id != after.id || before.arm != after.arm);
        let late = now.plus(Span::from_ms(self.skew_ms)).since(after.reached) > OVERDUE;
        let (Some(due), None, true, false) = (after.due, after.parked, armed, late) else { return };
        self.holds("waits-as-said", due == after.reached.plus(length), || {
            format!(
                "step {} of {} was reached at {} and lasts {length}, but is due at {due}",
                after.step, journey.id, after.reached
            )
        });
    }

    /// A step behind a wait was taken: on its event, where the profile holds that; or on its time-out,
    /// where it was not known to hold it. And what a branch leads to is what the customer did.
    pub(super) fn way_taken(
        &mut self,
        begun: Stamp,
        journey: &Journey,
        before: Option<&Enrollment>,
        after: &Enrollment,
        step: &StepId,
    ) {
        let profile = IdentityKey::from(after.slot.profile);
        let Some(root) = self.profiles.root_of(profile) else { return };
        let events: Vec<Event> =
            self.profiles.events_of(root).iter().map(|(_, folded)| folded.event.clone()).collect();
        if (journey.id.as_str(), step.as_str()) == ("cart", "advise") {
            let most = put_in(&Past::of(&events));
            self.holds("ways-as-known", most >= ADVISED, || {
                format!("{profile} was advised on a cart that never held more than {most}")
            });
        }
        let (Some((wait, by_event, name)), Some(before)) = (wait_before(journey, step), before)
        else {
            return;
        };
        let (Some(due), None, true) = (before.due, before.parked, before.step == *wait) else {
            return;
        };
        let reached = before.reached;
        let held = if by_event {
            events.iter().any(|event| name_of(event) == name && event.at >= reached)
        } else {
            let folded = self.profiles.events_of(root).into_iter();
            let of_it = folded.filter(|(_, folded)| name_of(&folded.event) == name);
            // The profile remembers the last alone, which may be one that came after the time-out.
            let last = of_it.max_by_key(|(_, folded)| folded.event.position());
            last.is_none_or(|(identity, folded)| {
                let at = folded.event.at;
                let known = folded.at < begun && self.profiles.was_linked(identity, begun);
                !known || at <= reached || at >= due
            })
        };
        self.holds("ways-as-known", held, || {
            format!("{profile} came to step {step} of {} by event: {by_event}", journey.id)
        });
    }
}
