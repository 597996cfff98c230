//! Which events were folded before, where the item itself no longer knows: their ids have spilled,
//! or they came so late that only their row in the timeline tells.
//!
//! Asked once for a whole group of deliveries: a record of an import holds hundreds of events, and
//! a call for each of them, one after the other, would take longer than the function may.

use super::delivery::{Content, Delivery, Item};
use super::fold::LATE_AFTER;
use super::timeline;
use super::world::{Place, World, spilled_keys};
use super::{KEYS_PER_READ, Setting};
use crate::ports::{Consistency, Key, Tables};
use crate::stored::StoredError;
use odyssey_domain::ids::{EventHash, IdentityKey};
use odyssey_domain::time::Stamp;
use std::collections::{BTreeMap, BTreeSet};

/// Answers, by what they depend on.
#[derive(Debug, Default)]
pub(super) struct Recalled {
    /// Whether an id is in the sets in which it may be; see [`spilled_keys`].
    spilled: BTreeMap<(EventHash, Vec<Key>), bool>,
    /// Whether a late event has its row.
    late: BTreeMap<Key, bool>,
}

/// Asks for everything that the events of a group may need.
pub(super) async fn prepare<T: Tables, B, Q>(
    setting: &Setting<'_, T, B, Q>,
    world: &mut World<'_, T>,
    group: &[Delivery],
) -> Result<(), StoredError> {
    let mut spilled: BTreeMap<IdentityKey, BTreeMap<EventHash, Vec<Key>>> = BTreeMap::new();
    let mut late: BTreeSet<Key> = BTreeSet::new();
    for delivery in group {
        let Content::Events { received, items, .. } = &delivery.content else { continue };
        for item in items {
            match world.place(item.own).await? {
                Some(Place::Root(root)) => {
                    let keys = sets(setting, world, root, item);
                    if !keys.is_empty() && !is_recent(world, root, item) {
                        let id = item.event.position().id;
                        spilled.entry(item.own).or_default().insert(id, keys);
                    }
                }
                Some(Place::Nobody) => {}
                Some(Place::Erased(_)) | None => continue,
            }
            late.extend(row_of_late(item, *received));
        }
    }
    let mut recalled = Recalled::default();
    for asked in spilled.into_values() {
        // Ids are an event's alone, so that the sets of each identity are asked apart.
        let keys: BTreeSet<Key> = asked.values().flatten().cloned().collect();
        let keys: Vec<Key> = keys.into_iter().collect();
        let ids: Vec<EventHash> = asked.keys().copied().collect();
        let known: BTreeSet<EventHash> =
            setting.tables.have_ids(&keys, &ids).await?.into_iter().collect();
        let answers = asked.into_iter().map(|(id, keys)| ((id, keys), known.contains(&id)));
        recalled.spilled.extend(answers);
    }
    let late: Vec<Key> = late.into_iter().collect();
    for keys in late.chunks(KEYS_PER_READ) {
        let rows = setting.tables.get_many(keys, Consistency::Strong).await?;
        let there = rows.iter().map(Option::is_some);
        recalled.late.extend(keys.iter().cloned().zip(there));
    }
    world.recalled = recalled;
    Ok(())
}

impl Recalled {
    /// Whether a late event's row was there already.
    pub(super) fn has_row(&self, key: &Key) -> bool {
        self.late.get(key).copied().unwrap_or(false)
    }
}

/// Whether an event was folded before.
pub(super) async fn is_known<T: Tables, B, Q>(
    setting: &Setting<'_, T, B, Q>,
    world: &World<'_, T>,
    root: IdentityKey,
    item: &Item,
    received: Stamp,
) -> Result<bool, StoredError> {
    if is_recent(world, root, item) {
        return Ok(true);
    }
    let keys = sets(setting, world, root, item);
    if !keys.is_empty() {
        let asked = (item.event.position().id, keys);
        let known = match world.recalled.spilled.get(&asked) {
            Some(known) => *known,
            // A link of this very group has moved it.
            None => !setting.tables.have_ids(&asked.1, &[asked.0]).await?.is_empty(),
        };
        if known {
            return Ok(true);
        }
    }
    let Some(row) = row_of_late(item, received) else { return Ok(false) };
    if let Some(known) = world.recalled.late.get(&row) {
        return Ok(*known);
    }
    let found = setting.tables.get_many(&[row], Consistency::Strong).await?;
    Ok(found.iter().any(Option::is_some))
}

/// The accumulator that knows an event, and whether it is the root's own because the event's
/// identity was compacted into it.
fn holder<T: Tables>(
    world: &World<'_, T>,
    root: IdentityKey,
    item: &Item,
) -> Option<(IdentityKey, bool)> {
    let compacted = !world.root(root)?.accumulators.contains_key(&item.own);
    Some((if compacted { root } else { item.own }, compacted))
}

fn is_recent<T: Tables>(world: &World<'_, T>, root: IdentityKey, item: &Item) -> bool {
    let Some((holder, _)) = holder(world, root, item) else { return false };
    let accumulator = world.root(root).and_then(|root| root.accumulators.get(&holder));
    accumulator.is_some_and(|held| held.recent.contains(item.event.position().id))
}

/// The sets in which an event's id may be. A compacted identity's may have spilled under either
/// key.
fn sets<T: Tables, B, Q>(
    setting: &Setting<'_, T, B, Q>,
    world: &World<'_, T>,
    root: IdentityKey,
    item: &Item,
) -> Vec<Key> {
    let Some((holder, compacted)) = holder(world, root, item) else { return Vec::new() };
    let accumulator = world.root(root).and_then(|root| root.accumulators.get(&holder));
    let Some(since) = accumulator.and_then(|held| held.spilled_since) else { return Vec::new() };
    let id = item.event.position().id;
    let mut keys = spilled_keys(item.own, id, since, setting.now);
    if compacted {
        keys.extend(spilled_keys(root, id, since, setting.now));
    }
    keys
}

fn row_of_late(item: &Item, received: Stamp) -> Option<Key> {
    let late = received.since(item.event.at) > LATE_AFTER;
    late.then(|| timeline::key(item.own, item.event.position()))
}
