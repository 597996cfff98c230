//! Support: tickets, complaints, how content the customer said to be; and the channels on which
//! somebody was spoken to.

use super::called::Called;
use super::number::{self, decimal};
use super::sessions::is_zero;
use super::tally::Earliest;
use super::text::exceeds;
use super::top::{Register, Top, latest};
use crate::event::Event;
use crate::ids::{EventHash, Position};
use crate::time::Stamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Tickets kept one by one; of more, those touched last.
pub const TICKETS_MAX: usize = 16;
/// Complaints that are counted; of more, the first.
const COMPLAINTS_MAX: usize = 31;
const TEXT_BYTES_MAX: usize = 80;
const ID_BYTES_MAX: usize = 64;
/// The greatest score that is believed, in hundredths.
const SCORE_MAX: u32 = 100_000;

/// Support's part of the facts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Support {
    /// `Ticket Opened` (or `Ticket Created`), by the hash of `ticket_id`.
    #[serde(default, rename = "o", skip_serializing_if = "Top::is_empty")]
    opened: Top<TicketKey, (), TICKETS_MAX>,
    /// `Ticket Closed` (or `Ticket Solved`, `Ticket Resolved`).
    #[serde(default, rename = "c", skip_serializing_if = "Top::is_empty")]
    closed: Top<TicketKey, (), TICKETS_MAX>,
    /// Tickets that were ever opened.
    #[serde(default, rename = "t", skip_serializing_if = "is_zero")]
    pub tickets: u64,
    /// `Complaint Filed`, told apart by `complaint_id`, `ticket_id`, or one by one.
    #[serde(default, rename = "k", skip_serializing_if = "Earliest::is_empty")]
    complaints: Earliest<COMPLAINTS_MAX>,
    /// What each of these is about, as it was first filed.
    #[serde(default, rename = "kn", skip_serializing_if = "Called::is_empty")]
    abouts: Called,
    /// What the last complaint was about.
    #[serde(default, rename = "a", skip_serializing_if = "Option::is_none")]
    pub complaint: Option<Register<Option<String>>>,
    /// `Score Given`: the last, in hundredths.
    #[serde(default, rename = "s", skip_serializing_if = "Option::is_none")]
    pub score: Option<Register<u32>>,
    /// How many scores, and their sum in hundredths.
    #[serde(default, rename = "n", skip_serializing_if = "Option::is_none")]
    pub scores: Option<(u64, u64)>,
}

/// The hash of a ticket's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TicketKey(EventHash);

/// What says what a complaint is about, the first of them first.
const ABOUT: [&str; 3] = ["about", "category", "subject"];

/// Whether a text that is read of an event of this name is cut.
pub(super) fn is_too_long(name: &str, event: &Event) -> bool {
    let long = |names: &[&str], limit| {
        let given = names.iter().filter_map(|name| event.properties.get(*name));
        let mut given = given.filter(|value| number::id(Some(value), limit).is_some());
        exceeds(given.next(), limit)
    };
    if name == "Complaint Filed" {
        long(&["complaint_id", "ticket_id"], ID_BYTES_MAX) || long(&ABOUT, TEXT_BYTES_MAX)
    } else {
        long(&["ticket_id"], ID_BYTES_MAX)
    }
}

impl Support {
    pub(super) fn is_empty(&self) -> bool {
        *self == Support::default()
    }

    /// Whether something is no longer kept.
    #[must_use]
    pub fn is_trimmed(&self) -> bool {
        self.opened.is_trimmed()
            || self.closed.is_trimmed()
            || self.complaints.len() >= COMPLAINTS_MAX
    }

    pub(super) fn fold(&mut self, name: &str, event: &Event, at: Position) {
        let given = |name: &str| number::id(event.properties.get(name), ID_BYTES_MAX);
        let ticket = || {
            let hash = given("ticket_id").map(|id| EventHash::of(&format!("ticket:{id}")));
            TicketKey(hash.unwrap_or(at.id))
        };
        match name {
            "Ticket Opened" | "Ticket Created" => {
                self.tickets = self.tickets.saturating_add(1);
                self.opened.write(&ticket(), at, || ());
            }
            "Ticket Closed" | "Ticket Solved" | "Ticket Resolved" => {
                self.closed.write(&ticket(), at, || ());
            }
            "Complaint Filed" => {
                let id = given("complaint_id").or_else(|| given("ticket_id"));
                let key = id.map_or(at.id, |id| EventHash::of(&format!("complaint:{id}")));
                let about = ABOUT
                    .iter()
                    .find_map(|name| number::text(event.properties.get(*name), TEXT_BYTES_MAX));
                self.abouts.add(&mut self.complaints, (key, at.at), about);
                Register::write(&mut self.complaint, at, || about.map(str::to_owned));
            }
            "Score Given" => {
                let score = decimal(event.properties.get("score"), 2, SCORE_MAX);
                if let Some(score) = score {
                    Register::write(&mut self.score, at, || score);
                    let (times, sum) = self.scores.unwrap_or_default();
                    self.scores = Some((times.saturating_add(1), sum.saturating_add(score.into())));
                }
            }
            _ => {}
        }
    }

    pub(super) fn bound_to(&mut self, max: usize) {
        self.opened.bound(max);
        self.closed.bound(max);
        self.abouts.bound(max);
    }

    pub(super) fn merge(&mut self, other: &Support) {
        self.opened.merge(&other.opened);
        self.closed.merge(&other.closed);
        self.tickets = self.tickets.saturating_add(other.tickets);
        self.abouts.merge(&mut self.complaints, (&other.complaints, &other.abouts));
        Register::merge(&mut self.complaint, other.complaint.as_ref());
        Register::merge(&mut self.score, other.score.as_ref());
        if let Some((times, sum)) = other.scores {
            let held = self.scores.unwrap_or_default();
            self.scores = Some((held.0.saturating_add(times), held.1.saturating_add(sum)));
        }
    }

    /// Tickets that are open, of those that are kept.
    #[must_use]
    pub fn open(&self) -> u64 {
        let closed = |key: &TicketKey, at: Position| {
            self.closed.get(key).is_some_and(|closed| closed.at.at >= at.at)
        };
        let open = self.opened.iter().filter(|(key, register)| !closed(key, register.at)).count();
        u64::try_from(open).unwrap_or(u64::MAX)
    }

    /// How many complaints, at most 31.
    #[must_use]
    pub fn complaints(&self) -> u64 {
        u64::try_from(self.complaints.len()).unwrap_or(u64::MAX)
    }

    /// When the first of them were filed, the earliest first.
    pub(crate) fn complained(&self) -> Vec<Stamp> {
        self.complaints.stamps()
    }

    /// What the so many-th of them is about, counted from 1; none where nobody said so as it was
    /// filed, or where an earlier release kept none.
    pub(crate) fn complained_about(&self, n: u64) -> Option<&str> {
        self.abouts.nth(&self.complaints, n)
    }
}

/// Where somebody was spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// E-mail.
    Email,
    /// A chat on the site or in a messenger.
    Chat,
    /// A telephone call.
    Phone,
    /// A social network.
    Social,
    /// In a shop, a branch, at a fair.
    InPerson,
    /// A text message.
    Sms,
    /// A push notification.
    Push,
    /// The web site.
    Web,
    /// An app.
    App,
    /// A letter.
    Letter,
    /// Another word than these.
    Other,
}

impl Channel {
    /// Every word that is read, and which channel it is.
    pub const WORDS: [(&'static str, Channel); 22] = [
        ("email", Channel::Email),
        ("e-mail", Channel::Email),
        ("mail", Channel::Email),
        ("chat", Channel::Chat),
        ("live chat", Channel::Chat),
        ("messenger", Channel::Chat),
        ("whatsapp", Channel::Chat),
        ("phone", Channel::Phone),
        ("call", Channel::Phone),
        ("social", Channel::Social),
        ("in person", Channel::InPerson),
        ("in-person", Channel::InPerson),
        ("in_person", Channel::InPerson),
        ("store", Channel::InPerson),
        ("in store", Channel::InPerson),
        ("sms", Channel::Sms),
        ("text", Channel::Sms),
        ("push", Channel::Push),
        ("web", Channel::Web),
        ("app", Channel::App),
        ("letter", Channel::Letter),
        ("post", Channel::Letter),
    ];

    /// Its name in facts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Channel::Email => "email",
            Channel::Chat => "chat",
            Channel::Phone => "phone",
            Channel::Social => "social",
            Channel::InPerson => "in_person",
            Channel::Sms => "sms",
            Channel::Push => "push",
            Channel::Web => "web",
            Channel::App => "app",
            Channel::Letter => "letter",
            Channel::Other => "other",
        }
    }

    /// The channel that a track event names (`channel`), or that its own name says.
    pub(super) fn of(name: &str, event: &Event) -> Option<Channel> {
        if let Some(word) = event.properties.get("channel").and_then(Value::as_str) {
            let word = word.trim();
            let known = Channel::WORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word));
            return (!word.is_empty()).then(|| known.map_or(Channel::Other, |(_, known)| *known));
        }
        match name {
            "Live Chat Conversation Started" => Some(Channel::Chat),
            _ => None,
        }
    }
}

/// How often each channel was used, and when last: never more of them than there are channels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Channels(pub BTreeMap<Channel, (u64, Stamp)>);

impl Channels {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn add(&mut self, channel: Channel, times: u64, at: Stamp) {
        let held = self.0.entry(channel).or_insert((0, at));
        *held = (held.0.saturating_add(times), held.1.max(at));
    }

    pub(super) fn merge(&mut self, other: &Channels) {
        for (channel, (times, at)) in &other.0 {
            self.add(*channel, *times, *at);
        }
    }

    /// The channel used last.
    #[must_use]
    pub fn last(&self) -> Option<(Channel, Stamp)> {
        let mut last: Option<(Stamp, Channel)> = None;
        for (channel, (_, at)) in &self.0 {
            latest(&mut last, Some((*at, *channel)));
        }
        last.map(|(at, channel)| (channel, at))
    }
}
