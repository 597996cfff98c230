//! What a file holds, counted on the first way through.

use odyssey_domain::event::Event;
use odyssey_domain::plan::{EVENTS_MAX, is_call, near_spec, plain, spec};
use odyssey_domain::predicate::EventPredicate;
use odyssey_domain::time::Stamp;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The most different events that are counted by name.
const NAMES_MAX: usize = 5 * EVENTS_MAX;
/// Bad lines that are shown.
pub const SHOWN_MAX: usize = 10;
/// Different reasons that are counted.
const REASONS_MAX: usize = 100;

/// A line that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BadLine {
    /// Its number, from 1; of a CSV row of several lines the first.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
}

/// What was counted.
#[derive(Debug, Default)]
pub struct Tally {
    /// Records.
    pub records: u64,
    /// Events in them.
    pub events: u64,
    /// Events by name.
    pub names: BTreeMap<String, u64>,
    /// Events whose names were no names, or too many.
    pub other_names: u64,
    /// The first and the last stamp.
    pub span: Option<(Stamp, Stamp)>,
    /// Events whose stamp is not what the client said.
    pub corrected: u64,
    /// The first bad lines.
    pub bad_lines: Vec<BadLine>,
    /// All bad lines, or bad events of a line, by reason.
    pub bad: BTreeMap<String, u64>,
    /// Where the file could not be read on.
    pub broken: Option<BadLine>,
}

/// What an event's name is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// A call without a name of its own.
    Call,
    /// The Spec's.
    Spec,
    /// Probably the Spec's, under another name.
    NearSpec,
    /// The property's own.
    Own,
}

impl Standing {
    /// Of a name, with what it probably means.
    #[must_use]
    pub fn of(name: &str) -> (Standing, Option<&'static str>) {
        if is_call(name) {
            return (Standing::Call, None);
        }
        if spec(name) {
            return (Standing::Spec, None);
        }
        let near = near_spec(name);
        (if near.is_some() { Standing::NearSpec } else { Standing::Own }, near)
    }
}

impl Tally {
    /// Counts an event.
    pub fn event(&mut self, event: &Event) {
        self.events += 1;
        let (first, last) = self.span.unwrap_or((event.at, event.at));
        self.span = Some((first.min(event.at), last.max(event.at)));
        self.corrected += u64::from(event.original.is_some());
        let name = EventPredicate::name_of(event).and_then(plain);
        match name {
            Some(name)
                if self.names.contains_key(name.as_ref()) || self.names.len() < NAMES_MAX =>
            {
                *self.names.entry(name.into_owned()).or_default() += 1;
            }
            _ => self.other_names += 1,
        }
    }

    /// Counts what cannot be used.
    pub fn bad(&mut self, line: u64, reason: String) {
        if self.bad_lines.len() < SHOWN_MAX {
            self.bad_lines.push(BadLine { line, reason: reason.clone() });
        }
        if self.bad.contains_key(&reason) || self.bad.len() < REASONS_MAX {
            *self.bad.entry(reason).or_default() += 1;
        } else {
            *self.bad.entry("another reason".to_owned()).or_default() += 1;
        }
    }

    /// How many could not be used.
    #[must_use]
    pub fn bad_count(&self) -> u64 {
        self.bad.values().sum()
    }

    /// The names of events that are there, by the Spec's names as well as their own.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    /// The names that there are for an event of the Spec, other than its own.
    #[must_use]
    pub fn others_for(&self, name: &str) -> BTreeSet<&str> {
        self.names
            .keys()
            .filter(|other| near_spec(other) == Some(name))
            .map(String::as_str)
            .collect()
    }
}
