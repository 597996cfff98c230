//! What happens in the stack, as it happens: for `odyssey tail` and the demo.
//!
//! It carries personal data (bus events, mails) and is meant for the operator's own terminal;
//! log lines, which carry none, come as happenings of their own.

use crate::mailbox::Mail;
use odyssey_domain::time::Stamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast;

/// How an invocation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// With an answer.
    Answered,
    /// With an error that the function reported.
    Failed(String),
    /// It took longer than the function's time-out, and was killed.
    TimedOut,
    /// The process went away.
    Crashed(String),
}

/// One thing that happened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum What {
    /// The API answered a request.
    Http {
        /// Method.
        method: String,
        /// Path, without the query.
        path: String,
        /// The status answered.
        status: u16,
        /// How long it took; real time.
        took: Duration,
    },
    /// An event came on the bus.
    BusEvent {
        /// EventBridge's id of it.
        id: String,
        /// The publisher.
        source: String,
        /// `detail-type`.
        detail_type: String,
        /// `detail`, JSON.
        detail: String,
        /// The names of the queues that rules delivered it to.
        queues: Vec<String>,
    },
    /// A message came on a queue.
    Queued {
        /// The queue's name.
        queue: String,
        /// The message's id.
        id: String,
        /// Who sent it: a function, a rule, a topic.
        sender: String,
        /// When it can be received.
        visible: Stamp,
        /// The body.
        body: Arc<str>,
    },
    /// A message went to a dead-letter queue after too many receipts.
    DeadLettered {
        /// The queue that it came from.
        queue: String,
        /// The message's id.
        id: String,
    },
    /// A function was started and ended.
    Invoked {
        /// Logical id.
        function: String,
        /// The invocation's request id.
        request: String,
        /// Records in it; 0 where it was no batch.
        records: usize,
        /// Records that the function gave back.
        failed: usize,
        /// How long; real time.
        took: Duration,
        /// Whether the process was started for it.
        cold: bool,
        /// How.
        ended: Ended,
    },
    /// A function wrote a line to its log.
    Logged {
        /// Logical id.
        function: String,
        /// The line.
        line: String,
    },
    /// SES took a mail.
    Mailed(Arc<Mail>),
    /// SES reported on a mail.
    Reported {
        /// SES's message id.
        message: String,
        /// `Send`, `Delivery`, `Bounce` …
        event: String,
    },
    /// A call was refused by the caller's role.
    Denied {
        /// Who called.
        caller: String,
        /// `dynamodb:PutItem`
        action: String,
        /// The ARN.
        resource: String,
    },
    /// A call was answered with an injected fault or by throttling.
    Faulted {
        /// Who called.
        caller: String,
        /// `ses:SendEmail`
        operation: String,
        /// What it got.
        fault: String,
    },
    /// A call that the local stack cannot answer.
    Unknown {
        /// Who called.
        caller: String,
        /// What.
        operation: String,
    },
}

/// Something that happened, and when.
#[derive(Debug, Clone)]
pub struct Happening {
    /// Customer time.
    pub at: Stamp,
    /// What.
    pub what: What,
}

/// Listeners who lag further behind than this lose happenings.
const BACKLOG: usize = 16_384;

/// The broadcast of happenings.
#[derive(Debug)]
pub(crate) struct Feed {
    sender: broadcast::Sender<Arc<Happening>>,
}

impl Feed {
    /// Nobody listens yet.
    pub(crate) fn new() -> Self {
        Self { sender: broadcast::Sender::new(BACKLOG) }
    }

    /// Tells everybody who listens.
    pub(crate) fn tell(&self, at: Stamp, what: What) {
        // An error means that nobody listens.
        let _ = self.sender.send(Arc::new(Happening { at, what }));
    }

    /// Listens from now on.
    pub(crate) fn listen(&self) -> broadcast::Receiver<Arc<Happening>> {
        self.sender.subscribe()
    }
}
