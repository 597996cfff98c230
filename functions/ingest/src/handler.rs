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
    response(ingest.accept(api_request(request), now).await)
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
