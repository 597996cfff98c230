//! The inferred tracking plan: written when it says something new, kept by crashes, shared by
//! processes.
#![expect(clippy::unwrap_used, reason = "what goes wrong in a test has failed it")]

use odyssey_domain::event::Event;
use odyssey_domain::plan::{Declared, Inferred, VIOLATIONS_MAX, ViolationKind};
use odyssey_domain::time::{Span, Stamp};
use odyssey_flows::observe_plan::{
    FLUSH_AFTER, NEWS_MAX, Noted, PlanWatch, inferred, inferred_key,
};
use odyssey_flows::ports::{Consistency, Row, Table};
use odyssey_flows::stored::{self, Stored as _};
use odyssey_testkit::{Fault, Memory, Operation, run};
use serde_json::{Value, json};

fn at(seconds: u64) -> Stamp {
    Stamp::from_ms(1_795_000_000_000).plus(Span::SECOND.times(seconds))
}

fn event(name: &str, properties: &Value) -> Event {
    serde_json::from_value(json!({"id": name, "at": at(0), "type": "track", "name": name,
        "userId": "u", "properties": properties}))
    .unwrap()
}

fn seen(names: &[&str]) -> Inferred {
    let mut seen = Inferred::default();
    for name in names {
        seen.see(&event(name, &json!({"price": 1})), "web", at(0), &Declared::default());
    }
    seen
}

fn note(watch: &PlanWatch, memory: &Memory, seen: &Inferred, now: Stamp) -> bool {
    matches!(run(watch.note(memory, seen, now)), Noted::Written)
}

fn count(memory: &Memory, name: &str) -> u64 {
    run(inferred(memory)).unwrap().events.get(name).map_or(0, |seen| seen.count)
}

fn writes(memory: &Memory) -> usize {
    memory.calls().iter().filter(|call| matches!(call, Operation::Write(_))).count()
}

#[test]
fn news_is_written_at_once_and_counts_once_a_minute() {
    let (memory, watch) = (Memory::new(), PlanWatch::default());
    assert!(note(&watch, &memory, &seen(&["a"]), at(0)), "the first of a process");
    assert!(!note(&watch, &memory, &seen(&["a"]), at(1)));
    assert!(note(&watch, &memory, &seen(&["a", "b"]), at(2)), "b is new");
    for second in 3..62 {
        assert!(!note(&watch, &memory, &seen(&["a"]), at(second)), "{second}");
    }
    assert!(!note(&watch, &memory, &Inferred::default(), at(61)));
    assert!(note(&watch, &memory, &seen(&["b"]), at(62)));
    assert_eq!((count(&memory, "a"), count(&memory, "b")), (62, 2));
    assert_eq!(writes(&memory), 3);
    // A batch without events (wakes alone) writes nothing, however long it was.
    assert!(!note(&watch, &memory, &Inferred::default(), at(600)));
}

#[test]
fn a_violation_is_news() {
    let (memory, watch) = (Memory::new(), PlanWatch::default());
    let plan: Declared = serde_json::from_value(
        json!({"events": {"a": {"properties": {"price": {"type": "number"}}}}}),
    )
    .unwrap();
    let batch = |price: Value| {
        let mut seen = Inferred::default();
        seen.see(&event("a", &json!({"price": price})), "web", at(0), &plan);
        seen
    };
    assert!(note(&watch, &memory, &batch(json!(1)), at(0)));
    assert!(!note(&watch, &memory, &batch(json!(2)), at(1)));
    assert!(note(&watch, &memory, &batch(json!("2 EUR")), at(2)));
    let stored = run(inferred(&memory)).unwrap();
    let violation = &stored.events["a"].violations[&ViolationKind::WrongType]["price"];
    assert_eq!((violation.count, violation.example.source.as_str()), (1, "web"));
}

#[test]
fn made_up_names_do_not_make_a_write_each() {
    let (memory, watch) = (Memory::new(), PlanWatch::default());
    let letter = |n: u8| format!("{}{}", char::from(b'a' + n / 26), char::from(b'a' + n % 26));
    for n in 0..50 {
        note(&watch, &memory, &seen(&[&letter(n)]), at(u64::from(n)));
    }
    assert_eq!(writes(&memory), 1 + usize::try_from(NEWS_MAX).unwrap());
    // The minute brings the rest.
    assert!(note(&watch, &memory, &seen(&["x"]), at(50).plus(FLUSH_AFTER)));
    assert_eq!(run(inferred(&memory)).unwrap().events.len(), 51);
}

#[test]
fn a_lost_process_takes_only_its_last_counts_with_it() {
    let memory = Memory::new();
    let lost = PlanWatch::default();
    assert!(note(&lost, &memory, &seen(&["a"]), at(0)));
    assert!(!note(&lost, &memory, &seen(&["a", "a"]), at(30)));
    drop(lost);
    let next = PlanWatch::default();
    assert!(note(&next, &memory, &seen(&["a"]), at(31)));
    assert_eq!(count(&memory, "a"), 2);
}

#[test]
fn processes_add_up() {
    let memory = Memory::new();
    let (one, other) = (PlanWatch::default(), PlanWatch::default());
    assert!(note(&one, &memory, &seen(&["a"]), at(0)));
    assert!(note(&other, &memory, &seen(&["a", "b"]), at(1)));
    // One knows nothing of b, and finds it there.
    assert!(note(&one, &memory, &seen(&["b"]), at(2)));
    assert_eq!((count(&memory, "a"), count(&memory, "b")), (2, 2));
}

#[test]
fn what_could_not_be_written_waits() {
    let (memory, watch) = (Memory::new(), PlanWatch::default());
    memory.on_call(|call| match call.operation {
        Operation::Write(_) => Fault::Refuse,
        _ => Fault::None,
    });
    let refused = run(watch.note(&memory, &seen(&["a"]), at(0)));
    assert!(matches!(refused, Noted::Failed(_)), "{refused:?}");
    memory.calm();
    assert!(note(&watch, &memory, &seen(&["a"]), at(1)));
    assert_eq!(count(&memory, "a"), 2);
}

#[test]
fn a_lost_answer_counts_once() {
    let (memory, watch) = (Memory::new(), PlanWatch::default());
    let mut first = true;
    memory.on_call(move |call| match call.operation {
        Operation::Write(_) if std::mem::take(&mut first) => Fault::FailAfter,
        _ => Fault::None,
    });
    assert!(note(&watch, &memory, &seen(&["a"]), at(0)));
    assert_eq!(count(&memory, "a"), 1);
}

#[test]
fn two_processes_at_once_lose_nothing() {
    let (memory, elsewhere) = (Memory::new(), Memory::new());
    let one = PlanWatch::default();
    assert!(note(&one, &memory, &seen(&["a"]), at(0)));
    // What another process makes of the same row …
    elsewhere.seed(memory.rows_of(Table::Workspace).remove(0));
    assert!(note(&PlanWatch::default(), &elsewhere, &seen(&["b"]), at(1)));
    let theirs = elsewhere.rows_of(Table::Workspace).remove(0);
    // … stands there when this one has read and is about to write: the first answer it hears is
    // that it must look again.
    let here = memory.clone();
    memory.meanwhile(|call| matches!(call, Operation::Write(_)), 0, move || here.seed(theirs));
    assert!(matches!(run(one.note(&memory, &seen(&["c"]), at(1))), Noted::Written));
    let stored = run(inferred(&memory)).unwrap();
    assert_eq!(stored.events.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
}

#[test]
fn the_row_keeps_to_its_limit() {
    let (memory, watch) = (Memory::new(), PlanWatch::default());
    let name = |seed: usize| -> String {
        let letters = (0..90).map(|at| (seed * 7_919 + at * at * 104_729 + seed * at) / 7 % 26);
        letters
            .enumerate()
            .map(
                |(at, n)| {
                    if at % 9 == 8 { ' ' } else { char::from(b'a' + u8::try_from(n).unwrap()) }
                },
            )
            .collect()
    };
    let plan: Declared =
        serde_json::from_value(json!({"events": {"x": {"properties": {}}}})).unwrap();
    let mut hostile = Inferred::default();
    for n in 0..200 {
        let properties: Value = (0..50).map(|p| (name(n * 50 + p), json!(p))).collect();
        hostile.see(&event(&name(n), &properties), "web", at(0), &plan);
    }
    let unknown: Value = (0..2 * VIOLATIONS_MAX).map(|n| (name(90_000 + n), json!(n))).collect();
    hostile.see(&event("x", &unknown), "web", at(0), &plan);
    assert!(note(&watch, &memory, &hostile, at(0)));
    let row: Vec<Row> = memory.rows_of(Table::Workspace);
    assert!(row[0].body.len() <= Inferred::BYTES_MAX, "{}", row[0].body.len());
    let kept = run(inferred(&memory)).unwrap();
    assert!(kept.events.contains_key("x") && kept.events["x"].trimmed > 0);
}

#[test]
fn a_newer_release_is_not_written_over() {
    let (memory, watch) = (Memory::new(), PlanWatch::default());
    assert!(note(&watch, &memory, &seen(&["a"]), at(0)));
    let stored = run(stored::load::<Inferred>(&memory, inferred_key(), Consistency::Strong));
    let version = stored.unwrap().unwrap().version;
    let mut row = memory.rows_of(Table::Workspace).remove(0);
    row.schema = Inferred::SCHEMA + 1;
    memory.seed(row);
    let refused = run(watch.note(&memory, &seen(&["b"]), at(1)));
    assert!(matches!(refused, Noted::Failed(_)), "{refused:?}");
    assert_eq!(memory.rows_of(Table::Workspace)[0].version, version);
}
