//! Playing the day: each shopper's deeds in order, all shoppers side by side.

use super::day::{Day, Deed, Follows, Request, fill};
use super::story::Story;
use crate::Failure;
use crate::http::{Answer, Http, basic};
use crate::standing::Standing;
use odyssey_domain::time::Stamp;
use odyssey_local::{Mail, Stack};
use std::collections::BTreeMap;
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
    email: String,
}

/// Has the API answer once, so that the day does not begin with a cold start.
///
/// # Errors
/// Where it does not answer.
pub(super) async fn warm(standing: &Standing) -> Result<(), Failure> {
    let Some(key) = standing.write_keys.values().next() else { return Ok(()) };
    let url = format!("{}/v1/projects/{key}/settings", standing.stack.api_url());
    Http::new().request("GET", &url, &[], String::new()).await.map(drop)
}

/// Plays the whole day.
///
/// # Errors
/// Where a deed is refused.
pub(super) async fn day(standing: &Standing, day: &Day, story: &Story) -> Result<(), Failure> {
    let mut tasks = tokio::task::JoinSet::new();
    for (who, shopper) in &day.expected.shoppers {
        let deeds: Vec<(Stamp, Deed)> =
            day.deeds.iter().filter(|(_, deed)| deed.shopper == *who).cloned().collect();
        let player = Player {
            stack: (*standing.stack).clone(),
            http: Http::new(),
            midnight: day.midnight,
            write_keys: standing.write_keys.clone(),
            email: shopper.email.clone(),
        };
        let teller = story.teller();
        tasks.spawn(async move {
            for (at, deed) in deeds {
                let wait = player.stack.clock().real(at.since(player.stack.now()));
                tokio::time::sleep(wait).await;
                teller.deed(player.stack.now(), &deed.shopper, &deed.says);
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
    async fn act(&self, deed: &Deed) -> Result<(), Failure> {
        let answer = match (&deed.request, deed.follows) {
            (Some(request), _) => self.post(request).await?,
            (None, Some(Follows::Confirm)) => self.confirm().await?,
            (None, Some(Follows::Unsubscribe)) => self.unsubscribe().await?,
            (None, None) => return Ok(()),
        };
        if (200..300).contains(&answer.status) {
            return Ok(());
        }
        let told: String = answer.body.chars().take(300).collect();
        Err(Failure::Stack(format!(
            "{} {}: the API answered {} {told}",
            deed.shopper, deed.says, answer.status
        )))
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

    /// The shopper's last mail that `found` takes something from, as soon as there is one.
    async fn mail<T>(&self, what: &str, found: impl Fn(&Mail) -> Option<T>) -> Result<T, Failure> {
        for _ in 0..LOOK_TIMES {
            let mails: Vec<Arc<Mail>> = self.stack.mailbox().to(&self.email);
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
        self.http.request("POST", &link, &form, body).await
    }
}
