//! What each of the first so many is called.

use super::tally::Earliest;
use super::text::clip;
use crate::ids::EventHash;
use crate::time::Stamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The longest name, in bytes: as much of it as signals show.
const NAME_BYTES_MAX: usize = 48;

/// What each of an [`Earliest`] is called by the event that it has its stamp of: which form was sent
/// off, what a complaint is about. One that this event names nothing has no name here, whatever
/// others say of it. Of events of the same instant the greatest name counts.
///
/// It commutes because the names go with the stamps: whoever is among the earliest in the end was so
/// since the first of the events of its least stamp, and is called by those alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub(super) struct Called(BTreeMap<EventHash, String>);

impl Called {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds to `firsts` what happened then and is called so.
    pub(super) fn add<const MAX: usize>(
        &mut self,
        firsts: &mut Earliest<MAX>,
        (what, at): (EventHash, Stamp),
        name: Option<&str>,
    ) {
        let before = firsts.get(what);
        if before.is_some_and(|before| before < at) {
            return;
        }
        firsts.add(what, at);
        if before != Some(at) {
            self.0.remove(&what);
        }
        if let Some(name) = name.map(|name| clip(name, NAME_BYTES_MAX))
            && self.0.get(&what).is_none_or(|held| held.as_str() < name)
        {
            self.0.insert(what, name.to_owned());
        }
        self.0.retain(|what, _| firsts.get(*what).is_some());
    }

    /// Adds all that `others` are and are called.
    pub(super) fn merge<const MAX: usize>(
        &mut self,
        firsts: &mut Earliest<MAX>,
        others: (&Earliest<MAX>, &Called),
    ) {
        for (at, what) in others.0.in_order() {
            let name = others.1.0.get(&what).map(String::as_str);
            self.add(firsts, (what, at), name);
        }
    }

    /// What the so many-th is called, counted from 1.
    pub(super) fn nth<const MAX: usize>(&self, firsts: &Earliest<MAX>, n: u64) -> Option<&str> {
        let n = usize::try_from(n).ok()?.checked_sub(1)?;
        let (_, what) = *firsts.in_order().get(n)?;
        self.0.get(&what).map(String::as_str)
    }

    /// Keeps at most `max` names.
    pub(super) fn bound(&mut self, max: usize) {
        while self.0.len() > max {
            self.0.pop_last();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Which of them, when, and what it was called.
    type Told = (u8, i64, Option<u8>);

    fn of(told: &[Told]) -> (Earliest<4>, Called) {
        let (mut firsts, mut called) = (Earliest::default(), Called::default());
        for (what, at, name) in told {
            let what = EventHash::of(&what.to_string());
            let name = name.map(|name| format!("called {name}"));
            called.add(&mut firsts, (what, Stamp::from_ms(*at)), name.as_deref());
        }
        (firsts, called)
    }

    proptest! {
        /// Against all there was: the names said at the first instant of each of the first four; in
        /// any order, grouping and repetition.
        #[test]
        fn each_is_called_as_it_was_first(
            told in prop::collection::vec((0..9_u8, 0..12_i64, prop::option::of(0..5_u8)), 1..30),
            cut in 0..30_usize,
        ) {
            let (firsts, called) = of(&told);
            let expected: Vec<Option<String>> = firsts
                .in_order()
                .into_iter()
                .map(|(at, what)| {
                    let is_it = |told: &&Told| {
                        EventHash::of(&told.0.to_string()) == what && told.1 == at.ms()
                    };
                    let names = told.iter().filter(is_it).filter_map(|told| told.2);
                    names.max().map(|name| format!("called {name}"))
                })
                .collect();
            let found: Vec<Option<String>> = (1..=firsts.len() as u64)
                .map(|n| called.nth(&firsts, n).map(str::to_owned))
                .collect();
            prop_assert_eq!(found, expected);
            let mut turned = told.clone();
            turned.reverse();
            turned.extend(&told);
            prop_assert_eq!(&of(&turned), &(firsts.clone(), called.clone()));
            let (one, other) = told.split_at(cut.min(told.len()));
            let (mut merged, other) = (of(one), of(other));
            merged.1.merge(&mut merged.0, (&other.0, &other.1));
            prop_assert_eq!(&merged, &(firsts, called.clone()));
            let text = serde_json::to_string(&called).unwrap();
            prop_assert_eq!(serde_json::from_str::<Called>(&text).unwrap(), called);
        }
    }
}
