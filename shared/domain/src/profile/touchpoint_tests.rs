//! What each touchpoint makes of events, absurd ones among them, and how many bytes a profile takes.

mod retold;

use super::*;
use crate::event::Event;
use crate::wire::{SourceKind, SourceRef};
use serde_json::{Value, json};

const DAY_MS: i64 = 86_400_000;
const START: i64 = 1_790_000_000_000;

fn fold(accumulator: &mut Accumulator, n: i64, mut event: Value) {
    event["id"] = format!("e{n}").into();
    if event["at"].is_null() {
        event["at"] = (START + n * 60_000).into();
    }
    let event: Event = serde_json::from_value(event).unwrap();
    let source = SourceRef { name: "web".to_owned(), kind: SourceKind::Browser };
    let _ = accumulator.fold(&event, &source, &Watched::default());
}

fn track(name: &str, properties: impl Into<Value>) -> Value {
    json!({"type": "track", "name": name, "properties": properties.into()})
}

fn root(events: Vec<Value>) -> Root {
    let mut root = Root::default();
    let own = IdentityKey::from_bytes([1; 16]);
    for (n, event) in events.into_iter().enumerate() {
        fold(root.accumulator_of(own, own).1, i64::try_from(n).unwrap(), event);
    }
    root
}

fn facts(events: Vec<Value>) -> BTreeMap<String, Value> {
    root(events).view(ProfileId::from_bytes([1; 16])).facts
}

fn at(event: Value, ms: i64) -> Value {
    let mut event = event;
    event["at"] = ms.into();
    event
}

#[test]
fn purchases() {
    let order = |id: &str, total: f64, day: i64| {
        let products = json!([{"product_id": "p", "category": "Boots", "brand": "Hart", "price": 30,
            "quantity": 2}, {"product_id": "q", "category": "Socks", "brand": "Hart", "price": 6}]);
        let properties =
            json!({"order_id": id, "total": total, "currency": "EUR", "products": products});
        at(track("Order Completed", properties), START + day * DAY_MS)
    };
    // The browser and the server both tell of the first order.
    let facts = facts(vec![
        order("1", 70.0, 0),
        order("1", 70.0, 0),
        order("2", 50.5, 10),
        order("3", 12.0, 30),
        track("Order Cancelled", json!({"order_id": "3"})),
    ]);
    assert_eq!(facts["orders.count"], 2);
    assert_eq!(facts["orders.value"], 12_050);
    assert_eq!(facts["orders.average"], 6_025);
    assert_eq!(facts["orders.days_between"], 15);
    assert_eq!(facts["orders.categories"], json!({"Boots": 2, "Socks": 2}));
    assert_eq!(facts["orders.brands"], json!({"Hart": 2}));
    assert_eq!(facts["orders.price_band"], "10 to 25");
}

#[test]
fn carts_and_checkouts_are_open_since() {
    let add = |id: &str| track("Product Added", json!({"product_id": id, "quantity": 2}));
    let minute = |n: i64| Stamp::from_ms(START + n * 60_000).to_string();
    let open = facts(vec![
        add("a"),
        add("b"),
        track("Product Removed", json!({"product_id": "a"})),
        track("Checkout Started", json!({})),
    ]);
    assert_eq!(open["cart.since"], minute(1));
    assert_eq!(open["checkout.items"], 2);
    assert_eq!(open["checkout.since"], minute(3));
    let over = facts(vec![
        add("a"),
        track("Checkout Started", json!({})),
        track("Order Completed", json!({})),
        add("b"),
    ]);
    assert_eq!((&over["cart.since"], &over["checkout.items"]), (&minute(3).into(), &json!(0)));
    assert!(!over.contains_key("checkout.since"));
}

/// A checkout is not left with what was put into the cart after it.
#[test]
fn what_is_put_in_again_is_there_since_then() {
    let add = || track("Product Added", json!({"product_id": "a"}));
    let minute = |n: i64| Stamp::from_ms(START + n * 60_000).to_string();
    let mut events = vec![
        add(),
        track("Checkout Started", json!({})),
        track("Product Removed", json!({"product_id": "a"})),
        at(add(), START + DAY_MS),
    ];
    let again = Stamp::from_ms(START + DAY_MS).to_string();
    for (n, event) in (0..).zip(&mut events) {
        if event["at"].is_null() {
            *event = at(event.clone(), START + n * 60_000);
        }
    }
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [3, 0, 2, 1], [1, 3, 0, 2]] {
        let open = facts(order.iter().map(|n| events[*n].clone()).collect());
        assert_eq!((&open["cart.since"], &open["cart.items"]), (&json!(again), &json!(1)));
        assert_eq!(open["checkout.items"], 0);
        assert!(!open.contains_key("checkout.since"));
    }
    // Nor where the cart's own page says that it is gone, and comes back; but where some stays.
    let viewed =
        |n: i64| track("Cart Viewed", json!({"products": [{"product_id": "a", "quantity": n}]}));
    let begun = || vec![add(), track("Checkout Started", json!({}))];
    let gone = facts([begun(), vec![viewed(0), viewed(2)]].concat());
    assert_eq!((&gone["cart.since"], &gone["checkout.items"]), (&minute(3).into(), &json!(0)));
    let less = facts([begun(), vec![viewed(2), viewed(1)]].concat());
    assert_eq!((&less["cart.since"], &less["checkout.items"]), (&minute(0).into(), &json!(1)));
}

#[test]
fn visits() {
    let left = |session: &str, seconds: i64, depth: i64, dwell: Value| {
        let mut event = track(
            "Page Left",
            json!({"path": "/", "seconds": seconds, "scroll_depth": depth, "dwell": dwell}),
        );
        event["context"] = json!({"sessionId": session});
        event
    };
    let boots = json!([{"product_id": "p1", "category": "Boots", "seconds": 40, "hovers": 2}]);
    let facts = facts(vec![
        json!({"type": "page", "name": "Home", "context": {"sessionId": "s1"}}),
        left("s1", 100, 80, boots),
        left("s1", 20, 40, json!([{"category": "Socks", "seconds": 5}])),
        left("s2", 60, 20, json!([{"seconds": 900}, "no entry", null])),
    ]);
    assert_eq!(facts["sessions.count"], 2);
    assert_eq!(facts["sessions.pages"], 1);
    assert_eq!(facts["sessions.seconds"], 180);
    assert_eq!(facts["sessions.average_seconds"], 90);
    assert_eq!(facts["sessions.scroll_depth"], 46);
    assert_eq!(facts["sessions.scroll_deepest"], 80);
    assert_eq!(facts["sessions.hovers"], 2);
    assert_eq!(facts["interest.category"], "Boots");
    assert_eq!(facts["interest.products"], json!({"p1": 40}));
    assert_eq!(facts["activity.days"], 1);
}

#[test]
fn quantities_are_numbers_as_systems_write_them() {
    let cart = |added: Value, removed: Value| {
        let facts = facts(vec![
            track("Product Added", json!({"product_id": "a", "quantity": added})),
            at(
                track("Product Removed", json!({"product_id": "a", "quantity": removed})),
                START + 1,
            ),
        ]);
        facts.get("cart.items").cloned().unwrap_or_default()
    };
    for (added, removed) in [
        (json!(3), json!(1)),
        (json!(3.0), json!(1.0)),
        (json!("3.0"), json!("1.00")),
        (json!(" 3 "), json!("1")),
    ] {
        assert_eq!(cart(added.clone(), removed.clone()), 2, "{added} and {removed}");
    }
    // What is no quantity takes the line, as one that is not given does.
    assert_ne!(cart(json!(3), json!("one")), 2);
    assert_eq!(cart(json!(1e300), json!(-1)), cart(json!(1), json!(null)));
}

#[test]
fn machines_are_told_apart() {
    let mail = |name: &str, id: &str, second: i64| {
        at(track(name, json!({"email_id": id})), START + second * 1_000)
    };
    let facts = facts(vec![
        mail("Email Delivered", "1", 0),
        // A scanner follows the link before anybody can have read it.
        mail("Email Link Clicked", "1", 3),
        mail("Email Delivered", "2", 0),
        mail("Email Opened", "2", 3_600),
        at(
            track("Email Link Clicked", json!({"email_id": "2", "machine": false})),
            START + 3_605_000,
        ),
        track("Email Opened", json!({"email_id": "3", "machine": true})),
        // Of this one no delivery is known.
        mail("Email Opened", "4", 1),
        track("Email Bounced", json!({})),
    ]);
    assert_eq!(facts["mails.opened"], 2);
    assert_eq!(facts["mails.clicked"], 1);
    assert_eq!(facts["mails.by_machines"], 2);
    assert_eq!((&facts["mails.delivered"], &facts["mails.bounced"]), (&json!(2), &json!(1)));
    // A mail that a machine opened ends no absence; a link that was followed does.
    assert_eq!(facts["activity.days"], 1);
}

#[test]
fn a_click_on_a_mail_of_others_is_a_deed_where_somebody_looked_who_it_was() {
    let days = |click: Value| facts(vec![click])["activity.days"].as_u64().unwrap();
    let clicked = |properties: Value| track("Email Link Clicked", properties);
    assert_eq!(days(clicked(json!({"email_id": "1"}))), 0, "perhaps a scanner's");
    assert_eq!(days(clicked(json!({"machine": true}))), 0);
    assert_eq!(days(clicked(json!({"machine": false, "bot": true}))), 0);
    assert_eq!(days(clicked(json!({"machine": "no"}))), 0);
    assert_eq!(days(clicked(json!({"machine": false}))), 1);
    assert_eq!(days(clicked(json!({"is_bot": false}))), 1);
    // Of this stack's own mails the haste is judged before.
    let own = |kind| {
        let mut held = Accumulator::default();
        let source = SourceRef { name: "feedback".to_owned(), kind };
        let mut event = at(clicked(json!({})), START);
        event["id"] = "e1".into();
        let event = serde_json::from_value(event).unwrap();
        let _ = held.fold(&event, &source, &Watched::default());
        held.facts.rhythm.days()
    };
    assert_eq!((own(SourceKind::Server), own(SourceKind::Browser)), (1, 0));
}

#[test]
fn support_and_channels() {
    let facts = facts(vec![
        track("Ticket Opened", json!({"ticket_id": 7, "channel": "Phone"})),
        track("Ticket Opened", json!({"ticket_id": 8, "channel": "chat"})),
        track("Ticket Solved", json!({"ticket_id": 7})),
        track("Complaint Filed", json!({"ticket_id": 8, "about": "late parcel"})),
        track(
            "Complaint Filed",
            json!({"ticket_id": 8, "about": "late parcel", "channel": "store"}),
        ),
        track("Score Given", json!({"score": 4})),
        track("Score Given", json!({"score": "2.5"})),
        track("Score Given", json!({"score": -3})),
        track("Visited", json!({"channel": "carrier pigeon"})),
    ]);
    assert_eq!((&facts["support.tickets"], &facts["support.open"]), (&json!(2), &json!(1)));
    assert_eq!(facts["support.complaints"], 1);
    assert_eq!(facts["support.complaint"], "late parcel");
    assert_eq!(facts["support.score"], json!(2.5));
    assert_eq!(facts["support.average_score"], json!(3.25));
    assert_eq!((&facts["channels.phone"], &facts["channels.other"]), (&json!(1), &json!(1)));
    assert_eq!(facts["channels.last"], "other");
}

/// No event settles a complaint, so it opens nothing that only an event could close.
#[test]
fn a_complaint_opens_no_ticket() {
    let filed = |properties: Value| track("Complaint Filed", properties);
    let open = |events: Vec<Value>| facts(events)["support.open"].clone();
    assert_eq!(open(vec![filed(json!({"about": "noise"})), filed(json!({"complaint_id": 1}))]), 0);
    assert_eq!(open(vec![filed(json!({"ticket_id": 8}))]), 0);
    let closed = vec![
        track("Ticket Opened", json!({"ticket_id": 8})),
        track("Ticket Closed", json!({"ticket_id": 8})),
        filed(json!({"ticket_id": 8})),
    ];
    assert_eq!(open(closed.clone()), 0, "a survey after the end opens it no more");
    assert_eq!(open(closed[..1].to_vec()), 1);
}

#[test]
fn content_forms_and_circumstances() {
    let video = |name: &str, position: i64| {
        track(
            name,
            json!({"content_asset_id": "e1", "title": "Pilot", "program": "Harbour",
            "genre": ["crime", "drama"], "position": position, "total_length": 2_400}),
        )
    };
    let mut form = track("Form Started", json!({"form": "sign-up", "path": "/join"}));
    form["context"] = json!({"device": {"type": "ios"}, "campaign": {"name": "spring"},
        "location": {"country": "FR", "city": "Aix"}});
    let mut later = track("Form Abandoned", json!({"form": "sign-up", "fields": 2, "seconds": 30}));
    later["context"] =
        json!({"userAgent": "Mozilla/5.0 (Windows NT 10.0)", "campaign": {"name": "summer"}});
    let facts = facts(vec![
        video("Video Content Started", 0),
        video("Video Content Playing", 1_200),
        form,
        later,
        track("Subscription Started", json!({"renews_at": "2027-01-31"})),
    ]);
    assert_eq!(facts["content.genres"], json!({"crime": 1, "drama": 1}));
    assert_eq!(facts["content.recent"][0]["percent"], 50);
    assert_eq!(facts["content.recent"][0]["finished"], false);
    assert_eq!(facts["forms.open"], json!(["sign-up"]));
    assert_eq!(
        (&facts["context.device"], &facts["context.city"]),
        (&"desktop".into(), &"Aix".into())
    );
    assert_eq!(facts["context.campaign"], "summer");
    assert_eq!(facts["context.first_campaign"], "spring");
    assert_eq!(facts["subscription.renews"], "2027-01-31T00:00:00.000Z");
}

/// What no client should send: all of it folds, none of it is believed beyond its bounds.
#[test]
fn absurd_events_are_bounded() {
    let long = "x".repeat(1_000_000);
    let bomb: serde_json::Map<String, Value> =
        (0..10_000).map(|n| (format!("key {n}"), json!(n))).collect();
    let names = [
        "Page Left",
        "Order Completed",
        "Video Content Started",
        "Form Started",
        "Ticket Opened",
        "Complaint Filed",
        "Score Given",
        "Email Opened",
        "Product Viewed",
        "Subscription Started",
        "Product Added",
    ];
    let mut events = Vec::new();
    for name in names {
        events.push(track(name, bomb.clone()));
        for value in [
            json!(-1),
            json!(1e300),
            json!(u64::MAX),
            json!(long),
            json!([[]]),
            json!({}),
            json!(true),
        ] {
            let products = json!([{"product_id": value, "price": value, "quantity": value,
                "category": value, "brand": value, "currency": value}]);
            let mut event = track(
                name,
                json!({"seconds": value, "scroll_depth": value,
                "dwell": [{"seconds": value, "hovers": value, "category": value}], "total": value,
                "order_id": value, "products": products, "content_asset_id": value, "title": value,
                "genre": value, "position": value, "total_length": value, "form": value,
                "ticket_id": value, "score": value, "email_id": value, "renews_at": value,
                "channel": value, "product_id": value, "category": value, "currency": value}),
            );
            event["context"] = json!({"sessionId": value, "device": {"type": value},
                "userAgent": value, "location": {"city": value}, "campaign": {"name": value}});
            events.push(event);
        }
    }
    let root = root(events);
    let bytes = serde_json::to_vec(&root).unwrap().len();
    assert!(bytes < 32 * 1024, "{bytes}");
    let facts = root.view(ProfileId::from_bytes([1; 16])).facts;
    assert_eq!(facts["sessions.scroll_deepest"], 100);
    assert_eq!(facts["sessions.seconds"], 86_400);
    assert!(facts["orders.value"].as_u64().unwrap() <= 10 * Money::MINOR_MAX);
}

#[test]
fn money_of_several_currencies_is_not_added_up() {
    let order = |id: u32, total: Value, currency: &str| {
        track(
            "Order Completed",
            json!({"order_id": id, "total": total, "currency": currency,
            "products": [{"product_id": "p", "price": total, "currency": currency}]}),
        )
    };
    let facts = facts(vec![
        order(1, json!(10), "EUR"),
        order(2, json!(20), "EUR"),
        order(3, json!(1_000), "JPY"),
        order(4, json!(-50), "EUR"),
        order(5, json!(7), "doubloons"),
    ]);
    assert_eq!(facts["orders.values"], json!({"EUR": 3_000, "JPY": 1_000, "XXX": 700}));
    assert_eq!((&facts["orders.value"], &facts["orders.average"]), (&json!(3_000), &json!(1_500)));
    assert_eq!(facts["orders.price_band"], "10 to 25");
}

/// A device whose clock is a year behind: its events stand in that year and change nothing of now.
#[test]
fn a_clock_a_year_behind() {
    let page = json!({"type": "page", "name": "Home"});
    let facts = facts(vec![page.clone(), at(page.clone(), START - 365 * DAY_MS), page]);
    assert_eq!(facts["activity.days"], 1);
    assert_eq!(facts["sessions.pages"], 3);
}

/// One event of everything a customer can do, over and over.
fn busy(n: i64) -> Value {
    let product = json!({"product_id": format!("product-{}", n % 5_000), "name": "Monopoly: 3rd Edition",
        "category": format!("category {}", n % 300), "brand": format!("brand {}", n % 90),
        "price": 18.99, "quantity": 1, "currency": (["USD", "EUR", "JPY"][usize::try_from(n).unwrap() % 3]),
        "url": format!("https://www.example.com/product/path/{n}"),
        "image_url": format!("https://www.example.com/product/path/{n}.jpg")});
    let names = [
        "Product Viewed",
        "Product Added",
        "Page Left",
        "Order Completed",
        "Form Started",
        "Video Content Started",
        "Ticket Opened",
        "Email Opened",
        "Complaint Filed",
        "Score Given",
        "Checkout Started",
        "Product List Viewed",
        "Subscription Renewed",
        "Email Delivered",
    ];
    let mut properties = product.clone();
    let more = json!({"order_id": n, "total": 99.5, "products": [product], "form": format!("form {n}"),
        "content_asset_id": format!("video-{n}"), "title": format!("Episode {n}"), "genre": "drama",
        "position": n % 2_000, "total_length": 2_400, "ticket_id": n, "email_id": n, "score": 4,
        "seconds": 30, "scroll_depth": 60, "channel": "phone", "renews_at": "2027-01-01",
        "dwell": [{"product_id": format!("product-{n}"), "category": format!("category {}", n % 300),
            "seconds": 12, "hovers": 1}]});
    let more = more.as_object().cloned().unwrap();
    properties.as_object_mut().unwrap().extend(more);
    let mut event = at(
        track(names[usize::try_from(n).unwrap() % names.len()], properties),
        START + n * 300_000,
    );
    event["context"] = json!({"sessionId": format!("session-{}", n / 20), "locale": "en-GB",
        "userAgent": "Mozilla/5.0 (iPhone; Mobile)", "campaign": {"name": format!("c{}", n % 40)},
        "traits": {format!("trait {}", n % 200): format!("value {n}")}});
    event
}

/// A profile stops growing: its bounds are reached, and what is trimmed is named.
#[test]
fn a_profile_stops_growing() {
    let own = IdentityKey::from_bytes([1; 16]);
    let mut root = Root::default();
    let mut sizes = Vec::new();
    for n in 0..20_000_i64 {
        fold(root.accumulator_of(own, own).1, n, busy(n));
        let accumulator = root.accumulator_of(own, own).1;
        let _ = accumulator.spill(usize::MAX);
        if [10, 1_000, 10_000, 20_000].contains(&(n + 1)) {
            let facts = serde_json::to_vec(&accumulator.facts).unwrap().len();
            sizes.push((n + 1, facts, serde_json::to_vec(&root).unwrap().len()));
        }
    }
    println!("events, bytes of facts, bytes of the root: {sizes:?}");
    let [_, _, (_, before, _), (_, after, _)] = sizes[..] else { panic!("four sizes") };
    assert!(after < before + before / 20, "{sizes:?}");
    assert!(after < 60 * 1024, "{sizes:?}");
    let trimmed = root.facts().trimmed();
    for part in ["traits", "orders", "browse", "sessions", "content", "forms", "support", "mails"] {
        assert!(trimmed.contains(&part), "{part} in {trimmed:?}");
    }
}
