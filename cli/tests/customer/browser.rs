//! The customer's page in headless Chromium: nothing is cut off on a phone, nothing comes from
//! elsewhere, and its policy is obeyed, in light and in dark.
//!
//! Without Chromium the test says so and is skipped; `ODYSSEY_REQUIRE_CLIENTS=1` makes that a
//! failure. `ODYSSEY_SCREENSHOTS=FOLDER` leaves pictures there.

use crate::world::ann;
use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use odyssey::pages::{STYLE, WITHOUT_SCRIPT};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::sync::mpsc;

#[path = "../../../tests/clients/chromium.rs"]
mod chromium;

/// Opens the page at several widths and reports what it finds there.
const VISITOR: &str = r#"<!doctype html><meta charset="utf-8"><title>visitor</title><body><script>
const at = async (width) => {
  const frame = document.createElement("iframe"); frame.width = width; frame.height = 800; frame.src = "/customer";
  const loaded = new Promise((done) => frame.onload = done);
  document.body.append(frame); await loaded;
  const page = frame.contentDocument, root = page.documentElement;
  const wide = [...page.querySelectorAll("main *")].filter((e) => e.getBoundingClientRect().right > width + 1).map((e) => e.outerHTML.slice(0, 90));
  const seen = {width, scroll: root.scrollWidth, wide: wide.slice(0, 3),
    styled: frame.contentWindow.getComputedStyle(page.querySelector(".hero")).display,
    scripts: page.scripts.length, inline: page.querySelectorAll("[style]").length,
    outside: [...page.querySelectorAll("[src],link[href]")].map((e) => e.src || e.href).filter((u) => !u.startsWith(location.origin) && !u.startsWith("data:")),
    unnamed: [...page.querySelectorAll("a,button,summary,input")].filter((e) => !e.textContent.trim() && !e.labels?.length).length,
    headings: [...page.querySelectorAll("h1,h2")].map((e) => e.textContent),
    ids: new Set([...page.querySelectorAll("[id]")].map((e) => e.id)).size === page.querySelectorAll("[id]").length};
  frame.remove(); return seen;
};
(async () => [await at(340), await at(390), await at(800), await at(1280)])()
  .catch((error) => ({error: String(error)}))
  .then((report) => fetch("/report", {method: "POST", body: JSON.stringify(report)}));
</script>"#;

#[derive(Clone)]
struct Site {
    page: String,
    reports: mpsc::Sender<String>,
}

async fn customer(State(site): State<Site>) -> Response {
    ([(header::CONTENT_SECURITY_POLICY, WITHOUT_SCRIPT)], Html(site.page)).into_response()
}

async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_fits_every_screen() {
    let Some(chromium) = chromium::find("the customer's page was") else { return };
    let (_, page) = ann().page("ann@example.com");
    let (reports, mut reported) = mpsc::channel::<String>(1);
    let report = |State(site): State<Site>, body: String| async move {
        let _ = site.reports.send(body).await;
    };
    let site = Router::new()
        .route("/", get(|| async { Html(VISITOR) }))
        .route("/customer", get(customer))
        .route("/_odyssey/style.css", get(style))
        .route("/report", post(report))
        .with_state(Site { page, reports });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { axum::serve(listener, site).await });
    let profile = tempfile::tempdir().unwrap();
    let browser = chromium::open(&chromium, profile.path(), &url);
    let report = tokio::time::timeout(Duration::from_secs(90), reported.recv()).await;
    drop(browser);
    let report: Value = serde_json::from_str(&report.expect("a report in time").unwrap()).unwrap();
    let widths = report.as_array().unwrap_or_else(|| panic!("{report}"));
    assert_eq!(widths.len(), 4);
    for seen in widths {
        let width = seen["width"].as_u64().unwrap();
        assert!(seen["scroll"].as_u64().unwrap() <= width, "it scrolls sideways: {seen}");
        assert_eq!(seen["wide"], serde_json::json!([]), "something is cut off at {width}");
        assert_eq!(seen["styled"], "grid", "the policy lets the style in");
        for none in ["scripts", "inline", "unnamed"] {
            assert_eq!(seen[none], 0, "{none}: {seen}");
        }
        assert_eq!(seen["outside"], serde_json::json!([]));
        assert_eq!(seen["ids"], true, "an id is given twice");
        assert_eq!(seen["headings"][0], "Ann Berger");
    }
    if let Some(folder) = std::env::var_os("ODYSSEY_SCREENSHOTS") {
        for (name, size, dark) in [
            ("desktop", "1280,3600", false),
            ("dark", "1280,3600", true),
            ("phone", "500,6000", false),
        ] {
            let file = Path::new(&folder).join(format!("customer-{name}.png"));
            picture(&chromium, &format!("{url}/customer"), &file, size, dark).await;
        }
    }
    server.abort();
}

async fn picture(chromium: &Path, url: &str, file: &Path, size: &str, dark: bool) {
    let mut command = Command::new(chromium);
    command
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"])
        .arg(format!("--window-size={size}"))
        .arg(format!("--screenshot={}", file.display()))
        .args(dark.then_some("--blink-settings=preferredColorScheme=0"))
        .arg(url)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let made = tokio::task::spawn_blocking(move || command.status()).await.unwrap();
    assert!(made.unwrap().success(), "no picture");
}
