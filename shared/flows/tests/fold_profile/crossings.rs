//! Signals that are decided on the write that folds.

use crate::world::*;
use odyssey_domain::catalog::{SignalKind, Threshold};
use odyssey_domain::event::Event;
use serde_json::json;

const KINDS: [SignalKind; 3] =
    [SignalKind::FirstPurchase, SignalKind::RepeatPurchase, SignalKind::BackAfterAbsence];

fn order(n: i64, at: i64) -> Event {
    let properties = json!({"order_id": n, "total": 20, "currency": "EUR"});
    track(&format!("o{n}"), at, "Order Completed", &json!({"userId": "ann"}), &properties)
}

#[test]
fn an_order_is_a_signal_at_once_and_only_once() {
    let world = World::raising(&KINDS);
    let counts = world.fold_done(vec![accepted(0, vec![order(1, 0)])], minute(0));
    assert_eq!(counts.raised, 1);
    let raised = world.signals();
    assert_eq!(raised.len(), 1);
    assert_eq!(raised[0].signal, "First Purchase");
    assert_eq!(raised[0].threshold, Threshold::AtLeast(1));
    assert_eq!((raised[0].since, raised[0].at), (minute(0), minute(0)));
    assert_eq!(raised[0].evidence["value"], "20.00");
    // The queue delivers it again, at once and a month later.
    for later in [1, 43_200] {
        world.fold_done(vec![accepted(0, vec![order(1, 0)])], minute(later));
        assert!(world.signals().is_empty());
    }
}

/// Three orders, one by one, in one delivery, and the last first: the same ids.
#[test]
fn the_ids_do_not_depend_on_the_deliveries() {
    let orders = || [order(1, 0), order(2, 1), order(3, 2)];
    let ids = |deliveries: Vec<Vec<Event>>| {
        let world = World::raising(&KINDS);
        for (n, events) in (5..).zip(deliveries) {
            world.fold_done(vec![accepted(n, events.clone())], minute(n));
            world.fold_done(vec![accepted(n, events)], minute(n));
        }
        let mut ids: Vec<_> = world.signals().iter().map(|raised| raised.id).collect();
        ids.sort();
        ids
    };
    let together = ids(vec![orders().to_vec()]);
    assert_eq!(together.len(), 3);
    assert_eq!(ids(orders().map(|order| vec![order]).to_vec()), together);
    let [one, two, three] = orders();
    assert_eq!(ids(vec![vec![three], vec![one, two]]), together);
}

/// What was bought before somebody signed in counts, and is not said again when the ids are linked.
#[test]
fn a_link_says_nothing_again() {
    let world = World::raising(&KINDS);
    let device = json!({"anonymousId": "device"});
    let bought = |id: &str, at| track(id, at, "Order Completed", &device, &json!({"order_id": id}));
    world.fold_done(vec![accepted(0, vec![bought("a", 0)])], minute(0));
    assert_eq!(world.signals().len(), 1);
    let both = json!({"userId": "ann", "anonymousId": "device"});
    let linked = identify("link", 5, &both, &json!({"plan": "pro"}));
    world.fold_done(vec![accepted(5, vec![linked])], minute(5));
    assert!(world.signals().is_empty());
    world.fold_done(vec![accepted(6, vec![order(2, 6)])], minute(6));
    let names: Vec<String> = world.signals().into_iter().map(|raised| raised.signal).collect();
    assert_eq!(names, ["Repeat Purchase"]);
}

#[test]
fn an_absence_is_noted_by_its_timer_and_its_end_is_said() {
    let world = World::raising(&KINDS);
    let look = |id: &str, at| track(id, at, "Looked In", &json!({"userId": "ann"}), &json!({}));
    world.fold_done(vec![accepted(0, vec![look("1", 0)])], minute(0));
    let month = 30 * 24 * 60;
    world.wake_until(minute(month + 1));
    assert!(world.signals().is_empty());
    world.fold_done(vec![accepted(month + 60, vec![look("2", month + 60)])], minute(month + 60));
    let raised = world.signals();
    assert_eq!(raised.len(), 1);
    assert_eq!(raised[0].signal, "Back After Absence");
    assert_eq!(raised[0].evidence["absent_days"], 30);
}
