//! Signals: the checks' own account of when each is due, worked out from the events alone.

use super::Check;
use super::profiles::Folded;
use odyssey_domain::event::{Event, EventKind};
use odyssey_domain::ids::{IdentityKey, Position, SignalId};
use odyssey_domain::profile::{ProfileEffect, Root};
use odyssey_domain::signal::Stage;
use odyssey_domain::time::{Span, Stamp};
use serde_json::Value;
use std::collections::BTreeSet;

/// Events that are nobody's deed, of those that happen here.
const NO_DEEDS: [&str; 5] =
    ["Consent Changed", "Email Bounced", "Email Marked as Spam", "Email Opened", "Order Cancelled"];
/// Numbers stop here.
const NUMBERED_MAX: u64 = 31;
/// The thresholds of the workspace.
const DORMANT: Span = Span::HOUR.times(20);
const CHECKOUT: Span = Span::HOUR.times(2);
const LAPSED: Span = Span::HOUR.times(30);

/// What was raised, and where.
#[derive(Debug, Default)]
pub(super) struct Raised {
    once: BTreeSet<(IdentityKey, SignalId)>,
}

fn name_of(event: &Event) -> &str {
    if event.kind == EventKind::Track { event.name.as_deref().unwrap_or("") } else { "" }
}

/// A deed of the customer's own.
fn is_deed(event: &Event) -> bool {
    match event.kind {
        EventKind::Page | EventKind::Screen => true,
        EventKind::Track => !NO_DEEDS.contains(&name_of(event)),
        EventKind::Identify | EventKind::Group | EventKind::Alias => false,
    }
}

/// How many different things the events of a name are about, by a property that says which.
fn different(events: &[&Event], name: &str, key: &str) -> u64 {
    let named = events.iter().filter(|event| name_of(event) == name);
    let keys = named.map(|event| match event.properties.get(key) {
        Some(Value::String(id)) => id.clone(),
        _ => event.id.clone(),
    });
    keys.collect::<BTreeSet<String>>().len() as u64
}

impl Check {
    /// A root was written: what it now wants raised it never wanted raised before. Roots that were
    /// linked or parted are others from then on.
    pub(super) fn raises_written(&mut self, key: IdentityKey, before: Option<&Root>, after: &Root) {
        let pending = |root: &Root| -> Vec<SignalId> {
            let raises = root.said.pending.iter().filter_map(|effect| match effect {
                ProfileEffect::Raise(raise) => Some((raise.id, &raise.threshold)),
                _ => None,
            });
            raises.map(|(id, _)| id).collect()
        };
        let held = before.map(pending).unwrap_or_default();
        let whole = self.profiles.was_never_parted(key);
        for id in pending(after).into_iter().filter(|id| !held.contains(id)) {
            let new = self.raised.once.insert((key, id));
            self.holds("raised-once", new || !whole, || {
                format!("{key} raises {id}, which it has raised before")
            });
        }
    }

    /// At rest: every rule has decided on what its customer did.
    pub(super) fn signals_end(&mut self, now: Stamp) {
        for (key, root) in self.profiles.roots() {
            let folded: Vec<Folded> = self
                .profiles
                .events_of(key)
                .into_iter()
                .map(|(_, folded)| folded.clone())
                .collect();
            let events: Vec<&Event> = folded.iter().map(|folded| &folded.event).collect();
            self.crossings_decided(key, &root, &events);
            self.absence_decided(key, &root, &events, now);
            self.checkout_decided(key, &root, &events, now);
            self.stage_reached(key, &root, &events, now);
        }
    }

    fn crossings_decided(&mut self, key: IdentityKey, root: &Root, events: &[&Event]) {
        let orders = different(events, "Order Completed", "order_id");
        let complaints = different(events, "Complaint Filed", "complaint_id");
        for (rule, reached, least) in
            [("Repeat Purchase/2", orders, 2), ("Complaint Received/1", complaints, 1)]
        {
            let reached = reached.min(NUMBERED_MAX);
            if reached < least {
                continue;
            }
            let held = root.said.crossed.get(rule).map_or(0, |crossed| crossed.number);
            // A split takes events away, and not what was said of them.
            let parted = !self.profiles.was_never_parted(key);
            self.holds("crossings-decided", held == reached || (parted && held > reached), || {
                format!("{key} has reached {reached} by {rule}, decided on were {held}")
            });
        }
    }

    fn is_decided(root: &Root, rule: &str, last: Position) -> bool {
        let mark = root.said.marks.get(rule);
        mark.is_some_and(|mark| mark.episode >= last || mark.at >= last.at)
    }

    /// Somebody who came on two days or ordered, and has not been here since.
    fn absence_decided(&mut self, key: IdentityKey, root: &Root, events: &[&Event], now: Stamp) {
        let deeds = || events.iter().filter(|event| is_deed(event));
        let Some(last) = deeds().map(|event| event.position()).max() else { return };
        let latest = last.at.day();
        let days: BTreeSet<i64> =
            deeds().map(|event| event.at.day()).filter(|day| latest - day < 64).collect();
        let ordered = events.iter().any(|event| name_of(event) == "Order Completed");
        if (days.len() < 2 && !ordered) || last.at.plus(DORMANT) >= now {
            return;
        }
        let decided = Check::is_decided(root, "Became Dormant/20h", last);
        self.holds("silences-decided", decided, || {
            format!("{key} was here last at {}, and its dormancy is undecided", last.at)
        });
    }

    /// Something went into the cart, then the checkout was begun, and nothing since.
    fn checkout_decided(&mut self, key: IdentityKey, root: &Root, events: &[&Event], now: Stamp) {
        let mut of_cart: Vec<&&Event> = events
            .iter()
            .filter(|event| super::ending::CART_EVENTS.contains(&name_of(event)))
            .collect();
        of_cart.sort_by_key(|event| std::cmp::Reverse(event.position()));
        let [last, before, rest @ ..] = of_cart.as_slice() else { return };
        let alone = last.at > before.at && rest.first().is_none_or(|third| before.at > third.at);
        let begun = name_of(last) == "Checkout Started" && name_of(before) == "Product Added";
        if !alone || !begun || last.at.plus(CHECKOUT) >= now {
            return;
        }
        let decided = Check::is_decided(root, "Checkout Abandoned/2h", last.position());
        self.holds("silences-decided", decided, || {
            format!("{key} began its checkout at {}, and that is undecided", last.at)
        });
    }

    /// At rest every customer has lapsed, and nobody else has.
    fn stage_reached(&mut self, key: IdentityKey, root: &Root, events: &[&Event], now: Stamp) {
        let Some(mark) = root.said.stages.get("Stage Changed/6h") else {
            // Written last before its events came, or by links alone.
            return;
        };
        let bought = events.iter().any(|event| name_of(event) == "Order Completed");
        let known = events.iter().any(|event| {
            matches!(event.traits.get("email"), Some(Value::String(_)))
                || name_of(event) == "Signed Up"
        });
        let last = events.iter().filter(|event| is_deed(event)).map(|event| event.at).max();
        let silent = last.is_some_and(|last| last.plus(LAPSED) < now);
        let expected = match (bought, known) {
            (true, _) if silent => Stage::Lapsed,
            (true, _) => return,
            (false, true) => Stage::Lead,
            (false, false) => Stage::Visitor,
        };
        let found = mark.stage;
        self.holds("stage-reached", found == expected, || {
            format!("{key} stands at {}, its events make it {}", found.name(), expected.name())
        });
    }
}
