//! `odyssey check`: every mistake of a workspace, and nothing else.

use crate::args::CheckArgs;
use crate::publish::build::{Built, build};
use crate::publish::directory;
use crate::screen::{Screen, Style};
use crate::{Exit, Failure};
use odyssey_domain::time::Stamp;
use odyssey_domain::workspace::Fault;
use serde_json::{Value, json};

/// Runs the command.
///
/// # Errors
/// Where the folder is no workspace or cannot be read.
pub fn run(screen: &Screen, args: &CheckArgs) -> Result<Exit, Failure> {
    let files = directory::read(&args.workspace)?;
    let built = build(&files, Stamp::MIN);
    if args.json {
        let (faults, warnings) = match &built {
            Ok(built) => (&[][..], &built.warnings[..]),
            Err(faults) => (&faults[..], &[][..]),
        };
        let list = |faults: &[Fault]| faults.iter().map(fault_json).collect::<Vec<_>>();
        let report = json!({
            "ok": built.is_ok(), "faults": list(faults), "warnings": list(warnings),
        });
        screen.line(&report.to_string());
        return Ok(if built.is_ok() { Exit::Right } else { Exit::Wrong });
    }
    let built = match built {
        Ok(built) => built,
        Err(faults) => {
            tell_faults(screen, &args.workspace.display().to_string(), &faults);
            return Ok(Exit::Wrong);
        }
    };
    tell_warnings(screen, &built.warnings);
    if let Some(folder) = &args.render {
        write_samples(screen, folder, &built)?;
    }
    let workspace = &built.workspace;
    let live = workspace
        .journeys
        .values()
        .filter(|file| file.state == odyssey_domain::catalog::JourneyState::Live)
        .count();
    let text = format!(
        "{} {}: {} journeys ({live} live), {} segments, {} mails, {} topics. Nothing was sent anywhere.",
        screen.paint(Style::Good, "ok"),
        args.workspace.display(),
        workspace.journeys.len(),
        workspace.segments.len(),
        workspace.mails.len(),
        workspace.settings.topics.len(),
    );
    screen.line(&text);
    Ok(Exit::Right)
}

/// Each mistake on a line that editors and terminals make clickable.
pub(crate) fn tell_faults(screen: &Screen, folder: &str, faults: &[Fault]) {
    for fault in faults {
        let place = format!("{}:{}:{}", fault.file, fault.place.line, fault.place.column);
        let place = match folder {
            "." => place,
            folder => format!("{}/{place}", folder.trim_end_matches('/')),
        };
        screen.error(&screen.paint(Style::Strong, &place));
        screen.error(&format!("  found    {}", fault.found));
        screen.error(&format!("  expected {}", fault.expected));
        if let Some(hint) = &fault.hint {
            screen.error(&format!("  {}", screen.paint(Style::Name, hint)));
        }
    }
    let count = match faults.len() {
        1 => "1 mistake".to_owned(),
        n => format!("{n} mistakes"),
    };
    screen.error(&screen.paint(Style::Bad, &count));
}

/// Each warning on one line.
pub(crate) fn tell_warnings(screen: &Screen, warnings: &[Fault]) {
    for warning in warnings {
        screen.line(&format!("{} {warning}", screen.paint(Style::Warn, "note")));
    }
}

fn fault_json(fault: &Fault) -> Value {
    json!({
        "file": fault.file, "line": fault.place.line, "column": fault.place.column,
        "found": fault.found, "expected": fault.expected, "hint": fault.hint,
    })
}

fn write_samples(screen: &Screen, folder: &std::path::Path, built: &Built) -> Result<(), Failure> {
    let failed = |cause| Failure::File { path: folder.to_owned(), cause };
    std::fs::create_dir_all(folder).map_err(failed)?;
    for (id, rendered) in &built.samples {
        std::fs::write(folder.join(format!("{id}.html")), &rendered.html).map_err(failed)?;
        let text = format!("Subject: {}\n\n{}", rendered.subject, rendered.text);
        std::fs::write(folder.join(format!("{id}.txt")), text).map_err(failed)?;
    }
    screen.line(&format!("{} mails in {}", built.samples.len(), folder.display()));
    Ok(())
}
