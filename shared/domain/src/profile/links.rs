//! Links: which profile an identifier belongs to.
//!
//! An identifier that is not a user id belongs to the earliest claim, a claim being the position of
//! an event that named a user beside it. That is a minimum, so the order in which claims arrive
//! leaves no trace; and a device or an address that two customers share stays with the first and
//! welds nobody. Links lead to user ids alone, in one step.

use super::{ACCUMULATORS_MAX, Accumulator, IdentityItem, Root, Said};
use crate::identity::IdKind;
use crate::ids::{EventHash, IdentityKey, Position};
use crate::time::{Span, Stamp};
use serde::{Deserialize, Serialize};

/// The most identifiers of all kinds that are linked to one profile, compacted ones included.
pub const LINKS_MAX: usize = 128;
/// Of [`ACCUMULATORS_MAX`], those that anonymous ids leave free: whoever knows a user id can claim
/// devices for it, and must not keep out what takes a server's word.
pub const ACCUMULATORS_VOUCHED: usize = 4;
/// Of [`LINKS_MAX`], the same.
pub const LINKS_VOUCHED: usize = 16;
/// The most splits that one profile remembers.
pub const SPLITS_MAX: usize = 32;
/// An accumulator idle for so long may be compacted.
const IDLE: Span = Span::DAY.times(30);
/// The claim of a final link: no event is earlier.
const FINAL: Position = Position { at: Stamp::MIN, id: EventHash([0; 8]) };

/// A link of an identifier to the root that holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    at: Stamp,
    id: EventHash,
    /// What sort of identifier it is.
    #[serde(default, skip_serializing_if = "IdKind::is_anonymous")]
    pub kind: IdKind,
    #[serde(default, rename = "final", skip_serializing_if = "std::ops::Not::not")]
    compacted: bool,
}

impl Link {
    /// A link by this claim.
    #[must_use]
    pub const fn new(kind: IdKind, claim: Position) -> Link {
        Link { at: claim.at, id: claim.id, kind, compacted: false }
    }

    /// The claim it is held by: the position of the event that named the user.
    #[must_use]
    pub const fn claim(&self) -> Position {
        Position { at: self.at, id: self.id }
    }

    /// Whether the identifier's accumulator was compacted into the root's own: nothing takes it out
    /// any more.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.compacted || self.claim() == FINAL
    }
}

/// What an identifier was before it is linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Origin {
    /// Nobody's or another profile's: it has decided on nothing itself.
    #[default]
    Linked,
    /// A profile of its own.
    Profile,
}

/// What leaves one root for another.
#[derive(Debug, Clone, Default)]
pub struct Moved {
    /// What it was.
    pub origin: Origin,
    /// Everything under the identifier.
    pub accumulator: Accumulator,
    /// What it said while it was a profile of its own; of one that is linked elsewhere only the
    /// last number of its timer.
    pub said: Said,
}

/// Where an identifier stands when a user claims it.
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

/// Compares a claim with where the identifier stands.
#[must_use]
pub fn standing(item: Option<&IdentityItem>, user: IdentityKey, claim: Position) -> Standing {
    match item {
        // An erased id that is used anew starts anew; what is from before stays dropped.
        None | Some(IdentityItem::Tombstone { .. }) => Standing::Absent,
        Some(IdentityItem::Root(_)) => Standing::Unlinked,
        // One message in two copies may name two users: then the lesser key is the earlier claim.
        Some(IdentityItem::Pointer { to, claim: held }) if (*held, *to) <= (claim, user) => {
            Standing::Settled
        }
        Some(IdentityItem::Pointer { to, .. }) if *to == user => Standing::OwnLater,
        Some(IdentityItem::Pointer { to, .. }) => Standing::OthersLater(*to),
    }
}

/// Why an id was not linked. It stays what it was; the event is folded all the same.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, thiserror::Error,
)]
#[serde(rename_all = "snake_case")]
pub enum RefusedLink {
    /// Two user ids, said to be one person by a source that anybody can write to.
    #[error("two user ids from a browser")]
    TwoUsersFromBrowser,
    /// Two user ids, said to be one person by a server: merging known users is not offered yet.
    #[error("two user ids from a server")]
    TwoUsersFromServer,
    /// The profile has as many live accumulators as it may, and none has been idle for 30 days; or
    /// as many links as it may.
    #[error("the profile has {ACCUMULATORS_MAX} live identifiers or {LINKS_MAX} links")]
    #[serde(rename = "profile_full")]
    Full,
    /// An operator has split the two.
    #[error("an operator has split the two")]
    #[serde(rename = "split")]
    Split,
}

impl RefusedLink {
    /// A stable code for logs and counts.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            RefusedLink::TwoUsersFromBrowser => "two_users_from_browser",
            RefusedLink::TwoUsersFromServer => "two_users_from_server",
            RefusedLink::Full => "profile_full",
            RefusedLink::Split => "split",
        }
    }
}

impl Root {
    /// Whether this root already holds an identifier by this claim or an earlier one, so that
    /// nothing has to be read to know that nothing has to be done.
    #[must_use]
    pub fn holds(&self, identity: IdentityKey, claim: Position) -> bool {
        self.links.get(&identity).is_some_and(|held| held.is_final() || held.claim() <= claim)
    }

    /// Whether the events of an identifier whose pointer leads here, by this claim, are still here. A
    /// pointer is read before its root, and another write may have moved the identifier in between.
    #[must_use]
    pub fn is_home_of(&self, identity: IdentityKey, claim: Position) -> bool {
        claim == FINAL
            || self.links.contains_key(&identity)
            || self.accumulators.contains_key(&identity)
    }

    /// Takes an accumulator in, whole, with what its profile had said. `said.arm` is remembered: no
    /// number is used twice, should the identifier ever be a profile again.
    pub fn adopt(&mut self, identity: IdentityKey, moved: Moved, link: Link) {
        self.accumulators.insert(identity, moved.accumulator);
        self.links.insert(identity, link);
        if moved.said.arm > 0 {
            self.said.arms.insert(identity, moved.said.arm);
        }
        // Whoever had decided on nothing has not left a segment undecided either.
        if moved.origin == Origin::Profile {
            self.said.absorb(moved.said);
        }
    }

    /// Holds an identifier of its own by an earlier claim than it did.
    pub fn hold_since(&mut self, identity: IdentityKey, claim: Position) {
        if let Some(link) = self.links.get_mut(&identity) {
            (link.at, link.id) = (claim.at, claim.id);
        }
    }

    /// Hands the accumulator of a linked identifier over, whole.
    pub fn release(&mut self, identity: IdentityKey) -> Moved {
        self.links.remove(&identity);
        let arm = self.said.arms.remove(&identity).unwrap_or(0);
        let accumulator = self.accumulators.remove(&identity).unwrap_or_default();
        Moved { origin: Origin::Linked, accumulator, said: Said { arm, ..Said::default() } }
    }

    /// Hands everything over of a root that becomes a link: its own accumulator, and what it said.
    pub fn surrender(&mut self, own: IdentityKey) -> Moved {
        let accumulator = self.accumulators.remove(&own).unwrap_or_default();
        Moved { origin: Origin::Profile, accumulator, said: std::mem::take(&mut self.said) }
    }

    /// Whether the root stored at `own` has room for one more accumulator of this kind, and which of
    /// its own would have to be compacted for it: none where a place is free, else those that have
    /// been idle for 30 days; those of anonymous ids first.
    ///
    /// # Errors
    /// [`RefusedLink::Full`] where none is idle, or there are as many links as there may be.
    pub fn room_for(
        &self,
        own: IdentityKey,
        kind: &IdKind,
        now: Stamp,
    ) -> Result<Vec<IdentityKey>, RefusedLink> {
        let of_devices = self.links.values().filter(|link| link.kind.is_anonymous()).count();
        let kept = |most: usize, vouched: usize| kind.is_anonymous().then_some(most - vouched);
        if self.links.len() >= LINKS_MAX
            || kept(LINKS_MAX, LINKS_VOUCHED).is_some_and(|most| of_devices >= most)
        {
            return Err(RefusedLink::Full);
        }
        let live = self.links.iter().filter(|(_, link)| link.kind.is_anonymous());
        let live = live.filter(|(key, _)| self.accumulators.contains_key(*key)).count();
        // One of them is the root's own.
        let most = kept(ACCUMULATORS_MAX - 1, ACCUMULATORS_VOUCHED);
        if self.accumulators.len() < ACCUMULATORS_MAX && most.is_none_or(|most| live < most) {
            return Ok(Vec::new());
        }
        let mut idle = self.idle(own, now);
        let is_device =
            |key: &IdentityKey| self.links.get(key).is_none_or(|link| link.kind.is_anonymous());
        if kind.is_anonymous() || idle.iter().any(is_device) {
            idle.retain(is_device);
        }
        if idle.is_empty() { Err(RefusedLink::Full) } else { Ok(idle) }
    }

    /// Makes room for one more accumulator, by compacting what [`Root::room_for`] says. Returns the
    /// ids whose links became final; each one's pointer must then carry [`Root::final_claim`].
    ///
    /// # Errors
    /// [`RefusedLink::Full`] where there is none.
    pub fn make_room(
        &mut self,
        own: IdentityKey,
        kind: &IdKind,
        now: Stamp,
    ) -> Result<Vec<IdentityKey>, RefusedLink> {
        let idle = self.room_for(own, kind, now)?;
        for key in &idle {
            if let Some(compacted) = self.accumulators.remove(key) {
                self.accumulators.entry(own).or_default().merge(&compacted);
            }
            self.said.arms.remove(key);
            self.links
                .entry(*key)
                .or_insert_with(|| Link::new(IdKind::default(), FINAL))
                .compacted = true;
        }
        Ok(idle)
    }

    /// The linked accumulators in which nothing has happened for 30 days.
    fn idle(&self, own: IdentityKey, now: Stamp) -> Vec<IdentityKey> {
        self.accumulators
            .iter()
            // One that remembers an erasure keeps it for itself.
            .filter(|(key, held)| **key != own && held.erased.is_none())
            .filter(|(key, held)| {
                let linked = self.links.get(key).map_or(Stamp::MIN, |link| link.at);
                let last = held.facts.seen.map_or(linked, |seen| seen.last.max(linked));
                last.plus(IDLE) <= now
            })
            .map(|(key, _)| *key)
            .collect()
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

    fn device(claim: Position) -> Link {
        Link::new(IdKind::Anonymous, claim)
    }

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
            (Some(pointer(2, 10)), Standing::OthersLater(key(2))),
            (Some(pointer(0, 10)), Standing::Settled),
        ] {
            assert_eq!(standing(item.as_ref(), key(1), at(10)), expected, "{item:?}");
        }
    }

    fn seen(last: Stamp) -> Accumulator {
        let mut accumulator = Accumulator::default();
        accumulator.facts.seen = Some(Seen { first: last, last });
        accumulator.facts.total = 1;
        accumulator
    }

    fn moved(last: Stamp) -> Moved {
        Moved { accumulator: seen(last), ..Moved::default() }
    }

    #[test]
    fn idle_accumulators_make_room_and_their_links_are_final() {
        let now = Stamp::from_ms(100 * 86_400_000);
        let month_ago = now.minus(Span::DAY.times(30));
        let mut root = Root::default();
        root.accumulators.insert(key(0), Accumulator::default());
        for n in 1..12 {
            assert_eq!(root.make_room(key(0), &IdKind::Anonymous, now), Ok(vec![]));
            root.adopt(key(n), moved(now), device(at(1)));
        }
        assert_eq!(root.make_room(key(0), &IdKind::Anonymous, now), Err(RefusedLink::Full));
        // What takes a server's word still has its room.
        for n in 12..16 {
            assert_eq!(root.make_room(key(0), &IdKind::Email, now), Ok(vec![]));
            root.adopt(key(n), moved(month_ago), Link::new(IdKind::Email, at(1)));
        }
        assert_eq!(root.accumulators.len(), ACCUMULATORS_MAX);
        assert_eq!(root.make_room(key(0), &IdKind::Anonymous, now), Err(RefusedLink::Full));
        for n in [3, 5] {
            root.accumulators.insert(key(n), seen(month_ago));
        }
        let mut other = root.clone();
        assert_eq!(
            root.make_room(key(0), &IdKind::Anonymous, now),
            Ok(vec![key(3), key(5)]),
            "devices make room for a device"
        );
        assert_eq!(root.accumulators.len(), 14);
        assert_eq!(root.accumulators[&key(0)].facts.total, 2);
        assert!(root.holds(key(3), at(0)) && root.links[&key(3)].is_final());
        assert_eq!(root.links[&key(3)].claim(), at(1), "whose it was by is still known");
        assert_eq!(root.accumulator_of(key(0), key(3)).0, key(0));
        assert_eq!(root.accumulator_of(key(0), key(4)).0, key(4));
        assert_eq!(other.make_room(key(0), &IdKind::Phone, now), Ok(vec![key(3), key(5)]));
    }

    #[test]
    fn the_sum_of_all_kinds_is_bounded() {
        let now = Stamp::from_ms(100 * 86_400_000);
        let mut root = Root::default();
        let many = |n: usize| IdentityKey::from_bytes((n as u128).to_be_bytes());
        let mut refused = 0;
        for n in 1..1_000 {
            let kind = if n % 2 == 0 { IdKind::Anonymous } else { IdKind::Phone };
            match root.make_room(many(0), &kind, now) {
                Ok(_) => root.adopt(many(n), moved(Stamp::MIN), Link::new(kind, at(1))),
                Err(RefusedLink::Full) => refused += 1,
                Err(other) => panic!("{other}"),
            }
            assert!(root.accumulators.len() <= ACCUMULATORS_MAX);
        }
        assert_eq!((root.links.len(), refused), (LINKS_MAX, 999 - LINKS_MAX));
    }

    /// An item of the release before had positions where links are now.
    #[test]
    fn a_link_of_the_release_before() {
        let link: Link = serde_json::from_str(r#"{"at": 5, "id": "0000000000000001"}"#).unwrap();
        assert_eq!((link.kind.clone(), link.claim().at.ms()), (IdKind::Anonymous, 5));
        assert!(!link.is_final());
        let text = serde_json::to_string(&FINAL).unwrap();
        assert!(serde_json::from_str::<Link>(&text).unwrap().is_final());
        let text = serde_json::to_string(&link).unwrap();
        assert_eq!(text, serde_json::to_string(&link.claim()).unwrap(), "and reads them still");
    }
}
