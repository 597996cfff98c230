//! Queue messages in, dispositions out: [`odyssey_flows::record_feedback`] does the rest.

use odyssey_domain::keyring::Keyring;
use odyssey_domain::time::Stamp;
use odyssey_flows::ports::{Bus, Tables};
use odyssey_flows::queue::{Disposition, QueueRecord};
use odyssey_flows::record_feedback;

/// One delivery of `feedback`'s queue.
pub(crate) async fn handle(
    tables: &impl Tables,
    bus: &impl Bus,
    keys: &Keyring,
    records: Vec<QueueRecord>,
    now: Stamp,
) -> Vec<Disposition> {
    record_feedback::run(tables, bus, keys, records, now).await
}
