//! Entering, case by case.

use super::fixtures::{
    START, after, apply, delay, entered, occasion, occasion_at, plan, plan_with, view,
};
use super::{Ending, Enrollment, Entry, Input, Occasion, Plan, ReEntry, Refusal, Trigger, step};
use crate::ids::{EnrollmentId, EnrollmentKeyHash, EventHash, ProfileId, SignalId};
use crate::signal::Threshold;
use crate::time::Span;
use crate::wire::SignalRaised;
use serde_json::json;

fn one_wait() -> Plan {
    plan(&json!({"a": delay("1h", "b"), "b": {"kind": "exit"}}))
}

fn refused(entry: Entry) -> Refusal {
    match entry {
        Entry::Refused(refusal) => refusal,
        other => panic!("expected a refusal, found {other:?}"),
    }
}

fn ended(plan: &Plan) -> Enrollment {
    let first = entered(plan, &view(&[])).enrollment;
    step(plan, &first, &view(&[]), Input::Woken { arm: 1 }, after("1h")).enrollment
}

#[test]
fn the_first_trigger_lets_in() {
    let first = entered(&one_wait(), &view(&[])).enrollment;
    assert_eq!(first.id, EnrollmentId::derive("cart-recovery", "c-1", "m-1"));
    assert_eq!(first.slot.key, EnrollmentKeyHash::of("c-1"));
    assert_eq!((first.started, first.entered), (START, after("1s")));
    assert_eq!(first.why.evidence["cart_id"], "c-1");
}

#[test]
fn the_same_trigger_again_is_a_repetition_even_after_the_end() {
    let plan = one_wait();
    let running = entered(&plan, &view(&[])).enrollment;
    for stood in [running, ended(&plan)] {
        let again =
            apply(&plan, &occasion(), &view(&[]), std::slice::from_ref(&stood), after("2d"));
        assert_eq!(again, Entry::Repeated(Box::new(stood)));
    }
}

/// The simulator's seed 12755: the retry of a post carries another stamp, and so may come after
/// somebody else's trigger that its first copy came before.
#[test]
fn a_trigger_of_before_lets_nobody_in_again_whatever_its_stamp() {
    let steps = json!({"a": delay("1h", "b"), "b": {"kind": "exit"}});
    let plan = plan_with(&steps, &json!({"re_entry": "after_exit"}));
    let over = |enrollment: &Enrollment| {
        let input = Input::Woken { arm: enrollment.arm };
        step(&plan, enrollment, &view(&[]), input, enrollment.due.unwrap()).enrollment
    };
    let mut slot = ended(&plan);
    for n in 0..20 {
        let when = after(&format!("{}h", 2 * n + 2));
        let next = occasion_at(&format!("next-{n}"), when);
        let slots = std::slice::from_ref(&slot);
        let Entry::Enrolled(let_in) = apply(&plan, &next, &view(&[]), slots, when) else {
            panic!("the {n}th was not let in");
        };
        slot = over(&let_in.enrollment);
        let known = n.min(super::EARLIER_MAX - 1);
        for back in 0..known {
            let copy = occasion_at(&format!("next-{}", n - back - 1), when.plus(Span::MINUTE));
            let again = apply(&plan, &copy, &view(&[]), std::slice::from_ref(&slot), after("70h"));
            assert_eq!(refused(again), Refusal::Older);
        }
        assert!(slot.earlier.len() <= super::EARLIER_MAX);
    }
}

#[test]
fn re_entry_rules_hold() {
    let steps = json!({"a": delay("1h", "b"), "b": {"kind": "exit"}});
    let second = |at| occasion_at("m-2", at);
    let cases = [
        (json!("never"), "2d", Some(Refusal::ReEntry)),
        (json!("after_exit"), "2h", None),
        (json!({"after": "2d"}), "47h", Some(Refusal::ReEntry)),
        (json!({"after": "2d"}), "49h", None),
    ];
    for (re_entry, when, expected) in cases {
        let plan = plan_with(&steps, &json!({"re_entry": re_entry}));
        let at = after(when);
        let entry = apply(&plan, &second(at), &view(&[]), &[ended(&plan)], at);
        match (entry, expected) {
            (Entry::Enrolled(let_in), None) => {
                assert_eq!(let_in.enrollment.arm, 2, "arm numbers go on from the slot's last");
            }
            (entry, expected) => assert_eq!(refused(entry), expected.unwrap(), "{re_entry}"),
        }
    }
}

#[test]
fn nobody_is_inside_twice_under_one_key() {
    let plan = one_wait();
    let running = entered(&plan, &view(&[])).enrollment;
    // Also where the profile has entered under another of its identities.
    let mut elsewhere = running.clone();
    elsewhere.slot.profile = ProfileId::from_bytes([9; 16]);
    for stood in [running, elsewhere] {
        let entry =
            apply(&plan, &occasion_at("m-2", after("5m")), &view(&[]), &[stood], after("5m"));
        assert_eq!(refused(entry), Refusal::Inside);
    }
}

#[test]
fn an_older_trigger_does_not_come_back() {
    let plan = one_wait();
    let at = START.minus(Span::MINUTE);
    let entry = apply(&plan, &occasion_at("m-0", at), &view(&[]), &[ended(&plan)], after("2h"));
    assert_eq!(refused(entry), Refusal::Older);
    let entry = apply(&plan, &occasion(), &view(&[]), &[], after("73h"));
    assert_eq!(refused(entry), Refusal::TooOld);
}

#[test]
fn who_already_did_it_does_not_enter() {
    let plan = one_wait();
    let bought = view(&[("Order Completed", after("500ms"))]);
    let entry = apply(&plan, &occasion(), &bought, &[], after("1s"));
    assert_eq!(refused(entry), Refusal::AlreadyOver(Ending::Exited));
    let before = view(&[("Order Completed", START.minus(Span::MINUTE))]);
    assert!(matches!(apply(&plan, &occasion(), &before, &[], after("1s")), Entry::Enrolled(_)));
}

#[test]
fn the_triggering_event_itself_does_not_end_it() {
    let again = json!({"exit_when": [{"event": "Product Added"}]});
    let plan = plan_with(&json!({"a": delay("1h", "b"), "b": {"kind": "exit"}}), &again);
    let mut added = view(&[("Product Added", START)]);
    for position in added.matches.values_mut() {
        position.id = EventHash::of("m-1");
    }
    assert!(matches!(apply(&plan, &occasion(), &added, &[], after("1s")), Entry::Enrolled(_)));
    let twice = view(&[("Product Added", START)]);
    let entry = apply(&plan, &occasion(), &twice, &[], after("1s"));
    assert_eq!(refused(entry), Refusal::AlreadyOver(Ending::Exited));
}

#[test]
fn the_entry_filter_keeps_its_answers() {
    let filter = json!({"entry_filter": {"all": [
        {"fact": {"name": "orders.count", "is": {"below": 1}}},
        {"trigger": {"property": "price", "is": {"above": 10}}},
    ]}});
    let plan = plan_with(&json!({"a": delay("1h", "b"), "b": {"kind": "exit"}}), &filter);
    let let_in = entered(&plan, &view(&[])).enrollment;
    assert_eq!(let_in.why.conditions.len(), 2);
    let mut regular = view(&[]);
    regular.facts.insert("orders.count".to_owned(), json!(3));
    let Refusal::Filtered(answers) = refused(apply(&plan, &occasion(), &regular, &[], after("1s")))
    else {
        panic!("expected the filter to refuse");
    };
    assert_eq!((answers[0].found.as_str(), answers[0].held), ("3", false));
    assert!(answers[1].held, "every leaf is asked");
}

#[test]
fn a_trigger_without_the_key_shares_one_slot() {
    let plan = one_wait();
    let mut keyless = occasion();
    keyless.carried.clear();
    assert_eq!(keyless.enrollment_key(plan.journey()), "");
    let mut numbered = occasion();
    numbered.carried.insert("cart_id".to_owned(), json!(7));
    assert_eq!(numbered.enrollment_key(plan.journey()), "7");
}

#[test]
fn signals_let_in_at_their_own_threshold() {
    let signal = SignalRaised {
        v: 1,
        id: SignalId::from_bytes([3; 16]),
        profile: ProfileId::from_bytes([1; 16]),
        owners: vec![],
        signal: "Cart Abandoned".to_owned(),
        threshold: Threshold::After("4h".parse().unwrap()),
        since: START,
        at: after("4h"),
        evidence: json!({"cart_id": "c-1"}).as_object().cloned().unwrap(),
    };
    let trigger = |after: &str| Trigger::Signal {
        name: "Cart Abandoned".to_owned(),
        threshold: Threshold::After(after.parse().unwrap()),
    };
    assert!(trigger("4h").is_signal(&signal));
    assert!(!trigger("1h").is_signal(&signal));
    let occasion = Occasion::of_signal(&signal);
    assert_eq!(occasion.what, "signal Cart Abandoned after 4h");
    // The order may come late: it counts from when the silence began.
    let plan = one_wait();
    let bought = view(&[("Order Completed", after("2h"))]);
    let entry = apply(&plan, &occasion, &bought, &[], after("4h"));
    assert_eq!(refused(entry), Refusal::AlreadyOver(Ending::Exited));
    let Entry::Enrolled(let_in) = apply(&plan, &occasion, &view(&[]), &[], after("4h")) else {
        panic!("expected to be let in");
    };
    assert_eq!(let_in.enrollment.due, Some(after("5h")), "the first wait counts from the signal");
    assert_eq!(plan.journey().re_entry, ReEntry::AfterExit);
}

/// Of somebody who last came to watch, the last evening is what the silence began with, and not the
/// return that the journey is for.
#[test]
fn what_a_silence_began_with_does_not_end_what_it_led_to() {
    let goal = json!({"goal": {"event": {"event": "Video Content Started"}, "within": "7d"},
        "exit_when": []});
    let steps = json!({"a": delay("1h", "b"), "b": {"kind": "exit"}});
    let plan = plan_with(&steps, &goal);
    let signal = SignalRaised {
        v: 1,
        id: SignalId::from_bytes([4; 16]),
        profile: ProfileId::from_bytes([1; 16]),
        owners: vec![],
        signal: "Became Dormant".to_owned(),
        threshold: Threshold::After("21d".parse().unwrap()),
        since: START,
        at: after("21d"),
        evidence: serde_json::Map::new(),
    };
    let occasion = Occasion::of_signal(&signal);
    let watched = |at| view(&[("Video Content Started", at)]);
    let entry = apply(&plan, &occasion, &watched(START), &[], after("21d"));
    assert!(matches!(entry, Entry::Enrolled(_)), "{entry:?}");
    let back = apply(&plan, &occasion, &watched(after("1s")), &[], after("21d"));
    assert_eq!(refused(back), Refusal::AlreadyOver(Ending::GoalReached));
}
