//! `odyssey bench cost`: what AWS would bill, counted call by call on the local stack.

use super::load::{FAST, Load, workspace};
use super::prices::{ACCESS_LOG_BYTES, IDLE, usd};
use crate::args::BenchCostArgs;
use crate::screen::{Screen, Style};
use crate::{Exit, Failure};
use odyssey_domain::time::Span;
use odyssey_local::{Calls, Usage};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Requests of each measured part.
const REQUESTS: usize = 400;
/// Customers that the requests are spread over.
const CUSTOMERS: usize = 200;
/// Steps of the journeys that are measured.
pub(super) const STEPS: usize = 20;

/// What a part of a stack's usage costs, by hop.
#[derive(Debug, Default)]
struct Bill {
    hops: BTreeMap<String, f64>,
}

impl Bill {
    /// The bill of what `counts` lets through, by caller and operation.
    fn of(usage: &Usage, counts: impl Fn(&str, &str) -> bool) -> Bill {
        let mut bill = Bill::default();
        for (caller, operations) in &usage.calls {
            for (operation, calls) in operations.iter().filter(|(name, _)| counts(caller, name)) {
                *bill.hops.entry(format!("{caller} {operation}")).or_default() +=
                    price(operation, calls);
            }
        }
        for (function, sum) in &usage.invocations {
            if counts(function, "lambda") {
                let requests = millions(sum.count) * usd::LAMBDA_REQUEST;
                let seconds = number(sum.micros) / 1e6;
                let time = seconds * f64::from(sum.memory) / 1024.0 * usd::LAMBDA_GB_SECOND;
                let logs = number(sum.log_bytes) / 1e9 * usd::LOG_GB;
                bill.hops.insert(format!("{function} lambda"), requests + time);
                bill.hops.insert(format!("{function} logs"), logs);
            }
        }
        if counts("HttpApi", "http") {
            let logs = number(usage.http_requests) * ACCESS_LOG_BYTES / 1e9 * usd::LOG_GB;
            bill.hops
                .insert("HttpApi requests".to_owned(), millions(usage.http_units) * usd::HTTP_API);
            bill.hops.insert("HttpApi access log".to_owned(), logs);
        }
        bill
    }

    fn total(&self) -> f64 {
        self.hops.values().sum()
    }

    /// Each hop for a million of something, where `times` of it were counted.
    fn per_million(&self, times: usize) -> BTreeMap<String, f64> {
        let scale = 1e6 / number(times as u64);
        let hops = self.hops.iter().filter(|(_, usd)| **usd > 0.0);
        hops.map(|(hop, usd)| (hop.clone(), usd * scale)).collect()
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are far below 2^52")]
fn number(count: u64) -> f64 {
    count as f64
}

fn millions(count: u64) -> f64 {
    number(count) / 1e6
}

fn price(operation: &str, calls: &Calls) -> f64 {
    let (service, _) = operation.split_once(':').unwrap_or((operation, ""));
    match service {
        "dynamodb" => {
            (calls.read_units * usd::READ_UNIT + calls.write_units * usd::WRITE_UNIT) / 1e6
        }
        "events" => millions(calls.chunks) * usd::EVENTBRIDGE,
        "sqs" => millions(calls.chunks) * usd::SQS,
        "sns" => millions(calls.chunks) * usd::SNS,
        "secretsmanager" => millions(calls.calls) * usd::SECRET_CALLS,
        _ => 0.0,
    }
}

/// Calls of each operation for one of what was counted.
fn calls_per(usage: &Usage, times: usize) -> Map<String, Value> {
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    for (caller, operations) in &usage.calls {
        for (operation, calls) in operations.iter().filter(|_| caller != "operator") {
            *sums.entry(operation).or_default() += calls.calls;
        }
    }
    let each = sums.into_iter();
    each.map(|(name, calls)| (name.to_owned(), json!(number(calls) / number(times as u64))))
        .collect()
}

/// What belongs to a running tick and not to the steps it hands over: it costs the same idle.
fn is_idle_cost(caller: &str, operation: &str) -> bool {
    caller == "TickFunction" && matches!(operation, "dynamodb:Query" | "lambda")
}

/// What brings the trigger in, and not the steps after it.
fn is_arrival(caller: &str) -> bool {
    let arrivals = ["operator", "HttpApi", "IngestFunction", "ProfileFunction", "EventBridge"];
    arrivals.iter().any(|part| caller.contains(part))
}

/// From the request for a mail to the record of its delivery.
fn bill_of_sends(usage: &Usage) -> Bill {
    Bill::of(usage, |caller, what| {
        ["SenderFunction", "FeedbackFunction", "SNS", "SES"]
            .iter()
            .any(|part| caller.contains(part))
            || (caller == "JourneyFunction" && what.starts_with("sqs:"))
    })
}

/// Runs the benchmark.
///
/// # Errors
/// Where the functions cannot be built, or the stack does not run.
pub async fn run(screen: &Screen, args: &BenchCostArgs) -> Result<Exit, Failure> {
    let load = Load::start(screen, workspace(STEPS)?, 1).await?;
    let mut parts: Vec<(String, f64, BTreeMap<String, f64>)> = Vec::new();
    let mut events = Map::new();
    let mut calls = Map::new();
    // Every customer is known before anything is counted.
    load.events(CUSTOMERS, CUSTOMERS, 10).await?;
    for batch in [1, 10] {
        screen.error(&format!("{REQUESTS} requests of {batch} events …"));
        load.reset();
        load.events(REQUESTS, CUSTOMERS, batch).await?;
        let usage = load.reset();
        let bill =
            Bill::of(&usage, |caller, what| caller != "operator" && !is_idle_cost(caller, what));
        let count = REQUESTS * batch;
        events.insert(format!("batch{batch}"), json!(bill.total() * 1e6 / number(count as u64)));
        calls.insert(format!("batch{batch}"), Value::Object(calls_per(&usage, count)));
        let name = format!("a million events, {batch} to a request");
        parts.push((name, bill.total() * 1e6 / number(count as u64), bill.per_million(count)));
    }
    screen.error("sends, with their Send and Delivery …");
    // Others get a mail before anything is counted, so that every function is warm.
    for who in ["early", "late"] {
        load.consents(who).await?;
    }
    load.sends("early").await?;
    let (usage, sends) = load.sends("late").await?;
    let (again, _) = load.sends("late").await?;
    drop(load);
    let fast = Load::start(screen, workspace(STEPS)?, FAST).await?;
    let mut steps = Map::new();
    for (name, event, each) in [
        ("due_index", "Bench Hours", Span::MINUTE.times(20)),
        ("queue_delay", "Bench Minutes", Span::MINUTE.times(5)),
    ] {
        screen.error(&format!("journeys of {STEPS} steps, {each} apart …"));
        let (stepped, count) = fast.steps(event, each).await?;
        let bill =
            Bill::of(&stepped, |caller, what| !is_arrival(caller) && !is_idle_cost(caller, what));
        let usd = bill.total() * 1e6 / number(count as u64);
        steps.insert(name.to_owned(), json!(usd));
        parts.push((format!("a million steps, {name}"), usd, bill.per_million(count)));
    }
    let (bill, again) = (bill_of_sends(&usage), bill_of_sends(&again));
    let writes: f64 = usage
        .calls
        .iter()
        .filter(|(caller, _)| matches!(caller.as_str(), "SenderFunction" | "FeedbackFunction"))
        .flat_map(|(_, operations)| operations.values())
        .map(|calls| calls.write_units)
        .sum();
    let per_send = bill.total() * 1e6 / number(sends as u64);
    let units = writes / number(sends as u64);
    let ses = number(usage.operation("ses:SendEmail").calls) / number(sends as u64);
    parts.push(("a million sends beside SES".to_owned(), per_send, bill.per_million(sends)));
    let per_send_again = again.total() * 1e6 / number(sends as u64);
    let name = "a million sends beside SES, to who was in the journey before".to_owned();
    parts.push((name, per_send_again, again.per_million(sends)));
    let idle: f64 = IDLE.iter().map(|(_, usd)| usd).sum();
    if args.json {
        let all = json!({
            "usd_per_million_events": events,
            "usd_per_million_steps": steps,
            "usd_per_million_sends_beside_ses": per_send,
            "usd_per_million_sends_beside_ses_on_re_entry": per_send_again,
            "usd_idle_per_month": idle,
            "write_units_per_send": units,
            "ses_calls_per_send": ses,
            "calls_per_event": calls,
            "hops": parts.iter().map(|(name, _, hops)| (name.clone(), json!(hops))).collect::<Map<_, _>>(),
        });
        screen.line(&format!("{all:#}"));
        return Ok(Exit::Right);
    }
    for (name, usd, hops) in &parts {
        screen.line(&screen.paint(Style::Strong, &format!("{name}: ${usd:.2}")));
        for (hop, usd) in hops {
            screen.line(&format!("  {usd:>8.3}  {hop}"));
        }
    }
    screen.line(&format!("write units a send: {units:.2}, calls to SES a send: {ses:.2}"));
    screen.line(&screen.paint(Style::Strong, &format!("an idle stack a month: ${idle:.2}")));
    for (what, usd) in IDLE {
        screen.line(&format!("  {usd:>8.2}  {what}"));
    }
    Ok(Exit::Right)
}
