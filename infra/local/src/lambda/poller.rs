//! The event source mappings: batches from a queue to its function, and what comes back.

use super::{Ask, InvokeError, invoke};
use crate::broker::Received;
use crate::iam::{Denied, Question};
use crate::state::Shared;
use crate::template::{EventSource, Function, Queue};
use crate::usage::{Calls, chunks};
use crate::wire::as_record;
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Lambda refuses to make a mapping that the function's role does not allow.
pub(crate) fn check(
    shared: &Shared,
    function: &Function,
    source: &EventSource,
) -> Result<(), Denied> {
    for action in ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"] {
        let question = Question { action, resource: &source.queue, context: &[] };
        shared.iam.role(&function.role, &question)?;
    }
    Ok(())
}

/// Takes batches from a queue to a function until the stack closes.
pub(crate) async fn run(shared: Arc<Shared>, function: Function, source: EventSource) {
    let Some(queue) = shared.broker.find(&source.queue).cloned() else {
        return;
    };
    let limit = Arc::new(Semaphore::new(source.max_concurrency.max(1)));
    loop {
        let next = next_batch(&shared, &function, &source, &queue, &limit);
        let (batch, slot, permit) = tokio::select! {
            next = next => match next {
                Some(next) => next,
                None => continue,
            },
            () = shared.closing.wait() => return,
        };
        let (shared, function, source, queue) =
            (Arc::clone(&shared), function.clone(), source.clone(), queue.clone());
        tokio::spawn(async move {
            handle(&shared, &function, &source, &queue, batch, slot).await;
            drop(permit);
        });
    }
}

type Taken = (Vec<Received>, super::Slot, tokio::sync::OwnedSemaphorePermit);

async fn next_batch(
    shared: &Arc<Shared>,
    function: &Function,
    source: &EventSource,
    queue: &Queue,
    limit: &Arc<Semaphore>,
) -> Option<Taken> {
    let broker = &shared.broker;
    broker.wait(&queue.name).await;
    // Messages are not taken before there is somebody to take them to.
    let permit = limit.clone().acquire_owned().await.ok()?;
    let slot = shared.lambda.slot(&function.id).await?;
    let until = Instant::now() + shared.clock.real(source.window);
    while broker.depth(&queue.name).visible < source.batch_size && Instant::now() < until {
        let more = broker.wait_for_change(&queue.name);
        if tokio::time::timeout_at(until, more).await.is_err() {
            break;
        }
    }
    let batch = broker.receive(&queue.name, source.batch_size, None);
    (!batch.is_empty()).then_some((batch, slot, permit))
}

async fn handle(
    shared: &Arc<Shared>,
    function: &Function,
    source: &EventSource,
    queue: &Queue,
    batch: Vec<Received>,
    slot: super::Slot,
) {
    let region = &shared.place.region;
    let records: Vec<Value> =
        batch.iter().map(|message| as_record(message, queue, region)).collect();
    let payload = Bytes::from(json!({"Records": records}).to_string());
    let ask = Ask { function: function.id.clone(), payload, records: batch.len() };
    let count = |result: &Result<Bytes, InvokeError>| failures(result, &batch, source).len();
    let result = invoke(shared, slot, ask, count).await;
    let failed = failures(&result, &batch, source);
    let bytes: usize = batch.iter().map(|message| message.body.len()).sum();
    let caller = format!("Lambda {}", function.id);
    let entries = u64::try_from(batch.len()).unwrap_or(0);
    let calls = Calls { calls: 1, entries, chunks: chunks(bytes), ..Calls::default() };
    shared.book.call(&caller, "sqs:ReceiveMessage", &calls);
    let done: Vec<&Received> = batch.iter().filter(|m| !failed.contains(&m.id)).collect();
    if !done.is_empty() {
        let entries = u64::try_from(done.len()).unwrap_or(0);
        let calls = Calls { calls: 1, entries, chunks: 1, ..Calls::default() };
        shared.book.call(&caller, "sqs:DeleteMessageBatch", &calls);
    }
    for message in done {
        shared.broker.delete(&queue.name, &message.receipt);
    }
}

/// The messages that stay on the queue: all of them where the invocation failed or its answer
/// names one that was not in the batch (Lambda developer guide, "Reporting batch item failures").
fn failures(
    result: &Result<Bytes, InvokeError>,
    batch: &[Received],
    source: &EventSource,
) -> BTreeSet<String> {
    let all = || batch.iter().map(|message| message.id.clone()).collect();
    let Ok(answer) = result else {
        return all();
    };
    if !source.reports_failures || answer.is_empty() {
        return BTreeSet::new();
    }
    let Ok(answer) = serde_json::from_slice::<Value>(answer) else {
        return all();
    };
    let named = match answer.get("batchItemFailures") {
        None | Some(Value::Null) => return BTreeSet::new(),
        Some(Value::Array(named)) => named,
        Some(_) => return all(),
    };
    let ids: Option<BTreeSet<String>> =
        named.iter().map(|item| item["itemIdentifier"].as_str().map(str::to_owned)).collect();
    match ids {
        Some(ids) if ids.iter().all(|id| batch.iter().any(|m| m.id == *id)) => ids,
        _ => all(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use odyssey_domain::time::{Span, Stamp};

    fn received(id: &str) -> Received {
        Received {
            id: id.to_owned(),
            receipt: String::new(),
            body: Arc::from("{}"),
            receive_count: 1,
            sent: Stamp::MIN,
            first_received: Stamp::MIN,
            sender: Arc::from("test"),
        }
    }

    fn source(reports_failures: bool) -> EventSource {
        EventSource {
            queue: String::new(),
            batch_size: 10,
            window: Span::ZERO,
            reports_failures,
            max_concurrency: 2,
        }
    }

    #[test]
    fn what_stays_on_the_queue() {
        let batch = [received("a"), received("b")];
        let crash = InvokeError::Crashed { function: "f".into(), cause: "x".into() };
        let answer = |text: &'static str| Ok(Bytes::from_static(text.as_bytes()));
        for (result, reports, expected) in [
            (answer(r#"{"batchItemFailures":[]}"#), true, vec![]),
            (answer(r#"{"batchItemFailures":[{"itemIdentifier":"b"}]}"#), true, vec!["b"]),
            (answer(r#"{"batchItemFailures":[{"itemIdentifier":"b"}]}"#), false, vec![]),
            (answer(r#"{"batchItemFailures":[{"itemIdentifier":"c"}]}"#), true, vec!["a", "b"]),
            (answer(r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#), true, vec!["a", "b"]),
            (answer(r#"{"batchItemFailures":7}"#), true, vec!["a", "b"]),
            (answer("null"), true, vec![]),
            (answer("no json"), true, vec!["a", "b"]),
            (Err(crash), true, vec!["a", "b"]),
        ] {
            let found: Vec<String> =
                failures(&result, &batch, &source(reports)).into_iter().collect();
            assert_eq!(found, expected, "{result:?} {reports}");
        }
    }
}
