//! SES: accepts mails, remembers them for good, reports what became of them.

use super::core::{Actor, Core, Next};
use super::faults::WireFault;
use super::functions::Inbox;
use super::rng::{Rng, Stream};
use odyssey_domain::ids::SendId;
use odyssey_domain::time::{Span, Stamp};
use odyssey_flows::ports::OutgoingMail;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What a recipient's server and the recipient do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Delivered,
    HardBounce,
    SoftBounce,
    Complaint,
    Reject,
}

/// SES and the mailbox.
#[derive(Debug)]
pub(crate) struct Ses {
    rng: Rng,
    /// What happens to mails to an address; delivered where nothing is said.
    pub(crate) fates: BTreeMap<String, Fate>,
    /// Accepted mails by send id: the instants.
    pub(crate) accepted: BTreeMap<SendId, Vec<Stamp>>,
    /// Mails it accepts in any one second; any number where nothing is said.
    pub(crate) per_second: Option<usize>,
    /// How many it accepted in which second.
    in_second: (i64, usize),
    /// Mails that reached their inbox and were not looked at yet.
    pub(crate) arrivals: Vec<OutgoingMail>,
}

impl Ses {
    pub(crate) const fn new(seed: u64) -> Ses {
        Ses {
            rng: Rng::new(seed, Stream::People),
            fates: BTreeMap::new(),
            accepted: BTreeMap::new(),
            per_second: None,
            in_second: (0, 0),
            arrivals: Vec::new(),
        }
    }
}

impl Core {
    /// Whether SES takes one more mail in this second.
    pub(crate) fn has_room(&mut self) -> bool {
        let Some(most) = self.ses.per_second else { return true };
        let second = self.now.ms() / 1_000;
        let (then, taken) = self.ses.in_second;
        let taken = if then == second { taken } else { 0 };
        self.ses.in_second = (second, taken + usize::from(taken < most));
        taken < most
    }

    /// Accepts a mail: from now on nothing takes it back.
    pub(crate) fn accept(&mut self, actor: Actor, mail: OutgoingMail) -> String {
        let id = format!("ses-{}", self.number());
        let now = self.now;
        self.ses.accepted.entry(mail.send).or_default().push(now);
        let times = self.ses.accepted.get(&mail.send).map_or(0, Vec::len);
        self.check.accepted(now, actor, &mail, times, &self.store);
        let (first, second) = (mail.send.bytes()[0], mail.send.bytes()[1]);
        self.trace.note(now, &[7, u64::from(first), u64::from(second)], || {
            format!("SES accepts send {} as {id}", mail.send)
        });
        let fate = self.ses.fates.get(mail.to.expose()).copied().unwrap_or(Fate::Delivered);
        self.report(&mail, &id, "Send", &json!({"send": {}}), 50, 4_000);
        match fate {
            Fate::Delivered | Fate::Complaint => {
                let stamp = json!({"delivery": {"timestamp": now.to_string()}});
                self.report(&mail, &id, "Delivery", &stamp, 500, 60_000);
                if self.ses.rng.chance(200) {
                    // Half of them fetched by a mail program that says so.
                    let agent = ["Mozilla/5.0", "Mozilla/5.0 (X11)"][usize::from(first % 2)];
                    let opened =
                        json!({"open": {"timestamp": now.to_string(), "userAgent": agent}});
                    self.report(&mail, &id, "Open", &opened, 5_000, 3_600_000);
                }
                if fate == Fate::Complaint {
                    let complaint = json!({"complaint": {"timestamp": now.to_string(),
                        "complainedRecipients": [{"emailAddress": mail.to.expose()}]}});
                    self.report(&mail, &id, "Complaint", &complaint, 60_000, 7_200_000);
                }
                self.ses.arrivals.push(mail);
            }
            Fate::HardBounce | Fate::SoftBounce => {
                let how = if fate == Fate::HardBounce { "Permanent" } else { "Transient" };
                let bounce = json!({"bounce": {"bounceType": how, "timestamp": now.to_string(),
                    "bouncedRecipients": [{"emailAddress": mail.to.expose()}]}});
                self.report(&mail, &id, "Bounce", &bounce, 300, 120_000);
            }
            Fate::Reject => {
                self.report(&mail, &id, "Reject", &json!({"reject": {"reason": "x"}}), 100, 3_000);
            }
        }
        id
    }

    /// Reports over SNS to `feedback`'s queue; or does not, or late, or twice.
    fn report(
        &mut self,
        mail: &OutgoingMail,
        id: &str,
        kind: &str,
        part: &Value,
        min: u64,
        max: u64,
    ) {
        let mut event = json!({
            "eventType": kind,
            "mail": {"timestamp": self.now.to_string(), "messageId": id,
                     "destination": [mail.to.expose()],
                     "tags": {"send_id": [mail.send.to_string()]}},
        });
        if let (Some(event), Some(part)) = (event.as_object_mut(), part.as_object()) {
            event.extend(part.clone());
        }
        if self.faults.of_wire(WireFault::ReportMissing) {
            return;
        }
        self.check.report_made(mail.send, kind, mail.to.expose());
        let raw = self.ses.rng.chance(200);
        let body = if raw {
            event.to_string()
        } else {
            json!({"Type": "Notification", "Message": event.to_string()}).to_string()
        };
        let body: std::sync::Arc<str> = body.into();
        let late = if self.faults.of_wire(WireFault::ReportLate) {
            self.ses.rng.between(600_000, 30 * 3_600_000)
        } else {
            0
        };
        let times = if self.faults.of_wire(WireFault::ReportDoubled) { 2 } else { 1 };
        for _ in 0..times {
            let ms = self.ses.rng.between(min, max) + late;
            let at = self.now.plus(Span::from_ms(ms));
            self.plan(at, Next::Deliver { to: Inbox::Feedback, body: body.clone() });
        }
    }
}
