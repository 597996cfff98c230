//! How many bytes a profile takes, and how many write units an event:
//! `cargo test -p odyssey-flows --test fold_profile sizes -- --ignored --nocapture`.

use crate::world::{World, accepted_at};
use odyssey_domain::event::Event;
use odyssey_domain::ids::IdentityKey;
use odyssey_domain::profile::{IdentityItem, Root, Watched};
use odyssey_domain::time::Stamp;
use odyssey_domain::wire::{SourceKind, SourceRef};
use odyssey_flows::ports::Key;
use odyssey_flows::profiles::identity_key;
use odyssey_flows::stored;
use odyssey_testkit::{Operation, row_bytes};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Ids stay in the item until there are more than a thousand; then the oldest half goes.
fn fold(root: &mut Root, own: IdentityKey, event: Value) {
    let event: Event = serde_json::from_value(event).unwrap();
    let source = SourceRef { name: "web".to_owned(), kind: SourceKind::Browser };
    let (_, accumulator) = root.accumulator_of(own, own);
    let _ = accumulator.fold(&event, &source, &Watched::default());
    let _ = accumulator.spill(usize::MAX);
}

/// A customer of a shop, one event every ten minutes: pages, views, now and then a cart or an
/// order, each page left with what was looked at.
fn shopper(n: i64) -> Value {
    let product = json!({"product_id": format!("product-{}", n % 40), "name": "Two-person tent",
        "category": format!("category {}", n % 7), "brand": format!("brand {}", n % 5), "price": 249,
        "quantity": 1, "currency": "EUR", "url": "https://shop.example.com/products/tent-2"});
    let (name, mut properties) = match n % 20 {
        1 | 5 | 9 | 13 => ("Product Viewed", product.clone()),
        3 | 7 | 11 | 15 => {
            ("Page Left", json!({"seconds": 40, "scroll_depth": 70, "dwell": [product]}))
        }
        17 if n % 40 == 17 => ("Product Added", product),
        19 if n % 200 == 199 => ("Order Completed", json!({"products": [product], "total": 249})),
        _ => ("", json!({"path": "/"})),
    };
    properties["order_id"] = n.into();
    let kind = if name.is_empty() { "page" } else { "track" };
    json!({"type": kind, "name": name, "properties": properties, "context": {
        "sessionId": format!("session-{}", n / 30), "locale": "en-GB", "timezone": "Europe/London",
        "userAgent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Mobile"}})
}

/// Somebody, or something, that does all there is with ever new names.
fn hostile(n: i64) -> Value {
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
        "Form Submitted",
        "Email Delivered",
    ];
    let long = format!("{n} {}", "x".repeat(100));
    let mut properties = json!({"order_id": n, "form": long, "content_asset_id": long, "title": long,
        "genre": long, "ticket_id": n, "email_id": n, "score": 4, "seconds": 30, "channel": "phone",
        "product_id": long, "name": long, "category": long, "brand": long, "price": n, "quantity": 1,
        "url": format!("https://example.com/{long}"), "position": 3, "total_length": 9,
        "dwell": [{"product_id": long, "category": long, "seconds": 12, "hovers": 1}]});
    properties["products"] = json!([properties.clone()]);
    let name = names[usize::try_from(n).unwrap() % names.len()];
    json!({"type": "track", "name": name, "properties": properties, "context": {
        "sessionId": long, "campaign": {"name": long}, "location": {"city": long},
        "traits": {format!("trait {n}"): long}}})
}

#[test]
#[ignore = "a measurement"]
fn sizes() {
    let own = IdentityKey::from_bytes([1; 16]);
    for (who, event) in [("a shopper", shopper as fn(i64) -> Value), ("a hostile client", hostile)]
    {
        let mut root = Root::default();
        for n in 0..100_000_i64 {
            let mut event = event(n);
            event["id"] = format!("ajs-next-1795289075838-{n:012}").into();
            event["at"] = (crate::world::START + n * 600_000).into();
            fold(&mut root, own, event);
            if [10, 100, 1_000, 10_000, 100_000].contains(&(n + 1)) {
                let json = serde_json::to_vec(&root.facts()).unwrap().len();
                let item = IdentityItem::Root(Box::new(root.clone()));
                let row = stored::row(identity_key(own), &item, 1).unwrap();
                let trimmed = root.facts().trimmed().join(", ");
                println!(
                    "{who}: {} events, facts {json} B as JSON, item {} B stored; {trimmed}",
                    n + 1,
                    row.body.len()
                );
            }
        }
    }
}

/// Every row with its version, its ids and its bytes.
fn rows(world: &World) -> BTreeMap<Key, (u64, usize, usize)> {
    let of = |row: odyssey_flows::ports::Row| {
        let ids = world.memory.ids(&row.key).len();
        (row.key.clone(), (row.version, ids, row_bytes(&row) + ids * 8))
    };
    world.memory.rows().into_iter().map(of).collect()
}

/// One unit for each KB begun of what was written; twice as much in a transaction.
#[test]
#[ignore = "a measurement"]
fn write_units() {
    const WARM: i64 = 2_000;
    const FOLDS: i64 = 100;
    for per_fold in [1_i64, 10, 100] {
        let world = World::new();
        let mut n = 0;
        let mut units: BTreeMap<&str, usize> = BTreeMap::new();
        let mut last: BTreeMap<Key, (u64, usize, usize)> = BTreeMap::new();
        while n < WARM + FOLDS * per_fold {
            let is_warm = n >= WARM;
            let many = if is_warm { per_fold } else { 10 };
            let at = Stamp::from_ms(crate::world::START + n * 20_000);
            let events = (0..many).map(|more| {
                let mut event = shopper(n + more);
                event["id"] = format!("ajs-next-1795289075838-{:012}", n + more).into();
                // What is told together happened within seconds.
                event["at"] = (at.ms() + more * 1_000).into();
                event["userId"] = "ann".into();
                serde_json::from_value::<Event>(event).unwrap()
            });
            let calls = world.memory.calls().len();
            let received = Stamp::from_ms(at.ms() + many * 1_000);
            world.fold_done(
                vec![accepted_at(SourceKind::Browser, received, events.collect())],
                received,
            );
            n += many;
            let now = rows(&world);
            let twice = world.memory.calls().split_off(calls).contains(&Operation::Transact);
            for (key, (version, ids, bytes)) in now.iter().filter(|_| is_warm) {
                if last.get(key).is_some_and(|(v, i, _)| (v, i) == (version, ids)) {
                    continue;
                }
                let part = match key.sk.split('#').next() {
                    Some("identity") => "profile",
                    Some("ids") => "spilled ids",
                    Some("signal") => "signals",
                    _ if key.table == odyssey_flows::ports::Table::Timeline => "timeline",
                    _ => "the rest",
                };
                let times = 1 + usize::from(twice && part == "profile");
                *units.entry(part).or_default() += bytes.div_ceil(1_024) * times;
            }
            last = now;
        }
        let events = usize::try_from(FOLDS * per_fold).unwrap();
        let of = |units: usize| format!("{}.{:02}", units / events, units * 100 / events % 100);
        let all: usize = units.values().sum();
        let parts: Vec<String> =
            units.iter().map(|(part, units)| format!("{part} {}", of(*units))).collect();
        println!("{per_fold} a fold: {} write units an event ({})", of(all), parts.join(", "));
    }
}
