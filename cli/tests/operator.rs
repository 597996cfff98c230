//! Dead letters and unconfirmed sends in an operator's hands, on a local stack whose functions are
//! away.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use odyssey_domain::contact::{Claim, Contact, TopicId};
use odyssey_domain::ids::{ContactKey, OwnerToken, SendId};
use odyssey_domain::journey::{JourneyId, StepId};
use odyssey_domain::message::{LedgerItem, MailId, SendState};
use odyssey_domain::time::{Span, Stamp};
use odyssey_domain::wire::{Parked, Why};
use odyssey_flows::ports::{Consistency, Tables};
use odyssey_flows::queue::redriven;
use odyssey_flows::{contacts, ledger};
use odyssey_local::{Functions, LocalStack, Options};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Output;

async fn stack() -> LocalStack {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    // Nobody listens there: what goes back to a queue stays on it.
    let away = Functions::Url("http://127.0.0.1:9".to_owned());
    LocalStack::start(Options::of_workspace(&root, away).unwrap()).await.unwrap()
}

/// Runs the command line against the stack.
async fn odyssey(stack: &LocalStack, arguments: &[&str]) -> Output {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_odyssey"));
    command.args(arguments).envs(stack.environment());
    command.output().await.unwrap()
}

async fn json_of(stack: &LocalStack, arguments: &[&str]) -> Vec<Value> {
    let output = odyssey(stack, arguments).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn parked(reason: &str, body: &str) -> String {
    let parked = Parked {
        reason: reason.to_owned(),
        chain: vec!["a message of journey's queue cannot be read".to_owned()],
        queue: "JourneyQueue".to_owned(),
        message_id: "m".to_owned(),
        at: Stamp::parse("2026-11-20T08:00:00Z").unwrap(),
        body: body.to_owned(),
    };
    serde_json::to_string(&parked).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_listed_shown_and_put_back() {
    let stack = stack().await;
    let event = json!({"version": "0", "id": "e", "source": "odyssey.profile", "detail-type": "Signal Raised",
        "time": "2026-11-20T08:00:00Z", "detail": {"v": 1}})
    .to_string();
    stack.enqueue(
        "JourneyQueueDeadLetters",
        &parked("malformed", "{\"secret\": \"ann@example.com\"}"),
    );
    stack.enqueue("JourneyQueueDeadLetters", &parked("unknown_schema", "{\"v\": 9}"));
    stack.enqueue("SenderQueueDeadLetters", "{\"received\": \"too often\"}");
    stack.enqueue("BusDeadLetters", &event);
    stack.enqueue("BusDeadLetters", "{\"no\": \"event\"}");

    let listed = json_of(&stack, &["dlq", "list", "--json"]).await;
    let mut found: Vec<(&str, &str)> = listed
        .iter()
        .map(|letter| (letter["of"].as_str().unwrap(), letter["reason"].as_str().unwrap()))
        .collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            ("bus", "not_delivered"),
            ("bus", "not_delivered"),
            ("journey", "malformed"),
            ("journey", "unknown_schema"),
            ("sender", "received_too_often"),
        ],
    );
    // What they carry is personal, and shown only where it is asked for.
    let list = text(&odyssey(&stack, &["dlq", "list"]).await);
    assert!(list.contains("unknown_schema") && !list.contains("ann@example.com"), "{list}");
    let id = listed.iter().find(|letter| letter["reason"] == "malformed").unwrap()["id"].as_str();
    let shown = text(&odyssey(&stack, &["dlq", "show", id.unwrap()]).await);
    assert!(shown.contains("ann@example.com") && shown.contains("JourneyQueue"), "{shown}");
    assert_eq!(odyssey(&stack, &["dlq", "show", "nothing"]).await.status.code(), Some(1));
    assert_eq!(odyssey(&stack, &["dlq", "list", "--of", "x"]).await.status.code(), Some(1));

    // Without --yes nothing moves.
    let planned = odyssey(&stack, &["dlq", "redrive", id.unwrap()]).await;
    assert!(planned.status.success() && text(&planned).contains("would go back"));
    assert_eq!(json_of(&stack, &["dlq", "list", "--json"]).await.len(), 5);
    let done =
        odyssey(&stack, &["dlq", "redrive", "--all", "--reason", "malformed", "--yes"]).await;
    assert!(done.status.success(), "{}", text(&done));
    assert_eq!(json_of(&stack, &["dlq", "list", "--json", "--of", "journey"]).await.len(), 1);
    let bodies = |queue: &str| {
        let all = stack.peek(queue);
        all.iter().map(|message| message.body.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(bodies("JourneyQueue"), [redriven("{\"secret\": \"ann@example.com\"}")]);

    // The rest goes home too, but for what nothing listens to.
    let done = odyssey(&stack, &["dlq", "redrive", "--all", "--yes"]).await;
    assert_eq!(done.status.code(), Some(1), "{}", text(&done));
    let left = json_of(&stack, &["dlq", "list", "--json"]).await;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0]["home"], Value::Null);
    assert!(bodies("JourneyQueue").contains(&redriven(&event)));
    assert_eq!(bodies("SenderQueue"), [redriven("{\"received\": \"too often\"}")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unconfirmed_sends_are_listed_and_settled() {
    let stack = stack().await;
    let tables = stack.tables();
    let contact = ContactKey::from_bytes([7; 16]);
    let sends: Vec<SendId> = [1, 2].map(|n| SendId::from_bytes([n; 16])).into();
    let since = stack.now().minus(Span::HOUR.times(2));
    for send in &sends {
        let item = LedgerItem {
            send: *send,
            profile: None,
            contact: Some(contact),
            asked_by: Some((
                JourneyId::parse("cart-recovery").unwrap(),
                StepId::parse("remind").unwrap(),
            )),
            mail: MailId::parse("cart-reminder").unwrap(),
            topic: TopicId::parse("offers").unwrap(),
            state: SendState::Unconfirmed { since },
            owner: OwnerToken::derive("request", "receipt"),
            at: since,
            sending_at: Some(since),
            consent: None,
            delivery: None,
            deferral: None,
            why: Why::default(),
        };
        tables.write(ledger::put(&item, None).unwrap()).await.unwrap();
        let claim = |c: &mut Contact| {
            let topic = TopicId::parse("offers").unwrap();
            c.claim(*send, Claim::new(since, &topic, None), |_| true);
            Ok(true)
        };
        contacts::change(&tables, contact, claim).await.unwrap();
    }
    let listed = json_of(&stack, &["unconfirmed", "list", "--json"]).await;
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0]["journey"], "cart-recovery");
    assert!(text(&odyssey(&stack, &["unconfirmed", "list"]).await).contains("older than 1h"));

    let (sent, unsent) = (sends[0].to_string(), sends[1].to_string());
    let settled = odyssey(&stack, &["unconfirmed", "settle", &sent, "--sent", "ses-1"]).await;
    assert!(settled.status.success(), "{}", text(&settled));
    let settled = odyssey(&stack, &["unconfirmed", "settle", &unsent, "--not-sent"]).await;
    assert!(settled.status.success(), "{}", text(&settled));
    assert!(json_of(&stack, &["unconfirmed", "list", "--json"]).await.is_empty());

    let state =
        async |send| ledger::load(&tables, send, Consistency::Strong).await.unwrap().unwrap();
    assert!(matches!(state(sends[0]).await.item.state, SendState::Sent { .. }));
    assert!(matches!(state(sends[1]).await.item.state, SendState::Failed { .. }));
    // What was not sent does not count.
    let contact = contacts::load(&tables, contact, Consistency::Strong).await.unwrap().unwrap();
    assert!(contact.item.claims.contains(sends[0]));
    assert!(!contact.item.claims.contains(sends[1]));

    let again = odyssey(&stack, &["unconfirmed", "settle", &sent, "--not-sent"]).await;
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again).contains("it is sent"), "{}", text(&again));
    assert_eq!(
        odyssey(&stack, &["unconfirmed", "settle", "x", "--not-sent"]).await.status.code(),
        Some(1)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn write_keys_are_those_of_the_published_sources() {
    let stack = stack().await;
    let early = odyssey(&stack, &["keys"]).await;
    assert_eq!(early.status.code(), Some(3));
    assert!(text(&early).contains("nothing is published yet"), "{}", text(&early));
    let workspace = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/storefront");
    let published = odyssey(&stack, &["publish", workspace, "--yes"]).await;
    assert!(published.status.success(), "{}", text(&published));
    let keyring = stack.keyring().unwrap();
    let keys = json_of(&stack, &["keys", "--json"]).await;
    let web = keys.iter().find(|key| key["source"] == "web").unwrap();
    assert_eq!(web["kind"], "browser");
    assert_eq!(web["write_key"], json!(keyring.write_key("web", 1)));
    let told = text(&odyssey(&stack, &["keys"]).await);
    assert!(told.contains(&keyring.write_key("backend", 1)), "{told}");
    assert!(told.contains("keep it secret"), "{told}");
}
