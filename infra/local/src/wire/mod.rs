//! The endpoint that speaks AWS's wire protocols, for exactly the operations that functions call.
//!
//! One loopback port answers for every service: the operation is told by `X-Amz-Target` or by the
//! path, the caller by the access key in the `Authorization` header.

mod answer;
mod connection;
mod dynamodb;
mod events;
mod secrets;
mod ses;
mod ses_events;
mod sigv4;
mod sns;
mod sqs;

pub(crate) use answer::{Answer, Failure, Reply};
pub(crate) use connection::serve;
pub(crate) use dynamodb::{any_up_to, create, items};
pub(crate) use events::Bus;
pub(crate) use sigv4::access_key;
pub(crate) use sqs::as_record;

use crate::faults::{Fault, Service};
use crate::feed::What;
use crate::iam::Question;
use crate::state::Shared;
use crate::usage::Calls;
use bytes::Bytes;
use http::request::Parts;
use serde_json::Value;
use std::sync::Arc;

/// The caller that may do everything: the operator at the keyboard.
pub(crate) const OPERATOR: &str = "operator";

/// Who makes a call.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// A function's logical id, or [`OPERATOR`].
    pub(crate) name: Arc<str>,
    /// The role that must allow the call; none allows everything.
    pub(crate) role: Option<String>,
}

/// One call, read.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    /// The stack.
    pub(crate) shared: &'a Arc<Shared>,
    /// Who.
    pub(crate) caller: &'a Caller,
    /// `PutItem`
    pub(crate) operation: &'a str,
    /// The body.
    pub(crate) input: Value,
    /// The fault to act out within the operation.
    pub(crate) fault: Option<Fault>,
}

impl Call<'_> {
    /// Asks the caller's role.
    pub(crate) fn may(
        &self,
        action: &str,
        resource: &str,
        context: &[(&str, &str)],
    ) -> Result<(), Failure> {
        let Some(role) = &self.caller.role else {
            return Ok(());
        };
        let question = Question { action, resource, context };
        self.shared.iam.role(role, &question).map_err(|denied| {
            let what = What::Denied {
                caller: self.caller.name.to_string(),
                action: action.to_owned(),
                resource: resource.to_owned(),
            };
            self.shared.tell(what);
            Failure::denied(denied.to_string())
        })
    }

    /// Whether the caller's role would allow it; a refusal is not told.
    pub(crate) fn allows(&self, action: &str, resource: &str, context: &[(&str, &str)]) -> bool {
        let question = Question { action, resource, context };
        let role = self.caller.role.as_deref();
        role.is_none_or(|role| self.shared.iam.role(role, &question).is_ok())
    }

    /// Whether the entry at this place is to fail.
    pub(crate) fn entry_fails(&self, at: usize) -> bool {
        matches!(&self.fault, Some(Fault::Entries(places)) if places.contains(&at))
    }

    /// A text of the input.
    pub(crate) fn text(&self, name: &str) -> Result<&str, Failure> {
        match self.input.get(name).and_then(Value::as_str) {
            Some(text) => Ok(text),
            None => Err(Failure::invalid(format!("{name} is missing or not a text"))),
        }
    }
}

/// What an operation did: its answer and what it costs.
#[derive(Debug)]
pub(crate) struct Done {
    /// The answer's body.
    pub(crate) output: Value,
    /// Counted under the caller; `calls` and `bytes` are filled in by the dispatcher.
    pub(crate) cost: Calls,
}

/// Answers a request.
pub(crate) async fn dispatch(
    shared: &Arc<Shared>,
    parts: &Parts,
    body: Bytes,
    reused: bool,
) -> Reply {
    let Some((service, operation)) = target(parts) else {
        return unknown(shared, "somebody", &format!("{} {}", parts.method, parts.uri.path()));
    };
    let answer = Answer::of(service);
    let caller = match sigv4::caller(shared, parts) {
        Ok(caller) => caller,
        Err(failure) => return answer.failure(&failure),
    };
    let _busy = shared.activity.begin();
    let named = format!("{}:{operation}", service.prefix());
    let fault = shared.faults.take(service, &operation, &caller.name, reused);
    if let Some(fault) = &fault {
        shared.tell(What::Faulted {
            caller: caller.name.to_string(),
            operation: named.clone(),
            fault: format!("{fault:?}"),
        });
    }
    let bytes = u64::try_from(body.len()).unwrap_or(u64::MAX);
    let count = |mut cost: Calls, failed: bool| {
        cost.calls = 1;
        cost.bytes = bytes;
        cost.failed = u64::from(failed);
        shared.book.call(&caller.name, &named, &cost);
    };
    match &fault {
        Some(Fault::Reset | Fault::ResetReused) => {
            count(Calls::default(), true);
            return Reply::Reset;
        }
        Some(Fault::Throttle) => {
            count(Calls::default(), true);
            let (status, code) = service.throttling();
            return answer.failure(&Failure::injected(status, code));
        }
        Some(Fault::Refuse { status, code }) => {
            count(Calls::default(), true);
            return answer.failure(&Failure::injected(*status, code));
        }
        _ => {}
    }
    let Ok(input @ Value::Object(_)) = serde_json::from_slice::<Value>(&body) else {
        return answer.failure(&Failure::invalid("the body is not a JSON object".to_owned()));
    };
    let call = Call { shared, caller: &caller, operation: &operation, input, fault };
    let result = match service {
        Service::DynamoDb => dynamodb::handle(&call),
        Service::EventBridge => events::handle(&call),
        Service::Sqs => sqs::handle(&call).await,
        Service::Ses => ses::handle(&call),
        Service::SecretsManager => secrets::handle(&call),
    };
    let result = result.inspect_err(|failure| {
        if failure.is_unknown_operation() {
            let (caller, operation) = (caller.name.to_string(), named.clone());
            shared.tell(What::Unknown { caller, operation });
        }
    });
    match &result {
        Ok(done) => count(done.cost.clone(), false),
        Err(_) => count(Calls::default(), true),
    }
    match (&call.fault, result) {
        (Some(Fault::DoneThenReset), Ok(_)) => Reply::Reset,
        (Some(Fault::DoneThenSilence), Ok(_)) => Reply::Silence,
        (Some(Fault::DoneThenKill), Ok(_)) => {
            shared.lambda.kill(&caller.name);
            Reply::Reset
        }
        (Some(Fault::DoneThenRefuse { status, code }), Ok(_)) => {
            answer.failure(&Failure::injected(*status, code))
        }
        (_, Ok(done)) => answer.success(&done.output),
        (_, Err(failure)) => answer.failure(&failure),
    }
}

fn unknown(shared: &Arc<Shared>, caller: &str, operation: &str) -> Reply {
    shared.tell(What::Unknown { caller: caller.to_owned(), operation: operation.to_owned() });
    Answer::of(Service::DynamoDb).failure(&Failure::unknown_operation(operation))
}

fn target(parts: &Parts) -> Option<(Service, String)> {
    if let Some(target) = parts.headers.get("x-amz-target") {
        let (prefix, operation) = target.to_str().ok()?.split_once('.')?;
        let service = match prefix {
            "DynamoDB_20120810" => Service::DynamoDb,
            "AWSEvents" => Service::EventBridge,
            "AmazonSQS" => Service::Sqs,
            "secretsmanager" => Service::SecretsManager,
            _ => return None,
        };
        return Some((service, operation.to_owned()));
    }
    let path = parts.uri.path();
    if path == "/v2/email/outbound-emails" && parts.method == http::Method::POST {
        return Some((Service::Ses, "SendEmail".to_owned()));
    }
    // Named, so that the error says what was called.
    path.starts_with("/v2/email/").then(|| (Service::Ses, format!("{} {path}", parts.method)))
}
