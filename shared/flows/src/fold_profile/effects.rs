//! What leaves after the commit.
//!
//! What is a function of a delivered message alone (timeline, forwarded events, requests that give
//! an address) leaves on every delivery, so it needs no outbox. What a change of state decided stands in the item
//! until another write replaces it.

use super::delivery::{Content, Delivery, Item};
use super::fold::Decided;
use super::segments;
use super::timeline;
use super::world::World;
use super::{Failed, FoldError, Setting};
use crate::due;
use crate::ports::{Bus, BusEntry, Consistency, Queues, Tables};
use crate::profiles::identity_key;
use crate::signals;
use crate::stored::{StoredError, decode};
use futures_util::StreamExt as _;
use odyssey_domain::event::Event;
use odyssey_domain::ids::{IdentityKey, ProfileId};
use odyssey_domain::predicate::EventPredicate;
use odyssey_domain::profile::{IdentityItem, ProfileEffect, Requested, Root};
use odyssey_domain::wire::{
    BUS_SCHEMA, ConsentRequested, EventFolded, Owner, SignalRaised, Wake, detail_type, source,
};
use serde::Serialize;
use std::collections::BTreeMap;

/// Rows of one delivery that are put at a time, and effects of states that are carried out.
pub(super) const PUTS_AT_ONCE: usize = 16;

/// Carries out what others' writes stored in the items that are about to be written over.
pub(super) async fn settle_foreign<T: Tables, B: Bus, Q: Queues>(
    setting: &Setting<'_, T, B, Q>,
    world: &mut World<'_, T>,
) -> Result<(), FoldError> {
    let mut outbox = Outbox::default();
    let replaced = world.foreign.iter().filter(|(key, _)| world.is_dirty(**key));
    let effects = replaced.flat_map(|(key, effects)| {
        let still = effects.iter().filter(|effect| !is_superseded(world.root(*key), effect));
        still.map(|effect| (*key, effect))
    });
    carry_all(setting, world, effects, &mut outbox).await?;
    let unsent = outbox.publish(setting.bus).await?;
    if unsent.is_empty() { Ok(()) } else { Err(FoldError::NotPublished(unsent.len())) }
}

/// Whether the write to come makes an arming stale: the wake at hand is its own, or a later timer
/// takes its place. Carrying it out all the same would have each retry of a wake, while the bus is
/// down, put one more wake on the queue that does the same: twice as many with every round.
fn is_superseded(root: Option<&Root>, effect: &ProfileEffect) -> bool {
    match effect {
        ProfileEffect::Raise(_) | ProfileEffect::Ask { .. } | ProfileEffect::Settle { .. } => false,
        ProfileEffect::Arm { arm, due } => {
            root.is_none_or(|root| root.said.arm != *arm || root.said.due != Some(*due))
        }
    }
}

/// Carries out every effect of a group that was committed. What fails for one record alone is
/// that record's; what fails of the state's effects is every record's.
pub(super) async fn carry_out<T: Tables, B: Bus, Q: Queues>(
    setting: &Setting<'_, T, B, Q>,
    world: &World<'_, T>,
    group: &[Delivery],
    decided: &Decided,
) -> Result<Failed, FoldError> {
    let mut outbox = Outbox::default();
    for delivery in group {
        forward(setting, world, delivery, decided, &mut outbox);
    }
    let roots = world.roots();
    let stored = roots.iter().flat_map(|(key, dirty)| {
        let pending = world.root(*key).map(|root| root.said.pending.as_slice());
        let foreign = world.foreign.get(key).filter(|_| decided.repeat_stored && !dirty);
        let effects = pending.into_iter().flatten().chain(foreign.into_iter().flatten());
        effects.map(|effect| (*key, effect))
    });
    let repeated = decided.repeated.iter().map(|(key, effect)| (*key, effect));
    carry_all(setting, world, stored.chain(repeated), &mut outbox).await?;
    let records =
        futures_util::future::join_all(group.iter().map(async |delivery| {
            (delivery.index, record(setting, world, delivery, decided).await)
        }));
    let (unsent, records) = if decided.counts.folded == 0 {
        // A redelivery: what the tables do not take yet would reach the bus once more with every try.
        let records = records.await;
        outbox.hold_back(|index| records.iter().any(|(at, done)| *at == index && done.is_err()));
        (outbox.publish(setting.bus).await, records)
    } else {
        futures_util::future::join(outbox.publish(setting.bus), records).await
    };
    let early = decided.early.iter().map(|(index, due)| (*index, FoldError::Early(*due)));
    let mut failed: Failed = early.collect();
    for (index, result) in records {
        if let Err(error) = result {
            failed.insert(index, error.into());
        }
    }
    for at in unsent? {
        match outbox.of_record(at) {
            Some(index) => drop(failed.entry(index).or_insert(FoldError::NotPublished(1))),
            None => return Err(FoldError::NotPublished(1)),
        }
    }
    Ok(failed)
}

/// Entries for the bus, each with the record it is of, where it is of one.
#[derive(Default)]
struct Outbox {
    entries: Vec<BusEntry>,
    records: Vec<Option<usize>>,
}

impl Outbox {
    fn push(&mut self, record: Option<usize>, detail_type: &'static str, detail: &impl Serialize) {
        // These types have nothing that JSON cannot hold.
        if let Ok(detail) = serde_json::to_string(detail) {
            self.entries.push(BusEntry { source: source::PROFILE, detail_type, detail });
            self.records.push(record);
        }
    }

    fn append(&mut self, other: Outbox) {
        self.entries.extend(other.entries);
        self.records.extend(other.records);
    }

    /// Leaves out what is of these records.
    fn hold_back(&mut self, held: impl Fn(usize) -> bool) {
        let (entries, records) =
            (std::mem::take(&mut self.entries), std::mem::take(&mut self.records));
        let kept =
            entries.into_iter().zip(records).filter(|(_, record)| !record.is_some_and(&held));
        (self.entries, self.records) = kept.unzip();
    }

    async fn publish(&self, bus: &impl Bus) -> Result<Vec<usize>, FoldError> {
        if self.entries.is_empty() {
            return Ok(Vec::new());
        }
        Ok(bus.publish(&self.entries).await?)
    }

    fn of_record(&self, at: usize) -> Option<usize> {
        self.records.get(at).copied().flatten()
    }
}

/// Carries out effects of profiles' states, many at a time: a delivery may hold many profiles.
async fn carry_all<'e, T: Tables, B: Bus, Q: Queues>(
    setting: &Setting<'_, T, B, Q>,
    world: &World<'_, T>,
    effects: impl Iterator<Item = (IdentityKey, &'e ProfileEffect)>,
    outbox: &mut Outbox,
) -> Result<(), StoredError> {
    let carried = effects.map(|(key, effect)| {
        Box::pin(async move {
            let mut own = Outbox::default();
            carry(setting, world, key, effect, &mut own).await.map(|()| own)
        })
    });
    let mut carried = futures_util::stream::iter(carried).buffered(PUTS_AT_ONCE);
    while let Some(own) = carried.next().await {
        outbox.append(own?);
    }
    Ok(())
}

/// Carries out one effect of a profile's state.
async fn carry<T: Tables, B: Bus, Q: Queues>(
    setting: &Setting<'_, T, B, Q>,
    world: &World<'_, T>,
    key: IdentityKey,
    effect: &ProfileEffect,
    outbox: &mut Outbox,
) -> Result<(), StoredError> {
    let ProfileEffect::Settle { profile } = effect else {
        return carry_own(setting, (key, world.root(key)), effect, outbox).await;
    };
    let other = IdentityKey::from(*profile);
    if world.root(other).is_some() {
        // It is of the group, and so are its effects.
        return Ok(());
    }
    let found = setting.tables.get_many(&[identity_key(other)], Consistency::Strong).await?;
    let found = found.into_iter().flatten().next();
    if let Some(IdentityItem::Root(root)) = found.map(|row| decode(&row)).transpose()? {
        for effect in &root.said.pending {
            carry_own(setting, (other, Some(&root)), effect, outbox).await?;
        }
    }
    Ok(())
}

/// Carries out one effect that stands in the root of `key`; what stands in others' is theirs.
async fn carry_own<T: Tables, B: Bus, Q: Queues>(
    setting: &Setting<'_, T, B, Q>,
    (key, root): (IdentityKey, Option<&Root>),
    effect: &ProfileEffect,
    outbox: &mut Outbox,
) -> Result<(), StoredError> {
    let profile = ProfileId::from(key);
    match effect {
        ProfileEffect::Arm { arm, due } => {
            let wake = Wake { owner: Owner::Profile(profile), arm: *arm, due: *due };
            due::arm(setting.tables, setting.queues, &wake, setting.now).await
        }
        ProfileEffect::Raise(raise) => {
            let owners = root.map_or_else(|| vec![key], |root| root.owners(profile));
            let raised = SignalRaised {
                v: BUS_SCHEMA,
                id: raise.id,
                profile,
                owners,
                signal: raise.signal.clone(),
                threshold: raise.threshold,
                since: raise.since,
                at: raise.at,
                evidence: raise.evidence.clone(),
            };
            outbox.push(None, detail_type::SIGNAL_RAISED, &raised);
            signals::keep(setting.tables, key, raise).await
        }
        ProfileEffect::Ask { email, topic, at, via } => {
            let (email, topic, via) = (email.clone(), topic.clone(), via.clone());
            let profile = Some(profile);
            let asked = ConsentRequested { v: BUS_SCHEMA, email, topic, profile, at: *at, via };
            outbox.push(None, detail_type::CONSENT_REQUESTED, &asked);
            Ok(())
        }
        ProfileEffect::Settle { .. } => Ok(()),
    }
}

/// The events of a delivery that are in a profile now, each with its root.
pub(super) fn kept<'a>(
    delivery: &'a Delivery,
    decided: &'a Decided,
) -> impl Iterator<Item = (&'a Item, IdentityKey)> {
    let items: &[Item] = match &delivery.content {
        Content::Events { items, .. } => items,
        Content::Wake { .. } | Content::Look => &[],
    };
    items.iter().enumerate().filter_map(|(place, item)| {
        let dropped = decided.dropped.contains(&(delivery.index, place));
        let root = decided.roots.get(&item.own).filter(|_| !dropped)?;
        Some((item, *root))
    })
}

/// Forwards the events that live journeys name, and requests for consent that give an address; what
/// others ask for is an effect of the profile's state, which knows or will know one.
fn forward<T: Tables, B, Q>(
    setting: &Setting<'_, T, B, Q>,
    world: &World<'_, T>,
    delivery: &Delivery,
    decided: &Decided,
    outbox: &mut Outbox,
) {
    let Content::Events { source, .. } = &delivery.content else { return };
    for (item, root) in kept(delivery, decided) {
        let profile = ProfileId::from(root);
        let name = EventPredicate::name_of(&item.event).unwrap_or("");
        if setting.catalog.forwarded.iter().any(|forwarded| forwarded == name) {
            let owners = world.root(root).map_or_else(|| vec![root], |held| held.owners(profile));
            let folded = EventFolded { v: BUS_SCHEMA, profile, owners, event: item.event.clone() };
            outbox.push(Some(delivery.index), detail_type::EVENT_FOLDED, &folded);
        }
        if let Some(Requested { topic, email: Some(email) }) = Requested::of(&item.event) {
            let (profile, at, via) = (Some(profile), item.event.at, source.name.clone());
            let asked = ConsentRequested { v: BUS_SCHEMA, email, topic, profile, at, via };
            outbox.push(Some(delivery.index), detail_type::CONSENT_REQUESTED, &asked);
        }
    }
}

/// Writes a delivery's events into the timeline, and has those looked at whom a change of consent
/// concerns.
async fn record<T: Tables, B, Q: Queues>(
    setting: &Setting<'_, T, B, Q>,
    world: &World<'_, T>,
    delivery: &Delivery,
    decided: &Decided,
) -> Result<(), StoredError> {
    segments::ask_concerned(setting, delivery).await?;
    let Content::Events { received, source, .. } = &delivery.content else { return Ok(()) };
    let mut by_identity: BTreeMap<IdentityKey, Vec<&Event>> = BTreeMap::new();
    for (item, _) in kept(delivery, decided) {
        by_identity.entry(item.own).or_default().push(&item.event);
    }
    let rows = by_identity.into_iter().flat_map(|(identity, events)| {
        let rows = timeline::pack(*received, source, events);
        rows.into_iter().map(move |(first, row)| (identity, first, row))
    });
    // A record of an import has hundreds of rows: each delivery puts what the one before could not.
    let rows = rows
        .filter(|(identity, first, _)| !world.recalled.has_row(&timeline::key(*identity, *first)));
    let puts = rows.map(|(identity, first, row)| {
        Box::pin(timeline::put(setting.tables, identity, first, row))
    });
    let mut puts = futures_util::stream::iter(puts).buffer_unordered(PUTS_AT_ONCE);
    while let Some(put) = puts.next().await {
        put?;
    }
    Ok(())
}
