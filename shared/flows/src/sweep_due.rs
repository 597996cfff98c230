//! The tick: hands over timers that are due, or will be before it comes again, to the queues of
//! their owners.
//!
//! A message goes out with the delay that brings it to its time, and only then is exactly its key
//! deleted. So a tick that is missed, late, doubled or killed half-way loses nothing: what was not
//! deleted is handed over again, and its second wake is stale.

use crate::due::{SHARDS, message, queue_of, shard_key, sort_key_at};
use crate::ports::{
    Consistency, Expect, Key, PortError, Query, Queue, QueueMessage, Queues, Row, Table, Tables,
    Write,
};
use crate::stored::decode;
use futures_util::future::join_all;
use odyssey_domain::time::{Span, Stamp};
use odyssey_domain::wire::Wake;

/// How far ahead timers are handed over. The schedule fires within its minute, not on the second,
/// and now and then misses one, so one minute would make steps late; handing over earlier costs
/// nothing, since a timer in the index was armed at least 15 minutes before its time.
pub const LOOK_AHEAD: Span = Span::MINUTE.times(2);
/// Timers read and handed over at a time, per shard.
pub const PAGE: usize = 100;
/// Timers of one page deleted at a time.
const DELETES_AT_ONCE: usize = 10;

/// What a tick did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SweepReport {
    /// Timers handed over and deleted.
    pub handed_over: u64,
    /// Timers left for the next tick: their queue did not take them, or their deletion failed.
    pub left: u64,
    /// Items that this release cannot read; they stay.
    pub unreadable: u64,
    /// Shards that could not be read.
    pub shards_failed: u64,
    /// Shards that were not finished before the time was up.
    pub shards_unfinished: u64,
    /// How long past its time the latest timer was handed over: the lag.
    pub oldest_overdue: Span,
}

impl SweepReport {
    fn add(&mut self, other: SweepReport) {
        self.handed_over += other.handed_over;
        self.left += other.left;
        self.unreadable += other.unreadable;
        self.shards_failed += other.shards_failed;
        self.shards_unfinished += other.shards_unfinished;
        self.oldest_overdue = self.oldest_overdue.max(other.oldest_overdue);
    }
}

/// Hands over what is due until `now` and [`LOOK_AHEAD`]. `time_is_up` is asked before each page:
/// a shard that is not finished then is left for the next tick. A shard that fails does not stop
/// the others.
pub async fn run(
    tables: &impl Tables,
    queues: &impl Queues,
    now: Stamp,
    time_is_up: impl Fn() -> bool,
) -> SweepReport {
    let time_is_up = &time_is_up;
    let shards = (0..SHARDS).map(|shard| async move {
        let mut report = SweepReport::default();
        if let Err(error) = sweep_shard(tables, queues, shard, now, time_is_up, &mut report).await {
            tracing::warn!(shard, error = %error, "a shard of the due index could not be read");
            report.shards_failed = 1;
        }
        report
    });
    let mut total = SweepReport::default();
    for report in join_all(shards).await {
        total.add(report);
    }
    total
}

async fn sweep_shard(
    tables: &impl Tables,
    queues: &impl Queues,
    shard: u8,
    now: Stamp,
    time_is_up: &impl Fn() -> bool,
    report: &mut SweepReport,
) -> Result<(), PortError> {
    // Keys until that very millisecond: `~` is greater than any that follows the time in a key.
    let to = format!("{}~", sort_key_at(now.plus(LOOK_AHEAD)));
    let mut from = "0".to_owned();
    loop {
        if time_is_up() {
            report.shards_unfinished = 1;
            return Ok(());
        }
        let query = Query {
            table: Table::Due,
            pk: shard_key(shard),
            from: from.clone(),
            to: to.clone(),
            limit: PAGE,
            descending: false,
            // A timer not seen yet is seen by the next tick.
            consistency: Consistency::Eventual,
        };
        let rows = tables.query(&query).await?;
        let Some(last) = rows.last() else {
            return Ok(());
        };
        // The least key after it: `!` is less than anything that may follow in a key.
        from = format!("{}!", last.key.sk);
        let full = rows.len() >= PAGE;
        hand_over(tables, queues, rows, now, report).await;
        if !full {
            return Ok(());
        }
    }
}

/// Sends the wakes of a page, then deletes the keys of those that were sent.
async fn hand_over(
    tables: &impl Tables,
    queues: &impl Queues,
    rows: Vec<Row>,
    now: Stamp,
    report: &mut SweepReport,
) {
    let mut wakes: Vec<(Key, Wake, QueueMessage)> = Vec::with_capacity(rows.len());
    for row in rows {
        let read = decode::<Wake>(&row).and_then(|wake| Ok((message(&wake, now)?, wake)));
        match read {
            Ok((message, wake)) => wakes.push((row.key, wake, message)),
            Err(error) => {
                tracing::error!(key = row.key.sk, error = %error, "a due item cannot be read");
                report.unreadable += 1;
            }
        }
    }
    let mut sent: Vec<(Key, Stamp)> = Vec::with_capacity(wakes.len());
    for queue in [Queue::Profile, Queue::Journey] {
        let (keys, messages): (Vec<(Key, Stamp)>, Vec<QueueMessage>) = wakes
            .iter()
            .filter(|(_, wake, _)| queue_of(&wake.owner) == queue)
            .map(|(key, wake, message)| ((key.clone(), wake.due), message.clone()))
            .unzip();
        if messages.is_empty() {
            continue;
        }
        match queues.send(queue, &messages).await {
            Ok(unsent) => {
                report.left += unsent.len() as u64;
                let keys = keys.into_iter().enumerate();
                sent.extend(keys.filter(|(i, _)| !unsent.contains(i)).map(|(_, key)| key));
            }
            Err(error) => {
                tracing::warn!(error = %error, "a queue took no wakes");
                report.left += messages.len() as u64;
            }
        }
    }
    for chunk in sent.chunks(DELETES_AT_ONCE) {
        let deletes = chunk.iter().map(|(key, due)| async move {
            let delete = Write::Delete { key: key.clone(), expect: Expect::Any };
            (tables.write(delete).await, *due)
        });
        for (deleted, due) in join_all(deletes).await {
            report.oldest_overdue = report.oldest_overdue.max(now.since(due));
            match deleted {
                Ok(_) => report.handed_over += 1,
                Err(error) => {
                    tracing::warn!(error = %error, "a handed over timer was not deleted");
                    report.left += 1;
                }
            }
        }
    }
}
