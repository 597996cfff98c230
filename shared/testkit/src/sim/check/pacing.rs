//! Caps and quiet hours: what SES accepted, counted over the times of the last claims.

use super::super::workspace::{CAPS, JOURNEY_CAPS, QUIET};
use super::Check;
use odyssey_domain::ids::ContactKey;
use odyssey_domain::message::{LedgerItem, SendState};
use odyssey_domain::time::{Span, Stamp};
use odyssey_domain::wire::Owner;
use std::collections::BTreeMap;

/// The longest that a message may wait: the workspace does not say otherwise.
const DEFER_AT_MOST: Span = Span::DAY.times(3);

/// Mails that are not exempt, by address: when they were claimed, and by which journey.
#[derive(Debug, Default)]
pub(super) struct Pacing {
    accepted: BTreeMap<ContactKey, Vec<(Stamp, String)>>,
    claimed: BTreeMap<ContactKey, u32>,
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

impl Check {
    /// The ledger says so.
    pub(super) fn paced_written(&mut self, item: &LedgerItem) {
        let send = item.send;
        if let Some(deferral) = &item.deferral {
            let due = match item.state {
                SendState::Deferred { until, .. } => Some(until),
                _ => None,
            };
            self.armed(Owner::Send(send), deferral.arm, due);
            let waits = due.map_or(Span::ZERO, |until| until.since(deferral.since));
            self.holds("deferrals-end", waits <= DEFER_AT_MOST, || {
                format!("{send} was first put off at {}, now until {due:?}", deferral.since)
            });
        }
        if item.state != SendState::Claimed || !is_paced(item) {
            return;
        }
        if let Some(contact) = item.contact {
            *self.pacing.claimed.entry(contact).or_default() += 1;
        }
        let (from, to) = QUIET;
        let hour = item.at.ms() / Span::HOUR.ms_i64() % 24;
        let quiet = hour >= from || hour < to;
        self.holds("quiet-at-claim", !quiet, || {
            format!("{send} was claimed at {}, in quiet hours", item.at)
        });
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

    /// Whether so many messages were ever claimed for an address that some cap can be reached.
    pub(super) fn may_be_capped(&self, contact: ContactKey) -> bool {
        let least = CAPS.iter().map(|(most, _)| *most);
        let least = least.chain(JOURNEY_CAPS.iter().map(|(_, most, _)| *most)).min();
        let claimed = self.pacing.claimed.get(&contact).copied().unwrap_or(0);
        least.is_some_and(|least| usize::try_from(claimed).is_ok_and(|claimed| claimed >= least))
    }
}
