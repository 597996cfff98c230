//! `odyssey profile why`: why two ids are one customer, or why they are not.

use super::id::{Asked, read};
use crate::args::ProfileWhyArgs;
use crate::screen::{Screen, Style};
use crate::{Exit, Failure, stack};
use odyssey_flows::links::{Placed, Stands, place};
use odyssey_flows::ports::Table;
use serde_json::{Value, json};

/// Runs the command.
///
/// # Errors
/// Where an id is none, or the stack cannot be read.
pub(super) async fn run(screen: &Screen, args: &ProfileWhyArgs) -> Result<Exit, Failure> {
    let connection = stack::connect(&args.stack, &[Table::Profiles, Table::Timeline])?;
    let keys = connection.keyring().await?;
    let (one, other) = (read(&args.one, &keys)?, read(&args.other, &keys)?);
    let tables = connection.tables();
    let failed = |error| Failure::Stack(format!("{}: {error}", connection.name));
    let first = place(&tables, one.key).await.map_err(failed)?;
    let second = place(&tables, other.key).await.map_err(failed)?;
    let profiles = (first.profile(), second.profile());
    let same = profiles.0.is_some() && profiles.0 == profiles.1;
    if args.json {
        let json = json!({"same": same, "ids": [as_json(&one, &first), as_json(&other, &second)]});
        screen.line(&json.to_string());
        return Ok(Exit::Right);
    }
    screen.line(&screen.paint(Style::Faint, &format!("read from {}", connection.name)));
    screen.line(&match (same, profiles) {
        _ if one.key == other.key => "They are the same id.".to_owned(),
        (true, (Some(profile), _)) => format!(
            "{}, the profile {}, because:",
            screen.paint(Style::Strong, "They are one"),
            screen.paint(Style::Name, &profile.to_string())
        ),
        _ => format!("{}:", screen.paint(Style::Strong, "They are not one")),
    });
    tell(screen, &one, &first);
    if one.key != other.key {
        tell(screen, &other, &second);
    }
    Ok(Exit::Right)
}

/// Its kind: as it was given, else as its item or its link has it.
fn kind_of(asked: &Asked, placed: &Placed) -> String {
    let stored = match &placed.stands {
        Stands::Profile(kind) => kind.as_ref(),
        Stands::Linked(claimed) => claimed.kind.as_ref(),
        Stands::Nobody | Stands::Erased(_) => None,
    };
    let kind = asked.kind.as_ref().or(stored);
    kind.map_or_else(|| "profile".to_owned(), ToString::to_string)
}

fn tell(screen: &Screen, asked: &Asked, placed: &Placed) {
    screen.line(&format!(
        "  {}  ({})",
        screen.paint(Style::Name, &asked.text),
        kind_of(asked, placed)
    ));
    let say = |text: &str| screen.line(&format!("    {text}"));
    match &placed.stands {
        Stands::Nobody => say("is nobody's: no event was folded under it, and no user claimed it"),
        Stands::Erased(at) => say(&format!("was erased {at}")),
        Stands::Profile(_) => {
            say(&format!("is where the profile {} itself stands", placed.identity));
        }
        Stands::Linked(claimed) => {
            say(&format!("belongs to the profile {}", claimed.to));
            if let Some(claim) = claimed.claim {
                say(&format!("since the claim of {}", claim.at));
            }
            match (&claimed.event, claimed.event_name()) {
                (Some((source, event)), Some(name)) => {
                    say(&format!("by the event {} ({name}) through {}", event.id, source.name));
                }
                _ if claimed.claim.is_some() => {
                    say("by an event that the timeline does not hold any more");
                }
                _ => {}
            }
            say(if claimed.is_final {
                "for good: idle for 30 days, it was compacted into the profile, and no split takes it out"
            } else {
                "not final: an earlier claim takes it, and `cargo odyssey profile split` gives it back"
            });
        }
    }
}

fn as_json(asked: &Asked, placed: &Placed) -> Value {
    let mut json = json!({
        "id": asked.text,
        "kind": kind_of(asked, placed),
        "identity": placed.identity.to_string(),
        "profile": placed.profile().map(|profile| profile.to_string()),
    });
    let stands = match &placed.stands {
        Stands::Nobody => json!({"stands": "nobody"}),
        Stands::Erased(at) => json!({"stands": "erased", "erased": at.to_string()}),
        Stands::Profile(_) => json!({"stands": "profile"}),
        Stands::Linked(claimed) => json!({
            "stands": "linked",
            "claimed": claimed.claim.map(|claim| claim.at.to_string()),
            "event": claimed.event.as_ref().map(|(_, event)| event.id.clone()),
            "event_name": claimed.event_name(),
            "source": claimed.event.as_ref().map(|(source, _)| source.name.clone()),
            "final": claimed.is_final,
        }),
    };
    if let (Some(json), Value::Object(more)) = (json.as_object_mut(), stands) {
        json.extend(more);
    }
    json
}
