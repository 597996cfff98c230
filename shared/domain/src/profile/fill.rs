//! Filling the states of computed traits and the last matches that an accumulator lacks, from what
//! its timeline holds.

use super::computed::{Computed, Computing};
use super::{Accumulator, ComputedRule, ComputedTraits, Root, Watched};
use crate::event::Event;
use crate::ids::{ComputedKey, EventHash, IdentityKey, Position, PredicateKey};
use crate::predicate::EventPredicate;
use crate::time::Stamp;
use std::collections::{BTreeMap, BTreeSet};

/// Why an accumulator cannot be filled now. None of them writes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotYet {
    /// Events were folded whose rows are still to be written; they follow within moments, or with
    /// the redelivery of their message.
    #[error("{missing} of {total} folded events are not in the timeline yet")]
    Behind {
        /// How many are missing at least.
        missing: u64,
        /// How many were folded.
        total: u64,
    },
    /// The timeline holds events that were not folded here, or were folded after the profile was
    /// read.
    #[error("the timeline holds {more} events more than the {total} that were folded")]
    Ahead {
        /// How many more.
        more: u64,
        /// How many were folded.
        total: u64,
    },
}

/// What a fill came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Filled {
    /// Events that were read and folded.
    pub events: u64,
    /// Events that the profile counts and the timeline no longer keeps.
    pub missing: u64,
}

impl Root {
    /// What each accumulator lacks: it has events and no state of these rules.
    #[must_use]
    pub fn lacks(&self, traits: &ComputedTraits) -> BTreeMap<IdentityKey, BTreeSet<ComputedKey>> {
        let rules = traits.by_key();
        let lacking = |accumulator: &Accumulator| -> BTreeSet<ComputedKey> {
            let facts = &accumulator.facts;
            let missing = rules.keys().filter(|key| facts.total > 0 && !facts.computed.has(**key));
            missing.copied().collect()
        };
        let all = self.accumulators.iter().map(|(key, held)| (*key, lacking(held)));
        all.filter(|(_, lacking)| !lacking.is_empty()).collect()
    }

    /// The accumulators of which nobody knows the last match of what is watched since then.
    #[must_use]
    pub fn unwatched(&self, since: Stamp) -> BTreeSet<IdentityKey> {
        let all = self.accumulators.iter();
        all.filter(|(_, held)| !held.is_watched_since(since)).map(|(key, _)| *key).collect()
    }

    /// The identities whose timelines hold the events of one of its accumulators: its own; for the
    /// accumulator of the root, which is stored at `own`, also those that were compacted into it.
    #[must_use]
    pub fn timelines_of(&self, own: IdentityKey, accumulator: IdentityKey) -> Vec<IdentityKey> {
        let compacted =
            self.links.keys().filter(|key| **key != own && !self.accumulators.contains_key(key));
        let compacted: Vec<IdentityKey> =
            compacted.filter(|_| accumulator == own).copied().collect();
        std::iter::once(accumulator).chain(compacted).collect()
    }
}

/// A back-fill of one accumulator under way.
#[derive(Debug)]
pub struct Fill {
    computing: Computing,
    made: Computed,
    /// Every event that was given, by whose timeline holds it. The same message under two identities
    /// was folded under each.
    seen: BTreeMap<IdentityKey, BTreeSet<EventHash>>,
    /// Those that were received after the horizon.
    fresh: BTreeSet<EventHash>,
    /// What was received before this, a timeline may have forgotten.
    horizon: Stamp,
    erased: Option<Stamp>,
    matches: Option<Matches>,
}

/// The last matches that are looked for.
#[derive(Debug)]
struct Matches {
    watched: Watched,
    published: Stamp,
    last: BTreeMap<PredicateKey, Position>,
}

impl Fill {
    /// Begins to fill what `accumulator` lacks of these traits, from timelines that keep everything
    /// received since `horizon`.
    #[must_use]
    pub fn begin(
        accumulator: &Accumulator,
        traits: &ComputedTraits,
        lacks: &BTreeSet<ComputedKey>,
        horizon: Stamp,
    ) -> Fill {
        let rules = traits.by_key().into_iter().filter(|(key, _)| lacks.contains(key));
        let named = rules.map(|(key, rule)| (key.to_string(), rule.clone()));
        let computing = Computing::of(&named.collect::<BTreeMap<String, ComputedRule>>().into());
        let mut made = Computed::default();
        made.begin(&computing);
        Fill {
            computing,
            made,
            seen: BTreeMap::new(),
            fresh: BTreeSet::new(),
            horizon,
            erased: accumulator.erased,
            matches: None,
        }
    }

    /// The same, and the last match of each of these predicates, which are all that are watched as of
    /// a publication.
    #[must_use]
    pub fn matching(self, watched: &[EventPredicate], published: Stamp) -> Fill {
        let (watched, last) = (Watched::of(watched), BTreeMap::new());
        Fill { matches: Some(Matches { watched, published, last }), ..self }
    }

    /// Takes an event of a timeline. One that was given before changes nothing; of two stamps of one
    /// message the first given counts.
    pub fn take(&mut self, timeline: IdentityKey, received: Stamp, event: &Event) {
        if self.erased.is_some_and(|erased| event.at <= erased || received <= erased) {
            return;
        }
        let at = event.position();
        if self.seen.entry(timeline).or_default().insert(at.id) {
            let name = EventPredicate::name_of(event).unwrap_or("");
            self.made.fold(&self.computing, name, event, at);
            if let Some(Matches { watched, last, .. }) = &mut self.matches {
                let named = watched.named(name).iter();
                for (key, _) in named.filter(|(_, predicate)| predicate.matches(event)) {
                    let held = last.entry(*key).or_insert(at);
                    *held = at.max(*held);
                }
            }
        }
        if received >= self.horizon {
            self.fresh.insert(at.id);
        }
    }

    /// Puts what was made into the accumulator, if the events that were given are those that it
    /// counts, but for what timelines have forgotten.
    ///
    /// # Errors
    /// Where the timeline and the facts do not tell of the same events; the accumulator is as it was.
    pub fn finish(self, accumulator: &mut Accumulator) -> Result<Filled, NotYet> {
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let total = accumulator.facts.total;
        let events = self.seen.values().map(|seen| count(seen.len())).sum::<u64>();
        if events > total {
            return Err(NotYet::Ahead { more: events - total, total });
        }
        let missing = total - events;
        let untold = count(self.untold(accumulator));
        if untold > 0 || (missing > 0 && !self.may_have_forgotten(accumulator)) {
            return Err(NotYet::Behind { missing: missing.max(untold), total });
        }
        accumulator.facts.computed.fill(self.made, &self.computing, missing > 0);
        if let Some(Matches { published, last, .. }) = self.matches {
            for (key, at) in last {
                accumulator.facts.matches.write::<PredicateKey>(&key, at, || ());
            }
            accumulator.watched = Some(published);
        }
        Ok(Filled { events, missing })
    }

    /// Whether some event of the accumulator may have been received before the horizon: none was
    /// received before its stamp.
    fn may_have_forgotten(&self, accumulator: &Accumulator) -> bool {
        accumulator.facts.seen.is_some_and(|seen| seen.first < self.horizon)
    }

    /// Recent ids that no timeline tells of and that none can have forgotten. They stand in the
    /// order in which they were folded, which is about that of their receipt: what stands before all
    /// that was received since the horizon may be from before it.
    fn untold(&self, accumulator: &Accumulator) -> usize {
        let held = |id: &EventHash| self.seen.values().any(|seen| seen.contains(id));
        let ids: Vec<EventHash> = accumulator.recent.iter().collect();
        let fresh = ids.iter().position(|id| self.fresh.contains(id));
        let long_gone = accumulator.facts.seen.is_some_and(|seen| seen.last < self.horizon);
        let forgotten = match fresh {
            _ if !self.may_have_forgotten(accumulator) => 0,
            Some(fresh) => fresh,
            None if long_gone => ids.len(),
            None => 0,
        };
        ids.iter().skip(forgotten).filter(|id| !held(id)).count()
    }
}
