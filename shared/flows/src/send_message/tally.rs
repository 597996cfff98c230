//! What became of sends, for the function's metrics.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counts since they were last taken. A redelivery that finds its outcome counts as a duplicate
/// and as nothing else.
#[derive(Debug, Default)]
pub struct Tally {
    accepted: AtomicU64,
    duplicate: AtomicU64,
    unconfirmed: AtomicU64,
    deferred: AtomicU64,
    skipped: AtomicU64,
}

impl Tally {
    /// SES took a mail.
    pub(super) fn accepted(&self) {
        self.accepted.fetch_add(1, Relaxed);
    }

    /// A request was for a send that has its outcome.
    pub(super) fn duplicate(&self) {
        self.duplicate.fetch_add(1, Relaxed);
    }

    /// Nobody knows whether SES took a mail.
    pub(super) fn unconfirmed(&self) {
        self.unconfirmed.fetch_add(1, Relaxed);
    }

    pub(super) fn deferred(&self) {
        self.deferred.fetch_add(1, Relaxed);
    }

    pub(super) fn skipped(&self) {
        self.skipped.fetch_add(1, Relaxed);
    }

    /// Each count by the name of its metric; they begin again at zero.
    #[must_use]
    pub fn take(&self) -> [(&'static str, u64); 5] {
        [
            ("SendsAccepted", &self.accepted),
            ("SendsDuplicate", &self.duplicate),
            ("SendsUnconfirmed", &self.unconfirmed),
            ("SendsDeferred", &self.deferred),
            ("SendsSkipped", &self.skipped),
        ]
        .map(|(name, count)| (name, count.swap(0, Relaxed)))
    }
}
