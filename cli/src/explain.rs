//! `odyssey explain`: what was decided about one customer, why, and what would change it.

use crate::args::ExplainArgs;
use crate::dossier::{Dossier, EnrollmentPart, Send, gather};
use crate::screen::{Screen, Style};
use crate::{Exit, Failure, stack};
use odyssey_domain::personal::EmailAddress;
use odyssey_domain::time::Stamp;
use odyssey_flows::ports::Table;
use std::fmt::Write as _;

/// Runs the command.
///
/// # Errors
/// Where the address is none, or the stack cannot be read.
pub async fn run(screen: &Screen, args: &ExplainArgs) -> Result<Exit, Failure> {
    let address = EmailAddress::parse(&args.email)
        .map_err(|error| Failure::Asked(format!("the address {error}: expected local@domain")))?;
    let used =
        [Table::Profiles, Table::Contacts, Table::Enrollments, Table::Ledger, Table::Workspace];
    let connection = stack::connect(&args.stack, &used)?;
    let keys = connection.keyring().await?;
    let tables = connection.tables();
    let dossier = gather(&tables, &keys, &address, connection.now())
        .await
        .map_err(|error| Failure::Stack(format!("{}: {error}", connection.name)))?;
    if args.json {
        let json = serde_json::to_string(&dossier);
        screen.line(&json.map_err(|error| Failure::Stack(error.to_string()))?);
        return Ok(Exit::Right);
    }
    let name = screen.paint(Style::Faint, &format!("read from {}", connection.name));
    screen.line(&format!("{}  {name}", screen.paint(Style::Strong, address.expose())));
    tell(screen, &dossier);
    Ok(Exit::Right)
}

/// `Mon 08:55`, in UTC.
#[must_use]
pub fn clock(at: Stamp) -> String {
    let text = at.to_string();
    match (text.get(5..10), text.get(11..16)) {
        (Some(day), Some(time)) => format!("{day} {time}"),
        _ => text,
    }
}

fn tell(screen: &Screen, dossier: &Dossier) {
    let contact = &dossier.contact;
    let good = |text: &str| screen.paint(Style::Good, text);
    let bad = |text: &str| screen.paint(Style::Bad, text);
    let address = match (&contact.suppressed, contact.verified) {
        (Some((reason, at)), _) => bad(&format!("suppressed since {} ({reason})", clock(*at))),
        (None, Some(at)) => good(&format!("verified {}", clock(at))),
        (None, None) => bad("not verified"),
    };
    screen.line(&format!("  address  {address}"));
    for topic in &contact.topics {
        let mark = if topic.mailable { good("may be mailed") } else { bad("is not mailed") };
        screen.line(&format!("  topic    {} {mark}: {}", topic.topic, topic.state));
        if !topic.remedy.is_empty() {
            screen.line(&format!("           → {}", topic.remedy));
        }
    }
    for send in &dossier.confirmations {
        tell_send(screen, "  asked   ", send);
    }
    if dossier.profiles.is_empty() {
        screen.line("  profile  none names this address");
        screen.line("           → identify the customer with a trait `email`");
    }
    for profile in &dossier.profiles {
        screen.line("");
        let facts: Vec<String> =
            profile.facts.iter().map(|(name, value)| format!("{name} {value}")).collect();
        screen.line(&format!(
            "  profile  {}  {}",
            profile.profile,
            screen.paint(Style::Faint, "all of it: cargo odyssey profile show with this id")
        ));
        screen.line(&format!("           {}", screen.paint(Style::Faint, &facts.join(" · "))));
        for signal in &profile.signals {
            screen.line(&format!(
                "  signal   {} {} at {}, since {}",
                signal.rule,
                signal.outcome,
                clock(signal.at),
                clock(signal.since),
            ));
        }
        if profile.enrollments.is_empty() {
            screen.line("  journey  in none: no trigger of a live journey has happened");
        }
        for enrollment in &profile.enrollments {
            tell_enrollment(screen, enrollment);
        }
    }
}

pub(crate) fn tell_enrollment(screen: &Screen, enrollment: &EnrollmentPart) {
    let state = match &enrollment.ended {
        Some((how, at)) => format!("ended {} ({how}) at step {}", clock(*at), enrollment.step),
        None => format!("at step {}", enrollment.step),
    };
    screen.line(&format!(
        "  journey  {} since {}: {state}",
        screen.paint(Style::Name, &enrollment.journey),
        clock(enrollment.entered),
    ));
    screen.line(&format!(
        "           because {} at {}",
        enrollment.trigger,
        clock(enrollment.started)
    ));
    if let Some(waits_for) = &enrollment.waits_for {
        let due = enrollment.due.map(|due| format!(" (until {})", clock(due))).unwrap_or_default();
        screen.line(&format!("           waits for {waits_for}{due}"));
    }
    for answer in &enrollment.conditions {
        let held = if answer.held { "yes" } else { "no" };
        screen.line(&format!("           asked {}: {held}, found {}", answer.asked, answer.found));
    }
    for send in &enrollment.sends {
        tell_send(screen, "           ", send);
    }
}

fn tell_send(screen: &Screen, lead: &str, send: &Send) {
    let style = match send.state.as_str() {
        "sent" => Style::Good,
        "skipped" | "failed" => Style::Bad,
        _ => Style::Warn,
    };
    let mut line = format!(
        "{lead}{} {} under {} at {}",
        screen.paint(style, &send.state),
        send.mail,
        send.topic,
        clock(send.at)
    );
    // Writing to a String cannot fail.
    if let Some(until) = send.until {
        let _ = write!(line, ", decided again at {}", clock(until));
    }
    if let Some(waited) = &send.waited {
        let _ = write!(line, ", put off since {waited}");
    }
    if let Some(consent) = &send.consent {
        let _ = write!(line, ", on consent {consent}");
    }
    if let Some(delivery) = &send.delivery {
        let _ = write!(line, ", {delivery}");
    }
    if let Some(ses) = &send.ses_id {
        let _ = write!(line, ", SES {ses}");
    }
    screen.line(&line);
    for reason in &send.reasons {
        screen.line(&format!("             {}: {}", reason.code, reason.found));
        screen.line(&format!("             → {}", reason.remedy));
    }
}
