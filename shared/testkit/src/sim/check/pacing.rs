//! Caps and quiet hours: what SES accepted, counted over the times of the last claims, and what was
//! held back.

use super::super::workspace::{CAPS, JOURNEY_CAPS, QUIET};
use super::Check;
use odyssey_domain::ids::{ContactKey, SendId};
use odyssey_domain::message::{LedgerItem, SendState};
use odyssey_domain::policy::{Reason, ReasonCode};
use odyssey_domain::time::{Span, Stamp};
use odyssey_domain::wire::Owner;
use std::collections::BTreeMap;

/// The longest that a message may wait: the workspace does not say otherwise.
const DEFER_AT_MOST: Span = Span::DAY.times(3);

/// Mails that are not exempt, by address: when they were claimed, and by which journey.
#[derive(Debug, Default)]
pub(super) struct Pacing {
    accepted: BTreeMap<ContactKey, Vec<(Stamp, String)>>,
    /// Every claim, whatever became of it: the latest of each send.
    claimed: BTreeMap<ContactKey, BTreeMap<SendId, (Stamp, String)>>,
}

fn is_quiet(at: Stamp) -> bool {
    let (from, to) = QUIET;
    let hour = at.ms() / Span::HOUR.ms_i64() % 24;
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
    pub(super) fn paced_written(&mut self, now: Stamp, item: &LedgerItem) {
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
            self.held_back(item, reasons);
        }
        if item.state != SendState::Claimed || !is_paced(item) {
            return;
        }
        if let (Some(contact), Some((journey, _))) = (item.contact, &item.asked_by) {
            let claims = self.pacing.claimed.entry(contact).or_default();
            let claim = claims.entry(send).or_insert_with(|| (item.at, journey.to_string()));
            claim.0 = claim.0.max(item.at);
        }
        self.holds("quiet-at-claim", !is_quiet(item.at), || {
            format!("{send} was claimed at {}, in quiet hours", item.at)
        });
    }

    /// A cap holds back only where other messages fill its window, quiet hours only at night.
    fn held_back(&mut self, item: &LedgerItem, reasons: &[Reason]) {
        let says = |code| reasons.iter().any(|reason| reason.code == code);
        let (send, at) = (item.send, item.at);
        if says(ReasonCode::QuietHours) {
            self.holds("held-with-cause", is_quiet(at), || {
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

    /// SES accepted it.
    pub(super) fn paced_accepted(&mut self, item: &LedgerItem) {
        let (Some(contact), Some((journey, _)), true) =
            (item.contact, &item.asked_by, is_paced(item))
        else {
            return;
        };
        let accepted = self.pacing.accepted.entry(contact).or_default();
        accepted.push((item.at, journey.to_string()));
        accepted.sort();
        let all: Vec<Stamp> = accepted.iter().map(|(at, _)| *at).collect();
        let own: Vec<Stamp> =
            accepted.iter().filter(|(_, of)| of == journey.as_str()).map(|(at, _)| *at).collect();
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
