//! Many seeds: in parallel, until one breaks an invariant.

use super::faults::{Coverage, Filter, Rates};
use super::world::{Outcome, run};
use odyssey_domain::segment::{SEGMENT_ENTERED, SEGMENT_EXITED};
use odyssey_domain::signal::SignalKind;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// What to run.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// The first seed.
    pub from: u64,
    /// How many.
    pub seeds: u64,
    /// Each seed twice, to see that both runs are the same to the byte.
    pub twice: bool,
    /// Whether the seeds that are left are run when one has broken an invariant.
    pub keep_going: bool,
    /// At so many at once.
    pub threads: usize,
    /// How often things go wrong.
    pub rates: Rates,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Seeds that were run.
    pub seeds: u64,
    /// Things that happened in them.
    pub events: u64,
    /// Mails that SES accepted.
    pub mails: u64,
    /// Sends that stayed unconfirmed.
    pub unconfirmed: u64,
    /// Faults, by call site and kind.
    pub coverage: Coverage,
    /// How often each invariant was checked.
    pub checked: BTreeMap<&'static str, u64>,
    /// How many signals of each name were raised.
    pub signals: BTreeMap<String, u64>,
    /// The seeds that broke an invariant, the least first.
    pub broken: Vec<Outcome>,
    /// A seed whose two runs differed.
    pub unsteady: Option<u64>,
    /// The digests of all seeds, added up: the same for the same seeds, in whatever order they ran.
    pub digest: u64,
}

impl Tally {
    fn add(&mut self, outcome: Outcome) {
        self.seeds += 1;
        self.events += outcome.events;
        self.mails += outcome.mails;
        self.unconfirmed += outcome.unconfirmed;
        self.digest = self.digest.wrapping_add(outcome.digest);
        self.coverage.add(&outcome.coverage);
        for (name, times) in &outcome.checked {
            *self.checked.entry(name).or_default() += times;
        }
        for (name, times) in &outcome.signals {
            *self.signals.entry(name.clone()).or_default() += times;
        }
        if outcome.violation.is_some() {
            self.broken.push(outcome);
        }
    }

    fn merge(&mut self, other: Tally) {
        self.seeds += other.seeds;
        self.events += other.events;
        self.mails += other.mails;
        self.unconfirmed += other.unconfirmed;
        self.digest = self.digest.wrapping_add(other.digest);
        self.coverage.add(&other.coverage);
        for (name, times) in other.checked {
            *self.checked.entry(name).or_default() += times;
        }
        for (name, times) in other.signals {
            *self.signals.entry(name).or_default() += times;
        }
        self.broken.extend(other.broken);
        self.broken.sort_by_key(|outcome| outcome.seed);
        self.unsteady = self.unsteady.or(other.unsteady);
    }
}

/// Every signal there is.
pub fn all_signals() -> impl Iterator<Item = &'static str> {
    SignalKind::ALL.into_iter().map(SignalKind::name).chain([SEGMENT_ENTERED, SEGMENT_EXITED])
}

/// Runs seeds until they are through or, unless it is to keep going, one breaks an invariant.
/// `progress` is told of every seed that is through, and how many that makes.
pub fn campaign(plan: Plan, progress: impl Fn(&Outcome, u64) + Sync) -> Tally {
    let next = AtomicU64::new(plan.from);
    let end = plan.from.saturating_add(plan.seeds);
    let through = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let total = Mutex::new(Tally::default());
    let filter = Filter { rates: plan.rates, ..Filter::default() };
    let work = || {
        let mut mine = Tally::default();
        while !stop.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                break;
            }
            let outcome = run(seed, &filter, false);
            if plan.twice {
                let again = run(seed, &filter, false);
                if (again.digest, again.events) != (outcome.digest, outcome.events) {
                    mine.unsteady = Some(seed);
                    stop.store(true, Ordering::Relaxed);
                }
            }
            if outcome.violation.is_some() && !plan.keep_going {
                stop.store(true, Ordering::Relaxed);
            }
            progress(&outcome, through.fetch_add(1, Ordering::Relaxed) + 1);
            mine.add(outcome);
        }
        total.lock().unwrap_or_else(PoisonError::into_inner).merge(mine);
    };
    std::thread::scope(|scope| {
        for _ in 0..plan.threads.max(1) {
            scope.spawn(work);
        }
    });
    total.into_inner().unwrap_or_else(PoisonError::into_inner)
}
