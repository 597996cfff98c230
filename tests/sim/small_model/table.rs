//! What the explored worlds came to, as a table.

use crate::machine::Scope;
use crate::properties::{always, at_rest, is_lost};
use crate::protocol::Protocol;
use crate::search::{Graph, explore};
use crate::world::{Mark, Stage};
use std::fmt::Write as _;

/// What the runs with at most some number of faults came to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) worlds: usize,
    pub(crate) transitions: usize,
    /// Schedules, from the request to quiet.
    pub(crate) runs: u128,
    /// Of the runs: SES accepted it twice.
    pub(crate) twice: u128,
    /// Of the runs: never accepted, and nobody can see it.
    pub(crate) lost: u128,
    /// Of the runs: it was UNCONFIRMED at the end, or at some time before SES or its owner
    /// settled it.
    pub(crate) unconfirmed: u128,
    /// Of those: SENT in the end.
    pub(crate) settled: u128,
    /// Worlds in which some property does not hold.
    pub(crate) broken: usize,
}

/// The tallies for at most 0, 1, … faults.
pub(crate) fn tallies(graph: &Graph, faults_max: u8) -> Vec<Tally> {
    let ways = graph.ways();
    let upto = |faults: u8| {
        let mut tally = Tally { transitions: graph.transitions(faults), ..Tally::default() };
        let within = graph.worlds.iter().zip(&ways).filter(|(world, _)| world.faults <= faults);
        for (world, ways) in within {
            tally.worlds += 1;
            tally.broken += usize::from(always(world).is_some());
            if !world.is_quiet() {
                continue;
            }
            tally.broken += usize::from(at_rest(world).is_some());
            let sent = world.ledger.is_some_and(|item| item.stage == Stage::Sent);
            let open = world.ledger.is_some_and(|item| item.stage == Stage::Unconfirmed);
            let settled = sent && world.marks.has(Mark::Parked);
            let count = |which: bool, into: &mut u128| *into += if which { *ways } else { 0 };
            count(true, &mut tally.runs);
            count(world.marks.has(Mark::Twice), &mut tally.twice);
            count(is_lost(world), &mut tally.lost);
            count(open || settled, &mut tally.unconfirmed);
            count(settled, &mut tally.settled);
        }
        tally
    };
    (0..=faults_max).map(upto).collect()
}

/// One table: each protocol with at most 0, 1, … faults.
pub(crate) fn table(rows: &[(&dyn Protocol, Vec<Tally>)]) -> String {
    let mut text = String::from(
        "                 faults   worlds transitions      runs     twice      lost unconfirmed   settled\n",
    );
    for (protocol, tallies) in rows {
        for (faults, tally) in tallies.iter().enumerate() {
            let name = if faults == 0 { protocol.name() } else { "" };
            write!(text, "{name:<18}{faults:>5}{:>9}{:>12}", tally.worlds, tally.transitions)
                .unwrap();
            for (count, width) in [
                (tally.runs, 10),
                (tally.twice, 10),
                (tally.lost, 10),
                (tally.unconfirmed, 12),
                (tally.settled, 10),
            ] {
                write!(text, "{:>width$}", short(count)).unwrap();
            }
            text.push('\n');
        }
    }
    text
}

/// The protocol's worlds, counted.
pub(crate) fn row(protocol: &dyn Protocol, scope: Scope) -> (&dyn Protocol, Vec<Tally>) {
    let graph = explore(protocol, scope);
    assert_eq!(graph.stuck(), 0, "{}: worlds that cannot go on", protocol.name());
    (protocol, tallies(&graph, scope.faults_max))
}

/// Two digits of what has more than six, rounded down: `1.8e14`.
fn short(n: u128) -> String {
    let digits = n.to_string();
    match (digits.len(), digits.get(0..1), digits.get(1..2)) {
        (7.., Some(one), Some(two)) => format!("{one}.{two}e{}", digits.len() - 1),
        _ => digits,
    }
}
