//! A visitor in headless Chromium signs up in `/shop`, confirms, abandons the cart, gets the mail
//! in `/mail`, reads why, and is looked up at `/customers`; all of it on the real stack.
//!
//! Without Chromium the test says so and is skipped; `ODYSSEY_REQUIRE_CLIENTS=1` makes that a
//! failure.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../tests/clients/chromium.rs"]
mod chromium;

use axum::extract::State;
use axum::response::Html;
use axum::routing::{get, post};
use odyssey::screen::Screen;
use odyssey::standing::{self, Plan};
use odyssey_local::Pace;
use std::path::Path;
use std::time::Duration;
use tokio::sync::mpsc;

/// The visitor: a page that drives the shop in a frame and reports what it saw.
const VISITOR: &str = r##"<!doctype html><meta charset="utf-8"><title>visitor</title>
<iframe id="shop" src="SITE/shop" width="1200" height="900"></iframe>
<script>
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const until = async (what, look) => {
  for (let i = 0; i < 400; i++) { const found = await look(); if (found) return found; await wait(100); }
  throw new Error("never: " + what);
};
const email = "visitor@example.com";
const mails = async () => (await fetch("/_odyssey/mails?to=" + email)).json();
const frame = async (path) => {
  const frame = document.createElement("iframe"); frame.src = path; frame.width = 1200; frame.height = 900;
  const loaded = new Promise((done) => frame.onload = done);
  document.body.append(frame); await loaded; return frame.contentDocument;
};
async function visit() {
  const report = {};
  await until("the shop", () => document.getElementById("shop").contentDocument?.querySelectorAll("#products li").length === 6);
  const shop = document.getElementById("shop").contentDocument;
  report.external = [...shop.querySelectorAll("[src],link[href]")].map((e) => e.src || e.href).filter((u) => u && !u.startsWith(location.origin) && !u.startsWith("data:"));
  report.unlabelled = [...shop.querySelectorAll("button,a,input")].filter((e) => !(e.textContent.trim() || e.getAttribute("aria-label") || e.labels?.length)).length;
  report.before = (await until("the question", () => !shop.getElementById("ask").hidden)) && Object.keys(localStorage).filter((key) => /^(ajs|odyssey)_/.test(key));
  shop.getElementById("agree").click();
  shop.getElementById("first").value = "Vera";
  shop.getElementById("email").value = email;
  shop.getElementById("consent").checked = true;
  shop.querySelector("#signup button").click();
  const asked = await until("the confirmation mail", async () => (await mails())[0]);
  report.asked = asked.subject;
  const whole = await (await fetch("/_odyssey/mails/" + asked.id)).json();
  const link = whole.text.match(/https?:\/\/[^\s)]*\/c\/[^\s)]*/)[0];
  report.confirmed = (await fetch(link, {method: "POST"})).status;
  shop.querySelector("#tent-2 [data-do=add]").click();
  report.cart = await until("the cart", () => shop.getElementById("sum").textContent);
  const reminder = await until("the reminder", async () => (await mails()).find((m) => m.id !== asked.id));
  report.reminder = reminder.subject;
  report.told = await until("the shop's own word of it", () => shop.querySelector("#hint a")?.textContent);
  const mailbox = await frame("/mail#" + reminder.id);
  const screen = await until("the mail", () => mailbox.getElementById("frame")?.srcdoc?.includes("Skerry") && mailbox.getElementById("screen"));
  report.desktop = screen.clientWidth;
  mailbox.getElementById("phone").click();
  report.phone = await until("the phone's width", () => screen.classList.contains("phone") && screen.clientWidth);
  report.sandbox = mailbox.getElementById("frame").getAttribute("sandbox");
  const why = await frame(mailbox.getElementById("why").getAttribute("href"));
  report.why = why.querySelector("main").innerText;
  const customer = await frame("/customers/" + email);
  report.customer = customer.querySelector("main").textContent;
  report.address = customer.location.pathname;
  return report;
}
visit().catch((error) => ({error: String(error)}))
  .then((report) => fetch("/_test/report", {method: "POST", body: JSON.stringify(report)}));
</script>"##;

#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_abandons_a_cart_and_is_reminded() {
    let Some(chromium) = chromium::find("/shop and /mail were") else { return };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap();
    let (reports, mut reported) = mpsc::channel::<String>(1);
    let visitor = axum::Router::new()
        .route("/_test/visit", get(|| async { Html(VISITOR.replace("SITE", "")) }))
        .route(
            "/_test/report",
            post(|State(reports): State<mpsc::Sender<String>>, body: String| async move {
                let _ = reports.send(body).await;
            }),
        )
        .with_state(reports);
    let plan = Plan {
        workspace: root.join("examples/storefront"),
        root,
        speed: 1_800,
        start: None,
        pace: Pace::Steady,
        port: 0,
        data: None,
        functions: None,
    };
    let standing = standing::start_with(&Screen::new(), plan, Some(visitor)).await.unwrap();
    let profile = tempfile::tempdir().unwrap();
    let url = format!("{}/_test/visit", standing.stack.api_url());
    let browser = chromium::open(&chromium, profile.path(), &url);
    let report = tokio::time::timeout(Duration::from_secs(150), reported.recv()).await;
    drop(browser);
    let report: serde_json::Value =
        serde_json::from_str(&report.expect("a report in time").unwrap()).unwrap();
    assert_eq!(report["error"], serde_json::Value::Null, "{report}");
    assert_eq!(report["external"], serde_json::json!([]), "no external assets");
    assert_eq!(report["unlabelled"], 0, "every control has a name");
    assert_eq!(report["before"], serde_json::json!([]), "nothing is kept before consent");
    assert_eq!(report["asked"], "Please confirm your address");
    assert_eq!(report["confirmed"], 200);
    assert_eq!(report["cart"], "€249.00");
    assert_eq!(report["reminder"], "Vera, your cart is still packed");
    assert!(report["told"].as_str().unwrap().contains("A mail came for you"));
    assert_eq!(report["phone"], 390 - 20, "390 px with its frame of 10 px");
    assert!(report["desktop"].as_u64().unwrap() > 600);
    assert!(!report["sandbox"].as_str().unwrap().contains("allow-scripts"));
    let why = report["why"].as_str().unwrap();
    for part in
        ["Cart Abandoned", "cart-recovery", "cart.items at least 1", "granted", "SES message id"]
    {
        assert!(why.contains(part), "{part} in\n{why}");
    }
    let customer = report["customer"].as_str().unwrap();
    for part in
        ["Vera", "Cart Abandoned", "Skerry two-person tent", "cart-recovery", "Put ", "granted"]
    {
        assert!(customer.contains(part), "{part} in\n{customer}");
    }
    let address = report["address"].as_str().unwrap();
    assert!(address.starts_with("/customers/") && !address.contains('@'), "it names nobody");
    standing.stack.stop().await.unwrap();
}
