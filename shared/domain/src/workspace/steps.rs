//! The steps of a journey as its file nests them.

use super::fault::Place;
use super::fields::{Fields, Reading};
use super::settings::read_mail_name;
use super::yaml::{Kind, Node, quoted};
use super::{Known, NESTING_MAX, STEPS_MAX, conditions, pacing};
use crate::contact::TopicId;
use crate::journey::StepId;
use crate::message::MailId;
use crate::pacing::Instead;
use crate::predicate::{Condition, EventPredicate};
use crate::time::Span;

/// One step of a list.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) id: StepId,
    pub(crate) place: Place,
    pub(crate) does: Does,
    /// An explicit way on, instead of the next in the list.
    pub(crate) next: Option<(StepId, Place)>,
}

/// What it does, with the lists inside it.
#[derive(Debug)]
pub(crate) enum Does {
    Send {
        mail: MailId,
        topic: TopicId,
        when_capped: Option<Instead>,
        when_quiet: Option<Instead>,
    },
    Delay {
        length: Span,
    },
    WaitUntil {
        event: EventPredicate,
        timeout: Span,
        on_event: Option<Vec<Item>>,
        on_timeout: Option<Vec<Item>>,
    },
    Branch {
        arms: Vec<(Condition, Vec<Item>)>,
        otherwise: Vec<Item>,
    },
    Exit,
}

/// What a step may be: the key that says it, and the keys that go with it.
pub const KINDS: &[(&str, &[&str])] = &[
    ("send", &["id", "send", "topic", "when_capped", "when_quiet", "next"]),
    ("delay", &["id", "delay", "next"]),
    ("wait_until", &["id", "wait_until", "on_event", "on_timeout", "next"]),
    ("branch", &["id", "branch", "else", "next"]),
    ("exit", &["id", "exit"]),
];
/// The keys of a wait.
pub const WAIT_KEYS: &[&str] = &["event", "where", "timeout"];
/// The keys of a branch's arm.
pub const ARM_KEYS: &[&str] = &["if", "steps"];
/// The most arms of one branch.
const ARMS_MAX: usize = 20;

/// All steps of a journey. `None` where any of them is wrong.
pub(crate) fn read(reading: &mut Reading<'_>, node: &Node, known: &Known) -> Option<Vec<Item>> {
    let before = reading.faults.count();
    let items = list(reading, node, known, 0);
    let count = items.iter().map(size).sum::<usize>();
    if count > STEPS_MAX {
        reading.fault(node.place, format!("{count} steps"), format!("at most {STEPS_MAX}"));
    }
    if items.is_empty() && reading.faults.count() == before {
        reading.fault(node.place, "no steps", "at least one");
    }
    (reading.faults.count() == before).then_some(items)
}

fn size(item: &Item) -> usize {
    let lists = |lists: &[Item]| lists.iter().map(size).sum::<usize>();
    1 + match &item.does {
        Does::Branch { arms, otherwise } => {
            arms.iter().map(|(_, items)| lists(items)).sum::<usize>() + lists(otherwise)
        }
        Does::WaitUntil { on_event, on_timeout, .. } => {
            lists(on_event.as_deref().unwrap_or_default())
                + lists(on_timeout.as_deref().unwrap_or_default())
        }
        Does::Send { .. } | Does::Delay { .. } | Does::Exit => 0,
    }
}

fn list(reading: &mut Reading<'_>, node: &Node, known: &Known, depth: usize) -> Vec<Item> {
    if depth > NESTING_MAX {
        reading.fault(node.place, "steps", format!("at most {NESTING_MAX} inside one another"));
        return Vec::new();
    }
    let nodes = reading.list(node, "a list of steps").unwrap_or_default();
    nodes.iter().filter_map(|node| item(reading, node, known, depth)).collect()
}

fn item(reading: &mut Reading<'_>, node: &Node, known: &Known, depth: usize) -> Option<Item> {
    let fields = reading.open(node, "a step, as {id: remind, send: …, topic: …}")?;
    let mut kinds = KINDS.iter().filter(|(kind, _)| fields.get(kind).is_some());
    let (kind, keys) = match (kinds.next(), kinds.next()) {
        (Some(kind), None) => kind,
        (Some((one, _)), Some((other, _))) => {
            let found = format!("a step with both `{one}` and `{other}`");
            reading.fault(node.place, found, "one of them, the other in a step of its own");
            return None;
        }
        (None, _) => {
            unknown_kind(reading, fields);
            return None;
        }
    };
    reading.fields(node, "a step", keys);
    let id = reading.need(fields, "id", "remind").and_then(|node| {
        let text = reading.text(node, "the step's id")?;
        reading.slug(text, node.place, "step's id", StepId::parse)
    });
    let next = match fields.get("next") {
        None => Some(None),
        Some(node) => reading
            .text(node, "a step's id")
            .and_then(|text| reading.slug(text, node.place, "step's id", StepId::parse))
            .map(|id| Some((id, node.place))),
    };
    let value = fields.get(kind)?;
    let does = match *kind {
        "send" => send(reading, fields, value, known),
        "delay" => reading.span(value).map(|length| Does::Delay { length }),
        "wait_until" => wait(reading, fields, value, known, depth),
        "branch" => branch(reading, fields, value, known, depth),
        _ => exit(reading, value),
    };
    let place = fields.get("id").map_or(node.place, |node| node.place);
    Some(Item { id: id?, place, does: does?, next: next? })
}

/// A step of which no key says what it does.
fn unknown_kind(reading: &mut Reading<'_>, fields: Fields<'_>) {
    let kinds: Vec<&str> = KINDS.iter().map(|(kind, _)| *kind).collect();
    let strange = fields
        .entries()
        .iter()
        .find(|(key, _)| !KINDS.iter().any(|(_, keys)| keys.contains(&key.name.as_str())));
    if let Some((key, _)) = strange {
        reading.unknown(key.place, "step", &key.name, kinds);
    } else {
        let expected = format!("one of {}", kinds.join(", "));
        reading.fault(fields.place, "a step that does nothing", expected);
    }
}

fn send(
    reading: &mut Reading<'_>,
    fields: Fields<'_>,
    value: &Node,
    known: &Known,
) -> Option<Does> {
    let mail = read_mail_name(reading, value, &known.mails);
    let topic = reading.need(fields, "topic", "offers").and_then(|node| {
        let text = reading.text(node, "a topic")?;
        if let Some(topics) = &known.topics
            && !topics.contains(text)
        {
            reading.unknown(node.place, "topic", text, topics.iter().map(String::as_str));
            return None;
        }
        reading.slug(text, node.place, "topic's name", TopicId::parse)
    });
    let when_capped = pacing::instead(reading, fields, "when_capped");
    let when_quiet = pacing::instead(reading, fields, "when_quiet");
    Some(Does::Send { mail: mail?, topic: topic?, when_capped, when_quiet })
}

fn wait(
    reading: &mut Reading<'_>,
    fields: Fields<'_>,
    value: &Node,
    known: &Known,
    depth: usize,
) -> Option<Does> {
    let inner = reading.fields(value, "a wait, as {event: …, timeout: 20h}", WAIT_KEYS);
    let event = inner.and_then(|inner| conditions::event(reading, inner, known, "event"));
    let timeout = inner
        .and_then(|inner| reading.need(inner, "timeout", "20h"))
        .and_then(|node| reading.span(node));
    let mut way = |key| fields.get(key).map(|node| list(reading, node, known, depth + 1));
    let (on_event, on_timeout) = (way("on_event"), way("on_timeout"));
    Some(Does::WaitUntil { event: event?, timeout: timeout?, on_event, on_timeout })
}

fn branch(
    reading: &mut Reading<'_>,
    fields: Fields<'_>,
    value: &Node,
    known: &Known,
    depth: usize,
) -> Option<Does> {
    let nodes = reading.list(value, "a list of arms, as [{if: …, steps: […]}]");
    let otherwise = fields.get("else").map(|node| list(reading, node, known, depth + 1));
    let nodes = nodes?;
    if nodes.is_empty() || nodes.len() > ARMS_MAX {
        let found = format!("{} arms", nodes.len());
        reading.fault(value.place, found, format!("from 1 to {ARMS_MAX}"));
        return None;
    }
    let mut arms = Vec::new();
    for node in nodes {
        let Some(arm) = reading.fields(node, "an arm, as {if: …, steps: […]}", ARM_KEYS) else {
            continue;
        };
        let condition = reading.need(arm, "if", "{fact: orders.count, at_least: 1}");
        let condition = condition.and_then(|node| conditions::condition(reading, node, known));
        let steps = reading.need(arm, "steps", "[]");
        let steps = steps.map(|node| list(reading, node, known, depth + 1));
        if let (Some(condition), Some(steps)) = (condition, steps) {
            arms.push((condition, steps));
        }
    }
    Some(Does::Branch { arms, otherwise: otherwise.unwrap_or_default() })
}

fn exit(reading: &mut Reading<'_>, value: &Node) -> Option<Does> {
    if let Kind::Bool(true) = value.kind {
        return Some(Does::Exit);
    }
    let found = match &value.kind {
        Kind::Text(text) => quoted(text),
        _ => value.describe(),
    };
    reading.fault(value.place, found, "`exit: true`");
    None
}
