//! One process of a function, as the Runtime API sees it.

use bytes::Bytes;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use tokio::sync::{Notify, mpsc, oneshot};

/// One event for a function.
#[derive(Debug)]
pub(crate) struct Invocation {
    /// The request id.
    pub(crate) request: String,
    /// When it must be answered; real epoch milliseconds.
    pub(crate) deadline_ms: i64,
    /// The function's ARN.
    pub(crate) arn: String,
    /// The event.
    pub(crate) payload: Bytes,
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The function's answer.
    Answer(Bytes),
    /// The error that the function reported.
    Error(String),
    /// The process ended.
    Exited(String),
}

/// One process.
#[derive(Debug)]
pub(crate) struct Instance {
    /// Its id on the Runtime API.
    pub(crate) id: String,
    /// The function's logical id.
    pub(crate) function: String,
    work: mpsc::UnboundedSender<Invocation>,
    next: tokio::sync::Mutex<mpsc::UnboundedReceiver<Invocation>>,
    asked: Mutex<Option<(String, oneshot::Sender<Outcome>)>>,
    alive: AtomicBool,
    begun: Notify,
    end: Notify,
}

impl Instance {
    /// Of a process about to be started.
    pub(crate) fn new(id: String, function: String) -> Self {
        let (work, next) = mpsc::unbounded_channel();
        Self {
            id,
            function,
            work,
            next: tokio::sync::Mutex::new(next),
            asked: Mutex::default(),
            alive: AtomicBool::new(true),
            begun: Notify::new(),
            end: Notify::new(),
        }
    }

    /// Whether its process runs.
    pub(crate) fn is_alive(&self) -> bool {
        self.alive.load(Ordering::SeqCst)
    }

    /// Returns when the process has first asked for work, or ended; for one listener.
    pub(crate) async fn has_begun(&self) {
        self.begun.notified().await;
    }

    /// Ends its process.
    pub(crate) fn kill(&self) {
        self.alive.store(false, Ordering::SeqCst);
        self.end.notify_one();
    }

    /// Returns when the process is to end.
    pub(crate) async fn killed(&self) {
        self.end.notified().await;
    }

    /// Gives it an event; the receiver tells what comes of it.
    pub(crate) fn hand_over(&self, invocation: Invocation) -> oneshot::Receiver<Outcome> {
        let (sender, receiver) = oneshot::channel();
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        *asked = Some((invocation.request.clone(), sender));
        drop(asked);
        if !self.is_alive() {
            self.exited("the process has ended");
        }
        // The receiver lives as long as `self`.
        let _ = self.work.send(invocation);
        receiver
    }

    /// The next event, when there is one.
    pub(crate) async fn next(&self) -> Option<Invocation> {
        self.begun.notify_one();
        self.next.lock().await.recv().await
    }

    /// The process tells what came of a request; false where it was not asked that.
    pub(crate) fn answered(&self, request: &str, outcome: Outcome) -> bool {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.as_ref().is_none_or(|(id, _)| id != request) {
            return false;
        }
        match asked.take() {
            Some((_, sender)) => sender.send(outcome).is_ok(),
            None => false,
        }
    }

    /// The process has ended, or could not begin.
    pub(crate) fn exited(&self, cause: &str) {
        self.alive.store(false, Ordering::SeqCst);
        self.begun.notify_one();
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, sender)) = asked.take() {
            let _ = sender.send(Outcome::Exited(cause.to_owned()));
        }
    }
}
