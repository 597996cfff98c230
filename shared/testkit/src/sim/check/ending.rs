//! When everything has come to rest: what must be true of the whole.

use super::super::poison;
use super::super::queues::Queues;
use super::super::ses::Ses;
use super::super::store::Store;
use super::Check;
use odyssey_domain::event::EventKind;
use odyssey_domain::ids::{IdentityKey, Position};
use odyssey_domain::profile::IdentityItem;
use odyssey_domain::time::{Span, Stamp};
use odyssey_flows::ports::Table;
use std::collections::BTreeMap;

/// What is done to a cart, or instead of it.
pub(super) const CART_EVENTS: [&str; 6] = [
    "Product Viewed",
    "Product Added",
    "Product Removed",
    "Checkout Started",
    "Order Completed",
    "Order Cancelled",
];

impl Check {
    /// Everything has come to rest.
    pub(crate) fn end(&mut self, now: Stamp, store: &Store, queues: &Queues, ses: &Ses) {
        let empty = queues.are_empty();
        self.holds("nothing-left-over", empty, || {
            let left = queues.held.iter().map(|(inbox, held)| {
                let n = held.messages.len();
                format!("{inbox:?}: {n} messages, {} dead letters", held.dead.len())
            });
            left.collect::<Vec<_>>().join("; ")
        });
        let timers = store.rows_of(Table::Due).count();
        self.holds("nothing-left-over", timers == 0, || format!("{timers} due items"));
        for (inbox, body) in std::mem::take(&mut self.poisons) {
            let held = queues.held.get(&inbox);
            let kept = held
                .is_some_and(|held| held.dead.iter().any(|letter| poison::held(letter) == body));
            self.holds("poison-kept", kept, || format!("{inbox:?} has lost {body}"));
        }
        let accepted = ses.accepted.values().all(|times| times.len() == 1);
        self.holds("one-acceptance", accepted, || "a send was accepted twice".to_owned());
        for inbox in super::Inbox::ALL {
            self.idle(inbox);
        }
        self.profiles_end();
        self.requests_end();
        self.silences_end(now);
        self.signals_end(now);
        self.raised_end();
        self.segments_end(now);
        self.journeys_end();
        if !self.expiring {
            self.sends_end();
        }
    }

    /// The last request for each topic in a profile that has an address was asked of one.
    fn requests_end(&mut self) {
        let mut last: BTreeMap<(IdentityKey, String), Stamp> = BTreeMap::new();
        for (key, item) in &self.profiles.items {
            let IdentityItem::Root(root) = item else { continue };
            if root.facts().email.address().is_none() {
                continue;
            }
            for (_, folded) in self.profiles.events_of(*key) {
                let event = &folded.event;
                let topic = event.properties.get("topic").and_then(|topic| topic.as_str());
                let named = event.name.as_deref() == Some("Consent Requested");
                if let Some(topic) = topic.filter(|_| named)
                    && event.kind == EventKind::Track
                    && !event.properties.contains_key("email")
                {
                    let held = last.entry((*key, topic.to_owned())).or_insert(event.at);
                    *held = event.at.max(*held);
                }
            }
        }
        for ((key, topic), at) in last {
            let mut asked = self.sends.to_confirm.iter();
            let asked = asked.any(|(_, of, when)| of.as_str() == topic && *when == at);
            self.holds("requests-reach-the-address", asked, || {
                format!("{key} has an address, and asked for {topic} at {at}: nobody was asked")
            });
        }
    }

    /// A cart that was filled last and left is noticed, by every rule of the workspace.
    fn silences_end(&mut self, now: Stamp) {
        let roots: Vec<(IdentityKey, Vec<String>, Option<Position>)> = self
            .profiles
            .items
            .iter()
            .filter_map(|(key, item)| match item {
                IdentityItem::Root(root) => {
                    Some((*key, self.undecided(*key, root, now), self.filled_last(*key)))
                }
                _ => None,
            })
            .collect();
        for (key, undecided, last) in roots {
            self.holds("silences-decided", undecided.is_empty(), || {
                format!("{key} filled its cart last at {last:?}, undecided: {undecided:?}")
            });
        }
    }

    /// The last thing done to the cart, where that was filling it.
    fn filled_last(&self, root: IdentityKey) -> Option<Position> {
        let events = self.profiles.events_of(root);
        let of_cart = events.iter().map(|(_, folded)| &folded.event).filter(|event| {
            let name = event.name.as_deref().unwrap_or("");
            event.kind == EventKind::Track && CART_EVENTS.contains(&name)
        });
        let of_cart: Vec<_> = of_cart.collect();
        let last = of_cart.iter().max_by_key(|event| event.position())?;
        // What happened in the same millisecond has no order that a customer would know.
        let alone = of_cart.iter().filter(|event| event.at == last.at).count() == 1;
        let filled = last.name.as_deref() == Some("Product Added");
        (filled && alone).then(|| last.position())
    }

    /// The rules that have not decided on the silence after it.
    fn undecided(
        &self,
        key: IdentityKey,
        root: &odyssey_domain::profile::Root,
        now: Stamp,
    ) -> Vec<String> {
        let Some(last) = self.filled_last(key) else { return Vec::new() };
        let rules = [
            ("Cart Abandoned/4h", Span::HOUR.times(4)),
            ("Cart Abandoned/8m", Span::MINUTE.times(8)),
        ];
        let undecided = rules.into_iter().filter(|(rule, after)| {
            let decided = root
                .said
                .marks
                .get(*rule)
                .is_some_and(|mark| mark.episode >= last || mark.at >= last.at);
            // The other threshold is in use only while its journey is live.
            let published = *rule == "Cart Abandoned/4h" || !self.republished;
            !decided && published && last.at.plus(*after) < now
        });
        undecided.map(|(rule, _)| rule.to_owned()).collect()
    }
}
