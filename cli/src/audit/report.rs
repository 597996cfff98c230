//! What an audit found, for people and as JSON.

use super::columns::Columns;
use super::entries::{self, JourneyPart, SegmentPart};
use super::needs;
use super::people::Heads;
use super::replay::{CUSTOMER_EVENTS_MAX, Outcome, Rules, Sample};
use super::tally::{BadLine, Standing, Tally};
use odyssey_domain::signal::{SignalKind, Threshold};
use serde::Serialize;
use std::collections::BTreeMap;

/// What an audit found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The file.
    pub file: String,
    /// Lines or rows.
    pub records: u64,
    /// Events that can be used.
    pub events: u64,
    /// The first stamp.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The last stamp.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// How columns were read, by role.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<&'static str, String>,
    /// Columns that were left out.
    pub columns_beyond: usize,
    /// The behaviours, most often first.
    pub behaviours: Vec<Behaviour>,
    /// Events whose names were no names, or too many.
    pub other_names: u64,
    /// Who is in it.
    pub customers: Heads,
    /// How many customers were folded for what follows.
    pub sampled: u64,
    /// Of them, with facts of each family.
    pub facts: BTreeMap<String, u64>,
    /// Signals.
    pub signals: Vec<SignalPart>,
    /// The workspace's segments.
    pub segments: Vec<SegmentPart>,
    /// The workspace's journeys.
    pub journeys: Vec<JourneyPart>,
    /// Events of the sample that came twice.
    pub duplicates: u64,
    /// Customers of the sample with more events than were folded.
    pub busy: u64,
    /// Events of ids beyond those that are told apart.
    pub beyond: u64,
    /// Events whose stamp had to be corrected.
    pub corrected: u64,
    /// How many lines, or events of a line, cannot be used.
    pub bad: u64,
    /// The same by reason.
    pub bad_by_reason: BTreeMap<String, u64>,
    /// The first of them.
    pub bad_lines: Vec<BadLine>,
    /// Where the file could not be read on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broken: Option<BadLine>,
    /// What to do next.
    pub next: Vec<String>,
}

/// One event name.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Behaviour {
    /// The name.
    pub event: String,
    /// How many.
    pub count: u64,
    /// What the name is worth.
    pub standing: Standing,
    /// The Spec's name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rename_to: Option<&'static str>,
}

/// One signal at one threshold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SignalPart {
    /// Its name.
    pub signal: String,
    /// Its threshold: `after 4h`.
    pub threshold: String,
    /// Whether the workspace raises it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_use: Option<bool>,
    /// How many customers of the sample would have raised it.
    pub customers: u64,
    /// The same once every event is renamed as [`Behaviour::rename_to`] says, where that differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renamed: Option<u64>,
    /// What is missing, where it is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

/// Everything a report is made of.
#[derive(Debug)]
pub struct Findings<'a> {
    /// The file's name.
    pub file: String,
    /// What was counted.
    pub tally: &'a Tally,
    /// Its columns, where it is a CSV.
    pub columns: Option<&'a Columns>,
    /// Who is in it.
    pub heads: Heads,
    /// Events of ids beyond those that are told apart.
    pub beyond: u64,
    /// Who was folded.
    pub sample: &'a Sample,
    /// What came of it.
    pub outcome: &'a Outcome,
    /// What would have come of it under the Spec's names.
    pub renamed: &'a Outcome,
    /// What it was held against.
    pub rules: &'a Rules,
    /// The signals that the workspace raises; none without a workspace.
    pub in_use: Option<Vec<(String, Threshold)>>,
}

impl Report {
    /// Of what was found.
    #[must_use]
    pub fn new(found: &Findings<'_>) -> Report {
        let Findings { tally, outcome, .. } = found;
        let mut behaviours: Vec<Behaviour> = tally
            .names
            .iter()
            .map(|(name, count)| {
                let (standing, rename_to) = Standing::of(name);
                Behaviour { event: name.clone(), count: *count, standing, rename_to }
            })
            .collect();
        behaviours.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.event.cmp(&b.event)));
        let whole = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let roles = found.columns.map(|columns| {
            columns.roles.iter().map(|(role, name)| (role.word(), name.clone())).collect()
        });
        let mut report = Report {
            file: found.file.clone(),
            records: tally.records,
            events: tally.events,
            from: tally.span.map(|(first, _)| first.to_string()),
            to: tally.span.map(|(_, last)| last.to_string()),
            columns: roles.unwrap_or_default(),
            columns_beyond: found.columns.map_or(0, |columns| columns.beyond),
            behaviours,
            other_names: tally.other_names,
            customers: found.heads,
            sampled: whole(found.sample.len()),
            facts: outcome.facts.clone(),
            signals: signals(found),
            segments: entries::segments(found),
            journeys: entries::journeys(found),
            duplicates: outcome.duplicates,
            busy: whole(found.sample.busy.len()),
            beyond: found.beyond,
            corrected: tally.corrected,
            bad: tally.bad_count(),
            bad_by_reason: tally.bad.clone(),
            bad_lines: tally.bad_lines.clone(),
            broken: tally.broken.clone(),
            next: Vec::new(),
        };
        report.next = next(found, &report);
        report
    }

    /// The most events of a customer that are folded.
    #[must_use]
    pub const fn customer_events_max() -> usize {
        CUSTOMER_EVENTS_MAX
    }
}

fn signals(found: &Findings<'_>) -> Vec<SignalPart> {
    let mut parts = Vec::new();
    for rule in &found.rules.signals {
        for threshold in rule.each() {
            let id = (rule.name.clone(), threshold);
            let customers = found.outcome.signals.get(&id).copied().unwrap_or(0);
            let renamed = found.renamed.signals.get(&id).copied().unwrap_or(0);
            parts.push(SignalPart {
                renamed: (renamed != customers).then_some(renamed),
                signal: rule.name.clone(),
                threshold: threshold.to_string(),
                in_use: found.in_use.as_ref().map(|used| used.contains(&id)),
                customers,
                missing: (customers == 0).then(|| missing(found.tally, rule.kind)),
            });
        }
    }
    parts.sort_by_key(|part| std::cmp::Reverse(part.customers));
    parts
}

/// Why nobody raised a signal.
pub(super) fn missing(tally: &Tally, kind: SignalKind) -> String {
    let need = needs::of(kind);
    let there: Vec<&&str> = need.events.iter().filter(|name| tally.has(name)).collect();
    if need.events.is_empty() {
        return format!("nobody has {}", need.what);
    }
    if let Some(name) = there.first() {
        let what = if need.what.is_empty() { "lately enough" } else { need.what };
        return format!("`{name}` is there, but for nobody {what}");
    }
    let near: Vec<String> = need
        .events
        .iter()
        .flat_map(|name| tally.others_for(name).into_iter().map(move |other| (other, *name)))
        .map(|(other, name)| format!("`{other}` renamed to `{name}`"))
        .collect();
    if near.is_empty() {
        let names: Vec<String> = need.events.iter().map(|name| format!("`{name}`")).collect();
        return format!("needs {} {}", names.join(" or "), need.what).trim_end().to_owned();
    }
    format!("needs {} {}", near.join(" or "), need.what).trim_end().to_owned()
}

/// What to do next, the most useful first.
fn next(found: &Findings<'_>, report: &Report) -> Vec<String> {
    let mut next = Vec::new();
    let mut add = |when: bool, text: &str| {
        if when {
            next.push(text.to_owned());
        }
    };
    let renames: Vec<String> = report
        .behaviours
        .iter()
        .filter_map(|b| b.rename_to.map(|to| format!("`{}` to `{to}`", b.event)))
        .take(5)
        .collect();
    add(
        !renames.is_empty(),
        &format!(
            "Rename {}, where they are sent and in the file: facts and signals go by the Spec's names.",
            renames.join(", ")
        ),
    );
    add(
        report.bad > 0,
        "Mend the lines that cannot be used, or leave them out: the API refuses them too.",
    );
    let heads = report.customers;
    add(
        heads.identified < heads.customers,
        "Send `identify` with a userId where somebody signs in: who is known by a device alone cannot be mailed.",
    );
    add(
        heads.reachable < heads.identified,
        "Give each customer's `email` as a trait of `identify`: without it nothing can be sent.",
    );
    add(
        heads.reachable > 0,
        "Bring consent over with POST /v1/consent for each address and topic that you have on record; without it no marketing mail leaves.",
    );
    let own = report.behaviours.iter().any(|b| b.standing == Standing::Own);
    add(
        own,
        "Name events of your own under `events:` in workspace.yaml where journeys are to use them.",
    );
    add(
        report.events > 0,
        "Import what is left: POST it to /v1/import in batches of at most 500 KB, with `timestamp` and without `sentAt` (which would make all of it happen now). Signals and journeys start with what comes after: an import of the past mails nobody.",
    );
    add(
        found.rules.journeys.is_empty(),
        "Say which journeys it would feed: cargo odyssey audit FILE --workspace examples/storefront",
    );
    add(report.events > 0, "See it work: cargo odyssey local, then post some of it there.");
    next
}
