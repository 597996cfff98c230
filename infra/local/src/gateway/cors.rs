//! CORS by the template: API Gateway answers preflights itself and replaces what a function says.

use crate::template::Cors;
use axum::body::Body;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

fn origin(parts: &Parts) -> Option<&str> {
    parts.headers.get("origin")?.to_str().ok()
}

/// What may be answered to an origin: `*`, the origin itself, or nothing.
fn allowed<'a>(cors: &Cors, origin: &'a str) -> Option<&'a str> {
    if cors.origins.iter().any(|allowed| allowed == "*") {
        return Some("*");
    }
    let fits = |allowed: &String| crate::iam::wildcard(allowed, origin);
    cors.origins.iter().any(fits).then_some(origin)
}

fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if value.is_empty() {
        return;
    }
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// The answer to a preflight; API Gateway gives it whatever the routes are. To an origin that is
/// not allowed it is empty.
pub(super) fn preflight(cors: &Cors, parts: &Parts) -> Option<Response> {
    let origin = origin(parts)?;
    if parts.method != Method::OPTIONS
        || !parts.headers.contains_key("access-control-request-method")
    {
        return None;
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    if let Some(allowed) = allowed(cors, origin) {
        let headers = response.headers_mut();
        put(headers, "access-control-allow-origin", allowed);
        put(headers, "access-control-allow-methods", &cors.methods.join(","));
        put(headers, "access-control-allow-headers", &cors.headers.join(","));
        put(headers, "access-control-expose-headers", &cors.expose.join(","));
        let max_age = cors.max_age.map(|seconds| seconds.to_string()).unwrap_or_default();
        put(headers, "access-control-max-age", &max_age);
    }
    Some(response)
}

/// Takes away what the function said of CORS and says what the template does.
pub(super) fn decorate(cors: &Cors, parts: &Parts, response: &mut Response) {
    let headers = response.headers_mut();
    let of_cors: Vec<HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().starts_with("access-control-"))
        .cloned()
        .collect();
    for name in of_cors {
        headers.remove(name);
    }
    if let Some(allowed) = origin(parts).and_then(|origin| allowed(cors, origin)) {
        put(headers, "access-control-allow-origin", allowed);
        put(headers, "access-control-expose-headers", &cors.expose.join(","));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(method: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::builder().method(method).uri("/v1/batch");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn cors(origin: &str) -> Cors {
        Cors {
            origins: vec![origin.to_owned()],
            methods: vec!["POST".to_owned()],
            headers: vec!["content-type".to_owned()],
            expose: vec!["Retry-After".to_owned()],
            max_age: Some(60),
        }
    }

    #[test]
    fn a_preflight_is_answered_without_a_function() {
        let ask = parts(
            "OPTIONS",
            &[("origin", "https://shop.example"), ("access-control-request-method", "POST")],
        );
        let response = preflight(&cors("*"), &ask).unwrap();
        assert_eq!(response.status(), 204);
        assert_eq!(response.headers()["access-control-allow-origin"], "*");
        assert_eq!(response.headers()["access-control-max-age"], "60");
        let response = preflight(&cors("https://other.example"), &ask).unwrap();
        assert!(response.headers().is_empty());
        assert!(preflight(&cors("*"), &parts("OPTIONS", &[])).is_none());
    }

    #[test]
    fn what_a_function_says_of_cors_is_replaced() {
        let mut response = Response::new(Body::empty());
        put(response.headers_mut(), "access-control-allow-credentials", "true");
        let ask = parts("POST", &[("origin", "https://shop.example")]);
        decorate(&cors("https://shop.example"), &ask, &mut response);
        let headers = response.headers();
        assert!(!headers.contains_key("access-control-allow-credentials"));
        assert_eq!(headers["access-control-allow-origin"], "https://shop.example");
    }
}
