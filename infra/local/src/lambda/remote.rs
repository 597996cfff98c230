//! Functions hosted by `cargo lambda watch`: invocations go to its `Invoke` endpoint.

use super::{Ask, InvokeError};
use crate::state::Shared;
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use std::sync::Arc;

/// Invokes a function there.
pub(super) async fn invoke(
    shared: &Arc<Shared>,
    url: &str,
    ask: &Ask,
) -> Result<Bytes, InvokeError> {
    let function = ask.function.clone();
    let crashed = |cause: String| InvokeError::Crashed { function: function.clone(), cause };
    let functions = &shared.resources.functions;
    let spec = functions.iter().find(|spec| spec.id == ask.function);
    let binary = spec.map(|spec| spec.binary.clone()).unwrap_or_default();
    let base = url.trim_end_matches('/');
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("{base}/2015-03-31/functions/{binary}/invocations"))
        .header("content-type", "application/json")
        .body(Full::new(ask.payload.clone()))
        .map_err(|error| crashed(error.to_string()))?;
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let response = client.request(request).await.map_err(|error| crashed(error.to_string()))?;
    let ok = response.status().is_success();
    let body = response.into_body().collect().await.map_err(|error| crashed(error.to_string()))?;
    let body = body.to_bytes();
    let value: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    if ok && value.get("errorType").is_none() {
        return Ok(body);
    }
    let message = value["errorMessage"].as_str().unwrap_or("no message").to_owned();
    Err(InvokeError::Failed { function, message })
}
