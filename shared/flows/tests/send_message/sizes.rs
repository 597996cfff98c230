//! The worst a contact and a send can hold still fits one write unit.

use crate::world::{NOW, World, contact_key, send_id};
use odyssey_domain::contact::{
    CLAIMS_MAX, CONSENTS_MAX, Claim, ConsentState, Contact, SuppressionReason, TopicId,
};
use odyssey_domain::ids::{ContentHash, OwnerToken, SendId};
use odyssey_domain::journey::{JourneyId, StepId};
use odyssey_domain::message::{Deferral, LedgerItem, MailId, SendState};
use odyssey_domain::policy::{Reason, ReasonCode};
use odyssey_domain::predicate::Answer;
use odyssey_domain::time::Stamp;
use odyssey_domain::wire::{Enrolled, Why};
use odyssey_flows::ports::{Consistency, Write};
use odyssey_flows::{contacts, ledger};
use odyssey_testkit::{row_bytes, run};

/// Text without order, which does not compress.
fn noise(seed: usize, bytes: usize) -> String {
    let mut text = String::from("x");
    for n in 0.. {
        if text.len() >= bytes {
            break;
        }
        text.push_str(&ContentHash::of(format!("{seed} {n}").as_bytes()).to_string());
    }
    text[..bytes].to_owned()
}

fn bytes(write: Write) -> usize {
    match write {
        Write::Put { row, .. } => row_bytes(&row),
        other => panic!("{other:?}"),
    }
}

fn claim(n: usize, at: Stamp) -> Claim {
    let topic = TopicId::parse(&noise(n, 20)).unwrap();
    Claim::new(at, &topic, Some(&JourneyId::parse(&noise(n + 1, 20)).unwrap()))
}

#[test]
fn the_largest_contact() {
    let mut contact = Contact::new(contact_key());
    contact.verify(NOW);
    contact.suppress(SuppressionReason::Complaint, NOW);
    for n in 0..CONSENTS_MAX {
        let topic = TopicId::parse(&noise(n, 48)).unwrap();
        let at = Stamp::from_ms(NOW.ms() + i64::try_from(n * 7_654_321).unwrap());
        contact.answers(&topic, ConsentState::Granted, at, &noise(n + 50, 40)).unwrap();
    }
    let mut newest = send_id();
    for n in 0..CLAIMS_MAX {
        let mut id = [0; 16];
        id.copy_from_slice(ContentHash::of(&[u8::try_from(n).unwrap()]).bytes());
        let at = Stamp::from_ms(NOW.ms() + i64::try_from(n * 1_234_567).unwrap());
        newest = SendId::from_bytes(id);
        contact.claim(newest, claim(n, at), |_| true);
    }
    let write = contacts::put(&contact, Some(123_456), Some(newest)).unwrap();
    let Write::Put { row, .. } = &write else { panic!("{write:?}") };
    let kept: Contact = odyssey_flows::stored::decode(row).unwrap();
    assert_eq!(kept.consents, contact.consents, "answers are never left out");
    assert!(kept.claims.contains(newest));
    assert!(bytes(write) <= 1_024);
}

#[test]
fn an_ordinary_contact_keeps_all_its_claims() {
    let mut contact = Contact::new(contact_key());
    contact.verify(NOW);
    for name in ["offers", "news", "receipts"] {
        let topic = TopicId::parse(name).unwrap();
        contact.answers(&topic, ConsentState::Granted, NOW, "confirmation").unwrap();
    }
    for n in 0..CLAIMS_MAX {
        let mut id = [0; 16];
        id.copy_from_slice(ContentHash::of(&[u8::try_from(n).unwrap()]).bytes());
        contact.claim(SendId::from_bytes(id), claim(n, NOW), |_| true);
    }
    let write = contacts::put(&contact, None, None).unwrap();
    let Write::Put { row, .. } = &write else { panic!("{write:?}") };
    let kept: Contact = odyssey_flows::stored::decode(row).unwrap();
    assert_eq!(kept, contact);
}

/// What a contact says it has room for, it has: a claim that was decided on is never left out.
#[test]
fn as_many_claims_as_there_is_room_for_are_kept() {
    for topics in 0..=CONSENTS_MAX {
        for length in [4, 8, 12, 20, 24, 32, 40, 48] {
            let mut contact = Contact::new(contact_key());
            contact.verify(NOW);
            for n in 0..topics {
                let topic = TopicId::parse(&noise(n, length)).unwrap();
                let at = Stamp::from_ms(NOW.ms() + i64::try_from(n * 7_654_321).unwrap());
                contact.answers(&topic, ConsentState::Granted, at, &noise(n + 50, 40)).unwrap();
            }
            let room = contacts::room(&contact);
            for n in 0..room {
                let mut id = [0; 16];
                id.copy_from_slice(ContentHash::of(format!("{n} {length}").as_bytes()).bytes());
                let at = Stamp::from_ms(NOW.ms() + i64::try_from(n * 1_234_567).unwrap());
                contact.claim(SendId::from_bytes(id), claim(n, at), |_| true);
            }
            assert_eq!(contact.claims.len(), room);
            let write = contacts::put(&contact, Some(123_456), None).unwrap();
            let Write::Put { row, .. } = &write else { panic!("{write:?}") };
            let kept: Contact = odyssey_flows::stored::decode(row).unwrap();
            let all = kept == contact;
            assert!(all, "{topics} topics of {length} letters, room for {room}");
            assert!(bytes(write) <= 1_024);
            assert!(topics > 4 || length > 12 || room == CLAIMS_MAX, "{topics} {length}: {room}");
        }
    }
}

/// A deferred send is rendered from its ledger item: it keeps what its trigger carried.
#[test]
fn a_deferred_send_keeps_what_its_mail_shows() {
    let mut why =
        Why { trigger: noise(1, 40), trigger_id: noise(2, 36), trigger_at: NOW, ..Why::default() };
    why.evidence.insert("lines".to_owned(), noise(3, 300).into());
    assert!(serde_json::to_vec(&why).unwrap().len() <= Why::BYTES_MAX);
    let reason = |n| Reason::new(ReasonCode::FrequencyCap, noise(n, 300));
    let enrolled = Enrolled { version: ContentHash::of(b"v"), started: NOW, entered: NOW };
    let deferral = Deferral {
        arm: 9,
        since: NOW,
        codes: vec![ReasonCode::FrequencyCap, ReasonCode::QuietHours],
        enrolled: Some(enrolled),
    };
    let item = LedgerItem {
        send: send_id(),
        profile: Some(crate::world::ann()),
        contact: Some(contact_key()),
        asked_by: Some((
            JourneyId::parse(&noise(6, 30)).unwrap(),
            StepId::parse(&noise(7, 30)).unwrap(),
        )),
        mail: MailId::parse(&noise(8, 30)).unwrap(),
        topic: TopicId::parse(&noise(9, 30)).unwrap(),
        state: SendState::Deferred { until: NOW, reasons: (0..5).map(reason).collect() },
        owner: OwnerToken::derive("a", "b"),
        at: NOW,
        sending_at: None,
        consent: None,
        delivery: None,
        deferral: Some(deferral),
        why: why.clone(),
    };
    let write = ledger::put(&item, Some(9)).unwrap();
    let Write::Put { row, .. } = &write else { panic!("{write:?}") };
    let kept: LedgerItem = odyssey_flows::stored::decode(row).unwrap();
    assert_eq!(kept.why.evidence, why.evidence);
    assert_eq!(kept.deferral, item.deferral);
    assert!(bytes(write) <= 1_024);
}

#[test]
fn the_largest_send() {
    let name = |n| noise(n, 48);
    let mut why =
        Why { trigger: noise(1, 60), trigger_id: noise(2, 100), trigger_at: NOW, ..Why::default() };
    why.evidence.insert(noise(3, 40), noise(4, 2_000).into());
    why.conditions = (0..9)
        .map(|n| Answer { asked: noise(n, 80), found: noise(n + 9, 80), held: true })
        .collect();
    let reason = |n| Reason::new(ReasonCode::ConsentWithdrawn, noise(n, 300));
    let states = [
        SendState::Unconfirmed { since: NOW },
        SendState::Sent { ses_id: noise(5, 100), accepted: NOW },
        SendState::Skipped { reasons: (0..5).map(reason).collect() },
    ];
    for state in states {
        let item = LedgerItem {
            send: send_id(),
            profile: Some(crate::world::ann()),
            contact: Some(contact_key()),
            asked_by: Some((JourneyId::parse(&name(6)).unwrap(), StepId::parse(&name(7)).unwrap())),
            mail: MailId::parse(&name(8)).unwrap(),
            topic: TopicId::parse(&name(9)).unwrap(),
            state,
            owner: OwnerToken::derive("a", "b"),
            at: NOW,
            sending_at: Some(NOW),
            consent: Some(noise(10, 80)),
            delivery: None,
            deferral: None,
            why: why.clone(),
        };
        assert!(bytes(ledger::put(&item, Some(9)).unwrap()) <= 1_024, "{:?}", item.state);
    }
}

#[test]
fn a_send_keeps_its_why_where_there_is_room() {
    let world = World::with_ann();
    let mut request = crate::world::request("remind", "offers");
    request.why.evidence.insert("cart_value".to_owned(), 1_299.into());
    let command = odyssey_domain::wire::Command::Send(Box::new(request.clone()));
    let body = serde_json::to_string(&command).unwrap();
    world.deliver_done(crate::world::record("m", 1, &body));
    assert_eq!(world.ledger(send_id()).unwrap().why, request.why);
    assert!(run(ledger::load(&world.memory, send_id(), Consistency::Strong)).unwrap().is_some());
}
