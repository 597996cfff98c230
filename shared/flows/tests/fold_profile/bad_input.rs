//! Bad input: bounded, explained, never a lost event, never an item past its limit; what is
//! trimmed is named.

use crate::world::*;
use odyssey_domain::event::{DEPTH_MAX, Event};
use odyssey_domain::profile::{IdentityItem, TRAITS_MAX};
use odyssey_domain::time::Span;
use odyssey_domain::wire::SourceKind;
use odyssey_flows::fold_profile::timeline::TimelineRow;
use odyssey_flows::ports::Table;
use odyssey_flows::queue::Disposition;
use odyssey_flows::read_timeline::{Direction, page};
use odyssey_flows::stored::Stored;
use odyssey_testkit::{ITEM_BYTES_MAX, row_bytes, run};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Every row is within its own limit and DynamoDB's.
fn assert_bounded(world: &World) {
    for row in world.memory.rows() {
        assert!(row_bytes(&row) <= ITEM_BYTES_MAX, "{:?}: {} bytes", row.key, row_bytes(&row));
        if row.key.sk == "identity" {
            assert!(row.body.len() <= IdentityItem::BYTES_MAX);
        }
    }
}

/// The profile has so many events, and its history shows each of them.
fn assert_none_lost(world: &World, events: u64) {
    let view = world.view(world.user("ann"));
    assert_eq!(view.facts["events.total"], events);
    let (mut told, mut after) = (0, None);
    loop {
        let page =
            run(page(&world.memory, &view.owners, Direction::NewestFirst, after, 100)).unwrap();
        assert_eq!((page.crowded, page.unreadable), (None, 0));
        told += page.events.len() as u64;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(told, events);
}

fn ann() -> Value {
    json!({"userId": "ann"})
}

fn fold_one(world: &World, at: i64, event: Event) {
    world.fold_done(vec![accepted_from(SourceKind::Server, at, vec![event])], minute(at));
}

fn names_trimmed(world: &World, part: &str) -> bool {
    let facts = world.view(world.user("ann")).facts;
    facts["trimmed.parts"].as_array().unwrap().contains(&json!(part))
}

#[test]
fn ten_thousand_traits_are_sixty_four_and_named() {
    let world = World::new();
    let bomb: Map<String, Value> =
        (0..10_000).map(|n| (format!("key {n:05}"), json!("v".repeat(20)))).collect();
    fold_one(&world, 0, identify("bomb", 0, &ann(), &Value::Object(bomb.clone())));
    fold_one(&world, 1, track("bomb 2", 1, "Bomb", &ann(), &Value::Object(bomb)));
    fold_one(&world, 2, identify("sane", 2, &ann(), &json!({"plan": "club"})));
    let view = world.view(world.user("ann"));
    assert_eq!(view.traits.len(), TRAITS_MAX);
    assert_eq!(view.traits["plan"], "club", "what came last is kept");
    assert!(names_trimmed(&world, "traits"));
    assert_bounded(&world);
    assert_none_lost(&world, 3);
}

#[test]
fn what_is_too_long_is_named_in_whatever_order_it_comes() {
    let long = "x".repeat(3_000);
    let events = [
        identify("1", 0, &ann(), &json!({long.clone(): 1, "plan": "club"})),
        identify("2", 1, &ann(), &json!({"note": long.clone()})),
        identify("3", 2, &ann(), &json!({"list": vec!["x".repeat(100); 20]})),
        identify("4", 3, &ann(), &json!({"note": "short"})),
        track("5", 4, "Product Viewed", &ann(), &json!({"product_id": "p", "name": long})),
        track("6", 5, "Product Viewed", &ann(), &json!({"product_id": "p", "name": "Tent"})),
        track("7", 6, "Made Up", &ann(), &json!({"anything": "x".repeat(3_000)})),
    ];
    let mut seen = Vec::new();
    for turn in 0..events.len() {
        let world = World::new();
        let mut turned = events.to_vec();
        turned.rotate_left(turn);
        for event in turned {
            // Twice each: a redelivery names nothing anew.
            fold_one(&world, 10, event.clone());
            fold_one(&world, 11, event);
        }
        for part in ["trait names", "trait texts", "trait lists", "texts"] {
            assert!(names_trimmed(&world, part), "{part}");
        }
        assert!(!names_trimmed(&world, "lists") && !names_trimmed(&world, "traits"));
        assert_bounded(&world);
        assert_none_lost(&world, 7);
        seen.push(serde_json::to_string(&*world.root(world.user("ann")).1.facts()).unwrap());
    }
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn as_many_levels_as_ingest_takes_are_read_and_kept() {
    let world = World::new();
    // The object of properties is one of them.
    let deep = (1..DEPTH_MAX).fold(json!(1), |inner, _| json!({ "a": inner }));
    let traits = json!({"deep": deep, "plan": "club"});
    let events = vec![
        identify("1", 0, &ann(), &traits),
        track("2", 0, "Product Added", &ann(), &json!({"product_id": "p", "deep": deep})),
        track(
            "3",
            0,
            "Order Completed",
            &ann(),
            &json!({"order_id": deep, "products": deep, "total": deep}),
        ),
    ];
    world.fold_done(vec![accepted(0, events)], minute(0));
    let view = world.view(world.user("ann"));
    assert_eq!(view.traits["plan"], "club");
    assert_eq!(view.facts["cart.items"], 0, "the order emptied it, whatever its id is");
    assert_bounded(&world);
    assert_none_lost(&world, 3);
}

/// One that no reader of JSON can read is one record's, not the batch's.
#[test]
fn deeper_than_anything_reads_is_parked_alone() {
    let world = World::new();
    let good = track("1", 0, "Looked In", &ann(), &json!({}));
    let mut bad = accepted(0, vec![track("2", 0, "Looked In", &ann(), &json!({"deep": "HERE"}))]);
    let deep = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
    bad.body = bad.body.replace("\"HERE\"", &deep);
    let (dispositions, _) = world.fold(vec![bad, accepted(0, vec![good])], minute(0));
    assert!(matches!(dispositions[0], Disposition::Park { .. }), "{dispositions:?}");
    assert_eq!(dispositions[1], Disposition::Done);
    assert_none_lost(&world, 1);
}

/// Ingest takes a call of 32 KB at most, and the bus 256 KB; were they gone, this is what holds.
#[test]
fn a_megabyte_in_every_field() {
    let world = World::new();
    let long = "ä".repeat(500_000);
    let fields = [
        "product_id",
        "name",
        "category",
        "brand",
        "url",
        "image_url",
        "currency",
        "order_id",
        "form",
        "title",
        "content_asset_id",
        "genre",
        "ticket_id",
        "about",
        "email_id",
        "channel",
        "score",
        "cart_id",
        "total",
        "price",
        "topic",
    ];
    let names = [
        "Product Viewed",
        "Product Added",
        "Order Completed",
        "Form Started",
        "Video Content Started",
        "Ticket Opened",
        "Complaint Filed",
        "Email Opened",
        "Score Given",
        "Page Left",
    ];
    let shorter = "ä".repeat(5_000);
    let mut sent: i64 = 0;
    for (field, name) in fields.iter().flat_map(|field| names.map(|name| (field, name))) {
        // Every field meets every name that might read it; the sane rest makes the event count.
        let mut properties = json!({"product_id": "p", "order_id": sent, "form": "f", "ticket_id": sent,
            "content_asset_id": "v", "email_id": sent, "price": 1, "total": 1, "score": 1, "about": "a"});
        properties[*field] = json!(if sent % 11 == 0 { &long } else { &shorter });
        fold_one(&world, sent, track(&format!("{sent}"), sent, name, &ann(), &properties));
        sent += 1;
    }
    for context in ["sessionId", "locale", "timezone", "userAgent"] {
        let mut event = track(&format!("{sent}"), sent, "Looked In", &ann(), &json!({}));
        event.context.insert(context.to_owned(), json!(long));
        fold_one(&world, sent, event);
        sent += 1;
    }
    for traits in [json!({"note": long}), json!({ (long.clone()): 1 }), json!({"email": long})] {
        fold_one(&world, sent, identify(&format!("{sent}"), sent, &ann(), &traits));
        sent += 1;
    }
    let (_, root) = world.root(world.user("ann"));
    let bytes = serde_json::to_vec(&root).unwrap().len();
    assert!(bytes < 60_000, "{bytes} bytes of {sent} events of a megabyte");
    assert_bounded(&world);
    assert_none_lost(&world, u64::try_from(sent).unwrap());
}

/// Keys are what they are: another case or another Unicode form is another key, everywhere alike.
#[test]
fn keys_that_look_alike_stand_apart() {
    let world = World::new();
    // É in one character, and as E with an accent put over it.
    let keys = ["plan", "Plan", "PLAN", "caf\u{e9}", "cafe\u{301}"];
    for (n, key) in (0..).zip(keys) {
        fold_one(&world, n, identify(&format!("{n}"), n, &ann(), &json!({ (key): n })));
    }
    let view = world.view(world.user("ann"));
    for (n, key) in (0..).zip(keys) {
        assert_eq!(view.traits[key], n, "{key}");
    }
    for (n, id) in (5..).zip(["tent", "Tent", "t\u{e9}nt", "te\u{301}nt"]) {
        fold_one(
            &world,
            n,
            track(&format!("{n}"), n, "Product Added", &ann(), &json!({"product_id": id})),
        );
    }
    assert_eq!(world.view(world.user("ann")).facts["cart.products"], 4);
    // An event's name counts only as the Spec writes it.
    fold_one(
        &world,
        9,
        track("9", 9, "order completed", &ann(), &json!({"order_id": 1, "total": 5})),
    );
    assert_eq!(world.view(world.user("ann")).facts["orders.count"], 0);
    assert_none_lost(&world, 10);
}

#[test]
fn money_that_is_none_and_money_that_is_mixed() {
    let world = World::new();
    let cases = [
        (json!(-5), "EUR"),
        (json!("-5"), "EUR"),
        (json!(1e300), "EUR"),
        (json!("1e300"), "EUR"),
        (json!("12,50"), "EUR"),
        (json!("NaN"), "EUR"),
        (json!({"amount": 5}), "EUR"),
        (json!(u64::MAX), "EUR"),
        (json!(9_999_999_999_999_i64), "EUR"),
        (json!("19.999"), "EUR"),
        (json!(1000), "JPY"),
        (json!(7), "dollars"),
        (json!(3), "usd"),
    ];
    for (n, (total, currency)) in (0..).zip(&cases) {
        let order = json!({"order_id": n, "total": total, "currency": currency,
            "products": [{"product_id": "p", "price": total, "quantity": -3, "currency": currency}]});
        fold_one(&world, n, track(&format!("{n}"), n, "Order Completed", &ann(), &order));
        let cart = json!({"product_id": n, "price": total, "currency": currency, "quantity": -1});
        fold_one(&world, n, track(&format!("c{n}"), n, "Product Added", &ann(), &cart));
    }
    let facts = world.view(world.user("ann")).facts;
    assert_eq!(facts["orders.count"], cases.len());
    let values = facts["orders.values"].as_object().unwrap();
    // Nothing is added up over currencies, and what is no amount is none.
    assert_eq!(values["JPY"], 1000, "a currency without decimals");
    assert_eq!(values["USD"], 300);
    assert_eq!(values["XXX"], 700, "no currency that ISO lists");
    assert_eq!(values["EUR"], 999_999_999_999_900_u64 + 2_000);
    assert!(facts["orders.average"].as_u64().is_some());
    assert_bounded(&world);
    assert_none_lost(&world, 2 * cases.len() as u64);
}

/// A clock a year behind or ahead: the stamp is what it is by then, and nothing armed by it loops.
#[test]
fn a_clock_a_year_off() {
    let world = World::new();
    let year = 365 * 24 * 60;
    let now = 0;
    let tent = json!({"product_id": "p", "name": "Tent", "price": 5});
    for (id, at) in [("behind", now - year), ("ahead", now + year), ("now", now)] {
        let added = track(id, at, "Product Added", &ann(), &tent);
        world.fold_done(vec![accepted(now, vec![added])], minute(now));
    }
    let view = world.view(world.user("ann"));
    assert_eq!(view.facts["seen.first"], minute(now - year).to_string());
    assert_eq!(view.facts["seen.last"], minute(now + year).to_string());
    // Asked again and again, the timers come to rest.
    world.wake_until(minute(now + 24 * 60));
    world.wake_until(minute(now + year + 24 * 60));
    assert_none_lost(&world, 3);
    let history = run(page(&world.memory, &view.owners, Direction::OldestFirst, None, 10)).unwrap();
    let ids: Vec<&str> = history.events.iter().map(|told| told.event.id.as_str()).collect();
    assert_eq!(ids, ["behind", "now", "ahead"]);
}

/// A row of the timeline holds a whole delivery, however much that is.
#[test]
fn the_largest_delivery_is_kept() {
    let world = World::new();
    // As much as a bus entry may hold, of what does not compress well.
    let noise = |n: u64| -> String {
        let mut state = n;
        let next = |_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            char::from(b'!' + u8::try_from(state >> 58).unwrap_or(0))
        };
        (0..31_000).map(next).filter(|c| *c != '"' && *c != '\\').collect()
    };
    let events: Vec<Event> = (0..8)
        .map(|n| track(&format!("{n}"), 0, "Noise", &ann(), &json!({"noise": noise(n)})))
        .collect();
    world.fold_done(vec![accepted(0, events)], minute(0));
    let row = world.memory.rows_of(Table::Timeline).remove(0);
    assert!(row.body.len() > 100_000 && row.body.len() <= TimelineRow::BYTES_MAX);
    assert_bounded(&world);
    assert_none_lost(&world, 8);
}

/// One id shared by everybody. A million of them: `--ignored` (docs/SPEED.md).
fn hot_key(events: i64, per_delivery: i64) -> usize {
    let world = World::new();
    let mut record = 0;
    let mut sent = 0;
    let mut item = 0;
    while sent < events {
        let deliveries = (0..10).map(|_| {
            record += 1;
            // As fast as a hundred events a second.
            let at = minute(0).plus(Span::from_ms(u64::try_from(sent * 10).unwrap()));
            let batch = (0..per_delivery).map(|n| {
                let n = sent + n;
                let name = ["Product Viewed", "Product Added", "Page Left", "Form Started"][usize::try_from(n % 4).unwrap()];
                let mut event = track(&format!("hot {n}"), 0, name, &ann(), &json!({
                    "product_id": n, "name": format!("Thing {n}"), "category": format!("c{}", n % 1_000),
                    "form": format!("f{n}"), "seconds": 5, "price": n, "anonymous": n}));
                event.at = at;
                event.anonymous_id = serde_json::from_value(json!(format!("browser {}", n % 5_000))).unwrap();
                event
            });
            let delivery = (at, batch.collect::<Vec<_>>());
            sent += per_delivery;
            delivery
        });
        let deliveries: Vec<_> = deliveries.collect();
        let now = deliveries.last().unwrap().0;
        let records = deliveries
            .into_iter()
            .map(|(at, events)| accepted_at(SourceKind::Browser, at, events))
            .collect();
        world.fold_done(records, now);
        world.memory.forget_tokens();
        let _ = world.memory.take_bus_entries();
        let row =
            world.memory.rows().into_iter().find(|row| {
                row.key.pk == world.user("ann").to_string() && row.key.sk == "identity"
            });
        item = item.max(row.map_or(0, |row| row_bytes(&row)));
    }
    assert!(item < 120_000, "the item grew to {item} bytes");
    let view = world.view(world.user("ann"));
    assert_eq!(view.facts["events.total"], sent);
    assert_eq!(view.facts["trimmed"], true);
    assert!(names_trimmed(&world, "browse"));
    // The latest page of its history is there, in order.
    let latest = run(page(&world.memory, &view.owners, Direction::NewestFirst, None, 50)).unwrap();
    assert_eq!(latest.events.len(), 50);
    assert_eq!(latest.crowded, None);
    assert!(latest.events.windows(2).all(|pair| pair[0].place > pair[1].place));
    item
}

#[test]
fn one_id_shared_by_many_events() {
    let _ = hot_key(3_000, 10);
}

#[test]
#[ignore = "minutes in a debug build: cargo test --release -p odyssey-flows --test fold_profile million -- --ignored --nocapture"]
fn one_id_shared_by_a_million_events() {
    println!("the item has at most {} bytes", hot_key(1_000_000, 100));
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>()
            .prop_filter_map("finite", |n| serde_json::Number::from_f64(n).map(Value::Number)),
        ".{0,40}".prop_map(Value::from),
        prop::sample::select(vec![
            "",
            "null",
            "-1",
            "1e999",
            "2026-13-45",
            "0001-01-01T00:00:00Z",
            "\u{0}",
            "\u{202e}"
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(".{0,8}", inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Names that facts listen to, and the properties that they read.
fn some_event() -> impl Strategy<Value = Value> {
    let names = vec![
        "Product Viewed",
        "Product Added",
        "Product Removed",
        "Cart Viewed",
        "Checkout Started",
        "Order Completed",
        "Order Updated",
        "Order Cancelled",
        "Order Refunded",
        "Page Left",
        "Form Started",
        "Form Submitted",
        "Form Abandoned",
        "Video Content Started",
        "Email Opened",
        "Ticket Opened",
        "Ticket Closed",
        "Complaint Filed",
        "Score Given",
        "Subscription Started",
        "Consent Requested",
        "\u{0}",
        "",
    ];
    let keys = vec![
        "product_id",
        "products",
        "price",
        "quantity",
        "currency",
        "category",
        "order_id",
        "total",
        "seconds",
        "scroll_depth",
        "dwell",
        "form",
        "content_asset_id",
        "email_id",
        "ticket_id",
        "score",
        "renews_at",
        "channel",
        "topic",
        "email",
        "cart_id",
    ];
    let properties = prop::collection::btree_map(prop::sample::select(keys), anything(), 0..8);
    (prop::sample::select(names), properties, anything(), anything()).prop_map(
        |(name, properties, traits, context)| {
            let object = |value: Value| if value.is_object() { value } else { json!({ "traits": value }) };
            json!({"type": "track", "name": name, "properties": properties, "traits": object(traits), "context": object(context)})
        },
    )
}

proptest! {
    /// Whatever a client sends folds: once, bounded, and it comes back out of the history.
    #[test]
    fn anything_folds(events in prop::collection::vec(some_event(), 1..12)) {
        let world = World::new();
        let sent = events.len() as u64;
        for (n, mut event) in (0_i64..).zip(events) {
            (event["id"], event["at"]) = (json!(format!("e{n}")), json!(minute(n)));
            event["userId"] = json!("ann");
            let event: Event = serde_json::from_value(event).unwrap();
            let (dispositions, _) = world.fold(vec![accepted(n, vec![event])], minute(n));
            prop_assert_eq!(&dispositions[..], &[Disposition::Done]);
        }
        assert_bounded(&world);
        assert_none_lost(&world, sent);
    }
}
