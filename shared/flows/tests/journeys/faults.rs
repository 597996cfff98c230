//! Whatever fails, whenever: the same mails are asked for, and nobody is left standing.

use crate::world::{START, World, ada, after, event, folded, two_mails, wake_of};
use odyssey_domain::journey::Ending;
use odyssey_domain::time::{Span, Stamp};
use odyssey_flows::ports::{Queue, Table};
use odyssey_flows::queue::{Disposition, QueueRecord, UNANSWERED};
use odyssey_testkit::{Call, Fault, Operation};
use proptest::prelude::*;

fn record(body: String) -> QueueRecord {
    QueueRecord {
        message_id: "trigger".to_owned(),
        request_id: "request".to_owned(),
        receive_count: 1,
        body,
    }
}

/// A trigger, and where given an order, under these faults; the world afterwards.
fn live(order: Option<Stamp>, fault: impl FnMut(Call) -> Fault + Send + 'static) -> World {
    let mut world = World::new(&two_mails());
    let added = event("Product Added", "m-1", START);
    world.fold(ada(), &added);
    let order = order.map(|at| event("Order Completed", "o-1", at));
    world.memory.on_call(fault);
    world.deliver_records(vec![record(folded(ada(), &[ada()], &added))], START);
    match order {
        None => world.live(START, after("28h")),
        Some(order) => {
            world.live(START, order.at);
            let memory = world.memory.clone();
            // The fold is not what is tested here.
            memory.calm();
            world.fold(ada(), &order);
            world.deliver_records(vec![record(folded(ada(), &[ada()], &order))], order.at);
            world.live(order.at, after("28h"));
        }
    }
    world
}

fn is_interesting(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::Get(Table::Enrollments | Table::Profiles)
            | Operation::Query(_)
            | Operation::Write(_)
            | Operation::Enqueue(_)
    )
}

#[test]
fn a_fault_at_any_one_call_changes_nothing_in_the_end() {
    for fault in [
        Fault::FailBefore,
        Fault::FailAfter,
        Fault::HaltBefore,
        Fault::HaltAfter,
        Fault::Echo,
        Fault::Partial(vec![0]),
    ] {
        for target in 0..24 {
            let (fault, mut seen) = (fault.clone(), 0);
            let wanted = fault.clone();
            let world = live(None, move |call| {
                // Empty shards are read all the time; those calls are not counted.
                let counts = is_interesting(call.operation)
                    && call.operation != Operation::Query(Table::Due);
                if !counts {
                    return Fault::None;
                }
                seen += 1;
                if seen - 1 == target { wanted.clone() } else { Fault::None }
            });
            let what = format!("{fault:?} at call {target}");
            assert_eq!(world.sent_steps(), ["last", "remind"], "{what}");
            assert_eq!(world.hers().ended.map(|(e, _)| e), Some(Ending::Completed), "{what}");
            assert_eq!(world.memory.rows_of(Table::Due), [], "{what}");
            assert_eq!(world.parked, Vec::<&str>::new(), "{what}");
        }
    }
}

fn any_fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        12 => Just(Fault::None),
        1 => Just(Fault::FailBefore),
        1 => Just(Fault::FailAfter),
        1 => Just(Fault::HaltBefore),
        1 => Just(Fault::HaltAfter),
        1 => Just(Fault::Echo),
        1 => Just(Fault::Partial(vec![0])),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn faults_all_the_time_lose_nothing_and_double_nothing(
        faults in prop::collection::vec(any_fault(), 1..200),
        order in prop::option::of(0_u64..1_600),
    ) {
        let mut faults = faults.into_iter();
        let order = order.map(|minutes| after(&format!("{minutes}m")));
        let world = live(order, move |call| {
            if is_interesting(call.operation) { faults.next().unwrap_or(Fault::None) } else { Fault::None }
        });
        let hers = world.enrollment(&world.slot(ada(), "c-1"));
        let ending = hers.and_then(|hers| hers.ended).map(|(ending, _)| ending);
        let sent = world.sent_steps();
        match order {
            None => {
                prop_assert_eq!(sent, ["last", "remind"]);
                prop_assert_eq!(ending, Some(Ending::Completed));
            }
            Some(at) => {
                // Faults may make a step late, and then the order comes first; where they made
                // the entering late, she does not even enter.
                let latest = usize::from(at >= after("1h")) + usize::from(at >= after("25h"));
                prop_assert!(sent.len() <= latest, "{:?} by {}", sent, at);
                let never_in = world.memory.rows_of(Table::Enrollments).is_empty();
                prop_assert!(ending.is_some() || never_in);
            }
        }
        prop_assert_eq!(world.memory.rows_of(Table::Due), []);
    }
}

#[test]
fn a_dead_letter_that_is_put_back_is_carried_out() {
    let mut world = World::new(&two_mails());
    let added = event("Product Added", "m-1", START);
    world.fold(ada(), &added);
    world.deliver_records(vec![record(folded(ada(), &[ada()], &added))], START);
    let waiting = world.hers();
    let due = waiting.due.unwrap();
    let wake = wake_of(&waiting);
    // The queue refuses for good: the step is written, the mail not asked for, the wake parked.
    world.memory.on_call(|call| match call.operation {
        Operation::Enqueue(Queue::Sender) => Fault::Refuse,
        _ => Fault::None,
    });
    world.deliver_records(vec![record(wake.clone())], due);
    world.memory.calm();
    assert_eq!((world.parked.as_slice(), world.sent_steps().len()), (["refused"].as_slice(), 0));
    // SQS counts the receipts of what is put back from one again.
    world.deliver_records(vec![record(wake)], due.plus(Span::HOUR.times(7)));
    assert_eq!(world.sent_steps(), ["remind"]);
}

/// The simulator's seed 7053: a message in its place would not say that it was delivered before, and
/// what that delivery's write stored, which landed late, would never be carried out.
#[test]
fn a_wake_before_its_time_stays_on_the_queue() {
    let mut world = World::new(&two_mails());
    let added = event("Product Added", "m-1", START);
    world.fold(ada(), &added);
    world.deliver(&[folded(ada(), &[ada()], &added)], 1, START);
    let before = (world.memory.rows(), world.memory.calls().len());
    let early = world.deliver(&[wake_of(&world.hers())], 1, after("59m"));
    let [Disposition::Retry { after: Some(left), .. }] = early.as_slice() else {
        panic!("{early:?}")
    };
    assert_eq!(*left, Span::MINUTE);
    assert_eq!(world.memory.rows(), before.0);
    let calls = world.memory.calls().split_off(before.1);
    assert!(calls.iter().all(|call| matches!(call, Operation::Get(_))), "{calls:?}");
}

/// The simulator's seed 44401: letting somebody in timed out and took effect nine seconds later. The
/// record had come back before, found the order cancelled by then, and was done with; nobody armed
/// what landed.
#[test]
fn a_record_comes_back_when_its_unanswered_write_must_have_landed() {
    let mut world = World::new(&two_mails());
    let added = event("Product Added", "m-1", START);
    world.fold(ada(), &added);
    world.memory.on_call(|call| match call.operation {
        Operation::Write(Table::Enrollments) => Fault::FailBefore,
        _ => Fault::None,
    });
    for (receipts, least) in [(1, UNANSWERED), (2, UNANSWERED), (12, Span::MINUTE.times(10))] {
        let done = world.deliver(&[folded(ada(), &[ada()], &added)], receipts, START);
        let [Disposition::Retry { after: Some(after), .. }] = done.as_slice() else {
            panic!("{done:?}")
        };
        assert!(*after >= least, "{after} after {receipts} receipts");
    }
    // A read has no effect to wait for.
    world.memory.on_call(|call| match call.operation {
        Operation::Get(Table::Profiles) => Fault::FailBefore,
        _ => Fault::None,
    });
    let done = world.deliver(&[folded(ada(), &[ada()], &added)], 1, START);
    assert!(matches!(done.as_slice(), [Disposition::Retry { after: None, .. }]), "{done:?}");
}
