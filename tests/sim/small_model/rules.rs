//! The domain's own decisions about a send, asked on the small world's behalf.
//!
//! Nothing is decided here: each question is put to [`LedgerItem`] with a real item, once, and
//! kept, because the same few are asked millions of times.

use crate::world::{Ledger, Outcome, Slot, Stage};
use odyssey_domain::contact::TopicId;
use odyssey_domain::ids::{OwnerToken, SendId};
use odyssey_domain::journey::{JourneyId, StepId};
use odyssey_domain::message::feedback::Report;
use odyssey_domain::message::{
    CallOutcome, LedgerItem, MailId, OnDelivery, SENDING_STALE, SendState, Witness,
};
use odyssey_domain::time::{Span, Stamp};
use odyssey_domain::wire::{FeedbackKind, Why};
use odyssey_flows::stored::Stored as _;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// When every item was written.
const WRITTEN: Stamp = Stamp::from_ms(1_000_000);

/// What a delivery is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Duty {
    Decide,
    Wait,
    GiveUp,
    Acknowledge,
}

/// Who asked for the mail: the domain treats a skipped confirmation differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AskedBy {
    Journey,
    /// The request of an address to be asked for its consent.
    Confirmation,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Question {
    Sending(Slot),
    AfterCall(Slot, Outcome),
    GivenUp,
    Settled(Event),
}

/// The events of SES that the model knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Event {
    Send,
    Delivery,
    Bounce,
}

/// The domain, with its answers kept.
#[derive(Debug)]
pub(crate) struct Rules {
    asked_by: AskedBy,
    duties: RefCell<BTreeMap<Option<Ledger>, Duty>>,
    moves: RefCell<BTreeMap<(Ledger, Question), Option<Ledger>>>,
}

impl Rules {
    pub(crate) const fn new(asked_by: AskedBy) -> Rules {
        Rules {
            asked_by,
            duties: RefCell::new(BTreeMap::new()),
            moves: RefCell::new(BTreeMap::new()),
        }
    }

    /// [`LedgerItem::on_delivery`].
    pub(crate) fn on_delivery(&self, found: Option<Ledger>) -> Duty {
        *self.duties.borrow_mut().entry(found).or_insert_with(|| {
            let item = found.map(|found| self.item(found));
            let age = if found.is_some_and(|found| found.stale) {
                Span::from_ms(SENDING_STALE.ms() + 1)
            } else {
                SENDING_STALE
            };
            match LedgerItem::on_delivery(item.as_ref(), WRITTEN.plus(age)) {
                OnDelivery::Decide => Duty::Decide,
                OnDelivery::Wait(span) => {
                    assert!(span.ms() > 0, "a wait without an end to it");
                    Duty::Wait
                }
                OnDelivery::GiveUp => Duty::GiveUp,
                OnDelivery::Acknowledge => Duty::Acknowledge,
                OnDelivery::Arm { .. } => unreachable!("no rule of the small world defers"),
            }
        })
    }

    /// [`LedgerItem::sending`].
    pub(crate) fn sending(&self, item: Ledger, owner: Slot) -> Option<Ledger> {
        self.ask(item, Question::Sending(owner))
    }

    /// [`LedgerItem::after_call`].
    pub(crate) fn after_call(&self, item: Ledger, owner: Slot, outcome: Outcome) -> Option<Ledger> {
        self.ask(item, Question::AfterCall(owner, outcome))
    }

    /// [`LedgerItem::given_up`].
    pub(crate) fn given_up(&self, item: Ledger) -> Option<Ledger> {
        self.ask(item, Question::GivenUp)
    }

    /// [`LedgerItem::settled`].
    pub(crate) fn settled(&self, item: Ledger, kind: Event) -> Option<Ledger> {
        self.ask(item, Question::Settled(kind))
    }

    fn ask(&self, found: Ledger, question: Question) -> Option<Ledger> {
        *self.moves.borrow_mut().entry((found, question)).or_insert_with(|| {
            let item = self.item(found);
            let moved = match question {
                Question::Sending(owner) => item.sending(token(Some(owner)), WRITTEN),
                Question::AfterCall(owner, outcome) => {
                    item.after_call(token(Some(owner)), &call_outcome(outcome), WRITTEN)
                }
                Question::GivenUp => item.given_up(WRITTEN),
                Question::Settled(kind) => item.settled(&report(kind)),
            };
            if let Some(moved) = &moved {
                // What nobody knows must stand where an operator looks.
                let open = matches!(moved.state, SendState::Unconfirmed { .. });
                assert_eq!(moved.index().is_some(), open, "{:?} in the index", moved.state);
            }
            // An item whose state stays changes in what the model leaves out: the delivery noted.
            let moved = moved.map(|moved| compact(&moved));
            moved.filter(|moved| moved.stage != found.stage || moved.owner != found.owner)
        })
    }

    fn item(&self, ledger: Ledger) -> LedgerItem {
        let asked = (JourneyId::parse("cart-recovery").unwrap(), StepId::parse("remind").unwrap());
        LedgerItem {
            send: SendId::from_bytes([1; 16]),
            profile: None,
            contact: None,
            asked_by: (self.asked_by == AskedBy::Journey).then_some(asked),
            mail: MailId::parse("remind").unwrap(),
            topic: TopicId::parse("offers").unwrap(),
            state: state(ledger.stage),
            owner: token(ledger.owner),
            at: WRITTEN,
            sending_at: (ledger.stage != Stage::Claimed).then_some(WRITTEN),
            consent: None,
            delivery: None,
            deferral: None,
            why: Why::default(),
        }
    }
}

/// A delivery that has ended shares its token with nobody.
fn token(owner: Option<Slot>) -> OwnerToken {
    OwnerToken::from_bytes(match owner {
        None => [0; 16],
        Some(Slot::A) => [1; 16],
        Some(Slot::B) => [2; 16],
    })
}

fn state(stage: Stage) -> SendState {
    match stage {
        Stage::Claimed => SendState::Claimed,
        Stage::Released => SendState::Released { reason: "429".to_owned() },
        Stage::Sending => SendState::Sending,
        Stage::Sent => SendState::Sent { ses_id: "ses-1".to_owned(), accepted: WRITTEN },
        Stage::Failed => SendState::Failed { reason: "400".to_owned(), witness: Witness::Ses },
        Stage::Unconfirmed => SendState::Unconfirmed { since: WRITTEN },
        Stage::Skipped => SendState::Skipped { reasons: Vec::new() },
    }
}

fn compact(item: &LedgerItem) -> Ledger {
    let stage = match item.state {
        SendState::Claimed => Stage::Claimed,
        SendState::Released { .. } => Stage::Released,
        SendState::Sending => Stage::Sending,
        SendState::Sent { .. } => Stage::Sent,
        SendState::Failed { .. } => Stage::Failed,
        SendState::Unconfirmed { .. } => Stage::Unconfirmed,
        SendState::Skipped { .. } => Stage::Skipped,
        SendState::Deferred { .. } => unreachable!("no rule of the small world defers"),
    };
    let owner = Slot::BOTH.into_iter().find(|slot| token(Some(*slot)) == item.owner);
    Ledger { stage, owner, stale: false }
}

fn call_outcome(outcome: Outcome) -> CallOutcome {
    match outcome {
        Outcome::Accepted => CallOutcome::Sent("ses-1".to_owned()),
        Outcome::Released => CallOutcome::Released("429".to_owned()),
        Outcome::Refused => CallOutcome::Failed("400".to_owned()),
        Outcome::Unclear => CallOutcome::Unconfirmed,
    }
}

fn report(kind: Event) -> Report {
    Report {
        kind: match kind {
            Event::Send => FeedbackKind::Sent,
            Event::Delivery => FeedbackKind::Delivered,
            Event::Bounce => FeedbackKind::BouncedHard,
        },
        send: Some(SendId::from_bytes([1; 16])),
        ses_id: "ses-1".to_owned(),
        accepted: Some(WRITTEN),
        at: Some(WRITTEN),
        machine: None,
        suppress: Vec::new(),
    }
}
