//! A client for the local stack's own HTTP API: plain HTTP on loopback.

use crate::Failure;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// The client.
#[derive(Debug, Clone)]
pub struct Http {
    client: Client<HttpConnector, Full<Bytes>>,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body, as text.
    pub body: String,
}

impl Http {
    /// A client without connections.
    #[must_use]
    pub fn new() -> Http {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Http { client: Client::builder(TokioExecutor::new()).build(connector) }
    }

    /// Makes one request.
    ///
    /// # Errors
    /// Where nobody answers.
    pub async fn request(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Result<Answer, Failure> {
        let failed =
            |error: &dyn std::fmt::Display| Failure::Stack(format!("{method} {url}: {error}"));
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body))).map_err(|e| failed(&e))?;
        let response = self.client.request(request).await.map_err(|e| failed(&e))?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.map_err(|e| failed(&e))?.to_bytes();
        Ok(Answer { status, body: String::from_utf8_lossy(&body).into_owned() })
    }

    /// Opens a stream of lines and hands each to `each` until the stream ends or `each` says to
    /// stop.
    ///
    /// # Errors
    /// Where nobody answers.
    pub async fn lines(
        &self,
        url: &str,
        mut each: impl FnMut(&str) -> bool,
    ) -> Result<(), Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::Stack(format!("GET {url}: {error}"));
        let request = Request::get(url).body(Full::new(Bytes::new())).map_err(|e| failed(&e))?;
        let response = self.client.request(request).await.map_err(|e| failed(&e))?;
        if !response.status().is_success() {
            return Err(failed(&response.status()));
        }
        let mut body = response.into_body();
        let mut held: Vec<u8> = Vec::new();
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { break };
            held.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
            while let Some(end) = held.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = held.drain(..=end).collect();
                if !each(String::from_utf8_lossy(&line).trim_end()) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

impl Default for Http {
    fn default() -> Self {
        Self::new()
    }
}

/// The value of an `Authorization` header for a write key: the key is the user name.
#[must_use]
pub fn basic(write_key: &str) -> String {
    let pair = format!("{write_key}:");
    format!("Basic {}", data_encoding::BASE64.encode(pair.as_bytes()))
}
