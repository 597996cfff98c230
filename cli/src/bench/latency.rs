//! `odyssey bench latency`: how long after an event its mail is sent, and how late a due step is.
//!
//! Both are measured in real time. A step waits for its time in the due index only where it is more
//! than 15 minutes off, so between arming and waking the stack is stopped and started again, on the
//! same tables, with its clock put forward. What is skipped is time in which nothing happens; the
//! ticks before the steps' time, the queue's delay and everything after run as they do.

use super::figures::{Figures, load_average, verdict};
use crate::args::BenchLatencyArgs;
use crate::http::Http;
use crate::publish::build::build;
use crate::publish::command::publish_to;
use crate::screen::{Screen, Style};
use crate::standing::{build_released, repository};
use crate::{Exit, Failure};
use odyssey_domain::time::{Span, Stamp};
use odyssey_domain::workspace::Files;
use odyssey_local::{Functions, LocalStack, Options, Storage};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Mails of each part: enough for a ninety-ninth percentile.
const PEOPLE: usize = 240;
/// Between one customer's event and the next one's.
const PACE: Duration = Duration::from_millis(100);
/// How long the journey waits: longer than a queue can delay.
const WAIT: Span = Span::MINUTE.times(16);
/// How long before the first step's time the stack is started again: the tick hands over two
/// minutes ahead.
const BEFORE_DUE: Span = Span::from_ms(90_000);
/// Milliseconds from the answer to the mail, and from a step's time to the mail (docs/SPEED.md).
const BOUNDS: [f64; 2] = [3_000.0, 2_000.0];

const SETTINGS: &str = "\
brand:
  name: Bench
  from: hello@bench.example
  postal_address: 1 Bench Street, 12345 Bench
  website: https://bench.example
  allowed_hosts: [bench.example]
sources:
  web: {kind: browser}
  backend: {kind: server}
topics:
  offers: {title: Offers, kind: marketing}
signals:
  Cart Abandoned: {after: 4h}
  Browse Abandoned: {after: 2h}
confirmation_mail: confirm
events: [Bench Now, Bench Later]
";
const NOW: &str = "\
name: now
state: live
trigger: {event: Bench Now}
re_entry: after_exit
steps:
  - {id: mail, send: news, topic: offers}
";
const LATER: &str = "\
name: later
state: live
trigger: {event: Bench Later}
re_entry: after_exit
steps:
  - {id: wait, delay: 16m}
  - {id: mail, send: news, topic: offers}
";

fn mail(subject: &str, link: &str) -> String {
    format!(
        "---\nsubject: {subject}\n---\n<mjml><mj-body><mj-section><mj-column><mj-text>\
         <a href=\"{{{{ {link} }}}}\">here</a> {{{{ brand.postal_address }}}}\
         </mj-text></mj-column></mj-section></mj-body></mjml>\n"
    )
}

fn workspace() -> Files {
    let files = [
        ("workspace.yaml", SETTINGS.to_owned()),
        ("journeys/now.yaml", NOW.to_owned()),
        ("journeys/later.yaml", LATER.to_owned()),
        ("mails/confirm.mjml", mail("Confirm", "links.confirm")),
        ("mails/news.mjml", mail("News", "links.unsubscribe")),
    ];
    files.into_iter().map(|(name, text)| (name.to_owned(), text)).collect()
}

/// The tables between two starts of the stack; they go with this.
struct Tables(PathBuf);

impl Tables {
    fn new(root: &Path) -> Result<Tables, Failure> {
        let folder = root.join("target").join(format!("bench-latency-{}", std::process::id()));
        let failed = |cause| Failure::File { path: folder.clone(), cause };
        std::fs::create_dir_all(&folder).map_err(failed)?;
        Ok(Tables(folder))
    }
}

impl Drop for Tables {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A stack in real time and what one posts to it.
struct World {
    stack: LocalStack,
    http: Http,
    browser: String,
    server: String,
}

impl World {
    async fn start(
        root: &Path,
        functions: &BTreeMap<String, PathBuf>,
        tables: &Tables,
        start: Option<Stamp>,
    ) -> Result<World, Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::Stack(error.to_string());
        let mut options = Options::of_workspace(root, Functions::Binaries(functions.clone()))
            .map_err(|error| Failure::Asked(error.to_string()))?;
        options.start = start;
        options.storage = Storage::File(tables.0.join("tables.sqlite"));
        options.parameters.insert("MailIdentity".to_owned(), "bench.example".to_owned());
        let stack = LocalStack::start(options).await.map_err(|error| failed(&error))?;
        let keys = stack.keyring().map_err(|error| failed(&error))?;
        let (browser, server) = (keys.write_key("web", 1), keys.write_key("backend", 1));
        Ok(World { stack, http: Http::new(), browser, server })
    }

    async fn publish(&self) -> Result<(), Failure> {
        let built = build(&workspace(), Stamp::MIN).map_err(|faults| {
            Failure::Asked(faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
        })?;
        publish_to(&self.stack.tables(), &built.publication, self.stack.now()).await
    }

    async fn post(&self, path: &str, key: &str, mut body: Value) -> Result<(), Failure> {
        body["writeKey"] = Value::from(key);
        let url = format!("{}{path}", self.stack.api_url());
        let headers = [("content-type", "application/json")];
        let answer = self.http.request("POST", &url, &headers, body.to_string()).await?;
        if answer.status < 300 {
            return Ok(());
        }
        Err(Failure::Stack(format!("POST {path}: {} {}", answer.status, answer.body)))
    }

    /// Everybody has an address and wants mail; every function has run.
    async fn introduce(&self) -> Result<(), Failure> {
        for person in 0..=PEOPLE {
            let email = address(person);
            let body = json!({"userId": id(person), "traits": {"email": email}});
            self.post("/v1/identify", &self.browser, body).await?;
            let body = json!({"email": email, "topic": "offers", "state": "granted"});
            self.post("/v1/consent", &self.server, body).await?;
        }
        self.stack.idle(self.stack.now()).await;
        self.track(PEOPLE, "Bench Now").await?;
        self.stack.idle(self.stack.now()).await;
        Ok(())
    }

    /// One event of one customer: when it happened, and when it was acknowledged.
    async fn track(&self, person: usize, event: &str) -> Result<(Stamp, Stamp), Failure> {
        let at = self.stack.now();
        let body = json!({
            "userId": id(person), "event": event, "timestamp": at.to_string(),
            "messageId": format!("{event}-{person}"),
        });
        self.post("/v1/track", &self.browser, body).await?;
        Ok((at, self.stack.now()))
    }

    /// The same event of everybody, each at its time, whether or not the one before is answered.
    async fn everybody(&self, event: &str) -> Result<Vec<(Stamp, Stamp)>, Failure> {
        let posts = (0..PEOPLE).map(|person| async move {
            let place = u32::try_from(person).unwrap_or(u32::MAX);
            tokio::time::sleep(PACE.saturating_mul(place)).await;
            self.track(person, event).await
        });
        futures_util::future::join_all(posts).await.into_iter().collect()
    }

    /// When SES took the mail to each; those of one step alone.
    fn mailed(&self, since: usize) -> BTreeMap<String, Stamp> {
        let mails = self.stack.mailbox().all();
        let to = |mail: &odyssey_local::Mail| mail.to.first().cloned().unwrap_or_default();
        mails.iter().skip(since).map(|mail| (to(mail), mail.at)).collect()
    }
}

fn id(person: usize) -> String {
    format!("walker-{person}")
}

fn address(person: usize) -> String {
    format!("walker-{person}@bench.example")
}

/// Milliseconds from each instant to the mail.
fn spans(from: &[Stamp], mailed: &BTreeMap<String, Stamp>) -> Result<Figures, Failure> {
    let mut found = Vec::new();
    for (person, from) in from.iter().enumerate() {
        let mail = mailed.get(&address(person)).ok_or_else(|| {
            Failure::Stack(format!("{} of {PEOPLE} mails were sent", mailed.len()))
        })?;
        let ms = mail.since(*from).ms();
        found.push(f64::from(u32::try_from(ms).unwrap_or(u32::MAX)));
    }
    Ok(Figures::of(found))
}

/// That exactly these times wait in the due index: nothing went by a queue's delay.
fn check_due(stack: &LocalStack, due: &[Stamp]) -> Result<(), Failure> {
    let contents = stack.contents();
    let items = contents.get("DueTable").map(Vec::as_slice).unwrap_or_default();
    let time = |item: &Value| {
        let key = item["sk"]["S"].as_str().unwrap_or_default();
        key.split('#').next().and_then(|ms| ms.parse::<i64>().ok()).map(Stamp::from_ms)
    };
    let found: BTreeSet<Stamp> = items.iter().filter_map(time).collect();
    let missing = due.iter().filter(|due| !found.contains(due)).count();
    if missing > 0 {
        let text = format!("{missing} of {} steps are not in the due index", due.len());
        return Err(Failure::Stack(text));
    }
    Ok(())
}

/// Runs the benchmark.
///
/// # Errors
/// Where the functions cannot be built, the stack does not run, or a mail is not sent.
pub async fn run(screen: &Screen, args: &BenchLatencyArgs) -> Result<Exit, Failure> {
    let root = repository()?;
    let functions = build_released(screen, &root).await?;
    let tables = Tables::new(&root)?;
    let world = World::start(&root, &functions, &tables, None).await?;
    world.publish().await?;
    screen.error(&format!("{PEOPLE} customers are introduced …"));
    world.introduce().await?;
    screen.error(&format!("{PEOPLE} events, one each {PACE:?}, and the mails they trigger …"));
    let before = world.stack.mailbox().all().len();
    let posted = world.everybody("Bench Now").await?;
    world.stack.idle(world.stack.now()).await;
    let answered: Vec<Stamp> = posted.iter().map(|(_, answered)| *answered).collect();
    let event_to_mail = spans(&answered, &world.mailed(before))?;
    screen.error(&format!("{PEOPLE} enrollments that wait {WAIT} in the due index …"));
    let posted = world.everybody("Bench Later").await?;
    world.stack.idle(world.stack.now()).await;
    let due: Vec<Stamp> = posted.iter().map(|(at, _)| at.plus(WAIT)).collect();
    check_due(&world.stack, &due)?;
    world.stack.stop().await?;
    let (first, last) = (due.iter().min(), due.iter().max());
    let (Some(first), Some(last)) = (first.copied(), last.copied()) else {
        return Err(Failure::Stack("nobody was enrolled".to_owned()));
    };
    screen.error(&format!("the clock is put forward to {BEFORE_DUE} before the first step …"));
    let start = first.minus(BEFORE_DUE);
    let world = World::start(&root, &functions, &tables, Some(start)).await?;
    world.stack.idle(last).await;
    let due_to_mail = spans(&due, &world.mailed(0))?;
    world.stack.stop().await?;
    tell(screen, args, [&event_to_mail, &due_to_mail]);
    Ok(Exit::Right)
}

fn tell(screen: &Screen, args: &BenchLatencyArgs, found: [&Figures; 2]) {
    let names = ["event_to_mail", "due_to_mail"];
    let says = ["from HTTP 200 to SES's acceptance", "from a step's due time to SES's acceptance"];
    let parts = || names.into_iter().zip(says).zip(found).zip(BOUNDS);
    if args.json {
        let mut all = json!({
            "measured": "milliseconds of real time",
            "build": "release, with local-clock, whose clock runs at the real rate",
            "load_average": load_average(),
        });
        for (((name, says), figures), bound) in parts() {
            let mut part = figures.to_json();
            part["what"] = Value::from(says);
            part["bound_p99"] = Value::from(bound);
            part["holds"] = Value::from(figures.percentile(99) <= bound);
            all[name] = part;
        }
        screen.line(&format!("{all:#}"));
        return;
    }
    let head = "what                                          n    p50    p99    max  bound";
    screen.line(&screen.paint(Style::Strong, head));
    for (((_, says), figures), bound) in parts() {
        screen.line(&format!(
            "{says:<43} {:>4} {:>6} {:>6} {:>6} {bound:>6}  {}",
            figures.count(),
            figures.median(),
            figures.percentile(99),
            figures.max(),
            verdict(figures.percentile(99) <= bound)
        ));
    }
    screen.line(
        "milliseconds of real time, release binaries on the local stack, one event each 100 ms. \
         Between arming and the last 90 seconds before the steps' time the stack is stopped and its \
         clock put forward; the tick, the queue's delay and all that follows run in real time.",
    );
}
