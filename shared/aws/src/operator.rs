//! What an operator does with queues: look at what stands on one, put a message on it, take one off.

use crate::connect::Aws;
use crate::failure::port_error;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, MessageSystemAttributeName as Attribute,
};
use odyssey_domain::time::Stamp;
use odyssey_flows::ports::PortError;

/// The most messages that SQS hands out at a time.
const MESSAGES_MAX: i32 = 10;
/// How long SQS looks for messages: long polling asks all of its servers, a short poll only some.
const WAIT_SECONDS: i32 = 1;

/// A message that is held: nobody else sees it for a while.
#[derive(Clone)]
pub struct Held {
    /// SQS's id of it.
    pub id: String,
    /// As it was sent; may hold personal data.
    pub body: String,
    /// When it was put on this queue.
    pub sent: Option<Stamp>,
    receipt: String,
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Held").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A queue in an operator's hands. A handle: clones share one client.
#[derive(Debug, Clone)]
pub struct OperatorQueue {
    client: Client,
    url: String,
}

impl Aws {
    /// The queue at a URL.
    #[must_use]
    pub fn operator_queue(&self, url: impl Into<String>) -> OperatorQueue {
        OperatorQueue { client: Client::new(self.config()), url: url.into() }
    }
}

impl OperatorQueue {
    /// Takes up to ten messages into one's hands for some seconds (0 to 43,200); none where SQS
    /// finds none within a second.
    ///
    /// # Errors
    /// Where the call fails.
    pub async fn hold(&self, seconds: u16) -> Result<Vec<Held>, PortError> {
        let answer = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(MESSAGES_MAX)
            .visibility_timeout(i32::from(seconds))
            .wait_time_seconds(WAIT_SECONDS)
            .message_system_attribute_names(Attribute::SentTimestamp)
            .send()
            .await
            .map_err(|error| port_error("ReceiveMessage", &error))?;
        let held = answer.messages.unwrap_or_default().into_iter().filter_map(|message| {
            let sent =
                message.attributes.as_ref().and_then(|all| all.get(&Attribute::SentTimestamp));
            let sent = sent.and_then(|ms| ms.parse::<i64>().ok()).map(Stamp::from_ms);
            Some(Held {
                id: message.message_id?,
                body: message.body?,
                sent,
                receipt: message.receipt_handle?,
            })
        });
        Ok(held.collect())
    }

    /// Lets others see held messages again, at once.
    ///
    /// # Errors
    /// Where the call fails; they are seen again when their time is up.
    pub async fn let_go(&self, held: &[Held]) -> Result<(), PortError> {
        const AT: &str = "ChangeMessageVisibilityBatch";
        for chunk in held.chunks(10) {
            let mut entries = Vec::with_capacity(chunk.len());
            for (index, message) in chunk.iter().enumerate() {
                let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(index.to_string())
                    .receipt_handle(&message.receipt)
                    .visibility_timeout(0)
                    .build()
                    .map_err(|_| PortError::Permanent {
                        operation: AT,
                        cause: "an entry cannot be built".to_owned(),
                    })?;
                entries.push(entry);
            }
            self.client
                .change_message_visibility_batch()
                .queue_url(&self.url)
                .set_entries(Some(entries))
                .send()
                .await
                .map_err(|error| port_error(AT, &error))?;
        }
        Ok(())
    }

    /// Takes a held message off the queue for good.
    ///
    /// # Errors
    /// Where the call fails.
    pub async fn delete(&self, held: &Held) -> Result<(), PortError> {
        self.client
            .delete_message()
            .queue_url(&self.url)
            .receipt_handle(&held.receipt)
            .send()
            .await
            .map_err(|error| port_error("DeleteMessage", &error))?;
        Ok(())
    }

    /// Puts a message on the queue.
    ///
    /// # Errors
    /// Where the call fails; it may have been put there all the same.
    pub async fn send(&self, body: &str) -> Result<(), PortError> {
        self.client
            .send_message()
            .queue_url(&self.url)
            .message_body(body)
            .send()
            .await
            .map_err(|error| port_error("SendMessage", &error))?;
        Ok(())
    }
}
