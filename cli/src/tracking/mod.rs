//! `odyssey plan`: which events arrive, with which properties, and what of it is not as planned.

mod report;

pub(crate) use report::minute;
pub use report::{EventPart, PropertyPart, Report, ViolationPart, sentence};

use crate::args::PlanArgs;
use crate::screen::{Screen, Style};
use crate::{Exit, Failure, stack};
use odyssey_domain::catalog::Catalog;
use odyssey_domain::plan::{Declared, Inferred};
use odyssey_flows::catalog::current_key;
use odyssey_flows::observe_plan;
use odyssey_flows::ports::{Consistency, Table, Tables};
use odyssey_flows::stored::{self, StoredError};

/// Runs the command.
///
/// # Errors
/// Where the workspace's table cannot be read.
pub async fn run(screen: &Screen, args: &PlanArgs) -> Result<Exit, Failure> {
    let connection = stack::connect(&args.stack, &[Table::Workspace])?;
    let failed = |error| Failure::Stack(format!("{}: {error}", connection.name));
    let (inferred, declared) = read(&connection.tables()).await.map_err(failed)?;
    if args.yaml {
        screen.line(inferred.draft().to_yaml().trim_end());
        return Ok(Exit::Right);
    }
    let report = Report::new(&inferred, &declared, connection.now());
    if args.json {
        let json = serde_json::to_string(&report).map_err(|error| failed_json(&error))?;
        screen.line(&json);
        return Ok(Exit::Right);
    }
    screen.line(&screen.paint(Style::Faint, &format!("read from {}", connection.name)));
    for line in lines(screen, &report) {
        screen.line(&line);
    }
    Ok(Exit::Right)
}

fn failed_json(error: &serde_json::Error) -> Failure {
    Failure::Stack(format!("the plan is not JSON: {error}"))
}

/// What a stack inferred, and what its published workspace declares.
///
/// # Errors
/// Where the workspace's table cannot be read.
pub async fn read(tables: &impl Tables) -> Result<(Inferred, Declared), StoredError> {
    let inferred = observe_plan::inferred(tables).await?;
    let catalog = stored::load::<Catalog>(tables, current_key(), Consistency::Eventual).await?;
    Ok((inferred, catalog.map(|found| found.item.plan).unwrap_or_default()))
}

/// The report as it is read in a terminal.
#[must_use]
pub fn lines(screen: &Screen, report: &Report) -> Vec<String> {
    let mut out = Vec::new();
    for event in &report.events {
        event_lines(screen, event, report.planned, &mut out);
    }
    if report.trimmed > 0 {
        out.push(format!(
            "{} events more had names that were no names, or beyond the limit of {}.",
            report.trimmed,
            odyssey_domain::plan::EVENTS_MAX
        ));
    }
    let verdict = match (report.events.is_empty(), report.planned, report.violations()) {
        (true, ..) => "No event has arrived yet, and none is planned.".to_owned(),
        (_, false, _) => "No plan is declared, so nothing was compared. To start from what arrives: \
                          cargo odyssey plan --yaml > plan.yaml, beside workspace.yaml; then publish."
            .to_owned(),
        (_, true, (0, _)) => screen.paint(Style::Good, "Everything that arrives is as planned."),
        (_, true, (kinds, times)) => {
            let (one, many) = ("thing is", "things are");
            let text = format!(
                "{kinds} {} not as planned, {times} times in all. The events are in their profiles all the same.",
                if kinds == 1 { one } else { many }
            );
            screen.paint(Style::Bad, &text)
        }
    };
    out.push(verdict);
    out
}

fn event_lines(screen: &Screen, event: &EventPart, any_plan: bool, out: &mut Vec<String>) {
    let name = screen.paint(Style::Strong, &event.event);
    let place = match (event.planned, any_plan) {
        (true, _) => "planned",
        (false, true) => "not planned",
        (false, false) => "",
    };
    let seen = match &event.last {
        None => screen.paint(Style::Warn, "never seen"),
        Some(last) => {
            let sources: Vec<&str> = event.sources.keys().map(String::as_str).collect();
            let last = minute(last);
            let first = event.first.as_deref().map(minute).unwrap_or_default();
            format!(
                "{} seen, {:.1} a day, first {first}, last {last}, from {}",
                event.count,
                event.per_day,
                sources.join(", ")
            )
        }
    };
    let place = if place.is_empty() { String::new() } else { format!(" · {place}") };
    out.push(format!("{name}  {seen}{}", screen.paint(Style::Faint, &place)));
    if let Some(description) = &event.description {
        out.push(screen.paint(Style::Faint, &format!("  {description}")));
    }
    if let Some(meant) = event.meant {
        let text = format!("  probably the Spec's `{meant}`: under this name it feeds no fact");
        out.push(screen.paint(Style::Warn, &text));
    }
    let wide = event.properties.iter().map(|part| part.property.chars().count()).max();
    let wide = wide.unwrap_or(0).min(32);
    for part in &event.properties {
        out.push(property_line(screen, part, wide));
    }
    if event.trimmed > 0 {
        out.push(format!("  {} times another property, beyond the limit", event.trimmed));
    }
    for violation in &event.violations {
        let about = violation.property.as_ref().map(|name| format!("{name}: "));
        let what = format!("  ✗ {}{}", about.unwrap_or_default(), violation.what);
        out.push(format!("{}, {}", screen.paint(Style::Bad, &what), sentence(violation)));
    }
}

fn property_line(screen: &Screen, part: &PropertyPart, wide: usize) -> String {
    let types: Vec<&str> = part.types.keys().copied().collect();
    let types = if types.is_empty() { "never seen".to_owned() } else { types.join(" or ") };
    let percent = part.percent.map_or_else(String::new, |percent| format!("{percent} %"));
    let planned = part.planned.as_ref().map(|planned| format!("planned: {planned}"));
    let line = format!(
        "  {:<wide$}  {types:<14}  {percent:>5}  {:<23}  {}",
        part.property,
        part.days(),
        screen.paint(Style::Faint, &planned.unwrap_or_default())
    );
    line.trim_end().to_owned()
}
