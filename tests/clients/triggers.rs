//! Payloads as Lambda hands them over, to the real binaries: our own samples, and AWS's.

use crate::payloads::folder;
use crate::runtime::{Answer, invoke};
use crate::world::{World, root};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

const FUNCTIONS: [(&str, &str); 7] = [
    ("ingest", "IngestFunction"),
    ("profile", "ProfileFunction"),
    ("journey", "JourneyFunction"),
    ("tick", "TickFunction"),
    ("sender", "SenderFunction"),
    ("feedback", "FeedbackFunction"),
    ("consent", "ConsentFunction"),
];

/// The texts of a folder's JSON files, by name.
fn texts(folder: &Path) -> BTreeMap<String, String> {
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let json = path.extension().is_some_and(|extension| extension == "json");
        json.then(|| (name, std::fs::read_to_string(&path).unwrap()))
    };
    std::fs::read_dir(folder).unwrap().filter_map(read).collect()
}

/// The answer, where the function gave one.
fn done(place: &str, answer: Answer) -> Value {
    match answer {
        Answer::Done(value) => value,
        Answer::Failed(said) => panic!("{place}: {said}"),
    }
}

/// A batch of one message with this body.
fn batch(body: &str) -> String {
    let record = json!({
        "messageId": "059f36b4-87a3-44ab-83d2-661975830a7d",
        "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a",
        "body": body,
        "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1545082649183"},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:odyssey-FeedbackQueue",
        "awsRegion": "us-east-1",
    });
    json!({"Records": [record]}).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_function_takes_every_sample_of_its_own() {
    let world = World::start().await;
    let samples = texts(&root().join("events/triggers"));
    for (name, id) in FUNCTIONS {
        let own = |(file, _): &(&String, &String)| file.split('.').next() == Some(name);
        let (files, payloads): (Vec<_>, Vec<_>) =
            samples.iter().filter(own).map(|(f, t)| (f.clone(), t.clone())).unzip();
        assert!(!files.is_empty(), "{name} has no samples");
        for (file, answer) in files.iter().zip(invoke(&world, id, &payloads).await) {
            let answer = done(file, answer);
            if ["ingest", "consent"].contains(&name) {
                let status = answer["statusCode"].as_u64().unwrap();
                // Keys and tokens in the samples are another stack's.
                assert!((200..500).contains(&status), "{file}: {answer}");
                assert_eq!(answer["cookies"], json!([]), "{file}: {answer}");
            } else if name != "tick" {
                assert!(answer["batchItemFailures"].is_array(), "{file}: {answer}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_recorded_by_aws_are_answered() {
    let Some(folder) = folder("lambda-events") else { return };
    let requests: BTreeMap<_, _> = texts(&folder.join("rust"))
        .into_iter()
        .filter(|(name, _)| name.starts_with("example-apigw-v2-request"))
        .collect();
    assert!(requests.len() >= 4, "only {} requests", requests.len());
    let world = World::start().await;
    let payloads: Vec<String> = requests.values().cloned().collect();
    for id in ["IngestFunction", "ConsentFunction"] {
        for (file, answer) in requests.keys().zip(invoke(&world, id, &payloads).await) {
            let answer = done(file, answer);
            let status = answer["statusCode"].as_u64().unwrap();
            assert!((400..500).contains(&status), "{id}: {file}: {answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_and_schedules_recorded_by_aws_are_taken() {
    let Some(folder) = folder("lambda-events") else { return };
    let texts = texts(&folder.join("rust"));
    let world = World::start().await;
    // Bodies that are no messages of ours: each is parked with its reason, none is given back.
    let payloads =
        ["example-sqs-event.json", "example-sqs-event-obj.json"].map(|n| texts[n].clone());
    for id in ["ProfileFunction", "JourneyFunction", "SenderFunction", "FeedbackFunction"] {
        let before = world.stack.dead_letters().len();
        for answer in invoke(&world, id, &payloads).await {
            assert_eq!(done(id, answer)["batchItemFailures"], json!([]), "{id}");
        }
        let parked = world.stack.dead_letters().len() - before;
        assert_eq!(parked, payloads.len(), "{id}");
    }
    let schedule = [texts["example-eventbridge-schedule.json"].clone()];
    for answer in invoke(&world, "TickFunction", &schedule).await {
        done("tick", answer);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_report_of_ses_is_understood() {
    let Some(folder) = folder("ses-events") else { return };
    let reports: BTreeMap<_, _> = texts(&folder)
        .into_iter()
        .filter(|(_, text)| {
            let report: Value = serde_json::from_str(text).unwrap_or_default();
            report["eventType"].is_string() || report["notificationType"].is_string()
        })
        .collect();
    assert!(reports.len() >= 20, "only {} reports", reports.len());
    let world = World::start().await;
    let mut payloads = Vec::new();
    for text in reports.values() {
        payloads.push(batch(text));
        let envelope = json!({"Type": "Notification", "Message": text});
        payloads.push(batch(&envelope.to_string()));
    }
    let answers = invoke(&world, "FeedbackFunction", &payloads).await;
    for (file, answer) in reports.keys().flat_map(|file| [file, file]).zip(answers) {
        assert_eq!(done(file, answer)["batchItemFailures"], json!([]), "{file}");
    }
    let parked = world.stack.dead_letters();
    assert!(parked.is_empty(), "parked: {parked:#?}");
}
