//! Segments: named predicates over profiles, and who is in them.
//!
//! Whether a profile is in a segment is a function of the profile, its contact's answers and the
//! time ([`Segment::holds`]). What was last decided is kept with the profile ([`Memberships`]), in
//! the same write as what it was decided on, and each change of it is a signal: `Segment Entered`
//! or `Segment Exited`, at the threshold that names the segment.
//!
//! A predicate may change its answer with time alone. [`Segment::turns`] says when, so that the
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
pub use name::{SEGMENT_NAME_BYTES_MAX, SegmentName};
pub use sample::{LeafCount, Sample};

use crate::ids::PredicateKey;
use crate::predicate::{Answer, Condition, EventPredicate, Facts};
use crate::profile::ProfileView;
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
}

/// The segments of one publication.
#[derive(Debug, Clone, Copy)]
pub struct Declared<'a> {
    /// When it was published.
    pub published: Stamp,
    /// The segments by name.
    pub segments: &'a BTreeMap<SegmentName, Segment>,
}

impl Declared<'_> {
    /// Whether any of them asks what a contact said, so that the contact has to be read.
    #[must_use]
    pub fn ask_consent(&self) -> bool {
        self.segments.values().any(|segment| {
            let mut asked = false;
            segment.when.each_leaf(&mut |leaf| asked |= matches!(leaf, Condition::Consent { .. }));
            asked
        })
    }
}

impl Segment {
    /// Whether a profile is in it at an instant, with the answer of every leaf.
    #[must_use]
    pub fn holds(&self, view: &ProfileView, now: Stamp) -> (bool, Vec<Answer>) {
        let why = Why::default();
        self.when.evaluate(&Facts { view, why: &why, started: Stamp::MIN, now })
    }

    /// The first instant after `now` at which the answer is another one if nothing happens until
    /// then. The tree is asked at each instant at which a leaf turns, so that a timer that would
    /// find nothing changed is not armed.
    #[must_use]
    pub fn turns(&self, view: &ProfileView, now: Stamp) -> Option<Stamp> {
        let why = Why::default();
        let facts = Facts { view, why: &why, started: Stamp::MIN, now };
        let mut instants = self.when.turns(&facts);
        if instants.is_empty() {
            return None;
        }
        instants.sort_unstable();
        instants.dedup();
        let held = self.when.evaluate(&facts).0;
        let turned = |at: &Stamp| self.when.evaluate(&Facts { now: *at, ..facts }).0 != held;
        instants.into_iter().find(turned)
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
