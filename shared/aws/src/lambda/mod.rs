//! The way in: what Lambda hands over becomes records, requests and ticks, and what a handler
//! answers becomes what Lambda understands.
//!
//! Each invocation reads the clock once, writes one line that is also its metric document, and
//! survives a panic of its handler.

mod batch;
mod dead_letters;
mod deadline;
mod event;
mod http;
mod invocation;
mod queue;
mod schedule;
mod sqs_event;

pub use dead_letters::DeadLetters;
pub use deadline::Deadline;
pub use http::{HttpRequest, HttpResponse, run_http};
pub use queue::run_queue;
pub use schedule::run_schedule;

use bytes::Bytes;
use event::EventDesk;
use lambda_runtime::tower::util::MapRequestLayer;

/// Why a function stopped, or why an invocation failed. The text holds nothing of the event.
#[derive(Debug, thiserror::Error)]
pub enum LambdaError {
    /// The Runtime API is not there or answers nonsense.
    #[error("the Lambda runtime stopped: {cause}")]
    Runtime {
        /// What the runtime says.
        cause: String,
    },
    /// The event is not what this function is triggered by.
    #[error("expected {expected}, found something else at line {line} column {column}")]
    Event {
        /// What it should be.
        expected: &'static str,
        /// Where it stops being that.
        line: usize,
        /// Where it stops being that.
        column: usize,
    },
    /// The handler panicked; the place is in the log.
    #[error("the handler panicked")]
    Panicked,
    /// The handler failed.
    #[error("{0}")]
    Handler(String),
}

impl From<LambdaError> for lambda_runtime::Diagnostic {
    fn from(error: LambdaError) -> lambda_runtime::Diagnostic {
        let error_type = match error {
            LambdaError::Runtime { .. } => "Runtime",
            LambdaError::Event { .. } => "Event",
            LambdaError::Panicked => "Panicked",
            LambdaError::Handler(_) => "Handler",
        };
        lambda_runtime::Diagnostic {
            error_type: error_type.to_owned(),
            error_message: error.to_string(),
        }
    }
}

/// Serves invocations with `handle`, which is given the event's bytes, until the environment ends.
async fn serve<F, Fut, A>(handle: F) -> Result<(), LambdaError>
where
    F: Fn(Bytes, lambda_runtime::Context) -> Fut,
    Fut: Future<Output = Result<A, LambdaError>>,
    A: serde::Serialize,
{
    let desk = EventDesk::default();
    let service = lambda_runtime::service_fn(|event: lambda_runtime::LambdaEvent<()>| {
        handle(desk.take(), event.context)
    });
    lambda_runtime::Runtime::new(service)
        .layer(MapRequestLayer::new(|invocation| desk.put(invocation)))
        .run()
        .await
        .map_err(|error| LambdaError::Runtime { cause: error.to_string() })
}

/// Runs a handler's future; `None` where it panicked.
///
/// The future's type ends here: what a handler awaits reaches down into the SDK, and the runtime's
/// layers around it would pass the compiler's depth of types.
async fn caught<T>(future: impl Future<Output = T>) -> Option<T> {
    use futures_util::FutureExt as _;
    let future: std::pin::Pin<Box<dyn Future<Output = T> + '_>> = Box::pin(future);
    // After a panic nothing of the invocation is used again; what outlives it (clients, caches)
    // guards itself against poisoned locks.
    std::panic::AssertUnwindSafe(future).catch_unwind().await.ok()
}
