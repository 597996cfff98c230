//! A counterexample, as a person reads it.

use crate::machine::{Action, Fate, Fault};
use crate::properties::Violation;
use crate::protocol::Protocol;
use crate::search::Counterexample;
use crate::world::{Call, World};
use std::fmt::Write as _;

/// One line for each thing that happens, and what it changed.
pub(crate) fn tell(protocol: &dyn Protocol, found: &Counterexample, begin: World) -> String {
    let mut text = String::new();
    let mut before = begin;
    for (n, (action, after)) in (1..).zip(&found.trace) {
        let line = happened(protocol, *action, &before);
        let changes = changes(&before, after);
        writeln!(text, "{n:>4}  {line:<66} {changes}").unwrap();
        before = *after;
    }
    let text = text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    format!("{text}\n      => {}\n", broken(found.violation))
}

fn happened(protocol: &dyn Protocol, action: Action, before: &World) -> String {
    match action {
        Action::Step(who, fault) => {
            let call = before.delivery(who).unwrap().next;
            let what = protocol.says(call);
            let ses = call == Call::AskSes;
            let fault = match fault {
                Fault::None => "",
                Fault::Error if ses => ": FAULT, not reached or 429",
                Fault::Error => ": FAULT, an error",
                Fault::AnswerLost => ": FAULT, done, the answer is lost",
                Fault::CrashBefore => ": FAULT, it dies before",
                Fault::CrashAfter => ": FAULT, it dies after",
                Fault::Refused => ": FAULT, refused for good",
                Fault::TimedOut => ": FAULT, timed out without effect",
                Fault::OldLedger(_) => ": FAULT, and finds an older state",
                Fault::OldConsent(_) => ": FAULT, on an older consent",
            };
            format!("{who:?} {what}{fault}")
        }
        Action::Deliver { to, fault: false } => format!("the queue delivers to {to:?}"),
        Action::Deliver { to, fault: true } => {
            format!("FAULT, the visibility runs out: the queue delivers to {to:?}")
        }
        Action::Undelete => "FAULT, the queue forgets that it was acknowledged".to_owned(),
        Action::Clock { fault: false } => "SENDING passes its limit".to_owned(),
        Action::Clock { fault: true } => {
            "FAULT, SENDING passes its limit while its owner is at it".to_owned()
        }
        Action::Report(event, Fate::Arrives) => format!("SES's {event:?} event arrives"),
        Action::Report(event, Fate::Doubled) => {
            format!("FAULT, SES's {event:?} event arrives and will again")
        }
        Action::Report(event, Fate::ReadOld) => {
            format!("FAULT, SES's {event:?} event finds an older state")
        }
        Action::Report(event, Fate::Missing) => format!("FAULT, SES's {event:?} event is lost"),
        Action::Withdraw => "the customer withdraws consent".to_owned(),
        Action::GrantAgain => "the customer consents again".to_owned(),
        Action::ChangeContact => "others change the contact".to_owned(),
    }
}

fn changes(before: &World, after: &World) -> String {
    let mut changes = Vec::new();
    if let Some(item) = after.ledger {
        let stage = format!("{:?}", item.stage).to_uppercase();
        let same_stage = before.ledger.is_some_and(|before| before.stage == item.stage);
        let same_owner = before.ledger.is_some_and(|before| before.owner == item.owner);
        match item.owner {
            Some(owner) if !same_owner => changes.push(format!("{stage} by {owner:?}")),
            _ if !same_stage => changes.push(stage),
            _ => {}
        }
    }
    if before.counted != after.counted {
        changes.push(if after.counted { "counted" } else { "not counted" }.to_owned());
    }
    if before.accepted != after.accepted {
        changes.push(if after.accepted > 1 { "ACCEPTED AGAIN" } else { "accepted" }.to_owned());
    }
    changes.join(", ")
}

fn broken(violation: Violation) -> &'static str {
    match violation {
        Violation::Twice => "SES accepted it twice",
        Violation::WithoutConsent => "SES accepted it on a claim made after the withdrawal",
        Violation::Uncounted => "SES accepted it, and the contact does not count it",
        Violation::Lost => "SES never accepted it, and nobody can see that",
        Violation::Untrue => "the ledger contradicts what SES did",
        Violation::Open => "SES accepted it, and the ledger never comes to an end",
        Violation::Unsettled => "it stays UNCONFIRMED although SES's event arrived",
        Violation::Overcounted => "the contact counts what did not go out",
    }
}
