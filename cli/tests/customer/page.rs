//! What the page shows of somebody of whom much is known, and of somebody of whom nothing is.

use crate::world::{World, ann, newest};
use odyssey::customer::find::{Whom, find};
use odyssey_testkit::run;
use serde_json::json;

/// `INSTA_UPDATE=always cargo test -p odyssey --test customer` accepts a change.
#[test]
fn of_somebody_known() {
    let (body, _) = ann().page("ann@example.com");
    // One element a line, so that a change is seen where it is.
    let lines = body.replace("><", ">\n<");
    insta::assert_snapshot!("page", lines);
}

#[test]
fn it_says_all_there_is() {
    let world = ann();
    let (body, whole) = world.page("user:ann");
    let missing = |part: &&str| !body.contains(*part);
    let parts = [
        "Ann Berger",
        "ann@example.com",
        // Signals with their evidence.
        "Cart Abandoned",
        "Two-person tent (249.00)",
        "Binge Started",
        "Knots",
        "Complaint Received",
        "late parcel",
        "Interest Shown",
        "First Purchase",
        "superseded by Cart Abandoned",
        // Where they stand, and what they got.
        "cart-recovery",
        "Waits for <bdi>Order Completed",
        "cart-reminder",
        "Reminders and offers",
        // Ids, with how each was linked.
        "phone-1",
        "laptop-7",
        "by <bdi>identify</bdi>",
        "by <bdi>track Order Completed</bdi>",
        // Touchpoints.
        "1 order, 79.00 EUR",
        "1 piece, 249.00 EUR",
        "Lingers on Tents",
        "Bristol, United Kingdom",
        "instagram",
        "A pole is missing",
        // The history, late ones where they belong.
        "Put 2 × Gas stove (39.50 EUR) into the cart",
        "Store Visited",
        "told 25 hours later",
    ];
    let missing: Vec<&str> = parts.into_iter().filter(missing).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(!whole.contains("<script"), "no script");
    assert!(!whole.contains("style=\""), "the policy allows no style in an element");
    assert!(!whole.contains("{body}") && !whole.contains("{title}"));
}

#[test]
fn somebody_of_whom_nothing_is_known() {
    let mut world = World::new();
    world.track(&json!({"anonymousId": "nobody"}), "Looked In", &json!({}));
    let (body, _) = world.page("anonymous:nobody");
    for part in ["no address is known", "None was raised", "In none", "None was asked for yet"] {
        assert!(body.contains(part), "{part}");
    }
    let whom = |text: &str| run(find(&world.memory, &world.keys, text)).unwrap();
    assert!(matches!(whom("user:no-one"), Whom::Nobody));
    assert!(matches!(whom("no-one@example.com"), Whom::Nobody));
    assert!(matches!(whom("what is this"), Whom::NoId(_)));
}

#[test]
fn a_request_for_consent_waits_for_an_address() {
    let mut world = World::new();
    let ann = json!({"anonymousId": "phone-1"});
    world.track(&ann, "Consent Requested", &json!({"topic": "offers"}));
    let waits = "Consent to offers was requested";
    assert!(world.page("anonymous:phone-1").0.contains(waits));
    let traits = json!({"type": "identify", "traits": {"email": "ann@example.com"}});
    world.say(odyssey_domain::wire::SourceKind::Browser, &ann, &traits);
    assert!(!world.page("anonymous:phone-1").0.contains(waits), "her address was asked");
}

#[test]
fn two_customers_with_one_address_are_told_apart() {
    let mut world = World::new();
    for user in ["ann", "bob"] {
        let traits = json!({"type": "identify", "traits": {"email": "family@example.com"}});
        let kind = odyssey_domain::wire::SourceKind::Browser;
        world.say(kind, &json!({"userId": user}), &traits);
    }
    let found = run(find(&world.memory, &world.keys, "Family@example.com")).unwrap();
    let Whom::Several(profiles) = found else { panic!("{found:?}") };
    assert!(profiles.len() == 2 && profiles.iter().all(|(_, theirs)| *theirs));
}

/// An address is found by its own identity first; a single hit whose it no longer is says so.
#[test]
fn whose_an_address_is_and_whose_it_was() {
    use odyssey_domain::wire::SourceKind;
    let mut world = World::new();
    let gives = |address: &str| json!({"type": "identify", "traits": {"email": address}});
    let says = |world: &mut World, kind, user: &str, address: &str| {
        world.wait();
        world.say(kind, &json!({"userId": user}), &gives(address));
    };
    let whom = |world: &World, text: &str| run(find(&world.memory, &world.keys, text)).unwrap();
    says(&mut world, SourceKind::Browser, "eve", "eve@example.com");
    assert!(matches!(whom(&world, "eve@example.com"), Whom::One(..)));
    says(&mut world, SourceKind::Browser, "eve", "ann@example.com");
    let Whom::Several(was) = whom(&world, "eve@example.com") else { panic!("one") };
    assert_eq!(was.iter().map(|(_, theirs)| *theirs).collect::<Vec<_>>(), [false]);
    // Eve named Ann's address in a browser; a server knows whose it is.
    assert!(matches!(whom(&world, "ann@example.com"), Whom::One(..)));
    says(&mut world, SourceKind::Server, "ann", "ann@example.com");
    let Whom::One(ann, _) = whom(&world, "ann@example.com") else { panic!("several") };
    let Whom::One(user, _) = whom(&world, "user:ann") else { panic!("nobody") };
    assert_eq!(ann, user);
    // Another that a server names beside her is told.
    says(&mut world, SourceKind::Server, "bob", "ann@example.com");
    let Whom::Several(both) = whom(&world, "ann@example.com") else { panic!("one") };
    assert_eq!((both.len(), both[0].0), (2, ann));
}

#[test]
fn its_history_goes_on_where_a_page_ended() {
    let world = ann();
    let whole = world.customer("user:ann", newest(500)).history.entries;
    let mut walked = Vec::new();
    let mut wanted = newest(3);
    loop {
        let history = world.customer("user:ann", wanted).history;
        walked.extend(history.entries);
        match history.next {
            Some(next) => wanted.after = Some(next.parse().unwrap()),
            None => break,
        }
    }
    assert_eq!(walked.len(), whole.len());
    let texts = |entries: &[odyssey::customer::history::Entry]| {
        let mut texts: Vec<_> = entries.iter().map(|e| (e.at, e.text.clone())).collect();
        texts.sort();
        texts
    };
    assert_eq!(texts(&walked), texts(&whole), "signals and mails are in it once as well");
}

/// More signals than are told of are not passed over in silence.
#[test]
fn signals_beyond_those_that_are_told_are_said() {
    let mut world = World::new();
    let ann = json!({"userId": "ann"});
    let mut lead = |many: usize, kinds: &[&str]| {
        for n in 0..many {
            for kind in kinds {
                let named = json!({"form": format!("quote-{n}"), "ticket_id": n, "order_id": n,
                    "total": 5, "about": "late"});
                world.track(&ann, kind, &named);
            }
        }
        let customer = world.customer("user:ann", newest(5));
        let raised = customer.signals.iter().filter(|one| one.evidence.is_some()).count();
        (raised, customer.signals_left_out(), world.page("user:ann").0)
    };
    let more = "the last 50 that were raised are shown";
    let (raised, left_out, page) = lead(3, &["Form Submitted", "Complaint Filed"]);
    assert!((6..50).contains(&raised) && left_out.is_none(), "{raised} {left_out:?}");
    assert!(!page.contains(more));
    let (raised, left_out, page) = lead(31, &["Form Submitted", "Complaint Filed"]);
    assert_eq!(raised, 50);
    assert!(left_out.unwrap().starts_with(more));
    assert!(page.contains(more));
}
