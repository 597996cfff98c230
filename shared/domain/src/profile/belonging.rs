//! A profile's segments: decided in the write that changes what they are decided on.

use super::facts::Facts;
use super::said::ProfileEffect;
use super::{ProfileView, Root};
use crate::contact::{ConsentState, TopicId};
use crate::ids::ProfileId;
use crate::segment::{Cause, Declared, Question, Segment, SegmentName, Which};
use crate::time::Stamp;
use std::collections::{BTreeMap, BTreeSet};

/// Instants at which a profile's segments are asked ahead of time. Past them the timer is armed for
/// the last, to ask from there on.
const INSTANTS_MAX: usize = 64;

impl Root {
    /// Decides on the segments of a publication at an instant, given what the contact behind the
    /// profile's address has said; after [`Root::cross`], since segments ask for signals. The
    /// profile's timer is armed for when an answer turns with time alone. Says whether anything
    /// changed that must be written.
    pub fn settle_segments(
        &mut self,
        profile: ProfileId,
        declared: Declared<'_>,
        consents: BTreeMap<TopicId, ConsentState>,
        cause: Cause,
        now: Stamp,
    ) -> bool {
        self.settle_some(profile, declared, consents, (Which::All, cause), now)
    }

    /// Decides, in silence, on the segments that are new to the profile and on those that waited for
    /// what a back-fill has just made up for; the others are as they were. Else as
    /// [`Root::settle_segments`].
    pub fn settle_filled(
        &mut self,
        profile: ProfileId,
        declared: Declared<'_>,
        consents: BTreeMap<TopicId, ConsentState>,
        now: Stamp,
    ) -> bool {
        self.settle_some(profile, declared, consents, (Which::Unknown, Cause::Backfill), now)
    }

    /// Notes the segments of which nobody can say now whether the profile is in them: once somebody
    /// can, they are decided on in silence.
    pub fn note_waiting(&mut self, profile: ProfileId, declared: Declared<'_>, now: Stamp) {
        let view = self.view_at(profile, declared.computed, now);
        let waiting = self.undecidable(declared, &view);
        self.said.segments.waiting.extend(waiting);
    }

    fn settle_some(
        &mut self,
        profile: ProfileId,
        declared: Declared<'_>,
        consents: BTreeMap<TopicId, ConsentState>,
        (which, cause): (Which, Cause),
        now: Stamp,
    ) -> bool {
        if declared.segments.is_empty() && self.said.segments.published.is_none() {
            return false;
        }
        let mut view = self.view_at(profile, declared.computed, now);
        view.consents = consents;
        let facts = self.facts();
        let last = facts.seen.map_or(now, |seen| seen.last.min(now));
        let since = match cause {
            // What follows the deed that let somebody in follows the entering.
            Cause::Event => last,
            Cause::Time | Cause::Backfill => now,
        };
        let undecidable = self.undecidable(declared, &view);
        let turn = next_turn(&facts, declared, &view, &undecidable, now);
        drop(facts);
        let (view, undecidable) = (&view, &undecidable);
        let question = Question { profile, declared, view, which, undecidable, cause, since, now };
        let settled = self.said.segments.settle(&question);
        let raises = settled.raises.into_iter();
        self.said.pending.extend(raises.map(ProfileEffect::Raise));
        let due = settled.postponed.or(turn);
        due.is_some_and(|due| self.arm_by(due)) || settled.changed
    }

    /// Whether nobody can say now if the profile, which looks so, is in a segment: it asks for a
    /// computed trait that is still to be filled, or for an event that was not watched yet when some
    /// of the profile's were folded.
    #[must_use]
    pub fn is_undecidable(&self, segment: &Segment, view: &ProfileView) -> bool {
        view.being_filled().any(|name| segment.asks_trait(name))
            || (segment.asks_events()
                && !self.accumulators.values().all(|held| held.is_watched_since(segment.watched)))
    }

    fn undecidable(&self, declared: Declared<'_>, view: &ProfileView) -> BTreeSet<SegmentName> {
        let all = declared.segments.iter();
        let undecidable = all.filter(|(_, segment)| self.is_undecidable(segment, view));
        undecidable.map(|(name, _)| *name).collect()
    }
}

/// The first instant after `now` at which some segment answers otherwise if nothing happens until
/// then. Segments are asked at each instant at which something in them turns: where a window lets
/// go, and at the midnights at which a computed trait changes. So no timer is armed that would find
/// nothing changed.
pub(crate) fn next_turn(
    facts: &Facts,
    declared: Declared<'_>,
    view: &ProfileView,
    undecidable: &BTreeSet<SegmentName>,
    now: Stamp,
) -> Option<Stamp> {
    let mut turns: BTreeMap<Stamp, Vec<&Segment>> = BTreeMap::new();
    let decidable = declared.segments.iter().filter(|(name, _)| !undecidable.contains(name));
    let decidable: Vec<&Segment> = decidable.map(|(_, segment)| segment).collect();
    for segment in decidable.iter().copied() {
        for at in segment.turns(view, now) {
            turns.entry(at).or_default().push(segment);
        }
    }
    let by_the_day: Vec<&Segment> =
        decidable.into_iter().filter(|s| s.asks_by_the_day(declared.computed)).collect();
    let next_midnight = |at| {
        let changes = !by_the_day.is_empty();
        changes.then(|| declared.computed.changes(facts, at)).flatten()
    };
    let mut midnight = next_midnight(now);
    if turns.is_empty() && midnight.is_none() {
        return None;
    }
    let mut later = view.clone();
    let mut at = None;
    for _ in 0..INSTANTS_MAX {
        let window = turns.first_key_value().map(|(at, _)| *at);
        let instant = window.into_iter().chain(midnight).min()?;
        let mut asked = turns.remove(&instant).unwrap_or_default();
        if midnight == Some(instant) {
            later.compute(facts, declared.computed, instant);
            asked.extend(&by_the_day);
            midnight = next_midnight(instant);
        }
        at = Some(instant);
        if asked.iter().any(|segment| segment.is_in(&later, instant) != segment.is_in(view, now)) {
            break;
        }
    }
    at
}
