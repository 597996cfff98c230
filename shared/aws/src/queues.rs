//! `Queues` on SQS.

use crate::failure::port_error;
use crate::lazy::Lazy;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use aws_types::SdkConfig;
use odyssey_flows::ports::{PortError, QUEUE_DELAY_MAX, Queue, QueueMessage, Queues};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The most messages of one `SendMessageBatch`.
const MESSAGES_MAX: usize = 10;
/// The most bytes of one message and of all messages of a batch.
pub(crate) const BATCH_BYTES_MAX: usize = 1024 * 1024;
/// How often the failed messages of a batch are sent again, after 50, 100 and 200 ms.
const ROUNDS: u32 = 4;

/// The queues on SQS. A handle: clones share one client.
#[derive(Debug, Clone)]
pub struct SqsQueues {
    client: Lazy<Client>,
    urls: Arc<BTreeMap<Queue, String>>,
}

/// Indices in batches that SQS takes; and those of messages too large for any.
fn batches(messages: &[QueueMessage], wanted: &[usize]) -> (Vec<Vec<usize>>, Vec<usize>) {
    let (mut batches, mut too_large) = (Vec::new(), Vec::new());
    let (mut batch, mut bytes) = (Vec::new(), 0);
    for index in wanted.iter().copied() {
        let Some(message) = messages.get(index) else { continue };
        let size = message.body.len();
        if size > BATCH_BYTES_MAX {
            too_large.push(index);
            continue;
        }
        if batch.len() == MESSAGES_MAX || bytes + size > BATCH_BYTES_MAX {
            batches.push(std::mem::take(&mut batch));
            bytes = 0;
        }
        batch.push(index);
        bytes += size;
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    (batches, too_large)
}

impl SqsQueues {
    pub(crate) fn new(config: &SdkConfig, urls: BTreeMap<Queue, String>) -> SqsQueues {
        SqsQueues { client: Lazy::new(config, Client::new), urls: Arc::new(urls) }
    }

    /// Sends one batch; returns the indices to try again and those refused for good.
    async fn send_batch(
        &self,
        url: &str,
        messages: &[QueueMessage],
        batch: &[usize],
    ) -> Result<(Vec<usize>, Vec<usize>), PortError> {
        const AT: &str = "SendMessageBatch";
        let unbuilt = |_| PortError::Permanent {
            operation: AT,
            cause: "a message cannot be built".to_owned(),
        };
        let mut entries = Vec::with_capacity(batch.len());
        for index in batch {
            let Some(message) = messages.get(*index) else { continue };
            let delay = message.delay.min(QUEUE_DELAY_MAX).seconds_up();
            let entry = SendMessageBatchRequestEntry::builder()
                .id(index.to_string())
                .message_body(&message.body)
                .delay_seconds(i32::try_from(delay).unwrap_or(0));
            entries.push(entry.build().map_err(unbuilt)?);
        }
        let answer = self
            .client
            .get()
            .send_message_batch()
            .queue_url(url)
            .set_entries(Some(entries))
            .send()
            .await
            .map_err(|error| port_error(AT, &error))?;
        let (mut again, mut refused) = (Vec::new(), Vec::new());
        for failed in answer.failed() {
            let Ok(index) = failed.id().parse::<usize>() else { continue };
            if failed.sender_fault() {
                tracing::error!(code = failed.code(), "a message was refused");
                refused.push(index);
            } else {
                again.push(index);
            }
        }
        Ok((again, refused))
    }
}

impl Queues for SqsQueues {
    async fn send(&self, queue: Queue, messages: &[QueueMessage]) -> Result<Vec<usize>, PortError> {
        const AT: &str = "SendMessageBatch";
        let refused = |cause| PortError::Permanent { operation: AT, cause };
        let url = self.urls.get(&queue).ok_or_else(|| {
            refused(format!("this function is not connected to {queue:?} ({})", queue.env()))
        })?;
        if messages.iter().any(|message| message.delay > QUEUE_DELAY_MAX) {
            return Err(refused(format!("a delay above {QUEUE_DELAY_MAX}")));
        }
        let mut wanted: Vec<usize> = (0..messages.len()).collect();
        let mut failed = Vec::new();
        let mut any_sent = false;
        for round in 0..ROUNDS {
            if wanted.is_empty() {
                break;
            }
            if round > 0 {
                tokio::time::sleep(Duration::from_millis(50) * 2_u32.pow(round - 1)).await;
            }
            let (batches, too_large) = batches(messages, &wanted);
            failed.extend(too_large);
            wanted.clear();
            for (at, batch) in batches.iter().enumerate() {
                match self.send_batch(url, messages, batch).await {
                    Ok((again, refused)) => {
                        any_sent |= again.len() + refused.len() < batch.len();
                        wanted.extend(again);
                        failed.extend(refused);
                    }
                    // The SDK has tried this call several times already; the rest would fare alike.
                    Err(error) if any_sent && error.is_transient() => {
                        failed.extend(batches.iter().skip(at).flatten().copied());
                        failed.extend(wanted);
                        failed.sort_unstable();
                        return Ok(failed);
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        failed.extend(wanted);
        failed.sort_unstable();
        Ok(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use odyssey_domain::time::Span;

    #[test]
    fn batches_keep_both_limits() {
        let message = |bytes| QueueMessage { body: "x".repeat(bytes), delay: Span::ZERO };
        let messages: Vec<QueueMessage> =
            [600_000, 448_576, 1, 1_048_577, 1_048_576].map(message).into();
        let (split, too_large) = batches(&messages, &[0, 1, 2, 3, 4]);
        assert_eq!(split, [vec![0, 1], vec![2], vec![4]]);
        assert_eq!(too_large, [3]);
        let messages: Vec<QueueMessage> = (0..21).map(|_| message(1)).collect();
        let all: Vec<usize> = (0..21).collect();
        assert_eq!(batches(&messages, &all).0.iter().map(Vec::len).max(), Some(10));
    }
}
