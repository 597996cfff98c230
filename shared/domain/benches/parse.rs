//! Parsing and validating a request beside typed `serde_json` alone on the same bytes.
//!
//! The bound is 60 % of its speed (DESIGN section 9). The request is what `ingest` sees most: a
//! batch of 20 events of 1.15 KB each.

#![expect(clippy::unwrap_used, reason = "what cannot go on has failed")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use odyssey_domain::event::publish::{Origin, details};
use odyssey_domain::event::request::{Shape, parse};
use odyssey_domain::event::unicode::to_text;
use odyssey_domain::time::Stamp;
use odyssey_domain::wire::{SourceKind, SourceRef};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::hint::black_box;

const EVENTS: usize = 20;

fn event(n: usize) -> String {
    format!(
        r#"{{"timestamp":"2026-11-21T19:24:{:02}.839Z","integrations":{{}},"event":"Product Added","type":"track","properties":{{"cart_id":"skdjsidjsdkdj29{n:03}","product_id":"507f1f77bcf86cd7994{n:05}","sku":"G-{n}","category":"Games","name":"Monopoly: 3rd Edition","brand":"Hasbro","variant":"200 pieces","price":18.99,"quantity":1,"coupon":"MAYDEALS","position":3,"url":"https://www.example.com/product/path/{n}","image_url":"https://www.example.com/product/path/{n}.jpg","currency":"EUR","on_sale":true,"tags":["board","family","classic"]}},"context":{{"library":{{"name":"@segment/analytics-node","version":"3.1.0"}},"ip":"203.0.113.{n}","locale":"en-GB","timezone":"Europe/London","userAgent":"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36","page":{{"path":"/product/path/{n}","referrer":"https://www.example.com/","search":"","title":"Monopoly","url":"https://www.example.com/product/path/{n}"}}}},"userId":"user-{n:04}","anonymousId":"0a2863c3-a2d8-4fef-b129-12fadb56{n:04}","messageId":"node-next-1795289075838-33bd060a-2863-43a2-989f-efb129{n:06}","_metadata":{{"nodeVersion":"v20.20.2","jsRuntime":"node"}}}}"#,
        n % 60
    )
}

fn body() -> String {
    let events: Vec<String> = (0..EVENTS).map(event).collect();
    format!(
        r#"{{"batch":[{}],"writeKey":"shop.abcdefghijklmnopqrstuvwxyz","sentAt":"2026-11-21T19:25:00.843Z"}}"#,
        events.join(",")
    )
}

/// What the bound is measured against: the same fields, borrowed, the open ones raw.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "the fields are there to be parsed")]
struct Typed<'a> {
    #[serde(borrow)]
    batch: Vec<TypedEvent<'a>>,
    write_key: &'a str,
    sent_at: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "the fields are there to be parsed")]
struct TypedEvent<'a> {
    r#type: &'a str,
    event: Option<&'a str>,
    name: Option<&'a str>,
    user_id: Option<&'a str>,
    anonymous_id: Option<&'a str>,
    previous_id: Option<&'a str>,
    group_id: Option<&'a str>,
    message_id: Option<&'a str>,
    timestamp: Option<&'a str>,
    #[serde(borrow)]
    properties: Option<&'a RawValue>,
    #[serde(borrow)]
    traits: Option<&'a RawValue>,
    #[serde(borrow)]
    context: Option<&'a RawValue>,
    #[serde(borrow)]
    integrations: Option<&'a RawValue>,
}

fn bench(criterion: &mut Criterion) {
    let body = body();
    let mut group = criterion.benchmark_group("parse");
    group.throughput(Throughput::Bytes(body.len() as u64));
    group.bench_function("serde_json_typed", |b| {
        b.iter(|| serde_json::from_str::<Typed<'_>>(black_box(&body)).unwrap());
    });
    group.bench_function("serde_json_typed_from_bytes", |b| {
        b.iter(|| serde_json::from_slice::<Typed<'_>>(black_box(body.as_bytes())).unwrap());
    });
    group.bench_function("parse_and_validate", |b| {
        b.iter(|| parse(black_box(&body), Shape::Batch).unwrap());
    });
    group.bench_function("text_parse_and_validate", |b| {
        b.iter_batched(
            || body.clone().into_bytes(),
            |bytes| {
                let text = to_text(black_box(bytes));
                parse(&text, Shape::Batch).unwrap().events.len()
            },
            criterion::BatchSize::SmallInput,
        );
    });
    let source = SourceRef { name: "shop".to_owned(), kind: SourceKind::Server };
    let received = Stamp::from_ms(1_795_289_101_000);
    let origin = Origin { request: "JKJaXmPLvHcESHA=", received, source: &source };
    group.bench_function("parse_validate_group_encode", |b| {
        b.iter(|| {
            let request = parse(black_box(&body), Shape::Batch).unwrap();
            details(&request.events, &origin).unwrap()
        });
    });
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
