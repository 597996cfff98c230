//! One batch of queue records, from event to answer.

use super::caught;
use super::dead_letters::{Later, OffQueue};
use super::sqs_event::{BatchAnswer, Failure, SqsEvent};
use odyssey_domain::time::{Span, Stamp};
use odyssey_domain::wire::Parked;
use odyssey_flows::queue::{Disposition, QueueRecord, hidden_for};
use odyssey_telemetry::Summary;
use std::collections::BTreeMap;

/// SQS's own limit of a visibility time-out: 12 hours.
const VISIBILITY_MAX_SECONDS: u32 = 43_200;
/// A record that has panicked alone is parked once it was received more often than this.
const PANICS_MAX: u32 = 3;
/// At most this many reasons are named in an invocation's line.
const REASONS_MAX: usize = 5;

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
    let mut origins = Vec::with_capacity(event.records.len());
    let mut records = Vec::with_capacity(event.records.len());
    for record in event.records {
        origins.push((record.receipt_handle, record.queue_arn));
        records.push(QueueRecord {
            message_id: record.message_id,
            request_id: request.to_owned(),
            receive_count: record.attributes.receive_count.parse().unwrap_or(1),
            body: record.body,
        });
    }
    summary.set("records", records.len());
    let dispositions = dispositions(&records, now, handler, summary).await;
    let decided = records.into_iter().zip(origins).zip(dispositions).map(
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
    odyssey_telemetry::count("Parked", parked);
    odyssey_telemetry::count("Retried", retried);
    let mut named = serde_json::Map::new();
    named.extend(reasons.into_iter().take(REASONS_MAX).map(|(why, n)| (why, n.into())));
    summary.set("reasons", named);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lambda::sqs_event::{SqsAttributes, SqsRecord};
    use odyssey_flows::ports::PortError;
    use std::sync::Mutex;

    const NOW: Stamp = Stamp::from_ms(1_795_289_075_839);

    /// A queue that remembers what was done to it.
    #[derive(Default)]
    struct Remembered {
        parked: Mutex<Vec<Parked>>,
        later: Mutex<Vec<Later>>,
        is_down: bool,
    }

    impl OffQueue for Remembered {
        async fn park(&self, parked: &Parked) -> Result<(), PortError> {
            if self.is_down {
                let cause = "down".to_owned();
                return Err(PortError::Transient { operation: "SendMessage", cause });
            }
            self.parked.lock().unwrap().push(parked.clone());
            Ok(())
        }

        async fn later(&self, _: &str, messages: &[Later]) -> Result<(), PortError> {
            self.later.lock().unwrap().extend_from_slice(messages);
            Ok(())
        }
    }

    fn record(id: &str, receipts: u32) -> SqsRecord {
        SqsRecord {
            message_id: id.to_owned(),
            receipt_handle: format!("receipt of {id}"),
            body: format!("body of {id}"),
            queue_arn: "arn:aws:sqs:eu-west-1:1:q".to_owned(),
            attributes: SqsAttributes { receive_count: receipts.to_string() },
        }
    }

    async fn answered<H, F>(records: Vec<SqsRecord>, off: &Remembered, handler: H) -> Vec<String>
    where
        H: Fn(Vec<QueueRecord>, Stamp) -> F,
        F: Future<Output = Vec<Disposition>>,
    {
        let mut summary = Summary::new("test", "request");
        let event = SqsEvent { records };
        let answer = run(event, "request", NOW, off, &handler, &mut summary).await;
        answer.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect()
    }

    fn park() -> Disposition {
        Disposition::Park { reason: "malformed", chain: vec!["expected JSON".to_owned()] }
    }

    #[tokio::test]
    async fn each_record_goes_its_own_way() {
        let off = Remembered::default();
        let records = vec![record("done", 1), record("retry", 1), record("park", 1)];
        let failures = answered(records, &off, async |records, now| {
            assert_eq!((records[0].request_id.as_str(), now), ("request", NOW));
            let retry = Disposition::Retry { reason: "busy".to_owned(), after: None };
            vec![Disposition::Done, retry, park()]
        })
        .await;
        assert_eq!(failures, ["retry"]);
        let later = off.later.lock().unwrap();
        assert_eq!(later[..], [Later { receipt: "receipt of retry".to_owned(), seconds: 2 }]);
        let parked = off.parked.lock().unwrap();
        let expected = Parked {
            reason: "malformed".to_owned(),
            chain: vec!["expected JSON".to_owned()],
            queue: "arn:aws:sqs:eu-west-1:1:q".to_owned(),
            message_id: "park".to_owned(),
            at: NOW,
            body: "body of park".to_owned(),
        };
        assert_eq!(parked[..], [expected]);
    }

    #[tokio::test]
    async fn what_cannot_be_parked_stays() {
        let off = Remembered { is_down: true, ..Remembered::default() };
        let failures = answered(vec![record("a", 1)], &off, async |_, _| vec![park()]).await;
        assert_eq!(failures, ["a"]);
        assert_eq!(off.later.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_poison_record_fails_alone() {
        let off = Remembered::default();
        let records = vec![record("good", 1), record("poison", 1), record("old poison", 4)];
        let failures = answered(records, &off, async |records, _| {
            assert!(records.iter().all(|record| !record.message_id.contains("poison")));
            records.iter().map(|_| Disposition::Done).collect()
        })
        .await;
        assert_eq!(failures, ["poison"]);
        let parked = off.parked.lock().unwrap();
        let shown: Vec<_> = parked.iter().map(|p| (&*p.message_id, &*p.reason)).collect();
        assert_eq!(shown, [("old poison", "panicked")]);
    }

    #[tokio::test]
    async fn a_record_nobody_decided_is_retried() {
        let off = Remembered::default();
        let records = vec![record("a", 1), record("b", 1)];
        let failures = answered(records, &off, async |_, _| vec![Disposition::Done]).await;
        assert_eq!(failures, ["b"]);
    }

    #[tokio::test]
    async fn a_flow_may_say_when() {
        let off = Remembered::default();
        let after = |ms| {
            vec![Disposition::Retry { reason: "rate".to_owned(), after: Some(Span::from_ms(ms)) }]
        };
        for (ms, seconds) in [(0, 1), (1, 1), (61_000, 61), (u64::MAX, VISIBILITY_MAX_SECONDS)] {
            answered(vec![record("a", 1)], &off, async |_, _| after(ms)).await;
            let last = off.later.lock().unwrap().pop().map(|later| later.seconds);
            assert_eq!(last, Some(seconds), "{ms}");
        }
    }
}
