//! The feed over HTTP: one JSON object on each line, as long as somebody listens.

use super::Pages;
use crate::tell::{Detail, to_json};
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use std::convert::Infallible;
use tokio::sync::broadcast::error::RecvError;

#[derive(Deserialize)]
pub(super) struct Wanted {
    detail: Option<String>,
}

pub(super) async fn stream(State(pages): State<Pages>, Query(wanted): Query<Wanted>) -> Response {
    let detail = match wanted.detail.as_deref() {
        Some("everything") => Detail::Everything,
        _ => Detail::Story,
    };
    let feed = pages.stack.feed();
    let lines = futures_util::stream::unfold(feed, move |mut feed| async move {
        loop {
            match feed.recv().await {
                Ok(happening) => {
                    if let Some(value) = to_json(&happening, detail) {
                        return Some((Ok::<_, Infallible>(format!("{value}\n")), feed));
                    }
                }
                // Who reads too slowly is told so and goes on.
                Err(RecvError::Lagged(missed)) => {
                    let line = format!(
                        "{{\"kind\":\"missed\",\"text\":\"{missed} happenings were missed\"}}\n"
                    );
                    return Some((Ok(line), feed));
                }
                Err(RecvError::Closed) => return None,
            }
        }
    });
    let kind = [(header::CONTENT_TYPE, "application/jsonl; charset=utf-8")];
    (kind, Body::from_stream(lines)).into_response()
}
