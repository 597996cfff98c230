//! What SES reports, as it stands in a queue: in SNS's envelope, or raw.
//!
//! Both shapes of SES are understood: event publishing (`eventType`) and identity notifications
//! (`notificationType`), as the developer guide shows them ("Contents of event data that Amazon SES
//! publishes", read 2026-11). Fields that nothing here needs are not read, so that new ones break
//! nothing.

use super::machine::{self, Machine, Touch};
use crate::contact::SuppressionReason;
use crate::ids::SendId;
use crate::personal::EmailAddress;
use crate::time::Stamp;
use crate::wire::FeedbackKind;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The tag every mail of ours carries.
pub const SEND_ID_TAG: &str = "send_id";

/// More recipients than SES takes for one message (50, "Service quotas", read 2026-11) are not
/// looked at.
const RECIPIENTS_MAX: usize = 50;

/// One event of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What happened.
    pub kind: FeedbackKind,
    /// Our id of the message; none where something else in the account sent it.
    pub send: Option<SendId>,
    /// SES's id of it.
    pub ses_id: String,
    /// When SES accepted the message, by SES's clock.
    pub accepted: Option<Stamp>,
    /// When this happened, by SES's clock.
    pub at: Option<Stamp>,
    /// The machine that opened it or followed a link, where it says so itself.
    pub machine: Option<Machine>,
    /// Whom not to mail any more, and why.
    pub suppress: Vec<(EmailAddress, SuppressionReason)>,
}

/// What a message on the feedback queue is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Feedback {
    /// An event of a message.
    Report(Report),
    /// Nothing to record: SNS's or SES's own test message, an event type of a later release, a
    /// report that takes a complaint back.
    Ignored(&'static str),
}

/// A message on the feedback queue is not what SES and SNS send. The text is not repeated: it may
/// hold addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FeedbackError {
    /// Not JSON, or not of SES's shape.
    #[error("expected an SES event, found something else at line {line} column {column}")]
    Malformed {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// An event that lacks the part its type promises.
    #[error("expected an SES event with its `{0}` object, found none")]
    MissingPart(&'static str),
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "Type")]
    kind: String,
    #[serde(rename = "Message", default)]
    message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    #[serde(rename = "eventType", alias = "notificationType")]
    what: String,
    mail: Mail,
    bounce: Option<Bounce>,
    complaint: Option<Complaint>,
    delivery: Option<Stamped>,
    delivery_delay: Option<Stamped>,
    open: Option<Touched>,
    click: Option<Touched>,
    subscription: Option<Stamped>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mail {
    timestamp: Option<String>,
    message_id: String,
    #[serde(default)]
    tags: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
struct Stamped {
    timestamp: Option<String>,
}

/// What SES tells of an open or a click. The address it came from is not read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Touched {
    timestamp: Option<String>,
    // Text, as far as is known; whatever else it is says nothing, and loses no report.
    #[serde(default)]
    user_agent: serde_json::Value,
}

impl Touched {
    fn by(part: Option<&Touched>, touch: Touch) -> Option<Machine> {
        machine::by_agent(part?.user_agent.as_str()?, touch)
    }

    fn at(part: Option<&Touched>) -> Option<String> {
        part.and_then(|part| part.timestamp.clone())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bounce {
    #[serde(rename = "bounceType")]
    how: String,
    #[serde(default)]
    bounced_recipients: Vec<Recipient>,
    timestamp: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Complaint {
    #[serde(default)]
    complained_recipients: Vec<Recipient>,
    #[serde(rename = "complaintFeedbackType")]
    how: Option<String>,
    timestamp: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recipient {
    email_address: String,
    action: Option<String>,
    status: Option<String>,
}

/// Reads a message of the feedback queue.
///
/// # Errors
/// Where it is neither SNS's envelope nor an SES event, or an event lacks its own part.
pub fn parse(body: &str) -> Result<Feedback, FeedbackError> {
    if let Ok(envelope) = serde_json::from_str::<Envelope>(body) {
        return match envelope.kind.as_str() {
            "Notification" if !envelope.message.trim_start().starts_with('{') => {
                // "Successfully validated SNS topic for Amazon SES event publishing."
                Ok(Feedback::Ignored("a note, not an event"))
            }
            "Notification" => event(&envelope.message),
            _ => Ok(Feedback::Ignored("SNS's own message")),
        };
    }
    event(body)
}

fn event(text: &str) -> Result<Feedback, FeedbackError> {
    let event: Event = serde_json::from_str(text)
        .map_err(|e| FeedbackError::Malformed { line: e.line(), column: e.column() })?;
    let (mut suppress, mut machine) = (Vec::new(), None);
    let stamp = |part: Option<&Stamped>| part.and_then(|part| part.timestamp.clone());
    let (kind, at) = match event.what.as_str() {
        "Send" => (FeedbackKind::Sent, None),
        "Delivery" => (FeedbackKind::Delivered, stamp(event.delivery.as_ref())),
        "DeliveryDelay" => (FeedbackKind::Delayed, stamp(event.delivery_delay.as_ref())),
        "Reject" => (FeedbackKind::Rejected, None),
        "Rendering Failure" => (FeedbackKind::RenderingFailed, None),
        "Open" => {
            machine = Touched::by(event.open.as_ref(), Touch::Open);
            (FeedbackKind::Opened, Touched::at(event.open.as_ref()))
        }
        "Click" => {
            machine = Touched::by(event.click.as_ref(), Touch::Click);
            (FeedbackKind::Clicked, Touched::at(event.click.as_ref()))
        }
        "Subscription" => (FeedbackKind::Subscription, stamp(event.subscription.as_ref())),
        "Bounce" => {
            let bounce = event.bounce.ok_or(FeedbackError::MissingPart("bounce"))?;
            let hard = bounce.how.eq_ignore_ascii_case("permanent");
            if hard {
                let gone = bounce.bounced_recipients.iter().filter(|to| to.is_gone());
                suppress = addresses(gone, SuppressionReason::HardBounce);
            }
            let kind = if hard { FeedbackKind::BouncedHard } else { FeedbackKind::BouncedSoft };
            (kind, bounce.timestamp)
        }
        "Complaint" => {
            let complaint = event.complaint.ok_or(FeedbackError::MissingPart("complaint"))?;
            if complaint.how.as_deref() == Some("not-spam") {
                return Ok(Feedback::Ignored("a report that it is not spam"));
            }
            let recipients = complaint.complained_recipients.iter();
            suppress = addresses(recipients, SuppressionReason::Complaint);
            (FeedbackKind::Complained, complaint.timestamp)
        }
        _ => return Ok(Feedback::Ignored("an event type of no concern")),
    };
    let accepted = event.mail.timestamp.as_deref().and_then(time);
    let tag = event.mail.tags.get(SEND_ID_TAG).and_then(|values| values.first());
    Ok(Feedback::Report(Report {
        kind,
        send: tag.and_then(|id| id.parse().ok()),
        ses_id: event.mail.message_id,
        accepted,
        at: at.as_deref().and_then(time).or(accepted),
        machine,
        suppress,
    }))
}

/// A time as SES writes it; one of another shape is no reason to lose the report.
fn time(text: &str) -> Option<Stamp> {
    Stamp::parse(text).ok()
}

impl Recipient {
    /// Whether a permanent bounce speaks of this recipient: one of several may only be delayed.
    fn is_gone(&self) -> bool {
        let delayed = self.action.as_deref().is_some_and(|action| action == "delayed");
        let for_now = self.status.as_deref().is_some_and(|status| status.starts_with("4."));
        !delayed && !for_now
    }
}

fn addresses<'a>(
    recipients: impl Iterator<Item = &'a Recipient>,
    reason: SuppressionReason,
) -> Vec<(EmailAddress, SuppressionReason)> {
    let bare = |text: &'a str| match text.rsplit_once('<') {
        Some((_, address)) => address.trim_end().trim_end_matches('>'),
        None => text,
    };
    recipients
        .take(RECIPIENTS_MAX)
        .filter_map(|to| EmailAddress::parse(bare(&to.email_address)).ok())
        .map(|address| (address, reason))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn report(json: &str) -> Report {
        match parse(json).unwrap() {
            Feedback::Report(report) => report,
            Feedback::Ignored(why) => panic!("ignored: {why}"),
        }
    }

    fn bounce(kind: &str, to: &str) -> String {
        format!(
            r#"{{"eventType":"Bounce","bounce":{{"bounceType":"{kind}","bouncedRecipients":[{to}],
            "timestamp":"2026-11-21T20:00:01.000Z"}},"mail":{{"timestamp":"2026-11-21T20:00:00.000Z",
            "messageId":"ses-1","destination":["a@b.io"],
            "tags":{{"send_id":["{}"],"topic":["offers"]}}}}}}"#,
            SendId::from_bytes([1; 16])
        )
    }

    #[test]
    fn a_hard_bounce() {
        let found = report(&bounce("Permanent", r#"{"emailAddress":"Ann <ann@example.com>"}"#));
        assert_eq!(found.kind, FeedbackKind::BouncedHard);
        assert_eq!(found.send, Some(SendId::from_bytes([1; 16])));
        assert_eq!(found.ses_id, "ses-1");
        assert_eq!(found.at.unwrap().to_string(), "2026-11-21T20:00:01.000Z");
        let ann = EmailAddress::parse("ann@example.com").unwrap();
        assert_eq!(found.suppress, [(ann, SuppressionReason::HardBounce)]);
    }

    #[test]
    fn only_who_is_gone_is_suppressed() {
        let to = r#"{"emailAddress":"a@b.io","action":"failed","status":"5.1.1"},
            {"emailAddress":"c@d.io","action":"delayed","status":"4.0.0"},{"emailAddress":"?"}"#;
        assert_eq!(report(&bounce("Permanent", to)).suppress.len(), 1);
        let soft = report(&bounce("Transient", to));
        assert_eq!((soft.kind, soft.suppress.len()), (FeedbackKind::BouncedSoft, 0));
        assert_eq!(report(&bounce("Undetermined", to)).kind, FeedbackKind::BouncedSoft);
    }

    /// As SES's developer guide shows opens and clicks, with other user agents.
    fn touched(what: &str, agent: &serde_json::Value) -> String {
        let mut part = serde_json::json!({
            "ipAddress": "192.0.2.1", "timestamp": "2017-08-09T22:00:19.652Z", "userAgent": agent,
        });
        if what == "Click" {
            part["link"] = "http://docs.aws.amazon.com/ses/latest/DeveloperGuide/x.html".into();
            part["linkTags"] = serde_json::json!({"samplekey0": ["samplevalue0"]});
        }
        serde_json::json!({
            "eventType": what, what.to_lowercase(): part,
            "mail": {"messageId": "ses-1", "timestamp": "2017-08-09T21:59:49.927Z",
                "tags": {"send_id": [SendId::from_bytes([1; 16]).to_string()]}},
        })
        .to_string()
    }

    #[test]
    fn machines_are_told_by_what_they_say() {
        let google = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)";
        for (what, agent, expected) in [
            ("Open", "Mozilla/5.0".into(), Some(Machine::Prefetch)),
            ("Click", "Mozilla/5.0".into(), Some(Machine::Scanner)),
            ("Click", "python-requests/2.32.3".into(), Some(Machine::Scanner)),
            ("Open", google.into(), None),
            // In no such form it says nothing, and the report is not lost.
            ("Open", serde_json::Value::Null, None),
            ("Click", serde_json::json!(["Mozilla/5.0"]), None),
        ] {
            let found = report(&touched(what, &agent));
            assert_eq!(found.machine, expected, "{what} by {agent}");
            assert_eq!(found.at.unwrap().to_string(), "2017-08-09T22:00:19.652Z");
            // Neither the agent nor the address is kept.
            let kept = format!("{found:?}");
            assert!(!kept.contains("192.0.2.1") && !kept.contains("Mozilla"), "{kept}");
        }
    }

    #[test]
    fn in_an_envelope_it_is_the_same() {
        let raw = bounce("Permanent", r#"{"emailAddress":"a@b.io"}"#);
        let envelope = serde_json::json!({
            "Type": "Notification", "MessageId": "m", "TopicArn": "t", "Message": raw,
        });
        assert_eq!(report(&envelope.to_string()), report(&raw));
    }

    #[test]
    fn what_says_nothing_is_ignored() {
        let note = "Successfully validated SNS topic for Amazon SES event publishing.";
        for body in [
            serde_json::json!({"Type": "Notification", "Message": note}),
            serde_json::json!({"Type": "SubscriptionConfirmation", "Message": "x", "Token": "t"}),
            serde_json::json!({"eventType": "Invented", "mail": {"messageId": "m"}}),
            serde_json::json!({
                "eventType": "Complaint", "mail": {"messageId": "m"},
                "complaint": {"complaintFeedbackType": "not-spam", "complainedRecipients": []},
            }),
        ] {
            assert!(matches!(parse(&body.to_string()), Ok(Feedback::Ignored(_))), "{body}");
        }
    }

    #[test]
    fn what_is_none_is_refused_without_its_content() {
        for body in [
            "",
            "secret@example.com",
            "{}",
            "[]",
            r#"{"eventType":"Bounce"}"#,
            r#"{"eventType":"Bounce","mail":{"messageId":"m"}}"#,
            r#"{"Type":"Notification","Message":"{\"eventType\":\"secret@example.com\"}"}"#,
        ] {
            let error = parse(body).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    /// Every sample of SES's developer guide, where the folder of outside data is at hand.
    #[test]
    fn the_samples_of_the_developer_guide() {
        let folder = std::path::Path::new(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../../shared/data/ses-events"
        ));
        let Ok(index) = std::fs::read_to_string(folder.join("INDEX.tsv")) else {
            println!("SKIPPED: the folder ../shared/data/ses-events is not here");
            return;
        };
        let mut read = 0;
        for line in index.lines().skip(1) {
            let mut columns = line.split('\t');
            let (Some(file), _, Some(kind)) = (columns.next(), columns.next(), columns.next())
            else {
                panic!("a line of INDEX.tsv lacks columns: {line}");
            };
            let text = std::fs::read_to_string(folder.join(file)).unwrap();
            let raw = parse(&text);
            let envelope = serde_json::json!({"Type": "Notification", "Message": text});
            if kind.is_empty() {
                // A part of an event, shown by itself.
                assert!(raw.is_err(), "{file}");
                continue;
            }
            if kind == "Received" {
                assert!(matches!(raw, Ok(Feedback::Ignored(_))), "{file}: {raw:?}");
                continue;
            }
            let found = report(&text);
            assert_eq!(report(&envelope.to_string()), found, "{file}");
            let expected = match kind {
                "Send" => FeedbackKind::Sent,
                "Delivery" => FeedbackKind::Delivered,
                "DeliveryDelay" => FeedbackKind::Delayed,
                "Bounce" => FeedbackKind::BouncedHard,
                "Complaint" => FeedbackKind::Complained,
                "Reject" => FeedbackKind::Rejected,
                "Rendering Failure" => FeedbackKind::RenderingFailed,
                "Open" => FeedbackKind::Opened,
                "Click" => FeedbackKind::Clicked,
                "Subscription" => FeedbackKind::Subscription,
                other => panic!("{file}: unknown type {other}"),
            };
            assert_eq!(found.kind, expected, "{file}");
            assert!(found.at.is_some(), "{file}");
            let suppresses =
                matches!(expected, FeedbackKind::BouncedHard | FeedbackKind::Complained);
            assert_eq!(!found.suppress.is_empty(), suppresses, "{file}");
            read += 1;
        }
        assert!(read >= 25, "{read} samples read");
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in "\\PC*") {
            let _ = parse(&text);
        }
    }
}
