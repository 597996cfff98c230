//! The profile: accumulators, their fold, their links, and the view that is their merge.
//!
//! An identifier's item is one of three things ([`IdentityItem`]): a root that holds a profile, a
//! pointer to the root it is linked to, or a tombstone. A root holds the accumulator of its own
//! identifier and those of the anonymous ids linked to it; each event folds into the accumulator
//! of its own strongest identifier, and the profile is their merge, computed on read.

mod view;

pub use view::ProfileView;

use crate::ids::{EventHash, IdentityKey, Position, SignalId};
use crate::time::Stamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most accumulators that are live in one profile.
pub const ACCUMULATORS_MAX: usize = 16;
/// Recent ids kept inside an accumulator; the oldest beyond them spill to `ids#` items.
pub const RECENT_IDS_MAX: usize = 1_000;

/// The stored item of one identifier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentityItem {
    /// A profile.
    Root(Box<Root>),
    /// This anonymous id belongs to another profile.
    Pointer {
        /// The root it belongs to.
        to: IdentityKey,
        /// The event that named the user; the earliest wins.
        claim: Position,
    },
    /// Erased: events stamped or received before this are dropped.
    Tombstone {
        /// When.
        erased: Stamp,
    },
}

/// A profile's item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Root {
    /// What was done under each linked identifier, its own among them.
    pub accumulators: BTreeMap<IdentityKey, Accumulator>,
    /// The claim under which each anonymous id is linked; not the root's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub links: BTreeMap<IdentityKey, Position>,
    /// What was said and what is armed: not facts, and excluded from their laws.
    #[serde(default)]
    pub said: Said,
}

impl Root {
    /// The merge of its accumulators.
    #[must_use]
    pub fn view(&self, profile: crate::ids::ProfileId) -> ProfileView {
        ProfileView::empty(profile)
    }
}

/// Everything under one identifier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Accumulator {
    /// The commutative fold of its distinct events.
    pub facts: Facts,
    /// Which events those were lately, oldest first; with the spilled ones, exact dedupe.
    pub recent: Vec<EventHash>,
    /// The UTC month (`202611`) since which ids have been spilled; none while none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spilled_since: Option<u32>,
}

/// The facts of one accumulator: any order, grouping and duplication of the same events gives the
/// same bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Facts {}

/// What was said to the outside and what is armed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Said {
    /// Signals raised lately.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub raised: Vec<(SignalId, Stamp)>,
    /// The last arming's number; never reused.
    #[serde(default)]
    pub arm: u64,
    /// When the armed timer is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Stamp>,
}
