//! Caps and quiet hours: what SES accepted, counted over the times of the last claims, and what was
//! held back.

use super::super::core::Actor;
use super::super::workspace::{CAPS, JOURNEY_CAPS, QUIET, ZONES};
use super::Check;
use odyssey_domain::ids::{ContactKey, IdentityKey, SendId};
use odyssey_domain::message::{LedgerItem, SendState};
use odyssey_domain::policy::{Reason, ReasonCode};
use odyssey_domain::time::{Span, Stamp};
use odyssey_domain::wire::Owner;
use std::collections::{BTreeMap, BTreeSet};

/// The longest that a message may wait: the workspace does not say otherwise.
const DEFER_AT_MOST: Span = Span::DAY.times(3);

/// Mails that are not exempt, by address: when they were claimed, and by which journey.
#[derive(Debug, Default)]
pub(super) struct Pacing {
    accepted: BTreeMap<ContactKey, BTreeMap<SendId, (Stamp, String)>>,
    /// Every claim, whatever became of it: the latest of each send.
    claimed: BTreeMap<ContactKey, BTreeMap<SendId, (Stamp, String)>>,
}

/// Whether it is quiet where clocks are so many hours ahead.
fn is_quiet(at: Stamp, ahead: i64) -> bool {
    let (from, to) = QUIET;
    let hour = (at.ms().div_euclid(Span::HOUR.ms_i64()) + ahead).rem_euclid(24);
    hour >= from || hour < to
}

fn is_paced(item: &LedgerItem) -> bool {
    item.asked_by.is_some() && item.topic.as_str() != "orders"
}

/// Whether no window of a length holds more than so many of `times`, which are in order.
fn holds(times: &[Stamp], at_most: usize, within: Span) -> bool {
    times.windows(at_most + 1).all(|window| match window {
        [first, .., last] => last.since(*first) >= within,
        _ => true,
    })
}

/// Whether the other claims fill a cap's window that ends at `now`. A claim counts to the second
/// that it began in, and one that was taken back may have been read before.
fn is_full(
    claims: &BTreeMap<SendId, (Stamp, String)>,
    send: SendId,
    journey: Option<&str>,
    now: Stamp,
) -> bool {
    let within = |span: Span, only: Option<&str>| {
        let others = claims.iter().filter(|(other, _)| **other != send);
        let counted = others.filter(|(_, (at, of))| {
            only.is_none_or(|only| only == of) && at.plus(Span::SECOND) > now.minus(span)
        });
        counted.count()
    };
    CAPS.iter().any(|(most, span)| within(*span, None) >= *most)
        || JOURNEY_CAPS
            .iter()
            .any(|(of, most, span)| journey == Some(*of) && within(*span, Some(of)) >= *most)
}

impl Check {
    /// The ledger says so.
    pub(super) fn paced_written(&mut self, now: Stamp, actor: Actor, item: &LedgerItem) {
        let send = item.send;
        if let Some(deferral) = &item.deferral {
            let due = match item.state {
                SendState::Deferred { until, .. } => Some(until),
                _ => None,
            };
            self.armed(now, Owner::Send(send), deferral.arm, due);
            let waits = due.map_or(Span::ZERO, |until| until.since(deferral.since));
            self.holds("deferrals-end", waits <= DEFER_AT_MOST, || {
                format!("{send} was first put off at {}, now until {due:?}", deferral.since)
            });
        }
        if let SendState::Deferred { reasons, .. } | SendState::Skipped { reasons } = &item.state {
            self.held_back(actor, item, reasons);
        }
        if item.state != SendState::Claimed || !is_paced(item) {
            return;
        }
        if let (Some(contact), Some((journey, _))) = (item.contact, &item.asked_by) {
            let claims = self.pacing.claimed.entry(contact).or_default();
            let claim = claims.entry(send).or_insert_with(|| (item.at, journey.to_string()));
            claim.0 = claim.0.max(item.at);
        }
        let clocks = self.clocks_of(actor, item);
        let quiet = clocks.iter().all(|ahead| is_quiet(item.at, *ahead));
        self.holds("quiet-at-claim", !quiet, || {
            format!("{send} was claimed at {}, in quiet hours by clocks ahead {clocks:?}", item.at)
        });
    }

    /// By how many hours the clocks may be ahead that a message's profile was known to go by: those
    /// that its events say, and the workspace's where none was surely known.
    fn clocks_of(&self, actor: Actor, item: &LedgerItem) -> BTreeSet<i64> {
        let begun = self.invocations.get(&actor.invocation).map(|known| known.started);
        let profile = item.profile.map(IdentityKey::from);
        let root = profile.and_then(|profile| self.profiles.root_of(profile));
        let (Some(begun), Some(root)) = (begun, root) else { return BTreeSet::from([0]) };
        let mut clocks = BTreeSet::new();
        let mut sure = false;
        for (identity, folded) in self.profiles.events_of(root) {
            let said = folded.event.context.get("timezone").and_then(serde_json::Value::as_str);
            let zone = ZONES.iter().flatten().find(|(zone, _)| said == Some(zone));
            if let Some((_, ahead)) = zone {
                clocks.insert(*ahead);
                sure |= folded.at < begun && self.profiles.was_linked(identity, begun);
            }
        }
        if self.profiles.was_parted(root, begun) {
            clocks.extend(ZONES.iter().flatten().map(|(_, ahead)| *ahead));
        }
        if !sure || self.profiles.was_parted(root, begun) {
            clocks.insert(0);
        }
        clocks
    }

    /// A cap holds back only where other messages fill its window, quiet hours only at night.
    fn held_back(&mut self, actor: Actor, item: &LedgerItem, reasons: &[Reason]) {
        let says = |code| reasons.iter().any(|reason| reason.code == code);
        let (send, at) = (item.send, item.at);
        if says(ReasonCode::QuietHours) {
            let quiet = self.clocks_of(actor, item).iter().any(|ahead| is_quiet(at, *ahead));
            self.holds("held-with-cause", quiet, || {
                format!("{send} was held back for quiet hours at {at}")
            });
        }
        if says(ReasonCode::FrequencyCap) {
            let journey = item.asked_by.as_ref().map(|(journey, _)| journey.as_str());
            // Which address it was decided for is written down with a claim alone.
            let mut of = self.pacing.claimed.values();
            let full = of.any(|claims| is_full(claims, send, journey, at));
            self.holds("held-with-cause", full, || {
                format!("{send} was held back at {at} by a cap that no other messages fill")
            });
        }
    }

    /// An operator said that it was not sent: it counts against no cap, though it was.
    pub(super) fn paced_taken_back(&mut self, send: SendId) {
        for accepted in self.pacing.accepted.values_mut() {
            accepted.remove(&send);
        }
    }

    /// SES accepted it.
    pub(super) fn paced_accepted(&mut self, item: &LedgerItem) {
        let (Some(contact), Some((journey, _)), true) =
            (item.contact, &item.asked_by, is_paced(item))
        else {
            return;
        };
        let accepted = self.pacing.accepted.entry(contact).or_default();
        accepted.insert(item.send, (item.at, journey.to_string()));
        let mut all: Vec<Stamp> = accepted.values().map(|(at, _)| *at).collect();
        let of_it = accepted.values().filter(|(_, of)| of == journey.as_str());
        let mut own: Vec<Stamp> = of_it.map(|(at, _)| *at).collect();
        all.sort_unstable();
        own.sort_unstable();
        let broken = CAPS.iter().find(|(most, within)| !holds(&all, *most, *within));
        let own_broken = JOURNEY_CAPS
            .iter()
            .filter(|(of, _, _)| *of == journey.as_str())
            .find(|(_, most, within)| !holds(&own, *most, *within));
        self.holds("caps-at-claim", broken.is_none() && own_broken.is_none(), || {
            format!("{contact} got mails claimed at {all:?}: {broken:?} {own_broken:?}")
        });
    }
}
