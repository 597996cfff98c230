//! What became of this stack's own mails, as events of the profile they were sent to.

use super::delivery::{Content, Item, Teller};
use odyssey_domain::event::{Event, EventKind};
use odyssey_domain::ids::ContentHash;
use odyssey_domain::message::machine::Machine;
use odyssey_domain::profile::MACHINE_WITHIN;
use odyssey_domain::wire::{FeedbackKind, MessageFeedback, SourceKind, SourceRef};
use serde_json::{Map, Value};

/// The Segment Spec's event of a kind; none of kinds that say nothing of the customer.
pub(super) const fn event_name(kind: FeedbackKind) -> Option<&'static str> {
    match kind {
        FeedbackKind::Opened => Some("Email Opened"),
        FeedbackKind::Clicked => Some("Email Link Clicked"),
        FeedbackKind::BouncedHard => Some("Email Bounced"),
        FeedbackKind::Complained => Some("Email Marked as Spam"),
        FeedbackKind::Sent
        | FeedbackKind::Delivered
        | FeedbackKind::Delayed
        | FeedbackKind::BouncedSoft
        | FeedbackKind::Rejected
        | FeedbackKind::RenderingFailed
        | FeedbackKind::Subscription => None,
    }
}

/// By what an open or a click is a machine's: its own word, else its haste after SES's acceptance.
/// Deliveries are not on the bus, and nobody reads a mail within seconds of its being sent.
fn machine(fed: &MessageFeedback) -> Option<&'static str> {
    let haste = || {
        let at_once = fed.accepted.is_some_and(|accepted| fed.at.since(accepted) < MACHINE_WITHIN);
        at_once.then_some("haste")
    };
    fed.machine.map(Machine::word).or_else(haste)
}

/// Feedback as a track event under the identity that the mail was sent to. Its id is made of what it
/// says, so that a report that comes twice is one.
pub(super) fn of_feedback(fed: &MessageFeedback) -> Option<Content> {
    let own = fed.profile?.into();
    let name = event_name(fed.kind)?;
    let mut properties = Map::new();
    properties.insert("email_id".to_owned(), fed.send.to_string().into());
    let touched = matches!(fed.kind, FeedbackKind::Opened | FeedbackKind::Clicked);
    if let Some(why) = machine(fed).filter(|_| touched) {
        properties.insert("machine".to_owned(), Value::Bool(true));
        properties.insert("machine_by".to_owned(), why.into());
    }
    let said = format!("{}/{name}/{}", fed.send, fed.at.ms());
    let event = Event {
        id: format!("feedback-{}", ContentHash::of(said.as_bytes())),
        at: fed.at,
        original: None,
        kind: EventKind::Track,
        name: Some(name.to_owned()),
        user_id: None,
        anonymous_id: None,
        previous_id: None,
        group_id: None,
        properties,
        traits: Map::new(),
        context: Map::new(),
        integrations: Map::new(),
    };
    Some(Content::Events {
        teller: Teller::Stack,
        received: fed.at,
        source: SourceRef { name: SourceRef::FEEDBACK.to_owned(), kind: SourceKind::Server },
        items: vec![Item { own, kind: None, event, claims: Vec::new() }],
    })
}
