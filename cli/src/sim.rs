//! `odyssey sim`: builds the simulator optimised, and runs its seeds or its mutants.
//!
//! The simulator itself is `shared/testkit`'s binary `simulate`. It is built apart because the
//! profile counts: a hundred thousand seeds are minutes optimised and hours otherwise.

use crate::args::SimArgs;
use crate::screen::Screen;
use crate::{Exit, Failure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Seeds where none are asked for.
const SEEDS: u64 = 1_000;
/// Seeds of each mutant where none are asked for.
const MUTANT_SEEDS: u64 = 400;

/// The Cargo workspace this command was built from.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Builds the simulator; its path.
fn build(screen: &Screen) -> Result<PathBuf, Failure> {
    screen.error("building the simulator (shared/testkit, profile sim) …");
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let built = cargo()
        .current_dir(root())
        .args(["build", "--quiet", "--locked", "--profile", "sim"])
        .args(["--package", "odyssey-testkit", "--bin", "simulate"])
        .status()
        .map_err(|error| Failure::Asked(format!("cargo could not be run: {error}")))?;
    if built.success() {
        Ok(target.join("sim").join("simulate"))
    } else {
        Err(Failure::Asked("the simulator could not be built".to_owned()))
    }
}

/// The commit, where Git knows it.
fn commit() -> String {
    let asked = Command::new("git")
        .current_dir(root())
        .args(["describe", "--always", "--dirty", "--abbrev=12"])
        .output();
    match asked {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        }
        _ => "unknown".to_owned(),
    }
}

/// Runs seeds, or one seed step by step.
///
/// # Errors
/// Where the simulator cannot be built or run.
pub fn run(screen: &Screen, args: &SimArgs) -> Result<Exit, Failure> {
    let program = build(screen)?;
    let mut simulate = Command::new(&program);
    simulate.args(["--commit", &commit()]);
    if args.mutants {
        simulate.arg("--mutants").arg(root());
        if let Some(name) = &args.mutant {
            simulate.args(["--mutant", name]);
        }
        simulate.args(["--seeds", &args.seeds.unwrap_or(MUTANT_SEEDS).to_string()]);
    } else if let Some(messages) = args.drain {
        simulate.args(["--drain", &messages.to_string(), "--rate", &args.rate.to_string()]);
    } else if let Some(seed) = args.seed {
        simulate.args(["--seed", &seed.to_string()]);
        if args.trace {
            simulate.arg("--trace");
        }
        if args.whole {
            simulate.arg("--no-shrinking");
        }
    } else {
        simulate.args([
            "--seeds",
            &args.seeds.unwrap_or(SEEDS).to_string(),
            "--from",
            &args.from.to_string(),
        ]);
        if let Some(times) = args.stated {
            simulate.args(["--stated", &times.to_string()]);
        }
    }
    for (flag, wanted) in
        [("--twice", args.twice), ("--keep-going", args.keep_going), ("--json", args.json)]
    {
        if wanted {
            simulate.arg(flag);
        }
    }
    let status = simulate
        .status()
        .map_err(|error| Failure::Asked(format!("{}: {error}", program.display())))?;
    Ok(if status.success() { Exit::Right } else { Exit::Wrong })
}
