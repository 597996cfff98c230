//! Links: late is early, shared devices weld nobody.

use crate::world::*;
use odyssey_domain::profile::{IdentityItem, RefusedLink};
use odyssey_domain::wire::SourceKind;
use odyssey_flows::fold_profile::run;
use odyssey_flows::ports::Table;
use odyssey_flows::profiles::{Found, find};
use odyssey_flows::queue::QueueRecord;
use odyssey_testkit::{Fault, Operation};
use serde_json::json;

fn browse(id: &str, at: i64, who: &serde_json::Value) -> odyssey_domain::event::Event {
    track(id, at, "Product Added", who, &json!({"product_id": id, "price": "1.50"}))
}

#[test]
fn linking_late_is_linking_early() {
    let anonymous = json!({"anonymousId": "a1"});
    let both = json!({"userId": "ann", "anonymousId": "a1"});
    let events = [
        browse("1", 0, &anonymous),
        browse("2", 1, &anonymous),
        browse("3", 2, &both),
        browse("4", 3, &anonymous),
        browse("5", 4, &json!({"userId": "ann"})),
    ];
    let mut seen = None;
    // Every order of five deliveries.
    for order in permutations(5) {
        let world = World::new();
        for at in order {
            world.fold_done(vec![accepted(10, vec![events[at].clone()])], minute(10));
        }
        let found = world.facts();
        assert_eq!(seen.get_or_insert(found.clone()), &found);
        assert_eq!(world.view(world.anonymous("a1")).facts["cart.items"], 5);
    }
}

fn permutations(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for shorter in permutations(n - 1) {
        for at in 0..n {
            let mut longer = shorter.clone();
            longer.insert(at, n - 1);
            all.push(longer);
        }
    }
    all
}

#[test]
fn a_shared_device_welds_nobody() {
    let ann = json!({"userId": "ann", "anonymousId": "tablet"});
    let bob = json!({"userId": "bob", "anonymousId": "tablet"});
    let nobody = json!({"anonymousId": "tablet"});
    let events = [
        browse("1", 0, &nobody),
        browse("2", 5, &ann),
        browse("3", 9, &bob),
        browse("4", 12, &nobody),
    ];
    let mut seen = None;
    for order in permutations(4) {
        let world = World::new();
        for at in order {
            world.fold_done(vec![accepted(20, vec![events[at].clone()])], minute(20));
        }
        let found = world.facts();
        assert_eq!(seen.get_or_insert(found.clone()), &found);
        // The tablet is Ann's, who was named on it first; Bob has only what he did by name.
        assert_eq!(world.view(world.user("ann")).facts["cart.items"], 3);
        assert_eq!(world.view(world.user("bob")).facts["cart.items"], 1);
        assert_eq!(world.view(world.anonymous("tablet")).profile, world.user("ann").into());
    }
}

/// Two copies of one message that name two users, at one instant.
#[test]
fn a_tie_is_broken_by_the_users_and_not_by_arrival() {
    let copies = ["ann", "bob"]
        .map(|user| browse("same", 5, &json!({"userId": user, "anonymousId": "tablet"})));
    let mut seen = None;
    for order in permutations(2) {
        let world = World::new();
        for at in order {
            world.fold_done(vec![accepted(6, vec![copies[at].clone()])], minute(6));
        }
        let found = world.facts();
        assert_eq!(seen.get_or_insert(found.clone()), &found);
    }
}

#[test]
fn the_same_claim_again_reads_nothing_more() {
    let world = World::new();
    let both = json!({"userId": "ann", "anonymousId": "a1"});
    world.fold_done(vec![accepted(1, vec![browse("1", 0, &both)])], minute(1));
    let before = world.memory.calls().len();
    world.fold_done(vec![accepted(2, vec![browse("2", 1, &both)])], minute(2));
    let calls = world.memory.calls().split_off(before);
    // The timer armed before may have been lost with its process, so it is armed again; the
    // catalog is read for the whole process.
    let aside = |call: &&Operation| {
        matches!(
            call,
            Operation::Write(_) | Operation::Enqueue(_) | Operation::Get(Table::Workspace)
        )
    };
    let reads: Vec<&Operation> = calls.iter().filter(|call| !aside(call)).collect();
    assert_eq!(reads, [&Operation::GetMany], "{calls:?}");
}

#[test]
fn a_users_alias_of_a_user_is_refused_and_counted() {
    for (kind, reason) in [
        (SourceKind::Browser, RefusedLink::TwoUsersFromBrowser),
        (SourceKind::Server, RefusedLink::TwoUsersFromServer),
    ] {
        let world = World::new();
        let bob = browse("1", 0, &json!({"userId": "bob"}));
        world.fold_done(vec![accepted(1, vec![bob])], minute(1));
        let alias = serde_json::from_value(json!({"id": "2", "at": minute(1), "type": "alias",
            "userId": "ann", "previousId": "bob"}))
        .unwrap();
        let counts = world.fold_done(vec![accepted_from(kind, 2, vec![alias])], minute(2));
        assert_eq!(counts.refused_links.get(&reason), Some(&1));
        assert_eq!(world.view(world.user("bob")).profile, world.user("bob").into());
    }
}

/// A text that is a user's id and a device's: the users stay two, and the device is linked whichever
/// event comes first.
#[test]
fn an_alias_comes_to_the_same_in_any_order() {
    let alias = json!({"id": "2", "at": minute(1), "type": "alias", "userId": "ann",
        "previousId": "x"});
    let events = [
        browse("1", 0, &json!({"userId": "x"})),
        serde_json::from_value(alias).unwrap(),
        browse("3", 2, &json!({"anonymousId": "x"})),
    ];
    let mut seen = None;
    for order in permutations(3) {
        let world = World::new();
        for at in order {
            world.fold_done(vec![accepted(5, vec![events[at].clone()])], minute(5));
        }
        let found = world.facts();
        assert_eq!(seen.get_or_insert(found.clone()), &found);
        assert_eq!(world.view(world.user("ann")).facts["cart.items"], 1);
        assert_eq!(world.view(world.user("x")).profile, world.user("x").into());
    }
}

#[test]
fn an_alias_of_an_anonymous_id_links_it() {
    let world = World::new();
    let before = browse("1", 0, &json!({"anonymousId": "a1"}));
    let alias = serde_json::from_value(json!({"id": "2", "at": minute(1), "type": "alias",
        "userId": "ann", "previousId": "a1"}))
    .unwrap();
    world.fold_done(vec![accepted(2, vec![before]), accepted(2, vec![alias])], minute(2));
    assert_eq!(world.view(world.user("ann")).facts["cart.items"], 1);
    assert!(matches!(world.item(world.anonymous("a1")), Some(IdentityItem::Pointer { .. })));
}

#[test]
fn the_twelfth_device_waits_for_an_idle_one() {
    let world = World::new();
    let day = 24 * 60;
    // The user's own and four that take a server's word make sixteen.
    for n in 0..11 {
        let who = json!({"userId": "ann", "anonymousId": format!("a{n}")});
        let nobody = json!({"anonymousId": format!("a{n}")});
        let events = vec![browse(&format!("x{n}"), n, &nobody), browse(&format!("y{n}"), n, &who)];
        world.fold_done(vec![accepted(n, events)], minute(n));
    }
    let more = |id: &str, device: &str, at| {
        browse(id, at, &json!({"userId": "ann", "anonymousId": device}))
    };
    let counts = world.fold_done(vec![accepted(20, vec![more("z", "b", 20)])], minute(20));
    assert_eq!(counts.refused_links.get(&RefusedLink::Full), Some(&1));
    let later = 31 * day;
    let counts = world.fold_done(vec![accepted(later, vec![more("w", "b", later)])], minute(later));
    assert!(counts.refused_links.is_empty());
    let (_, root) = world.root(world.user("ann"));
    assert_eq!(root.accumulators.len(), 2);
    // The compacted ids lead here still, and their events are known.
    let again = browse("x3", 3, &json!({"anonymousId": "a3"}));
    let counts = world.fold_done(vec![accepted(3, vec![again])], minute(later));
    assert_eq!((counts.folded, counts.duplicates), (0, 1));
    let new = browse("new", later, &json!({"anonymousId": "a3"}));
    world.fold_done(vec![accepted(later, vec![new])], minute(later));
    assert_eq!(world.view(world.user("ann")).facts["events.Product Added"], 25);
    // Final: an earlier claim by another user does not take it away.
    let bob = browse("bob", 0, &json!({"userId": "bob", "anonymousId": "a3"}));
    world.fold_done(vec![accepted(later, vec![bob])], minute(later));
    assert_eq!(world.view(world.anonymous("a3")).profile, world.user("ann").into());
}

#[test]
fn what_was_erased_stays_erased() {
    let world = World::new();
    let who = json!({"userId": "ann"});
    world.fold_done(vec![accepted(1, vec![browse("1", 0, &who)])], minute(1));
    let key = odyssey_flows::profiles::identity_key(world.user("ann"));
    let mut row = world.memory.rows().into_iter().find(|row| row.key == key).unwrap();
    let tombstone = IdentityItem::Tombstone { erased: minute(10) };
    row.body = odyssey_flows::stored::encode(&tombstone).unwrap();
    row.version += 1;
    world.memory.seed(row);
    let late = accepted(12, vec![browse("2", 9, &who)]);
    let counts = world.fold_done(vec![late.clone()], minute(12));
    assert_eq!((counts.erased, counts.folded), (1, 0));
    assert_eq!(world.item(world.user("ann")), Some(tombstone));
    world.fold_done(vec![accepted(12, vec![browse("3", 11, &who)])], minute(12));
    // Used anew, it still remembers.
    let counts = world.fold_done(vec![late], minute(12));
    assert_eq!((counts.erased, counts.folded), (1, 0));
    let view = world.view(world.user("ann"));
    assert_eq!(view.facts["events.total"], 1);
    assert!(world.root(world.user("ann")).1.said.arm > 1_000_000);
}

/// The simulator's seed 301691: a device leaves one customer for another, and with it the order
/// that had emptied the cart. The process dies before the timer that this asks for is armed, and
/// the redelivery finds the device where it belongs.
#[test]
fn whom_a_device_leaves_is_armed_whatever_happens() {
    let ann = json!({"userId": "ann"});
    let on_tablet = json!({"userId": "ann", "anonymousId": "tablet"});
    let nobody = json!({"anonymousId": "tablet"});
    let bob = json!({"userId": "bob", "anonymousId": "tablet"});
    for fault in [Fault::HaltBefore, Fault::HaltAfter, Fault::FailAfter] {
        for at in 0..8 {
            let world = World::new();
            let earlier = vec![
                browse("1", 10, &ann),
                track("2", 11, "Signed In", &on_tablet, &json!({})),
                track("3", 12, "Order Completed", &nobody, &json!({"order_id": "o-1"})),
            ];
            world.fold_done(vec![accepted(12, earlier)], minute(12));
            let claim = accepted(13, vec![track("4", 5, "Signed In", &bob, &json!({}))]);
            let (mut n, wrong) = (0, fault.clone());
            world.memory.on_call(move |_| {
                n += 1;
                if n == at + 1 { wrong.clone() } else { Fault::None }
            });
            let World { memory, keyring, catalog, .. } = &world;
            let _ = odyssey_testkit::run_or_halt(run(
                memory,
                memory,
                memory,
                keyring,
                catalog,
                vec![claim.clone()],
                minute(13),
            ));
            world.memory.calm();
            world.fold_done(vec![claim], minute(14));
            world.wake_until(minute(60));
            let raised = world.signals();
            assert!(
                raised.iter().any(|signal| signal.profile == world.user("ann").into()),
                "no cart of Ann's after {fault:?} at call {at}: {raised:?}"
            );
        }
    }
}

/// Another process folds these between the first read of an identifier and the second.
fn between_two_reads(world: &World, records: Vec<QueueRecord>) {
    let other = world.beside();
    let reads = |call| matches!(call, Operation::Get(Table::Profiles) | Operation::GetMany);
    world.memory.meanwhile(reads, 1, move || drop(other.fold_done(records, minute(9))));
}

/// The simulator's seed 23193: the pointer was read, an earlier claim moved the identifier, then the
/// root was read that it had left, and the event stayed there.
#[test]
fn an_identifier_that_moves_between_two_reads_takes_its_event_along() {
    let world = World::new();
    let (ann, bob) = (
        json!({"userId": "ann", "anonymousId": "tablet"}),
        json!({"userId": "bob", "anonymousId": "tablet"}),
    );
    world.fold_done(vec![accepted(9, vec![browse("1", 5, &bob)])], minute(9));
    let unnamed = accepted(9, vec![browse("3", 9, &json!({"anonymousId": "tablet"}))]);
    between_two_reads(&world, vec![accepted(9, vec![browse("2", 2, &ann)])]);
    world.fold_done(vec![unnamed], minute(9));
    assert_eq!(world.view(world.user("ann")).facts["cart.items"], 2);
    assert_eq!(world.view(world.user("bob")).facts["cart.items"], 1);
}

#[test]
fn an_identifier_that_moves_between_two_reads_is_found_where_it_is() {
    let world = World::new();
    let (ann, bob) = (
        json!({"userId": "ann", "anonymousId": "tablet"}),
        json!({"userId": "bob", "anonymousId": "tablet"}),
    );
    world.fold_done(vec![accepted(9, vec![browse("1", 5, &bob)])], minute(9));
    between_two_reads(&world, vec![accepted(9, vec![browse("2", 2, &ann)])]);
    let found = odyssey_testkit::run(find(&world.memory, world.anonymous("tablet"))).unwrap();
    let Found::Profile(profile, _) = found else { panic!("nobody was found") };
    assert_eq!(profile, world.user("ann").into());
}
