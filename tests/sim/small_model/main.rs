//! The small model: the send protocol, explored whole.
//!
//! One send of one mail, up to two deliveries of its request at a time, everything that may go
//! wrong at each call, SES's events and the customer's mind: every schedule with at most three
//! faults, not a sample of them. What a delivery may do in which state is asked of the domain
//! itself (`rules`), so that a change of the ledger's transitions is checked here; the order of
//! the calls is written out (`ours`), and the flow is held to it by its own test `order.rs`.
//!
//! `docs/RELIABILITY.md` shows the tables and says what is counted.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod machine;
mod mutants;
mod naive;
mod ours;
mod properties;
mod protocol;
mod rules;
mod search;
mod table;
mod trace;
mod world;

use machine::Scope;
use mutants::Mutant;
use naive::Naive;
use ours::Ours;
use protocol::Protocol;
use rules::AskedBy;
use search::refute;
use std::fmt::Write as _;
use table::{Tally, row, table};

/// Every schedule with up to so many faults.
const FAULTS_MAX: u8 = 3;

fn holds(protocol: &dyn Protocol, faults_max: u8) {
    if let Some(found) = refute(protocol, faults_max) {
        let begin = Scope::whole(faults_max).begin();
        panic!("{}", trace::tell(protocol, &found, begin));
    }
}

/// The part of the page between the two lines that stand around a table.
fn shown(name: &str) -> String {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/RELIABILITY.md");
    let page = std::fs::read_to_string(page).unwrap();
    let begin = format!("<!-- small model: {name} -->\n```text\n");
    let rest = page.split_once(&begin).unwrap_or_else(|| panic!("no table {name}")).1;
    rest.split_once("```").unwrap().0.to_owned()
}

fn is_shown(name: &str, table: &str) {
    assert_eq!(shown(name), table, "docs/RELIABILITY.md, {name}; it is now:\n{table}\n");
}

#[test]
fn one_delivery_at_a_time() {
    let ours = Ours::new(AskedBy::Journey);
    let mut rows: Vec<(&dyn Protocol, Vec<Tally>)> =
        Naive::ALL.iter().map(|naive| row(naive, Scope::one_at_a_time(FAULTS_MAX))).collect();
    rows.push(row(&ours, Scope::one_at_a_time(FAULTS_MAX)));
    let one_fault: Vec<_> = rows.iter().map(|(_, tallies)| tallies[1]).collect();
    let figures: Vec<_> = one_fault.iter().map(|t| (t.twice, t.lost, t.runs)).collect();
    assert_eq!(figures, [(4, 0, 17), (0, 4, 13), (4, 0, 17), (0, 0, 29)]);
    is_shown("one delivery at a time", &table(&rows));
}

#[test]
fn two_deliveries_and_everything_else() {
    let ours = Ours::new(AskedBy::Journey);
    let mut rows: Vec<(&dyn Protocol, Vec<Tally>)> =
        Naive::ALL.iter().map(|naive| row(naive, Scope::whole(FAULTS_MAX))).collect();
    rows.push(row(&ours, Scope::whole(FAULTS_MAX)));
    if rows.last().unwrap().1.iter().any(|tally| tally.broken > 0) {
        holds(&ours, FAULTS_MAX);
    }
    is_shown("two deliveries", &table(&rows));
}

/// A skipped confirmation is decided afresh by the next delivery.
#[test]
fn every_property_holds_for_confirmations() {
    holds(&Ours::new(AskedBy::Confirmation), 2);
}

/// A model that does not catch bugs proves nothing: each is caught, and its shortest story is
/// the committed one.
#[test]
fn every_mutant_is_caught() {
    let mut text = String::new();
    for mutant in Mutant::ALL {
        let protocol = Ours::with(mutant);
        let found = refute(&protocol, FAULTS_MAX);
        let found = found.unwrap_or_else(|| panic!("{mutant:?} was not caught"));
        let faults = found.trace.last().map_or(0, |(_, world)| world.faults);
        writeln!(text, "{mutant:?}: {faults} faults, {} steps", found.trace.len()).unwrap();
        let begin = Scope::whole(FAULTS_MAX).begin();
        writeln!(text, "{}", trace::tell(&protocol, &found, begin)).unwrap();
    }
    insta::assert_snapshot!("mutants", text);
}
