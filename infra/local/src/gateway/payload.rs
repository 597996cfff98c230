//! Payload format 2.0, both ways, as AWS sends and reads it.

use crate::state::Shared;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use data_encoding::BASE64;
use http::request::Parts;
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The event for a function.
pub(super) fn event(
    shared: &Shared,
    parts: &Parts,
    body: &Bytes,
    route: &str,
    parameters: &[(String, String)],
    request: &str,
) -> Value {
    let (mut headers, cookies) = headers(parts);
    let host = headers.entry("host".to_owned()).or_insert_with(|| "localhost".to_owned()).clone();
    for (name, value) in [
        ("x-forwarded-proto", "http"),
        ("x-forwarded-port", host.rsplit(':').next().unwrap_or("80")),
        ("content-length", body.len().to_string().as_str()),
        ("x-amzn-trace-id", &format!("Root=1-{}", request.replace('-', ""))),
    ] {
        headers.insert(name.to_owned(), value.to_owned());
    }
    headers
        .entry("x-forwarded-for".to_owned())
        .and_modify(|given| given.push_str(", 127.0.0.1"))
        .or_insert_with(|| "127.0.0.1".to_owned());
    let path = parts.uri.path();
    let query = parts.uri.query().unwrap_or_default();
    let now = shared.clock.now();
    let user_agent = headers.get("user-agent").cloned().unwrap_or_default();
    let mut event = json!({
        "version": "2.0",
        "routeKey": route,
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers,
        "requestContext": {
            "accountId": shared.place.account,
            "apiId": "local",
            "domainName": host,
            "domainPrefix": host.split(['.', ':']).next(),
            "http": {
                "method": parts.method.as_str(),
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": user_agent,
            },
            "requestId": request,
            "routeKey": route,
            "stage": "$default",
            "time": now.to_string(),
            "timeEpoch": now.ms(),
        },
        "isBase64Encoded": false,
    });
    if !cookies.is_empty() {
        event["cookies"] = json!(cookies);
    }
    let queries = query_parameters(query);
    if !queries.is_empty() {
        event["queryStringParameters"] = json!(queries);
    }
    if !parameters.is_empty() {
        let decoded = parameters.iter().map(|(name, value)| (name.clone(), json!(decode(value))));
        event["pathParameters"] = Value::Object(decoded.collect::<Map<_, _>>());
    }
    if !body.is_empty() {
        let (text, encoded) = encoded(parts, body);
        event["body"] = Value::from(text);
        event["isBase64Encoded"] = Value::from(encoded);
    }
    event
}

/// Lower-case names, duplicates joined by commas; cookies stand apart.
fn headers(parts: &Parts) -> (BTreeMap<String, String>, Vec<String>) {
    let (mut headers, mut cookies) = (BTreeMap::<String, String>::new(), Vec::new());
    for (name, value) in &parts.headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        if name == "cookie" {
            cookies.extend(value.split(';').map(|cookie| cookie.trim().to_owned()));
            continue;
        }
        headers
            .entry(name.as_str().to_owned())
            .and_modify(|given| {
                given.push(',');
                given.push_str(&value);
            })
            .or_insert(value);
    }
    (headers, cookies)
}

/// Decoded, duplicates joined by commas.
fn query_parameters(query: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::<String, String>::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decode(&value.replace('+', " "));
        found
            .entry(decode(&name.replace('+', " ")))
            .and_modify(|given| {
                given.push(',');
                given.push_str(&value);
            })
            .or_insert(value);
    }
    found
}

/// Percent decoding; what is no escape stays as it is.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let escape = bytes.get(at + 1..at + 3).and_then(|hex| std::str::from_utf8(hex).ok());
        match escape.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(decoded) if *byte == b'%' => {
                out.push(decoded);
                at += 3;
            }
            _ => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Text types go as text, everything else as base64: forms and compressed bodies included.
fn encoded(parts: &Parts, body: &Bytes) -> (String, bool) {
    let header = |name: &str| {
        parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    };
    let kind = header("content-type").split(';').next().unwrap_or_default().trim();
    let kind = kind.to_ascii_lowercase();
    let is_text = kind.is_empty()
        || kind.starts_with("text/")
        || matches!(
            kind.as_str(),
            "application/json" | "application/javascript" | "application/xml"
        )
        || kind.ends_with("+json")
        || kind.ends_with("+xml");
    let plain = header("content-encoding");
    if is_text
        && (plain.is_empty() || plain == "identity")
        && let Ok(text) = std::str::from_utf8(body)
    {
        return (text.to_owned(), false);
    }
    (BASE64.encode(body), true)
}

/// The HTTP response in a function's answer. An answer without a `statusCode` is the body itself.
pub(super) fn response(answer: &Bytes) -> Option<Response> {
    let value: Value = serde_json::from_slice(answer).ok()?;
    let Some(status) = value.get("statusCode") else {
        let mut response = Response::new(Body::from(value.to_string()));
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert("content-type", json);
        return Some(response);
    };
    let status = status.as_u64().and_then(|status| u16::try_from(status).ok())?;
    let text = value["body"].as_str().unwrap_or_default();
    let body = if value["isBase64Encoded"].as_bool().unwrap_or(false) {
        BASE64.decode(text.as_bytes()).ok()?
    } else {
        text.as_bytes().to_vec()
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).ok()?;
    let headers = response.headers_mut();
    for (name, value) in value["headers"].as_object().into_iter().flatten() {
        let text = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        headers.insert(name, HeaderValue::from_str(&text).ok()?);
    }
    for cookie in value["cookies"].as_array().into_iter().flatten() {
        let cookie = cookie.as_str().and_then(|cookie| HeaderValue::from_str(cookie).ok())?;
        headers.append("set-cookie", cookie);
    }
    if !headers.contains_key("content-type") {
        headers.insert("content-type", HeaderValue::from_static("text/plain; charset=utf-8"));
    }
    Some(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(headers: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::builder().uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn duplicates_are_joined_and_cookies_apart() {
        let parts = parts(&[("X-A", "1"), ("x-a", "2"), ("Cookie", "a=1; b=2"), ("cookie", "c=3")]);
        let (headers, cookies) = headers(&parts);
        assert_eq!(headers["x-a"], "1,2");
        assert_eq!(cookies, ["a=1", "b=2", "c=3"]);
        let query = query_parameters("writeKey=a%2Eb&x=1&x=2&y&z=%zz+");
        let expected = [("writeKey", "a.b"), ("x", "1,2"), ("y", ""), ("z", "%zz ")];
        let expected = expected.map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(query, BTreeMap::from(expected));
    }

    proptest::proptest! {
        #[test]
        fn any_query_is_read(query in "[ -~]{0,40}") {
            let _ = query_parameters(&query);
        }

        #[test]
        fn what_is_escaped_is_unescaped(text in ".{0,12}") {
            let escaped: String = text.bytes().fold(String::new(), |all, byte| format!("{all}%{byte:02x}"));
            proptest::prop_assert_eq!(decode(&escaped), text);
        }
    }

    #[test]
    fn what_is_no_text_goes_as_base64() {
        let body = Bytes::from_static(b"{}");
        for (headers, is_encoded) in [
            (&[("content-type", "application/json; charset=utf-8")][..], false),
            (&[("content-type", "text/plain")], false),
            (&[], false),
            (&[("content-type", "application/x-www-form-urlencoded")], true),
            (&[("content-type", "application/json"), ("content-encoding", "gzip")], true),
            (&[("content-type", "application/octet-stream")], true),
        ] {
            assert_eq!(encoded(&parts(headers), &body).1, is_encoded, "{headers:?}");
        }
        let binary = Bytes::from_static(&[0x1f, 0x8b, 0xff]);
        let json = parts(&[("content-type", "application/json")]);
        assert_eq!(encoded(&json, &binary), ("H4v/".to_owned(), true));
    }

    #[test]
    fn answers_become_responses() {
        let answer = |value: Value| response(&Bytes::from(value.to_string()));
        let full = answer(json!({
            "statusCode": 201, "headers": {"x-a": "1"}, "cookies": ["a=1"], "body": "aGk=",
            "isBase64Encoded": true,
        }));
        let full = full.unwrap();
        assert_eq!((full.status().as_u16(), &full.headers()["x-a"]), (201, &"1".parse().unwrap()));
        assert_eq!(full.headers()["set-cookie"], "a=1");
        assert_eq!(answer(json!({"hello": 1})).unwrap().status(), 200);
        assert!(answer(json!({"statusCode": 7})).is_none());
        assert!(response(&Bytes::from_static(b"no json")).is_none());
    }
}
