//! The wire: the operations that functions call, their roles, and faults on purpose.

use crate::harness::{call, start};
use odyssey_domain::time::{Span, Stamp};
use odyssey_flows::ports::{
    Bus, BusEntry, Consistency, Expect, Key, QueueMessage, Queues, Row, Table, Tables, Write,
    Written,
};
use odyssey_local::{Fault, Service};
use serde_json::json;

fn row(pk: &str, version: u64) -> Row {
    Row {
        key: Key { table: Table::Profiles, pk: pk.to_owned(), sk: "identity".to_owned() },
        version,
        schema: 1,
        body: b"body".to_vec(),
        expires: None,
        index: None,
    }
}

#[tokio::test]
async fn the_ports_work_over_the_wire() {
    let stack = start().await;
    let tables = stack.tables();
    let put = Write::Put { row: row("a", 1), expect: Expect::Absent };
    assert_eq!(tables.write(put.clone()).await.unwrap(), Written::Done);
    assert!(matches!(tables.write(put).await.unwrap(), Written::Conflict { index: 0, .. }));
    let read = tables.get(&row("a", 1).key, Consistency::Strong).await.unwrap();
    assert_eq!(read, Some(row("a", 1)));
    let writes = vec![
        Write::Put { row: row("a", 2), expect: Expect::Version(1) },
        Write::Put { row: row("b", 1), expect: Expect::Absent },
    ];
    assert_eq!(tables.transact(writes, "token").await.unwrap(), Written::Done);
    let usage = stack.usage();
    let puts = &usage.calls["operator"]["dynamodb:PutItem"];
    assert_eq!((puts.calls, puts.failed), (2, 1));
    let transaction = &usage.calls["operator"]["dynamodb:TransactWriteItems"];
    assert!((transaction.write_units - 4.0).abs() < 0.01, "{transaction:?}");
    let keyring = stack.aws().keyring().await.unwrap();
    assert_eq!(keyring.write_key("web", 1), stack.keyring().unwrap().write_key("web", 1));
}

#[tokio::test]
async fn a_role_allows_what_is_written_and_nothing_else() {
    let stack = start().await;
    let tables = &stack.environment()["PROFILES_TABLE"];
    let input = json!({"TableName": tables, "Key": {"pk": {"S": "x"}, "sk": {"S": "y"}}});
    let get = "DynamoDB_20120810.GetItem";
    let denied = call(&stack, "TickFunction", get, &input).await.unwrap();
    assert_eq!(denied.headers["x-amzn-errortype"], "AccessDeniedException");
    let message = denied.json()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("dynamodb:GetItem") && message.contains("ProfilesTable"), "{message}");
    let several = json!({"RequestItems": {tables: {"Keys": [input["Key"]]}}});
    let get_several = "DynamoDB_20120810.BatchGetItem";
    let allowed = call(&stack, "ProfileFunction", get_several, &several).await.unwrap();
    assert_eq!(allowed.status, 200);
    let stranger = call(&stack, "NoFunction", get, &input).await.unwrap();
    assert_eq!(stranger.headers["x-amzn-errortype"], "UnrecognizedClientException");
    let unused = stack.unused_statements();
    let told = |holder: &str, statement: &str, action: &str| {
        unused.iter().any(|unused| {
            unused.holder.ends_with(holder)
                && unused.statement == statement
                && unused.action == action
        })
    };
    assert!(told("ProfileFunctionRole", "Profiles", "dynamodb:PutItem"));
    assert!(!told("ProfileFunctionRole", "Profiles", "dynamodb:BatchGetItem"));
    assert!(told("SenderFunctionRole", "SendMail", "*"));
}

#[tokio::test]
async fn an_event_needs_its_own_source() {
    let stack = start().await;
    let entry = |source: &str| {
        json!({"Entries": [{"Source": source, "DetailType": "Events Accepted", "Detail": "{}",
            "EventBusName": "odyssey-bus"}]})
    };
    let put = "AWSEvents.PutEvents";
    let own = call(&stack, "IngestFunction", put, &entry("odyssey.ingest")).await.unwrap();
    assert_eq!(own.json()["FailedEntryCount"], 0);
    let other = call(&stack, "IngestFunction", put, &entry("odyssey.profile")).await.unwrap();
    assert_eq!(other.headers["x-amzn-errortype"], "AccessDeniedException");
}

#[tokio::test]
async fn a_partial_failure_is_retried_and_a_cut_is_transient() {
    let stack = start().await;
    let bus = stack.aws().bus();
    let entry = BusEntry {
        source: "odyssey.ingest",
        detail_type: "Nothing Listens",
        detail: "{}".to_owned(),
    };
    stack.faults().next(Service::EventBridge, "PutEvents", Fault::Entries(vec![1]), 1);
    assert_eq!(bus.publish(&[entry.clone(), entry.clone()]).await.unwrap(), Vec::<usize>::new());
    assert_eq!(stack.usage().calls["operator"]["events:PutEvents"].calls, 2);
    stack.faults().cut(Service::EventBridge);
    assert!(
        bus.publish(std::slice::from_ref(&entry)).await.is_err_and(|error| error.is_transient())
    );
    stack.faults().mend(Service::EventBridge);
    assert!(bus.publish(&[entry]).await.is_ok());
}

#[tokio::test]
async fn malformed_entries_fail_alone() {
    let stack = start().await;
    let entry = |detail: &str| {
        json!({"Source": "odyssey.ingest", "DetailType": "x", "Detail": detail,
            "EventBusName": "odyssey-bus"})
    };
    let input = json!({"Entries": [entry("{}"), entry("no json"), entry("[]")]});
    let answer = call(&stack, "operator", "AWSEvents.PutEvents", &input).await.unwrap().json();
    assert_eq!(answer["FailedEntryCount"], 2);
    assert_eq!(answer["Entries"][1]["ErrorCode"], "MalformedDetail");
    let large =
        json!({"Entries": [entry(&format!("{{\"a\":\"{}\"}}", "x".repeat(262_200))), entry("{}")]});
    let answer = call(&stack, "operator", "AWSEvents.PutEvents", &large).await.unwrap();
    assert_eq!(answer.status, 400);
    let many = json!({"Entries": vec![entry("{}"); 11]});
    assert_eq!(call(&stack, "operator", "AWSEvents.PutEvents", &many).await.unwrap().status, 400);
}

#[tokio::test]
async fn an_event_comes_to_the_queue_that_a_rule_names() {
    let stack = start().await;
    let entry = json!({"Entries": [{"Source": "odyssey.ingest", "DetailType": "Events Accepted",
        "Detail": "{\"b\": 1.50, \"a\":2}", "EventBusName": "odyssey-bus"}]});
    let mut feed = stack.feed();
    call(&stack, "operator", "AWSEvents.PutEvents", &entry).await.unwrap();
    let body = crate::harness::happens(&mut feed, |what| match what {
        odyssey_local::What::Queued { queue, body, .. } if queue == "odyssey-ProfileQueue" => {
            Some(body.clone())
        }
        _ => None,
    })
    .await;
    assert!(body.ends_with(r#""detail":{"b": 1.50, "a":2}}"#), "{body}");
    assert_eq!(stack.usage().operation("sqs:SendMessage").calls, 1);
}

#[tokio::test]
async fn queues_over_the_sdk() {
    let stack = start().await;
    let queues = stack.aws().queues(&[odyssey_flows::ports::Queue::Sender]);
    let message =
        |body: &str| QueueMessage { body: body.to_owned(), delay: Span::from_ms(900_000) };
    let messages: Vec<QueueMessage> = (0..12).map(|n| message(&format!("{{\"n\":{n}}}"))).collect();
    let sent = queues.send(odyssey_flows::ports::Queue::Sender, &messages).await.unwrap();
    assert_eq!(sent, Vec::<usize>::new());
    assert_eq!(stack.depth("SenderQueue").unwrap().delayed, 12);
    let sends = &stack.usage().calls["operator"]["sqs:SendMessageBatch"];
    assert_eq!((sends.calls, sends.entries), (2, 12));
}

#[tokio::test]
async fn an_unknown_operation_is_named() {
    let stack = start().await;
    for target in ["DynamoDB_20120810.DeleteTable", "AmazonSQS.PurgeQueue", "AWSEvents.PutRule"] {
        let answer = call(&stack, "operator", target, &json!({})).await.unwrap();
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        let operation = target.split_once('.').unwrap().1;
        assert!(answer.status == 400 && message.contains(operation), "{message}");
    }
    let nothing = call(&stack, "operator", "Kinesis.PutRecord", &json!({})).await.unwrap();
    assert_eq!(nothing.status, 400);
}

#[tokio::test]
async fn a_reset_is_a_reset() {
    let stack = start().await;
    let url = stack.environment()["SENDER_QUEUE_URL"].clone();
    let input = json!({"QueueUrl": url, "MessageBody": "{}", "DelaySeconds": 900});
    for (fault, sent) in [(Fault::Reset, 0), (Fault::DoneThenReset, 1)] {
        stack.faults().next(Service::Sqs, "SendMessage", fault, 1);
        let result = call(&stack, "operator", "AmazonSQS.SendMessage", &input).await;
        assert!(result.is_err());
        assert_eq!(stack.depth("SenderQueue").unwrap().delayed, sent);
    }
}

#[tokio::test]
async fn what_no_rule_can_deliver_ends_in_the_dead_letters() {
    let stack = start().await;
    let entry = json!({"Entries": [{"Source": "odyssey.ingest", "DetailType": "Events Accepted",
        "Detail": "{}", "EventBusName": "odyssey-bus"}]});
    stack.faults().next(Service::EventBridge, "PutEvents", Fault::Undeliverable, 1);
    call(&stack, "operator", "AWSEvents.PutEvents", &entry).await.unwrap();
    let dead = stack.dead_letters();
    assert_eq!((dead.len(), dead[0].queue.as_str()), (1, "BusDeadLetters"));
    assert_eq!(stack.depth("ProfileQueue").unwrap(), odyssey_local::Depth::default());
}

#[tokio::test]
async fn a_kept_database_keeps_its_keys() {
    let folder = tempfile::tempdir().unwrap();
    let mut keys = Vec::new();
    for turn in 0..2 {
        let mut options = crate::harness::options();
        options.storage = odyssey_local::Storage::File(folder.path().join("odyssey.db"));
        let stack = odyssey_local::LocalStack::start(options).await.unwrap();
        let found = stack.tables().get(&row("a", 1).key, Consistency::Strong).await.unwrap();
        assert_eq!(found.is_some(), turn == 1);
        let put = Write::Put { row: row("a", 1), expect: Expect::Any };
        assert_eq!(stack.tables().write(put).await.unwrap(), Written::Done);
        keys.push(stack.keyring().unwrap().write_key("web", 1));
        stack.stop().await.unwrap();
    }
    assert_eq!(keys[0], keys[1]);
}

#[tokio::test]
async fn a_kept_database_keeps_its_queues_and_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let start = async |start: Option<Stamp>| {
        let mut options = crate::harness::options();
        options.storage = odyssey_local::Storage::File(folder.path().join("odyssey.db"));
        options.start = start;
        odyssey_local::LocalStack::start(options).await.unwrap()
    };
    let began = Stamp::parse("2100-01-01T00:00:00Z").unwrap();
    let stack = start(Some(began)).await;
    assert!(stack.enqueue("BusDeadLetters", "kept"));
    stack.stop().await.unwrap();
    let stack = start(None).await;
    assert!(stack.now() >= began, "the customers' time never goes back");
    let bodies: Vec<String> =
        stack.peek("BusDeadLetters").iter().map(|message| message.body.to_string()).collect();
    assert_eq!(bodies, ["kept"]);
    // Nothing is left behind that a third stack would take for its own.
    drop(stack);
    assert!(start(None).await.peek("BusDeadLetters").is_empty());
}
