//! The one confirmation mail.

use crate::world::{NOW, World, address, ann, contact_key, keys, seconds, topic, wants};
use odyssey_domain::contact::{ConsentState, SuppressionReason};
use odyssey_domain::ids::SendId;
use odyssey_domain::keyring::Purpose;
use odyssey_domain::message::SendState;
use odyssey_domain::message::link::Link;
use odyssey_domain::policy::ReasonCode;
use odyssey_domain::time::{Span, Stamp};
use odyssey_flows::queue::Disposition;
use odyssey_flows::set_consent::{self, Change, ConsentError};
use odyssey_flows::{contacts, set_consent::Manner};
use odyssey_testkit::run;

fn id(day: i64) -> SendId {
    SendId::derive_confirmation(contact_key(), "offers", day)
}

fn link(world: &World) -> Link {
    let mails = world.memory.mails();
    let url = &mails.last().unwrap().mail.text;
    let token = url.strip_prefix("https://o.example.com/c/").unwrap();
    Link::read(&keys(), Purpose::Confirm, token, NOW).unwrap()
}

#[test]
fn asked_once_and_confirmed() {
    let world = World::empty();
    world.deliver_done(wants("offers", NOW, 1));
    let mail = &world.memory.mails()[0].mail;
    assert_eq!((&mail.to, mail.subject.as_str()), (&address(), "Confirm Offers"));
    assert_eq!(mail.headers, []);
    let contact = world.contact().unwrap();
    assert_eq!((contact.verified, contact.consents.len()), (None, 0));
    // Again that day, by whatever message: nothing more.
    world.deliver_done(wants("offers", NOW, 2));
    world.deliver_done(wants("offers", seconds(60), 1));
    assert_eq!(world.memory.mails().len(), 1);

    let link = link(&world);
    assert_eq!((link.contact, link.profile), (contact_key(), Some(ann())));
    let change = Change::confirm(link);
    let at = seconds(120);
    run(set_consent::change(&world.memory, &world.memory, &change, at)).unwrap();
    let contact = world.contact().unwrap();
    assert_eq!(contact.verified, Some(at));
    assert_eq!(contact.answer(&topic("offers")).unwrap().state, ConsentState::Granted);
    // Following the link again tells the bus again, the same.
    run(set_consent::change(&world.memory, &world.memory, &change, seconds(500))).unwrap();
    let told = world.memory.bus_entries();
    assert_eq!((told.len(), &told[0]), (2, &told[1]));
}

#[test]
fn each_day_is_another_and_invented_dates_are_not() {
    let world = World::empty();
    let send = |at, now| {
        assert_eq!(world.deliver(vec![wants("offers", at, 1)], now), [Disposition::Done]);
        world.memory.mails().len()
    };
    assert_eq!(send(NOW, NOW), 1);
    assert_eq!(send(Stamp::MAX, NOW), 1, "the future is today");
    assert_eq!(send(Stamp::MIN, NOW), 1, "a history that is imported asks nobody");
    let tomorrow = NOW.plus(Span::DAY);
    assert_eq!(send(NOW, tomorrow), 1, "yesterday's request, delivered again");
    assert_eq!(send(tomorrow, tomorrow), 2);
}

/// The clock that dated it is seconds ahead of one that handles it, and midnight lies between.
#[test]
fn clocks_that_differ_at_midnight_ask_once() {
    let world = World::empty();
    let midnight = Stamp::from_ms((NOW.day() + 1) * Span::DAY.ms_i64());
    let at = midnight.plus(Span::SECOND.times(4));
    for now in [midnight.minus(Span::SECOND), at.plus(Span::SECOND.times(2))] {
        assert_eq!(world.deliver(vec![wants("offers", at, 1)], now), [Disposition::Done]);
        assert_eq!(world.memory.mails().len(), 1);
    }
}

#[test]
fn nobody_is_asked_for_nothing() {
    let world = World::empty();
    world.set("offers", ConsentState::Granted);
    world.deliver_done(wants("offers", NOW, 1));
    assert_eq!(world.memory.mail_calls(), 0);
    let SendState::Skipped { reasons } = world.ledger(id(NOW.day())).unwrap().state else {
        panic!("not skipped")
    };
    assert_eq!(reasons[0].code, ReasonCode::AlreadyGranted);
    // They left that same day, and ask again.
    world.set("offers", ConsentState::Withdrawn);
    world.deliver_done(wants("offers", seconds(60), 1));
    assert_eq!(world.memory.mails().len(), 1);

    let world = World::empty();
    run(contacts::change(&world.memory, contact_key(), |contact| {
        Ok(contact.suppress(SuppressionReason::Complaint, NOW))
    }))
    .unwrap();
    let stored = world.stored().len();
    for receipt in 1..3 {
        world.deliver_done(wants("offers", NOW, receipt));
    }
    assert_eq!((world.memory.mail_calls(), world.stored().len()), (0, stored + 1));
}

#[test]
fn a_link_older_than_a_withdrawal_grants_nothing() {
    let world = World::empty();
    world.deliver_done(wants("offers", NOW, 1));
    let link = link(&world);
    let confirm = Change::confirm(link.clone());
    let change =
        |change: &Change, at| run(set_consent::change(&world.memory, &world.memory, change, at));
    change(&confirm, seconds(60)).unwrap();
    change(&Change::unsubscribe(link, Manner::OneClick), seconds(120)).unwrap();
    let told = world.memory.bus_entries().len();
    assert!(matches!(change(&confirm, seconds(180)), Err(ConsentError::Outdated)));
    let answer = world.contact().unwrap().answer(&topic("offers")).unwrap().clone();
    assert_eq!((answer.state, answer.via.as_str()), (ConsentState::Withdrawn, "one_click"));
    assert_eq!(world.memory.bus_entries().len(), told);
}

#[test]
fn a_bus_that_fails_is_told_and_completed_by_asking_again() {
    let world = World::empty();
    world.memory.on_call(|call| match call.operation {
        odyssey_testkit::Operation::Publish => odyssey_testkit::Fault::Partial(vec![0]),
        _ => odyssey_testkit::Fault::None,
    });
    let grant = crate::world::change("offers", ConsentState::Granted);
    let grant = || run(set_consent::change(&world.memory, &world.memory, &grant, NOW));
    assert!(matches!(grant(), Err(ConsentError::NotPublished)));
    world.memory.calm();
    grant().unwrap();
    assert_eq!(world.memory.bus_entries().len(), 1);
}
