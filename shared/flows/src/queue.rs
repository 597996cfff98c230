//! What is common to every flow that is fed by a queue: records in, a disposition for each out.

use crate::ports::{PortError, Queue};
use odyssey_domain::ids::EventHash;
use odyssey_domain::time::{Span, Stamp};
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

/// How a message begins that came back out of a dead-letter queue.
const REDRIVEN: &str = "{\"redriven\":true,";

/// A message's body as it is put back from a dead-letter queue. It says so, because on its queue it
/// is a new message with no receipt behind it, and yet an earlier delivery may have stored effects
/// that it did not come to carry out.
#[must_use]
pub fn redriven(body: &str) -> String {
    match body.strip_prefix('{') {
        Some(rest) if !is_redriven(body) && rest.trim_start().starts_with('"') => {
            format!("{REDRIVEN}{rest}")
        }
        _ => body.to_owned(),
    }
}

/// Whether a message was put back.
#[must_use]
pub fn is_redriven(body: &str) -> bool {
    body.starts_with(REDRIVEN)
}

/// How long after its time a message comes at most, as a rule. What SQS itself moves to the dead
/// letters was received a hundred times over a day, so that it comes later when it is put back.
pub const LATE: Span = Span::HOUR.times(6);

impl QueueRecord {
    /// Whether it may have been delivered before, so that what its first delivery stored may not
    /// have been carried out: it was received more than once, it was put back from the dead
    /// letters, where its receipts count from one again, or it comes late, as what somebody put
    /// back without saying so does.
    #[must_use]
    pub fn may_be_repeated(&self, due: Stamp, now: Stamp) -> bool {
        self.receive_count > 1 || is_redriven(&self.body) || now.since(due) > LATE
    }
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
        /// Instead of what the doubling says, where the flow knows better.
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
    /// A wake came before its time, by a clock that is behind the one it was armed by.
    #[must_use]
    pub fn early(due: Stamp, now: Stamp) -> Disposition {
        Disposition::Retry {
            reason: "its time has not come".to_owned(),
            after: Some(due.since(now)),
        }
    }

    /// What this message asked to write may still take effect, and whoever decides anew before it does
    /// may find nothing to do: it comes back when that is settled, and not sooner than others would.
    #[must_use]
    pub fn unanswered(message_id: &str, receipts: u32, reason: String) -> Disposition {
        let hidden = Span::SECOND.times(hidden_for(message_id, receipts).into());
        Disposition::Retry { reason, after: Some(hidden.max(UNANSWERED)) }
    }

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

/// The first retry comes after this; each further one takes twice as long.
const RETRY_MIN_SECONDS: u32 = 2;
/// … up to this.
const RETRY_MAX_SECONDS: u32 = 900;

/// A write whose answer never came has taken effect after this, or never will: a caller gives up after
/// seconds, and what it had sent is on its way no longer than that.
pub const UNANSWERED: Span = Span::from_ms(30_000);

/// How many seconds a message stays hidden after its `receipts`-th receipt failed: 2 s, 4 s …
/// 15 min, less up to a quarter that its id alone decides, so that what failed together does not
/// come back together.
#[must_use]
pub fn hidden_for(message_id: &str, receipts: u32) -> u32 {
    let doublings = receipts.saturating_sub(1).min(16);
    let seconds = (RETRY_MIN_SECONDS << doublings).min(RETRY_MAX_SECONDS);
    let [first, second, ..] = EventHash::of(message_id).0;
    let jitter = u32::from(u16::from_be_bytes([first, second])) % (seconds / 4 + 1);
    seconds - jitter
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
        detail_type::EVENTS_ACCEPTED
        | detail_type::CONSENT_CHANGED
        | detail_type::MESSAGE_FEEDBACK => Some(Queue::Profile),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_redriven_says_so_and_reads_the_same() {
        let wake = r#"{"command":"wake","owner":{"profile":"aaaaaaaaaaaaaaaaaaaaaaaaaa"},"arm":2,"due":5}"#;
        let event = r#"{"id":"1","source":"odyssey.x","detail-type":"T","detail":{"v":1}}"#;
        for body in [wake, event] {
            let again = redriven(body);
            let read = |text: &str| format!("{:?}", QueueBody::parse(text).unwrap());
            assert_eq!(read(&again), read(body));
            assert_eq!(redriven(&again), again);
            let record = |body: &str| QueueRecord {
                message_id: "m".to_owned(),
                request_id: "r".to_owned(),
                receive_count: 1,
                body: body.to_owned(),
            };
            let repeated = |body| record(body).may_be_repeated(Stamp::MIN, Stamp::MIN);
            assert!(repeated(&again) && !repeated(body));
        }
        for other in ["", "{}", "[]", "no JSON"] {
            assert_eq!(redriven(other), other);
        }
    }

    #[test]
    fn retries_double_to_a_quarter_of_an_hour() {
        assert_eq!(hidden_for("a", 0), hidden_for("a", 1));
        for receipts in 1..40_u32 {
            let whole = 2_u32.saturating_pow(receipts).min(RETRY_MAX_SECONDS);
            for id in 0..50 {
                let seconds = hidden_for(&id.to_string(), receipts);
                let range = whole - whole / 4..=whole;
                assert!(range.contains(&seconds), "{receipts} {seconds}");
            }
        }
        let spread: std::collections::BTreeSet<u32> =
            (0..50).map(|id| hidden_for(&id.to_string(), 20)).collect();
        assert!(spread.len() > 20, "{spread:?}");
    }
}
