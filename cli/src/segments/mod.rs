//! `odyssey segments`: how many are in each, and previews.

mod preview;

use crate::args::{Segments, SegmentsArgs};
use crate::screen::{Screen, Style};
use crate::{Exit, Failure, stack};
use odyssey_domain::segment::SegmentName;
use odyssey_flows::ports::Table;
use odyssey_flows::segments;
use serde_json::{Value, json};

/// Runs the command.
///
/// # Errors
/// Where the stack cannot be read.
pub async fn run(screen: &Screen, args: &SegmentsArgs) -> Result<Exit, Failure> {
    match &args.what {
        Some(Segments::Preview(args)) => preview::run(screen, args).await,
        None => list(screen, args).await,
    }
}

async fn list(screen: &Screen, args: &SegmentsArgs) -> Result<Exit, Failure> {
    let connection = stack::connect(&args.stack, &[Table::Workspace])?;
    let tables = connection.tables();
    let catalog = connection.published().await?;
    let mut counted: Vec<(SegmentName, i64)> = Vec::new();
    for name in catalog.segments.keys() {
        let count = segments::count(&tables, *name).await;
        let failed = |error| Failure::Stack(format!("{}: {error}", connection.name));
        counted.push((*name, count.map_err(failed)?));
    }
    if args.json {
        let all: Vec<Value> = counted
            .iter()
            .filter_map(|(name, count)| {
                let segment = catalog.segments.get(name)?;
                Some(json!({
                    "name": name, "title": segment.title, "members": count,
                    "since": segment.since.to_string(), "when": segment.when.describe(),
                }))
            })
            .collect();
        screen.line(&Value::Array(all).to_string());
        return Ok(Exit::Right);
    }
    screen.line(&screen.paint(Style::Faint, &format!("read from {}", connection.name)));
    if counted.is_empty() {
        screen.line("No segment is published. Each is a file: segments/NAME.yaml.");
    }
    for (name, count) in counted {
        let Some(segment) = catalog.segments.get(&name) else { continue };
        screen.line(&format!(
            "{:>9}  {}  {}",
            count,
            screen.paint(Style::Name, &format!("{:<20}", name.as_str())),
            segment.title
        ));
        screen
            .line(&format!("           {}", screen.paint(Style::Faint, &segment.when.describe())));
    }
    Ok(Exit::Right)
}
