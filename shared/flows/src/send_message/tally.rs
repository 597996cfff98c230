//! How many messages were held back, for the function's metrics.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counts since they were last taken. A redelivery that finds its outcome counts nothing.
#[derive(Debug, Default)]
pub struct Tally {
    deferred: AtomicU64,
    skipped: AtomicU64,
}

impl Tally {
    pub(super) fn deferred(&self) {
        self.deferred.fetch_add(1, Relaxed);
    }

    pub(super) fn skipped(&self) {
        self.skipped.fetch_add(1, Relaxed);
    }

    /// Each count by the name of its metric; they begin again at zero.
    #[must_use]
    pub fn take(&self) -> [(&'static str, u64); 2] {
        [("Deferred", self.deferred.swap(0, Relaxed)), ("Skipped", self.skipped.swap(0, Relaxed))]
    }
}
