//! The profile: accumulators, their fold, their links, and the view that is their merge.
//!
//! An identifier's item is one of three things ([`IdentityItem`]): a root that holds a profile, a
//! pointer to the root it is linked to, or a tombstone. A root holds the accumulator of its own
//! identifier and those of the identifiers linked to it; each event folds into the accumulator
//! of its own strongest identifier, and the profile is their merge, computed on read.
//!
//! What belongs where: `top`, `described`, `tally`, `buckets`, `lately`, `money`, `number`, `product`
//! and `text` are the values; `computed` folds what the workspace declares, `fill` makes up for what it
//! missed; `cart`, `orders`, `browse`, `sessions`, `content`, `forms`, `requests`, `support`,
//! `mailings`, `setting`, `rhythm` and `facts` fold them; `shortened` names what was too long; `accumulator` adds dedupe; `links` moves accumulators
//! between roots; `said` is what was said and is armed, `belonging` decides on segments; `view` and
//! `touchpoints` are what everyone else reads.

mod accumulator;
mod belonging;
mod bought;
mod browse;
mod buckets;
mod called;
mod cart;
mod computed;
mod computed_state;
mod content;
mod described;
mod facts;
mod fill;
mod forms;
mod lately;
mod links;
mod mailings;
mod money;
mod names;
mod number;
mod orders;
mod product;
mod requests;
mod rhythm;
mod said;
mod sessions;
mod setting;
mod shortened;
mod split;
mod support;
mod tally;
mod text;
mod top;
mod touchpoints;
mod view;

#[cfg(test)]
mod computed_tests;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod touchpoint_tests;

#[cfg(test)]
pub(crate) use belonging::next_turn;

pub use accumulator::{Accumulator, Folded, RECENT_IDS_MAX, RecentIds};
pub use bought::Bought;
pub use browse::{Browse, CATEGORIES_PER_DAY_MAX, CATEGORY_DAYS_MAX, VIEWED_MAX};
pub use cart::{CART_CHANGES_MAX, CART_PRODUCTS_MAX, Cart, CartLine, Change};
pub use computed::{
    Amounts, COMPUTED_BYTES_MAX, COMPUTED_NAME_BYTES_MAX, COMPUTED_TRAITS_MAX,
    COMPUTED_WINDOW_DAYS_MAX, Computed, ComputedKind, ComputedRule, ComputedTraits,
};
pub use content::{CONTENT_DAYS_MAX, Content, Video, WATCHED_MAX};
pub use described::{Described, Fields};
pub use facts::{EmailWord, Facts, MATCHES_MAX, Seen, TRAITS_MAX, Watched, email_of};
pub use fill::{Fill, Filled, NotYet};
pub use forms::{FORMS_MAX, Forms};
pub use links::{
    ACCUMULATORS_VOUCHED, LINKS_MAX, LINKS_VOUCHED, Link, Moved, Origin, RefusedLink, SPLITS_MAX,
    Standing, standing,
};
pub use mailings::{MACHINE_WITHIN, MAILS_MAX, Mailings, Told, Touched};
pub use money::{Currency, Money};
pub use names::COUNTED_EVENTS;
pub use orders::{ORDERS_MAX, OrderKey, OrderTotal, Orders};
pub use product::Product;
pub use requests::{REQUESTS_MAX, Requested, Requests};
pub use rhythm::{NOT_THE_CUSTOMERS, RHYTHM_DAYS, Rhythm};
pub use said::{ProfileEffect, Said, Woken};
pub use sessions::{ATTENTION_DAYS_MAX, LINGERED_CATEGORIES_PER_DAY_MAX, Left, Sessions};
pub use setting::{Campaign, DeviceClass, Location, Setting};
pub use shortened::{Shortened, TooLong};
pub use split::{LOOK_AFTER, NoSplit};
pub use support::{Channel, Channels, Support, TICKETS_MAX, TicketKey};
pub use text::clip;
pub use top::{Register, Top};
pub use view::ProfileView;

use crate::identity::IdKind;
use crate::ids::{ComputedKey, IdentityKey, Position, ProfileId};
use crate::time::Stamp;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// The most accumulators that are live in one profile.
pub const ACCUMULATORS_MAX: usize = 16;
/// The first steps of [`Root::cut`], which take only what a back-fill can put back.
const WINDOW_CUTS: u32 = 2;

/// The stored item of one identifier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentityItem {
    /// A profile.
    Root(Box<Root>),
    /// This identifier belongs to another profile.
    Pointer {
        /// The root it belongs to.
        to: IdentityKey,
        /// The event that named the user; the earliest wins.
        claim: Position,
    },
    /// Erased: events stamped or received before this are dropped.
    Tombstone {
        /// When.
        erased: Stamp,
    },
}

/// A profile's item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Root {
    /// What was done under each linked identifier, its own among them.
    pub accumulators: BTreeMap<IdentityKey, Accumulator>,
    /// The claim under which each identifier is linked; not the root's own. One that has no
    /// accumulator was compacted into the root's own, which made its link final.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub links: BTreeMap<IdentityKey, Link>,
    /// Of what kind its own identifier is, where that is an external id, an address or a number;
    /// users and devices are most, and not told apart here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<IdKind>,
    /// Identifiers that an operator has split off, with the time: no claim links them again.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub split: BTreeMap<IdentityKey, Stamp>,
    /// Links that were refused, by reason: how many events asked for one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refused: BTreeMap<RefusedLink, u64>,
    /// What was said and what is armed: not facts, and excluded from their laws.
    #[serde(default)]
    pub said: Said,
}

impl Root {
    /// The merge of its accumulators' facts.
    #[must_use]
    pub fn facts(&self) -> Cow<'_, Facts> {
        let mut all = self.accumulators.values().map(|accumulator| &accumulator.facts);
        let Some(first) = all.next() else { return Cow::Owned(Facts::default()) };
        let mut merged = Cow::Borrowed(first);
        for facts in all {
            merged.to_mut().merge(facts);
        }
        merged
    }

    /// The merge of its accumulators, but for the computed traits: see [`Root::view_at`].
    #[must_use]
    pub fn view(&self, profile: ProfileId) -> ProfileView {
        ProfileView::of(profile, self, &self.facts())
    }

    /// The merge of its accumulators, as everyone else reads it: with the computed traits of the
    /// workspace as they are `now`.
    #[must_use]
    pub fn view_at(&self, profile: ProfileId, traits: &ComputedTraits, now: Stamp) -> ProfileView {
        let facts = self.facts();
        let mut view = ProfileView::of(profile, self, &facts);
        view.compute(&facts, traits, now);
        view
    }

    /// Every identity key linked to it, its own first.
    #[must_use]
    pub fn owners(&self, profile: ProfileId) -> Vec<IdentityKey> {
        let own = IdentityKey::from(profile);
        let linked = self.links.keys().filter(|key| **key != own).copied();
        std::iter::once(own).chain(linked).collect()
    }

    /// The accumulator into which the events of `identity` fold, and the key under which it stands
    /// in the root that is stored at `own`: a compacted identity folds into the root's own.
    pub fn accumulator_of(
        &mut self,
        own: IdentityKey,
        identity: IdentityKey,
    ) -> (IdentityKey, &mut Accumulator) {
        let compacted =
            self.links.contains_key(&identity) && !self.accumulators.contains_key(&identity);
        let key = if compacted { own } else { identity };
        (key, self.accumulators.entry(key).or_default())
    }

    /// The steps of [`Root::cut`].
    pub const CUTS: u32 = WINDOW_CUTS + 6;

    /// Cuts, harder with each `step` from 0 to [`Root::CUTS`], excluded. What a back-fill can put
    /// back goes first: the computed traits with a window, the largest until half of their bytes
    /// are gone, then all of them; the facts name them as being filled. Then every collection of
    /// every accumulator, which the facts say: traits, carts, orders and browsing keep their latest
    /// 16, 8, 4, 2, 1 and then no entries. The last of them cuts what is remembered of signals as
    /// well. For an item that would pass its limit; the write must not be lost.
    pub fn cut(&mut self, step: u32) {
        let Some(step) = step.checked_sub(WINDOW_CUTS) else {
            return self.cut_windows(step == 0);
        };
        let max = 16_usize.checked_shr(step).unwrap_or(0);
        for accumulator in self.accumulators.values_mut() {
            accumulator.facts.cut_to(max);
        }
        if max == 0 {
            self.said.cut();
        }
    }

    /// Forgets the computed traits with a window, the largest first: until half of their bytes are
    /// gone, or all. One that an accumulator lacks the profile lacks, so it goes everywhere.
    fn cut_windows(&mut self, half: bool) {
        let mut bytes: BTreeMap<ComputedKey, usize> = BTreeMap::new();
        for (key, of_one) in
            self.accumulators.values().flat_map(|one| one.facts.computed.windowed())
        {
            *bytes.entry(key).or_default() += of_one;
        }
        let all: usize = bytes.values().sum();
        let mut largest: Vec<_> = bytes.into_iter().collect();
        largest.sort_by_key(|(key, bytes)| (std::cmp::Reverse(*bytes), *key));
        let mut gone = 0;
        let mut keys = BTreeSet::new();
        for (key, bytes) in largest {
            if half && gone * 2 >= all {
                break;
            }
            gone += bytes;
            keys.insert(key);
        }
        for accumulator in self.accumulators.values_mut() {
            accumulator.facts.computed.forget(&keys);
        }
    }
}
