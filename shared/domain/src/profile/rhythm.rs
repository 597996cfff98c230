//! When somebody was here: the last deed of the customer's own, on which days, and until when a
//! subscription runs.

use super::forms::is_search;
use super::mailings::{is_machine, is_said_to_be_a_person};
use super::number;
use super::tally::Earliest;
use super::top::{Register, earliest, latest};
use crate::event::{Event, EventKind};
use crate::ids::{EventHash, Position};
use crate::time::Stamp;
use serde::{Deserialize, Serialize};

/// UTC days of which it is known whether somebody was here.
pub const RHYTHM_DAYS: u32 = 64;

/// Subscriptions begun and renewed of which the time is kept: as many as make the most demanding
/// workspace's customers loyal.
const SUBSCRIBED_MAX: usize = 8;

/// Track events that are nobody's deed, or a machine's: none of them ends an absence.
pub const NOT_THE_CUSTOMERS: [&str; 19] = [
    "Consent Changed",
    "Email Bounced",
    "Email Delivered",
    "Email Marked as Spam",
    "Email Opened",
    "Install Attributed",
    "Live Chat Message Received",
    "Order Cancelled",
    "Order Refunded",
    "Order Updated",
    "Push Notification Bounced",
    "Push Notification Received",
    "Subscription Cancelled",
    "Subscription Renewed",
    "Ticket Closed",
    "Ticket Resolved",
    "Ticket Solved",
    "Trial Ended",
    "Unsubscribed",
];

const CLICKED: &str = "Email Link Clicked";

/// The rhythm's part of the facts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Rhythm {
    /// The last deed of the customer's own: a page, a screen, a track event other than those that
    /// tell of somebody else's doing. What a server says of a customer (identify, group, alias) is
    /// none.
    #[serde(default, rename = "l", skip_serializing_if = "Option::is_none")]
    pub last: Option<Position>,
    /// The latest day with such a deed, and a bit for each of the 64 days up to it, the lowest
    /// being that day's.
    #[serde(default, rename = "d", skip_serializing_if = "Option::is_none")]
    days: Option<(i64, u64)>,
    /// Until when the subscription runs, as the last event about it says.
    #[serde(default, rename = "s", skip_serializing_if = "Option::is_none")]
    subscription: Option<Register<Option<Stamp>>>,
    /// Until when the trial runs.
    #[serde(default, rename = "t", skip_serializing_if = "Option::is_none")]
    trial: Option<Register<Option<Stamp>>>,
    /// When an address was first left, a form sent off, an account or a trial begun.
    #[serde(default, rename = "k", skip_serializing_if = "Option::is_none")]
    pub known: Option<Stamp>,
    /// The first subscriptions that were begun or renewed, whoever told of them and how often: by
    /// the hash of `subscription_id`, of a renewal with its date; without them one by one.
    #[serde(default, rename = "b", skip_serializing_if = "Earliest::is_empty")]
    subscribed: Earliest<SUBSCRIBED_MAX>,
}

impl Rhythm {
    pub(super) fn is_empty(&self) -> bool {
        *self == Rhythm::default()
    }

    pub(super) fn fold(&mut self, name: &str, event: &Event, at: Position) {
        let is_deed = match event.kind {
            EventKind::Page | EventKind::Screen => true,
            // A scanner follows every link of a mail. Whoever sends mail and does not say who clicked
            // has not looked.
            EventKind::Track if name == CLICKED => is_said_to_be_a_person(event),
            EventKind::Track => NOT_THE_CUSTOMERS.binary_search(&name).is_err(),
            EventKind::Identify | EventKind::Group | EventKind::Alias => false,
        };
        if is_deed {
            self.deed(at);
        }
        if event.kind == EventKind::Track {
            self.subscription(name, event, at);
        }
    }

    /// What this stack reports of its own mails: the haste of a click was judged, so that one which
    /// is not a machine's is a deed.
    pub(super) fn reported(&mut self, event: &Event, at: Position) {
        if event.name.as_deref() == Some(CLICKED) && !is_machine(event) {
            self.deed(at);
        }
    }

    fn deed(&mut self, at: Position) {
        latest(&mut self.last, Some(at));
        self.was_here(at.at.day(), 1);
    }

    fn subscription(&mut self, name: &str, event: &Event, at: Position) {
        let until = || {
            let names = ["renews_at", "ends_at", "expires_at", "trial_end"];
            names.iter().find_map(|name| number::time(event.properties.get(*name)))
        };
        let id = || number::id(event.properties.get("subscription_id"), usize::MAX);
        match name {
            "Subscription Started" | "Subscription Renewed" => {
                Register::write(&mut self.subscription, at, until);
            }
            "Trial Started" => Register::write(&mut self.trial, at, until),
            // The trial's end says nothing of what is paid for by then.
            "Trial Ended" => Register::write(&mut self.trial, at, || None),
            "Subscription Cancelled" => {
                Register::write(&mut self.subscription, at, || None);
                Register::write(&mut self.trial, at, || None);
            }
            _ => {}
        }
        match name {
            "Subscription Started" => {
                let id = id().map(|id| EventHash::of(&format!("subscription:{id}")));
                self.subscribed.add(id.unwrap_or(at.id), at.at);
            }
            "Subscription Renewed" => {
                // It is renewed again and again: until when tells one renewal from the next.
                let of = |(id, until): (_, Stamp)| format!("renewal:{}:{id}", until.ms());
                let id = id().zip(until()).map(|both| EventHash::of(&of(both)));
                self.subscribed.add(id.unwrap_or(at.id), at.at);
            }
            "Form Submitted" if is_search(event) => {}
            "Form Submitted" | "Signed Up" | "Account Created" | "Trial Started" => {
                earliest(&mut self.known, Some(at.at));
            }
            _ => {}
        }
    }

    fn was_here(&mut self, day: i64, bits: u64) {
        let (latest, held) = self.days.unwrap_or((day, 0));
        let newest = latest.max(day);
        self.days = Some((newest, shifted(held, newest - latest) | shifted(bits, newest - day)));
    }

    pub(super) fn merge(&mut self, other: &Rhythm) {
        latest(&mut self.last, other.last);
        if let Some((day, bits)) = other.days {
            self.was_here(day, bits);
        }
        Register::merge(&mut self.subscription, other.subscription.as_ref());
        Register::merge(&mut self.trial, other.trial.as_ref());
        earliest(&mut self.known, other.known);
        self.subscribed.merge(&other.subscribed);
    }

    /// Until when the subscription runs, else the trial, and the event that said so.
    #[must_use]
    pub fn renews(&self) -> Option<(Stamp, Position)> {
        let said = |register: &Option<Register<Option<Stamp>>>| {
            register.as_ref().and_then(|said| Some((said.value?, said.at)))
        };
        said(&self.subscription).or_else(|| said(&self.trial))
    }

    /// When subscriptions were begun or renewed, the earliest first; at most 8.
    pub(crate) fn subscribed_at(&self) -> Vec<Stamp> {
        self.subscribed.stamps()
    }

    /// On how many of the 64 UTC days up to the last one somebody was here.
    #[must_use]
    pub fn days(&self) -> u32 {
        self.days.map_or(0, |(_, bits)| bits.count_ones())
    }

    /// The days with a deed, counted from 1970, of the last 64 up to the latest, that one first.
    pub fn each_day(&self) -> impl Iterator<Item = i64> {
        let (day, bits) = self.days.unwrap_or_default();
        (0..RHYTHM_DAYS).filter(move |n| bits >> n & 1 == 1).map(move |n| day - i64::from(n))
    }
}

fn shifted(bits: u64, days: i64) -> u64 {
    u32::try_from(days).ok().and_then(|days| bits.checked_shl(days)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_sorted() {
        assert!(NOT_THE_CUSTOMERS.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn days_stand_where_they_belong() {
        let mut rhythm = Rhythm::default();
        for day in [100, 90, 101, 20, 100] {
            rhythm.was_here(day, 1);
        }
        assert_eq!(rhythm.each_day().collect::<Vec<_>>(), [101, 100, 90]);
        rhythm.was_here(1_000, 1);
        assert_eq!(rhythm.each_day().collect::<Vec<_>>(), [1_000]);
        rhythm.was_here(0, 1);
        assert_eq!(rhythm.days(), 1);
    }
}
