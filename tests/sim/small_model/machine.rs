//! What may happen next in a world, and what comes of it: the steps of the deliveries with their
//! faults, the queue, the clock, SES's events, and the contact's owner.

use crate::protocol::{Heard, Protocol};
use crate::rules::Event;
use crate::world::{Budget, Call, Ledger, Mark, Past, Slot, Stage, World};

/// A fault at one call of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// It fails without effect; of SES: not reached, or 429.
    Error,
    /// It takes effect, and its answer is lost.
    AnswerLost,
    CrashBefore,
    CrashAfter,
    /// SES refuses it for good.
    Refused,
    /// It times out without effect, which the caller cannot know.
    TimedOut,
    /// A read finds what was there a moment ago.
    OldLedger(Option<Stage>),
    OldConsent(bool),
}

/// What becomes of an event of SES.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It arrives, now or at any later time.
    Arrives,
    /// It arrives, and will arrive once more.
    Doubled,
    /// Whoever records it first finds the ledger as it was a moment ago.
    ReadOld,
    Missing,
}

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Step(Slot, Fault),
    /// The queue delivers; as a fault where the visibility ran out under a delivery.
    Deliver {
        to: Slot,
        fault: bool,
    },
    /// The queue delivers once more what was acknowledged.
    Undelete,
    /// SENDING passes its limit; as a fault where its owner is still under way.
    Clock {
        fault: bool,
    },
    Report(Event, Fate),
    Withdraw,
    GrantAgain,
    /// Others change the contact.
    ChangeContact,
}

/// Which worlds are explored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scope {
    /// Whether deliveries overlap, SES's events come at any time, consent is withdrawn, and every
    /// kind of fault strikes; else one delivery at a time and four faults: an error, a lost
    /// answer, a crash before and after each call.
    pub(crate) whole: bool,
    pub(crate) faults_max: u8,
}

impl Scope {
    pub(crate) const fn one_at_a_time(faults_max: u8) -> Scope {
        Scope { whole: false, faults_max }
    }

    pub(crate) const fn whole(faults_max: u8) -> Scope {
        Scope { whole: true, faults_max }
    }

    pub(crate) const fn begin(self) -> World {
        World::new(if self.whole {
            Budget { overlaps: 1, changes: 2 }
        } else {
            Budget { overlaps: 0, changes: 0 }
        })
    }

    /// Everything that may happen next.
    pub(crate) fn actions(self, protocol: &dyn Protocol, world: &World, actions: &mut Vec<Action>) {
        actions.clear();
        let fault = world.faults < self.faults_max;
        for who in Slot::BOTH {
            let Some(delivery) = world.delivery(who) else { continue };
            actions.push(Action::Step(who, Fault::None));
            if fault {
                let faults = self.faults(delivery.next);
                actions.extend(faults.iter().map(|fault| Action::Step(who, *fault)));
                if self.whole && protocol.may_read_old(delivery) {
                    let old = old_reads(world, delivery.next);
                    actions.extend(old.map(|fault| Action::Step(who, fault)));
                }
            }
        }
        self.queue(world, fault, actions);
        if let Some(item) = world.ledger
            && item.stage == Stage::Sending
            && !item.stale
        {
            match item.owner {
                None => actions.push(Action::Clock { fault: false }),
                Some(_) if self.whole && fault => actions.push(Action::Clock { fault: true }),
                Some(_) => {}
            }
        }
        self.events(world, fault, actions);
        if self.whole && world.budget.changes > 0 && !world.is_quiet() {
            actions.push(Action::ChangeContact);
            if world.consent {
                actions.push(Action::Withdraw);
            } else if world.accepted == 0 {
                // What a bounce suppressed no consent brings back.
                actions.push(Action::GrantAgain);
            }
        }
    }

    const fn faults(self, call: Call) -> &'static [Fault] {
        use Fault::{AnswerLost, CrashAfter, CrashBefore, Error, Refused, TimedOut};
        match call {
            _ if !self.whole => &[Error, AnswerLost, CrashBefore, CrashAfter],
            Call::AskSes => &[Error, AnswerLost, CrashBefore, CrashAfter, Refused, TimedOut],
            // Nothing tells a lost answer of a read from an error, nor a crash after it.
            Call::ReadLedger | Call::ReadContact | Call::RereadLedger | Call::ReadClaims => {
                &[Error, CrashBefore]
            }
            _ => &[Error, AnswerLost, CrashBefore, CrashAfter],
        }
    }

    fn queue(self, world: &World, fault: bool, actions: &mut Vec<Action>) {
        if !world.queued {
            if self.whole && fault {
                actions.push(Action::Undelete);
            }
            return;
        }
        let to = Slot::BOTH.into_iter().find(|who| world.delivery(*who).is_none());
        let Some(to) = to else { return };
        if !world.any_under_way() {
            // Until the clock has passed its limit it would only be told to wait.
            let wait = world.ledger.is_some_and(|item| item.stage == Stage::Sending && !item.stale);
            if !wait {
                actions.push(Action::Deliver { to, fault: false });
            }
        } else if self.whole && world.budget.overlaps > 0 {
            actions.push(Action::Deliver { to, fault: false });
        } else if self.whole && fault {
            actions.push(Action::Deliver { to, fault: true });
        }
    }

    fn events(self, world: &World, fault: bool, actions: &mut Vec<Action>) {
        let each = |event, actions: &mut Vec<Action>| {
            actions.push(Action::Report(event, Fate::Arrives));
            if fault {
                actions.push(Action::Report(event, Fate::Doubled));
                actions.push(Action::Report(event, Fate::ReadOld));
                if event != Event::Bounce {
                    actions.push(Action::Report(event, Fate::Missing));
                }
            }
        };
        if self.whole {
            if world.send_event {
                each(Event::Send, actions);
            }
            if world.fate_event {
                each(Event::Delivery, actions);
                each(Event::Bounce, actions);
            }
        } else if !world.any_under_way() && !world.queued {
            // One order, after all else: schedules differ by their faults at calls alone.
            if world.send_event {
                actions.push(Action::Report(Event::Send, Fate::Arrives));
            } else if world.fate_event {
                actions.push(Action::Report(Event::Delivery, Fate::Arrives));
            }
        }
    }
}

/// What a read may find that is a moment old.
fn old_reads(world: &World, call: Call) -> impl Iterator<Item = Fault> {
    let (stages, consents) = match call {
        Call::ReadLedger => (world.ledger_past, Past::default()),
        _ => (Past::default(), world.consent_past),
    };
    let stage = [None].into_iter().chain(Stage::ALL.map(Some));
    let stage = stage.filter(move |stage| stages.has(Past::stage(*stage))).map(Fault::OldLedger);
    let consent = [true, false].into_iter().filter(move |it| consents.has(Past::consent(*it)));
    stage.chain(consent.map(Fault::OldConsent))
}

/// The world after an action.
pub(crate) fn apply(protocol: &dyn Protocol, before: &World, action: Action) -> World {
    let mut world = *before;
    match action {
        Action::Step(who, fault) => step(protocol, &mut world, who, fault),
        Action::Deliver { to, fault } => {
            if fault {
                world.faults += 1;
            } else if world.any_under_way() {
                world.budget.overlaps -= 1;
            }
            world.begin(to, protocol.first());
        }
        Action::Undelete => {
            world.faults += 1;
            world.queued = true;
        }
        Action::Clock { fault } => {
            world.faults += u8::from(fault);
            world.ledger.iter_mut().for_each(|item| item.stale = true);
        }
        Action::Report(event, fate) => report(protocol, &mut world, event, fate),
        Action::Withdraw => {
            world.budget.changes -= 1;
            world.set_consent(false);
        }
        Action::GrantAgain => {
            world.budget.changes -= 1;
            world.set_consent(true);
        }
        Action::ChangeContact => {
            world.budget.changes -= 1;
            world.wrote_contact(None);
        }
    }
    world
}

fn step(protocol: &dyn Protocol, world: &mut World, who: Slot, fault: Fault) {
    let call = world.of(who).next;
    if fault != Fault::None {
        world.faults += 1;
        if matches!(call, Call::ReadClaims | Call::Release) {
            world.marks.set(Mark::ReleaseHit);
        }
    }
    match fault {
        Fault::None => {
            let answer = protocol.carry_out(world, who);
            protocol.go_on(world, who, Heard::Answer(answer));
        }
        Fault::Error => {
            let ses = call == Call::AskSes;
            protocol.go_on(world, who, if ses { Heard::NotNow } else { Heard::Nothing });
        }
        Fault::AnswerLost => {
            protocol.carry_out(world, who);
            protocol.go_on(world, who, Heard::Nothing);
        }
        Fault::CrashBefore => world.end(who),
        Fault::CrashAfter => {
            protocol.carry_out(world, who);
            world.end(who);
        }
        Fault::Refused => protocol.go_on(world, who, Heard::Never),
        Fault::TimedOut => protocol.go_on(world, who, Heard::Nothing),
        Fault::OldLedger(stage) => {
            let answer = protocol.carry_out(world, who);
            let delivery = world.of(who);
            // An old SENDING is past its limit here: told to wait, a delivery only ends.
            delivery.view = stage.map(|stage| Ledger { stage, owner: None, stale: true });
            delivery.ledger_current = false;
            protocol.go_on(world, who, Heard::Answer(answer));
        }
        Fault::OldConsent(consent) => {
            let answer = protocol.carry_out(world, who);
            let delivery = world.of(who);
            delivery.may_mail = consent;
            delivery.contact_current = false;
            protocol.go_on(world, who, Heard::Answer(answer));
        }
    }
}

fn report(protocol: &dyn Protocol, world: &mut World, event: Event, fate: Fate) {
    world.faults += u8::from(fate != Fate::Arrives);
    if fate != Fate::Doubled {
        match event {
            Event::Send => world.send_event = false,
            Event::Delivery | Event::Bounce => world.fate_event = false,
        }
    }
    if fate == Fate::Missing {
        return;
    }
    if event == Event::Bounce {
        // Suppressed before the ledger is settled, as `record_feedback` does.
        world.set_consent(false);
    }
    world.marks.set(Mark::Heard);
    protocol.event(world, event, fate == Fate::ReadOld);
}
