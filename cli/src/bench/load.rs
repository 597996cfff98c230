//! The load of the benchmarks: a workspace of plain journeys on a local stack, and requests.

use crate::Failure;
use crate::http::Http;
use crate::publish::build::build;
use crate::publish::command::publish_to;
use crate::screen::Screen;
use crate::standing::{build_released, repository};
use futures_util::StreamExt as _;
use odyssey_domain::time::{Span, Stamp};
use odyssey_domain::workspace::Files;
use odyssey_local::{Functions, LocalStack, Options, Usage};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Requests under way at once.
const AT_ONCE: usize = 16;
/// Enrollments, and mails, of a measured part.
const ENROLLED: usize = 200;
/// Customer seconds in a second where steps are measured: 20 waits of 20 minutes take 13 seconds.
pub(super) const FAST: u32 = 1_800;

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
  orders: {title: Orders, kind: transactional}
  offers: {title: Offers, kind: marketing}
signals:
  Cart Abandoned: {after: 4h}
  Browse Abandoned: {after: 2h}
confirmation_mail: confirm
events: [Bench Hours, Bench Minutes, Bench Mailed]
";

fn mail(subject: &str, link: &str) -> String {
    format!(
        "---\nsubject: {subject}\n---\n<mjml><mj-body><mj-section><mj-column><mj-text>\
         <a href=\"{{{{ {link} }}}}\">here</a> {{{{ brand.postal_address }}}}\
         </mj-text></mj-column></mj-section></mj-body></mjml>\n"
    )
}

/// A workspace with a journey of `steps` waits of 20 minutes, one of 5, and one of a single mail.
///
/// # Errors
/// Never: it is written here.
pub(super) fn workspace(steps: usize) -> Result<Files, Failure> {
    let mut files = Files::new();
    let mut put = |name: &str, text: String| {
        files.insert(name.to_owned(), text);
    };
    put("workspace.yaml", SETTINGS.to_owned());
    put("mails/confirm.mjml", mail("Confirm", "links.confirm"));
    put("mails/news.mjml", mail("News", "links.unsubscribe"));
    for (name, event, length) in
        [("hours", "Bench Hours", "20m"), ("minutes", "Bench Minutes", "5m")]
    {
        let mut text = format!(
            "name: {name}\nstate: live\ntrigger: {{event: {event}}}\nre_entry: after_exit\nsteps:\n"
        );
        for step in 0..steps {
            writeln!(text, "  - {{id: wait-{step}, delay: {length}}}")
                .map_err(|error| Failure::Asked(error.to_string()))?;
        }
        put(&format!("journeys/{name}.yaml"), text);
    }
    let once = "name: once\nstate: live\ntrigger: {event: Bench Mailed}\nre_entry: after_exit\n\
                steps:\n  - {id: mail, send: news, topic: offers}\n";
    put("journeys/once.yaml", once.to_owned());
    // Named by a live journey, so that one in ten requests reaches it.
    let bought = "name: bought\nstate: live\ntrigger: {event: Order Completed}\n\
                  entry_filter: {fact: orders.count, above: 1000}\nre_entry: never\n\
                  steps:\n  - {id: wait, delay: 20m}\n";
    put("journeys/bought.yaml", bought.to_owned());
    Ok(files)
}

/// A running stack and its load.
pub(super) struct Load {
    stack: LocalStack,
    http: Http,
    browser: String,
    server: String,
    sent: AtomicUsize,
}

impl Load {
    /// Builds the functions, starts the stack, publishes.
    pub(super) async fn start(screen: &Screen, files: Files, speed: u32) -> Result<Load, Failure> {
        let root = repository()?;
        let functions = Functions::Binaries(build_released(screen, &root).await?);
        let mut options = Options::of_workspace(&root, functions)
            .map_err(|error| Failure::Asked(error.to_string()))?;
        options.rate = speed;
        options.parameters.insert("MailIdentity".to_owned(), "bench.example".to_owned());
        let stack =
            LocalStack::start(options).await.map_err(|error| Failure::Stack(error.to_string()))?;
        let built = build(&files, Stamp::MIN).map_err(|faults| {
            Failure::Asked(faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
        })?;
        publish_to(&stack.tables(), &built.publication, stack.now()).await?;
        let keys = stack.keyring().map_err(|error| Failure::Stack(error.to_string()))?;
        let (browser, server) = (keys.write_key("web", 1), keys.write_key("backend", 1));
        Ok(Load { stack, http: Http::new(), browser, server, sent: AtomicUsize::new(0) })
    }

    /// What was counted since the last time.
    pub(super) fn reset(&self) -> Usage {
        self.stack.reset_usage()
    }

    async fn post(&self, path: &str, key: &str, body: &Value) -> Result<(), Failure> {
        let url = format!("{}{path}", self.stack.api_url());
        let mut body = body.clone();
        body["writeKey"] = Value::from(key);
        let headers = [("content-type", "application/json")];
        let answer = self.http.request("POST", &url, &headers, body.to_string()).await?;
        if answer.status < 300 {
            return Ok(());
        }
        Err(Failure::Stack(format!("POST {path}: {} {}", answer.status, answer.body)))
    }

    /// Posts `requests` of `batch` events each, spread over `customers`; waits until they are
    /// folded. One request in ten has an event that a live journey names.
    pub(super) async fn events(
        &self,
        requests: usize,
        customers: usize,
        batch: usize,
    ) -> Result<(), Failure> {
        let posts = (0..requests).map(|request| async move {
            let events: Vec<Value> = (0..batch)
                .map(|place| {
                    let named = request % 10 == 0 && place == 0;
                    let number = self.sent.fetch_add(1, Ordering::Relaxed);
                    json!({
                        "type": "track",
                        "userId": format!("customer-{}", request % customers),
                        "messageId": format!("bench-{number}"),
                        "event": if named { "Order Completed" } else { "Article Read" },
                        "timestamp": self.stack.now().to_string(),
                        "properties": properties(number),
                        "context": context(request % customers),
                    })
                })
                .collect();
            self.post("/v1/batch", &self.browser, &json!({"batch": events})).await
        });
        let done: Vec<Result<(), Failure>> =
            futures_util::stream::iter(posts).buffer_unordered(AT_ONCE).collect().await;
        done.into_iter().collect::<Result<(), Failure>>()?;
        self.stack.idle(self.stack.now()).await;
        Ok(())
    }

    /// Everybody of `who` does `event`.
    async fn each(&self, who: &str, event: &str) -> Result<(), Failure> {
        let at = self.stack.now().to_string();
        let events: Vec<Value> = (0..ENROLLED)
            .map(|n| {
                let number = self.sent.fetch_add(1, Ordering::Relaxed);
                json!({
                    "type": "track", "userId": format!("{who}-{n}"), "event": event,
                    "messageId": format!("bench-{number}"), "timestamp": at,
                })
            })
            .collect();
        self.post("/v1/batch", &self.browser, &json!({"batch": events})).await
    }

    /// Enrolls everybody in a journey of waits of `each`, lets it run to its end, and returns what
    /// that took and how many wakes there were.
    pub(super) async fn steps(&self, event: &str, each: Span) -> Result<(Usage, usize), Failure> {
        self.reset();
        self.each("walker", event).await?;
        let all = Span::from_ms(each.ms() * (super::cost::STEPS as u64 + 2));
        let end = self.stack.now().plus(all);
        // Time passes only while something is due, so the end is asked for until it has come.
        while self.stack.now() < end {
            self.stack.idle(end).await;
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        let usage = self.reset();
        let records = usage.invocations.get("JourneyFunction").map_or(0, |sum| sum.records);
        Ok((usage, usize::try_from(records).unwrap_or(0).saturating_sub(ENROLLED)))
    }

    /// Sends everybody of `who` one mail; returns what it took, and how many mails there were.
    pub(super) async fn sends(&self, who: &str) -> Result<(Usage, usize), Failure> {
        self.stack.idle(self.stack.now()).await;
        self.reset();
        let before = self.stack.mailbox().all().len();
        self.each(who, "Bench Mailed").await?;
        self.stack.idle(self.stack.now()).await;
        let sent = self.stack.mailbox().all().len() - before;
        if sent != ENROLLED {
            return Err(Failure::Stack(format!("{sent} mails were sent, expected {ENROLLED}")));
        }
        Ok((self.reset(), sent))
    }

    /// Everybody of `who` has an address and consents.
    pub(super) async fn consents(&self, who: &str) -> Result<(), Failure> {
        for n in 0..ENROLLED {
            let email = format!("{who}-{n}@bench.example");
            let body = json!({"userId": format!("{who}-{n}"), "traits": {"email": email}});
            self.post("/v1/identify", &self.browser, &body).await?;
            let body = json!({"email": email, "topic": "offers", "state": "granted"});
            self.post("/v1/consent", &self.server, &body).await?;
        }
        Ok(())
    }
}

/// What differs from event to event: about 300 bytes.
fn properties(number: usize) -> Value {
    let category = if number.is_multiple_of(3) { "Tents" } else { "Stoves" };
    json!({
        "article_id": format!("a-{}", number % 50),
        "title": format!("The {} best places to sleep outside", number % 97),
        "category": category,
        "url": format!("https://bench.example/journal/{}?from={}", number % 50, number % 13),
        "seconds": number % 600,
        "position": number % 24,
    })
}

/// What a browser's SDK repeats in every event of one visitor: about 600 bytes, as
/// `@segment/analytics-next` sends it.
fn context(customer: usize) -> Value {
    json!({
        "userAgent": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
        "locale": "en-GB",
        "timezone": "Europe/Berlin",
        "library": {"name": "analytics.js", "version": "next-1.81.0"},
        "page": {
            "path": "/journal", "referrer": "https://www.example.org/", "search": "",
            "title": "Journal", "url": "https://bench.example/journal",
        },
        "campaign": {"name": "spring", "source": "newsletter", "medium": "email"},
        "screen": {"width": 1728, "height": 1117, "density": 2},
        "sessionId": format!("session-{customer}-{}", customer * 7919 % 10_007),
    })
}
