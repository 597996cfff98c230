//! The bus, the queues and the secret: partial failures, retries, and errors without contents.

use crate::wire::{Act, Wire};
use odyssey_domain::time::Span;
use odyssey_flows::ports::{
    Bus, BusEntry, Consistency, Key, PortError, Queue, QueueMessage, Queues, Table, Tables,
};
use serde_json::{Value, json};

fn entries(count: usize) -> Vec<BusEntry> {
    (0..count)
        .map(|n| BusEntry {
            source: "odyssey.ingest",
            detail_type: "Events Accepted",
            detail: format!(r#"{{"n":{n}}}"#),
        })
        .collect()
}

fn messages(count: usize) -> Vec<QueueMessage> {
    (0..count)
        .map(|n| QueueMessage { body: n.to_string(), delay: Span::from_ms(n as u64 * 500) })
        .collect()
}

/// An answer of `PutEvents`: `None` for what was stored, a code for what was not.
fn put(results: &[Option<&str>]) -> Act {
    let failed = results.iter().flatten().count();
    let entries: Vec<Value> = results
        .iter()
        .map(|code| match code {
            None => json!({"EventId": "e"}),
            Some(code) => json!({"ErrorCode": code, "ErrorMessage": "about ann@example.com"}),
        })
        .collect();
    Act::ok(json!({"FailedEntryCount": failed, "Entries": entries}).to_string())
}

fn details(request: &str) -> Vec<String> {
    let request: Value = serde_json::from_str(request).unwrap();
    let entries = request["Entries"].as_array().unwrap();
    entries.iter().map(|entry| entry["Detail"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn failed_entries_alone_are_sent_again() {
    let wire = Wire::start([
        put(&[None, Some("ThrottlingException"), Some("InternalFailure")]),
        put(&[None, Some("InternalFailure")]),
        put(&[None]),
    ])
    .await;
    let failed = wire.aws().bus().publish(&entries(3)).await.unwrap();
    assert_eq!(failed, [0_usize; 0]);
    let sent: Vec<_> = wire.requests().iter().map(|request| details(request)).collect();
    let n = |n: usize| format!(r#"{{"n":{n}}}"#);
    assert_eq!(sent, [vec![n(0), n(1), n(2)], vec![n(1), n(2)], vec![n(2)]]);
    let first: Value = serde_json::from_str(&wire.requests()[0]).unwrap();
    let expected = json!({
        "EventBusName": "bus",
        "Source": "odyssey.ingest",
        "DetailType": "Events Accepted",
        "Detail": n(0),
    });
    assert_eq!(first["Entries"][0], expected);
}

#[tokio::test]
async fn what_stays_off_the_bus_is_named() {
    let busy = || put(&[None, Some("ThrottlingException")]);
    let still = || put(&[Some("ThrottlingException")]);
    let wire = Wire::start([busy(), still(), still(), still()]).await;
    assert_eq!(wire.aws().bus().publish(&entries(2)).await.unwrap(), [1]);
    assert_eq!(wire.requests().len(), 4);
    let wire = Wire::start([put(&[None, Some("NotAuthorizedForSourceException")])]).await;
    assert_eq!(wire.aws().bus().publish(&entries(2)).await.unwrap(), [1]);
    let mut large = entries(2);
    large[0].detail = "x".repeat(256 * 1024);
    let wire = Wire::start([put(&[None])]).await;
    assert_eq!(wire.aws().bus().publish(&large).await.unwrap(), [0]);
}

#[tokio::test]
async fn what_fails_for_all_is_an_error_without_contents() {
    let wire = Wire::start([Act::error(400, "AccessDeniedException")]).await;
    let error = wire.aws().bus().publish(&entries(1)).await.unwrap_err();
    assert!(matches!(error, PortError::Permanent { .. }), "{error}");
    let wire = Wire::start([Act::error(400, "ValidationException")]).await;
    let error = wire.aws().bus().publish(&entries(1)).await.unwrap_err();
    assert_eq!(error.to_string(), "PutEvents was refused: ValidationException (HTTP 400)");
    assert!(wire.aws().bus().publish(&[]).await.unwrap().is_empty());
    assert_eq!(wire.requests().len(), 1);
}

#[tokio::test]
async fn messages_keep_their_order_and_their_delays() {
    let ok = || Act::ok(json!({"Successful": [], "Failed": []}).to_string());
    let wire = Wire::start([ok(), ok()]).await;
    let queues = wire.aws().queues(&[Queue::Journey]);
    let failed = queues.send(Queue::Journey, &messages(12)).await.unwrap();
    assert_eq!(failed, [0_usize; 0]);
    let requests: Vec<Value> =
        wire.requests().iter().map(|request| serde_json::from_str(request).unwrap()).collect();
    assert_eq!(requests[0]["QueueUrl"], "http://localhost/1/journey");
    let shown = |entry: &Value| {
        (entry["MessageBody"].as_str().unwrap().to_owned(), entry["DelaySeconds"].as_u64())
    };
    let sent: Vec<_> = requests
        .iter()
        .flat_map(|request| request["Entries"].as_array().unwrap())
        .map(shown)
        .collect();
    let expected: Vec<_> =
        (0..12_u64).map(|n| (n.to_string(), Some((n * 500).div_ceil(1_000)))).collect();
    assert_eq!(sent, expected);
}

#[tokio::test]
async fn failed_messages_alone_are_sent_again() {
    let answer = |failed: Value| Act::ok(json!({"Successful": [], "Failed": failed}).to_string());
    let wire = Wire::start([
        answer(json!([
            {"Id": "0", "SenderFault": true, "Code": "InvalidMessageContents"},
            {"Id": "2", "SenderFault": false, "Code": "InternalError"},
        ])),
        answer(json!([])),
    ])
    .await;
    let queues = wire.aws().queues(&[Queue::Journey]);
    assert_eq!(queues.send(Queue::Journey, &messages(3)).await.unwrap(), [0]);
    let again: Value = serde_json::from_str(&wire.requests()[1]).unwrap();
    assert_eq!(again["Entries"].as_array().unwrap().len(), 1);
    assert_eq!(again["Entries"][0]["MessageBody"], "2");
    let error = queues.send(Queue::Sender, &messages(1)).await.unwrap_err();
    assert!(!error.is_transient());
    let late = [QueueMessage { body: String::new(), delay: Span::from_ms(900_001) }];
    assert!(!queues.send(Queue::Journey, &late).await.unwrap_err().is_transient());
}

#[tokio::test]
async fn idempotent_calls_are_retried_and_then_given_up() {
    let found = json!({"Item": {"pk": {"S": "p"}, "sk": {"S": "s"}, "v": {"N": "1"}}});
    let wire = Wire::start([
        Act::error(500, "InternalServerError"),
        Act::Reset,
        Act::ok(found.to_string()),
    ])
    .await;
    let key = Key { table: Table::Ledger, pk: "p".to_owned(), sk: "s".to_owned() };
    let tables = wire.aws().tables(&[Table::Ledger]);
    let row = tables.get(&key, Consistency::Strong).await.unwrap();
    assert_eq!(row.map(|row| row.version), Some(1));

    let wire = Wire::start(vec![Act::error(500, "InternalServerError"); 9]).await;
    let tables = wire.aws().tables(&[Table::Ledger]);
    let error = tables.get(&key, Consistency::Strong).await.unwrap_err();
    assert_eq!(error.to_string(), "GetItem failed for now: InternalServerError (HTTP 500)");
    assert_eq!(wire.requests().len(), 4);
}

#[tokio::test]
async fn unprocessed_keys_are_asked_for_again() {
    let item = |pk: &str| json!({"pk": {"S": pk}, "sk": {"S": "s"}, "v": {"N": "1"}});
    let left = json!({"ledger": {"Keys": [{"pk": {"S": "b"}, "sk": {"S": "s"}}]}});
    let wire = Wire::start([
        Act::ok(json!({"Responses": {"ledger": [item("a")]}, "UnprocessedKeys": left}).to_string()),
        Act::ok(json!({"Responses": {"ledger": [item("b")]}}).to_string()),
    ])
    .await;
    let key = |pk: &str| Key { table: Table::Ledger, pk: pk.to_owned(), sk: "s".to_owned() };
    let tables = wire.aws().tables(&[Table::Ledger]);
    let found = tables.get_many(&[key("b"), key("a")], Consistency::Strong).await.unwrap();
    let found: Vec<_> = found.into_iter().flatten().map(|row| row.key.pk).collect();
    assert_eq!(found, ["b", "a"]);
    assert_eq!(wire.requests().len(), 2);
}

#[tokio::test]
async fn the_keyring_is_the_secrets_text() {
    let secret = |text: &str| Act::ok(json!({"SecretString": text}).to_string());
    let good = format!(r#"{{"k1":"{}"}}"#, "x".repeat(32));
    let wire = Wire::start([secret(&good), secret("hush"), Act::ok("{}")]).await;
    let aws = wire.aws();
    assert!(aws.keyring().await.is_ok());
    let error = aws.keyring().await.unwrap_err();
    assert_eq!(error.to_string(), "the secret named by SECRET_ARN is no keyring");
    assert!(aws.keyring().await.is_err());
}
