//! Sample data: what a mail is rendered with before it goes live.
//!
//! A mail is rendered twice: for a customer of whom everything is known, and for one of whom only
//! the trigger's own part is. A template that fails on the second would silently not reach such
//! customers, so it is refused.

use odyssey_domain::ids::ProfileId;
use odyssey_domain::journey::Trigger;
use odyssey_domain::personal::EmailAddress;
use odyssey_domain::profile::{ComputedKind, ComputedTraits, ProfileView};
use odyssey_domain::signal::SignalKind;
use serde_json::{Map, Value, json};

/// Of whom the sample is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Customer {
    /// Somebody who said everything and did everything.
    WellKnown,
    /// Somebody who only did what the trigger tells, and named no more than an address.
    Stranger,
}

/// A profile to render with.
#[must_use]
pub fn profile(customer: Customer, traits: &ComputedTraits) -> ProfileView {
    // Of a stranger a computed trait says what it says of somebody who never did anything, which is
    // nothing for some; and nothing at all before a back-fill, so that a mail needs a default.
    let mut view = ProfileView::empty(ProfileId::from_bytes([7; 16]));
    if customer == Customer::WellKnown {
        let values = traits.iter().map(|(name, _, rule)| (name.to_owned(), computed(&rule.kind)));
        view.traits.extend(values);
    }
    view.email = EmailAddress::parse("mara@example.com").ok();
    view.traits.insert("email".to_owned(), json!("mara@example.com"));
    let product = json!({
        "id": "tent-2", "name": "Two-person tent", "price": 24_900, "amount": "249.00",
        "currency": "EUR", "category": "tents", "quantity": 1, "url": "/products/tent-2",
        "image": "/images/tent-2.png", "viewed": "2026-01-01T10:00:00.000Z"
    });
    let mut set = |name: &str, value: Value| {
        view.facts.insert(name.to_owned(), value);
    };
    set("events.total", json!(12));
    set("seen.first", json!("2026-01-01T09:00:00.000Z"));
    set("seen.last", json!("2026-01-01T10:00:00.000Z"));
    set("orders.count", json!(0));
    set("orders.value", json!(0));
    set("cart.items", json!(1));
    set("cart.products", json!(1));
    set("browse.categories", json!({"tents": 3}));
    set("content.started", json!(0));
    set("content.completed", json!(0));
    set("stage", json!("visitor"));
    if customer == Customer::Stranger {
        // A product may come without a name, a price, a picture.
        set("cart.lines", json!([{"id": "tent-2", "quantity": 1}]));
        set("browse.products", json!([{"id": "tent-2", "viewed": "2026-01-01T10:00:00.000Z"}]));
        return view;
    }
    set("orders.count", json!(2));
    set("orders.value", json!(31_800));
    set("orders.currency", json!("EUR"));
    set("orders.values", json!({"EUR": 31_800}));
    set("orders.last", json!("2025-12-01T10:00:00.000Z"));
    set("cart.value", json!(24_900));
    set("cart.currency", json!("EUR"));
    set("cart.lines", json!([product]));
    set("cart.id", json!("cart-7"));
    set("cart.updated", json!("2026-01-01T10:00:00.000Z"));
    set("cart.checkout", json!("2026-01-01T10:00:00.000Z"));
    set("browse.products", json!([product]));
    set("browse.tents", json!(3));
    set("context.locale", json!("en-GB"));
    set("context.timezone", json!("Europe/Berlin"));
    watched(&mut set);
    set("stage", json!("active"));
    for (name, value) in [
        ("first_name", json!("Mara")),
        ("firstName", json!("Mara")),
        ("last_name", json!("Lind")),
        ("lastName", json!("Lind")),
        ("name", json!("Mara Lind")),
        ("plan", json!("gold")),
        ("phone", json!("+49 40 0000000")),
        ("city", json!("Hamburg")),
        ("country", json!("DE")),
        ("birthday", json!("1990-04-01")),
    ] {
        view.traits.insert(name.to_owned(), value);
    }
    view
}

/// What somebody watched who watches.
fn watched(set: &mut impl FnMut(&str, Value)) {
    let video = |id: &str, title: &str, percent: u64| {
        json!({"id": id, "title": title, "program": "Harbour", "percent": percent,
            "finished": percent == 100, "watched": "2026-01-01T10:00:00.000Z"})
    };
    set("content.started", json!(14));
    set("content.completed", json!(9));
    set("content.last", json!("2026-01-01T10:00:00.000Z"));
    set("content.genre", json!("crime"));
    set("content.genres", json!({"crime": 9, "comedy": 5}));
    set("content.recent", json!([video("h-3", "The Pilot Boat", 62), video("h-2", "Ebb", 100)]));
    set("subscription.renews", json!("2026-02-01T00:00:00.000Z"));
}

fn computed(kind: &ComputedKind) -> Value {
    match kind {
        ComputedKind::Count | ComputedKind::Distinct(_) => json!(3),
        ComputedKind::Sum(_)
        | ComputedKind::Minimum(_)
        | ComputedKind::Maximum(_)
        | ComputedKind::Average(_) => json!(24_900),
        ComputedKind::First(_) | ComputedKind::Latest(_) | ComputedKind::MostFrequent(_) => {
            json!("tents")
        }
    }
}

/// What a trigger carries. Of a stranger's event nothing is certain but that it happened.
#[must_use]
pub fn trigger(trigger: Option<&Trigger>, customer: Customer) -> Map<String, Value> {
    let value = match (trigger, customer) {
        (None, _) | (Some(Trigger::Event(_)), Customer::Stranger) => json!({}),
        (Some(Trigger::Event(_)), Customer::WellKnown) => event(),
        (Some(Trigger::Signal { name, .. }), _) => evidence(name),
    };
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// What a signal of this name shows.
fn evidence(name: &str) -> Value {
    let last = "2026-01-01T10:00:00.000Z";
    match SignalKind::named(name) {
        Some(SignalKind::CartAbandoned | SignalKind::CheckoutAbandoned) => json!({
            "lines": [{"name": "Two-person tent", "price": "249.00", "quantity": 1}],
            "items": 1, "value": 24_900, "currency": "EUR", "last": last
        }),
        Some(SignalKind::BrowseAbandoned) | None => json!({
            "products": [{"name": "Two-person tent", "price": "249.00"}], "last": last
        }),
        Some(SignalKind::FirstPurchase | SignalKind::RepeatPurchase) => json!({
            "order": 2, "orders": 2, "value": "311.90", "currency": "EUR", "last": last
        }),
        Some(SignalKind::LeadSubmitted) => {
            json!({"form": "quote", "submissions": 1, "last": last})
        }
        Some(SignalKind::RegistrationAbandoned) => {
            json!({"form": "sign-up", "fields": 3, "seconds": 40, "last": last})
        }
        Some(SignalKind::ComplaintReceived) => {
            json!({"about": "late parcel", "complaints": 1, "last": last})
        }
        Some(SignalKind::InterestShown) => {
            json!({"category": "tents", "seconds": 140, "at_least": 90, "last": last})
        }
        Some(SignalKind::BingeStarted) => {
            json!({"day": "2026-01-01T00:00:00.000Z", "videos": 3,
                "titles": ["Slack Water", "The Pilot Boat", "Ebb"]})
        }
        Some(SignalKind::RenewalDue) => {
            json!({"renews": "2026-01-08T00:00:00.000Z", "last": last})
        }
        Some(SignalKind::BackAfterAbsence) => json!({
            "active_days": 3, "orders": 1, "absent_days": 41, "last": last,
            "absent_since": "2025-11-21T10:00:00.000Z"
        }),
        Some(SignalKind::StageChanged) => json!({
            "from": "active", "to": "at risk", "orders": 2, "active_days": 9, "last": last
        }),
        Some(SignalKind::BecameDormant | SignalKind::EngagementDeclining) => {
            json!({"active_days": 9, "usual_gap_hours": 96, "orders": 1, "last": last})
        }
    }
}

/// Properties as the Spec's e-commerce events carry them.
fn event() -> Value {
    json!({
        "order_id": "1042", "checkout_id": "c-9", "cart_id": "cart-7", "total": 249.0,
        "subtotal": 244.1, "revenue": 244.1, "value": 249.0, "shipping": 4.9, "tax": 39.8,
        "discount": 0, "coupon": "spring", "currency": "EUR", "affiliation": "web",
        "product_id": "tent-2", "sku": "T2", "name": "Two-person tent", "category": "tents",
        "brand": "Northwind", "variant": "green", "price": 249.0, "quantity": 1,
        "url": "/products/tent-2", "image_url": "/images/tent-2.png", "query": "tent",
        "plan": "studio", "renews_at": "2026-02-01T00:00:00.000Z",
        "trial_end": "2026-01-15T00:00:00.000Z",
        "products": [{
            "product_id": "tent-2", "sku": "T2", "name": "Two-person tent", "price": 249.0,
            "quantity": 1, "category": "tents", "url": "/products/tent-2",
            "image_url": "/images/tent-2.png"
        }]
    })
}
