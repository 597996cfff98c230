//! From bodies as clients send them to the details that go on the bus.

#![expect(clippy::unwrap_used, reason = "what cannot go on has failed")]

use odyssey_domain::event::problem::{Found, Problem};
use odyssey_domain::event::publish::{DETAIL_BYTES_MAX, Origin, details};
use odyssey_domain::event::request::{EVENT_BYTES_MAX, Request, Shape, parse};
use odyssey_domain::event::{Event, EventKind, unicode};
use odyssey_domain::time::Stamp;
use odyssey_domain::wire::{EventsAccepted, SourceKind, SourceRef};
use proptest::prelude::*;
use serde_json::{Value, json};

const RECEIVED: Stamp = Stamp::from_ms(1_795_289_101_000); // 2026-11-21T19:25:01Z

fn source() -> SourceRef {
    SourceRef { name: "shop".to_owned(), kind: SourceKind::Server }
}

fn encode(request: &Request<'_>, received: Stamp) -> Vec<EventsAccepted> {
    let source = source();
    let origin = Origin { request: "request-1", received, source: &source };
    let details = details(&request.events, &origin).unwrap();
    details
        .iter()
        .map(|detail| {
            assert!(detail.len() <= DETAIL_BYTES_MAX, "{}", detail.len());
            serde_json::from_str(detail).unwrap()
        })
        .collect()
}

fn events(body: &str, shape: Shape) -> Vec<Event> {
    let request = parse(body, shape).unwrap();
    assert_eq!(request.refused, []);
    encode(&request, RECEIVED).into_iter().flat_map(|entry| entry.events).collect()
}

fn one(kind: EventKind, body: &Value) -> Event {
    let mut events = events(&body.to_string(), Shape::Single(kind));
    assert_eq!(events.len(), 1);
    events.remove(0)
}

/// What a single call is refused for.
fn refused(kind: EventKind, body: &Value) -> (&'static str, Problem) {
    let body = body.to_string();
    let mut request = parse(&body, Shape::Single(kind)).unwrap();
    assert!(request.events.is_empty());
    let refusal = request.refused.remove(0);
    (refusal.field, refusal.problem)
}

/// The reasons, by index, that a batch's items are refused for, and how many are not.
fn batch(items: &str) -> (usize, Vec<String>) {
    let body = format!("{{\"batch\":[{items}]}}");
    let request = parse(&body, Shape::Batch).unwrap();
    let _ = encode(&request, RECEIVED);
    (request.events.len(), request.refused.iter().map(ToString::to_string).collect())
}

#[test]
fn every_recorded_client_is_understood() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/segment-clients");
    let mut kinds = Vec::new();
    let mut recordings: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    recordings.sort();
    assert_eq!(recordings.len(), 9);
    for path in recordings {
        let text = std::fs::read_to_string(&path).unwrap();
        let recording: Value = serde_json::from_str(&text).unwrap();
        let body = recording["body"].to_string();
        let (shape, expected) = match recording["path"].as_str().unwrap() {
            "/v1/batch" => (Shape::Batch, recording["body"]["batch"].as_array().unwrap().len()),
            "/v1/track" => (Shape::Single(EventKind::Track), 1),
            "/v1/identify" => (Shape::Single(EventKind::Identify), 1),
            other => panic!("{other}"),
        };
        let events = events(&body, shape);
        assert_eq!(events.len(), expected, "{}", path.display());
        assert!(events.iter().all(|event| event.at <= RECEIVED));
        kinds.extend(events.into_iter().map(|event| event.kind));
    }
    kinds.sort();
    kinds.dedup();
    assert_eq!(kinds.len(), 6);
}

#[test]
fn an_event_keeps_everything_it_says() {
    let event = one(
        EventKind::Track,
        &json!({
            "type": "identify", "event": "Order Completed", "userId": "u1", "anonymousId": "a1",
            "messageId": "m-1", "timestamp": "2026-11-21T19:00:00Z",
            "properties": {"total": 12.5, "products": [{"id": 1}], "text": "ü \"quoted\" \\ \n"},
            "context": {"ip": "203.0.113.1"}, "traits": {"plan": "pro"}, "unknown": [1, {"a": 2}],
        }),
    );
    assert_eq!(event.id, "m-1");
    assert_eq!(event.kind, EventKind::Track, "the path says what it is");
    assert_eq!(event.name.as_deref(), Some("Order Completed"));
    assert_eq!(event.user_id.unwrap().expose(), "u1");
    assert_eq!(event.anonymous_id.unwrap().expose(), "a1");
    assert_eq!(event.at, Stamp::parse("2026-11-21T19:00:00Z").unwrap());
    assert_eq!(event.original, None);
    assert_eq!(event.properties["text"], "ü \"quoted\" \\ \n");
    assert_eq!(event.properties["products"], json!([{"id": 1}]));
    assert_eq!(event.context["ip"], "203.0.113.1");
    assert_eq!(event.traits["plan"], "pro");
}

#[test]
fn ids_that_name_nobody_and_ids_that_are_numbers() {
    let track = |user: Value, anonymous: Value| json!({"event": "e", "userId": user, "anonymousId": anonymous});
    let ids = |user: Value, anonymous: Value| {
        let event = one(EventKind::Track, &track(user, anonymous));
        (
            event.user_id.map(|id| id.expose().to_owned()),
            event.anonymous_id.map(|id| id.expose().to_owned()),
        )
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(ids(json!("u1"), Value::Null), (some("u1"), None));
    assert_eq!(ids(json!(42), Value::Null), (some("42"), None));
    assert_eq!(ids(json!(""), json!("a1")), (None, some("a1")));
    assert_eq!(ids(json!("undefined"), json!(" a1 ")), (None, some("a1")));
    assert_eq!(ids(json!(0), json!("a1")), (None, some("a1")));
    for nobody in [json!(null), json!(""), json!("null"), json!("0"), json!(0)] {
        let found = refused(EventKind::Track, &track(nobody.clone(), nobody));
        assert_eq!(found, ("userId", Problem::Nobody));
    }
    let wrong = |found| Problem::Wrong { expected: "a string or a number", found };
    let track = |user| track(user, json!("a1"));
    assert_eq!(refused(EventKind::Track, &track(json!(["u1"]))), ("userId", wrong(Found::List)));
    assert_eq!(refused(EventKind::Track, &track(json!(true))).1, wrong(Found::Boolean));
    assert_eq!(refused(EventKind::Track, &track(json!("a\u{0}b"))).1, Problem::Control);
    assert_eq!(refused(EventKind::Track, &track(json!("a\u{fffd}"))).1, Problem::NotUnicode);
    assert_eq!(
        refused(EventKind::Track, &track(json!("x".repeat(257)))).1,
        Problem::TooLong { limit: 256, bytes: 257 }
    );
}

#[test]
fn what_each_call_needs() {
    let expected = "the event's name (a string)";
    let name = |found| ("event", Problem::Wrong { expected, found });
    let track = |event: Value| refused(EventKind::Track, &json!({"userId": "u1", "event": event}));
    assert_eq!(refused(EventKind::Track, &json!({"userId": "u1"})), name(Found::Nothing));
    assert_eq!(track(json!(null)), name(Found::Null));
    assert_eq!(track(json!(7)), name(Found::Number));
    assert_eq!(track(json!("  ")), ("event", Problem::Empty { expected }));
    assert_eq!(track(json!("x".repeat(513))).1, Problem::TooLong { limit: 512, bytes: 513 });

    let id = |field, found| (field, Problem::Wrong { expected: "a string or a number", found });
    let group = |group: Value| refused(EventKind::Group, &json!({"userId": "u", "groupId": group}));
    assert_eq!(group(json!(null)), id("groupId", Found::Null));
    assert_eq!(group(json!("undefined")), ("groupId", Problem::Placeholder));
    let named = one(EventKind::Group, &json!({"userId": "u", "groupId": 7}));
    assert_eq!(named.group_id.as_deref(), Some("7"));

    let alias = |body: Value| refused(EventKind::Alias, &body);
    assert_eq!(alias(json!({"previousId": "a"})), id("userId", Found::Nothing));
    assert_eq!(alias(json!({"userId": "u"})), id("previousId", Found::Nothing));
    assert_eq!(alias(json!({"userId": "u", "previousId": "null"})).1, Problem::Placeholder);
    let aliased = one(EventKind::Alias, &json!({"userId": "u", "anonymousId": "a1"}));
    assert_eq!(aliased.previous_id.as_deref(), Some("a1"), "a browser means itself");
}

#[test]
fn quirks_of_clients() {
    // PHP's empty objects.
    let event = one(
        EventKind::Track,
        &json!({"userId": "u", "event": "e", "properties": [], "context": [], "traits": null}),
    );
    assert!(event.properties.is_empty() && event.context.is_empty());
    // RudderStack's web SDK: traits in the context, its own name for the time.
    let event = one(
        EventKind::Identify,
        &json!({
            "userId": "u", "originalTimestamp": "2026-11-21T19:00:00Z",
            "context": {"traits": {"email": "a@b.io"}},
        }),
    );
    assert_eq!(event.traits["email"], "a@b.io");
    assert_eq!(event.at, Stamp::parse("2026-11-21T19:00:00Z").unwrap());
    // The Spec's e-mail pages, in a batch.
    let body = r#"{"batch":[{"user_id":"u","action":"track","event":"Email Opened"}]}"#;
    assert_eq!(events(body, Shape::Batch)[0].name.as_deref(), Some("Email Opened"));
    // A page's category stands beside its properties.
    let page =
        json!({"userId": "u", "name": "Home", "category": "Docs", "properties": {"url": "x"}});
    let page = one(EventKind::Page, &page);
    assert_eq!(Value::from(page.properties), json!({"category": "Docs", "url": "x"}));
    // Given twice, the last counts, as in JSON.parse.
    let body = r#"{"userId":"u1","event":"a","userId":"u2","event":"b"}"#;
    let event = &events(body, Shape::Single(EventKind::Track))[0];
    assert_eq!(event.user_id.as_ref().unwrap().expose(), "u2");
    // Escaped keys are keys.
    let body = r#"{"\u0075serId":"u\u0031","event":"caf\u00e9"}"#;
    let event = &events(body, Shape::Single(EventKind::Track))[0];
    assert_eq!(event.user_id.as_ref().unwrap().expose(), "u1");
    assert_eq!(event.name.as_deref(), Some("café"));
}

#[test]
fn message_ids_are_the_clients_or_derived() {
    let id = |message: Value| {
        one(EventKind::Track, &json!({"userId": "u", "event": "e", "messageId": message})).id
    };
    assert_eq!(id(json!("m-1")), "m-1");
    assert_eq!(id(json!(17)), "17");
    assert_eq!(id(json!("x".repeat(100))).len(), 100);
    assert_eq!(id(json!("x".repeat(101))).len(), 26);
    assert_eq!(id(json!(null)), id(json!("")), "both derived");
    let item = r#"{"type":"track","userId":"u","event":"e"}"#;
    let body = format!("{{\"batch\":[{item},{item}]}}");
    let two = events(&body, Shape::Batch);
    assert_ne!(two[0].id, two[1].id, "two posts are two events");
    assert_eq!(two, events(&body, Shape::Batch), "and derived from the request alone");
}

#[test]
fn times_of_every_kind() {
    let at = |timestamp: Value| {
        let body = json!({"userId": "u", "event": "e", "timestamp": timestamp});
        let event = one(EventKind::Track, &body);
        (event.at, event.original)
    };
    let early = Stamp::parse("2026-11-21T19:00:00Z").unwrap();
    for same in [
        json!("2026-11-21T19:00:00Z"),
        json!("2026-11-21T19:00:00"),
        json!(1_795_287_600_000_u64),
        json!(1_795_287_600),
        json!("1795287600000"),
    ] {
        assert_eq!(at(same.clone()), (early, None), "{same}");
    }
    assert_eq!(at(json!(null)), (RECEIVED, None));
    assert_eq!(at(json!("")), (RECEIVED, None));
    assert_eq!(at(json!("1970-01-01T00:00:00Z")), (Stamp::MIN, None));
    assert_eq!(at(json!("9999-12-31T23:59:59.999Z")), (RECEIVED, Some(Stamp::MAX)));
    let time = |timestamp: Value| {
        refused(EventKind::Track, &json!({"userId": "u", "event": "e", "timestamp": timestamp}))
    };
    assert_eq!(time(json!("yesterday")).1, Problem::NoTime { found: Found::Text });
    assert_eq!(time(json!({})).1, Problem::Wrong { expected: "a time", found: Found::Object });
    // A batch's `sentAt` corrects; one that cannot be read corrects nothing and costs nothing.
    let sent = |sent: &str| {
        let body = format!(
            r#"{{"batch":[{{"type":"track","userId":"u","event":"e",
                "timestamp":"2026-11-21T17:24:01Z"}}],"sentAt":{sent}}}"#
        );
        events(&body, Shape::Batch).remove(0).at.to_string()
    };
    assert_eq!(sent("\"2026-11-21T17:25:01Z\""), "2026-11-21T19:24:01.000Z");
    assert_eq!(sent("\"never\""), "2026-11-21T17:24:01.000Z");
    assert_eq!(sent("[]"), "2026-11-21T17:24:01.000Z");
}

#[test]
fn a_batchs_context_stands_in_every_event_and_the_events_own_wins() {
    let body = json!({
        "context": {"ip": "203.0.113.1", "library": {"name": "ours"}},
        "integrations": {"All": true},
        "batch": [
            {"type": "track", "event": "a", "userId": "u", "context": {"ip": "203.0.113.2"}},
            {"type": "track", "event": "b", "userId": "u"},
        ],
    })
    .to_string();
    let events = events(&body, Shape::Batch);
    assert_eq!(
        Value::from(events[0].context.clone()),
        json!({"ip": "203.0.113.2", "library": {"name": "ours"}})
    );
    assert_eq!(events[1].context["ip"], "203.0.113.1");
    assert!(events.iter().all(|event| event.integrations["All"] == true));
    let large = json!({"a": "x".repeat(20_000)}).to_string();
    let body = format!(
        r#"{{"context":{large},"batch":[{{"type":"track","event":"a","userId":"u",
            "properties":{large}}},{{"type":"track","event":"b","userId":"u"}}]}}"#
    );
    let request = parse(&body, Shape::Batch).unwrap();
    assert_eq!(request.events.len(), 1);
    assert!(matches!(request.refused[0].problem, Problem::TooLarge { .. }));
    let many = vec![r#"{"type":"track","event":"b","userId":"u"}"#; 1_000].join(",");
    let body = format!(r#"{{"context":{large},"batch":[{many}]}}"#);
    let refusal = parse(&body, Shape::Batch).unwrap_err();
    assert_eq!(refusal.field, "context");
}

#[test]
fn one_bad_event_does_not_take_the_good_ones() {
    let good = r#"{"type":"track","userId":"u1","event":"e"}"#;
    let deep = format!(
        r#"{{"type":"track","userId":"u","event":"e","properties":{{"a":{}{}}}}}"#,
        "[".repeat(5_000),
        "]".repeat(5_000)
    );
    let large = format!(
        r#"{{"type":"track","userId":"u","event":"e","properties":{{"a":"{}"}}}}"#,
        "x".repeat(EVENT_BYTES_MAX)
    );
    for (bad, reason) in [
        ("null", "$.batch[1]: expected an object, found null"),
        ("[]", "$.batch[1]: expected an object, found an array"),
        ("\"track\"", "$.batch[1]: expected an object, found a string"),
        ("7", "$.batch[1]: expected an object, found a number"),
        (
            "{}",
            "$.batch[1].type: expected one of track, identify, page, screen, group and alias, \
             found nothing",
        ),
        (
            r#"{"type":"delete","userId":"u"}"#,
            "$.batch[1].type: expected one of track, identify, page, screen, group and alias, \
             found another string",
        ),
        (
            r#"{"type":"track","userId":"u","event":"e","properties":"none"}"#,
            "$.batch[1].properties: expected an object, found a string",
        ),
        (
            r#"{"type":"track","userId":"u","event":"e","properties":{"price":NaN}}"#,
            "$.batch[1]: malformed JSON at line 1 column 117: expected value",
        ),
        (
            r#"{"type":"track","userId":"u","event":"e","properties":{"price":1e999}}"#,
            "$.batch[1].properties: expected numbers below 1.8e308, found a larger one",
        ),
        (
            r#"{"type":"track","userId":"u" "event":"e"}"#,
            "$.batch[1]: malformed JSON at line 1 column 83: expected `,` or `}`",
        ),
        (
            &deep,
            "$.batch[1].properties: expected at most 110 objects and arrays inside each other, \
             found more",
        ),
        (
            &large,
            "$.batch[1]: expected an event of at most 32768 bytes, batch-level context included, \
             found 32831",
        ),
    ] {
        let (accepted, reasons) = batch(&format!("{good},{bad},{good}"));
        assert_eq!((accepted, reasons), (2, vec![reason.to_owned()]));
    }
}

#[test]
fn a_broken_body_is_refused_with_the_place() {
    let good = r#"{"type":"track","userId":"u1","event":"e"}"#;
    let body = |body: &str| parse(body, Shape::Batch).unwrap_err().to_string();
    for (text, reason) in [
        ("", "$: expected a JSON object, found nothing"),
        ("  \n", "$: expected a JSON object, found nothing"),
        ("[]", "$: expected a JSON object, found an array"),
        ("null", "$: expected a JSON object, found null"),
        ("hello", "$: malformed JSON at line 1 column 1: expected value"),
        ("{}", "$.batch: expected an array of events, found nothing"),
        (r#"{"batch":{}}"#, "$.batch: expected an array of events, found an object"),
        (
            r#"{"batch":[]} x"#,
            "$: malformed JSON at line 1 column 14: expected the end of the body",
        ),
        (r#"{"batch" []}"#, "$: malformed JSON at line 1 column 10: expected `:`"),
        (
            "{batch:[]}",
            "$: malformed JSON at line 1 column 2: expected a member's name in double quotes",
        ),
        (
            r#"{"batch":[],}"#,
            "$: malformed JSON at line 1 column 13: expected a member's name in double quotes",
        ),
    ] {
        assert_eq!(body(text), reason, "{text}");
    }
    let cut = format!("{{\n \"batch\": [\n  {good},\n  {{\"type\":\"tra");
    assert_eq!(body(&cut), "$: malformed JSON at line 4 column 14: EOF while parsing a string");
    let deep = "[".repeat(100_000);
    assert!(body(&deep).starts_with("$: malformed JSON at line 1"));
    assert!(body(&format!("{{\"a\":{deep}")).starts_with("$: malformed JSON at line 1"));
    let empty = parse(r#"{"batch":[]}"#, Shape::Batch).unwrap();
    assert!(empty.events.is_empty() && empty.refused.is_empty());
}

#[test]
fn half_an_emoji_costs_a_character_and_no_event() {
    let body = br#"{"batch":[
        {"type":"track","userId":"u","event":"e","properties":{"title":"Cut \ud83d"}},
        {"type":"track","userId":"u\udc00","event":"e"},
        {"type":"track","userId":"u","event":"e","properties":{"nul":"a\u0000b"}}]}"#;
    let text = unicode::to_text(body.to_vec());
    let request = parse(&text, Shape::Batch).unwrap();
    assert_eq!(request.refused.len(), 1);
    assert_eq!(request.refused[0].index, Some(1));
    assert_eq!(request.refused[0].problem, Problem::NotUnicode);
    let entries = encode(&request, RECEIVED);
    assert_eq!(entries[0].events[0].properties["title"], "Cut \u{fffd}");
    assert_eq!(entries[0].events[1].properties["nul"], "a\u{0}b");
}

#[test]
fn events_of_one_customer_travel_together() {
    let item = |user: &str, anonymous: &str, name: &str| json!({"type": "track", "event": name, "userId": user, "anonymousId": anonymous});
    let body = json!({"batch": [
        item("", "a1", "1"), item("u2", "", "2"), item("", "a3", "3"), item("u1", "", "4"),
        item("u1", "a1", "5"), item("u2", "a9", "6"),
        {"type": "alias", "userId": "u4", "previousId": "a3"},
        {"type": "identify", "userId": "u4"},
    ]})
    .to_string();
    let request = parse(&body, Shape::Batch).unwrap();
    let names: Vec<Vec<String>> = encode(&request, RECEIVED)
        .into_iter()
        .map(|entry| entry.events.into_iter().map(|e| e.name.unwrap_or_default()).collect())
        .collect();
    assert_eq!(names, [vec!["1", "4", "5"], vec!["2", "6"], vec!["3", "", ""]]);
}

#[test]
fn an_entry_is_split_before_it_is_too_large() {
    let item = format!(
        r#"{{"type":"track","event":"e","userId":"u","properties":{{"a":"{}"}}}}"#,
        "x".repeat(30_000)
    );
    let body = format!("{{\"batch\":[{}]}}", vec![item; 16].join(","));
    let request = parse(&body, Shape::Batch).unwrap();
    let counts: Vec<usize> =
        encode(&request, RECEIVED).iter().map(|entry| entry.events.len()).collect();
    assert_eq!(counts, [6, 6, 4]);
}

#[test]
fn ten_thousand_events_are_taken() {
    let item = r#"{"type":"track","userId":"u","event":"e"}"#;
    let body = format!("{{\"batch\":[{}]}}", vec![item; 10_000].join(","));
    let request = parse(&body, Shape::Batch).unwrap();
    assert_eq!((request.events.len(), request.refused.len()), (10_000, 0));
    let each: Vec<String> =
        (0..10_000).map(|n| item.replace("\"u\"", &format!("\"u{n}\""))).collect();
    let body = format!("{{\"batch\":[{}]}}", each.join(","));
    let request = parse(&body, Shape::Batch).unwrap();
    assert_eq!(encode(&request, RECEIVED).len(), 10_000);
}

/// JSON that is often nearly a request.
fn near_requests() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        Just("\"u1\"".to_owned()),
        Just("\"track\"".to_owned()),
        Just("\"2026-11-21T19:00:00Z\"".to_owned()),
        Just("\"\\ud83d\"".to_owned()),
        Just("1e999".to_owned()),
        Just("NaN".to_owned()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|n| format!("{n:e}")),
        ".{0,6}".prop_map(|s| serde_json::to_string(&s).unwrap()),
        "[\\[\\]{}\",:0-9a-z\\\\]{0,8}".prop_map(|s| s),
    ];
    let key = prop_oneof![
        Just("type"),
        Just("userId"),
        Just("anonymousId"),
        Just("event"),
        Just("messageId"),
        Just("timestamp"),
        Just("sentAt"),
        Just("properties"),
        Just("context"),
        Just("traits"),
        Just("batch"),
        Just("name"),
        Just("x"),
    ];
    scalar.prop_recursive(4, 48, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5)
                .prop_map(|items| format!("[{}]", items.join(","))),
            proptest::collection::vec((key.clone(), inner), 0..7).prop_map(|fields| {
                let fields: Vec<String> =
                    fields.into_iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
                format!("{{{}}}", fields.join(","))
            }),
        ]
    })
}

/// Whatever passes is read back by consumers, and stays the same when they write it again.
fn holds(body: &[u8]) {
    let text = unicode::to_text(body.to_vec());
    let shapes = [Shape::Batch, Shape::Single(EventKind::Track), Shape::Single(EventKind::Alias)];
    for shape in shapes {
        let Ok(request) = parse(&text, shape) else { continue };
        let entries = encode(&request, RECEIVED);
        let count: usize = entries.iter().map(|entry| entry.events.len()).sum();
        assert_eq!(count, request.events.len());
        for entry in entries {
            let again = serde_json::to_string(&entry).unwrap();
            assert_eq!(serde_json::from_str::<EventsAccepted>(&again).unwrap(), entry);
            assert!(!entry.events.is_empty());
        }
    }
}

proptest! {
    #[test]
    fn never_panics_on_bytes(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        holds(&body);
    }

    #[test]
    fn never_panics_on_near_requests(body in near_requests()) {
        holds(body.as_bytes());
    }

    #[test]
    fn never_panics_on_near_batches(
        items in proptest::collection::vec(near_requests(), 0..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let body = format!("{{\"batch\":[{}],\"context\":{{\"a\":1}}}}", items.join(","));
        holds(body.as_bytes());
        holds(&body.as_bytes()[..cut.index(body.len())]);
    }

    /// A good item is accepted beside any bad one whose brackets match.
    #[test]
    fn the_good_rest_is_kept(bad in near_requests()) {
        let balanced = serde_json::from_str::<&serde_json::value::RawValue>(&bad).is_ok();
        prop_assume!(balanced);
        let good = r#"{"type":"track","userId":"good","event":"e"}"#;
        let body = format!("{{\"batch\":[{good},{bad},{good}]}}");
        let text = unicode::to_text(body.into_bytes());
        let request = parse(&text, Shape::Batch).unwrap();
        let indices: Vec<usize> = request.events.iter().map(|(index, _)| *index).collect();
        prop_assert!(indices.contains(&0) && indices.contains(&2));
        prop_assert_eq!(request.events.len() + request.refused.len(), 3);
    }
}
