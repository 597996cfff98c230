//! Functions behind API Gateway (HTTP API, payload format 2.0).

use super::event::decode;
use super::invocation::Invocation;
use super::{LambdaError, caught, serve};
use odyssey_domain::time::Stamp;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// A request as a handler sees it.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// In capitals: `POST`.
    pub method: String,
    /// Decoded by API Gateway: `/v1/track`.
    pub path: String,
    /// As it was sent, without the question mark.
    pub raw_query: String,
    /// Names in lower case; values of a name that came more than once are joined by commas.
    pub headers: BTreeMap<String, String>,
    /// Base64 undone.
    pub body: Vec<u8>,
    /// API Gateway's id of the request, else Lambda's.
    pub request_id: String,
    /// The caller's IP address; personal data.
    pub source_ip: String,
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Paths hold tokens, queries and headers write keys, and the rest is personal.
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("request_id", &self.request_id)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl HttpRequest {
    /// A header by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HttpResponse {
    /// 200 to 599.
    pub status: u16,
    /// Names in lower case, each once.
    pub headers: BTreeMap<Cow<'static, str>, String>,
    /// Text.
    pub body: String,
}

impl HttpResponse {
    /// An answer without a body.
    #[must_use]
    pub fn empty(status: u16) -> HttpResponse {
        HttpResponse { status, ..HttpResponse::default() }
    }

    /// An answer in JSON; `body` is JSON already.
    #[must_use]
    pub fn json(status: u16, body: impl Into<String>) -> HttpResponse {
        HttpResponse { status, body: body.into(), ..HttpResponse::default() }
            .with("content-type", "application/json")
    }

    /// A page.
    #[must_use]
    pub fn html(status: u16, body: impl Into<String>) -> HttpResponse {
        HttpResponse { status, body: body.into(), ..HttpResponse::default() }
            .with("content-type", "text/html; charset=utf-8")
    }

    /// Plain text.
    #[must_use]
    pub fn text(status: u16, body: impl Into<String>) -> HttpResponse {
        HttpResponse { status, body: body.into(), ..HttpResponse::default() }
            .with("content-type", "text/plain; charset=utf-8")
    }

    /// The same answer with a header; the name in lower case.
    #[must_use]
    pub fn with(
        mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<String>,
    ) -> HttpResponse {
        self.headers.insert(name.into(), value.into());
        self
    }
}

/// What API Gateway sends. Fields that nothing here reads are left out; so are those in which
/// `cargo lambda watch` differs (`httpMethod`, `timeEpoch`). It sends null for a query that AWS
/// sends as an empty text.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    raw_path: String,
    #[serde(default)]
    raw_query_string: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
    request_context: RequestContext,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext {
    #[serde(default)]
    request_id: Option<String>,
    http: HttpContext,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HttpContext {
    method: String,
    #[serde(default)]
    source_ip: Option<String>,
}

/// What API Gateway takes. `cargo lambda watch` insists on `cookies`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    status_code: u16,
    headers: BTreeMap<Cow<'static, str>, String>,
    body: String,
    is_base64_encoded: bool,
    cookies: [String; 0],
}

impl From<HttpResponse> for Answer {
    fn from(response: HttpResponse) -> Answer {
        Answer {
            status_code: response.status,
            headers: response.headers,
            body: response.body,
            is_base64_encoded: false,
            cookies: [],
        }
    }
}

/// A body that says it is base64 and is not.
struct BadBase64;

fn request(payload: Payload, lambda_request: &str) -> Result<HttpRequest, BadBase64> {
    let body = payload.body.unwrap_or_default();
    let body = if payload.is_base64_encoded {
        data_encoding::BASE64.decode(body.as_bytes()).map_err(|_| BadBase64)?
    } else {
        body.into_bytes()
    };
    let lower = |(name, value): (String, String)| (name.to_ascii_lowercase(), value);
    let request_id = payload.request_context.request_id.filter(|id| !id.is_empty());
    Ok(HttpRequest {
        method: payload.request_context.http.method.to_ascii_uppercase(),
        path: payload.raw_path,
        raw_query: payload.raw_query_string.unwrap_or_default(),
        headers: payload.headers.into_iter().map(lower).collect(),
        body,
        request_id: request_id.unwrap_or_else(|| lambda_request.to_owned()),
        source_ip: payload.request_context.http.source_ip.unwrap_or_default(),
    })
}

fn message(status: u16, text: &str) -> HttpResponse {
    let body = serde_json::json!({"success": false, "message": text});
    HttpResponse::json(status, body.to_string())
}

/// Serves an HTTP API until the environment ends. A panic is answered with 500; an event that is
/// no HTTP request fails the invocation.
///
/// # Errors
/// Where the Runtime API cannot be reached.
pub async fn run_http<H, F>(name: &'static str, handler: H) -> Result<(), LambdaError>
where
    H: Fn(HttpRequest, Stamp) -> F,
    F: Future<Output = HttpResponse>,
{
    serve(async |event, context| {
        let mut invocation = Invocation::begin(name, &context);
        let answer = match decode::<Payload>(&event, "an API Gateway event, version 2.0") {
            Ok(payload) => {
                let response = match request(payload, &invocation.request) {
                    Ok(request) => answer(request, invocation.now, &handler).await,
                    Err(BadBase64) => message(400, "the body is not the base64 it says it is"),
                };
                invocation.summary.set("status", response.status);
                Ok(Answer::from(response))
            }
            Err(error) => {
                invocation.summary.set("error", error.to_string());
                Err(error)
            }
        };
        invocation.end();
        answer
    })
    .await
}

async fn answer<H, F>(request: HttpRequest, now: Stamp, handler: &H) -> HttpResponse
where
    H: Fn(HttpRequest, Stamp) -> F,
    F: Future<Output = HttpResponse>,
{
    let answered = caught(async { handler(request, now).await }).await;
    answered.unwrap_or_else(|| message(500, "an internal error; try again"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(event: &str) -> HttpRequest {
        let payload: Payload = serde_json::from_str(event).unwrap();
        request(payload, "lambda").unwrap_or_else(|BadBase64| panic!("base64"))
    }

    #[test]
    fn samples_are_read() {
        let bare = read(include_str!(
            "../../tests/lambda-events/example-apigw-v2-request-no-authorizer.json"
        ));
        assert_eq!((&*bare.method, &*bare.path, &*bare.raw_query), ("GET", "/", ""));
        assert_eq!((&*bare.request_id, &*bare.source_ip), ("LV7fzho-PHcEJPw=", "1.2.3.4"));
        assert_eq!((bare.header("user-agent"), bare.body.len()), (Some("curl/7.58.0"), 0));
        let repeated = read(include_str!(
            "../../tests/lambda-events/example-apigw-v2-request-multi-value-parameters.json"
        ));
        assert_eq!(repeated.header("header2"), Some("value1,value2"));
        assert!(repeated.raw_query.contains("Parameter1=value1&Parameter1=value2"));
        for sample in [
            include_str!("../../tests/lambda-events/example-apigw-v2-request-iam.json"),
            include_str!("../../tests/lambda-events/example-apigw-v2-request-jwt-authorizer.json"),
            include_str!(
                "../../tests/lambda-events/example-apigw-v2-request-lambda-authorizer.json"
            ),
        ] {
            assert!(!read(sample).method.is_empty());
        }
    }

    #[test]
    fn the_other_host_says_null_where_there_is_no_query() {
        let event = json!({
            "version": "2.0",
            "rawPath": "/v1/track",
            "rawQueryString": null,
            "headers": {},
            "requestContext": {"http": {"method": "POST", "sourceIp": null}},
        });
        let request = read(&event.to_string());
        assert_eq!((&*request.raw_query, &*request.source_ip), ("", ""));
    }

    /// `cargo lambda watch` says GET at the top of every event, gives seconds for milliseconds and
    /// sends most bodies in base64.
    #[test]
    fn the_other_host_differs() {
        let event = json!({
            "version": "2.0",
            "httpMethod": "GET",
            "rawPath": "/v1/t",
            "rawQueryString": "a=%C3%BC",
            "headers": {"Content-Type": "text/plain"},
            "requestContext": {
                "http": {"method": "post", "sourceIp": "127.0.0.1"},
                "requestId": "",
                "timeEpoch": 1_795_289_075,
            },
            "body": data_encoding::BASE64.encode(&[0x1f, 0x8b, 0xff]),
            "isBase64Encoded": true,
        });
        let request = read(&event.to_string());
        assert_eq!((&*request.method, &*request.request_id), ("POST", "lambda"));
        assert_eq!(request.body, [0x1f, 0x8b, 0xff]);
        assert_eq!(request.header("content-type"), Some("text/plain"));
        assert_eq!(request.raw_query, "a=%C3%BC");
    }

    #[test]
    fn a_false_claim_of_base64_is_told() {
        let event = r#"{"rawPath":"/","requestContext":{"http":{"method":"POST"}},
            "body":"not base64!","isBase64Encoded":true}"#;
        let payload: Payload = serde_json::from_str(event).unwrap();
        assert!(request(payload, "lambda").is_err());
    }

    #[test]
    fn the_answer_always_has_cookies() {
        let response = HttpResponse::json(200, r#"{"success":true}"#).with("retry-after", "5");
        let expected = json!({
            "statusCode": 200,
            "headers": {"content-type": "application/json", "retry-after": "5"},
            "body": "{\"success\":true}",
            "isBase64Encoded": false,
            "cookies": [],
        });
        assert_eq!(serde_json::to_value(Answer::from(response)).unwrap(), expected);
    }

    #[tokio::test]
    async fn a_panic_is_answered() {
        let request = read(r#"{"rawPath":"/","requestContext":{"http":{"method":"GET"}}}"#);
        assert!(!format!("{request:?}").contains('/'));
        let answered = answer(request, Stamp::MIN, &async |_, _| panic!("on purpose")).await;
        assert_eq!(answered.status, 500);
    }
}
