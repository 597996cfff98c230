//! Journeys: who entered, on what, what was asked for on the way, and whether it came to its end.

use super::super::core::Actor;
use super::super::workspace::{Version, journeys as published, publication};
use super::Check;
use super::past::{Cart, Past};
use odyssey_domain::event::Event;
use odyssey_domain::ids::{ContentHash, EnrollmentId, IdentityKey, ProfileId, SendId};
use odyssey_domain::journey::{
    Ending, Enrollment, Journey, JourneyEffect, ReEntry, StepId, StepKind,
};
use odyssey_domain::predicate::EventPredicate;
use odyssey_domain::time::{Span, Stamp};
use odyssey_domain::wire::{EventFolded, Owner, SignalRaised, detail_type};
use odyssey_flows::ports::{Key, Row, Table};
use std::collections::{BTreeMap, BTreeSet};

/// What may let somebody into a journey.
#[derive(Debug, Clone)]
pub(super) struct Occasion {
    pub(super) profile: ProfileId,
    /// The message id, or the signal's.
    pub(super) id: String,
    pub(super) since: Stamp,
    pub(super) at: Stamp,
    pub(super) what: Happening,
}

/// An event or a signal.
#[derive(Debug, Clone)]
pub(super) enum Happening {
    Event(Box<Event>),
    Signal(Box<SignalRaised>),
}

/// An enrollment over its life.
#[derive(Debug, Clone)]
pub(super) struct Life {
    pub(super) enrollment: Enrollment,
    /// What its writes wanted sent.
    pub(super) wanted: BTreeMap<SendId, StepId>,
}

/// What is known of journeys.
#[derive(Debug, Default)]
pub(super) struct Journeys {
    /// What stands in each slot.
    slots: BTreeMap<Key, EnrollmentId>,
    /// Everybody who ever entered, by id and slot.
    pub(super) lives: BTreeMap<(EnrollmentId, Key), Life>,
    /// Occasions that were dealt with, as they were first.
    processed: BTreeMap<String, Processed>,
}

/// An occasion that was dealt with.
#[derive(Debug, Clone)]
struct Processed {
    occasion: Occasion,
    /// When that began.
    at: Stamp,
    /// Nothing may have been in the cart of its profile any more.
    cart_gone: bool,
}

/// The occasion in a message of `journey`'s queue.
pub(super) fn occasion(body: &str) -> Option<Occasion> {
    let envelope = super::envelope(body)?;
    match envelope.detail_type.as_str() {
        detail_type::EVENT_FOLDED => {
            let folded: EventFolded = serde_json::from_str(envelope.detail.get()).ok()?;
            Some(Occasion {
                profile: folded.profile,
                id: folded.event.id.clone(),
                since: folded.event.at,
                at: folded.event.at,
                what: Happening::Event(Box::new(folded.event)),
            })
        }
        detail_type::SIGNAL_RAISED => {
            let raised: SignalRaised = serde_json::from_str(envelope.detail.get()).ok()?;
            Some(Occasion {
                profile: raised.profile,
                id: raised.id.to_string(),
                since: raised.since,
                at: raised.at,
                what: Happening::Signal(Box::new(raised)),
            })
        }
        _ => None,
    }
}

impl Occasion {
    /// Whether an enrollment stands under the enrollment key of this occasion.
    fn has_key_of(&self, journey: &Journey, held: &Enrollment) -> bool {
        let of = match &self.what {
            Happening::Event(event) => odyssey_domain::journey::Occasion::of_event(event),
            Happening::Signal(signal) => odyssey_domain::journey::Occasion::of_signal(signal),
        };
        let key = of.enrollment_key(journey);
        odyssey_domain::ids::EnrollmentKeyHash::of(&key) == held.slot.key
    }

    fn triggers(&self, journey: &Journey) -> bool {
        match &self.what {
            Happening::Event(event) => journey.trigger.is_event(event),
            Happening::Signal(signal) => journey.trigger.is_signal(signal),
        }
    }
}

/// The least time from the start of a journey to each of its steps: its delays, waits left out.
fn least(journey: &Journey) -> BTreeMap<StepId, u64> {
    let mut least: BTreeMap<StepId, u64> = BTreeMap::from([(journey.first.clone(), 0)]);
    // Journeys here have no loops and few steps: as many rounds as steps are enough.
    for _ in 0..journey.steps.len() {
        for (id, step) in &journey.steps {
            let Some(here) = least.get(id).copied() else { continue };
            let takes = match &step.kind {
                StepKind::Delay { length } => length.ms(),
                _ => 0,
            };
            for target in step.targets() {
                let held = least.entry(target.clone()).or_insert(u64::MAX);
                *held = (*held).min(here + takes);
            }
        }
    }
    least
}

/// Whether some way from `at` to an end sends exactly `steps`.
fn is_way(journey: &Journey, at: Option<&StepId>, steps: &BTreeSet<StepId>, depth: usize) -> bool {
    let Some((id, step)) = at.and_then(|id| Some((id, journey.steps.get(id)?))) else {
        return steps.is_empty();
    };
    if depth == 0 {
        return false;
    }
    let mut left = steps.clone();
    match &step.kind {
        StepKind::Send { .. } if !left.remove(id) => return false,
        StepKind::Exit => return left.is_empty(),
        _ => {}
    }
    let mut targets: Vec<Option<&StepId>> = step.targets().into_iter().map(Some).collect();
    let falls_through = match &step.kind {
        StepKind::WaitUntil { on_event, on_timeout, .. } => {
            step.next.is_none() && (on_event.is_none() || on_timeout.is_none())
        }
        _ => step.next.is_none(),
    };
    if falls_through {
        targets.push(None);
    }
    targets.into_iter().any(|target| is_way(journey, target, &left, depth - 1))
}

/// The journey's own rule ends what it was for, whatever had been asked for last.
const fn is_moot(ending: Ending) -> bool {
    match ending {
        Ending::Exited | Ending::GoalReached | Ending::Erased => true,
        Ending::Completed => false,
    }
}

impl Journeys {
    pub(super) fn forget(&mut self, key: &Key) {
        if key.table == Table::Enrollments {
            self.slots.remove(key);
        }
    }

    fn journey_of(version: ContentHash) -> Option<&'static Journey> {
        published().get(&version)
    }
}

impl Check {
    /// An occasion was dealt with by an invocation that began then.
    pub(super) fn occasion_processed(&mut self, occasion: Occasion, begun: Stamp) {
        if self.journeys.processed.contains_key(&occasion.id) {
            return;
        }
        let is_filtered = published()
            .values()
            .any(|journey| journey.entry_filter.is_some() && occasion.triggers(journey));
        let cart_gone = is_filtered && self.is_cart_gone(&occasion, begun);
        let id = occasion.id.clone();
        self.journeys.processed.insert(id, Processed { occasion, at: begun, cart_gone });
    }

    /// Whether the cart of an occasion's profile may have been gone when journey read it, which was
    /// after `begun`: the id that filled it was split off, or went to whoever had claimed it earlier.
    /// Only what is there still and was there by then fills it for sure.
    fn is_cart_gone(&self, occasion: &Occasion, begun: Stamp) -> bool {
        let own = IdentityKey::from(occasion.profile);
        let Some(root) = self.profiles.root_of(own) else { return false };
        let events = self.profiles.events_of(root);
        let known = events.iter().filter(|(identity, folded)| {
            let was_its = *identity == own || self.profiles.was_linked(*identity, begun);
            was_its && folded.at < begun
        });
        match Past::of(known.map(|(_, folded)| &folded.event)).cart() {
            Cart::Empty => true,
            Cart::Filled(_) => false,
            // It was filled when the signal was raised, and is still where nothing was split off.
            Cart::Unclear => {
                let raised = occasion.at.minus(Span::from_ms(self.skew_ms));
                self.profiles.was_parted(own, raised)
            }
        }
    }

    pub(super) fn enrollment_written(
        &mut self,
        now: Stamp,
        actor: Actor,
        key: &Key,
        after: Option<&Row>,
    ) {
        let Some(after) = after.and_then(super::item::<Enrollment>) else { return };
        let stood = self.journeys.slots.get(key).copied();
        let before = stood.and_then(|id| self.journeys.lives.get(&(id, key.clone())).cloned());
        self.one_in_a_slot(key, before.as_ref().map(|life| &life.enrollment), &after);
        if let Some(before) = &before {
            self.wants_left(before, &after);
        }
        let entered = stood != Some(after.id);
        if entered {
            self.re_entry(now, before.as_ref().map(|life| &life.enrollment), &after);
        }
        let mut wanted = match &before {
            Some(life) if !entered => life.wanted.clone(),
            _ => BTreeMap::new(),
        };
        let before = before.map(|life| life.enrollment).filter(|_| !entered);
        if let Some(journey) = Journeys::journey_of(after.version) {
            self.waits_as_said(now, journey, before.as_ref(), &after);
        }
        for effect in &after.pending {
            let JourneyEffect::Send { step, iteration, .. } = effect else { continue };
            let send = SendId::derive(after.id, step.as_str(), *iteration);
            if wanted.insert(send, step.clone()).is_none() {
                self.may_ask(now, actor, before.as_ref(), &after, step);
            }
        }
        self.armed(now, Owner::Enrollment(after.slot.clone()), after.arm, after.due);
        self.journeys.slots.insert(key.clone(), after.id);
        let life = Life { enrollment: after.clone(), wanted };
        self.journeys.lives.insert((after.id, key.clone()), life);
    }

    fn one_in_a_slot(&mut self, key: &Key, before: Option<&Enrollment>, after: &Enrollment) {
        let Some(before) = before else { return };
        let held = if before.id == after.id {
            before.version == after.version
                && before.started == after.started
                && before.entered == after.entered
                && (before.ended.is_none() || before.ended == after.ended)
        } else {
            let again = self.journeys.lives.contains_key(&(after.id, key.clone()));
            before.ended.is_some() && !again
        };
        self.holds("one-enrollment-a-slot", held, || {
            format!("{key:?}: {} became {} {:?}", before.id, after.id, after.ended)
        });
    }

    /// Sends that the item no longer holds must be on `sender`'s queue, or be moot.
    fn wants_left(&mut self, before: &Life, after: &Enrollment) {
        if after.ended.is_some_and(|(ending, _)| is_moot(ending))
            && before.enrollment.id == after.id
        {
            return;
        }
        for effect in &before.enrollment.pending {
            let JourneyEffect::Send { step, iteration, .. } = effect else { continue };
            if before.enrollment.id == after.id && after.pending.contains(effect) {
                continue;
            }
            let send = SendId::derive(before.enrollment.id, step.as_str(), *iteration);
            let left = self.sends.asked.contains_key(&send);
            self.holds("effects-before-replaced", left, || {
                format!("the mail of step {step} of {} was never asked for", before.enrollment.id)
            });
        }
    }

    fn re_entry(&mut self, now: Stamp, before: Option<&Enrollment>, after: &Enrollment) {
        let (Some(before), Some(journey)) = (before, Journeys::journey_of(after.version)) else {
            return;
        };
        let slack = Span::from_ms(2 * self.skew_ms);
        let held = match journey.re_entry {
            ReEntry::Never => false,
            ReEntry::AfterExit => before.ended.is_some(),
            ReEntry::After(span) => before.entered.plus(span) <= now.plus(slack),
        };
        self.holds("re-entry-held", held && after.started > before.started, || {
            format!("{} entered again at {now}, last at {}", journey.id, before.entered)
        });
    }

    /// A write wants a mail: not before its delays, and not after what ends it.
    fn may_ask(
        &mut self,
        now: Stamp,
        actor: Actor,
        before: Option<&Enrollment>,
        after: &Enrollment,
        step: &StepId,
    ) {
        let Some(journey) = Journeys::journey_of(after.version) else { return };
        let least = least(journey).get(step).copied().unwrap_or(0);
        let slack = Span::from_ms(2 * self.skew_ms + 2_500);
        let early = now.plus(slack) < after.started.plus(Span::from_ms(least));
        self.holds("not-early", !early, || {
            format!("step {step} of {} was taken at {now}, started {}", journey.id, after.started)
        });
        let Some(begun) = self.invocations.get(&actor.invocation).map(|known| known.started) else {
            return;
        };
        let profile = after.slot.profile.into();
        // Linked meanwhile: it could not know what the other identities had done.
        if !self.profiles.was_linked(profile, begun) || self.profiles.was_parted(profile, begun) {
            return;
        }
        self.way_taken(begun, journey, before, after, step);
        let Some(root) = self.profiles.root_of(profile) else { return };
        let ends: Vec<&str> = journey.exit_when.iter().map(|event| event.event.as_str()).collect();
        let known = self.profiles.events_of(root).into_iter().find(|(identity, folded)| {
            let event = &folded.event;
            // Nor could it know what an id had done that was linked to it meanwhile.
            let was_its = self.profiles.was_linked(*identity, begun);
            let named = event.name.as_deref().is_some_and(|name| ends.contains(&name));
            // Its own trigger does not end what it began, nor what was done at the instant of the
            // deed that a signal speaks of.
            let its_own = event.at == after.started
                && (after.why.is_of_signal() || event.id == after.why.trigger_id);
            named && event.at >= after.started && folded.at < begun && was_its && !its_own
        });
        let known = known.map(|(_, folded)| folded.event.at);
        self.holds("exits-held", known.is_none(), || {
            format!("step {step} of {} was taken although it ended at {known:?}", journey.id)
        });
    }

    // ---- at the end ----------------------------------------------------------------------------

    /// Everybody has left, by a way that was walked to its end; and whoever had an occasion to
    /// enter did, or something speaks against it.
    pub(super) fn journeys_end(&mut self) {
        let lives: Vec<((EnrollmentId, Key), Life)> =
            self.journeys.lives.iter().map(|(key, life)| (key.clone(), life.clone())).collect();
        for ((id, key), life) in &lives {
            let Life { enrollment, wanted } = life;
            let current = self.journeys.slots.get(key) == Some(id);
            if current {
                self.holds("enrollments-end", enrollment.ended.is_some(), || {
                    format!(
                        "{id} of {} still stands at {}",
                        enrollment.slot.journey, enrollment.step
                    )
                });
            }
            let moot = enrollment.ended.is_some_and(|(ending, _)| is_moot(ending));
            let unasked: Vec<&SendId> =
                wanted.keys().filter(|send| !self.sends.asked.contains_key(send)).collect();
            let unasked = unasked.len();
            self.holds("effects-before-replaced", unasked == 0 || moot, || {
                format!(
                    "{unasked} mails of {id} of {} were never asked for",
                    enrollment.slot.journey
                )
            });
            let completed = enrollment.ended.is_some_and(|(ending, _)| !is_moot(ending));
            if let (true, Some(journey)) = (completed, Journeys::journey_of(enrollment.version)) {
                let steps: BTreeSet<StepId> = wanted.values().cloned().collect();
                let way = is_way(journey, Some(&journey.first), &steps, 64);
                self.holds("path-completed", way, || {
                    format!("{id} completed {} with {steps:?}", journey.id)
                });
            }
        }
        self.forwarded_end();
        if !self.republished {
            self.occasions_end(&lives);
        }
    }

    /// What live journeys name has come to `journey`. Every version names the same.
    fn forwarded_end(&mut self) {
        let names = &publication(Version::First).catalog.forwarded;
        let events: Vec<(String, bool)> = self
            .profiles
            .folded
            .values()
            .filter(|folded| {
                let name = EventPredicate::name_of(&folded.event).unwrap_or("");
                names.iter().any(|forwarded| forwarded == name)
            })
            .map(|folded| &folded.event.id)
            .map(|id| (id.clone(), self.journeys.processed.contains_key(id)))
            .collect();
        for (id, came) in events {
            self.holds("events-forwarded", came, || {
                format!("{id} is in a profile and never came to journey")
            });
        }
    }

    fn occasions_end(&mut self, lives: &[((EnrollmentId, Key), Life)]) {
        let processed: Vec<Processed> = self.journeys.processed.values().cloned().collect();
        for dealt in &processed {
            let occasion = &dealt.occasion;
            for journey in published().values().filter(|journey| occasion.triggers(journey)) {
                let entered = lives.iter().any(|((_, _), life)| {
                    life.enrollment.slot.journey == journey.id
                        && life.enrollment.why.trigger_id == occasion.id
                });
                let excused = entered || self.excuse(dealt, journey, lives);
                self.holds("triggers-accounted", excused, || {
                    format!(
                        "{} of {} let nobody into {}",
                        occasion.id, occasion.profile, journey.id
                    )
                });
            }
        }
    }

    /// Whether something speaks against letting an occasion's customer in.
    fn excuse(
        &self,
        dealt: &Processed,
        journey: &Journey,
        lives: &[((EnrollmentId, Key), Life)],
    ) -> bool {
        let Processed { occasion, at, cart_gone } = dealt;
        // The filter asks for something in the cart of the profile, which that had left by then.
        if *cart_gone && journey.entry_filter.is_some() {
            return true;
        }
        let slack = Span::from_ms(self.skew_ms + 60_000);
        if at.plus(slack).since(occasion.at) > Span::DAY.times(3) {
            return true;
        }
        let kin = self.profiles.kin_of(occasion.profile.into());
        let same = |profile: ProfileId| {
            let identity = profile.into();
            kin.contains(&identity)
                || self.profiles.root_of(identity).is_some_and(|root| kin.contains(&root))
        };
        // Somebody is inside, was lately, or came by a later occasion.
        let keyed = journey.enrollment_key.is_some();
        let other = lives.iter().any(|((_, _), life)| {
            let enrollment = &life.enrollment;
            let slot = &enrollment.slot;
            slot.journey == journey.id
                && same(slot.profile)
                && (!keyed || occasion.has_key_of(journey, enrollment))
        });
        if other {
            return true;
        }
        if self.profiles.root_of(occasion.profile.into()).is_none() {
            return true;
        }
        // What ends it, or empties what it is about; it may have left the profile since.
        let mut known = kin.iter().flat_map(|root| {
            let of_it = self.profiles.events_of(*root).into_iter().map(|(_, folded)| folded);
            of_it.chain(self.profiles.ever_gone(*root))
        });
        known.any(|folded| {
            let name = folded.event.name.as_deref().unwrap_or("");
            let ends = journey.exit_when.iter().any(|exit| exit.event == name);
            let empties = matches!(name, "Product Removed" | "Order Completed")
                && journey.entry_filter.is_some();
            (ends || empties) && folded.event.at >= occasion.since && folded.event.id != occasion.id
        })
    }
}
