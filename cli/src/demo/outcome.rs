//! Holding what came of the day to what the journeys say.

use super::day::{Day, Shopper};
use super::story::Tally;
use crate::Failure;
use crate::dossier::{Dossier, Send, gather};
use crate::screen::{Screen, Style};
use odyssey_domain::keyring::Keyring;
use odyssey_domain::personal::EmailAddress;
use odyssey_local::Stack;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// One shopper's outcome beside what it should be.
#[derive(Debug)]
pub(super) struct Judged {
    who: String,
    story: String,
    mails: Vec<String>,
    skips: Vec<(String, String)>,
    journeys: BTreeMap<String, String>,
    /// What is not as it should be.
    faults: Vec<String>,
}

impl Judged {
    pub(super) fn is_right(&self) -> bool {
        self.faults.is_empty()
    }
}

/// Reads every shopper's part of the tables and compares.
pub(super) async fn judge(
    stack: &Stack,
    keys: &Keyring,
    day: &Day,
) -> Result<Vec<Judged>, Failure> {
    let tables = stack.tables();
    let mut judged = Vec::new();
    for (who, shopper) in &day.expected.shoppers {
        let address = EmailAddress::parse(&shopper.email)
            .map_err(|error| Failure::Asked(format!("{who}: the address {error}")))?;
        let dossier = gather(&tables, keys, &address, stack.now())
            .await
            .map_err(|error| Failure::Stack(error.to_string()))?;
        let in_mailbox = stack.mailbox().to(address.expose()).len();
        judged.push(compare(who, shopper, &dossier, in_mailbox));
    }
    Ok(judged)
}

fn compare(who: &str, shopper: &Shopper, dossier: &Dossier, in_mailbox: usize) -> Judged {
    let enrollments: Vec<_> =
        dossier.profiles.iter().flat_map(|profile| &profile.enrollments).collect();
    let mut sends: Vec<&Send> = dossier
        .confirmations
        .iter()
        .chain(enrollments.iter().flat_map(|enrollment| &enrollment.sends))
        .collect();
    sends.sort_by_key(|send| send.at);
    let mails: Vec<String> =
        sends.iter().filter(|s| s.state == "sent").map(|s| s.mail.clone()).collect();
    let skips: Vec<(String, String)> = sends
        .iter()
        .filter(|send| send.state != "sent")
        .map(|send| {
            let code = send.reasons.first().map_or(&send.state, |reason| &reason.code);
            (send.mail.clone(), code.clone())
        })
        .collect();
    let journeys: BTreeMap<String, String> = enrollments
        .iter()
        .map(|enrollment| {
            let ended = enrollment.ended.as_ref().map(|(how, _)| how.clone());
            (enrollment.journey.clone(), ended.unwrap_or_else(|| "inside".to_owned()))
        })
        .collect();
    let mut faults = Vec::new();
    let mut hold = |what: &str, found: String, expected: String| {
        if found != expected {
            faults.push(format!("{what}: found {found}, expected {expected}"));
        }
    };
    hold("mails", mails.join(", "), shopper.mails.join(", "));
    hold("mails in the mailbox", in_mailbox.to_string(), shopper.mails.len().to_string());
    hold("skips", pairs(&skips), pairs(&shopper.skips));
    hold("journeys", format!("{journeys:?}"), format!("{:?}", shopper.journeys));
    hold("enrollments", enrollments.len().to_string(), shopper.journeys.len().to_string());
    for send in sends.iter().filter(|send| send.state == "sent") {
        let wanted = shopper.delivery.get(&send.mail).map_or("delivered", String::as_str);
        let found = send.delivery.as_deref().unwrap_or("nothing");
        hold(&format!("delivery of {}", send.mail), found.to_owned(), wanted.to_owned());
    }
    Judged { who: who.to_owned(), story: shopper.story.clone(), mails, skips, journeys, faults }
}

fn pairs(pairs: &[(String, String)]) -> String {
    let list: Vec<String> = pairs.iter().map(|(mail, code)| format!("{mail} ({code})")).collect();
    list.join(", ")
}

/// A shopper's row: the lines of each cell.
fn cells(one: &Judged) -> [Vec<String>; 4] {
    let or_dash =
        |lines: Vec<String>| if lines.is_empty() { vec!["–".to_owned()] } else { lines };
    let skips = one.skips.iter().map(|(mail, code)| format!("{mail}: {code}")).collect();
    let journeys = one.journeys.iter().map(|(name, how)| format!("{name}: {how}")).collect();
    [
        vec![one.who.clone(), one.story.clone()],
        or_dash(one.mails.clone()),
        or_dash(skips),
        or_dash(journeys),
    ]
}

/// The table, the counts, what is wrong.
pub(super) fn tell(screen: &Screen, judged: &[Judged], tally: &Tally, mails: &Path) {
    let heads = ["shopper", "mails", "decided against", "journeys"];
    let rows: Vec<[Vec<String>; 4]> = judged.iter().map(cells).collect();
    let mut widths = heads.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            let longest = cell.iter().map(|line| line.chars().count()).max().unwrap_or(0);
            *width = (*width).max(longest);
        }
    }
    let line = |cells: [&str; 4]| {
        let padded: Vec<String> =
            cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        padded.join("  ").trim_end().to_owned()
    };
    screen.line("");
    screen.line(&screen.paint(Style::Strong, &format!("       {}", line(heads))));
    for (row, one) in rows.iter().zip(judged) {
        let (style, verdict) =
            if one.is_right() { (Style::Good, "right  ") } else { (Style::Bad, "wrong  ") };
        let height = row.iter().map(Vec::len).max().unwrap_or(0);
        for at in 0..height {
            let lead = if at == 0 { screen.paint(style, verdict) } else { " ".repeat(7) };
            let cells = row.each_ref().map(|cell| cell.get(at).map_or("", String::as_str));
            screen.line(&format!("{lead}{}", line(cells)));
        }
    }
    for one in judged {
        for fault in &one.faults {
            screen.line(&screen.paint(Style::Bad, &format!("{}: {fault}", one.who)));
        }
    }
    screen.line("");
    screen.line(&format!(
        "{} journey steps and {} silences went through the due index, {} steps through a queue's delay; {} bus events, {} invocations",
        tally.due_steps, tally.due_silences, tally.delayed, tally.events, tally.invocations
    ));
    screen.line(&format!("the mails are in {}", mails.display()));
    let right = judged.iter().filter(|one| one.is_right()).count();
    let text = format!("{right} of {} shoppers got exactly what the journeys say", judged.len());
    let style = if right == judged.len() { Style::Good } else { Style::Bad };
    screen.line(&screen.paint(style, &text));
    for problem in &tally.problems {
        screen.line(&screen.paint(Style::Bad, &format!("problem: {problem}")));
    }
}

/// The outcome for machines.
pub(super) fn to_json(judged: &[Judged], tally: &Tally) -> Value {
    let shoppers: Vec<Value> = judged
        .iter()
        .map(|one| {
            json!({
                "shopper": one.who, "mails": one.mails, "skips": one.skips,
                "journeys": one.journeys, "right": one.is_right(), "faults": one.faults,
            })
        })
        .collect();
    json!({
        "right": judged.iter().all(Judged::is_right) && tally.problems.is_empty(),
        "shoppers": shoppers,
        "due_steps": tally.due_steps, "due_silences": tally.due_silences,
        "delayed_steps": tally.delayed, "bus_events": tally.events,
        "invocations": tally.invocations, "problems": tally.problems,
    })
}
