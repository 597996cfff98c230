//! The due index: timers further off than a queue can delay.
//!
//! A due item's key is (shard, due time, owner, arm number) and is never reused, so that deleting
//! exactly the key that was handed over cannot delete a newer arming. Arming is idempotent.

use crate::ports::{
    Expect, Key, PortError, QUEUE_DELAY_MAX, Queue, QueueMessage, Queues, Table, Tables, Write,
};
use crate::stored::{self, Stored, StoredError};
use odyssey_domain::time::{Span, Stamp};
use odyssey_domain::wire::{Command, Owner, Wake};

/// The number of partitions that timers are spread over: 16 × 1,000 write units a second is above
/// what one stack sends (DynamoDB's limit per partition; developer guide, read 2026-11).
pub const SHARDS: u8 = 16;

/// A shard's partition key.
#[must_use]
pub fn shard_key(shard: u8) -> String {
    format!("due#{shard:02}")
}

/// The sort key at which the items due at `at` begin.
#[must_use]
pub fn sort_key_at(at: Stamp) -> String {
    format!("{:015}", at.ms())
}

/// Where a timer stands.
#[must_use]
pub fn key(wake: &Wake) -> Key {
    let owner = serde_json::to_string(&wake.owner).unwrap_or_default();
    let hash = odyssey_domain::ids::EventHash::of(&owner);
    Key {
        table: Table::Due,
        pk: shard_key(hash.0[0] % SHARDS),
        sk: format!("{}#{hash}#{}", sort_key_at(wake.due), wake.arm),
    }
}

/// A due item is the wake that will be sent.
impl Stored for Wake {
    const NAME: &'static str = "due";
    const SCHEMA: u16 = 1;
    /// Half a write unit: two names of a workspace, two hashes and two numbers.
    const BYTES_MAX: usize = 512;
}

/// How long past its time an armed timer is taken for lost: whoever loads its owner arms it again.
pub const OVERDUE: Span = odyssey_domain::journey::OVERDUE;

/// The queue of whatever owns a timer.
#[must_use]
pub const fn queue_of(owner: &Owner) -> Queue {
    match owner {
        Owner::Profile(_) => Queue::Profile,
        Owner::Enrollment(_) => Queue::Journey,
        Owner::Send(_) => Queue::Sender,
    }
}

/// The message that wakes an owner at the wake's due time, not before: the delay is rounded up to
/// whole seconds, and one already due is delivered at once.
///
/// # Errors
/// Where the wake cannot be written as JSON, which its types rule out.
pub fn message(wake: &Wake, now: Stamp) -> Result<QueueMessage, StoredError> {
    let body = serde_json::to_string(&Command::Wake(wake.clone()))
        .map_err(|e| StoredError::Corrupt { name: Wake::NAME, cause: e.to_string() })?;
    Ok(QueueMessage { body, delay: wake.due.since(now).min(QUEUE_DELAY_MAX) })
}

/// Arms a timer: by a delayed message where its time is at most [`QUEUE_DELAY_MAX`] off, else by a
/// due item. Arming the same again changes nothing: the item has the same key, and a second
/// message is stale once the first was acted on.
///
/// # Errors
/// Where the table or the queue fails.
pub async fn arm(
    tables: &impl Tables,
    queues: &impl Queues,
    wake: &Wake,
    now: Stamp,
) -> Result<(), StoredError> {
    if wake.due.since(now) <= QUEUE_DELAY_MAX {
        let unsent = queues.send(queue_of(&wake.owner), &[message(wake, now)?]).await?;
        if !unsent.is_empty() {
            return Err(not_sent("send a wake"));
        }
        return Ok(());
    }
    put(tables, wake).await
}

/// Puts the due item of a wake; the same again changes nothing.
///
/// # Errors
/// Where the table fails.
pub async fn put(tables: &impl Tables, wake: &Wake) -> Result<(), StoredError> {
    tables.write(write(wake)?).await?;
    Ok(())
}

/// The write of the due item of a wake, to be made with others.
///
/// # Errors
/// Where the wake cannot be written as JSON, which its types rule out.
pub fn write(wake: &Wake) -> Result<Write, StoredError> {
    Ok(Write::Put { row: stored::row(key(wake), wake, 1)?, expect: Expect::Any })
}

/// A queue took the call and not the message.
pub(crate) fn not_sent(operation: &'static str) -> StoredError {
    let cause = "the queue did not take every message of the batch".to_owned();
    StoredError::Port(PortError::Transient { operation, cause })
}
