//! Segments: who is in them, and how many are counted.

use super::Check;
use odyssey_domain::event::EventKind;
use odyssey_domain::ids::IdentityKey;
use odyssey_domain::profile::{IdentityItem, Root};
use odyssey_domain::segment::SegmentName;
use odyssey_domain::time::{Span, Stamp};
use odyssey_flows::ports::{Key, Row, Table};
use std::collections::{BTreeMap, BTreeSet};

/// The counters as they stand, by segment and shard.
#[derive(Debug, Default)]
pub(super) struct Segments {
    counters: BTreeMap<(String, String), i64>,
}

/// The segment whose counter stands at a key.
pub(super) fn of_counter(key: &Key) -> Option<&str> {
    key.pk.strip_prefix("segment#").filter(|_| key.table == Table::Workspace)
}

impl Check {
    /// Rows were written together: now, and at any time, counts are the numbers of members.
    pub(super) fn segments_written(&mut self, keys: &[Key], after: &[Option<Row>]) {
        let mut touched = false;
        for (key, after) in keys.iter().zip(after) {
            touched |= key.table == Table::Profiles && key.sk == "identity";
            let (Some(segment), Some(row)) = (of_counter(key), after) else { continue };
            touched = true;
            let count = std::str::from_utf8(&row.body).ok().and_then(|text| text.parse().ok());
            let place = (segment.to_owned(), key.sk.clone());
            self.segments.counters.insert(place, count.unwrap_or(i64::MAX));
        }
        if !touched {
            return;
        }
        let mut members: BTreeMap<&str, i64> = BTreeMap::new();
        for item in self.profiles.items.values() {
            let IdentityItem::Root(root) = item else { continue };
            for name in root.said.segments.members.keys() {
                *members.entry(name.as_str()).or_default() += 1;
            }
        }
        let mut counted: BTreeMap<&str, i64> = BTreeMap::new();
        for ((segment, _), count) in &self.segments.counters {
            *counted.entry(segment).or_default() += count;
        }
        counted.retain(|_, count| *count != 0);
        let held = members == counted;
        let found = format!("counted are {counted:?}, members are {members:?}");
        self.holds("segment-count", held, || found);
    }

    /// At rest, when every timer has fired, each profile is in the segments that what is known of it
    /// says.
    pub(super) fn segments_end(&mut self, now: Stamp) {
        let mut found = Vec::new();
        for (key, item) in &self.profiles.items {
            let IdentityItem::Root(root) = item else { continue };
            let members: BTreeSet<&str> =
                root.said.segments.members.keys().map(SegmentName::as_str).collect();
            found.push((members == self.expected(*key, root, now), format!("{key}: {members:?}")));
        }
        for (held, text) in found {
            self.holds("segment-as-evaluated", held, || text);
        }
    }

    /// The segments of the simulated workspace, said once more.
    fn expected(&self, key: IdentityKey, root: &Root, now: Stamp) -> BTreeSet<&'static str> {
        let events = self.profiles.events_of(key);
        let lately = |name: &str, span: Span| {
            events.iter().map(|(_, folded)| &folded.event).any(|event| {
                let named = event.kind == EventKind::Track && event.name.as_deref() == Some(name);
                named && event.at >= now.minus(span)
            })
        };
        let raised = root.said.raised.get("Cart Abandoned");
        let minutes = |n| Span::MINUTE.times(n);
        let filled = !root.facts().cart.lines().is_empty();
        let holds = [
            ("busy", lately("Product Viewed", minutes(40))),
            ("waiting", filled && !lately("Order Completed", minutes(360))),
            ("warned", raised.is_some_and(|at| *at >= now.minus(minutes(180)))),
        ];
        holds.into_iter().filter_map(|(name, holds)| holds.then_some(name)).collect()
    }
}
