//! Segments: named predicates over profiles, and who is in them.
//!
//! Whether a profile is in a segment is a function of the profile, its contact's answers and the
//! time ([`Segment::holds`]). What was last decided is kept with the profile ([`Memberships`]), in
//! the same write as what it was decided on, and each change of it is a signal: `Segment Entered`
//! or `Segment Exited`, at the threshold that names the segment.
//!
//! A predicate may change its answer with time alone; what a profile does about that is arm its timer
//! for the first instant at which one does, so that the
//! profile's timer wakes it then: once all timers have fired, every membership is what the
//! predicate says.
//!
//! A profile that a publication finds in a segment raises nothing: a segment that is declared over
//! a hundred thousand customers must not start a hundred thousand journeys.

mod membership;
mod name;
mod sample;

#[cfg(test)]
mod laws;

pub use membership::{Cause, Member, Memberships, SEGMENT_ENTERED, SEGMENT_EXITED};
pub(crate) use membership::{Question, Which};
pub use name::{SEGMENT_NAME_BYTES_MAX, SegmentName};
pub use sample::{LeafCount, Sample};

use crate::ids::PredicateKey;
use crate::predicate::{Answer, Condition, EventPredicate, Facts};
use crate::profile::{ComputedTraits, ProfileView};
use crate::time::Stamp;
use crate::wire::Why;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most segments of one workspace: each is asked on every write of every profile.
pub const SEGMENTS_MAX: usize = 50;
/// The most leaves of one segment's predicate.
pub const LEAVES_MAX: usize = 32;

/// A segment of the published workspace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// Its title for people.
    pub title: String,
    /// Who is in it.
    pub when: Condition,
    /// When it was first published with this predicate. Profiles that were last decided on under an
    /// earlier publication are new to it.
    pub since: Stamp,
    /// The earliest publication since which every event that it asks for is watched without a break.
    /// Of events that were folded under an earlier one a profile lacks the last match, until a
    /// back-fill.
    #[serde(default = "always")]
    pub watched: Stamp,
}

/// A release that did not note it took everything for watched.
const fn always() -> Stamp {
    Stamp::MIN
}

/// The segments of one publication.
#[derive(Debug, Clone, Copy)]
pub struct Declared<'a> {
    /// When it was published.
    pub published: Stamp,
    /// The segments by name.
    pub segments: &'a BTreeMap<SegmentName, Segment>,
    /// What is computed for them.
    pub computed: &'a ComputedTraits,
}

impl Declared<'_> {
    /// Whether any of them asks what a contact said, so that the contact has to be read.
    #[must_use]
    pub fn ask_consent(&self) -> bool {
        self.segments.values().any(Segment::asks_consent)
    }

    /// Since when events have to have been watched for each of them to be decided on; none where
    /// they ask for no event.
    #[must_use]
    pub fn watched(&self) -> Option<Stamp> {
        let asking = self.segments.values().filter(|segment| segment.asks_events());
        asking.map(|segment| segment.watched).max()
    }
}

impl Segment {
    /// Whether it asks what a contact said.
    #[must_use]
    pub fn asks_consent(&self) -> bool {
        let mut asks = false;
        self.when.each_leaf(&mut |leaf| asks |= matches!(leaf, Condition::Consent { .. }));
        asks
    }

    /// Whether a profile is in it at an instant, with the answer of every leaf.
    #[must_use]
    pub fn holds(&self, view: &ProfileView, now: Stamp) -> (bool, Vec<Answer>) {
        let why = Why::default();
        self.when.evaluate(&Facts { view, why: &why, started: Stamp::MIN, now })
    }

    /// Whether a profile is in it at an instant.
    #[must_use]
    pub fn is_in(&self, view: &ProfileView, now: Stamp) -> bool {
        let why = Why::default();
        self.when.holds(&Facts { view, why: &why, started: Stamp::MIN, now })
    }

    /// The instants after `now` at which a window of it lets go of what it holds, in no order.
    #[must_use]
    pub(crate) fn turns(&self, view: &ProfileView, now: Stamp) -> Vec<Stamp> {
        let why = Why::default();
        self.when.turns(&Facts { view, why: &why, started: Stamp::MIN, now })
    }

    /// Whether it asks for a computed trait whose value may change at midnight.
    pub(crate) fn asks_by_the_day(&self, computed: &ComputedTraits) -> bool {
        computed.iter().any(|(name, _, rule)| rule.days.is_some() && self.asks_trait(name))
    }

    /// Whether it asks for a trait, or for something inside it.
    #[must_use]
    pub fn asks_trait(&self, known_as: &str) -> bool {
        let mut asks = false;
        self.when.each_leaf(&mut |leaf| {
            let name = match leaf {
                Condition::Trait { name, .. } => name,
                Condition::Counted { state, .. } => state,
                _ => return,
            };
            let rest = name.strip_prefix(known_as);
            asks |= rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        });
        asks
    }

    /// Whether it asks for events by a predicate, of which profiles keep the last match.
    #[must_use]
    pub fn asks_events(&self) -> bool {
        let mut asks = false;
        self.when.each_leaf(&mut |leaf| asks |= matches!(leaf, Condition::Performed { .. }));
        asks
    }

    /// Whether it asks for a signal of this name.
    #[must_use]
    pub fn asks_signal(&self, known_as: &str) -> bool {
        let mut asks = false;
        self.when.each_leaf(&mut |leaf| {
            asks |= matches!(leaf, Condition::Signal { name, .. } if name == known_as);
        });
        asks
    }
}

/// The event predicates that segments ask about, each once: profiles keep the last match of each.
#[must_use]
pub fn watched<'s>(segments: impl IntoIterator<Item = &'s Segment>) -> Vec<EventPredicate> {
    let mut found: BTreeMap<PredicateKey, EventPredicate> = BTreeMap::new();
    for segment in segments {
        segment.when.each_leaf(&mut |leaf| {
            if let Condition::Performed { event, .. } = leaf {
                found.insert(event.key(), event.clone());
            }
        });
    }
    found.into_values().collect()
}
