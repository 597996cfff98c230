//! What every invocation has: an id, a time, and a summary.

use crate::clock;
use crate::lambda::Deadline;
use odyssey_domain::time::Stamp;
use odyssey_telemetry::Summary;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Whether this process has not served anything yet.
static IS_COLD: AtomicBool = AtomicBool::new(true);

/// One invocation under way.
pub(super) struct Invocation {
    /// Lambda's id of it.
    pub(super) request: String,
    /// The one reading of the clock.
    pub(super) now: Stamp,
    /// When Lambda ends it.
    pub(super) deadline: Deadline,
    /// What is said about it.
    pub(super) summary: Summary,
    started: Instant,
    real_ms: u64,
}

impl Invocation {
    pub(super) fn begin(function: &'static str, context: &lambda_runtime::Context) -> Invocation {
        let real_ms = clock::real_ms();
        let mut summary = Summary::new(function, &context.request_id);
        summary.set("cold", IS_COLD.swap(false, Ordering::Relaxed));
        Invocation {
            request: context.request_id.clone(),
            now: clock::now(),
            deadline: Deadline::from_epoch_ms(context.deadline, real_ms),
            summary,
            started: Instant::now(),
            real_ms,
        }
    }

    /// Writes the line.
    pub(super) fn end(mut self) {
        let ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.summary.set("ms", ms);
        self.summary.write(self.real_ms);
    }
}
