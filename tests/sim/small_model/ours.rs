//! Odyssey's own protocol, call by call as `odyssey_flows::send_message` makes them; what each
//! state allows is asked of the domain ([`Rules`]).

use crate::mutants::Mutant;
use crate::protocol::{Answer, Heard, Protocol};
use crate::rules::{AskedBy, Duty, Event, Rules};
use crate::world::{Call, Delivery, Ledger, Outcome, Past, Slot, Stage, World};

/// The flow's `CLAIM_ATTEMPTS`.
const CLAIM_ATTEMPTS: u8 = 5;
/// The flow's `TRANSACT_ATTEMPTS`, and `COMMIT_ATTEMPTS` of stored items.
const WRITE_ATTEMPTS: u8 = 3;

/// The protocol, or the protocol with one deliberate bug.
#[derive(Debug)]
pub(crate) struct Ours {
    rules: Rules,
    bug: Option<Mutant>,
}

impl Ours {
    pub(crate) const fn new(asked_by: AskedBy) -> Ours {
        Ours { rules: Rules::new(asked_by), bug: None }
    }

    pub(crate) const fn with(bug: Mutant) -> Ours {
        // Only a confirmation leaves SKIPPED again.
        let confirmation = matches!(bug, Mutant::SkipBeforeTakingBack | Mutant::TrustOldSkip);
        let asked_by = if confirmation { AskedBy::Confirmation } else { AskedBy::Journey };
        Ours { rules: Rules::new(asked_by), bug: Some(bug) }
    }

    fn has(&self, bug: Mutant) -> bool {
        self.bug == Some(bug)
    }

    /// A compare-and-set of the ledger's item; its own earlier write is recognised.
    fn set(world: &mut World, who: Slot, item: Ledger, unconditional: bool) -> Answer {
        let delivery = world.of(who);
        if unconditional {
            world.write_ledger(Some(who), item);
            return Answer::Done;
        }
        match (delivery.ledger_current, delivery.landed) {
            (false, _) => return Answer::Conflict,
            (true, true) => return Answer::Done,
            (true, false) => {}
        }
        delivery.landed = true;
        world.write_ledger(Some(who), item);
        Answer::Done
    }

    fn claim(&self, world: &mut World, who: Slot) -> Answer {
        let delivery = world.of(who);
        // The transaction's token: sent again, it answers as it did the first time.
        if delivery.landed {
            return Answer::Done;
        }
        let contact = delivery.contact_current || self.has(Mutant::ClaimWithoutContactVersion);
        let ledger = delivery.ledger_current || self.has(Mutant::ClaimWithoutLedgerVersion);
        if !contact || !ledger {
            return Answer::Conflict;
        }
        delivery.landed = true;
        world.write_ledger(Some(who), claimed(who));
        world.counted = true;
        world.claimed_on_consent = world.consent;
        world.wrote_contact(Some(who));
        Answer::Done
    }

    /// Alone, or in one transaction with taking back the claim of an earlier try.
    fn skip(&self, world: &mut World, who: Slot) -> Answer {
        let delivery = *world.of(who);
        if delivery.claim_seen && !delivery.contact_current && !delivery.landed {
            return Answer::Conflict;
        }
        let item = Ledger { stage: Stage::Skipped, owner: Some(who), stale: false };
        let answer = Ours::set(world, who, item, self.has(Mutant::SkipWithoutVersion));
        if answer == Answer::Done && delivery.claim_seen && !delivery.landed {
            world.counted = false;
            world.wrote_contact(Some(who));
        }
        answer
    }

    /// What the delivery writes of its call's outcome; none where it is not its to write.
    fn recorded(&self, world: &mut World, who: Slot) -> Option<Ledger> {
        let delivery = world.of(who);
        let (view, outcome) = (delivery.view?, delivery.outcome?);
        if self.has(Mutant::RecordOverAnything) {
            let sending = Ledger { stage: Stage::Sending, owner: Some(who), stale: false };
            return self.rules.after_call(sending, who, outcome);
        }
        let given_up = view.stage == Stage::Unconfirmed && view.owner == Some(who);
        if self.has(Mutant::ReleaseAfterGivenUp) && given_up && outcome == Outcome::Released {
            return Some(Ledger { stage: Stage::Released, ..view });
        }
        self.rules.after_call(view, who, outcome)
    }

    fn after_read(&self, view: Option<Ledger>) -> Option<Call> {
        let stage = view.map(|view| view.stage);
        let past_limit = view.is_some_and(|view| view.stale);
        match (self.rules.on_delivery(view), stage) {
            (Duty::GiveUp, _) if self.has(Mutant::ResendStaleSending) && past_limit => {
                Some(Call::ReadContact)
            }
            (_, Some(Stage::Unconfirmed)) if self.has(Mutant::ResendUnconfirmed) => {
                Some(Call::ReadContact)
            }
            (Duty::Decide, Some(Stage::Claimed)) if self.has(Mutant::NeverTakeOver) => {
                Some(Call::Acknowledge)
            }
            (Duty::Wait, _) if self.has(Mutant::AcknowledgeInsteadOfWaiting) => {
                Some(Call::Acknowledge)
            }
            (Duty::Decide, _) => Some(Call::ReadContact),
            (Duty::Wait, _) => None,
            (Duty::GiveUp, _) => Some(Call::GiveUp),
            (Duty::Acknowledge, _) => Some(Call::Acknowledge),
        }
    }

    /// Whether it looks for the claim that a skip takes back in its own transaction.
    fn is_skipping(&self, delivery: &Delivery) -> bool {
        delivery.outcome.is_none() && !self.has(Mutant::SkipBeforeTakingBack)
    }

    fn takes_back_last(&self, outcome: Option<Outcome>) -> bool {
        self.has(Mutant::RecordBeforeTakingBack)
            && matches!(outcome, Some(Outcome::Released | Outcome::Refused))
    }

    /// After the call to SES: what certainly did not go out is not counted any more, before
    /// anybody may claim it again.
    fn after_ses(&self, outcome: Outcome) -> Call {
        let back = matches!(outcome, Outcome::Released | Outcome::Refused);
        if back && !self.has(Mutant::RecordBeforeTakingBack) {
            Call::ReadClaims
        } else {
            Call::Record
        }
    }

    /// After the outcome is recorded.
    fn after_record(&self, outcome: Option<Outcome>) -> Option<Call> {
        match outcome {
            Some(Outcome::Released) if self.has(Mutant::AcknowledgeReleased) => {
                Some(Call::Acknowledge)
            }
            Some(Outcome::Released) => None,
            _ => Some(Call::Acknowledge),
        }
    }

    /// After the claim was taken back, or could not be.
    fn after_taking_back(&self, outcome: Option<Outcome>) -> Option<Call> {
        match outcome {
            // A skip that was written before.
            None => Some(Call::Acknowledge),
            Some(_) if self.has(Mutant::RecordBeforeTakingBack) => self.after_record(outcome),
            Some(_) => Some(Call::Record),
        }
    }

    fn outcome(&self, heard: Heard) -> Outcome {
        match heard {
            Heard::Answer(_) => Outcome::Accepted,
            Heard::Nothing if self.has(Mutant::RetryUnclear) => Outcome::Released,
            Heard::Nothing => Outcome::Unclear,
            Heard::NotNow => Outcome::Released,
            Heard::Never => Outcome::Refused,
        }
    }

    /// Begins again because others came between; after too many times, another delivery does.
    fn again(world: &mut World, who: Slot) -> Option<Call> {
        let delivery = world.of(who);
        delivery.begun += 1;
        (delivery.begun < CLAIM_ATTEMPTS).then_some(Call::ReadLedger)
    }

    /// A call whose answer was lost is made again at once, a few times.
    fn retry(world: &mut World, who: Slot, otherwise: Option<Call>) -> Option<Call> {
        let delivery = world.of(who);
        if delivery.tries + 1 < WRITE_ATTEMPTS { Some(delivery.next) } else { otherwise }
    }

    fn answered(&self, world: &mut World, who: Slot, answer: Answer) -> Option<Call> {
        let delivery = *world.of(who);
        match (delivery.next, answer) {
            (Call::ReadLedger, _) => self.after_read(delivery.view),
            (Call::ReadContact, _) if delivery.may_mail => Some(Call::Claim),
            // The consent may just have been given; only a certain read skips.
            (Call::ReadContact, _) if delivery.begun == 0 => Ours::again(world, who),
            (Call::ReadContact, _) => {
                let skipped = delivery.view.is_some_and(|view| view.stage == Stage::Skipped);
                let claim = delivery.view.is_some() && !self.has(Mutant::SkipBeforeTakingBack);
                Some(match (skipped, claim) {
                    (true, _) => Call::Acknowledge,
                    (false, true) => Call::ReadClaims,
                    (false, false) => Call::Skip,
                })
            }
            (Call::Claim, Answer::Done) => {
                world.of(who).view = Some(claimed(who));
                let marked = !self.has(Mutant::CallWithoutSending);
                Some(if marked { Call::MarkSending } else { Call::AskSes })
            }
            (Call::Skip, Answer::Done) => {
                let late = delivery.view.is_some() && self.has(Mutant::SkipBeforeTakingBack);
                Some(if late { Call::ReadClaims } else { Call::Acknowledge })
            }
            (Call::MarkSending, Answer::Done) => {
                world.of(who).view = self.rules.sending(claimed(who), who);
                Some(Call::AskSes)
            }
            // Another took it over; or it is over; what SES said is heard elsewhere.
            (Call::MarkSending, Answer::Conflict) | (Call::Acknowledge | Call::AskSes, _) => None,
            (Call::Record, Answer::Done) if self.takes_back_last(delivery.outcome) => {
                Some(Call::ReadClaims)
            }
            (Call::Record, Answer::Done) => self.after_record(delivery.outcome),
            (Call::Record, Answer::Conflict) => Some(Call::RereadLedger),
            (Call::RereadLedger, _) => Some(Call::Record),
            (Call::GiveUp, Answer::Done) => Some(Call::Acknowledge),
            (Call::Claim | Call::Skip | Call::GiveUp, Answer::Conflict) => Ours::again(world, who),
            (Call::ReadClaims, _) if self.is_skipping(&delivery) => Some(Call::Skip),
            (Call::ReadClaims, _) if delivery.claim_seen => Some(Call::Release),
            (Call::Release, Answer::Conflict) => Some(Call::ReadClaims),
            (Call::ReadClaims | Call::Release, _) => self.after_taking_back(delivery.outcome),
        }
    }
}

const fn claimed(who: Slot) -> Ledger {
    Ledger { stage: Stage::Claimed, owner: Some(who), stale: false }
}

impl Protocol for Ours {
    fn name(&self) -> &'static str {
        "Odyssey"
    }

    fn first(&self) -> Call {
        Call::ReadLedger
    }

    fn carry_out(&self, world: &mut World, who: Slot) -> Answer {
        let delivery = *world.of(who);
        match delivery.next {
            Call::ReadLedger | Call::RereadLedger => {
                world.queued &= !self.has(Mutant::AcknowledgeFirst);
                let found = world.ledger;
                let delivery = world.of(who);
                delivery.view = found;
                delivery.ledger_current = true;
            }
            Call::ReadContact => {
                let consent = world.consent;
                let delivery = world.of(who);
                delivery.may_mail = consent;
                delivery.contact_current = true;
            }
            Call::Claim => return self.claim(world, who),
            Call::Skip => return self.skip(world, who),
            Call::MarkSending => {
                let Some(item) = self.rules.sending(claimed(who), who) else {
                    return Answer::Conflict;
                };
                return Ours::set(world, who, item, self.has(Mutant::SendingWithoutVersion));
            }
            Call::AskSes => world.accept(),
            Call::Record => {
                let Some(item) = self.recorded(world, who) else { return Answer::Done };
                return Ours::set(world, who, item, self.has(Mutant::RecordOverAnything));
            }
            Call::GiveUp => {
                let Some(item) = delivery.view.and_then(|view| self.rules.given_up(view)) else {
                    return Answer::Conflict;
                };
                return Ours::set(world, who, item, false);
            }
            Call::ReadClaims => {
                let counted = world.counted;
                let delivery = world.of(who);
                delivery.claim_seen = counted;
                delivery.contact_current = true;
            }
            Call::Release => {
                if !delivery.contact_current {
                    return Answer::Conflict;
                }
                if !delivery.landed {
                    world.of(who).landed = true;
                    world.counted = false;
                    world.wrote_contact(Some(who));
                }
            }
            Call::Acknowledge => world.queued = false,
        }
        Answer::Done
    }

    fn go_on(&self, world: &mut World, who: Slot, heard: Heard) {
        let delivery = *world.of(who);
        let next = match (delivery.next, heard) {
            (Call::AskSes, heard) => {
                let outcome = self.outcome(heard);
                world.of(who).outcome = Some(outcome);
                Some(self.after_ses(outcome))
            }
            (_, Heard::Answer(answer)) => self.answered(world, who, answer),
            (Call::ReadClaims, _) if self.is_skipping(&delivery) => None,
            // It is only warned of; the claim stays and counts.
            (Call::ReadClaims, _) => self.after_taking_back(delivery.outcome),
            (Call::Release, _) => Ours::retry(world, who, self.after_taking_back(delivery.outcome)),
            (Call::ReadLedger | Call::ReadContact | Call::RereadLedger | Call::Acknowledge, _) => {
                None
            }
            _ => Ours::retry(world, who, None),
        };
        let next = match next {
            // The flow asks before it writes: an outcome that is not its own to write is none.
            Some(Call::Record) if self.recorded(world, who).is_none() => {
                self.after_record(world.of(who).outcome)
            }
            next => next,
        };
        let Some(next) = next else { return world.end(who) };
        let again = next == delivery.next && heard == Heard::Nothing;
        let delivery = world.of(who);
        delivery.next = next;
        delivery.tries = if again { delivery.tries + 1 } else { 0 };
        delivery.landed &= again;
        tidy(delivery);
    }

    /// The first try's reads cost half: what it writes is conditional on them.
    fn may_read_old(&self, delivery: &Delivery) -> bool {
        delivery.begun == 0 && matches!(delivery.next, Call::ReadLedger | Call::ReadContact)
    }

    fn event(&self, world: &mut World, event: Event, old: bool) {
        let unchanged = |stage: &Stage| {
            let item = Ledger { stage: *stage, owner: None, stale: false };
            // SKIPPED is read again: a confirmation may have been decided afresh since.
            let read_again = *stage == Stage::Skipped && !self.has(Mutant::TrustOldSkip);
            let found = world.ledger_past.has(Past::stage(Some(*stage))) && !read_again;
            found && self.rules.settled(item, event).is_none()
        };
        let missed = old && Stage::ALL.iter().any(unchanged);
        if missed || self.has(Mutant::DeafToEvents) {
            return;
        }
        if let Some(item) = world.ledger
            && let Some(settled) = self.rules.settled(item, event)
        {
            world.write_ledger(None, settled);
        }
    }
}

/// Forgets what no later call asks for, so that worlds that can go on alike are one.
fn tidy(delivery: &mut Delivery) {
    match delivery.next {
        Call::ReadLedger => {
            delivery.view = None;
            delivery.ledger_current = false;
            delivery.contact_current = false;
            delivery.may_mail = false;
            delivery.claim_seen = false;
        }
        Call::Claim | Call::Skip => delivery.may_mail = false,
        Call::Acknowledge => *delivery = Delivery::at(Call::Acknowledge),
        Call::MarkSending | Call::AskSes | Call::Record | Call::RereadLedger => {
            delivery.begun = 0;
            delivery.contact_current = false;
            delivery.may_mail = false;
            delivery.claim_seen = false;
        }
        Call::ReadContact | Call::GiveUp | Call::ReadClaims | Call::Release => {}
    }
}
