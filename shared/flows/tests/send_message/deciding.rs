//! Skips, refusals, and values that try to be more than values.

use crate::world::{NOW, World, asked, offers, record, request, seconds, send_id};
use odyssey_domain::contact::ConsentState;
use odyssey_domain::message::SendState;
use odyssey_domain::policy::ReasonCode;
use odyssey_domain::profile::IdentityItem;
use odyssey_domain::wire::{Command, Owner, Wake};
use odyssey_flows::ports::{Key, Row, Table};
use odyssey_flows::queue::Disposition;
use odyssey_flows::{profiles, stored};
use proptest::prelude::*;
use serde_json::json;

fn codes(world: &World) -> Vec<ReasonCode> {
    match world.ledger(send_id()).map(|item| item.state) {
        Some(SendState::Skipped { reasons }) => {
            assert!(reasons.iter().all(|reason| !reason.found.contains("ann")), "{reasons:?}");
            reasons.iter().map(|reason| reason.code).collect()
        }
        other => panic!("not skipped: {other:?}"),
    }
}

#[test]
fn every_reason_is_recorded_and_a_skip_stays() {
    let world = World::empty();
    world.identify(&json!({ "email": "ann@example.com" }));
    world.deliver_done(offers(1));
    assert_eq!(codes(&world), [ReasonCode::NotVerified, ReasonCode::NoConsent]);
    assert_eq!(world.contact(), None, "a skip makes no contact");
    let stored = world.stored();
    world.set("offers", ConsentState::Granted);
    world.deliver_done(offers(2));
    assert_eq!(world.memory.mail_calls(), 0, "what was decided is decided");
    assert_eq!(world.memory.rows_of(Table::Ledger), stored);
}

#[test]
fn nobody_to_send_to() {
    let world = World::empty();
    world.deliver_done(offers(1));
    assert_eq!(codes(&world), [ReasonCode::NoAddress]);

    let world = World::with_ann();
    let key = profiles::identity_key(crate::world::ann().into());
    let tombstone = IdentityItem::Tombstone { erased: NOW };
    world.memory.seed(stored::row(key, &tombstone, 9).unwrap());
    world.deliver_done(offers(1));
    assert_eq!(codes(&world), [ReasonCode::Erased]);
}

#[test]
fn what_the_workspace_lacks_or_cannot_render() {
    for (mail, topic, expected) in [
        ("nothing", "offers", ReasonCode::ContentMissing),
        ("remind", "nothing", ReasonCode::ContentMissing),
        ("broken", "offers", ReasonCode::RenderFailed),
    ] {
        let world = World::with_ann();
        world.deliver_done(asked(mail, topic, 1));
        assert!(codes(&world).contains(&expected), "{mail} {topic}: {:?}", codes(&world));
        assert!(world.contact().unwrap().claims.is_empty());
    }
}

#[test]
fn poison_is_parked_alone_and_not_repeated() {
    let world = World::with_ann();
    let wake = Command::Wake(Wake { owner: Owner::Profile(crate::world::ann()), arm: 1, due: NOW });
    let mut newer = request("remind", "offers");
    newer.topic = crate::world::topic("offers");
    let bad = [
        "secret@example.com",
        "{}",
        "null",
        r#"{"command":"send","send":"secret@example.com"}"#,
        r#"{"id":"e","source":"s","detail-type":"Consent Requested","detail":{"v":1}}"#,
        r#"{"id":"e","source":"s","detail-type":"Something Else","detail":{}}"#,
        &serde_json::to_string(&wake).unwrap(),
    ];
    let mut records: Vec<_> = bad.iter().map(|body| record("bad", 1, body)).collect();
    records.push(offers(1));
    let dispositions = world.deliver(records, NOW);
    let (last, parked) = dispositions.split_last().unwrap();
    assert_eq!(*last, Disposition::Done);
    assert_eq!(world.memory.mails().len(), 1);
    for disposition in parked {
        let Disposition::Park { chain, .. } = disposition else { panic!("{disposition:?}") };
        assert!(!chain.join(" ").contains("secret"), "{chain:?}");
    }
}

#[test]
fn a_newer_releases_item_is_left_as_it_is() {
    let world = World::with_ann();
    let key = Key { table: Table::Ledger, pk: send_id().to_string(), sk: "send".to_owned() };
    let row = Row { key, version: 3, schema: 99, body: vec![0], expires: None, index: None };
    world.memory.seed(row.clone());
    let dispositions = world.deliver(vec![offers(1)], NOW);
    assert!(matches!(dispositions[0], Disposition::Retry { .. }), "{dispositions:?}");
    assert_eq!(world.memory.rows_of(Table::Ledger), [row]);
}

#[test]
fn without_a_workspace_it_waits() {
    let world = World { memory: odyssey_testkit::Memory::new(), ..World::empty() };
    let dispositions = world.deliver(vec![offers(1)], NOW);
    assert!(matches!(dispositions[0], Disposition::Retry { .. }), "{dispositions:?}");
}

#[test]
fn a_sending_that_is_young_is_waited_for_and_an_old_one_given_up() {
    let world = World::with_ann();
    world.memory.on_call(|call| match call.operation {
        odyssey_testkit::Operation::SendMail => odyssey_testkit::Fault::HaltAfter,
        _ => odyssey_testkit::Fault::None,
    });
    assert_eq!(world.deliver_or_halt(offers(1), NOW), None);
    world.memory.calm();
    let waits = world.deliver(vec![offers(2)], seconds(10));
    assert!(
        matches!(waits[0], Disposition::Retry { after: Some(after), .. } if after.ms() == 20_001),
        "{waits:?}"
    );
    assert_eq!(world.deliver(vec![offers(3)], seconds(31)), [Disposition::Done]);
    assert!(matches!(world.ledger(send_id()).unwrap().state, SendState::Unconfirmed { .. }));
    assert_eq!(world.memory.mails().len(), 1);
}

proptest! {
    #[test]
    fn values_forge_no_header(name in "(?s).{0,120}") {
        let world = World::with_ann();
        world.identify(&json!({ "email": "ann@example.com", "first_name": name }));
        world.deliver_done(offers(1));
        let mails = world.memory.mails();
        // A name of blanks alone still leaves a subject: the rest of the line.
        prop_assert_eq!(mails.len(), 1);
        let mail = &mails[0].mail;
        prop_assert_eq!(mail.headers.len(), 2);
        let lines = mail.headers.iter().map(|(_, value)| value).chain([&mail.subject, &mail.from]);
        for line in lines {
            let unfit = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
            prop_assert!(!line.chars().any(unfit), "{line:?}");
        }
    }
}
