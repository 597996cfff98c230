//! What arrives late, hours or weeks after it was done, lands where it belongs; what arrives again
//! a month later changes and says nothing.

use super::{MONTH, Told, accumulators, histories, history, keys_of, own, shuffled};
use crate::world::*;
use odyssey_domain::catalog::{Catalog, SignalKind, SignalRule};
use odyssey_domain::ids::IdentityKey;
use odyssey_domain::profile::{Facts, IdentityItem, NOT_THE_CUSTOMERS};
use odyssey_domain::time::{Span, Stamp};
use odyssey_domain::wire::{SignalRaised, SourceKind};
use odyssey_flows::ports::{Queue, Table};
use odyssey_flows::queue::QueueRecord;
use odyssey_flows::stored;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use std::collections::{BTreeMap, BTreeSet};

const DAY: i64 = 24 * 60;
/// So long after its stamp an event is looked for in the timeline.
const LATE: Span = Span::DAY.times(7);

/// An event and when it is received.
#[derive(Debug, Clone)]
struct Sent {
    told: Told,
    received: Stamp,
}

/// Over an hour, days or four months, each event received at once, or hours or weeks later.
fn sent(of: super::Breadth) -> impl Strategy<Value = Vec<Sent>> {
    let late = prop_oneof![2 => Just(0), 2 => 1..DAY, 1 => DAY..7 * DAY, 2 => 7 * DAY..40 * DAY];
    let lates = proptest::collection::vec(late, of.most);
    (history(of), lates, 0..4_usize).prop_map(|(all, lates, pace)| {
        let pace = [1, 60, 8 * 60, 2 * DAY][pace];
        let mut sent = Vec::new();
        for (mut told, late) in all.into_iter().zip(lates) {
            let minutes = told.event.at.since(minute(0)).ms() / Span::MINUTE.ms();
            let at = minute(i64::try_from(minutes).unwrap() * pace);
            told.event.at = at;
            let received = at.plus(Span::MINUTE.times(u64::try_from(late).unwrap()));
            sent.push(Sent { told, received });
        }
        sent
    })
}

fn both() -> impl Strategy<Value = Vec<Sent>> {
    prop_oneof![2 => sent(super::FEW), 1 => sent(super::MANY)]
}

fn record(told: &Told, received: Stamp) -> QueueRecord {
    let kind = if told.server { SourceKind::Server } else { SourceKind::Browser };
    accepted_at(kind, received, vec![told.event.clone()])
}

fn end(sent: &[Sent]) -> Stamp {
    sent.iter().map(|one| one.received).max().unwrap()
}

/// What the facts of each identity must say, counted here and not folded.
fn expected(world: &World, sent: &[Sent]) -> BTreeMap<IdentityKey, (u64, [i64; 2], u64, u64, u32)> {
    let mut of: BTreeMap<IdentityKey, Vec<&Told>> = BTreeMap::new();
    for one in sent {
        if let Some(own) = own(world, &one.told) {
            of.entry(own).or_default().push(&one.told);
        }
    }
    let counted = of.into_iter().map(|(key, told)| {
        let stamps = || told.iter().map(|told| told.event.at.ms());
        let named = |name: &str| {
            told.iter().filter(|told| told.event.name.as_deref() == Some(name)).collect::<Vec<_>>()
        };
        let orders: BTreeSet<String> = named("Order Completed")
            .iter()
            .map(|told| told.event.properties["order_id"].to_string())
            .collect();
        // A click that nobody has called a person's may be a scanner's.
        let is_deed = |name: &String| {
            name != "Email Link Clicked" && !NOT_THE_CUSTOMERS.contains(&name.as_str())
        };
        let tracked = told.iter().filter(|told| told.event.name.as_ref().is_some_and(is_deed));
        let days: BTreeSet<i64> = tracked.map(|told| told.event.at.day()).collect();
        let seen = [stamps().min().unwrap(), stamps().max().unwrap()];
        let added = named("Product Added").len();
        let counts = (told.len() as u64, seen, orders.len() as u64, added as u64);
        (key, (counts.0, counts.1, counts.2, counts.3, lately(&days)))
    });
    counted.collect()
}

/// On how many days of the 64 up to the last.
fn lately(days: &BTreeSet<i64>) -> u32 {
    let last = days.last().copied().unwrap_or(0);
    u32::try_from(days.iter().filter(|day| last - **day < 64).count()).unwrap()
}

fn counted(facts: &Facts) -> (u64, [i64; 2], u64, u64, u32) {
    let seen = facts.seen.unwrap();
    let added = facts.counts.get("Product Added").copied().unwrap_or(0);
    let seen = [seen.first.ms(), seen.last.ms()];
    (facts.total, seen, facts.orders.number(), added, facts.rhythm.days())
}

/// The ids of late events leave the items and the sets, as they do after months: only the timeline
/// knows them. How many.
fn forget_late(world: &World, sent: &[Sent]) -> usize {
    let is_late = |one: &&Sent| one.received.since(one.told.event.at) > LATE;
    let late: BTreeSet<_> =
        sent.iter().filter(is_late).map(|one| one.told.event.position().id).collect();
    let mut forgotten = 0;
    for mut row in world.memory.rows_of(Table::Profiles) {
        if row.key.sk != "identity" {
            continue;
        }
        let IdentityItem::Root(mut root) = stored::decode(&row).unwrap() else { continue };
        for held in root.accumulators.values_mut() {
            for id in held.recent.take_oldest(usize::MAX) {
                if late.contains(&id) {
                    forgotten += 1;
                } else {
                    held.recent.insert(id);
                }
            }
        }
        row.body = stored::encode(&IdentityItem::Root(root)).unwrap();
        world.memory.seed(row);
    }
    forgotten
}

fn facts_alone(world: &World) -> BTreeMap<IdentityKey, Facts> {
    let held = accumulators(world, &keys_of(world));
    held.into_iter()
        .filter(|(_, held)| held.facts.total > 0)
        .map(|(k, held)| (k, held.facts))
        .collect()
}

/// Late, in the order of receipt and in another, is as if each had come at once; and again a month
/// later it is nothing, though the timeline alone knows what came weeks late. How many those were.
fn lands_where_it_belongs(sent: &[Sent], picks: &[Index]) -> usize {
    let prompt = World::new();
    let mut in_time: Vec<&Sent> = sent.iter().collect();
    in_time.sort_by_key(|one| one.told.event.at);
    for one in &in_time {
        let at = one.told.event.at;
        prompt.fold_done(vec![record(&one.told, at)], at);
    }
    let facts = facts_alone(&prompt);
    let by_hand =
        facts.iter().map(|(key, facts)| (*key, counted(facts))).collect::<BTreeMap<_, _>>();
    assert_eq!(by_hand, expected(&prompt, sent));

    let end = end(sent);
    let by_receipt = World::new();
    let mut received = in_time.clone();
    received.sort_by_key(|one| one.received);
    for one in received {
        by_receipt.fold_done(vec![record(&one.told, one.received)], one.received);
    }
    assert_eq!(facts_alone(&by_receipt), facts);
    let shuffled_world = World::new();
    let told: Vec<Told> = sent.iter().map(|one| one.told.clone()).collect();
    for told in shuffled(&told, picks) {
        let of = sent.iter().find(|one| one.told.event.id == told.event.id).unwrap();
        shuffled_world.fold_done(vec![record(told, of.received)], end);
    }
    assert_eq!(shuffled_world.facts(), by_receipt.facts());
    // A browser's claim is as of a week before its receipt at the earliest.
    let in_limits = |one: &Sent| one.told.server || one.received.since(one.told.event.at) <= LATE;
    if sent.iter().all(in_limits) {
        assert_eq!(by_receipt.facts(), prompt.facts());
    }

    let forgotten = forget_late(&by_receipt, sent);
    let before = by_receipt.facts();
    for months in [1, 5] {
        let now = end.plus(Span::MINUTE.times(MONTH.unsigned_abs() * months));
        for one in sent {
            // By the queue, and as the sender posts it once more.
            for received in [one.received, now] {
                let counts = by_receipt.fold_done(vec![record(&one.told, received)], now);
                assert!(counts.folded == 0, "{months} months later: {one:?}");
            }
        }
        assert_eq!(by_receipt.facts(), before);
        forget_late(&by_receipt, sent);
    }
    forgotten
}

/// All signals at their defaults, with stages and two segments of days.
fn raising() -> Catalog {
    let published = minute(-60);
    let mut catalog = catalog();
    let kinds = SignalKind::ALL.into_iter().filter(|kind| !kind.is_always_on());
    catalog.signals.extend(kinds.map(|kind| SignalRule::new(kind, &[kind.default_threshold()])));
    let lately = serde_json::json!({"performed":
        {"event": {"event": "Product Added"}, "within": "3d"}});
    let segment = odyssey_domain::segment::Segment {
        title: "T".to_owned(),
        when: serde_json::from_value(lately).unwrap(),
        since: published,
        watched: published,
    };
    let name = odyssey_domain::segment::SegmentName::parse("lately").unwrap();
    Catalog { published, segments: [(name, segment)].into(), ..catalog }
}

/// Lets every timer fire at its time until then, or up to a second later: a queue counts its delays
/// in whole seconds.
fn pass(world: &World, until: Stamp) {
    let mut last = None;
    for _ in 0..400 {
        let roots = keys_of(world).into_iter().filter_map(|key| match world.item(key) {
            Some(IdentityItem::Root(root)) => root.said.due,
            _ => None,
        });
        match roots.min().filter(|due| *due <= until) {
            Some(due) => {
                let late = if last == Some(due) { Span::SECOND } else { Span::ZERO };
                world.wake_until(due.plus(late));
                last = Some(due);
            }
            None => return,
        }
    }
    panic!("timers keep firing");
}

/// Everything as it is received, timers at their times; a month after the last silence it comes
/// again, and says nothing. What was raised before.
fn silent_when_it_comes_again(sent: &[Sent]) -> Vec<SignalRaised> {
    let world = World::of(raising());
    let mut received: Vec<&Sent> = sent.iter().collect();
    received.sort_by_key(|one| one.received);
    for one in &received {
        pass(&world, one.received);
        world.fold_done(vec![record(&one.told, one.received)], one.received);
    }
    let quiet = end(sent).plus(Span::DAY.times(200));
    pass(&world, quiet);
    let (raised, facts) = (world.signals(), world.facts());
    let said = |world: &World| {
        keys_of(world)
            .into_iter()
            .filter_map(|key| match world.item(key) {
                Some(IdentityItem::Root(root)) => {
                    let said = &root.said;
                    Some((
                        key,
                        said.marks.clone(),
                        said.crossed.clone(),
                        said.stages.clone(),
                        said.segments.clone(),
                    ))
                }
                _ => None,
            })
            .collect::<Vec<_>>()
    };
    let before = said(&world);
    forget_late(&world, sent);
    let again = quiet.plus(Span::DAY.times(30));
    for posted in [false, true] {
        for one in received.iter().rev() {
            let received = if posted { again } else { one.received };
            let counts = world.fold_done(vec![record(&one.told, received)], again);
            assert_eq!(counts.folded, 0);
        }
        pass(&world, again.plus(Span::DAY.times(200)));
        let more = world.signals();
        assert!(more.is_empty(), "said again: {more:?}");
        assert_eq!(world.facts(), facts);
        assert_eq!(said(&world), before);
        assert!(world.memory.queue(Queue::Profile).is_empty(), "nothing is armed");
    }
    raised
}

/// Worlds of months, each event a delivery of its own, some seven times over: a tenth of what the
/// other laws look at.
fn share() -> u32 {
    histories().div_ceil(10)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: share(), ..ProptestConfig::default() })]

    #[test]
    fn late_events_land_where_they_belong(
        sent in both(), picks in proptest::collection::vec(any::<Index>(), 40),
    ) {
        let _ = lands_where_it_belongs(&sent, &picks);
    }

    #[test]
    fn silences_are_not_said_again_of_a_redelivery(sent in both()) {
        let _ = silent_when_it_comes_again(&sent);
    }
}

/// The laws say something: the timeline is what knows events of most histories, and each signal
/// that their events can raise is raised in some.
#[test]
fn late_events_and_silences_are_not_vacuous() {
    let mut runner = TestRunner::deterministic();
    let (mut looked_up, mut raised) = (0, BTreeMap::<String, usize>::new());
    for _ in 0..40 {
        let drawn = (both(), proptest::collection::vec(any::<Index>(), 40)).new_tree(&mut runner);
        let (sent, picks) = drawn.unwrap().current();
        looked_up += usize::from(lands_where_it_belongs(&sent, &picks) > 0);
        let names = silent_when_it_comes_again(&sent).into_iter().map(|raised| raised.signal);
        for name in names.collect::<BTreeSet<_>>() {
            *raised.entry(name).or_default() += 1;
        }
    }
    assert!(looked_up >= 15, "{looked_up} of 40");
    for name in [
        "Cart Abandoned",
        "Browse Abandoned",
        "First Purchase",
        "Repeat Purchase",
        "Became Dormant",
        "Back After Absence",
        "Engagement Declining",
        "Stage Changed",
        "Segment Entered",
        "Segment Exited",
    ] {
        assert!(raised.get(name).is_some_and(|times| *times >= 1), "{name}: {raised:?}");
    }
}
