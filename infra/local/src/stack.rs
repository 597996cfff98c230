//! The stack: started from a template, asked and watched through a handle.

use crate::activity::Activity;
use crate::broker::{Broker, Depth, Received};
use crate::clock::Clock;
use crate::closing::Closing;
use crate::faults::Faults;
use crate::feed::{Feed, Happening};
use crate::gateway;
use crate::iam::{Denied, Iam, Unused};
use crate::lambda::{Host, Lambda, poller, schedule};
use crate::mailbox::Mailbox;
use crate::options::{Functions, MAIL_IDENTITY, Options, Storage};
use crate::pattern::PatternError;
use crate::secrets::{self, SecretsError};
use crate::state::Shared;
use crate::template::{self, Place, Resources, TemplateError};
use crate::usage::{Book, Usage};
use crate::wire::{self, Bus, OPERATOR, access_key};
use odyssey_aws::{Aws, DynamoTables, Env};
use odyssey_domain::keyring::{Keyring, KeyringError};
use odyssey_domain::time::Stamp;
use odyssey_flows::ports::{Queue, Table};
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;

/// Why a stack did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The template cannot be run.
    #[error("infra/template.yaml: {0}")]
    Template(#[from] TemplateError),
    /// A rule's pattern cannot be matched.
    #[error("infra/template.yaml: {0}")]
    Pattern(#[from] PatternError),
    /// A port cannot be listened on.
    #[error("port {port}: {cause}")]
    Port {
        /// Which; 0 stands for any.
        port: u16,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The database cannot be opened, or a table not be made.
    #[error("database: {0}")]
    Database(String),
    /// The secrets cannot be kept.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// A function's role does not let Lambda take from its queue.
    #[error("event source: {0}")]
    EventSource(#[from] Denied),
}

/// A message that ended in a dead-letter queue.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// The dead-letter queue's logical id.
    pub queue: String,
    /// The message.
    pub message: Received,
}

/// A running stack's handle; cheap to clone. The stack lives as long as its [`LocalStack`].
#[derive(Debug, Clone)]
pub struct Stack {
    shared: Arc<Shared>,
}

/// A running stack. Dropping it ends its functions' processes and closes its ports.
#[derive(Debug)]
pub struct LocalStack {
    stack: Stack,
    tasks: Vec<JoinHandle<()>>,
}

impl Deref for LocalStack {
    type Target = Stack;

    fn deref(&self) -> &Stack {
        &self.stack
    }
}

impl Drop for LocalStack {
    fn drop(&mut self) {
        self.shared.closing.close();
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn listen(port: u16) -> Result<(TcpListener, String), StartError> {
    let failed = |cause| StartError::Port { port, cause };
    let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, format!("http://{address}")))
}

fn place(options: &Options, endpoint_url: String, api_url: String) -> Place {
    let mut parameters = options.parameters.clone();
    parameters.entry("PublicUrl".to_owned()).or_insert_with(|| api_url.clone());
    parameters.entry("MailIdentity".to_owned()).or_insert_with(|| MAIL_IDENTITY.to_owned());
    Place {
        region: "us-east-1".to_owned(),
        account: "123456789012".to_owned(),
        stack: "odyssey".to_owned(),
        endpoint_url,
        api_url,
        parameters: parameters.into_iter().collect(),
    }
}

fn database(storage: &Storage, resources: &Resources) -> Result<dynoxide::Database, StartError> {
    let opened = match storage {
        Storage::Memory => dynoxide::Database::memory(),
        Storage::File(path) => dynoxide::Database::new(&path.to_string_lossy()),
    };
    let database = opened.map_err(|error| StartError::Database(error.to_string()))?;
    for table in &resources.tables {
        wire::create(&database, &table.create)
            .map_err(|cause| StartError::Database(format!("{}: {cause}", table.id)))?;
    }
    Ok(database)
}

impl LocalStack {
    /// Starts a stack; functions' processes start when they are first needed.
    ///
    /// # Errors
    /// Where the template says something that cannot be run, or a port or file cannot be used.
    pub async fn start(mut options: Options) -> Result<LocalStack, StartError> {
        let (endpoint, endpoint_url) = listen(options.endpoint_port).await?;
        let (api, api_url) = listen(options.api_port).await?;
        let place = place(&options, endpoint_url, api_url);
        let resources = template::read(&options.template, &place)?;
        let (clock, feed) = (Clock::start(options.rate, options.start), Arc::new(Feed::new()));
        let activity = Activity::new();
        let host = match options.functions.clone() {
            Functions::Binaries(binaries) => Host::Processes(binaries),
            Functions::Url(url) => Host::Url(url),
        };
        let environment = std::mem::take(&mut options.environment);
        let shared = Arc::new(Shared {
            bus: Bus::new(&resources)?,
            iam: Iam::new(resources.roles.clone(), resources.guards.clone()),
            broker: Broker::new(&resources.queues, clock, feed.clone(), activity.clone()),
            database: database(&options.storage, &resources)?,
            secrets: secrets::generate(&resources.secrets, &options.storage)?,
            lambda: Lambda::new(host, &resources.functions, options.concurrency, environment),
            book: Book::default(),
            mailbox: Mailbox::default(),
            faults: Faults::default(),
            closing: Closing::new(),
            place,
            resources,
            clock,
            feed,
            activity,
        });
        let stack = Stack { shared: shared.clone() };
        let pages = options.pages.take().map(|pages| pages(&stack));
        let mut tasks = vec![
            tokio::spawn(wire::serve(endpoint, shared.clone())),
            tokio::spawn(serve_api(api, gateway::router(shared.clone(), pages))),
        ];
        tasks.extend(start_sources(&shared)?);
        Ok(LocalStack { stack, tasks })
    }

    /// Ends the functions' processes and waits until they have gone.
    pub async fn stop(self) {
        self.shared.closing.close();
        let mut changes = self.shared.activity.watch();
        while self.shared.lambda.processes() > 0 && changes.changed().await.is_ok() {}
    }
}

async fn serve_api(listener: TcpListener, router: axum::Router) {
    use axum::serve::ListenerExt;
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    // It ends when its task is aborted.
    let _ = axum::serve(listener, router).await;
}

fn start_sources(shared: &Arc<Shared>) -> Result<Vec<JoinHandle<()>>, StartError> {
    let mut tasks = Vec::new();
    for function in &shared.resources.functions {
        for source in &function.sources {
            poller::check(shared, function, source)?;
            if let Some(queue) = shared.broker.find(&source.queue) {
                shared.broker.consumed(&queue.name);
            }
        }
    }
    for function in &shared.resources.functions {
        for source in &function.sources {
            let run = poller::run(shared.clone(), function.clone(), source.clone());
            tasks.push(tokio::spawn(run));
        }
        for schedule in &function.schedules {
            let run = schedule::run(shared.clone(), function.clone(), schedule.clone());
            tasks.push(tokio::spawn(run));
        }
    }
    Ok(tasks)
}

impl Stack {
    /// Where the HTTP API answers: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn api_url(&self) -> &str {
        &self.shared.place.api_url
    }

    /// Where AWS's protocols are spoken.
    #[must_use]
    pub fn endpoint_url(&self) -> &str {
        &self.shared.place.endpoint_url
    }

    /// The clock that the stack lives by.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.shared.clock
    }

    /// Customer time.
    #[must_use]
    pub fn now(&self) -> Stamp {
        self.shared.clock.now()
    }

    /// What happens from now on. A listener that lags loses the oldest happenings.
    #[must_use]
    pub fn feed(&self) -> broadcast::Receiver<Arc<Happening>> {
        self.shared.feed.listen()
    }

    /// The mails that SES took.
    #[must_use]
    pub fn mailbox(&self) -> &Mailbox {
        &self.shared.mailbox
    }

    /// Faults on purpose.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// Kills every process of a function (by its logical id), as a crash would; returns how many.
    #[must_use]
    pub fn kill(&self, function: &str) -> usize {
        self.shared.lambda.kill(function)
    }

    /// What was counted so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.shared.book.read()
    }

    /// What was counted so far; counting starts from nothing.
    #[must_use]
    pub fn reset_usage(&self) -> Usage {
        self.shared.book.reset()
    }

    /// Statements of the template that nothing has used yet.
    #[must_use]
    pub fn unused_statements(&self) -> Vec<Unused> {
        self.shared.iam.unused()
    }

    /// What the template wires.
    #[must_use]
    pub fn resources(&self) -> &Resources {
        &self.shared.resources
    }

    /// The messages in every queue that is another's dead-letter queue.
    #[must_use]
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        let queues: Vec<&template::Queue> = self.shared.broker.specs().collect();
        let is_dead = |queue: &&&template::Queue| {
            let target = |other: &&template::Queue| {
                other.redrive.as_ref().is_some_and(|redrive| redrive.target == queue.arn)
            };
            let of_rule = |rule: &template::Rule| {
                rule.targets.iter().any(|t| t.dead_letters.as_deref() == Some(queue.arn.as_str()))
            };
            queues.iter().any(target) || self.shared.resources.rules.iter().any(of_rule)
        };
        let mut found = Vec::new();
        for queue in queues.iter().filter(is_dead) {
            let messages = self.shared.broker.peek(&queue.name);
            found.extend(
                messages.into_iter().map(|message| DeadLetter { queue: queue.id.clone(), message }),
            );
        }
        found
    }

    /// How many messages a queue (by its logical id) holds.
    #[must_use]
    pub fn depth(&self, queue: &str) -> Option<Depth> {
        let spec = self.shared.broker.specs().find(|spec| spec.id == queue)?;
        Some(self.shared.broker.depth(&spec.name))
    }

    /// The stack's keyring.
    ///
    /// # Errors
    /// Where the template's secret is no keyring.
    pub fn keyring(&self) -> Result<Keyring, KeyringError> {
        let text = self.shared.secrets.values().next().map(String::as_str).unwrap_or_default();
        Keyring::parse(text)
    }

    /// The operator's environment: every table, queue, bus and secret, under the names that
    /// functions know them by, with an access key that may do everything.
    #[must_use]
    pub fn environment(&self) -> BTreeMap<String, String> {
        let resources = &self.shared.resources;
        let mut all = BTreeMap::new();
        let mut put = |name: &str, value: &str| {
            all.insert(name.to_owned(), value.to_owned());
        };
        for function in &resources.functions {
            function.environment.iter().for_each(|(name, value)| put(name, value));
        }
        for table in Table::ALL {
            let id = format!("{table:?}Table");
            if let Some(spec) = resources.tables.iter().find(|spec| spec.id == id) {
                put(table.env(), &spec.name);
            }
        }
        for queue in [Queue::Profile, Queue::Journey, Queue::Sender] {
            let id = format!("{queue:?}Queue");
            if let Some(spec) = resources.queues.iter().find(|spec| spec.id == id) {
                put(queue.env(), &spec.url);
            }
        }
        put("AWS_ENDPOINT_URL", self.endpoint_url());
        put("AWS_REGION", &self.shared.place.region);
        put("AWS_ACCESS_KEY_ID", &access_key(OPERATOR));
        put("AWS_SECRET_ACCESS_KEY", "local");
        put("ODYSSEY_CLOCK", &self.shared.clock.variable());
        all
    }

    /// The operator's way to the services.
    #[must_use]
    pub fn aws(&self) -> Aws {
        Aws::connect(&Env::from_variables(self.environment()))
    }

    /// The operator's way to every table.
    #[must_use]
    pub fn tables(&self) -> DynamoTables {
        self.aws().tables(&Table::ALL)
    }

    /// Returns when nothing goes on: no request, no invocation, no message that could be received
    /// or is being handled, none that is delayed until `until` or before, and nothing in the due
    /// index up to then. A message that a function gave back counts until it is handled.
    pub async fn idle(&self, until: Stamp) {
        let mut changes = self.shared.activity.watch();
        loop {
            changes.mark_unchanged();
            if self.is_idle(until) || changes.changed().await.is_err() {
                return;
            }
        }
    }

    fn is_idle(&self, until: Stamp) -> bool {
        let shared = &self.shared;
        let quiet = || shared.activity.is_quiet() && !shared.broker.has_work(until);
        if !quiet() {
            return false;
        }
        let due = shared.resources.tables.iter().find(|table| table.id == "DueTable");
        let last = format!("{}~", odyssey_flows::due::sort_key_at(until));
        let waits = due.is_some_and(|table| wire::any_up_to(&shared.database, &table.name, &last));
        // What was due may have been handed over between the two questions.
        !waits && quiet()
    }
}
