//! `odyssey bench ingest`: the processor time that `ingest` takes for an event.

use super::deployable::{alone, functions, logical_id, stack_for, take};
use super::figures::{Figures, load_average, rounded, verdict};
use super::runtime::{Process, RuntimeApi};
use crate::args::BenchIngestArgs;
use crate::http::basic;
use crate::screen::{Screen, Style};
use crate::standing::repository;
use crate::{Exit, Failure};
use bytes::Bytes;
use odyssey_local::LocalStack;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::path::Path;

/// The same handler and runtime as `ingest`'s, with a bus that takes everything.
const WITHOUT_BUS: &str = "ingest-without-bus";
/// Events in a request.
const EVENTS: usize = 20;
/// Requests before anything is counted: the catalog is read, connections are open, memory is there.
const WARM_UP: usize = 300;
/// Requests of a round.
const REQUESTS: usize = 500;
/// What is measured, and its bound in microseconds of an event (docs/SPEED.md). The empty function
/// takes the request and does not read it: what the runtime and the machine cost anyone.
const MEASURED: [(&str, Option<f64>); 3] =
    [("empty", None), ("without_bus", Some(8.0)), ("with_bus", Some(20.0))];

/// Whose events a request holds.
#[derive(Clone, Copy)]
enum Whose {
    /// One customer's: one bus entry, one call.
    One,
    /// As many customers' as events: one bus entry each, two calls.
    Many,
}

impl Whose {
    const fn name(self) -> &'static str {
        match self {
            Whose::One => "one_customer",
            Whose::Many => "twenty_customers",
        }
    }
}

/// An event as `@segment/analytics-node` sends it.
fn event(number: usize, whose: Whose) -> String {
    let customer = match whose {
        Whose::One => 0,
        Whose::Many => number,
    };
    let mut event = json!({
        "timestamp": format!("2026-11-21T19:24:{:02}.839Z", number % 60),
        "integrations": {}, "event": "Product Added", "type": "track",
        "properties": {
            "cart_id": format!("skdjsidjsdkdj29{number:03}"), "category": "Games",
            "product_id": format!("507f1f77bcf86cd7994{number:05}"), "sku": format!("G-{number}"),
            "name": "Monopoly: 3rd Edition", "brand": "Hasbro", "variant": "200 pieces",
            "price": 18.99, "quantity": 1, "coupon": "MAYDEALS", "position": 3, "currency": "EUR",
            "url": format!("https://www.example.com/product/path/{number}"),
            "image_url": format!("https://www.example.com/product/path/{number}.jpg"),
            "on_sale": true, "tags": ["board", "family", "classic"],
        },
        "context": {
            "library": {"name": "@segment/analytics-node", "version": "3.1.0"},
            "ip": format!("203.0.113.{number}"), "locale": "en-GB", "timezone": "Europe/London",
            "userAgent": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
            "page": {
                "path": format!("/product/path/{number}"), "referrer": "https://www.example.com/",
                "search": "", "title": "Monopoly",
                "url": format!("https://www.example.com/product/path/{number}"),
            },
        },
        "userId": format!("user-{customer:04}"),
        "anonymousId": format!("0a2863c3-a2d8-4fef-b129-12fadb56{customer:04}"),
        "messageId": format!("node-next-1795289075838-33bd060a-2863-43a2-989f-{number:012}"),
        "_metadata": {"nodeVersion": "v20.20.2", "jsRuntime": "node"},
    });
    // What is missing to 1.15 KB.
    let short = 1_150_usize.saturating_sub(event.to_string().len() + r#","pad":"""#.len());
    event["properties"]["pad"] = Value::from("x".repeat(short));
    event.to_string()
}

/// The body of a request.
fn body(whose: Whose) -> String {
    let events: Vec<String> = (0..EVENTS).map(|number| event(number, whose)).collect();
    let mut body = String::from(r#"{"batch":["#);
    body.push_str(&events.join(","));
    let _ = write!(body, r#"],"sentAt":"2026-11-21T19:25:00.843Z"}}"#);
    body
}

/// A request as API Gateway hands it over.
fn request(root: &Path, key: &str, body: &str) -> Result<Bytes, Failure> {
    let path = root.join("events").join("triggers").join("ingest.batch.json");
    let text = std::fs::read_to_string(&path)
        .map_err(|cause| Failure::File { path: path.clone(), cause })?;
    let mut request: Value = serde_json::from_str(&text)
        .map_err(|error| Failure::Asked(format!("{}: {error}", path.display())))?;
    request["headers"]["authorization"] = Value::from(basic(key));
    request["headers"]["content-length"] = Value::from(body.len().to_string());
    request["body"] = Value::from(body);
    request["isBase64Encoded"] = Value::from(false);
    Ok(Bytes::from(request.to_string()))
}

/// Runs a binary through warm-up and rounds; microseconds of an event in each.
async fn measure(
    stack: &LocalStack,
    binary: &Path,
    request: &Bytes,
    rounds: u32,
) -> Result<Figures, Failure> {
    let api = RuntimeApi::listen(stack.now()).await?;
    let environment = stack.function_environment(&logical_id("ingest"));
    let mut process = api.start(binary, &environment)?;
    let first = process.invoke(request.clone()).await?;
    let answer: Value = serde_json::from_slice(&first).unwrap_or(Value::Null);
    if answer["statusCode"] != 200 {
        return Err(process.failed(&format!("answered {answer}")));
    }
    invoke(&mut process, request, WARM_UP).await?;
    let mut found = Vec::new();
    for _ in 0..rounds {
        let before = process.processor_time()?;
        invoke(&mut process, request, REQUESTS).await?;
        let took = process.processor_time()?.saturating_sub(before);
        let events = f64::from(u32::try_from(REQUESTS * EVENTS).unwrap_or(u32::MAX));
        found.push(took.as_secs_f64() * 1e6 / events);
    }
    process.end().await;
    Ok(Figures::of(found))
}

async fn invoke(process: &mut Process, request: &Bytes, times: usize) -> Result<(), Failure> {
    for _ in 0..times {
        process.invoke(request.clone()).await?;
    }
    Ok(())
}

/// Runs the benchmark.
///
/// # Errors
/// Where `ingest` cannot be built or does not answer.
pub async fn run(screen: &Screen, args: &BenchIngestArgs) -> Result<Exit, Failure> {
    let root = repository()?;
    let mut built = functions(screen, &root, &[WITHOUT_BUS]).await?;
    let binaries = [
        alone(screen, &root, "empty-function").await?,
        take(&mut built, WITHOUT_BUS)?,
        take(&mut built, "ingest")?,
    ];
    let mut parts = Map::new();
    let mut lines = Vec::new();
    let mut bytes = 0;
    for whose in [Whose::One, Whose::Many] {
        let body = body(whose);
        bytes = event(0, whose).len();
        let mut empty = None;
        for ((name, bound), binary) in MEASURED.into_iter().zip(&binaries) {
            screen.error(&format!("{} rounds, {}, {name} …", args.rounds, whose.name()));
            // A stack of its own, since the events stay on its queue.
            let stack = stack_for(&root).await?;
            let keys = stack.keyring().map_err(|error| Failure::Stack(error.to_string()))?;
            let request = request(&root, &keys.write_key("web", 1), &body)?;
            let took = measure(&stack, binary, &request, args.rounds).await?;
            stack.stop().await?;
            let over = took.median() - *empty.get_or_insert(took.median());
            let holds = bound.map(|bound| took.median() <= bound);
            lines.push(format!(
                "{:<17} {:<12} {:>6.2} {:>7.2} {:>11.2} {:>7}  {}",
                whose.name(),
                name,
                took.min(),
                took.median(),
                over,
                bound.map_or_else(String::new, |bound| bound.to_string()),
                holds.map_or("", verdict),
            ));
            let part = json!({
                "min_us": rounded(took.min()),
                "median_us": rounded(took.median()),
                "median_over_empty_us": rounded(over),
                "bound_us": bound,
                "holds": holds,
            });
            parts.insert(format!("{}.{name}", whose.name()), part);
        }
    }
    if args.json {
        let all = json!({
            "measured": "microseconds of processor time an event, user and system, from the \
                         scheduler's account of the process",
            "rounds": args.rounds,
            "requests_of_a_round": REQUESTS,
            "events_of_a_request": EVENTS,
            "bytes_of_an_event": bytes,
            "load_average": load_average(),
            "parts": parts,
        });
        screen.line(&format!("{all:#}"));
        return Ok(Exit::Right);
    }
    screen.line(
        &screen.paint(
            Style::Strong,
            "events of        measured        min  median  over empty   bound",
        ),
    );
    for line in lines {
        screen.line(&line);
    }
    screen.line(&format!(
        "microseconds of processor time an event (user and system) of a warm deployable binary, {} \
         rounds of {REQUESTS} requests of {EVENTS} events of {bytes} bytes. Empty is \
         cli/empty-function, which is handed the same requests and reads none; without_bus is \
         cli/ingest-without-bus: the same handler and runtime, and a bus that takes everything.",
        args.rounds,
    ));
    Ok(Exit::Right)
}
