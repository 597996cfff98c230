//! What became of mails, as track events of the Segment Spec's e-mail section tell it.
//!
//! An open or a click is a machine's where the event says so, or where it comes so soon after the
//! delivery that nobody can have read the mail: scanners follow every link of it within seconds.

use super::number;
use super::sessions::is_zero;
use super::text::exceeds;
use super::top::{Top, latest};
use crate::event::Event;
use crate::ids::{EventHash, Position};
use crate::time::{Span, Stamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Mails kept one by one; of more, the latest.
pub const MAILS_MAX: usize = 16;
/// What follows a delivery within this is a machine's.
pub const MACHINE_WITHIN: Span = Span::SECOND.times(10);
const ID_BYTES_MAX: usize = 100;

/// E-mail engagement's part of the facts. A mail goes by `email_id`, `message_id` or `send_id`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Mailings {
    /// How many events said that a mail was delivered, bounced, called spam, unsubscribed from.
    #[serde(default, rename = "n", skip_serializing_if = "Told::is_empty")]
    pub told: Told,
    /// Opens and clicks that said they are a machine's.
    #[serde(default, rename = "m", skip_serializing_if = "is_zero")]
    machine: u64,
    #[serde(default, rename = "d", skip_serializing_if = "Top::is_empty")]
    delivered: Top<EventHash, (), MAILS_MAX>,
    #[serde(default, rename = "o", skip_serializing_if = "Top::is_empty")]
    opened: Top<EventHash, (), MAILS_MAX>,
    #[serde(default, rename = "c", skip_serializing_if = "Top::is_empty")]
    clicked: Top<EventHash, (), MAILS_MAX>,
}

/// Counts of what is nobody's doing. Stored as `[delivered, bounced, spam, unsubscribed]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(from = "[u64; 4]", into = "[u64; 4]")]
pub struct Told {
    /// `Email Delivered`.
    pub delivered: u64,
    /// `Email Bounced`.
    pub bounced: u64,
    /// `Email Marked as Spam`.
    pub spam: u64,
    /// `Unsubscribed`.
    pub unsubscribed: u64,
}

impl From<[u64; 4]> for Told {
    fn from([delivered, bounced, spam, unsubscribed]: [u64; 4]) -> Told {
        Told { delivered, bounced, spam, unsubscribed }
    }
}

impl From<Told> for [u64; 4] {
    fn from(told: Told) -> [u64; 4] {
        [told.delivered, told.bounced, told.spam, told.unsubscribed]
    }
}

impl Told {
    fn is_empty(&self) -> bool {
        *self == Told::default()
    }
}

/// Mails that were opened or clicked, of those that are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Touched {
    /// By a person, as far as can be told.
    pub by_people: u64,
    /// By a machine: too soon after the delivery.
    pub by_machines: u64,
    /// The last time by a person.
    pub last: Option<Stamp>,
}

impl Mailings {
    pub(super) fn is_empty(&self) -> bool {
        *self == Mailings::default()
    }

    /// Whether something is no longer kept.
    #[must_use]
    pub fn is_trimmed(&self) -> bool {
        self.delivered.is_trimmed() || self.opened.is_trimmed() || self.clicked.is_trimmed()
    }

    pub(super) fn fold(&mut self, name: &str, event: &Event, at: Position) {
        let add = |n: &mut u64| *n = n.saturating_add(1);
        match name {
            "Email Delivered" => {
                add(&mut self.told.delivered);
                self.delivered.write(&key(event, at), at, || ());
            }
            "Email Opened" | "Email Link Clicked" if is_machine(event) => add(&mut self.machine),
            "Email Opened" => self.opened.write(&key(event, at), at, || ()),
            "Email Link Clicked" => self.clicked.write(&key(event, at), at, || ()),
            "Email Bounced" => add(&mut self.told.bounced),
            "Email Marked as Spam" => add(&mut self.told.spam),
            "Unsubscribed" => add(&mut self.told.unsubscribed),
            _ => {}
        }
    }

    pub(super) fn bound_to(&mut self, max: usize) {
        self.delivered.bound(max);
        self.opened.bound(max);
        self.clicked.bound(max);
    }

    pub(super) fn merge(&mut self, other: &Mailings) {
        let mut told: [u64; 4] = self.told.into();
        for (held, more) in told.iter_mut().zip(<[u64; 4]>::from(other.told)) {
            *held = held.saturating_add(more);
        }
        self.told = told.into();
        self.machine = self.machine.saturating_add(other.machine);
        self.delivered.merge(&other.delivered);
        self.opened.merge(&other.opened);
        self.clicked.merge(&other.clicked);
    }

    /// Mails that were opened.
    #[must_use]
    pub fn opened(&self) -> Touched {
        self.touched(&self.opened)
    }

    /// Mails of which a link was followed.
    #[must_use]
    pub fn clicked(&self) -> Touched {
        self.touched(&self.clicked)
    }

    /// Opens and clicks that said themselves that they are a machine's.
    #[must_use]
    pub const fn machine(&self) -> u64 {
        self.machine
    }

    fn touched(&self, deeds: &Top<EventHash, (), MAILS_MAX>) -> Touched {
        let mut touched = Touched::default();
        for (mail, deed) in deeds.iter() {
            let delivered = self.delivered.get(mail).map(|register| register.at.at);
            let soon = delivered.is_some_and(|delivered| {
                deed.at.at >= delivered && deed.at.at.since(delivered) < MACHINE_WITHIN
            });
            if soon {
                touched.by_machines += 1;
            } else {
                touched.by_people += 1;
                latest(&mut touched.last, Some(deed.at.at));
            }
        }
        touched
    }
}

const ID_NAMES: [&str; 3] = ["email_id", "message_id", "send_id"];

/// Whether the id of the mail that an event is about is cut.
pub(super) fn is_id_too_long(event: &Event) -> bool {
    let given = ID_NAMES.iter().filter_map(|name| event.properties.get(*name));
    let mut given = given.filter(|value| number::id(Some(value), ID_BYTES_MAX).is_some());
    exceeds(given.next(), ID_BYTES_MAX)
}

/// Which mail an event is about; one that does not say is about one of its own.
fn key(event: &Event, at: Position) -> EventHash {
    let id = ID_NAMES.iter().find_map(|name| number::id(event.properties.get(*name), ID_BYTES_MAX));
    id.map_or(at.id, |id| EventHash::of(&format!("mail:{id}")))
}

/// Whether the sender's own system says that it was a machine.
pub(super) fn is_machine(event: &Event) -> bool {
    said_of_machines(event).any(|machine| machine)
}

/// Whether the sender's own system has looked, and says that it was none.
pub(super) fn is_said_to_be_a_person(event: &Event) -> bool {
    said_of_machines(event).any(|machine| !machine) && !is_machine(event)
}

fn said_of_machines(event: &Event) -> impl Iterator<Item = bool> {
    let names = ["machine", "bot", "is_bot", "prefetched"].into_iter();
    names.filter_map(|name| event.properties.get(name).and_then(Value::as_bool))
}
