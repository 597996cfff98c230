//! A mail on its way: what it is made of, and what every answer of SES leads to.

use crate::world::{
    ADDRESS, NOW, World, ann, asked, change, contact_key, keys, offers, seconds, send_id,
    ses_event, topic,
};
use odyssey_domain::contact::ConsentState;
use odyssey_domain::keyring::Purpose;
use odyssey_domain::message::SendState;
use odyssey_domain::message::link::Link;
use odyssey_flows::ledger;
use odyssey_flows::ports::{SendAnswer, Table};
use odyssey_flows::queue::Disposition;
use odyssey_testkit::{Operation, ScriptedAnswer, row_bytes, run};
use serde_json::json;

#[test]
fn a_marketing_mail() {
    let world = World::with_ann();
    world.deliver_done(offers(1));
    let mails = world.memory.mails();
    assert_eq!(mails.len(), 1);
    let mail = &mails[0].mail;
    assert_eq!(mail.send, send_id());
    assert_eq!(mail.to.expose(), ADDRESS);
    assert_eq!(mail.from, "=?UTF-8?B?S8Okc2UgJiBDbw==?= <shop@example.com>");
    assert_eq!(mail.reply_to.as_ref().unwrap().expose(), "help@example.com");
    assert_eq!(mail.subject, "Ann, your cart waits");
    let tags: Vec<(&str, &str)> =
        mail.tags.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(tags, [("topic", "offers"), ("journey", "cart-recovery"), ("step", "remind")]);
    assert_eq!(mail.headers[0].0, "List-Unsubscribe");
    assert_eq!(
        mail.headers[1],
        ("List-Unsubscribe-Post".to_owned(), "List-Unsubscribe=One-Click".to_owned())
    );
    let url = mail.headers[0].1.trim_matches(['<', '>']);
    assert!(mail.text.contains(url), "the visible link is the same");
    let token = url.strip_prefix("https://o.example.com/u/").unwrap();
    let link = Link::read(&keys(), Purpose::Unsubscribe, token, NOW).unwrap();
    assert_eq!((link.contact, link.topic), (contact_key(), topic("offers")));
    assert_eq!(link.profile, Some(ann()));

    let item = world.ledger(send_id()).unwrap();
    assert!(matches!(&item.state, SendState::Sent { ses_id, .. } if ses_id == "ses-0"));
    assert_eq!(item.consent.unwrap(), format!("granted {NOW} via api:shop"));
    assert!(world.contact().unwrap().claims.contains(send_id()));
}

#[test]
fn what_was_sent_before_counts_as_a_duplicate() {
    let world = World::with_ann();
    world.deliver_done(offers(1));
    assert_eq!(world.counted("SendsAccepted"), 1);
    world.deliver_done(offers(2));
    let counts = world.sending.tally.take();
    assert_eq!(counts.into_iter().find(|(_, count)| *count > 0), Some(("SendsDuplicate", 1)));
}

#[test]
fn a_transactional_mail_has_no_list_headers() {
    let world = World::with_ann();
    world.deliver_done(asked("remind", "receipts", 1));
    assert_eq!(world.memory.mails()[0].mail.headers, []);
}

#[test]
fn it_costs_what_is_told() {
    let world = World::with_ann();
    let before = world.memory.calls().len();
    world.deliver_done(offers(1));
    let ses_id = world.memory.mails()[0].ses_id.clone();
    let delivered = json!({ "delivery": { "timestamp": "2026-11-18T12:00:02.000Z" } });
    for (kind, part) in [("Send", json!({ "send": {} })), ("Delivery", delivered)] {
        let event = ses_event(kind, send_id(), &ses_id, &part);
        assert_eq!(world.feedback(&event), Disposition::Done);
    }
    let units: usize = world.memory.calls()[before..]
        .iter()
        .map(|operation| match operation {
            Operation::Transact => 4,
            Operation::Write(_) => 1,
            _ => 0,
        })
        .sum();
    assert_eq!(units, 7, "{:?}", &world.memory.calls()[before..]);
    for row in world.stored() {
        assert!(row_bytes(&row) <= 1_024, "{:?} takes {}", row.key.table, row_bytes(&row));
    }
}

#[test]
fn a_second_delivery_changes_nothing() {
    let world = World::with_ann();
    world.deliver_done(offers(1));
    let stored = world.stored();
    for receipt in 2..5 {
        world.deliver_done(offers(receipt));
    }
    let batch = vec![offers(5), offers(5), offers(6)];
    assert_eq!(world.deliver(batch, seconds(100)), vec![Disposition::Done; 3]);
    assert_eq!(world.stored(), stored);
    assert_eq!(world.memory.mail_calls(), 1);
}

#[test]
fn one_message_twice_in_one_batch_is_one_mail() {
    let world = World::with_ann();
    world.deliver(vec![offers(1), offers(1), offers(1)], NOW);
    assert_eq!(world.memory.mail_calls(), 1);
}

#[test]
fn released_is_tried_again_and_not_counted_meanwhile() {
    let world = World::with_ann();
    world.memory.script([ScriptedAnswer::Answer(SendAnswer::Released("429".to_owned()))]);
    let first = world.deliver(vec![offers(1)], NOW);
    assert!(matches!(&first[0], Disposition::Retry { reason, .. } if reason.contains("429")));
    assert!(matches!(world.ledger(send_id()).unwrap().state, SendState::Released { .. }));
    assert!(world.contact().unwrap().claims.is_empty());
    world.deliver_done(offers(2));
    assert_eq!(world.memory.mails().len(), 1);
    assert_eq!(world.contact().unwrap().claims.len(), 1);
}

#[test]
fn released_and_withdrawn_meanwhile_is_skipped() {
    let world = World::with_ann();
    world.memory.script([ScriptedAnswer::Answer(SendAnswer::Released("429".to_owned()))]);
    world.deliver(vec![offers(1)], NOW);
    world.set("offers", ConsentState::Withdrawn);
    world.deliver_done(offers(2));
    assert!(matches!(world.ledger(send_id()).unwrap().state, SendState::Skipped { .. }));
    assert_eq!(world.memory.mails().len(), 0);
}

#[test]
fn released_and_moved_to_another_address_is_counted_there() {
    let world = World::with_ann();
    // The release of the claim fails too, so that it stays where it was.
    world.memory.script([ScriptedAnswer::Answer(SendAnswer::Released("429".to_owned()))]);
    world.memory.on_call(|call| match call.operation {
        Operation::Write(Table::Contacts) => odyssey_testkit::Fault::FailBefore,
        _ => odyssey_testkit::Fault::None,
    });
    world.deliver(vec![offers(1)], NOW);
    world.memory.calm();
    assert_eq!(world.contact().unwrap().claims.len(), 1);
    world.identify(&json!({ "email": "ann@other.example", "x": 1 }));
    let other = odyssey_domain::personal::EmailAddress::parse("ann@other.example").unwrap();
    let mut grant = change("offers", ConsentState::Granted);
    grant.contact = keys().contact_key(&other);
    run(odyssey_flows::set_consent::change(&world.memory, &world.memory, &grant, NOW)).unwrap();
    world.deliver_done(offers(2));
    let mail = &world.memory.mails()[0].mail;
    if mail.to == other {
        assert!(world.contact().unwrap().claims.is_empty());
    }
}

#[test]
fn refused_is_final_and_not_counted() {
    let world = World::with_ann();
    world.memory.script([ScriptedAnswer::Answer(SendAnswer::Failed("MessageRejected".to_owned()))]);
    world.deliver_done(offers(1));
    assert!(matches!(world.ledger(send_id()).unwrap().state, SendState::Failed { .. }));
    assert!(world.contact().unwrap().claims.is_empty());
    world.deliver_done(offers(2));
    assert_eq!(world.memory.mail_calls(), 1);
}

#[test]
fn ambiguous_is_listed_until_ses_tells() {
    let world = World::with_ann();
    world.memory.script([ScriptedAnswer::AcceptedBut(SendAnswer::Ambiguous("timeout".to_owned()))]);
    world.deliver_done(offers(1));
    let listed = run(ledger::unconfirmed(&world.memory, 10)).unwrap();
    assert_eq!(listed.len(), 1);
    world.deliver_done(offers(2));
    assert_eq!(world.memory.mail_calls(), 1);
    assert_eq!(world.contact().unwrap().claims.len(), 1, "it may have gone out, so it counts");
    let event = ses_event("Send", send_id(), "ses-0", &json!({ "send": {} }));
    assert_eq!(world.feedback(&event), Disposition::Done);
    assert!(matches!(
        world.ledger(send_id()).unwrap().state,
        SendState::Sent { ses_id, .. } if ses_id == "ses-0"
    ));
    assert_eq!(run(ledger::unconfirmed(&world.memory, 10)).unwrap(), []);
}
