//! The commands and their help.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// A behavioural CRM in your own AWS account: events in, the right e-mail out.
#[derive(Debug, Parser)]
#[command(
    name = "odyssey",
    bin_name = "cargo odyssey",
    version,
    after_help = "Exit codes: 0 all right · 1 something is wrong with what was asked (a workspace with mistakes, a demo \
                  that did not come out right) · 2 the command line itself · 3 the stack cannot be reached or refused.\n\n\
                  Begin with `cargo odyssey demo`."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the command line can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Play a story of customers through the whole system on this machine
    ///
    /// Builds the functions, starts the local stack with the clock running 1,800 times as fast (1 h
    /// = 2 s), publishes the workspace of that name in examples, posts the requests of its story in
    /// events/demo over HTTP, and tells what happened to whom and why: each signal with its
    /// evidence, each mail, each decision against one. Talks to nothing outside this machine. Takes
    /// about two minutes after the build.
    Demo(DemoArgs),
    /// Run the whole system on this machine and serve a shop to try it with
    ///
    /// Prints the address of the HTTP API with its write keys, of /shop (abandon your own cart) and
    /// of /mail (the mailbox). Talks to nothing outside this machine; no mail leaves it.
    Local(LocalArgs),
    /// Check a workspace: every mistake with its file, line and column
    ///
    /// Reads workspace.yaml, journeys/ and mails/, compiles each mail and renders it once with
    /// sample data. Talks to nothing.
    Check(CheckArgs),
    /// Publish a workspace to a stack, showing first what would change
    ///
    /// Without --yes it only shows the plan. Talks to the running local stack, or to AWS where
    /// --stack or the variables of the tables say so.
    Publish(PublishArgs),
    /// Show what happens in the running local stack, as it happens
    ///
    /// Shows addresses: it is meant for your own terminal. Talks to the running local stack alone.
    Tail(TailArgs),
    /// Explain one customer: what was decided, why, and what would change it
    ///
    /// Reads profiles, contacts, enrollments and the ledger of sends; changes nothing.
    Explain(ExplainArgs),
    /// One customer's profile: what is known of them, and why ids are one
    ///
    /// An id is given as user:42, anonymous:…, email:…, phone:+…, external:TYPE:VALUE, or as a
    /// profile's own id. Talks to the running local stack, or to AWS where --stack or the variables of
    /// the tables say so.
    Profile(ProfileArgs),
    /// Segments: how many are in each, and who would be in one that is not published yet
    ///
    /// Talks to the running local stack, or to AWS where --stack or the variables of the tables say
    /// so. Counts are exact and cost one read each; a preview reads as many profiles as it asks.
    Segments(SegmentsArgs),
    /// Dead letters: what could not be dealt with, why, and back onto its queue
    ///
    /// Talks to the running local stack, or to AWS where --stack or the variables of the queues say
    /// so. While they are looked at, messages are hidden from others for a minute.
    Dlq(DlqArgs),
    /// Sends whose outcome nobody knows, because SES's answer was lost
    ///
    /// SES's own event settles nearly all of them within minutes; what is older than an hour is
    /// yours to look up. Nothing here sends a mail. Talks to the running local stack, or to AWS where
    /// --stack or the variables of the tables say so.
    Unconfirmed(UnconfirmedArgs),
    /// What an export of events holds, and what this system would make of it
    ///
    /// Reads Segment-shaped JSON lines (gzip too) or a CSV with one event a row, of any size: which
    /// behaviours there are, how many customers can be reached, which signals they would have
    /// raised, which journeys would have taken them in, and what is missing for the others. Talks
    /// to nothing and keeps nothing.
    Audit(AuditArgs),
    /// Which events arrive, with which properties, and what of it is not as planned
    ///
    /// Shows the tracking plan that profile infers beside the one that the published workspace
    /// declares (plan.yaml), with how often each thing is not as planned and one example of it.
    /// Talks to the running local stack, or to AWS where --stack or the variables of the tables say
    /// so.
    Plan(PlanArgs),
    /// Work out what the published workspace computes for profiles from before it was declared
    ///
    /// A computed trait has no value in profiles that had events when it was declared, until their
    /// timelines are read: this does it for every profile. It may be stopped and run again: what is
    /// complete is passed over. Reads all profiles, and the timelines of those that lack something;
    /// events go on being folded meanwhile. Talks to the running local stack, or to AWS where --stack
    /// or the variables of the tables say so.
    Backfill(BackfillArgs),
    /// Break the real functions on purpose, and check that no mail is sent twice or lost
    ///
    /// Runs 1,500 journeys of three mails while each hundredth mail kills its sender, then a storm
    /// of kills, cuts, lost answers and restarts. Took 20 minutes with the default ten of storm, on
    /// four busy cores. Talks to nothing outside this machine.
    Chaos(ChaosArgs),
    /// Print the JSON Schema of a workspace file, for editors
    Schema(SchemaArgs),
    /// Run the whole system under every fault, seed after seed, and check what it promises
    ///
    /// One seed is one small story with its faults: crashes, lost answers, stale reads, doubled and
    /// late messages, outages, deploys. Everything in it follows from the seed. Stops at the first
    /// broken invariant with a shrunk event log. Builds the simulator first. Talks to nothing.
    Sim(SimArgs),
    /// Measure what the system costs
    ///
    /// Talks to nothing outside this machine.
    Bench(BenchArgs),
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
    /// With --seed: show its every step
    #[arg(long, requires = "seed")]
    pub trace: bool,
    /// Each seed twice: both runs must be the same to the byte
    #[arg(long)]
    pub twice: bool,
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

/// Which stack a command talks to.
#[derive(Debug, Clone, Default, Args)]
pub struct StackArgs {
    /// A CloudFormation stack in AWS by its name, instead of the running local one (needs the
    /// `aws` command and its credentials; never yet run against real AWS)
    #[arg(long, value_name = "NAME")]
    pub stack: Option<String>,
}

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

/// `odyssey check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The workspace's folder
    #[arg(value_name = "DIR", default_value = ".")]
    pub workspace: PathBuf,
    /// Print the mistakes as JSON
    #[arg(long)]
    pub json: bool,
    /// Write each mail, rendered with sample data, into this folder
    #[arg(long, value_name = "DIR")]
    pub render: Option<PathBuf>,
}

/// `odyssey publish`.
#[derive(Debug, Args)]
pub struct PublishArgs {
    /// The workspace's folder
    #[arg(value_name = "DIR", default_value = ".")]
    pub workspace: PathBuf,
    /// Publish, not only plan
    #[arg(long)]
    pub yes: bool,
    /// Print the plan as JSON
    #[arg(long)]
    pub json: bool,
    /// Which stack.
    #[command(flatten)]
    pub stack: StackArgs,
}

/// `odyssey tail`.
#[derive(Debug, Args)]
pub struct TailArgs {
    /// Print each happening as a line of JSON
    #[arg(long)]
    pub json: bool,
    /// Also show invocations, queue messages and log lines
    #[arg(long, short)]
    pub verbose: bool,
}

/// `odyssey explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The customer's address
    #[arg(value_name = "EMAIL")]
    pub email: String,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
    /// Which stack.
    #[command(flatten)]
    pub stack: StackArgs,
}

/// `odyssey schema`.
#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// Which file's
    #[arg(value_enum)]
    pub file: SchemaFile,
}

/// A file with a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum SchemaFile {
    /// workspace.yaml
    Workspace,
    /// journeys/*.yaml
    Journey,
    /// segments/*.yaml
    Segment,
    /// plan.yaml
    Plan,
}

/// `odyssey audit`.
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// The export
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The workspace whose signals and journeys it is held against
    #[arg(long, value_name = "DIR")]
    pub workspace: Option<PathBuf>,
    /// Of a CSV: what every row is, such as "Order Completed"
    #[arg(long, value_name = "NAME")]
    pub event: Option<String>,
    /// Of a CSV: which column is the event, type, time, user, anonymous, email or message, such as
    /// time=InvoiceDate; those with usual names are recognised
    #[arg(long, value_name = "ROLE=NAME")]
    pub column: Vec<String>,
    /// Print what was found as JSON
    #[arg(long)]
    pub json: bool,
}

/// `odyssey plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Print both plans as JSON
    #[arg(long, conflicts_with = "yaml")]
    pub json: bool,
    /// Print what was inferred as a plan.yaml to start from
    #[arg(long)]
    pub yaml: bool,
    /// Which stack.
    #[command(flatten)]
    pub stack: StackArgs,
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

/// `odyssey profile`.
#[derive(Debug, Args)]
pub struct ProfileArgs {
    /// What to do
    #[command(subcommand)]
    pub what: Profile,
}

/// What can be done with a profile.
#[derive(Debug, Subcommand)]
pub enum Profile {
    /// Show everything about one customer, and what happened
    ///
    /// Who they are, facts by touchpoint, signals with their evidence, journeys, mails, whether they
    /// may be written to and why not, and a page of their history. Changes nothing.
    Show(ProfileShowArgs),
    /// Why two ids are one customer, or why they are not
    ///
    /// Shows where each id stands, the claim that linked it with its time and event, and whether
    /// that is final. Changes nothing.
    Why(ProfileWhyArgs),
    /// Take an id out of the profile it is linked to: two customers who were taken for one
    ///
    /// What was done under that id becomes a profile of its own, in one transaction, and no claim
    /// links the two again. Without --yes it only shows what would move. Enrollments, messages and
    /// contacts stay with whoever has them.
    Split(ProfileSplitArgs),
}

/// `odyssey profile show`.
#[derive(Debug, Args)]
pub struct ProfileShowArgs {
    /// An e-mail address, or an id
    #[arg(value_name = "EMAIL|ID")]
    pub id: String,
    /// How many events of the history
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = events_of_a_page)]
    pub events: usize,
    /// Go on where a page ended
    #[arg(long, value_name = "CURSOR")]
    pub before: Option<String>,
    /// Begin with the first event instead of the last
    #[arg(long)]
    pub oldest_first: bool,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
    /// The stack
    #[command(flatten)]
    pub stack: StackArgs,
}

/// Between one event and as many as a page may hold.
fn events_of_a_page(text: &str) -> Result<usize, String> {
    let most = odyssey_flows::read_timeline::EVENTS_PER_PAGE_MAX;
    match text.parse() {
        Ok(events) if (1..=most).contains(&events) => Ok(events),
        _ => Err(format!("expected a number from 1 to {most}")),
    }
}

/// `odyssey profile why`.
#[derive(Debug, Args)]
pub struct ProfileWhyArgs {
    /// One id
    #[arg(value_name = "ID")]
    pub one: String,
    /// The other
    #[arg(value_name = "ID")]
    pub other: String,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
    /// The stack
    #[command(flatten)]
    pub stack: StackArgs,
}

/// `odyssey profile split`.
#[derive(Debug, Args)]
pub struct ProfileSplitArgs {
    /// The id
    #[arg(value_name = "ID")]
    pub id: String,
    /// Do it
    #[arg(long)]
    pub yes: bool,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
    /// The stack
    #[command(flatten)]
    pub stack: StackArgs,
}

/// `odyssey dlq`.
#[derive(Debug, Args)]
pub struct DlqArgs {
    /// What to do
    #[command(subcommand)]
    pub what: Dlq,
}

/// What can be done with dead letters.
#[derive(Debug, Subcommand)]
pub enum Dlq {
    /// List them, oldest first, with why each is there
    List(DlqListArgs),
    /// Show one whole; what it carries may be personal
    Show(DlqShowArgs),
    /// Put them back onto the queues they came from, as they first came
    ///
    /// Without --yes it only shows which. All that they do is done at most once, however often they
    /// come back.
    Redrive(DlqRedriveArgs),
}

/// Which dead letters.
#[derive(Debug, Clone, Default, Args)]
pub struct DlqFilter {
    /// Only those of this function, or of the bus: profile, journey, sender, feedback, bus
    #[arg(long, value_name = "NAME")]
    pub of: Option<String>,
    /// Only those with this reason, such as malformed
    #[arg(long, value_name = "CODE")]
    pub reason: Option<String>,
}

/// `odyssey dlq list`.
#[derive(Debug, Args)]
pub struct DlqListArgs {
    /// Which
    #[command(flatten)]
    pub filter: DlqFilter,
    /// Print them as JSON, without what they carry
    #[arg(long)]
    pub json: bool,
    /// The stack
    #[command(flatten)]
    pub stack: StackArgs,
}

/// `odyssey dlq show`.
#[derive(Debug, Args)]
pub struct DlqShowArgs {
    /// Its id, or the beginning of it
    #[arg(value_name = "ID")]
    pub id: String,
    /// The stack
    #[command(flatten)]
    pub stack: StackArgs,
}

/// `odyssey dlq redrive`.
#[derive(Debug, Args)]
pub struct DlqRedriveArgs {
    /// Their ids, or the beginnings of them
    #[arg(value_name = "ID", required_unless_present = "all")]
    pub ids: Vec<String>,
    /// All that --of and --reason let through
    #[arg(long, conflicts_with = "ids")]
    pub all: bool,
    /// Which
    #[command(flatten)]
    pub filter: DlqFilter,
    /// Do it
    #[arg(long)]
    pub yes: bool,
    /// The stack
    #[command(flatten)]
    pub stack: StackArgs,
}

/// `odyssey segments`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct SegmentsArgs {
    /// What else to do
    #[command(subcommand)]
    pub what: Option<Segments>,
    /// Print them as JSON
    #[arg(long)]
    pub json: bool,
    /// The stack
    #[command(flatten)]
    pub stack: StackArgs,
}

/// What else can be done with segments.
#[derive(Debug, Subcommand)]
pub enum Segments {
    /// Ask a sample of profiles: the share that would be in it, and which condition keeps most out
    Preview(PreviewArgs),
}

/// `odyssey segments preview`.
#[derive(Debug, Args)]
pub struct PreviewArgs {
    /// A published segment's name, or a segment's file in its workspace
    #[arg(value_name = "NAME|FILE")]
    pub segment: String,
    /// How many profiles to ask at most
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub profiles: u32,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
    /// The stack
    #[command(flatten)]
    pub stack: StackArgs,
}

/// `odyssey backfill`.
#[derive(Debug, Args)]
pub struct BackfillArgs {
    /// Print what came of it as JSON
    #[arg(long)]
    pub json: bool,
    /// The stack
    #[command(flatten)]
    pub stack: StackArgs,
}

/// `odyssey unconfirmed`.
#[derive(Debug, Args)]
pub struct UnconfirmedArgs {
    /// What to do
    #[command(subcommand)]
    pub what: Unconfirmed,
}

/// What can be done with unconfirmed sends.
#[derive(Debug, Subcommand)]
pub enum Unconfirmed {
    /// List them, oldest first
    List(UnconfirmedListArgs),
    /// Say what you found out about one
    Settle(SettleArgs),
}

/// `odyssey unconfirmed list`.
#[derive(Debug, Args)]
pub struct UnconfirmedListArgs {
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
    /// Print them as JSON
    #[arg(long)]
    pub json: bool,
    /// The stack
    #[command(flatten)]
    pub stack: StackArgs,
}

/// `odyssey unconfirmed settle`.
#[derive(Debug, Args)]
pub struct SettleArgs {
    /// The send's id
    #[arg(value_name = "SEND_ID")]
    pub send: String,
    /// SES accepted it: the message id that SES gave it
    #[arg(long, value_name = "SES_ID", required_unless_present = "not_sent")]
    pub sent: Option<String>,
    /// SES never accepted it; it stays unsent
    #[arg(long, conflicts_with = "sent")]
    pub not_sent: bool,
    /// The stack
    #[command(flatten)]
    pub stack: StackArgs,
}
