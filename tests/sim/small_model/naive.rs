//! The three usual ways, as they are found in the field.

use crate::protocol::{Answer, Heard, Protocol};
use crate::world::{Call, Ledger, Slot, Stage, World};

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Naive {
    /// Look, send, write down that it was sent.
    SendThenMark,
    /// Write down that it was sent unless it is written already; send.
    MarkThenSend,
    /// Put a claim that expires, send, mark it done: AWS's idempotency recipe.
    ExpiringClaim,
}

impl Naive {
    pub(crate) const ALL: [Naive; 3] =
        [Naive::SendThenMark, Naive::MarkThenSend, Naive::ExpiringClaim];
}

const fn item(stage: Stage, who: Slot) -> Ledger {
    Ledger { stage, owner: Some(who), stale: false }
}

impl Protocol for Naive {
    fn name(&self) -> &'static str {
        match self {
            Naive::SendThenMark => "send, then mark",
            Naive::MarkThenSend => "mark, then send",
            Naive::ExpiringClaim => "expiring claim",
        }
    }

    fn first(&self) -> Call {
        match self {
            Naive::SendThenMark => Call::ReadLedger,
            Naive::MarkThenSend | Naive::ExpiringClaim => Call::Claim,
        }
    }

    fn carry_out(&self, world: &mut World, who: Slot) -> Answer {
        match world.of(who).next {
            Call::ReadLedger => world.of(who).view = world.ledger,
            Call::Claim => {
                let found = world.ledger;
                world.of(who).view = found;
                let free = match found {
                    None => true,
                    // A SENDING stands for the claim in progress; its age is what expires.
                    Some(found) => {
                        *self == Naive::ExpiringClaim
                            && found.stage == Stage::Sending
                            && found.stale
                    }
                };
                if !free {
                    return Answer::Conflict;
                }
                let claim = *self == Naive::ExpiringClaim;
                let stage = if claim { Stage::Sending } else { Stage::Sent };
                world.write_ledger(Some(who), item(stage, who));
            }
            Call::AskSes => world.accept(),
            Call::Record => world.write_ledger(Some(who), item(Stage::Sent, who)),
            Call::Acknowledge => world.queued = false,
            other => unreachable!("{} never {}", self.name(), self.says(other)),
        }
        Answer::Done
    }

    fn go_on(&self, world: &mut World, who: Slot, heard: Heard) {
        let Heard::Answer(answer) = heard else {
            // An exception: the queue delivers it again.
            world.end(who);
            return;
        };
        let delivery = world.of(who);
        let sent = delivery.view.is_some_and(|found| found.stage == Stage::Sent);
        let next = match (delivery.next, answer) {
            (Call::ReadLedger, _) => Some(if sent { Call::Acknowledge } else { Call::AskSes }),
            (Call::Claim, Answer::Done) => Some(Call::AskSes),
            (Call::Claim, Answer::Conflict) => sent.then_some(Call::Acknowledge),
            (Call::AskSes, _) if *self == Naive::MarkThenSend => Some(Call::Acknowledge),
            (Call::AskSes, _) => Some(Call::Record),
            (Call::Record, _) => Some(Call::Acknowledge),
            _ => None,
        };
        match next {
            Some(next) => {
                delivery.next = next;
                delivery.view = None;
            }
            None => world.end(who),
        }
    }

    fn says(&self, call: Call) -> &'static str {
        match call {
            Call::ReadLedger => "looks whether it was sent",
            Call::Claim if *self == Naive::MarkThenSend => "marks it sent unless it is",
            Call::Claim => "claims it unless it is done or claimed",
            Call::AskSes => "calls SES",
            Call::Record => "marks it sent",
            _ => "acknowledges",
        }
    }
}
