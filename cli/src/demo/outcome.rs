//! Holding what came of a story to what the journeys say.

use super::evidence;
use super::story::{Customer, Story, Wanted};
use super::table::table;
use super::telling::{Heard, NOBODY, Tally};
use crate::Failure;
use crate::dossier::{Dossier, Send, gather};
use crate::screen::{Screen, Style};
use odyssey_domain::ids::IdentityKey;
use odyssey_domain::keyring::Keyring;
use odyssey_domain::personal::{EmailAddress, UserId};
use odyssey_flows::profiles::{self, Found};
use odyssey_local::Stack;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// One customer's outcome beside what it should be.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) who: String,
    pub(super) story: String,
    pub(super) signals: Vec<Heard>,
    pub(super) mails: Vec<String>,
    pub(super) skips: Vec<(String, String)>,
    pub(super) journeys: BTreeMap<String, String>,
    /// What is not as it should be.
    faults: Vec<String>,
}

impl Judged {
    pub(super) fn is_right(&self) -> bool {
        self.faults.is_empty()
    }
}

/// What was found of one customer.
struct Outcome<'a> {
    dossier: Dossier,
    in_mailbox: usize,
    heard: Vec<&'a Heard>,
    facts: BTreeMap<String, Value>,
}

/// Reads every customer's part of the tables and compares.
pub(super) async fn judge(
    stack: &Stack,
    keys: &Keyring,
    story: &Story,
    tally: &Tally,
) -> Result<Vec<Judged>, Failure> {
    let tables = stack.tables();
    let failed = |error: String| Failure::Stack(error);
    let mut judged = Vec::new();
    for (who, customer) in &story.cast {
        let address = EmailAddress::parse(&customer.email)
            .map_err(|error| Failure::Asked(format!("{who}: the address {error}")))?;
        let user = UserId::parse(&customer.user_id)
            .map_err(|error| Failure::Asked(format!("{who}: the user id {error}")))?;
        let dossier = gather(&tables, keys, &address, stack.now())
            .await
            .map_err(|error| failed(error.to_string()))?;
        let identity: IdentityKey = keys.user_key(&user);
        let facts = match profiles::find(&tables, identity).await {
            Ok(Found::Profile(id, root)) => root.item.view(id).facts,
            Ok(_) => BTreeMap::new(),
            Err(error) => return Err(failed(error.to_string())),
        };
        let outcome = Outcome {
            dossier,
            in_mailbox: stack.mailbox().to(address.expose()).len(),
            heard: tally.heard.iter().filter(|heard| heard.who == *who).collect(),
            facts,
        };
        judged.push(compare(who, customer, &outcome));
    }
    Ok(judged)
}

fn compare(who: &str, customer: &Customer, outcome: &Outcome<'_>) -> Judged {
    let profiles = &outcome.dossier.profiles;
    let enrollments: Vec<_> = profiles.iter().flat_map(|profile| &profile.enrollments).collect();
    let mut sends: Vec<&Send> = outcome
        .dossier
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
    let mut journeys: BTreeMap<String, String> = BTreeMap::new();
    for enrollment in &enrollments {
        let ended = enrollment.ended.as_ref().map_or("inside", |(how, _)| how.as_str());
        journeys
            .entry(enrollment.journey.clone())
            .and_modify(|all| *all = format!("{all}, {ended}"))
            .or_insert_with(|| ended.to_owned());
    }
    let mut faults = Vec::new();
    let mut hold = |what: &str, found: String, expected: String| {
        if found != expected {
            faults.push(format!("{what}: found {found}, expected {expected}"));
        }
    };
    hold("mails", mails.join(", "), customer.mails.join(", "));
    hold("mails in the mailbox", outcome.in_mailbox.to_string(), customer.mails.len().to_string());
    hold("skips", pairs(&skips), pairs(&customer.skips));
    hold("journeys", format!("{journeys:?}"), format!("{:?}", customer.journeys));
    for send in sends.iter().filter(|send| send.state == "sent") {
        let wanted = customer.delivery.get(&send.mail).map_or("delivered", String::as_str);
        let found = send.delivery.as_deref().unwrap_or("nothing");
        hold(&format!("delivery of {}", send.mail), found.to_owned(), wanted.to_owned());
    }
    for (name, wanted) in &customer.facts {
        let found = outcome.facts.get(name).map_or("nothing".to_owned(), Value::to_string);
        hold(&format!("fact {name}"), found, wanted.to_string());
    }
    let mut raised: Vec<String> = outcome.heard.iter().map(|one| one.signal.clone()).collect();
    let mut wanted: Vec<String> =
        customer.signals.iter().map(|wanted| wanted.signal.clone()).collect();
    raised.sort_unstable();
    wanted.sort_unstable();
    hold("signals", raised.join(", "), wanted.join(", "));
    faults.extend(customer.signals.iter().filter_map(|wanted| unshown(wanted, &outcome.heard)));
    let story = customer.story.clone();
    let signals = outcome.heard.iter().map(|one| (*one).clone()).collect();
    Judged { who: who.to_owned(), story, signals, mails, skips, journeys, faults }
}

/// That no raising of a wanted signal shows what it should.
fn unshown(wanted: &Wanted, heard: &[&Heard]) -> Option<String> {
    let mut of_name = heard.iter().filter(|one| one.signal == wanted.signal).peekable();
    of_name.peek()?;
    let found: Vec<String> = of_name.clone().map(|one| evidence::line(&one.evidence)).collect();
    let any = of_name.any(|one| evidence::shows(&one.evidence, &wanted.shows));
    (!any).then(|| {
        let expected = evidence::line(&wanted.shows);
        format!("{}: found {}, expected {expected}", wanted.signal, found.join(" and "))
    })
}

fn pairs(pairs: &[(String, String)]) -> String {
    let list: Vec<String> = pairs.iter().map(|(mail, code)| format!("{mail} ({code})")).collect();
    list.join(", ")
}

/// Signals of profiles that nobody of the cast has: they stand in nobody's outcome, and must not
/// happen.
pub(super) fn strangers(heard: &[Heard]) -> Vec<String> {
    let nobodys = heard.iter().filter(|one| one.who == NOBODY);
    nobodys
        .map(|one| {
            let shown = evidence::line(&one.evidence);
            format!("{} was raised of a profile that nobody in the story has ({shown})", one.signal)
        })
        .collect()
}

/// The table, the counts, what is wrong.
pub(super) fn tell(screen: &Screen, judged: &[Judged], tally: &Tally, mails: &Path) {
    screen.line("");
    for line in table(screen, judged) {
        screen.line(&line);
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
    let text = format!("{right} of {} customers got exactly what the journeys say", judged.len());
    let style = if right == judged.len() { Style::Good } else { Style::Bad };
    screen.line(&screen.paint(style, &text));
    for problem in &tally.problems {
        screen.line(&screen.paint(Style::Bad, &format!("problem: {problem}")));
    }
}

/// The outcome for machines.
pub(super) fn to_json(story: &Story, judged: &[Judged], tally: &Tally) -> Value {
    let customers: Vec<Value> = judged
        .iter()
        .map(|one| {
            let signal = |one: &Heard| json!({"name": one.signal, "evidence": one.evidence});
            let signals: Vec<Value> = one.signals.iter().map(signal).collect();
            json!({
                "customer": one.who, "signals": signals, "mails": one.mails, "skips": one.skips,
                "journeys": one.journeys, "right": one.is_right(), "faults": one.faults,
            })
        })
        .collect();
    json!({
        "workspace": story.workspace,
        "right": judged.iter().all(Judged::is_right) && tally.problems.is_empty(),
        "customers": customers,
        "due_steps": tally.due_steps, "due_silences": tally.due_silences,
        "delayed_steps": tally.delayed, "bus_events": tally.events,
        "invocations": tally.invocations, "problems": tally.problems,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn heard(who: &str, signal: &str, evidence: &Value) -> Heard {
        let evidence = evidence.as_object().cloned().unwrap();
        Heard { who: who.to_owned(), signal: signal.to_owned(), evidence }
    }

    fn story() -> Story {
        let scratch = tempfile::tempdir().unwrap();
        std::fs::create_dir(scratch.path().join("x")).unwrap();
        let text = "title: t\nstart: 2027-03-01T07:00:00Z\nuntil: '08:00'\nspeed: 1\ncast: {}\n";
        std::fs::write(scratch.path().join("x/story.yaml"), text).unwrap();
        super::super::story::read(scratch.path(), "x").unwrap()
    }

    pub(crate) fn eva() -> Judged {
        let lines = json!([{"name": "Skerry two-person tent", "quantity": 1, "price": "249.00"},
            {"name": "Ember gas stove", "quantity": 2, "price": "39.50"}]);
        let cart = json!({"items": 3, "lines": lines, "value": 32_800, "currency": "EUR",
            "cart_id": "cart-eva", "last": "2027-03-01T09:05:00.000Z"});
        Judged {
            who: "eva".to_owned(),
            story: "has an address that bounces in the end".to_owned(),
            signals: vec![
                heard("eva", "Cart Abandoned", &cart),
                heard("eva", "First Purchase", &json!({"order": 1})),
            ],
            mails: ["confirm", "cart-reminder"].map(str::to_owned).into(),
            skips: vec![("cart-last-call".to_owned(), "consent_withdrawn".to_owned())],
            journeys: [("cart-recovery".to_owned(), "goal_reached".to_owned())].into(),
            faults: Vec::new(),
        }
    }

    #[test]
    fn programs_get_the_evidence_whole() {
        let json = to_json(&story(), &[eva()], &Tally::default());
        let signals = &json["customers"][0]["signals"];
        assert_eq!(signals[0]["name"], "Cart Abandoned");
        assert_eq!(signals[0]["evidence"]["lines"][1]["name"], "Ember gas stove");
        assert_eq!(signals[1]["evidence"], json!({"order": 1}));
    }

    #[test]
    fn a_signal_of_nobodys_profile_is_a_problem() {
        let all = [
            heard("eva", "First Purchase", &json!({"order": 1})),
            heard(NOBODY, "Cart Abandoned", &json!({"items": 2})),
        ];
        let problems = strangers(&all);
        assert_eq!(problems.len(), 1);
        assert!(problems[0].starts_with("Cart Abandoned was raised of a profile"), "{problems:?}");
        let mut tally = Tally::default();
        tally.problems = problems;
        assert_eq!(to_json(&story(), &[eva()], &tally)["right"], false);
    }
}
