//! Laws of the step function, over random journeys and histories.

use super::fixtures::{START, delay, occasion, plan_with, send, view};
use super::{Application, Enrollment, Entry, Input, JourneyEffect, OVERDUE, Plan, enter, step};
use crate::ids::{ContentHash, SendId};
use crate::profile::ProfileView;
use crate::time::{Span, Stamp};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Names of the events that journeys here wait for, end at or aim at.
const EVENTS: [&str; 4] = ["Order Completed", "Checkout Started", "Product Viewed", "Cart Viewed"];

/// A step that leads to the next or, where it has two ways, to a later one.
fn any_step(at: usize, count: usize) -> impl Strategy<Value = Value> {
    let name = |i: usize| if i == 0 { "a".to_owned() } else { format!("s{i}") };
    let next = name(at + 1);
    let length = prop_oneof![Just("10m"), Just("1h"), Just("7h"), Just("2d")];
    let (to_delay, to_wait, to_send, to_branch) = (next.clone(), next.clone(), next.clone(), next);
    prop_oneof![
        length.clone().prop_map(move |length| delay(length, &to_delay)),
        (length, 1..EVENTS.len(), any::<Index>()).prop_map(move |(length, event, later)| {
            let later = name(at + 1 + later.index(count - at));
            json!({"kind": "wait_until", "event": {"event": EVENTS[event]}, "timeout": length,
                   "on_event": later, "next": to_wait})
        }),
        Just(send(&format!("mail-{at}"), Some(&to_send))),
        (any::<bool>(), any::<Index>()).prop_map(move |(held, later)| {
            let condition = if held { json!({"all": []}) } else { json!({"any": []}) };
            let later = name(at + 1 + later.index(count - at));
            json!({"kind": "branch", "arms": [[condition, later]], "next": to_branch})
        }),
    ]
}

prop_compose! {
    fn any_plan()(count in 1_usize..7)(
        steps in (0..count).map(|at| any_step(at, count)).collect::<Vec<_>>(),
        goal in any::<bool>(),
        looped in any::<bool>(),
    ) -> Plan {
        let name = |i: usize| if i == 0 { "a".to_owned() } else { format!("s{i}") };
        let count = steps.len();
        let mut all: serde_json::Map<String, Value> =
            steps.into_iter().enumerate().map(|(i, step)| (name(i), step)).collect();
        // The last step ends it, or after a long wait begins again.
        let last = if looped { delay("3d", "a") } else { json!({"kind": "exit"}) };
        all.insert(name(count), last);
        let more = if goal {
            json!({"goal": {"event": {"event": "Cart Viewed"}, "within": "1d"}})
        } else {
            json!({})
        };
        plan_with(&Value::Object(all), &more)
    }
}

/// What the profile did: at most one event of each kind, some minutes after the start.
fn any_history() -> impl Strategy<Value = Vec<(&'static str, Stamp)>> {
    let times = prop::collection::vec(prop::option::weighted(0.35, 0_u64..6_000), EVENTS.len());
    times.prop_map(|times| {
        let events = EVENTS.iter().zip(times);
        events
            .filter_map(|(name, minutes)| Some((*name, START.plus(Span::MINUTE.times(minutes?)))))
            .collect()
    })
}

/// What is known at a time.
fn known(history: &[(&'static str, Stamp)], now: Stamp) -> ProfileView {
    let until_now: Vec<_> = history.iter().filter(|(_, at)| *at <= now).copied().collect();
    view(&until_now)
}

/// One enrollment driven through its inputs, with everything it asked for.
struct Drive<'p> {
    plan: &'p Plan,
    at: Enrollment,
    sends: BTreeSet<SendId>,
    wakes: Vec<(u64, Stamp)>,
}

impl<'p> Drive<'p> {
    fn begin(plan: &'p Plan, view: &ProfileView) -> Option<Drive<'p>> {
        let entry = enter(&Application {
            plan,
            version: ContentHash::of(b"v1"),
            occasion: &occasion(),
            view,
            slots: &[],
            now: START,
        });
        let Entry::Enrolled(first) = entry else {
            return None;
        };
        let at = first.enrollment.clone();
        let mut drive = Drive { plan, at, sends: BTreeSet::new(), wakes: Vec::new() };
        drive.carry_out(&first.effects);
        Some(drive)
    }

    fn carry_out(&mut self, effects: &[JourneyEffect]) {
        for effect in effects {
            match effect {
                JourneyEffect::Send { step, iteration, .. } => {
                    self.sends.insert(SendId::derive(self.at.id, step.as_str(), *iteration));
                }
                JourneyEffect::Wake { arm, due } => self.wakes.push((*arm, *due)),
            }
        }
    }

    fn take(&mut self, input: Input, view: &ProfileView, now: Stamp) {
        let before = self.at.clone();
        let done = step(self.plan, &before, view, input, now);
        if before.ended.is_some() {
            assert_eq!((&done.enrollment, &done.effects), (&before, &vec![]), "it had ended");
        }
        if done.enrollment == before {
            assert!(
                done.effects.iter().all(|e| matches!(e, JourneyEffect::Wake { .. })),
                "no mail without a change"
            );
        } else {
            assert_eq!(done.enrollment.pending, done.effects, "effects are stored with the change");
            assert!(done.enrollment.arm >= before.arm, "arm numbers only grow");
        }
        let armed = done.enrollment.ended.is_none();
        assert_eq!(done.enrollment.due.is_some(), armed, "whoever is inside is armed");
        self.at = done.enrollment.clone();
        self.carry_out(&done.effects);
    }

    /// The state without what processing time alone decides.
    fn state(&self) -> Enrollment {
        Enrollment { forget: None, pending: Vec::new(), ..self.at.clone() }
    }
}

/// Every timer rings once on time and every event is a hint as it happens.
fn on_time<'p>(
    plan: &'p Plan,
    history: &[(&'static str, Stamp)],
    mut noise: impl FnMut(&mut Drive<'p>, Stamp),
) -> Option<Drive<'p>> {
    let mut drive = Drive::begin(plan, &known(history, START))?;
    let mut hints: Vec<Stamp> = history.iter().map(|(_, at)| *at).collect();
    hints.sort();
    hints.reverse();
    // A journey that begins again and again is watched for a month.
    while let Some(due) = drive.at.due.filter(|due| due.since(START) < Span::DAY.times(30)) {
        let (input, now) = match hints.pop_if(|at| *at <= due) {
            Some(at) => (Input::Hint, at),
            None => (Input::Woken { arm: drive.at.arm }, due),
        };
        noise(&mut drive, now);
        drive.take(input, &known(history, now), now);
        noise(&mut drive, now);
    }
    Some(drive)
}

/// Inputs that come late by what is given, doubled, old wakes among them.
fn to_the_end<'p>(
    mut drive: Drive<'p>,
    view: &ProfileView,
    arrivals: &[(u64, bool, Index)],
) -> Drive<'p> {
    for (late, hint, which) in arrivals.iter().cycle().take(64) {
        let Some(due) = drive.at.due else { break };
        let now = due.plus(Span::from_ms(*late)).min(due.plus(OVERDUE));
        let (arm, _) = drive.wakes[which.index(drive.wakes.len())];
        drive.take(Input::Woken { arm }, view, now);
        let arm = drive.at.arm;
        let input = if *hint { Input::Hint } else { Input::Woken { arm } };
        drive.take(input, view, now);
    }
    drive
}

proptest! {
    #[test]
    fn replay_gives_equal_bytes(plan in any_plan(), history in any_history()) {
        let drive = || on_time(&plan, &history, |_, _| {});
        let bytes = |drive: Option<Drive<'_>>| drive.map(|d| serde_json::to_vec(&d.at).unwrap());
        prop_assert_eq!(bytes(drive()), bytes(drive()));
    }

    #[test]
    fn duplicates_and_old_wakes_between_change_nothing(
        plan in any_plan(),
        history in any_history(),
        noise in prop::collection::vec((any::<bool>(), any::<Index>()), 0..40),
    ) {
        let quiet = on_time(&plan, &history, |_, _| {});
        let mut noise = noise.into_iter().cycle();
        let noisy = on_time(&plan, &history, |drive, now| {
            let view = known(&history, now);
            match noise.next() {
                Some((true, _)) => drive.take(Input::Hint, &view, now),
                Some((false, which)) if !drive.wakes.is_empty() => {
                    let (arm, due) = drive.wakes[which.index(drive.wakes.len())];
                    // Queues deliver a wake again, but never before its time.
                    if due <= now {
                        drive.take(Input::Woken { arm }, &view, now);
                    }
                }
                _ => {}
            }
        });
        let outcome = |drive: Option<Drive<'_>>| drive.map(|d| (d.state(), d.sends));
        prop_assert_eq!(outcome(quiet), outcome(noisy));
    }

    #[test]
    fn what_is_known_decides_and_not_the_order_of_arrival(
        plan in any_plan(),
        history in any_history(),
        arrivals in prop::collection::vec((0_u64..=300_000, any::<bool>(), any::<Index>()), 1..24),
    ) {
        // Everything that ever happens is known when it begins; inputs come late by up to what
        // counts as late, doubled, and in any order.
        let all = view(&history);
        let on_time = Drive::begin(&plan, &all).map(|d| to_the_end(d, &all, &[(0, false, arrivals[0].2)]));
        let late = Drive::begin(&plan, &all).map(|d| to_the_end(d, &all, &arrivals));
        if let (Some(on_time), Some(late)) = (&on_time, &late)
            && on_time.at.ended.is_some()
            && late.at.ended.is_some()
        {
            prop_assert_eq!(&on_time.sends, &late.sends);
            prop_assert_eq!(on_time.state(), late.state());
        }
        prop_assert_eq!(on_time.is_some(), late.is_some());
    }
}
