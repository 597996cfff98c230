//! From an HTTP request to the flow and back.

use odyssey_aws::lambda::{HttpRequest, HttpResponse};
use odyssey_domain::keyring::Keyring;
use odyssey_domain::time::Stamp;
use odyssey_flows::accept_events::{ApiRequest, Ingest, Reply};
use odyssey_flows::catalog::CatalogCache;
use odyssey_flows::ports::{Bus, Tables};

/// Answers one request.
pub(crate) async fn handle(
    tables: &impl Tables,
    bus: &impl Bus,
    keyring: &Keyring,
    catalog: &CatalogCache,
    request: HttpRequest,
    now: Stamp,
) -> HttpResponse {
    let ingest = Ingest { tables, bus, keyring, catalog };
    let reply = ingest.accept(api_request(request), now).await;
    odyssey_telemetry::count("EventsAccepted", whole(reply.accepted));
    odyssey_telemetry::count("EventsRefused", whole(reply.refused));
    response(reply)
}

fn whole(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn api_request(mut request: HttpRequest) -> ApiRequest {
    let mut header = |name| request.headers.remove(name);
    ApiRequest {
        authorization: header("authorization"),
        content_encoding: header("content-encoding"),
        host: header("host"),
        forwarded_proto: header("x-forwarded-proto"),
        method: request.method,
        path: request.path,
        query: request.raw_query,
        body: request.body,
        id: request.request_id,
    }
}

fn response(reply: Reply) -> HttpResponse {
    let mut response = HttpResponse::empty(reply.status);
    response.body = reply.body;
    for (name, value) in reply.headers {
        response = response.with(name, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use odyssey_testkit::{Memory, run};
    use std::collections::BTreeMap;

    fn asked(path: &str, headers: &[(&str, &str)], body: &str) -> HttpResponse {
        let keyring = Keyring::parse(r#"{"k1":"0123456789abcdef0123456789abcdef"}"#).unwrap();
        let memory = Memory::new();
        let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let request = HttpRequest {
            method: if body.is_empty() { "GET" } else { "POST" }.into(),
            path: path.into(),
            raw_query: String::new(),
            headers: headers.collect::<BTreeMap<String, String>>(),
            body: body.into(),
            request_id: "request-1".into(),
            source_ip: "203.0.113.1".into(),
        };
        let catalog = CatalogCache::default();
        run(handle(&memory, &memory, &keyring, &catalog, request, Stamp::from_ms(0)))
    }

    #[test]
    fn answers_keep_their_status_headers_and_body() {
        let health = asked("/health", &[], "");
        assert_eq!((health.status, health.body.as_str()), (200, r#"{"status":"ok"}"#));
        assert_eq!(health.headers["content-type"], "application/json");
        assert_eq!(asked("/nothing", &[], "").status, 404);
        assert_eq!(asked("/v1/track", &[], r#"{"userId":"u","event":"e"}"#).status, 401);
        let basic = [("authorization", "Basic c2hvcC54Og==")];
        let unpublished = asked("/v1/track", &basic, r#"{"userId":"u","event":"e"}"#);
        assert_eq!(unpublished.status, 503);
        assert_eq!(unpublished.headers["retry-after"], "60");
    }
}
