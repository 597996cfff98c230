//! Playing a story: each customer's deeds in order, all customers side by side.

use super::deed::{Deed, Follows, Request, fill};
use super::story::{Customer, Story};
use super::telling::Telling;
use crate::Failure;
use crate::http::{Answer, Http, basic};
use crate::standing::Standing;
use odyssey_domain::time::Stamp;
use odyssey_domain::wire::SourceKind;
use odyssey_local::{Mail, Stack};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How often one asks again for a mail whose link is to be followed, and how long.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const LOOK_TIMES: usize = 400;
/// How often a request that the API cannot take yet is posted again, as SDKs do.
const POSTS: usize = 5;

struct Player {
    stack: Stack,
    http: Http,
    midnight: Stamp,
    write_keys: BTreeMap<String, String>,
    /// The sources whose requests are a browser's.
    browsers: BTreeSet<String>,
    customer: Customer,
    /// Whether the browser knows the user id, which it keeps.
    signed_in: bool,
}

/// Plays the whole story.
///
/// # Errors
/// Where a deed is refused.
pub(super) async fn story(
    standing: &Standing,
    story: &Story,
    telling: &Telling,
) -> Result<(), Failure> {
    let sources = &standing.built.publication.catalog.sources;
    let browsers = sources.iter().filter(|(_, source)| source.kind == SourceKind::Browser);
    let browsers: BTreeSet<String> = browsers.map(|(name, _)| name.to_string()).collect();
    let mut tasks = tokio::task::JoinSet::new();
    for (who, customer) in &story.cast {
        let deeds: Vec<(Stamp, Deed)> =
            story.deeds.iter().filter(|(_, deed)| deed.who == *who).cloned().collect();
        let mut player = Player {
            stack: (*standing.stack).clone(),
            http: Http::new(),
            midnight: story.midnight,
            write_keys: standing.write_keys.clone(),
            browsers: browsers.clone(),
            signed_in: customer.signed_in,
            customer: customer.clone(),
        };
        let teller = telling.teller();
        tasks.spawn(async move {
            for (at, deed) in deeds {
                player.stack.clock().until(at).await;
                teller.deed(player.stack.now(), &deed.who, &deed.says);
                player.act(&deed).await?;
            }
            Ok::<(), Failure>(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(|error| Failure::Stack(error.to_string()))??;
    }
    Ok(())
}

impl Player {
    async fn act(&mut self, deed: &Deed) -> Result<(), Failure> {
        match (&deed.request, deed.follows) {
            (Some(request), _) => must(deed, &self.post(request).await?)?,
            (None, Some(Follows::Confirm)) => must(deed, &self.confirm().await?)?,
            (None, Some(Follows::Unsubscribe)) => must(deed, &self.unsubscribe().await?)?,
            (None, None) => {
                for request in self.requests(deed)? {
                    must(deed, &self.post(&request).await?)?;
                }
            }
        }
        Ok(())
    }

    /// What the source of a deed posts, as its SDK does, but for `sentAt`: at this speed the
    /// milliseconds of a request would pass for a clock that is minutes off.
    fn requests(&mut self, deed: &Deed) -> Result<Vec<Request>, Failure> {
        let Some(source) = &deed.from else { return Ok(Vec::new()) };
        if !self.write_keys.contains_key(source) {
            let (who, says) = (&deed.who, &deed.says);
            return Err(Failure::Asked(format!("{who} {says}: no source is called {source}")));
        }
        if let Some(topic) = &deed.grants {
            let body = json!({"email": self.customer.email, "topic": topic, "state": "granted"});
            return Ok(vec![of_server("/v1/consent", source, body)]);
        }
        let browser = self.browsers.contains(source);
        let messages = deed.messages(&self.customer, browser, &mut self.signed_in);
        if !browser {
            let body = json!({"batch": messages});
            return Ok(vec![of_server("/v1/batch", source, body)]);
        }
        let one = |mut message: Value| {
            let path = match message["type"].as_str() {
                Some("identify") => "/v1/i",
                Some("page") => "/v1/p",
                _ => "/v1/t",
            };
            message["writeKey"] = format!("@{source}").into();
            Request {
                method: "POST".to_owned(),
                path: path.to_owned(),
                source: None,
                headers: [("content-type".to_owned(), "text/plain".to_owned())].into(),
                body: message,
            }
        };
        Ok(messages.into_iter().map(one).collect())
    }

    async fn post(&self, request: &Request) -> Result<Answer, Failure> {
        let url = format!("{}{}", self.stack.api_url(), request.path);
        let mut headers: Vec<(&str, &str)> =
            request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let key = request.source.as_ref().and_then(|source| self.write_keys.get(source));
        let authorization = key.map(|key| basic(key));
        if let Some(value) = &authorization {
            headers.push(("authorization", value));
        }
        let mut answer = None;
        let _busy = self.stack.busy();
        for _ in 0..POSTS {
            let now = self.stack.now();
            let body = fill(&request.body, self.midnight, now, &self.write_keys).to_string();
            let got = self.http.request(&request.method, &url, &headers, body).await?;
            let again = got.status == 429 || got.status >= 500;
            answer = Some(got);
            if !again {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        answer.ok_or_else(|| Failure::Stack("nothing was posted".to_owned()))
    }

    /// The customer's last mail that `found` takes something from, as soon as there is one.
    async fn mail<T>(&self, what: &str, found: impl Fn(&Mail) -> Option<T>) -> Result<T, Failure> {
        for _ in 0..LOOK_TIMES {
            let mails: Vec<Arc<Mail>> = self.stack.mailbox().to(&self.customer.email);
            if let Some(found) = mails.iter().rev().find_map(|mail| found(mail)) {
                return Ok(found);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Err(Failure::Stack(format!("no {what} came within {} s", LOOK_TIMES / 20)))
    }

    async fn confirm(&self) -> Result<Answer, Failure> {
        let base = format!("{}/c/", self.stack.api_url());
        let link = self
            .mail("confirmation mail", |mail| {
                let at = mail.text.find(&base)?;
                let rest = mail.text.get(at..)?;
                let end = rest.find(|c: char| c.is_whitespace() || c == ')');
                rest.get(..end.unwrap_or(rest.len())).map(str::to_owned)
            })
            .await?;
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let _busy = self.stack.busy();
        self.http.request("POST", &link, &form, String::new()).await
    }

    /// What a mail provider does when its reader clicks "unsubscribe" (RFC 8058).
    async fn unsubscribe(&self) -> Result<Answer, Failure> {
        let link = self
            .mail("mail with List-Unsubscribe", |mail| {
                let header = mail.header("List-Unsubscribe")?;
                let link = header.split(',').map(str::trim).find(|part| part.contains("http"))?;
                Some(link.trim_matches(['<', '>']).to_owned())
            })
            .await?;
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let body = "List-Unsubscribe=One-Click".to_owned();
        let _busy = self.stack.busy();
        self.http.request("POST", &link, &form, body).await
    }
}

fn of_server(path: &str, source: &str, body: Value) -> Request {
    Request {
        method: "POST".to_owned(),
        path: path.to_owned(),
        source: Some(source.to_owned()),
        headers: [("content-type".to_owned(), "application/json".to_owned())].into(),
        body,
    }
}

/// An answer that is none of the 2xx ends the story.
fn must(deed: &Deed, answer: &Answer) -> Result<(), Failure> {
    if (200..300).contains(&answer.status) {
        return Ok(());
    }
    let told: String = answer.body.chars().take(300).collect();
    let (who, says, status) = (&deed.who, &deed.says, answer.status);
    Err(Failure::Stack(format!("{who} {says}: the API answered {status} {told}")))
}
