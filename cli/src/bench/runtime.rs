//! A Runtime API for one function's process: hands it what it is to answer, and tells when and what
//! it answered.

use crate::Failure;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use odyssey_domain::time::{Span, Stamp};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;

/// Nothing that is measured here takes nearly as long.
const PATIENCE: Duration = Duration::from_secs(30);

/// An answer, and when it was there.
#[derive(Debug)]
pub(super) struct Answer {
    /// The whole answer had come.
    pub(super) at: Instant,
    /// What it was, or what the function reported instead.
    pub(super) said: Result<Bytes, String>,
}

/// What the process asks and answers.
#[derive(Debug)]
struct Desk {
    work: Mutex<mpsc::UnboundedReceiver<Bytes>>,
    answers: mpsc::UnboundedSender<Answer>,
    deadline: Stamp,
    asked: AtomicU64,
}

/// A Runtime API without a process.
#[derive(Debug)]
pub(super) struct RuntimeApi {
    address: String,
    work: mpsc::UnboundedSender<Bytes>,
    answers: mpsc::UnboundedReceiver<Answer>,
    server: JoinHandle<()>,
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl RuntimeApi {
    /// Listens on a port of its own. `now` makes the deadline of every invocation.
    pub(super) async fn listen(now: Stamp) -> Result<RuntimeApi, Failure> {
        let failed = |error: std::io::Error| Failure::Stack(format!("a Runtime API: {error}"));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?.to_string();
        let (work, next) = mpsc::unbounded_channel();
        let (sender, answers) = mpsc::unbounded_channel();
        let desk = Arc::new(Desk {
            work: Mutex::new(next),
            answers: sender,
            deadline: now.plus(Span::HOUR),
            asked: AtomicU64::new(0),
        });
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let desk = Arc::clone(&desk);
                let service = service_fn(move |request| attend(Arc::clone(&desk), request));
                let connection =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                tokio::spawn(connection);
            }
        });
        Ok(RuntimeApi { address, work, answers, server })
    }

    /// Starts a process that will ask here.
    pub(super) fn start(
        self,
        binary: &Path,
        environment: &BTreeMap<String, String>,
    ) -> Result<Process, Failure> {
        let child = Command::new(binary)
            .env_clear()
            .envs(environment)
            .env("AWS_LAMBDA_RUNTIME_API", &self.address)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| Failure::Stack(format!("{}: {error}", binary.display())))?;
        Ok(Process { api: self, child, binary: binary.to_owned() })
    }

    /// Puts an event where the process will find it.
    pub(super) fn hand_over(&self, event: Bytes) {
        // The receiver lives as long as the server.
        let _ = self.work.send(event);
    }
}

/// A function's process; it ends with this.
#[derive(Debug)]
pub(super) struct Process {
    api: RuntimeApi,
    child: Child,
    binary: PathBuf,
}

impl Process {
    /// Hands over one event and waits for its answer.
    pub(super) async fn invoke(&mut self, event: Bytes) -> Result<Bytes, Failure> {
        self.api.hand_over(event);
        let answer = self.answer().await?;
        answer.said.map_err(|said| self.failed(&said))
    }

    /// The next answer.
    pub(super) async fn answer(&mut self) -> Result<Answer, Failure> {
        let answer = tokio::select! {
            answer = self.api.answers.recv() => answer,
            ended = self.child.wait() => {
                let ended = ended.map_or_else(|error| error.to_string(), |s| s.to_string());
                return Err(self.failed(&format!("ended before it answered: {ended}")));
            }
            () = tokio::time::sleep(PATIENCE) => None,
        };
        answer.ok_or_else(|| self.failed(&format!("no answer within {PATIENCE:?}")))
    }

    /// What went wrong, with the binary's name.
    pub(super) fn failed(&self, what: &str) -> Failure {
        Failure::Stack(format!("{}: {what}", self.binary.display()))
    }

    /// The processor time that it has taken so far.
    pub(super) fn processor_time(&self) -> Result<Duration, Failure> {
        let id = self.child.id().ok_or_else(|| self.failed("has ended"))?;
        let folder = PathBuf::from(format!("/proc/{id}/task"));
        let cannot = |error: std::io::Error| self.failed(&format!("its processor time: {error}"));
        let mut nanos = 0;
        for task in std::fs::read_dir(folder).map_err(cannot)? {
            let path = task.map_err(cannot)?.path().join("schedstat");
            let text = std::fs::read_to_string(path).map_err(cannot)?;
            let ran = text.split(' ').next().and_then(|ran| ran.parse::<u64>().ok());
            nanos += ran.ok_or_else(|| self.failed("no processor time in schedstat"))?;
        }
        Ok(Duration::from_nanos(nanos))
    }

    /// Ends it, and waits until it has gone, so that it is in nobody's way.
    pub(super) async fn end(mut self) {
        let _ = self.child.kill().await;
    }
}

async fn attend(
    desk: Arc<Desk>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let is_answer = request.uri().path().ends_with("/response");
    if request.method() == Method::GET {
        let event = desk.work.lock().await.recv().await;
        let number = desk.asked.fetch_add(1, Ordering::Relaxed);
        let response = Response::builder()
            .header(
                "lambda-runtime-aws-request-id",
                format!("8476a536-e9f4-11e8-9739-{number:012}"),
            )
            .header("lambda-runtime-deadline-ms", desk.deadline.ms())
            .header(
                "lambda-runtime-invoked-function-arn",
                "arn:aws:lambda:us-east-1:123456789012:function:bench",
            )
            .header("content-type", "application/json")
            .body(Full::new(event.unwrap_or_default()));
        return Ok(response.unwrap_or_default());
    }
    let body = request.into_body().collect().await?.to_bytes();
    let at = Instant::now();
    let said = if is_answer { Ok(body) } else { Err(String::from_utf8_lossy(&body).into_owned()) };
    // Nobody waits any more where the bench has ended.
    let _ = desk.answers.send(Answer { at, said });
    let mut response = Response::new(Full::new(Bytes::from_static(b"{}")));
    *response.status_mut() = StatusCode::ACCEPTED;
    Ok(response)
}
