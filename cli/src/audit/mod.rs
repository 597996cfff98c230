//! `odyssey audit`: what an export holds, and what this system would make of it.
//!
//! The file is read twice: once to count and to learn which ids are one customer, and once to take
//! the events of an even sample of customers, which are then folded as `profile` would. Memory is
//! bounded by the limits of `people` and `replay`, whatever the file's size.

pub mod calls;
pub mod columns;
pub mod entries;
pub mod needs;
pub mod people;
pub mod replay;
pub mod report;
pub mod rows;
pub mod source;
pub mod tally;
pub mod tell;

pub use report::Report;

use crate::args::AuditArgs;
use crate::publish::directory;
use crate::screen::Screen;
use crate::{Exit, Failure};
use calls::Calls;
use columns::Role;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use odyssey_domain::catalog::JourneyState;
use odyssey_domain::event::Event;
use odyssey_domain::plan::near_spec;
use odyssey_domain::profile::Watched;
use odyssey_domain::signal::{SignalKind, SignalRule, Threshold};
use odyssey_domain::time::Stamp;
use odyssey_domain::workspace::Workspace;
use people::People;
use replay::{Names, Rules, Sample};
use report::Findings;
use rows::{Row, Rows, RowsError, Told};
use source::Source;
use std::path::Path;
use tally::{BadLine, Tally};

/// Progress is shown for files of this size and more.
const PROGRESS_BYTES_MIN: u64 = 8 * 1024 * 1024;
/// It is drawn after so many records.
const PROGRESS_EVERY: u64 = 1_000;

/// Runs the command.
///
/// # Errors
/// Where the file cannot be read as events at all, or the workspace has mistakes.
pub fn run(screen: &Screen, args: &AuditArgs) -> Result<Exit, Failure> {
    let told = Told { columns: roles(&args.column)?, event: args.event.clone() };
    let rules = rules(args.workspace.as_deref())?;
    let report = audit(&args.file, &told, &rules)?;
    if args.json {
        let json = serde_json::to_string(&report)
            .map_err(|error| Failure::Asked(format!("the report is not JSON: {error}")))?;
        screen.line(&json);
    } else {
        for line in tell::lines(screen, &report) {
            screen.line(&line);
        }
    }
    // A file of which nothing can be used is not what was meant.
    Ok(if report.events == 0 { Exit::Wrong } else { Exit::Right })
}

fn roles(given: &[String]) -> Result<Vec<(Role, String)>, Failure> {
    let read = |text: &String| {
        let (role, name) = text.split_once('=')?;
        Some((Role::named(role.trim())?, name.to_owned()))
    };
    given
        .iter()
        .map(|text| {
            read(text).ok_or_else(|| {
                Failure::Asked(format!(
                    "--column {text}: expected ROLE=NAME, the role one of event, type, time, user, anonymous, email, message"
                ))
            })
        })
        .collect()
}

/// What customers are held against: every signal at its default, and a workspace's own.
#[derive(Debug)]
pub struct Against {
    rules: Rules,
    in_use: Option<Vec<(String, Threshold)>>,
}

/// Reads what customers are held against.
///
/// # Errors
/// Where the workspace cannot be read or has mistakes.
pub fn rules(workspace: Option<&Path>) -> Result<Against, Failure> {
    let Some(folder) = workspace else {
        let signals = with_defaults(Vec::new());
        return Ok(Against {
            rules: Rules::new(signals, Watched::default(), [], None),
            in_use: None,
        });
    };
    let files = directory::read(folder)?;
    let workspace = Workspace::read(&files).map_err(|faults| {
        let first = faults.first().map(ToString::to_string).unwrap_or_default();
        Failure::Asked(format!(
            "{} has {} mistakes, the first: {first} (cargo odyssey check shows all)",
            folder.display(),
            faults.len()
        ))
    })?;
    let catalog = workspace.publish(Vec::new(), Stamp::MIN).catalog;
    let used = catalog.signals.iter().flat_map(|rule| {
        rule.each().map(|threshold| (rule.name.clone(), threshold)).collect::<Vec<_>>()
    });
    let in_use = Some(used.collect());
    let journeys = workspace.journeys.into_values();
    let journeys = journeys.map(|file| (file.journey, file.state == JourneyState::Live));
    let journeys: Vec<_> = journeys.collect();
    // Drafts are asked about as well.
    let mut kept = catalog.kept_matches();
    kept.extend(odyssey_domain::workspace::watched(journeys.iter().map(|(journey, _)| journey)));
    let watched = Watched::of(&kept).computing(&catalog.computed_traits);
    let watched = watched.under(catalog.watches_under());
    let mut signals = catalog.signals.clone();
    for (journey, _) in &journeys {
        use_threshold(&mut signals, journey);
    }
    let rules = Rules::new(with_defaults(signals), watched, journeys, Some(catalog));
    Ok(Against { rules, in_use })
}

/// A draft's trigger is asked about too.
fn use_threshold(signals: &mut Vec<SignalRule>, journey: &odyssey_domain::journey::Journey) {
    let odyssey_domain::journey::Trigger::Signal { name, threshold } = &journey.trigger else {
        return;
    };
    let Some(kind) = SignalKind::named(name) else { return };
    match signals.iter_mut().find(|rule| rule.kind == kind) {
        Some(rule) if rule.each().any(|known| known == *threshold) => {}
        Some(rule) => {
            let all: Vec<Threshold> = rule.each().chain([*threshold]).collect();
            *rule = SignalRule::new(kind, &all);
        }
        None => signals.push(SignalRule::new(kind, &[*threshold])),
    }
}

/// Signals that are not among these, at their defaults.
fn with_defaults(mut signals: Vec<SignalRule>) -> Vec<SignalRule> {
    for kind in SignalKind::ALL {
        if !signals.iter().any(|rule| rule.kind == kind) {
            signals.push(SignalRule::new(kind, &[kind.default_threshold()]));
        }
    }
    signals
}

/// Audits a file.
///
/// # Errors
/// Where it cannot be read as events at all.
pub fn audit(file: &Path, told: &Told, against: &Against) -> Result<Report, Failure> {
    let failed = |error: RowsError| match error {
        RowsError::Io(cause) => Failure::File { path: file.to_owned(), cause },
        RowsError::Columns(what) => Failure::Asked(format!("{}: {what}", file.display())),
    };
    let open = || -> Result<Rows, RowsError> { Rows::new(Source::open(file)?, told) };
    let calls = Calls::default();
    let (mut tally, mut people) =
        (Tally::default(), People::new().map_err(|error| Failure::Asked(error.to_string()))?);

    let mut rows = open().map_err(failed)?;
    let columns = rows.columns().cloned();
    each(&mut rows, "counting", &calls, &mut tally, |tally, event| {
        tally.event(event);
        people.note(event);
    });

    // What is bad was counted on the first way through.
    let mut rest = Tally::default();
    let mut sample = Sample::default();
    let mut rows = open().map_err(failed)?;
    each(&mut rows, "folding", &calls, &mut rest, |_, event| {
        let Some((own, _)) = people.own(event) else { return };
        let customer = people.customer(own);
        if sample.takes(customer) {
            sample.add(customer, own, event);
        }
    });
    let end = tally.span.map_or(Stamp::MIN, |(_, last)| last);
    let claim = |id| people.claim(id);
    let outcome = sample.replay(&against.rules, calls.source(), claim, end, Names::AsTheyAre);
    let near = tally.names.keys().any(|name| near_spec(name).is_some());
    let renamed = if near {
        sample.replay(&against.rules, calls.source(), claim, end, Names::AsMeant)
    } else {
        outcome.clone()
    };
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned());
    Ok(Report::new(&Findings {
        file: name.unwrap_or_default(),
        tally: &tally,
        columns: columns.as_ref(),
        heads: people.heads(),
        beyond: people.beyond,
        sample: &sample,
        outcome: &outcome,
        renamed: &renamed,
        rules: &against.rules,
        in_use: against.in_use.clone(),
    }))
}

/// Goes through a file once.
fn each(
    rows: &mut Rows,
    what: &'static str,
    calls: &Calls,
    tally: &mut Tally,
    mut see: impl FnMut(&mut Tally, &Event),
) {
    let bar = progress(rows.progress().1, what);
    loop {
        let row = match rows.next_row() {
            Ok(Some(row)) => row,
            Ok(None) => break,
            Err(error) => {
                tally.broken = Some(BadLine { line: rows.line, reason: error.to_string() });
                break;
            }
        };
        tally.records += 1;
        if tally.records.is_multiple_of(PROGRESS_EVERY) {
            bar.set_position(rows.progress().0);
        }
        match row {
            Row::Bad(reason) => tally.bad(rows.line, reason),
            Row::Json(json) => {
                let called = calls.read(&json, rows.line);
                for event in &called.events {
                    see(tally, event);
                }
                for reason in called.refused {
                    tally.bad(rows.line, reason);
                }
            }
        }
    }
    bar.finish_and_clear();
}

/// A bar on standard error, where that is a terminal and the file is large.
fn progress(bytes: u64, what: &'static str) -> ProgressBar {
    if bytes < PROGRESS_BYTES_MIN {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr());
    let style = "{msg} {wide_bar} {bytes}/{total_bytes} {eta}";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    bar.with_message(what)
}
