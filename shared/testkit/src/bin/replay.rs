//! A million events through the flows in memory: what `cargo odyssey bench replay` builds and runs.
//!
//! ```text
//! replay [--events N] [--customers N] [--per-request N] [--json]
//! ```

use odyssey_testkit::replay::{Figures, Replay, ReplayError, Shape};
use serde_json::{Value, json};
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How often progress is told.
const TOLD_EACH: Duration = Duration::from_secs(5);
/// Profiles whose whole history is read back at the end.
const HISTORIES: usize = 200;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str, default: u64| {
        let at = arguments.iter().position(|argument| argument == name);
        at.and_then(|at| arguments.get(at + 1)?.parse().ok()).unwrap_or(default)
    };
    let shape = Shape {
        events: number("--events", 1_000_000),
        customers: number("--customers", 100_000),
        per_request: number("--per-request", 10),
    };
    let json = arguments.iter().any(|argument| argument == "--json");
    match replay(shape, json) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "replay: {error}");
            ExitCode::FAILURE
        }
    }
}

fn replay(shape: Shape, as_json: bool) -> Result<(), ReplayError> {
    let begun = Instant::now();
    let mut replay = Replay::new(shape)?;
    let (mut told, mut sent) = (begun, 0);
    while replay.step()? {
        let now = Instant::now();
        if now.duration_since(told) >= TOLD_EACH {
            let rate = per_second(replay.sent() - sent, now.duration_since(told));
            tell(&replay, shape, rate);
            (told, sent) = (now, replay.sent());
        }
    }
    let took = begun.elapsed();
    // Before the check, which copies every row.
    let (peak, load) = (peak_bytes(), load_average());
    let rate = per_second(replay.sent(), took);
    let figures = replay.end(HISTORIES)?;
    let mut out = io::stdout();
    let text = if as_json {
        to_json(shape, &figures, rate, took, peak, load.as_ref()).to_string()
    } else {
        in_words(shape, &figures, rate, took, peak, load.as_ref())
    };
    let _ = writeln!(out, "{text}");
    Ok(())
}

fn per_second(events: u64, took: Duration) -> u64 {
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
    events.saturating_mul(1_000) / ms
}

fn tell(replay: &Replay, shape: Shape, rate: u64) {
    let percent = replay.sent().saturating_mul(100) / shape.events.max(1);
    let peak = peak_bytes().unwrap_or(0) / 1_000_000;
    let line =
        format!("{percent:>3} %  {:>9} events  {rate:>7} events/s  {peak} MB", replay.sent());
    let mut screen = io::stderr();
    let end = if screen.is_terminal() { "\r" } else { "\n" };
    let _ = write!(screen, "{line}{end}");
    let _ = screen.flush();
}

/// The most memory this process has had, where the system tells.
fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1_024)
}

fn load_average() -> Option<String> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    text.split(' ').next().map(str::to_owned)
}

fn to_json(
    shape: Shape,
    figures: &Figures,
    rate: u64,
    took: Duration,
    peak: Option<u64>,
    load: Option<&String>,
) -> Value {
    let stored: serde_json::Map<String, Value> = figures
        .stored
        .iter()
        .map(|(name, (rows, bytes))| ((*name).to_owned(), json!({"rows": rows, "bytes": bytes})))
        .collect();
    json!({
        "events": figures.sent, "customers": shape.customers, "per_request": shape.per_request,
        "requests": figures.requests, "seconds": took.as_secs_f64(), "events_per_second": rate,
        "peak_bytes": peak, "load_average": load, "folded": figures.folded,
        "duplicates": figures.duplicates, "signals": figures.signals, "timers": figures.woken,
        "stored": stored, "largest_profile_bytes": figures.largest, "histories_read": HISTORIES,
    })
}

fn in_words(
    shape: Shape,
    figures: &Figures,
    rate: u64,
    took: Duration,
    peak: Option<u64>,
    load: Option<&String>,
) -> String {
    let mut lines = vec![
        format!(
            "{} events of {} customers, {} to a request, in {:.1} s: {rate} events a second on one core",
            figures.sent,
            shape.customers,
            shape.per_request,
            took.as_secs_f64()
        ),
        format!(
            "  folded {}, known already {}, signals {}, timers {}; none lost, {HISTORIES} histories read back whole",
            figures.folded, figures.duplicates, figures.signals, figures.woken
        ),
    ];
    for (name, (rows, bytes)) in &figures.stored {
        let each = bytes.checked_div(*rows).unwrap_or(0);
        lines.push(format!("  {name}: {rows} rows, {} MB, {each} bytes each", bytes / 1_000_000));
    }
    lines.push(format!("  the largest profile has {} bytes", figures.largest));
    let peak =
        peak.map_or_else(|| "unknown".to_owned(), |bytes| format!("{} MB", bytes / 1_000_000));
    lines.push(format!(
        "  peak memory {peak}, everything stored in it included; load average {}",
        load.map_or("unknown", String::as_str)
    ));
    lines.join("\n")
}
