//! The local stack's own pages: a shop to try it, the mailbox, why each mail was sent, customers, and
//! the tracking plan.
//!
//! They are for one machine: they show addresses and mails to whoever can reach the port, which
//! listens on loopback alone.

pub mod customers;
mod feed;
mod plan;
mod why;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use odyssey_domain::catalog::{SourceName, TopicKind};
use odyssey_domain::signal::Threshold;
use odyssey_domain::time::Span;
use odyssey_domain::wire::SourceKind;
use odyssey_domain::workspace::Workspace;
use odyssey_local::Stack;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

const FRAME: &str = include_str!("frame.html");
const SHOP: &str = include_str!("shop.html");
const MAIL: &str = include_str!("mail.html");
/// The style of every page.
pub const STYLE: &str = include_str!("style.css");
/// The browser snippet, as any static host would serve it.
const SNIPPET: &str = include_str!("../../../web/odyssey.js");

/// What the pages need of the workspace.
#[derive(Debug, Clone)]
pub struct Shown {
    brand: String,
    /// The browser source, with its key's generation.
    source: Option<(SourceName, u32)>,
    /// The marketing topic to subscribe to.
    topic: Option<(String, String)>,
    cart_silence: Span,
    speed: u32,
}

impl Shown {
    /// What the pages show of a workspace whose time runs `speed` times as fast.
    #[must_use]
    pub fn new(workspace: &Workspace, speed: u32) -> Shown {
        let settings = &workspace.settings;
        let browser = settings.sources.iter().find(|(_, s)| s.kind == SourceKind::Browser);
        let topic = settings.topics.iter().find(|(_, topic)| topic.kind == TopicKind::Marketing);
        let cart_silence = match settings.signals.get("Cart Abandoned") {
            Some(Threshold::After(span)) => *span,
            _ => Span::HOUR.times(4),
        };
        Shown {
            brand: settings.brand.name.clone(),
            source: browser.map(|(name, source)| (name.clone(), source.key_generation)),
            topic: topic.map(|(id, topic)| (id.to_string(), topic.title.clone())),
            cart_silence,
            speed: speed.max(1),
        }
    }

    /// Customers' time in the visitor's: `8 seconds`.
    fn real(&self, span: Span) -> String {
        let seconds = span.ms() / u64::from(self.speed) / 1_000;
        match seconds {
            0 | 1 => "a second".to_owned(),
            2..=119 => format!("{seconds} seconds"),
            120..=7_199 => format!("{} minutes", seconds / 60),
            _ => format!("{} hours", seconds / 3_600),
        }
    }
}

#[derive(Clone)]
struct Pages {
    stack: Stack,
    shown: Arc<Shown>,
}

/// The pages, beside a stack's API.
pub fn router(stack: &Stack, shown: Shown) -> Router {
    let pages = Pages { stack: stack.clone(), shown: Arc::new(shown) };
    Router::new()
        .route("/", get(|| async { Redirect::temporary("/shop") }))
        .route("/shop", get(shop))
        .route("/mail", get(mail))
        .route("/plan", get(plan::page))
        .route("/messages/{id}/why", get(why::page))
        .route("/customers", get(customers::look_up))
        .route("/customers/{id}", get(customers::page))
        .route("/odyssey.js", get(snippet))
        .route("/_odyssey/style.css", get(style))
        .route("/_odyssey/mails", get(mails))
        .route("/_odyssey/mails/{id}", get(one_mail))
        .route(crate::tail::FEED_PATH, get(feed::stream))
        .with_state(pages)
}

/// Text for HTML.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

impl Pages {
    fn frame(&self, title: &str, current: &str, body: &str) -> Html<String> {
        Html(framed(&self.shown, title, current, body))
    }
}

/// A whole page around a body.
#[must_use]
pub fn framed(shown: &Shown, title: &str, current: &str, body: &str) -> String {
    let mark = |page: &str| if page == current { " aria-current=\"page\"" } else { "" };
    let hour = shown.real(Span::HOUR);
    let time = match shown.speed {
        1 => "Time is real.".to_owned(),
        _ => format!("An hour of the customers' takes {hour} of yours."),
    };
    // What customers wrote goes last: it may hold what looks like a placeholder.
    FRAME
        .replace("{brand}", &escape(&shown.brand.to_uppercase()))
        .replace("{shop}", mark("shop"))
        .replace("{mail}", mark("mail"))
        .replace("{plan}", mark("plan"))
        .replace("{customers}", mark("customers"))
        .replace("{time}", &time)
        .replace("{title}", &escape(&title.replace(['{', '}'], "")))
        .replace("{body}", body)
}

/// What a page that runs no script may load and do: nothing but its style and its own forms.
pub const WITHOUT_SCRIPT: &str = "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; frame-ancestors 'self'; base-uri 'none'";

/// A page that shows what customers wrote: whatever slips through as markup runs nothing.
fn without_script(page: Html<String>) -> Response {
    let headers = [
        (header::CONTENT_SECURITY_POLICY, WITHOUT_SCRIPT),
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, page).into_response()
}

async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}

async fn snippet() -> Response {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], SNIPPET).into_response()
}

async fn shop(State(pages): State<Pages>) -> Response {
    let shown = &pages.shown;
    let Some((source, generation)) = &shown.source else {
        let body = "<h1>No browser source</h1><p>workspace.yaml has no source of kind browser, so this page could post nothing.</p>";
        return pages.frame("Shop", "shop", body).into_response();
    };
    let Ok(keys) = pages.stack.keyring() else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let after = shown.real(shown.cart_silence);
    let (topic, title) = shown.topic.clone().unwrap_or_default();
    let config = json!({
        "writeKey": keys.write_key(source.as_str(), *generation),
        "topic": topic,
        "topicTitle": title,
        "cartHint": format!("Now do nothing. After {} of silence, which is {after} of your time, the reminder goes out.", shown.cart_silence),
    });
    let wait = format!(
        "time runs {} times as fast here, so the abandoned-cart mail arrives after {after} instead of {}.",
        shown.speed, shown.cart_silence
    );
    // `</script>` must not end the element.
    let config = config.to_string().replace('<', "\\u003c");
    let body = SHOP
        .replace("{wait}", &wait)
        .replace("{topic}", &escape(&title.to_lowercase()))
        .replace("{config}", &config);
    pages.frame(&format!("{}: shop", shown.brand), "shop", &body).into_response()
}

async fn mail(State(pages): State<Pages>) -> Html<String> {
    pages.frame("Mailbox", "mail", MAIL)
}

#[derive(Deserialize)]
struct Whose {
    to: Option<String>,
}

/// All mails or one address's, newest first, without their content.
async fn mails(State(pages): State<Pages>, Query(whose): Query<Whose>) -> Response {
    let mailbox = pages.stack.mailbox();
    let found = match &whose.to {
        Some(address) => mailbox.to(address),
        None => mailbox.all(),
    };
    let list: Vec<_> = found
        .iter()
        .rev()
        .map(|mail| {
            json!({"id": mail.id, "at": mail.at.to_string(), "to": mail.to, "subject": mail.subject})
        })
        .collect();
    axum::Json(list).into_response()
}

async fn one_mail(State(pages): State<Pages>, Path(id): Path<String>) -> Response {
    match pages.stack.mailbox().get(&id) {
        Some(mail) => axum::Json(json!({
            "id": mail.id, "at": mail.at.to_string(), "from": mail.from, "to": mail.to,
            "subject": mail.subject, "html": mail.html, "text": mail.text,
            "headers": mail.headers, "tags": mail.tags,
        }))
        .into_response(),
        None => (StatusCode::NOT_FOUND, "no such mail").into_response(),
    }
}
