//! SES's reports: once `feedback` is done with one, it has told everybody whom it concerns.

use super::super::workspace::keyring;
use super::Check;
use odyssey_domain::event::Event;
use odyssey_domain::ids::SendId;
use odyssey_domain::message::SendState;
use odyssey_domain::personal::EmailAddress;
use odyssey_domain::wire::{FeedbackKind, MessageFeedback};
use odyssey_flows::queue::Disposition;
use serde_json::Value;
use std::collections::BTreeMap;

/// A report as SES made it, read without the code that is checked.
#[derive(Debug, Clone)]
pub(super) struct Report {
    send: SendId,
    kind: FeedbackKind,
    to: String,
}

/// What the bus was told.
pub(super) type Told = BTreeMap<SendId, Vec<FeedbackKind>>;

/// Reads a message of `feedback`'s queue.
pub(super) fn report(body: &str) -> Option<Report> {
    let read: Value = serde_json::from_str(body).ok()?;
    let event: Value = match read.get("Message").and_then(Value::as_str) {
        Some(message) => serde_json::from_str(message).ok()?,
        None => read,
    };
    let kind = match (event["eventType"].as_str()?, event["bounce"]["bounceType"].as_str()) {
        ("Send", _) => FeedbackKind::Sent,
        ("Delivery", _) => FeedbackKind::Delivered,
        ("Open", _) => FeedbackKind::Opened,
        ("Complaint", _) => FeedbackKind::Complained,
        ("Bounce", Some("Permanent")) => FeedbackKind::BouncedHard,
        ("Bounce", _) => FeedbackKind::BouncedSoft,
        ("Reject", _) => FeedbackKind::Rejected,
        _ => return None,
    };
    let send = &event["mail"]["tags"]["send_id"][0];
    let to = event["mail"]["destination"][0].as_str()?;
    Some(Report { send: serde_json::from_value(send.clone()).ok()?, kind, to: to.to_owned() })
}

impl Check {
    /// `feedback` told the bus of a report.
    pub(super) fn report_told(&mut self, detail: &str) {
        if let Ok(told) = serde_json::from_str::<MessageFeedback>(detail) {
            self.told.entry(told.send).or_default().push(told.kind);
        }
    }

    /// Whether an event of a profile is what the bus was told of a mail.
    pub(super) fn is_told(&self, event: &Event) -> bool {
        let kind = match event.name.as_deref() {
            Some("Email Opened") => FeedbackKind::Opened,
            Some("Email Bounced") => FeedbackKind::BouncedHard,
            Some("Email Marked as Spam") => FeedbackKind::Complained,
            _ => return false,
        };
        let send = event.properties.get("email_id").cloned().unwrap_or_default();
        serde_json::from_value::<SendId>(send)
            .is_ok_and(|send| self.told.get(&send).is_some_and(|told| told.contains(&kind)))
    }

    /// What `feedback` is done with, at that instant.
    pub(super) fn reports_disposed(
        &mut self,
        reports: &[Option<Report>],
        dispositions: &[Disposition],
    ) {
        for (report, disposition) in reports.iter().zip(dispositions) {
            if let (Some(report), Disposition::Done) = (report, disposition) {
                self.report_recorded(report);
            }
        }
    }

    fn report_recorded(&mut self, report: &Report) {
        use FeedbackKind::{BouncedHard, BouncedSoft, Complained, Delivered, Sent};
        let Report { send, kind, to } = report;
        let item = self.sends.ledger.get(send);
        let settled = item.is_none_or(|item| {
            matches!(item.state, SendState::Sent { .. } | SendState::Failed { .. })
        });
        let noted = item.is_none_or(|item| item.delivery.is_some());
        let noted = noted || !matches!(kind, Delivered | BouncedHard | BouncedSoft | Complained);
        let contact = EmailAddress::parse(to).ok().map(|to| keyring().contact_key(&to));
        let suppressed = contact
            .and_then(|contact| self.contacts.get(&contact))
            .is_some_and(|contact| contact.suppression.is_some());
        let suppressed = suppressed || !matches!(kind, BouncedHard | Complained);
        let told = self.told.get(send).is_some_and(|told| told.contains(kind));
        let told = told || matches!(kind, Sent | Delivered);
        self.holds("reports-recorded", settled && noted && suppressed && told, || {
            format!(
                "feedback is done with {kind:?} of {send}; settled: {settled}, noted: {noted}, \
                 suppressed where it must: {suppressed}, the bus told: {told}"
            )
        });
    }
}
