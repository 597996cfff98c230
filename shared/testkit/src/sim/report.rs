//! What a campaign came to, for people and as JSON.

use super::campaign::{Tally, all_signals};
use super::check::INVARIANTS;
use super::faults::{CallFault, Coverage, WireFault};
use super::mutants::Caught;
use super::ports::site;
use super::shrink::Shrunk;
use super::world::Outcome;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// Events of a shrunk log that are shown.
const LOG_SHOWN: usize = 400;
/// The longest line of a log, in characters.
const LINE_CHARS: usize = 400;

/// Why a pair of call site and fault may never meet.
fn why_zero(operation: crate::Operation, calls: u64) -> String {
    let why = match operation {
        crate::Operation::AddIds | crate::Operation::HaveIds => {
            "only a long history spills ids: eight seeds in a thousand have one"
        }
        crate::Operation::Park => "only what a refused call or a newer item parks gets there",
        _ => "few seeds come by, and most calls meet no fault",
    };
    format!("called {calls} times; {why}")
}

/// What a campaign came to, as JSON.
#[must_use]
pub fn json(tally: &Tally, seconds: f64, commit: &str) -> Value {
    let calls: Map<String, Value> =
        tally.coverage.by_kind().iter().map(|(k, n)| (k.name().to_owned(), (*n).into())).collect();
    let wires: Map<String, Value> =
        tally.coverage.wires.iter().map(|(k, n)| (k.name().to_owned(), (*n).into())).collect();
    let checked: Map<String, Value> =
        tally.checked.iter().map(|(k, n)| ((*k).to_owned(), (*n).into())).collect();
    let zeros: Vec<Value> = tally
        .coverage
        .zeros()
        .into_iter()
        .map(|(function, operation, fault, calls)| {
            json!({"function": function.name(), "call": site(operation), "fault": fault.name(),
                   "why": why_zero(operation, calls)})
        })
        .collect();
    let broken = |outcome: &Outcome| {
        let found = outcome.violation.as_ref()?;
        Some(json!({"seed": outcome.seed, "invariant": found.invariant, "found": found.text}))
    };
    let violations: Vec<Value> = tally.broken.iter().filter_map(broken).collect();
    json!({
        "commit": commit,
        "seeds": tally.seeds,
        "events": tally.events,
        "events_per_second": rate(tally.events, seconds),
        "seconds": seconds,
        "mails": tally.mails,
        "unconfirmed": tally.unconfirmed,
        "violations": violations,
        "unsteady_seed": tally.unsteady,
        "digest": format!("{:016x}", tally.digest),
        "call_sites": tally.coverage.sites.len(),
        "faults": {"calls": calls, "wires": wires},
        "conflicts": conflicts(&tally.coverage),
        "invariants": checked,
        "signals": tally.signals,
        "sites_without_a_fault": zeros,
    })
}

fn conflicts(coverage: &Coverage) -> u64 {
    coverage.sites.values().map(|site| site.conflicts).sum()
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate for people to read"
)]
fn rate(events: u64, seconds: f64) -> u64 {
    if seconds > 0.0 { (events as f64 / seconds) as u64 } else { 0 }
}

/// How many sends stay unconfirmed at the stated rates, by what was seen at `times` those of calls:
/// each took one fault, so that they are in proportion.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
pub fn unconfirmed(tally: &Tally, times: u64) -> String {
    let sends = tally.mails + tally.unconfirmed;
    let seen = tally.unconfirmed as f64 * 100_000.0 / sends.max(1) as f64;
    format!(
        "unconfirmed at {times} times the stated rates of calls: {} of {sends} sends, {seen:.1} in 100,000; at the stated rates {:.2} in 100,000\n",
        tally.unconfirmed,
        seen / times.max(1) as f64
    )
}

/// What a campaign came to, for people.
#[must_use]
pub fn text(tally: &Tally, seconds: f64) -> String {
    let mut out = String::new();
    let coverage = &tally.coverage;
    let kinds = coverage.by_kind();
    let _ = writeln!(out, "faults of calls ({} call sites)", coverage.sites.len());
    for fault in CallFault::ALL {
        let n = kinds.get(&fault).copied().unwrap_or(0);
        let _ = writeln!(out, "  {:<28} {n:>12}", fault.name());
    }
    let _ = writeln!(out, "  {:<28} {:>12}", "conditions that failed", conflicts(coverage));
    let _ = writeln!(out, "faults between calls");
    for fault in WireFault::ALL {
        let n = coverage.wires.get(&fault).copied().unwrap_or(0);
        let _ = writeln!(out, "  {:<28} {n:>12}", fault.name());
    }
    let _ = writeln!(out, "invariants, and how often each was checked");
    for (name, says) in INVARIANTS {
        let n = tally.checked.get(name).copied().unwrap_or(0);
        let _ = writeln!(out, "  {name:<26} {n:>12}  {says}");
    }
    let _ = writeln!(out, "signals, and how often each was raised");
    for name in all_signals() {
        let n = tally.signals.get(name).copied().unwrap_or(0);
        let _ = writeln!(out, "  {name:<26} {n:>12}");
    }
    let zeros = coverage.zeros();
    let _ = writeln!(out, "pairs of call site and fault that never met: {}", zeros.len());
    for (function, operation, fault, calls) in &zeros {
        let (call, why) = (site(*operation), why_zero(*operation, *calls));
        let _ = writeln!(out, "  {} {call}, {}: {why}", function.name(), fault.name());
    }
    let _ = writeln!(
        out,
        "{} seeds, {} events, {} a second, {} mails accepted, {} unconfirmed, digest {:016x}",
        tally.seeds,
        tally.events,
        rate(tally.events, seconds),
        tally.mails,
        tally.unconfirmed,
        tally.digest
    );
    out
}

/// What a seed has broken.
#[must_use]
pub fn violation(outcome: &Outcome, commit: &str) -> String {
    let seed = outcome.seed;
    outcome.violation.as_ref().map_or_else(String::new, |found| {
        format!("seed {seed} at commit {commit} breaks `{}`: {}\n", found.invariant, found.text)
    })
}

/// The shrunk event log of a violation.
#[must_use]
pub fn shrunk(shrunk: &Shrunk, commit: &str) -> String {
    let mut out = String::new();
    let outcome = &shrunk.outcome;
    let filter = &shrunk.filter;
    let _ = writeln!(
        out,
        "shrunk in {} runs to {} events: without actions {:?}, faults of calls {:?} and of wires {:?}, calls without fault from {:?} on",
        shrunk.runs,
        outcome.events,
        filter.actions_off,
        filter.calls_off,
        filter.wires_off,
        filter.calls_until,
    );
    let skip = outcome.log.len().saturating_sub(LOG_SHOWN);
    for line in outcome.log.iter().skip(skip) {
        let line: String = line.chars().take(LINE_CHARS).collect();
        let _ = writeln!(out, "{line}");
    }
    // What the smallest run breaks may be said in other words.
    out.push_str(&violation(outcome, commit));
    let _ = writeln!(out, "step by step: cargo odyssey sim --seed {} --trace", outcome.seed);
    out
}

/// The median of the seeds that were needed, of those that were caught.
fn median(raised: &[Caught]) -> u64 {
    let mut seeds: Vec<u64> =
        raised.iter().filter_map(|caught| caught.by.as_ref().map(|(_, seeds)| *seeds)).collect();
    seeds.sort_unstable();
    seeds.get(seeds.len() / 2).copied().unwrap_or(0)
}

/// What became of the mutants, as JSON.
#[must_use]
pub fn mutants_json(raised: &[Caught], seconds: f64) -> Value {
    let each = raised.iter().map(|caught| {
        let by = caught.by.as_ref();
        json!({
            "mutant": caught.mutant.name,
            "breaks": caught.mutant.breaks,
            "expected": caught.mutant.caught_by,
            "invariant": by.map(|(invariant, _)| invariant),
            "seeds": by.map(|(_, seeds)| seeds),
        })
    });
    let each: Vec<Value> = each.collect();
    json!({
        "planted": raised.len(),
        "caught": raised.iter().filter(|caught| caught.by.is_some()).count(),
        "median_seeds": median(raised),
        "seconds": seconds,
        "mutants": each,
    })
}

/// What became of the mutants, for people.
#[must_use]
pub fn mutants_text(raised: &[Caught], seconds: f64) -> String {
    let mut out = String::new();
    for Caught { mutant, by } in raised {
        let told = match by {
            Some((invariant, seeds)) if *invariant == mutant.caught_by => {
                format!("{invariant}, {seeds} seeds")
            }
            Some((invariant, seeds)) => {
                format!("{invariant}, {seeds} seeds (expected {})", mutant.caught_by)
            }
            None => format!("NOT CAUGHT (expected {})", mutant.caught_by),
        };
        let _ = writeln!(out, "{:<42} {told}", mutant.name);
    }
    let caught = raised.iter().filter(|caught| caught.by.is_some()).count();
    let _ = writeln!(
        out,
        "{caught} caught of {} planted, after {} seeds in the median, {seconds:.0} s",
        raised.len(),
        median(raised)
    );
    out
}
