//! `odyssey unconfirmed`: sends whose outcome nobody knows, and what became of them after all.

use crate::args::{SettleArgs, Unconfirmed, UnconfirmedArgs, UnconfirmedListArgs};
use crate::explain::clock;
use crate::screen::{Screen, Style};
use crate::{Exit, Failure, stack};
use odyssey_domain::ids::SendId;
use odyssey_domain::message::{LedgerItem, SendState, Verdict};
use odyssey_domain::time::{Span, Stamp};
use odyssey_flows::ledger;
use odyssey_flows::ports::Table;
use odyssey_flows::settle_unconfirmed::{SettleError, settle as settle_one};
use serde_json::{Value, json};

/// How long SES's own event is waited for before a send is the operator's to look up.
const OVERDUE: Span = Span::HOUR;

/// Runs the command.
///
/// # Errors
/// Where the ledger cannot be read or written.
pub async fn run(screen: &Screen, args: &UnconfirmedArgs) -> Result<Exit, Failure> {
    match &args.what {
        Unconfirmed::List(args) => list(screen, args).await,
        Unconfirmed::Settle(args) => settle(screen, args).await,
    }
}

fn since(item: &LedgerItem) -> Stamp {
    match item.state {
        SendState::Unconfirmed { since } => since,
        _ => item.at,
    }
}

async fn list(screen: &Screen, args: &UnconfirmedListArgs) -> Result<Exit, Failure> {
    let connection = stack::connect(&args.stack, &[Table::Ledger])?;
    let found = ledger::unconfirmed(&connection.tables(), args.limit)
        .await
        .map_err(|error| Failure::Stack(format!("{}: {error}", connection.name)))?;
    let now = connection.now();
    if args.json {
        let all: Vec<Value> = found.iter().map(|item| as_json(item, now)).collect();
        screen.line(&Value::Array(all).to_string());
        return Ok(Exit::Right);
    }
    screen.line(&screen.paint(Style::Faint, &format!("read from {}", connection.name)));
    for item in &found {
        let age = now.since(since(item));
        let style = if age > OVERDUE { Style::Bad } else { Style::Warn };
        let by = item.asked_by.as_ref().map_or_else(
            || "confirmation".to_owned(),
            |(journey, step)| format!("{journey}/{step}"),
        );
        screen.line(&format!(
            "{}  {}  {}  {by}  mail {} under {}",
            screen.paint(Style::Name, &item.send.to_string()),
            clock(since(item)),
            screen.paint(style, &age.to_string()),
            item.mail,
            item.topic,
        ));
    }
    match found.iter().filter(|item| now.since(since(item)) > OVERDUE).count() {
        _ if found.is_empty() => screen.line("No send is unconfirmed."),
        0 => screen.line("SES's own event settles these, normally within minutes."),
        n => screen.line(&format!(
            "{n} older than {OVERDUE}: look them up in SES's message insights (the e-mail tag send_id), then \
             `cargo odyssey unconfirmed settle SEND_ID` with --sent SES_ID or --not-sent."
        )),
    }
    Ok(Exit::Right)
}

fn as_json(item: &LedgerItem, now: Stamp) -> Value {
    json!({
        "send": item.send.to_string(),
        "since": since(item).to_string(),
        "age_ms": now.since(since(item)).ms(),
        "journey": item.asked_by.as_ref().map(|(journey, _)| journey.to_string()),
        "step": item.asked_by.as_ref().map(|(_, step)| step.to_string()),
        "mail": item.mail.to_string(),
        "topic": item.topic.to_string(),
    })
}

async fn settle(screen: &Screen, args: &SettleArgs) -> Result<Exit, Failure> {
    let send: SendId = args.send.parse().map_err(|_| {
        Failure::Asked(format!("{}: expected a send's id, 32 hexadecimal digits", args.send))
    })?;
    let verdict = args.sent.clone().map_or(Verdict::NotSent, Verdict::Sent);
    let connection = stack::connect(&args.stack, &[Table::Ledger, Table::Contacts])?;
    let settled = settle_one(&connection.tables(), send, &verdict, connection.now()).await;
    match settled {
        Ok(item) => {
            screen.line(&format!(
                "send {send} is {} now, on {}",
                item.state.name(),
                connection.name
            ));
            Ok(Exit::Right)
        }
        Err(error @ (SettleError::Unknown(_) | SettleError::Known { .. })) => {
            Err(Failure::Asked(error.to_string()))
        }
        Err(error) => Err(Failure::Stack(format!("{}: {error}", connection.name))),
    }
}
