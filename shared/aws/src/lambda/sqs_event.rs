//! What an SQS event source sends and takes. Own types, as lean as what is read: a function decodes
//! one on every invocation.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What SQS's event source mapping sends. Fields that nothing here reads are left out; the names
/// in capitals are those of SQS's own API, which some event sources pass on unchanged.
#[derive(Debug, Deserialize)]
pub(super) struct SqsEvent {
    #[serde(rename = "Records", alias = "Messages", default)]
    pub(super) records: Vec<SqsRecord>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SqsRecord {
    #[serde(alias = "MessageId")]
    pub(super) message_id: String,
    #[serde(alias = "ReceiptHandle", default)]
    pub(super) receipt_handle: String,
    #[serde(alias = "Body", default)]
    pub(super) body: String,
    #[serde(rename = "eventSourceARN", default)]
    pub(super) queue_arn: String,
    #[serde(alias = "Attributes", default)]
    pub(super) attributes: SqsAttributes,
}

impl fmt::Debug for SqsRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqsRecord").field("message_id", &self.message_id).finish_non_exhaustive()
    }
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct SqsAttributes {
    /// A number, as text.
    #[serde(rename = "ApproximateReceiveCount", default)]
    pub(super) receive_count: String,
}

/// What Lambda deletes from the queue is what is not named here.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BatchAnswer {
    pub(super) batch_item_failures: Vec<Failure>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Failure {
    pub(super) item_identifier: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read() {
        for sample in [
            include_str!("../../tests/lambda-events/example-sqs-event.json"),
            include_str!("../../tests/lambda-events/example-sqs-event-obj.json"),
        ] {
            let event: SqsEvent = serde_json::from_str(sample).unwrap();
            let [record] = event.records.as_slice() else { panic!("one record") };
            assert_eq!(record.message_id, "MessageID_1");
            assert_eq!(record.receipt_handle, "MessageReceiptHandle");
            assert_eq!(record.queue_arn, "arn:aws:sqs:us-west-2:123456789012:SQSQueue");
            assert_eq!(record.attributes.receive_count, "2");
        }
        let sample = include_str!("../../tests/lambda-events/example-sqs-api-event-obj.json");
        let event: SqsEvent = serde_json::from_str(sample).unwrap();
        assert_eq!(event.records[0].message_id, "f663a189-97e2-41f5-9c0e-cfb595d8322c");
        assert!(event.records[0].body.contains("provincetown"));
        assert!(!format!("{event:?}").contains("provincetown"));
    }

    #[test]
    fn the_answer_is_as_lambda_takes_it() {
        let failure = |id: &str| Failure { item_identifier: id.to_owned() };
        let answer = BatchAnswer { batch_item_failures: vec![failure("id2"), failure("id4")] };
        let sample = include_str!("../../tests/lambda-events/example-sqs-batch-response.json");
        let sample: serde_json::Value = serde_json::from_str(sample).unwrap();
        assert_eq!(serde_json::to_value(answer).unwrap(), sample);
    }
}
