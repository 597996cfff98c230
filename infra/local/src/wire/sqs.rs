//! SQS: sending, receiving, deleting, visibility, and the attributes that tools ask for.

use super::{Call, Done, Failure};
use crate::broker::{Received, VISIBILITY_MAX};
use crate::template::Queue;
use crate::usage::{Calls, chunks};
use odyssey_domain::time::Span;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Bytes of a message, and of a batch together, at most: 1 MiB since 2025-08.
const BYTES_MAX: usize = 1024 * 1024;
const DELAY_SECONDS_MAX: u64 = 900;
/// The longest that a receive waits for a message.
const WAIT_SECONDS_MAX: u64 = 20;

/// Answers a call.
pub(super) async fn handle(call: &Call<'_>) -> Result<Done, Failure> {
    match call.operation {
        "SendMessage" => send(call),
        "SendMessageBatch" => batch(call, "sqs:SendMessage", send_one),
        "DeleteMessage" => single(call, "sqs:DeleteMessage", delete_one),
        "DeleteMessageBatch" => batch(call, "sqs:DeleteMessage", delete_one),
        "ChangeMessageVisibility" => single(call, "sqs:ChangeMessageVisibility", change_one),
        "ChangeMessageVisibilityBatch" => batch(call, "sqs:ChangeMessageVisibility", change_one),
        "ReceiveMessage" => receive(call).await,
        "GetQueueAttributes" => attributes(call),
        other => Err(Failure::unknown_operation(&format!("sqs:{other}"))),
    }
}

fn queue<'a>(call: &'a Call<'_>) -> Result<&'a Queue, Failure> {
    let url = call.text("QueueUrl")?;
    call.shared.broker.find(url).ok_or_else(|| {
        Failure::new(400, "QueueDoesNotExist", "The specified queue does not exist.")
    })
}

fn md5_of(text: &str) -> String {
    format!("{:x}", md5::compute(text.as_bytes()))
}

/// What became of one entry.
type Outcome = Result<Map<String, Value>, (&'static str, String)>;

fn invalid(message: impl Into<String>) -> (&'static str, String) {
    ("InvalidParameterValue", message.into())
}

fn send_one(call: &Call<'_>, queue: &Queue, entry: &Value) -> Outcome {
    let body = entry["MessageBody"].as_str().unwrap_or_default();
    if body.is_empty() {
        return Err((
            "MissingParameter",
            "The request must contain the parameter MessageBody.".into(),
        ));
    }
    if body.len() > BYTES_MAX {
        return Err(invalid(format!("Message must be shorter than {BYTES_MAX} bytes.")));
    }
    let delay = entry["DelaySeconds"].as_u64().unwrap_or(0);
    if delay > DELAY_SECONDS_MAX {
        return Err(invalid(format!(
            "Value {delay} for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= {DELAY_SECONDS_MAX}."
        )));
    }
    if entry["MessageAttributes"].as_object().is_some_and(|map| !map.is_empty()) {
        return Err(("UnsupportedOperation", "the local stack knows no message attributes".into()));
    }
    let delay = Span::from_ms(delay * 1_000);
    let id = call.shared.broker.send(&queue.name, body, delay, &call.caller.name);
    Ok(Map::from_iter([
        ("MessageId".to_owned(), Value::from(id)),
        ("MD5OfMessageBody".to_owned(), Value::from(md5_of(body))),
    ]))
}

#[expect(clippy::unnecessary_wraps, reason = "one of three that a batch is made of")]
fn delete_one(call: &Call<'_>, queue: &Queue, entry: &Value) -> Outcome {
    let receipt = entry["ReceiptHandle"].as_str().unwrap_or_default();
    // Deleting what is deleted is no error.
    call.shared.broker.delete(&queue.name, receipt);
    Ok(Map::new())
}

fn change_one(call: &Call<'_>, queue: &Queue, entry: &Value) -> Outcome {
    let receipt = entry["ReceiptHandle"].as_str().unwrap_or_default();
    let seconds = entry["VisibilityTimeout"].as_u64().unwrap_or(u64::MAX);
    let lasts = Duration::from_secs(seconds);
    if lasts > VISIBILITY_MAX {
        return Err(invalid("VisibilityTimeout must be between 0 and 43200"));
    }
    if call.shared.broker.change_visibility(&queue.name, receipt, lasts) {
        Ok(Map::new())
    } else {
        Err(("MessageNotInflight", "The message referred to is not in flight.".to_owned()))
    }
}

fn failure((code, message): (&str, String)) -> Failure {
    Failure::new(400, code, message)
}

fn cost(entries: usize, bytes: usize) -> Calls {
    let entries = u64::try_from(entries).unwrap_or(0);
    Calls { entries, chunks: chunks(bytes), ..Calls::default() }
}

fn send(call: &Call<'_>) -> Result<Done, Failure> {
    single(call, "sqs:SendMessage", send_one)
}

type One = fn(&Call<'_>, &Queue, &Value) -> Outcome;

fn single(call: &Call<'_>, action: &str, one: One) -> Result<Done, Failure> {
    let queue = queue(call)?;
    call.may(action, &queue.arn, &[])?;
    let output = one(call, queue, &call.input).map_err(failure)?;
    let bytes = call.input["MessageBody"].as_str().map_or(0, str::len);
    Ok(Done { output: Value::Object(output), cost: cost(1, bytes) })
}

fn batch(call: &Call<'_>, action: &str, one: One) -> Result<Done, Failure> {
    let queue = queue(call)?;
    call.may(action, &queue.arn, &[])?;
    let entries = call.input["Entries"].as_array().map(Vec::as_slice).unwrap_or_default();
    if entries.is_empty() {
        return Err(Failure::new(400, "EmptyBatchRequest", "There are no entries in the batch."));
    }
    if entries.len() > 10 {
        return Err(Failure::new(400, "TooManyEntriesInBatchRequest", "At most 10 entries."));
    }
    let bytes = entries.iter().map(|e| e["MessageBody"].as_str().map_or(0, str::len)).sum();
    if bytes > BYTES_MAX {
        return Err(Failure::new(400, "BatchRequestTooLong", "The batch is over 1 MiB."));
    }
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for (at, entry) in entries.iter().enumerate() {
        let outcome = if call.entry_fails(at) {
            Err(("InternalError", "injected by the local stack".to_owned()))
        } else {
            one(call, queue, entry)
        };
        match outcome {
            Ok(mut output) => {
                output.insert("Id".to_owned(), entry["Id"].clone());
                successful.push(Value::Object(output));
            }
            Err((code, message)) => failed.push(json!({
                "Id": entry["Id"], "Code": code, "Message": message,
                "SenderFault": code != "InternalError",
            })),
        }
    }
    let output = json!({"Successful": successful, "Failed": failed});
    Ok(Done { output, cost: cost(entries.len(), bytes) })
}

async fn receive(call: &Call<'_>) -> Result<Done, Failure> {
    let queue = queue(call)?;
    call.may("sqs:ReceiveMessage", &queue.arn, &[])?;
    let input = &call.input;
    let max = input["MaxNumberOfMessages"].as_u64().unwrap_or(1);
    if !(1..=10).contains(&max) {
        return Err(failure(invalid("MaxNumberOfMessages must be between 1 and 10")));
    }
    let max = usize::try_from(max).unwrap_or(1);
    let visibility = input["VisibilityTimeout"].as_u64().map(Duration::from_secs);
    let wait = input["WaitTimeSeconds"].as_u64().unwrap_or(0).min(WAIT_SECONDS_MAX);
    let broker = &call.shared.broker;
    let mut received = broker.receive(&queue.name, max, visibility);
    if received.is_empty() && wait > 0 {
        let _ = tokio::time::timeout(Duration::from_secs(wait), broker.wait(&queue.name)).await;
        received = broker.receive(&queue.name, max, visibility);
    }
    let bytes = received.iter().map(|message| message.body.len()).sum();
    let messages: Vec<Value> = received.iter().map(as_message).collect();
    let output = if messages.is_empty() { json!({}) } else { json!({"Messages": messages}) };
    Ok(Done { output, cost: cost(received.len(), bytes) })
}

fn system_attributes(message: &Received) -> Value {
    json!({
        "ApproximateReceiveCount": message.receive_count.to_string(),
        "SentTimestamp": message.sent.ms().to_string(),
        "SenderId": &*message.sender,
        "ApproximateFirstReceiveTimestamp": message.first_received.ms().to_string(),
    })
}

fn as_message(message: &Received) -> Value {
    json!({
        "MessageId": message.id,
        "ReceiptHandle": message.receipt,
        "MD5OfBody": md5_of(&message.body),
        "Body": &*message.body,
        "Attributes": system_attributes(message),
    })
}

/// A message as Lambda hands it to a function.
pub(crate) fn as_record(message: &Received, queue: &Queue, region: &str) -> Value {
    json!({
        "messageId": message.id,
        "receiptHandle": message.receipt,
        "body": &*message.body,
        "attributes": system_attributes(message),
        "messageAttributes": {},
        "md5OfBody": md5_of(&message.body),
        "eventSource": "aws:sqs",
        "eventSourceARN": queue.arn,
        "awsRegion": region,
    })
}

fn attributes(call: &Call<'_>) -> Result<Done, Failure> {
    let queue = queue(call)?;
    call.may("sqs:GetQueueAttributes", &queue.arn, &[])?;
    let depth = call.shared.broker.depth(&queue.name);
    let mut all = json!({
        "QueueArn": queue.arn,
        "VisibilityTimeout": queue.visibility.to_string(),
        "DelaySeconds": queue.delay.to_string(),
        "ApproximateNumberOfMessages": depth.visible.to_string(),
        "ApproximateNumberOfMessagesNotVisible": depth.in_flight.to_string(),
        "ApproximateNumberOfMessagesDelayed": depth.delayed.to_string(),
    });
    if let Some(redrive) = &queue.redrive {
        all["RedrivePolicy"] = Value::from(
            json!({
                "deadLetterTargetArn": redrive.target,
                "maxReceiveCount": redrive.max_receive_count,
            })
            .to_string(),
        );
    }
    let wanted = call.input["AttributeNames"].as_array().map(Vec::as_slice).unwrap_or_default();
    if let Some(all) = all.as_object_mut()
        && !wanted.iter().any(|name| name == "All")
    {
        all.retain(|name, _| wanted.iter().any(|wanted| wanted == name));
    }
    Ok(Done { output: json!({"Attributes": all}), cost: cost(1, 0) })
}
