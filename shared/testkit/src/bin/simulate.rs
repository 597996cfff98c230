//! The simulator as a program: what `cargo odyssey sim` builds and runs.
//!
//! ```text
//! simulate --seeds N [--from S] [--twice] [--keep-going] [--stated TIMES] [--threads N] [--json]
//! simulate --seed S [--trace]
//! simulate --drain N [--rate R]
//! simulate --mutants ROOT [--mutant NAME] [--seeds N] [--json]
//! ```

use odyssey_testkit::sim::mutants::{FOLDER, Mutant, MutantError, Nursery};
use odyssey_testkit::sim::{
    Backlog, Drained, Filter, Plan, Rates, Tally, all_signals, campaign, drain, report, run, shrink,
};
use std::collections::BTreeSet;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// Runs that shrinking may take.
const SHRINK_RUNS_MAX: u32 = 400;

/// What is asked for.
#[derive(Debug)]
struct Arguments {
    seeds: u64,
    from: u64,
    one: Option<u64>,
    /// The Cargo workspace whose mutants are raised.
    mutants: Option<PathBuf>,
    /// That one alone.
    mutant: Option<String>,
    /// The flags that were given.
    flags: BTreeSet<Flag>,
    threads: usize,
    rates: Rates,
    /// So many messages are drained.
    drain: Option<u64>,
    /// SES takes so many a second.
    rate: u64,
    commit: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Flag {
    /// Show every step of the one seed.
    Trace,
    /// Print JSON.
    Json,
    /// Each seed twice.
    Twice,
    /// A broken seed does not end the run.
    KeepGoing,
    /// A broken seed is told and traced as it is.
    NoShrinking,
}

impl Arguments {
    fn has(&self, flag: Flag) -> bool {
        self.flags.contains(&flag)
    }

    fn read(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let mut read = Arguments {
            seeds: 1_000,
            from: 0,
            one: None,
            mutants: None,
            mutant: None,
            flags: BTreeSet::new(),
            threads,
            rates: Rates::Swarm,
            drain: None,
            rate: 200,
            commit: "unknown".to_owned(),
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word}: expected a value behind it"));
            let number = |text: String| {
                text.parse::<u64>()
                    .map_err(|_| format!("{word}: expected a number, found `{text}`"))
            };
            match word.as_str() {
                "--seeds" => read.seeds = number(value()?)?,
                "--from" => read.from = number(value()?)?,
                "--seed" => read.one = Some(number(value()?)?),
                "--threads" => read.threads = usize::try_from(number(value()?)?).unwrap_or(1),
                "--mutants" => read.mutants = Some(value()?.into()),
                "--mutant" => read.mutant = Some(value()?),
                "--drain" => read.drain = Some(number(value()?)?),
                "--rate" => read.rate = number(value()?)?,
                "--stated" => read.rates = Rates::Stated { times: number(value()?)? },
                "--commit" => read.commit = value()?,
                "--trace" => drop(read.flags.insert(Flag::Trace)),
                "--json" => drop(read.flags.insert(Flag::Json)),
                "--twice" => drop(read.flags.insert(Flag::Twice)),
                "--keep-going" => drop(read.flags.insert(Flag::KeepGoing)),
                "--no-shrinking" => drop(read.flags.insert(Flag::NoShrinking)),
                _ => return Err(format!("unknown argument `{word}`")),
            }
        }
        Ok(read)
    }
}

fn say(text: &str) {
    // A closed pipe is no error.
    let _ = io::stdout().lock().write_all(text.as_bytes());
}

fn main() -> ExitCode {
    let arguments = match Arguments::read(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(problem) => {
            let _ = writeln!(io::stderr(), "{problem}");
            return ExitCode::from(2);
        }
    };
    // A panic is a violation, told with its seed; its backtrace would drown that.
    std::panic::set_hook(Box::new(|_| {}));
    if let Some(messages) = arguments.drain {
        return backlog(messages, arguments.rate);
    }
    match (&arguments.mutants, arguments.one) {
        (Some(root), _) => all_mutants(root, &arguments).unwrap_or_else(|problem| {
            let _ = writeln!(io::stderr(), "{problem}");
            ExitCode::from(1)
        }),
        (None, Some(seed)) => one(seed, &arguments),
        (None, None) => many(&arguments),
    }
}

/// A backlog, drained.
#[expect(clippy::cast_precision_loss, reason = "figures for people to read")]
fn backlog(messages: u64, per_second: u64) -> ExitCode {
    let whole = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    match drain(Backlog { messages: whole(messages), per_second: whole(per_second) }) {
        Ok(drained) => {
            let Drained { lasted, mails, tries, writes, dead } = drained;
            let (seconds, each) = (lasted.ms() as f64 / 1_000.0, mails.max(1) as f64);
            say(&format!(
                "{mails} of {messages} mails in {seconds:.0} s, {:.0} a second of the {per_second} that SES takes; {:.2} calls of SES and {:.2} writes a mail; {dead} dead letters\n",
                each / seconds.max(0.001),
                tries as f64 / each,
                writes as f64 / each,
            ));
            ExitCode::from(u8::from(dead > 0 || mails != whole(messages)))
        }
        Err(problem) => {
            let _ = writeln!(io::stderr(), "{problem}");
            ExitCode::from(1)
        }
    }
}

/// One seed, in the open.
fn one(seed: u64, arguments: &Arguments) -> ExitCode {
    let trace = arguments.has(Flag::Trace);
    let smallest = if trace && !arguments.has(Flag::NoShrinking) {
        shrink(seed, SHRINK_RUNS_MAX).map(|shrunk| shrunk.outcome)
    } else {
        None
    };
    let outcome = smallest.unwrap_or_else(|| run(seed, &Filter::default(), trace));
    for line in &outcome.log {
        say(line);
        say("\n");
    }
    let verdict = match &outcome.violation {
        Some(found) => format!("breaks `{}`: {}", found.invariant, found.text),
        None => "holds every invariant".to_owned(),
    };
    let (events, digest) = (outcome.events, outcome.digest);
    say(&format!("seed {seed}: {events} events, digest {digest:016x}, {verdict}\n"));
    ExitCode::from(u8::from(outcome.violation.is_some()))
}

fn many(arguments: &Arguments) -> ExitCode {
    let began = Instant::now();
    let terminal = io::stderr().is_terminal();
    let step = if terminal { 50 } else { 5_000 };
    let seeds = arguments.seeds;
    let plan = Plan {
        from: arguments.from,
        seeds,
        twice: arguments.has(Flag::Twice),
        keep_going: arguments.has(Flag::KeepGoing),
        threads: arguments.threads,
        rates: arguments.rates,
    };
    let tally = campaign(plan, |outcome, through| {
        if let (Some(found), true) = (&outcome.violation, plan.keep_going) {
            let (seed, invariant) = (outcome.seed, found.invariant);
            let _ = writeln!(io::stderr(), "seed {seed} breaks `{invariant}`");
        }
        if through % step == 0 {
            let line_end = if terminal { '\r' } else { '\n' };
            let seconds = began.elapsed().as_secs();
            let _ = write!(io::stderr(), "{through} of {seeds} seeds, {seconds} s{line_end}");
        }
    });
    if terminal {
        let _ = writeln!(io::stderr());
    }
    let seconds = began.elapsed().as_secs_f64();
    if arguments.has(Flag::Json) {
        say(&format!("{}\n", report::json(&tally, seconds, &arguments.commit)));
    } else {
        say(&report::text(&tally, seconds));
        if let Rates::Stated { times } = arguments.rates {
            say(&report::unconfirmed(&tally, times));
        }
        say(&format!(
            "{seconds:.1} s on {} threads, commit {}\n",
            arguments.threads, arguments.commit
        ));
    }
    if let Some(seed) = tally.unsteady {
        say(&format!("seed {seed} did not run the same twice\n"));
        return ExitCode::from(1);
    }
    let Some(first) = tally.broken.first() else {
        if !arguments.has(Flag::Json) {
            say("no invariant was broken\n");
        }
        return of_all_sorts(&tally);
    };
    if !arguments.has(Flag::Json) && arguments.rates == Rates::Swarm {
        for broken in &tally.broken {
            say(&report::violation(broken, &arguments.commit));
        }
        if arguments.has(Flag::KeepGoing) {
            return ExitCode::from(1);
        }
        let runs = if arguments.has(Flag::NoShrinking) { 1 } else { SHRINK_RUNS_MAX };
        let _ = writeln!(io::stderr(), "shrinking it, in at most {runs} runs …");
        let shrunk = shrink(first.seed, runs);
        say(&shrunk.map_or_else(String::new, |shrunk| report::shrunk(&shrunk, &arguments.commit)));
    }
    ExitCode::from(1)
}

/// So many seeds without one of the signals there are have proved nothing of it.
const ALL_SORTS_FROM: u64 = 500;

fn of_all_sorts(tally: &Tally) -> ExitCode {
    let missing = |name: &&str| !tally.signals.contains_key(*name);
    let missing: Vec<&str> = all_signals().filter(missing).collect();
    if missing.is_empty() || tally.seeds < ALL_SORTS_FROM {
        return ExitCode::SUCCESS;
    }
    let _ = writeln!(io::stderr(), "no seed raised {}", missing.join(", "));
    ExitCode::from(1)
}

/// Every mutant of a Cargo workspace: built, and run until a seed notices it.
fn all_mutants(root: &Path, arguments: &Arguments) -> Result<ExitCode, MutantError> {
    let wanted =
        |mutant: &Mutant| arguments.mutant.as_ref().is_none_or(|name| *name == mutant.name);
    let mutants: Vec<Mutant> = Mutant::all(root)?.into_iter().filter(wanted).collect();
    if mutants.is_empty() {
        let name = arguments.mutant.as_deref().unwrap_or("*");
        let folder = root.join(FOLDER);
        let _ = writeln!(io::stderr(), "no mutant `{name}` in {}", folder.display());
        return Ok(ExitCode::from(2));
    }
    for mutant in &mutants {
        mutant.applied(root)?;
    }
    let nursery = Nursery::new(root)?;
    let began = Instant::now();
    let (planted, mut through) = (mutants.len(), 0);
    let raised = nursery.raise(mutants, arguments.seeds, |caught| {
        let told = match &caught.by {
            Some((invariant, seeds)) => format!("caught by {invariant} after {seeds} seeds"),
            None => format!("NOT CAUGHT in {} seeds", arguments.seeds),
        };
        through += 1;
        let name = &caught.mutant.name;
        let _ = writeln!(io::stderr(), "{through:>3} of {planted}  {name:<42} {told}");
    })?;
    let seconds = began.elapsed().as_secs_f64();
    let report = if arguments.has(Flag::Json) {
        format!("{}\n", report::mutants_json(&raised, seconds))
    } else {
        report::mutants_text(&raised, seconds)
    };
    say(&report);
    let all = raised.iter().all(|caught| caught.by.is_some());
    Ok(ExitCode::from(u8::from(!all)))
}
