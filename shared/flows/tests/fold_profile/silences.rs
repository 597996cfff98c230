//! Signals raised by silence, once.

use crate::world::*;
use odyssey_domain::signal::Outcome;
use odyssey_flows::ports::Queue;
use odyssey_flows::queue::Disposition;
use serde_json::{Value, json};

fn cart(id: &str, at: i64, who: &Value, name: &str) -> odyssey_domain::event::Event {
    track(
        id,
        at,
        name,
        who,
        &json!({"product_id": "p1", "name": "Monopoly", "price": 18.99,
        "quantity": 2, "cart_id": "c-9"}),
    )
}

fn ann() -> Value {
    json!({"userId": "ann"})
}

#[test]
fn a_cart_left_alone_is_raised_once_at_each_threshold() {
    let world = World::new();
    world.fold_done(vec![accepted(0, vec![cart("1", 0, &ann(), "Product Added")])], minute(0));
    world.wake_until(minute(9));
    assert!(world.signals().is_empty());
    world.wake_until(minute(10));
    let raised = world.signals();
    assert_eq!(raised.len(), 1);
    assert_eq!(
        (raised[0].signal.as_str(), raised[0].threshold.value().as_str()),
        ("Cart Abandoned", "10m")
    );
    assert_eq!(raised[0].since, minute(0));
    let evidence = Value::Object(raised[0].evidence.clone());
    assert_eq!(
        evidence,
        json!({"cart_id": "c-9", "currency": "USD", "items": 2, "value": 3798,
            "last": minute(0).to_string(),
            "lines": [{"name": "Monopoly", "price": "18.99", "quantity": 2}]})
    );
    world.wake_until(minute(4 * 60));
    let raised = world.signals();
    assert_eq!(raised.len(), 1);
    assert_eq!(raised[0].threshold.value(), "4h");
    world.wake_until(minute(10_000));
    assert!(world.signals().is_empty());
    assert!(world.memory.queue(Queue::Profile).is_empty());
}

#[test]
fn activity_puts_it_off_without_arming_again() {
    let world = World::new();
    for n in 0..5 {
        let event = cart(&format!("{n}"), n * 5, &ann(), "Product Added");
        world.fold_done(vec![accepted(n * 5, vec![event])], minute(n * 5));
        world.wake_until(minute(n * 5 + 4));
    }
    // Armed at 0, looked again at 10 and 20: three timers for five events.
    assert_eq!(world.root(world.user("ann")).1.said.arm, 3);
    assert!(world.signals().is_empty());
    world.wake_until(minute(30));
    assert_eq!(world.signals().len(), 1);
}

#[test]
fn an_order_that_arrives_late_was_still_an_order() {
    let world = World::new();
    world.fold_done(vec![accepted(0, vec![cart("1", 0, &ann(), "Product Added")])], minute(0));
    let order = track("2", 5, "Order Completed", &ann(), &json!({"order_id": "o", "total": 37.98}));
    world.fold_done(vec![accepted(9, vec![order])], minute(9));
    world.wake_until(minute(10_000));
    assert!(world.signals().is_empty());
    assert_eq!(world.view(world.user("ann")).facts["orders.value"], 3_798);
}

#[test]
fn an_order_right_behind_a_cart_that_came_late_is_waited_for() {
    let world = World::new();
    let added = cart("1", 0, &ann(), "Product Added");
    let order = track("2", 1, "Order Completed", &ann(), &json!({"order_id": "o", "total": 37.98}));
    world.fold_done(vec![accepted(600, vec![added])], minute(600));
    world.wake_until(minute(600));
    world.fold_done(vec![accepted(600, vec![order])], minute(600));
    world.wake_until(minute(700));
    assert!(world.signals().is_empty());
}

#[test]
fn browsing_is_raised_where_nothing_went_into_the_cart() {
    let world = World::new();
    let seen = cart("1", 0, &ann(), "Product Viewed");
    world.fold_done(vec![accepted(0, vec![seen])], minute(0));
    world.wake_until(minute(120));
    let raised = world.signals();
    assert_eq!(raised.len(), 1);
    assert_eq!(raised[0].signal, "Browse Abandoned");
    assert_eq!(raised[0].evidence["products"], json!([{"name": "Monopoly", "price": "18.99"}]));
}

#[test]
fn the_cart_supersedes_the_browsing() {
    let world = World::new();
    let seen = cart("1", 0, &ann(), "Product Viewed");
    let added = cart("2", 1, &ann(), "Product Added");
    world.fold_done(vec![accepted(1, vec![seen, added])], minute(1));
    world.wake_until(minute(10_000));
    let names: Vec<String> = world.signals().into_iter().map(|raised| raised.signal).collect();
    assert_eq!(names, ["Cart Abandoned", "Cart Abandoned"]);
    let marks = world.root(world.user("ann")).1.said.marks;
    let superseded = Outcome::Superseded("Cart Abandoned".to_owned());
    assert_eq!(marks["Browse Abandoned/2h"].outcome, superseded);
}

#[test]
fn an_import_of_old_events_raises_nothing() {
    let world = World::new();
    let month = 30 * 24 * 60;
    let added = cart("1", 0, &ann(), "Product Added");
    world.fold_done(vec![accepted(month, vec![added])], minute(month));
    world.wake_until(minute(month + 10_000));
    assert!(world.signals().is_empty());
    let marks = world.root(world.user("ann")).1.said.marks;
    assert!(marks.values().all(|mark| mark.outcome == Outcome::Stale));
}

#[test]
fn a_cart_filled_before_signing_in_is_the_users() {
    let world = World::new();
    let nobody = json!({"anonymousId": "a1"});
    let both = json!({"userId": "ann", "anonymousId": "a1"});
    world.fold_done(vec![accepted(0, vec![cart("1", 0, &nobody, "Product Added")])], minute(0));
    // What was said of it before is not said again.
    world.wake_until(minute(10));
    assert_eq!(world.signals().len(), 1);
    world.fold_done(vec![accepted(11, vec![identify("2", 11, &both, &json!({}))])], minute(11));
    world.wake_until(minute(60));
    assert!(world.signals().is_empty());
    world.wake_until(minute(240));
    let raised = world.signals();
    assert_eq!(raised.len(), 1);
    assert_eq!(raised[0].profile, world.user("ann").into());
    assert_eq!(raised[0].owners, [world.user("ann"), world.anonymous("a1")]);
}

/// A wake is delivered twice, and the process dies at every call of the first.
#[test]
fn a_wake_that_dies_is_healed_by_its_redelivery() {
    use odyssey_testkit::Fault;
    for fault in [Fault::FailBefore, Fault::FailAfter, Fault::HaltBefore, Fault::HaltAfter] {
        for at in 0..6 {
            let world = World::new();
            let added = cart("1", 0, &ann(), "Product Added");
            world.fold_done(vec![accepted(0, vec![added])], minute(0));
            let mut wake = world.memory.take(Queue::Profile, minute(10)).remove(0);
            let (mut n, wrong) = (0, fault.clone());
            world.memory.on_call(move |_| {
                n += 1;
                if n == at + 1 { wrong.clone() } else { Fault::None }
            });
            let World { memory, keyring, catalog, .. } = &world;
            let _ = odyssey_testkit::run_or_halt(odyssey_flows::fold_profile::run(
                memory,
                memory,
                memory,
                keyring,
                catalog,
                vec![wake.clone()],
                minute(10),
            ));
            world.memory.calm();
            wake.receive_count = 2;
            world.fold_done(vec![wake], minute(10));
            assert_eq!(world.signals().len(), 1, "call {at}");
            world.wake_until(minute(240));
            assert_eq!(world.signals().len(), 1, "call {at}");
        }
    }
}

#[test]
fn a_timer_that_was_lost_is_armed_again() {
    let world = World::new();
    world.fold_done(vec![accepted(0, vec![cart("1", 0, &ann(), "Product Added")])], minute(0));
    let _lost = world.memory.take(Queue::Profile, minute(10));
    let other = track("2", 20, "Page Scrolled", &ann(), &json!({}));
    world.fold_done(vec![accepted(20, vec![other])], minute(20));
    world.wake_until(minute(20));
    assert_eq!(world.signals().len(), 1);
}

/// As in journeys: a message in its place would not say that it was delivered before.
#[test]
fn a_wake_before_its_time_stays_on_the_queue() {
    let world = World::new();
    world.fold_done(vec![accepted(0, vec![cart("1", 0, &ann(), "Product Added")])], minute(0));
    let wake = world.memory.take(Queue::Profile, minute(10)).remove(0);
    let rows = world.memory.rows();
    let (early, _) = world.fold(vec![wake.clone()], minute(9));
    assert!(
        matches!(early.as_slice(), [Disposition::Retry { after: Some(left), .. }]
            if *left == odyssey_domain::time::Span::MINUTE),
        "{early:?}"
    );
    assert_eq!(world.memory.rows(), rows);
    assert!(world.memory.queue(Queue::Profile).is_empty());
    world.fold_done(vec![wake], minute(10));
    assert_eq!(world.signals().len(), 1);
}
