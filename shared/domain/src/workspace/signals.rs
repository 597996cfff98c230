//! `signals` in `workspace.yaml`, and the thresholds that triggers name: which signals are raised, at
//! what.

use super::fields::{Fields, Reading};
use super::yaml::{Kind, Node};
use crate::signal::{SignalKind, Stages, Threshold};
use crate::time::Span;
use std::collections::BTreeMap;

/// The keys that a threshold may be named by.
pub const THRESHOLD_KEYS: &[&str] = &["after", "before", "at_least"];

/// The keys of `Stage Changed` beside its threshold, and the bounds of `loyal`.
pub(super) const STAGE_KEYS: &[&str] = &["new", "loyal", "dormant", "lapsed"];
const LOYAL: std::ops::RangeInclusive<u64> = 2..=8;

/// Every signal at its default threshold.
pub(crate) fn defaults() -> BTreeMap<String, Threshold> {
    let default = |kind: SignalKind| (kind.name().to_owned(), kind.default_threshold());
    SignalKind::ALL.into_iter().map(default).collect()
}

/// The signals in use: those that are always on, and those that the file names, with `{}` or
/// nothing for the default threshold.
pub(crate) fn read(reading: &mut Reading<'_>, node: Option<&Node>) -> BTreeMap<String, Threshold> {
    let mut signals = defaults();
    signals.retain(|name, _| SignalKind::named(name).is_some_and(SignalKind::is_always_on));
    let Some(fields) = node.and_then(|node| reading.open(node, "the signals")) else {
        return signals;
    };
    for (key, node) in fields.entries() {
        let Some(kind) = SignalKind::named(&key.name) else {
            let names = SignalKind::ALL.map(SignalKind::name);
            reading.unknown(key.place, "signal", &key.name, names);
            continue;
        };
        let threshold = match &node.kind {
            Kind::Null => Some(kind.default_threshold()),
            _ => reading.open(node, "a signal").and_then(|fields| {
                let others = if kind == SignalKind::StageChanged { STAGE_KEYS } else { &[] };
                check_keys(reading, fields, kind, others);
                threshold(reading, fields, kind)
            }),
        };
        if let Some(threshold) = threshold {
            signals.insert(kind.name().to_owned(), threshold);
        }
    }
    signals
}

/// Notes every key but that of the kind's threshold and `others`.
pub(crate) fn check_keys(
    reading: &mut Reading<'_>,
    fields: Fields<'_>,
    kind: SignalKind,
    others: &[&str],
) {
    let wanted = kind.default_threshold();
    for (key, _) in fields.entries() {
        let name = key.name.as_str();
        if name == wanted.key() || others.contains(&name) {
            continue;
        }
        if THRESHOLD_KEYS.contains(&name) {
            let found = format!("key `{name}` of the signal `{}`", kind.name());
            let expected = format!("`{}: {}`", wanted.key(), wanted.value());
            reading.fault(key.place, found, expected);
        } else {
            let known = others.iter().copied().chain(std::iter::once(wanted.key()));
            reading.unknown(key.place, "key", name, known.collect::<Vec<_>>());
        }
    }
}

/// The threshold that `fields` names for a signal of this kind, its default where they name none.
pub(crate) fn threshold(
    reading: &mut Reading<'_>,
    fields: Fields<'_>,
    kind: SignalKind,
) -> Option<Threshold> {
    let default = kind.default_threshold();
    let Some(node) = fields.get(default.key()) else { return Some(default) };
    match default {
        Threshold::After(_) => reading.span(node).map(Threshold::After),
        Threshold::Before(_) => reading.span(node).map(Threshold::Before),
        Threshold::AtLeast(_) => level(reading, node, kind).map(Threshold::AtLeast),
        // No kind of signal has a segment for its default.
        Threshold::Segment(_) => None,
    }
}

/// What the stages of `Stage Changed` are told apart by, its defaults where it names nothing.
pub(crate) fn stages(
    reading: &mut Reading<'_>,
    node: Option<&Node>,
    signals: &BTreeMap<String, Threshold>,
) -> Stages {
    let mut stages = Stages::default();
    let name = SignalKind::StageChanged.name();
    let found = match node.map(|node| &node.kind) {
        Some(Kind::Map(entries)) => entries.iter().find(|(key, _)| key.name == name),
        _ => None,
    };
    let Some((key, node)) = found else { return stages };
    if matches!(node.kind, Kind::Null) {
        return stages;
    }
    let Some(fields) = reading.open(node, "a signal") else { return stages };
    let mut span = |name: &str, held: &mut Span| {
        if let Some(span) = fields.get(name).and_then(|node| reading.span(node)) {
            *held = span;
        }
    };
    span("new", &mut stages.new);
    span("dormant", &mut stages.dormant);
    span("lapsed", &mut stages.lapsed);
    if let Some(node) = fields.get("loyal") {
        let number = match &node.kind {
            Kind::Number(number) => number.as_u64(),
            _ => None,
        };
        if let Some(loyal) = number.filter(|n| LOYAL.contains(n)) {
            stages.loyal = loyal;
        } else {
            let expected = "a whole number of purchases, from 2 to 8";
            reading.fault(node.place, node.describe(), expected);
        }
    }
    if let Some(Threshold::After(at_risk)) = signals.get(name)
        && !(*at_risk < stages.dormant && stages.dormant < stages.lapsed)
    {
        let found = format!(
            "at risk after {at_risk}, dormant after {}, lapsed after {}",
            stages.dormant, stages.lapsed
        );
        reading.fault(
            key.place,
            found,
            "silences that grow: `after` below `dormant` below `lapsed`",
        );
    }
    stages
}

fn level(reading: &mut Reading<'_>, node: &Node, kind: SignalKind) -> Option<u64> {
    let (unit, least, most) = kind.levels()?;
    let number = match &node.kind {
        Kind::Number(number) => number.as_u64(),
        _ => None,
    };
    if let Some(number) = number.filter(|n| (least..=most).contains(n)) {
        return Some(number);
    }
    let expected = format!("a whole number of {unit}, from {least} to {most}");
    reading.fault(node.place, node.describe(), expected);
    None
}
