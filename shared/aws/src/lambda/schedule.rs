//! Functions run by a schedule.

use super::invocation::Invocation;
use super::{Deadline, LambdaError, caught, serve};
use odyssey_domain::time::Stamp;
use std::error::Error;

/// Serves a schedule until the environment ends. What the schedule sends is not read. A failed
/// handler fails the invocation, which Lambda counts and tries again.
///
/// # Errors
/// Where the Runtime API cannot be reached.
pub async fn run_schedule<H, F, E>(name: &'static str, handler: H) -> Result<(), LambdaError>
where
    H: Fn(Stamp, Deadline) -> F,
    F: Future<Output = Result<(), E>>,
    E: Error,
{
    serve(async |_event, context| {
        let mut invocation = Invocation::begin(name, &context);
        let (now, deadline) = (invocation.now, invocation.deadline);
        let result = match caught(async { handler(now, deadline).await }).await {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(LambdaError::Handler(odyssey_telemetry::one_line(&error))),
            None => Err(LambdaError::Panicked),
        };
        if let Err(error) = &result {
            invocation.summary.set("error", error.to_string());
        }
        invocation.end();
        result
    })
    .await
}
