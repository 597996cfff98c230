//! Two origins for the browser: a site with the pages of a scenario, and an API that records what is
//! posted to it and answers as it was told to.
//!
//! Scenarios run side by side; each has a write key of its own, which keeps them apart.

use axum::Json;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{any, get, post};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// A request as it was posted.
#[derive(Clone, Serialize)]
struct Posted {
    body: Value,
    bytes: usize,
    content_type: String,
    /// `no-cors` of a beacon, `cors` of a fetch.
    mode: String,
    answered: u16,
}

/// How the API answers a post; the following ones get 200.
#[derive(Clone, Deserialize)]
struct Answer {
    status: u16,
    #[serde(default)]
    retry_after: Option<String>,
    /// Never answers; such a post is noted as answered with 0.
    #[serde(default)]
    hangs: bool,
}

#[derive(Default)]
struct Kept {
    posted: BTreeMap<String, Vec<Posted>>,
    answers: BTreeMap<String, VecDeque<Answer>>,
    pages: BTreeMap<String, String>,
    preflights: usize,
}

/// Both origins' state.
#[derive(Clone)]
struct Site {
    kept: Arc<Mutex<Kept>>,
    script: Arc<String>,
    driver: Arc<Mutex<String>>,
    profile: PathBuf,
    reports: mpsc::Sender<Value>,
}

/// The two origins; they end with their handle.
pub(crate) struct Receiver {
    /// `http://127.0.0.1:…`, the site's.
    pub(crate) site: String,
    /// The API's.
    pub(crate) api: String,
    driver: Arc<Mutex<String>>,
    reports: mpsc::Receiver<Value>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Receiver {
    /// Serves `script` as `/odyssey.js`; `profile` is the browser's folder.
    pub(crate) async fn start(script: String, profile: PathBuf) -> Receiver {
        let (send, reports) = mpsc::channel(1);
        let driver: Arc<Mutex<String>> = Arc::default();
        let state = Site {
            kept: Arc::default(),
            script: Arc::new(script),
            driver: driver.clone(),
            profile,
            reports: send,
        };
        let router = Router::new()
            .route("/odyssey.js", get(script_of))
            .route("/_test/driver", get(driver_of))
            .route("/_test/devtools", get(devtools))
            .route("/_test/page/{name}", post(keep_page))
            .route("/_test/answers/{key}", post(keep_answers))
            .route("/_test/posted", get(posted))
            .route("/_test/preflights", get(preflights))
            .route("/_test/report", post(report))
            .route("/v1/batch", any(batch))
            .fallback(page)
            .with_state(state);
        let (mut urls, mut tasks) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
            urls.push(format!("http://{}", listener.local_addr().unwrap()));
            let router = router.clone();
            tasks.push(tokio::spawn(async move {
                let _ = axum::serve(listener, router).await;
            }));
        }
        let api = urls.pop().unwrap();
        let site = urls.pop().unwrap();
        Receiver { site, api, driver, reports, tasks }
    }

    /// Serves this as `/_test/driver`.
    pub(crate) fn drive(&self, page: String) {
        *self.driver.lock().unwrap() = page;
    }

    /// What the driver reports, once.
    pub(crate) async fn report(&mut self) -> Option<Value> {
        self.reports.recv().await
    }
}

async fn script_of(State(site): State<Site>) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/javascript; charset=utf-8")];
    (kind, site.script.to_string()).into_response()
}

async fn driver_of(State(site): State<Site>) -> Html<String> {
    Html(site.driver.lock().unwrap().clone())
}

/// Where Chromium's `DevTools` listen: a port and a path, once it has said so.
async fn devtools(State(site): State<Site>) -> String {
    std::fs::read_to_string(site.profile.join("DevToolsActivePort")).unwrap_or_default()
}

async fn page(State(site): State<Site>, uri: http::Uri) -> Response {
    match site.kept.lock().unwrap().pages.get(uri.path()) {
        Some(page) => Html(page.clone()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn keep_page(State(site): State<Site>, Path(name): Path<String>, body: String) {
    site.kept.lock().unwrap().pages.insert(format!("/{name}"), body);
}

async fn keep_answers(
    State(site): State<Site>,
    Path(key): Path<String>,
    Json(answers): Json<VecDeque<Answer>>,
) {
    site.kept.lock().unwrap().answers.insert(key, answers);
}

#[derive(Deserialize)]
struct Whose {
    key: String,
}

async fn posted(State(site): State<Site>, Query(whose): Query<Whose>) -> Response {
    let kept = site.kept.lock().unwrap();
    Json(kept.posted.get(&whose.key).cloned().unwrap_or_default()).into_response()
}

async fn preflights(State(site): State<Site>) -> Response {
    Json(site.kept.lock().unwrap().preflights).into_response()
}

async fn report(State(site): State<Site>, Json(report): Json<Value>) {
    let _ = site.reports.send(report).await;
}

async fn batch(
    State(site): State<Site>,
    method: Method,
    headers: HeaderMap,
    body: String,
) -> Response {
    if method == Method::OPTIONS {
        site.kept.lock().unwrap().preflights += 1;
        return StatusCode::NO_CONTENT.into_response();
    }
    let header = |name| {
        headers.get(name).and_then(|value: &header::HeaderValue| value.to_str().ok()).unwrap_or("")
    };
    let bytes = body.len();
    let body: Value = serde_json::from_str(&body).unwrap_or(Value::String(body));
    let key = body["writeKey"].as_str().unwrap_or_default().to_owned();
    let answer = {
        let mut kept = site.kept.lock().unwrap();
        let answer = kept.answers.get_mut(&key).and_then(VecDeque::pop_front);
        let answer = answer.unwrap_or(Answer { status: 200, retry_after: None, hangs: false });
        kept.posted.entry(key).or_default().push(Posted {
            body,
            bytes,
            content_type: header("content-type").to_owned(),
            mode: header("sec-fetch-mode").to_owned(),
            answered: if answer.hangs { 0 } else { answer.status },
        });
        answer
    };
    if answer.hangs {
        return std::future::pending().await;
    }
    // The CORS of infra/template.yaml.
    let mut response = StatusCode::from_u16(answer.status).unwrap().into_response();
    let mut put = |name: &'static str, value: &str| {
        response.headers_mut().insert(name, value.parse().unwrap());
    };
    put("access-control-allow-origin", "*");
    put("access-control-expose-headers", "Retry-After");
    if let Some(wait) = &answer.retry_after {
        put("retry-after", wait);
    }
    response
}
