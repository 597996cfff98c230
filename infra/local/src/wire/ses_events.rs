//! What SES reports of a mail: by the recipient, as its mailbox simulator would.

use super::{ses, sns};
use crate::feed::What;
use crate::identifiers::uuid;
use crate::mailbox::Mail;
use crate::state::Shared;
use serde_json::{Value, json};
use std::sync::Arc;

/// What becomes of a mail to this address: the events after `Send`.
fn fate(address: &str) -> &'static [&'static str] {
    let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    if !domain.eq_ignore_ascii_case("simulator.amazonses.com") {
        return &["Delivery"];
    }
    // Labels (`bounce+anything@`) are the simulator's own way to tell addresses apart.
    match local.split('+').next().unwrap_or_default() {
        "bounce" | "suppressionlist" => &["Bounce"],
        "softbounce" => &["SoftBounce"],
        "complaint" => &["Delivery", "Complaint"],
        "open" => &["Delivery", "Open"],
        "click" => &["Delivery", "Open", "Click"],
        "delay" => &["DeliveryDelay", "Delivery"],
        "reject" => &["Reject"],
        _ => &["Delivery"],
    }
}

/// Reports a mail's fate through its configuration set.
pub(super) fn report(shared: &Arc<Shared>, mail: &Mail) {
    let Some(set) = &mail.configuration_set else {
        return;
    };
    for address in &mail.to {
        for kind in std::iter::once(&"Send").chain(fate(ses::bare(address))) {
            publish(shared, mail, set, kind, ses::bare(address));
        }
    }
}

/// Publishes one event about a mail to wherever the configuration set reports it.
pub(crate) fn publish(shared: &Arc<Shared>, mail: &Mail, set: &str, kind: &str, address: &str) {
    let name = if kind == "SoftBounce" { "Bounce" } else { kind };
    let mut event = json!({"eventType": name, "mail": described(shared, mail)});
    let (key, body) = details(shared, kind, address);
    event[key] = body;
    let matching = match name {
        "DeliveryDelay" => "DELIVERY_DELAY".to_owned(),
        other => other.to_ascii_uppercase(),
    };
    let place = &shared.place;
    let source = format!("arn:aws:ses:{}:{}:configuration-set/{set}", place.region, place.account);
    for destination in &shared.resources.destinations {
        if destination.configuration_set == set && destination.types.contains(&matching) {
            let subject = "Amazon SES Email Event Notification";
            let by = ("ses.amazonaws.com", source.as_str());
            sns::publish(shared, &destination.topic, subject, &event.to_string(), by);
        }
    }
    shared.tell(What::Reported { message: mail.id.clone(), event: name.to_owned() });
}

fn described(shared: &Arc<Shared>, mail: &Mail) -> Value {
    let place = &shared.place;
    let domain = ses::bare(&mail.from).rsplit('@').next().unwrap_or_default();
    let mut headers = vec![
        json!({"name": "From", "value": mail.from}),
        json!({"name": "To", "value": mail.to.join(", ")}),
        json!({"name": "Subject", "value": mail.subject}),
        json!({"name": "MIME-Version", "value": "1.0"}),
    ];
    let further = mail.headers.iter();
    headers.extend(further.map(|(name, value)| json!({"name": name, "value": value})));
    json!({
        "timestamp": mail.at.to_string(),
        "source": mail.from,
        "sourceArn": format!("arn:aws:ses:{}:{}:identity/{domain}", place.region, place.account),
        "sendingAccountId": place.account,
        "messageId": mail.id,
        "destination": mail.to,
        "headersTruncated": false,
        "headers": headers,
        "commonHeaders": {
            "from": [mail.from],
            "to": mail.to,
            "messageId": mail.id,
            "subject": mail.subject,
        },
        "tags": ses::event_tags(mail),
    })
}

fn details(shared: &Arc<Shared>, kind: &str, address: &str) -> (&'static str, Value) {
    let at = shared.clock.now().to_string();
    let feedback = format!("0100-{}", uuid());
    let bounce = |kind: &str, subtype: &str, status: &str, code: &str| {
        json!({
            "bounceType": kind,
            "bounceSubType": subtype,
            "bouncedRecipients": [{
                "emailAddress": address, "action": "failed", "status": status,
                "diagnosticCode": code,
            }],
            "timestamp": at,
            "feedbackId": feedback,
            "reportingMTA": "dns; simulator.amazonses.com",
        })
    };
    match kind {
        "Send" => ("send", json!({})),
        "Delivery" => (
            "delivery",
            json!({
                "timestamp": at, "processingTimeMillis": 500, "recipients": [address],
                "smtpResponse": "250 2.6.0 Message received", "reportingMTA": "local",
            }),
        ),
        "Bounce" => {
            ("bounce", bounce("Permanent", "General", "5.1.1", "smtp; 550 5.1.1 user unknown"))
        }
        "SoftBounce" => {
            ("bounce", bounce("Transient", "MailboxFull", "4.2.2", "smtp; 452 4.2.2 full"))
        }
        "Complaint" => (
            "complaint",
            json!({
                "complainedRecipients": [{"emailAddress": address}],
                "timestamp": at,
                "feedbackId": feedback,
                "userAgent": "Amazon SES Mailbox Simulator",
                "complaintFeedbackType": "abuse",
                "arrivalDate": at,
            }),
        ),
        "DeliveryDelay" => (
            "deliveryDelay",
            json!({
                "delayType": "TransientCommunicationFailure", "timestamp": at,
                "expirationTime": at,
                "delayedRecipients": [{"emailAddress": address, "status": "4.4.1"}],
            }),
        ),
        "Open" => {
            ("open", json!({"ipAddress": "192.0.2.1", "timestamp": at, "userAgent": "local stack"}))
        }
        "Click" => (
            "click",
            json!({
                "ipAddress": "192.0.2.1", "timestamp": at, "userAgent": "local stack",
                "link": "https://example.com/", "linkTags": {},
            }),
        ),
        _ => ("reject", json!({"reason": "Bad content"})),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_simulators_addresses() {
        for (address, expected) in [
            ("ann@example.com", &["Delivery"][..]),
            ("bounce@simulator.amazonses.com", &["Bounce"]),
            ("bounce+7@simulator.amazonses.com", &["Bounce"]),
            ("complaint@SIMULATOR.amazonses.com", &["Delivery", "Complaint"]),
            ("success@simulator.amazonses.com", &["Delivery"]),
            ("bounce@example.com", &["Delivery"]),
        ] {
            assert_eq!(fate(address), expected, "{address}");
        }
    }
}
