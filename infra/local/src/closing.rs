//! The end of a stack, told to every task of it.

use std::sync::Arc;
use tokio::sync::watch;

/// Whether the stack is closing.
#[derive(Debug, Clone)]
pub(crate) struct Closing(Arc<watch::Sender<bool>>);

impl Closing {
    /// Not yet.
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// Now.
    pub(crate) fn close(&self) {
        self.0.send_replace(true);
    }

    /// Returns when the stack is closing.
    pub(crate) async fn wait(&self) {
        let mut receiver = self.0.subscribe();
        // The sender is held by `self`, so this cannot end early.
        let _ = receiver.wait_for(|closing| *closing).await;
    }
}
