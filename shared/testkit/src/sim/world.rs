//! The run itself: takes what is next off the agenda, one thing at a time, in one thread.

use super::check::{Check, Violation};
use super::core::{Actor, Core, Next, Shared, lock};
use super::faults::{Coverage, Faults, Filter, WireFault};
use super::functions::{Function, Inbox};
use super::people::{Errand, Told, What};
use super::ports::Ports;
use super::rng::{Rng, Stream};
use super::running::{Answer, Process, Running, Trigger, batch, tick};
use super::ses::Fate;
use super::setup::{Feature, Setup};
use super::trace::Trace;
use super::workload::Workload;
use super::workspace::{Version, publication};
use odyssey_domain::time::{Span, Stamp};
use odyssey_flows::ports::Table;
use odyssey_flows::queue::is_redriven;
use odyssey_flows::{catalog, sweep_due};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

/// Faults that last for hours make work for hours; more than this is a storm that feeds on itself.
const EVENTS_MAX: u64 = 1_000_000;
/// What is not at rest so long after the faults never will be.
const CALM_EVENTS_MAX: u64 = 100_000;
/// The operator empties the dead letters so often, once faults have stopped.
const REDRIVES_MAX: u32 = 30;
/// After the workload, faults go on for so long at most.
const FAULTS_LINGER: Span = Span::HOUR;

/// What a run came to.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// The first invariant that did not hold, if any.
    pub violation: Option<Violation>,
    /// A digest of everything that happened, in order.
    pub digest: u64,
    /// How many things happened.
    pub events: u64,
    /// The event log, where it was asked for.
    pub log: Vec<String>,
    /// Faults, by call site and kind.
    pub coverage: Coverage,
    /// How often each invariant was checked.
    pub checked: BTreeMap<&'static str, u64>,
    /// How many signals of each name were raised.
    pub signals: BTreeMap<String, u64>,
    /// Mails that SES accepted.
    pub mails: u64,
    /// Sends that stayed unconfirmed.
    pub unconfirmed: u64,
    /// How many actions the workload has.
    pub actions: usize,
    /// Calls that were made, by which faults can be left out.
    pub calls: u64,
}

/// A process of a function.
#[derive(Debug)]
struct Instance {
    process: Arc<Process>,
    newer: bool,
    skew_ms: i64,
    busy: bool,
}

pub(super) struct World {
    pub(super) shared: Shared,
    pub(super) setup: Setup,
    pub(super) workload: Workload,
    clocks: Rng,
    pub(super) people: Rng,
    instances: BTreeMap<Function, BTreeMap<usize, Instance>>,
    instance_numbers: usize,
    running: BTreeMap<u32, Running>,
    invocations: u32,
    redrives: u32,
    /// Publications the operator has set out to make.
    pub(super) publications: u32,
    expired: bool,
    /// How many events there were when faults stopped.
    calm_since: Option<u64>,
}

/// Runs one seed.
#[must_use]
pub fn run(seed: u64, filter: &Filter, keep_log: bool) -> Outcome {
    let setup = Setup::of(seed).at(filter.rates);
    let workload = Workload::of(seed, &setup);
    let mut faults = Faults::new(seed, setup.calls.clone(), setup.wires.clone(), filter.clone());
    faults.mail_times = setup.mail_times();
    let check = Check::new(setup.skew_ms);
    let core = Core::new(seed, setup.start, faults, Trace::new(keep_log), check);
    let mut world = World::of(seed, setup, core);
    world.workload = workload;
    world.begin();
    world.go();
    world.outcome(seed)
}

impl World {
    /// One in which nothing is to happen but what stands in `core`.
    pub(super) fn of(seed: u64, setup: Setup, core: Core) -> World {
        World {
            shared: Arc::new(Mutex::new(core)),
            clocks: Rng::new(seed, Stream::Clocks),
            people: Rng::new(seed ^ 1, Stream::People),
            instances: BTreeMap::new(),
            instance_numbers: 0,
            running: BTreeMap::new(),
            invocations: 0,
            redrives: 0,
            publications: 0,
            expired: false,
            calm_since: None,
            setup,
            workload: Workload::default(),
        }
    }

    fn begin(&mut self) {
        let rows = first_rows();
        let mut core = lock(&self.shared);
        for row in rows {
            let stored = crate::memory::StoredRow {
                row: row.clone(),
                ids: std::collections::BTreeSet::new(),
            };
            core.store.state.rows.insert(row.key.clone(), stored);
        }
        core.outages.clone_from(&self.setup.outages);
        core.ses.fates.clone_from(&self.workload.fates);
        core.check.know(&self.workload.customers);
        let hard = self.workload.fates.iter().filter(|(_, fate)| **fate == Fate::HardBounce);
        core.check.know_hard_bounces(hard.map(|(address, _)| address.clone()).collect());
        for (number, action) in self.workload.actions.iter().enumerate() {
            if !core.faults.is_left_out(number) {
                core.plan(action.at, Next::Act(number));
            }
        }
        let end = self.setup.start.plus(self.setup.lasts);
        let linger = self.clocks.below(FAULTS_LINGER.ms());
        core.plan(end.plus(Span::from_ms(linger)), Next::Quiet);
    }

    pub(super) fn go(&mut self) {
        loop {
            let next = {
                let mut core = lock(&self.shared);
                if core.check.violation.is_some() {
                    return;
                }
                let (count, calm) = (
                    core.trace.count(),
                    core.trace.count() - self.calm_since.unwrap_or(core.trace.count()),
                );
                core.check.holds("it-ends", count <= EVENTS_MAX && calm <= CALM_EVENTS_MAX, || {
                    format!("{count} events, {calm} of them after the faults, and no end")
                });
                if core.check.violation.is_some() {
                    return;
                }
                core.take_next()
            };
            match next {
                Some(next) => self.step(next),
                None if !self.wind_up() => break,
                None => {}
            }
            self.welcome_mails();
            self.heed_alarm();
        }
        let mut core = lock(&self.shared);
        let core = &mut *core;
        core.check.end(core.now, &core.store, &core.queues, &core.ses);
    }

    /// Nothing is left to happen by itself. Whether there is something else to do.
    fn wind_up(&mut self) -> bool {
        let mut core = lock(&self.shared);
        if core.queues.have_dead() && self.redrives < REDRIVES_MAX {
            self.redrives += 1;
            let days = u64::from(self.redrives);
            core.plan_in(days * 60_000, Next::Redrive);
            return true;
        }
        if self.setup.has(Feature::Expires) && !self.expired {
            self.expired = true;
            core.plan_in(Span::DAY.times(62).ms(), Next::Expire);
            return true;
        }
        false
    }

    fn step(&mut self, next: Next) {
        match next {
            Next::Open(gate) => self.open(gate),
            Next::Stop(invocation) => {
                if self.running.contains_key(&invocation) {
                    lock(&self.shared).faults.note(WireFault::TimedOut);
                    self.kill(invocation, "timed out");
                }
            }
            Next::Land(actor, deed) => {
                let mut core = lock(&self.shared);
                let now = core.now;
                core.trace.note(now, &[2, u64::from(actor.invocation)], || {
                    format!("late: {}#{} {deed:?}", actor.function.name(), actor.invocation)
                });
                core.landing = core.landing.saturating_sub(1);
                let _ = core.perform(actor, *deed);
            }
            Next::Poll(inbox) => self.poll(inbox),
            Next::Deliver { to, body } | Next::Arrive { to, body } => {
                lock(&self.shared).enqueue(to, body, 0);
            }
            Next::Tick => self.tick(),
            Next::Act(number) => self.act(number),
            Next::Errand(errand) => self.errand(*errand),
            Next::Redrive => lock(&self.shared).redrive(),
            Next::Expire => {
                let mut core = lock(&self.shared);
                let now = core.now;
                for key in core.store.expired(now) {
                    core.store.state.rows.remove(&key);
                    core.check.expired(&key);
                    core.faults.note(WireFault::Expired);
                }
            }
            Next::Quiet => {
                self.retire_all();
                let mut core = lock(&self.shared);
                core.faults.stop();
                self.calm_since = Some(core.trace.count());
                let now = core.now;
                core.check.calm(now);
                core.trace.note(now, &[3], || "faults end".to_owned());
                core.redrive();
                // Journeys that were paused run again, so that those inside come out.
                if self.setup.has(Feature::Publishes) {
                    self.publications += 1;
                    let number = self.publications;
                    let back = self.clocks.pick(&[Version::First, Version::Second]);
                    let version = back.unwrap_or(Version::First);
                    let back = What::Publish { version, number };
                    // Behind whatever an earlier publication under way still writes.
                    let ms = Function::Operator.timeout_s() * 1_000 + 10_000;
                    core.plan_in(ms, Next::Errand(Box::new(Errand { what: back, tries: 0 })));
                }
            }
        }
    }

    // ---- invocations ---------------------------------------------------------------------------

    /// Lets a call go on, or its process die there.
    fn open(&mut self, gate: u64) {
        let opened = {
            let mut core = lock(&self.shared);
            match core.gates.get(&gate) {
                Some(held) if held.crash => Err(held.invocation),
                Some(_) => Ok(core.open(gate)),
                None => Ok(None),
            }
        };
        match opened {
            Ok(Some(invocation)) => self.poll_work(invocation),
            Ok(None) => {}
            Err(invocation) => self.kill(invocation, "crashed"),
        }
    }

    fn poll_work(&mut self, invocation: u32) {
        let Some(running) = self.running.get_mut(&invocation) else { return };
        let mut context = Context::from_waker(Waker::noop());
        let polled = catch_unwind(AssertUnwindSafe(|| running.work.as_mut().poll(&mut context)));
        match polled {
            Ok(Poll::Pending) => {}
            Ok(Poll::Ready(answer)) => {
                lock(&self.shared).check.holds("no-panic", true, String::new);
                self.finish(invocation, answer);
            }
            Err(panic) => {
                let text = panic
                    .downcast_ref::<String>()
                    .cloned()
                    .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                let function = running.actor.function.name();
                let text = format!("{function}: {}", text.unwrap_or_default());
                lock(&self.shared).check.fail("no-panic", text);
            }
        }
    }

    /// Ends an invocation whose process died.
    fn kill(&mut self, invocation: u32, how: &str) {
        let Some(running) = self.running.remove(&invocation) else { return };
        let Running { actor, instance, trigger, work } = running;
        {
            let mut core = lock(&self.shared);
            let now = core.now;
            core.trace.note(now, &[4, u64::from(invocation)], || {
                format!("{}#{invocation} {how}", actor.function.name())
            });
            for (actor, deed) in core.abandon(invocation) {
                let ms = core.latency.between(50, 8_000);
                core.plan_in(ms, Next::Land(actor, deed));
            }
            core.store.end_all(invocation);
            core.check.died(actor);
        }
        // Dropping the work drops its gates, which takes the lock.
        drop(work);
        if let Some(of) = self.instances.get_mut(&actor.function) {
            of.remove(&instance);
        }
        match trigger {
            Trigger::Http(errand) => self.told(*errand, Told::Later),
            Trigger::Batch { inbox, .. } => self.poll_soon(inbox),
            Trigger::Tick => {}
        }
    }

    fn finish(&mut self, invocation: u32, answer: Answer) {
        let Some(running) = self.running.remove(&invocation) else { return };
        let Running { actor, instance, trigger, .. } = running;
        {
            let mut core = lock(&self.shared);
            let now = core.now;
            core.trace.note(now, &[5, u64::from(invocation)], || {
                format!("{}#{invocation} ends: {answer:?}", actor.function.name())
            });
            core.check.died(actor);
        }
        self.give_back(actor.function, instance);
        match (trigger, answer) {
            (Trigger::Batch { inbox, .. }, Answer::Batch { done }) => {
                let mut core = lock(&self.shared);
                let failed = core.faults.of_wire(WireFault::BatchFailed);
                for number in done.into_iter().filter(|_| !failed) {
                    core.delete(inbox, number, invocation);
                }
                drop(core);
                if !failed {
                    self.look_idle(actor.function);
                }
                // Whoever asked while all were busy was sent away.
                self.poll_soon(inbox);
            }
            (Trigger::Http(errand), Answer::Http(told)) => {
                let lost = lock(&self.shared).faults.of_wire(WireFault::AnswerLost);
                self.told(*errand, if lost { Told::Later } else { told });
            }
            _ => {}
        }
    }

    /// An instance of a function that is idle, or a new one; none where there are too many.
    pub(super) fn take_instance(&mut self, function: Function) -> Option<usize> {
        let now = lock(&self.shared).now;
        let newer_only = self.setup.deploy.is_some_and(|(_, until)| now >= until);
        let newer_now = self.setup.deploy.is_some_and(|(from, _)| now >= from);
        let of = self.instances.entry(function).or_default();
        if newer_only {
            of.retain(|_, instance| instance.newer || instance.busy);
        }
        let mut core = lock(&self.shared);
        if of.values().any(|instance| !instance.busy)
            && core.faults.of_wire(WireFault::InstanceRetired)
        {
            of.retain(|_, instance| instance.busy);
        }
        let idle: Vec<usize> =
            of.iter().filter(|(_, instance)| !instance.busy).map(|(id, _)| *id).collect();
        if let Some(id) = self.clocks.pick(&idle)
            && let Some(instance) = of.get_mut(&id)
        {
            if core.faults.of_wire(WireFault::ClockJumped) {
                instance.skew_ms = skew(&mut self.clocks, self.setup.skew_ms);
            }
            instance.busy = true;
            return Some(id);
        }
        let most = match function {
            Function::Ingest | Function::Consent | Function::Operator | Function::Tick => 8,
            _ => self.setup.instances,
        };
        if of.len() >= most {
            return None;
        }
        self.instance_numbers += 1;
        let newer = newer_now && (newer_only || self.clocks.chance(500));
        let skew_ms = skew(&mut self.clocks, self.setup.skew_ms);
        let instance = Instance { process: Arc::new(Process::new()), newer, skew_ms, busy: true };
        of.insert(self.instance_numbers, instance);
        Some(self.instance_numbers)
    }

    fn give_back(&mut self, function: Function, instance: usize) {
        let of = self.instances.get_mut(&function);
        if let Some(instance) = of.and_then(|of| of.get_mut(&instance)) {
            instance.busy = false;
        }
    }

    /// After the faults every process starts anew, on a clock that is right.
    fn retire_all(&mut self) {
        self.setup.skew_ms = 0;
        for of in self.instances.values_mut() {
            of.retain(|_, instance| instance.busy);
        }
    }

    /// Starts an invocation and lets it run to its first call.
    pub(super) fn start(
        &mut self,
        function: Function,
        instance: usize,
        trigger: Trigger,
        work: impl FnOnce(Ports, Arc<Process>, Stamp, &Trigger) -> super::running::Work,
    ) {
        let Some(held) = self.instances.get(&function).and_then(|of| of.get(&instance)) else {
            return;
        };
        let process = Arc::clone(&held.process);
        self.invocations += 1;
        let invocation = self.invocations;
        let actor = Actor { function, invocation, newer: held.newer };
        let now = {
            let mut core = lock(&self.shared);
            let true_now = core.now;
            let now = Stamp::from_ms(true_now.ms() + held.skew_ms);
            core.trace.note(true_now, &[6, u64::from(invocation), now.ms().unsigned_abs()], || {
                let newer = if actor.newer { " of the newer release" } else { "" };
                format!("{}#{invocation}{newer} starts at {now}: {trigger:?}", function.name())
            });
            core.check.started(true_now, actor, &trigger);
            core.plan_in(function.timeout_s() * 1_000, Next::Stop(invocation));
            now
        };
        let ports = Ports { shared: Arc::clone(&self.shared), actor };
        let work = work(ports, process, now, &trigger);
        self.running.insert(invocation, Running { actor, instance, trigger, work });
        self.poll_work(invocation);
    }

    /// Looks whether a queue is idle, and if so has its timers checked.
    fn look_idle(&self, function: Function) {
        let inbox = match function {
            Function::Profile => Inbox::Profile,
            Function::Journey => Inbox::Journey,
            _ => return,
        };
        let busy = |running: &Running| {
            running.actor.function == function || running.actor.function == Function::Tick
        };
        if self.running.values().any(busy) {
            return;
        }
        let mut core = lock(&self.shared);
        let held = core.queues.of(inbox);
        // What was put back may have been received before it was parked.
        let fresh = held
            .messages
            .values()
            .all(|message| message.receives == 0 && !is_redriven(&message.body));
        if fresh && !held.has_dead() && core.landing == 0 {
            core.check.idle(inbox);
        }
    }

    // ---- triggers ------------------------------------------------------------------------------

    fn poll_soon(&self, inbox: Inbox) {
        let mut core = lock(&self.shared);
        let now = core.now;
        let visible = core.queues.of(inbox).messages.values().map(|m| m.visible).min();
        if let Some(visible) = visible {
            core.poll_at(inbox, visible.max(now));
        }
    }

    fn poll(&mut self, inbox: Inbox) {
        let function = inbox.settings().function;
        let any = {
            let mut core = lock(&self.shared);
            let now = core.now;
            core.queues.asked(inbox, now);
            core.queues.of(inbox).messages.values().any(|message| message.visible <= now)
        };
        if !any {
            self.poll_soon(inbox);
            return;
        }
        // Where all are busy, the end of one asks again.
        let Some(instance) = self.take_instance(function) else { return };
        let invocation = self.invocations + 1;
        let messages = lock(&self.shared).receive(inbox, invocation);
        if messages.is_empty() {
            self.give_back(function, instance);
            self.poll_soon(inbox);
            return;
        }
        let trigger = Trigger::Batch { inbox, messages };
        self.start(function, instance, trigger, |ports, process, now, trigger| match trigger {
            Trigger::Batch { inbox, messages } => batch(ports, process, *inbox, messages, now),
            _ => Box::pin(std::future::pending()),
        });
    }

    fn tick(&mut self) {
        {
            let mut core = lock(&self.shared);
            // Where several are on the agenda, one of them alone brings the next.
            let now = core.now;
            core.tick_at = core.tick_at.filter(|planned| *planned > now);
            if core.faults.of_wire(WireFault::TickMissed) {
                core.plan_tick();
                return;
            }
            if core.faults.of_wire(WireFault::TickLate) {
                let ms = core.wires.between(1_000, 55_000);
                core.plan_in(ms, Next::Tick);
                return;
            }
        }
        let times = if lock(&self.shared).faults.of_wire(WireFault::TickDoubled) { 2 } else { 1 };
        for _ in 0..times {
            if let Some(instance) = self.take_instance(Function::Tick) {
                self.start(Function::Tick, instance, Trigger::Tick, |ports, _, now, _| {
                    tick(ports, now)
                });
            }
        }
        lock(&self.shared).plan_tick();
    }

    // ---- the end -------------------------------------------------------------------------------

    fn outcome(mut self, seed: u64) -> Outcome {
        // Their gates go with them, before the state does.
        self.running.clear();
        let mut core = lock(&self.shared);
        let calls = core.faults.coverage.sites.values().map(|site| site.calls).sum();
        Outcome {
            seed,
            violation: core.check.violation.take(),
            digest: core.trace.digest(),
            events: core.trace.count(),
            log: core.trace.take_lines(),
            coverage: std::mem::take(&mut core.faults.coverage),
            checked: core.check.counts(),
            signals: core.check.signals(),
            mails: core.ses.accepted.values().map(|times| times.len() as u64).sum(),
            unconfirmed: core.check.unconfirmed,
            actions: self.workload.actions.len(),
            calls,
        }
    }
}

fn skew(clocks: &mut Rng, most: u64) -> i64 {
    let ms = clocks.below(2 * most + 1);
    i64::try_from(ms).unwrap_or(0) - i64::try_from(most).unwrap_or(0)
}

/// The rows of the first publication, made once in a process.
pub(super) fn first_rows() -> &'static [odyssey_flows::ports::Row] {
    static ROWS: std::sync::OnceLock<Vec<odyssey_flows::ports::Row>> = std::sync::OnceLock::new();
    ROWS.get_or_init(|| {
        let memory = crate::Memory::new();
        let published = crate::run(catalog::publish(&memory, publication(Version::First)));
        debug_assert!(published.is_ok());
        memory.rows_of(Table::Workspace)
    })
}

impl Core {
    /// Puts the next tick that can find anything on the agenda: those before it would find nothing.
    pub(crate) fn plan_tick(&mut self) {
        let Some(first) = self.store.first_due() else { return };
        // Clocks are off by up to half a minute.
        let early = Span::from_ms(sweep_due::LOOK_AHEAD.ms() + Span::MINUTE.ms());
        let wanted = first.minus(early).max(self.now.plus(Span::from_ms(1)));
        let minute = i64::try_from(Span::MINUTE.ms()).unwrap_or(60_000);
        let at = Stamp::from_ms((wanted.ms() / minute + 1) * minute);
        if self.tick_at.is_none_or(|planned| planned > at || planned <= self.now) {
            self.tick_at = Some(at);
            self.plan(at, Next::Tick);
        }
    }
}
