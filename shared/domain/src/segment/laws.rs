//! The laws of membership, as properties over random segments and histories, and the cases that a
//! random history seldom has.

use super::*;
use crate::contact::{ConsentState, TopicId};
use crate::event::Event;
use crate::histories::histories;
use crate::identity::IdKind;
use crate::ids::{EventHash, IdentityKey, Position, ProfileId, SignalId};
use crate::predicate::{Comparison, ConsentAsked};
use crate::profile::{
    ComputedTraits, Folded, Link, Moved, ProfileEffect, Root, Watched, Woken, next_turn,
};
use crate::signal::{Raise, SignalKind, SignalRule, Threshold};
use crate::time::Span;
use crate::wire::{SourceKind, SourceRef};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::json;
use std::collections::BTreeSet;

const PUBLISHED: Stamp = Stamp::from_ms(1_790_000_000_000);
const NAMES: [&str; 3] = ["Product Added", "Order Completed", "Signed In"];

fn profile() -> ProfileId {
    ProfileId::from_bytes([1; 16])
}

fn rules() -> Vec<SignalRule> {
    vec![SignalRule::new(SignalKind::CartAbandoned, &[Threshold::After(Span::MINUTE.times(5))])]
}

fn predicate(name: &str) -> EventPredicate {
    EventPredicate { event: name.to_owned(), tests: Vec::new() }
}

fn name(text: &str) -> SegmentName {
    SegmentName::parse(text).unwrap()
}

fn segment(when: Condition) -> Segment {
    Segment { title: "T".to_owned(), when, since: PUBLISHED, watched: PUBLISHED }
}

fn performed(event: &str, minutes: Option<u64>) -> Condition {
    let within = minutes.map(|n| Span::MINUTE.times(n));
    Condition::Performed { event: predicate(event), within }
}

fn counted(event: &str, least: u64) -> Condition {
    Condition::Fact { name: format!("events.{event}"), is: Comparison::AtLeast(least.into()) }
}

/// What is computed for these segments.
fn computed(segments: &BTreeMap<SegmentName, Segment>) -> ComputedTraits {
    let mut rules = BTreeMap::new();
    for segment in segments.values() {
        segment.when.each_leaf(&mut |leaf| rules.extend(leaf.counter()));
    }
    rules.into()
}

/// With windows of minutes, or, where `by_the_hour`, of hours; and counts of days.
fn tree(by_the_hour: bool) -> impl Strategy<Value = Condition> {
    let window = proptest::option::weighted(0.8, 1..40_u64);
    let window = window.prop_map(move |n| n.map(|n| if by_the_hour { 60 * n } else { n }));
    let days = proptest::option::weighted(0.8, 1..4_u32);
    let leaf = prop_oneof![
        3 => (select(&NAMES[..]), window.clone()).prop_map(|(name, n)| performed(name, n)),
        1 => (select(&NAMES[..]), 1..4_u64).prop_map(|(name, n)| counted(name, n)),
        2 => (select(&NAMES[..]), days, 1..4_u64)
            .prop_map(|(name, days, n)| Condition::counted(predicate(name), days, n)),
        1 => window.prop_map(|n| Condition::Signal {
            name: "Cart Abandoned".to_owned(),
            within: n.map(|n| Span::MINUTE.times(n)),
        }),
        1 => select(&[ConsentAsked::Granted, ConsentAsked::Unanswered][..]).prop_map(|is| {
            Condition::Consent { topic: TopicId::parse("offers").unwrap(), is }
        }),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 1..4).prop_map(Condition::All),
            proptest::collection::vec(inner.clone(), 1..4).prop_map(Condition::Any),
            inner.prop_map(|part| Condition::Not(Box::new(part))),
        ]
    })
}

/// A customer who is decided on as the flow does it.
struct Lived {
    root: Root,
    declared: BTreeMap<SegmentName, Segment>,
    computed: ComputedTraits,
    published: Stamp,
    consents: BTreeMap<TopicId, ConsentState>,
    raised: Vec<Raise>,
    now: Stamp,
    events: u32,
    told: Vec<Event>,
    wakes: u32,
}

impl Lived {
    fn under(declared: BTreeMap<SegmentName, Segment>) -> Lived {
        let mut root = Root::default();
        let computed = computed(&declared);
        let new = Declared { published: PUBLISHED, segments: &declared, computed: &computed };
        root.said.segments = Memberships::of_new(new);
        Lived {
            root,
            declared,
            computed,
            published: PUBLISHED,
            consents: BTreeMap::new(),
            raised: Vec::new(),
            now: PUBLISHED,
            events: 0,
            told: Vec::new(),
            wakes: 0,
        }
    }

    fn of(when: Condition) -> Lived {
        Lived::under([(name("s"), segment(when))].into())
    }

    fn settle(&mut self, cause: Cause, now: Stamp) -> bool {
        let (segments, computed) = (&self.declared, &self.computed);
        let declared = Declared { published: self.published, segments, computed };
        self.root.cross(profile(), &rules(), now);
        let consents = self.consents.clone();
        let changed = self.root.settle_segments(profile(), declared, consents, cause, now);
        self.root.rearm(&rules(), now);
        for effect in std::mem::take(&mut self.root.said.pending) {
            match effect {
                ProfileEffect::Raise(raise) => self.raised.push(raise),
                ProfileEffect::Arm { arm, due } => {
                    assert_eq!((arm, Some(due)), (self.root.said.arm, self.root.said.due));
                }
                ProfileEffect::Ask { .. } | ProfileEffect::Settle { .. } => {}
            }
        }
        changed
    }

    fn fold(&mut self, event: &str, at: Stamp) {
        self.events += 1;
        let event: Event = serde_json::from_value(json!({"type": "track", "name": event,
            "id": format!("e{}", self.events), "at": at.ms(),
            "properties": {"product_id": "p", "order_id": self.events, "total": 5}}))
        .unwrap();
        assert_eq!(self.offer(&event), Folded::New);
        self.told.push(event);
    }

    fn offer(&mut self, event: &Event) -> Folded {
        let source = SourceRef { name: "web".to_owned(), kind: SourceKind::Browser };
        let watched = Watched::of(&NAMES.map(predicate)).computing(&self.computed);
        let watched = watched.under(Some(self.published));
        let own = IdentityKey::from(profile());
        self.root.accumulator_of(own, own).1.fold(event, &source, &watched)
    }

    /// Delivers every event once more.
    fn tell_all_again(&mut self) {
        for event in self.told.clone() {
            assert_eq!(self.offer(&event), Folded::Duplicate);
            self.settle(Cause::Event, self.now);
        }
    }

    fn tell(&mut self, event: &str, ago: Span) {
        self.fold(event, self.now.minus(ago));
        self.settle(Cause::Event, self.now);
    }

    /// Lets time pass, and timers fire in it.
    fn pass(&mut self, span: Span) {
        let until = self.now.plus(span);
        while let Some(due) = self.root.said.due.filter(|due| *due <= until) {
            let arm = self.root.said.arm;
            assert_eq!(self.root.wake(profile(), arm, &rules(), due), Woken::Decided);
            self.settle(Cause::Time, due);
            self.wakes += 1;
        }
        self.now = until;
    }

    fn members(&self) -> BTreeSet<SegmentName> {
        self.root.said.segments.members.keys().copied().collect()
    }

    /// What the predicates say now.
    fn evaluated(&self) -> BTreeSet<SegmentName> {
        let mut view = self.root.view_at(profile(), &self.computed, self.now);
        view.consents.clone_from(&self.consents);
        let holds = |(name, segment): (&SegmentName, &Segment)| {
            segment.holds(&view, self.now).0.then_some(*name)
        };
        self.declared.iter().filter_map(holds).collect()
    }

    fn signals(&self) -> Vec<&str> {
        self.raised
            .iter()
            .filter(|raise| matches!(raise.threshold, Threshold::Segment(_)))
            .map(|raise| raise.signal.as_str())
            .collect()
    }
}

/// What happens next: so many minutes later an event of so many minutes ago arrives, or the
/// contact's answer changes.
#[derive(Debug, Clone)]
enum Happening {
    Event(&'static str, u64),
    Consent(bool),
}

fn history() -> impl Strategy<Value = Vec<(u64, Happening)>> {
    let event = (select(&NAMES[..]), prop_oneof![3 => Just(0), 1 => 0..60_u64])
        .prop_map(|(name, ago)| Happening::Event(name, ago));
    let happening = prop_oneof![5 => event, 1 => any::<bool>().prop_map(Happening::Consent)];
    proptest::collection::vec((0..30_u64, happening), 0..14)
}

/// The segments, the unit of their windows, what happens, and how long nothing does after it.
type Told = ((Vec<Condition>, Span), Vec<(u64, Happening)>, u64);

fn told() -> impl Strategy<Value = Told> {
    let trees = any::<bool>().prop_flat_map(|by_the_hour| {
        let unit = if by_the_hour { Span::HOUR } else { Span::MINUTE };
        (proptest::collection::vec(tree(by_the_hour), 1..4), Just(unit))
    });
    (trees, history(), 0..90_u64)
}

/// Somebody who lives through it, in the segments that the predicates say at each instant. All of
/// it arrives again a month later, which raises nothing.
fn lived(((trees, unit), happenings, rest): Told) -> Lived {
    let named = trees.into_iter().enumerate();
    let segments = named.map(|(n, when)| (name(&format!("s{n}")), segment(when))).collect();
    let mut lived = Lived::under(segments);
    for (units, happening) in happenings {
        lived.pass(unit.times(units));
        // Nothing is decided on before the first event makes the profile.
        if lived.events > 0 {
            assert_eq!(lived.members(), lived.evaluated());
        }
        match happening {
            Happening::Event(event, ago) => lived.tell(event, unit.times(ago)),
            Happening::Consent(granted) => {
                let state = if granted { ConsentState::Granted } else { ConsentState::Withdrawn };
                lived.consents.insert(TopicId::parse("offers").unwrap(), state);
                lived.settle(Cause::Event, lived.now);
            }
        }
        assert_eq!(lived.members(), lived.evaluated());
    }
    lived.pass(unit.times(rest));
    if lived.events > 0 {
        assert_eq!(lived.members(), lived.evaluated());
    }
    lived
}

proptest! {
    #![proptest_config(ProptestConfig { cases: histories(2_000), ..ProptestConfig::default() })]

    /// Whatever the order of arrival, once timers have fired: at each instant.
    #[test]
    fn membership_is_what_the_predicate_says(told in told()) {
        let mut lived = lived(told);
        // Each change is said once, enterings and exits by turns.
        let ids: BTreeSet<SignalId> = lived.raised.iter().map(|raise| raise.id).collect();
        prop_assert_eq!(ids.len(), lived.raised.len());
        for segment in lived.declared.keys() {
            let of = |raise: &&Raise| raise.threshold == Threshold::Segment(*segment);
            let said: Vec<&str> =
                lived.raised.iter().filter(of).map(|raise| raise.signal.as_str()).collect();
            let turns = [SEGMENT_ENTERED, SEGMENT_EXITED].into_iter().cycle();
            prop_assert_eq!(&said, &turns.take(said.len()).collect::<Vec<_>>());
            prop_assert_eq!(said.len() % 2 == 1, lived.members().contains(segment));
        }
        // Stored as it is read.
        let said = serde_json::to_string(&lived.root.said).unwrap();
        let read: crate::profile::Said = serde_json::from_str(&said).unwrap();
        prop_assert_eq!(&read, &lived.root.said);
        // A month later, once what time alone changes has changed: all of it again raises nothing.
        lived.pass(Span::DAY.times(30));
        let (raised, members) = (lived.raised.len(), lived.members());
        lived.tell_all_again();
        prop_assert_eq!((lived.raised.len(), lived.members()), (raised, members));
    }

    /// A timer is armed for when the tree turns, not for when a leaf does.
    #[test]
    fn between_now_and_the_turn_nothing_changes(
        tree in tree(true), happenings in history(), later in 0..100_u64,
    ) {
        let mut lived = Lived::of(tree);
        for (hours, happening) in happenings {
            lived.pass(Span::HOUR.times(hours));
            if let Happening::Event(event, ago) = happening {
                lived.tell(event, Span::HOUR.times(ago));
            }
        }
        let asked = lived.declared.get(&name("s")).unwrap();
        let is_in = |at| asked.is_in(&lived.root.view_at(profile(), &lived.computed, at), at);
        let (segments, computed) = (&lived.declared, &lived.computed);
        let declared = Declared { published: PUBLISHED, segments, computed };
        let view = lived.root.view_at(profile(), computed, lived.now);
        let turn = next_turn(&lived.root.facts(), declared, &view, &BTreeSet::new(), lived.now);
        let (now, at) = (is_in(lived.now), lived.now.plus(Span::HOUR.times(later)));
        if let Some(turn) = turn {
            prop_assert!(turn > lived.now);
            prop_assert_ne!(is_in(turn), now);
            prop_assert_eq!(is_in(turn.minus(Span::from_ms(1))), now);
        }
        if turn.is_none_or(|turn| at < turn) {
            prop_assert_eq!(is_in(at), now);
        }
        prop_assert_eq!(asked.holds(&view, lived.now).0, now);
    }
}

/// Both enterings and exits, by an event and by time alone, are in the histories of the law.
#[test]
fn no_change_is_vacuous_in_the_laws() {
    let mut runner = TestRunner::deterministic();
    let mut times: BTreeMap<(String, String), u32> = BTreeMap::new();
    for _ in 0..1_000 {
        let lived = lived(told().new_tree(&mut runner).unwrap().current());
        let of_segment = |raise: &&Raise| matches!(raise.threshold, Threshold::Segment(_));
        let kinds =
            lived.raised.iter().filter(of_segment).map(|raise| {
                (raise.signal.clone(), raise.evidence["by"].as_str().unwrap().to_owned())
            });
        for kind in kinds.collect::<BTreeSet<_>>() {
            *times.entry(kind).or_default() += 1;
        }
    }
    for signal in [SEGMENT_ENTERED, SEGMENT_EXITED] {
        for by in ["event", "time"] {
            let found = times.get(&(signal.to_owned(), by.to_owned())).copied().unwrap_or(0);
            assert!(found >= 20, "{signal} by {by} in {found} of 1,000 histories: {times:?}");
        }
    }
}

#[test]
fn a_window_ends_by_a_timer_and_says_why() {
    let mut lived = Lived::of(performed("Signed In", Some(10)));
    lived.tell("Signed In", Span::ZERO);
    assert_eq!(lived.signals(), [SEGMENT_ENTERED]);
    let entered = lived.raised[0].clone();
    assert_eq!(entered.evidence["by"], "event");
    assert_eq!(entered.evidence["answers"][0]["asked"], "Signed In within 10m");
    assert_eq!(entered.evidence["answers"][0]["held"], true);
    lived.pass(Span::MINUTE.times(10));
    assert_eq!(lived.signals(), [SEGMENT_ENTERED]);
    lived.pass(Span::SECOND);
    assert_eq!(lived.signals(), [SEGMENT_ENTERED, SEGMENT_EXITED]);
    let left = &lived.raised[1];
    assert_eq!(left.evidence["by"], "time");
    assert_eq!(left.evidence["member_since"], entered.at.to_string());
    assert_eq!(left.evidence["answers"][0]["found"], "not since then");
    assert_eq!(left.at, PUBLISHED.plus(Span::MINUTE.times(10)).plus(Span::from_ms(1)));
    assert_eq!(lived.root.said.due, None);
}

#[test]
fn many_events_are_one_timer() {
    let mut lived = Lived::of(performed("Signed In", Some(60)));
    for _ in 0..100 {
        lived.tell("Signed In", Span::ZERO);
        lived.pass(Span::MINUTE);
    }
    assert_eq!((lived.wakes, lived.root.said.arm), (1, 2));
    assert_eq!(lived.signals(), [SEGMENT_ENTERED]);
}

#[test]
fn a_late_event_does_not_enter_what_is_over() {
    let mut lived = Lived::of(performed("Signed In", Some(10)));
    lived.tell("Signed In", Span::MINUTE.times(11));
    assert!(lived.signals().is_empty() && lived.members().is_empty());
    assert_eq!(lived.root.said.due, None);
}

#[test]
fn what_a_publication_finds_raises_nothing() {
    let mut lived = Lived::of(counted("Signed In", 1));
    // A profile of before there were segments.
    lived.root.said.segments = Memberships::default();
    lived.tell("Signed In", Span::ZERO);
    assert_eq!(lived.members(), [name("s")].into());
    assert_eq!(lived.root.said.segments.members[&name("s")].by, Cause::Backfill);
    assert!(lived.signals().is_empty());
    // Another definition is another segment.
    let later = PUBLISHED.plus(Span::HOUR);
    lived.published = later;
    lived.declared.insert(name("s"), Segment { since: later, ..segment(counted("Signed In", 3)) });
    lived.tell("Order Completed", Span::ZERO);
    assert!(lived.members().is_empty() && lived.signals().is_empty());
    lived.tell("Signed In", Span::ZERO);
    lived.tell("Signed In", Span::ZERO);
    assert_eq!(lived.signals(), [SEGMENT_ENTERED]);
    // One that goes on as it was is no other, and one that is gone is nobody's.
    lived.published = later.plus(Span::HOUR);
    lived.tell("Signed In", Span::ZERO);
    assert_eq!((lived.members().len(), lived.signals().len()), (1, 1));
    lived.published = later.plus(Span::HOUR.times(2));
    lived.declared.clear();
    lived.tell("Signed In", Span::ZERO);
    assert_eq!((lived.members().len(), lived.signals().len()), (0, 1));
}

#[test]
fn an_older_copy_of_the_workspace_decides_nothing() {
    let mut lived = Lived::of(counted("Signed In", 2));
    lived.published = PUBLISHED.plus(Span::HOUR);
    lived.tell("Signed In", Span::ZERO);
    lived.published = PUBLISHED;
    lived.declared.clear();
    lived.tell("Signed In", Span::ZERO);
    assert!(lived.members().is_empty());
    // It is looked at again, by when every copy is fresh.
    lived.published = PUBLISHED.plus(Span::HOUR);
    lived.declared.insert(name("s"), segment(counted("Signed In", 2)));
    lived.pass(Span::MINUTE);
    assert_eq!(lived.members(), [name("s")].into());
    assert_eq!(lived.signals(), [SEGMENT_ENTERED]);
}

#[test]
fn a_link_is_no_entering() {
    let when = || counted("Signed In", 2);
    let mut anonymous = Lived::of(when());
    anonymous.tell("Signed In", Span::ZERO);
    anonymous.tell("Signed In", Span::ZERO);
    let mut user = Lived::of(when());
    user.pass(Span::HOUR);
    user.tell("Order Completed", Span::ZERO);
    let (said, key) = (anonymous.root.said, IdentityKey::from_bytes([9; 16]));
    let since = said.segments.members[&name("s")].since;
    let own = IdentityKey::from(profile());
    let accumulator = anonymous.root.accumulators.remove(&own).unwrap();
    user.root.accumulators.insert(key, accumulator.clone());
    user.root.said.absorb(said);
    user.settle(Cause::Event, user.now);
    assert_eq!((user.members(), user.signals().len()), ([name("s")].into(), 0));
    assert_eq!(user.root.said.segments.members[&name("s")].since, since);
    // Taken out again, what it had brought is gone, which is an exit.
    user.root.accumulators.remove(&key);
    user.settle(Cause::Event, user.now);
    assert_eq!((user.members(), user.signals()), (BTreeSet::new(), vec![SEGMENT_EXITED]));
}

/// A segment that is new to either side is new to both, and to a side that was never decided on all
/// of them are: a customer of before who comes by a new device has entered nothing.
#[test]
fn what_is_new_to_one_side_of_a_link_is_new_to_both() {
    let later = PUBLISHED.plus(Span::HOUR);
    let of = |published| Memberships { published, ..Memberships::default() };
    for (own, others, both) in [
        (Some(PUBLISHED), Some(later), Some(PUBLISHED)),
        (Some(later), None, None),
        (None, Some(later), None),
        (None, None, None),
    ] {
        let mut memberships = of(own);
        memberships.absorb(of(others));
        assert_eq!(memberships, of(both));
    }
    let mut user = Lived::of(counted("Signed In", 1));
    user.tell("Signed In", Span::ZERO);
    user.root.said.segments = Memberships::default();
    user.raised.clear();
    let device = Lived::of(counted("Signed In", 1));
    let moved = |root: &mut Root| root.surrender(IdentityKey::from(profile()));
    let (key, claim) =
        (IdentityKey::from_bytes([9; 16]), Position { at: PUBLISHED, id: EventHash([1; 8]) });
    let link = || Link::new(IdKind::Anonymous, claim);
    user.root.adopt(key, moved(&mut device.root.clone()), link());
    user.settle(Cause::Event, user.now);
    assert_eq!((user.members(), user.signals().len()), ([name("s")].into(), 0));
    // What no profile was, or another's, takes nothing away.
    let mut known = Lived::of(counted("Signed In", 1));
    known.tell("Cart Viewed", Span::ZERO);
    let before = known.root.said.segments.clone();
    known.root.adopt(key, Moved::default(), link());
    let released = known.root.release(key);
    known.root.adopt(key, released, link());
    assert_eq!(known.root.said.segments, before);
}

#[test]
fn consent_is_the_contacts() {
    let offers = || TopicId::parse("offers").unwrap();
    let asks = |is| Condition::Consent { topic: offers(), is };
    let mut lived = Lived::of(asks(ConsentAsked::Granted));
    let (segments, computed) = (&lived.declared, &lived.computed);
    assert!(Declared { published: PUBLISHED, segments, computed }.ask_consent());
    lived.tell("Signed In", Span::ZERO);
    assert!(lived.members().is_empty());
    lived.consents.insert(offers(), ConsentState::Granted);
    assert!(lived.settle(Cause::Event, lived.now));
    assert_eq!(lived.raised[0].evidence["answers"][0]["found"], "granted");
    assert!(!lived.settle(Cause::Event, lived.now));
    lived.consents.insert(offers(), ConsentState::Withdrawn);
    assert!(lived.settle(Cause::Event, lived.now));
    assert_eq!(lived.signals(), [SEGMENT_ENTERED, SEGMENT_EXITED]);
}
