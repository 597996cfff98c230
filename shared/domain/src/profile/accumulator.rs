//! Everything under one identifier: its facts, and which events they are of.

use super::facts::{Facts, Watched};
use crate::event::Event;
use crate::ids::EventHash;
use crate::time::Stamp;
use crate::wire::SourceRef;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;

/// Recent ids kept inside an accumulator; the oldest beyond them spill to `ids#` items.
pub const RECENT_IDS_MAX: usize = 1_000;

/// Everything under one identifier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Accumulator {
    /// The commutative fold of its distinct events.
    pub facts: Facts,
    /// Which events those were lately, oldest first; with the spilled ones, exact dedupe.
    #[serde(default, skip_serializing_if = "RecentIds::is_empty")]
    pub recent: RecentIds,
    /// The UTC month (`202611`) since which ids have been spilled; none while none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spilled_since: Option<u32>,
    /// When what stood here before was erased; what is of that time or before is dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased: Option<Stamp>,
    /// The earliest publication under which one of its events was folded, where each of them was
    /// under one whose segments ask for events: the last match of what is watched since then is its
    /// last match of all. None where that is not known of each.
    #[serde(default, rename = "w", skip_serializing_if = "Option::is_none")]
    pub watched: Option<Stamp>,
}

/// What became of an event that was offered to an accumulator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Folded {
    /// It is in the facts now.
    New,
    /// It already was; nothing changed.
    Duplicate,
}

impl Accumulator {
    /// Folds one event, once. Whether it is among the spilled ids is for the caller to ask first.
    pub fn fold(&mut self, event: &Event, source: &SourceRef, watched: &Watched) -> Folded {
        let at = event.position();
        if !self.recent.insert(at.id) {
            return Folded::Duplicate;
        }
        self.watched = match (self.facts.total, self.watched) {
            (0, _) => watched.published,
            (_, held) => earlier(held, watched.published),
        };
        self.facts.fold(event, at, source, watched);
        if source.is_feedback() {
            self.facts.rhythm.reported(event, at);
        }
        Folded::New
    }

    /// Takes in another identifier's events for good: the facts and the ids of both are one.
    pub fn merge(&mut self, other: &Accumulator) {
        self.watched = match (self.facts.total, other.facts.total) {
            (_, 0) => self.watched,
            (0, _) => other.watched,
            _ => earlier(self.watched, other.watched),
        };
        self.facts.merge(&other.facts);
        for id in other.recent.iter() {
            self.recent.insert(id);
        }
        self.spilled_since = match (self.spilled_since, other.spilled_since) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        super::top::latest(&mut self.erased, other.erased);
    }

    /// Whether it has the last match of everything that is watched without a break since then.
    #[must_use]
    pub fn is_watched_since(&self, since: Stamp) -> bool {
        self.facts.total == 0 || self.watched.is_some_and(|watched| watched >= since)
    }

    /// Whether an event of this stamp, received then, is from before the erasure.
    #[must_use]
    pub fn is_erased(&self, at: Stamp, received: Stamp) -> bool {
        self.erased.is_some_and(|erased| at <= erased || received <= erased)
    }

    /// Takes the oldest ids out where there are more than [`RECENT_IDS_MAX`], down to half of that,
    /// but none after the first `committed`: an id may spill only if the event behind it is known
    /// to be in the stored facts, since its presence proves that it was folded.
    #[must_use]
    pub fn spill(&mut self, committed: usize) -> Vec<EventHash> {
        if self.recent.len() <= RECENT_IDS_MAX {
            return Vec::new();
        }
        self.recent.take_oldest((self.recent.len() - RECENT_IDS_MAX / 2).min(committed))
    }
}

/// The earlier of two, where both are known.
fn earlier(a: Option<Stamp>, b: Option<Stamp>) -> Option<Stamp> {
    a.zip(b).map(|(a, b)| a.min(b))
}

/// Ids in the order in which they were folded. Stored as one base64 text: hashes do not compress.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct RecentIds(Vec<EventHash>);

impl RecentIds {
    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether `id` is among them.
    #[must_use]
    pub fn contains(&self, id: EventHash) -> bool {
        // Whole chunks without an early way out, which the compiler turns into vector compares.
        let wanted = u64::from_ne_bytes(id.0);
        let held = |id: &EventHash| u64::from_ne_bytes(id.0) == wanted;
        self.0.chunks(64).any(|some| some.iter().fold(false, |any, id| any | held(id)))
    }

    /// All of them, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = EventHash> {
        self.0.iter().copied()
    }

    /// Adds one; whether it was not there.
    pub fn insert(&mut self, id: EventHash) -> bool {
        let new = !self.contains(id);
        if new {
            self.0.push(id);
        }
        new
    }

    /// Takes out the `n` oldest.
    pub fn take_oldest(&mut self, n: usize) -> Vec<EventHash> {
        self.0.drain(..n.min(self.0.len())).collect()
    }
}

impl std::fmt::Debug for RecentIds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RecentIds({})", self.0.len())
    }
}

impl Serialize for RecentIds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = self.0.iter().flat_map(|id| id.0).collect();
        serializer.serialize_str(&data_encoding::BASE64_NOPAD.encode(&bytes))
    }
}

impl<'de> Deserialize<'de> for RecentIds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'_, str>::deserialize(deserializer)?;
        let bytes =
            data_encoding::BASE64_NOPAD.decode(text.as_bytes()).map_err(D::Error::custom)?;
        let (ids, rest) = bytes.as_chunks::<8>();
        if !rest.is_empty() {
            return Err(D::Error::custom("expected ids of 8 bytes each"));
        }
        Ok(RecentIds(ids.iter().map(|id| EventHash(*id)).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: usize) -> EventHash {
        EventHash((n as u64).to_be_bytes())
    }

    #[test]
    fn ids_are_stored_as_they_are_read() {
        let ids = RecentIds((0..3).map(id).collect());
        let text = serde_json::to_string(&ids).unwrap();
        assert_eq!(text.len(), 34);
        assert_eq!(serde_json::from_str::<RecentIds>(&text).unwrap(), ids);
        assert!(serde_json::from_str::<RecentIds>("\"AAAA\"").is_err());
        assert!(serde_json::from_str::<RecentIds>("\"!\"").is_err());
    }

    #[test]
    fn only_committed_ids_spill() {
        let mut accumulator = Accumulator::default();
        for n in 0..=RECENT_IDS_MAX {
            accumulator.recent.insert(id(n));
        }
        assert_eq!(accumulator.spill(3), (0..3).map(id).collect::<Vec<_>>());
        assert_eq!(accumulator.recent.len(), RECENT_IDS_MAX - 2);
        assert!(accumulator.spill(usize::MAX).is_empty());
        for n in 0..10 {
            accumulator.recent.insert(id(10_000 + n));
        }
        let spilled = accumulator.spill(usize::MAX);
        assert_eq!(spilled.first(), Some(&id(3)));
        assert_eq!(accumulator.recent.len(), RECENT_IDS_MAX / 2);
    }
}
