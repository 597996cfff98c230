//! What steps are measured on: somebody enrolled in a cart recovery.

use odyssey_domain::ids::{ContentHash, EventHash, Position, ProfileId};
use odyssey_domain::journey::{Application, Enrollment, Entry, Journey, Occasion, Plan, enter};
use odyssey_domain::predicate::EventPredicate;
use odyssey_domain::profile::ProfileView;
use odyssey_domain::time::{Span, Stamp};
use serde_json::json;
use std::sync::Arc;

/// When the cart was left.
pub(crate) const START: Stamp = Stamp::from_ms(1_700_000_000_000);

/// A cart recovery as `examples/storefront` has it: a filter, two mails, a wait, a goal.
pub(crate) fn plan() -> Plan {
    let journey: Journey = serde_json::from_value(json!({
        "id": "cart-recovery",
        "trigger": {"signal": {"name": "Cart Abandoned", "after": "4h"}},
        "enrollment_key": "cart_id",
        "re_entry": {"after": "7d"},
        "exit_when": [{"event": "Product Removed"}],
        "goal": {"event": {"event": "Order Completed"}, "within": "7d"},
        "first": "pause",
        "steps": {
            "pause": {"kind": "delay", "length": "1h", "next": "remind"},
            "remind": {"kind": "send", "mail": "reminder", "topic": "offers", "next": "look"},
            "look": {"kind": "wait_until", "event": {"event": "Checkout Started"},
                     "timeout": "2d", "next": "last"},
            "last": {"kind": "send", "mail": "last-call", "topic": "offers"},
        },
    }))
    .unwrap();
    Plan::of(Arc::new(journey))
}

/// A profile that has bought at some time, or not.
pub(crate) fn view(order: Option<Stamp>) -> ProfileView {
    let mut view = ProfileView::empty(ProfileId::from_bytes([1; 16]));
    let mut remember = |event: &str, at: Stamp| {
        let predicate = EventPredicate { event: event.to_owned(), tests: Vec::new() };
        let _ = view.matches.insert(predicate.key(), Position { at, id: EventHash::of(event) });
    };
    remember("Product Removed", START.minus(Span::DAY));
    remember("Checkout Started", START.minus(Span::HOUR));
    remember("Product Viewed", START);
    if let Some(at) = order {
        remember("Order Completed", at);
    }
    view
}

/// Somebody who waits for the first mail.
pub(crate) fn enrolled(plan: &Plan, view: &ProfileView) -> Enrollment {
    let line = |id: &str| json!({"id": id, "name": "Wool socks", "quantity": 2, "price": 1290});
    let occasion = Occasion {
        what: "signal Cart Abandoned after 4h".to_owned(),
        id: "akoe5luqwxeoxo3ts5iujhikjq".to_owned(),
        since: START,
        at: START.plus(Span::HOUR.times(4)),
        carried: json!({"cart_id": "c-1", "lines": [line("p-1"), line("p-2")]})
            .as_object()
            .cloned()
            .unwrap(),
    };
    let version = ContentHash::of(b"v1");
    let now = occasion.at;
    let application = Application { plan, version, occasion: &occasion, view, slots: &[], now };
    match enter(&application) {
        Entry::Enrolled(transition) => transition.enrollment,
        other => panic!("expected to be let in, found {other:?}"),
    }
}
