//! Who would be in segments and journeys, and of which of them a file does not say it: consent is the
//! contact's, and stands in no event.

use super::replay::Rules;
use super::report::{Findings, missing};
use odyssey_domain::journey::{Journey, Trigger};
use odyssey_domain::predicate::Condition;
use odyssey_domain::segment::SegmentName;
use odyssey_domain::signal::{SignalKind, Threshold};
use serde::Serialize;
use std::collections::BTreeSet;

/// One segment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SegmentPart {
    /// Its name.
    pub segment: String,
    /// How many customers of the sample are in it in the end; none where a file does not say.
    pub customers: Option<u64>,
    /// Why that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
}

/// One journey.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JourneyPart {
    /// Its name.
    pub journey: String,
    /// Whether it is live.
    pub live: bool,
    /// What starts it.
    pub trigger: String,
    /// How many customers of the sample it would have taken in; none where a file does not say.
    pub customers: Option<u64>,
    /// Why that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
    /// The same once every event is renamed, where that differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renamed: Option<u64>,
    /// What is missing, where it is nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

/// The segments, and who is in them.
pub(super) fn segments(found: &Findings<'_>) -> Vec<SegmentPart> {
    let known = found.rules.catalog.iter().flat_map(|catalog| catalog.segments.keys());
    let all: BTreeSet<&SegmentName> = known.chain(&found.rules.asking_consent).collect();
    let part = |name: &SegmentName| {
        let unknown = unknown_segment(found.rules, *name);
        let count = found.outcome.segments.get(name.as_str()).copied().unwrap_or(0);
        let customers = unknown.is_none().then_some(count);
        SegmentPart { segment: name.to_string(), customers, unknown }
    };
    all.into_iter().map(part).collect()
}

/// The journeys, and whom they would have taken in.
pub(super) fn journeys(found: &Findings<'_>) -> Vec<JourneyPart> {
    let all = found.rules.journeys.iter().enumerate();
    all.map(|(at, (plan, live))| {
        let journey = plan.journey();
        let customers = found.outcome.journeys.get(&at).copied().unwrap_or(0);
        let renamed = found.renamed.journeys.get(&at).copied().unwrap_or(0);
        let (trigger, is_there, missing) = trigger(found, journey);
        let unknown = unknown_trigger(found.rules, journey)
            // A filter is asked of nobody where the trigger never comes.
            .or_else(|| is_there.then(|| unknown_filter(found.rules, journey)).flatten());
        JourneyPart {
            journey: journey.id.to_string(),
            live: *live,
            trigger,
            customers: unknown.is_none().then_some(customers),
            renamed: (renamed != customers && unknown.is_none()).then_some(renamed),
            missing: (customers == 0 && unknown.is_none()).then_some(missing),
            unknown,
        }
    })
    .collect()
}

/// What starts a journey, whether that is there, and what is missing where nobody is taken in.
fn trigger(found: &Findings<'_>, journey: &Journey) -> (String, bool, String) {
    match &journey.trigger {
        Trigger::Event(event) => {
            let is_there = found.tally.has(&event.event);
            let missing = if is_there {
                "its event is there, but never as the journey asks for it".to_owned()
            } else {
                format!("needs `{}`", event.event)
            };
            (format!("event {}", event.event), is_there, missing)
        }
        Trigger::Signal { name, threshold } => {
            let is_raised = found.outcome.signals.contains_key(&(name.clone(), *threshold));
            let missing = match SignalKind::named(name) {
                Some(kind) if !is_raised => missing(found.tally, kind),
                None if !is_raised => "nobody crosses into or out of that segment".to_owned(),
                _ => "the signal is raised, but its entry filter holds for nobody".to_owned(),
            };
            (format!("signal {name} {threshold}"), is_raised, missing)
        }
    }
}

/// Why a segment's customers cannot be counted.
const ASKS_CONSENT: &str = "not known from a file: it asks for consent";

/// Why a segment's customers cannot be counted; none where they can.
fn unknown_segment(rules: &Rules, name: SegmentName) -> Option<String> {
    rules.asking_consent.contains(&name).then(|| ASKS_CONSENT.to_owned())
}

/// Why it cannot be known whether a journey's signal would be raised: it is a segment's of which
/// nobody knows who is in it.
fn unknown_trigger(rules: &Rules, journey: &Journey) -> Option<String> {
    let Trigger::Signal { threshold: Threshold::Segment(name), .. } = &journey.trigger else {
        return None;
    };
    unknown(rules, *name)
}

/// The same of its entry filter.
fn unknown_filter(rules: &Rules, journey: &Journey) -> Option<String> {
    let mut found = None;
    journey.entry_filter.as_ref()?.each_leaf(&mut |leaf| {
        if let Condition::Segment { name } = leaf {
            found = found.take().or_else(|| unknown(rules, *name));
        }
    });
    found
}

fn unknown(rules: &Rules, name: SegmentName) -> Option<String> {
    let unknown = rules.asking_consent.contains(&name);
    unknown.then(|| format!("not known from a file: the segment {name} asks for consent"))
}
