//! Bad input over HTTP: the right status, a message that says what is wrong and where, and the
//! good rest kept.

use crate::http::{Answer, call};
use crate::world::World;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::Method;
use serde_json::{Value, json};
use std::io::Write as _;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn track(user: &str) -> Value {
    json!({"type": "track", "event": "Seen", "userId": user})
}

fn explains(answer: &Answer) {
    let json = answer.json();
    assert!(json.is_object(), "{}: {}", answer.status, answer.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_gets_the_right_status_and_a_reason() {
    let world = World::start().await;
    let key = world.server_key.clone();
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let nested = format!("{{\"a\":{}1{}}}", "[".repeat(2_000), "]".repeat(2_000));
    let nested =
        format!("{{\"type\":\"track\",\"event\":\"E\",\"userId\":\"u\",\"properties\":{nested}}}");
    let hundred = (1..110).fold(json!(1), |inner, _| json!({"a": inner}));
    let hundred = json!({"event": "E", "userId": "u", "properties": {"a": hundred}}).to_string();
    let large = json!({"event": "E", "userId": "u", "properties": {"x": "y".repeat(40_000)}});
    let bomb = gzip(&vec![b' '; 20_000_000]);
    let cases: Vec<(&str, &str, Vec<u8>, u16)> = vec![
        ("truncated", "/v1/track", b"{\"event\": \"E\", ".to_vec(), 400),
        ("empty", "/v1/track", Vec::new(), 400),
        ("an array", "/v1/track", b"[]".to_vec(), 400),
        ("deep", "/v1/track", deep.into_bytes(), 400),
        ("deep inside", "/v1/track", nested.into_bytes(), 400),
        ("no id", "/v1/track", b"{\"event\":\"E\"}".to_vec(), 400),
        ("placeholder id", "/v1/track", br#"{"event":"E","userId":"null"}"#.to_vec(), 400),
        ("no event", "/v1/track", br#"{"userId":"u"}"#.to_vec(), 400),
        ("wrong type", "/v1/track", br#"{"event":7,"userId":"u"}"#.to_vec(), 400),
        (
            "wrong properties",
            "/v1/track",
            br#"{"event":"E","userId":"u","properties":3}"#.to_vec(),
            400,
        ),
        ("a hundred levels", "/v1/track", hundred.into_bytes(), 200),
        ("a batch that is none", "/v1/batch", br#"{"batch":"x"}"#.to_vec(), 400),
        ("NaN", "/v1/track", br#"{"event":"E","userId":"u","properties":{"x":NaN}}"#.to_vec(), 400),
        // What is not Unicode becomes U+FFFD: one bad byte loses no event.
        ("not UTF-8", "/v1/track", b"{\"event\":\"\xff\",\"userId\":\"u\"}".to_vec(), 200),
        ("too large a call", "/v1/track", large.to_string().into_bytes(), 413),
        ("too large a body", "/v1/batch", vec![b'x'; 600_000], 413),
        ("ten megabytes", "/v1/batch", vec![b'x'; 10_000_000], 413),
        ("a gzip bomb", "/v1/batch", bomb, 413),
        ("broken gzip", "/v1/batch", vec![0x1f, 0x8b, 8, 0, 1, 2, 3], 400),
        (
            "1970",
            "/v1/track",
            br#"{"event":"E","userId":"u","timestamp":"1970-01-01T00:00:00Z"}"#.to_vec(),
            200,
        ),
        (
            "9999",
            "/v1/track",
            br#"{"event":"E","userId":"u","timestamp":"9999-12-31T23:59:59Z"}"#.to_vec(),
            200,
        ),
        (
            "NUL",
            "/v1/track",
            br#"{"event":"E","userId":"u","properties":{"x":"\u0000"}}"#.to_vec(),
            200,
        ),
        ("not a path", "/v1/nothing", b"{}".to_vec(), 404),
    ];
    for (name, path, body, status) in cases {
        let answer = world.post(path, &key, body).await;
        assert_eq!(answer.status.as_u16(), status, "{name}: {}", answer.text());
        explains(&answer);
    }
    let unknown = world.post("/v1/track", "web.nobody", track("u").to_string()).await;
    assert_eq!(unknown.status, 401);
    let get = call(Method::GET, &world.url("/v1/track")).key(&key).send().await;
    assert_eq!(get.status, 405);
    world.settle().await;
    assert!(world.stack.dead_letters().is_empty(), "nothing of it is poison");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_good_rest_of_a_batch_is_kept() {
    let world = World::start().await;
    let key = world.server_key.clone();
    let batch = format!(
        r#"{{"batch":[{},{{"type":"track","userId":"u"}},{{"type":"track","event":"E","userId":"u","properties":{{"x":"\ud800"}}}},{},7]}}"#,
        track("good-1"),
        track("good-2"),
    );
    let answer = world.post("/v1/batch", &key, batch).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let json = answer.json();
    assert_eq!(json["success"], true);
    let rejected: Vec<u64> =
        json["rejected"].as_array().unwrap().iter().map(|r| r["index"].as_u64().unwrap()).collect();
    // The lone surrogate became U+FFFD; the call without a name and the number are refused.
    assert_eq!(rejected, [1, 4]);
    let many: Vec<Value> = (0..10_000)
        .map(|n| json!({"type":"track","event":"E","userId":format!("u{}", n % 500)}))
        .collect();
    let many = json!({"batch": many}).to_string();
    let answer = world.post("/v1/batch", &key, gzip(many.as_bytes())).await;
    let wanted = if many.len() <= 500 * 1024 { 200 } else { 413 };
    assert_eq!(answer.status.as_u16(), wanted, "{}", answer.text());
    world.settle().await;
    assert!(world.stack.dead_letters().is_empty());
    let keyring = world.stack.keyring().unwrap();
    for user in ["good-1", "good-2"] {
        let user = odyssey_domain::personal::UserId::parse(user).unwrap();
        let profile = keyring.user_key(&user).into();
        let view = odyssey_flows::profiles::load_view(
            &world.stack.tables(),
            profile,
            &odyssey_domain::profile::ComputedTraits::default(),
            odyssey_domain::time::Stamp::MIN,
        )
        .await
        .unwrap()
        .unwrap();
        assert_eq!(view.facts["events.total"], 1, "{:?}", view.facts.keys());
    }
}
