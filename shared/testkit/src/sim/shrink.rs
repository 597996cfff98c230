//! Shrinking: the smallest run that still breaks the same invariant.

use super::faults::{CallFault, Filter, WireFault};
use super::world::{Outcome, run};

/// A violation in as few events as were found.
#[derive(Debug, Clone)]
pub struct Shrunk {
    /// What was left out.
    pub filter: Filter,
    /// The run that is left, with its event log.
    pub outcome: Outcome,
    /// Runs it took.
    pub runs: u32,
}

struct Shrinker {
    seed: u64,
    invariant: &'static str,
    best: Filter,
    events: u64,
    runs: u32,
    runs_max: u32,
}

impl Shrinker {
    /// Keeps a filter where the invariant is still broken.
    fn try_out(&mut self, filter: Filter) -> bool {
        if self.runs >= self.runs_max {
            return false;
        }
        self.runs += 1;
        let outcome = run(self.seed, &filter, false);
        let same = outcome.violation.is_some_and(|found| found.invariant == self.invariant);
        if same {
            self.best = filter;
            self.events = outcome.events;
        }
        same
    }

    fn kinds(&mut self) {
        for fault in WireFault::ALL {
            let mut filter = self.best.clone();
            filter.wires_off.insert(fault);
            self.try_out(filter);
        }
        for fault in CallFault::ALL {
            let mut filter = self.best.clone();
            filter.calls_off.insert(fault);
            self.try_out(filter);
        }
    }

    fn actions(&mut self, actions: usize) {
        let mut size = actions.div_ceil(2).max(1);
        loop {
            let mut from = 0;
            while from < actions {
                let mut filter = self.best.clone();
                filter.actions_off.extend(from..(from + size).min(actions));
                if filter != self.best {
                    self.try_out(filter);
                }
                from += size;
            }
            if size == 1 {
                return;
            }
            size /= 2;
        }
    }

    /// No faults from as early a call on as may be.
    fn until(&mut self, calls: u64) {
        let (mut low, mut high) = (0, calls);
        while low < high {
            let middle = low.midpoint(high);
            let filter = Filter { calls_until: Some(middle), ..self.best.clone() };
            if self.try_out(filter) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
    }
}

/// Leaves out faults and actions while the same invariant stays broken, in at most `runs_max`
/// runs; `None` where the seed breaks none.
#[must_use]
pub fn shrink(seed: u64, runs_max: u32) -> Option<Shrunk> {
    let first = run(seed, &Filter::default(), false);
    let invariant = first.violation.as_ref()?.invariant;
    let mut shrinker = Shrinker {
        seed,
        invariant,
        best: Filter::default(),
        events: first.events,
        runs: 1,
        runs_max,
    };
    for _ in 0..3 {
        let before = shrinker.best.clone();
        shrinker.kinds();
        shrinker.actions(first.actions);
        shrinker.until(first.calls);
        if shrinker.best == before {
            break;
        }
    }
    let outcome = run(seed, &shrinker.best, true);
    Some(Shrunk { filter: shrinker.best, outcome, runs: shrinker.runs })
}
