//! One batch of queue records, from event to answer.

use super::caught;
use super::dead_letters::{Later, OffQueue};
use odyssey_domain::ids::EventHash;
use odyssey_domain::time::{Span, Stamp};
use odyssey_domain::wire::Parked;
use odyssey_flows::queue::{Disposition, QueueRecord};
use odyssey_telemetry::Summary;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The first retry comes after this; each further one takes twice as long.
const RETRY_MIN_SECONDS: u32 = 2;
/// … up to this.
const RETRY_MAX_SECONDS: u32 = 900;
/// SQS's own limit of a visibility time-out: 12 hours.
const VISIBILITY_MAX_SECONDS: u32 = 43_200;
/// A record that has panicked alone is parked once it was received more often than this.
const PANICS_MAX: u32 = 3;
/// At most this many reasons are named in an invocation's line.
const REASONS_MAX: usize = 5;

/// What SQS's event source mapping sends. Fields that nothing here reads are left out; the names
/// in capitals are those of SQS's own API, which some event sources pass on unchanged.
#[derive(Debug, Deserialize)]
pub(super) struct SqsEvent {
    #[serde(rename = "Records", alias = "Messages", default)]
    records: Vec<SqsRecord>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SqsRecord {
    #[serde(alias = "MessageId")]
    message_id: String,
    #[serde(alias = "ReceiptHandle", default)]
    receipt_handle: String,
    #[serde(alias = "Body", default)]
    body: String,
    #[serde(rename = "eventSourceARN", default)]
    queue_arn: String,
    #[serde(alias = "Attributes", default)]
    attributes: SqsAttributes,
}

impl std::fmt::Debug for SqsRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqsRecord").field("message_id", &self.message_id).finish_non_exhaustive()
    }
}

#[derive(Debug, Default, Deserialize)]
struct SqsAttributes {
    /// A number, as text.
    #[serde(rename = "ApproximateReceiveCount", default)]
    receive_count: String,
}

/// What Lambda deletes from the queue is what is not named here.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BatchAnswer {
    batch_item_failures: Vec<Failure>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    item_identifier: String,
}

/// How long a message stays hidden after its `receipts`-th receipt failed: 2 s, 4 s … 15 min,
/// less up to a quarter that its id alone decides, so that what failed together does not come
/// back together.
fn hidden_for(message_id: &str, receipts: u32) -> u32 {
    let doublings = receipts.saturating_sub(1).min(16);
    let seconds = (RETRY_MIN_SECONDS << doublings).min(RETRY_MAX_SECONDS);
    let [first, second, ..] = EventHash::of(message_id).0;
    let jitter = u32::from(u16::from_be_bytes([first, second])) % (seconds / 4 + 1);
    seconds - jitter
}

/// A record and what to do with it.
struct Decided {
    record: QueueRecord,
    receipt: String,
    queue_arn: String,
    disposition: Disposition,
}

/// Runs `handler` over the batch and carries out what it decides.
pub(super) async fn run<H, F>(
    event: SqsEvent,
    request: &str,
    now: Stamp,
    off: &impl OffQueue,
    handler: &H,
    summary: &mut Summary,
) -> BatchAnswer
where
    H: Fn(Vec<QueueRecord>, Stamp) -> F,
    F: Future<Output = Vec<Disposition>>,
{
    let mut handles = Vec::with_capacity(event.records.len());
    let mut records = Vec::with_capacity(event.records.len());
    for record in event.records {
        handles.push((record.receipt_handle, record.queue_arn));
        records.push(QueueRecord {
            message_id: record.message_id,
            request_id: request.to_owned(),
            receive_count: record.attributes.receive_count.parse().unwrap_or(1),
            body: record.body,
        });
    }
    summary.set("records", records.len());
    let dispositions = dispositions(&records, now, handler, summary).await;
    let decided = records.into_iter().zip(handles).zip(dispositions).map(
        |((record, (receipt, queue_arn)), disposition)| Decided {
            record,
            receipt,
            queue_arn,
            disposition,
        },
    );
    carry_out(decided.collect(), now, off, summary).await
}

/// One disposition for each record, whatever the handler does.
async fn dispositions<H, F>(
    records: &[QueueRecord],
    now: Stamp,
    handler: &H,
    summary: &mut Summary,
) -> Vec<Disposition>
where
    H: Fn(Vec<QueueRecord>, Stamp) -> F,
    F: Future<Output = Vec<Disposition>>,
{
    // The call itself may panic as well as the future it returns.
    let whole = caught(async { handler(records.to_vec(), now).await }).await;
    let mut found = match whole {
        Some(found) => found,
        None if records.len() == 1 => records.iter().map(panicked).collect(),
        None => {
            // Each once more, alone, so that one poison record does not hold up the rest.
            let mut found = Vec::with_capacity(records.len());
            for record in records {
                let alone = caught(async { handler(vec![record.clone()], now).await }).await;
                found.push(match alone {
                    Some(one) => one.into_iter().next().unwrap_or_else(undecided),
                    None => panicked(record),
                });
            }
            found
        }
    };
    if found.len() != records.len() {
        summary.set("undecided", records.len().abs_diff(found.len()));
        found.resize_with(records.len(), undecided);
    }
    found
}

fn undecided() -> Disposition {
    Disposition::Retry { reason: "the flow decided nothing".to_owned(), after: None }
}

fn panicked(record: &QueueRecord) -> Disposition {
    if record.receive_count > PANICS_MAX {
        let chain = vec![format!("the handler panicked {} times", record.receive_count)];
        Disposition::Park { reason: "panicked", chain }
    } else {
        Disposition::Retry { reason: "panicked".to_owned(), after: None }
    }
}

async fn carry_out(
    decided: Vec<Decided>,
    now: Stamp,
    off: &impl OffQueue,
    summary: &mut Summary,
) -> BatchAnswer {
    let mut answer = BatchAnswer::default();
    let mut later: BTreeMap<String, Vec<Later>> = BTreeMap::new();
    let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
    let (mut parked, mut retried) = (0_u64, 0_u64);
    for Decided { record, receipt, queue_arn, disposition } in decided {
        let (reason, after) = match disposition {
            Disposition::Done => continue,
            Disposition::Park { reason, chain } => {
                let letter = Parked {
                    reason: reason.to_owned(),
                    chain,
                    queue: queue_arn.clone(),
                    message_id: record.message_id.clone(),
                    at: now,
                    body: record.body,
                };
                match off.park(&letter).await {
                    Ok(()) => {
                        let why = letter.chain.first().map_or("", String::as_str);
                        *reasons.entry(format!("parked: {reason}: {why}")).or_default() += 1;
                        parked += 1;
                        continue;
                    }
                    // Only what is in the dead-letter queue may leave its own.
                    Err(error) => (format!("parking {reason} failed: {error}"), None),
                }
            }
            Disposition::Retry { reason, after } => (reason, after),
        };
        let seconds = after.map_or_else(
            || hidden_for(&record.message_id, record.receive_count),
            |after: Span| u32::try_from(after.seconds_up()).unwrap_or(VISIBILITY_MAX_SECONDS),
        );
        let seconds = seconds.clamp(1, VISIBILITY_MAX_SECONDS);
        later.entry(queue_arn).or_default().push(Later { receipt, seconds });
        *reasons.entry(format!("retried: {reason}")).or_default() += 1;
        retried += 1;
        answer.batch_item_failures.push(Failure { item_identifier: record.message_id });
    }
    for (queue_arn, messages) in later {
        // Without it the message comes back when the queue's own visibility time-out ends.
        if let Err(error) = off.later(&queue_arn, &messages).await {
            *reasons.entry(format!("not delayed: {error}")).or_default() += 1;
        }
    }
    summary.set("parked", parked);
    summary.set("retried", retried);
    odyssey_telemetry::count("Parked", parked);
    odyssey_telemetry::count("Retried", retried);
    let mut named = serde_json::Map::new();
    named.extend(reasons.into_iter().take(REASONS_MAX).map(|(why, n)| (why, n.into())));
    summary.set("reasons", named);
    answer
}
