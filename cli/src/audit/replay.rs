//! The real fold over a file's customers, each in the order of their events: which facts they
//! have in the end, which signals they would have raised, which journeys would have taken them in.

use crate::customer::text::is_nothing;
use odyssey_domain::catalog::Catalog;
use odyssey_domain::event::{Event, EventKind};
use odyssey_domain::identity::IdKind;
use odyssey_domain::ids::{ContentHash, EventHash, IdentityKey, ProfileId};
use odyssey_domain::journey::{Application, Entry, Journey, Occasion, Plan, enter};
use odyssey_domain::plan::near_spec;
use odyssey_domain::profile::{
    Folded, Link, Moved, ProfileEffect, ProfileView, Root, Watched, Woken,
};
use odyssey_domain::segment::{Cause, Memberships, SegmentName};
use odyssey_domain::signal::{Raise, SignalRule, Threshold};
use odyssey_domain::time::Stamp;
use odyssey_domain::wire::{BUS_SCHEMA, SignalRaised, SourceRef};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The most events of the sample, all customers together.
pub const SAMPLE_EVENTS_MAX: usize = 100_000;
/// The most bytes they may take.
pub const SAMPLE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The most events of one customer; the rest, later in the file, is left out.
pub const CUSTOMER_EVENTS_MAX: usize = 2_000;
/// A customer is woken so often at most.
const WAKES_MAX: usize = 10_000;

/// What customers are held against.
#[derive(Debug)]
pub struct Rules {
    /// Signals at every threshold that is asked for.
    pub signals: Vec<SignalRule>,
    /// What conditions of journeys look back on.
    pub watched: Watched,
    /// The journeys, with whether each is live.
    pub journeys: Vec<(Plan, bool)>,
    /// The workspace as it would be published, for its computed traits and those of its segments
    /// that a file can be held against.
    pub catalog: Option<Catalog>,
    /// Its segments that ask for consent, of which no file says who is in them.
    pub asking_consent: BTreeSet<SegmentName>,
}

/// Under which names events are folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// Their own.
    AsTheyAre,
    /// The Spec's, where theirs is another word for one of them.
    AsMeant,
}

fn rename(event: &mut Event) {
    if let (EventKind::Track, Some(name)) = (event.kind, &event.name)
        && let Some(meant) = near_spec(name)
    {
        event.name = Some(meant.to_owned());
    }
}

/// A share of the customers, and all of their events.
#[derive(Debug)]
pub struct Sample {
    customers: BTreeMap<IdentityKey, Vec<(IdentityKey, Box<str>)>>,
    /// Customers whose key is above this are left out.
    highest: u64,
    events: usize,
    bytes: usize,
    events_max: usize,
    /// Customers with more than [`CUSTOMER_EVENTS_MAX`] events.
    pub busy: BTreeSet<IdentityKey>,
}

impl Default for Sample {
    fn default() -> Self {
        Sample::of(SAMPLE_EVENTS_MAX)
    }
}

/// Where a customer stands among all of them: a hash, so they are spread evenly.
fn place(key: IdentityKey) -> u64 {
    u64::from_be_bytes(EventHash::of(&key.to_string()).0)
}

impl Sample {
    fn of(events_max: usize) -> Sample {
        Sample {
            customers: BTreeMap::new(),
            highest: u64::MAX,
            events: 0,
            bytes: 0,
            events_max,
            busy: BTreeSet::new(),
        }
    }

    /// Whether a customer is in it.
    #[must_use]
    pub fn takes(&self, customer: IdentityKey) -> bool {
        self.highest == u64::MAX || place(customer) <= self.highest
    }

    /// Keeps an event; where that is too many, half of the customers leave.
    pub fn add(&mut self, customer: IdentityKey, own: IdentityKey, event: &Event) {
        let Ok(text) = serde_json::to_string(event) else { return };
        let held = self.customers.entry(customer).or_default();
        if held.len() >= CUSTOMER_EVENTS_MAX {
            self.busy.insert(customer);
            return;
        }
        self.events += 1;
        self.bytes += text.len();
        held.push((own, text.into_boxed_str()));
        while (self.events > self.events_max || self.bytes > SAMPLE_BYTES_MAX)
            && self.customers.len() > 1
            && self.highest > 0
        {
            self.highest /= 2;
            let highest = self.highest;
            self.customers.retain(|customer, _| place(*customer) <= highest);
            self.busy.retain(|customer| place(*customer) <= highest);
            self.events = self.customers.values().map(Vec::len).sum();
            let all = self.customers.values().flatten();
            self.bytes = all.map(|(_, text)| text.len()).sum();
        }
    }

    /// How many customers are in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.customers.len()
    }

    /// Whether nobody is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.customers.is_empty()
    }

    /// Lets each customer live through their events again, up to the end of the file.
    #[must_use]
    pub fn replay(
        &self,
        rules: &Rules,
        source: &SourceRef,
        claim: impl Fn(IdentityKey) -> Option<odyssey_domain::ids::Position>,
        end: Stamp,
        names: Names,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        for (customer, events) in &self.customers {
            let mut events: Vec<(IdentityKey, Event)> = events
                .iter()
                .filter_map(|(own, text)| Some((*own, serde_json::from_str(text).ok()?)))
                .collect();
            if names == Names::AsMeant {
                for (_, event) in &mut events {
                    rename(event);
                }
            }
            events.sort_by_key(|(_, event)| event.position());
            let mut life = Life::new(*customer, rules, end);
            for (own, event) in &events {
                life.event(*own, claim(*own), event, source);
            }
            life.wait_until(end);
            life.tell(&mut outcome);
        }
        outcome
    }
}

/// How many customers of the sample have what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// With facts of each family: `orders`, `cart`.
    pub facts: BTreeMap<String, u64>,
    /// Who would have raised a signal, by its name and threshold.
    pub signals: BTreeMap<(String, Threshold), u64>,
    /// Whom a journey would have taken in, by its place in [`Rules::journeys`].
    pub journeys: BTreeMap<usize, u64>,
    /// Who is in a segment at the end.
    pub segments: BTreeMap<String, u64>,
    /// Events that came twice.
    pub duplicates: u64,
    /// Customers whose facts had to be trimmed.
    pub trimmed: u64,
}

/// One customer.
struct Life<'r> {
    key: IdentityKey,
    root: Root,
    rules: &'r Rules,
    end: Stamp,
    signals: BTreeSet<(String, Threshold)>,
    journeys: BTreeSet<usize>,
    duplicates: u64,
}

impl<'r> Life<'r> {
    fn new(key: IdentityKey, rules: &'r Rules, end: Stamp) -> Life<'r> {
        let mut root = Root::default();
        if let Some(catalog) = &rules.catalog {
            // Else the first decision would find them in their segments, in silence.
            root.said.segments = Memberships::of_new(catalog.declared());
        }
        Life {
            key,
            root,
            rules,
            end,
            signals: BTreeSet::new(),
            journeys: BTreeSet::new(),
            duplicates: 0,
        }
    }

    fn profile(&self) -> ProfileId {
        ProfileId::from(self.key)
    }

    fn event(
        &mut self,
        own: IdentityKey,
        claim: Option<odyssey_domain::ids::Position>,
        event: &Event,
        source: &SourceRef,
    ) {
        self.wait_until(event.at);
        if own != self.key && !self.root.links.contains_key(&own) {
            // One more device than a profile holds stays by itself.
            if self.root.make_room(self.key, &IdKind::Anonymous, event.at).is_err() {
                return;
            }
            let claim = claim.unwrap_or_else(|| event.position());
            self.root.adopt(own, Moved::default(), Link::new(IdKind::Anonymous, claim));
        }
        let (_, accumulator) = self.root.accumulator_of(self.key, own);
        if accumulator.fold(event, source, &self.rules.watched) == Folded::Duplicate {
            self.duplicates += 1;
            return;
        }
        self.root.cross(ProfileId::from(self.key), &self.rules.signals, event.at);
        self.root.rearm(&self.rules.signals, event.at);
        self.settle(Cause::Event, event.at);
        let starts: Vec<usize> = self.waiting(|journey| journey.trigger.is_event(event));
        self.enter(&starts, &Occasion::of_event(event), event.at);
        self.carry_out();
    }

    /// Lets the timers fire that are due by then.
    fn wait_until(&mut self, now: Stamp) {
        for _ in 0..WAKES_MAX {
            let Some(due) = self.root.said.due.filter(|due| *due <= now.min(self.end)) else {
                return;
            };
            let (profile, arm) = (self.profile(), self.root.said.arm);
            if self.root.wake(profile, arm, &self.rules.signals, due) != Woken::Decided {
                return;
            }
            self.settle(Cause::Time, due);
            self.carry_out();
        }
    }

    /// Decides on the workspace's segments, none of which asks what anybody said to a topic.
    fn settle(&mut self, cause: Cause, now: Stamp) {
        if let Some(catalog) = &self.rules.catalog {
            let (profile, none) = (self.profile(), BTreeMap::new());
            self.root.settle_segments(profile, catalog.declared(), none, cause, now);
        }
    }

    fn view(&self, now: Stamp) -> ProfileView {
        match &self.rules.catalog {
            Some(catalog) => self.root.view_at(self.profile(), &catalog.computed_traits, now),
            None => self.root.view(self.profile()),
        }
    }

    fn carry_out(&mut self) {
        for effect in std::mem::take(&mut self.root.said.pending) {
            if let ProfileEffect::Raise(raise) = effect {
                self.raised(raise);
            }
        }
    }

    fn raised(&mut self, raise: Raise) {
        let raised = SignalRaised {
            v: BUS_SCHEMA,
            id: raise.id,
            profile: self.profile(),
            owners: vec![self.key],
            signal: raise.signal,
            threshold: raise.threshold,
            since: raise.since,
            at: raise.at,
            evidence: raise.evidence,
        };
        let starts = self.waiting(|journey| journey.trigger.is_signal(&raised));
        self.enter(&starts, &Occasion::of_signal(&raised), raised.at);
        self.signals.insert((raised.signal, raised.threshold));
    }

    /// The journeys that this starts and that have not taken the customer in.
    fn waiting(&self, starts: impl Fn(&Journey) -> bool) -> Vec<usize> {
        let all = self.rules.journeys.iter().enumerate();
        all.filter(|(at, (plan, _))| !self.journeys.contains(at) && starts(plan.journey()))
            .map(|(at, _)| at)
            .collect()
    }

    fn enter(&mut self, starts: &[usize], occasion: &Occasion, now: Stamp) {
        if starts.is_empty() {
            return;
        }
        let view = self.view(now);
        for at in starts {
            let Some((plan, _)) = self.rules.journeys.get(*at) else { continue };
            let version = ContentHash::of(&[]);
            let slots = &[];
            let application = Application { plan, version, occasion, view: &view, slots, now };
            if matches!(enter(&application), Entry::Enrolled(_)) {
                self.journeys.insert(*at);
            }
        }
    }

    fn tell(self, outcome: &mut Outcome) {
        let view = self.view(self.end);
        let mut families: BTreeSet<&str> = BTreeSet::new();
        for (name, value) in &view.facts {
            let family = name.split('.').next().unwrap_or(name);
            if !is_nothing(value) && family != "trimmed" {
                families.insert(family);
            }
        }
        if view.traits.iter().any(|(name, value)| name != "email" && !is_nothing(value)) {
            families.insert("traits");
        }
        for family in families {
            *outcome.facts.entry(family.to_owned()).or_default() += 1;
        }
        for segment in view.segments.keys() {
            *outcome.segments.entry(segment.to_string()).or_default() += 1;
        }
        for signal in self.signals {
            *outcome.signals.entry(signal).or_default() += 1;
        }
        for journey in self.journeys {
            *outcome.journeys.entry(journey).or_default() += 1;
        }
        outcome.duplicates += self.duplicates;
        outcome.trimmed += u64::from(view.facts.contains_key("trimmed"));
    }
}

impl Rules {
    /// These signals and journeys.
    #[must_use]
    pub fn new(
        signals: Vec<SignalRule>,
        watched: Watched,
        journeys: impl IntoIterator<Item = (Journey, bool)>,
        mut catalog: Option<Catalog>,
    ) -> Rules {
        let plans = journeys.into_iter().map(|(journey, live)| (Plan::of(Arc::new(journey)), live));
        // Nobody's answer stands in a file: to ask all the same would take it for no.
        let mut asking_consent = BTreeSet::new();
        if let Some(catalog) = &mut catalog {
            let asking = catalog.segments.iter().filter(|(_, segment)| segment.asks_consent());
            asking_consent = asking.map(|(name, _)| *name).collect();
            catalog.segments.retain(|name, _| !asking_consent.contains(name));
        }
        Rules { signals, watched, journeys: plans.collect(), catalog, asking_consent }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_sample_is_even_and_holds_its_customers_whole() {
        let mut sample = Sample::of(1_000);
        let event: Event = serde_json::from_value(
            json!({"id": "m", "at": 1, "type": "track", "name": "x", "userId": "u"}),
        )
        .unwrap();
        for n in 0..4_000_u32 {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&(n % 500).to_be_bytes());
            let customer = IdentityKey::from_bytes(bytes);
            if sample.takes(customer) {
                sample.add(customer, customer, &event);
            }
        }
        assert!((40..=125).contains(&sample.len()), "{}", sample.len());
        assert!(sample.customers.values().all(|events| events.len() == 8));
        assert!(sample.busy.is_empty());
    }

    #[test]
    fn one_busy_customer_does_not_fill_it() {
        let mut sample = Sample::default();
        let event: Event = serde_json::from_value(
            json!({"id": "m", "at": 1, "type": "track", "name": "x", "userId": "u"}),
        )
        .unwrap();
        let customer = IdentityKey::from_bytes([1; 16]);
        for _ in 0..CUSTOMER_EVENTS_MAX + 10 {
            sample.add(customer, customer, &event);
        }
        assert_eq!(sample.customers[&customer].len(), CUSTOMER_EVENTS_MAX);
        assert_eq!(sample.busy.len(), 1);
    }
}
