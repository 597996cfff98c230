//! Functions fed by a queue.

use super::batch;
use super::event::decode;
use super::invocation::Invocation;
use super::sqs_event::SqsEvent;
use super::{DeadLetters, LambdaError, serve};
use odyssey_domain::time::Stamp;
use odyssey_flows::queue::{Disposition, QueueRecord};

/// Serves an SQS event source with partial batch answers until the environment ends.
///
/// The handler returns one disposition for each record, in order. `Retry` hides the message for
/// 2 s, doubling with each receipt to 15 minutes; `Park` puts it into the dead-letter queue, and
/// retries where that fails. If the handler panics, each record is given to it once more, alone; a
/// record that panics alone is retried, and parked as `panicked` after its third receipt.
///
/// # Errors
/// Where the Runtime API cannot be reached.
pub async fn run_queue<H, F>(
    name: &'static str,
    dead_letters: DeadLetters,
    handler: H,
) -> Result<(), LambdaError>
where
    H: Fn(Vec<QueueRecord>, Stamp) -> F,
    F: Future<Output = Vec<Disposition>>,
{
    serve(async |event, context| {
        let mut invocation = Invocation::begin(name, &context);
        let answer = match decode::<SqsEvent>(&event, "an SQS event") {
            Ok(event) => {
                let Invocation { request, now, summary, .. } = &mut invocation;
                Ok(batch::run(event, request, *now, &dead_letters, &handler, summary).await)
            }
            Err(error) => {
                invocation.summary.set("error", error.to_string());
                Err(error)
            }
        };
        invocation.end();
        answer
    })
    .await
}
