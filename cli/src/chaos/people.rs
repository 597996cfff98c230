//! The customers: each signs up, wants the journey, and does what customers do; over HTTP, with the
//! patience of an SDK.

use super::field::Field;
use crate::Failure;
use crate::http::Http;
use futures_util::StreamExt as _;
use odyssey_local::Clock;
use serde_json::{Value, json};
use std::time::Duration;

/// Requests under way at once.
const AT_ONCE: usize = 12;
/// How often a request is tried before the stack counts as gone.
const TRIES: u32 = 400;
/// Events that each customer does beside signing up and wanting the journey.
pub(super) const DEEDS: usize = 4;

/// Everybody so far.
#[derive(Debug, Default)]
pub(super) struct People {
    /// How many have come; their names are their numbers.
    pub(super) count: usize,
}

/// A customer's user id.
pub(super) fn name(number: usize) -> String {
    format!("customer-{number}")
}

/// A customer's address.
pub(super) fn address(number: usize) -> String {
    format!("customer-{number}@people.example")
}

impl People {
    /// So many more come; returns when all that they did is acknowledged.
    pub(super) async fn come(&mut self, field: &Field, more: usize) -> Result<(), Failure> {
        let stack = field.stack()?;
        let keys = stack.keyring().map_err(|error| Failure::Stack(error.to_string()))?;
        let client = Client {
            http: Http::new(),
            url: stack.api_url().to_owned(),
            browser: keys.write_key("web", 1),
            server: keys.write_key("backend", 1),
        };
        let all = (self.count..self.count + more).map(|number| client.one(number, stack.clock()));
        let mut all = futures_util::stream::iter(all).buffer_unordered(AT_ONCE);
        while let Some(done) = all.next().await {
            done?;
            self.count += 1;
        }
        Ok(())
    }
}

struct Client {
    http: Http,
    url: String,
    browser: String,
    server: String,
}

impl Client {
    async fn one(&self, number: usize, clock: Clock) -> Result<(), Failure> {
        let (user, email) = (name(number), address(number));
        let event = |kind: &str, rest: Value| {
            let mut event = json!({
                "userId": user, "timestamp": clock.now().to_string(), "messageId": format!("{user}-{kind}"),
            });
            if let (Some(event), Some(rest)) = (event.as_object_mut(), rest.as_object()) {
                event.extend(rest.clone());
            }
            event
        };
        let identify = event("identify", json!({"type": "identify", "traits": {"email": email}}));
        self.post("/v1/batch", &self.browser, &json!({"batch": [identify]})).await?;
        let consent = json!({"email": email, "topic": "offers", "state": "granted"});
        self.post("/v1/consent", &self.server, &consent).await?;
        let mut deeds: Vec<Value> = (0..DEEDS)
            .map(|n| {
                let rest =
                    json!({"type": "track", "event": "Article Read", "properties": {"n": n}});
                event(&format!("read-{n}"), rest)
            })
            .collect();
        let wanted = json!({"type": "track", "event": "Journey Wanted"});
        deeds.push(event("wanted", wanted));
        self.post("/v1/batch", &self.browser, &json!({"batch": deeds})).await
    }

    /// Posts until it is acknowledged, as an SDK does that keeps its queue. The message ids stay the
    /// same, so that what was taken before counts once.
    async fn post(&self, path: &str, key: &str, body: &Value) -> Result<(), Failure> {
        let url = format!("{}{path}", self.url);
        let mut body = body.clone();
        if let Some(body) = body.as_object_mut() {
            body.insert("writeKey".to_owned(), Value::from(key));
        }
        let headers = [("content-type", "application/json")];
        let mut last = String::new();
        for attempt in 0..TRIES {
            match self.http.request("POST", &url, &headers, body.to_string()).await {
                Ok(answer) if answer.status < 300 => return Ok(()),
                Ok(answer) if answer.status == 429 || answer.status >= 500 => {
                    last = format!("{} {}", answer.status, answer.body);
                }
                Ok(answer) => {
                    let told = format!("POST {path}: {} {}", answer.status, answer.body);
                    return Err(Failure::Stack(told));
                }
                Err(error) => last = error.to_string(),
            }
            tokio::time::sleep(Duration::from_millis(50 * u64::from(attempt.min(20) + 1))).await;
        }
        Err(Failure::Stack(format!("POST {path}: not acknowledged after {TRIES} tries: {last}")))
    }
}
