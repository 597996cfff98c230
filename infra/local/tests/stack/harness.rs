//! Starting stacks, and talking to them.

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use odyssey_local::{Functions, Happening, LocalStack, Options, What};
use serde_json::Value;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::broadcast;

/// Nothing in these tests takes as long; it ends a test that would hang.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn template() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml");
    std::fs::read_to_string(path).unwrap()
}

/// A script that runs the stand-in.
pub(crate) fn stand_in() -> PathBuf {
    static SCRIPT: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = SCRIPT.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bootstrap");
        let executable = std::env::current_exe().unwrap();
        let script = format!(
            "#!/bin/sh\nexec '{}' --exact function::stand_in --nocapture\n",
            executable.display()
        );
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        (folder, path)
    });
    path.clone()
}

pub(crate) fn options() -> Options {
    let names = ["ingest", "profile", "journey", "tick", "sender", "feedback", "consent"];
    let binaries = names.map(|name| (name.to_owned(), stand_in()));
    Options::new(template(), Functions::Binaries(BTreeMap::from(binaries)))
}

pub(crate) async fn start() -> LocalStack {
    LocalStack::start(options()).await.unwrap()
}

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it took too long")
}

/// Waits for the first happening that the test is about.
pub(crate) async fn happens<T>(
    feed: &mut broadcast::Receiver<Arc<Happening>>,
    pick: impl Fn(&What) -> Option<T>,
) -> T {
    within(async {
        loop {
            if let Some(found) = pick(&feed.recv().await.unwrap().what) {
                return found;
            }
        }
    })
    .await
}

pub(crate) fn client() -> Client<HttpConnector, Full<Bytes>> {
    Client::builder(TokioExecutor::new()).build_http()
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

pub(crate) async fn http(
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Result<Answer, hyper_util::client::legacy::Error> {
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = client().request(request.body(Full::new(body.into())).unwrap()).await?;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
}

/// Calls an operation as a function (its logical id) or as the operator.
pub(crate) async fn call(
    stack: &LocalStack,
    caller: &str,
    target: &str,
    input: &Value,
) -> Result<Answer, hyper_util::client::legacy::Error> {
    let key = match caller {
        "operator" => "AKIAOPERATOR".to_owned(),
        function => format!("AKIA{}", function.to_ascii_uppercase()),
    };
    let signed = format!("AWS4-HMAC-SHA256 Credential={key}/20260101/us-east-1/x/aws4_request, S=");
    let headers = [("authorization", signed.as_str()), ("x-amz-target", target)];
    http(Method::POST, stack.endpoint_url(), &headers, input.to_string()).await
}
