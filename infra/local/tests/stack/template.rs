//! Templates that cannot be run say why.

use crate::harness::{options, template};
use odyssey_local::LocalStack;

async fn refused(change: impl FnOnce(String) -> String) -> String {
    let mut options = options();
    let before = options.template.clone();
    options.template = change(before.clone());
    assert_ne!(options.template, before, "the change changes nothing");
    LocalStack::start(options).await.unwrap_err().to_string()
}

#[tokio::test]
async fn what_is_not_known_is_named() {
    for (from, to, expected) in [
        ("AWS::SNS::TopicPolicy", "AWS::SNS::Surprise", "AWS::SNS::Surprise"),
        ("VisibilityTimeout:", "VisibilityTimeOut:", "property VisibilityTimeOut"),
        ("rate(1 minute)", "cron(0 9 * * ? *)", "cron(0 9 * * ? *)"),
        ("ArnEquals:", "IpAddress:", "IpAddress"),
        ("source: [odyssey.ingest]", "source: [{cidr: 10.0.0.0/8}]", "cidr"),
        ("!GetAtt ProfileQueue.Arn", "!GetAtt NoQueue.Arn", "NoQueue"),
        ("!Ref ProfilesTable", "!ImportValue ProfilesTable", "Fn::ImportValue"),
        ("Type: ScheduleV2", "Type: Kinesis", "Kinesis"),
    ] {
        let error = refused(|text| text.replacen(from, to, 1)).await;
        assert!(error.contains(expected), "{from} → {to}: {error}");
    }
}

#[tokio::test]
async fn a_missing_parameter_is_named() {
    let error = refused(|text| text.replacen("    Default: info\n", "", 1)).await;
    assert!(error.contains("Parameters.LogLevel"), "{error}");
}

#[tokio::test]
async fn a_role_that_may_not_take_from_its_queue_makes_no_mapping() {
    let error = refused(|text| text.replace("\"sqs:ReceiveMessage\", ", "")).await;
    assert!(error.contains("sqs:ReceiveMessage") && error.contains("FunctionRole"), "{error}");
}

#[tokio::test]
async fn the_template_is_wired_as_it_is_written() {
    let stack = crate::harness::start().await;
    let resources = stack.resources();
    assert_eq!((resources.functions.len(), resources.tables.len()), (7, 7));
    let ingest = resources.functions.iter().find(|f| f.id == "IngestFunction").unwrap();
    assert_eq!((ingest.timeout.as_secs(), ingest.memory), (10, 256));
    let sender = resources.functions.iter().find(|f| f.id == "SenderFunction").unwrap();
    assert_eq!(sender.environment["PUBLIC_URL"], stack.api_url());
    assert_eq!(resources.outputs["ApiUrl"], stack.api_url());
    assert!(template().contains("AWS::ApiGatewayV2::Api"));
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut options = options();
    options.api_port = port;
    let error = LocalStack::start(options).await.unwrap_err().to_string();
    assert!(error.contains(&port.to_string()), "{error}");
}
