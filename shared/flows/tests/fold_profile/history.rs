//! Reading a history back: every event once, in the order in which it happened, whatever the
//! network did to it and however large the pages are.

use crate::world::*;
use odyssey_domain::event::Event;
use odyssey_domain::ids::IdentityKey;
use odyssey_domain::profile::IdentityItem;
use odyssey_domain::time::{Span, Stamp};
use odyssey_flows::ports::{Row, Table};
use odyssey_flows::profiles::identity_key;
use odyssey_flows::queue::QueueRecord;
use odyssey_flows::read_timeline::{Cursor, Direction, Page, ROWS_PER_PAGE_MAX, Told, page};
use odyssey_flows::{signals, stored};
use odyssey_testkit::run;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// One delivery: when it was received, in minutes, and what is in it: which event, and by which of
/// three corrections of its client's clock.
type Delivery = (i64, Vec<(u16, i64)>);

/// Everything is received within this many minutes; a year of it may be told late.
const MINUTES: i64 = 600;

fn who(n: u16) -> Value {
    match n % 4 {
        0 => json!({"userId": "ann"}),
        1 => json!({"userId": "ann", "anonymousId": "phone"}),
        2 => json!({"anonymousId": "phone"}),
        _ => json!({"userId": "ann", "anonymousId": "laptop"}),
    }
}

/// An event's stamp and customer follow from its number, but for a clock that was corrected
/// differently by up to two minutes.
fn event(number: u16, wobble: i64, received: i64) -> Event {
    let at = match number % 7 {
        // Hours, days and most of a year late.
        0 => -i64::from(number) * 700 % 500_000,
        1 => -i64::from(number) % 20_000,
        _ => i64::from(number) * 7 % MINUTES,
    };
    let at = (at + wobble).min(received);
    track(&format!("event {number}"), at, "Product Viewed", &who(number), &json!({}))
}

fn record((received, events): &Delivery) -> QueueRecord {
    let events = events.iter().map(|(number, wobble)| event(*number, *wobble, *received));
    accepted(*received, events.collect())
}

fn delivery() -> impl Strategy<Value = Delivery> {
    (MINUTES..2 * MINUTES, prop::collection::vec((0_u16..300, 0_i64..3), 1..12))
}

fn page_size() -> impl Strategy<Value = usize> {
    prop::sample::select(vec![1, 2, 3, 7, 20, 60])
}

fn owners(world: &World) -> Vec<IdentityKey> {
    world.view(world.user("ann")).owners
}

fn read(world: &World, direction: Direction, after: Option<Cursor>, limit: usize) -> Page {
    run(page(&world.memory, &owners(world), direction, after, limit)).unwrap()
}

fn walk(world: &World, direction: Direction, limit: usize) -> Vec<Told> {
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let page = read(world, direction, after, limit);
        assert!(page.events.len() <= limit);
        assert_eq!((page.crowded, page.unreadable), (None, 0));
        all.extend(page.events);
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

/// The distinct events, with every stamp that one was given.
fn distinct(deliveries: &[Delivery]) -> BTreeMap<String, BTreeSet<Stamp>> {
    let mut all: BTreeMap<String, BTreeSet<Stamp>> = BTreeMap::new();
    for (received, events) in deliveries {
        for (number, wobble) in events {
            let event = event(*number, *wobble, *received);
            all.entry(event.id).or_default().insert(event.at);
        }
    }
    all
}

/// Whether these are exactly the distinct events, in order, each at one of its stamps.
fn is_history(told: &[Told], distinct: &BTreeMap<String, BTreeSet<Stamp>>) -> bool {
    let ids: BTreeSet<&String> = told.iter().map(|told| &told.event.id).collect();
    told.windows(2).all(|pair| pair[0].place < pair[1].place)
        && ids.len() == told.len()
        && ids.into_iter().eq(distinct.keys())
        && told.iter().all(|told| distinct[&told.event.id].contains(&told.event.at))
}

fn told_of(deliveries: &[Delivery]) -> World {
    let world = World::new();
    // Both devices are hers from the start, or a page would have fewer owners.
    let links = ["phone", "laptop"].map(|device| {
        let who = json!({"userId": "ann", "anonymousId": device});
        identify(&format!("link {device}"), -600_000, &who, &json!({}))
    });
    world.fold_done(vec![accepted(-600_000, links.to_vec())], minute(2 * MINUTES));
    for some in deliveries.chunks(5) {
        world.fold_done(some.iter().map(record).collect(), minute(2 * MINUTES));
    }
    world
}

fn without_links(told: Vec<Told>) -> Vec<Told> {
    told.into_iter().filter(|told| !told.event.id.starts_with("link")).collect()
}

proptest! {
    // Each reads hundreds of pages: an eighth of the cases that others run.
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.div_ceil(8),
        ..ProptestConfig::default() })]

    #[test]
    fn every_page_size_reads_the_distinct_events_in_order(
        deliveries in prop::collection::vec(delivery(), 1..40), limit in page_size(),
    ) {
        let world = told_of(&deliveries);
        let forth = without_links(walk(&world, Direction::OldestFirst, limit));
        prop_assert!(is_history(&forth, &distinct(&deliveries)));
        let mut back = without_links(walk(&world, Direction::NewestFirst, limit));
        back.reverse();
        prop_assert_eq!(back, forth);
    }

    /// What arrives between two pages shifts nothing: what was there is shown once, in order.
    #[test]
    fn arrivals_between_pages_shift_nothing(
        before in prop::collection::vec(delivery(), 1..30),
        meanwhile in prop::collection::vec(delivery(), 1..30),
        limit in page_size(), newest in any::<bool>(),
    ) {
        let direction = if newest { Direction::NewestFirst } else { Direction::OldestFirst };
        // Received one after the other, as what arrives meanwhile is.
        let meanwhile: Vec<Delivery> =
            (2 * MINUTES..).zip(meanwhile).map(|(at, (_, events))| (at, events)).collect();
        let world = told_of(&before);
        let mut all: Vec<Told> = Vec::new();
        let (mut after, mut arriving) = (None, meanwhile.iter());
        loop {
            let page = read(&world, direction, after, limit);
            all.extend(page.events);
            after = page.next;
            if after.is_none() {
                break;
            }
            if let Some(delivery) = arriving.next() {
                world.fold_done(vec![record(delivery)], minute(4 * MINUTES));
            }
        }
        if newest {
            all.reverse();
        }
        let all = without_links(all);
        prop_assert!(all.windows(2).all(|pair| pair[0].place < pair[1].place), "in order");
        let ids: BTreeSet<&String> = all.iter().map(|told| &told.event.id).collect();
        prop_assert_eq!(ids.len(), all.len(), "none twice");
        prop_assert!(distinct(&before).keys().all(|id| ids.contains(id)), "none passed over");
    }
}

/// A device that was compacted into its user keeps its history.
#[test]
fn compacted_identities_are_read_too() {
    let world = World::new();
    let day = 24 * 60;
    for n in 0..40 {
        let who = json!({"userId": "ann", "anonymousId": format!("device {n}")});
        let seen = json!({"anonymousId": format!("device {n}")});
        let at = n * 3 * day;
        let events = vec![
            identify(&format!("i{n}"), at, &who, &json!({})),
            track(&format!("e{n}"), at + 1, "Product Viewed", &seen, &json!({})),
        ];
        world.fold_done(vec![accepted(at + 1, events)], minute(at + 1));
    }
    let (_, root) = world.root(world.user("ann"));
    assert!(root.accumulators.len() < 20, "{} accumulators", root.accumulators.len());
    let all = walk(&world, Direction::OldestFirst, 7);
    let ids: Vec<&str> = all.iter().map(|told| told.event.id.as_str()).collect();
    let expected: Vec<String> = (0..40).flat_map(|n| [format!("i{n}"), format!("e{n}")]).collect();
    assert_eq!(ids, expected);
}

/// More rows at one time than a page reads: it says so, and the walk comes to its end.
#[test]
fn a_crowd_is_said_to_be_one() {
    let world = World::new();
    let own = world.user("ann");
    let item = IdentityItem::Root(Box::default());
    world.memory.seed(stored::row(identity_key(own), &item, 1).unwrap());
    let rows = ROWS_PER_PAGE_MAX * 3 / 2;
    let template = {
        let event = track("e", 0, "Product Viewed", &json!({"userId": "ann"}), &json!({}));
        world.fold_done(vec![accepted(0, vec![event])], minute(0));
        world.memory.rows_of(Table::Timeline).remove(0)
    };
    for n in 1..rows {
        let mut row: Row = template.clone();
        let mut item: odyssey_flows::fold_profile::timeline::TimelineRow =
            stored::decode(&row).unwrap();
        let event = &mut item.events[0];
        event.id = format!("e{n}");
        // All within a minute.
        event.at = minute(0).plus(Span::from_ms(n as u64 * 10));
        row.key = odyssey_flows::fold_profile::timeline::key(own, event.position());
        world.memory.seed(stored::row(row.key, &item, 1).unwrap());
    }
    for direction in [Direction::NewestFirst, Direction::OldestFirst] {
        let (mut after, mut crowded, mut seen) = (None, 0, 0);
        for _ in 0..100 {
            let page = read(&world, direction, after, 500);
            crowded += usize::from(page.crowded.is_some());
            seen += page.events.len();
            assert!(page.next.is_none() || page.next != after, "it goes on");
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert!(after.is_none(), "the walk ends");
        assert!(crowded > 0);
        assert_eq!(seen, rows, "what was read is shown");
    }
}

/// A row of a newer release hides no other.
#[test]
fn what_cannot_be_read_is_counted() {
    let world = World::new();
    for n in 0..3 {
        let event = track(
            &format!("e{n}"),
            n * 10,
            "Product Viewed",
            &json!({"userId": "ann"}),
            &json!({}),
        );
        world.fold_done(vec![accepted(n * 10, vec![event])], minute(n * 10));
    }
    let mut row = world.memory.rows_of(Table::Timeline).remove(1);
    row.schema = 99;
    world.memory.seed(row);
    let page = read(&world, Direction::NewestFirst, None, 10);
    assert_eq!(page.unreadable, 1);
    assert_eq!(page.events.len(), 2);
}

/// A raised signal is kept with what it was decided on, once.
#[test]
fn raised_signals_keep_their_evidence() {
    let world = World::new();
    let who = json!({"userId": "ann"});
    let added = json!({"product_id": "p1", "name": "Tent", "price": 249, "quantity": 1});
    world.fold_done(
        vec![accepted(0, vec![track("1", 0, "Product Added", &who, &added)])],
        minute(0),
    );
    world.wake_until(minute(10));
    world.wake_until(minute(4 * 60));
    // The next write carries out again what the last one stored.
    let more = track("2", 250, "Product Viewed", &who, &added);
    world.fold_done(vec![accepted(250, vec![more])], minute(250));
    let raised = run(signals::latest(&world.memory, &owners(&world), 10)).unwrap();
    let found: Vec<String> =
        raised.iter().map(|raise| format!("{} {}", raise.signal, raise.threshold)).collect();
    assert_eq!(found, ["Cart Abandoned after 4h", "Cart Abandoned after 10m"]);
    assert_eq!(raised[0].evidence["lines"][0]["name"], "Tent");
    let page = read(&world, Direction::NewestFirst, None, 10);
    assert_eq!(page.events.len(), 2, "events alone");
}
