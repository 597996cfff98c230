//! What is common to every flow that is fed by a queue: records in, a disposition for each out.

use crate::ports::{PortError, Queue};
use odyssey_domain::time::Span;
use odyssey_domain::wire::{BusEnvelope, Command, detail_type};
use std::error::Error;

/// One message as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueRecord {
    /// SQS's id of it.
    pub message_id: String,
    /// The Lambda invocation that received it.
    pub request_id: String,
    /// How often it has been received, this time included.
    pub receive_count: u32,
    /// JSON.
    pub body: String,
}

/// What is to become of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disposition {
    /// Delete it.
    Done,
    /// Leave it on the queue: the fault is transient. Its visibility doubles with each receipt.
    Retry {
        /// For the log.
        reason: String,
        /// Sooner than the doubling says, where the flow knows better.
        after: Option<Span>,
    },
    /// Put it into the dead-letter queue with its reason and delete it: it can never succeed.
    Park {
        /// A stable code.
        reason: &'static str,
        /// The error and its causes, outermost first, without personal data.
        chain: Vec<String>,
    },
}

impl Disposition {
    /// Retry for what may pass, park for what will not.
    #[must_use]
    pub fn of_port_error(error: &PortError) -> Disposition {
        if error.is_transient() {
            Disposition::Retry { reason: error.to_string(), after: None }
        } else {
            Disposition::Park { reason: "refused", chain: chain(error) }
        }
    }
}

/// An error and its causes, outermost first.
#[must_use]
pub fn chain(error: &dyn Error) -> Vec<String> {
    let mut chain = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        chain.push(cause.to_string());
        source = cause.source();
    }
    chain
}

/// The queue that the bus's rules bring a detail type to; none where no rule does.
#[must_use]
pub fn subscriber(detail_type: &str) -> Option<Queue> {
    match detail_type {
        detail_type::EVENTS_ACCEPTED | detail_type::CONSENT_CHANGED => Some(Queue::Profile),
        detail_type::EVENT_FOLDED | detail_type::SIGNAL_RAISED => Some(Queue::Journey),
        detail_type::CONSENT_REQUESTED => Some(Queue::Sender),
        _ => None,
    }
}

/// What a queue message is.
#[derive(Debug, Clone)]
pub enum QueueBody {
    /// A bus event that a rule delivered.
    Event(BusEnvelope),
    /// What a function sent.
    Command(Command),
}

/// A queue message is neither.
#[derive(Debug, thiserror::Error)]
#[error(
    "expected an EventBridge event or a command, found something else at line {line} column {column}"
)]
pub struct QueueBodyError {
    line: usize,
    column: usize,
}

impl QueueBody {
    /// Reads a message's body. The error does not repeat the text: it may hold personal data.
    ///
    /// # Errors
    /// Where it is neither an EventBridge envelope nor a [`Command`].
    pub fn parse(body: &str) -> Result<QueueBody, QueueBodyError> {
        if let Ok(envelope) = serde_json::from_str::<BusEnvelope>(body) {
            return Ok(QueueBody::Event(envelope));
        }
        match serde_json::from_str::<Command>(body) {
            Ok(command) => Ok(QueueBody::Command(command)),
            Err(error) => Err(QueueBodyError { line: error.line(), column: error.column() }),
        }
    }
}
