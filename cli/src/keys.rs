//! `odyssey keys`: the write keys of the published sources.

use crate::args::KeysArgs;
use crate::screen::{Screen, Style};
use crate::{Exit, Failure, stack};
use odyssey_domain::wire::SourceKind;
use odyssey_flows::ports::Table;
use serde_json::{Value, json};

/// Runs the command.
///
/// # Errors
/// Where the stack or its secret cannot be read, or nothing is published.
pub async fn run(screen: &Screen, args: &KeysArgs) -> Result<Exit, Failure> {
    let connection = stack::connect(&args.stack, &[Table::Workspace])?;
    let catalog = connection.published().await?;
    let keyring = connection.keyring().await?;
    let keys = catalog.sources.iter().map(|(name, source)| {
        (name, source.kind, keyring.write_key(name.as_str(), source.key_generation))
    });
    if args.json {
        let all: Vec<Value> = keys
            .map(|(name, kind, key)| json!({"source": name, "kind": kind, "write_key": key}))
            .collect();
        screen.line(&Value::Array(all).to_string());
        return Ok(Exit::Right);
    }
    screen.line(&screen.paint(Style::Faint, &format!("read from {}", connection.name)));
    for (name, kind, key) in keys {
        let who = match kind {
            SourceKind::Browser => "for pages: everybody may know it",
            SourceKind::Server => "for servers alone: keep it secret",
        };
        screen.line(&format!(
            "{}  {key}  {}",
            screen.paint(Style::Name, &format!("{:<12}", name.to_string())),
            screen.paint(Style::Faint, who)
        ));
    }
    Ok(Exit::Right)
}
