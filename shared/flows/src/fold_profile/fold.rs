//! What a group of deliveries makes of the identity items: folds, links, silences.

use super::delivery::{Claim, Content, Delivery, Item};
use super::recall;
use super::world::{Place, World};
use super::{Counts, Setting};
use crate::ports::Tables;
use crate::stored::StoredError;
use odyssey_domain::ids::{IdentityKey, ProfileId};
use odyssey_domain::profile::{
    Accumulator, Folded, IdentityItem, ProfileEffect, RefusedLink, Root, Standing, Woken, standing,
};
use odyssey_domain::time::{Span, Stamp};
use odyssey_domain::wire::{SourceKind, SourceRef, detail_type};
use std::collections::{BTreeMap, BTreeSet};

/// Events received later than this after their stamp are also looked for in the timeline.
pub(super) const LATE_AFTER: Span = Span::DAY.times(7);

/// What was decided, for the effects.
#[derive(Debug, Default)]
pub(super) struct Decided {
    /// The root that each event's identity folds into, by the identity. What is missing was erased.
    pub(super) roots: BTreeMap<IdentityKey, IdentityKey>,
    /// The events that were dropped because they are from before an erasure, by record and place.
    pub(super) dropped: BTreeSet<(usize, usize)>,
    /// Wakes that came before their time, by record. They stay on the queue: a message in the place
    /// of one would not say that it was delivered before.
    pub(super) early: Vec<(usize, Stamp)>,
    /// Effects that no write holds: armings that are overdue.
    pub(super) repeated: Vec<(IdentityKey, ProfileEffect)>,
    /// Whether stored effects are carried out even where nothing was written.
    pub(super) repeat_stored: bool,
    pub(super) counts: Counts,
}

/// Decides on one group. `None` where the items contradict each other, as they do when another
/// write came between two reads.
pub(super) async fn decide<T: Tables, B, Q>(
    setting: &Setting<'_, T, B, Q>,
    world: &mut World<'_, T>,
    group: &[Delivery],
) -> Result<Option<Decided>, StoredError> {
    recall::prepare(setting, world, group).await?;
    let mut decided = Decided::default();
    let mut wakes = Vec::new();
    for delivery in group {
        match &delivery.content {
            Content::Wake { profile, arm, again } => {
                // A first delivery that is stale has nothing to repeat: whoever made it stale has.
                decided.repeat_stored |= again;
                if world.place(*profile).await? == Some(Place::Root(*profile)) {
                    wakes.push((delivery.index, *profile, *arm));
                }
            }
            Content::Events { received, source, items } => {
                decided.repeat_stored = true;
                for (place, item) in items.iter().enumerate() {
                    let origin = Origin { received: *received, source };
                    let folded = fold_item(setting, world, &origin, item, &mut decided).await?;
                    match folded {
                        None => return Ok(None),
                        Some(Fate::Folded) => {
                            decided.counts.folded += 1;
                            see(setting, &origin, item, &mut decided.counts);
                        }
                        Some(Fate::Duplicate) => decided.counts.duplicates += 1,
                        Some(Fate::Erased) => {
                            decided.counts.erased += 1;
                            decided.dropped.insert((delivery.index, place));
                        }
                    }
                }
            }
        }
    }
    // Links may have moved an identity after its event was folded, so roots are asked for last.
    for item in group.iter().flat_map(items_of) {
        match world.place(item.own).await? {
            Some(Place::Root(root)) => drop(decided.roots.insert(item.own, root)),
            Some(_) => {}
            None => return Ok(None),
        }
    }
    decide_silences(setting, world, &wakes, &mut decided);
    Ok(Some(decided))
}

/// Counts a new event for the tracking plan. What this system says itself is in nobody's plan.
fn see<T: Tables, B, Q>(
    setting: &Setting<'_, T, B, Q>,
    origin: &Origin<'_>,
    item: &Item,
    counts: &mut Counts,
) {
    if item.event.name.as_deref() == Some(detail_type::CONSENT_CHANGED) {
        return;
    }
    let (source, plan) = (origin.source.name.as_str(), &setting.catalog.plan);
    counts.violations += counts.seen.see(&item.event, source, origin.received, plan);
}

fn items_of(delivery: &Delivery) -> &[Item] {
    match &delivery.content {
        Content::Events { items, .. } => items,
        Content::Wake { .. } => &[],
    }
}

/// Through whom an event came, and when.
struct Origin<'a> {
    received: Stamp,
    source: &'a SourceRef,
}

enum Fate {
    Folded,
    Duplicate,
    Erased,
}

async fn fold_item<T: Tables, B, Q>(
    setting: &Setting<'_, T, B, Q>,
    world: &mut World<'_, T>,
    origin: &Origin<'_>,
    item: &Item,
    decided: &mut Decided,
) -> Result<Option<Fate>, StoredError> {
    let Some(place) = world.place(item.own).await? else { return Ok(None) };
    let root = match place {
        Place::Root(root) => root,
        Place::Nobody => {
            world.replace(item.own, IdentityItem::Root(Box::default()));
            item.own
        }
        Place::Erased(erased) => {
            if item.event.at <= erased || origin.received <= erased {
                return Ok(Some(Fate::Erased));
            }
            world.replace(item.own, IdentityItem::Root(Box::new(reborn(item.own, erased))));
            item.own
        }
    };
    let held = world.root(root).and_then(|root| root.accumulators.get(&item.own));
    if held.is_some_and(|held| held.is_erased(item.event.at, origin.received)) {
        return Ok(Some(Fate::Erased));
    }
    for claim in &item.claims {
        if !apply_claim(setting, world, root, claim, origin.source.kind, decided).await? {
            return Ok(None);
        }
    }
    if recall::is_known(setting, world, root, item, origin.received).await? {
        return Ok(Some(Fate::Duplicate));
    }
    let Some(held) = world.root_mut(root) else { return Ok(None) };
    let (_, accumulator) = held.accumulator_of(root, item.own);
    Ok(Some(match accumulator.fold(&item.event, origin.source, setting.watched) {
        Folded::Duplicate => Fate::Duplicate,
        Folded::New => {
            world.touch(root);
            Fate::Folded
        }
    }))
}

/// The root of an identity that was erased and is used anew. It remembers, and its armings go on
/// from a number that none of before has.
fn reborn(identity: IdentityKey, erased: Stamp) -> Root {
    let mut root = Root::default();
    let accumulator = Accumulator { erased: Some(erased), ..Accumulator::default() };
    root.accumulators.insert(identity, accumulator);
    root.said.arm = erased.ms().unsigned_abs();
    root
}

/// Links an anonymous id to the user whose root is stored at `user`. False where the items
/// contradict each other.
async fn apply_claim<T: Tables, B, Q>(
    setting: &Setting<'_, T, B, Q>,
    world: &mut World<'_, T>,
    user: IdentityKey,
    claim: &Claim,
    source: SourceKind,
    decided: &mut Decided,
) -> Result<bool, StoredError> {
    if world.root(user).is_none_or(|root| root.holds(claim.anonymous, claim.at)) {
        return Ok(true);
    }
    if let Some(other) = claim.maybe_user
        && world.item(other).await?.is_some()
    {
        let reason = match source {
            SourceKind::Browser => RefusedLink::TwoUsersFromBrowser,
            SourceKind::Server => RefusedLink::TwoUsersFromServer,
        };
        *decided.counts.refused_links.entry(reason).or_default() += 1;
        return Ok(true);
    }
    let found = standing(world.item(claim.anonymous).await?, user, claim.at);
    match found {
        Standing::Settled => return Ok(true),
        Standing::OwnLater => {
            if let Some(root) = world.root_mut(user) {
                root.links.insert(claim.anonymous, claim.at);
            }
        }
        Standing::Absent | Standing::Unlinked | Standing::OthersLater(_) => {
            if let Err(reason) = make_room(setting, world, user).await? {
                *decided.counts.refused_links.entry(reason).or_default() += 1;
                return Ok(true);
            }
            let Some(moved) = take_out(world, claim.anonymous, found).await? else {
                return Ok(false);
            };
            let Some(root) = world.root_mut(user) else { return Ok(false) };
            root.adopt(claim.anonymous, moved.accumulator, claim.at);
            root.said.absorb(moved.said);
        }
    }
    world.replace(claim.anonymous, IdentityItem::Pointer { to: user, claim: claim.at });
    world.touch(user);
    Ok(true)
}

async fn make_room<T: Tables, B, Q>(
    setting: &Setting<'_, T, B, Q>,
    world: &mut World<'_, T>,
    user: IdentityKey,
) -> Result<Result<(), RefusedLink>, StoredError> {
    let Some(root) = world.root_mut(user) else { return Ok(Ok(())) };
    let compacted = match root.make_room(user, setting.now) {
        Ok(compacted) => compacted,
        Err(reason) => return Ok(Err(reason)),
    };
    for identity in compacted {
        // Read first: its pointer is replaced at its version.
        world.item(identity).await?;
        let claim = Root::final_claim();
        world.replace(identity, IdentityItem::Pointer { to: user, claim });
    }
    Ok(Ok(()))
}

/// What leaves one root for another.
struct Moved {
    accumulator: Accumulator,
    said: odyssey_domain::profile::Said,
}

/// Takes an anonymous id's accumulator from where it stands; `None` where it is not there.
async fn take_out<T: Tables>(
    world: &mut World<'_, T>,
    anonymous: IdentityKey,
    found: Standing,
) -> Result<Option<Moved>, StoredError> {
    let said = odyssey_domain::profile::Said::default;
    Ok(match found {
        Standing::OthersLater(other) => {
            world.item(other).await?;
            let Some(root) = world.root_mut(other) else { return Ok(None) };
            let accumulator = root.release(anonymous);
            world.touch(other);
            Some(Moved { accumulator, said: said() })
        }
        Standing::Unlinked => world.root_mut(anonymous).map(|root| Moved {
            accumulator: root.release(anonymous),
            said: std::mem::take(&mut root.said),
        }),
        _ => {
            let erased = match world.item(anonymous).await? {
                Some(IdentityItem::Tombstone { erased }) => Some(*erased),
                _ => None,
            };
            let accumulator = Accumulator { erased, ..Accumulator::default() };
            Some(Moved { accumulator, said: said() })
        }
    })
}

/// Decides on silences whose timer woke the profile, arms the next, and repeats lost armings.
fn decide_silences<T: Tables, B, Q>(
    setting: &Setting<'_, T, B, Q>,
    world: &mut World<'_, T>,
    wakes: &[(usize, IdentityKey, u64)],
    decided: &mut Decided,
) {
    let rules = &setting.catalog.signals;
    for (index, key, arm) in wakes {
        let Some(root) = world.root_mut(*key) else { continue };
        match root.wake(ProfileId::from(*key), *arm, rules, setting.now) {
            Woken::Stale => {}
            Woken::Early(due) => decided.early.push((*index, due)),
            Woken::Decided => world.touch(*key),
        }
    }
    for (key, dirty) in world.roots() {
        let Some(root) = world.root_mut(key) else { continue };
        if dirty {
            root.cross(ProfileId::from(key), rules, setting.now);
        }
        if dirty {
            root.rearm(rules, setting.now);
        }
        let raised = |effect: &&ProfileEffect| matches!(effect, ProfileEffect::Raise(_));
        decided.counts.raised += root.said.pending.iter().filter(raised).count();
        if let Some(effect) = root.said.overdue(setting.now) {
            decided.repeated.push((key, effect));
        }
    }
}
