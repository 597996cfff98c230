//! Splits: what an operator takes apart stays apart, each side with what it had.

use crate::world::*;
use odyssey_domain::catalog::Catalog;
use odyssey_domain::event::Event;
use odyssey_domain::ids::IdentityKey;
use odyssey_domain::profile::{IdentityItem, NoSplit, RefusedLink};
use odyssey_domain::segment::SegmentName;
use odyssey_domain::wire::SourceKind;
use odyssey_flows::links::{Split, SplitError, Stands, place, plan, split};
use odyssey_flows::ports::{Expect, Key, Row, Table, Tables, Write};
use odyssey_flows::{profiles, stored};
use odyssey_testkit::{Fault, Operation, run, run_or_halt};
use serde_json::json;

const MAIL: &str = "email:mum@example.com";

fn key(world: &World, id: &str) -> IdentityKey {
    world.keyring.identity_key(&id.parse().unwrap())
}

fn divide(world: &World, id: &str, at: i64) -> Result<Split, SplitError> {
    run(split(&world.memory, key(world, id), minute(at)))
}

fn server(world: &World, at: i64, events: Vec<Event>) -> odyssey_flows::fold_profile::Counts {
    world.fold_done(vec![accepted_from(SourceKind::Server, at, events)], minute(at))
}

fn by_mail(id: &str, at: i64, name: &str) -> Event {
    let who = json!({"context": {"externalIds": [{"type": "email", "id": "mum@example.com"}]}});
    track(id, at, name, &who, &json!({"product_id": id, "name": id, "price": "1.50"}))
}

fn claim(id: &str, at: i64, user: &str) -> Event {
    identify(id, at, &json!({"userId": user}), &json!({"email": "mum@example.com"}))
}

/// A mother's tickets, which her daughter's registration with the same address took in.
fn welded() -> (World, Vec<Event>) {
    let world = World::new();
    let kid = json!({"userId": "kid"});
    let events = vec![
        by_mail("ticket", 0, "Product Added"),
        claim("claim", 1, "kid"),
        track("toy", 2, "Product Added", &kid, &json!({"product_id": "toy", "price": 3})),
        by_mail("seat", 3, "Product Viewed"),
    ];
    server(&world, 3, events.clone());
    (world, events)
}

/// What is split off is in the segments that its old deeds let it in, and nobody is told that it
/// entered them.
#[test]
fn what_is_split_off_enters_in_silence() {
    let when = json!({"fact": {"name": "events.Product Added", "is": {"at_least": 1}}});
    let segment = json!({"title": "T", "when": when, "since": minute(-60)});
    let segments = [(SegmentName::parse("fan").unwrap(), serde_json::from_value(segment).unwrap())];
    let (published, segments) = (minute(-60), segments.into());
    let world = World::of(Catalog { published, segments, ..catalog() });
    server(&world, 0, vec![by_mail("ticket", 0, "Product Added")]);
    server(&world, 1, vec![claim("claim", 1, "kid")]);
    let said = || {
        let signals = world.signals();
        signals.iter().map(|raised| raised.signal.clone()).collect::<Vec<String>>()
    };
    assert_eq!(said(), ["Segment Entered"]);
    divide(&world, MAIL, 5).unwrap();
    world.wake_until(minute(9));
    assert_eq!(said(), ["Segment Exited"], "the one that it is split off");
    let members = |key| world.root(key).1.said.segments.members.len();
    assert_eq!((members(world.user("kid")), members(key(&world, MAIL))), (0, 1));
}

#[test]
fn splitting_gives_back_what_each_had_and_lasts() {
    let (world, events) = welded();
    let (_, before) = world.root(world.user("kid"));
    let planned = run(plan(&world.memory, key(&world, MAIL), minute(5))).unwrap();
    assert!(matches!(world.item(key(&world, MAIL)), Some(IdentityItem::Pointer { .. })));
    let done = divide(&world, MAIL, 5).unwrap();
    assert_eq!(done, planned, "what was shown is what is done");
    assert_eq!((done.events, done.kind.to_string().as_str()), (2, "email"));
    assert_eq!(done.from, world.user("kid").into());
    for (id, own) in [(MAIL, key(&world, MAIL)), ("user:kid", world.user("kid"))] {
        let (profile, root) = world.root(key(&world, id));
        assert_eq!(IdentityKey::from(profile), own);
        assert_eq!(root.accumulators.len(), 1);
        assert_eq!(root.accumulators[&own], before.accumulators[&own]);
    }
    // A later claim, the same one redelivered, and everything a month later, one by one.
    let after = world.facts();
    assert!(server(&world, 5, vec![events[1].clone()]).refused_links.is_empty());
    for event in events {
        let month = 30 * 24 * 60;
        let record = accepted_from(SourceKind::Server, 3, vec![event]);
        assert_eq!(world.fold_done(vec![record], minute(month)).folded, 0);
    }
    assert_eq!(world.facts(), after);
    let counts = server(&world, 6, vec![claim("again", 6, "kid")]);
    assert_eq!(counts.refused_links[&RefusedLink::Split], 1);
    assert_eq!(world.root(world.user("kid")).1.refused[&RefusedLink::Split], 1);
    // The mother's own events and her own registration reach her.
    server(&world, 7, vec![by_mail("more", 7, "Product Added"), claim("hers", 8, "mum")]);
    assert_eq!(world.view(world.user("mum")).facts["cart.items"], 2);
    assert_eq!(world.view(world.user("kid")).facts["cart.items"], 1);
    // And her history is found by it all the same.
    let found = odyssey_flows::fold_profile::timeline::read(
        &world.memory,
        key(&world, MAIL),
        minute(0),
        minute(9),
    );
    assert_eq!(run(found).unwrap().len(), 3);
}

#[test]
fn a_known_split_costs_a_claim_no_read() {
    let (world, _) = welded();
    divide(&world, MAIL, 5).unwrap();
    let before = world.memory.calls().len();
    server(&world, 6, vec![claim("again", 6, "kid")]);
    let reads = world.memory.calls().split_off(before);
    let is_read =
        |call: &Operation| matches!(call, Operation::Get(Table::Profiles) | Operation::GetMany);
    let reads: Vec<_> = reads.into_iter().filter(is_read).collect();
    assert_eq!(reads, [Operation::GetMany], "the profile itself, as for any event");
}

#[test]
fn why_says_on_whose_word() {
    let (world, _) = welded();
    let found = run(place(&world.memory, key(&world, MAIL))).unwrap();
    let Stands::Linked(claimed) = &found.stands else { panic!("{found:?}") };
    assert_eq!(claimed.to, world.user("kid").into());
    assert_eq!(claimed.claim.unwrap().at, minute(1));
    assert_eq!(claimed.event.as_ref().unwrap().1.id, "claim");
    assert_eq!(claimed.event_name().unwrap(), "identify");
    assert_eq!(claimed.kind.as_ref().unwrap().to_string(), "email");
    assert!(!claimed.is_final);
    divide(&world, MAIL, 5).unwrap();
    let found = run(place(&world.memory, key(&world, MAIL))).unwrap();
    assert_eq!(found.profile(), Some(key(&world, MAIL).into()));
    assert!(matches!(&found.stands, Stands::Profile(Some(kind)) if kind.to_string() == "email"));
}

#[test]
fn what_cannot_be_split_says_why() {
    let (world, _) = welded();
    assert!(matches!(divide(&world, "email:x@example.com", 5), Err(SplitError::Nobody)));
    assert!(matches!(divide(&world, "user:kid", 5), Err(SplitError::Alone)));
    // Idle for months, it made room for another.
    let later = 60 * 24 * 60;
    for n in 0..16 {
        let ids = json!([{"type": "crm", "id": format!("c{n}")}]);
        let who = json!({"userId": "kid", "context": {"externalIds": ids}});
        let at = later + n;
        server(&world, at, vec![track(&format!("x{n}"), at, "Product Viewed", &who, &json!({}))]);
    }
    let refused = divide(&world, MAIL, later + 20);
    assert!(matches!(refused, Err(SplitError::Refused(NoSplit::Final))), "{refused:?}");
    let found = run(place(&world.memory, key(&world, MAIL))).unwrap();
    let Stands::Linked(claimed) = &found.stands else { panic!("{found:?}") };
    assert!(claimed.is_final);
    assert_eq!(claimed.event.as_ref().unwrap().1.id, "claim", "it still says by what");
    let row = stored::row(
        profiles::identity_key(key(&world, "email:gone@example.com")),
        &IdentityItem::Tombstone { erased: minute(1) },
        1,
    );
    run(world.memory.write(Write::Put { row: row.unwrap(), expect: Expect::Any })).unwrap();
    assert!(matches!(divide(&world, "email:gone@example.com", 5), Err(SplitError::Erased(_))));
}

#[test]
fn no_silence_is_lost_and_none_is_said_twice() {
    let (world, _) = welded();
    divide(&world, MAIL, 5).unwrap();
    world.wake_until(minute(15));
    world.wake_until(minute(300));
    let mut raised: Vec<(String, IdentityKey)> = world
        .signals()
        .into_iter()
        .map(|raised| (raised.threshold.value(), raised.profile.into()))
        .collect();
    raised.sort();
    let (mum, kid) = (key(&world, MAIL), world.user("kid"));
    let carts: Vec<_> = raised.iter().filter(|(_, profile)| *profile == kid).collect();
    assert_eq!(carts.len(), 2, "the toy's, at both thresholds");
    let carts: Vec<_> = raised.iter().filter(|(_, profile)| *profile == mum).collect();
    assert_eq!(carts.len(), 2, "the ticket's: {raised:?}");
    // Said before the split, it is not said again.
    let (world, _) = welded();
    world.wake_until(minute(15));
    world.wake_until(minute(300));
    let before = world.signals().len();
    assert!(before > 0);
    divide(&world, MAIL, 301).unwrap();
    world.wake_until(minute(700));
    assert!(world.signals().iter().all(|raised| raised.profile != kid.into()));
}

/// An event claims with the write that folds it. One that lost, or was refused, does not claim when
/// its record comes again, however much later.
#[test]
fn a_redelivery_claims_nothing_anew() {
    let month = 31 * 24 * 60;
    let world = World::new();
    let on = |id: &str, at: i64, user: &str, device: &str| {
        let who = json!({"userId": user, "anonymousId": device});
        accepted(at, vec![track(id, at, "Product Added", &who, &json!({"product_id": id}))])
    };
    // Ann was first on the tablet, Bob lost; then it is split off hers.
    let bobs = on("bob", 2, "bob", "tablet");
    world.fold_done(vec![on("ann", 1, "ann", "tablet"), bobs.clone()], minute(2));
    let tablet = world.anonymous("tablet");
    run(split(&world.memory, tablet, minute(3))).unwrap();
    let counts = world.fold_done(vec![bobs], minute(4));
    assert_eq!((counts.folded, counts.duplicates), (0, 1));
    assert!(matches!(world.item(tablet), Some(IdentityItem::Root(_))));
    // What he does from now on is another matter.
    world.fold_done(vec![on("bob again", 5, "bob", "tablet")], minute(5));
    assert_eq!(world.view(tablet).profile, world.user("bob").into());
    // Refused because the profile is full; a month later its devices are idle.
    let refused = on("one too many", 20, "cal", "d11");
    let devices: Vec<_> =
        (0..11).map(|n| on(&format!("c{n}"), 10, "cal", &format!("d{n}"))).collect();
    world.fold_done(devices, minute(10));
    let counts = world.fold_done(vec![refused.clone()], minute(20));
    assert_eq!(counts.refused_links.len(), 1);
    let before = world.facts();
    for at in [month, 2 * month] {
        let counts = world.fold_done(vec![refused.clone()], minute(at));
        assert_eq!((counts.duplicates, counts.refused_links.len()), (1, 0));
        assert_eq!(world.facts(), before);
    }
}

#[test]
fn the_address_leads_to_both_after_it() {
    let (world, _) = welded();
    server(
        &world,
        4,
        vec![identify(
            "own",
            4,
            &json!({"context": {"externalIds": [{"type": "email", "id": "mum@example.com"}]}}),
            &json!({"email": "mum@example.com", "first_name": "Mum"}),
        )],
    );
    divide(&world, MAIL, 5).unwrap();
    let address = odyssey_domain::personal::EmailAddress::parse("mum@example.com").unwrap();
    let contact = world.keyring.contact_key(&address);
    let found = run(profiles::find_by_email(&world.memory, contact)).unwrap();
    let mut found: Vec<IdentityKey> = found.into_iter().map(|found| found.profile.into()).collect();
    found.sort_unstable();
    let mut wanted = vec![world.user("kid"), key(&world, MAIL)];
    wanted.sort_unstable();
    assert_eq!(found, wanted);
}

/// Neither a link nor a split touches a contact: consent and caps are the address's own.
#[test]
fn contacts_do_not_change_hands() {
    let world = World::new();
    let address = odyssey_domain::personal::EmailAddress::parse("mum@example.com").unwrap();
    let contact = world.keyring.contact_key(&address);
    world.memory.seed(Row {
        key: Key { table: Table::Contacts, pk: contact.to_string(), sk: "contact".to_owned() },
        version: 3,
        schema: 2,
        body: b"\0{}".to_vec(),
        expires: None,
        index: None,
    });
    let before = world.memory.rows_of(Table::Contacts);
    server(&world, 3, vec![by_mail("t", 0, "Product Added"), claim("c", 1, "kid")]);
    divide(&world, MAIL, 5).unwrap();
    assert_eq!(world.memory.rows_of(Table::Contacts), before);
}

/// Every call of a split fails or halts once, before and after it took effect; asked for again, it
/// is as it would have been.
#[test]
fn a_fault_at_any_call_leaves_one_or_two_and_never_half() {
    let (calm, _) = welded();
    let before = calm.memory.calls().len();
    divide(&calm, MAIL, 5).unwrap();
    let (expected, calls) = (calm.facts(), calm.memory.calls().len() - before);
    let timers = calm.memory.rows_of(Table::Due).len();
    for fault in [Fault::FailBefore, Fault::FailAfter, Fault::HaltBefore, Fault::HaltAfter] {
        for at in 0..calls {
            let (world, _) = welded();
            let whole = world.facts();
            let (mut n, wrong) = (0, fault.clone());
            world.memory.on_call(move |_| {
                n += 1;
                if n == at + 1 { wrong.clone() } else { Fault::None }
            });
            let identity = key(&world, MAIL);
            let now = minute(5);
            let _ = run_or_halt(split(&world.memory, identity, now));
            world.memory.calm();
            let found = world.facts();
            assert!(found == whole || found == expected, "half of it: {fault:?} at call {at}");
            match divide(&world, MAIL, 5) {
                Ok(_) => assert!(found == whole),
                Err(SplitError::Alone) => assert!(found == expected),
                Err(other) => panic!("{other}"),
            }
            assert_eq!(world.facts(), expected, "{fault:?} at call {at}");
            assert_eq!(world.memory.rows_of(Table::Due).len(), timers);
        }
    }
}

/// An event that comes between the reads and the write is not lost.
#[test]
fn an_event_that_comes_meanwhile_is_kept() {
    let (other, _) = welded();
    let who = json!({"userId": "kid"});
    let event = track("meanwhile", 4, "Product Added", &who, &json!({"product_id": "m"}));
    other.fold_done(vec![accepted(4, vec![event])], minute(4));
    let at = profiles::identity_key(other.user("kid"));
    let row = other.memory.rows().into_iter().find(|row| row.key == at).unwrap();
    let (world, _) = welded();
    let here = world.memory.clone();
    let written = |call| matches!(call, Operation::Transact);
    world.memory.meanwhile(written, 0, move || here.seed(row));
    run(split(&world.memory, key(&world, MAIL), minute(5))).unwrap();
    assert_eq!(world.view(world.user("kid")).facts["cart.items"], 2);
    assert_eq!(world.view(key(&world, MAIL)).facts["cart.items"], 1);
}
