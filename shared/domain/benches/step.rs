//! How many journey steps a core takes in a second: a wake that moves an enrollment on, a hint
//! that changes nothing, and an order that ends it. The bound is a million (docs/SPEED.md).

#![expect(clippy::unwrap_used, clippy::panic, reason = "a benchmark may fail")]

#[path = "work/stepping.rs"]
mod stepping;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use odyssey_domain::journey::{Input, step};
use odyssey_domain::profile::ProfileView;
use odyssey_domain::time::{Span, Stamp};
use std::hint::black_box;
use stepping::{START, enrolled, plan, view};

fn steps(criterion: &mut Criterion) {
    let plan = plan();
    let (quiet, bought) = (view(None), view(Some(START.plus(Span::HOUR.times(5)))));
    let waiting = enrolled(&plan, &quiet);
    let due = waiting.due.unwrap();
    let mut group = criterion.benchmark_group("step");
    group.throughput(Throughput::Elements(1));
    let mut bench = |name: &str, view: &ProfileView, input: Input, now: Stamp| {
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || (),
                |()| step(&plan, black_box(&waiting), view, black_box(input), now),
                BatchSize::SmallInput,
            );
        });
    };
    let woken = Input::Woken { arm: waiting.arm };
    bench("a wake sends a mail and waits again", &quiet, woken, due);
    bench("a hint changes nothing", &quiet, Input::Hint, due.minus(Span::MINUTE));
    bench("a stale wake changes nothing", &quiet, Input::Woken { arm: 0 }, due);
    bench("an order ends it", &bought, Input::Hint, due);
    group.finish();
}

criterion_group!(benches, steps);
criterion_main!(benches);
