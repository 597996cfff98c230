//! Whether anything is going on, so that a test can wait for quiet instead of for time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::watch;

/// Counts what is going on and tells of every change.
#[derive(Debug, Clone)]
pub(crate) struct Activity {
    going_on: Arc<AtomicUsize>,
    changes: Arc<watch::Sender<u64>>,
}

/// Something that goes on until this is dropped.
#[derive(Debug)]
#[must_use]
pub struct Busy(Activity);

impl Activity {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self { going_on: Arc::default(), changes: Arc::new(watch::Sender::new(0)) }
    }

    /// Something begins.
    pub(crate) fn begin(&self) -> Busy {
        self.going_on.fetch_add(1, Ordering::SeqCst);
        Busy(self.clone())
    }

    /// Something changed that a waiter may wait for.
    pub(crate) fn changed(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Tells of changes from now on.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Whether nothing goes on.
    pub(crate) fn is_quiet(&self) -> bool {
        self.going_on.load(Ordering::SeqCst) == 0
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.going_on.fetch_sub(1, Ordering::SeqCst);
        self.0.changed();
    }
}
