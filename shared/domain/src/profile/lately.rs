//! How many different names there were within so many days.

use super::tally::hash;
use super::top::latest;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Different names by their hash, each with the last UTC day on which it was there; of more than
/// `MAX` those that were there last, of one day those with the greatest hash.
///
/// It commutes as [`super::top::Top`] does: one that is dropped has `MAX` above it, each of which
/// can only rise. A window goes past the lowest first, so that it takes nothing that counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Lately<const MAX: usize> {
    /// How many days.
    #[serde(rename = "w")]
    within: u32,
    #[serde(rename = "l")]
    last: LastDays,
    /// The last day of the best one that is not kept.
    #[serde(default, rename = "t", skip_serializing_if = "Option::is_none")]
    trimmed: Option<i64>,
}

/// Stored as base64 of seven bytes each: four of the hash, three of the day.
#[derive(Debug, Clone, PartialEq, Default)]
struct LastDays(BTreeMap<u32, i64>);

impl<const MAX: usize> Lately<MAX> {
    pub(super) fn new(within: u32) -> Self {
        Lately { within, last: LastDays::default(), trimmed: None }
    }

    pub(super) fn add(&mut self, name: &str, day: i64) {
        self.add_hash(hash(name.as_bytes()), day);
    }

    fn add_hash(&mut self, hash: u32, day: i64) {
        let until = self.last.0.values().max().map_or(day, |until| day.max(*until));
        let gone = until - i64::from(self.within);
        if day <= gone {
            return;
        }
        if day == until {
            self.last.0.retain(|_, last| *last > gone);
            self.trimmed = self.trimmed.filter(|trimmed| *trimmed > gone);
        }
        let last = self.last.0.entry(hash).or_insert(day);
        *last = day.max(*last);
        self.bound(MAX);
    }

    pub(super) fn bound(&mut self, max: usize) {
        while self.last.0.len() > max {
            let least = self.last.0.iter().map(|(hash, day)| (*day, *hash)).min();
            let Some((day, hash)) = least else { return };
            self.last.0.remove(&hash);
            latest(&mut self.trimmed, Some(day));
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (hash, day) in &other.last.0 {
            self.add_hash(*hash, *day);
        }
        let until = self.last.0.values().max().copied().unwrap_or(i64::MIN);
        latest(&mut self.trimmed, other.trimmed);
        let gone = until.saturating_sub(i64::from(self.within));
        self.trimmed = self.trimmed.filter(|trimmed| *trimmed > gone);
    }

    /// How many in the window that ends with `today`.
    pub(super) fn count(&self, today: i64) -> u64 {
        let from = today - i64::from(self.within);
        let inside = self.last.0.values().filter(|day| **day > from).count();
        u64::try_from(inside).unwrap_or(u64::MAX)
    }

    /// Whether there were more in the window that ends with `today`.
    pub(super) fn is_trimmed(&self, today: i64) -> bool {
        self.trimmed.is_some_and(|day| day > today - i64::from(self.within))
    }

    /// The day on which the first of those counted today leaves the window.
    pub(super) fn leaves(&self, today: i64) -> Option<i64> {
        let within = i64::from(self.within);
        let inside = self.last.0.values().filter(|day| **day > today - within);
        inside.min().map(|day| day + within)
    }
}

impl Serialize for LastDays {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::with_capacity(self.0.len() * 7);
        for (hash, day) in &self.0 {
            bytes.extend_from_slice(&hash.to_be_bytes());
            // The last day that a stamp can have needs 22 bits.
            let [_, three @ ..] = u32::try_from(*day).unwrap_or(0).to_be_bytes();
            bytes.extend_from_slice(&three);
        }
        serializer.serialize_str(&data_encoding::BASE64_NOPAD.encode(&bytes))
    }
}

impl<'de> Deserialize<'de> for LastDays {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'_, str>::deserialize(deserializer)?;
        let bytes =
            data_encoding::BASE64_NOPAD.decode(text.as_bytes()).map_err(D::Error::custom)?;
        let (all, rest) = bytes.as_chunks::<7>();
        if !rest.is_empty() {
            return Err(D::Error::custom("expected seven bytes each"));
        }
        let read = |[a, b, c, d, x, y, z]: &[u8; 7]| {
            let day = u32::from_be_bytes([0, *x, *y, *z]);
            (u32::from_be_bytes([*a, *b, *c, *d]), i64::from(day))
        };
        Ok(LastDays(all.iter().map(read).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(adds: &[(u32, i64)]) -> Lately<4> {
        let mut lately = Lately::new(10);
        for (hash, day) in adds {
            lately.add_hash(*hash, *day);
        }
        lately
    }

    proptest! {
        /// Against all there was: the four that were there last inside the window, and the day of
        /// the fifth; in any order and grouping.
        #[test]
        fn it_is_the_latest_few_of_the_window(
            adds in prop::collection::vec((0..9_u32, 100..140_i64), 1..30), cut in 0..30_usize,
        ) {
            let mut last: BTreeMap<u32, i64> = BTreeMap::new();
            for (hash, day) in &adds {
                let held = last.entry(*hash).or_insert(*day);
                *held = (*held).max(*day);
            }
            let until = last.values().max().copied().unwrap();
            let mut all: Vec<(i64, u32)> = last.iter().map(|(hash, day)| (*day, *hash)).collect();
            all.retain(|(day, _)| *day > until - 10);
            all.sort_unstable_by(|a, b| b.cmp(a));
            let expected: BTreeMap<u32, i64> =
                all.iter().take(4).map(|(day, hash)| (*hash, *day)).collect();
            let found = of(&adds);
            prop_assert_eq!(&found.last.0, &expected);
            prop_assert_eq!(found.trimmed, all.get(4).map(|(day, _)| *day));
            let mut turned = adds.clone();
            turned.reverse();
            prop_assert_eq!(&of(&turned), &found);
            let (one, other) = adds.split_at(cut.min(adds.len()));
            let mut merged = of(one);
            merged.merge(&of(other));
            prop_assert_eq!(&merged, &found);
            let text = serde_json::to_string(&found).unwrap();
            prop_assert_eq!(serde_json::from_str::<Lately<4>>(&text).unwrap(), found);
        }
    }

    #[test]
    fn days_go_by() {
        let lately = of(&[(1, 100), (2, 105), (1, 103)]);
        assert_eq!([105, 112, 113, 115].map(|today| lately.count(today)), [2, 2, 1, 0]);
        assert_eq!(lately.leaves(105), Some(113));
        assert_eq!(lately.leaves(114), Some(115));
        assert!(!lately.is_trimmed(105));
        let many = of(&[(1, 100), (2, 105), (3, 105), (4, 105), (5, 105)]);
        assert!(many.is_trimmed(105) && !many.is_trimmed(110));
    }
}
