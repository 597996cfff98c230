//! What everything in a run shares: the time, what is to happen, the calls that wait, the state.

use super::check::Check;
use super::deeds::Deed;
use super::faults::{CallFault, Faults};
use super::functions::{Function, Inbox};
use super::people::Errand;
use super::queues::Queues;
use super::rng::Rng;
use super::ses::Ses;
use super::setup::Outage;
use super::store::Store;
use super::trace::Trace;
use crate::fault::Operation;
use odyssey_domain::time::{Span, Stamp};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// Who makes a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Actor {
    pub(crate) function: Function,
    /// Which invocation.
    pub(crate) invocation: u32,
    /// Whether it is of the newer release that is being deployed.
    pub(crate) newer: bool,
}

/// What is to happen at some time.
#[derive(Debug)]
pub(crate) enum Next {
    /// A waiting call goes on.
    Open(u64),
    /// A function's time is up.
    Stop(u32),
    /// A call whose caller no longer waits takes effect.
    Land(Actor, Box<Deed>),
    /// A queue is asked for messages.
    Poll(Inbox),
    /// A rule brings an entry to its queue.
    Deliver { to: Inbox, body: Arc<str> },
    /// A message or a copy of it is put into its queue.
    Arrive { to: Inbox, body: Arc<str> },
    /// The schedule's minute.
    Tick,
    /// The workload's action of this number.
    Act(usize),
    /// A client or a customer does something, or tries it again.
    Errand(Box<Errand>),
    /// The operator empties the dead letters.
    Redrive,
    /// Time to live is enforced.
    Expire,
    /// The faults end.
    Quiet,
}

/// An entry of the agenda; ordered by time, then by lot, then by number.
#[derive(Debug)]
struct Planned {
    at: Stamp,
    lot: u64,
    number: u64,
    next: Next,
}

impl Planned {
    const fn key(&self) -> (Stamp, u64, u64) {
        (self.at, self.lot, self.number)
    }
}

impl PartialEq for Planned {
    fn eq(&self, other: &Planned) -> bool {
        self.key() == other.key()
    }
}
impl Eq for Planned {}
impl PartialOrd for Planned {
    fn partial_cmp(&self, other: &Planned) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Planned {
    fn cmp(&self, other: &Planned) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

/// A call that waits to be let on.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) invocation: u32,
    /// The process dies here.
    pub(crate) crash: bool,
    /// What takes effect all the same where the process dies here.
    pub(crate) in_flight: Option<(Actor, Box<Deed>)>,
    open: bool,
    waker: Option<Waker>,
}

/// The state of a run.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) now: Stamp,
    pub(crate) latency: Rng,
    pub(crate) wires: Rng,
    pub(crate) faults: Faults,
    pub(crate) trace: Trace,
    pub(crate) store: Store,
    pub(crate) queues: Queues,
    pub(crate) ses: Ses,
    pub(crate) check: Check,
    pub(crate) outages: Vec<Outage>,
    pub(crate) gates: BTreeMap<u64, Gate>,
    agenda: BinaryHeap<Reverse<Planned>>,
    numbers: u64,
    /// Calls that will take effect although nobody waits for them.
    pub(crate) landing: u64,
    /// Sends have become unconfirmed, and the operator has not seen it yet.
    pub(crate) alarm: bool,
    /// Calls take their usual time and batches are full, instead of whatever may be.
    pub(crate) steady: bool,
    /// When the next tick is on the agenda.
    pub(crate) tick_at: Option<Stamp>,
}

/// A handle of the state.
pub(crate) type Shared = Arc<Mutex<Core>>;

/// Locks the state; it is never held over a wait.
pub(crate) fn lock(shared: &Shared) -> MutexGuard<'_, Core> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Core {
    pub(crate) fn new(seed: u64, start: Stamp, faults: Faults, trace: Trace, check: Check) -> Core {
        use super::rng::Stream;
        Core {
            now: start,
            latency: Rng::new(seed, Stream::Latency),
            wires: Rng::new(seed, Stream::Wires),
            faults,
            trace,
            store: Store::default(),
            queues: Queues::default(),
            ses: Ses::new(seed),
            check,
            outages: Vec::new(),
            gates: BTreeMap::new(),
            agenda: BinaryHeap::new(),
            numbers: 0,
            landing: 0,
            alarm: false,
            steady: false,
            tick_at: None,
        }
    }

    /// A number that nothing else of this run has.
    pub(crate) const fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Puts something on the agenda.
    pub(crate) fn plan(&mut self, at: Stamp, next: Next) {
        if matches!(next, Next::Land(..)) {
            self.landing += 1;
        }
        let (lot, number) = (self.latency.next(), self.number());
        self.agenda.push(Reverse(Planned { at: at.max(self.now), lot, number, next }));
    }

    /// … after a while.
    pub(crate) fn plan_in(&mut self, ms: u64, next: Next) {
        self.plan(self.now.plus(Span::from_ms(ms)), next);
    }

    /// Takes the next thing off the agenda and moves the time to it.
    pub(crate) fn take_next(&mut self) -> Option<Next> {
        let Reverse(planned) = self.agenda.pop()?;
        self.now = planned.at;
        Some(planned.next)
    }

    /// How long a call takes to get somewhere.
    fn latency_ms(&mut self) -> u64 {
        if self.steady {
            return self.latency.between(2, 8);
        }
        match self.latency.below(100) {
            0..=89 => self.latency.between(1, 15),
            90..=97 => self.latency.between(15, 250),
            _ => self.latency.between(250, 2_500),
        }
    }

    /// Makes a gate that opens by itself after a while.
    pub(crate) fn gate(&mut self, actor: Actor, fault: Option<CallFault>, before: bool) -> u64 {
        let ms = match (fault, before) {
            (Some(CallFault::Slow), true) => self.latency.between(3_000, 45_000),
            (Some(CallFault::TimeOut | CallFault::Late), false) => {
                self.latency.between(2_000, 9_000)
            }
            _ => self.latency_ms(),
        };
        let crash = matches!(
            (fault, before),
            (Some(CallFault::CrashBefore | CallFault::CrashInFlight), true)
                | (Some(CallFault::CrashAfter), false)
        );
        self.gate_of(actor, crash, ms)
    }

    /// Makes a gate at which an invocation waits for so long.
    pub(crate) fn pause(&mut self, actor: Actor, ms: u64) -> u64 {
        self.gate_of(actor, false, ms)
    }

    fn gate_of(&mut self, actor: Actor, crash: bool, ms: u64) -> u64 {
        let id = self.number();
        let gate =
            Gate { invocation: actor.invocation, crash, in_flight: None, open: false, waker: None };
        self.gates.insert(id, gate);
        self.plan_in(ms, Next::Open(id));
        id
    }

    /// Opens a gate; who is to be polled then.
    pub(crate) fn open(&mut self, id: u64) -> Option<u32> {
        let gate = self.gates.get_mut(&id)?;
        gate.open = true;
        if let Some(waker) = gate.waker.take() {
            waker.wake();
        }
        Some(gate.invocation)
    }

    /// Whether a gate is open; where not, remembers who asks.
    pub(crate) fn pass(&mut self, id: u64, waker: &Waker) -> bool {
        match self.gates.get_mut(&id) {
            Some(gate) if !gate.open => {
                gate.waker = Some(waker.clone());
                false
            }
            _ => true,
        }
    }

    /// What lands after its caller died: everything under way of an invocation.
    pub(crate) fn abandon(&mut self, invocation: u32) -> Vec<(Actor, Box<Deed>)> {
        let of = |gate: &mut Gate| (gate.invocation == invocation).then(|| gate.in_flight.take());
        self.gates.values_mut().filter_map(of).flatten().collect()
    }

    /// Whether this operation finds its dependency down.
    pub(crate) fn is_down(&mut self, operation: Operation) -> bool {
        let now = self.now;
        let down = !self.faults.is_quiet()
            && self
                .outages
                .iter()
                .any(|o| o.from <= now && now < o.until && o.what.hits(operation));
        if down {
            self.faults.note(super::faults::WireFault::Outage);
        }
        down
    }
}
