//! What a profile's fold is measured on: a warm accumulator, which holds 400 recent ids and the facts
//! of as many events, and the events of a shop: two views in five, a page, a cart change, an identify
//! now and then; eight predicates are watched.

use odyssey_domain::event::Event;
use odyssey_domain::predicate::EventPredicate;
use odyssey_domain::profile::{Accumulator, Watched};
use odyssey_domain::wire::{SourceKind, SourceRef};
use serde_json::{Value, json};

/// Events that are folded.
pub(crate) const EVENTS: usize = 200;

fn product(n: usize) -> Value {
    json!({"cart_id": "skdjsidjsdkdj29j", "product_id": format!("507f1f77bcf86cd79943901{}", n % 9),
        "sku": "G-32", "category": "Games", "name": "Monopoly: 3rd Edition", "brand": "Hasbro",
        "variant": "200 pieces", "price": 18.99, "quantity": 1, "coupon": "MAYDEALS",
        "currency": "USD", "position": 3, "url": "https://www.example.com/product/path",
        "image_url": "https://www.example.com/product/path.jpg"})
}

/// The `n`th event of the mix.
pub(crate) fn event(n: usize) -> Event {
    let mut event = match n % 10 {
        0 | 3 | 6 | 8 => {
            json!({"type": "track", "name": "Product Viewed", "properties": product(n)})
        }
        1 => json!({"type": "track", "name": "Product Added", "properties": product(n)}),
        2 => json!({"type": "track", "name": "Product List Viewed",
            "properties": {"category": "Games", "list_id": "hot"}}),
        4 => json!({"type": "identify", "traits": {"email": "ann@example.com", "plan": "pro",
            "age": 41, "name": "Ann Lee"}}),
        5 => json!({"type": "track", "name": "Element Hovered", "properties": {"element": "hero"}}),
        _ => json!({"type": "page", "name": "Home", "properties": {"path": "/"}}),
    };
    event["id"] = format!("node-next-1795289075838-33bd060a-2863-43a2-989f-{n:08}").into();
    event["at"] = (1_795_289_075_838_u64 + n as u64 * 1_000).into();
    event["userId"] = "user-0001".into();
    event["context"] = json!({"locale": "en-GB", "timezone": "Europe/London",
        "library": {"name": "@segment/analytics-node", "version": "3.1.0"}});
    serde_json::from_value(event).expect("an event")
}

/// What the workspace watches.
pub(crate) fn watched() -> Watched {
    let predicates = [
        "Order Completed",
        "Signed Up",
        "Product Added",
        "Checkout Started",
        "Order Refunded",
        "Trial Started",
        "Video Content Started",
        "Consent Changed",
    ]
    .into_iter()
    .map(|event| EventPredicate { event: event.to_owned(), tests: Vec::new() });
    Watched::of(&predicates.collect::<Vec<_>>())
}

/// The source that the events come through.
pub(crate) fn source() -> SourceRef {
    SourceRef { name: "web".to_owned(), kind: SourceKind::Browser }
}

/// An accumulator that has seen 400 events of the mix.
pub(crate) fn warm() -> Accumulator {
    let (source, watched) = (source(), watched());
    let mut warm = Accumulator::default();
    for n in 0..400 {
        warm.fold(&event(n), &source, &watched);
    }
    warm
}

/// The events that come after those.
pub(crate) fn next() -> Vec<Event> {
    (400..400 + EVENTS).map(event).collect()
}
