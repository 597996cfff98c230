//! The tick.

use crate::world::{START, after};
use odyssey_domain::ids::{EnrollmentKeyHash, ProfileId};
use odyssey_domain::journey::{JourneyId, SlotId};
use odyssey_domain::time::{Span, Stamp};
use odyssey_domain::wire::{Command, Owner, Wake};
use odyssey_flows::due;
use odyssey_flows::ports::{Queue, Row, Table};
use odyssey_flows::sweep_due::{self, LOOK_AHEAD, PAGE, SweepReport};
use odyssey_testkit::{Fault, Memory, Operation, run, run_or_halt};
use std::collections::BTreeSet;

fn wake(owner: u16, due: Stamp) -> Wake {
    let mut bytes = [5; 16];
    bytes[..2].copy_from_slice(&owner.to_be_bytes());
    let profile = ProfileId::from_bytes(bytes);
    let owner = if owner.is_multiple_of(2) {
        Owner::Profile(profile)
    } else {
        let journey = JourneyId::parse("cart-recovery").unwrap();
        Owner::Enrollment(SlotId { profile, journey, key: EnrollmentKeyHash::of("") })
    };
    Wake { owner, arm: 1, due }
}

fn armed(wakes: &[Wake]) -> Memory {
    let memory = Memory::new();
    memory.set_now(START);
    for wake in wakes {
        run(due::put(&memory, wake)).unwrap();
    }
    memory
}

fn sweep(memory: &Memory, now: Stamp) -> SweepReport {
    memory.set_now(now);
    run(sweep_due::run(memory, memory, now, || false))
}

/// A wake as a set can hold it.
fn set(wakes: &[Wake]) -> BTreeSet<(Owner, u64, Stamp)> {
    wakes.iter().map(|wake| (wake.owner.clone(), wake.arm, wake.due)).collect()
}

fn handed_over(memory: &Memory) -> BTreeSet<(Owner, u64, Stamp)> {
    [Queue::Profile, Queue::Journey]
        .into_iter()
        .flat_map(|queue| memory.queue(queue).into_iter().map(move |m| (queue, m)))
        .map(|(queue, message)| match serde_json::from_str(&message.message.body).unwrap() {
            Command::Wake(wake) => {
                assert_eq!(queue, due::queue_of(&wake.owner), "to the queue of its owner");
                assert!(message.due >= wake.due, "not before its time");
                (wake.owner, wake.arm, wake.due)
            }
            Command::Send(_) | Command::Look { .. } => panic!("the tick wakes and no more"),
        })
        .collect()
}

#[test]
fn what_is_due_or_soon_is_handed_over_at_its_time_and_deleted() {
    let wakes = [
        wake(1, START.minus(Span::MINUTE.times(7))),
        wake(2, START),
        wake(3, START.plus(Span::from_ms(61_500))),
        wake(4, START.plus(LOOK_AHEAD)),
        wake(5, START.plus(LOOK_AHEAD).plus(Span::from_ms(1))),
        wake(6, after("4d")),
    ];
    let memory = armed(&wakes);
    let report = sweep(&memory, START);
    let expected = SweepReport {
        handed_over: 4,
        oldest_overdue: Span::MINUTE.times(7),
        ..SweepReport::default()
    };
    assert_eq!(report, expected);
    assert_eq!(handed_over(&memory), set(&wakes[..4]));
    let delays: BTreeSet<(u64, u64)> = memory
        .queue(Queue::Journey)
        .iter()
        .map(|m| (m.message.delay.ms(), m.due.since(START).ms()))
        .collect();
    assert_eq!(delays, BTreeSet::from([(0, 0), (61_500, 62_000)]));
    assert_eq!(memory.rows_of(Table::Due).len(), 2);
    assert_eq!(sweep(&memory, START), SweepReport::default(), "a doubled tick finds nothing");
}

#[test]
fn a_shard_longer_than_a_page_is_swept_to_its_end() {
    // One owner with many arm numbers stands in one shard.
    let many: Vec<Wake> = (0..2 * PAGE as u64 + 7)
        .map(|arm| Wake { arm, ..wake(1, START.plus(Span::from_ms(arm / 3))) })
        .collect();
    let memory = armed(&many);
    assert_eq!(sweep(&memory, START).handed_over, many.len() as u64);
    assert_eq!(handed_over(&memory).len(), many.len());
    assert_eq!(memory.rows_of(Table::Due), []);
}

#[test]
fn time_up_leaves_the_rest_for_the_next_tick() {
    let many: Vec<Wake> = (0..2 * PAGE as u64).map(|arm| Wake { arm, ..wake(1, START) }).collect();
    let none = armed(&many);
    let report = run(sweep_due::run(&none, &none, START, || true));
    assert_eq!((report.handed_over, report.shards_unfinished), (0, u64::from(due::SHARDS)));
    for pages in 0..=usize::from(due::SHARDS) {
        let memory = armed(&many);
        let asked = std::cell::Cell::new(0);
        let time_is_up = || asked.replace(asked.get() + 1) >= pages;
        let report = run(sweep_due::run(&memory, &memory, START, time_is_up));
        let rest = sweep(&memory, START);
        assert_eq!(rest.handed_over + report.handed_over, 2 * PAGE as u64, "after {pages} pages");
    }
}

#[test]
fn what_a_queue_did_not_take_stays() {
    let many: Vec<Wake> = (0..20).map(|arm| Wake { arm, ..wake(1, START) }).collect();
    let memory = armed(&many);
    memory.on_call(|call| match call.operation {
        Operation::Enqueue(Queue::Journey) => Fault::Partial(vec![3, 4]),
        _ => Fault::None,
    });
    let report = sweep(&memory, START);
    assert_eq!((report.handed_over, report.left), (18, 2));
    assert_eq!(memory.rows_of(Table::Due).len(), 2);
    memory.calm();
    assert_eq!(sweep(&memory, START).handed_over, 2);
    assert_eq!(handed_over(&memory), set(&many));
}

#[test]
fn a_queue_that_fails_keeps_its_own_timers_only() {
    let memory = armed(&[wake(1, START), wake(2, START)]);
    memory.on_call(|call| match call.operation {
        Operation::Enqueue(Queue::Profile) => Fault::FailBefore,
        _ => Fault::None,
    });
    let report = sweep(&memory, START);
    assert_eq!((report.handed_over, report.left), (1, 1));
}

#[test]
fn a_tick_killed_anywhere_loses_nothing() {
    let wakes: Vec<Wake> = (0..12).map(|owner| wake(owner, START)).collect();
    for ordinal in 12..60 {
        for fault in [Fault::HaltBefore, Fault::HaltAfter, Fault::FailBefore, Fault::FailAfter] {
            let memory = armed(&wakes);
            let wanted = fault.clone();
            memory.on_call(
                move |call| {
                    if call.ordinal == ordinal { wanted.clone() } else { Fault::None }
                },
            );
            let _killed = run_or_halt(sweep_due::run(&memory, &memory, START, || false));
            memory.calm();
            sweep(&memory, START.plus(Span::MINUTE));
            assert_eq!(handed_over(&memory), set(&wakes), "{fault:?} at call {ordinal}");
            assert_eq!(memory.rows_of(Table::Due), [], "{fault:?} at call {ordinal}");
        }
    }
}

#[test]
fn an_item_that_cannot_be_read_does_not_stop_the_others() {
    let memory = armed(&[wake(1, START), wake(2, START)]);
    let mut bad: Row = memory.rows_of(Table::Due).remove(0);
    bad.key.sk = format!("{}#x#1", due::sort_key_at(START));
    bad.body = b"\0not json".to_vec();
    memory.seed(bad);
    let report = sweep(&memory, START);
    assert_eq!((report.handed_over, report.unreadable), (2, 1));
    assert_eq!(memory.rows_of(Table::Due).len(), 1);
}

#[test]
fn arming_goes_by_queue_or_by_index() {
    for (length, by_queue) in [("0s", true), ("15m", true), ("901s", false), ("3d", false)] {
        let memory = Memory::new();
        memory.set_now(START);
        let wake = wake(1, after(length));
        run(due::arm(&memory, &memory, &wake, START)).unwrap();
        assert_eq!(memory.queue(Queue::Journey).len(), usize::from(by_queue), "{length}");
        assert_eq!(memory.rows_of(Table::Due).len(), usize::from(!by_queue), "{length}");
        run(due::arm(&memory, &memory, &wake, START)).unwrap();
        assert_eq!(memory.rows_of(Table::Due).len(), usize::from(!by_queue), "twice is once");
    }
}
