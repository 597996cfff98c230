//! Queue messages in, dispositions out: [`odyssey_flows::send_message`] does the rest.

use odyssey_domain::time::Stamp;
use odyssey_flows::ports::{Mailer, Queues, Tables};
use odyssey_flows::queue::{Disposition, QueueRecord};
use odyssey_flows::send_message::{self, Sending};

/// One delivery of `sender`'s queue. What became of sends is counted.
pub(crate) async fn handle(
    sending: &Sending,
    tables: &impl Tables,
    queues: &impl Queues,
    mailer: &impl Mailer,
    records: Vec<QueueRecord>,
    now: Stamp,
) -> Vec<Disposition> {
    let dispositions = send_message::run(sending, tables, queues, mailer, records, now).await;
    for (metric, count) in sending.tally.take() {
        odyssey_telemetry::count(metric, count);
    }
    dispositions
}
