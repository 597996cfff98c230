//! `journeys/*.yaml`: what starts a journey, who may enter, what ends it.

use super::conditions;
use super::fault::{Faults, Place};
use super::fields::{Fields, Reading};
use super::settings::one_of;
use super::yaml::{self, Kind, Node, quoted};
use super::{Files, JOURNEYS_MAX, JourneyFile, Known, graph, in_folder, pacing, signals, steps};
use crate::catalog::JourneyState;
use crate::journey::{Goal, Journey, JourneyId, ReEntry, Trigger};
use crate::predicate::EventPredicate;
use crate::segment::{SEGMENT_ENTERED, SEGMENT_EXITED};
use crate::signal::{SignalKind, Threshold};
use std::collections::BTreeMap;

/// The keys of a journey.
pub const KEYS: &[&str] = &[
    "name",
    "description",
    "state",
    "trigger",
    "entry_filter",
    "enrollment_key",
    "re_entry",
    "exit_when",
    "goal",
    "frequency_caps",
    "steps",
];
const GOAL_KEYS: &[&str] = &["event", "where", "within"];
/// The most exit rules of one journey.
const EXIT_RULES_MAX: usize = 10;

pub(crate) fn read(
    files: &Files,
    known: &Known,
    faults: &mut Faults,
) -> BTreeMap<JourneyId, JourneyFile> {
    let mut journeys = BTreeMap::new();
    for (file, stem, text) in in_folder(files, "journeys", ".yaml") {
        let Some(root) = yaml::parse(file, text, 0, faults) else { continue };
        let mut reading = Reading { file, faults };
        if let Some((state, journey)) = read_one(&mut reading, &root, stem, known) {
            let file = file.to_owned();
            journeys.insert(journey.id.clone(), JourneyFile { file, state, journey });
        }
    }
    for (file, _, _) in in_folder(files, "journeys", ".yml") {
        faults.at(file, Place::START, "a file that ends in .yml", "the ending .yaml");
    }
    if journeys.len() > JOURNEYS_MAX {
        let found = format!("{} journeys", journeys.len());
        faults.at("journeys", Place::START, found, format!("at most {JOURNEYS_MAX}"));
    }
    journeys
}

fn read_one(
    reading: &mut Reading<'_>,
    root: &Node,
    stem: &str,
    known: &Known,
) -> Option<(JourneyState, Journey)> {
    let fields = reading.fields(root, "a journey", KEYS)?;
    let id = name(reading, fields, stem);
    let state = reading.need(fields, "state", "live").and_then(|node| {
        let states = [
            ("draft", JourneyState::Draft),
            ("live", JourneyState::Live),
            ("paused", JourneyState::Paused),
            ("archived", JourneyState::Archived),
        ];
        one_of(reading, node, "state", &states)
    });
    let trigger = reading.need(fields, "trigger", "{event: Order Completed}");
    let trigger = trigger.and_then(|node| trigger_of(reading, node, known));
    let entry_filter = match fields.get("entry_filter") {
        None => Some(None),
        Some(node) => conditions::condition(reading, node, known).map(Some),
    };
    let enrollment_key = match fields.get("enrollment_key") {
        None => Some(None),
        Some(node) => reading
            .text(node, "a property of the trigger, such as order_id")
            .map(|text| Some(text.to_owned())),
    };
    let re_entry = match fields.get("re_entry") {
        None => Some(ReEntry::Never),
        Some(node) => re_entry(reading, node),
    };
    let exit_when = match fields.get("exit_when") {
        None => Some(Vec::new()),
        Some(node) => exit_rules(reading, node, known),
    };
    let goal = match fields.get("goal") {
        None => Some(None),
        Some(node) => goal(reading, node, known).map(Some),
    };
    let frequency_caps =
        fields.get("frequency_caps").map(|node| pacing::journey_caps(reading, node));
    let steps = reading.need(fields, "steps", "[{id: remind, send: …, topic: …}]");
    let built = steps.and_then(|node| {
        let list = steps::read(reading, node, known)?;
        graph::build(reading, node.place, &list)
    });
    let (first, steps) = built?;
    let journey = Journey {
        id: id?,
        trigger: trigger?,
        entry_filter: entry_filter?,
        enrollment_key: enrollment_key?,
        re_entry: re_entry?,
        exit_when: exit_when?,
        goal: goal?,
        frequency_caps: frequency_caps.unwrap_or_default(),
        first,
        steps,
    };
    Some((state?, journey))
}

/// The journey's name is its file's, said twice so that a copied file cannot replace another.
fn name(reading: &mut Reading<'_>, fields: Fields<'_>, stem: &str) -> Option<JourneyId> {
    let node = reading.need(fields, "name", stem)?;
    let text = reading.text(node, "the journey's name")?;
    let id = reading.slug(text, node.place, "journey's name", JourneyId::parse)?;
    if text != stem {
        let expected = format!("`{stem}`, the name of the file");
        reading.fault(node.place, format!("name {}", quoted(text)), expected);
        return None;
    }
    Some(id)
}

fn trigger_of(reading: &mut Reading<'_>, node: &Node, known: &Known) -> Option<Trigger> {
    let fields = reading.open(node, "a trigger, as {event: Order Completed}")?;
    if fields.get("signal").is_none() {
        return conditions::event_alone(reading, node, known).map(Trigger::Event);
    }
    let signal = reading.need(fields, "signal", "Cart Abandoned")?;
    let name = reading.text(signal, "the name of a signal")?;
    if [SEGMENT_ENTERED, SEGMENT_EXITED].contains(&name) {
        reading.fields(node, "a trigger", &["signal", "segment"]);
        let segment = reading.need(fields, "segment", "vip")?;
        let segment = conditions::segment_name(reading, segment, known)?;
        return Some(Trigger::Signal {
            name: name.to_owned(),
            threshold: Threshold::Segment(segment),
        });
    }
    let Some((kind, default)) = SignalKind::named(name).zip(known.signals.get(name)) else {
        let names = known.signals.keys().map(String::as_str);
        let names: Vec<&str> = names.chain([SEGMENT_ENTERED, SEGMENT_EXITED]).collect();
        reading.unknown(signal.place, "signal", name, names);
        return None;
    };
    signals::check_keys(reading, fields, kind, &["signal"]);
    let threshold = match fields.get(default.key()) {
        None => Some(*default),
        Some(_) => signals::threshold(reading, fields, kind),
    };
    Some(Trigger::Signal { name: name.to_owned(), threshold: threshold? })
}

fn re_entry(reading: &mut Reading<'_>, node: &Node) -> Option<ReEntry> {
    if let Kind::Map(_) = node.kind {
        let fields = reading.fields(node, "re-entry", &["after"])?;
        let after = reading.need(fields, "after", "7d")?;
        return reading.span(after).map(ReEntry::After);
    }
    let words = [("never", ReEntry::Never), ("after_exit", ReEntry::AfterExit)];
    match &node.kind {
        Kind::Text(text) if words.iter().any(|(word, _)| word == text) => {
            one_of(reading, node, "re-entry", &words)
        }
        _ => {
            reading.fault(node.place, node.describe(), "never, after_exit or {after: 7d}");
            None
        }
    }
}

fn exit_rules(
    reading: &mut Reading<'_>,
    node: &Node,
    known: &Known,
) -> Option<Vec<EventPredicate>> {
    let items = reading.list(node, "a list of events, as [{event: Order Completed}]")?;
    if items.len() > EXIT_RULES_MAX {
        let found = format!("{} exit rules", items.len());
        reading.fault(node.place, found, format!("at most {EXIT_RULES_MAX}"));
        return None;
    }
    let read: Vec<Option<EventPredicate>> =
        items.iter().map(|item| conditions::event_alone(reading, item, known)).collect();
    read.into_iter().collect()
}

fn goal(reading: &mut Reading<'_>, node: &Node, known: &Known) -> Option<Goal> {
    let fields = reading.fields(node, "a goal", GOAL_KEYS)?;
    let event = conditions::event(reading, fields, known, "event");
    let within = reading.need(fields, "within", "3d").and_then(|node| reading.span(node));
    Some(Goal { event: event?, within: within? })
}
