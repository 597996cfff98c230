//! The listener: one HTTP/1 connection after another, each of which can be reset on purpose.

use super::{Reply, dispatch};
use crate::lambda::runtime_api;
use crate::state::Shared;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::{TcpListener, TcpStream};

/// DynamoDB takes bodies up to 16 MB; nothing else takes more.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The connection is to be reset.
#[derive(Debug, thiserror::Error)]
#[error("reset on purpose")]
struct ResetOnPurpose;

/// Answers whoever connects, until it is aborted.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let shared = Arc::clone(&shared);
                tokio::spawn(connection(stream, shared));
            }
            // Out of file descriptors, or the peer went away: the next may do.
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    // Small requests and answers wait for nothing (measured: 40 ms each without).
    let _ = stream.set_nodelay(true);
    let answered = Arc::new(AtomicUsize::new(0));
    let closing = shared.closing.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let shared = Arc::clone(&shared);
        let reused = answered.fetch_add(1, Ordering::Relaxed) > 0;
        async move { answer(&shared, request, reused).await }
    });
    let mut served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let ended = tokio::select! {
        ended = &mut served => ended,
        () = closing.wait() => return,
    };
    if ended.is_err_and(|error| error.is_user()) {
        // What is unsent is thrown away and the peer gets a reset instead of an end.
        let stream = served.into_parts().io.into_inner();
        let _ = stream.set_zero_linger();
    }
}

async fn answer(
    shared: &Arc<Shared>,
    request: Request<Incoming>,
    reused: bool,
) -> Result<Response<Full<Bytes>>, ResetOnPurpose> {
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
        let mut response = Response::new(Full::new(Bytes::new()));
        *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
        return Ok(response);
    };
    let body = body.to_bytes();
    if let Some(path) = parts.uri.path().strip_prefix(runtime_api::PREFIX) {
        return Ok(runtime_api::answer(shared, path, &parts, body).await);
    }
    match dispatch(shared, &parts, body, reused).await {
        Reply::Response(response) => Ok(response),
        Reply::Reset => Err(ResetOnPurpose),
        Reply::Silence => std::future::pending().await,
    }
}
