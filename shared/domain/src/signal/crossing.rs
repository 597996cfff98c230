//! Rules that are decided on the write that folds: what was reached.
//!
//! One mechanism for all of them: a rule names everything the facts have *reached* ([`of_rule`]),
//! each by a key that no order of arrival changes (the third order; tents in this week), and what
//! was reached stays reached, whatever else arrives. So the ids of all that is ever raised are the
//! same in every order; the order only decides when.

use super::evidence;
use super::rule::{SignalKind, Threshold};
use crate::profile::{ATTENTION_DAYS_MAX, Facts, LINGERED_CATEGORIES_PER_DAY_MAX};
use crate::time::{Span, Stamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Days of one week, counted from 1970-01-01.
const WEEK_DAYS: i64 = 7;
/// The most keys that a rule remembers; a profile's facts never reach more at once.
const KEYS_MAX: usize = LINGERED_CATEGORIES_PER_DAY_MAX * ATTENTION_DAYS_MAX;

/// What a rule has decided on so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crossed {
    /// The greatest number, of rules that number what they raise.
    #[serde(default, rename = "n", skip_serializing_if = "is_zero")]
    pub number: u64,
    /// The keys, of rules that do not.
    #[serde(default, rename = "k", skip_serializing_if = "BTreeSet::is_empty")]
    pub keys: BTreeSet<String>,
    /// When the last was decided.
    pub at: Stamp,
    /// When what it speaks of happened.
    pub since: Stamp,
    /// Whether that was raised; otherwise it was over for too long.
    pub raised: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl Crossed {
    pub(crate) const fn new(since: Stamp, at: Stamp) -> Crossed {
        Crossed { number: 0, keys: BTreeSet::new(), at, since, raised: false }
    }

    /// Whether this has been decided on.
    pub(super) fn has(&self, key: &Key) -> bool {
        match key {
            Key::Number(n) => *n <= self.number,
            Key::Named(name) => self.keys.contains(name),
        }
    }

    pub(super) fn add(&mut self, key: &Key) {
        match key {
            Key::Number(n) => self.number = self.number.max(*n),
            Key::Named(name) => {
                self.keys.insert(name.clone());
            }
        }
    }

    /// Forgets keys that the facts have not reached any more, where there are too many: a day that
    /// is no longer kept is never begun again.
    pub(super) fn bound(&mut self, reached: &[Reached]) {
        if self.keys.len() > KEYS_MAX {
            self.keys.retain(|key| {
                reached.iter().any(|of| matches!(&of.key, Key::Named(name) if name == key))
            });
        }
    }

    /// Keeps the latest `max` of the keys: those of the latest weeks and days. What facts can still
    /// reach is among the latest; a key that is forgotten and reached again has the same id.
    pub(crate) fn bound_to(&mut self, max: usize) {
        let over = self.keys.len().saturating_sub(max);
        if over == 0 {
            return;
        }
        let mut keys: Vec<String> = std::mem::take(&mut self.keys).into_iter().collect();
        keys.sort_by_cached_key(|key| (number_of(key), key.clone()));
        self.keys = keys.split_off(over).into_iter().collect();
    }

    /// Takes in what another profile has decided. However many are taken in, no more keys are kept
    /// than one profile remembers.
    pub fn absorb(&mut self, other: Crossed) {
        self.number = self.number.max(other.number);
        self.keys.extend(other.keys);
        self.bound_to(KEYS_MAX);
        if other.at > self.at {
            (self.at, self.since, self.raised) = (other.at, other.since, other.raised);
        }
    }
}

/// The week or day that a key begins with.
fn number_of(key: &str) -> i64 {
    let number = key.split('#').next().unwrap_or(key);
    number.parse().unwrap_or(i64::MIN)
}

/// What tells one raising of a rule from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    /// The so many-th.
    Number(u64),
    /// A category in a week, a day.
    Named(String),
}

impl Key {
    pub(super) fn text(&self) -> String {
        match self {
            Key::Number(n) => n.to_string(),
            Key::Named(name) => name.clone(),
        }
    }
}

/// Something a rule's facts have reached.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reached {
    pub(super) key: Key,
    /// When what it speaks of last happened.
    pub(super) since: Stamp,
    /// A category, a day, and how much of it there was.
    pub(super) subject: Option<(String, u64)>,
}

impl Reached {
    /// When at the latest it was reached: what is kept by day says no hour, and which hour of that
    /// day came first must not decide whether it is too old to be raised.
    pub(super) fn until(&self) -> Stamp {
        match self.key {
            Key::Named(_) => midnight(self.since.day().saturating_add(1)),
            Key::Number(_) => self.since,
        }
    }
}

/// Everything that a rule's facts have reached at a level, in the order of their keys.
pub(super) fn of_rule(kind: SignalKind, level: u64, facts: &Facts) -> Vec<Reached> {
    match kind {
        SignalKind::FirstPurchase => {
            let mut first = numbered(1, facts.orders.completed_at());
            first.truncate(1);
            first
        }
        SignalKind::RepeatPurchase => numbered(level.max(2), facts.orders.completed_at()),
        SignalKind::LeadSubmitted => numbered(level, facts.forms.submitted_at()),
        SignalKind::ComplaintReceived => numbered(level, facts.support.complained()),
        SignalKind::InterestShown => interests(level, facts),
        SignalKind::BingeStarted => binges(level, facts),
        _ => Vec::new(),
    }
}

/// One for each number from `least` on, with the stamp of the so many-th. A stamp may still fall
/// when events arrive late, the number stays reached.
fn numbered(least: u64, stamps: Vec<Stamp>) -> Vec<Reached> {
    let numbers = (1..).zip(stamps);
    numbers
        .filter(|(n, _)| *n >= least)
        .map(|(n, since)| Reached { key: Key::Number(n), since, subject: None })
        .collect()
}

/// When something of a day last happened, which is kept by day and says no hour: at the last deed of
/// all where that is of the day, so that what a journey waits for (that one of the videos is played)
/// is asked from then on. Where somebody came again since, at the day's last instant: before what was
/// done since, and not before what it speaks of, in whichever order both arrived.
fn dated(day: i64, facts: &Facts) -> Stamp {
    let deed = facts.rhythm.last.filter(|deed| deed.at.day() == day);
    deed.map_or_else(|| midnight(day.saturating_add(1)).minus(Span::from_ms(1)), |deed| deed.at)
}

/// The first instant of a day.
fn midnight(day: i64) -> Stamp {
    Stamp::from_ms(day.saturating_mul(Span::DAY.ms_i64()))
}

fn interests(level: u64, facts: &Facts) -> Vec<Reached> {
    let mut weeks: BTreeMap<(i64, &str), (u64, i64)> = BTreeMap::new();
    for (day, category, seconds) in facts.sessions.lingered() {
        let sum = weeks.entry((day.div_euclid(WEEK_DAYS), category)).or_default();
        *sum = (sum.0.saturating_add(seconds), sum.1.max(day));
    }
    let reached = weeks.into_iter().filter(|(_, (seconds, _))| *seconds >= level);
    reached
        .map(|((week, category), (seconds, day))| Reached {
            key: Key::Named(format!("{week}#{category}")),
            since: dated(day, facts),
            subject: Some((category.to_owned(), seconds)),
        })
        .collect()
}

fn binges(level: u64, facts: &Facts) -> Vec<Reached> {
    let level = usize::try_from(level).unwrap_or(usize::MAX);
    let days = facts.content.per_day().filter(|(_, videos)| *videos >= level);
    days.map(|(day, videos)| Reached {
        key: Key::Named(day.to_string()),
        since: dated(day, facts),
        subject: Some((midnight(day).to_string(), u64::try_from(videos).unwrap_or(u64::MAX))),
    })
    .collect()
}

/// What is shown of it.
pub(super) fn evidence(
    kind: SignalKind,
    threshold: Threshold,
    facts: &Facts,
    reached: &Reached,
) -> Map<String, Value> {
    match kind {
        SignalKind::LeadSubmitted => evidence::lead(facts, reached),
        SignalKind::ComplaintReceived => evidence::complaint(facts, reached),
        SignalKind::InterestShown => evidence::interest(threshold, reached),
        SignalKind::BingeStarted => evidence::binge(facts, reached),
        _ => evidence::purchase(facts, reached),
    }
}
