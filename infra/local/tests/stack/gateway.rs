//! The HTTP API in front of the functions.

use crate::harness::{http, options, start};
use http::Method;
use odyssey_local::{BODY_BYTES_MAX, LocalStack};
use serde_json::json;

#[tokio::test]
async fn payload_v2_as_aws_sends_it() {
    let stack = start().await;
    let url = format!("{}/v1/batch?a=1&a=2&b=%20x", stack.api_url());
    let headers = [("Content-Type", "text/plain"), ("X-Two", "1"), ("X-Two", "2")];
    let answer = http(Method::POST, &url, &headers, "{}").await.unwrap();
    let event = &answer.json()["event"];
    assert_eq!(event["version"], "2.0");
    assert_eq!(event["routeKey"], "$default");
    assert_eq!(event["rawPath"], "/v1/batch");
    assert_eq!(event["rawQueryString"], "a=1&a=2&b=%20x");
    assert_eq!(event["queryStringParameters"], json!({"a": "1,2", "b": " x"}));
    assert_eq!(event["headers"]["x-two"], "1,2");
    assert_eq!(event["requestContext"]["http"]["method"], "POST");
    assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!("{}"), &json!(false)));
}

#[tokio::test]
async fn routes_lead_to_their_function() {
    let stack = start().await;
    for (method, path, function) in [
        (Method::GET, "/c/abc", "odyssey-ConsentFunction"),
        (Method::POST, "/u/abc", "odyssey-ConsentFunction"),
        (Method::GET, "/v1/consent?email=x", "odyssey-ConsentFunction"),
        (Method::PUT, "/v1/consent", "odyssey-IngestFunction"),
        (Method::DELETE, "/nowhere", "odyssey-IngestFunction"),
    ] {
        let url = format!("{}{path}", stack.api_url());
        let answer = http(method.clone(), &url, &[], "").await.unwrap().json();
        let found = &answer["environment"]["AWS_LAMBDA_FUNCTION_NAME"];
        assert_eq!(found, function, "{method} {path}");
        if path == "/c/abc" {
            assert_eq!(answer["event"]["pathParameters"], json!({"token": "abc"}));
        }
    }
}

#[tokio::test]
async fn cors_is_the_templates() {
    let stack = start().await;
    let url = format!("{}/v1/t", stack.api_url());
    let ask = [
        ("origin", "https://shop.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization"),
    ];
    let answer = http(Method::OPTIONS, &url, &ask, "").await.unwrap();
    assert_eq!(answer.status, 204);
    assert_eq!(answer.headers["access-control-allow-origin"], "*");
    let allowed = answer.headers["access-control-allow-headers"].to_str().unwrap();
    assert!(allowed.contains("x-retry-count"), "{allowed}");
    let answer = http(Method::POST, &url, &[("origin", "https://a.example")], "").await.unwrap();
    assert_eq!(answer.headers["access-control-allow-origin"], "*");
    assert_eq!(answer.headers["access-control-expose-headers"], "Retry-After");
}

#[tokio::test]
async fn what_is_too_large_never_reaches_a_function() {
    let stack = start().await;
    let url = format!("{}/v1/t", stack.api_url());
    let answer = http(Method::POST, &url, &[], vec![b'x'; BODY_BYTES_MAX + 1]).await.unwrap();
    assert_eq!(answer.status, 413);
    assert!(
        stack.usage().invocations.is_empty()
            || !stack.usage().invocations.contains_key("IngestFunction")
    );
}

#[tokio::test]
async fn pages_stand_beside_the_api() {
    let mut options = options();
    options.pages = Some(Box::new(|stack| {
        let url = stack.api_url().to_owned();
        axum::Router::new().route("/shop", axum::routing::get(async move || url))
    }));
    let stack = LocalStack::start(options).await.unwrap();
    let page = http(Method::GET, &format!("{}/shop", stack.api_url()), &[], "").await.unwrap();
    assert_eq!(page.body, stack.api_url());
    let api = http(Method::GET, &format!("{}/v1/x", stack.api_url()), &[], "").await.unwrap();
    assert_eq!(api.json()["event"]["rawPath"], "/v1/x");
}
