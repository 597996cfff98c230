//! The command line of Odyssey as a library, so that tests reach into it.

pub mod args;
pub mod audit;
pub mod backfill;
pub mod bench;
pub mod chaos;
pub mod check;
pub mod customer;
pub mod demo;
pub mod dlq;
pub mod dossier;
pub mod explain;
pub mod http;
pub mod keys;
pub mod local;
pub mod pages;
pub mod profile;
pub mod publish;
pub mod screen;
pub mod segments;
pub mod sim;
pub mod stack;
pub mod standing;
pub mod tail;
pub mod tell;
pub mod tracking;
pub mod unconfirmed;

use args::{Bench, Cli, Command, SchemaFile};
use screen::Screen;
use std::future::Future;
use std::path::PathBuf;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All right: 0.
    Right,
    /// It worked, and what it found is wrong: 1.
    Wrong,
}

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The folder is no workspace.
    #[error(transparent)]
    Directory(#[from] publish::directory::DirectoryError),
    /// A file cannot be read or written.
    #[error("{}: {cause}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// A local stack did not leave what the next one goes on with.
    #[error(transparent)]
    Kept(#[from] odyssey_local::KeptError),
    /// What was asked for cannot be done.
    #[error("{0}")]
    Asked(String),
    /// The stack cannot be reached or refused.
    #[error("{0}")]
    Stack(String),
}

impl Failure {
    /// The exit code.
    #[must_use]
    pub const fn code(&self) -> u8 {
        match self {
            Failure::Directory(_) | Failure::File { .. } | Failure::Kept(_) | Failure::Asked(_) => {
                1
            }
            Failure::Stack(_) => 3,
        }
    }
}

/// The JSON Schema of `workspace.yaml`.
pub const WORKSPACE_SCHEMA: &str = include_str!("../../examples/schema/workspace.schema.json");
/// The JSON Schema of a journey.
pub const JOURNEY_SCHEMA: &str = include_str!("../../examples/schema/journey.schema.json");

/// The JSON Schema of a segment.
pub const SEGMENT_SCHEMA: &str = include_str!("../../examples/schema/segment.schema.json");
/// The JSON Schema of `plan.yaml`.
pub const PLAN_SCHEMA: &str = include_str!("../../examples/schema/plan.schema.json");

/// Runs a command.
///
/// # Errors
/// Where it could not do its work at all.
pub fn run(screen: &Screen, cli: &Cli) -> Result<Exit, Failure> {
    match &cli.command {
        Command::Check(args) => check::run(screen, args),
        Command::Schema(args) => {
            screen.line(match args.file {
                SchemaFile::Workspace => WORKSPACE_SCHEMA.trim_end(),
                SchemaFile::Journey => JOURNEY_SCHEMA.trim_end(),
                SchemaFile::Segment => SEGMENT_SCHEMA.trim_end(),
                SchemaFile::Plan => PLAN_SCHEMA.trim_end(),
            });
            Ok(Exit::Right)
        }
        Command::Publish(args) => wait(publish::command::run(screen, args)),
        Command::Local(args) => wait(local::run(screen, args)),
        Command::Tail(args) => wait(tail::run(screen, args)),
        Command::Explain(args) => wait(explain::run(screen, args)),
        Command::Demo(args) => wait(demo::run(screen, args)),
        Command::Chaos(args) => wait(chaos::run(screen, args)),
        Command::Profile(args) => wait(profile::run(screen, args)),
        Command::Keys(args) => wait(keys::run(screen, args)),
        Command::Segments(args) => wait(segments::run(screen, args)),
        Command::Dlq(args) => wait(dlq::run(screen, args)),
        Command::Unconfirmed(args) => wait(unconfirmed::run(screen, args)),
        Command::Backfill(args) => wait(backfill::run(screen, args)),
        Command::Plan(args) => wait(tracking::run(screen, args)),
        Command::Audit(args) => audit::run(screen, args),
        Command::Sim(args) => sim::run(screen, args),
        Command::Bench(args) => match &args.what {
            Bench::Cost(args) => wait(bench::cost::run(screen, args)),
            Bench::Cold(args) => wait(bench::cold::run(screen, args)),
            Bench::Latency(args) => wait(bench::latency::run(screen, args)),
            Bench::Ingest(args) => wait(bench::ingest::run(screen, args)),
            Bench::Replay(args) => bench::replay::run(screen, args),
        },
    }
}

/// Runs a command that talks to something.
fn wait<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Stack(format!("no threads: {error}")))?;
    runtime.block_on(work)
}
