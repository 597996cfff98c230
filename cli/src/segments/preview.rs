//! `odyssey segments preview`: what a segment would hold, asked of a sample.

use crate::args::PreviewArgs;
use crate::publish::directory;
use crate::screen::{Screen, Style};
use crate::{Exit, Failure, backfill, stack};
use odyssey_domain::catalog::Catalog;
use odyssey_domain::segment::{LeafCount, Sample, Segment, SegmentName};
use odyssey_domain::time::Stamp;
use odyssey_domain::workspace::Workspace;
use odyssey_flows::ports::Table;
use odyssey_flows::segments::{Preview, preview};
use serde_json::json;
use std::path::Path;

/// Runs the command.
///
/// # Errors
/// Where there is no such segment, or the stack cannot be read.
pub(super) async fn run(screen: &Screen, args: &PreviewArgs) -> Result<Exit, Failure> {
    let connection =
        stack::connect(&args.stack, &[Table::Profiles, Table::Contacts, Table::Workspace])?;
    let tables = connection.tables();
    let mut catalog = connection.published().await?;
    let segment = if Path::new(&args.segment).extension().is_some() {
        of_file(&args.segment, &mut catalog)?
    } else {
        of_name(&args.segment, &catalog)?
    };
    let keyring = connection.keyring().await?;
    let computed = &catalog.computed_traits;
    let asked =
        preview(&tables, &keyring, computed, &segment, args.profiles, connection.now()).await;
    let Preview { sample, whole, passed_over } =
        asked.map_err(|error| Failure::Stack(format!("{}: {error}", connection.name)))?;
    if args.json {
        let mut json = as_json(&sample, whole);
        json["unreadable"] = backfill::passed_over(&passed_over);
        screen.line(&json.to_string());
        return Ok(Exit::Right);
    }
    screen.line(&screen.paint(Style::Faint, &format!("read from {}", connection.name)));
    tell(screen, &segment, &sample, whole);
    backfill::tell_passed_over(screen, &passed_over);
    Ok(Exit::Right)
}

fn of_name(name: &str, catalog: &Catalog) -> Result<Segment, Failure> {
    let known = SegmentName::parse(name).ok().and_then(|name| catalog.segments.get(&name));
    known.cloned().ok_or_else(|| {
        let names: Vec<&str> = catalog.segments.keys().map(SegmentName::as_str).collect();
        Failure::Asked(format!(
            "no segment `{name}` is published (there are: {}); name its file to preview one that is not",
            names.join(", ")
        ))
    })
}

/// A segment of a workspace's folder, which need not be published; with it what that workspace
/// computes, so that a segment over a new computed trait finds nobody rather than a wrong number.
fn of_file(file: &str, catalog: &mut Catalog) -> Result<Segment, Failure> {
    let path = Path::new(file);
    let folder = path.parent().and_then(Path::parent).filter(|folder| *folder != Path::new(""));
    let files = directory::read(folder.unwrap_or_else(|| Path::new(".")))?;
    let workspace = Workspace::read(&files).map_err(|faults| {
        let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
        Failure::Asked(told.join("\n"))
    })?;
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let name = SegmentName::parse(stem).ok();
    let found = name.and_then(|name| workspace.segments.get(&name));
    let found = found.ok_or_else(|| {
        Failure::Asked(format!("{file}: no segment: expected WORKSPACE/segments/NAME.yaml"))
    })?;
    let read = workspace.publish(Vec::new(), catalog.published).catalog;
    catalog.computed_traits = read.computed_traits;
    let segment = found.segment(catalog.published);
    // Of what is not watched yet nobody has the last match.
    let watched = catalog.watches_since(&segment).unwrap_or(Stamp::MAX);
    Ok(Segment { watched, ..segment })
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn tell(screen: &Screen, segment: &Segment, sample: &Sample<'_>, whole: bool) {
    let Some((share, low, high)) = sample.share() else {
        screen.line("There are no profiles to ask.");
        return;
    };
    let asked = if whole { "all" } else { "a sample of" };
    screen.line(&format!(
        "{}: {} of {asked} {} profiles",
        screen.paint(Style::Strong, &segment.title),
        sample.members,
        sample.profiles
    ));
    let bar = if whole {
        percent(share)
    } else {
        format!("{}, with 95 % confidence {} to {}", percent(share), percent(low), percent(high))
    };
    screen.line(&screen.paint(Style::Name, &bar));
    if sample.unknown > 0 {
        screen.line(&screen.paint(
            Style::Warn,
            &format!(
                "{} of them lack a computed trait, or what they did before such events were watched: they are \
                 counted as they answer without it, until the segment is published and `cargo odyssey backfill` was run",
                sample.unknown
            ),
        ));
    }
    screen.line(&format!("{:>9}  {:>12}  condition", "hold", "alone keeps"));
    screen.line(&format!("{:>9}  {:>12}", "", "out"));
    let of = |count: u32| percent(f64::from(count) / f64::from(sample.profiles));
    for LeafCount { asked, held, alone } in &sample.leaves {
        screen.line(&format!("{:>9}  {:>12}  {asked}", of(*held), of(*alone)));
    }
    if let Some(leaf) = sample.keeps_out() {
        screen.line(&format!("Most are kept out by: {}", screen.paint(Style::Warn, &leaf.asked)));
    }
}

fn as_json(sample: &Sample<'_>, whole: bool) -> serde_json::Value {
    let leaves: Vec<_> = sample
        .leaves
        .iter()
        .map(|leaf| json!({"asked": leaf.asked, "held": leaf.held, "alone_keeps_out": leaf.alone}))
        .collect();
    let share = sample
        .share()
        .map(|(share, low, high)| json!({"estimate": share, "low": low, "high": high}));
    json!({
        "profiles": sample.profiles, "whole": whole, "members": sample.members, "share": share,
        "unknown": sample.unknown,
        "conditions": leaves, "keeps_most_out": sample.keeps_out().map(|leaf| leaf.asked.clone()),
    })
}
