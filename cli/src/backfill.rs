//! `odyssey backfill`: what profiles lack of the published workspace, with progress.

use crate::args::BackfillArgs;
use crate::screen::{Screen, Style};
use crate::{Exit, Failure, stack};
use odyssey_flows::backfill::{self, BackfillError, PARTS, Report};
use odyssey_flows::ports::Table;
use odyssey_flows::segments::{self, LookError, Looked, PassedOver};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Progress is told so often at most.
const TELL_EVERY: Duration = Duration::from_secs(2);

/// Runs the command: fills what profiles lack, then has `profile` look at those that the published
/// segments and signals are new to.
///
/// # Errors
/// Where nothing was published, or the stack cannot be read or written.
pub async fn run(screen: &Screen, args: &BackfillArgs) -> Result<Exit, Failure> {
    let used = [Table::Workspace, Table::Profiles, Table::Timeline, Table::Contacts, Table::Due];
    let connection = stack::connect(&args.stack, &used)?;
    let (tables, queues) = (connection.tables(), connection.profile_queue()?);
    let keyring = connection.keyring().await?;
    if !args.json {
        screen.line(&screen.paint(Style::Faint, &format!("filling {}", connection.name)));
    }
    let began = now();
    let mut told = began;
    let mut tell_some = |words: &dyn Fn(Duration) -> String| {
        let at = now();
        if !args.json && at.duration_since(told) >= TELL_EVERY {
            told = at;
            screen.line(&words(at.duration_since(began)));
        }
    };
    let filled = backfill::run(&tables, &keyring, &|| connection.now(), |report| {
        tell_some(&|took| progress(report, took));
    })
    .await;
    let report = filled.map_err(|error| match error {
        BackfillError::Unpublished => Failure::Asked(format!("{}: {error}", connection.name)),
        BackfillError::Stored(_) => Failure::Stack(format!("{}: {error}", connection.name)),
    })?;
    let took = now().duration_since(began);
    if !args.json {
        tell(screen, &report, took);
    }
    let looked = segments::look_at_all(&tables, &queues, connection.now(), |looked| {
        tell_some(&|_| format!("{} profiles, {} to be looked at", looked.profiles, looked.asked));
    })
    .await;
    let looked = looked.map_err(|error| match error {
        LookError::Unpublished => Failure::Asked(format!("{}: {error}", connection.name)),
        LookError::Stored(_) | LookError::Port(_) | LookError::NotSent(_) => {
            Failure::Stack(format!("{}: {error}", connection.name))
        }
    })?;
    if args.json {
        screen.line(&as_json(&report, &looked, now().duration_since(began)).to_string());
    } else {
        tell_looked(screen, &looked);
    }
    let whole = report.left.is_empty() && looked.passed_over.profiles == 0;
    Ok(if whole && !report.republished { Exit::Right } else { Exit::Wrong })
}

/// How long a run takes is the operator's own time, whatever the stack's is.
fn now() -> Instant {
    Instant::now()
}

fn per_second(n: u64, took: Duration) -> u64 {
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
    n.saturating_mul(1_000).checked_div(ms).unwrap_or(0)
}

fn progress(report: &Report, took: Duration) -> String {
    let ahead = report.ahead().map_or_else(
        || "how many are left is not known yet".to_owned(),
        |ahead| format!("about {ahead} left"),
    );
    format!(
        "{} profiles ({} a second), {} filled, {} events read; {} of {PARTS} parts done, {ahead}",
        report.profiles,
        per_second(report.profiles, took),
        report.filled,
        report.events,
        report.parts,
    )
}

fn as_json(report: &Report, looked: &Looked, took: Duration) -> Value {
    let named =
        report.named.iter().map(|(key, why)| json!({"profile": key.to_string(), "why": why}));
    json!({
        "profiles": report.profiles,
        "complete": report.complete,
        "filled": report.filled,
        "events": report.events,
        "partial": {"profiles": report.partial, "events": report.missing},
        "left": report.left,
        "named": named.collect::<Vec<Value>>(),
        "republished": report.republished,
        "looked": {
            "profiles": looked.profiles, "asked": looked.asked, "unreadable": passed_over(&looked.passed_over),
        },
        "ms": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
    })
}

fn tell_looked(screen: &Screen, looked: &Looked) {
    let text = match looked.asked {
        0 => "No published segment or signal is new to any profile.".to_owned(),
        n => format!(
            "{n} profiles that a published segment or signal is new to are being looked at: who belongs in the \
             segment will be in it within a minute or two, and silence is timed from now on."
        ),
    };
    screen.line(&text);
    tell_passed_over(screen, &looked.passed_over);
}

/// Those that could not be read, for programs.
pub(crate) fn passed_over(passed_over: &PassedOver) -> Value {
    let named = passed_over.named.iter();
    let named = named.map(|one| json!({"profile": one.identity.to_string(), "why": one.why}));
    json!({"profiles": passed_over.profiles, "named": named.collect::<Vec<Value>>()})
}

/// Says which profiles could not be read, where there are any.
pub(crate) fn tell_passed_over(screen: &Screen, passed_over: &PassedOver) {
    if passed_over.profiles == 0 {
        return;
    }
    let text = format!("{} profiles cannot be read and are left out:", passed_over.profiles);
    screen.line(&screen.paint(Style::Bad, &text));
    for one in &passed_over.named {
        screen.line(&screen.paint(Style::Faint, &format!("  {}  {}", one.identity, one.why)));
    }
}

fn tell(screen: &Screen, report: &Report, took: Duration) {
    let done = if report.left.is_empty() { Style::Good } else { Style::Warn };
    screen.line(&format!(
        "{} {} profiles: {} lacked nothing, {} were filled from {} events ({} profiles a second).",
        screen.paint(done, "Done."),
        report.profiles,
        report.complete,
        report.filled,
        report.events,
        per_second(report.profiles, took),
    ));
    if report.partial > 0 {
        screen.line(&format!(
            "{} of them have {} events that their timelines no longer keep (400 days): traits without a window lack \
             these, and say so (the fact computed.partial).",
            report.partial, report.missing
        ));
    }
    for (why, count) in &report.left {
        screen.line(&format!("{} {count}: {why}", screen.paint(Style::Bad, "left as they were:")));
    }
    for (key, why) in &report.named {
        screen.line(&screen.paint(Style::Faint, &format!("  {key}  {why}")));
    }
    if !report.left.is_empty() {
        screen.line("Run it again in a few minutes: what was filled is passed over.");
    }
    if report.republished {
        screen.line(
            "The workspace was published meanwhile: run it again for what it computes and asks now.",
        );
    }
}
