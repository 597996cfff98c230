//! The functions, their triggers, and what the template says of their wiring.
//!
//! `tests/contract` holds every number and name here to `infra/template.yaml`.

use odyssey_domain::wire::{detail_type, source};
use odyssey_flows::ports::Queue;

/// A function of the stack, or its operator at the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Function {
    /// Accepts events over HTTP.
    Ingest,
    /// Folds events into profiles.
    Profile,
    /// Moves enrollments on.
    Journey,
    /// Hands timers over.
    Tick,
    /// Sends.
    Sender,
    /// Records what SES reports.
    Feedback,
    /// Changes consents over HTTP.
    Consent,
    /// `odyssey publish`.
    Operator,
}

impl Function {
    /// Its name in traces and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Function::Ingest => "ingest",
            Function::Profile => "profile",
            Function::Journey => "journey",
            Function::Tick => "tick",
            Function::Sender => "sender",
            Function::Feedback => "feedback",
            Function::Consent => "consent",
            Function::Operator => "operator",
        }
    }

    /// After so many seconds it is stopped.
    #[must_use]
    pub const fn timeout_s(self) -> u64 {
        match self {
            Function::Ingest | Function::Consent => 10,
            Function::Tick => 50,
            Function::Profile | Function::Journey | Function::Sender | Function::Feedback => 30,
            Function::Operator => 600,
        }
    }
}

/// A queue that feeds a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Inbox {
    /// `profile`'s.
    Profile,
    /// `journey`'s.
    Journey,
    /// `sender`'s.
    Sender,
    /// `feedback`'s.
    Feedback,
}

impl From<Queue> for Inbox {
    fn from(queue: Queue) -> Inbox {
        match queue {
            Queue::Profile => Inbox::Profile,
            Queue::Journey => Inbox::Journey,
            Queue::Sender => Inbox::Sender,
        }
    }
}

/// What the template says of a queue and the function it feeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InboxSettings {
    /// The function.
    pub function: Function,
    /// Its logical id in the template, without `Queue`.
    pub name: &'static str,
    /// `VisibilityTimeout`
    pub visibility_s: u64,
    /// `maxReceiveCount`
    pub receives_max: u32,
    /// `MaximumBatchingWindowInSeconds`
    pub window_s: u64,
}

/// `MaximumConcurrency` of the sender's queue.
pub const SENDERS_MAX: usize = 5;
/// `BatchSize` of every queue.
pub const BATCH_MAX: usize = 10;
/// `MessageRetentionPeriod` of every queue: 14 days.
pub const RETENTION_S: u64 = 1_209_600;

impl Inbox {
    /// All of them.
    pub const ALL: [Inbox; 4] = [Inbox::Profile, Inbox::Journey, Inbox::Sender, Inbox::Feedback];

    /// What the template says of it.
    #[must_use]
    pub const fn settings(self) -> InboxSettings {
        let (function, name, visibility_s, window_s) = match self {
            Inbox::Profile => (Function::Profile, "Profile", 181, 1),
            Inbox::Journey => (Function::Journey, "Journey", 180, 0),
            Inbox::Sender => (Function::Sender, "Sender", 180, 0),
            Inbox::Feedback => (Function::Feedback, "Feedback", 181, 1),
        };
        InboxSettings { function, name, visibility_s, receives_max: 100, window_s }
    }
}

/// A rule of the bus: what it picks, and where it brings it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Its logical id in the template.
    pub name: &'static str,
    /// Any of these sources.
    pub sources: &'static [&'static str],
    /// This detail type.
    pub detail_type: &'static str,
    /// The queue.
    pub to: Inbox,
}

/// The rules of the bus.
pub const RULES: [Rule; 6] = [
    Rule {
        name: "EventsAcceptedRule",
        sources: &[source::INGEST],
        detail_type: detail_type::EVENTS_ACCEPTED,
        to: Inbox::Profile,
    },
    Rule {
        name: "ConsentChangedRule",
        sources: &[source::CONSENT],
        detail_type: detail_type::CONSENT_CHANGED,
        to: Inbox::Profile,
    },
    Rule {
        name: "MessageFeedbackRule",
        sources: &[source::FEEDBACK],
        detail_type: detail_type::MESSAGE_FEEDBACK,
        to: Inbox::Profile,
    },
    Rule {
        name: "EventFoldedRule",
        sources: &[source::PROFILE],
        detail_type: detail_type::EVENT_FOLDED,
        to: Inbox::Journey,
    },
    Rule {
        name: "SignalRaisedRule",
        sources: &[source::PROFILE],
        detail_type: detail_type::SIGNAL_RAISED,
        to: Inbox::Journey,
    },
    Rule {
        name: "ConsentRequestedRule",
        sources: &[source::PROFILE, source::CONSENT],
        detail_type: detail_type::CONSENT_REQUESTED,
        to: Inbox::Sender,
    },
];
