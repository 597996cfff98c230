//! A report as it is read in a terminal.

use super::report::{Behaviour, Report};
use super::tally::Standing;
use crate::customer::text::number;
use crate::screen::{Screen, Style};

/// Behaviours that are shown one by one.
const SHOWN_MAX: usize = 30;

/// The report, line by line.
#[must_use]
pub fn lines(screen: &Screen, report: &Report) -> Vec<String> {
    let mut out = Vec::new();
    head(screen, report, &mut out);
    behaviours(screen, report, &mut out);
    customers(screen, report, &mut out);
    folded(screen, report, &mut out);
    bad(screen, report, &mut out);
    out.push(String::new());
    out.push(screen.paint(Style::Strong, "What to do next"));
    for (at, text) in (1..).zip(&report.next) {
        out.push(format!("  {at}. {text}"));
    }
    out
}

fn title(screen: &Screen, text: &str, out: &mut Vec<String>) {
    out.push(String::new());
    out.push(screen.paint(Style::Strong, text));
}

fn head(screen: &Screen, report: &Report, out: &mut Vec<String>) {
    let day = |time: &Option<String>| {
        time.as_deref().and_then(|time| time.get(..10)).unwrap_or("?").to_owned()
    };
    let span = if report.events == 0 {
        String::new()
    } else {
        format!(", {} to {}", day(&report.from), day(&report.to))
    };
    out.push(format!(
        "{}: {} records, {} events of {} customers{span}",
        screen.paint(Style::Name, &report.file),
        number(report.records),
        number(report.events),
        number(report.customers.customers),
    ));
    if !report.columns.is_empty() {
        let columns: Vec<String> =
            report.columns.iter().map(|(role, name)| format!("{role} = {name}")).collect();
        out.push(format!("  columns: {}; the others are properties", columns.join(", ")));
    }
    if report.columns_beyond > 0 {
        out.push(format!(
            "  {} columns at the end were left out",
            number(report.columns_beyond as u64)
        ));
    }
    out.push(screen.paint(Style::Faint, "  Nothing was sent anywhere and nothing is kept."));
}

fn behaviours(screen: &Screen, report: &Report, out: &mut Vec<String>) {
    title(screen, "Behaviours", out);
    if report.behaviours.is_empty() {
        out.push("  none".to_owned());
    }
    let wide = report.behaviours.iter().take(SHOWN_MAX).map(|b| b.event.chars().count()).max();
    let wide = wide.unwrap_or(0).min(40);
    for behaviour in report.behaviours.iter().take(SHOWN_MAX) {
        let Behaviour { event, count, standing, rename_to } = behaviour;
        let worth = match (standing, rename_to) {
            (Standing::Call, _) => String::new(),
            (Standing::Spec, _) => screen.paint(Style::Good, "the Spec's"),
            (_, Some(name)) => screen.paint(Style::Warn, &format!("rename to `{name}`")),
            (_, None) => screen.paint(Style::Faint, "your own"),
        };
        out.push(
            format!("  {event:<wide$}  {:>11}  {worth}", number(*count)).trim_end().to_owned(),
        );
    }
    let more = report.behaviours.len().saturating_sub(SHOWN_MAX);
    if more > 0 {
        out.push(format!("  and {more} more; --json has all of them"));
    }
    if report.other_names > 0 {
        out.push(format!("  {} events with names that are no names", number(report.other_names)));
    }
}

fn customers(screen: &Screen, report: &Report, out: &mut Vec<String>) {
    let heads = report.customers;
    title(screen, "Customers", out);
    out.push(format!(
        "  {} in all: {} identified, {} known by a device alone",
        number(heads.customers),
        number(heads.identified),
        number(heads.customers - heads.identified)
    ));
    out.push(format!(
        "  {} reachable by e-mail, {} of them with a word about consent",
        number(heads.reachable),
        number(heads.consented)
    ));
    if report.beyond > 0 {
        out.push(format!(
            "  {} events of more ids than can be told apart are not counted here",
            number(report.beyond)
        ));
    }
}

fn folded(screen: &Screen, report: &Report, out: &mut Vec<String>) {
    let all = report.sampled >= report.customers.customers;
    let of = if all { "customers" } else { "customers of an even sample" };
    title(screen, &format!("Facts, of {} {of}", number(report.sampled)), out);
    let mut facts: Vec<(&String, &u64)> = report.facts.iter().collect();
    facts.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    let facts: Vec<String> =
        facts.iter().map(|(family, n)| format!("{family} {}", number(**n))).collect();
    out.push(format!("  {}", if facts.is_empty() { "none".to_owned() } else { facts.join(" · ") }));
    signals(screen, report, out);
    if !report.segments.is_empty() {
        title(screen, "Segments they are in by the end of the file", out);
    }
    for part in &report.segments {
        let why = part.unknown.as_deref().unwrap_or_default();
        out.push(counted(screen, &part.segment, (part.customers, None), why));
    }
    if !report.journeys.is_empty() {
        title(screen, "Journeys that would have taken them in", out);
    }
    for part in &report.journeys {
        let live = if part.live { "" } else { " (not live)" };
        let why = part.unknown.as_ref().or(part.missing.as_ref()).unwrap_or(&part.trigger);
        let name = format!("{}{live}", part.journey);
        out.push(counted(screen, &name, (part.customers, part.renamed), why));
    }
    for (what, n) in [
        ("events that came twice, and count once", report.duplicates),
        ("stamps corrected by when they were sent and received", report.corrected),
        ("customers with so many events that only the first of the file were folded", report.busy),
    ] {
        if n > 0 {
            out.push(screen.paint(Style::Faint, &format!("  {what}: {}", number(n))));
        }
    }
}

fn signals(screen: &Screen, report: &Report, out: &mut Vec<String>) {
    let groups = [
        (None, "Signals they would have raised by the end of the file"),
        (
            Some(true),
            "Signals of this workspace that they would have raised by the end of the file",
        ),
        (Some(false), "Signals that it could use as well"),
    ];
    for (in_use, heading) in groups {
        let parts = || report.signals.iter().filter(|part| part.in_use == in_use);
        if parts().next().is_some() {
            title(screen, heading, out);
        }
        for part in parts() {
            let name = format!("{} {}", part.signal, part.threshold);
            let missing = part.missing.as_deref().unwrap_or_default();
            out.push(counted(screen, &name, (Some(part.customers), part.renamed), missing));
        }
    }
}

/// How many customers have something, and why it is not more; a `?` where nobody knows.
fn counted(
    screen: &Screen,
    name: &str,
    (n, renamed): (Option<u64>, Option<u64>),
    what: &str,
) -> String {
    let n = n.map_or_else(|| "?".to_owned(), number);
    let renamed = renamed.map(|n| format!("{} once renamed; ", number(n))).unwrap_or_default();
    let what = format!("{renamed}{what}");
    let what = what.trim_end_matches("; ");
    let line = format!("  {name:<32} {n:>9}  {}", screen.paint(Style::Faint, what));
    line.trim_end().to_owned()
}

fn bad(screen: &Screen, report: &Report, out: &mut Vec<String>) {
    if report.bad > 0 {
        title(screen, &format!("What cannot be used: {}", number(report.bad)), out);
        for (reason, count) in &report.bad_by_reason {
            out.push(format!("  {:>9}  {reason}", number(*count)));
        }
        let first: Vec<String> = report.bad_lines.iter().map(|bad| bad.line.to_string()).collect();
        out.push(format!("  first on lines {}", first.join(", ")));
    }
    if let Some(broken) = &report.broken {
        out.push(screen.paint(
            Style::Bad,
            &format!("The file could not be read past line {}: {}. All that is said here is of what comes before.", broken.line, broken.reason),
        ));
    }
}
