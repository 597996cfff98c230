//! The step function, case by case.

use super::fixtures::{START, after, apply, delay, entered, occasion, plan, plan_with, send, view};
use super::{
    Ending, Enrollment, Entry, Input, JourneyEffect, PARKED_CHECK_MAX, PARKED_CHECK_MIN, Plan,
    Transition, erase, park, step,
};
use crate::profile::ProfileView;
use crate::time::{Span, Stamp};
use serde_json::{Value, json};

/// Effects in short: `send a#0`, `wake 1 at +1h`.
fn shorts(effects: &[JourneyEffect]) -> Vec<String> {
    effects
        .iter()
        .map(|effect| match effect {
            JourneyEffect::Send { step, iteration, .. } => format!("send {step}#{iteration}"),
            JourneyEffect::Wake { arm, due } => format!("wake {arm} at +{}", due.since(START)),
        })
        .collect()
}

fn wake(plan: &Plan, at: &Enrollment, view: &ProfileView, now: Stamp) -> Transition {
    step(plan, at, view, Input::Woken { arm: at.arm }, now)
}

fn two_mails() -> Value {
    json!({"a": delay("1h", "b"), "b": send("reminder", Some("c")),
           "c": delay("1d", "d"), "d": send("last-call", None)})
}

#[test]
fn a_journey_is_walked_from_wait_to_wait() {
    let plan = plan(&two_mails());
    let nobody = view(&[]);
    let first = entered(&plan, &nobody);
    assert_eq!(shorts(&first.effects), ["wake 1 at +1h"]);
    assert_eq!(first.enrollment.pending, first.effects);
    let second = wake(&plan, &first.enrollment, &nobody, after("1h"));
    assert_eq!(shorts(&second.effects), ["send b#0", "wake 2 at +25h"]);
    let third = wake(&plan, &second.enrollment, &nobody, after("25h"));
    assert_eq!(shorts(&third.effects), ["send d#0"]);
    assert_eq!(third.enrollment.ended, Some((Ending::Completed, after("25h"))));
    assert_eq!(third.enrollment.forget, Some(after("25h").plus(Span::DAY.times(60))));
    assert_eq!(third.enrollment.due, None);
}

#[test]
fn lateness_does_not_add_up_but_an_outage_does_not_bunch_mails() {
    let plan = plan(&two_mails());
    let nobody = view(&[]);
    let first = entered(&plan, &nobody);
    let late = wake(&plan, &first.enrollment, &nobody, after("64m"));
    assert_eq!(shorts(&late.effects), ["send b#0", "wake 2 at +25h"]);
    let outage = wake(&plan, &first.enrollment, &nobody, after("9h"));
    assert_eq!(shorts(&outage.effects), ["send b#0", "wake 2 at +33h"]);
    assert_eq!(outage.enrollment.reached, after("1h"), "facts count from when it was due");
}

#[test]
fn stale_and_repeated_inputs_change_nothing() {
    let plan = plan(&two_mails());
    let nobody = view(&[]);
    let first = entered(&plan, &nobody).enrollment;
    for (input, now) in [
        (Input::Hint, after("30m")),
        (Input::Entered, after("30m")),
        (Input::Woken { arm: 0 }, after("2h")),
        (Input::Woken { arm: 7 }, after("2h")),
    ] {
        let none = step(&plan, &first, &nobody, input, now);
        assert_eq!((none.enrollment, none.effects), (first.clone(), vec![]), "{input:?}");
    }
    let ended = wake(&plan, &first, &view(&[("Order Completed", after("5m"))]), after("1h"));
    for input in [Input::Hint, Input::Woken { arm: 1 }, Input::Woken { arm: 2 }] {
        let none = step(&plan, &ended.enrollment, &nobody, input, after("3d"));
        assert_eq!((none.enrollment, none.effects), (ended.enrollment.clone(), vec![]));
    }
}

#[test]
fn a_timer_that_rings_early_is_armed_again_as_it_was() {
    let plan = plan(&two_mails());
    let first = entered(&plan, &view(&[])).enrollment;
    let early = wake(&plan, &first, &view(&[]), after("59m"));
    assert_eq!(early.enrollment, first);
    assert_eq!(shorts(&early.effects), ["wake 1 at +1h"]);
}

#[test]
fn a_hint_after_the_due_time_is_as_good_as_the_wake() {
    let plan = plan(&two_mails());
    let first = entered(&plan, &view(&[])).enrollment;
    let hinted = step(&plan, &first, &view(&[]), Input::Hint, after("1h"));
    assert_eq!(hinted, wake(&plan, &first, &view(&[]), after("1h")));
    let stale = step(&plan, &hinted.enrollment, &view(&[]), Input::Woken { arm: 1 }, after("1h"));
    assert_eq!(stale.effects, []);
}

#[test]
fn facts_end_it_however_they_arrived() {
    let plan = plan(&two_mails());
    let first = entered(&plan, &view(&[])).enrollment;
    let cases = [
        ("at the very start", START, true),
        ("just before the start", START.minus(Span::from_ms(1)), false),
        ("after the start, before the entering was processed", after("500ms"), true),
        ("later", after("40m"), true),
    ];
    for (what, at, ends) in cases {
        let bought = view(&[("Order Completed", at)]);
        let woken = wake(&plan, &first, &bought, after("1h"));
        assert_eq!(woken.enrollment.ended.is_some(), ends, "{what}");
        if ends {
            assert_eq!(woken.effects, [], "{what}: nothing is sent");
            let (ending, when) = woken.enrollment.ended.unwrap();
            assert_eq!((ending, when), (Ending::Exited, at.max(first.entered)), "{what}");
            let hinted = step(&plan, &first, &bought, Input::Hint, after("41m"));
            assert_eq!(hinted.enrollment.ended, Some((ending, when)), "{what}");
        }
    }
}

#[test]
fn the_goal_counts_within_its_window_and_before_exit_rules() {
    let goal = json!({"goal": {"event": {"event": "Order Completed"}, "within": "2h"}});
    let with_goal = plan_with(&two_mails(), &goal);
    let first = entered(&with_goal, &view(&[])).enrollment;
    let bought = |at| view(&[("Order Completed", at)]);
    let ending = |at: Stamp| {
        let ended = step(&with_goal, &first, &bought(at), Input::Hint, at).enrollment.ended;
        ended.map(|(ending, _)| ending)
    };
    assert_eq!(ending(after("1h")), Some(Ending::GoalReached));
    assert_eq!(ending(first.entered.plus("2h".parse().unwrap())), Some(Ending::GoalReached));
    // Too late for the goal, but the exit rule has no window.
    assert_eq!(ending(after("3h")), Some(Ending::Exited));
}

fn waiting() -> Plan {
    plan(&json!({
        "a": {"kind": "wait_until", "event": {"event": "Checkout Started"}, "timeout": "2h",
              "on_event": "paid", "next": "nudge"},
        "paid": {"kind": "wait_until", "event": {"event": "Checkout Started"}, "timeout": "1h",
                 "on_event": "twice", "on_timeout": "once"},
        "nudge": send("nudge", None), "once": send("once", None), "twice": send("twice", None),
    }))
}

#[test]
fn a_wait_ends_by_its_event_or_by_its_time() {
    let plan = waiting();
    let first = entered(&plan, &view(&[]));
    assert_eq!(shorts(&first.effects), ["wake 1 at +2h"]);
    let timeout = wake(&plan, &first.enrollment, &view(&[]), after("2h"));
    assert_eq!(shorts(&timeout.effects), ["send nudge#0"]);
    // The event counts from when it happened, and is not the next wait's as well.
    let began = view(&[("Checkout Started", after("30m"))]);
    let event = step(&plan, &first.enrollment, &began, Input::Hint, after("31m"));
    assert_eq!(shorts(&event.effects), ["wake 2 at +5400001ms"]);
    let again = view(&[("Checkout Started", after("40m"))]);
    let twice = step(&plan, &event.enrollment, &again, Input::Hint, after("40m"));
    assert_eq!(shorts(&twice.effects), ["send twice#0"]);
    let once = wake(&plan, &event.enrollment, &began, after("91m"));
    assert_eq!(shorts(&once.effects), ["send once#0"]);
}

#[test]
fn an_event_before_the_entering_was_processed_counts_and_one_after_the_time_out_does_not() {
    let plan = waiting();
    let early = entered(&plan, &view(&[("Checkout Started", after("500ms"))]));
    assert_eq!(early.enrollment.step.as_str(), "paid");
    let first = entered(&plan, &view(&[])).enrollment;
    let late = view(&[("Checkout Started", after("121m"))]);
    let timeout = wake(&plan, &first, &late, after("122m"));
    assert_eq!(shorts(&timeout.effects), ["send nudge#0"]);
}

#[test]
fn branches_go_where_the_first_condition_holds_and_say_why() {
    let gold = json!({"trait": {"name": "plan", "is": {"equals": "gold"}}});
    let dear = json!({"trigger": {"property": "price", "is": {"at_least": 10}}});
    let plan = plan(&json!({
        "a": {"kind": "branch", "arms": [[gold, "vip"], [dear, "dear"]], "next": "plain"},
        "vip": send("vip", None), "dear": send("dear", None), "plain": {"kind": "exit"},
    }));
    let taken = entered(&plan, &view(&[]));
    assert_eq!(shorts(&taken.effects), ["send dear#0"]);
    let answers: Vec<(&str, &str, bool)> = taken
        .enrollment
        .why
        .conditions
        .iter()
        .map(|a| (a.asked.as_str(), a.found.as_str(), a.held))
        .collect();
    assert_eq!(
        answers,
        [("trait plan is gold", "nothing", false), ("trigger's price at least 10", "12.5", true)]
    );
    let mut golden = view(&[]);
    golden.traits.insert("plan".to_owned(), json!("gold"));
    assert_eq!(shorts(&entered(&plan, &golden).effects), ["send vip#0"]);
}

#[test]
fn each_round_of_a_loop_sends_under_its_own_iteration() {
    let plan = plan(&json!({"a": delay("1d", "b"), "b": send("weekly", Some("a"))}));
    let mut at = entered(&plan, &view(&[])).enrollment;
    let mut sent = Vec::new();
    for day in 1..=3 {
        let woken = wake(&plan, &at, &view(&[]), START.plus(Span::DAY.times(day)));
        sent.extend(shorts(&woken.effects).into_iter().filter(|e| e.starts_with("send")));
        at = woken.enrollment;
    }
    assert_eq!(sent, ["send b#0", "send b#1", "send b#2"]);
    assert_eq!(at.arm, 4);
}

#[test]
fn a_loop_without_a_wait_ends_without_a_mail() {
    let plan = plan(
        &json!({"a": send("spam", Some("b")), "b": {"kind": "branch", "arms": [], "next": "a"}}),
    );
    let spam = entered(&plan, &view(&[]));
    assert_eq!(spam.enrollment.ended.map(|(ending, _)| ending), Some(Ending::Exited));
    assert_eq!(spam.effects, []);
    let branches = json!({"a": {"kind": "branch", "arms": [], "next": "b"},
                          "b": {"kind": "branch", "arms": [], "next": "a"}});
    let round = entered(&self::plan(&branches), &view(&[]));
    assert_eq!(round.enrollment.ended.map(|(ending, _)| ending), Some(Ending::Exited));
    assert_eq!(round.effects, []);
}

#[test]
fn many_mails_in_a_row_leave_two_by_two() {
    let plan = plan(&json!({"a": send("one", Some("b")), "b": send("two", Some("c")),
                            "c": send("three", Some("d")), "d": send("four", None)}));
    let first = entered(&plan, &view(&[]));
    assert_eq!(shorts(&first.effects), ["send a#0", "send b#0", "wake 1 at +1s"]);
    let second = wake(&plan, &first.enrollment, &view(&[]), after("2s"));
    assert_eq!(shorts(&second.effects), ["send c#0", "send d#0"]);
    assert!(second.enrollment.ended.is_some());
}

#[test]
fn a_step_that_is_not_there_ends_it() {
    let plan = plan(&json!({"a": delay("1h", "nowhere")}));
    let first = entered(&plan, &view(&[])).enrollment;
    let ended = wake(&plan, &first, &view(&[]), after("1h"));
    assert_eq!(ended.enrollment.ended, Some((Ending::Completed, after("1h"))));
}

#[test]
fn a_paused_journey_parks_and_resumes() {
    let plan = plan(&two_mails());
    let first = entered(&plan, &view(&[])).enrollment;
    assert_eq!(park(&first, Input::Hint, after("1h")).enrollment, first);
    assert_eq!(park(&first, Input::Woken { arm: 0 }, after("1h")).effects, []);
    let parked = park(&first, Input::Woken { arm: 1 }, after("1h"));
    assert_eq!(shorts(&parked.effects), ["wake 2 at +75m"]);
    assert_eq!(parked.enrollment.parked, Some(after("1h")));
    // The longer the pause the rarer the look, within bounds.
    let at = after("9h");
    let longer = park(&parked.enrollment, Input::Woken { arm: 2 }, at);
    assert_eq!(longer.enrollment.due, Some(at.plus(Span::HOUR.times(2))));
    let day_ten = park(&longer.enrollment, Input::Woken { arm: 3 }, after("10d"));
    assert_eq!(day_ten.enrollment.due, Some(after("10d").plus(PARKED_CHECK_MAX)));
    // A lost timer is found by the next thing that happens.
    let lost = park(&first, Input::Hint, after("66m"));
    assert_eq!(lost.enrollment.due, Some(after("66m").plus(PARKED_CHECK_MIN)));
    // It resumes by whatever comes first; the next wait counts from then.
    let resumed = step(&plan, &parked.enrollment, &view(&[]), Input::Hint, after("10h"));
    assert_eq!(shorts(&resumed.effects), ["send b#0", "wake 3 at +34h"]);
    assert_eq!(resumed.enrollment.parked, None);
    // What happened during the pause still ends it.
    let bought = view(&[("Order Completed", after("5h"))]);
    let ended = wake(&plan, &parked.enrollment, &bought, after("10h"));
    assert_eq!((ended.enrollment.ended.unwrap().0, ended.effects), (Ending::Exited, vec![]));
}

#[test]
fn an_erased_profile_ends_it_and_takes_what_it_carried() {
    let plan = plan(&two_mails());
    let first = entered(&plan, &view(&[])).enrollment;
    let erased = erase(&first, after("2h"));
    assert_eq!(erased.enrollment.ended, Some((Ending::Erased, after("2h"))));
    assert!(erased.enrollment.why.evidence.is_empty());
    assert_eq!((erased.effects, erased.enrollment.pending.clone()), (vec![], vec![]));
    assert_eq!(erase(&erased.enrollment, after("3h")).enrollment, erased.enrollment);
}

#[test]
fn a_slot_where_one_may_enter_only_once_is_never_forgotten() {
    for (re_entry, forget) in [
        (json!("never"), None),
        (json!("after_exit"), Some(after("1h").plus(Span::DAY.times(60)))),
        (json!({"after": "90d"}), Some(after("1s").plus(Span::DAY.times(90)))),
    ] {
        let plan = plan_with(
            &json!({"a": delay("1h", "b"), "b": {"kind": "exit"}}),
            &json!({"re_entry": re_entry}),
        );
        let first = entered(&plan, &view(&[])).enrollment;
        assert_eq!(first.forget, None);
        assert_eq!(wake(&plan, &first, &view(&[]), after("1h")).enrollment.forget, forget);
    }
}

#[test]
fn an_old_trigger_waits_from_now() {
    let plan = plan(&two_mails());
    let now = after("5h");
    let Entry::Enrolled(late) = apply(&plan, &occasion(), &view(&[]), &[], now) else {
        panic!("expected to be let in");
    };
    assert_eq!(shorts(&late.effects), ["wake 1 at +6h"]);
    assert_eq!(late.enrollment.started, START);
}

#[test]
fn a_long_way_is_taken_in_several_writes() {
    let mut steps = serde_json::Map::new();
    let name = |i: usize| if i == 0 { "a".to_owned() } else { format!("s{i}") };
    for i in 0..100 {
        steps.insert(name(i), json!({"kind": "branch", "arms": [], "next": name(i + 1)}));
    }
    steps.insert(name(100), delay("1h", "end"));
    steps.insert("end".to_owned(), json!({"kind": "exit"}));
    let plan = plan(&Value::Object(steps));
    let first = entered(&plan, &view(&[]));
    assert_eq!(first.enrollment.step.as_str(), "s64");
    assert_eq!(shorts(&first.effects), ["wake 1 at +1s"]);
    let second = wake(&plan, &first.enrollment, &view(&[]), after("2s"));
    assert_eq!(shorts(&second.effects), ["wake 2 at +1h"]);
    // A loop of waits that an outage left behind catches up without running away.
    let ticking = self::plan(&json!({"a": delay("1s", "a")}));
    let start = entered(&ticking, &view(&[])).enrollment;
    let behind = wake(&ticking, &start, &view(&[]), after("200s"));
    assert_eq!(behind.enrollment.due, Some(after("66s")));
    assert_eq!(behind.enrollment.step.as_str(), "a");
}
