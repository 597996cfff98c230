//! Payloads that no one here wrote: the Segment Spec's, and AWS's own.
//!
//! They lie beside the project, not in it; where they are missing, that is said.

use crate::world::{World, root};
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use odyssey_domain::identity::{Identifier, vouched};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;

/// A folder of payloads outside the project.
pub(crate) fn folder(name: &str) -> Option<PathBuf> {
    let path = root().join("../shared/data").join(name);
    let found = path.is_dir().then_some(path);
    if found.is_none() {
        // Nobody who clones the project has them, so this is no failure even where clients are
        // required.
        let said = format!("SKIPPED payloads of {name}: ../shared/data/{name} is missing\n");
        let _ = std::io::stderr().write_all(said.as_bytes());
    }
    found
}

/// The JSON objects of a folder, by file name.
fn objects(folder: &std::path::Path) -> BTreeMap<String, Map<String, Value>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.extension().is_some_and(|extension| extension == "json") {
            let value: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            if let Value::Object(object) = value {
                found.insert(name, object);
            }
        }
    }
    found
}

/// What an SDK makes of a call of analytics.js, such as `track("Order Completed", {…})`.
fn called(call: &str, arguments: &[Value]) -> Map<String, Value> {
    // A server's library takes one object that names who it is about.
    if let [Value::Object(whole)] = arguments
        && whole.contains_key("userId")
    {
        let mut payload = whole.clone();
        payload.insert("type".to_owned(), json!(call));
        return payload;
    }
    let texts: Vec<&Value> = arguments.iter().filter(|a| a.is_string()).collect();
    let object = arguments.iter().find(|a| a.is_object()).cloned().unwrap_or(json!({}));
    let mut payload = Map::from_iter([("type".to_owned(), json!(call))]);
    let mut put = |name: &str, value: Option<&Value>| {
        if let Some(value) = value {
            payload.insert(name.to_owned(), value.clone());
        }
    };
    let last = texts.last().copied();
    match call {
        "track" => put("event", last),
        "identify" | "alias" => put("userId", texts.first().copied()),
        "group" => put("groupId", last),
        _ => put("name", last),
    }
    if call == "alias" {
        put("previousId", texts.get(1).copied());
    }
    let bag = if ["identify", "group"].contains(&call) { "traits" } else { "properties" };
    put(bag, Some(&object));
    payload
}

/// The payload as a client posts it: calls become payloads, the names of other libraries become
/// the API's, and who is nobody gets an anonymous id, as the SDKs do it.
fn posted(name: &str, mut payload: Map<String, Value>) -> Map<String, Value> {
    if let Some(call) = payload.get("call").and_then(Value::as_str) {
        payload = called(call, payload["args"].as_array().unwrap());
    }
    for (theirs, ours) in [("action", "type"), ("user_id", "userId")] {
        if let Some(value) = payload.remove(theirs) {
            payload.insert(ours.to_owned(), value);
        }
    }
    let known = |name: &str| payload.get(name).is_some_and(Value::is_string);
    let device = json!(format!("device of {name}"));
    if payload["type"] == "alias" && !known("previousId") {
        // analytics.js: whoever the device was until now.
        payload.insert("previousId".to_owned(), device);
    } else if !known("userId") && !known("anonymousId") {
        payload.insert("anonymousId".to_owned(), device);
    }
    payload.insert("messageId".to_owned(), json!(name));
    payload
}

/// The strongest identifier that a server's payload names beside its user and device.
fn server_named(payload: &Map<String, Value>) -> Option<Identifier> {
    let kind = serde_json::from_value(payload["type"].clone()).unwrap();
    let object = |name: &str| payload.get(name).and_then(Value::as_object).cloned();
    let (traits, context) = (object("traits"), object("context"));
    vouched(kind, &traits.unwrap_or_default(), &context.unwrap_or_default()).into_iter().next()
}

async fn post(url: &str, write_key: &str, body: &Map<String, Value>) -> (u16, String) {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let mut body = body.clone();
    body.insert("writeKey".to_owned(), json!(write_key));
    let body = serde_json::to_vec(&body).unwrap();
    let request = Request::post(url).header("content-type", "application/json");
    let answer = client.request(request.body(Full::new(body.into())).unwrap()).await.unwrap();
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8_lossy(&body).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_payload_of_the_segment_spec_lands_in_a_profile() {
    let Some(payloads) = folder("segment-spec") else { return };
    let payloads: BTreeMap<_, _> =
        objects(&payloads).into_iter().map(|(name, p)| (name.clone(), posted(&name, p))).collect();
    assert!(payloads.len() > 80, "only {} payloads", payloads.len());
    let world = World::start().await;
    let (api, write_key) = (world.stack.api_url(), world.server_key());
    for (name, payload) in &payloads {
        let kind = payload["type"].as_str().unwrap();
        let (status, said) = post(&format!("{api}/v1/{kind}"), &write_key, payload).await;
        assert_eq!(status, 200, "{name}: {said}");
    }
    world.settle().await;
    let mut missing = Vec::new();
    for (name, payload) in &payloads {
        let id = |name: &str| payload.get(name).and_then(Value::as_str);
        let identity = match server_named(payload) {
            Some(named) if id("userId").is_none() => world.keyring.identity_key(&named),
            _ => world.identity(id("userId"), id("anonymousId")),
        };
        let times = world.timeline(identity).await.iter().filter(|e| &e.id == name).count();
        let known = world.profile(identity).await.facts.contains_key("seen.last");
        if times != 1 || !known {
            missing.push(format!("{name}: {times} times in its timeline, known: {known}"));
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}
