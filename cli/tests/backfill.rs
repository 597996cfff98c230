//! `odyssey backfill` and what `publish` says of it, on a local stack whose functions are away.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use odyssey::publish::command::publish_to;
use odyssey::publish::{build, directory};
use odyssey_domain::event::Event;
use odyssey_domain::ids::IdentityKey;
use odyssey_domain::profile::{ComputedTraits, IdentityItem, Root, Watched};
use odyssey_domain::time::Stamp;
use odyssey_domain::wire::{SourceKind, SourceRef};
use odyssey_flows::fold_profile::timeline::{self, TimelineRow};
use odyssey_flows::ports::{Tables, Written};
use odyssey_flows::profiles::{identity_key, load_view};
use odyssey_flows::stored::{Stored, put};
use odyssey_local::{Functions, LocalStack, Options};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Output;

fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

async fn stack() -> LocalStack {
    let away = Functions::Url("http://127.0.0.1:9".to_owned());
    LocalStack::start(Options::of_workspace(&root(), away).unwrap()).await.unwrap()
}

async fn odyssey(stack: &LocalStack, arguments: &[&str]) -> Output {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_odyssey"));
    command.args(arguments).envs(stack.environment());
    command.output().await.unwrap()
}

async fn write<T: Stored>(tables: &impl Tables, key: odyssey_flows::ports::Key, item: &T) {
    let written = tables.write(put(key, item, None).unwrap()).await.unwrap();
    assert_eq!(written, Written::Done);
}

/// Somebody who ordered twice before anything was computed; of one order the row may be missing.
async fn customer(tables: &impl Tables, key: IdentityKey, now: Stamp, told: bool) {
    let source = SourceRef { name: "web".to_owned(), kind: SourceKind::Browser };
    let mut root = Root::default();
    for n in 0..2 {
        let event: Event = serde_json::from_value(json!({"id": format!("order-{n}"), "at": now,
            "type": "track", "name": "Order Completed",
            "properties": {"order_id": n.to_string(), "total": 299.5, "currency": "EUR"}}))
        .unwrap();
        let _ = root.accumulator_of(key, key).1.fold(&event, &source, &Watched::default());
        if n == 0 || told {
            let at = timeline::key(key, event.position());
            let row = TimelineRow { received: now, source: source.clone(), events: vec![event] };
            write(tables, at, &row).await;
        }
    }
    write(tables, identity_key(key), &IdentityItem::Root(Box::new(root))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn profiles_from_before_are_filled_and_what_is_not_is_told() {
    let stack = stack().await;
    let tables = stack.tables();
    let none = odyssey(&stack, &["backfill"]).await;
    assert_eq!(none.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&none.stderr).contains("no workspace has been published"));

    let files = directory::read(&root().join("examples/storefront")).unwrap();
    let mut before = build::build(&files, Stamp::MIN).unwrap().publication;
    let traits = std::mem::take(&mut before.catalog.computed_traits);
    let now = odyssey_aws::clock::now();
    publish_to(&tables, &before, now).await.unwrap();
    let keys = [1, 2, 3].map(|n| IdentityKey::from_bytes([n; 16]));
    for (key, told) in keys.into_iter().zip([true, true, false]) {
        customer(&tables, key, now, told).await;
    }
    let workspace = root().join("examples/storefront");
    let plan = odyssey(&stack, &["publish", workspace.to_str().unwrap(), "--yes"]).await;
    let said = String::from_utf8_lossy(&plan.stdout);
    assert!(said.contains("no value of favourite_category, spent_90d until"), "{said}");

    let filled = odyssey(&stack, &["backfill", "--json"]).await;
    assert_eq!(filled.status.code(), Some(1), "one is left");
    let report: Value = serde_json::from_slice(&filled.stdout).unwrap();
    let found =
        ["profiles", "complete", "filled", "events"].map(|name| report[name].as_u64().unwrap());
    assert_eq!(found, [3, 0, 2, 4], "{report}");
    assert_eq!(report["left"], json!({"events are not in the timeline yet": 1}));
    assert_eq!(report["named"][0]["profile"], keys[2].to_string());
    // Whose traits were filled is in the segments that it belongs in; `profile` looks at the other.
    assert_eq!(
        report["looked"],
        json!({"profiles": 3, "asked": 1, "unreadable": {"profiles": 0, "named": []}})
    );
    let segments = odyssey(&stack, &["segments", "--json"]).await;
    let segments: Value = serde_json::from_slice(&segments.stdout).unwrap();
    let counts = segments.as_array().unwrap().iter();
    let counts: Vec<Value> = counts.map(|s| json!([s["name"], s["members"]])).collect();
    assert_eq!(counts, [json!(["at-risk", 0]), json!(["vip", 2])]);

    let again = odyssey(&stack, &["backfill"]).await;
    let said = String::from_utf8_lossy(&again.stdout);
    assert!(said.contains("3 profiles: 2 lacked nothing, 0 were filled"), "{said}");
    assert!(said.contains("Run it again in a few minutes"), "{said}");
    assert!(said.contains("1 profiles that a published segment or signal is new to"), "{said}");
    let view = |key: IdentityKey, traits: ComputedTraits| {
        let tables = tables.clone();
        async move { load_view(&tables, key.into(), &traits, now).await.unwrap().unwrap() }
    };
    assert_eq!(view(keys[0], traits.clone()).await.traits["spent_90d"], 59_900);
    let filling = &view(keys[2], traits).await.facts["computed.filling"];
    assert_eq!(*filling, json!(["favourite_category", "spent_90d"]));
}
