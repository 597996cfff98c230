//! External ids, addresses and numbers: identifiers from a server, attributes from a browser.

use crate::world::*;
use odyssey_domain::event::Event;
use odyssey_domain::identity::IdKind;
use odyssey_domain::ids::IdentityKey;
use odyssey_domain::profile::{ACCUMULATORS_MAX, ACCUMULATORS_VOUCHED, IdentityItem, RefusedLink};
use odyssey_domain::wire::SourceKind;
use odyssey_flows::ports::Table;
use odyssey_testkit::Operation;
use serde_json::{Value, json};

fn ids(of: &[(&str, &str)]) -> Value {
    let entries: Vec<Value> = of
        .iter()
        .map(|(named, id)| {
            json!({"type": named, "id": id, "collection": "users", "encoding": "none"})
        })
        .collect();
    json!({"context": {"externalIds": entries}})
}

fn with(mut who: Value, more: &Value) -> Value {
    who.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    who
}

fn bought(id: &str, at: i64, who: &Value) -> Event {
    track(id, at, "Product Added", who, &json!({"product_id": id, "price": "1.50"}))
}

impl World {
    fn key(&self, id: &str) -> IdentityKey {
        self.keyring.identity_key(&id.parse().unwrap())
    }

    fn server(&self, at: i64, events: Vec<Event>) {
        self.fold_done(vec![accepted_from(SourceKind::Server, at, events)], minute(at));
    }

    fn items(&self, id: &str) -> Value {
        self.view(self.key(id)).facts["cart.items"].clone()
    }

    fn profile_of(&self, id: &str) -> IdentityKey {
        self.view(self.key(id)).profile.into()
    }
}

#[test]
fn an_event_folds_under_its_strongest_identifier() {
    let all = [("email", "ann@example.com"), ("phone", "+49 30 1234567"), ("crm", "c1")];
    for (given, anonymous, own) in [
        (&all[..], true, "external:crm:c1"),
        (&all[..2], true, "email:ann@example.com"),
        (&all[1..2], true, "phone:+49301234567"),
        (&[], true, "anonymous:a1"),
    ] {
        let world = World::new();
        let mut who = ids(given);
        if anonymous {
            who["anonymousId"] = "a1".into();
        }
        world.server(1, vec![bought("1", 0, &who)]);
        let Some(IdentityItem::Root(root)) = world.item(world.key(own)) else { panic!("{own}") };
        let kind = own.rsplit_once(':').unwrap().0;
        let kind = IdKind::try_from(kind.to_owned()).unwrap();
        assert_eq!(root.kind, (!kind.is_anonymous()).then_some(kind));
        // Nothing links two ids but a user.
        assert!(root.links.is_empty());
        assert_eq!(world.memory.rows_of(Table::Profiles).len(), 1);
    }
}

#[test]
fn who_is_known_by_an_address_alone_is_found_late_or_early() {
    let ann = json!({"userId": "ann"});
    let mail = ids(&[("email", "Ann@Example.com")]);
    let crm = ids(&[("crm", "c1"), ("email", "ann@example.com")]);
    let events = [
        bought("1", 0, &mail),
        bought("2", 1, &crm),
        identify("3", 2, &ann, &json!({"email": "ann@example.com"})),
        bought("4", 3, &with(ann, &ids(&[("crm", "c1")]))),
        bought("5", 4, &mail),
    ];
    let mut seen = None;
    for turn in 0..120_usize {
        let world = World::new();
        let mut left: Vec<&Event> = events.iter().collect();
        let mut rest = turn;
        while !left.is_empty() {
            let at = rest % left.len();
            rest /= left.len();
            world.server(10, vec![left.remove(at).clone()]);
        }
        let found = world.facts();
        assert_eq!(seen.get_or_insert(found.clone()), &found);
        assert_eq!(world.items("email:ann@example.com"), 4);
        assert_eq!(world.profile_of("external:crm:c1"), world.user("ann"));
    }
}

#[test]
fn of_a_browser_they_are_attributes() {
    let world = World::new();
    let mail = ids(&[("email", "ann@example.com"), ("crm", "c1")]);
    world.server(1, vec![bought("1", 0, &mail)]);
    let who = with(json!({"userId": "eve", "anonymousId": "a1"}), &mail);
    let traits = json!({"email": "ann@example.com", "phone": "+49301234567"});
    let both = vec![identify("2", 2, &who, &traits), bought("3", 3, &who)];
    world.fold_done(vec![accepted(4, both)], minute(4));
    // What the ticket system said is nobody's yet; the address is Eve's own word.
    assert_eq!(world.profile_of("external:crm:c1"), world.key("external:crm:c1"));
    assert_eq!(world.item(world.key("email:ann@example.com")), None);
    assert_eq!(world.items("user:eve"), 1);
    assert_eq!(world.root(world.user("eve")).1.links.len(), 1);
    // An event of a browser that names nobody else folds nowhere.
    let (_, counts) = world.fold(vec![accepted(5, vec![bought("4", 4, &mail)])], minute(5));
    assert_eq!(counts.folded, 0);
}

#[test]
fn a_shared_address_welds_nobody() {
    let family = json!({"email": "family@example.com", "phone": "+49301234567"});
    let events = [
        identify("1", 1, &json!({"userId": "ann"}), &family),
        identify("2", 5, &json!({"userId": "bob"}), &family),
        bought("3", 6, &ids(&[("email", "family@example.com")])),
        bought("4", 7, &json!({"userId": "bob"})),
    ];
    let mut seen = None;
    for turn in 0..24_usize {
        let world = World::new();
        let mut left: Vec<&Event> = events.iter().collect();
        let mut rest = turn;
        while !left.is_empty() {
            let at = rest % left.len();
            rest /= left.len();
            world.server(10, vec![left.remove(at).clone()]);
        }
        let found = world.facts();
        assert_eq!(seen.get_or_insert(found.clone()), &found);
        assert_eq!(world.items("user:ann"), 1, "the address is hers, who was first");
        assert_eq!(world.items("user:bob"), 1);
        for user in ["user:ann", "user:bob"] {
            let view = world.view(world.key(user));
            assert_eq!(view.email.unwrap().expose(), "family@example.com");
        }
    }
}

/// Ann moves to another address; later her old one is somebody else's.
#[test]
fn a_changed_address_keeps_its_history() {
    let world = World::new();
    let ann = json!({"userId": "ann"});
    let by = |address: &str| ids(&[("email", address)]);
    world.server(
        9,
        vec![
            bought("1", 0, &by("old@example.com")),
            identify("2", 1, &ann, &json!({"email": "old@example.com"})),
            identify("3", 2, &ann, &json!({"email": "new@example.com"})),
            bought("4", 3, &by("new@example.com")),
            bought("5", 4, &by("old@example.com")),
            identify("6", 5, &json!({"userId": "bob"}), &json!({"email": "old@example.com"})),
        ],
    );
    let view = world.view(world.user("ann"));
    assert_eq!(view.facts["cart.items"], 3);
    assert_eq!(view.email.unwrap().expose(), "new@example.com");
    assert_eq!(world.profile_of("email:old@example.com"), world.user("ann"));
    assert_eq!(world.view(world.user("bob")).facts["events.total"], 1);
}

#[test]
fn an_address_that_its_server_has_not_verified_claims_nothing() {
    let world = World::new();
    let victim = ids(&[("email", "victim@example.com")]);
    let unsure = json!({"email": "victim@example.com", "email_verified": false});
    world.server(
        1,
        vec![bought("1", 0, &victim), identify("2", 1, &json!({"userId": "eve"}), &unsure)],
    );
    assert_eq!(world.profile_of("email:victim@example.com"), world.key("email:victim@example.com"));
    assert_eq!(world.view(world.user("eve")).facts["events.total"], 1);
}

#[test]
fn the_same_identify_again_and_again_costs_what_any_event_costs() {
    let world = World::new();
    let who = with(json!({"userId": "ann"}), &ids(&[("crm", "c1")]));
    let traits = json!({"email": "ann@example.com", "phone": "+49301234567"});
    world.server(1, vec![identify("first", 0, &who, &traits)]);
    let calls = |event: Event| {
        let before = world.memory.calls().len();
        world.server(2, vec![event]);
        let calls = world.memory.calls().split_off(before);
        let kept = |call: &Operation| !matches!(call, Operation::Get(Table::Workspace));
        calls.into_iter().filter(kept).map(|call| format!("{call:?}")).collect::<Vec<_>>()
    };
    let plain = calls(identify("plain", 1, &json!({"userId": "ann"}), &json!({"plan": "pro"})));
    // Beyond that ids spill, as of any event.
    for n in 0..900 {
        let mut again = calls(identify(&format!("e{n}"), 1, &who, &traits));
        // Beside the row that leads from the address to the profile, which has always been put.
        let puts = again.iter().filter(|call| call.contains("Profiles")).count();
        if puts > 1 {
            let at = again.iter().rposition(|call| call.contains("Profiles")).unwrap();
            again.remove(at);
        }
        again.sort();
        let mut plain = plain.clone();
        plain.sort();
        assert!(again == plain, "{n}: {again:?} {plain:?}");
    }
}

/// Calls of a fold, but for those of effects.
fn reads(world: &World, since: usize) -> Vec<Operation> {
    let is_read = |call: &Operation| {
        matches!(call, Operation::Get(Table::Profiles | Table::Timeline) | Operation::GetMany)
    };
    world.memory.calls().split_off(since).into_iter().filter(is_read).collect()
}

/// A browser that makes a device up with every event: claims are read a hundred at a time, and not
/// at all where the profile could not take them anyway.
#[test]
fn a_thousand_claims_are_read_a_hundred_at_a_time() {
    let world = World::new();
    let batch = |from: i64, to: i64| {
        let events = (from..to).map(|n| {
            let device = format!("made-up-{n}");
            bought(&device, n / 1_000, &json!({"userId": "ann", "anonymousId": device}))
        });
        accepted(10, events.collect())
    };
    let before = world.memory.calls().len();
    let counts = world.fold_done(vec![batch(0, 1_000)], minute(10));
    assert_eq!(counts.folded, 1_000);
    // The user's own item, and ten times a hundred devices.
    assert_eq!(reads(&world, before), [Operation::GetMany; 11]);
    let before = world.memory.calls().len();
    world.fold_done(vec![batch(1_000, 2_000), batch(2_000, 3_000)], minute(11));
    assert_eq!(reads(&world, before), [Operation::GetMany]);
    // Devices of others, by later claims: their roots are read together, too.
    let theirs = (0..30).map(|n| {
        bought(
            &format!("t{n}"),
            60,
            &json!({"userId": format!("u{n}"), "anonymousId": format!("d{n}")}),
        )
    });
    world.fold_done(vec![accepted(60, theirs.collect())], minute(60));
    let earlier = (0..11).map(|n| {
        bought(&format!("e{n}"), 50, &json!({"userId": "bob", "anonymousId": format!("d{n}")}))
    });
    let before = world.memory.calls().len();
    world.fold_done(vec![accepted(61, earlier.collect())], minute(61));
    assert_eq!(reads(&world, before), [Operation::GetMany; 3]);
    assert_eq!(world.items("user:bob"), 11);
}

#[test]
fn devices_do_not_keep_out_what_a_server_vouches_for() {
    let world = World::new();
    // A browser claims ten thousand devices for a user id that it knows.
    for batch in 0..20_i64 {
        let events = (0..500).map(|n| {
            let device = format!("hostile-{batch}-{n}");
            bought(&device, batch, &json!({"userId": "ann", "anonymousId": device}))
        });
        let counts = world.fold_done(vec![accepted(batch, events.collect())], minute(batch));
        assert_eq!(counts.folded, 500, "no event is lost");
    }
    let devices = ACCUMULATORS_MAX - 1 - ACCUMULATORS_VOUCHED;
    let refused = 10_000 - u64::try_from(devices).unwrap();
    let root = world.root(world.user("ann")).1;
    assert_eq!(root.links.len(), devices);
    assert_eq!(root.refused[&RefusedLink::Full], refused, "and each refusal is on record");
    let ticket = ids(&[("crm", "c1")]);
    let ann = json!({"userId": "ann"});
    world.server(
        30,
        vec![
            bought("ticket", 21, &ticket),
            identify("ann", 22, &with(ann, &ticket), &json!({"email": "ann@example.com"})),
        ],
    );
    let root = world.root(world.user("ann")).1;
    assert_eq!(root.links.len(), devices + 2);
    assert_eq!(root.links[&world.key("email:ann@example.com")].kind, IdKind::Email);
    assert_eq!(world.profile_of("external:crm:c1"), world.user("ann"));
}

/// The earliest claim wins, and a browser's clock is anybody's.
#[test]
fn no_browser_takes_a_device_over_by_a_stamp_of_long_ago() {
    let month = 30 * 24 * 60;
    let world = World::new();
    let tablet = |user: &str| json!({"userId": user, "anonymousId": "tablet"});
    world.fold_done(vec![accepted(1, vec![bought("1", 0, &tablet("ann"))])], minute(1));
    let mut forged = bought("2", 0, &tablet("eve"));
    forged.at = odyssey_domain::time::Stamp::MIN;
    world.fold_done(vec![accepted(month, vec![forged.clone()])], minute(month));
    assert_eq!(world.profile_of("anonymous:tablet"), world.user("ann"));
    // A server that imports its history may say so.
    forged.id = "imported".to_owned();
    world.fold_done(vec![accepted_from(SourceKind::Server, month, vec![forged])], minute(month));
    assert_eq!(world.profile_of("anonymous:tablet"), world.user("eve"));
}

/// Two users on one device, by turns, and a kiosk that everybody uses.
#[test]
fn a_device_that_users_take_by_turns() {
    let world = World::new();
    for n in 0..40_i64 {
        let user = if n % 2 == 0 { "ann" } else { "bob" };
        let named = bought(&format!("n{n}"), 2 * n, &json!({"userId": user, "anonymousId": "tv"}));
        let nobody = bought(&format!("x{n}"), 2 * n + 1, &json!({"anonymousId": "tv"}));
        world.fold_done(vec![accepted(100, vec![named]), accepted(100, vec![nobody])], minute(100));
    }
    assert_eq!(world.items("user:ann"), 60);
    assert_eq!(world.items("user:bob"), 20);
}
