//! The commands and their help.

mod customers;
mod failures;
mod machine;
mod workspace;

pub use customers::{
    BackfillArgs, ExplainArgs, PreviewArgs, Profile, ProfileArgs, ProfileShowArgs,
    ProfileSplitArgs, ProfileWhyArgs, Segments, SegmentsArgs, TailArgs,
};
pub use failures::{
    Dlq, DlqArgs, DlqFilter, DlqListArgs, DlqRedriveArgs, DlqShowArgs, SettleArgs, Unconfirmed,
    UnconfirmedArgs, UnconfirmedListArgs,
};
pub use machine::{
    Bench, BenchArgs, BenchColdArgs, BenchCostArgs, BenchIngestArgs, BenchLatencyArgs,
    BenchReplayArgs, ChaosArgs, DemoArgs, LocalArgs, SimArgs,
};
pub use workspace::{
    AuditArgs, CheckArgs, KeysArgs, PlanArgs, PublishArgs, SchemaArgs, SchemaFile,
};

use clap::{Args, Parser, Subcommand};

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
    /// The write keys that the published sources post with
    ///
    /// They are worked out from the stack's secret, which the credentials in use must be allowed to
    /// read. Talks to the running local stack, or to AWS where --stack or the variables of the tables
    /// say so.
    Keys(KeysArgs),
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

/// Which stack a command talks to.
#[derive(Debug, Clone, Default, Args)]
pub struct StackArgs {
    /// A CloudFormation stack in AWS by its name, instead of the running local one (needs the
    /// `aws` command and its credentials; never yet run against real AWS)
    #[arg(long, value_name = "NAME")]
    pub stack: Option<String>,
}
