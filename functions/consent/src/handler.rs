//! Routes: the pages behind the links, and the consent API.
//!
//! | route | what it does |
//! | --- | --- |
//! | `GET /c/{token}`, `GET /u/{token}` | a page with a button; changes nothing |
//! | `POST /c/{token}` | confirms the address and the topic |
//! | `POST /u/{token}` | withdraws the topic; with `List-Unsubscribe=One-Click` (RFC 8058) in plain text |
//! | `POST /v1/consent` | `email`, `topic`, `state`, `userId` (optional); a server's write key |
//! | `GET /v1/consent?email=` | what is known of the address; a server's write key |
//! | `POST /v1/consent/request` | `email`, `topic`; any write key; asks the address's owner |
//!
//! No answer but the server's own read reveals whether an address is known.

use crate::auth::{Caller, caller};
use crate::fields::{Fields, FieldsError};
use crate::words::Words;
use odyssey_aws::lambda::{HttpRequest, HttpResponse};
use odyssey_domain::catalog::Catalog;
use odyssey_domain::contact::{ConsentState, SuppressionReason, TopicId};
use odyssey_domain::keyring::{Keyring, Purpose};
use odyssey_domain::message::link::{Link, LinkError};
use odyssey_domain::personal::{EmailAddress, UserId};
use odyssey_domain::time::Stamp;
use odyssey_domain::wire::{BUS_SCHEMA, ConsentRequested, SourceKind};
use odyssey_flows::catalog::CatalogCache;
use odyssey_flows::ports::{Bus, Tables};
use odyssey_flows::set_consent::{self, Change, ConsentError, Manner};
use serde_json::json;
use std::sync::Arc;

/// The longest path that is looked at: a token and what leads to it.
const PATH_BYTES_MAX: usize = 1_024;

/// What every request needs; one per process.
#[derive(Debug)]
pub(crate) struct Door<T, B> {
    tables: T,
    bus: B,
    keys: Keyring,
    catalog: CatalogCache,
}

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
enum Route<'a> {
    Preflight,
    Show(Purpose, &'a str),
    Act(Purpose, &'a str),
    Set,
    Read,
    Request,
    WrongMethod(&'static str),
    Unknown,
}

fn route(request: &HttpRequest) -> Route<'_> {
    let (method, path) = (request.method.as_str(), request.path.trim_end_matches('/'));
    if path.len() > PATH_BYTES_MAX {
        return Route::Unknown;
    }
    if method == "OPTIONS" {
        return Route::Preflight;
    }
    let link = [("/c/", Purpose::Confirm), ("/u/", Purpose::Unsubscribe)]
        .into_iter()
        .find_map(|(start, purpose)| Some((purpose, path.strip_prefix(start)?)));
    match (link, path, method) {
        (Some((purpose, token)), _, "GET" | "HEAD") => Route::Show(purpose, token),
        (Some((purpose, token)), _, "POST") => Route::Act(purpose, token),
        (Some(_), _, _) => Route::WrongMethod("GET, HEAD, POST"),
        (None, "/v1/consent", "GET") => Route::Read,
        (None, "/v1/consent", "POST") => Route::Set,
        (None, "/v1/consent", _) => Route::WrongMethod("GET, POST"),
        (None, "/v1/consent/request", "POST") => Route::Request,
        (None, "/v1/consent/request", _) => Route::WrongMethod("POST"),
        _ => Route::Unknown,
    }
}

/// An answer of the API that is not a success.
fn refused(status: u16, message: &str) -> HttpResponse {
    let body = json!({ "success": false, "message": message }).to_string();
    let answer = api(HttpResponse::json(status, body));
    match status {
        401 => answer.with("www-authenticate", "Basic realm=\"write key\""),
        503 => answer.with("retry-after", "5"),
        _ => answer,
    }
}

/// The headers of every answer of the API; a shop's page on another host may read it.
fn api(answer: HttpResponse) -> HttpResponse {
    answer
        .with("access-control-allow-origin", "*")
        .with("access-control-expose-headers", "Retry-After")
        .with("cache-control", "no-store")
}

fn unavailable() -> HttpResponse {
    refused(503, "not available for the moment; try again")
}

impl<T: Tables, B: Bus> Door<T, B> {
    pub(crate) fn new(tables: T, bus: B, keys: Keyring, catalog: CatalogCache) -> Door<T, B> {
        Door { tables, bus, keys, catalog }
    }

    /// Answers one request.
    pub(crate) async fn handle(&self, request: HttpRequest, now: Stamp) -> HttpResponse {
        match route(&request) {
            Route::Preflight => api(HttpResponse::empty(204))
                .with("access-control-allow-methods", "GET, POST, OPTIONS")
                .with("access-control-allow-headers", "authorization, content-type")
                .with("access-control-max-age", "86400"),
            Route::Show(purpose, token) => self.show(purpose, token, now).await,
            Route::Act(purpose, token) => self.act(purpose, token, &request, now).await,
            Route::Set => self.api(&request, now, Call::Set).await,
            Route::Read => self.api(&request, now, Call::Read).await,
            Route::Request => self.api(&request, now, Call::Request).await,
            Route::WrongMethod(allow) => {
                refused(405, &format!("expected {allow}")).with("allow", allow)
            }
            Route::Unknown => refused(404, "no such path"),
        }
    }

    // ---- pages -------------------------------------------------------------------------------

    async fn show(&self, purpose: Purpose, token: &str, now: Stamp) -> HttpResponse {
        let catalog = self.catalog.catalog(&self.tables, now).await.ok();
        let words = Words::new(catalog.as_deref());
        match Link::read(&self.keys, purpose, token, now) {
            Ok(link) => words.ask(purpose, &link.topic),
            Err(error) => words.broken(purpose, error),
        }
    }

    async fn act(
        &self,
        purpose: Purpose,
        token: &str,
        request: &HttpRequest,
        now: Stamp,
    ) -> HttpResponse {
        let fields = Fields::read(request).unwrap_or_default();
        // A mail program's button (RFC 8058 §3.2); a person's comes from the page.
        let one_click = purpose == Purpose::Unsubscribe
            && fields.get("List-Unsubscribe").is_some_and(|value| value == "One-Click");
        let catalog = self.catalog.catalog(&self.tables, now).await.ok();
        let words = Words::new(catalog.as_deref());
        let link = match Link::read(&self.keys, purpose, token, now) {
            Ok(link) => link,
            Err(error) if one_click => return plain(400, &error.to_string()),
            Err(error) => return words.broken(purpose, error),
        };
        let topic = link.topic.clone();
        let change = match purpose {
            Purpose::Confirm => Change::confirm(link),
            Purpose::Unsubscribe if one_click => Change::unsubscribe(link, Manner::OneClick),
            Purpose::Unsubscribe => Change::unsubscribe(link, Manner::UnsubscribePage),
        };
        match set_consent::change(&self.tables, &self.bus, &change, now).await {
            Ok(_) if one_click => plain(200, "unsubscribed"),
            Ok(_) => words.done(purpose, &topic),
            Err(ConsentError::Outdated) => words.broken(purpose, LinkError::Expired),
            Err(error) => {
                tracing::error!(%error, "a link could not be acted on");
                if one_click {
                    plain(503, "try again").with("retry-after", "5")
                } else {
                    words.later()
                }
            }
        }
    }

    // ---- API ---------------------------------------------------------------------------------

    async fn api(&self, request: &HttpRequest, now: Stamp, call: Call) -> HttpResponse {
        let fields = match Fields::read(request) {
            Ok(fields) => fields,
            Err(error @ FieldsError::TooLarge) => return refused(413, &error.to_string()),
            Err(error) => return refused(400, &error.to_string()),
        };
        let catalog = match self.catalog.catalog(&self.tables, now).await {
            Ok(catalog) => catalog,
            Err(error) => {
                tracing::error!(%error, "the workspace could not be read");
                return unavailable();
            }
        };
        let Some(caller) = caller(&catalog, &self.keys, request, &fields) else {
            return refused(
                401,
                "expected a write key of this workspace: as the user name of Basic authentication, or as `writeKey`",
            );
        };
        if call.needs_server() && caller.kind != SourceKind::Server {
            return refused(403, "expected a server's write key, found a browser's");
        }
        // A `+` of an address that was not escaped in a query has become a blank.
        let email = fields.get("email").map(|text| text.trim().replace(' ', "+"));
        let Some(email) = email.and_then(|text| EmailAddress::parse(&text).ok()) else {
            return refused(400, "email: expected an e-mail address");
        };
        let asked = Asked { catalog, caller, email, fields };
        match call {
            Call::Read => self.read(&asked).await,
            Call::Set => self.set(&asked, now).await,
            Call::Request => self.request(&asked, request, now).await,
        }
    }

    async fn read(&self, asked: &Asked) -> HttpResponse {
        let contact = self.keys.contact_key(&asked.email);
        let contact = match set_consent::read(&self.tables, contact).await {
            Ok(contact) => contact,
            Err(error) => {
                tracing::error!(%error, "a contact could not be read");
                return unavailable();
            }
        };
        let topics: serde_json::Map<String, serde_json::Value> = contact
            .iter()
            .flat_map(|contact| &contact.consents)
            .map(|(topic, consent)| {
                let answer = json!({
                    "state": consent.state,
                    "at": consent.at.to_string(),
                    "via": consent.via,
                });
                (topic.to_string(), answer)
            })
            .collect();
        let verified = contact.as_ref().and_then(|contact| contact.verified);
        let suppression = contact.as_ref().and_then(|contact| contact.suppression.as_ref());
        let body = json!({
            "verified": verified.map(|at| at.to_string()),
            "suppressed": suppression.map(|suppression| json!({
                "reason": suppression_word(suppression.reason),
                "at": suppression.at.to_string(),
            })),
            "topics": topics,
        });
        api(HttpResponse::json(200, body.to_string()))
    }

    async fn set(&self, asked: &Asked, now: Stamp) -> HttpResponse {
        let topic = match asked.topic() {
            Ok(topic) => topic,
            Err(answer) => return answer,
        };
        let state = match asked.fields.get("state") {
            Some("granted") => ConsentState::Granted,
            Some("withdrawn") => ConsentState::Withdrawn,
            _ => return refused(400, "state: expected `granted` or `withdrawn`"),
        };
        let profile = match asked.fields.get("userId").map(UserId::parse) {
            None => None,
            Some(Ok(user)) => Some(self.keys.user_key(&user).into()),
            Some(Err(error)) => return refused(400, &format!("userId {error}")),
        };
        let change = Change {
            contact: self.keys.contact_key(&asked.email),
            profile,
            topic,
            state,
            manner: Manner::Api(asked.caller.source.clone()),
        };
        match set_consent::change(&self.tables, &self.bus, &change, now).await {
            Ok(consent) => {
                let body = json!({
                    "success": true,
                    "topic": change.topic,
                    "state": consent.state,
                    "at": consent.at.to_string(),
                    "via": consent.via,
                });
                api(HttpResponse::json(200, body.to_string()))
            }
            Err(error) => {
                tracing::error!(%error, "a consent could not be changed");
                if error.is_transient() { unavailable() } else { refused(409, &error.to_string()) }
            }
        }
    }

    async fn request(&self, asked: &Asked, http: &HttpRequest, now: Stamp) -> HttpResponse {
        let topic = match asked.topic() {
            Ok(topic) => topic,
            Err(answer) => return answer,
        };
        let request = ConsentRequested {
            v: BUS_SCHEMA,
            email: asked.email.clone(),
            topic,
            profile: None,
            at: now,
            via: "form".to_owned(),
        };
        if let Err(error) = set_consent::request(&self.bus, &request).await {
            tracing::error!(%error, "a request for consent could not be passed on");
            return unavailable();
        }
        // A form without a script shows what it gets.
        if http.header("accept").is_some_and(|accept| accept.contains("text/html")) {
            return Words::new(Some(&asked.catalog)).asked();
        }
        api(HttpResponse::json(202, json!({ "success": true }).to_string()))
    }
}

/// A call of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    Read,
    Set,
    Request,
}

impl Call {
    const fn needs_server(self) -> bool {
        match self {
            Call::Read | Call::Set => true,
            Call::Request => false,
        }
    }
}

/// A call whose caller and address are good.
struct Asked {
    catalog: Arc<Catalog>,
    caller: Caller,
    email: EmailAddress,
    fields: Fields,
}

impl Asked {
    fn topic(&self) -> Result<TopicId, HttpResponse> {
        let named = self.fields.get("topic").and_then(|text| TopicId::parse(text.trim()).ok());
        named.filter(|topic| self.catalog.topics.contains_key(topic)).ok_or_else(|| {
            let known: Vec<&str> = self.catalog.topics.keys().map(TopicId::as_str).collect();
            refused(400, &format!("topic: expected one of {}", known.join(", ")))
        })
    }
}

fn suppression_word(reason: SuppressionReason) -> &'static str {
    match reason {
        SuppressionReason::HardBounce => "hard_bounce",
        SuppressionReason::Complaint => "complaint",
        SuppressionReason::Manual => "manual",
    }
}

fn plain(status: u16, text: &str) -> HttpResponse {
    HttpResponse::text(status, format!("{text}\n")).with("cache-control", "no-store")
}

#[cfg(test)]
mod tests;
