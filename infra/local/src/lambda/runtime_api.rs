//! The Lambda Runtime API: what a function's process asks and answers.

use super::instance::Outcome;
use crate::state::Shared;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;
use serde_json::Value;
use std::sync::Arc;

/// Every process has a base path of its own below this.
pub(crate) const PREFIX: &str = "/runtime/";

/// Answers a process. `path` is `<instance>/2018-06-01/runtime/…`.
pub(crate) async fn answer(
    shared: &Arc<Shared>,
    path: &str,
    parts: &Parts,
    body: Bytes,
) -> Response<Full<Bytes>> {
    let Some((id, call)) = path.split_once("/2018-06-01/runtime/") else {
        return status(StatusCode::NOT_FOUND);
    };
    let segments: Vec<&str> = call.split('/').collect();
    let Some(instance) = shared.lambda.instance(id) else {
        if segments == ["invocation", "next"] {
            // Its process is being killed. Lambda would not answer it either.
            std::future::pending::<()>().await;
        }
        return status(StatusCode::GONE);
    };
    match (&parts.method, segments.as_slice()) {
        (&Method::GET, ["invocation", "next"]) => match instance.next().await {
            Some(invocation) => {
                let mut response = Response::new(Full::new(invocation.payload));
                let headers = response.headers_mut();
                let trace = format!("Root=1-{:08x}-{:024x};Sampled=0", invocation.deadline_ms, 0);
                for (name, value) in [
                    ("lambda-runtime-aws-request-id", invocation.request),
                    ("lambda-runtime-deadline-ms", invocation.deadline_ms.to_string()),
                    ("lambda-runtime-invoked-function-arn", invocation.arn),
                    ("lambda-runtime-trace-id", trace),
                ] {
                    if let Ok(value) = HeaderValue::from_str(&value) {
                        headers.insert(HeaderName::from_static(name), value);
                    }
                }
                response
            }
            None => status(StatusCode::GONE),
        },
        (&Method::POST, ["invocation", request, "response"]) => {
            accepted(instance.answered(request, Outcome::Answer(body)))
        }
        (&Method::POST, ["invocation", request, "error"]) => {
            accepted(instance.answered(request, Outcome::Error(message(&body))))
        }
        (&Method::POST, ["init", "error"]) => {
            instance.exited(&format!("init error: {}", message(&body)));
            status(StatusCode::ACCEPTED)
        }
        _ => status(StatusCode::NOT_FOUND),
    }
}

fn message(body: &Bytes) -> String {
    let value: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    format!("{}: {}", text("errorType"), text("errorMessage"))
}

fn accepted(known: bool) -> Response<Full<Bytes>> {
    // A request that timed out is not asked for any more.
    status(if known { StatusCode::ACCEPTED } else { StatusCode::BAD_REQUEST })
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(b"{}")));
    *response.status_mut() = status;
    response
}
