//! The HTTP API that web properties post to: a drop-in for the Segment tracking API.
//!
//! A request is routed, inflated, authorised, parsed, and its events put on the bus; only then is
//! it acknowledged. What is wrong with one event of a batch costs that event alone.

mod body;
mod reply;
mod route;
mod settings;
mod write_key;

pub use body::BodyError;
pub use reply::{Reply, Told};
pub use route::{Call, Route};

use crate::catalog::{CatalogCache, CatalogError};
use crate::ports::{Bus, BusEntry, PortError, Tables};
use odyssey_domain::catalog::{Catalog, Source, SourceName};
use odyssey_domain::event::publish::{Origin, details};
use odyssey_domain::event::request::{self, EVENT_BYTES_MAX, Shape};
use odyssey_domain::event::unicode;
use odyssey_domain::keyring::Keyring;
use odyssey_domain::time::Stamp;
use odyssey_domain::wire::{SourceRef, detail_type, source};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// Calls to the bus that one request may have under way at once; a batch of thousands of customers
/// is thousands of entries, and the client waits.
const PUBLISH_WIDTH: usize = 8;
/// Fewer entries than this (the most of one call) are published in one go.
const PUBLISH_AT_ONCE: usize = 10;

/// An HTTP request, base64 undone.
#[derive(Clone, Default)]
pub struct ApiRequest {
    /// In capitals.
    pub method: String,
    /// `/v1/track`
    pub path: String,
    /// As it was sent, without the question mark.
    pub query: String,
    /// The `Authorization` header.
    pub authorization: Option<String>,
    /// The `Content-Encoding` header: a hint for messages, nothing more.
    pub content_encoding: Option<String>,
    /// The `Host` header.
    pub host: Option<String>,
    /// The `X-Forwarded-Proto` header.
    pub forwarded_proto: Option<String>,
    /// As it was sent.
    pub body: Vec<u8>,
    /// API Gateway's id of the request; makes ids of messages that have none.
    pub id: String,
}

impl fmt::Debug for ApiRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Paths, queries and headers hold write keys; bodies are personal data.
        f.debug_struct("ApiRequest")
            .field("method", &self.method)
            .field("id", &self.id)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// What accepting events needs of the world.
#[derive(Debug)]
pub struct Ingest<'a, T, B> {
    /// Where the catalog is read from.
    pub tables: &'a T,
    /// Where events go.
    pub bus: &'a B,
    /// What proves write keys.
    pub keyring: &'a Keyring,
    /// This process's copy of the catalog.
    pub catalog: &'a CatalogCache,
}

impl<T: Tables, B: Bus> Ingest<'_, T, B> {
    /// Answers a request that was received at `received`.
    pub async fn accept(&self, request: ApiRequest, received: Stamp) -> Reply {
        let head = request.method == "HEAD";
        let reply = match Route::of(&request.method, &request.path) {
            Ok(route) => self.answer(route, request, received).await,
            Err(miss) => Ok(Reply::missed(&miss)),
        };
        let reply = reply.unwrap_or_else(|refused| Reply::refused(&refused));
        if head { reply.without_body() } else { reply }
    }

    async fn answer(
        &self,
        route: Route,
        request: ApiRequest,
        received: Stamp,
    ) -> Result<Reply, Refused> {
        match route {
            Route::Health => Ok(Reply::json(200, r#"{"status":"ok"}"#.to_owned())),
            Route::Preflight => Ok(Reply::preflight()),
            Route::SegmentSettings { write_key } => {
                let (_, source) = self.source(&write_key, received).await?;
                let origin = settings::Origin::of(&request).ok_or(Refused::NoHost)?;
                Ok(Reply::json(200, settings::segment(&write_key, &origin, source.kind)))
            }
            Route::RudderSettings => {
                let key = write_key::of_request(&request).ok_or(Refused::NoWriteKey)?;
                let (name, _) = self.source(&key, received).await?;
                Ok(Reply::json(200, settings::rudder(&key, &name)))
            }
            Route::Events(call) => self.events(call, request, received).await,
        }
    }

    async fn events(
        &self,
        call: Call,
        request: ApiRequest,
        received: Stamp,
    ) -> Result<Reply, Refused> {
        // Asked first, because a stranger's body is not worth parsing.
        let known = match write_key::of_authorization(request.authorization.as_deref()) {
            Some(key) => Some(self.source(&key, received).await?),
            None => None,
        };
        let body = body::inflate(request.body, request.content_encoding.as_deref())?;
        let shape = match call {
            Call::Batch => Shape::Batch,
            Call::Single(_) if body.len() > EVENT_BYTES_MAX => {
                return Err(BodyError::Event { bytes: body.len() }.into());
            }
            Call::Single(kind) => Shape::Single(kind),
        };
        let body = unicode::to_text(body);
        let mut parsed = request::parse(&body, shape).map_err(Refused::Body)?;
        let (name, source) = if let Some(known) = known {
            known
        } else {
            let of_query = || write_key::of_query(&request.query).map(Cow::Owned);
            let key = parsed.write_key.clone().or_else(of_query).ok_or(Refused::NoWriteKey)?;
            self.source(&key, received).await?
        };
        parsed.believe(source.kind, shape);
        let source = SourceRef { name: name.to_string(), kind: source.kind };
        let origin = Origin { request: &request.id, received, source: &source };
        let details = details(&parsed.events, &origin).map_err(|_| Refused::Unwritable)?;
        self.publish(details).await?;
        Ok(Reply::accepted(&Told {
            request: request.id.clone(),
            source: source.name,
            accepted: parsed.events.len(),
            refused: parsed.refused,
        }))
    }

    /// The source whose write key this is.
    async fn source(
        &self,
        write_key: &str,
        received: Stamp,
    ) -> Result<(SourceName, Source), Refused> {
        let catalog: Arc<Catalog> =
            self.catalog.catalog(self.tables, received).await.map_err(Refused::Catalog)?;
        write_key::find(&catalog, self.keyring, write_key).ok_or(Refused::UnknownWriteKey)
    }

    /// Puts everything on the bus, or says that it could not.
    async fn publish(&self, details: Vec<String>) -> Result<(), Refused> {
        let entry = |detail| BusEntry {
            source: source::INGEST,
            detail_type: detail_type::EVENTS_ACCEPTED,
            detail,
        };
        let entries: Vec<BusEntry> = details.into_iter().map(entry).collect();
        let share = entries.len().div_ceil(PUBLISH_WIDTH).max(PUBLISH_AT_ONCE);
        let shares = entries.chunks(share).map(|share| self.bus.publish(share));
        let mut left = 0;
        for published in futures_util::future::join_all(shares).await {
            left += published.map_err(Refused::Bus)?.len();
        }
        if left == 0 { Ok(()) } else { Err(Refused::Left { left, of: entries.len() }) }
    }
}

/// Why a request is not acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// No write key anywhere.
    #[error(
        "expected a write key as the user name of Basic authorization, as `writeKey` in the body \
         or as `writeKey` in the query, found none"
    )]
    NoWriteKey,
    /// A write key of no source.
    #[error("this write key belongs to no source of the published workspace")]
    UnknownWriteKey,
    /// The body's size or compression.
    #[error(transparent)]
    Inflate(#[from] BodyError),
    /// The body is no request.
    #[error("{0}")]
    Body(odyssey_domain::event::problem::Refusal),
    /// An SDK asked for its settings without saying how it reached us.
    #[error("expected a Host header with a host name and an optional port, found none")]
    NoHost,
    /// The workspace cannot be read.
    #[error("{0}")]
    Catalog(CatalogError),
    /// The bus failed.
    #[error("{0}")]
    Bus(PortError),
    /// The bus did not take everything.
    #[error("{left} of {of} entries are not on the bus")]
    Left {
        /// Entries that are not.
        left: usize,
        /// All of them.
        of: usize,
    },
    /// An event could not be written.
    #[error("an event could not be written as JSON")]
    Unwritable,
}
