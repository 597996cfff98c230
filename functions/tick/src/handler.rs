//! A tick in, two metrics out: [`odyssey_flows::sweep_due`] does the rest.

use odyssey_aws::lambda::Deadline;
use odyssey_domain::time::{Span, Stamp};
use odyssey_flows::ports::{Queues, Tables};
use odyssey_flows::sweep_due;

/// No page is begun with less than this left, in real time: one takes well under a second, a
/// call that is retried up to eight.
const TIME_FOR_A_PAGE: Span = Span::from_ms(10_000);

/// Part of the due index could not be read. What was read was handed over; the rest waits for the
/// next tick.
#[derive(Debug, thiserror::Error)]
#[error("{shards} shards of the due index could not be swept; the reasons are in the log")]
pub(crate) struct SweepError {
    shards: u64,
}

/// One tick.
///
/// `TickLagMs` is how late the latest timer was handed over, 0 where none was late. It is left out
/// where shards failed: nobody knows then, and its alarm takes missing data for a breach.
/// `TickLeft` counts the timers that have to wait for the next tick.
pub(crate) async fn handle(
    tables: &impl Tables,
    queues: &impl Queues,
    now: Stamp,
    deadline: Deadline,
) -> Result<(), SweepError> {
    let time_is_up = || deadline.left().is_some_and(|left| left < TIME_FOR_A_PAGE);
    let report = sweep_due::run(tables, queues, now, time_is_up).await;
    odyssey_telemetry::count("TickLeft", report.left + report.unreadable);
    if report.shards_failed > 0 {
        return Err(SweepError { shards: report.shards_failed });
    }
    odyssey_telemetry::measure("TickLagMs", report.oldest_overdue.ms());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use odyssey_domain::ids::ProfileId;
    use odyssey_domain::wire::{Owner, Wake};
    use odyssey_flows::due;
    use odyssey_flows::ports::{Queue, Table};
    use odyssey_testkit::{Fault, Memory, Operation, run};

    const NOW: Stamp = Stamp::from_ms(1_700_000_000_000);

    #[test]
    fn a_tick_hands_over_what_is_due() {
        let memory = Memory::new();
        memory.set_now(NOW);
        let owner = Owner::Profile(ProfileId::from_bytes([4; 16]));
        run(due::put(&memory, &Wake { owner, arm: 3, due: NOW })).unwrap();
        run(handle(&memory, &memory, NOW, Deadline::unknown())).unwrap();
        assert_eq!(memory.queue(Queue::Profile).len(), 1);
        assert_eq!(memory.rows_of(Table::Due), []);
    }

    #[test]
    fn a_shard_that_fails_fails_the_tick() {
        let memory = Memory::new();
        memory.on_call(|call| match call.operation {
            Operation::Query(Table::Due) if call.ordinal == 5 => Fault::FailBefore,
            _ => Fault::None,
        });
        let error = run(handle(&memory, &memory, NOW, Deadline::unknown())).unwrap_err();
        assert_eq!(
            error.to_string(),
            "1 shards of the due index could not be swept; the reasons are in the log"
        );
    }
}
