//! SNS, as far as SES needs it: publishing to the queues that listen to a topic.

use crate::feed::What;
use crate::iam::Question;
use crate::identifiers::uuid;
use crate::state::Shared;
use crate::usage::{Calls, chunks};
use odyssey_domain::time::Span;
use serde_json::json;
use std::sync::Arc;

/// Publishes under the leave of the topic's own policy, on behalf of `service` and `source`.
pub(super) fn publish(
    shared: &Arc<Shared>,
    topic: &str,
    subject: &str,
    message: &str,
    source: (&str, &str),
) {
    let account = shared.place.account.as_str();
    let context = [("aws:sourcearn", source.1), ("aws:sourceaccount", account)];
    let question = Question { action: "sns:Publish", resource: topic, context: &context };
    if let Err(denied) = shared.iam.guard(source.0, &question) {
        shared.tell(What::Denied {
            caller: denied.who,
            action: denied.action,
            resource: denied.resource,
        });
        return;
    }
    let cost = Calls {
        calls: 1,
        entries: 1,
        chunks: chunks(message.len()),
        bytes: u64::try_from(message.len()).unwrap_or(0),
        ..Calls::default()
    };
    shared.book.call("SES", "sns:Publish", &cost);
    let id = uuid();
    let subscriptions = shared.resources.subscriptions.iter().filter(|s| s.topic == topic);
    for subscription in subscriptions {
        let envelope = json!({
            "Type": "Notification",
            "MessageId": id,
            "TopicArn": topic,
            "Subject": subject,
            "Message": message,
            "Timestamp": shared.clock.now().to_string(),
            "SignatureVersion": "1",
            "Signature": "bG9jYWw=",
            "SigningCertURL": "https://sns.us-east-1.amazonaws.com/local.pem",
            "UnsubscribeURL": "https://sns.us-east-1.amazonaws.com/?Action=Unsubscribe",
        });
        let body = if subscription.raw { message.to_owned() } else { envelope.to_string() };
        deliver(shared, &subscription.queue, &body, ("SNS", "sns.amazonaws.com", topic));
    }
}

/// Puts a message on a queue on behalf of a service, under the leave of the queue's own policy.
/// `by` is what it is counted under, the service principal, and the ARN it delivers for.
pub(super) fn deliver(
    shared: &Arc<Shared>,
    queue: &str,
    body: &str,
    by: (&str, &str, &str),
) -> bool {
    let (name, principal, source) = by;
    let account = shared.place.account.as_str();
    let context = [("aws:sourcearn", source), ("aws:sourceaccount", account)];
    let question = Question { action: "sqs:SendMessage", resource: queue, context: &context };
    if let Err(denied) = shared.iam.guard(principal, &question) {
        shared.tell(What::Denied {
            caller: denied.who,
            action: denied.action,
            resource: denied.resource,
        });
        return false;
    }
    let Some(spec) = shared.broker.find(queue) else {
        return false;
    };
    let cost = Calls {
        calls: 1,
        entries: 1,
        chunks: chunks(body.len()),
        bytes: u64::try_from(body.len()).unwrap_or(0),
        ..Calls::default()
    };
    shared.book.call(name, "sqs:SendMessage", &cost);
    shared.broker.send(&spec.name, body, Span::ZERO, source);
    true
}
