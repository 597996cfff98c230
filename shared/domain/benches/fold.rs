//! Folding events into a warm accumulator.
//!
//! The bound is a million folds a second on one core (docs/SPEED.md).

#![expect(clippy::expect_used, reason = "a benchmark that cannot set up stops")]

#[path = "work/folding.rs"]
mod folding;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use folding::{EVENTS, event, next, source, warm, watched};
use odyssey_domain::event::Event;
use odyssey_domain::profile::Folded;
use std::hint::black_box;

fn fold(c: &mut Criterion) {
    let (source, watched, events) = (source(), watched(), next());
    let mut warm = warm();
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
