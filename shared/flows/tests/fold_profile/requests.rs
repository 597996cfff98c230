//! Consent that is asked for without an address reaches the profile's own, in whichever order the two come.

use crate::world::*;
use odyssey_domain::wire::{ConsentRequested, SourceKind, detail_type};
use serde_json::{Value, json};

fn request(id: &str, at: i64, who: &Value) -> odyssey_domain::event::Event {
    track(id, at, "Consent Requested", who, &json!({"topic": "offers"}))
}

impl World {
    /// What was asked on the bus since the last time.
    fn asked(&self) -> Vec<(String, String, i64)> {
        let entries = self.memory.take_bus_entries().into_iter();
        let asked = entries.filter(|entry| entry.detail_type == detail_type::CONSENT_REQUESTED);
        let asked =
            asked.map(|entry| serde_json::from_str::<ConsentRequested>(&entry.detail).unwrap());
        let told = |asked: ConsentRequested| {
            let minutes = (asked.at.ms() - START) / 60_000;
            (asked.email.expose().to_owned(), asked.topic.to_string(), minutes)
        };
        asked.map(told).collect()
    }
}

fn ann(minutes: i64) -> (String, String, i64) {
    ("ann@example.com".to_owned(), "offers".to_owned(), minutes)
}

#[test]
fn an_address_that_comes_after_the_request_is_asked_all_the_same() {
    let device = json!({"anonymousId": "a1"});
    let known = identify("known", 0, &device, &json!({"email": "ann@example.com"}));
    let asks = request("asks", 1, &device);
    for order in [[&known, &asks], [&asks, &known]] {
        let world = World::new();
        let records = order.map(|event| accepted_from(SourceKind::Browser, 2, vec![event.clone()]));
        for record in &records {
            world.fold_done(vec![record.clone()], minute(2));
        }
        assert_eq!(world.asked(), [ann(1)], "{}", order[0].id);
        // The write over it repeats it, in case nobody carried it out; after that it is done with.
        for (at, repeated) in [(3, vec![ann(1)]), (4, vec![])] {
            let id = format!("viewed {at}");
            let viewed = track(&id, at, "Product Viewed", &device, &json!({"product_id": "p"}));
            world.fold_done(vec![accepted(at, vec![viewed])], minute(at));
            assert_eq!(world.asked(), repeated);
        }
        world.fold_done(vec![accepted(9, vec![request("again", 9, &device)])], minute(9));
        assert_eq!(world.asked(), [ann(9)]);
        assert_eq!(world.root(world.anonymous("a1")).1.said.asked.len(), 1);
    }
}

#[test]
fn a_request_follows_its_device() {
    let world = World::new();
    let device = json!({"anonymousId": "a1"});
    world.fold_done(vec![accepted(2, vec![request("asks", 2, &device)])], minute(2));
    // Bob has no address, and ann had the device before him.
    let bob = json!({"userId": "bob", "anonymousId": "a1"});
    world.fold_done(
        vec![accepted(5, vec![track("bob", 5, "Signed Up", &bob, &json!({}))])],
        minute(5),
    );
    assert_eq!(world.asked(), []);
    let who = json!({"userId": "ann", "anonymousId": "a1"});
    let known = identify("ann", 1, &who, &json!({"email": "ann@example.com"}));
    world.fold_done(vec![accepted(6, vec![known])], minute(6));
    assert_eq!(world.asked(), [ann(2)]);
}

#[test]
fn an_address_that_the_request_gives_is_asked_whatever_the_profile_says() {
    let world = World::new();
    let who = json!({"userId": "bob"});
    let known = identify("known", 0, &who, &json!({"email": "bob@example.com"}));
    let given = json!({"topic": "offers", "email": "ann@example.com"});
    let asks = track("asks", 1, "Consent Requested", &who, &given);
    let record = accepted(2, vec![known, asks]);
    for _ in 0..2 {
        world.fold_done(vec![record.clone()], minute(2));
        assert_eq!(world.asked(), [ann(1)], "a redelivery repeats what was said");
    }
    for none in [json!({"email": "no address", "topic": "offers"}), json!({"topic": 7}), json!({})]
    {
        let id = none.to_string();
        let event = track(&id, 3, "Consent Requested", &who, &none);
        world.fold_done(vec![accepted(3, vec![event])], minute(3));
        assert_eq!(world.asked(), [], "{id}");
    }
}
