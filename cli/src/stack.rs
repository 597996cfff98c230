//! Which stack a command talks to: the running local one, or one in AWS.

use crate::Failure;
use crate::args::StackArgs;
use odyssey_aws::{Aws, DynamoTables, Env, OperatorQueue, SqsQueues};
use odyssey_domain::catalog::Catalog;
use odyssey_domain::keyring::Keyring;
use odyssey_domain::time::Stamp;
use odyssey_flows::catalog::current_key;
use odyssey_flows::ports::{Consistency, Queue, Table};
use odyssey_flows::stored;
use odyssey_local::queue_variable;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where a running local stack says how to reach it, below the folder it was started in.
pub const LOCAL_FILE: &str = ".odyssey/local.json";

/// What a running local stack leaves for the other commands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LocalFile {
    /// The HTTP API and the pages: `http://127.0.0.1:4100`.
    pub url: String,
    /// The process.
    pub pid: u32,
    /// The operator's environment: tables, queues, secret, access key, clock.
    pub environment: BTreeMap<String, String>,
}

/// A stack to talk to.
#[derive(Debug)]
pub struct Connection {
    /// What to call it: `the local stack at http://127.0.0.1:4100`.
    pub name: String,
    /// Its API and pages, where it is the local one.
    pub url: Option<String>,
    aws: Aws,
    env: Env,
    tables: Vec<Table>,
    /// The local stack's `ODYSSEY_CLOCK`.
    clock: Option<String>,
}

/// The folder in which a local stack writes and is looked for: the nearest at or above the current
/// one that has it, else the current one.
#[must_use]
pub fn local_file() -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    let found = here.ancestors().map(|folder| folder.join(LOCAL_FILE)).find(|path| path.is_file());
    found.unwrap_or_else(|| here.join(LOCAL_FILE))
}

/// Reads what a running local stack left.
///
/// # Errors
/// Where there is none.
pub fn read_local(path: &Path) -> Result<LocalFile, Failure> {
    let text = std::fs::read_to_string(path).map_err(|_| {
        Failure::Stack(format!(
            "no local stack runs here ({} is missing): start one with `cargo odyssey local`, or name one in AWS with --stack",
            path.display()
        ))
    })?;
    serde_json::from_str(&text).map_err(|error| {
        Failure::Stack(format!(
            "{} was not written by this release ({error}): start the local stack again",
            path.display()
        ))
    })
}

/// Connects to the stack that the arguments, the environment or a running local stack name, in
/// this order. Nothing is called yet but `aws cloudformation` for a named stack.
///
/// # Errors
/// Where there is none, or what is needed to reach it is missing.
pub fn connect(args: &StackArgs, tables: &[Table]) -> Result<Connection, Failure> {
    if let Some(stack) = &args.stack {
        let name = format!("the stack {stack} in AWS (not yet tested against real AWS)");
        return open(name, None, stack_environment(stack)?, tables);
    }
    let process: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
        .collect();
    if tables.iter().all(|table| process.contains_key(table.env())) {
        let name = match process.get("AWS_ENDPOINT_URL") {
            Some(url) => format!("the stack at {url}, named by the environment"),
            None => "the stack in AWS that the environment names (not yet tested against real AWS)"
                .to_owned(),
        };
        return open(name, None, process, tables);
    }
    let local = read_local(&local_file())?;
    let name = format!("the local stack at {}", local.url);
    open(name, Some(local.url), local.environment, tables)
}

/// A local stack of this process's own.
///
/// # Errors
/// Never: its environment is whole.
pub fn of_local(stack: &odyssey_local::Stack, tables: &[Table]) -> Result<Connection, Failure> {
    let name = format!("the local stack at {}", stack.api_url());
    open(name, Some(stack.api_url().to_owned()), stack.environment(), tables)
}

fn open(
    name: String,
    url: Option<String>,
    environment: BTreeMap<String, String>,
    tables: &[Table],
) -> Result<Connection, Failure> {
    let clock = environment.get("ODYSSEY_CLOCK").cloned();
    let env = Env::from_variables(environment);
    let aws = Aws::connect(&env);
    for table in tables {
        let _ = env.table(*table);
    }
    env.finish().map_err(|error| Failure::Stack(format!("{name}: {error}")))?;
    Ok(Connection { name, url, aws, env, tables: tables.to_vec(), clock })
}

/// The names of a CloudFormation stack's tables and its secret, asked of the `aws` command, with
/// the credentials that it would use itself.
fn stack_environment(stack: &str) -> Result<BTreeMap<String, String>, Failure> {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    let listed = aws_command(&[
        "cloudformation",
        "list-stack-resources",
        "--stack-name",
        stack,
        "--query",
        "StackResourceSummaries[].[LogicalResourceId,PhysicalResourceId]",
        "--output",
        "text",
    ])?;
    for line in listed.lines() {
        let mut words = line.split_whitespace();
        let (Some(logical), Some(physical)) = (words.next(), words.next()) else { continue };
        let table = Table::ALL.into_iter().find(|table| logical == format!("{table:?}Table"));
        if let Some(table) = table {
            all.insert(table.env().to_owned(), physical.to_owned());
        } else if logical == "Secret" {
            all.insert("SECRET_ARN".to_owned(), physical.to_owned());
        } else if logical.ends_with("Queue") || logical.ends_with("DeadLetters") {
            // CloudFormation's id of a queue is its URL.
            all.insert(queue_variable(logical), physical.to_owned());
        }
    }
    let exported = aws_command(&["configure", "export-credentials", "--format", "env-no-export"])?;
    for line in exported.lines() {
        if let Some((name, value)) = line.split_once('=') {
            all.insert(name.trim().to_owned(), value.trim().to_owned());
        }
    }
    let region = std::env::var("AWS_REGION").or_else(|_| std::env::var("AWS_DEFAULT_REGION"));
    let region = match region {
        Ok(region) => region,
        Err(_) => aws_command(&["configure", "get", "region"])?.trim().to_owned(),
    };
    all.insert("AWS_REGION".to_owned(), region);
    Ok(all)
}

fn aws_command(arguments: &[&str]) -> Result<String, Failure> {
    let shown = arguments.iter().take(2).copied().collect::<Vec<_>>().join(" ");
    let output = Command::new("aws").args(arguments).output().map_err(|error| {
        Failure::Stack(format!("`aws {shown}` cannot be run ({error}): --stack needs the AWS CLI"))
    })?;
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        return Err(Failure::Stack(format!("`aws {shown}`: {}", told.trim())));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

impl Connection {
    /// The tables.
    #[must_use]
    pub fn tables(&self) -> DynamoTables {
        self.aws.tables(&self.tables)
    }

    /// A queue, by its logical id in the template.
    ///
    /// # Errors
    /// Where its URL is not known.
    pub fn queue(&self, logical_id: &str) -> Result<OperatorQueue, Failure> {
        let variable = queue_variable(logical_id);
        let url = self.env.optional(&variable).ok_or_else(|| {
            Failure::Stack(format!(
                "{}: the URL of {logical_id} is not known: set {variable}",
                self.name
            ))
        })?;
        Ok(self.aws.operator_queue(url))
    }

    /// The published workspace.
    ///
    /// # Errors
    /// Where it cannot be read, or nothing is published.
    pub async fn published(&self) -> Result<Catalog, Failure> {
        let (tables, name) = (self.tables(), &self.name);
        let found = stored::load::<Catalog>(&tables, current_key(), Consistency::Strong).await;
        let found = found.map_err(|error| Failure::Stack(format!("{name}: {error}")))?;
        found.map(|found| found.item).ok_or_else(|| {
            Failure::Stack(format!("{name}: nothing is published yet: run `cargo odyssey publish`"))
        })
    }

    /// The queue of `profile`, to send to.
    ///
    /// # Errors
    /// Where its URL is not known.
    pub fn profile_queue(&self) -> Result<SqsQueues, Failure> {
        let variable = Queue::Profile.env();
        match self.env.optional(variable) {
            Some(_) => Ok(self.aws.queues(&[Queue::Profile])),
            None => Err(Failure::Stack(format!(
                "{}: the URL of profile's queue is not known: set {variable}",
                self.name
            ))),
        }
    }

    /// The stack's keys.
    ///
    /// # Errors
    /// Where the secret cannot be read.
    pub async fn keyring(&self) -> Result<Keyring, Failure> {
        let failed =
            |error: odyssey_aws::SecretError| Failure::Stack(format!("{}: {error}", self.name));
        self.aws.keyring().await.map_err(failed)
    }

    /// The stack's time: scaled where the local stack's is.
    #[must_use]
    pub fn now(&self) -> Stamp {
        let local = self.clock.as_deref().and_then(odyssey_local::shown);
        local.unwrap_or_else(odyssey_aws::clock::now)
    }
}
