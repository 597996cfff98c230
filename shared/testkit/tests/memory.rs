//! The ports in memory keep the laws of the ports, and fail as they are told to.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use odyssey_domain::ids::SendId;
use odyssey_domain::personal::EmailAddress;
use odyssey_domain::time::{Span, Stamp};
use odyssey_flows::ports::{
    Bus, BusEntry, Consistency, Expect, Key, Mailer, OutgoingMail, Queue, QueueMessage, Queues,
    Row, SendAnswer, Table, Tables, Write, Written,
};
use odyssey_testkit::{Fault, Memory, Operation, ScriptedAnswer, port_suite, run, run_or_halt};

fn put(version: u64, expect: Expect) -> Write {
    let key = Key { table: Table::Ledger, pk: "p".to_owned(), sk: "s".to_owned() };
    let row = Row { key, version, schema: 1, body: vec![1], expires: None, index: None };
    Write::Put { row, expect }
}

fn mail() -> OutgoingMail {
    OutgoingMail {
        send: SendId::from_bytes([1; 16]),
        from: "Shop <shop@example.com>".to_owned(),
        to: EmailAddress::parse("ann@example.com").unwrap(),
        reply_to: None,
        subject: "Hello".to_owned(),
        html: "<p>Hello</p>".to_owned(),
        text: "Hello".to_owned(),
        headers: Vec::new(),
        tags: Vec::new(),
    }
}

#[test]
fn memory_keeps_the_laws_of_tables() {
    run(port_suite::tables(&Memory::new()));
}

#[test]
fn a_fault_before_leaves_nothing_a_fault_after_leaves_all() {
    for (fault, rows) in [(Fault::FailBefore, 0), (Fault::Refuse, 0), (Fault::FailAfter, 1)] {
        let memory = Memory::new();
        let injected = fault.clone();
        memory.on_call(move |_| injected.clone());
        let error = run(memory.write(put(1, Expect::Absent))).unwrap_err();
        assert_eq!(error.is_transient(), fault != Fault::Refuse);
        assert_eq!(memory.rows().len(), rows, "{fault:?}");
    }
}

#[test]
fn a_killed_call_never_answers() {
    for (fault, rows) in [(Fault::HaltBefore, 0), (Fault::HaltAfter, 1)] {
        let memory = Memory::new();
        let injected = fault.clone();
        memory.on_call(move |_| injected.clone());
        assert!(run_or_halt(memory.write(put(1, Expect::Absent))).is_none());
        assert_eq!(memory.rows().len(), rows, "{fault:?}");
    }
}

#[test]
fn a_hook_sees_every_call_in_order() {
    let memory = Memory::new();
    memory.on_call(|call| if call.ordinal == 1 { Fault::FailBefore } else { Fault::None });
    assert_eq!(run(memory.write(put(1, Expect::Absent))).unwrap(), Written::Done);
    assert!(run(memory.write(put(2, Expect::Version(1)))).is_err());
    assert_eq!(run(memory.write(put(2, Expect::Version(1)))).unwrap(), Written::Done);
    assert_eq!(memory.calls(), [Operation::Write(Table::Ledger); 3]);
    memory.calm();
    let key = &memory.rows()[0].key;
    assert_eq!(run(memory.get(key, Consistency::Strong)).unwrap().unwrap().version, 2);
}

#[test]
fn delays_are_kept() {
    let memory = Memory::new();
    memory.set_now(Stamp::from_ms(1_000_000));
    let message = |body: &str, ms| QueueMessage { body: body.to_owned(), delay: Span::from_ms(ms) };
    let sent = [message("now", 0), message("soon", 1), message("late", 900_000)];
    assert_eq!(run(Queues::send(&memory, Queue::Journey, &sent)).unwrap(), [0_usize; 0]);
    let take = |ms| {
        let taken = memory.take(Queue::Journey, Stamp::from_ms(ms));
        taken.into_iter().map(|record| record.body).collect::<Vec<_>>()
    };
    assert_eq!(take(1_000_000), ["now"]);
    assert_eq!(take(1_000_999), [""; 0]);
    // Delays are whole seconds.
    assert_eq!(take(1_001_000), ["soon"]);
    assert_eq!(memory.queue(Queue::Journey).len(), 1);
    assert_eq!(take(1_900_000), ["late"]);
    let refused = run(Queues::send(&memory, Queue::Journey, &[message("never", 900_001)]));
    assert!(!refused.unwrap_err().is_transient());
}

#[test]
fn part_of_what_is_published_may_fail() {
    let memory = Memory::new();
    memory.on_call(|_| Fault::Partial(vec![1]));
    let entry = |detail: &str| BusEntry {
        source: "odyssey.ingest",
        detail_type: "Events Accepted",
        detail: detail.to_owned(),
    };
    let failed = run(memory.publish(&[entry("0"), entry("1"), entry("2")])).unwrap();
    assert_eq!(failed, [1]);
    let stored: Vec<String> = memory.bus_entries().into_iter().map(|e| e.detail).collect();
    assert_eq!(stored, ["0", "2"]);
}

#[test]
fn the_mailer_answers_by_its_script() {
    let memory = Memory::new();
    let lost = SendAnswer::Ambiguous("lost".to_owned());
    memory.script([
        ScriptedAnswer::Answer(SendAnswer::Released("429".to_owned())),
        ScriptedAnswer::AcceptedBut(lost.clone()),
        ScriptedAnswer::Answer(lost.clone()),
    ]);
    let send = || run(Mailer::send(&memory, &mail()));
    assert_eq!(send(), SendAnswer::Released("429".to_owned()));
    assert_eq!(send(), lost);
    assert_eq!(memory.mails().len(), 1);
    assert_eq!(send(), lost);
    assert_eq!(memory.mails().len(), 1);
    assert!(matches!(send(), SendAnswer::Accepted(_)));
    assert_eq!((memory.mails().len(), memory.mail_calls()), (2, 4));
}
