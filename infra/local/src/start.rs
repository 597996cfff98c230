//! Starting a stack from a template, and ending it.

use crate::activity::Activity;
use crate::broker::Broker;
use crate::clock::{self, Clock};
use crate::closing::Closing;
use crate::faults::Faults;
use crate::feed::Feed;
use crate::gateway;
use crate::iam::{Denied, Iam};
use crate::kept::{self, Kept, KeptError};
use crate::lambda::{Host, Lambda, poller, schedule};
use crate::mailbox::Mailbox;
use crate::options::{Functions, MAIL_IDENTITY, Options, Storage};
use crate::pace::Pace;
use crate::pattern::PatternError;
use crate::secrets::{self, SecretsError};
use crate::stack::Stack;
use crate::state::Shared;
use crate::template::{self, Place, Resources, TemplateError};
use crate::usage::Book;
use crate::wire::{self, Bus};
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::{Arc, Once};
use tokio::net::TcpListener;
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
    /// The functions cannot be told the time.
    #[error("the clock's file: {0}")]
    Clock(std::io::Error),
    /// What the stack before left cannot be read.
    #[error(transparent)]
    Kept(#[from] KeptError),
    /// The secrets cannot be kept.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// A function's role does not let Lambda take from its queue.
    #[error("event source: {0}")]
    EventSource(#[from] Denied),
}

/// A running stack. Dropping it ends its functions' processes and closes its ports.
#[derive(Debug)]
pub struct LocalStack {
    stack: Stack,
    storage: Storage,
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
        self.stack.shared.closing.close();
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
        let kept = kept::take(&options.storage)?;
        // Customers' time never goes back: what was due then is due now.
        let start = options.start.max(kept.as_ref().map(|kept| kept.at.max(clock::wall())));
        let clock = match options.pace {
            Pace::Steady => Clock::steady(options.rate, start),
            Pace::Patient => Clock::granted(options.rate, start).map_err(StartError::Clock)?,
        };
        let feed = Arc::new(Feed::new());
        let activity = Activity::new();
        let host = match options.functions.clone() {
            Functions::Binaries(binaries) => Host::Processes(binaries),
            Functions::Url(url) => Host::Url(url),
            Functions::Nobody => Host::Processes(BTreeMap::new()),
        };
        let hosted = options.functions != Functions::Nobody;
        let environment = std::mem::take(&mut options.environment);
        let shared = Arc::new(Shared {
            bus: Bus::new(&resources)?,
            iam: Iam::new(resources.roles.clone(), resources.guards.clone()),
            broker: Broker::new(&resources.queues, clock.clone(), feed.clone(), activity.clone()),
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
            pacing: Once::new(),
        });
        if let Some(kept) = kept {
            shared.broker.restore(kept.messages);
        }
        let stack = Stack { shared: shared.clone() };
        let pages = options.pages.take().map(|pages| pages(&stack));
        let mut tasks = vec![
            tokio::spawn(wire::serve(endpoint, shared.clone())),
            tokio::spawn(serve_api(api, gateway::router(shared.clone(), pages))),
        ];
        if hosted {
            tasks.extend(start_sources(&shared)?);
        }
        Ok(LocalStack { stack, storage: options.storage, tasks })
    }

    /// Ends the functions' processes, waits until they have gone, and leaves the queues and the
    /// customers' time beside the database file, where there is one.
    ///
    /// # Errors
    /// Where that cannot be written.
    pub async fn stop(self) -> Result<(), KeptError> {
        let shared = &self.stack.shared;
        shared.closing.close();
        let mut changes = shared.activity.watch();
        while shared.lambda.processes() > 0 && changes.changed().await.is_ok() {}
        let kept = Kept { at: shared.clock.now(), messages: shared.broker.kept() };
        kept::leave(&self.storage, &kept)
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
