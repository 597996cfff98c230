//! The identity items that one group of deliveries reads and writes.

use super::recall::Recalled;
use super::{FoldError, KEYS_PER_READ, Preloaded, WRITE_BYTES_MAX, WRITES_MAX};
use crate::ports::{Consistency, Key, Table, Tables, Write};
use crate::profiles::identity_key;
use crate::segments::{Changes, memberships};
use crate::stored::{self, StoredError};
use odyssey_domain::ids::{EventHash, IdentityKey};
use odyssey_domain::profile::{IdentityItem, ProfileEffect, Root};
use odyssey_domain::segment::SegmentName;
use odyssey_domain::time::{Span, Stamp};
use std::collections::{BTreeMap, BTreeSet};

/// Spilled ids are kept this long after the end of the month of their spilling.
const IDS_KEPT: Span = Span::DAY.times(90);
/// Recent ids that stay with a root that is over its limit.
const RECENT_IDS_LEFT: usize = 100;

/// An identity's item in memory.
#[derive(Debug)]
struct Slot {
    /// Its version where it is stored.
    version: Option<u64>,
    /// The segments it was in as it was read.
    was_in: Vec<SegmentName>,
    item: Option<IdentityItem>,
    dirty: bool,
}

/// What a group of deliveries works on.
pub(super) struct World<'a, T> {
    tables: &'a T,
    slots: BTreeMap<IdentityKey, Slot>,
    /// How many ids of each accumulator are in stored facts: only those may spill.
    committed: BTreeMap<IdentityKey, usize>,
    /// Effects that somebody else's write stored, by the profile they are of.
    pub(super) foreign: BTreeMap<IdentityKey, Vec<ProfileEffect>>,
    /// What was asked for the whole group.
    pub(super) recalled: Recalled,
}

/// Where the events of an identity fold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In the root stored here.
    Root(IdentityKey),
    /// Nowhere yet.
    Nobody,
    /// It was erased then.
    Erased(Stamp),
}

impl<'a, T: Tables> World<'a, T> {
    pub(super) fn new(tables: &'a T) -> World<'a, T> {
        World {
            tables,
            slots: BTreeMap::new(),
            committed: BTreeMap::new(),
            foreign: BTreeMap::new(),
            recalled: Recalled::default(),
        }
    }

    /// Takes over what was read for the whole batch, as far as this group touches it. Items that
    /// cannot be read are left out: the group reads them again, and fails by itself.
    pub(super) fn preload(&mut self, read: &Preloaded, touched: &[IdentityKey]) {
        let mut next: Vec<IdentityKey> = touched.to_vec();
        while let Some(identity) = next.pop() {
            let Some(row) = read.get(&identity) else { continue };
            if self.slots.contains_key(&identity) {
                continue;
            }
            let Some(row) = row else {
                self.enter(identity, None);
                continue;
            };
            if let Ok(item) = stored::decode(row) {
                if let IdentityItem::Pointer { to, .. } = &item {
                    next.push(*to);
                }
                self.enter(identity, Some((row.version, item)));
            }
        }
    }

    /// Reads the items of these identities that are not here yet, a hundred a call.
    pub(super) async fn fetch(
        &mut self,
        wanted: impl Iterator<Item = IdentityKey>,
    ) -> Result<(), StoredError> {
        let missing: BTreeSet<IdentityKey> =
            wanted.filter(|identity| !self.slots.contains_key(identity)).collect();
        let missing: Vec<IdentityKey> = missing.into_iter().collect();
        for some in missing.chunks(KEYS_PER_READ) {
            let keys: Vec<Key> = some.iter().map(|identity| identity_key(*identity)).collect();
            let rows = self.tables.get_many(&keys, Consistency::Strong).await?;
            for (identity, row) in some.iter().zip(rows) {
                let read = row.map(|row| stored::decode(&row).map(|item| (row.version, item)));
                self.enter(*identity, read.transpose()?);
            }
        }
        Ok(())
    }

    /// The same, and the roots that pointers among them lead to.
    pub(super) async fn fetch_roots(
        &mut self,
        wanted: &BTreeSet<IdentityKey>,
    ) -> Result<(), StoredError> {
        self.fetch(wanted.iter().copied()).await?;
        let roots = wanted.iter().filter_map(|identity| match self.known(*identity)? {
            IdentityItem::Pointer { to, .. } => Some(*to),
            _ => None,
        });
        let roots: Vec<IdentityKey> = roots.collect();
        self.fetch(roots.into_iter()).await
    }

    /// An item that is already here.
    pub(super) fn known(&self, identity: IdentityKey) -> Option<&IdentityItem> {
        self.slots.get(&identity)?.item.as_ref()
    }

    fn enter(&mut self, identity: IdentityKey, read: Option<(u64, IdentityItem)>) {
        let (version, mut item) = read.unzip();
        if let Some(IdentityItem::Root(root)) = &mut item {
            let pending = std::mem::take(&mut root.said.pending);
            if !pending.is_empty() {
                self.foreign.insert(identity, pending);
            }
            for (key, accumulator) in &root.accumulators {
                self.committed.insert(*key, accumulator.recent.len());
            }
        }
        let was_in = memberships(item.as_ref());
        self.slots.insert(identity, Slot { version, was_in, item, dirty: false });
    }

    /// The item of an identity, read where it was not yet.
    pub(super) async fn item(
        &mut self,
        identity: IdentityKey,
    ) -> Result<Option<&IdentityItem>, StoredError> {
        self.fetch(std::iter::once(identity)).await?;
        Ok(self.known(identity))
    }

    /// Where the events of an identity fold; `None` where a pointer led to no root, or to one that the
    /// identity has left, which another write between two reads can cause.
    pub(super) async fn place(
        &mut self,
        identity: IdentityKey,
    ) -> Result<Option<Place>, StoredError> {
        let (to, claim) = match self.item(identity).await? {
            None => return Ok(Some(Place::Nobody)),
            Some(IdentityItem::Root(_)) => return Ok(Some(Place::Root(identity))),
            Some(IdentityItem::Tombstone { erased }) => return Ok(Some(Place::Erased(*erased))),
            Some(IdentityItem::Pointer { to, claim }) => (*to, *claim),
        };
        Ok(match self.item(to).await? {
            Some(IdentityItem::Root(root)) if root.is_home_of(identity, claim) => {
                Some(Place::Root(to))
            }
            Some(IdentityItem::Tombstone { erased }) => Some(Place::Erased(*erased)),
            _ => None,
        })
    }

    /// A root that is already here.
    pub(super) fn root(&self, identity: IdentityKey) -> Option<&Root> {
        match self.slots.get(&identity)?.item.as_ref()? {
            IdentityItem::Root(root) => Some(root),
            _ => None,
        }
    }

    /// A root that is already here, to be changed; [`World::touch`] says that it was.
    pub(super) fn root_mut(&mut self, identity: IdentityKey) -> Option<&mut Root> {
        match self.slots.get_mut(&identity)?.item.as_mut()? {
            IdentityItem::Root(root) => Some(root),
            _ => None,
        }
    }

    /// Marks an item as changed.
    pub(super) fn touch(&mut self, identity: IdentityKey) {
        if let Some(slot) = self.slots.get_mut(&identity) {
            slot.dirty = true;
        }
    }

    /// Replaces an item.
    pub(super) fn replace(
        &mut self,
        identity: IdentityKey,
        item: IdentityItem,
    ) -> Option<IdentityItem> {
        let new = Slot { version: None, was_in: Vec::new(), item: None, dirty: true };
        let slot = self.slots.entry(identity).or_insert(new);
        slot.dirty = true;
        slot.item.replace(item)
    }

    /// The roots that are here, and whether each was changed.
    pub(super) fn roots(&self) -> Vec<(IdentityKey, bool)> {
        let is_root = |slot: &Slot| matches!(slot.item, Some(IdentityItem::Root(_)));
        self.slots.iter().filter(|(_, slot)| is_root(slot)).map(|(k, s)| (*k, s.dirty)).collect()
    }

    /// Whether an item was changed.
    pub(super) fn is_dirty(&self, identity: IdentityKey) -> bool {
        self.slots.get(&identity).is_some_and(|slot| slot.dirty)
    }

    /// Writes what was changed, all or nothing; false where another write came between. Ids that
    /// leave an item are in their sets before.
    pub(super) async fn commit(&mut self, now: Stamp) -> Result<bool, FoldError> {
        let dirty: Vec<IdentityKey> =
            self.slots.iter().filter(|(_, slot)| slot.dirty).map(|(key, _)| *key).collect();
        let counts: Vec<Write> = self.counts(&dirty);
        if dirty.len() + counts.len() > WRITES_MAX {
            return Err(FoldError::TooMuch { writes: dirty.len() + counts.len(), bytes: 0 });
        }
        let mut writes = Vec::with_capacity(dirty.len() + counts.len());
        for identity in dirty {
            self.spill(identity, None, now).await?;
            writes.push(self.put(identity, now).await?);
        }
        writes.extend(counts);
        let bytes = writes.iter().map(bytes_of).sum();
        if bytes > WRITE_BYTES_MAX {
            return Err(FoldError::TooMuch { writes: writes.len(), bytes });
        }
        // One's own write is recognised: its effects are still to be carried out.
        Ok(stored::commit_all(self.tables, writes).await?)
    }

    /// What the write of these changes in how many are in each segment.
    fn counts(&self, dirty: &[IdentityKey]) -> Vec<Write> {
        let mut changes = Changes::default();
        for slot in dirty.iter().filter_map(|identity| self.slots.get(identity)) {
            changes.note(&slot.was_in, &memberships(slot.item.as_ref()));
        }
        dirty.first().map(|first| changes.into_writes(*first).collect()).unwrap_or_default()
    }

    /// The write of one item, cut where it would pass its limit.
    async fn put(&mut self, identity: IdentityKey, now: Stamp) -> Result<Write, StoredError> {
        for step in 0..=Root::CUTS {
            match self.try_put(identity) {
                Err(StoredError::TooLarge { .. }) if step == 0 => {
                    self.spill(identity, Some(RECENT_IDS_LEFT), now).await?;
                }
                Err(StoredError::TooLarge { .. }) => {
                    if let Some(root) = self.root_mut(identity) {
                        root.cut(step - 1);
                    }
                }
                put => return put,
            }
        }
        self.try_put(identity)
    }

    fn try_put(&self, identity: IdentityKey) -> Result<Write, StoredError> {
        let slot = self.slots.get(&identity);
        let item = slot.and_then(|slot| slot.item.as_ref());
        let Some(item) = item else {
            let cause = "nothing to write".to_owned();
            return Err(StoredError::Corrupt { name: "identity", cause });
        };
        stored::put(identity_key(identity), item, slot.and_then(|slot| slot.version))
    }

    /// Moves the oldest ids of a root's accumulators to their sets: those beyond what an
    /// accumulator holds, or all but `leave`.
    async fn spill(
        &mut self,
        identity: IdentityKey,
        leave: Option<usize>,
        now: Stamp,
    ) -> Result<(), StoredError> {
        let mut spilled = Vec::new();
        let committed = self.committed.clone();
        if let Some(root) = self.root_mut(identity) {
            for (key, accumulator) in &mut root.accumulators {
                let committed = committed.get(key).copied().unwrap_or(0);
                let ids = match leave {
                    None => accumulator.spill(committed),
                    Some(leave) => {
                        let over = accumulator.recent.len().saturating_sub(leave);
                        accumulator.recent.take_oldest(over.min(committed))
                    }
                };
                if !ids.is_empty() {
                    accumulator.spilled_since.get_or_insert(month_of(now));
                    spilled.push((*key, ids));
                }
            }
        }
        for (key, ids) in spilled {
            self.committed.entry(key).and_modify(|n| *n = n.saturating_sub(ids.len()));
            let mut by_nibble: BTreeMap<u8, Vec<EventHash>> = BTreeMap::new();
            for id in ids {
                by_nibble.entry(nibble(id)).or_default().push(id);
            }
            for (nibble, ids) in by_nibble {
                let at = ids_key(key, month_of(now), nibble);
                self.tables
                    .add_ids(&at, &ids, now.plus(Span::DAY.times(31)).plus(IDS_KEPT))
                    .await?;
            }
        }
        Ok(())
    }
}

/// What a write adds to the bytes of its transaction, but for keys and attribute names.
fn bytes_of(write: &Write) -> usize {
    match write {
        Write::Put { row, .. } => row.body.len(),
        Write::Delete { .. } | Write::Add { .. } | Write::Check { .. } => 0,
    }
}

fn nibble(id: EventHash) -> u8 {
    id.0.first().copied().unwrap_or(0) >> 4
}

fn ids_key(identity: IdentityKey, month: u32, nibble: u8) -> Key {
    Key { table: Table::Profiles, pk: identity.to_string(), sk: format!("ids#{month}#{nibble:x}") }
}

/// The UTC month of an instant: `202611`.
pub(super) fn month_of(at: Stamp) -> u32 {
    // `2026-11-21T…` is how stamps print, for every year they have.
    let text = at.to_string();
    let digits: String = text.chars().take(7).filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

fn next_month(month: u32) -> u32 {
    if month % 100 >= 12 { (month / 100 + 1) * 100 + 1 } else { month + 1 }
}

/// The sets in which `id` may be, had it spilled under `identity` between `since` and now. Sets
/// are kept for 90 days, so there are at most five months to look at.
pub(super) fn spilled_keys(
    identity: IdentityKey,
    id: EventHash,
    since: u32,
    now: Stamp,
) -> Vec<Key> {
    let last = month_of(now);
    let oldest = month_of(now.minus(IDS_KEPT).minus(Span::DAY.times(31)));
    let mut keys = Vec::new();
    let mut month = since.max(oldest);
    while month <= last {
        keys.push(ids_key(identity, month, nibble(id)));
        month = next_month(month);
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months() {
        let at = |text| Stamp::parse(text).unwrap();
        assert_eq!(month_of(at("2026-11-30T23:59:59.999Z")), 202_611);
        assert_eq!(month_of(Stamp::MIN), 197_001);
        let identity = IdentityKey::from_bytes([0; 16]);
        let id = EventHash([0xA0; 8]);
        let keys = spilled_keys(identity, id, 202_611, at("2027-02-01T00:00:00Z"));
        let found: Vec<&str> = keys.iter().map(|key| key.sk.as_str()).collect();
        assert_eq!(found, ["ids#202611#a", "ids#202612#a", "ids#202701#a", "ids#202702#a"]);
        assert_eq!(spilled_keys(identity, id, 197_001, at("2027-02-01T00:00:00Z")).len(), 5);
    }
}
