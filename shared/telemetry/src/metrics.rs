//! Metrics that a handler adds to its invocation's summary.
//!
//! A custom metric costs $0.30 a month in every function that reports it, so there are few, and
//! one that is zero is not reported.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The CloudWatch namespace of all of them.
pub const NAMESPACE: &str = "Odyssey";

/// The unit of a metric, by CloudWatch's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A number of things.
    Count,
    /// A length of time.
    Milliseconds,
}

impl Unit {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Unit::Count => "Count",
            Unit::Milliseconds => "Milliseconds",
        }
    }
}

/// Names, units and values of one invocation. A function process handles one invocation at a
/// time, so one place for the process is one place for the invocation.
pub(crate) type Metrics = BTreeMap<&'static str, (Unit, u64)>;

static METRICS: Mutex<Metrics> = Mutex::new(Metrics::new());

/// Adds to a count of this invocation.
pub fn count(name: &'static str, by: u64) {
    if by > 0 {
        let mut metrics = METRICS.lock().unwrap_or_else(PoisonError::into_inner);
        metrics.entry(name).or_insert((Unit::Count, 0)).1 += by;
    }
}

/// Reports a length of time in milliseconds; of several in one invocation the longest counts.
pub fn measure(name: &'static str, ms: u64) {
    let mut metrics = METRICS.lock().unwrap_or_else(PoisonError::into_inner);
    let value = &mut metrics.entry(name).or_insert((Unit::Milliseconds, 0)).1;
    *value = (*value).max(ms);
}

/// Takes what was reported since the last time.
pub(crate) fn take() -> Metrics {
    std::mem::take(&mut *METRICS.lock().unwrap_or_else(PoisonError::into_inner))
}
