//! What several events said of one thing, field by field: one that says less takes nothing back.

use super::top::{Register, latest};
use crate::ids::Position;
use crate::time::Stamp;
use serde::{Deserialize, Serialize};
use std::borrow::Borrow;
use std::collections::BTreeMap;

/// Something that events describe in as many words as they like.
pub trait Fields: Default {
    /// A letter for each field; as it is stored, where the value has names.
    const LETTERS: &'static str;

    /// Whether a field is known.
    fn has(&self, field: char) -> bool;

    /// Changes a field for the other's.
    fn swap(&mut self, field: char, other: &mut Self);
}

/// A value that is one field.
impl<T> Fields for Option<T> {
    const LETTERS: &'static str = "v";

    fn has(&self, _: char) -> bool {
        self.is_some()
    }

    fn swap(&mut self, _: char, other: &mut Self) {
        std::mem::swap(self, other);
    }
}

/// Takes some fields out of a value.
fn take<V: Fields>(from: &mut V, fields: &str) -> V {
    let mut taken = V::default();
    for field in fields.chars() {
        taken.swap(field, from);
    }
    taken
}

/// What is known of each of several things, each field by the last event that gave it; of more than
/// `MAX` things, those that were mentioned last.
///
/// Why that commutes: which things are kept, and what `trimmed` comes to, is as with
/// [`Top`](super::Top). A thing that is dropped and mentioned again has lost its fields, in one
/// order of arrival and not in another; but it was dropped at its last mention until then, so that
/// no such field is later than `trimmed`. Hence those that are not count in no order, but for what
/// the last mention itself says: a thing that is kept at that place was never dropped since.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound(
    serialize = "K: Serialize + Ord, V: Serialize",
    deserialize = "K: Deserialize<'de> + Ord, V: Deserialize<'de>"
))]
pub struct Described<K, V, const MAX: usize> {
    /// What is kept: the last mention, and all that is known.
    #[serde(rename = "k")]
    entries: BTreeMap<K, Register<V>>,
    /// The latest last mention among the things that are not kept; none where all are.
    #[serde(default, rename = "t", skip_serializing_if = "Option::is_none")]
    trimmed: Option<Position>,
    /// The fields that the last mention did not give, by their letters: by which events before it,
    /// the latest first.
    #[serde(default, rename = "e", skip_serializing_if = "BTreeMap::is_empty")]
    earlier: BTreeMap<K, Vec<Register<String>>>,
}

impl<K, V, const MAX: usize> Default for Described<K, V, MAX> {
    fn default() -> Self {
        Described { entries: BTreeMap::new(), trimmed: None, earlier: BTreeMap::new() }
    }
}

impl<K: Ord + Clone, V: Fields, const MAX: usize> Described<K, V, MAX> {
    /// Whether nothing was ever mentioned.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.trimmed.is_none()
    }

    /// Whether something is not kept.
    #[must_use]
    pub fn is_trimmed(&self) -> bool {
        self.trimmed.is_some()
    }

    /// How many things are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The last mention of a thing, and all that is known of it.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&Register<V>>
    where
        K: Borrow<Q>,
    {
        self.entries.get(key)
    }

    /// All things by key.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &Register<V>)> {
        self.entries.iter()
    }

    /// All things, the one mentioned last first.
    #[must_use]
    pub fn latest_first(&self) -> Vec<(&K, &Register<V>)> {
        let mut all: Vec<_> = self.entries.iter().collect();
        all.sort_by_key(|(_, register)| std::cmp::Reverse(register.at));
        all
    }

    /// Which event a field is of.
    pub(super) fn given<Q: Ord + ?Sized>(&self, key: &Q, field: char) -> Option<Position>
    where
        K: Borrow<Q>,
    {
        let held = self.entries.get(key)?;
        given(held, self.earlier.get(key).map_or(&[], Vec::as_slice), field)
    }

    /// Writes the fields that `value` has, each unless a later event gave it already.
    pub(super) fn write<Q>(&mut self, key: &Q, at: Position, value: impl FnOnce() -> V)
    where
        Q: Ord + ?Sized + ToOwned<Owned = K>,
        K: Borrow<Q>,
    {
        if self.trimmed.is_some_and(|trimmed| at < trimmed) {
            return;
        }
        let Some(held) = self.entries.get_mut(key) else {
            self.entries.insert(key.to_owned(), Register { at, value: value() });
            self.bound(MAX);
            return;
        };
        let mut said = value();
        let earlier = self.earlier.remove(key).unwrap_or_default();
        let says_all = |field| said.has(field) || !held.value.has(field);
        if held.at < at && V::LETTERS.chars().all(says_all) {
            *held = Register { at, value: said };
            return;
        }
        let mention = held.at.max(at);
        let mut places: Vec<Register<String>> = Vec::new();
        for field in V::LETTERS.chars() {
            let before = given(held, &earlier, field);
            let is_news = said.has(field) && before.is_none_or(|before| before < at);
            if is_news {
                held.value.swap(field, &mut said);
            }
            let place = if is_news { Some(at) } else { before };
            if let Some(place) = place.filter(|place| *place < mention) {
                note(&mut places, place, field);
            }
        }
        held.at = mention;
        if !places.is_empty() {
            self.earlier.insert(key.to_owned(), places);
            self.settle();
        }
    }

    /// Adds everything another one holds.
    pub(super) fn merge(&mut self, other: &Self)
    where
        V: Clone,
    {
        for (key, register) in &other.entries {
            let mut value = register.value.clone();
            let places = other.earlier.get(key).into_iter().flatten();
            let earlier: Vec<(Position, V)> =
                places.map(|place| (place.at, take(&mut value, &place.value))).collect();
            self.write::<K>(key, register.at, || value);
            for (at, said) in earlier {
                self.write::<K>(key, at, || said);
            }
        }
        latest(&mut self.trimmed, other.trimmed);
        self.settle();
    }

    /// Keeps at most `max` things.
    pub(super) fn bound(&mut self, max: usize) {
        while self.entries.len() > max {
            let least =
                self.entries.iter().min_by_key(|(_, r)| r.at).map(|(k, r)| (k.clone(), r.at));
            let Some((key, at)) = least else { return };
            self.entries.remove(&key);
            self.earlier.remove(&key);
            latest(&mut self.trimmed, Some(at));
        }
        self.settle();
    }

    /// Forgets everything that was said at or before an instant.
    pub(super) fn clear_until(&mut self, cleared: Stamp) {
        self.forget(|at| at.at <= cleared);
        self.entries.retain(|_, register| register.at.at > cleared);
        self.trimmed = self.trimmed.filter(|trimmed| trimmed.at > cleared);
    }

    /// Forgets the fields that count no more since something was dropped.
    fn settle(&mut self) {
        if let Some(trimmed) = self.trimmed {
            self.forget(|at| at <= trimmed);
        }
    }

    /// Forgets the fields that events before the last mention gave at such places.
    fn forget(&mut self, is_over: impl Fn(Position) -> bool) {
        let entries = &mut self.entries;
        self.earlier.retain(|key, places| {
            if let Some(held) = entries.get_mut(key) {
                for place in places.iter().filter(|place| is_over(place.at)) {
                    take(&mut held.value, &place.value);
                }
            }
            places.retain(|place| !is_over(place.at));
            !places.is_empty()
        });
    }
}

/// Which event a field is of, where it is known.
fn given<V: Fields>(
    held: &Register<V>,
    earlier: &[Register<String>],
    field: char,
) -> Option<Position> {
    let place = || earlier.iter().find(|place| place.value.contains(field));
    held.value.has(field).then(|| place().map_or(held.at, |place| place.at))
}

/// Adds a field to those of a place.
fn note(places: &mut Vec<Register<String>>, at: Position, field: char) {
    match places.binary_search_by(|place| at.cmp(&place.at)) {
        Ok(found) => {
            if let Some(place) = places.get_mut(found) {
                place.value.push(field);
            }
        }
        Err(found) => places.insert(found, Register { at, value: field.to_string() }),
    }
}
