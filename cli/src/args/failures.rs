//! Arguments of what has failed: dlq, unconfirmed.

use super::StackArgs;
use clap::{Args, Subcommand};

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
