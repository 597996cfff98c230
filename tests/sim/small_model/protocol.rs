//! What every modelled protocol answers: which call a delivery makes first, what a call does to
//! the world, and where the delivery goes on from what it heard.

use crate::rules::Event;
use crate::world::{Call, Delivery, Slot, World};

/// What a call came back with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    /// A condition failed; nothing was written.
    Conflict,
}

/// What the delivery heard of its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    Answer(Answer),
    /// Nothing usable: whether it took effect is not known.
    Nothing,
    /// Of SES: could not connect, or 429. Certainly not accepted.
    NotNow,
    /// Of SES: another 4xx. Certainly not accepted, and never will be.
    Never,
}

/// A way of sending one message once.
pub(crate) trait Protocol {
    fn name(&self) -> &'static str;

    /// The call each delivery begins with.
    fn first(&self) -> Call;

    /// Carries out the next call of a delivery.
    fn carry_out(&self, world: &mut World, who: Slot) -> Answer;

    /// Moves the delivery on to another call, or ends it.
    fn go_on(&self, world: &mut World, who: Slot, heard: Heard);

    /// Whether the delivery's next read may be a moment old.
    fn may_read_old(&self, _delivery: &Delivery) -> bool {
        false
    }

    /// SES reports; the first read may be a moment old. A protocol that does not listen is not
    /// changed by it.
    fn event(&self, _world: &mut World, _event: Event, _old: bool) {}

    /// How its log of calls names this one.
    fn says(&self, call: Call) -> &'static str {
        match call {
            Call::ReadLedger => "reads the ledger",
            Call::ReadContact => "reads the contact and decides",
            Call::Claim => "claims (ledger and contact, one transaction)",
            Call::Skip => "writes SKIPPED",
            Call::MarkSending => "writes SENDING",
            Call::AskSes => "calls SES",
            Call::Record => "records the outcome",
            Call::RereadLedger => "reads the ledger again",
            Call::GiveUp => "gives up its owner: UNCONFIRMED",
            Call::ReadClaims => "reads the contact's claims",
            Call::Release => "takes its claim back",
            Call::Acknowledge => "acknowledges",
        }
    }
}
