//! Queue messages in, dispositions out: [`odyssey_flows::advance_enrollment`] does the rest.

use odyssey_domain::time::Stamp;
use odyssey_flows::advance_enrollment;
use odyssey_flows::catalog::CatalogCache;
use odyssey_flows::ports::{Queues, Tables};
use odyssey_flows::queue::{Disposition, QueueRecord};
use odyssey_telemetry::count;

/// One delivery of `journey`'s queue.
pub(crate) async fn handle(
    tables: &impl Tables,
    queues: &impl Queues,
    cache: &CatalogCache,
    records: Vec<QueueRecord>,
    now: Stamp,
) -> Vec<Disposition> {
    let (dispositions, counts) =
        advance_enrollment::run_counted(tables, queues, cache, records, now).await;
    let whole = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    count("EntriesMade", whole(counts.entered));
    count("EntriesDuplicate", whole(counts.duplicates));
    dispositions
}

#[cfg(test)]
mod tests {
    use super::*;
    use odyssey_testkit::{Memory, run};

    #[test]
    fn without_a_workspace_messages_wait() {
        let memory = Memory::new();
        let cache = CatalogCache::default();
        let record = QueueRecord {
            message_id: "m-1".to_owned(),
            request_id: "r-1".to_owned(),
            receive_count: 1,
            body: "{}".to_owned(),
        };
        let now = Stamp::from_ms(1_700_000_000_000);
        let dispositions = run(handle(&memory, &memory, &cache, vec![record], now));
        assert!(matches!(dispositions.as_slice(), [Disposition::Retry { .. }]));
    }
}
