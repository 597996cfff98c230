//! Lambda: the functions' own binaries as processes over the Runtime API, with concurrency,
//! time-outs and restarts as Lambda has them.

mod instance;
pub(crate) mod poller;
pub(crate) mod process;
mod remote;
pub(crate) mod runtime_api;
pub(crate) mod schedule;

use crate::feed::{Ended, What};
use crate::identifiers::uuid;
use crate::state::Shared;
use crate::template::Function;
use bytes::Bytes;
use instance::{Instance, Invocation, Outcome};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Processes of a function at once where it reserves no concurrency: a developer's machine is not
/// a region.
pub const CONCURRENCY: usize = 2;

/// Where invocations go.
#[derive(Debug, Clone)]
pub(crate) enum Host {
    /// Processes of the stack's own, from binaries by the name that the template gives them.
    Processes(BTreeMap<String, PathBuf>),
    /// Somebody else's Lambda: `cargo lambda watch`.
    Url(String),
}

/// A function that could not be started or did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvokeError {
    /// It reported an error.
    #[error("{function} failed: {message}")]
    Failed {
        /// Logical id.
        function: String,
        /// What it reported.
        message: String,
    },
    /// It ran into its time-out.
    #[error("{function} timed out after {timeout:?}")]
    TimedOut {
        /// Logical id.
        function: String,
        /// The time-out.
        timeout: Duration,
    },
    /// Its process went away.
    #[error("{function} crashed: {cause}")]
    Crashed {
        /// Logical id.
        function: String,
        /// How.
        cause: String,
    },
}

#[derive(Debug)]
struct Hosted {
    spec: Function,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Arc<Instance>>>,
}

/// The functions.
#[derive(Debug)]
pub(crate) struct Lambda {
    host: Host,
    functions: BTreeMap<String, Hosted>,
    instances: Mutex<BTreeMap<String, Arc<Instance>>>,
    /// Further environment variables of every function.
    environment: BTreeMap<String, String>,
}

/// The right to one invocation.
#[derive(Debug)]
pub(crate) struct Slot(
    #[expect(dead_code, reason = "held until it is dropped")] OwnedSemaphorePermit,
);

impl Lambda {
    /// Of a template's functions.
    pub(crate) fn new(
        host: Host,
        functions: &[Function],
        concurrency: Option<usize>,
        environment: BTreeMap<String, String>,
    ) -> Self {
        let hosted = |spec: &Function| {
            let limit = spec.reserved.unwrap_or(concurrency.unwrap_or(CONCURRENCY)).max(1);
            let permits = Arc::new(Semaphore::new(limit));
            (spec.id.clone(), Hosted { spec: spec.clone(), permits, idle: Mutex::default() })
        };
        Self {
            host,
            functions: functions.iter().map(hosted).collect(),
            instances: Mutex::default(),
            environment,
        }
    }

    /// The function with an ARN.
    pub(crate) fn by_arn(&self, arn: &str) -> Option<&Function> {
        self.functions.values().map(|hosted| &hosted.spec).find(|spec| spec.arn == arn)
    }

    /// Waits for the right to one invocation.
    pub(crate) async fn slot(&self, function: &str) -> Option<Slot> {
        let permits = self.functions.get(function)?.permits.clone();
        permits.acquire_owned().await.ok().map(Slot)
    }

    /// The process that asks under this id.
    pub(crate) fn instance(&self, id: &str) -> Option<Arc<Instance>> {
        self.instances.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// Kills every process of a function; the next invocation starts another.
    pub(crate) fn kill(&self, function: &str) -> usize {
        let instances = self.instances.lock().unwrap_or_else(PoisonError::into_inner);
        let of_it = instances.values().filter(|instance| instance.function == function);
        of_it.map(|instance| instance.kill()).count()
    }

    /// How many processes there are.
    pub(crate) fn processes(&self) -> usize {
        self.instances.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn keep(&self, instance: &Arc<Instance>) {
        let mut instances = self.instances.lock().unwrap_or_else(PoisonError::into_inner);
        instances.insert(instance.id.clone(), instance.clone());
    }

    fn forget(&self, id: &str) {
        self.instances.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

/// Starts a process of every function that has none yet, as provisioned concurrency does, and returns
/// when all have asked for work. One that does not start is told by its first invocation.
pub(crate) async fn warm(shared: &Arc<Shared>) {
    let each = shared.lambda.functions.values().map(|hosted| async move {
        let Some(_slot) = shared.lambda.slot(&hosted.spec.id).await else { return };
        let instance = match take_idle(hosted) {
            Some(instance) => instance,
            None => match process::start(shared, &hosted.spec) {
                Ok(instance) => {
                    instance.has_begun().await;
                    instance
                }
                Err(_) => return,
            },
        };
        hosted.idle.lock().unwrap_or_else(PoisonError::into_inner).push(instance);
    });
    futures_util::future::join_all(each).await;
}

/// One invocation to make.
#[derive(Debug)]
pub(crate) struct Ask {
    /// Logical id.
    pub(crate) function: String,
    /// The event.
    pub(crate) payload: Bytes,
    /// Records in it.
    pub(crate) records: usize,
}

/// Invokes a function under a slot and tells of it. `failed` counts what an answer gives back.
pub(crate) async fn invoke(
    shared: &Arc<Shared>,
    slot: Slot,
    ask: Ask,
    failed: impl FnOnce(&Result<Bytes, InvokeError>) -> usize + Send,
) -> Result<Bytes, InvokeError> {
    let _busy = shared.activity.begin();
    let request = uuid();
    let started = Instant::now();
    let (cold, result) = match &shared.lambda.host {
        Host::Url(url) => (false, remote::invoke(shared, url, &ask).await),
        Host::Processes(_) => run(shared, &ask, &request).await,
    };
    drop(slot);
    let took = started.elapsed();
    let memory = shared.lambda.functions.get(&ask.function).map_or(128, |h| h.spec.memory);
    shared.book.invocation(&ask.function, memory, ask.records, took, cold, result.is_err());
    shared.tell(What::Invoked {
        function: ask.function,
        request,
        records: ask.records,
        failed: failed(&result),
        took,
        cold,
        ended: match &result {
            Ok(_) => Ended::Answered,
            Err(InvokeError::Failed { message, .. }) => Ended::Failed(message.clone()),
            Err(InvokeError::TimedOut { .. }) => Ended::TimedOut,
            Err(InvokeError::Crashed { cause, .. }) => Ended::Crashed(cause.clone()),
        },
    });
    result
}

async fn run(shared: &Arc<Shared>, ask: &Ask, request: &str) -> (bool, Result<Bytes, InvokeError>) {
    let function = ask.function.clone();
    let crashed = |cause: String| InvokeError::Crashed { function: function.clone(), cause };
    let Some(hosted) = shared.lambda.functions.get(&ask.function) else {
        return (false, Err(crashed("no such function".to_owned())));
    };
    let (cold, instance) = match take_idle(hosted) {
        Some(instance) => (false, instance),
        None => match process::start(shared, &hosted.spec) {
            Ok(instance) => (true, instance),
            Err(cause) => return (true, Err(crashed(cause))),
        },
    };
    let timeout = hosted.spec.timeout;
    let deadline = crate::clock::wall().ms() + i64::try_from(timeout.as_millis()).unwrap_or(0);
    let invocation = Invocation {
        request: request.to_owned(),
        deadline_ms: deadline,
        arn: hosted.spec.arn.clone(),
        payload: ask.payload.clone(),
    };
    let answer = instance.hand_over(invocation);
    let result = match tokio::time::timeout(timeout, answer).await {
        Ok(Ok(Outcome::Answer(bytes))) => Ok(bytes),
        Ok(Ok(Outcome::Error(message))) => {
            Err(InvokeError::Failed { function: function.clone(), message })
        }
        Ok(Ok(Outcome::Exited(cause))) => Err(crashed(cause)),
        Ok(Err(_)) => Err(crashed("the process went away".to_owned())),
        Err(_) => {
            instance.kill();
            return (cold, Err(InvokeError::TimedOut { function, timeout }));
        }
    };
    // A function that reports an error keeps its process, as on AWS; one that exits has none.
    if !matches!(result, Err(InvokeError::Crashed { .. })) {
        let mut idle = hosted.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(instance);
    }
    (cold, result)
}

fn take_idle(hosted: &Hosted) -> Option<Arc<Instance>> {
    let mut idle = hosted.idle.lock().unwrap_or_else(PoisonError::into_inner);
    while let Some(instance) = idle.pop() {
        if instance.is_alive() {
            return Some(instance);
        }
    }
    None
}
