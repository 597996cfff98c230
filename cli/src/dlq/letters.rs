//! Dead letters: reading a dead-letter queue, and what each message on it is.

use crate::Failure;
use crate::args::DlqFilter;
use crate::stack::Connection;
use futures_util::future::try_join_all;
use odyssey_aws::{Held, OperatorQueue};
use odyssey_domain::time::Stamp;
use odyssey_domain::wire::{BusEnvelope, Parked};
use odyssey_flows::queue::subscriber;
use serde::Serialize;
use std::collections::BTreeSet;

/// Messages of one dead-letter queue that are looked at; more are told.
pub const LETTERS_MAX: usize = 10_000;
/// Seconds that a message is hidden from others while it is looked at.
const HELD_SECONDS: u16 = 60;

/// Whose dead letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Of {
    /// `profile`'s.
    Profile,
    /// `journey`'s.
    Journey,
    /// `sender`'s.
    Sender,
    /// `feedback`'s.
    Feedback,
    /// Events that a rule of the bus could not bring to their queue.
    Bus,
}

impl Of {
    /// All of them.
    pub const ALL: [Of; 5] = [Of::Profile, Of::Journey, Of::Sender, Of::Feedback, Of::Bus];

    /// As `--of` takes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Of::Profile => "profile",
            Of::Journey => "journey",
            Of::Sender => "sender",
            Of::Feedback => "feedback",
            Of::Bus => "bus",
        }
    }

    /// The dead-letter queue's logical id in the template.
    #[must_use]
    pub const fn letters(self) -> &'static str {
        match self {
            Of::Profile => "ProfileQueueDeadLetters",
            Of::Journey => "JourneyQueueDeadLetters",
            Of::Sender => "SenderQueueDeadLetters",
            Of::Feedback => "FeedbackQueueDeadLetters",
            Of::Bus => "BusDeadLetters",
        }
    }

    /// Those that a filter lets through.
    ///
    /// # Errors
    /// Where it names none.
    pub fn picked(filter: &DlqFilter) -> Result<Vec<Of>, Failure> {
        let Some(name) = &filter.of else { return Ok(Of::ALL.to_vec()) };
        let found = Of::ALL.into_iter().find(|of| of.name() == name);
        found.map(|of| vec![of]).ok_or_else(|| {
            let all = Of::ALL.map(Of::name).join(", ");
            Failure::Asked(format!("--of {name}: expected one of {all}"))
        })
    }
}

/// One dead letter.
#[derive(Clone, Serialize)]
pub struct Letter {
    /// SQS's id of it on the dead-letter queue.
    pub id: String,
    /// Where it stands.
    pub of: Of,
    /// Why it was parked; `received_too_often` where SQS moved it, `not_delivered` on the bus's.
    pub reason: String,
    /// The error and its causes, outermost first.
    pub chain: Vec<String>,
    /// When it was put here.
    pub since: Option<Stamp>,
    /// The bytes of what it carries.
    pub bytes: usize,
    /// The logical id of the queue that it goes back to; none where nothing listens to it.
    pub home: Option<&'static str>,
    /// What it carries, as it first came; may be personal.
    #[serde(skip)]
    pub body: String,
}

impl std::fmt::Debug for Letter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Letter");
        shown.field("id", &self.id).field("of", &self.of).field("reason", &self.reason);
        shown.finish_non_exhaustive()
    }
}

impl Letter {
    /// Reads a message of a dead-letter queue.
    #[must_use]
    pub fn read(of: Of, held: &Held) -> Letter {
        let letter = |reason: &str, chain, since, body: &str, home| Letter {
            id: held.id.clone(),
            of,
            reason: reason.to_owned(),
            chain,
            since,
            bytes: body.len(),
            home,
            body: body.to_owned(),
        };
        if let Ok(parked) = serde_json::from_str::<Parked>(&held.body) {
            return letter(
                &parked.reason,
                parked.chain,
                Some(parked.at),
                &parked.body,
                home(of, ""),
            );
        }
        let reason = match of {
            Of::Bus => "not_delivered",
            _ => "received_too_often",
        };
        letter(reason, Vec::new(), held.sent, &held.body, home(of, &held.body))
    }

    /// Whether one of these is its id or the beginning of it.
    #[must_use]
    pub fn is_one_of(&self, ids: &[String]) -> bool {
        ids.iter().any(|id| !id.is_empty() && self.id.starts_with(id.as_str()))
    }
}

fn home(of: Of, body: &str) -> Option<&'static str> {
    match of {
        Of::Profile => Some("ProfileQueue"),
        Of::Journey => Some("JourneyQueue"),
        Of::Sender => Some("SenderQueue"),
        Of::Feedback => Some("FeedbackQueue"),
        Of::Bus => {
            let event: BusEnvelope = serde_json::from_str(body).ok()?;
            subscriber(&event.detail_type).map(odyssey_flows::ports::Queue::logical_id)
        }
    }
}

/// What is held of one dead-letter queue.
#[derive(Debug)]
pub struct Holding {
    /// The queue.
    pub queue: OperatorQueue,
    /// Its messages, oldest first.
    pub letters: Vec<(Held, Letter)>,
    /// Whether there may be more.
    pub more: bool,
}

/// Takes every message of these dead-letter queues into one's hands. Whoever does so lets them go.
///
/// # Errors
/// Where a queue cannot be read.
pub async fn hold(connection: &Connection, of: &[Of]) -> Result<Vec<Holding>, Failure> {
    try_join_all(of.iter().map(|of| hold_one(connection, *of))).await
}

async fn hold_one(connection: &Connection, of: Of) -> Result<Holding, Failure> {
    let queue = connection.queue(of.letters())?;
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut letters = Vec::new();
    while letters.len() < LETTERS_MAX {
        let held = queue.hold(HELD_SECONDS).await.map_err(|e| failed(connection, &e))?;
        let before = letters.len();
        for message in held {
            if seen.insert(message.id.clone()) {
                let letter = Letter::read(of, &message);
                letters.push((message, letter));
            }
        }
        // A receive asks all of SQS's servers. Nothing new: the queue is read, or its first messages
        // are seen again because their minute is over.
        if letters.len() == before {
            break;
        }
    }
    letters.sort_by(|(_, a), (_, b)| (a.since, &a.id).cmp(&(b.since, &b.id)));
    Ok(Holding { queue, more: letters.len() >= LETTERS_MAX, letters })
}

/// Lets held messages go. A failure is no harm: they are seen again when their minute is over.
pub async fn let_go(queue: &OperatorQueue, held: &[Held]) {
    let _ = queue.let_go(held).await;
}

pub(super) fn failed(connection: &Connection, error: &odyssey_flows::ports::PortError) -> Failure {
    Failure::Stack(format!("{}: {error}", connection.name))
}
