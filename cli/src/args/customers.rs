//! Arguments of what asks about customers: tail, explain, profile, segments, backfill.

use super::StackArgs;
use clap::{Args, Subcommand};

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
