//! A Runtime API for a few invocations: hands payloads to a real function binary, one after the
//! other, and collects its answers.

use crate::world::World;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::collections::VecDeque;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// What a function made of a payload.
#[derive(Debug)]
pub(crate) enum Answer {
    /// It answered.
    Done(Value),
    /// It reported an error; so does a function that does not start.
    Failed(String),
}

struct Calls {
    waiting: Mutex<VecDeque<(usize, String)>>,
    answers: mpsc::UnboundedSender<Answer>,
}

/// Ends the function with its test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Hands each payload to a fresh process of the function (by its logical id), in order.
pub(crate) async fn invoke(world: &World, function: &str, payloads: &[String]) -> Vec<Answer> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (send, mut answers) = mpsc::unbounded_channel();
    let waiting = payloads.iter().cloned().enumerate().collect();
    let calls = Arc::new(Calls { waiting: Mutex::new(waiting), answers: send });
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let calls = calls.clone();
            let service = hyper::service::service_fn(move |request| answer(calls.clone(), request));
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    });
    let child = Command::new(world.binary(function))
        .env_clear()
        .envs(world.function_environment(function))
        .env("AWS_LAMBDA_RUNTIME_API", &address)
        .env("AWS_LAMBDA_FUNCTION_NAME", function)
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn();
    let _process = Process(child.unwrap());
    let mut found = Vec::new();
    while found.len() < payloads.len() {
        found.push(answers.recv().await.unwrap());
    }
    server.abort();
    found
}

async fn answer(
    calls: Arc<Calls>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    if method == Method::GET {
        let next = calls.waiting.lock().unwrap().pop_front();
        let Some((number, payload)) = next else {
            // Nothing more to do: the function waits here until it is ended.
            return std::future::pending().await;
        };
        let response = Response::builder()
            .header(
                "lambda-runtime-aws-request-id",
                format!("8476a536-e9f4-11e8-9739-{number:012}"),
            )
            // 9999: these tests are about payloads, not about time.
            .header("lambda-runtime-deadline-ms", "253402207200000")
            .header(
                "lambda-runtime-invoked-function-arn",
                "arn:aws:lambda:us-east-1:123456789012:function:test",
            )
            .body(Full::new(payload.into()));
        return Ok(response.unwrap());
    }
    let body = request.into_body().collect().await?.to_bytes();
    let text = String::from_utf8_lossy(&body).into_owned();
    let answer = if path.ends_with("/response") {
        Answer::Done(serde_json::from_slice(&body).unwrap_or(Value::String(text)))
    } else {
        Answer::Failed(text)
    };
    let _ = calls.answers.send(answer);
    Ok(Response::builder().status(202).body(Full::default()).unwrap())
}
