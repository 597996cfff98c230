//! Folding events into a warm accumulator.
//!
//! The bound is a million folds a second on one core (DESIGN section 9). Warm: the accumulator
//! holds 400 recent ids and the facts of as many events. The mix is a shop's: two views in five
//! events, a page, a cart change, an identify now and then; eight predicates are watched.

#![expect(clippy::expect_used, reason = "a benchmark that cannot set up stops")]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use odyssey_domain::event::Event;
use odyssey_domain::predicate::EventPredicate;
use odyssey_domain::profile::{Accumulator, Folded, Watched};
use odyssey_domain::wire::{SourceKind, SourceRef};
use serde_json::{Value, json};
use std::hint::black_box;

const EVENTS: usize = 200;

fn product(n: usize) -> Value {
    json!({"cart_id": "skdjsidjsdkdj29j", "product_id": format!("507f1f77bcf86cd79943901{}", n % 9),
        "sku": "G-32", "category": "Games", "name": "Monopoly: 3rd Edition", "brand": "Hasbro",
        "variant": "200 pieces", "price": 18.99, "quantity": 1, "coupon": "MAYDEALS",
        "currency": "USD", "position": 3, "url": "https://www.example.com/product/path",
        "image_url": "https://www.example.com/product/path.jpg"})
}

fn event(n: usize) -> Event {
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

fn watched() -> Watched {
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

fn fold(c: &mut Criterion) {
    let source = SourceRef { name: "web".to_owned(), kind: SourceKind::Browser };
    let watched = watched();
    let mut warm = Accumulator::default();
    for n in 0..400 {
        warm.fold(&event(n), &source, &watched);
    }
    let events: Vec<Event> = (400..400 + EVENTS).map(event).collect();
    let mut group = c.benchmark_group("fold");
    group.throughput(Throughput::Elements(EVENTS as u64));
    group.bench_function("new events into a warm accumulator", |b| {
        b.iter_batched(
            || warm.clone(),
            |mut accumulator| {
                for event in &events {
                    let folded = accumulator.fold(black_box(event), &source, &watched);
                    assert_eq!(folded, Folded::New);
                }
                accumulator
            },
            BatchSize::SmallInput,
        );
    });
    let known: Vec<Event> = (100..100 + EVENTS).map(event).collect();
    group.bench_function("known events", |b| {
        b.iter(|| {
            for event in &known {
                assert_eq!(warm.fold(black_box(event), &source, &watched), Folded::Duplicate);
            }
        });
    });
    group.finish();
}

criterion_group!(benches, fold);
criterion_main!(benches);
