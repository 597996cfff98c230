//! Arguments of what reads a workspace or an export: check, publish, schema, audit, plan.

use super::StackArgs;
use clap::Args;
use std::path::PathBuf;

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

/// `odyssey keys`.
#[derive(Debug, Args)]
pub struct KeysArgs {
    /// Print them as JSON
    #[arg(long)]
    pub json: bool,
    /// The stack
    #[command(flatten)]
    pub stack: StackArgs,
}
