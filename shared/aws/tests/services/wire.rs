//! A service on an ephemeral port of this machine that answers by a script, byte by byte.

use odyssey_aws::{Aws, Env};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the service does with one request.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// Answers.
    Answer {
        /// HTTP status.
        status: u16,
        /// The `x-amzn-errortype` header, where it is an error.
        error: Option<&'static str>,
        /// The body.
        body: String,
    },
    /// Takes the request and resets the connection.
    Reset,
    /// Takes the request and closes the connection.
    Close,
    /// Takes the request and never answers; time then jumps to the caller's next time-out.
    Silence,
}

impl Act {
    /// 200 with a body.
    pub(crate) fn ok(body: impl Into<String>) -> Act {
        Act::Answer { status: 200, error: None, body: body.into() }
    }

    /// An error of the service.
    pub(crate) fn error(status: u16, error: &'static str) -> Act {
        let body = format!(r#"{{"__type":"{error}","message":"about ann@example.com"}}"#);
        Act::Answer { status, error: Some(error), body }
    }
}

/// The service.
pub(crate) struct Wire {
    /// Where it listens.
    pub(crate) url: String,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    connections: usize,
    requests: Vec<String>,
}

impl Wire {
    /// Starts it; beyond its script it closes connections.
    pub(crate) async fn start(script: impl IntoIterator<Item = Act>) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Seen::default()));
        let script = Arc::new(Mutex::new(script.into_iter().collect::<VecDeque<_>>()));
        let shared = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                shared.lock().unwrap().connections += 1;
                tokio::spawn(serve(stream, Arc::clone(&script), Arc::clone(&shared)));
            }
        });
        Wire { url, seen }
    }

    /// The bodies of the requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.seen.lock().unwrap().requests.clone()
    }

    /// The number of connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }

    /// Clients of it, with every variable a function may need.
    pub(crate) fn aws(&self) -> Aws {
        aws(&self.url)
    }
}

/// Clients of an endpoint.
pub(crate) fn aws(url: &str) -> Aws {
    let variables = [
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "AKIDTEST"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_ENDPOINT_URL", url),
        ("BUS_NAME", "bus"),
        ("CONFIGURATION_SET", "set"),
        ("JOURNEY_QUEUE_URL", "http://localhost/1/journey"),
        ("LEDGER_TABLE", "ledger"),
        ("SECRET_ARN", "arn:aws:secretsmanager:eu-west-1:1:secret:s"),
    ];
    let owned = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Aws::connect(&Env::from_variables(owned))
}

async fn serve(mut stream: TcpStream, script: Arc<Mutex<VecDeque<Act>>>, seen: Arc<Mutex<Seen>>) {
    while let Some(body) = read_request(&mut stream).await {
        seen.lock().unwrap().requests.push(body);
        let act = script.lock().unwrap().pop_front().unwrap_or(Act::Close);
        match act {
            Act::Answer { status, error, body } => {
                let error = error.map(|e| format!("x-amzn-errortype: {e}\r\n")).unwrap_or_default();
                let answer = format!(
                    "HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\n{error}\
                     content-length: {}\r\n\r\n{body}",
                    body.len()
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            Act::Reset => {
                stream.set_zero_linger().unwrap();
                return;
            }
            Act::Close => return,
            Act::Silence => {
                tokio::time::pause();
                std::future::pending::<()>().await;
            }
        }
    }
}

/// The body of the next request; `None` where the connection ended.
async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8(bytes[..head].to_vec()).unwrap().to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
    while bytes.len() < head + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    Some(String::from_utf8(bytes[head..].to_vec()).unwrap())
}
