//! The ledger's item of one send, and every way it may change.
//!
//! What a delivery of the send request does, by the state it finds:
//!
//! | state | a delivery of the request | the owner, after its call | SES's event with the tag |
//! | --- | --- | --- | --- |
//! | none | decide; claim, or SKIPPED | – | nothing to settle |
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
//! A `Reject` or `Rendering Failure` event makes FAILED of every state but SKIPPED. An operator's
//! [`Verdict`] makes SENT or FAILED of UNCONFIRMED. No clock leads out of SENDING or UNCONFIRMED
//! into another call.

use super::MailId;
use super::feedback::Report;
use crate::contact::TopicId;
use crate::ids::{ContactKey, OwnerToken, ProfileId, SendId};
use crate::journey::{JourneyId, StepId};
use crate::policy::Reason;
use crate::time::{Span, Stamp};
use crate::wire::{FeedbackKind, Why};
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
    /// SES refused it for good.
    Failed {
        /// Why.
        reason: String,
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
    /// Why it was asked for.
    pub why: Why,
}

/// What a delivery of a send request has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDelivery {
    /// Decide, and claim or skip.
    Decide,
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
            SendState::Claimed | SendState::Released { .. } => OnDelivery::Decide,
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
                CallOutcome::Failed(reason) => SendState::Failed { reason: shorten(reason) },
                CallOutcome::Released(reason) => SendState::Released { reason: shorten(reason) },
                CallOutcome::Unconfirmed => SendState::Unconfirmed { since: now },
            },
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
                SendState::Failed { reason: format!("not sent: an operator, {now}") }
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
            (SendState::Failed { .. }, _) => item.state,
            (_, FeedbackKind::Rejected) => {
                SendState::Failed { reason: "SES rejected it after accepting it".to_owned() }
            }
            (_, FeedbackKind::RenderingFailed) => {
                SendState::Failed { reason: "SES could not render it".to_owned() }
            }
            (SendState::Sent { .. }, _) => item.state,
            (
                SendState::Claimed
                | SendState::Released { .. }
                | SendState::Sending
                | SendState::Unconfirmed { .. },
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
    /// carried, the values of the conditions, the longer texts of the reasons. Says whether there
    /// was anything left to drop.
    pub fn slim(&mut self) -> bool {
        if !self.why.evidence.is_empty() {
            self.why.evidence.clear();
            return true;
        }
        if !self.why.conditions.is_empty() {
            self.why.conditions.clear();
            return true;
        }
        match &mut self.state {
            SendState::Skipped { reasons } => {
                let long = reasons.iter().any(|reason| !reason.found.is_empty());
                for reason in reasons {
                    reason.found.clear();
                }
                long
            }
            _ => false,
        }
    }
}

fn shorten(reason: &str) -> String {
    super::header::one_line(reason, REASON_CHARS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn item(state: SendState) -> LedgerItem {
        LedgerItem {
            send: SendId::from_bytes([1; 16]),
            profile: None,
            contact: None,
            asked_by: Some((
                JourneyId::parse("cart-recovery").unwrap(),
                StepId::parse("remind").unwrap(),
            )),
            mail: MailId::parse("remind").unwrap(),
            topic: TopicId::parse("offers").unwrap(),
            state,
            owner: owner(1),
            at: Stamp::from_ms(1_000),
            sending_at: Some(Stamp::from_ms(1_000)),
            consent: None,
            delivery: None,
            why: Why::default(),
        }
    }

    fn owner(n: u8) -> OwnerToken {
        OwnerToken::from_bytes([n; 16])
    }

    fn states() -> Vec<SendState> {
        vec![
            SendState::Claimed,
            SendState::Released { reason: "429".to_owned() },
            SendState::Sending,
            SendState::Sent { ses_id: "ses-1".to_owned(), accepted: Stamp::MIN },
            SendState::Failed { reason: "400".to_owned() },
            SendState::Unconfirmed { since: Stamp::MIN },
            SendState::Skipped { reasons: Vec::new() },
        ]
    }

    fn report(kind: FeedbackKind) -> Report {
        Report {
            kind,
            send: Some(SendId::from_bytes([1; 16])),
            ses_id: "ses-1".to_owned(),
            accepted: Some(Stamp::MIN),
            at: Some(Stamp::from_ms(9_000)),
            suppress: Vec::new(),
        }
    }

    #[test]
    fn a_delivery_by_state() {
        use OnDelivery::{Acknowledge, Decide, GiveUp, Wait};
        let soon = Stamp::from_ms(11_000);
        let late = Stamp::from_ms(31_001);
        let at = |state: &SendState, now| LedgerItem::on_delivery(Some(&item(state.clone())), now);
        let young = [Decide, Decide, Wait(Span::from_ms(20_001)), Acknowledge, Acknowledge]
            .into_iter()
            .chain([Acknowledge, Acknowledge]);
        let old = [Decide, Decide, GiveUp, Acknowledge, Acknowledge, Acknowledge, Acknowledge];
        for ((state, young), old) in states().iter().zip(young).zip(old) {
            assert_eq!(at(state, soon), young, "{state:?}");
            assert_eq!(at(state, late), old, "{state:?}");
        }
        assert_eq!(LedgerItem::on_delivery(None, soon), Decide);
        let confirmation =
            LedgerItem { asked_by: None, ..item(SendState::Skipped { reasons: Vec::new() }) };
        assert_eq!(LedgerItem::on_delivery(Some(&confirmation), soon), Decide);
    }

    #[test]
    fn waiting_ends_where_giving_up_begins() {
        let found = item(SendState::Sending);
        let now = Stamp::from_ms(11_000);
        let OnDelivery::Wait(span) = LedgerItem::on_delivery(Some(&found), now) else { panic!() };
        assert_eq!(LedgerItem::on_delivery(Some(&found), now.plus(span)), OnDelivery::GiveUp);
    }

    #[test]
    fn only_the_owner_moves_it_and_only_while_it_is_open() {
        let outcomes = [
            CallOutcome::Sent("ses-1".to_owned()),
            CallOutcome::Failed("400".to_owned()),
            CallOutcome::Released("429".to_owned()),
            CallOutcome::Unconfirmed,
        ];
        for state in states() {
            let found = item(state.clone());
            let open = matches!(state, SendState::Sending | SendState::Unconfirmed { .. });
            for outcome in &outcomes {
                assert_eq!(found.after_call(owner(2), outcome, Stamp::MAX), None);
                let moved = found.after_call(owner(1), outcome, Stamp::MAX);
                let still = matches!(state, SendState::Unconfirmed { .. })
                    && matches!(outcome, CallOutcome::Unconfirmed | CallOutcome::Released(_));
                assert_eq!(moved.is_some(), open && !still, "{state:?} {outcome:?}");
            }
            let claimed = state == SendState::Claimed;
            assert_eq!(found.sending(owner(1), Stamp::MAX).is_some(), claimed);
            assert_eq!(found.sending(owner(2), Stamp::MAX), None);
            assert_eq!(found.given_up(Stamp::MAX).is_some(), state == SendState::Sending);
        }
    }

    #[test]
    fn an_event_settles_what_was_unclear() {
        for state in states() {
            let settled = item(state.clone()).settled(&report(FeedbackKind::Sent));
            let open = !matches!(
                state,
                SendState::Sent { .. } | SendState::Failed { .. } | SendState::Skipped { .. }
            );
            assert_eq!(settled.is_some(), open, "{state:?}");
            if let Some(LedgerItem { state, .. }) = settled {
                assert!(matches!(state, SendState::Sent { ses_id, .. } if ses_id == "ses-1"));
            }
        }
    }

    #[test]
    fn it_is_stored_flat() {
        for state in states() {
            let item = item(state);
            let json = serde_json::to_string(&item).unwrap();
            assert_eq!(serde_json::from_str::<LedgerItem>(&json).unwrap(), item, "{json}");
        }
    }

    proptest! {
        #[test]
        fn reports_commute_and_double(
            from in prop::sample::select(states()),
            kinds in prop::collection::vec(prop::sample::select(vec![
                FeedbackKind::Sent,
                FeedbackKind::Delivered,
                FeedbackKind::Delayed,
                FeedbackKind::BouncedHard,
                FeedbackKind::BouncedSoft,
                FeedbackKind::Complained,
                FeedbackKind::Rejected,
                FeedbackKind::Opened,
                FeedbackKind::Clicked,
                FeedbackKind::Subscription,
            ]), 0..8),
            rotate in 0_usize..8,
        ) {
            let fold = |kinds: &[FeedbackKind]| {
                kinds.iter().fold(item(from.clone()), |item, kind| {
                    item.settled(&report(*kind)).unwrap_or(item)
                })
            };
            let mut other = kinds.clone();
            other.reverse();
            let turn = rotate % other.len().max(1);
            other.rotate_left(turn);
            other.extend(kinds.clone());
            prop_assert_eq!(fold(&kinds), fold(&other));
        }
    }
}
