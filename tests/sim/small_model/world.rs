//! The world of one send: what the tables, the queue and SES hold, and how far each delivery is.
//!
//! Small enough to be explored whole, which is why worlds that can only go on alike must be equal.
//! Versions are not numbers here: a delivery keeps whether an
//! item is *still as it last read or wrote it*, which is all that an optimistic write asks.

use std::hash::{Hash, Hasher};

/// How far the send is; the states of the domain's `SendState` without what they carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Stage {
    Claimed,
    Released,
    Sending,
    Sent,
    Failed,
    Unconfirmed,
    Skipped,
}

impl Stage {
    pub(crate) const ALL: [Stage; 7] = [
        Stage::Claimed,
        Stage::Released,
        Stage::Sending,
        Stage::Sent,
        Stage::Failed,
        Stage::Unconfirmed,
        Stage::Skipped,
    ];
}

/// What an item was before what it is now: what a read that may be a moment old may find.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Past(u8);

impl Past {
    /// The ledger's past: absence or a stage.
    pub(crate) const fn stage(stage: Option<Stage>) -> Past {
        match stage {
            None => Past(1),
            Some(stage) => Past(2 << stage as u8),
        }
    }

    /// The contact's past.
    pub(crate) const fn consent(consent: bool) -> Past {
        Past(if consent { 1 } else { 2 })
    }

    pub(crate) const fn has(self, other: Past) -> bool {
        self.0 & other.0 != 0
    }

    fn add(&mut self, other: Past) {
        self.0 |= other.0;
    }
}

/// One of the two deliveries that may be under way at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Slot {
    A,
    B,
}

impl Slot {
    pub(crate) const BOTH: [Slot; 2] = [Slot::A, Slot::B];

    const fn index(self) -> usize {
        match self {
            Slot::A => 0,
            Slot::B => 1,
        }
    }
}

/// The ledger's item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Ledger {
    pub(crate) stage: Stage,
    /// The delivery that wrote it; none once that delivery has ended.
    pub(crate) owner: Option<Slot>,
    /// Whether a SENDING is older than the domain's `SENDING_STALE`.
    pub(crate) stale: bool,
}

/// One call of a delivery: a place where a fault may strike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Call {
    ReadLedger,
    ReadContact,
    Claim,
    Skip,
    MarkSending,
    AskSes,
    Record,
    RereadLedger,
    GiveUp,
    ReadClaims,
    Release,
    Acknowledge,
}

/// What the call to SES came to, as the delivery knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Outcome {
    Accepted,
    /// Certainly not accepted; may be tried again.
    Released,
    /// Refused for good.
    Refused,
    Unclear,
}

/// A delivery under way.
#[expect(clippy::struct_excessive_bools, reason = "each is one fact of the world, and all combine")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Delivery {
    /// The call it makes next.
    pub(crate) next: Call,
    /// How often this call was made without an answer.
    pub(crate) tries: u8,
    /// Whether this call took effect, though its answer was lost.
    pub(crate) landed: bool,
    /// How often it began again because others came between.
    pub(crate) begun: u8,
    /// The ledger's item as it knows it.
    pub(crate) view: Option<Ledger>,
    /// Whether nobody else wrote the ledger's item since.
    pub(crate) ledger_current: bool,
    /// Whether nobody else wrote the contact since it read it.
    pub(crate) contact_current: bool,
    /// Whether the contact, as it read it, may be mailed.
    pub(crate) may_mail: bool,
    /// Whether the contact counted the send when it looked for a claim to take back.
    pub(crate) claim_seen: bool,
    pub(crate) outcome: Option<Outcome>,
}

fn bit(flag: bool, at: u8) -> u64 {
    u64::from(flag) << at
}

impl Ledger {
    fn bits(self) -> u64 {
        let owner = self.owner.map_or(0, |owner| 1 + owner.index() as u64);
        1 + self.stage as u64 + (owner << 4) + (u64::from(self.stale) << 6)
    }
}

impl Delivery {
    fn bits(&self) -> u64 {
        1 + self.next as u64
            + (u64::from(self.tries) << 5)
            + (u64::from(self.begun) << 8)
            + (self.view.map_or(0, Ledger::bits) << 12)
            + (self.outcome.map_or(0, |outcome| 1 + outcome as u64) << 20)
            + bit(self.landed, 24)
            + bit(self.ledger_current, 25)
            + bit(self.contact_current, 26)
            + bit(self.may_mail, 27)
            + bit(self.claim_seen, 28)
    }

    pub(crate) const fn at(next: Call) -> Delivery {
        Delivery {
            next,
            tries: 0,
            landed: false,
            begun: 0,
            view: None,
            ledger_current: false,
            contact_current: false,
            may_mail: false,
            claim_seen: false,
            outcome: None,
        }
    }
}

/// What went wrong or is worth counting; a set, because the table counts each by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Marks(u8);

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Mark {
    /// SES accepted it twice.
    Twice = 1,
    /// SES accepted it on a claim that committed after consent was withdrawn.
    WithoutConsent = 2,
    /// SES accepted it while the contact did not count it.
    Uncounted = 4,
    /// It was UNCONFIRMED at some time.
    Parked = 8,
    /// A fault struck a delivery that had a claim to take back.
    ReleaseHit = 16,
    /// An event of SES arrived.
    Heard = 32,
    /// It was SKIPPED at some time: whoever asked has had an answer.
    Skipped = 64,
}

impl Marks {
    pub(crate) fn set(&mut self, mark: Mark) {
        self.0 |= mark as u8;
    }

    pub(crate) const fn has(self, mark: Mark) -> bool {
        self.0 & mark as u8 != 0
    }
}

/// What may still happen without being a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Budget {
    /// Deliveries that begin while another is under way.
    pub(crate) overlaps: u8,
    /// Changes of the contact by others: a withdrawal, a consent given again, another one.
    pub(crate) changes: u8,
}

/// Everything.
#[expect(clippy::struct_excessive_bools, reason = "each is one fact of the world, and all combine")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct World {
    pub(crate) ledger: Option<Ledger>,
    /// Whether the contact may be mailed: consent, and no suppression.
    pub(crate) consent: bool,
    pub(crate) ledger_past: Past,
    pub(crate) consent_past: Past,
    /// Whether the contact counts the send among its claims.
    pub(crate) counted: bool,
    /// Whether the consent stood when the last claim committed.
    pub(crate) claimed_on_consent: bool,
    pub(crate) deliveries: [Option<Delivery>; 2],
    /// Whether the queue still has the message.
    pub(crate) queued: bool,
    /// How often SES accepted it, at most 2.
    pub(crate) accepted: u8,
    /// Whether SES's `Send` event is on its way.
    pub(crate) send_event: bool,
    /// Whether its `Delivery` or `Bounce` event is on its way.
    pub(crate) fate_event: bool,
    pub(crate) marks: Marks,
    pub(crate) budget: Budget,
    /// Faults so far.
    pub(crate) faults: u8,
}

/// Written by hand, because the derived one is most of the time of a debug build.
impl Hash for World {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [a, b] = &self.deliveries;
        let a = a.as_ref().map_or(0, Delivery::bits);
        let b = b.as_ref().map_or(0, Delivery::bits);
        let flags = bit(self.consent, 0)
            | bit(self.counted, 1)
            | bit(self.claimed_on_consent, 2)
            | bit(self.queued, 3)
            | bit(self.send_event, 4)
            | bit(self.fate_event, 5);
        let rest = flags
            | u64::from(self.ledger_past.0) << 8
            | u64::from(self.consent_past.0) << 16
            | u64::from(self.accepted) << 18
            | u64::from(self.marks.0) << 20
            | u64::from(self.budget.overlaps) << 28
            | u64::from(self.budget.changes) << 30
            | u64::from(self.faults) << 32
            | self.ledger.map_or(0, Ledger::bits) << 36;
        state.write_u64(a | b << 32);
        state.write_u64(rest);
    }
}

impl World {
    /// A send that was asked for, to a contact that consented.
    pub(crate) const fn new(budget: Budget) -> World {
        World {
            ledger: None,
            consent: true,
            ledger_past: Past(0),
            consent_past: Past(0),
            counted: false,
            claimed_on_consent: false,
            deliveries: [None; 2],
            queued: true,
            accepted: 0,
            send_event: false,
            fate_event: false,
            marks: Marks(0),
            budget,
            faults: 0,
        }
    }

    pub(crate) fn delivery(&self, who: Slot) -> Option<&Delivery> {
        self.deliveries[who.index()].as_ref()
    }

    /// A delivery that is known to be under way.
    pub(crate) fn of(&mut self, who: Slot) -> &mut Delivery {
        self.deliveries[who.index()].as_mut().unwrap()
    }

    pub(crate) fn begin(&mut self, who: Slot, first: Call) {
        self.deliveries[who.index()] = Some(Delivery::at(first));
    }

    pub(crate) fn any_under_way(&self) -> bool {
        self.deliveries.iter().any(Option::is_some)
    }

    /// The delivery is over, however it ended; whether the message stays is the queue's matter.
    pub(crate) fn end(&mut self, who: Slot) {
        self.deliveries[who.index()] = None;
        let forget = |ledger: &mut Ledger| {
            if ledger.owner == Some(who) {
                ledger.owner = None;
            }
        };
        self.ledger.iter_mut().for_each(forget);
        self.deliveries.iter_mut().flatten().filter_map(|d| d.view.as_mut()).for_each(forget);
    }

    /// Puts the ledger's item; the versions of all others pass.
    pub(crate) fn write_ledger(&mut self, by: Option<Slot>, item: Ledger) {
        match item.stage {
            Stage::Unconfirmed => self.marks.set(Mark::Parked),
            Stage::Skipped => self.marks.set(Mark::Skipped),
            _ => {}
        }
        self.ledger_past.add(Past::stage(self.ledger.map(|item| item.stage)));
        self.ledger = Some(item);
        let [a, b] = &mut self.deliveries;
        if let Some(a) = a {
            a.ledger_current = by == Some(Slot::A);
        }
        if let Some(b) = b {
            b.ledger_current = by == Some(Slot::B);
        }
    }

    /// The contact consents, or does not any more.
    pub(crate) fn set_consent(&mut self, consent: bool) {
        self.consent_past.add(Past::consent(self.consent));
        self.consent = consent;
        self.wrote_contact(None);
    }

    /// The contact was changed; the versions of all others pass.
    pub(crate) fn wrote_contact(&mut self, by: Option<Slot>) {
        let [a, b] = &mut self.deliveries;
        if let Some(a) = a {
            a.contact_current = by == Some(Slot::A);
        }
        if let Some(b) = b {
            b.contact_current = by == Some(Slot::B);
        }
    }

    /// SES accepts the mail and will report it.
    pub(crate) fn accept(&mut self) {
        if self.accepted > 0 {
            self.marks.set(Mark::Twice);
        }
        if !self.claimed_on_consent {
            self.marks.set(Mark::WithoutConsent);
        }
        if !self.counted {
            self.marks.set(Mark::Uncounted);
        }
        self.accepted = (self.accepted + 1).min(2);
        self.send_event = true;
        self.fate_event = true;
    }

    /// Nothing is under way, on the queue or on its way from SES.
    pub(crate) fn is_quiet(&self) -> bool {
        !self.any_under_way() && !self.queued && !self.send_event && !self.fate_event
    }
}
