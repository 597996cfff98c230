//! A plain HTTP client for the API: it sends what it is told, right or wrong.

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A request in the making.
pub(crate) struct Call {
    request: http::request::Builder,
    body: Vec<u8>,
}

/// A request to `url`.
pub(crate) fn call(method: Method, url: &str) -> Call {
    Call { request: Request::builder().method(method).uri(url), body: Vec::new() }
}

impl Call {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Call {
        self.request = self.request.header(name, value);
        self
    }

    /// Basic authentication with a write key, as the SDKs of servers send it.
    pub(crate) fn key(self, write_key: &str) -> Call {
        let token = data_encoding::BASE64.encode(format!("{write_key}:").as_bytes());
        self.header("authorization", &format!("Basic {token}"))
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Call {
        self.body = body.into();
        self
    }

    pub(crate) async fn send(self) -> Answer {
        let client: Client<HttpConnector, Full<Bytes>> =
            Client::builder(TokioExecutor::new()).build_http();
        let request = self.request.body(Full::new(Bytes::from(self.body))).unwrap();
        let answer = client.request(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }
}
