//! A proxy that is there for one thing: answers that get lost.
//!
//! The first post is refused with 503 and goes nowhere; the second is passed on, but its answer is
//! thrown away and 503 said instead; from the third on everything passes. A client that retries
//! therefore posts the same events twice to the API.

use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::TcpListener;

/// The proxy; it ends with its handle.
pub(crate) struct LostAnswer {
    /// Where it listens.
    pub(crate) url: String,
    posts: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for LostAnswer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl LostAnswer {
    /// Listens, in front of `target`.
    pub(crate) async fn before(target: &str) -> LostAnswer {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let posts = Arc::new(AtomicUsize::new(0));
        let (target, counted) = (target.to_owned(), posts.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (target, posts) = (target.clone(), counted.clone());
                let service = hyper::service::service_fn(move |request| {
                    answer(target.clone(), posts.clone(), request)
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                tokio::spawn(connection);
            }
        });
        LostAnswer { url, posts, task }
    }

    /// How many posts there were.
    pub(crate) fn posts(&self) -> usize {
        self.posts.load(Ordering::SeqCst)
    }
}

fn unavailable() -> Response<Full<Bytes>> {
    let response = Response::builder()
        .status(StatusCode::SERVICE_UNAVAILABLE)
        .header("retry-after", "1")
        .body(Full::default());
    response.unwrap()
}

async fn answer(
    target: String,
    posts: Arc<AtomicUsize>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let number = match *request.method() {
        Method::POST => posts.fetch_add(1, Ordering::SeqCst) + 1,
        _ => usize::MAX,
    };
    let (mut parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    if number == 1 {
        return Ok(unavailable());
    }
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    parts.uri = format!("{target}{path}").parse().unwrap();
    parts.headers.remove("host");
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let passed = client.request(Request::from_parts(parts, Full::new(body))).await.unwrap();
    let (parts, body) = passed.into_parts();
    let body = body.collect().await?.to_bytes();
    assert_eq!(parts.status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
    if number == 2 {
        return Ok(unavailable());
    }
    Ok(Response::from_parts(parts, Full::new(body)))
}
