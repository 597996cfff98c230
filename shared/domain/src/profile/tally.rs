//! Bounded collections that add up: counts by name, counts by day, distinct counts.
//!
//! A counter cannot be dropped and begun again: half of it would be lost, and which half would
//! depend on the order of arrival. So these keep what a name or a day alone decides.

use super::top::latest;
use crate::ids::EventHash;
use crate::time::Stamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Counts by name; of more than `MAX` names, those whose hash is least, which no order of arrival
/// changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub(super) struct Tally<const MAX: usize> {
    #[serde(rename = "c")]
    counts: BTreeMap<String, u64>,
    #[serde(default, rename = "t", skip_serializing_if = "std::ops::Not::not")]
    trimmed: bool,
}

impl<const MAX: usize> Tally<MAX> {
    pub(super) fn is_empty(&self) -> bool {
        self.counts.is_empty() && !self.trimmed
    }

    pub(super) fn is_trimmed(&self) -> bool {
        self.trimmed
    }

    pub(super) fn len(&self) -> usize {
        self.counts.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.counts.iter().map(|(name, count)| (name.as_str(), *count))
    }

    pub(super) fn add(&mut self, name: &str, times: u64) {
        if let Some(count) = self.counts.get_mut(name) {
            *count = count.saturating_add(times);
            return;
        }
        self.counts.insert(name.to_owned(), times);
        self.bound(MAX);
    }

    pub(super) fn bound(&mut self, max: usize) {
        while self.counts.len() > max {
            let greatest = self.counts.keys().max_by_key(|name| EventHash::of(name)).cloned();
            let Some(greatest) = greatest else { return };
            self.counts.remove(&greatest);
            self.trimmed = true;
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (name, times) in &other.counts {
            self.add(name, *times);
        }
        self.trimmed |= other.trimmed;
    }
}

/// Something for each of the latest `MAX` UTC days since 1970.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Days<T, const MAX: usize> {
    #[serde(rename = "d")]
    days: BTreeMap<i64, T>,
    /// The latest day that is not kept.
    #[serde(default, rename = "t", skip_serializing_if = "Option::is_none")]
    trimmed: Option<i64>,
}

impl<T, const MAX: usize> Default for Days<T, MAX> {
    fn default() -> Self {
        Days { days: BTreeMap::new(), trimmed: None }
    }
}

impl<T: Default, const MAX: usize> Days<T, MAX> {
    pub(super) fn is_empty(&self) -> bool {
        self.days.is_empty() && self.trimmed.is_none()
    }

    pub(super) fn is_trimmed(&self) -> bool {
        self.trimmed.is_some()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (i64, &T)> {
        self.days.iter().map(|(day, of)| (*day, of))
    }

    pub(super) fn each(&mut self, change: impl FnMut(&mut T)) {
        self.days.values_mut().for_each(change);
    }

    /// A day to write to; none where it is older than what is kept.
    pub(super) fn at(&mut self, day: i64) -> Option<&mut T> {
        if self.trimmed.is_some_and(|trimmed| day <= trimmed) {
            return None;
        }
        self.days.entry(day).or_default();
        self.bound(MAX);
        self.days.get_mut(&day)
    }

    pub(super) fn bound(&mut self, max: usize) {
        while self.days.len() > max {
            if let Some((day, _)) = self.days.pop_first() {
                latest(&mut self.trimmed, Some(day));
            }
        }
    }

    pub(super) fn merge(&mut self, other: &Self, add: impl Fn(&mut T, &T)) {
        latest(&mut self.trimmed, other.trimmed);
        if let Some(trimmed) = self.trimmed {
            self.days.retain(|day, _| *day > trimmed);
        }
        for (day, of) in &other.days {
            if let Some(held) = self.at(*day) {
                add(held, of);
            }
        }
    }
}

/// When each of the first so many happened: the `MAX` earliest of their first stamps, by the hash of
/// what they are.
///
/// It commutes as [`super::top::Top`] does, turned round: one that is dropped has `MAX` below it,
/// each of which can only fall.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Earliest<const MAX: usize>(BTreeMap<EventHash, Stamp>);

impl<const MAX: usize> Default for Earliest<MAX> {
    fn default() -> Self {
        Earliest(BTreeMap::new())
    }
}

impl<const MAX: usize> Earliest<MAX> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn add(&mut self, what: EventHash, at: Stamp) {
        let held = self.0.entry(what).or_insert(at);
        *held = (*held).min(at);
        if self.0.len() > MAX {
            let last = self.0.iter().map(|(what, at)| (*at, *what)).max();
            if let Some((_, what)) = last {
                self.0.remove(&what);
            }
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (what, at) in &other.0 {
            self.add(*what, *at);
        }
    }

    /// When it happened first, where it is among them.
    pub(super) fn get(&self, what: EventHash) -> Option<Stamp> {
        self.0.get(&what).copied()
    }

    /// All of them, the earliest first.
    pub(super) fn in_order(&self) -> Vec<(Stamp, EventHash)> {
        let mut all: Vec<_> = self.0.iter().map(|(what, at)| (*at, *what)).collect();
        all.sort_unstable();
        all
    }

    /// The stamps, the earliest first.
    pub(super) fn stamps(&self) -> Vec<Stamp> {
        self.in_order().into_iter().map(|(at, _)| at).collect()
    }
}

/// How many different names there were, whatever their number: the `MAX` least hashes of them.
/// Exact below `MAX` names, beyond it within about `1 / sqrt(MAX)`. Stored as base64 of four bytes
/// each.
#[derive(Clone, PartialEq, Eq, Default)]
pub(super) struct Distinct<const MAX: usize>(Vec<u32>);

impl<const MAX: usize> Distinct<MAX> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn add(&mut self, name: &str) {
        self.add_hash(hash(name.as_bytes()));
    }

    fn add_hash(&mut self, hash: u32) {
        if let Err(place) = self.0.binary_search(&hash)
            && place < MAX
        {
            self.0.insert(place, hash);
            self.0.truncate(MAX);
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for hash in &other.0 {
            self.add_hash(*hash);
        }
    }

    /// Whether there may be more than are held.
    pub(super) fn is_estimate(&self) -> bool {
        self.0.len() >= MAX
    }

    /// How many; never less than before when names are added.
    pub(super) fn count(&self) -> u64 {
        let held = u64::try_from(self.0.len()).unwrap_or(u64::MAX);
        match self.0.last() {
            // Of n evenly spread hashes the k-th least stands at about k/n of the whole.
            Some(greatest) if self.is_estimate() => {
                let share = u64::from(*greatest).max(1);
                ((held.saturating_sub(1) << 32) / share).max(held)
            }
            _ => held,
        }
    }
}

/// FNV-1a, its bits then mixed as `MurmurHash3` ends: spread evenly enough to count by, and a
/// tenth of the price of SHA-256 on the way of every event. Nothing is told apart by it alone.
pub(super) fn hash(bytes: &[u8]) -> u32 {
    let fnv = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mixed = (fnv ^ (fnv >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    u32::try_from((mixed ^ (mixed >> 33)) >> 32).unwrap_or(0)
}

impl<const MAX: usize> std::fmt::Debug for Distinct<MAX> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Distinct({})", self.count())
    }
}

impl<const MAX: usize> Serialize for Distinct<MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = self.0.iter().flat_map(|hash| hash.to_be_bytes()).collect();
        serializer.serialize_str(&data_encoding::BASE64_NOPAD.encode(&bytes))
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Distinct<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'_, str>::deserialize(deserializer)?;
        let bytes =
            data_encoding::BASE64_NOPAD.decode(text.as_bytes()).map_err(D::Error::custom)?;
        let (hashes, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(D::Error::custom("expected hashes of 4 bytes each"));
        }
        Ok(Distinct(hashes.iter().map(|hash| u32::from_be_bytes(*hash)).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinct_counts_are_exact_and_then_near() {
        let mut distinct: Distinct<64> = Distinct::default();
        let mut before = 0;
        for n in 0..20_000_u64 {
            distinct.add(&format!("session-{n}"));
            distinct.add(&format!("session-{n}"));
            let count = distinct.count();
            assert!(count >= before, "{n}: {before} then {count}");
            before = count;
            if n < 63 {
                assert_eq!(count, n + 1);
            } else {
                let real = n + 1;
                assert!(count.abs_diff(real) * 10 < real * 5, "{real}: {count}");
            }
        }
        let text = serde_json::to_string(&distinct).unwrap();
        assert_eq!(text.len(), 344);
        assert_eq!(serde_json::from_str::<Distinct<64>>(&text).unwrap(), distinct);
        assert!(serde_json::from_str::<Distinct<64>>("\"AAA\"").is_err());
    }

    #[test]
    fn a_day_that_is_too_old_is_not_begun_again() {
        let mut days: Days<u32, 2> = Days::default();
        for day in [5, 7, 6, 5, 4] {
            if let Some(count) = days.at(day) {
                *count += 1;
            }
        }
        assert_eq!(days.iter().map(|(day, n)| (day, *n)).collect::<Vec<_>>(), [(6, 1), (7, 1)]);
        assert!(days.is_trimmed());
    }
}
