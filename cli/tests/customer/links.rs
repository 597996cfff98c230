//! What was kept from a profile: claims that were refused, and what an operator split off.

use crate::world::{World, newest};
use odyssey::profile::id;
use odyssey::profile::why::Two;
use odyssey::screen::Screen;
use odyssey_domain::wire::SourceKind;
use odyssey_flows::links::split;
use odyssey_testkit::run;
use serde_json::{Value, json};

fn identify(world: &mut World, kind: SourceKind, who: &Value) {
    world.wait();
    world.say(kind, who, &json!({"type": "identify", "traits": {}}));
}

fn why(world: &World, one: &str, other: &str) -> (String, Value) {
    let asked = [one, other].map(|text| id::read(text, &world.keys).unwrap());
    let two = run(Two::find(&world.memory, &world.keys, asked)).unwrap();
    (two.lines(&Screen::new()).join("\n"), two.to_json())
}

/// What `profile show` and the page say of it.
fn shown(world: &World, text: &str) -> String {
    let lines = world.customer(text, newest(50)).links.lines();
    let (body, _) = world.page(text);
    for line in &lines {
        assert!(body.contains(line), "{line} is not on the page");
    }
    lines.join("\n")
}

#[test]
fn what_an_operator_split_is_said_with_what_claimed_it_since() {
    let mut world = World::new();
    let both = json!({"userId": "kid",
        "context": {"externalIds": [{"id": "mum@example.com", "type": "email"}]}});
    identify(&mut world, SourceKind::Server, &both);
    let (ids, mum) = (("user:kid", "email:mum@example.com"), "email:mum@example.com");
    assert!(why(&world, ids.0, ids.1).0.starts_with("They are one"));
    assert_eq!(shown(&world, "user:kid"), "");

    world.wait();
    let key = id::read(mum, &world.keys).unwrap().key;
    let at = world.now();
    run(split(&world.memory, key, at)).unwrap();
    let (told, json) = why(&world, ids.0, ids.1);
    let by = format!("an operator split {mum} off the profile");
    assert!(told.starts_with("They are not one") && told.contains(&by), "{told}");
    assert!(told.contains(&format!("at {at}: no claim links")), "{told}");
    // What it was linked by then is no refusal.
    assert!(!told.contains("was refused"), "{told}");
    assert_eq!(json["between"][0]["split"], at.to_string());
    assert_eq!(json["between"][0]["claim"], Value::Null);
    assert!(shown(&world, "user:kid").contains("an operator split off mum@example.com"));

    identify(&mut world, SourceKind::Server, &both);
    // Whichever of the two is named first.
    for (one, other) in [ids, (ids.1, ids.0)] {
        let (told, json) = why(&world, one, other);
        assert!(told.contains("message-2 (identify)"), "{told}");
        assert!(told.contains("which was refused: an operator has split the two"), "{told}");
        let between = json["between"].as_array().unwrap();
        assert!(between.iter().any(|part| part["claim"]["code"] == "split"), "{json}");
    }
    let shown = shown(&world, "user:kid");
    assert!(shown.contains("refused 1 claim of other ids: an operator has split"), "{shown}");
    assert!(shown.contains("last of mum@example.com by identify through backend"), "{shown}");
}

#[test]
fn a_claim_that_found_the_profile_full_is_named() {
    let mut world = World::new();
    for device in 0..20 {
        let both = json!({"userId": "ann", "anonymousId": format!("device-{device:02}")});
        identify(&mut world, SourceKind::Browser, &both);
    }
    assert!(why(&world, "user:ann", "anonymous:device-00").0.starts_with("They are one"));
    let (told, json) = why(&world, "user:ann", "anonymous:device-19");
    assert!(told.starts_with("They are not one"), "{told}");
    assert!(told.contains("claimed anonymous:device-19 by the event message-20"), "{told}");
    assert!(told.contains("which was refused: the profile has 16 live identifiers"), "{told}");
    assert_eq!(json["between"][0]["claim"]["code"], "profile_full");
    assert_eq!(json["between"][0]["refused"]["profile_full"], 9);
    // Of an id that none of its events names nothing else is known.
    let (told, _) = why(&world, "user:ann", "anonymous:never-seen");
    assert!(told.contains("refused 9 claims of other ids"), "{told}");
    assert!(told.contains("none of the last 2,000 events it has claims this one"), "{told}");
    let shown = shown(&world, "user:ann");
    assert!(shown.starts_with("refused 9 claims of other ids: the profile has 16"), "{shown}");
    assert!(shown.contains("last of device-19 by identify through web"), "{shown}");
    // The last few, and no more.
    assert_eq!(shown.lines().count(), 6, "{shown}");
}

#[test]
fn two_users_and_an_earlier_claim_are_told_too() {
    let mut world = World::new();
    let shared = |user: &str| json!({"userId": user, "anonymousId": "family-tablet"});
    identify(&mut world, SourceKind::Browser, &shared("ann"));
    identify(&mut world, SourceKind::Browser, &shared("bob"));
    let (told, json) = why(&world, "user:bob", "anonymous:family-tablet");
    assert!(told.contains("by the event message-2 (identify)"), "{told}");
    assert!(told.contains("but an earlier claim has it"), "{told}");
    assert_eq!(json["between"][0]["claim"]["code"], "earlier_claim");
    // Which is no refusal.
    assert_eq!(shown(&world, "user:bob"), "");

    world.wait();
    let alias = json!({"type": "alias", "previousId": "ann"});
    world.say(SourceKind::Server, &json!({"userId": "bob"}), &alias);
    let (told, _) = why(&world, "user:ann", "user:bob");
    assert!(told.contains("(alias)"), "{told}");
    assert!(told.contains("which was refused: two user ids from a server"), "{told}");
    let shown = shown(&world, "user:bob");
    assert!(shown.contains("last of ann by alias through backend"), "{shown}");
}
