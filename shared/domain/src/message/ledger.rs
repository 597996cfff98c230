//! The ledger's item of one send, and every way it may change.
//!
//! What a delivery of the send request does, by the state it finds:
//!
//! | state | a delivery of the request | the owner, after its call | SES's event with the tag |
//! | --- | --- | --- | --- |
//! | none | decide; claim, DEFERRED or SKIPPED | – | nothing to settle |
//! | DEFERRED, before its time | arm its timer again, acknowledge | – | SENT |
//! | DEFERRED, at its time | decide afresh | – | SENT |
//! | CLAIMED | take over: decide and claim afresh | – (it must reach SENDING first) | SENT |
//! | RELEASED | take over: decide and claim afresh | – | SENT |
//! | SENDING, younger than [`SENDING_STALE`] | wait | SENT, FAILED, RELEASED, UNCONFIRMED | SENT |
//! | SENDING, older | UNCONFIRMED, acknowledge | SENT, FAILED, RELEASED, UNCONFIRMED | SENT |
//! | UNCONFIRMED | acknowledge | SENT, FAILED while the token is its own | SENT |
//! | SENT | acknowledge | – | delivery noted |
//! | FAILED | acknowledge | – | delivery noted |
//! | SKIPPED | acknowledge; a confirmation is decided afresh | – | – |
//!
//! UNCONFIRMED never becomes RELEASED: the delivery that gave it up acknowledged the message, so
//! nobody would come to claim it again, and a RELEASED is on nobody's list.
//!
//! A wake does what a delivery of the request does: one of an earlier deferral arms the standing
//! one's timer again, before its time, because the function that wrote that deferral may have died
//! before arming it. SES reports nothing of a send that was never called; a DEFERRED may have been
//! RELEASED before.
//!
//! A `Reject` or `Rendering Failure` event makes FAILED of every state but SKIPPED. An operator's
//! [`Verdict`] makes SENT or FAILED of UNCONFIRMED; where SES says later that it did accept, SENT of
//! that FAILED. No clock leads out of SENDING or UNCONFIRMED into another call.

use super::MailId;
use super::feedback::Report;
use crate::contact::TopicId;
use crate::ids::{ContactKey, OwnerToken, ProfileId, SendId};
use crate::journey::{JourneyId, StepId};
use crate::policy::{Reason, ReasonCode};
use crate::time::{Span, Stamp};
use crate::wire::{Enrolled, FeedbackKind, Why};
use serde::{Deserialize, Serialize};

/// How old a SENDING must be before another delivery gives up on its owner: `sender`'s function
/// time-out (`infra/template.yaml`), after which the owner certainly makes no call any more.
pub const SENDING_STALE: Span = Span::from_ms(30_000);

/// The longest reason kept of a failure, in characters.
const REASON_CHARS_MAX: usize = 160;

/// How far a send has come. Terminal: sent, failed, skipped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum SendState {
    /// Decided not to send yet: its timer is armed for a time at which it is decided again.
    Deferred {
        /// That time.
        until: Stamp,
        /// What holds it back, with the values it was decided on.
        reasons: Vec<Reason>,
    },
    /// Decided to send and counted against the caps; not yet tried.
    Claimed,
    /// Definitely not accepted by SES; may be claimed again.
    Released {
        /// Why.
        reason: String,
    },
    /// The call is being made, or was, by the owner; no clock turns this into a resend.
    Sending,
    /// Accepted by SES.
    Sent {
        /// SES's message id.
        ses_id: String,
        /// When.
        accepted: Stamp,
    },
    /// It was not sent, and never will be.
    Failed {
        /// Why.
        reason: String,
        /// Who says so.
        #[serde(default, skip_serializing_if = "Witness::is_ses")]
        witness: Witness,
    },
    /// Nobody knows: the answer was lost. Settled by SES's own event, else by an operator.
    Unconfirmed {
        /// Since when.
        since: Stamp,
    },
    /// Decided not to send.
    Skipped {
        /// Reason codes, with the values they were decided on.
        reasons: Vec<Reason>,
    },
}

/// Who says that a message was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Witness {
    /// SES, by its answer or by an event: it knows.
    #[default]
    Ses,
    /// An operator, who may be wrong: SES's own word to the contrary counts, however late it comes.
    Operator,
}

impl Witness {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    const fn is_ses(&self) -> bool {
        matches!(self, Witness::Ses)
    }
}

/// What became of an accepted message, in the order of their weight: of two, the weightier is
/// kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// It came back for now: a full mailbox, or an absence note. Below delivered, because absence
    /// notes follow a delivery and a real return is followed by none.
    BouncedSoft,
    /// The recipient's server took it.
    Delivered,
    /// It came back for good.
    Bounced,
    /// The recipient complained.
    Complained,
}

/// That a send was put off, and what it is taken up again with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deferral {
    /// The number of its last arming; never reused.
    pub arm: u64,
    /// When it was first put off.
    pub since: Stamp,
    /// All that ever held it back, each once.
    pub codes: Vec<ReasonCode>,
    /// The enrollment that asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrolled: Option<Enrolled>,
}

/// The ledger's item of one send; at most 1 KB.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LedgerItem {
    /// Its key.
    pub send: SendId,
    /// To whom; none for a confirmation mail of an address without a profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<ProfileId>,
    /// The contact that was claimed; none where it was skipped before there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<ContactKey>,
    /// The journey and step that asked for it; none for a confirmation mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_by: Option<(JourneyId, StepId)>,
    /// Which mail.
    pub mail: MailId,
    /// Under which topic.
    pub topic: TopicId,
    /// How far it is.
    #[serde(flatten)]
    pub state: SendState,
    /// Who claimed it.
    pub owner: OwnerToken,
    /// When it was claimed or decided.
    pub at: Stamp,
    /// When the call to SES began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sending_at: Option<Stamp>,
    /// The consent record it went out on: `granted 2026-… via confirmation`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent: Option<String>,
    /// What became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
    /// Whether it was put off, and since when; stays when it is sent in the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deferral: Option<Deferral>,
    /// Why it was asked for.
    pub why: Why,
}

/// What a delivery of a send request has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDelivery {
    /// Decide, and claim or skip.
    Decide,
    /// It is put off: see to it that its timer is armed, with this number for this time, and
    /// acknowledge.
    Arm {
        /// The number.
        arm: u64,
        /// The time.
        due: Stamp,
    },
    /// Another delivery is at it: come again after this.
    Wait(Span),
    /// The owner is gone and its answer with it: mark it unconfirmed, acknowledge.
    GiveUp,
    /// Nothing: acknowledge.
    Acknowledge,
}

/// What the call to SES came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallOutcome {
    /// Accepted, under this id.
    Sent(String),
    /// Refused for good.
    Failed(String),
    /// Certainly not accepted; may be tried again.
    Released(String),
    /// Nobody knows.
    Unconfirmed,
}

/// What an operator found out about a send whose answer was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// SES accepted it, under this id.
    Sent(String),
    /// SES never accepted it.
    NotSent,
}

impl SendState {
    /// Its name, as `odyssey explain` and the docs have it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            SendState::Deferred { .. } => "deferred",
            SendState::Claimed => "claimed",
            SendState::Released { .. } => "released",
            SendState::Sending => "sending",
            SendState::Sent { .. } => "sent",
            SendState::Failed { .. } => "failed",
            SendState::Unconfirmed { .. } => "unconfirmed",
            SendState::Skipped { .. } => "skipped",
        }
    }
}

impl LedgerItem {
    /// What a delivery of the request does about the item it finds (the module's table).
    #[must_use]
    pub fn on_delivery(found: Option<&LedgerItem>, now: Stamp) -> OnDelivery {
        let Some(item) = found else {
            return OnDelivery::Decide;
        };
        match &item.state {
            SendState::Deferred { until, .. } if *until > now => {
                let arm = item.deferral.as_ref().map_or(0, |deferral| deferral.arm);
                OnDelivery::Arm { arm, due: *until }
            }
            SendState::Claimed | SendState::Released { .. } | SendState::Deferred { .. } => {
                OnDelivery::Decide
            }
            SendState::Sending => {
                let age = now.since(item.sending_at.unwrap_or(item.at));
                if age > SENDING_STALE {
                    OnDelivery::GiveUp
                } else {
                    OnDelivery::Wait(Span::from_ms(SENDING_STALE.ms() - age.ms() + 1))
                }
            }
            SendState::Skipped { .. } if item.asked_by.is_none() => OnDelivery::Decide,
            SendState::Sent { .. }
            | SendState::Failed { .. }
            | SendState::Unconfirmed { .. }
            | SendState::Skipped { .. } => OnDelivery::Acknowledge,
        }
    }

    /// What a wake does about the item it finds: as a delivery of the request, unless nothing is
    /// known of the send. The wake of an earlier deferral arms the standing one's timer again: its
    /// own function may have died between writing that deferral and arming it.
    #[must_use]
    pub fn on_wake(found: Option<&LedgerItem>, now: Stamp) -> OnDelivery {
        found.map_or(OnDelivery::Acknowledge, |_| LedgerItem::on_delivery(found, now))
    }

    /// The item with the call under way; only from CLAIMED, and only by its owner.
    #[must_use]
    pub fn sending(&self, owner: OwnerToken, now: Stamp) -> Option<LedgerItem> {
        let mine = self.owner == owner && self.state == SendState::Claimed;
        mine.then(|| LedgerItem {
            state: SendState::Sending,
            sending_at: Some(now),
            ..self.clone()
        })
    }

    /// The item after the owner's call; none where it is not the owner's to change any more.
    #[must_use]
    pub fn after_call(
        &self,
        owner: OwnerToken,
        outcome: &CallOutcome,
        now: Stamp,
    ) -> Option<LedgerItem> {
        if self.owner != owner {
            return None;
        }
        let state = match (&self.state, outcome) {
            (
                SendState::Unconfirmed { .. },
                CallOutcome::Unconfirmed | CallOutcome::Released(_),
            ) => return None,
            (SendState::Sending | SendState::Unconfirmed { .. }, outcome) => match outcome {
                CallOutcome::Sent(id) => SendState::Sent { ses_id: id.clone(), accepted: now },
                CallOutcome::Failed(reason) => refused(shorten(reason)),
                CallOutcome::Released(reason) => SendState::Released { reason: shorten(reason) },
                CallOutcome::Unconfirmed => SendState::Unconfirmed { since: now },
            },
            (SendState::Failed { witness: Witness::Operator, .. }, CallOutcome::Sent(id)) => {
                SendState::Sent { ses_id: id.clone(), accepted: now }
            }
            _ => return None,
        };
        Some(LedgerItem { state, ..self.clone() })
    }

    /// The item after a delivery gave up on its owner; none where it is not SENDING.
    #[must_use]
    pub fn given_up(&self, now: Stamp) -> Option<LedgerItem> {
        let sending = self.state == SendState::Sending;
        sending.then(|| LedgerItem { state: SendState::Unconfirmed { since: now }, ..self.clone() })
    }

    /// The item after an operator's verdict; none where it is not UNCONFIRMED.
    #[must_use]
    pub fn decided(&self, verdict: &Verdict, now: Stamp) -> Option<LedgerItem> {
        let SendState::Unconfirmed { since } = self.state else { return None };
        let state = match verdict {
            Verdict::Sent(id) => SendState::Sent { ses_id: id.clone(), accepted: since },
            Verdict::NotSent => {
                let reason = format!("not sent: an operator, {now}");
                SendState::Failed { reason, witness: Witness::Operator }
            }
        };
        Some(LedgerItem { state, ..self.clone() })
    }

    /// The item after SES's own report; none where it changes nothing. Any order and doubling of
    /// the same reports comes to the same.
    #[must_use]
    pub fn settled(&self, report: &Report) -> Option<LedgerItem> {
        let mut item = self.clone();
        item.state = match (&self.state, report.kind) {
            (SendState::Skipped { .. }, _) => return None,
            (SendState::Failed { witness: Witness::Ses, .. }, _) => item.state,
            (_, FeedbackKind::Rejected) => refused("SES rejected it after accepting it".to_owned()),
            (_, FeedbackKind::RenderingFailed) => refused("SES could not render it".to_owned()),
            (SendState::Sent { .. }, _) => item.state,
            (
                SendState::Claimed
                | SendState::Deferred { .. }
                | SendState::Released { .. }
                | SendState::Sending
                | SendState::Unconfirmed { .. }
                | SendState::Failed { witness: Witness::Operator, .. },
                _,
            ) => SendState::Sent {
                ses_id: report.ses_id.clone(),
                accepted: report.accepted.unwrap_or(self.at),
            },
        };
        let delivery = match report.kind {
            FeedbackKind::Delivered => Some(Delivery::Delivered),
            FeedbackKind::BouncedHard => Some(Delivery::Bounced),
            FeedbackKind::BouncedSoft => Some(Delivery::BouncedSoft),
            FeedbackKind::Complained => Some(Delivery::Complained),
            _ => None,
        };
        item.delivery = self.delivery.max(delivery);
        (item != *self).then_some(item)
    }

    /// What is dropped, in this order, where the item would pass its limit: what the trigger
    /// carried, the values of the conditions, the longer texts of the reasons. Of a send that was
    /// deferred and may still have to be rendered from this item, what the trigger carried goes
    /// last. Says whether there was anything left to drop.
    pub fn slim(&mut self) -> bool {
        let open = matches!(
            self.state,
            SendState::Deferred { .. } | SendState::Claimed | SendState::Released { .. }
        );
        if open && self.deferral.is_some() {
            return self.slim_reasons() || self.slim_conditions() || self.slim_evidence();
        }
        self.slim_evidence() || self.slim_conditions() || self.slim_reasons()
    }

    fn slim_evidence(&mut self) -> bool {
        let some = !self.why.evidence.is_empty();
        self.why.evidence.clear();
        some
    }

    fn slim_conditions(&mut self) -> bool {
        let some = !self.why.conditions.is_empty();
        self.why.conditions.clear();
        some
    }

    fn slim_reasons(&mut self) -> bool {
        let (SendState::Skipped { reasons } | SendState::Deferred { reasons, .. }) =
            &mut self.state
        else {
            return false;
        };
        let some = reasons.iter().any(|reason| !reason.found.is_empty());
        for reason in reasons {
            reason.found.clear();
        }
        some
    }
}

const fn refused(reason: String) -> SendState {
    SendState::Failed { reason, witness: Witness::Ses }
}

fn shorten(reason: &str) -> String {
    super::header::one_line(reason, REASON_CHARS_MAX)
}
