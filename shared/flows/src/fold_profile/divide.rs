//! What one transaction cannot write, divided into what it can.
//!
//! A source that gives many customers one anonymous id, or an import that links and compacts, can
//! touch more identities in one delivery than one transaction can write. Its events are then folded
//! in runs, one transaction each, in their order. Nothing holds them together but the record, which
//! is done when the last is: a crash in between leaves the first runs folded, and the redelivery
//! finds their events known.

use super::delivery::{Content, Delivery, Item};
use odyssey_domain::ids::IdentityKey;
use odyssey_domain::wire::SourceRef;
use std::collections::BTreeSet;

/// The identities that the events of one run name, at most. Beside each of them a transaction may
/// hold the root that it leaves, and with each user those that are compacted to make room.
const RUN_MAX: usize = 40;

/// Divides a group: deliveries that were joined each by itself, one delivery into runs of its events
/// that name at most half as many identities as it does. `None` where there is one event left.
pub(super) fn divide(mut group: Vec<Delivery>) -> Option<Vec<Vec<Delivery>>> {
    if group.len() > 1 {
        return Some(group.into_iter().map(|delivery| vec![delivery]).collect());
    }
    let Delivery { index, message_id, content, contact, looks } = group.pop()?;
    let Content::Events { received, source, items, teller } = content else { return None };
    if items.len() < 2 {
        return None;
    }
    let named: BTreeSet<IdentityKey> = items.iter().flat_map(Item::names).collect();
    let mut runs = runs(items, (named.len() / 2).clamp(1, RUN_MAX));
    let last = runs.pop()?;
    let part = |items: Vec<Item>| Delivery {
        index,
        message_id: message_id.clone(),
        content: Content::Events { received, source: SourceRef::clone(&source), items, teller },
        contact: None,
        looks: Vec::new(),
    };
    let mut parts: Vec<Vec<Delivery>> = runs.into_iter().map(|run| vec![part(run)]).collect();
    // What is asked for beside the events comes after them all.
    parts.push(vec![Delivery { contact, looks, ..part(last) }]);
    Some(parts)
}

/// Events in runs that name at most `most` identities, or are one event; at least two runs.
fn runs(items: Vec<Item>, most: usize) -> Vec<Vec<Item>> {
    let half = items.len().div_ceil(2);
    let mut runs: Vec<Vec<Item>> = Vec::new();
    let mut run: Vec<Item> = Vec::new();
    let mut named: BTreeSet<IdentityKey> = BTreeSet::new();
    for item in items {
        let more = item.names().filter(|name| !named.contains(name)).count();
        if !run.is_empty() && (named.len() + more > most || run.len() >= half) {
            runs.push(std::mem::take(&mut run));
            named.clear();
        }
        named.extend(item.names());
        run.push(item);
    }
    runs.push(run);
    runs
}
