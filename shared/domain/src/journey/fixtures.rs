//! Journeys, profiles and histories that the tests of this folder share.

use super::{Application, Enrollment, Entry, Journey, Occasion, Plan, enter};
use crate::ids::{ContentHash, EventHash, Position, ProfileId};
use crate::predicate::EventPredicate;
use crate::profile::ProfileView;
use crate::time::{Span, Stamp};
use serde_json::{Value, json};
use std::sync::Arc;

/// When the trigger of every test happens.
pub(super) const START: Stamp = Stamp::from_ms(1_700_000_000_000);

/// That long after [`START`].
pub(super) fn after(text: &str) -> Stamp {
    START.plus(text.parse().unwrap())
}

/// A journey with these steps, begun by `Product Added`, ended by `Order Completed`.
pub(super) fn plan(steps: &Value) -> Plan {
    plan_with(steps, &json!({}))
}

/// As [`plan`], with other fields.
pub(super) fn plan_with(steps: &Value, more: &Value) -> Plan {
    let mut journey = json!({
        "id": "cart-recovery",
        "trigger": {"event": {"event": "Product Added"}},
        "enrollment_key": "cart_id",
        "re_entry": "after_exit",
        "exit_when": [{"event": "Order Completed"}],
        "first": "a",
        "steps": steps,
    });
    let fields = more.as_object().unwrap().clone();
    journey.as_object_mut().unwrap().extend(fields);
    Plan::of(Arc::new(serde_json::from_value::<Journey>(journey).unwrap()))
}

pub(super) fn delay(length: &str, next: &str) -> Value {
    json!({"kind": "delay", "length": length, "next": next})
}

pub(super) fn send(mail: &str, next: Option<&str>) -> Value {
    let mut send = json!({"kind": "send", "mail": mail, "topic": "offers"});
    if let Some(next) = next {
        send["next"] = next.into();
    }
    send
}

/// A profile that last did each of these events at these times.
pub(super) fn view(events: &[(&str, Stamp)]) -> ProfileView {
    let mut view = ProfileView::empty(ProfileId::from_bytes([1; 16]));
    for (event, at) in events {
        let predicate = EventPredicate { event: (*event).to_owned(), tests: Vec::new() };
        let position = Position { at: *at, id: EventHash::of(&format!("{event} {at}")) };
        view.matches.insert(predicate.key(), position);
    }
    view
}

pub(super) fn occasion() -> Occasion {
    occasion_at("m-1", START)
}

pub(super) fn occasion_at(id: &str, at: Stamp) -> Occasion {
    Occasion {
        what: "event Product Added".to_owned(),
        id: id.to_owned(),
        since: at,
        at,
        carried: json!({"cart_id": "c-1", "price": 12.5}).as_object().cloned().unwrap(),
    }
}

pub(super) fn apply(
    plan: &Plan,
    occasion: &Occasion,
    view: &ProfileView,
    slots: &[Enrollment],
    now: Stamp,
) -> Entry {
    let version = ContentHash::of(b"v1");
    enter(&Application { plan, version, occasion, view, slots, now })
}

/// Lets the trigger in a second after it happened.
pub(super) fn entered(plan: &Plan, view: &ProfileView) -> super::Transition {
    let now = START.plus(Span::SECOND);
    match apply(plan, &occasion(), view, &[], now) {
        Entry::Enrolled(transition) => *transition,
        other => panic!("expected to be let in, found {other:?}"),
    }
}
