//! Queues, rules, subscriptions and what SES reports to.

use super::TemplateError;
use super::intrinsics::{unexpected, unknown};
use super::properties::Properties;
use serde_json::Value;

/// After how many receipts a message goes where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redrive {
    /// The dead-letter queue's ARN.
    pub target: String,
    /// Receipts.
    pub max_receive_count: u32,
}

/// An SQS queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Logical id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// ARN.
    pub arn: String,
    /// Its URL.
    pub url: String,
    /// `VisibilityTimeout` in seconds.
    pub visibility: u32,
    /// `DelaySeconds`.
    pub delay: u32,
    /// `RedrivePolicy`.
    pub redrive: Option<Redrive>,
}

/// Where a rule delivers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The queue's ARN.
    pub queue: String,
    /// `InputPath`, where only a part is delivered: `$.detail`.
    pub input_path: Option<String>,
    /// The ARN of the queue that keeps what cannot be delivered.
    pub dead_letters: Option<String>,
}

/// A rule of an event bus.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Logical id.
    pub id: String,
    /// ARN.
    pub arn: String,
    /// The bus's name.
    pub bus: String,
    /// The event pattern, as JSON.
    pub pattern: Value,
    /// Where to.
    pub targets: Vec<Target>,
}

/// A topic's subscription that is a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The topic's ARN.
    pub topic: String,
    /// The queue's ARN.
    pub queue: String,
    /// Without SNS's envelope.
    pub raw: bool,
}

/// Which of SES's events go to which topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The configuration set's name.
    pub configuration_set: String,
    /// `SEND`, `BOUNCE` …
    pub types: Vec<String>,
    /// The topic's ARN.
    pub topic: String,
}

/// Reads an `AWS::SQS::Queue`.
pub(super) fn queue(
    id: &str,
    name: String,
    arn: String,
    url: String,
    body: &Properties,
) -> Result<Queue, TemplateError> {
    body.only(&[
        "QueueName",
        "VisibilityTimeout",
        "DelaySeconds",
        "MessageRetentionPeriod",
        "RedrivePolicy",
        "RedriveAllowPolicy",
        "SqsManagedSseEnabled",
        "ReceiveMessageWaitTimeSeconds",
        "Tags",
    ])?;
    let redrive = body.within("RedrivePolicy")?;
    let redrive = match redrive.text_opt("deadLetterTargetArn")? {
        None => None,
        Some(target) => Some(Redrive {
            target,
            max_receive_count: redrive.number_opt("maxReceiveCount")?.unwrap_or(10),
        }),
    };
    Ok(Queue {
        id: id.to_owned(),
        name,
        arn,
        url,
        visibility: body.number_opt("VisibilityTimeout")?.unwrap_or(30),
        delay: body.number_opt("DelaySeconds")?.unwrap_or(0),
        redrive,
    })
}

/// Reads an `AWS::Events::Rule`.
pub(super) fn rule(id: &str, arn: String, body: &Properties) -> Result<Rule, TemplateError> {
    body.only(&["Name", "Description", "EventBusName", "EventPattern", "Targets", "State"])?;
    if body.text_opt("State")?.is_some_and(|state| state != "ENABLED") {
        return Err(unknown(&body.at("State"), "a rule that is not ENABLED"));
    }
    let mut targets = Vec::new();
    for target in body.list("Targets")? {
        target.only(&["Id", "Arn", "InputPath", "DeadLetterConfig", "RetryPolicy"])?;
        let queue = target.text("Arn")?;
        if !queue.starts_with("arn:aws:sqs:") {
            return Err(unknown(&target.at("Arn"), format!("the target {queue}")));
        }
        targets.push(Target {
            queue,
            input_path: target.text_opt("InputPath")?,
            dead_letters: target.within("DeadLetterConfig")?.text_opt("Arn")?,
        });
    }
    let pattern = body.value("EventPattern").clone();
    if !pattern.is_object() {
        return Err(unexpected(&body.at("EventPattern"), &pattern, "an event pattern"));
    }
    let bus = body.text_opt("EventBusName")?.unwrap_or_else(|| "default".to_owned());
    Ok(Rule { id: id.to_owned(), arn, bus, pattern, targets })
}

/// Reads a topic's own subscriptions, or an `AWS::SNS::Subscription`. Addresses of people
/// (`email`) are no part of the local stack.
pub(super) fn subscription(
    topic: &str,
    body: &Properties,
) -> Result<Option<Subscription>, TemplateError> {
    body.only(&["TopicArn", "Protocol", "Endpoint", "RawMessageDelivery"])?;
    match body.text("Protocol")?.as_str() {
        "email" => Ok(None),
        "sqs" => Ok(Some(Subscription {
            topic: topic.to_owned(),
            queue: body.text("Endpoint")?,
            raw: body.truth("RawMessageDelivery")?,
        })),
        other => Err(unknown(&body.place, format!("subscriptions of protocol {other}"))),
    }
}

/// Reads an `AWS::SES::ConfigurationSetEventDestination`.
pub(super) fn destination(body: &Properties) -> Result<Option<Destination>, TemplateError> {
    body.only(&["ConfigurationSetName", "EventDestination"])?;
    let configuration_set = body.text("ConfigurationSetName")?;
    let body = body.within("EventDestination")?;
    body.only(&["Name", "Enabled", "MatchingEventTypes", "SnsDestination"])?;
    if !body.truth("Enabled")? {
        return Ok(None);
    }
    let types = body.texts("MatchingEventTypes")?;
    let types = types.iter().map(|name| name.to_ascii_uppercase()).collect();
    let topic = body.within("SnsDestination")?.text("TopicARN")?;
    Ok(Some(Destination { configuration_set, types, topic }))
}
