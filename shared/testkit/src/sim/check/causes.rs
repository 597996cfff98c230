//! What is raised: once, with a cause in what the profile held when it was decided, and told.

use super::super::core::Actor;
use super::Check;
use super::outcomes::{STALE, has_checkout};
use super::past::{Cart, Past};
use odyssey_domain::event::Event;
use odyssey_domain::ids::{IdentityKey, Position, SignalId};
use odyssey_domain::profile::{ProfileEffect, Root};
use odyssey_domain::signal::{Mark, Raise, Threshold};
use odyssey_domain::time::{Span, Stamp};
use odyssey_domain::wire::SignalRaised;
use std::collections::{BTreeMap, BTreeSet};

/// A wake so little before its time is on time.
const EARLY: Span = Span::SECOND.times(2);
/// So long after the first purchase somebody is no longer new.
const NEW: Span = Span::HOUR.times(9);

/// What was raised, and where.
#[derive(Debug, Default)]
pub(super) struct Raised {
    once: BTreeSet<(IdentityKey, SignalId)>,
    /// What each was raised with: its name, at which threshold, since when, and when.
    with: BTreeMap<SignalId, BTreeSet<(String, Threshold, Stamp, Stamp)>>,
    /// When a signal of each name was raised, anywhere.
    times: BTreeSet<(String, Stamp)>,
    /// Silences that were decided on: by which rule, what began them, and when.
    marked: BTreeSet<(String, Position, Stamp)>,
    told: BTreeSet<SignalId>,
}

fn raises(root: &Root) -> impl Iterator<Item = &Raise> {
    root.said.pending.iter().filter_map(|effect| match effect {
        ProfileEffect::Raise(raise) => Some(raise),
        _ => None,
    })
}

impl Check {
    /// A root was written: what it now wants raised it never wanted raised before, and its events say
    /// the same. Roots that were linked or parted are others from then on, and where an earlier claim
    /// took the return from a silence, its end is said again, under the id that it had.
    pub(super) fn raises_written(
        &mut self,
        now: Stamp,
        actor: Actor,
        key: IdentityKey,
        before: Option<&Root>,
        after: &Root,
    ) {
        let held: BTreeSet<SignalId> =
            before.into_iter().flat_map(raises).map(|raise| raise.id).collect();
        let new: Vec<&Raise> = raises(after).filter(|raise| !held.contains(&raise.id)).collect();
        let whole = self.profiles.was_never_parted(key);
        for raise in &new {
            let id = raise.id;
            let first = self.raised.once.insert((key, id));
            let once = first || !whole || self.has_lost_the_return(key, after, id);
            self.holds("raised-once", once, || {
                format!("{key} raises {id}, which it has raised before")
            });
            let with = (raise.signal.clone(), raise.threshold, raise.since, raise.at);
            self.raised.with.entry(id).or_default().insert(with);
            self.raised.times.insert((raise.signal.clone(), raise.at));
        }
        let marks = self.newly_marked(after);
        let crossed = before.is_none_or(|before| before.said.crossed != after.said.crossed);
        if !new.is_empty() || !marks.is_empty() || crossed {
            let events: Vec<Event> = self.profiles.events_in(after).into_iter().cloned().collect();
            let past = Past::of(&events);
            self.warranted(now, actor, key, (after, &past), &new);
            self.marked(key, &past, &new, &marks);
            self.reached(key, before, after, &past, &new);
        }
        for (signal, at) in &after.said.raised {
            let known = self.raised.times.contains(&(signal.clone(), *at));
            self.holds("raised-with-cause", known, || {
                format!("{key} says that it raised {signal} at {at}, and nothing did")
            });
        }
    }

    /// Whether a signal was a change of stage, and whatever deeds it was raised of have left the
    /// profile.
    fn has_lost_the_return(&self, key: IdentityKey, root: &Root, id: SignalId) -> bool {
        let (gone, held) = (self.profiles.events_gone(key, root), self.profiles.events_in(root));
        let is_of = |events: &[&Event], since: Stamp| events.iter().any(|event| event.at == since);
        let with = self.raised.with.get(&id);
        with.is_some_and(|with| {
            with.iter().all(|(name, _, since, _)| {
                name == "Stage Changed" && is_of(&gone, *since) && !is_of(&held, *since)
            })
        })
    }

    /// What was decided on silences that no profile had decided on before.
    fn newly_marked(&mut self, after: &Root) -> Vec<(String, Mark)> {
        let is_new = |(rule, mark): &(&String, &Mark)| {
            self.raised.marked.insert(((*rule).clone(), mark.episode, mark.at))
        };
        let marks = after.said.marks.iter().filter(is_new);
        marks.map(|(rule, mark)| (rule.clone(), mark.clone())).collect()
    }

    fn warranted(
        &mut self,
        now: Stamp,
        actor: Actor,
        key: IdentityKey,
        (root, past): (&Root, &Past<'_>),
        raised: &[&Raise],
    ) {
        let started = self.invocations.get(&actor.invocation).map_or(now, |known| known.started);
        // By no clock of the run was it later, or earlier.
        let skew = Span::from_ms(self.skew_ms);
        let time = started.minus(skew)..=started.plus(skew).plus(EARLY);
        let parted = !self.profiles.was_never_parted(key);
        let gone: Vec<Event> = self.profiles.events_gone(key, root).into_iter().cloned().collect();
        let gone = &Past::of(&gone);
        for raise in raised {
            if let Threshold::Segment(name) = raise.threshold {
                self.segment_change(started, root, past, raise, name);
                continue;
            }
            let cause = Cause { raise, past, gone, parted };
            let in_time = time.contains(&raise.at);
            let missing = cause.missing().or_else(|| (!in_time).then_some("its time"));
            self.holds("raised-with-cause", missing.is_none(), || {
                let (signal, threshold, since, at) =
                    (&raise.signal, raise.threshold, raise.since, raise.at);
                let missing = missing.unwrap_or_default();
                let shown = serde_json::Value::from(raise.evidence.clone());
                format!(
                    "{key} raises {signal} {threshold} at {at} of {since} ({shown}): {missing} is missing"
                )
            });
        }
    }

    /// A signal is on the bus: it is one that a profile raised, as it did.
    pub(super) fn signal_told(&mut self, detail: &str) {
        let Ok(raised) = serde_json::from_str::<SignalRaised>(detail) else {
            self.holds("bus-entries-are-json", false, || format!("no signal: {detail}"));
            return;
        };
        let SignalRaised { id, signal, threshold, since, at, .. } = raised;
        self.raised.told.insert(id);
        let known = self.raised.with.get(&id);
        let known =
            known.is_some_and(|with| with.contains(&(signal.clone(), threshold, since, at)));
        self.holds("raised-with-cause", known, || {
            format!("{signal} {id} was told, and no profile raised it so")
        });
    }

    pub(super) fn is_signal_told(&self, id: SignalId) -> bool {
        self.raised.told.contains(&id)
    }

    /// How many signals of each name were raised.
    pub(in crate::sim) fn signals(&self) -> BTreeMap<String, u64> {
        let mut signals = BTreeMap::new();
        for (name, ..) in self.raised.with.values().filter_map(BTreeSet::first) {
            *signals.entry(name.clone()).or_default() += 1;
        }
        signals
    }

    /// At rest: what was raised was told.
    pub(super) fn raised_end(&mut self) {
        let untold = |(id, _): &(&SignalId, &_)| !self.is_signal_told(**id);
        let untold = self.raised.with.iter().find(untold);
        let untold = untold.map(|(id, with)| format!("{id} was raised and never told: {with:?}"));
        self.holds("raised-is-told", untold.is_none(), || untold.unwrap_or_default());
    }
}

/// A raise, and what speaks for it.
struct Cause<'c> {
    raise: &'c Raise,
    past: &'c Past<'c>,
    /// What the profile held once and does not any more.
    gone: &'c Past<'c>,
    /// Of a profile that was linked or split: what it was decided on may have left it.
    parted: bool,
}

impl Cause<'_> {
    /// What is missing for it to be warranted, if anything.
    fn missing(&self) -> Option<&'static str> {
        let past = self.past;
        match (self.raise.signal.as_str(), self.raise.threshold) {
            ("Cart Abandoned", Threshold::After(span)) => self.cart(span),
            ("Checkout Abandoned", Threshold::After(span)) => self.checkout(span),
            ("Browse Abandoned", Threshold::After(span)) => self.browse(span),
            ("Registration Abandoned", Threshold::After(span)) => {
                self.silence(past.open_registration(), span)
            }
            ("Became Dormant", Threshold::After(span)) => {
                let acquainted = past.days().len() >= 2 || past.has("Order Completed");
                if !acquainted {
                    return Some("an acquaintance");
                }
                self.silence(past.last_deed(), span)
            }
            ("Engagement Declining", Threshold::AtLeast(times)) => {
                let Some(usual) = past.usual_gap() else { return Some("a rhythm") };
                self.silence(past.last_deed(), usual.times(times))
            }
            ("Back After Absence", Threshold::After(span)) => self.back(span),
            ("Renewal Due", Threshold::Before(span)) => self.renewal(span),
            ("First Purchase", Threshold::AtLeast(1)) => self.numbered(1, &past.orders()),
            ("Repeat Purchase", Threshold::AtLeast(least)) => {
                self.counted(least, "order", &past.orders())
            }
            ("Lead Submitted", Threshold::AtLeast(least)) => {
                self.counted(least, "submissions", &past.leads())
            }
            ("Complaint Received", Threshold::AtLeast(least)) => {
                self.counted(least, "complaints", &past.complaints())
            }
            ("Interest Shown", Threshold::AtLeast(least)) => self.interest(least),
            ("Binge Started", Threshold::AtLeast(least)) => self.binge(least),
            ("Stage Changed", Threshold::After(span)) => self.stage(span),
            _ => Some("a rule"),
        }
    }

    /// Nothing since `last`, for so long, and not for much longer.
    fn silence(&self, last: Option<Position>, span: Span) -> Option<&'static str> {
        let Some(last) = last else { return Some("what began the silence") };
        let Raise { since, at, .. } = *self.raise;
        if since != last.at {
            return Some("the last deed");
        }
        let over = last.at.plus(span);
        if at < over {
            return Some("some of the silence");
        }
        (at > over.plus(STALE)).then_some("freshness")
    }

    fn cart(&self, span: Span) -> Option<&'static str> {
        match self.past.cart() {
            Cart::Empty => Some("a cart with something in it"),
            Cart::Filled(cart) if has_checkout(cart) => Some("a cart without a checkout"),
            Cart::Filled(_) | Cart::Unclear => self.silence(self.past.at_the_cart(), span),
        }
    }

    fn checkout(&self, span: Span) -> Option<&'static str> {
        match self.past.cart() {
            Cart::Empty => Some("a cart with something in it"),
            Cart::Filled(cart) if !has_checkout(cart) => Some("a checkout"),
            Cart::Unclear if !self.past.has("Checkout Started") => Some("a checkout"),
            Cart::Filled(_) | Cart::Unclear => self.silence(self.past.at_the_cart(), span),
        }
    }

    fn browse(&self, span: Span) -> Option<&'static str> {
        let viewed = self.past.viewed();
        let (Some(seen), at_cart) = (viewed, self.past.at_the_cart()) else {
            return Some("a product looked at");
        };
        if at_cart.is_some_and(|at_cart| at_cart.at >= seen.at) {
            return Some("a visit without a cart");
        }
        match self.past.cart() {
            Cart::Filled(cart) if cart.last.at.plus(STALE) >= seen.at => Some("an empty cart"),
            _ => self.silence(viewed, span),
        }
    }

    fn back(&self, span: Span) -> Option<&'static str> {
        let Raise { since, evidence, .. } = self.raise;
        let absent =
            evidence.get("absent_since").and_then(|text| Stamp::parse(text.as_str()?).ok());
        let Some(absent) = absent else { return Some("the absence") };
        if self.past.last_deed().is_none_or(|last| last.at != *since) {
            return Some("the deed that is the return");
        }
        if absent.plus(span) >= *since {
            return Some("some of the absence");
        }
        // An absence that was noted stays noted, though an earlier claim takes the deed before it.
        let mut deeds = self.past.deeds().chain(self.gone.deeds());
        let left = deeds.any(|deed| deed.at == absent);
        (!left && !self.parted).then_some("the deed before the absence")
    }

    fn renewal(&self, span: Span) -> Option<&'static str> {
        let Raise { since, at, .. } = *self.raise;
        let renews = self.past.renews().filter(|(renews, said)| *renews > said.at);
        let Some((renews, said)) = renews else { return Some("a date") };
        if said.at != since {
            return Some("the last word on the date");
        }
        let due = renews.minus(span).max(said.at);
        if at < due {
            return Some("some of the time until the date");
        }
        (at > due.plus(STALE) || at >= renews).then_some("freshness")
    }

    /// The so many-th, by what the evidence says it is.
    fn counted(&self, least: u64, name: &str, stamps: &[Stamp]) -> Option<&'static str> {
        let number = self.raise.evidence.get(name).and_then(serde_json::Value::as_u64);
        let Some(number) = number.filter(|number| *number >= least) else {
            return Some("the number");
        };
        self.numbered(number, stamps)
    }

    fn numbered(&self, number: u64, stamps: &[Stamp]) -> Option<&'static str> {
        let nth = usize::try_from(number).ok().and_then(|n| stamps.get(n.checked_sub(1)?));
        let Some(nth) = nth else { return Some("the so many-th") };
        let Raise { since, at, .. } = *self.raise;
        if since != *nth {
            return Some("the so many-th then");
        }
        (at > since.plus(STALE)).then_some("freshness")
    }

    /// What is kept by day: of a day that is one of those it was reached on, and not much later.
    fn of_day(&self, day: i64) -> Option<&'static str> {
        let Raise { since, at, .. } = *self.raise;
        if since.day() != day {
            return Some("the day");
        }
        let next = Stamp::from_ms((day + 1) * 86_400_000);
        let deed = self.past.last_deed().filter(|last| last.at.day() == day);
        // Of a day that is not the last, only that it was on it.
        if since != deed.map_or(next.minus(Span::from_ms(1)), |deed| deed.at) {
            return Some("the last deed of the day, or its end");
        }
        (at > next.plus(STALE)).then_some("freshness")
    }

    fn interest(&self, least: u64) -> Option<&'static str> {
        let text = |name: &str| self.raise.evidence.get(name).and_then(serde_json::Value::as_str);
        let week = self.raise.since.day().div_euclid(7);
        let key = (week, text("category").unwrap_or_default().to_owned());
        let lingered = self.past.lingered();
        match lingered.get(&key) {
            Some((seconds, day)) if *seconds >= least => self.of_day(*day),
            _ => Some("the seconds"),
        }
    }

    fn binge(&self, least: u64) -> Option<&'static str> {
        let day = self.raise.since.day();
        match self.past.watched().get(&day) {
            Some(videos) if *videos >= least => self.of_day(day),
            _ => Some("the videos"),
        }
    }

    fn stage(&self, at_risk: Span) -> Option<&'static str> {
        let Raise { since, at, .. } = *self.raise;
        let text = |name: &str| self.raise.evidence.get(name).and_then(serde_json::Value::as_str);
        let (from, to) = (text("from").unwrap_or_default(), text("to").unwrap_or_default());
        let bought = self.past.purchases();
        let silences = [
            ("at risk", at_risk),
            ("dormant", Span::HOUR.times(18)),
            ("lapsed", Span::HOUR.times(30)),
        ];
        let silence = |stage: &str| silences.iter().find(|(name, _)| *name == stage);
        if let Some((_, span)) = silence(to) {
            if bought.is_empty() {
                return Some("a purchase");
            }
            return self.silence(self.past.last_deed(), *span);
        }
        let grown = bought.first().is_some_and(|first| first.plus(NEW) <= at);
        let reached = match to {
            "lead" => self.past.is_known() || !bought.is_empty(),
            "new" => !bought.is_empty(),
            "active" => bought.len() >= 2 || grown,
            "loyal" => bought.len() >= 3,
            _ => false,
        };
        if !reached {
            return Some("what leads to the stage");
        }
        let back = silence(from).is_some();
        let returned = self.past.last_deed().is_some_and(|last| last.at == since);
        if back {
            return (!returned).then_some("the return");
        }
        (at > since.plus(STALE)).then_some("freshness")
    }
}
