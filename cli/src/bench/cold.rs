//! `odyssey bench cold`: from the start of a function's process to its first response, beside a
//! function that does nothing.

use super::deployable::{alone, functions, logical_id, stack_for, take};
use super::figures::{Figures, load_average, rounded, verdict};
use super::runtime::RuntimeApi;
use crate::args::BenchColdArgs;
use crate::http::basic;
use crate::screen::{Screen, Style};
use crate::standing::repository;
use crate::{Exit, Failure};
use bytes::Bytes;
use odyssey_local::LocalStack;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// A function may take so many times as long as the empty one (docs/SPEED.md).
const BOUND: f64 = 2.0;
/// The empty function.
const EMPTY: &str = "empty";
/// The sample in `events/triggers` that each function is handed first: what it is most often
/// started by.
const FIRST: [(&str, &str); 7] = [
    ("ingest", "ingest.track"),
    ("profile", "profile.events-accepted"),
    ("journey", "journey.event-folded"),
    ("tick", "tick.schedule"),
    ("sender", "sender.send"),
    ("feedback", "feedback.delivery"),
    ("consent", "consent.read"),
];

/// One of those that are compared.
struct Contender {
    name: &'static str,
    sample: &'static str,
    event: String,
    binary: PathBuf,
    bytes: u64,
    environment: BTreeMap<String, String>,
    /// Milliseconds of each round.
    took: Vec<f64>,
    /// Milliseconds of processor time of each round.
    ran: Vec<f64>,
    /// Calls to AWS until the first response.
    calls: BTreeMap<String, u64>,
}

impl Contender {
    fn new(
        name: &'static str,
        sample: &'static str,
        event: String,
        binary: PathBuf,
        environment: BTreeMap<String, String>,
    ) -> Result<Contender, Failure> {
        let bytes = std::fs::metadata(&binary)
            .map_err(|cause| Failure::File { path: binary.clone(), cause })?
            .len();
        let (took, ran, calls) = (Vec::new(), Vec::new(), BTreeMap::new());
        Ok(Contender { name, sample, event, binary, bytes, environment, took, ran, calls })
    }

    /// Starts it once, and tells how long it took to answer and how long it ran meanwhile, in
    /// milliseconds.
    async fn start(&mut self, stack: &LocalStack, round: u32) -> Result<(f64, f64), Failure> {
        // Messages that were never seen, so that every round does the same work.
        let event = self.event.replace("ajs-next-", &format!("ajs-{round}-"));
        let _ = stack.reset_usage();
        let api = RuntimeApi::listen(stack.now()).await?;
        api.hand_over(Bytes::from(event));
        let started = Instant::now();
        let mut process = api.start(&self.binary, &self.environment)?;
        let answer = process.answer().await?;
        let (took, ran) = (answer.at.duration_since(started), process.processor_time()?);
        let said = answer.said.map_err(|said| process.failed(&said))?;
        self.check(&said).map_err(|what| process.failed(&what))?;
        process.end().await;
        let usage = stack.reset_usage();
        let calls = usage.calls.get(&logical_id(self.name)).into_iter().flatten();
        self.calls = calls.map(|(name, calls)| (name.clone(), calls.calls)).collect();
        Ok((took.as_secs_f64() * 1e3, ran.as_secs_f64() * 1e3))
    }

    /// A refusal would be quick, and is not what is measured.
    fn check(&self, said: &Bytes) -> Result<(), String> {
        let said: Value = serde_json::from_slice(said).unwrap_or(Value::Null);
        let status = said["statusCode"].as_u64();
        let refused = status.is_some_and(|status| !(200..300).contains(&status));
        let given_back = said["batchItemFailures"].as_array().is_some_and(|some| !some.is_empty());
        if refused || given_back {
            return Err(format!("answered {}: {said}", self.sample));
        }
        Ok(())
    }
}

/// The event of a sample; HTTP requests with a write key of this stack's.
fn sample(root: &Path, name: &str, keys: &BTreeMap<&str, String>) -> Result<String, Failure> {
    let path = root.join("events").join("triggers").join(format!("{name}.json"));
    let text = std::fs::read_to_string(&path)
        .map_err(|cause| Failure::File { path: path.clone(), cause })?;
    let mut event: Value = serde_json::from_str(&text)
        .map_err(|error| Failure::Asked(format!("{}: {error}", path.display())))?;
    if let Some(key) = keys.get(name) {
        event["headers"]["authorization"] = Value::from(basic(key));
    }
    Ok(event.to_string())
}

async fn contenders(
    screen: &Screen,
    root: &Path,
    stack: &LocalStack,
) -> Result<Vec<Contender>, Failure> {
    let mut binaries = functions(screen, root, &[]).await?;
    let empty = alone(screen, root, "empty-function").await?;
    let keys = stack.keyring().map_err(|error| Failure::Stack(error.to_string()))?;
    let keys = BTreeMap::from([
        ("ingest.track", keys.write_key("web", 1)),
        ("consent.read", keys.write_key("backend", 1)),
    ]);
    // It is handed the same request as `ingest`, and does not read it.
    let request = sample(root, "ingest.track", &keys)?;
    let environment = stack.function_environment(&logical_id("ingest"));
    let mut all = vec![Contender::new(EMPTY, "ingest.track", request, empty, environment)?];
    for (name, first) in FIRST {
        let binary = take(&mut binaries, name)?;
        let environment = stack.function_environment(&logical_id(name));
        all.push(Contender::new(name, first, sample(root, first, &keys)?, binary, environment)?);
    }
    Ok(all)
}

/// Runs the benchmark.
///
/// # Errors
/// Where the functions cannot be built, or one of them does not answer.
pub async fn run(screen: &Screen, args: &BenchColdArgs) -> Result<Exit, Failure> {
    let root = repository()?;
    let stack = stack_for(&root).await?;
    let mut contenders = contenders(screen, &root, &stack).await?;
    screen.error(&format!("{} rounds of {} starts …", args.rounds, contenders.len()));
    // The first round brings the binaries into the page cache and is not counted.
    for round in 0..=args.rounds {
        for contender in &mut contenders {
            let (took, ran) = contender.start(&stack, round).await?;
            if round > 0 {
                contender.took.push(took);
                contender.ran.push(ran);
            }
        }
    }
    tell(screen, args, &contenders);
    Ok(Exit::Right)
}

fn tell(screen: &Screen, args: &BenchColdArgs, contenders: &[Contender]) {
    let empty = contenders.iter().find(|contender| contender.name == EMPTY);
    let of_empty = |of: fn(&Contender) -> &Vec<f64>| {
        Figures::of(empty.map(|empty| of(empty).clone()).unwrap_or_default())
    };
    let (empty, empty_ran) = (of_empty(|c| &c.took), of_empty(|c| &c.ran));
    let (mut rows, mut lines, mut all_hold) = (Map::new(), Vec::new(), true);
    for contender in contenders {
        let took = Figures::of(contender.took.clone());
        let ran = Figures::of(contender.ran.clone());
        let ratio = took.median() / empty.median();
        let holds = ratio <= BOUND;
        all_hold &= holds;
        let calls: u64 = contender.calls.values().sum();
        lines.push(format!(
            "{:<9} {:>7.1} {:>7.1} {:>6.2} {:>6.2} {:>7.1} {:>6.2} {:>10} {:>6}  {:<24} {}",
            contender.name,
            took.min(),
            took.median(),
            took.min() / empty.min(),
            ratio,
            ran.median(),
            ran.median() / empty_ran.median(),
            contender.bytes,
            calls,
            contender.sample,
            verdict(holds),
        ));
        let row = json!({
            "min_ms": rounded(took.min()),
            "median_ms": rounded(took.median()),
            "ratio_of_min": rounded(took.min() / empty.min()),
            "ratio_of_median": rounded(ratio),
            "processor_median_ms": rounded(ran.median()),
            "processor_ratio_of_median": rounded(ran.median() / empty_ran.median()),
            "bytes": contender.bytes,
            "first_event": contender.sample,
            "aws_calls": contender.calls,
            "holds": holds,
        });
        rows.insert(contender.name.to_owned(), row);
    }
    if args.json {
        let all = json!({
            "measured": "milliseconds from the start of the process to the end of its first response",
            "build": "as cargo-lambda deploys: thin LTO, one codegen unit; no local-clock",
            "rounds": args.rounds,
            "bound_ratio_of_median": BOUND,
            "holds": all_hold,
            "load_average": load_average(),
            "functions": rows,
        });
        screen.line(&format!("{all:#}"));
        return;
    }
    let head =
        "function      min  median  min ×  med ×     ran  ran ×      bytes  calls  first event";
    screen.line(&screen.paint(Style::Strong, head));
    for line in lines {
        screen.line(&line);
    }
    screen.line(&format!(
        "milliseconds from the start of a deployable binary to the end of its first response, {} \
         starts of each in turn; × is of the empty function's, and ran is the processor time that \
         it took itself (median). The first response includes what the \
         function fetches at its start and all calls to AWS that its event takes (their number is \
         above), made to the local stack over plain HTTP. Bound: {BOUND} × of the median.",
        args.rounds,
    ));
}
