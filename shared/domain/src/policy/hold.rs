//! What holds a message back for a while: frequency caps and quiet hours.
//!
//! Counted are the claims of the contact, which the claim of this message is a transaction with:
//! whatever is decided here holds at the instant of the claim, or the claim fails and it is decided
//! again. Where a contact's memory is full of claims that some cap still needs, the next message
//! is held back as well: what cannot be counted must not be sent.

use super::{Reason, ReasonCode};
use crate::catalog::{JourneyEntry, JourneyState};
use crate::contact::{CLAIMS_MAX, Claim, Claims, JourneyTag, TopicId, TopicTag};
use crate::ids::SendId;
use crate::journey::JourneyId;
use crate::pacing::{FrequencyCap, Instead, Pacing, QuietHours, Zone};
use crate::time::{Span, Stamp};
use std::collections::BTreeMap;
use std::fmt;

/// A message of a paused journey is looked at again after so long at least.
const PAUSED_LOOK_MIN: Span = Span::from_ms(15 * 60_000);

/// What a message's pacing is decided on, beside the contact and the profile.
#[derive(Debug, Clone, Copy)]
pub struct Paced<'a> {
    /// The message: its own claim never counts against it, and its id is its place in the spread.
    pub send: SendId,
    /// The journey that asks for it.
    pub journey: Option<&'a JourneyId>,
    /// The workspace's pacing.
    pub pacing: &'a Pacing,
    /// Every published journey: their caps say which claims are still needed.
    pub journeys: &'a BTreeMap<JourneyId, JourneyEntry>,
    /// What its step says of caps.
    pub when_capped: Option<Instead>,
    /// What its step says of quiet hours.
    pub when_quiet: Option<Instead>,
    /// When it was first put off, where it was.
    pub deferred_since: Option<Stamp>,
    /// How many claims its contact has room for, at most [`CLAIMS_MAX`].
    pub room: usize,
}

/// Whose messages a cap counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    All,
    Topic(TopicTag),
    Journey(JourneyTag),
}

impl Scope {
    fn counts(self, claim: &Claim) -> bool {
        match self {
            Scope::All => true,
            Scope::Topic(topic) => claim.topic == topic,
            Scope::Journey(journey) => claim.journey == journey,
        }
    }
}

impl FrequencyCap {
    fn scope(&self) -> Scope {
        self.topic.as_ref().map_or(Scope::All, |topic| Scope::Topic(TopicTag::of(topic)))
    }

    /// Whether a claim is inside a window that ends at `now`.
    fn reaches(&self, claim: &Claim, now: Stamp) -> bool {
        claim.at > now.minus(self.within)
    }

    /// How many of `claims` count, and from when on one more may go, where that is not `now`.
    fn holds(&self, scope: Scope, claims: &[&Claim], now: Stamp) -> Option<(usize, Stamp)> {
        let counted = claims.iter().filter(|c| scope.counts(c) && self.reaches(c, now));
        let mut times: Vec<Stamp> = counted.map(|claim| claim.at).collect();
        let at_most = usize::try_from(self.at_most).unwrap_or(usize::MAX);
        let surplus = times.len().checked_sub(at_most)?;
        times.sort_unstable();
        // The latest of those that must have left the window; there is none under a cap of zero.
        let free = times.get(surplus).map_or(Stamp::MAX, |at| at.plus(self.within));
        Some((times.len(), free))
    }
}

impl Paced<'_> {
    /// Whether any cap of the workspace still counts a claim at `now`.
    #[must_use]
    pub fn needs(&self, claim: &Claim, now: Stamp) -> bool {
        let counts =
            |cap: &FrequencyCap, scope: Scope| scope.counts(claim) && cap.reaches(claim, now);
        self.pacing.frequency_caps.iter().any(|cap| counts(cap, cap.scope()))
            || self.journeys.iter().any(|(journey, entry)| {
                !entry.frequency_caps.is_empty() && {
                    let scope = Scope::Journey(JourneyTag::of(Some(journey)));
                    entry.frequency_caps.iter().any(|cap| counts(cap, scope))
                }
            })
    }

    /// The caps that bind this message, with the words that name them.
    fn caps(&self, topic: &TopicId) -> Vec<(&FrequencyCap, Scope, Whose<'_>)> {
        let all = self.pacing.frequency_caps.iter();
        let mut caps: Vec<_> = all
            .filter(|cap| cap.topic.as_ref().is_none_or(|only| only == topic))
            .map(|cap| {
                let whose = cap.topic.as_ref().map_or(Whose::Workspace, Whose::Topic);
                (cap, cap.scope(), whose)
            })
            .collect();
        if let Some((journey, entry)) =
            self.journey.and_then(|journey| self.journeys.get_key_value(journey))
        {
            let scope = Scope::Journey(JourneyTag::of(Some(journey)));
            let own = entry.frequency_caps.iter();
            caps.extend(own.map(|cap| (cap, scope, Whose::Journey(journey))));
        }
        caps
    }

    /// Each cap that is reached, and the instant from which on none is.
    fn capped(&self, topic: &TopicId, claims: &Claims, now: Stamp) -> (Vec<Reason>, Stamp) {
        let others: Vec<&Claim> = claims.others(self.send).collect();
        let mut reasons = Vec::new();
        let mut free = now;
        for (cap, scope, whose) in self.caps(topic) {
            let Some((count, from)) = cap.holds(scope, &others, now) else { continue };
            let (most, within) = (cap.at_most, cap.within);
            let found =
                format!("{whose}: {count} within {within}, at most {most}; free from {from}");
            reasons.push(Reason::new(ReasonCode::FrequencyCap, found));
            free = free.max(from);
        }
        let room = self.room.min(CLAIMS_MAX);
        let mut needed: Vec<&Claim> = others.into_iter().filter(|c| self.needs(c, now)).collect();
        if reasons.is_empty() && needed.len() >= room {
            needed.sort_unstable_by_key(|claim| claim.at);
            let from = self.forgettable(&needed, needed.len() - room, now);
            let found =
                format!("{} messages to count, room for {room}; free from {from}", needed.len());
            reasons.push(Reason::new(ReasonCode::FrequencyCap, found));
            free = free.max(from);
        }
        (reasons, free)
    }

    /// When more than `surplus` of the needed claims, oldest first, are needed no longer: at the
    /// latest when the longest window of all caps has passed over that many.
    fn forgettable(&self, needed: &[&Claim], surplus: usize, now: Stamp) -> Stamp {
        let journeys = self.journeys.values().flat_map(|entry| &entry.frequency_caps);
        let caps = self.pacing.frequency_caps.iter().chain(journeys);
        let longest = caps.map(|cap| cap.within).max().unwrap_or(Span::ZERO);
        needed.get(surplus).map_or(now, |claim| claim.at.plus(longest))
    }

    /// Where the journey that asks stands still: its messages wait like those inside it, and are
    /// looked at again after a quarter of what they have waited, as often as they may wait at all.
    pub(super) fn paused(&self, now: Stamp) -> Option<Hold> {
        let (journey, entry) = self.journeys.get_key_value(self.journey?)?;
        match entry.state {
            JourneyState::Live | JourneyState::Archived => return None,
            JourneyState::Paused | JourneyState::Draft => {}
        }
        let since = self.deferred_since.unwrap_or(now);
        let last = since.plus(self.pacing.defer_at_most);
        let found = format!("journey {journey}: not running");
        let mut reasons = vec![Reason::new(ReasonCode::JourneyPaused, found)];
        if now >= last {
            let most = self.pacing.defer_at_most;
            let found = format!("since {since}; at most {most}");
            reasons.push(Reason::new(ReasonCode::DeferredTooLong, found));
            return Some(Hold::Skip(reasons));
        }
        let quarter = Span::from_ms(now.since(since).ms() / 4).max(PAUSED_LOOK_MIN);
        Some(Hold::Defer { until: self.spread(now.plus(quarter), None).min(last), reasons })
    }

    /// Where the message must not go out at `now`, what holds it back and what is to become of it.
    pub(super) fn hold(
        &self,
        topic: &TopicId,
        claims: &Claims,
        zone: Option<&str>,
        now: Stamp,
    ) -> Option<Hold> {
        let (mut reasons, free) = self.capped(topic, claims, now);
        let capped = !reasons.is_empty();
        let quiet = self.pacing.quiet_hours.as_ref().map(|quiet| Quiet::of(quiet, zone));
        let in_quiet = quiet.as_ref().and_then(|quiet| quiet.reason(now));
        let skips = (capped
            && self.when_capped.unwrap_or(self.pacing.when_capped) == Instead::Skip)
            || (in_quiet.is_some()
                && self.when_quiet.unwrap_or(self.pacing.when_quiet) == Instead::Skip);
        reasons.extend(in_quiet);
        if reasons.is_empty() {
            return None;
        }
        if skips {
            return Some(Hold::Skip(reasons));
        }
        let until = self.spread(free, quiet.as_ref());
        let since = self.deferred_since.unwrap_or(now);
        if until > since.plus(self.pacing.defer_at_most) {
            let most = self.pacing.defer_at_most;
            let found = format!("since {since}, until {until} at the earliest; at most {most}");
            reasons.push(Reason::new(ReasonCode::DeferredTooLong, found));
            return Some(Hold::Skip(reasons));
        }
        Some(Hold::Defer { until, reasons })
    }

    /// The message's own moment after the first instant from `free` on that is not quiet, before
    /// the next that is.
    fn spread(&self, free: Stamp, quiet: Option<&Quiet<'_>>) -> Stamp {
        let open = quiet.map_or(free, |quiet| quiet.hours.first_open(free, &quiet.zone));
        let open_for = quiet.map_or(Span::MAX, |quiet| quiet.hours.open_for(open, &quiet.zone));
        let over = self.pacing.spread.min(open_for).ms().max(1);
        let place = self.send.bytes().last_chunk().map_or(0, |last| u64::from_be_bytes(*last));
        open.plus(Span::from_ms(place % over))
    }
}

/// What becomes of a message that is held back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Hold {
    Skip(Vec<Reason>),
    Defer { until: Stamp, reasons: Vec<Reason> },
}

/// Whose cap it is.
enum Whose<'a> {
    Workspace,
    Topic(&'a TopicId),
    Journey(&'a JourneyId),
}

impl fmt::Display for Whose<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Whose::Workspace => f.write_str("workspace"),
            Whose::Topic(topic) => write!(f, "topic {topic}"),
            Whose::Journey(journey) => write!(f, "journey {journey}"),
        }
    }
}

/// Quiet hours in the zone of one customer: their own where it is known and a zone, else the
/// workspace's.
struct Quiet<'a> {
    hours: &'a QuietHours,
    zone: Zone,
}

impl Quiet<'_> {
    fn of<'q>(hours: &'q QuietHours, zone: Option<&str>) -> Quiet<'q> {
        let own = zone.and_then(|name| Zone::parse(name).ok());
        Quiet { hours, zone: own.unwrap_or_else(|| hours.timezone.clone()) }
    }

    fn reason(&self, now: Stamp) -> Option<Reason> {
        self.hours.cover(now, &self.zone).then(|| {
            let (clock, open) =
                (QuietHours::clock(now, &self.zone), self.hours.first_open(now, &self.zone));
            let found = format!("{clock} in {}, quiet {}; open from {open}", self.zone, self.hours);
            Reason::new(ReasonCode::QuietHours, found)
        })
    }
}
