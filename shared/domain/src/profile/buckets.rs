//! Values by UTC day, as far back as a window reaches.

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

/// Something for each UTC day of a window, or one thing for ever.
///
/// The window ends at the latest day written to, so that what is kept is a function of what was
/// written alone; a reader's own window ends today, which is never earlier, and so lies inside.
/// Stored as `[window, oldest day, value, days to the next, value, …]`, days counted from 1970; a
/// window of 0 is for ever and has the one day 0.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Buckets<T> {
    /// How many days; 0 is for ever.
    within: u32,
    days: BTreeMap<i64, T>,
}

impl<T: Default> Buckets<T> {
    pub(super) fn new(within: u32) -> Buckets<T> {
        Buckets { within, days: BTreeMap::new() }
    }

    pub(super) fn is_windowed(&self) -> bool {
        self.within > 0
    }

    /// The bucket of a day, to write to; none where the window has gone past it.
    pub(super) fn at(&mut self, day: i64) -> Option<&mut T> {
        if self.within == 0 {
            return Some(self.days.entry(0).or_default());
        }
        let latest = self.days.last_key_value().map_or(day, |(latest, _)| *latest);
        if day <= latest - i64::from(self.within) {
            return None;
        }
        if day > latest {
            self.days.retain(|kept, _| *kept > day - i64::from(self.within));
        }
        Some(self.days.entry(day).or_default())
    }

    /// Adds other days' values to these.
    pub(super) fn merge(&mut self, other: &Self, add: impl Fn(&mut T, &T)) {
        for (day, of) in &other.days {
            if let Some(held) = self.at(*day) {
                add(held, of);
            }
        }
    }

    /// The values inside the window that ends with `today`, the oldest day first.
    pub(super) fn until(&self, today: i64) -> impl Iterator<Item = &T> {
        let from = self.from(today);
        self.days.range(from..).map(|(_, of)| of)
    }

    /// The day on which the oldest value inside the window that ends with `today` leaves it.
    pub(super) fn leaves(&self, today: i64) -> Option<i64> {
        let (oldest, _) = self.days.range(self.from(today)..).next()?;
        self.is_windowed().then(|| oldest + i64::from(self.within))
    }

    fn from(&self, today: i64) -> i64 {
        if self.within == 0 { 0 } else { today - i64::from(self.within) + 1 }
    }

    pub(super) fn each(&mut self, change: impl FnMut(&mut T)) {
        self.days.values_mut().for_each(change);
    }
}

impl<T: Serialize> Serialize for Buckets<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(1 + 2 * self.days.len()))?;
        seq.serialize_element(&self.within)?;
        let mut before = 0;
        for (day, of) in &self.days {
            seq.serialize_element(&(day - before))?;
            seq.serialize_element(of)?;
            before = *day;
        }
        seq.end()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Buckets<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Flat(PhantomData))
    }
}

struct Flat<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Flat<T> {
    type Value = Buckets<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a window, then days and values in turn")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let within = seq.next_element()?.ok_or_else(|| A::Error::custom("expected a window"))?;
        let mut days = BTreeMap::new();
        let mut day: i64 = 0;
        while let Some(gap) = seq.next_element::<i64>()? {
            day = day.checked_add(gap).ok_or_else(|| A::Error::custom("expected a day"))?;
            let of = seq.next_element()?;
            days.insert(day, of.ok_or_else(|| A::Error::custom("expected a value"))?);
        }
        Ok(Buckets { within, days })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(within: u32, days: &[i64]) -> Buckets<u64> {
        let mut buckets = Buckets::new(within);
        for day in days {
            if let Some(count) = buckets.at(*day) {
                *count += 1;
            }
        }
        buckets
    }

    #[test]
    fn a_window_ends_at_its_latest_day() {
        let buckets = of(3, &[100, 99, 97, 103, 101, 100, 101]);
        assert_eq!(serde_json::to_string(&buckets).unwrap(), "[3,101,2,2,1]");
        let ever = of(0, &[100, 5]);
        assert_eq!(serde_json::to_string(&ever).unwrap(), "[0,0,2]");
        assert_eq!(of(3, &[103, 101, 100, 97, 101, 100, 99]), buckets);
    }

    #[test]
    fn a_reader_sees_its_own_window() {
        let buckets = of(3, &[101, 102, 103]);
        let sum = |today| buckets.until(today).sum::<u64>();
        assert_eq!([103, 104, 105, 106].map(sum), [3, 2, 1, 0]);
        assert_eq!(buckets.leaves(103), Some(104));
        assert_eq!(buckets.leaves(104), Some(105));
        assert_eq!(buckets.leaves(106), None);
        assert_eq!(of(0, &[1]).leaves(5), None);
    }

    #[test]
    fn what_is_stored_reads_back() {
        for buckets in [of(3, &[101, 102]), of(0, &[7]), of(90, &[])] {
            let text = serde_json::to_string(&buckets).unwrap();
            assert_eq!(serde_json::from_str::<Buckets<u64>>(&text).unwrap(), buckets);
        }
        for text in ["[]", "[3,1]", "{}", "[3,\"a\",1]", "[3,9223372036854775807,1,1,1]"] {
            assert!(serde_json::from_str::<Buckets<u64>>(text).is_err(), "{text}");
        }
    }
}
