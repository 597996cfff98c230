//! `odyssey bench replay`: a million events through the flows, one after the other.
//!
//! The replay itself is `shared/testkit`'s binary `replay`, over the ports in memory: what is
//! measured is this project's own work, and no emulation's. It is built apart because the profile
//! counts, and because its memory is to be its own.

use crate::args::BenchReplayArgs;
use crate::screen::Screen;
use crate::{Exit, Failure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs the command.
///
/// # Errors
/// Where the replay cannot be built or run.
pub fn run(screen: &Screen, args: &BenchReplayArgs) -> Result<Exit, Failure> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    screen.error("building the replay (shared/testkit, release) …");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .current_dir(&root)
        .args(["build", "--quiet", "--locked", "--release"])
        .args(["--package", "odyssey-testkit", "--bin", "replay"])
        .status()
        .map_err(|error| Failure::Asked(format!("cargo could not be run: {error}")))?;
    if !built.success() {
        return Err(Failure::Asked("the replay could not be built".to_owned()));
    }
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let program = target.join("release").join("replay");
    let mut replay = Command::new(&program);
    for (flag, number) in [
        ("--events", args.events),
        ("--customers", args.customers),
        ("--per-request", args.per_request),
    ] {
        replay.args([flag, &number.to_string()]);
    }
    if args.json {
        replay.arg("--json");
    }
    let status = replay
        .status()
        .map_err(|error| Failure::Asked(format!("{}: {error}", program.display())))?;
    Ok(if status.success() { Exit::Right } else { Exit::Wrong })
}
