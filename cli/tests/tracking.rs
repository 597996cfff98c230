//! `odyssey plan` as it is read.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use odyssey::screen::Screen;
use odyssey::tracking::{Report, lines};
use odyssey_domain::event::Event;
use odyssey_domain::plan::{Declared, Inferred};
use odyssey_domain::time::{Span, Stamp};
use serde_json::{Value, json};

fn event(id: u32, name: &str, properties: &Value) -> Event {
    let at = Stamp::parse("2026-11-20T08:00:00Z").unwrap().plus(Span::HOUR.times(id.into()));
    serde_json::from_value(json!({"id": format!("m-{id}"), "at": at, "type": "track",
        "name": name, "userId": "ann", "properties": properties}))
    .unwrap()
}

fn seen(plan: &Declared) -> (Inferred, Stamp) {
    let mut inferred = Inferred::default();
    let all = [
        ("Product Added", json!({"product_id": "p-1", "price": 19.9, "currency": "EUR"})),
        ("Product Added", json!({"product_id": "p-2", "price": "24.90 EUR", "currency": "EURO"})),
        ("Product Added", json!({"price": 5, "colour": "red"})),
        ("order_completed", json!({"order_id": "o-1", "total": 19.9})),
        ("Viewed product 8817236", json!({})),
    ];
    for (id, (name, properties)) in (0..).zip(all) {
        let event = event(id, name, &properties);
        inferred.see(&event, if id == 3 { "backend" } else { "web" }, event.at, plan);
    }
    (inferred, Stamp::parse("2026-11-22T08:00:00Z").unwrap())
}

fn plan() -> Declared {
    serde_json::from_value(json!({"events": {
        "Product Added": {"description": "Something is in the cart now.", "properties": {
            "product_id": {"type": "text", "required": true},
            "price": {"type": "number", "required": true},
            "currency": {"values": ["EUR", "USD"]},
            "coupon": {"type": "text"},
        }},
        "Order Completed": {"open": true},
    }}))
    .unwrap()
}

#[test]
fn beside_a_declared_plan() {
    let (inferred, now) = seen(&plan());
    let report = Report::new(&inferred, &plan(), now);
    insta::assert_snapshot!(lines(&Screen::new(), &report).join("\n"));
    insta::assert_snapshot!("json", serde_json::to_string_pretty(&report).unwrap());
}

#[test]
fn without_one() {
    let (inferred, now) = seen(&Declared::default());
    let report = Report::new(&inferred, &Declared::default(), now);
    insta::assert_snapshot!(lines(&Screen::new(), &report).join("\n"));
    insta::assert_snapshot!("yaml", inferred.draft().to_yaml());
    let nothing = Report::new(&Inferred::default(), &Declared::default(), now);
    insta::assert_snapshot!("nothing", lines(&Screen::new(), &nothing).join("\n"));
}
