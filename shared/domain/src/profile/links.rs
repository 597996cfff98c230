//! Links: which profile an anonymous id belongs to.
//!
//! An anonymous id belongs to the earliest claim, a claim being the position of an event that
//! named a user. That is a minimum, so the order in which claims arrive leaves no trace; and a
//! device that two customers share stays with the first and welds nobody.

use super::{ACCUMULATORS_MAX, Accumulator, IdentityItem, Root};
use crate::ids::{EventHash, IdentityKey, Position};
use crate::time::{Span, Stamp};

/// The most anonymous ids that are linked to one profile, compacted ones included.
pub const LINKS_MAX: usize = 128;
/// An accumulator idle for so long may be compacted.
const IDLE: Span = Span::DAY.times(30);
/// The claim of a final link: no event is earlier.
const FINAL: Position = Position { at: Stamp::MIN, id: EventHash([0; 8]) };

/// Where an anonymous id stands when a user claims it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nobody has seen it: it becomes a pointer.
    Absent,
    /// It is a profile of its own: its accumulator moves into the user's.
    Unlinked,
    /// It is already this user's, by a later claim: the claim is replaced.
    OwnLater,
    /// It is another user's by a later claim: its accumulator moves from there.
    OthersLater(IdentityKey),
    /// Nothing is to be done: it is already this user's, or another's by an earlier claim.
    Settled,
}

/// Compares a claim with where the anonymous id stands.
#[must_use]
pub fn standing(item: Option<&IdentityItem>, user: IdentityKey, claim: Position) -> Standing {
    match item {
        // An erased id that is used anew starts anew; what is from before stays dropped.
        None | Some(IdentityItem::Tombstone { .. }) => Standing::Absent,
        Some(IdentityItem::Root(_)) => Standing::Unlinked,
        Some(IdentityItem::Pointer { claim: held, .. }) if *held <= claim => Standing::Settled,
        Some(IdentityItem::Pointer { to, .. }) if *to == user => Standing::OwnLater,
        Some(IdentityItem::Pointer { to, .. }) => Standing::OthersLater(*to),
    }
}

/// Why an id was not linked. It stays what it was; the event is folded all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum RefusedLink {
    /// Two user ids, said to be one person by a source that anybody can write to.
    #[error("two user ids from a browser")]
    TwoUsersFromBrowser,
    /// Two user ids, said to be one person by a server: merging known users is not offered yet.
    #[error("two user ids from a server")]
    TwoUsersFromServer,
    /// The profile has as many live accumulators as it may, and none has been idle for 30 days.
    #[error("the profile has {ACCUMULATORS_MAX} live identifiers")]
    Full,
}

impl RefusedLink {
    /// A stable code for logs and counts.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            RefusedLink::TwoUsersFromBrowser => "two_users_from_browser",
            RefusedLink::TwoUsersFromServer => "two_users_from_server",
            RefusedLink::Full => "profile_full",
        }
    }
}

impl Root {
    /// Whether this root already holds `anonymous` by this claim or an earlier one, so that nothing
    /// has to be read to know that nothing has to be done.
    #[must_use]
    pub fn holds(&self, anonymous: IdentityKey, claim: Position) -> bool {
        self.links.get(&anonymous).is_some_and(|held| *held <= claim)
    }

    /// Takes an accumulator in, whole.
    pub fn adopt(&mut self, anonymous: IdentityKey, accumulator: Accumulator, claim: Position) {
        self.accumulators.insert(anonymous, accumulator);
        self.links.insert(anonymous, claim);
    }

    /// Hands an accumulator over, whole.
    pub fn release(&mut self, anonymous: IdentityKey) -> Accumulator {
        self.links.remove(&anonymous);
        self.accumulators.remove(&anonymous).unwrap_or_default()
    }

    /// Makes room for one more accumulator in the root stored at `own`, where there is none by
    /// compacting those that have been idle for 30 days. Returns the ids whose links became final;
    /// each one's pointer must then carry [`Root::final_claim`].
    ///
    /// # Errors
    /// [`RefusedLink::Full`] where none is idle.
    pub fn make_room(
        &mut self,
        own: IdentityKey,
        now: Stamp,
    ) -> Result<Vec<IdentityKey>, RefusedLink> {
        if self.links.len() >= LINKS_MAX {
            return Err(RefusedLink::Full);
        }
        if self.accumulators.len() < ACCUMULATORS_MAX {
            return Ok(Vec::new());
        }
        let idle: Vec<IdentityKey> = self
            .accumulators
            .iter()
            // One that remembers an erasure keeps it for itself.
            .filter(|(key, held)| **key != own && held.erased.is_none())
            .filter(|(key, held)| {
                let linked = self.links.get(key).map_or(Stamp::MIN, |claim| claim.at);
                let last = held.facts.seen.map_or(linked, |seen| seen.last.max(linked));
                last.plus(IDLE) <= now
            })
            .map(|(key, _)| *key)
            .collect();
        if idle.is_empty() {
            return Err(RefusedLink::Full);
        }
        for key in &idle {
            if let Some(compacted) = self.accumulators.remove(key) {
                self.accumulators.entry(own).or_default().merge(&compacted);
            }
            self.links.insert(*key, FINAL);
        }
        Ok(idle)
    }

    /// The claim that a final link's pointer carries: none is earlier.
    #[must_use]
    pub const fn final_claim() -> Position {
        FINAL
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Seen;

    fn key(n: u8) -> IdentityKey {
        IdentityKey::from_bytes([n; 16])
    }

    fn at(ms: i64) -> Position {
        Position { at: Stamp::from_ms(ms), id: EventHash([0; 8]) }
    }

    #[test]
    fn the_earliest_claim_wins() {
        let pointer = |to, ms| IdentityItem::Pointer { to: key(to), claim: at(ms) };
        for (item, expected) in [
            (None, Standing::Absent),
            (Some(IdentityItem::Tombstone { erased: Stamp::MIN }), Standing::Absent),
            (Some(IdentityItem::Root(Box::default())), Standing::Unlinked),
            (Some(pointer(1, 5)), Standing::Settled),
            (Some(pointer(1, 10)), Standing::Settled),
            (Some(pointer(1, 15)), Standing::OwnLater),
            (Some(pointer(2, 5)), Standing::Settled),
            (Some(pointer(2, 15)), Standing::OthersLater(key(2))),
        ] {
            assert_eq!(standing(item.as_ref(), key(1), at(10)), expected, "{item:?}");
        }
    }

    #[test]
    fn idle_accumulators_make_room_and_their_links_are_final() {
        let now = Stamp::from_ms(100 * 86_400_000);
        let mut root = Root::default();
        root.accumulators.insert(key(0), Accumulator::default());
        for n in 1..16 {
            let mut accumulator = Accumulator::default();
            accumulator.facts.seen = Some(Seen { first: now, last: now });
            accumulator.facts.total = 1;
            root.adopt(key(n), accumulator, at(1));
        }
        assert_eq!(root.make_room(key(0), now), Err(RefusedLink::Full));
        let month_ago = now.minus(Span::DAY.times(30));
        for n in [3, 5] {
            root.accumulators.get_mut(&key(n)).unwrap().facts.seen =
                Some(Seen { first: month_ago, last: month_ago });
        }
        assert_eq!(root.make_room(key(0), now), Ok(vec![key(3), key(5)]));
        assert_eq!(root.accumulators.len(), 14);
        assert_eq!(root.accumulators[&key(0)].facts.total, 2);
        assert!(root.holds(key(3), at(0)));
        assert_eq!(root.accumulator_of(key(0), key(3)).0, key(0));
        assert_eq!(root.accumulator_of(key(0), key(4)).0, key(4));
    }
}
