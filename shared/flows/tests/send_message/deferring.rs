//! Caps and quiet hours: what waits, where it waits, and how it ends.

use crate::world::{
    NOW, World, ann, asked, contact_key, offers, publication, record, request, seconds, send_id,
    topic,
};
use odyssey_domain::catalog::{JourneyEntry, JourneyState};
use odyssey_domain::event::Event;
use odyssey_domain::ids::{ContentHash, EnrollmentId, SendId};
use odyssey_domain::journey::{Journey, JourneyId, StepId};
use odyssey_domain::message::{LedgerItem, SendState};
use odyssey_domain::pacing::{FrequencyCap, Instead, Pacing, QuietHours, Zone};
use odyssey_domain::policy::ReasonCode;
use odyssey_domain::time::{Span, Stamp};
use odyssey_domain::wire::{Command, Enrolled, Owner, SendRequested, Wake};
use odyssey_flows::catalog::{Publication, publish};
use odyssey_flows::ports::{Queue, SendAnswer, Table};
use odyssey_flows::queue::{Disposition, QueueRecord};
use odyssey_flows::send_message::Sending;
use odyssey_flows::sweep_due;
use odyssey_testkit::{Call, Fault, Operation, ScriptedAnswer, run, run_or_halt};
use serde_json::json;

/// Quiet at [`NOW`], which is 11:06:40 in UTC, until `to`.
fn quiet_until(to: &str) -> Pacing {
    Pacing {
        quiet_hours: Some(QuietHours {
            from: "10:00".parse().unwrap(),
            to: to.parse().unwrap(),
            timezone: Zone::utc(),
        }),
        spread: Span::MINUTE,
        ..Pacing::default()
    }
}

fn capped(at_most: u32, within: Span, when_capped: Instead) -> Pacing {
    let cap = FrequencyCap { at_most, within, topic: None };
    Pacing { frequency_caps: vec![cap], when_capped, spread: Span::MINUTE, ..Pacing::default() }
}

/// Ann's world with another publication, which functions that just started read.
fn world(change: impl FnOnce(&mut Publication)) -> World {
    let mut world = World::with_ann();
    let mut publication = publication();
    change(&mut publication);
    run(publish(&world.memory, &publication)).unwrap();
    world.sending = Sending::new(crate::world::keys(), "https://o.example.com/");
    world
}

fn paced(pacing: Pacing) -> World {
    world(|publication| publication.catalog.pacing = pacing)
}

/// A journey of one step that ends with an order.
fn journey(step: &serde_json::Value) -> Journey {
    let mut remind = json!({"kind": "send", "mail": "remind", "topic": "offers"});
    remind.as_object_mut().unwrap().extend(step.as_object().unwrap().clone());
    serde_json::from_value(json!({
        "id": "cart-recovery",
        "trigger": {"signal": {"name": "Cart Abandoned", "after": "4h"}},
        "re_entry": "never",
        "exit_when": [{"event": "Order Completed"}],
        "first": "remind",
        "steps": {"remind": remind},
    }))
    .unwrap()
}

fn version_of(journey: &Journey) -> ContentHash {
    ContentHash::of(&serde_json::to_vec(journey).unwrap())
}

fn with_journey(publication: &mut Publication, journey: Journey, caps: Vec<FrequencyCap>) {
    let version = version_of(&journey);
    let entry = JourneyEntry { version, state: JourneyState::Live, frequency_caps: caps };
    publication.catalog.watched.extend(journey.exit_when.clone());
    publication.catalog.journeys.insert(journey.id.clone(), entry);
    publication.journeys.insert(version, journey);
}

fn delivery_of(request: SendRequested, receipt: u32) -> QueueRecord {
    let command = Command::Send(Box::new(request));
    record("m", receipt, &serde_json::to_string(&command).unwrap())
}

/// A request of an enrollment that began an hour ago.
fn enrolled(version: ContentHash) -> SendRequested {
    let started = NOW.minus(Span::HOUR);
    let enrolled = Enrolled { version, started, entered: started };
    SendRequested { enrolled: Some(enrolled), ..request("remind", "offers") }
}

/// The `n`-th other message to Ann.
fn other(n: u32) -> SendRequested {
    let send = SendId::derive(EnrollmentId::derive("other", "", "signal"), "remind", n);
    SendRequested { send, ..request("remind", "offers") }
}

fn wake(arm: u64, due: Stamp) -> QueueRecord {
    let wake = Wake { owner: Owner::Send(send_id()), arm, due };
    record("w", 1, &serde_json::to_string(&Command::Wake(wake)).unwrap())
}

fn until(world: &World) -> Stamp {
    match world.ledger(send_id()).unwrap().state {
        SendState::Deferred { until, .. } => until,
        state => panic!("not deferred: {state:?}"),
    }
}

fn codes(item: &LedgerItem) -> Vec<ReasonCode> {
    match &item.state {
        SendState::Deferred { reasons, .. } | SendState::Skipped { reasons } => {
            reasons.iter().map(|reason| reason.code).collect()
        }
        state => panic!("neither deferred nor skipped: {state:?}"),
    }
}

#[test]
fn a_long_wait_goes_through_the_due_index() {
    let world = paced(quiet_until("18:00"));
    world.deliver_done(offers(1));
    let item = world.ledger(send_id()).unwrap();
    assert_eq!(codes(&item), [ReasonCode::QuietHours]);
    let until = until(&world);
    let open = Stamp::parse("2026-11-18T18:00:00Z").unwrap();
    assert!(until >= open && until < open.plus(Span::MINUTE), "{until}");
    assert!(world.contact().unwrap().claims.is_empty(), "what waits is not counted");
    assert_eq!(world.memory.rows_of(Table::Due).len(), 1);
    assert!(world.memory.queue(Queue::Sender).is_empty());
    assert_eq!(world.memory.mail_calls(), 0);
    assert_eq!(world.counted("SendsDeferred"), 1);

    // Nothing before its time, then the tick hands it to the sender's own queue.
    let swept = run(sweep_due::run(&world.memory, &world.memory, until, || false));
    assert_eq!(swept.handed_over, 1);
    let woken = world.memory.take(Queue::Sender, until);
    assert_eq!(world.deliver(woken, until), [Disposition::Done]);
    assert_eq!(world.memory.mails().len(), 1);
    assert!(world.memory.rows_of(Table::Due).is_empty());
    let item = world.ledger(send_id()).unwrap();
    assert!(matches!(item.state, SendState::Sent { .. }));
    let deferral = item.deferral.unwrap();
    assert_eq!((deferral.arm, deferral.since), (1, NOW));
    assert_eq!(deferral.codes, [ReasonCode::QuietHours]);
    assert_eq!(world.contact().unwrap().claims.len(), 1);
}

#[test]
fn a_short_wait_is_a_delay_of_the_queue() {
    let world = paced(quiet_until("11:15"));
    world.deliver_done(offers(1));
    let until = until(&world);
    assert!(world.memory.rows_of(Table::Due).is_empty());
    let queued = world.memory.queue(Queue::Sender);
    assert_eq!(queued.len(), 1);
    assert!(queued[0].due >= until && queued[0].due < until.plus(Span::SECOND));
    let woken = world.memory.take(Queue::Sender, queued[0].due);
    assert_eq!(world.deliver(woken, until), [Disposition::Done]);
    assert_eq!(world.memory.mails().len(), 1);
}

#[test]
fn while_it_waits_nothing_that_comes_again_changes_anything() {
    let world = paced(quiet_until("18:00"));
    world.deliver_done(offers(1));
    let rows = world.memory.rows();
    let until = until(&world);
    for receipt in 2..5 {
        world.deliver_done(offers(receipt));
    }
    // A wake that comes early, by a clock that is ahead, and one that nobody armed.
    assert_eq!(
        world.deliver(vec![wake(1, until), wake(7, until)], NOW),
        vec![Disposition::Done; 2]
    );
    let other = |row: &odyssey_flows::ports::Row| row.key.table != Table::Due;
    let now: Vec<_> = world.memory.rows().into_iter().filter(other).collect();
    assert_eq!(now, rows.iter().filter(|row| other(row)).cloned().collect::<Vec<_>>());
    assert_eq!(world.memory.rows_of(Table::Due).len(), 1, "armed again, at the same key");
    assert_eq!(world.memory.mail_calls(), 0);
    // At its time everybody comes at once.
    let all = vec![wake(1, until), wake(1, until), offers(6), wake(9, until)];
    world.deliver(all, until);
    world.deliver(vec![wake(1, until), offers(7)], until.plus(Span::MINUTE));
    assert_eq!(world.memory.mails().len(), 1);
}

#[test]
fn a_wake_of_an_earlier_deferral_only_arms_the_standing_one() {
    let world = paced(quiet_until("18:00"));
    world.deliver_done(offers(1));
    let first = until(&world);
    // By then the workspace has other quiet hours: it is put off again.
    let mut publication = publication();
    publication.catalog.pacing = quiet_until("20:00");
    run(publish(&world.memory, &publication)).unwrap();
    world.deliver(vec![wake(1, first)], first);
    let second = until(&world);
    assert!(second > first);
    let rows = world.memory.rows();
    world.deliver(vec![wake(1, first), wake(1, first)], first.plus(Span::MINUTE));
    assert_eq!(world.memory.rows(), rows, "it is armed already");
    assert_eq!(world.memory.mail_calls(), 0);
    world.deliver(vec![wake(2, second)], second);
    assert_eq!(world.memory.mails().len(), 1);
    assert_eq!(world.ledger(send_id()).unwrap().deferral.unwrap().arm, 2);
}

#[test]
fn the_mail_of_a_deferred_send_shows_what_its_trigger_carried() {
    let world = paced(quiet_until("18:00"));
    let mut asked = request("remind", "offers");
    asked.why.evidence.insert("value".to_owned(), 1_299.into());
    world.deliver_done(delivery_of(asked.clone(), 1));
    assert_eq!(world.ledger(send_id()).unwrap().why, asked.why);
    let until = until(&world);
    world.deliver(vec![wake(1, until)], until);
    assert_eq!(world.ledger(send_id()).unwrap().why, asked.why);
    assert_eq!(world.memory.mails().len(), 1);
}

#[test]
fn an_order_before_the_mail_goes_out_stops_it() {
    let remind = journey(&json!({}));
    let version = version_of(&remind);
    let world = world(|publication| {
        publication.catalog.pacing = quiet_until("18:00");
        with_journey(publication, remind, Vec::new());
    });
    world.deliver_done(delivery_of(enrolled(version), 1));
    let until = until(&world);
    let order: Event = serde_json::from_value(json!({
        "id": "order", "at": NOW.plus(Span::HOUR), "type": "track", "name": "Order Completed",
        "userId": "ann", "user_id": "ann",
    }))
    .unwrap();
    world.fold(order, NOW.plus(Span::HOUR));
    world.deliver(vec![wake(1, until)], until);
    let item = world.ledger(send_id()).unwrap();
    assert_eq!(codes(&item), [ReasonCode::JourneyOver]);
    assert_eq!(world.memory.mail_calls(), 0);
}

#[test]
fn consent_withdrawn_while_it_waits_stops_it() {
    let world = paced(quiet_until("18:00"));
    world.deliver_done(offers(1));
    world.set("offers", odyssey_domain::contact::ConsentState::Withdrawn);
    let until = until(&world);
    world.deliver(vec![wake(1, until)], until);
    assert_eq!(codes(&world.ledger(send_id()).unwrap()), [ReasonCode::ConsentWithdrawn]);
    assert_eq!(world.memory.mail_calls(), 0);
}

#[test]
fn a_step_says_what_becomes_of_it() {
    for (step, deferred) in [
        (json!({}), true),
        (json!({"when_quiet": "skip"}), false),
        (json!({"when_capped": "defer"}), true),
    ] {
        let remind = journey(&step);
        let version = version_of(&remind);
        let world = world(|publication| {
            publication.catalog.pacing = quiet_until("18:00");
            with_journey(publication, remind, Vec::new());
        });
        world.deliver_done(delivery_of(enrolled(version), 1));
        let state = world.ledger(send_id()).unwrap().state;
        assert_eq!(matches!(state, SendState::Deferred { .. }), deferred, "{step}");
    }
}

#[test]
fn transactional_mails_and_confirmations_know_no_hours() {
    let pacing = Pacing {
        frequency_caps: vec![FrequencyCap { at_most: 1, within: Span::DAY, topic: None }],
        ..quiet_until("18:00")
    };
    let world = paced(pacing);
    world.deliver_done(asked("remind", "receipts", 1));
    world.deliver_done(crate::world::wants("receipts", NOW, 1));
    assert_eq!(world.memory.mails().len(), 2);
    assert!(world.contact().unwrap().claims.is_empty(), "and are not counted");
}

#[test]
fn a_cap_of_the_workspace_counts_every_journey() {
    let world = paced(capped(2, Span::DAY, Instead::Skip));
    for n in 0..4 {
        world.deliver_done(delivery_of(other(n), n + 1));
    }
    assert_eq!(world.memory.mails().len(), 2);
    let third = world.ledger(other(2).send).unwrap();
    assert_eq!(codes(&third), [ReasonCode::FrequencyCap]);
    assert_eq!(world.counted("SendsSkipped"), 2);
    // A day later the windows are free again.
    let later = NOW.plus(Span::DAY).plus(Span::MINUTE);
    assert_eq!(world.deliver(vec![delivery_of(other(9), 9)], later), [Disposition::Done]);
    assert_eq!(world.memory.mails().len(), 3);
}

#[test]
fn a_cap_of_a_journey_counts_its_own_messages() {
    let cap = FrequencyCap { at_most: 1, within: Span::DAY, topic: None };
    let world = world(|publication| {
        with_journey(publication, journey(&json!({})), vec![cap]);
    });
    let elsewhere = |n| SendRequested {
        journey: JourneyId::parse("elsewhere").unwrap(),
        step: StepId::parse("remind").unwrap(),
        ..other(n)
    };
    for n in 0..3 {
        world.deliver_done(delivery_of(elsewhere(n), n + 1));
    }
    assert_eq!(world.memory.mails().len(), 3);
    for n in 3..6 {
        world.deliver_done(delivery_of(other(n), n + 1));
    }
    assert_eq!(world.memory.mails().len(), 4);
    assert_eq!(codes(&world.ledger(other(4).send).unwrap()), [ReasonCode::FrequencyCap]);
}

#[test]
fn what_did_not_go_out_gives_its_place_back() {
    for answer in [SendAnswer::Released("429".to_owned()), SendAnswer::Failed("400".to_owned())] {
        let world = paced(capped(1, Span::DAY, Instead::Skip));
        world.memory.script([ScriptedAnswer::Answer(answer)]);
        world.deliver(vec![delivery_of(other(1), 1)], NOW);
        world.deliver_done(delivery_of(other(2), 2));
        assert_eq!(world.memory.mails().len(), 1);
    }
    // What may have gone out keeps it.
    let world = paced(capped(1, Span::DAY, Instead::Skip));
    world.memory.script([ScriptedAnswer::Answer(SendAnswer::Ambiguous("?".to_owned()))]);
    world.deliver_done(delivery_of(other(1), 1));
    world.deliver_done(delivery_of(other(2), 2));
    assert_eq!(codes(&world.ledger(other(2).send).unwrap()), [ReasonCode::FrequencyCap]);
}

#[test]
fn released_and_quiet_by_then_waits_without_its_place() {
    let world = paced(Pacing {
        quiet_hours: Some(QuietHours {
            from: "11:10".parse().unwrap(),
            to: "18:00".parse().unwrap(),
            timezone: Zone::utc(),
        }),
        ..capped(1, Span::DAY, Instead::Skip)
    });
    world.memory.script([ScriptedAnswer::Answer(SendAnswer::Released("429".to_owned()))]);
    world.deliver(vec![offers(1)], NOW);
    let later = seconds(300);
    assert_eq!(world.deliver(vec![offers(2)], later), [Disposition::Done]);
    assert!(until(&world) > later);
    assert!(world.contact().unwrap().claims.is_empty());
}

#[test]
fn waiting_has_an_end() {
    let mut pacing = capped(1, Span::DAY.times(5), Instead::Defer);
    pacing.defer_at_most = Span::DAY.times(3);
    let world = paced(pacing);
    world.deliver_done(delivery_of(other(1), 1));
    world.deliver_done(offers(2));
    let item = world.ledger(send_id()).unwrap();
    assert_eq!(codes(&item), [ReasonCode::FrequencyCap, ReasonCode::DeferredTooLong]);

    // Deferred within the limit, and capped again by another that was faster.
    let world = paced(capped(1, Span::DAY.times(2), Instead::Defer));
    world.deliver_done(delivery_of(other(1), 1));
    world.deliver_done(offers(2));
    let first = until(&world);
    assert_eq!(world.deliver(vec![delivery_of(other(3), 3)], first), [Disposition::Done]);
    world.deliver(vec![wake(1, first)], first);
    let item = world.ledger(send_id()).unwrap();
    assert_eq!(codes(&item), [ReasonCode::FrequencyCap, ReasonCode::DeferredTooLong]);
    assert_eq!(world.memory.mails().len(), 2);
}

#[test]
fn deferred_messages_are_spread_out() {
    let mut pacing = quiet_until("18:00");
    pacing.spread = Span::HOUR;
    let world = paced(pacing);
    let mut times: Vec<Stamp> = (0..20)
        .map(|n| {
            world.deliver_done(delivery_of(other(n), n + 1));
            match world.ledger(other(n).send).unwrap().state {
                SendState::Deferred { until, .. } => until,
                state => panic!("{state:?}"),
            }
        })
        .collect();
    times.sort_unstable();
    times.dedup();
    assert_eq!(times.len(), 20);
    let widest = times[19].since(times[0]);
    assert!(widest > Span::MINUTE.times(30) && widest < Span::HOUR, "{widest}");
}

/// Deliveries with a memory: what is not done comes again.
struct Runner<'w> {
    world: &'w World,
    open: Vec<QueueRecord>,
}

impl Runner<'_> {
    /// A tick, and every message that is due.
    fn minute(&mut self, now: Stamp) {
        let memory = &self.world.memory;
        run_or_halt(sweep_due::run(memory, memory, now, || false));
        self.open.extend(memory.take(Queue::Sender, now));
        let mut again = Vec::new();
        for mut record in std::mem::take(&mut self.open) {
            match self.world.deliver_or_halt(record.clone(), now) {
                Some(Disposition::Done) => {}
                Some(Disposition::Retry { .. } | Disposition::Park { .. }) | None => {
                    record.receive_count += 1;
                    record.request_id = format!("{}+", record.request_id);
                    again.push(record);
                }
            }
        }
        self.open = again;
    }
}

fn faults() -> [Fault; 5] {
    [Fault::FailBefore, Fault::FailAfter, Fault::Refuse, Fault::HaltBefore, Fault::HaltAfter]
}

/// A send that is deferred and goes out, with faults on the way; how many calls that took. Where
/// it is put off a second time, quiet hours have changed before it could go out.
fn story(pacing: Pacing, again: Option<Pacing>, plan: Vec<(usize, Fault)>) -> usize {
    let world = paced(pacing);
    let first = world.memory.calls().len();
    let shown = format!("{plan:?}");
    let planned = move |call: &Call| {
        let planned = plan.iter().find(|(at, _)| first + at == call.ordinal);
        planned.map_or(Fault::None, |(_, fault)| fault.clone())
    };
    world.memory.on_call({
        let planned = planned.clone();
        move |call| planned(&call)
    });
    let mut runner = Runner { world: &world, open: vec![offers(1)] };
    for minute in 0..4 {
        runner.minute(NOW.plus(Span::MINUTE.times(minute)));
    }
    let noon = Stamp::parse("2026-11-18T12:00:00Z").unwrap();
    let mut opens = vec![noon];
    let mut first_of_publication = 0;
    if let Some(again) = again {
        let mut publication = publication();
        publication.catalog.pacing = again;
        world.memory.calm();
        let before = world.memory.calls().len();
        run(publish(&world.memory, &publication)).unwrap();
        first_of_publication = world.memory.calls().len() - before;
        world.memory.on_call(move |call| {
            planned(&Call { ordinal: call.ordinal - first_of_publication, ..call })
        });
        opens.push(noon.plus(Span::HOUR));
    }
    for open in &opens {
        for minute in 0..8 {
            runner.minute(open.minus(Span::MINUTE.times(2)).plus(Span::MINUTE.times(minute)));
        }
    }
    let open = noon.plus(Span::HOUR);
    let calls = world.memory.calls().len() - first - first_of_publication;
    world.memory.calm();
    for minute in 0..30 {
        runner.minute(open.plus(Span::MINUTE.times(10 + minute)));
    }
    assert!(runner.open.is_empty(), "{shown}: no end");
    assert!(world.memory.rows_of(Table::Due).is_empty(), "{shown}: timers are left");
    assert!(world.memory.queue(Queue::Sender).is_empty(), "{shown}: messages are left");
    let item = world.ledger(send_id()).unwrap();
    let mails = world.memory.mails();
    match (&item.state, mails.len()) {
        // Unconfirmed: the answer of SES was lost with its function; its own event settles it.
        (SendState::Sent { .. }, 1) | (SendState::Unconfirmed { .. }, 0 | 1) => {}
        // Refused for good.
        (SendState::Failed { .. }, 0) => {
            assert!(world.contact().unwrap().claims.is_empty(), "{shown}");
            return calls;
        }
        (state, mails) => panic!("{shown}: {state:?} with {mails} mails"),
    }
    assert!(item.deferral.is_some(), "{shown}");
    assert_eq!(world.contact().unwrap().claims.len(), 1, "{shown}");
    for mail in &mails {
        assert!(!mail.mail.subject.is_empty(), "{shown}");
    }
    calls
}

#[test]
fn one_fault_anywhere_on_the_way_through_the_due_index() {
    let calls = story(quiet_until("12:00"), None, Vec::new());
    for at in 0..calls {
        for fault in faults() {
            story(quiet_until("12:00"), None, vec![(at, fault)]);
        }
    }
}

/// The simulator's seed 178: the function that wrote the second deferral died before arming it, and
/// its wake, coming again, was taken for stale.
#[test]
fn one_fault_anywhere_when_it_is_put_off_twice() {
    let again = || Some(quiet_until("13:00"));
    let calls = story(quiet_until("12:00"), again(), Vec::new());
    for at in 0..calls {
        for fault in faults() {
            story(quiet_until("12:00"), again(), vec![(at, fault)]);
        }
    }
}

#[test]
fn two_faults_around_the_deferral() {
    for first in 0..12 {
        for fault in faults() {
            for second in first + 1..first + 6 {
                story(
                    quiet_until("12:00"),
                    None,
                    vec![(first, fault.clone()), (second, Fault::HaltAfter)],
                );
            }
        }
    }
}

#[test]
fn one_fault_anywhere_on_the_way_through_the_queue() {
    // Ten minutes off: the sender's own queue.
    let pacing = || quiet_until("11:20");
    let world = paced(pacing());
    let before = world.memory.calls().len();
    world.deliver_done(offers(1));
    let calls = world.memory.calls().split_off(before);
    assert!(calls.iter().any(|call| matches!(call, Operation::Enqueue(_))), "{calls:?}");
    for at in 0..30 {
        for fault in faults() {
            story(pacing(), None, vec![(at, fault)]);
        }
    }
}

#[test]
fn the_ledger_names_the_contact_it_claimed_and_no_other() {
    let world = paced(capped(1, Span::DAY, Instead::Skip));
    world.deliver_done(offers(1));
    let item = world.ledger(send_id()).unwrap();
    assert_eq!((item.contact, item.profile), (Some(contact_key()), Some(ann())));
    assert_eq!(item.topic, topic("offers"));
}

#[test]
fn a_mail_of_a_paused_journey_waits_until_it_runs_again() {
    let of = |state: JourneyState| {
        move |publication: &mut Publication| {
            with_journey(publication, journey(&json!({})), Vec::new());
            for entry in publication.catalog.journeys.values_mut() {
                entry.state = state;
            }
        }
    };
    let mut world = world(of(JourneyState::Paused));
    let request = enrolled(version_of(&journey(&json!({}))));
    world.deliver_done(delivery_of(request, 1));
    assert_eq!(codes(&world.ledger(send_id()).unwrap()), [ReasonCode::JourneyPaused]);
    assert_eq!(world.memory.mail_calls(), 0);
    let mut resumed = publication();
    of(JourneyState::Live)(&mut resumed);
    run(publish(&world.memory, &resumed)).unwrap();
    world.sending = Sending::new(crate::world::keys(), "https://o.example.com/");
    let due = until(&world);
    assert_eq!(world.deliver(vec![wake(1, due)], due), [Disposition::Done]);
    assert_eq!(world.memory.mails().len(), 1);
}
