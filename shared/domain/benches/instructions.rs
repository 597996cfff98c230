//! The instructions that the domain's work takes, counted by callgrind: the same on every machine
//! and under any load, so that a rise is a change of the code. A rise of more than 1 % is
//! explained in `docs/COST.md`.
//!
//! `cargo bench -p odyssey-domain --features callgrind --bench instructions` needs valgrind and
//! `cargo install gungraun-runner` of the same version as the library.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a benchmark may fail")]
#![expect(missing_docs, unused_qualifications, reason = "what gungraun's macros expand to")]

#[path = "work/folding.rs"]
mod folding;
#[path = "work/parsing.rs"]
mod parsing;
#[path = "work/stepping.rs"]
mod stepping;

use gungraun::{library_benchmark, library_benchmark_group, main};
use odyssey_domain::event::Event;
use odyssey_domain::event::publish::{Origin, details};
use odyssey_domain::event::request::{Shape, parse};
use odyssey_domain::journey::{Enrollment, Input, Plan, Transition, step};
use odyssey_domain::profile::{Accumulator, ProfileView, Watched};
use odyssey_domain::time::{Span, Stamp};
use odyssey_domain::wire::SourceRef;
use std::hint::black_box;

#[library_benchmark]
#[bench::twenty_events(parsing::body())]
fn parse_and_validate(body: String) -> usize {
    parse(black_box(&body), Shape::Batch).unwrap().events.len()
}

#[library_benchmark]
#[bench::twenty_events(parsing::body(), folding::source())]
fn parse_group_encode(body: String, source: SourceRef) -> Vec<String> {
    let received = Stamp::from_ms(1_795_289_101_000);
    let origin = Origin { request: "JKJaXmPLvHcESHA=", received, source: &source };
    let request = parse(black_box(&body), Shape::Batch).unwrap();
    details(&request.events, &origin).unwrap()
}

#[library_benchmark]
#[bench::two_hundred_events(
    folding::warm(),
    folding::next(),
    folding::source(),
    folding::watched()
)]
fn fold(
    mut accumulator: Accumulator,
    events: Vec<Event>,
    source: SourceRef,
    watched: Watched,
) -> (Accumulator, Vec<Event>) {
    for event in &events {
        black_box(accumulator.fold(black_box(event), &source, &watched));
    }
    // What is given back is not dropped here, where it would be counted.
    (accumulator, events)
}

/// Somebody who waits, in their journey.
type Waiting = (Plan, Enrollment, ProfileView);

fn waiting() -> Waiting {
    let plan = stepping::plan();
    let view = stepping::view(None);
    let enrollment = stepping::enrolled(&plan, &view);
    (plan, enrollment, view)
}

#[library_benchmark]
#[bench::sends_a_mail_and_waits_again(waiting())]
fn wake((plan, enrollment, view): Waiting) -> (Transition, Waiting) {
    let input = Input::Woken { arm: enrollment.arm };
    let due = enrollment.due.unwrap();
    let transition = step(&plan, black_box(&enrollment), &view, black_box(input), due);
    (transition, (plan, enrollment, view))
}

#[library_benchmark]
#[bench::changes_nothing(waiting())]
fn hint((plan, enrollment, view): Waiting) -> (Transition, Waiting) {
    let early = enrollment.due.unwrap().minus(Span::MINUTE);
    let transition = step(&plan, black_box(&enrollment), &view, black_box(Input::Hint), early);
    (transition, (plan, enrollment, view))
}

library_benchmark_group!(
    name = domain,
    benchmarks = [parse_and_validate, parse_group_encode, fold, wake, hint]
);

main!(library_benchmark_groups = domain);
