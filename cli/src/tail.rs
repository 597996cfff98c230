//! `odyssey tail`: the running local stack's feed, readable.

use crate::args::TailArgs;
use crate::http::Http;
use crate::screen::{Screen, Style};
use crate::{Exit, Failure, stack};
use odyssey_domain::time::Stamp;
use serde_json::Value;

/// The feed's path; `?detail=everything` for all of it.
pub const FEED_PATH: &str = "/_odyssey/feed";

/// Runs the command until the stack stops or the pipe is closed.
///
/// # Errors
/// Where no local stack runs.
pub async fn run(screen: &Screen, args: &TailArgs) -> Result<Exit, Failure> {
    let local = stack::read_local(&stack::local_file())?;
    let detail = if args.verbose { "?detail=everything" } else { "" };
    let url = format!("{}{FEED_PATH}{detail}", local.url);
    if !args.json {
        let name = screen.paint(Style::Name, &local.url);
        screen.error(&format!("the local stack at {name}; times are customer time (UTC)"));
    }
    let told = Http::new()
        .lines(&url, |line| {
            if args.json {
                screen.line(line);
            } else if let Ok(value) = serde_json::from_str::<Value>(line) {
                screen.line(&shown(screen, &value));
            }
            true
        })
        .await;
    told.map_err(|error| {
        Failure::Stack(format!("{error}; is it still running? `cargo odyssey local` starts one"))
    })?;
    screen.error("the stack has stopped");
    Ok(Exit::Right)
}

/// One line of the feed.
#[must_use]
pub fn shown(screen: &Screen, value: &Value) -> String {
    let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or("");
    let at = Stamp::parse(text("at")).map(crate::explain::clock).unwrap_or_default();
    let style = match text("kind") {
        "mailed" | "consent" => Style::Good,
        "signal" | "asked" | "deferred" => Style::Name,
        "denied" | "fault" | "unknown" | "dead_letter" => Style::Bad,
        "events" | "consent_requested" | "feedback" | "ses" => Style::Plain,
        _ => Style::Faint,
    };
    let kind = format!("{:<18}", text("kind"));
    format!(
        "{} {} {}",
        screen.paint(Style::Faint, &at),
        screen.paint(Style::Faint, &kind),
        screen.paint(style, text("text"))
    )
}
