//! The laws of identities, on the flow itself: whatever the network did, the profiles are the same.
//!
//! Five hundred histories of each here; `HISTORIES=100000 cargo test --profile sim -p odyssey-flows --test
//! fold_profile laws` looks at as many as it says.

use crate::world::*;
use odyssey_domain::event::Event;
use odyssey_domain::ids::IdentityKey;
use odyssey_domain::profile::{Accumulator, IdentityItem};
use odyssey_domain::wire::SourceKind;
use odyssey_flows::links::split;
use odyssey_flows::queue::QueueRecord;
use odyssey_testkit::run;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Everything was received by then; minutes after the start.
const RECEIVED: i64 = 100;
const MONTH: i64 = 30 * 24 * 60;

fn histories() -> u32 {
    let told = std::env::var("HISTORIES").ok().and_then(|text| text.parse().ok());
    told.unwrap_or(500)
}

/// An event, and whether a server says it.
#[derive(Debug, Clone)]
struct Told {
    event: Event,
    server: bool,
}

/// Who an event is about: few of each, so that they meet.
fn who() -> impl Strategy<Value = (Option<&'static str>, Option<&'static str>, Value)> {
    let user = proptest::option::weighted(0.5, proptest::sample::select(vec!["ann", "bob"]));
    let device = proptest::option::weighted(0.5, proptest::sample::select(vec!["tv", "phone"]));
    let id = proptest::sample::select(vec![
        ("email", "ann@example.com"),
        ("email", "Family@Example.com"),
        ("phone", "+49 30 1234567"),
        ("shop", "1"),
        ("ticket", "1"),
    ]);
    let ids = proptest::collection::vec(id, 0..3).prop_map(|ids| {
        let entries = ids.into_iter().map(|(named, id)| json!({"type": named, "id": id}));
        json!(entries.collect::<Vec<_>>())
    });
    (user, device, ids)
}

fn told() -> impl Strategy<Value = Told> {
    (who(), 0..60_i64, 0..5_u8, any::<bool>()).prop_map(|((user, device, ids), at, what, server)| {
        let mut event = match what {
            0 => json!({"type": "identify", "traits": {"plan": at, "email": "ann@example.com"}}),
            1 => json!({"type": "track", "name": "Order Completed", "properties": {"order_id": at}}),
            _ => json!({"type": "track", "name": "Product Added", "properties": {
                "product_id": at % 5, "price": "1.50"}}),
        };
        event["context"] = json!({"externalIds": ids});
        event["at"] = json!(minute(at));
        event["id"] = "".into();
        if let Some(user) = user {
            event["userId"] = user.into();
        }
        if let Some(device) = device {
            event["anonymousId"] = device.into();
        }
        Told { event: serde_json::from_value(event).unwrap(), server }
    })
}

fn history() -> impl Strategy<Value = Vec<Told>> {
    proptest::collection::vec(told(), 1..12).prop_map(|mut told| {
        for (n, told) in told.iter_mut().enumerate() {
            told.event.id = format!("e{n}");
        }
        told
    })
}

fn record(told: &[&Told]) -> QueueRecord {
    let server = told.first().is_some_and(|told| told.server);
    let kind = if server { SourceKind::Server } else { SourceKind::Browser };
    accepted_from(kind, RECEIVED, told.iter().map(|told| told.event.clone()).collect())
}

/// The order in which `picks` draws, then what is left, last first.
fn shuffled<'a>(told: &'a [Told], picks: &[Index]) -> Vec<&'a Told> {
    let mut left: Vec<&Told> = told.iter().collect();
    let mut drawn = Vec::new();
    for pick in picks {
        if !left.is_empty() {
            drawn.push(left.swap_remove(pick.index(left.len())));
        }
    }
    drawn.extend(left.into_iter().rev());
    drawn
}

/// Each event in a delivery of its own, in the order of the list.
fn one_by_one(world: &World, told: &[Told]) -> usize {
    let fold = |told: &Told| world.fold_done(vec![record(&[told])], minute(RECEIVED)).folded;
    told.iter().map(fold).sum()
}

/// The accumulators of all profiles, with the ids they know.
fn accumulators(world: &World, keys: &BTreeSet<IdentityKey>) -> BTreeMap<IdentityKey, Accumulator> {
    let mut all = BTreeMap::new();
    for key in keys {
        if let Some(IdentityItem::Root(root)) = world.item(*key) {
            all.extend(root.accumulators);
        }
    }
    all
}

fn keys_of(world: &World) -> BTreeSet<IdentityKey> {
    world.facts().keys().map(|key| key.parse().unwrap()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: histories(), ..ProptestConfig::default() })]

    /// Any permutation, duplication and regrouping, late links and early ones; and a redelivery of
    /// everything a month later.
    #[test]
    fn any_delivery_gives_the_same_profiles(
        told in history(),
        picks in proptest::collection::vec(any::<Index>(), 12),
        cuts in proptest::collection::vec(any::<bool>(), 12),
        again in proptest::collection::vec(any::<Index>(), 0..5),
    ) {
        let plain = World::new();
        let folded = one_by_one(&plain, &told);
        let expected = plain.facts();

        let world = World::new();
        let mut records = Vec::new();
        let mut part: Vec<&Told> = Vec::new();
        for (told, cut) in shuffled(&told, &picks).into_iter().zip(&cuts) {
            if part.first().is_some_and(|first| first.server != told.server || *cut) {
                records.push(record(&part));
                part.clear();
            }
            part.push(told);
        }
        records.push(record(&part));
        for index in again {
            let twice = records[index.index(records.len())].clone();
            records.insert(index.index(records.len()), twice);
        }
        let mut counted = 0;
        let batch = 1 + cuts.iter().filter(|cut| **cut).count() % 4;
        for some in records.chunks(batch) {
            counted += world.fold_done(some.to_vec(), minute(RECEIVED)).folded;
        }
        prop_assert_eq!(counted, folded);
        prop_assert_eq!(&world.facts(), &expected);

        for told in &told {
            let counts = world.fold_done(vec![record(&[told])], minute(RECEIVED + MONTH));
            prop_assert_eq!(counts.folded, 0);
        }
        prop_assert_eq!(&world.facts(), &expected);
    }

    /// A split gives back what each id had, to the byte and to the id; nothing that comes again
    /// undoes it, and nothing is lost by it.
    #[test]
    fn a_split_gives_back_what_each_had(told in history(), pick in any::<Index>()) {
        let world = World::new();
        one_by_one(&world, &told);
        let keys = keys_of(&world);
        let before = accumulators(&world, &keys);
        let links: Vec<(IdentityKey, IdentityKey)> = keys
            .iter()
            .filter_map(|key| match world.item(*key) {
                Some(IdentityItem::Pointer { to, .. }) => Some((*key, to)),
                _ => None,
            })
            .collect();
        if links.is_empty() {
            return Ok(());
        }
        let (id, user) = links[pick.index(links.len())];
        let done = run(split(&world.memory, id, minute(RECEIVED + 1))).unwrap();
        prop_assert_eq!(IdentityKey::from(done.from), user);
        prop_assert_eq!(&accumulators(&world, &keys), &before);
        let Some(IdentityItem::Root(root)) = world.item(id) else { panic!("it is no profile") };
        prop_assert_eq!(root.accumulators.keys().copied().collect::<Vec<_>>(), vec![id]);
        for late in [0, MONTH] {
            for told in told.iter().rev() {
                let record = record(&[told]);
                let counts = world.fold_done(vec![record], minute(RECEIVED + 1 + late));
                prop_assert_eq!(counts.folded, 0);
            }
            prop_assert_eq!(&accumulators(&world, &keys), &before);
            let linked = matches!(world.item(id), Some(IdentityItem::Pointer { to, .. }) if to == user);
            prop_assert!(!linked, "a claim undid the split");
        }
    }
}
