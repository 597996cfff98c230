//! What a group of deliveries makes of the identity items: folds, links, silences.

use super::addresses;
use super::delivery::{Claim, Content, Delivery, Item, Teller};
use super::recall;
use super::segments;
use super::world::{Place, World};
use super::{Counts, Setting};
use crate::ports::Tables;
use crate::stored::StoredError;
use odyssey_domain::identity::IdKind;
use odyssey_domain::ids::{IdentityKey, ProfileId};
use odyssey_domain::profile::{
    Accumulator, Folded, IdentityItem, Link, Moved, ProfileEffect, RefusedLink, Root, Standing,
    Woken, standing,
};
use odyssey_domain::segment::Memberships;
use odyssey_domain::time::{Span, Stamp};
use odyssey_domain::wire::{SourceKind, SourceRef};
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
    fetch_claimed(setting, world, group).await?;
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
            // What its look decided, another delivery of it may have to carry out.
            Content::Look => decided.repeat_stored = true,
            Content::Events { teller, received, source, items } => {
                decided.repeat_stored = true;
                for (place, item) in items.iter().enumerate() {
                    let origin = Origin { received: *received, source };
                    let folded = fold_item(setting, world, &origin, item, &mut decided).await?;
                    match folded {
                        None => return Ok(None),
                        Some(Fate::Folded) => {
                            decided.counts.folded += 1;
                            if *teller == Teller::Property {
                                see(setting, &origin, item, &mut decided.counts);
                            }
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
    let Some(looks) = segments::looked_at(world, group).await? else { return Ok(None) };
    addresses::note(setting, group, &decided).await?;
    let woken = decide_signals(setting, world, &wakes, &mut decided);
    segments::settle(setting, world, group, &looks, &woken, &decided).await?;
    finish(setting, world, &looks, &mut decided);
    Ok(Some(decided))
}

/// Reads what the claims of a group need, a hundred items a call: one by one, a record that names a
/// thousand devices would take longer than the function may.
async fn fetch_claimed<T: Tables, B, Q>(
    setting: &Setting<'_, T, B, Q>,
    world: &mut World<'_, T>,
    group: &[Delivery],
) -> Result<(), StoredError> {
    let mut open: Vec<(IdentityKey, &Claim)> = Vec::new();
    let mut users: Vec<IdentityKey> = Vec::new();
    for (received, item) in group.iter().flat_map(received_items) {
        let user = match world.place(item.own).await? {
            Some(Place::Root(user)) => user,
            Some(Place::Nobody | Place::Erased(_)) => item.own,
            None => continue,
        };
        let root = world.root(user);
        if item.claims.is_empty()
            || (root.is_some() && recall::is_known(setting, world, user, item, received).await?)
        {
            continue;
        }
        users.extend(item.claims.iter().filter_map(|claim| claim.maybe_user));
        let is_open = |claim: &&Claim| {
            root.is_none_or(|root| by_root(root, user, claim, setting.now).is_none())
        };
        open.extend(item.claims.iter().filter(is_open).map(|claim| (user, claim)));
    }
    world.fetch(open.iter().map(|(_, claim)| claim.identity)).await?;
    let others = open.iter().filter_map(|(user, claim)| {
        match standing(world.known(claim.identity), *user, claim.at) {
            Standing::OthersLater(other) => Some(other),
            _ => None,
        }
    });
    let others: Vec<IdentityKey> = others.collect();
    world.fetch(others.into_iter().chain(users)).await
}

/// Counts a new event for the tracking plan. What this stack says itself is in nobody's plan, and is
/// not brought here: by who says it, since a property may send an event of any name.
fn see<T: Tables, B, Q>(
    setting: &Setting<'_, T, B, Q>,
    origin: &Origin<'_>,
    item: &Item,
    counts: &mut Counts,
) {
    let (source, plan) = (origin.source.name.as_str(), &setting.catalog.plan);
    counts.violations += counts.seen.see(&item.event, source, origin.received, plan);
}

fn items_of(delivery: &Delivery) -> &[Item] {
    match &delivery.content {
        Content::Events { items, .. } => items,
        Content::Wake { .. } | Content::Look => &[],
    }
}

/// The items of a delivery, each with when it was received.
fn received_items(delivery: &Delivery) -> impl Iterator<Item = (Stamp, &Item)> {
    let received = match &delivery.content {
        Content::Events { received, .. } => *received,
        Content::Wake { .. } | Content::Look => Stamp::MIN,
    };
    items_of(delivery).iter().map(move |item| (received, item))
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
            let mut root = Root { kind: item.kind.clone(), ..Root::default() };
            root.said.segments = Memberships::of_new(setting.catalog.declared());
            world.replace(item.own, IdentityItem::Root(Box::new(root)));
            item.own
        }
        Place::Erased(erased) => {
            if item.event.at <= erased || origin.received <= erased {
                return Ok(Some(Fate::Erased));
            }
            let mut root = reborn(item, erased);
            root.said.segments = Memberships::of_new(setting.catalog.declared());
            world.replace(item.own, IdentityItem::Root(Box::new(root)));
            item.own
        }
    };
    let held = world.root(root).and_then(|root| root.accumulators.get(&item.own));
    if held.is_some_and(|held| held.is_erased(item.event.at, origin.received)) {
        return Ok(Some(Fate::Erased));
    }
    // Its claims were decided on with it, and are not made again by coming again.
    if recall::is_known(setting, world, root, item, origin.received).await? {
        return Ok(Some(Fate::Duplicate));
    }
    let mut refused = Vec::new();
    for claim in &item.claims {
        if let Some(other) = claim.maybe_user
            && world.item(other).await?.is_some()
        {
            refused.push(match origin.source.kind {
                SourceKind::Browser => RefusedLink::TwoUsersFromBrowser,
                SourceKind::Server => RefusedLink::TwoUsersFromServer,
            });
        }
        match apply_claim(setting, world, root, claim).await? {
            Applied::Done => {}
            Applied::Refused(reason) => refused.push(reason),
            Applied::Contradicted => return Ok(None),
        }
    }
    for reason in &refused {
        *decided.counts.refused_links.entry(*reason).or_default() += 1;
    }
    let Some(held) = world.root_mut(root) else { return Ok(None) };
    let (_, accumulator) = held.accumulator_of(root, item.own);
    Ok(Some(match accumulator.fold(&item.event, origin.source, setting.watched) {
        Folded::Duplicate => Fate::Duplicate,
        Folded::New => {
            for reason in refused {
                *held.refused.entry(reason).or_default() += 1;
            }
            world.touch(root);
            Fate::Folded
        }
    }))
}

/// The root of an identity that was erased and is used anew. It remembers, and its armings go on
/// from a number that none of before has.
fn reborn(item: &Item, erased: Stamp) -> Root {
    let mut root = Root { kind: item.kind.clone(), ..Root::default() };
    let accumulator = Accumulator { erased: Some(erased), ..Accumulator::default() };
    root.accumulators.insert(item.own, accumulator);
    root.said.arm = erased.ms().unsigned_abs();
    root
}

/// What became of a claim.
enum Applied {
    /// It is linked, or was, or is another's by an earlier claim.
    Done,
    /// It is not to be linked.
    Refused(RefusedLink),
    /// The items contradict each other.
    Contradicted,
}

/// What becomes of a claim by what the root stored at `user` says alone: it holds the identifier, an
/// operator has ruled it out, or there is no room for it. Then nothing has to be read.
fn by_root(root: &Root, user: IdentityKey, claim: &Claim, now: Stamp) -> Option<Applied> {
    if root.holds(claim.identity, claim.at) {
        return Some(Applied::Done);
    }
    if root.split.contains_key(&claim.identity) {
        return Some(Applied::Refused(RefusedLink::Split));
    }
    if root.links.contains_key(&claim.identity) {
        return None;
    }
    root.room_for(user, &claim.kind, now).err().map(Applied::Refused)
}

/// Links an identifier to the user whose root is stored at `user`.
async fn apply_claim<T: Tables, B, Q>(
    setting: &Setting<'_, T, B, Q>,
    world: &mut World<'_, T>,
    user: IdentityKey,
    claim: &Claim,
) -> Result<Applied, StoredError> {
    let Some(root) = world.root(user) else { return Ok(Applied::Done) };
    if let Some(decided) = by_root(root, user, claim, setting.now) {
        return Ok(decided);
    }
    let found = standing(world.item(claim.identity).await?, user, claim.at);
    match found {
        Standing::Settled => return Ok(Applied::Done),
        Standing::OwnLater => {
            if let Some(root) = world.root_mut(user) {
                root.hold_since(claim.identity, claim.at);
            }
        }
        Standing::Absent | Standing::Unlinked | Standing::OthersLater(_) => {
            if let Err(reason) = make_room(setting, world, user, &claim.kind).await? {
                return Ok(Applied::Refused(reason));
            }
            let Some(moved) = take_out(world, claim.identity, found).await? else {
                return Ok(Applied::Contradicted);
            };
            let Some(root) = world.root_mut(user) else { return Ok(Applied::Contradicted) };
            root.adopt(claim.identity, moved, Link::new(claim.kind.clone(), claim.at));
            if let Standing::OthersLater(other) = found {
                let settle = ProfileEffect::Settle { profile: other.into() };
                root.said.pending.push(settle);
            }
        }
    }
    world.replace(claim.identity, IdentityItem::Pointer { to: user, claim: claim.at });
    world.touch(user);
    Ok(Applied::Done)
}

async fn make_room<T: Tables, B, Q>(
    setting: &Setting<'_, T, B, Q>,
    world: &mut World<'_, T>,
    user: IdentityKey,
    kind: &IdKind,
) -> Result<Result<(), RefusedLink>, StoredError> {
    let Some(root) = world.root_mut(user) else { return Ok(Ok(())) };
    let compacted = match root.make_room(user, kind, setting.now) {
        Ok(compacted) => compacted,
        Err(reason) => return Ok(Err(reason)),
    };
    // Read first: each pointer is replaced at its version.
    world.fetch(compacted.iter().copied()).await?;
    for identity in compacted {
        let claim = Root::final_claim();
        world.replace(identity, IdentityItem::Pointer { to: user, claim });
    }
    Ok(Ok(()))
}

/// Takes an identifier's accumulator from where it stands; `None` where it is not there.
async fn take_out<T: Tables>(
    world: &mut World<'_, T>,
    identity: IdentityKey,
    found: Standing,
) -> Result<Option<Moved>, StoredError> {
    Ok(match found {
        Standing::OthersLater(other) => {
            world.item(other).await?;
            let moved = world.root_mut(other).map(|root| root.release(identity));
            world.touch(other);
            moved
        }
        Standing::Unlinked => world.root_mut(identity).map(|root| root.surrender(identity)),
        _ => {
            let erased = match world.item(identity).await? {
                Some(IdentityItem::Tombstone { erased }) => Some(*erased),
                _ => None,
            };
            let mut moved = Moved::default();
            moved.accumulator.erased = erased;
            moved.said.arm = erased.map_or(0, |erased| erased.ms().unsigned_abs());
            Some(moved)
        }
    })
}

/// Decides on silences whose timer woke the profile, and on what was reached. Which roots were
/// woken, and for when.
fn decide_signals<T: Tables, B, Q>(
    setting: &Setting<'_, T, B, Q>,
    world: &mut World<'_, T>,
    wakes: &[(usize, IdentityKey, u64)],
    decided: &mut Decided,
) -> BTreeMap<IdentityKey, Stamp> {
    let rules = &setting.catalog.signals;
    let mut woken = BTreeMap::new();
    for (index, key, arm) in wakes {
        let Some(root) = world.root_mut(*key) else { continue };
        let due = root.said.due;
        match root.wake(ProfileId::from(*key), *arm, rules, setting.now) {
            Woken::Stale => {}
            Woken::Early(due) => decided.early.push((*index, due)),
            Woken::Decided => {
                woken.extend(due.map(|due| (*key, due)));
                world.touch(*key);
            }
        }
    }
    for (key, dirty) in world.roots() {
        if dirty && let Some(root) = world.root_mut(key) {
            root.cross(ProfileId::from(key), rules, setting.now);
        }
    }
    woken
}

/// Arms the next timer of what was changed or is to be looked at, and repeats lost armings.
fn finish<T: Tables, B, Q>(
    setting: &Setting<'_, T, B, Q>,
    world: &mut World<'_, T>,
    looks: &BTreeSet<IdentityKey>,
    decided: &mut Decided,
) {
    let rules = &setting.catalog.signals;
    for (key, dirty) in world.roots() {
        let Some(root) = world.root_mut(key) else { continue };
        let is_armed = (dirty || looks.contains(&key)) && root.rearm(rules, setting.now);
        let raised = |effect: &&ProfileEffect| matches!(effect, ProfileEffect::Raise(_));
        decided.counts.raised += root.said.pending.iter().filter(raised).count();
        if let Some(effect) = root.said.overdue(setting.now) {
            decided.repeated.push((key, effect));
        }
        if is_armed {
            world.touch(key);
        }
    }
}
