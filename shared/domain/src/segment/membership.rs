//! Which segments a profile is in, as last decided.

use super::{Declared, SegmentName};
use crate::ids::{EventHash, ProfileId, SignalId};
use crate::predicate::Answer;
use crate::profile::ProfileView;
use crate::signal::{Raise, Threshold};
use crate::time::{Span, Stamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The signal that a profile is in a segment now.
pub const SEGMENT_ENTERED: &str = "Segment Entered";
/// The signal that a profile is not in a segment any more.
pub const SEGMENT_EXITED: &str = "Segment Exited";

/// Answers that the evidence of a change shows; the rest is counted.
const EVIDENCE_ANSWERS_MAX: usize = 6;
/// A process that has not yet seen a publication under which a profile was decided on leaves the
/// decision to others: the profile is looked at again after this, when every copy is fresh.
const LOOK_AGAIN: Span = Span::MINUTE;

/// Why a membership was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Something the customer or their contact did, or a link.
    Event,
    /// Nothing but the time.
    Time,
    /// The segment is new to the profile, which was there before it, or what it asks for was made up
    /// for: nothing is raised.
    Backfill,
}

impl Cause {
    const fn word(self) -> &'static str {
        match self {
            Cause::Event => "event",
            Cause::Time => "time",
            Cause::Backfill => "backfill",
        }
    }
}

/// A profile in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Since when, as it was decided.
    pub since: Stamp,
    /// By what.
    pub by: Cause,
}

/// The segments a profile is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Memberships {
    /// The publication under which they were last decided; none where that never was. A segment
    /// that was published after it is new to the profile.
    #[serde(default, rename = "p", skip_serializing_if = "Option::is_none")]
    pub published: Option<Stamp>,
    /// How often it has entered or left one; part of the signals' ids.
    #[serde(default, rename = "n", skip_serializing_if = "is_zero")]
    pub changes: u64,
    /// Those it is in.
    #[serde(default, rename = "of", skip_serializing_if = "BTreeMap::is_empty")]
    pub members: BTreeMap<SegmentName, Member>,
    /// Those that were not decided on, since what they ask for is not known of the time before. It
    /// is in them as it was until then, and the first decision on them is made in silence.
    #[serde(default, rename = "w", skip_serializing_if = "BTreeSet::is_empty")]
    pub waiting: BTreeSet<SegmentName>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// Which segments a profile is decided on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// All that are declared.
    All,
    /// Those that are new to it and those that waited: what a back-fill has made up for.
    Unknown,
}

/// A decision to be made on a profile's segments.
#[derive(Debug)]
pub(crate) struct Question<'q> {
    pub(crate) profile: ProfileId,
    pub(crate) declared: Declared<'q>,
    pub(crate) view: &'q ProfileView,
    pub(crate) which: Which,
    /// Those of which nobody can say now whether it is in them.
    pub(crate) undecidable: &'q BTreeSet<SegmentName>,
    pub(crate) cause: Cause,
    /// What the signals' followers count from.
    pub(crate) since: Stamp,
    pub(crate) now: Stamp,
}

/// What a decision on a profile's segments came to.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Settled {
    /// Whether anything is to be written.
    pub(crate) changed: bool,
    /// Signals to publish.
    pub(crate) raises: Vec<Raise>,
    /// Nothing was decided; when to look again instead.
    pub(crate) postponed: Option<Stamp>,
}

impl Memberships {
    /// Those of a profile that comes into being under a publication: it is in no segment, and every
    /// one it comes to be in it enters.
    #[must_use]
    pub fn of_new(declared: Declared<'_>) -> Memberships {
        let published = Some(declared.published).filter(|_| !declared.segments.is_empty());
        Memberships { published, ..Memberships::default() }
    }

    /// Whether there is nothing to keep.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Memberships::default()
    }

    /// Takes in those of a profile that is linked into this one. Whoever was in a segment under
    /// either is in it: a link is no entering. Where that is not so for the both of them, the
    /// decision that follows in the same write says so.
    pub fn absorb(&mut self, other: Memberships) {
        // A segment that is new to either is new to both; where one was never decided on, all are.
        self.published = self.published.zip(other.published).map(|(own, others)| own.min(others));
        self.changes = self.changes.max(other.changes);
        for (name, member) in other.members {
            let held = self.members.entry(name).or_insert(member);
            if member.since < held.since {
                *held = member;
            }
        }
        self.waiting.extend(other.waiting);
    }

    /// Whether a publication declares what was not decided on yet, or what is still held is not
    /// declared any more: a profile that a back-fill has looked at.
    #[must_use]
    pub fn lag(&self, declared: Declared<'_>) -> bool {
        let is_new = |since: Stamp| self.published.is_none_or(|published| published < since);
        declared.segments.values().any(|segment| is_new(segment.since))
            || self.members.keys().any(|name| !declared.segments.contains_key(name))
    }

    /// Decides on the segments of a publication.
    pub(crate) fn settle(&mut self, question: &Question<'_>) -> Settled {
        let Question { profile, declared, view, now, .. } = *question;
        let mut settled = Settled::default();
        let before = self.published;
        if before.is_some_and(|before| before > declared.published) {
            settled.postponed = Some(now.plus(LOOK_AGAIN));
            return settled;
        }
        let count = (self.members.len(), self.waiting.len());
        self.members.retain(|name, _| declared.segments.contains_key(name));
        self.waiting.retain(|name| declared.segments.contains_key(name));
        settled.changed = (self.members.len(), self.waiting.len()) != count;
        for (name, segment) in declared.segments {
            if question.undecidable.contains(name) {
                settled.changed |= self.waiting.insert(*name);
                continue;
            }
            let waited = self.waiting.remove(name);
            settled.changed |= waited;
            let is_new = waited || before.is_none_or(|before| before < segment.since);
            if question.which == Which::Unknown && !is_new {
                continue;
            }
            let cause = if is_new { Cause::Backfill } else { question.cause };
            let holds = segment.is_in(view, now);
            let held = self.members.get(name).copied();
            if holds == held.is_some() {
                continue;
            }
            let (_, answers) = segment.holds(view, now);
            settled.changed = true;
            self.changes = self.changes.saturating_add(1);
            if holds {
                self.members.insert(*name, Member { since: now, by: cause });
            } else {
                self.members.remove(name);
            }
            if cause == Cause::Backfill {
                continue;
            }
            let signal = if holds { SEGMENT_ENTERED } else { SEGMENT_EXITED };
            let threshold = Threshold::Segment(*name);
            // The number tells changes of one profile apart; the time those of a profile that
            // begins anew, after an erasure or a split, under an identifier that was one before.
            let episode = format!("{}/{}", self.changes, now.ms());
            let rule = crate::signal::rule_id(signal, threshold);
            settled.raises.push(Raise {
                id: SignalId::derive(&rule, profile, EventHash::of(&episode)),
                signal: signal.to_owned(),
                threshold,
                since: question.since,
                at: now,
                evidence: evidence(&segment.title, cause, held, &answers),
            });
        }
        // Where there are no segments there is nothing to be new to.
        self.published = Some(declared.published).filter(|_| !declared.segments.is_empty());
        settled.changed |= before != self.published;
        settled
    }
}

/// `{title, by, member_since, answers: [{asked, found, held}], more}`: what each leaf found.
fn evidence(
    title: &str,
    cause: Cause,
    left: Option<Member>,
    answers: &[Answer],
) -> Map<String, Value> {
    let mut evidence = Map::new();
    evidence.insert("title".to_owned(), title.into());
    evidence.insert("by".to_owned(), cause.word().into());
    if let Some(member) = left {
        evidence.insert("member_since".to_owned(), member.since.to_string().into());
    }
    let shown = answers.iter().take(EVIDENCE_ANSWERS_MAX);
    let shown: Vec<Value> = shown
        .map(|answer| json!({"asked": answer.asked, "found": answer.found, "held": answer.held}))
        .collect();
    evidence.insert("answers".to_owned(), shown.into());
    let more = answers.len().saturating_sub(EVIDENCE_ANSWERS_MAX);
    if more > 0 {
        evidence.insert("more".to_owned(), more.into());
    }
    evidence
}
