//! The bus, its rules, the queues and what takes from them.

use crate::{Template, logical_id, texts};
use odyssey_domain::message::SENDING_STALE;
use odyssey_domain::wire::{detail_type, source};
use odyssey_flows::ports::{QUEUE_DELAY_MAX, Queue};
use odyssey_flows::queue::subscriber;
use serde_json::Value;
use std::collections::BTreeSet;

const QUEUE_FUNCTIONS: [&str; 4] =
    ["ProfileFunction", "JourneyFunction", "SenderFunction", "FeedbackFunction"];
/// Fourteen days, the longest there is.
const RETENTION_S: u64 = 1_209_600;

fn seconds(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("expected seconds, found {value}"))
}

#[test]
fn rules_bring_each_event_to_the_queue_that_understands_it() {
    let template = Template::read();
    let rule = |id: &str| {
        let rule = template.properties(id);
        assert_eq!(logical_id(&rule["EventBusName"]), Some("Bus"), "{id}");
        let target = &rule["Targets"][0];
        assert_eq!(rule["Targets"].as_array().unwrap().len(), 1, "{id}");
        let kept = logical_id(&target["DeadLetterConfig"]["Arn"]);
        assert_eq!(kept, Some("BusDeadLetters"), "{id}");
        let queue = logical_id(&target["Arn"]).unwrap().to_owned();
        let pattern = &rule["EventPattern"];
        (texts(&pattern["source"]), texts(&pattern["detail-type"]), queue)
    };
    let expected = [
        ("EventsAcceptedRule", vec![source::INGEST], detail_type::EVENTS_ACCEPTED, "ProfileQueue"),
        ("ConsentChangedRule", vec![source::CONSENT], detail_type::CONSENT_CHANGED, "ProfileQueue"),
        (
            "MessageFeedbackRule",
            vec![source::FEEDBACK],
            detail_type::MESSAGE_FEEDBACK,
            "ProfileQueue",
        ),
        ("EventFoldedRule", vec![source::PROFILE], detail_type::EVENT_FOLDED, "JourneyQueue"),
        ("SignalRaisedRule", vec![source::PROFILE], detail_type::SIGNAL_RAISED, "JourneyQueue"),
        (
            "ConsentRequestedRule",
            vec![source::PROFILE, source::CONSENT],
            detail_type::CONSENT_REQUESTED,
            "SenderQueue",
        ),
    ];
    assert_eq!(template.of_type("AWS::Events::Rule").len(), expected.len());
    // Of feedback only what says something of the customer.
    let kinds = &template.properties("MessageFeedbackRule")["EventPattern"]["detail"]["kind"];
    assert_eq!(texts(kinds), ["opened", "clicked", "bounced_hard", "complained"]);
    for (id, sources, detail, queue) in expected {
        assert_eq!(subscriber(detail).map(Queue::logical_id), Some(queue), "{id}");
        assert_eq!(rule(id), (sources, vec![detail], queue.to_owned()), "{id}");
    }
}

/// A rule without leave to write to its queue loses everything silently.
#[test]
fn queues_admit_exactly_the_rules_that_feed_them() {
    let template = Template::read();
    for (id, queue) in template.of_type("AWS::SQS::QueuePolicy") {
        let queue = logical_id(&queue["Queues"][0]).unwrap().to_owned();
        let statement = &template.properties(id)["PolicyDocument"]["Statement"][0];
        let admitted = statement["Condition"]["ArnEquals"]["aws:SourceArn"].as_array().unwrap();
        let admitted: BTreeSet<&str> = admitted.iter().filter_map(logical_id).collect();
        let feeds = |rule: &Value| {
            let target = &rule["Targets"][0];
            let ends = [&target["Arn"], &target["DeadLetterConfig"]["Arn"]];
            ends.into_iter().any(|end| logical_id(end) == Some(&queue))
        };
        let rules = template.of_type("AWS::Events::Rule");
        let mut feeding: BTreeSet<&str> =
            rules.into_iter().filter(|(_, rule)| feeds(rule)).map(|(id, _)| id).collect();
        if queue == "FeedbackQueue" {
            feeding.insert("FeedbackTopic");
        }
        assert_eq!(admitted, feeding, "{id}");
        assert_eq!(statement["Effect"], "Allow", "{id}");
        assert_eq!(texts(&statement["Action"]), ["sqs:SendMessage"], "{id}");
    }
}

#[test]
fn every_queue_function_can_fail_one_record_and_lose_none() {
    let template = Template::read();
    for id in QUEUE_FUNCTIONS {
        let function = template.properties(id);
        let events = function["Events"].as_object().unwrap();
        assert_eq!(events.len(), 1, "{id}");
        let source = &events.values().next().unwrap()["Properties"];
        assert_eq!(texts(&source["FunctionResponseTypes"]), ["ReportBatchItemFailures"], "{id}");
        assert!(source["ScalingConfig"]["MaximumConcurrency"].as_u64().unwrap() >= 2, "{id}");

        let queue_id = logical_id(&source["Queue"]).unwrap();
        assert_eq!(queue_id, id.replace("Function", "Queue"));
        let queue = template.properties(queue_id);
        let timeout = seconds(template.function_property(function, "Timeout"));
        let window = seconds(&source["MaximumBatchingWindowInSeconds"]);
        let visible_after = seconds(&queue["VisibilityTimeout"]);
        assert!(visible_after >= 6 * timeout + window, "{queue_id}: {visible_after} s");

        let redrive = &queue["RedrivePolicy"];
        let dead = format!("{queue_id}DeadLetters");
        assert_eq!(logical_id(&redrive["deadLetterTargetArn"]), Some(dead.as_str()));
        // Each failure doubles the visibility up to 15 minutes: an outage of half a day and more.
        let receives = redrive["maxReceiveCount"].as_u64().unwrap();
        assert!(receives * QUEUE_DELAY_MAX.ms() >= 12 * 3_600_000, "{queue_id}: {receives}");
    }
}

#[test]
fn queues_keep_what_they_hold_for_as_long_as_there_is() {
    let template = Template::read();
    let queues = template.of_type("AWS::SQS::Queue");
    assert_eq!(queues.len(), 2 * QUEUE_FUNCTIONS.len() + 1);
    for (id, queue) in queues {
        assert_eq!(seconds(&queue["MessageRetentionPeriod"]), RETENTION_S, "{id}");
        assert_eq!(queue["SqsManagedSseEnabled"], true, "{id}");
    }
}

/// A send found SENDING for longer than its function may run has no owner any more.
#[test]
fn a_send_is_stale_exactly_when_its_function_has_been_stopped() {
    let template = Template::read();
    let sender = template.properties("SenderFunction");
    let timeout = seconds(template.function_property(sender, "Timeout"));
    assert_eq!(timeout * 1_000, SENDING_STALE.ms());
}

#[test]
fn the_tick_runs_every_minute_and_never_twice_at_once() {
    let template = Template::read();
    let tick = template.properties("TickFunction");
    let schedule = &tick["Events"]["Minute"];
    assert_eq!(schedule["Type"], "ScheduleV2");
    assert_eq!(schedule["Properties"]["ScheduleExpression"], "rate(1 minute)");
    assert!(seconds(template.function_property(tick, "Timeout")) < 60);
}

#[test]
fn ses_reports_everything_by_one_path() {
    let template = Template::read();
    let destination = &template.properties("FeedbackDestination")["EventDestination"];
    let types: BTreeSet<&str> = texts(&destination["MatchingEventTypes"]).into_iter().collect();
    let all = [
        "SEND",
        "REJECT",
        "BOUNCE",
        "COMPLAINT",
        "DELIVERY",
        "OPEN",
        "CLICK",
        "RENDERING_FAILURE",
        "DELIVERY_DELAY",
        "SUBSCRIPTION",
    ];
    assert_eq!(types, BTreeSet::from(all));
    let topic = logical_id(&destination["SnsDestination"]["TopicARN"]);
    assert_eq!(topic, Some("FeedbackTopic"));
    let subscription = &template.properties("FeedbackTopic")["Subscription"][0];
    assert_eq!(subscription["Protocol"], "sqs");
    assert_eq!(logical_id(&subscription["Endpoint"]), Some("FeedbackQueue"));
}
