//! The browser snippet of `web/`, in real Chromium: what it posts, when, and what it keeps to itself.

mod receiver;

use crate::chromium;
use crate::suites::{installed, run, skip};
use crate::world::{World, root};
use flate2::Compression;
use flate2::write::GzEncoder;
use odyssey_domain::event::EventKind;
use receiver::Receiver;
use serde_json::{Value, json};
use std::fs;
use std::io::Write as _;
use std::process::Command;
use std::time::Duration;

/// What pages load, after compression.
const GZIP_BYTES_MAX: usize = 4 * 1024;
const BANNER: &str = "// Odyssey's browser snippet, made from source/odyssey.js; README.md says what it sends and keeps.\n";
/// Where this variable is set, the test makes the file instead of comparing it.
const MAKE: &str = "ODYSSEY_MAKE_SNIPPET";

fn built() -> String {
    fs::read_to_string(root().join("web/odyssey.js")).unwrap()
}

fn source() -> String {
    fs::read_to_string(root().join("web/source/odyssey.js")).unwrap()
}

/// How `web/README.md` says a page embeds it, but for the addresses, which are `OPTIONS`.
fn embed() -> String {
    let readme = fs::read_to_string(root().join("web/README.md")).unwrap();
    let block = readme.split("```html\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    for part in
        ["https://static.example.com/odyssey.js", r#"{ host: "https://events.example.com" }"#]
    {
        assert!(block.contains(part), "{part} in {block}");
    }
    block
        .replace("https://static.example.com/odyssey.js", "/odyssey.js")
        .replace(r#"{ host: "https://events.example.com" }"#, "OPTIONS")
}

/// The driver's page. A `</script>` in what it holds must not end it.
fn driver(config: &Value, scenarios: &str) -> String {
    let config = config.to_string().replace('<', "\\u003c");
    let scenarios = scenarios.replace("</script>", "<\\/script>");
    let page = include_str!("driver.js");
    format!(
        "<!doctype html><meta charset=\"utf-8\"><title>driver</title><script>const config = {config};\n{scenarios}\n{page}</script>"
    )
}

/// Runs the scenarios (all where none is named) with this script; returns the driver's report.
async fn drive(script: String, mut config: Value, scenarios: &str) -> Option<Value> {
    let chromium = chromium::find("web/odyssey.js was")?;
    let profile = tempfile::tempdir().unwrap();
    let folder = profile.path().to_owned();
    // The driver's page is made once the addresses are known, which are known once it is served.
    let mut receiver = Receiver::start(script, folder).await;
    config["embed"] = embed().into();
    config["site"] = receiver.site.clone().into();
    if config["api"].is_null() {
        config["api"] = receiver.api.clone().into();
    }
    receiver.drive(driver(&config, scenarios));
    let url = format!("{}/_test/driver", receiver.site);
    let browser = chromium::open(&chromium, profile.path(), &url);
    let report = tokio::time::timeout(Duration::from_mins(4), receiver.report()).await;
    drop(browser);
    let report = report.unwrap().unwrap();
    let failures = report["failures"].as_object().unwrap();
    let told: Vec<String> = failures
        .iter()
        .map(|(name, error)| format!("{name}\n    {}", error.as_str().unwrap_or_default()))
        .collect();
    assert!(told.is_empty(), "{} failed:\n{}", told.len(), told.join("\n"));
    Some(report)
}

/// Every scenario against one script.
async fn behaves(script: String) {
    let only = std::env::var("ODYSSEY_SCENARIO").ok();
    let config = json!({"only": only.iter().collect::<Vec<_>>()});
    let Some(report) = drive(script, config, include_str!("scenarios.js")).await else { return };
    assert_eq!(report["preflights"], 0, "what is posted needs no preflight");
    let names = report["names"].as_array().unwrap();
    assert!(names.len() >= 24 || only.is_some(), "only {} scenarios", names.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_snippet_as_pages_load_it() {
    behaves(built()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_snippet_as_it_is_written() {
    behaves(source()).await;
}

#[test]
fn the_snippet_is_small() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(built().as_bytes()).unwrap();
    let bytes = encoder.finish().unwrap().len();
    assert!(bytes <= GZIP_BYTES_MAX, "{bytes} bytes after gzip, at most {GZIP_BYTES_MAX}");
}

#[test]
fn the_snippet_is_made_from_its_source() {
    let made = installed("terser", "package-lock.json", |source, folder| {
        for file in ["package.json", "package-lock.json"] {
            fs::copy(source.join(file), folder.join(file)).unwrap();
        }
        let npm = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
        run(Command::new("npm").args(npm).current_dir(folder)).map(drop)
    })
    .and_then(|folder| {
        run(Command::new("node")
            .arg(folder.join("node_modules/terser/bin/terser"))
            .arg(root().join("web/source/odyssey.js"))
            .args(["--ecma", "2020", "--compress", "passes=3,ecma=2020", "--mangle"]))
    });
    let made = match made {
        Ok(made) => format!("{BANNER}{}\n", made.trim_end()),
        Err(why) => return skip("terser", &why),
    };
    if std::env::var_os(MAKE).is_some() {
        fs::write(root().join("web/odyssey.js"), &made).unwrap();
    }
    assert!(
        made == built(),
        "web/odyssey.js is not what web/source/odyssey.js makes: {MAKE}=1 cargo test --test clients snippet_is_made"
    );
}

#[test]
fn the_snippet_reads_no_field_and_no_key() {
    // Beside the test that looks for what was typed in what was posted: there is nothing to look for.
    let code: String =
        source().lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = code.replace("Object.values(", "");
    for forbidden in [".value", "FormData", "keydown", "keyup", "keypress", "innerHTML", "eval("] {
        assert!(!code.contains(forbidden), "{forbidden} in web/source/odyssey.js");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_snippet_sends_is_in_the_profile() {
    if chromium::find("web/odyssey.js was").is_none() {
        return;
    }
    let world = World::start().await;
    let config = json!({
        "only": [],
        "api": world.stack.api_url(),
        "writeKey": world.browser_key(),
    });
    drive(built(), config, include_str!("stack.js")).await;
    world.settle().await;
    let user = world.identity(Some("snippet-1"), None);
    let profile = world.profile(user).await;
    assert_eq!(profile.facts["events.Product Added"], 1);
    assert_eq!(profile.email.as_ref().unwrap().expose(), "snippet-1@example.com");
    assert_eq!(profile.owners.len(), 2, "the device of before is linked");
    for (fact, expected) in [
        ("sessions.count", json!(1)),
        ("sessions.pages", json!(1)),
        ("sessions.scroll_deepest", json!(100)),
        ("interest.category", json!("cooking")),
        ("forms.submitted", json!(1)),
    ] {
        assert_eq!(profile.facts[fact], expected, "{fact} in {:#?}", profile.facts);
    }
    assert!(profile.facts["sessions.seconds"].as_u64().unwrap() >= 2);
    assert!(profile.facts.contains_key("context.timezone"), "{:#?}", profile.facts);
    let mut timeline = Vec::new();
    for owner in &profile.owners {
        timeline.extend(world.timeline(*owner).await);
    }
    let named = |name: &str| timeline.iter().filter(|e| e.name.as_deref() == Some(name)).count();
    assert_eq!(timeline.iter().filter(|e| e.kind == EventKind::Page).count(), 1, "{timeline:#?}");
    for name in ["Product Viewed", "Product Added", "Page Left", "Form Started", "Form Submitted"] {
        assert_eq!(named(name), 1, "{name} in {timeline:#?}");
    }
    let left = timeline.iter().find(|event| event.name.as_deref() == Some("Page Left")).unwrap();
    assert_eq!(left.context["sessionId"], left.properties["session_id"]);
    assert_eq!(left.properties["dwell"][0]["product_id"], "mug-3");
    assert_eq!(left.context["library"]["name"], "odyssey.js");
}
