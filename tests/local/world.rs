//! The storefront on a running local stack with the real function binaries.

use crate::http::{Answer, call};
use http::Method;
use odyssey::publish::{build::build, directory};
use odyssey_domain::time::{Span, Stamp};
use odyssey_flows::catalog::publish;
use odyssey_local::{Build, Functions, LocalStack, Mail, Options};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::OnceCell;

/// Customer seconds in a second: an hour takes a second. Faster, and a busy machine lets a day pass
/// while a test looks away.
pub(crate) const RATE: u32 = 3_600;

/// The project's folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// The functions' binaries, built once for all tests of this process.
async fn binaries() -> BTreeMap<String, PathBuf> {
    static BUILT: OnceCell<BTreeMap<String, PathBuf>> = OnceCell::const_new();
    BUILT
        .get_or_init(async || Build::functions(&root()).unwrap().run(|_| {}).await.unwrap())
        .await
        .clone()
}

/// A running stack with `examples/storefront` published.
pub(crate) struct World {
    pub(crate) stack: LocalStack,
    pub(crate) browser_key: String,
    pub(crate) server_key: String,
}

impl World {
    pub(crate) async fn start() -> World {
        let functions = Functions::Binaries(binaries().await);
        let mut options = Options::of_workspace(&root(), functions).unwrap();
        options.rate = RATE;
        options.start = Some(Stamp::parse("2026-11-20T08:00:00Z").unwrap());
        // The domain that the storefront's mails are from.
        options.parameters.insert("MailIdentity".to_owned(), "northwind.example".to_owned());
        let stack = LocalStack::start(options).await.unwrap();
        let files = directory::read(&root().join("examples/storefront")).unwrap();
        let built = build(&files, stack.now()).unwrap();
        publish(&stack.tables(), &built.publication).await.unwrap();
        let keyring = stack.keyring().unwrap();
        World {
            browser_key: keyring.write_key("web", 1),
            server_key: keyring.write_key("backend", 1),
            stack,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.stack.api_url())
    }

    /// Posts one call of the tracking API with the browser's key; it must be accepted.
    pub(crate) async fn browser(&self, path: &str, body: &Value) {
        let answer = self.post(path, &self.browser_key, body.to_string()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    pub(crate) async fn post(&self, path: &str, key: &str, body: impl Into<Vec<u8>>) -> Answer {
        call(Method::POST, &self.url(path)).key(key).body(body).send().await
    }

    /// A track call of `user`, stamped now.
    pub(crate) async fn track(&self, user: &str, event: &str, properties: Value) {
        let at = self.stack.now().to_string();
        let body = json!({
            "type": "track", "userId": user, "event": event, "properties": properties,
            "timestamp": at, "messageId": format!("{user}-{event}-{at}"),
        });
        self.browser("/v1/track", &body).await;
    }

    /// Signs `user` up: identify, a consent request, and the click on the link in the mail.
    pub(crate) async fn sign_up(&self, user: &str, email: &str) {
        let body = json!({
            "userId": user, "traits": {"email": email, "first_name": "Ann"},
            "messageId": format!("{user}-identify"),
        });
        self.browser("/v1/identify", &body).await;
        self.track(user, "Consent Requested", json!({"topic": "offers", "email": email})).await;
        self.settle().await;
        let mails = self.stack.mailbox().to(email);
        let link = self.link(mails.last().unwrap(), "/c/");
        let answer = call(Method::POST, &link).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// The first link in a mail's text whose path begins with `path`.
    pub(crate) fn link(&self, mail: &Mail, path: &str) -> String {
        let start = self.url(path);
        let from = mail.text.find(&start).unwrap_or_else(|| panic!("no {path} link in a mail"));
        let rest = &mail.text[from..];
        let end = rest.find(|c: char| c.is_whitespace() || c == ')' || c == '>');
        rest[..end.unwrap_or(rest.len())].to_owned()
    }

    pub(crate) fn mails(&self, email: &str) -> Vec<Arc<Mail>> {
        self.stack.mailbox().to(email)
    }

    pub(crate) fn subjects(&self, email: &str) -> Vec<String> {
        self.mails(email).iter().map(|mail| mail.subject.clone()).collect()
    }

    /// Waits until everything that is on its way has arrived.
    pub(crate) async fn settle(&self) {
        self.stack.idle(self.stack.now()).await;
    }

    /// Waits until everything due within `span` has happened.
    pub(crate) async fn pass(&self, span: Span) {
        self.stack.idle(self.stack.now().plus(span)).await;
    }
}
