//! What happened, was decided and was sent, in one line of time.

use super::signals::Decision;
use super::text::clean;
use super::{event, signals, when};
use crate::dossier::Send;
use odyssey_domain::time::{Span, Stamp};
use odyssey_flows::read_timeline::{Cursor, Direction, Page, Told};
use serde::Serialize;

/// An event told later than this after it happened is said to be late.
const LATE: Span = Span::HOUR;

/// A page of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct History {
    /// In the order of the walk.
    pub entries: Vec<Entry>,
    /// Where the next page begins.
    pub next: Option<String>,
    /// Between these two instants more happened than a page can read.
    pub crowded: Option<(Stamp, Stamp)>,
    /// Rows that this release cannot read.
    pub unreadable: usize,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    /// When.
    pub at: Stamp,
    /// What sort of thing.
    pub kind: EntryKind,
    /// What, in words.
    pub text: String,
    /// Its colour.
    #[serde(skip)]
    pub tone: &'static str,
    /// What else is to be said in the same line.
    pub notes: Vec<String>,
    /// Everything it carries, name by name.
    pub members: Vec<(String, String)>,
    /// The send behind it.
    pub send: Option<String>,
}

/// What sort of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// The customer, or somebody about them, did something.
    Event,
    /// A signal was raised.
    Signal,
    /// A mail was sent, or decided against.
    Mail,
}

/// A page of events with the signals and mails of the same stretch of time.
#[must_use]
pub fn of(
    page: &Page,
    direction: Direction,
    after: Option<Cursor>,
    decisions: &[Decision],
    sends: &[Send],
) -> History {
    let mut entries: Vec<Entry> = page.events.iter().map(of_event).collect();
    let begin = after.map(Cursor::stamp);
    let end = page.next.map(Cursor::stamp);
    let is_of_page = |at: Stamp| match direction {
        Direction::NewestFirst => {
            begin.is_none_or(|begin| at < begin) && end.is_none_or(|end| at >= end)
        }
        Direction::OldestFirst => {
            begin.is_none_or(|begin| at > begin) && end.is_none_or(|end| at <= end)
        }
    };
    let raised = decisions.iter().filter(|d| d.verdict == signals::Verdict::Raised);
    entries.extend(raised.filter(|d| is_of_page(d.at)).map(of_signal));
    entries.extend(sends.iter().filter(|send| is_of_page(send.at)).map(of_send));
    // Stable: what happened at one instant stays in the order above, deeds before decisions.
    entries.sort_by_key(|entry| entry.at);
    if direction == Direction::NewestFirst {
        entries.reverse();
    }
    History {
        entries,
        next: page.next.map(|next| next.to_string()),
        crowded: page.crowded,
        unreadable: page.unreadable,
    }
}

fn of_event(told: &Told) -> Entry {
    let mut notes = vec![event::call(&told.event), clean(&told.source.name, 40)];
    let late = told.received.since(told.event.at);
    if late > LATE {
        notes.push(format!("told {} later", when::length(late)));
    }
    if let Some(original) = told.event.original {
        notes.push(format!("its clock said {}", when::both(original)));
    }
    Entry {
        at: told.event.at,
        kind: EntryKind::Event,
        text: event::sentence(&told.event),
        tone: event::tone(&told.event),
        notes,
        members: event::members(&told.event),
        send: None,
    }
}

fn of_signal(decision: &Decision) -> Entry {
    Entry {
        at: decision.at,
        kind: EntryKind::Signal,
        text: format!("Signal: {}", clean(&decision.signal, 60)),
        tone: "signal",
        notes: vec![decision.threshold.clone(), format!("since {}", when::both(decision.since))],
        members: decision.evidence.as_ref().map(signals::in_words).unwrap_or_default(),
        send: None,
    }
}

fn of_send(send: &Send) -> Entry {
    let mut notes = vec![send.state.clone(), format!("topic {}", send.topic)];
    notes.extend(send.delivery.clone());
    notes.extend(send.reasons.iter().map(|reason| format!("{}: {}", reason.code, reason.found)));
    Entry {
        at: send.at,
        kind: EntryKind::Mail,
        text: format!("Mail: {}", clean(&send.mail, 60)),
        tone: "mail",
        notes,
        members: Vec::new(),
        send: Some(send.send.to_string()),
    }
}
