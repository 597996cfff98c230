//! Quiet hours: which instants they cover in a zone, and where they end.
//!
//! What counts is the clock on the wall. An hour that the summer's end repeats is quiet twice if
//! its clock time is; an hour that its beginning leaves out is never reached.

use super::Zone;
use crate::time::{Span, Stamp};
use jiff::Timestamp;
use jiff::civil::{DateTime, Time};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A time on the clock, to the minute: `21:00`. From `00:00` to `23:59`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeOfDay(u16);

/// Minutes of a day.
const DAY_MINUTES: u16 = 24 * 60;

/// A text is no time on the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a time on the 24-hour clock such as 21:00")]
pub struct TimeOfDayError;

impl TimeOfDay {
    /// Minutes since midnight.
    #[must_use]
    pub const fn minutes(self) -> u16 {
        self.0
    }

    fn civil(self) -> Time {
        let part = |n: u16| i8::try_from(n).unwrap_or(0);
        Time::new(part(self.0 / 60), part(self.0 % 60), 0, 0).unwrap_or(Time::midnight())
    }
}

impl FromStr for TimeOfDay {
    type Err = TimeOfDayError;
    fn from_str(text: &str) -> Result<TimeOfDay, TimeOfDayError> {
        let (hours, minutes) = text.trim().split_once(':').ok_or(TimeOfDayError)?;
        let part = |text: &str, below: u16| {
            let digits = (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
            let number: Option<u16> = if digits { text.parse().ok() } else { None };
            number.filter(|number| *number < below).ok_or(TimeOfDayError)
        };
        if minutes.len() != 2 {
            return Err(TimeOfDayError);
        }
        Ok(TimeOfDay(part(hours, 24)? * 60 + part(minutes, 60)?))
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl fmt::Debug for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for TimeOfDay {
    type Error = TimeOfDayError;
    fn try_from(text: String) -> Result<TimeOfDay, TimeOfDayError> {
        text.parse()
    }
}

impl From<TimeOfDay> for String {
    fn from(time: TimeOfDay) -> String {
        time.to_string()
    }
}

/// The hours in which nobody is written to, in each customer's own zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuietHours {
    /// They begin at this time on the clock …
    pub from: TimeOfDay,
    /// … and end at this one, on the next day where it is not later.
    pub to: TimeOfDay,
    /// The zone of customers whose own is not known.
    pub timezone: Zone,
}

/// The least that quiet hours must leave of a day.
pub const OPEN_MINUTES_MIN: u16 = 60;

/// How far ahead an end or a beginning is looked for: two days, of which clock changes may take
/// one whole (a country that crosses the date line).
const SEARCH: Span = Span::HOUR.times(72);

impl QuietHours {
    /// Minutes of a day that are not quiet: 0 where `from` is `to`.
    #[must_use]
    pub const fn open_minutes(&self) -> u16 {
        let (from, to) = (self.from.0, self.to.0);
        if from > to { from - to } else { (from + DAY_MINUTES - to) % DAY_MINUTES }
    }

    /// Whether an instant is quiet in a zone.
    #[must_use]
    pub fn cover(&self, at: Stamp, zone: &Zone) -> bool {
        let time = local(at, zone).time();
        let (from, to) = (self.from.civil(), self.to.civil());
        if from < to { from <= time && time < to } else { from <= time || time < to }
    }

    /// The first instant from `at` on that is not quiet: `at` itself where it is not.
    #[must_use]
    pub fn first_open(&self, at: Stamp, zone: &Zone) -> Stamp {
        if !self.cover(at, zone) {
            return at;
        }
        let ends = turns(self.to, at, zone);
        ends.into_iter().find(|end| !self.cover(*end, zone)).unwrap_or(at)
    }

    /// How long it stays open from an instant that is not quiet.
    #[must_use]
    pub fn open_for(&self, at: Stamp, zone: &Zone) -> Span {
        let starts = turns(self.from, at, zone);
        starts.into_iter().find(|start| self.cover(*start, zone)).map_or(SEARCH, |s| s.since(at))
    }

    /// The clock time of an instant in a zone, to the minute, for people.
    #[must_use]
    pub fn clock(at: Stamp, zone: &Zone) -> TimeOfDay {
        let time = local(at, zone).time();
        let part = |n: i8| u16::try_from(n).unwrap_or(0);
        TimeOfDay(part(time.hour()) * 60 + part(time.minute()))
    }
}

impl fmt::Display for QuietHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}–{}", self.from, self.to)
    }
}

/// The instants after `at` at which the clock reaches `time`, and those at which it is set
/// forward or back: between two of them nothing turns at that time. In order.
fn turns(time: TimeOfDay, at: Stamp, zone: &Zone) -> Vec<Stamp> {
    let until = at.plus(SEARCH);
    let mut turns = Vec::new();
    let mut date = local(at, zone).date();
    while let Ok(instants) = readings(date.to_datetime(time.civil()), zone) {
        if instants.iter().all(|instant| *instant > until) {
            break;
        }
        turns.extend(instants);
        let Ok(tomorrow) = date.tomorrow() else { break };
        date = tomorrow;
    }
    if let Ok(from) = Timestamp::from_millisecond(at.ms()) {
        let changes = zone.rules().following(from).map(|change| stamp(change.timestamp()));
        turns.extend(changes.take_while(|change| *change <= until));
    }
    turns.retain(|turn| *turn > at);
    turns.sort_unstable();
    turns
}

fn stamp(at: Timestamp) -> Stamp {
    Stamp::from_ms(at.as_millisecond())
}

fn local(at: Stamp, zone: &Zone) -> DateTime {
    let at = Timestamp::from_millisecond(at.ms()).unwrap_or(Timestamp::UNIX_EPOCH);
    zone.rules().to_datetime(at)
}

/// The instants at which a zone's clocks read a date and time: one, or two where they are set
/// back over it; where they are set forward over it, those they would read it at by either offset.
fn readings(at: DateTime, zone: &Zone) -> Result<Vec<Stamp>, jiff::Error> {
    let reading = zone.rules().to_ambiguous_timestamp(at);
    let (earlier, later) = (stamp(reading.earlier()?), stamp(reading.later()?));
    Ok(if earlier == later { vec![earlier] } else { vec![earlier, later] })
}
