//! Answers in the shape each service gives them.

use crate::faults::Service;
use crate::identifiers::uuid;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

/// What goes back on the connection.
#[derive(Debug)]
pub(crate) enum Reply {
    /// An HTTP response.
    Response(Response<Full<Bytes>>),
    /// Nothing: the connection is reset.
    Reset,
    /// Nothing, ever.
    Silence,
}

/// A call that was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The exception's name.
    pub(crate) code: String,
    /// What is wrong.
    pub(crate) message: String,
    /// The answer's body, where the service has one of its own.
    pub(crate) body: Option<String>,
}

const UNKNOWN: &str = "UnknownOperationException";

impl Failure {
    /// Of this kind.
    pub(crate) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into(), body: None }
    }

    /// The role does not allow it.
    pub(crate) fn denied(message: String) -> Self {
        Self::new(403, "AccessDeniedException", message)
    }

    /// The request is wrong.
    pub(crate) fn invalid(message: String) -> Self {
        Self::new(400, "ValidationException", message)
    }

    /// The local stack does not know the operation.
    pub(crate) fn unknown_operation(operation: &str) -> Self {
        Self::new(400, UNKNOWN, format!("the local stack does not know the operation {operation}"))
    }

    /// A fault on purpose.
    pub(crate) fn injected(status: u16, code: &str) -> Self {
        Self::new(status, code, "injected by the local stack")
    }

    /// Whether it is one of [`Failure::unknown_operation`].
    pub(crate) fn is_unknown_operation(&self) -> bool {
        self.code == UNKNOWN
    }
}

/// The shape of a service's answers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer {
    content_type: &'static str,
    service: Service,
}

impl Answer {
    /// Of a service.
    pub(crate) fn of(service: Service) -> Self {
        let content_type = match service {
            Service::DynamoDb | Service::Sqs => "application/x-amz-json-1.0",
            Service::EventBridge | Service::SecretsManager => "application/x-amz-json-1.1",
            Service::Ses => "application/json",
        };
        Self { content_type, service }
    }

    /// 200.
    pub(crate) fn success(self, output: &Value) -> Reply {
        self.response(200, output.to_string(), None)
    }

    /// An error.
    pub(crate) fn failure(self, failure: &Failure) -> Reply {
        // Each service has its own word and status for the same refusal.
        let (status, code) = match (self.service, failure.code.as_str()) {
            (Service::Sqs, "AccessDeniedException") => (403, "AccessDenied"),
            (Service::Ses, "AccessDeniedException") => (403, "AccessDeniedException"),
            (_, "AccessDeniedException") => (400, "AccessDeniedException"),
            (Service::Ses, "ValidationException") => (400, "BadRequestException"),
            (_, code) => (failure.status, code),
        };
        let body = failure.body.clone().unwrap_or_else(|| {
            json!({"__type": code, "message": failure.message, "Message": failure.message})
                .to_string()
        });
        self.response(status, body, Some(code))
    }

    fn response(self, status: u16, body: String, code: Option<&str>) -> Reply {
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() =
            StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert("content-type", HeaderValue::from_static(self.content_type));
        if let Ok(id) = HeaderValue::from_str(&uuid()) {
            headers.insert("x-amzn-requestid", id);
        }
        if let Some(code) = code.and_then(|code| HeaderValue::from_str(code).ok()) {
            headers.insert("x-amzn-errortype", code);
        }
        Reply::Response(response)
    }
}
