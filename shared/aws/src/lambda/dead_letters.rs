//! The two ways off a queue that are not "done": parked in the dead-letter queue, or back later.

use crate::failure::port_error;
use crate::lazy::Lazy;
use crate::queues::BATCH_BYTES_MAX;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::ChangeMessageVisibilityBatchRequestEntry;
use aws_types::SdkConfig;
use odyssey_domain::wire::Parked;
use odyssey_flows::ports::PortError;

/// A message to be seen again after some seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Later {
    /// SQS's handle of this receipt.
    pub(super) receipt: String,
    /// From 1 to 43,200.
    pub(super) seconds: u32,
}

/// What a batch does to its queue; in tests a record of it.
pub(super) trait OffQueue {
    /// Puts a message into the dead-letter queue.
    async fn park(&self, parked: &Parked) -> Result<(), PortError>;
    /// Hides messages of the queue with this ARN for a while.
    async fn later(&self, queue_arn: &str, messages: &[Later]) -> Result<(), PortError>;
}

/// The most entries of one `ChangeMessageVisibilityBatch`.
const ENTRIES_MAX: usize = 10;

/// The dead-letter queue of a function's own queue. A handle: clones share one client.
#[derive(Debug, Clone)]
pub struct DeadLetters {
    client: Lazy<Client>,
    url: String,
    endpoint: Option<String>,
}

impl DeadLetters {
    pub(crate) fn new(config: &SdkConfig, url: String, endpoint: Option<String>) -> DeadLetters {
        DeadLetters { client: Lazy::new(config, Client::new), url, endpoint }
    }
}

/// The URL of the queue with an ARN (`arn:partition:sqs:region:account:name`): the event names
/// its queue by ARN alone, so a function needs no variable for it.
fn url_of(queue_arn: &str, endpoint: Option<&str>) -> Option<String> {
    let mut parts = queue_arn.split(':').skip(1);
    let (partition, service) = (parts.next()?, parts.next()?);
    let (region, account, name) = (parts.next()?, parts.next()?, parts.next()?);
    if service != "sqs" || name.is_empty() {
        return None;
    }
    let suffix = if partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
    Some(match endpoint {
        Some(endpoint) => format!("{}/{account}/{name}", endpoint.trim_end_matches('/')),
        None => format!("https://sqs.{region}.{suffix}/{account}/{name}"),
    })
}

impl OffQueue for DeadLetters {
    async fn park(&self, parked: &Parked) -> Result<(), PortError> {
        const AT: &str = "SendMessage";
        let refused = |cause: String| PortError::Permanent { operation: AT, cause };
        let body = serde_json::to_string(parked).map_err(|_| refused("not JSON".to_owned()))?;
        if body.len() > BATCH_BYTES_MAX {
            return Err(refused(format!("{} bytes, at most {BATCH_BYTES_MAX}", body.len())));
        }
        self.client
            .get()
            .send_message()
            .queue_url(&self.url)
            .message_body(body)
            .send()
            .await
            .map_err(|error| port_error(AT, &error))?;
        Ok(())
    }

    async fn later(&self, queue_arn: &str, messages: &[Later]) -> Result<(), PortError> {
        const AT: &str = "ChangeMessageVisibilityBatch";
        let refused = |cause: &str| PortError::Permanent { operation: AT, cause: cause.to_owned() };
        let url = url_of(queue_arn, self.endpoint.as_deref())
            .ok_or_else(|| refused("the event names no queue"))?;
        for chunk in messages.chunks(ENTRIES_MAX) {
            let mut entries = Vec::with_capacity(chunk.len());
            for (index, message) in chunk.iter().enumerate() {
                let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(index.to_string())
                    .receipt_handle(&message.receipt)
                    .visibility_timeout(i32::try_from(message.seconds).unwrap_or(i32::MAX))
                    .build();
                entries.push(entry.map_err(|_| refused("an entry cannot be built"))?);
            }
            self.client
                .get()
                .change_message_visibility_batch()
                .queue_url(&url)
                .set_entries(Some(entries))
                .send()
                .await
                .map_err(|error| port_error(AT, &error))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_arns() {
        let arn = "arn:aws:sqs:us-west-2:123456789012:SQSQueue";
        let url = "https://sqs.us-west-2.amazonaws.com/123456789012/SQSQueue";
        assert_eq!(url_of(arn, None).as_deref(), Some(url));
        let local = url_of(arn, Some("http://127.0.0.1:4566/"));
        assert_eq!(local.as_deref(), Some("http://127.0.0.1:4566/123456789012/SQSQueue"));
        assert!(url_of("arn:aws:sns:us-west-2:123456789012:Topic", None).is_none());
        assert!(url_of("", None).is_none());
    }
}
