//! The tick: hands over timers that are due, or will be before it comes again, to the queues of
//! their owners.
//!
//! A message goes out with the delay that brings it to its time, and only then is exactly its key
//! deleted. So a tick that is missed, late, doubled or killed half-way loses nothing: what was not
//! deleted is handed over again, and its second wake is stale.

use crate::due::{SHARDS, message, queue_of, shard_key, sort_key_at};
use crate::ports::{
    Consistency, Expect, Key, Query, Queue, QueueMessage, Queues, Row, Table, Tables, Write,
};
use crate::stored::decode;
use futures_util::StreamExt as _;
use odyssey_domain::time::{Span, Stamp};
use odyssey_domain::wire::Wake;

/// How far ahead timers are handed over. The schedule fires within its minute, not on the second,
/// and now and then misses one, so one minute would make steps late; handing over earlier costs
/// nothing, since a timer in the index was armed at least 15 minutes before its time.
pub const LOOK_AHEAD: Span = Span::MINUTE.times(2);
/// Timers of each shard read and handed over at a time.
pub const PAGE: usize = 100;
/// Shards read at a time. Each read under way has a connection of its own, which is closed before
/// the next tick, and opening one takes longer than a read.
const READS_AT_ONCE: usize = 8;
/// Timers deleted at a time.
const DELETES_AT_ONCE: usize = 100;

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

/// Hands over what is due until `now` and [`LOOK_AHEAD`], a page of every shard at a time, so that
/// the messages of all shards share their calls. `time_is_up` is asked before each round: shards
/// that are not finished then are left for the next tick. One that fails does not stop the others.
pub async fn run(
    tables: &impl Tables,
    queues: &impl Queues,
    now: Stamp,
    time_is_up: impl Fn() -> bool,
) -> SweepReport {
    let mut report = SweepReport::default();
    // Keys until that very millisecond: `~` is greater than any that follows the time in a key.
    let to = format!("{}~", sort_key_at(now.plus(LOOK_AHEAD)));
    let mut unfinished: Vec<(u8, String)> =
        (0..SHARDS).map(|shard| (shard, "0".to_owned())).collect();
    while !unfinished.is_empty() {
        if time_is_up() {
            report.shards_unfinished = unfinished.len() as u64;
            break;
        }
        let pages = unfinished.drain(..).map(|(shard, from)| {
            let query = page_of(shard, from, to.clone());
            async move { (shard, tables.query(&query).await) }
        });
        let mut pages =
            futures_util::stream::iter(pages.collect::<Vec<_>>()).buffered(READS_AT_ONCE);
        let mut due = Vec::new();
        while let Some((shard, page)) = pages.next().await {
            match page {
                Err(error) => {
                    tracing::warn!(shard, %error, "a shard of the due index could not be read");
                    report.shards_failed += 1;
                }
                Ok(rows) => {
                    if let (true, Some(last)) = (rows.len() >= PAGE, rows.last()) {
                        // The least key after it: `!` is less than anything that may follow.
                        unfinished.push((shard, format!("{}!", last.key.sk)));
                    }
                    due.extend(rows);
                }
            }
        }
        // Boxed, so that the type of the whole stays within the compiler's depth.
        Box::pin(hand_over(tables, queues, due, now, &mut report)).await;
    }
    report
}

fn page_of(shard: u8, from: String, to: String) -> Query {
    Query {
        table: Table::Due,
        pk: shard_key(shard),
        from,
        to,
        limit: PAGE,
        descending: false,
        // A timer not seen yet is seen by the next tick.
        consistency: Consistency::Eventual,
    }
}

/// Sends the wakes of one page of each shard, then deletes the keys of those that were sent.
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
    for queue in [Queue::Profile, Queue::Journey, Queue::Sender] {
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
    let deletes = sent.into_iter().map(|(key, due)| async move {
        (tables.write(Write::Delete { key, expect: Expect::Any }).await, due)
    });
    let mut deletes = futures_util::stream::iter(deletes).buffer_unordered(DELETES_AT_ONCE);
    while let Some((deleted, due)) = deletes.next().await {
        report.oldest_overdue = report.oldest_overdue.max(now.since(due));
        match deleted {
            Ok(_) => report.handed_over += 1,
            Err(error) => {
                tracing::warn!(%error, "a handed over timer was not deleted");
                report.left += 1;
            }
        }
    }
}
