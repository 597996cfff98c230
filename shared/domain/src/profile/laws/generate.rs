//! Random histories.

use crate::event::Event;
use crate::time::{Span, Stamp};
use crate::wire::SourceKind;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

/// One event of a history, and through which kind of source it came.
pub(super) type Told = (Event, SourceKind);

const NAMES: [&str; 60] = [
    "Product Added",
    "Product Added",
    "Product Added",
    "Product Removed",
    "Product Viewed",
    "Product Viewed",
    "Product List Viewed",
    "Cart Viewed",
    "Checkout Started",
    "Order Completed",
    "Order Completed",
    "Order Updated",
    "Order Cancelled",
    "Order Refunded",
    "Payment Info Entered",
    "Something Else",
    "Page Left",
    "Page Left",
    "Element Hovered",
    "Video Content Started",
    "Video Content Started",
    "Video Content Started",
    "Video Content Playing",
    "Video Content Completed",
    "Form Started",
    "Form Submitted",
    "Form Abandoned",
    "Signed Up",
    "Ticket Opened",
    "Ticket Closed",
    "Complaint Filed",
    "Score Given",
    "Email Delivered",
    "Email Opened",
    "Email Link Clicked",
    "Email Bounced",
    "Unsubscribed",
    "Subscription Started",
    "Subscription Renewed",
    "Subscription Cancelled",
    "Live Chat Conversation Started",
    "Call Answered",
    "Consent Requested",
    "Account Created",
    "Trial Started",
    "Trial Started",
    "Trial Ended",
    "Ticket Created",
    "Ticket Solved",
    "Ticket Resolved",
    "Checkout Step Viewed",
    "Checkout Step Completed",
    "Coupon Entered",
    "Coupon Applied",
    "Email Marked as Spam",
    // What somebody else does: no deeds.
    "Live Chat Message Received",
    "Push Notification Received",
    "Push Notification Bounced",
    "Consent Changed",
    "Install Attributed",
];

/// How many different products, traits and orders a history has, and how many steps of which
/// length it lasts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Breadth {
    keys: u32,
    pub(super) steps: i64,
    pub(super) step: Span,
}

pub(super) const NARROW: Breadth = Breadth { keys: 4, steps: 12, step: Span::MINUTE };
/// Over six days: as long as a fold still says what was reached on the first of them.
pub(super) const DAILY: Breadth = Breadth { keys: 4, steps: 12, step: Span::HOUR.times(12) };
/// Past every bound of the collections.
pub(super) const WIDE: Breadth = Breadth { keys: 150, steps: 60 * 24 * 40, step: Span::MINUTE };

/// What an event may leave out; half of them say everything.
const BARE: [&[&str]; 4] = [
    &["name", "price", "category", "total", "title", "position", "total_length", "currency"],
    &["price", "total", "position", "subscription_id"],
    &["name", "title", "currency", "products"],
    &["product_id", "order_id", "name", "subscription_id", "currency"],
];

fn properties(breadth: Breadth) -> impl Strategy<Value = Value> {
    let key = 0..breadth.keys;
    let products = proptest::collection::vec((0..breadth.keys, 0..4_u32), 0..4);
    let bare = 0..BARE.len() * 2;
    (key, 0..5_u32, 0..3_u32, products, 0..100_000_u64, bare).prop_map(
        |(key, quantity, currency, products, cents, bare)| {
            let currency = ["USD", "eur", "JPY"][currency as usize];
            let products: Vec<Value> = products
                .iter()
                .map(|(key, n)| match n {
                    0 => json!({"product_id": format!("p{key}")}),
                    1 => json!({"product_id": format!("p{key}"), "quantity": 1, "price": 2.5}),
                    n => json!({"product_id": format!("p{key}"), "quantity": n, "name": "A thing",
                        "price": 2.5, "currency": "EUR", "category": format!("c{key}")}),
                })
                .collect();
            let mut all = json!({"product_id": format!("p{key}"), "order_id": format!("o{key}"),
                "name": format!("Product {key}"), "category": format!("c{key}"),
                "price": format!("{}.{:02}", cents / 100, cents % 100), "currency": currency,
                "total": cents, "products": products});
            if quantity > 0 {
                all["quantity"] = quantity.into();
            }
            touched(&mut all, key, quantity, cents);
            for left_out in BARE.get(bare).copied().unwrap_or_default() {
                all.as_object_mut().unwrap().remove(*left_out);
            }
            all
        },
    )
}

/// What the other touchpoints read.
fn touched(all: &mut Value, key: u32, n: u32, cents: u64) {
    let more = json!({"content_asset_id": format!("v{key}"), "title": "A film", "position": cents,
        "total_length": 5_400, "genre": [format!("g{key}"), "drama"],
        "form": format!("{}{}", ["sign-up-", "f"][key as usize % 2], key % 20),
        "fields": n, "ticket_id": key, "complaint_id": key % 90, "score": format!("{n}.5"),
        "email_id": format!("m{key}"), "machine": n == 4, "seconds": cents % 900,
        "scroll_depth": cents % 140, "session_id": format!("s{key}"), "brand": format!("b{key}"),
        "dwell": [{"product_id": format!("p{key}"), "category": format!("c{key}"), "seconds": n,
            "hovers": n}, {"category": "c0", "seconds": cents % 60}],
        "topic": format!("t{key}"), "subscription_id": key % 20,
        "channel": (["phone", "Store", "letter", "semaphore", ""][n as usize])});
    let more = more.as_object().cloned().unwrap_or_default();
    all.as_object_mut().unwrap().extend(more);
    if n == 3 {
        all["email"] = "given@example.com".into();
    }
}

/// What comes with most events.
fn context(key: u32, step: i64) -> Value {
    json!({"locale": format!("l{key}"), "timezone": "Europe/Paris", "sessionId": format!("s{key}"),
        "userAgent": (["Mozilla/5.0 (iPhone; Mobile)", "Mozilla/5.0 (X11; Linux)", "curl"][key as usize % 3]),
        "location": {"country": format!("C{}", key % 5), "city": "Aix"},
        "campaign": {"name": format!("n{}", step % 7), "source": "mail"}})
}

fn told(breadth: Breadth) -> impl Strategy<Value = Told> {
    let name = select(NAMES.as_slice());
    let kind = select([SourceKind::Browser, SourceKind::Server].as_slice());
    // So many steps later what is subscribed to renews.
    let renews = 0..24_u64;
    (0..breadth.steps, name, properties(breadth), 0..breadth.keys, 0..9_u32, kind, renews).prop_map(
        move |(step, name, mut properties, key, what, kind, renews)| {
            let at = Stamp::from_ms(step * breadth.step.ms_i64());
            let is_long = renews == 0;
            let renews = at.plus(breadth.step.times(renews));
            properties["renews_at"] = renews.to_string().into();
            let event = match what {
                0 => json!({"type": "identify", "traits": {
                    format!("t{key}"): step, "plan": name, "score": 0.1 * f64::from(key),
                    "email": if key == 0 { Value::Null } else { format!("u{key}@example.com").into() }}}),
                1 => json!({"type": "page", "name": name, "properties": properties,
                    "context": {"locale": format!("l{key}"), "timezone": "Europe/Paris",
                        "traits": {format!("t{key}"): name}}}),
                2 => json!({"type": "track", "name": name, "properties": properties,
                    "context": context(key, step)}),
                // A group's traits are the group's; a screen is a page.
                3 => json!({"type": (["group", "screen", "alias"][key as usize % 3]), "name": name,
                    "traits": {format!("t{key}"): "a group's"}, "properties": properties}),
                _ => json!({"type": "track", "name": name, "properties": properties}),
            };
            let mut event = event;
            if is_long {
                // What is too long in one event may be so in no other.
                let long = "x".repeat(600);
                event["context"]["traits"][["note", &long][key as usize % 2]] = long.clone().into();
                event["properties"]["name"] = long.into();
            }
            event["at"] = json!(at);
            event["id"] = "".into();
            (serde_json::from_value(event).unwrap(), kind)
        },
    )
}

/// A history of distinct events: of every name, or of a few, or what takes several of one sort would
/// hardly be met.
pub(super) fn history(breadth: Breadth, most: usize) -> impl Strategy<Value = Vec<Told>> {
    let few = proptest::collection::vec(select(NAMES.as_slice()), 1..5);
    let events = proptest::collection::vec(told(breadth), 1..most);
    (events, proptest::option::of(few)).prop_map(|(mut events, few)| {
        for (n, (event, _)) in events.iter_mut().enumerate() {
            event.id = format!("e{n}");
            if let (Some(few), Some(name)) = (&few, &mut event.name) {
                let place = NAMES.iter().position(|of| of == name).unwrap_or(0);
                few[place % few.len()].clone_into(name);
            }
        }
        events
    })
}

/// A history of minutes, or of days.
pub(super) fn short(most: usize) -> impl Strategy<Value = Vec<Told>> {
    prop_oneof![history(NARROW, most), history(DAILY, most)]
}

/// The order in which `picks` draws from `events`, then what is left, last first.
pub(super) fn shuffled<'a>(events: &'a [Told], picks: &[Index]) -> Vec<&'a Told> {
    let mut left: Vec<&Told> = events.iter().collect();
    let mut drawn = Vec::new();
    for pick in picks {
        if !left.is_empty() {
            drawn.push(left.swap_remove(pick.index(left.len())));
        }
    }
    drawn.extend(left.into_iter().rev());
    drawn
}

pub(super) fn order(most: usize) -> impl Strategy<Value = Vec<Index>> {
    proptest::collection::vec(any::<Index>(), most)
}

/// A history has every event that changes a fact but its own count, of which nothing else does the
/// same: the laws say nothing of what they never met.
#[test]
fn histories_have_every_event_that_changes_a_fact() {
    let properties = json!({"product_id": "p", "order_id": "o", "cart_id": "c", "total": 5, "price": 5,
        "quantity": 1, "products": [{"product_id": "p", "category": "c"}], "category": "c",
        "content_asset_id": "v", "genre": "g", "form": "f", "ticket_id": "t", "about": "x",
        "score": 1, "email_id": "m", "seconds": 5, "topic": "offers", "trial_end": 1_000_000,
        "dwell": [{"category": "c", "seconds": 5}]});
    let facts = |before: &[&str], name: &str| {
        let mut accumulator = crate::profile::Accumulator::default();
        let source = crate::wire::SourceRef { name: "s".to_owned(), kind: SourceKind::Server };
        for (n, name) in before.iter().chain(&[name]).enumerate() {
            let event = json!({"id": format!("e{n}"), "at": n, "type": "track", "name": name,
                "properties": properties});
            let event = serde_json::from_value(event).unwrap();
            let _ = accumulator.fold(&event, &source, &crate::profile::Watched::default());
        }
        let mut facts = accumulator.facts;
        facts.counts.clear();
        serde_json::to_string(&facts).unwrap()
    };
    // On nothing, and on what an event may end.
    let all = crate::profile::COUNTED_EVENTS;
    for before in [&[][..], &["Product Added", "Trial Started", "Ticket Opened", "Form Started"]] {
        let plain = facts(before, "Something Else");
        for name in all {
            let changes = facts(before, name) != plain;
            assert!(!changes || NAMES.contains(&name), "{name} changes facts and is in no history");
        }
    }
}
