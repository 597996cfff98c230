//! The due index: timers further off than a queue can delay.
//!
//! A due item's key is (shard, due time, owner, arm number) and is never reused, so that deleting
//! exactly the key that was handed over cannot delete a newer arming. Arming is idempotent.

use crate::ports::{Key, Table};
use odyssey_domain::time::Stamp;
use odyssey_domain::wire::Wake;

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
