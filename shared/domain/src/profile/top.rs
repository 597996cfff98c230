//! Registers and bounded collections whose order of arrival leaves no trace.

use crate::ids::{EventHash, Position};
use crate::time::Stamp;
use serde::de::Deserializer;
use serde::ser::{SerializeTuple, Serializer};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A value and the event that wrote it last. Stored as `[ms, id, value]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Register<V> {
    /// The writer's place in the total order.
    pub at: Position,
    /// What it wrote.
    pub value: V,
}

impl<V: Serialize> Serialize for Register<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(3)?;
        tuple.serialize_element(&self.at.at)?;
        tuple.serialize_element(&self.at.id)?;
        tuple.serialize_element(&self.value)?;
        tuple.end()
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Register<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (at, id, value) = <(Stamp, EventHash, V)>::deserialize(deserializer)?;
        Ok(Register { at: Position { at, id }, value })
    }
}

impl<V> Register<V> {
    /// Writes what `value` makes into `slot`, unless a later event already wrote there.
    pub(super) fn write(slot: &mut Option<Register<V>>, at: Position, value: impl FnOnce() -> V) {
        if slot.as_ref().is_none_or(|held| held.at < at) {
            *slot = Some(Register { at, value: value() });
        }
    }

    /// Writes `value` into `slot`, unless a later event already wrote there. What is the same as
    /// before, as most of what a client repeats with each event is, is not copied.
    pub(super) fn rewrite<W>(slot: &mut Option<Register<V>>, at: Position, value: &W)
    where
        W: ToOwned<Owned = V> + PartialEq<V> + ?Sized,
    {
        match slot {
            Some(held) if held.at >= at => {}
            Some(held) if *value == held.value => held.at = at,
            _ => *slot = Some(Register { at, value: value.to_owned() }),
        }
    }

    /// Writes `value` into `slot`, unless an earlier event already wrote there.
    pub(super) fn rewrite_first(slot: &mut Option<Register<V>>, at: Position, value: &V)
    where
        V: Clone,
    {
        if slot.as_ref().is_none_or(|held| at < held.at) {
            *slot = Some(Register { at, value: value.clone() });
        }
    }

    /// The later of two.
    pub(super) fn merge(slot: &mut Option<Register<V>>, other: Option<&Register<V>>)
    where
        V: Clone,
    {
        if let Some(other) = other {
            Register::write(slot, other.at, || other.value.clone());
        }
    }
}

/// The later of two marks.
pub(super) fn latest<T: Ord + Copy>(slot: &mut Option<T>, other: Option<T>) {
    if let Some(other) = other
        && slot.is_none_or(|held| held < other)
    {
        *slot = Some(other);
    }
}

/// The earlier of two marks.
pub(super) fn earliest<T: Ord + Copy>(slot: &mut Option<T>, other: Option<T>) {
    if let Some(other) = other
        && slot.is_none_or(|held| other < held)
    {
        *slot = Some(other);
    }
}

/// One register for each key; of more than `MAX` keys, those written to last.
///
/// Why that commutes: a key that is dropped has `MAX` keys above it, each of which can only rise,
/// so a late write below the place where it was dropped is dropped again, and one above it is the
/// key's true last write. By the same argument `trimmed` is the place of the best key that
/// is not in, whatever the order of arrival.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound(
    serialize = "K: Serialize + Ord, V: Serialize",
    deserialize = "K: Deserialize<'de> + Ord, V: Deserialize<'de>"
))]
pub struct Top<K, V, const MAX: usize> {
    /// What is kept.
    #[serde(rename = "k")]
    entries: BTreeMap<K, Register<V>>,
    /// The latest write among the keys that are not kept; none where all are.
    #[serde(default, rename = "t", skip_serializing_if = "Option::is_none")]
    trimmed: Option<Position>,
}

impl<K, V, const MAX: usize> Default for Top<K, V, MAX> {
    fn default() -> Self {
        Top { entries: BTreeMap::new(), trimmed: None }
    }
}

impl<K: Ord + Clone, V, const MAX: usize> Top<K, V, MAX> {
    /// Whether nothing was ever written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.trimmed.is_none()
    }

    /// Whether some key is not kept.
    #[must_use]
    pub fn is_trimmed(&self) -> bool {
        self.trimmed.is_some()
    }

    /// How many keys are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The register of a key.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&Register<V>>
    where
        K: std::borrow::Borrow<Q>,
    {
        self.entries.get(key)
    }

    /// All registers by key.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &Register<V>)> {
        self.entries.iter()
    }

    /// All registers, the latest first.
    #[must_use]
    pub fn latest_first(&self) -> Vec<(&K, &Register<V>)> {
        let mut all: Vec<_> = self.entries.iter().collect();
        all.sort_by_key(|(_, register)| std::cmp::Reverse(register.at));
        all
    }

    /// Moves the register of `key` on to `at` where it already holds `value`; whether it does.
    pub(super) fn repeat<Q>(&mut self, key: &Q, at: Position, value: &V) -> bool
    where
        Q: Ord + ?Sized,
        K: std::borrow::Borrow<Q>,
        V: PartialEq,
    {
        let held = self.entries.get_mut(key).filter(|held| held.value == *value);
        if let Some(held) = held {
            held.at = held.at.max(at);
            return true;
        }
        false
    }

    /// Writes what `value` makes under `key`, unless a later event already did.
    pub(super) fn write<Q>(&mut self, key: &Q, at: Position, value: impl FnOnce() -> V)
    where
        Q: Ord + ?Sized + ToOwned<Owned = K>,
        K: std::borrow::Borrow<Q>,
    {
        if let Some(held) = self.entries.get_mut(key) {
            if held.at < at {
                *held = Register { at, value: value() };
            }
            return;
        }
        // Of keys that one event wrote, the greatest are kept: whether it is one is seen below.
        if self.entries.len() >= MAX && self.trimmed.is_some_and(|trimmed| at < trimmed) {
            return;
        }
        self.entries.insert(key.to_owned(), Register { at, value: value() });
        self.bound(MAX);
    }

    /// Adds everything another one holds.
    pub(super) fn merge(&mut self, other: &Self)
    where
        V: Clone,
    {
        for (key, register) in &other.entries {
            self.write::<K>(key, register.at, || register.value.clone());
        }
        latest(&mut self.trimmed, other.trimmed);
    }

    /// Keeps at most `max` keys.
    pub(super) fn bound(&mut self, max: usize) {
        while self.entries.len() > max {
            let least =
                self.entries.iter().min_by_key(|(_, r)| r.at).map(|(k, r)| (k.clone(), r.at));
            let Some((key, at)) = least else { return };
            self.entries.remove(&key);
            latest(&mut self.trimmed, Some(at));
        }
    }
}
