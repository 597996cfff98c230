//! The simulator's seeds, as tests: some dozens here, thousands by `cargo odyssey sim`.

use odyssey_testkit::sim::mutants::Mutant;
use odyssey_testkit::sim::{Filter, INVARIANTS, Plan, Rates, campaign, report, run, shrink};
use std::collections::BTreeSet;
use std::path::Path;

/// Seeds of this test; each runs twice.
const SEEDS: u64 = 24;

#[test]
fn seeds_hold_every_invariant_and_run_the_same_twice() {
    let plan = Plan {
        from: 0,
        seeds: SEEDS,
        twice: true,
        keep_going: false,
        threads: 4,
        rates: Rates::Swarm,
    };
    let tally = campaign(plan, |_, _| {});
    if let Some(broken) = tally.broken.first() {
        let shrunk = shrink(broken.seed, 60);
        let told = shrunk.map_or_else(String::new, |shrunk| report::shrunk(&shrunk, "here"));
        panic!("{told}");
    }
    assert_eq!(tally.unsteady, None);
    assert_eq!(tally.seeds, SEEDS);
    assert!(tally.mails > SEEDS, "{} mails: the workload does not work", tally.mails);
}

/// Every name that is counted is in the list that is printed.
#[test]
fn every_invariant_that_is_checked_is_named() {
    let named: BTreeSet<&str> = INVARIANTS.iter().map(|(name, _)| *name).collect();
    assert_eq!(named.len(), INVARIANTS.len());
    let tally = campaign(
        Plan {
            from: 0,
            seeds: 12,
            twice: false,
            keep_going: false,
            threads: 4,
            rates: Rates::Swarm,
        },
        |_, _| {},
    );
    for name in tally.checked.keys() {
        assert!(named.contains(name), "{name} is checked and not named");
    }
}

#[test]
fn a_log_can_be_kept_and_changes_nothing() {
    let silent = run(3, &Filter::default(), false);
    let told = run(3, &Filter::default(), true);
    assert_eq!(silent.digest, told.digest);
    // What is told for people alone has no number.
    let numbered = told.log.iter().filter(|line| !line.starts_with("       ")).count();
    assert_eq!(numbered as u64, told.events);
}

/// `cargo odyssey sim --mutants` builds and runs them; here it is seen that they fit the code.
#[test]
fn every_mutant_still_applies() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let named: BTreeSet<&str> = INVARIANTS.iter().map(|(name, _)| *name).collect();
    let mutants = Mutant::all(&root).expect("readable mutants");
    assert!(mutants.len() >= 25, "{} mutants", mutants.len());
    for mutant in mutants {
        if let Err(problem) = mutant.applied(&root) {
            panic!("{problem}");
        }
        let invariant = mutant.caught_by.as_str();
        assert!(named.contains(invariant), "{}: no invariant `{invariant}`", mutant.name);
    }
}
