//! Arguments of what runs on this machine alone: demo, local, sim, bench, chaos.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `odyssey demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Which workspace's story: storefront, streaming, saas, or all of them one after the other
    #[arg(long, value_name = "NAME", default_value = "storefront")]
    pub workspace: String,
    /// Exit when the story is over, with 0 only if every customer got exactly what the journeys say
    /// (also what happens where there is no terminal)
    #[arg(long)]
    pub ci: bool,
    /// Print the outcome as JSON at the end
    #[arg(long)]
    pub json: bool,
    /// Where the mails are written as files, in a folder for each workspace
    #[arg(long, value_name = "DIR", default_value = "target/odyssey-demo")]
    pub out: PathBuf,
}

/// `odyssey local`.
#[derive(Debug, Args)]
pub struct LocalArgs {
    /// The workspace to publish at the start
    #[arg(value_name = "DIR", default_value = "examples/storefront")]
    pub workspace: PathBuf,
    /// The port to listen on; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 4100)]
    pub port: u16,
    /// How many times as fast as the clock customers' time runs; 1 is real time
    #[arg(long, value_name = "N", default_value_t = 1800, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub speed: u32,
    /// Keep the tables in this database file instead of in memory
    #[arg(long, value_name = "FILE")]
    pub data: Option<PathBuf>,
    /// Send invocations to `cargo lambda watch` at this address instead of running the functions
    #[arg(long, value_name = "URL")]
    pub functions: Option<String>,
}

/// `odyssey sim`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub struct SimArgs {
    /// How many seeds: 1,000, and up to 400 of each mutant
    #[arg(long, value_name = "N")]
    pub seeds: Option<u64>,
    /// The first seed
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub from: u64,
    /// One seed alone
    #[arg(long, value_name = "S", conflicts_with_all = ["seeds", "from", "twice", "json"])]
    pub seed: Option<u64>,
    /// With --seed: show its every step; of a seed that breaks an invariant those of the smallest run
    /// that breaks it still
    #[arg(long, requires = "seed")]
    pub trace: bool,
    /// With --trace: the seed's whole run, whatever could be left out
    #[arg(long, requires = "trace")]
    pub whole: bool,
    /// Each seed twice: both runs must be the same to the byte
    #[arg(long)]
    pub twice: bool,
    /// Go on when a seed has broken an invariant, and list all that did
    #[arg(long, conflicts_with_all = ["seed", "mutants", "drain"])]
    pub keep_going: bool,
    /// At the rates of faults that docs/RELIABILITY.md states, those of calls so many times: how many
    /// sends stay unconfirmed
    #[arg(long, value_name = "TIMES", value_parser = clap::value_parser!(u64).range(10..=10_000),
        conflicts_with_all = ["seed", "mutants"])]
    pub stated: Option<u64>,
    /// In place of seeds: how long a backlog of so many mails takes to drain
    #[arg(long, value_name = "N", conflicts_with_all = ["seeds", "seed", "from", "twice", "json", "stated", "mutants"])]
    pub drain: Option<u64>,
    /// With --drain: how many mails SES takes in a second
    #[arg(long, value_name = "R", default_value_t = 200, requires = "drain")]
    pub rate: u64,
    /// Build each deliberate bug of tests/sim/mutants and see that an invariant notices it
    #[arg(long, conflicts_with_all = ["seed", "from", "twice"])]
    pub mutants: bool,
    /// With --mutants: that one alone
    #[arg(long, value_name = "NAME", requires = "mutants")]
    pub mutant: Option<String>,
    /// Print what came of it as JSON
    #[arg(long)]
    pub json: bool,
}

/// `odyssey bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// What to measure
    #[command(subcommand)]
    pub what: Bench,
}

/// What can be measured.
#[derive(Debug, Subcommand)]
pub enum Bench {
    /// Count every AWS call, chunk, capacity unit and log byte of a reference load, and price them
    ///
    /// Runs events, journey steps and sends through the local stack. Prices are in
    /// docs/COST.md, with their date.
    Cost(BenchCostArgs),
    /// Time each function's release binary from its start to its first response, beside an empty
    /// `lambda_http` function
    ///
    /// Builds the functions as they are deployed, and starts each in turn, round by round, with the
    /// local stack for its tables and a Runtime API that hands it one event.
    Cold(BenchColdArgs),
    /// Time what customers wait for: an event's mail, and a step whose time has come
    ///
    /// Runs release binaries on the local stack in real time: from HTTP 200 to the acceptance of
    /// the mail, and from the due time of a step in the due index to the call to SES. Takes about
    /// four minutes after the build.
    Latency(BenchLatencyArgs),
    /// Count the processor time that `ingest` takes for an event
    ///
    /// Runs the release binary behind a Runtime API, 20 events of 1.15 KB to a request: once with
    /// the local stack's bus, and once the same handler with a bus that does nothing.
    Ingest(BenchIngestArgs),
    /// Replay a month of a shop through the flows in memory: events a second, and peak memory
    ///
    /// Does what `ingest`, `profile` and `tick` do with every event, on one core, over the ports in
    /// memory, and counts at the end that none was lost. A million events take minutes.
    Replay(BenchReplayArgs),
}

/// `odyssey bench replay`.
#[derive(Debug, Args)]
pub struct BenchReplayArgs {
    /// How many events
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub events: u64,
    /// Of how many customers; 1 for a hot key
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub customers: u64,
    /// How many of one customer in one request
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=100))]
    pub per_request: u64,
    /// Print the figures as JSON
    #[arg(long)]
    pub json: bool,
}

/// `odyssey bench cost`.
#[derive(Debug, Args)]
pub struct BenchCostArgs {
    /// Print the figures as JSON
    #[arg(long)]
    pub json: bool,
}

/// `odyssey bench cold`.
#[derive(Debug, Args)]
pub struct BenchColdArgs {
    /// Print the figures as JSON
    #[arg(long)]
    pub json: bool,
    /// How often each function is started
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rounds: u32,
}

/// `odyssey bench latency`.
#[derive(Debug, Args)]
pub struct BenchLatencyArgs {
    /// Print the figures as JSON
    #[arg(long)]
    pub json: bool,
}

/// `odyssey bench ingest`.
#[derive(Debug, Args)]
pub struct BenchIngestArgs {
    /// Print the figures as JSON
    #[arg(long)]
    pub json: bool,
    /// How often each part is measured
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub rounds: u32,
}

/// `odyssey chaos`.
#[derive(Debug, Args)]
pub struct ChaosArgs {
    /// Minutes of storm; 0 for none
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub minutes: u64,
    /// Journeys of the set plan; 0 for none
    #[arg(long, value_name = "N", default_value_t = 1_500)]
    pub journeys: usize,
    /// What the storm's faults are drawn from
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Print the outcome as JSON
    #[arg(long)]
    pub json: bool,
}
