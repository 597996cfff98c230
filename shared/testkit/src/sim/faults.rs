//! Which faults there are, which strike where, and how often each did.

use super::functions::Function;
use super::rng::mix;
use crate::fault::Operation;
use std::collections::{BTreeMap, BTreeSet};

/// A fault of one port call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CallFault {
    /// The process dies before the call takes effect.
    CrashBefore,
    /// The process dies after the call took effect, before it knows.
    CrashAfter,
    /// The process dies while the call is under way; it takes effect some seconds later.
    CrashInFlight,
    /// A transient error at once, without effect. Of SES: no connection.
    Unavailable,
    /// Throttled: a transient error without effect. Of SES: 429.
    Throttled,
    /// Nothing comes back for seconds; no effect.
    TimeOut,
    /// It took effect and the answer was lost.
    AnswerLost,
    /// The answer is a time-out, and it takes effect seconds later.
    Late,
    /// The answer was lost and the SDK sent it again: it takes effect twice, the second answer
    /// counts.
    Echoed,
    /// An eventually consistent read that is seconds old.
    Stale,
    /// A transaction under way on the same item.
    TransactionConflict,
    /// Some entries of a batch are not taken.
    Partial,
    /// A permanent error. Of SES: any other 4xx.
    Refused,
    /// It takes so long that the function may be stopped meanwhile.
    Slow,
}

impl CallFault {
    /// All of them.
    pub const ALL: [CallFault; 14] = [
        CallFault::CrashBefore,
        CallFault::CrashAfter,
        CallFault::CrashInFlight,
        CallFault::Unavailable,
        CallFault::Throttled,
        CallFault::TimeOut,
        CallFault::AnswerLost,
        CallFault::Late,
        CallFault::Echoed,
        CallFault::Stale,
        CallFault::TransactionConflict,
        CallFault::Partial,
        CallFault::Refused,
        CallFault::Slow,
    ];

    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            CallFault::CrashBefore => "crash before",
            CallFault::CrashAfter => "crash after",
            CallFault::CrashInFlight => "crash in flight",
            CallFault::Unavailable => "unavailable",
            CallFault::Throttled => "throttled",
            CallFault::TimeOut => "time-out, no effect",
            CallFault::AnswerLost => "answer lost",
            CallFault::Late => "time-out, effect later",
            CallFault::Echoed => "sent twice by the SDK",
            CallFault::Stale => "stale read",
            CallFault::TransactionConflict => "transaction conflict",
            CallFault::Partial => "partial failure",
            CallFault::Refused => "refused for good",
            CallFault::Slow => "slow",
        }
    }

    /// Whether it can strike this call. `eventual` says that the call is an eventually consistent
    /// read.
    #[must_use]
    pub const fn strikes(self, operation: Operation, eventual: bool) -> bool {
        let reads = matches!(
            operation,
            Operation::Get(_)
                | Operation::GetMany
                | Operation::Query(_)
                | Operation::QueryIndex(_)
                | Operation::Scan(_)
                | Operation::HaveIds
        );
        match self {
            CallFault::CrashBefore
            | CallFault::CrashAfter
            | CallFault::Unavailable
            | CallFault::Throttled
            | CallFault::TimeOut
            | CallFault::Slow
            | CallFault::Refused => true,
            CallFault::CrashInFlight | CallFault::AnswerLost | CallFault::Late => !reads,
            CallFault::Echoed => !reads && !matches!(operation, Operation::SendMail),
            CallFault::Stale => eventual,
            CallFault::TransactionConflict => {
                matches!(operation, Operation::Write(_) | Operation::Transact)
            }
            CallFault::Partial => matches!(operation, Operation::Publish | Operation::Enqueue(_)),
        }
    }
}

/// A fault of what is between the functions, and of those who use them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WireFault {
    /// A queue message is delivered twice, under one id.
    MessageDoubled,
    /// A bus entry is delivered twice, under two message ids.
    EntryDoubled,
    /// A message takes seconds longer, and so overtakes or is overtaken.
    MessageDelayed,
    /// A message takes hours.
    MessageHours,
    /// A message runs out of receives and comes back from the dead letters hours to weeks later.
    MessageDeadLettered,
    /// A copy of a message that was done with comes back days later, out of the dead letters.
    MessageRedriven,
    /// The rule could not deliver; the entry waits in the bus's dead letters.
    EntryDeadLettered,
    /// What was done is not deleted: the message comes back.
    DeleteLost,
    /// The function answered in a shape that fails the whole batch.
    BatchFailed,
    /// The function's time-out.
    TimedOut,
    /// An idle instance is thrown away.
    InstanceRetired,
    /// An instance's clock jumps.
    ClockJumped,
    /// A tick does not come.
    TickMissed,
    /// A tick comes late.
    TickLate,
    /// A tick comes twice.
    TickDoubled,
    /// SES never reports something.
    ReportMissing,
    /// SES reports something hours late.
    ReportLate,
    /// SES reports something twice.
    ReportDoubled,
    /// A client does not get its answer.
    AnswerLost,
    /// A client never tries again.
    GaveUp,
    /// A dependency is down for hours: a call found it so.
    Outage,
    /// A newer release wrote an item that an older one found.
    NewerItem,
    /// The workspace was published while everything ran.
    Published,
    /// Items past their time to live were deleted.
    Expired,
    /// A message that can never be dealt with came onto a queue.
    Poisoned,
}

impl WireFault {
    /// All of them.
    pub const ALL: [WireFault; 25] = [
        WireFault::MessageDoubled,
        WireFault::EntryDoubled,
        WireFault::MessageDelayed,
        WireFault::MessageHours,
        WireFault::MessageDeadLettered,
        WireFault::MessageRedriven,
        WireFault::EntryDeadLettered,
        WireFault::DeleteLost,
        WireFault::BatchFailed,
        WireFault::TimedOut,
        WireFault::InstanceRetired,
        WireFault::ClockJumped,
        WireFault::TickMissed,
        WireFault::TickLate,
        WireFault::TickDoubled,
        WireFault::ReportMissing,
        WireFault::ReportLate,
        WireFault::ReportDoubled,
        WireFault::AnswerLost,
        WireFault::GaveUp,
        WireFault::Outage,
        WireFault::NewerItem,
        WireFault::Published,
        WireFault::Expired,
        WireFault::Poisoned,
    ];

    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            WireFault::MessageDoubled => "message doubled",
            WireFault::EntryDoubled => "bus entry doubled",
            WireFault::MessageDelayed => "message delayed, reordered",
            WireFault::MessageHours => "message hours late",
            WireFault::MessageDeadLettered => "message through dead letters",
            WireFault::MessageRedriven => "done message redriven later",
            WireFault::EntryDeadLettered => "bus entry through dead letters",
            WireFault::DeleteLost => "delete lost",
            WireFault::BatchFailed => "whole batch failed",
            WireFault::TimedOut => "function timed out",
            WireFault::InstanceRetired => "instance replaced",
            WireFault::ClockJumped => "clock jumped",
            WireFault::TickMissed => "tick missed",
            WireFault::TickLate => "tick late",
            WireFault::TickDoubled => "tick doubled",
            WireFault::ReportMissing => "SES report missing",
            WireFault::ReportLate => "SES report hours late",
            WireFault::ReportDoubled => "SES report doubled",
            WireFault::AnswerLost => "client's answer lost",
            WireFault::GaveUp => "client gave up",
            WireFault::Outage => "dependency down",
            WireFault::NewerItem => "item of a newer release",
            WireFault::Published => "published midway",
            WireFault::Expired => "item expired",
            WireFault::Poisoned => "message that is none",
        }
    }
}

/// How often things go wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Rates {
    /// Far more often than anywhere, and each seed otherwise: what finds bugs.
    #[default]
    Swarm,
    /// At the stated rates, those of calls so many times: what is measured.
    Stated {
        /// How many times.
        times: u64,
    },
}

/// How a run differs from what its seed says: its rates, and what is left out while shrinking.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// How often things go wrong.
    pub rates: Rates,
    /// Faults of calls that do not happen.
    pub calls_off: BTreeSet<CallFault>,
    /// Faults of wires that do not happen.
    pub wires_off: BTreeSet<WireFault>,
    /// Actions of the workload that are left out, by their number.
    pub actions_off: BTreeSet<usize>,
    /// Single faults of calls that do not happen, by the number of the call.
    pub ordinals_off: BTreeSet<u64>,
    /// Calls from this number on are without fault.
    pub calls_until: Option<u64>,
}

/// How often each fault struck, and where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    /// By call site: how often it was called, and each fault of it.
    pub sites: BTreeMap<(Function, Operation), Site>,
    /// Faults of wires.
    pub wires: BTreeMap<WireFault, u64>,
}

/// One call site.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Site {
    /// Calls.
    pub calls: u64,
    /// Whether some were eventually consistent reads.
    pub eventual: bool,
    /// Conditions that failed because another write came between.
    pub conflicts: u64,
    /// Faults.
    pub faults: BTreeMap<CallFault, u64>,
}

impl Coverage {
    /// Adds another run's.
    pub fn add(&mut self, other: &Coverage) {
        for (key, site) in &other.sites {
            let held = self.sites.entry(*key).or_default();
            held.calls += site.calls;
            held.eventual |= site.eventual;
            held.conflicts += site.conflicts;
            for (fault, n) in &site.faults {
                *held.faults.entry(*fault).or_default() += n;
            }
        }
        for (fault, n) in &other.wires {
            *self.wires.entry(*fault).or_default() += n;
        }
    }

    /// The pairs of call site and applicable fault that never happened together.
    #[must_use]
    pub fn zeros(&self) -> Vec<(Function, Operation, CallFault, u64)> {
        let mut zeros = Vec::new();
        for ((function, operation), site) in &self.sites {
            for fault in CallFault::ALL {
                if fault.strikes(*operation, site.eventual) && !site.faults.contains_key(&fault) {
                    zeros.push((*function, *operation, fault, site.calls));
                }
            }
        }
        zeros
    }

    /// All faults of calls, by kind.
    #[must_use]
    pub fn by_kind(&self) -> BTreeMap<CallFault, u64> {
        let mut sums: BTreeMap<CallFault, u64> = BTreeMap::new();
        for (fault, n) in self.sites.values().flat_map(|site| &site.faults) {
            *sums.entry(*fault).or_default() += n;
        }
        sums
    }
}

/// The faults of one run.
#[derive(Debug)]
pub(crate) struct Faults {
    seed: u64,
    /// So many of 100,000 calls, per kind.
    calls: BTreeMap<CallFault, u64>,
    wires: BTreeMap<WireFault, u64>,
    filter: Filter,
    ordinal: u64,
    wire_draws: BTreeMap<WireFault, u64>,
    quiet: bool,
    /// The rates of calls that send a mail are so many times those of others.
    pub(crate) mail_times: u64,
    pub(crate) coverage: Coverage,
}

impl Faults {
    pub(crate) fn new(
        seed: u64,
        calls: BTreeMap<CallFault, u64>,
        wires: BTreeMap<WireFault, u64>,
        filter: Filter,
    ) -> Faults {
        Faults {
            seed,
            calls,
            wires,
            filter,
            ordinal: 0,
            wire_draws: BTreeMap::new(),
            quiet: false,
            mail_times: 1,
            coverage: Coverage::default(),
        }
    }

    /// No faults from now on.
    pub(crate) const fn stop(&mut self) {
        self.quiet = true;
    }

    pub(crate) const fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Counts a call and says what goes wrong with it: a function of the seed and its number.
    pub(crate) fn of_call(
        &mut self,
        function: Function,
        operation: Operation,
        eventual: bool,
    ) -> (u64, Option<CallFault>) {
        self.ordinal += 1;
        let ordinal = self.ordinal;
        let site = self.coverage.sites.entry((function, operation)).or_default();
        site.calls += 1;
        site.eventual |= eventual;
        if self.quiet || self.filter.ordinals_off.contains(&ordinal) {
            return (ordinal, None);
        }
        if self.filter.calls_until.is_some_and(|until| ordinal >= until) {
            return (ordinal, None);
        }
        let times = if operation == Operation::SendMail { self.mail_times } else { 1 };
        let mut drawn = mix(self.seed ^ mix(ordinal ^ 0xfa17)) % 100_000 / times;
        for (fault, rate) in &self.calls {
            if drawn < *rate {
                let strikes =
                    fault.strikes(operation, eventual) && !self.filter.calls_off.contains(fault);
                if strikes {
                    *site.faults.entry(*fault).or_default() += 1;
                }
                return (ordinal, strikes.then_some(*fault));
            }
            drawn -= rate;
        }
        (ordinal, None)
    }

    /// Counts a condition that failed.
    pub(crate) fn conflict(&mut self, function: Function, operation: Operation) {
        self.coverage.sites.entry((function, operation)).or_default().conflicts += 1;
    }

    /// Whether this fault strikes now. Drawn by kind, so that leaving one kind out does not shift
    /// the others.
    pub(crate) fn of_wire(&mut self, fault: WireFault) -> bool {
        let Some(rate) = self.wires.get(&fault).copied() else { return false };
        if self.quiet || self.filter.wires_off.contains(&fault) {
            return false;
        }
        let times = self.wire_draws.entry(fault).or_default();
        *times += 1;
        let drawn = mix(self.seed ^ mix(*times ^ ((fault as u64 + 1) << 40))) % 100_000;
        let strikes = drawn < rate;
        if strikes {
            self.note(fault);
        }
        strikes
    }

    /// Counts a fault that came about by itself.
    pub(crate) fn note(&mut self, fault: WireFault) {
        *self.coverage.wires.entry(fault).or_default() += 1;
    }

    /// Whether the workload's action of this number is left out.
    pub(crate) fn is_left_out(&self, action: usize) -> bool {
        self.filter.actions_off.contains(&action)
    }
}
