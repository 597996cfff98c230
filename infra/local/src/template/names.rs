//! Physical names: what `Ref` and `GetAtt` give for each type of resource.

use super::TemplateError;
use super::intrinsics::{Place, unknown};
use serde_json::Value;

/// A resource under the name it has in the local stack.
#[derive(Debug, Clone)]
pub(super) struct Physical {
    /// The resource type.
    pub(super) kind: String,
    /// The physical name.
    pub(super) name: String,
}

/// The property that names a resource of this type, where there is one.
pub(super) fn name_property(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "AWS::DynamoDB::Table" => "TableName",
        "AWS::SQS::Queue" => "QueueName",
        "AWS::SNS::Topic" => "TopicName",
        "AWS::Serverless::Function" => "FunctionName",
        "AWS::IAM::Role" => "RoleName",
        "AWS::Logs::LogGroup" => "LogGroupName",
        "AWS::Events::EventBus"
        | "AWS::Events::Rule"
        | "AWS::SES::ConfigurationSet"
        | "AWS::SecretsManager::Secret"
        | "AWS::Scheduler::Schedule" => "Name",
        "AWS::SES::EmailIdentity" => "EmailIdentity",
        _ => return None,
    })
}

/// The id of the one HTTP API.
pub(super) const API_ID: &str = "local";

/// What the API's own address begins with on AWS; locally it is [`Place::api_url`].
pub(super) fn api_host(here: &Place) -> String {
    format!("https://{API_ID}.execute-api.{}.amazonaws.com", here.region)
}

impl Physical {
    /// Its ARN.
    pub(super) fn arn(&self, here: &Place) -> String {
        let (region, account, name) = (&here.region, &here.account, &self.name);
        let at = format!("{region}:{account}");
        match self.kind.as_str() {
            "AWS::DynamoDB::Table" => format!("arn:aws:dynamodb:{at}:table/{name}"),
            "AWS::SQS::Queue" => format!("arn:aws:sqs:{at}:{name}"),
            "AWS::SNS::Topic" => format!("arn:aws:sns:{at}:{name}"),
            "AWS::Serverless::Function" => format!("arn:aws:lambda:{at}:function:{name}"),
            "AWS::IAM::Role" => format!("arn:aws:iam::{account}:role/{name}"),
            "AWS::Events::EventBus" => format!("arn:aws:events:{at}:event-bus/{name}"),
            "AWS::Events::Rule" => format!("arn:aws:events:{at}:rule/{name}"),
            "AWS::SES::ConfigurationSet" => format!("arn:aws:ses:{at}:configuration-set/{name}"),
            "AWS::SES::EmailIdentity" => format!("arn:aws:ses:{at}:identity/{name}"),
            // Secrets Manager appends a hyphen and six letters of its own.
            "AWS::SecretsManager::Secret" => {
                format!("arn:aws:secretsmanager:{at}:secret:{name}-LocalX")
            }
            "AWS::KMS::Key" => format!("arn:aws:kms:{at}:key/{name}"),
            "AWS::Logs::LogGroup" => format!("arn:aws:logs:{at}:log-group:{name}:*"),
            "AWS::Scheduler::Schedule" => format!("arn:aws:scheduler:{at}:schedule/default/{name}"),
            kind => format!("arn:aws:{kind}:{at}:{name}"),
        }
    }

    /// What `Ref` gives.
    pub(super) fn reference(&self, here: &Place) -> Value {
        Value::from(match self.kind.as_str() {
            "AWS::SQS::Queue" => self.queue_url(here),
            "AWS::SNS::Topic" | "AWS::SecretsManager::Secret" => self.arn(here),
            "AWS::ApiGatewayV2::Api" => API_ID.to_owned(),
            _ => self.name.clone(),
        })
    }

    /// A queue's URL.
    pub(super) fn queue_url(&self, here: &Place) -> String {
        format!("{}/{}/{}", here.endpoint_url, here.account, self.name)
    }

    /// What `GetAtt` gives.
    pub(super) fn attribute(
        &self,
        attribute: &str,
        here: &Place,
        place: &str,
    ) -> Result<Value, TemplateError> {
        Ok(Value::from(match (self.kind.as_str(), attribute) {
            (_, "Arn") => self.arn(here),
            ("AWS::SNS::Topic", "TopicArn") | ("AWS::SecretsManager::Secret", "Id") => {
                self.arn(here)
            }
            ("AWS::SNS::Topic", "TopicName")
            | ("AWS::SQS::Queue", "QueueName")
            | ("AWS::Events::EventBus", "Name")
            | ("AWS::KMS::Key", "KeyId")
            | ("AWS::IAM::Role", "RoleId") => self.name.clone(),
            ("AWS::SQS::Queue", "QueueUrl") => self.queue_url(here),
            ("AWS::ApiGatewayV2::Api", "ApiEndpoint") => here.api_url.clone(),
            ("AWS::ApiGatewayV2::Api", "ApiId") => API_ID.to_owned(),
            (kind, attribute) => {
                return Err(unknown(place, format!("{attribute} of {kind}")));
            }
        }))
    }
}
