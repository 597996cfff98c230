//! The messages on the bus and on the queues.
//!
//! A bus event's `detail` is one of the structs here, with its schema number in `v`; examples and
//! JSON Schemas stand in `events/<detail-type>.v1.json`. A queue carries either such an event in
//! EventBridge's envelope (a rule delivered it) or a [`Command`] (a function sent it).

use crate::contact::TopicId;
use crate::event::Event;
use crate::ids::{ContactKey, ContentHash, IdentityKey, ProfileId, SendId, SignalId};
use crate::journey::{JourneyId, SlotId, StepId};
use crate::message::MailId;
use crate::message::machine::Machine;
use crate::personal::EmailAddress;
use crate::signal::Threshold;
use crate::time::Stamp;
use serde::{Deserialize, Serialize};

/// The schema number of every bus event of this release.
pub const BUS_SCHEMA: u16 = 1;

/// The `source` of each function's bus events.
pub mod source {
    /// What `ingest` publishes.
    pub const INGEST: &str = "odyssey.ingest";
    /// What `profile` publishes.
    pub const PROFILE: &str = "odyssey.profile";
    /// What `consent` publishes.
    pub const CONSENT: &str = "odyssey.consent";
    /// What `feedback` publishes.
    pub const FEEDBACK: &str = "odyssey.feedback";
}

/// The `detail-type` of each bus event.
pub mod detail_type {
    /// [`super::EventsAccepted`]
    pub const EVENTS_ACCEPTED: &str = "Events Accepted";
    /// [`super::EventFolded`]
    pub const EVENT_FOLDED: &str = "Event Folded";
    /// [`super::SignalRaised`]
    pub const SIGNAL_RAISED: &str = "Signal Raised";
    /// [`super::ConsentRequested`]
    pub const CONSENT_REQUESTED: &str = "Consent Requested";
    /// [`super::ConsentChanged`]
    pub const CONSENT_CHANGED: &str = "Consent Changed";
    /// [`super::MessageFeedback`]
    pub const MESSAGE_FEEDBACK: &str = "Message Feedback";
}

/// Whether a source can be believed about who its user is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// Its write key is public: e-mail is an attribute, consent a request.
    Browser,
    /// Its write key is secret: what it says of addresses and consent holds.
    Server,
}

/// Which source an event came through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRef {
    /// Its name in the workspace file.
    pub name: String,
    /// Browser or server.
    pub kind: SourceKind,
}

impl SourceRef {
    /// What this stack says of its own mails comes through this one; no workspace has a source of
    /// its name.
    pub const FEEDBACK: &str = "feedback";
    /// And what `consent` says through this one.
    pub const CONSENT: &str = "consent";

    /// Whether it is this stack's own word on a mail, whose haste was judged.
    #[must_use]
    pub fn is_feedback(&self) -> bool {
        self.kind == SourceKind::Server && self.name == SourceRef::FEEDBACK
    }
}

/// `odyssey.ingest` / `Events Accepted`: events of one customer from one request, stamped once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventsAccepted {
    /// Schema number.
    pub v: u16,
    /// The API request they came in.
    pub request: String,
    /// When that request was received.
    pub received: Stamp,
    /// Through which source.
    pub source: SourceRef,
    /// In the order of the request; never empty.
    pub events: Vec<Event>,
}

/// `odyssey.profile` / `Event Folded`: an event that a live journey names, now in its profile.
/// Repeated on every redelivery.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventFolded {
    /// Schema number.
    pub v: u16,
    /// The profile it is in.
    pub profile: ProfileId,
    /// The identity keys linked to that profile: enrollments may still stand under any of them.
    pub owners: Vec<IdentityKey>,
    /// The event.
    pub event: Event,
}

/// `odyssey.profile` / `Signal Raised`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SignalRaised {
    /// Schema number.
    pub v: u16,
    /// The same for every raising of this rule, profile and episode.
    pub id: SignalId,
    /// Whose signal.
    pub profile: ProfileId,
    /// The identity keys linked to that profile.
    pub owners: Vec<IdentityKey>,
    /// Its name: `Cart Abandoned`.
    pub signal: String,
    /// The threshold it was raised at (`after`, `before` or `at_least`); a trigger listens to one.
    #[serde(flatten)]
    pub threshold: Threshold,
    /// When the silence it speaks of began: the last activity. Of what needs no silence, when that
    /// last happened.
    pub since: Stamp,
    /// When it was raised.
    pub at: Stamp,
    /// What it was decided on, readable: the cart's lines, the products looked at.
    pub evidence: serde_json::Map<String, serde_json::Value>,
}

/// `odyssey.profile` or `odyssey.consent` / `Consent Requested`: somebody says that an address
/// wants a topic; its owner is asked by one mail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConsentRequested {
    /// Schema number.
    pub v: u16,
    /// The address.
    pub email: EmailAddress,
    /// The topic.
    pub topic: TopicId,
    /// Whose event it was, where there is a profile.
    pub profile: Option<ProfileId>,
    /// When it was asked for.
    pub at: Stamp,
    /// The source's name, or `form`.
    pub via: String,
}

/// `odyssey.consent` / `Consent Changed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConsentChanged {
    /// Schema number.
    pub v: u16,
    /// Whose.
    pub contact: ContactKey,
    /// The profile that asked, where it is known.
    pub profile: Option<ProfileId>,
    /// The topic.
    pub topic: TopicId,
    /// What it is now.
    pub state: crate::contact::ConsentState,
    /// When it changed.
    pub at: Stamp,
    /// How: `confirmation`, `one_click`, `unsubscribe_page`, `api:<source>`.
    pub via: String,
}

/// What SES reported of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedbackKind {
    /// SES took it (`Send`).
    Sent,
    /// The recipient's server took it.
    Delivered,
    /// It will be tried again (`DeliveryDelay`).
    Delayed,
    /// A permanent bounce.
    BouncedHard,
    /// A transient or undetermined bounce.
    BouncedSoft,
    /// The recipient called it spam.
    Complained,
    /// SES refused it (a virus).
    Rejected,
    /// SES could not render it.
    RenderingFailed,
    /// Opened; often by a machine.
    Opened,
    /// A link was followed; sometimes by a machine.
    Clicked,
    /// SES's own list management was used.
    Subscription,
}

/// `odyssey.feedback` / `Message Feedback`: bounces, complaints, opens and clicks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MessageFeedback {
    /// Schema number.
    pub v: u16,
    /// The message.
    pub send: SendId,
    /// Whose, where the ledger knows.
    pub profile: Option<ProfileId>,
    /// What happened to it.
    pub kind: FeedbackKind,
    /// When, by SES's clock.
    pub at: Stamp,
    /// When SES had accepted the message, by the same clock. What follows it at once is a machine's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Stamp>,
    /// The machine that opened it or followed a link, where its user agent says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<Machine>,
}

/// Who owns a timer: what is to be woken.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// A profile's silence timers.
    Profile(ProfileId),
    /// A waiting enrollment.
    Enrollment(SlotId),
    /// A deferred send: its ledger item says what is to be sent.
    Send(SendId),
}

/// A timer that has come due: sent by `tick` or by a delayed queue message. One whose arm number
/// is not the owner's own is stale and changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wake {
    /// What is woken.
    pub owner: Owner,
    /// The number of the arming; never reused.
    pub arm: u64,
    /// When it was due.
    pub due: Stamp,
}

/// What of an enrollment its journey's exit rules and goal are asked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolled {
    /// The version of the journey whose steps it takes.
    pub version: ContentHash,
    /// When the trigger happened.
    pub started: Stamp,
    /// When it was let in.
    pub entered: Stamp,
}

/// `journey` asks `sender` for one message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SendRequested {
    /// The ledger's key.
    pub send: SendId,
    /// To whom; the address is read from the profile when it is sent.
    pub profile: ProfileId,
    /// The enrollment it belongs to.
    pub slot: SlotId,
    /// The journey.
    pub journey: JourneyId,
    /// The step.
    pub step: StepId,
    /// The mail of the workspace, by name: content is not pinned.
    pub mail: MailId,
    /// The topic it is sent under.
    pub topic: TopicId,
    /// When the step was due.
    pub due: Stamp,
    /// The enrollment, as far as it decides whether its journey is over by now; none in requests
    /// of a release that did not ask again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrolled: Option<Enrolled>,
    /// Why: the trigger and the values of the conditions on the way, for `explain` and `/why`.
    pub why: Why,
}

/// The chain of reasons behind a message, kept in the ledger. At most [`Why::BYTES_MAX`] as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Why {
    /// `event Product Added` or `signal Cart Abandoned after 4h`.
    pub trigger: String,
    /// The triggering message id or signal id.
    pub trigger_id: String,
    /// When the trigger happened.
    pub trigger_at: Stamp,
    /// What the trigger carried that templates may use (a signal's evidence, an event's
    /// properties), trimmed to fit.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub evidence: serde_json::Map<String, serde_json::Value>,
    /// Each condition that was asked on the way, with the value it was decided on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<crate::predicate::Answer>,
}

impl Why {
    /// Keeps a ledger item within one write unit.
    pub const BYTES_MAX: usize = 480;

    /// Whether a signal was the trigger.
    #[must_use]
    pub fn is_of_signal(&self) -> bool {
        self.trigger.starts_with("signal ")
    }
}

/// A message that one function, or an operator, puts on another's queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// To the queue of whatever owns the timer.
    Wake(Wake),
    /// To the sender's queue.
    Send(Box<SendRequested>),
    /// To the profile's queue: decide on a profile's segments although nothing happened to it. Asked
    /// by a back-fill, for a profile that a publication is new to, and when a consent of an address
    /// that it gave has changed; asking twice is asking once.
    Look {
        /// Which.
        profile: ProfileId,
    },
}

/// EventBridge's envelope, as a rule delivers it to a queue. Fields that nothing here reads are
/// left out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BusEnvelope {
    /// EventBridge's own id of the entry.
    pub id: String,
    /// When it was put on the bus, to the second, as RFC 3339 has it.
    #[serde(default)]
    pub time: String,
    /// The publisher.
    pub source: String,
    /// Which struct `detail` is.
    #[serde(rename = "detail-type")]
    pub detail_type: String,
    /// The event.
    pub detail: Box<serde_json::value::RawValue>,
}

/// What a function parks in a dead-letter queue: the record is complete, `odyssey dlq redrive`
/// unwraps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// A stable code: `malformed`, `unknown_schema`, `item_too_large` …
    pub reason: String,
    /// The error and its causes, outermost first, without personal data.
    pub chain: Vec<String>,
    /// The queue it was taken from.
    pub queue: String,
    /// The message's id there.
    pub message_id: String,
    /// When it was parked.
    pub at: Stamp,
    /// The message as it came.
    pub body: String,
}
