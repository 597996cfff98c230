//! Parsing and validating a request beside typed `serde_json` alone on the same bytes.
//!
//! The bound is 60 % of its speed (docs/SPEED.md). The request is what `ingest` sees most: a
//! batch of 20 events of 1.15 KB each.

#![expect(clippy::unwrap_used, reason = "what cannot go on has failed")]

#[path = "work/parsing.rs"]
mod parsing;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use odyssey_domain::event::publish::{Origin, details};
use odyssey_domain::event::request::{Shape, parse};
use odyssey_domain::event::unicode::to_text;
use odyssey_domain::time::Stamp;
use odyssey_domain::wire::{SourceKind, SourceRef};
use parsing::body;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::hint::black_box;

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
