//! The HTTP API over the in-memory ports: every answer it gives, and what is on the bus then.

#![expect(clippy::unwrap_used, reason = "what cannot go on has failed")]

use flate2::Compression;
use flate2::write::GzEncoder;
use odyssey_domain::catalog::{Brand, Catalog, Source, SourceName};
use odyssey_domain::keyring::Keyring;
use odyssey_domain::message::MailId;
use odyssey_domain::pacing::Pacing;
use odyssey_domain::personal::EmailAddress;
use odyssey_domain::time::Stamp;
use odyssey_domain::wire::{EventsAccepted, SourceKind, detail_type, source};
use odyssey_flows::accept_events::{ApiRequest, Ingest, Reply};
use odyssey_flows::catalog::{CatalogCache, Publication, publish};
use odyssey_testkit::{Fault, Memory, Operation, run};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;

const NOW: Stamp = Stamp::from_ms(1_795_289_101_000); // 2026-11-21T19:25:01Z

fn catalog() -> Catalog {
    let source =
        |name, kind| (SourceName::parse(name).unwrap(), Source { kind, key_generation: 1 });
    Catalog {
        published: NOW,
        sources: BTreeMap::from([
            source("web", SourceKind::Browser),
            source("shop", SourceKind::Server),
        ]),
        topics: BTreeMap::new(),
        pacing: Pacing::default(),
        brand: Brand {
            name: "Shop".to_owned(),
            from: EmailAddress::parse("shop@example.com").unwrap(),
            reply_to: None,
            postal_address: "1 Street".to_owned(),
            website: "https://example.com".to_owned(),
            allowed_hosts: Vec::new(),
        },
        signals: Vec::new(),
        segments: BTreeMap::new(),
        journeys: BTreeMap::new(),
        mails: BTreeMap::new(),
        confirmation_mail: MailId::parse("confirm").unwrap(),
        watched: Vec::new(),
        retired: Vec::new(),
        computed_traits: odyssey_domain::profile::ComputedTraits::default(),
        forwarded: Vec::new(),
        plan: odyssey_domain::plan::Declared::default(),
    }
}

/// A stack with a published workspace.
struct Stack {
    memory: Memory,
    keyring: Keyring,
    cache: CatalogCache,
}

impl Stack {
    fn unpublished() -> Stack {
        let keyring = Keyring::parse(r#"{"k1":"0123456789abcdef0123456789abcdef"}"#).unwrap();
        Stack { memory: Memory::new(), keyring, cache: CatalogCache::default() }
    }

    fn new() -> Stack {
        let stack = Stack::unpublished();
        let publication =
            Publication { catalog: catalog(), journeys: BTreeMap::new(), mails: BTreeMap::new() };
        run(publish(&stack.memory, &publication)).unwrap();
        stack
    }

    fn key(&self) -> String {
        self.keyring.write_key("shop", 1)
    }

    fn basic(&self) -> String {
        let pair = format!("{}:", self.key());
        format!("Basic {}", data_encoding::BASE64.encode(pair.as_bytes()))
    }

    fn accept(&self, request: ApiRequest) -> Reply {
        let (tables, bus) = (&self.memory, &self.memory);
        let ingest = Ingest { tables, bus, keyring: &self.keyring, catalog: &self.cache };
        run(ingest.accept(request, NOW))
    }

    /// Posts with Basic authorization.
    fn post(&self, path: &str, body: impl Into<Vec<u8>>) -> Reply {
        self.accept(ApiRequest { authorization: Some(self.basic()), ..post(path, body) })
    }

    /// What is on the bus, read as consumers read it.
    fn published(&self) -> Vec<EventsAccepted> {
        let entries = self.memory.bus_entries();
        assert!(entries.iter().all(|entry| {
            entry.source == source::INGEST && entry.detail_type == detail_type::EVENTS_ACCEPTED
        }));
        entries.iter().map(|entry| serde_json::from_str(&entry.detail).unwrap()).collect()
    }
}

fn post(path: &str, body: impl Into<Vec<u8>>) -> ApiRequest {
    ApiRequest {
        method: "POST".to_owned(),
        path: path.to_owned(),
        body: body.into(),
        id: "request-1".to_owned(),
        ..ApiRequest::default()
    }
}

fn get(path: &str) -> ApiRequest {
    ApiRequest { method: "GET".to_owned(), path: path.to_owned(), ..ApiRequest::default() }
}

fn header<'a>(reply: &'a Reply, name: &str) -> Option<&'a str> {
    reply.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
}

fn body(reply: &Reply) -> Value {
    serde_json::from_str(&reply.body).unwrap()
}

fn code(reply: &Reply) -> String {
    body(reply)["code"].as_str().unwrap().to_owned()
}

const EVENT: &str = r#"{"type":"track","userId":"u1","event":"e","messageId":"m-1"}"#;

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn accepted_is_what_is_on_the_bus() {
    let stack = Stack::new();
    let reply = stack.post("/v1/track", EVENT);
    assert_eq!((reply.status, reply.body.as_str()), (200, r#"{"success":true}"#));
    assert_eq!(header(&reply, "content-type"), Some("application/json"));
    assert_eq!(header(&reply, "access-control-allow-origin"), Some("*"));
    assert_eq!((reply.accepted, reply.refused), (1, 0));
    let published = stack.published();
    assert_eq!(published.len(), 1);
    assert_eq!(published[0].source.name, "shop");
    assert_eq!(published[0].source.kind, SourceKind::Server);
    assert_eq!((published[0].v, published[0].received), (1, NOW));
    assert_eq!(published[0].request, "request-1");
    assert_eq!(published[0].events[0].id, "m-1");
}

#[test]
fn every_path_takes_its_call() {
    let bodies = [
        ("track", "t", r#"{"userId":"u","event":"e"}"#),
        ("identify", "i", r#"{"userId":"u","traits":{"a":1}}"#),
        ("page", "p", r#"{"anonymousId":"a","name":"Home"}"#),
        ("screen", "s", r#"{"anonymousId":"a"}"#),
        ("group", "g", r#"{"userId":"u","groupId":"g"}"#),
        ("alias", "a", r#"{"userId":"u","previousId":"a"}"#),
        ("batch", "b", r#"{"batch":[{"type":"track","userId":"u","event":"e"}]}"#),
        ("import", "b", r#"{"batch":[{"type":"track","userId":"u","event":"e"}]}"#),
    ];
    for (path, short, body) in bodies {
        for path in [format!("/v1/{path}"), format!("/v1/{short}"), format!("/v1/{path}/")] {
            let stack = Stack::new();
            assert_eq!(stack.post(&path, body).status, 200, "{path}");
            assert_eq!(stack.published().len(), 1, "{path}");
        }
    }
}

#[test]
fn the_write_key_is_found_wherever_it_is() {
    let stack = Stack::new();
    let key = stack.key();
    let event = |key: &str| format!(r#"{{"userId":"u","event":"e","writeKey":"{key}"}}"#);
    let batch = format!(r#"{{"batch":[{EVENT}],"writeKey":"{key}"}}"#);
    let query = |path: &str, body: &str| ApiRequest {
        query: format!("v=1&writeKey={key}"),
        ..post(path, body)
    };
    for request in [
        post("/v1/t", event(&key)),
        post("/v1/b", batch),
        query("/beacon/v1/batch", &format!(r#"{{"batch":[{EVENT}]}}"#)),
        query("/v1/track", EVENT),
        // An empty user name, and an authorization of another scheme, are none.
        ApiRequest { authorization: Some("Basic Og==".to_owned()), ..query("/v1/track", EVENT) },
        ApiRequest { authorization: Some("Bearer x".to_owned()), ..post("/v1/t", event(&key)) },
    ] {
        assert_eq!(stack.accept(request).status, 200);
    }
    let revoked = stack.keyring.write_key("shop", 2);
    let other = stack.keyring.write_key("other", 1);
    for key in [&revoked, &other, "shop", "shop.", "", "web.x", &"x".repeat(10_000)] {
        let reply = stack.accept(post("/v1/t", event(key)));
        assert_eq!((reply.status, code(&reply)), (401, "unknown_write_key".to_owned()), "{key}");
    }
    let reply = stack.accept(post("/v1/track", EVENT));
    assert_eq!((reply.status, code(&reply)), (401, "no_write_key".to_owned()));
    // Basic authorization comes first.
    let stranger = Some(format!("Basic {}", data_encoding::BASE64.encode(b"stranger:")));
    let reply = stack.accept(ApiRequest { authorization: stranger, ..post("/v1/t", event(&key)) });
    assert_eq!(reply.status, 401);
}

#[test]
fn magic_bytes_decide_on_compression() {
    let plain = format!(r#"{{"batch":[{EVENT}]}}"#);
    for (bytes, encoding) in [
        (gzip(plain.as_bytes()), Some("gzip")),
        (gzip(plain.as_bytes()), None),
        (plain.clone().into_bytes(), Some("gzip")),
        (plain.clone().into_bytes(), None),
    ] {
        let stack = Stack::new();
        let reply = stack.accept(ApiRequest {
            authorization: Some(stack.basic()),
            content_encoding: encoding.map(str::to_owned),
            ..post("/v1/batch", bytes)
        });
        assert_eq!((reply.status, stack.published().len()), (200, 1), "{encoding:?}");
    }
}

#[test]
fn sizes() {
    let stack = Stack::new();
    let event = |bytes: usize| {
        let event = r#"{"userId":"u","event":"e","properties":{"a":""}}"#;
        event.replace("\"\"", &format!("\"{}\"", "x".repeat(bytes - event.len())))
    };
    assert_eq!(stack.post("/v1/track", event(32 * 1024)).status, 200);
    for (path, body) in [
        ("/v1/track", event(32 * 1024 + 1).into_bytes()),
        ("/v1/batch", vec![b' '; 10 << 20]),
        ("/v1/batch", gzip(&vec![b' '; 20 << 20])),
        ("/v1/track", gzip(&vec![b' '; 20 << 20])),
    ] {
        let reply = stack.post(path, body);
        assert_eq!((reply.status, code(&reply)), (413, "too_large".to_owned()));
    }
    let large = event(33 * 1024).replacen('{', "{\"type\":\"track\",", 1);
    let reply = stack.post("/v1/batch", format!(r#"{{"batch":[{EVENT},{large}]}}"#));
    assert_eq!(reply.status, 200);
    assert_eq!(body(&reply)["rejected"][0]["index"], 1);
}

#[test]
fn bad_items_are_told_and_good_ones_kept() {
    let stack = Stack::new();
    let reply = stack.post(
        "/v1/batch",
        format!(r#"{{"batch":[{EVENT},{{"type":"track","userId":"u"}},7,{EVENT}]}}"#),
    );
    assert_eq!(reply.status, 200);
    assert_eq!(
        body(&reply),
        json!({"success": true, "rejected": [
            {"index": 1, "reason": "$.batch[1].event: expected the event's name (a string), found nothing"},
            {"index": 2, "reason": "$.batch[2]: expected an object, found a number"},
        ]})
    );
    assert_eq!((reply.accepted, reply.refused), (2, 2));
    assert_eq!(stack.published()[0].events.len(), 2);

    let reply = stack.post("/v1/batch", r#"{"batch":[{"type":"track"}]}"#);
    assert_eq!((reply.status, code(&reply)), (400, "invalid_events".to_owned()));
    let reply = stack.post("/v1/track", r#"{"userId":"u","event":["e"]}"#);
    assert_eq!(reply.status, 400);
    assert_eq!(
        body(&reply)["message"],
        "$.event: expected the event's name (a string), found an array"
    );
    let reply = stack.post("/v1/batch", r#"{"batch":[]}"#);
    assert_eq!((reply.status, reply.body.as_str()), (200, r#"{"success":true}"#));
    let many = vec!["1"; 200_000].join(",");
    let reply = stack.post("/v1/batch", format!("{{\"batch\":[{many}]}}"));
    assert_eq!(body(&reply)["rejectedBeyond"], 199_000);
    assert!(reply.body.len() < 200_000, "an answer stays below Lambda's limit");
}

#[test]
fn broken_bodies_say_where() {
    let stack = Stack::new();
    for (bytes, expected, message) in [
        (br#"{"batch":[{"ty"#.to_vec(), "invalid_request", "$: malformed JSON at line 1"),
        (b"hello".to_vec(), "invalid_request", "$: malformed JSON at line 1 column 1"),
        (b"\xFF\xFE\x00".to_vec(), "invalid_request", "$: malformed JSON at line 1 column 1"),
        (Vec::new(), "invalid_request", "$: expected a JSON object, found nothing"),
        (b"\x1F\x8B\x08nope".to_vec(), "damaged_body", "the body begins as gzip"),
    ] {
        let reply = stack.post("/v1/batch", bytes);
        assert_eq!((reply.status, code(&reply).as_str()), (400, expected));
        let told = body(&reply)["message"].as_str().unwrap().to_owned();
        assert!(told.starts_with(message), "{told}");
    }
    assert!(stack.published().is_empty());
}

#[test]
fn nothing_is_acknowledged_that_is_not_on_the_bus() {
    for fault in [Fault::FailBefore, Fault::FailAfter, Fault::Refuse, Fault::Partial(vec![0])] {
        let stack = Stack::new();
        let fails = fault.clone();
        stack.memory.on_call(move |call| match call.operation {
            Operation::Publish => fails.clone(),
            _ => Fault::None,
        });
        let reply = stack.post("/v1/track", EVENT);
        assert_eq!((reply.status, code(&reply)), (503, "unavailable".to_owned()), "{fault:?}");
        assert_eq!(header(&reply, "retry-after"), Some("5"));
        stack.memory.calm();
        assert_eq!(stack.post("/v1/track", EVENT).status, 200, "the retry");
        // The same message: whoever folds it recognises it.
        assert!(stack.published().iter().all(|entry| entry.events[0].id == "m-1"));
    }
}

#[test]
fn many_customers_go_in_several_calls_and_all_must_succeed() {
    let batch = |customers: usize| {
        let item = |n| format!(r#"{{"type":"track","event":"e","userId":"u{n}"}}"#);
        let items: Vec<String> = (0..customers).map(item).collect();
        format!("{{\"batch\":[{}]}}", items.join(","))
    };
    let stack = Stack::new();
    assert_eq!(stack.post("/v1/import", batch(8_000)).status, 200);
    assert_eq!(stack.published().len(), 8_000);
    let publishes = |stack: &Stack| {
        stack.memory.calls().iter().filter(|call| **call == Operation::Publish).count()
    };
    assert_eq!(publishes(&stack), 8);
    let stack = Stack::new();
    let mut publish = 0;
    stack.memory.on_call(move |call| {
        publish += usize::from(call.operation == Operation::Publish);
        if publish == 2 && call.operation == Operation::Publish {
            Fault::Partial(vec![3])
        } else {
            Fault::None
        }
    });
    assert_eq!(stack.post("/v1/import", batch(40)).status, 503);
}

#[test]
fn without_a_published_workspace_clients_wait() {
    let stack = Stack::unpublished();
    let reply = stack.post("/v1/track", EVENT);
    assert_eq!((reply.status, code(&reply)), (503, "unpublished".to_owned()));
    assert_eq!(header(&reply, "retry-after"), Some("60"));
    let stack = Stack::new();
    stack.memory.on_call(|call| match call.operation {
        Operation::Get(_) => Fault::FailBefore,
        _ => Fault::None,
    });
    let reply = stack.post("/v1/track", EVENT);
    assert_eq!((reply.status, code(&reply)), (503, "unavailable".to_owned()));
    assert_eq!(stack.accept(get("/health")).status, 200, "which reads nothing");
}

#[test]
fn segments_browser_sdk_is_told_to_post_here() {
    let stack = Stack::new();
    let key = stack.keyring.write_key("web", 1);
    let request = |key: &str| ApiRequest {
        host: Some("t.example.com".to_owned()),
        ..get(&format!("/v1/projects/{key}/settings"))
    };
    let reply = stack.accept(request(&key));
    assert_eq!(reply.status, 200);
    let segment = &body(&reply)["integrations"]["Segment.io"];
    assert_eq!(segment["apiKey"], json!(key));
    assert_eq!(segment["apiHost"], "t.example.com/v1");
    assert_eq!(segment["protocol"], "https");
    assert_eq!(body(&reply)["integrations"].as_object().unwrap().len(), 1);
    assert_eq!(body(&reply)["metrics"]["sampleRate"], 0);
    assert_eq!(stack.accept(request("web.unknown")).status, 401);
    let nowhere = ApiRequest { host: None, ..request(&key) };
    assert_eq!(stack.accept(nowhere).status, 400, "never back to Segment");
}

#[test]
fn rudderstacks_sdks_are_told_to_start() {
    let stack = Stack::new();
    let key = stack.keyring.write_key("web", 1);
    let query = |query: String| ApiRequest { query, ..get("/sourceConfig/") };
    let reply = stack.accept(query(format!("p=npm&v=3&writeKey={key}")));
    let source = &body(&reply)["source"];
    assert_eq!(reply.status, 200);
    assert_eq!(source["id"], "web");
    assert!(source["config"].is_object() && source["destinations"] == json!([]));
    let basic = data_encoding::BASE64.encode(format!("{key}:").as_bytes());
    let basic =
        ApiRequest { authorization: Some(format!("Basic {basic}")), ..get("/sourceConfig") };
    assert_eq!(stack.accept(basic).status, 200);
    assert_eq!(stack.accept(query(String::new())).status, 401);
}

#[test]
fn methods_and_unknown_paths() {
    let stack = Stack::new();
    let method = |method: &str, path: &str| {
        stack.accept(ApiRequest { method: method.to_owned(), ..get(path) })
    };
    let preflight = method("OPTIONS", "/v1/track");
    assert_eq!((preflight.status, preflight.body.as_str()), (204, ""));
    assert_eq!(
        header(&preflight, "access-control-allow-headers"),
        Some("authorization, content-type, anonymousid, x-retry-count")
    );
    assert_eq!(header(&preflight, "access-control-max-age"), Some("86400"));
    assert_eq!(header(&preflight, "access-control-expose-headers"), Some("Retry-After"));
    let head = method("HEAD", "/health");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    let reply = method("GET", "/v1/track");
    assert_eq!((reply.status, header(&reply, "allow")), (405, Some("POST, OPTIONS")));
    assert_eq!(method("DELETE", "/health").status, 405);
    for path in ["/", "/v1/nothing", "/favicon.ico", "/v1/track/extra"] {
        let reply = method("POST", path);
        assert_eq!((reply.status, code(&reply)), (404, "not_found".to_owned()), "{path}");
        assert!(!reply.body.contains("extra"), "the path is not repeated");
    }
}

/// An event about somebody who is known by an external id, an address or a number alone.
fn of_strangers() -> Value {
    let by = |ids: Value| json!({"type": "track", "event": "Ticket Bought", "context": {"externalIds": ids}});
    json!({"batch": [
        {"type": "track", "event": "Seen", "userId": "u1"},
        by(json!([{"type": "email", "id": "Ann@example.com"}, {"type": "ticket_user", "id": 7}])),
        {"type": "identify", "traits": {"email": "ann@EXAMPLE.com"}},
        by(json!([{"type": "ticket_user", "id": "7"}])),
        by(json!([{"type": "email", "id": "ann@example.com"}])),
        by(json!([{"type": "email", "id": "no address"}])),
        {"type": "track", "event": "Seen", "traits": {"email": "ann@example.com"}},
    ]})
}

#[test]
fn a_server_may_name_a_customer_by_external_id_or_address() {
    let stack = Stack::new();
    let reply = stack.post("/v1/batch", of_strangers().to_string());
    assert_eq!(reply.status, 200);
    let told: Value = serde_json::from_slice(reply.body.as_ref()).unwrap();
    let refused: Vec<u64> =
        told["rejected"].as_array().unwrap().iter().map(|r| r["index"].as_u64().unwrap()).collect();
    assert_eq!(refused, [5, 6]);
    // One entry for each customer, as far as the strongest identifiers tell.
    let names: Vec<usize> = stack.published().iter().map(|entry| entry.events.len()).collect();
    assert_eq!(names, [1, 2, 2]);
}

#[test]
fn a_browser_may_not() {
    let stack = Stack::new();
    let key = stack.keyring.write_key("web", 1);
    let mut body = of_strangers();
    body["writeKey"] = key.clone().into();
    let reply = stack.accept(post("/v1/batch", body.to_string()));
    assert_eq!(reply.status, 200);
    let told: Value = serde_json::from_slice(reply.body.as_ref()).unwrap();
    let refused: Vec<u64> =
        told["rejected"].as_array().unwrap().iter().map(|r| r["index"].as_u64().unwrap()).collect();
    assert_eq!(refused, [1, 2, 3, 4, 5, 6]);
    assert_eq!(stack.published().len(), 1);
    let alone = json!({"traits": {"email": "ann@example.com"}, "writeKey": key});
    let reply = stack.accept(post("/v1/identify", alone.to_string()));
    assert_eq!(reply.status, 400);
    assert!(!String::from_utf8_lossy(reply.body.as_ref()).contains("ann@"));
}

/// A batch's context stands in each of its events, the ids in it too.
#[test]
fn external_ids_of_the_whole_batch() {
    let stack = Stack::new();
    let body = json!({"context": {"externalIds": [{"type": "crm", "id": "1"}]},
        "batch": [{"type": "track", "event": "A"}, {"type": "page"}]});
    assert_eq!(stack.post("/v1/batch", body.to_string()).status, 200);
    let published = stack.published();
    assert_eq!((published.len(), published[0].events.len()), (1, 2));
}
