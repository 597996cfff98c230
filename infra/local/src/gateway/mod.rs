//! API Gateway's HTTP API: routes, CORS, and the limits a function never sees.

mod cors;
mod payload;
mod routes;

use crate::feed::What;
use crate::identifiers::uuid;
use crate::lambda::{Ask, InvokeError, invoke};
use crate::state::Shared;
use crate::template::Route;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use http_body_util::{BodyExt, Limited};
use std::sync::Arc;
use tokio::time::Instant;

/// Bytes of a request's body, at most (API Gateway quotas: 10 MB).
pub const BODY_BYTES_MAX: usize = 10 * 1024 * 1024;
/// Bytes of an event for a function, at most (Lambda quotas: 6 MB).
const EVENT_BYTES_MAX: usize = 6 * 1024 * 1024;

/// The API, behind whatever pages are shown on the same port.
pub(crate) fn router(shared: Arc<Shared>, pages: Option<axum::Router>) -> axum::Router {
    let gateway = axum::Router::new().fallback(handle).with_state(shared);
    match pages {
        Some(pages) => pages.fallback_service(gateway),
        None => gateway,
    }
}

async fn handle(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let started = Instant::now();
    let _busy = shared.activity.begin();
    let (parts, body) = request.into_parts();
    let response = answer(&shared, &parts, body).await;
    shared.tell(What::Http {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        status: response.status().as_u16(),
        took: started.elapsed(),
    });
    response
}

async fn answer(shared: &Arc<Shared>, parts: &Parts, body: Body) -> Response {
    let api = &shared.resources.api;
    if let Some(cors) = &api.cors
        && let Some(response) = cors::preflight(cors, parts)
    {
        return response;
    }
    let mut response = match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(body) => match routes::find(&api.routes, parts) {
            Some((route, parameters)) => {
                integrate(shared, parts, body.to_bytes(), route, parameters).await
            }
            None => plain(StatusCode::NOT_FOUND, "Not Found"),
        },
        Err(_) => plain(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large"),
    };
    if let Ok(id) = HeaderValue::from_str(&uuid()) {
        response.headers_mut().insert("apigw-requestid", id);
    }
    if let Some(cors) = &api.cors {
        cors::decorate(cors, parts, &mut response);
    }
    response
}

async fn integrate(
    shared: &Arc<Shared>,
    parts: &Parts,
    body: Bytes,
    route: &Route,
    parameters: Vec<(String, String)>,
) -> Response {
    shared.book.http(body.len());
    let request = uuid();
    let event = payload::event(shared, parts, &body, &route.key, &parameters, &request);
    let event = event.to_string();
    if event.len() > EVENT_BYTES_MAX {
        return plain(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
    }
    let Some(function) = shared.lambda.by_arn(&route.function) else {
        return plain(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error");
    };
    let ask = Ask { function: function.id.clone(), payload: Bytes::from(event), records: 0 };
    // A task of its own: the function runs on when the API has given up on it.
    let invoking = Arc::clone(shared);
    let invocation = tokio::spawn(async move {
        let slot = invoking.lambda.slot(&ask.function).await?;
        Some(invoke(&invoking, slot, ask, |_| 0).await)
    });
    let failed = || plain(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error");
    match tokio::time::timeout(route.timeout, invocation).await {
        Err(_) | Ok(Ok(Some(Err(InvokeError::TimedOut { .. })))) => {
            plain(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable")
        }
        Ok(Ok(Some(Ok(answer)))) => payload::response(&answer).unwrap_or_else(failed),
        Ok(_) => failed(),
    }
}

/// API Gateway's own answers.
fn plain(status: StatusCode, message: &str) -> Response {
    let mut response = Response::new(Body::from(format!(r#"{{"message":"{message}"}}"#)));
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
    response
}
