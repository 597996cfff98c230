//! `odyssey profile split`: an id becomes a profile of its own again.

use super::id::read;
use crate::args::ProfileSplitArgs;
use crate::explain::clock;
use crate::screen::{Screen, Style};
use crate::{Exit, Failure, stack};
use odyssey_flows::links::{Split, SplitError, plan, split};
use odyssey_flows::ports::Table;
use serde_json::json;

/// What a split reads and writes.
const TABLES: [Table; 3] = [Table::Profiles, Table::Due, Table::Workspace];

/// Runs the command.
///
/// # Errors
/// Where the id is none or cannot be split, or the stack cannot be read or written.
pub(super) async fn run(screen: &Screen, args: &ProfileSplitArgs) -> Result<Exit, Failure> {
    let connection = stack::connect(&args.stack, &TABLES)?;
    let keys = connection.keyring().await?;
    let asked = read(&args.id, &keys)?;
    let (tables, now) = (connection.tables(), connection.now());
    let done = if args.yes {
        split(&tables, asked.key, now).await
    } else {
        plan(&tables, asked.key, now).await
    };
    let done = done.map_err(|error| match error {
        error if error.is_answer() => Failure::Asked(format!("{}: {error}", asked.text)),
        SplitError::Catalog(error) => Failure::Stack(format!("{}: {error}", connection.name)),
        error => Failure::Stack(format!("{}: {error}", connection.name)),
    })?;
    if args.json {
        screen.line(&as_json(&done, args.yes).to_string());
        return Ok(Exit::Right);
    }
    screen.line(&screen.paint(Style::Faint, &format!("on {}", connection.name)));
    tell(screen, &asked.text, &done, args.yes);
    Ok(Exit::Right)
}

fn tell(screen: &Screen, id: &str, done: &Split, written: bool) {
    let (leaves, becomes) = if written { ("left", "is") } else { ("would leave", "would be") };
    screen.line(&format!(
        "{}  ({}) {leaves} the profile {}, to which it was claimed {}",
        screen.paint(Style::Name, id),
        done.kind,
        done.from,
        clock(done.claim.at),
    ));
    screen.line(&format!("  and {becomes} the profile {}, with", done.identity));
    let when = done.seen.map_or_else(String::new, |seen| {
        format!(", from {} to {}", clock(seen.first), clock(seen.last))
    });
    screen.line(&format!("  events   {}{when}; the timeline stands where it stood", done.events));
    if let Some(due) = done.due {
        let due = clock(due);
        screen.line(&format!(
            "  signals  silences and segments of both are decided on anew at {due}"
        ));
    }
    screen.line("  Enrollments, messages and contacts stay with whoever has them.");
    screen.line(if written {
        "No claim links the two again."
    } else {
        "No claim would link the two again. --yes does it."
    });
}

fn as_json(done: &Split, written: bool) -> serde_json::Value {
    json!({
        "split": written,
        "profile": done.identity.to_string(),
        "kind": done.kind.to_string(),
        "from": done.from.to_string(),
        "claimed": done.claim.at.to_string(),
        "events": done.events,
        "first": done.seen.map(|seen| seen.first.to_string()),
        "last": done.seen.map(|seen| seen.last.to_string()),
        "due": done.due.map(|due| due.to_string()),
    })
}
