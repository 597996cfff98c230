//! What the client is told, by status.
//!
//! SDKs drop for good what is answered with 400, and retry 429 and 5xx; so 400 is only for what
//! can never succeed, and 200 only for what is durably on the bus.

use super::route::Miss;
use super::{BodyError, Refused};
use crate::catalog::CatalogError;
use odyssey_domain::event::problem::Refusal;
use odyssey_domain::time::Span;
use serde::Serialize;

/// After how long a client may try again what could not be stored.
const RETRY_AFTER: Span = Span::from_ms(5_000);
/// After how long a client may try again while no workspace is published.
const RETRY_AFTER_PUBLISHING: Span = Span::from_ms(60_000);
/// How long a browser may remember a preflight: a day, of which Chrome keeps two hours.
const PREFLIGHT_SECONDS: &str = "86400";
/// Refused items that are told one by one; more are only counted.
const REJECTED_MAX: usize = 1_000;
/// Refused items whose reasons are in the log line.
const LOGGED_MAX: usize = 20;

/// An HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// 200, 204, 400, 401, 404, 405, 413, 415 or 503.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// JSON, or nothing.
    pub body: String,
    /// Events on the bus.
    pub accepted: usize,
    /// Events refused.
    pub refused: usize,
}

/// What became of a request that could be read.
#[derive(Debug)]
pub struct Told {
    /// API Gateway's id of it.
    pub request: String,
    /// The source it came through.
    pub source: String,
    /// Events on the bus.
    pub accepted: usize,
    /// The others.
    pub refused: Vec<Refusal>,
}

#[derive(Serialize)]
struct Rejected {
    index: usize,
    reason: String,
}

#[derive(Serialize)]
struct Answer<'a> {
    success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rejected: Vec<Rejected>,
    #[serde(rename = "rejectedBeyond", skip_serializing_if = "Option::is_none")]
    rejected_beyond: Option<usize>,
}

impl<'a> Answer<'a> {
    const fn failure(code: &'a str, message: &'a str) -> Answer<'a> {
        Answer {
            success: false,
            code: Some(code),
            message: Some(message),
            rejected: Vec::new(),
            rejected_beyond: None,
        }
    }

    fn text(&self) -> String {
        // Strings and numbers always serialise.
        serde_json::to_string(self).unwrap_or_else(|_| r#"{"success":false}"#.to_owned())
    }
}

impl Reply {
    pub(super) fn json(status: u16, body: String) -> Reply {
        let headers = vec![
            ("content-type", "application/json".to_owned()),
            ("access-control-allow-origin", "*".to_owned()),
            ("access-control-expose-headers", "Retry-After".to_owned()),
        ];
        Reply { status, headers, body, accepted: 0, refused: 0 }
    }

    fn with(mut self, name: &'static str, value: String) -> Reply {
        self.headers.push((name, value));
        self
    }

    fn failure(status: u16, code: &str, message: &str) -> Reply {
        Reply::json(status, Answer::failure(code, message).text())
    }

    fn retried(code: &str, message: &str, after: Span) -> Reply {
        Reply::failure(503, code, message).with("retry-after", after.seconds_up().to_string())
    }

    /// A preflight's answer; API Gateway gives the same from the template before it asks us.
    pub(super) fn preflight() -> Reply {
        Reply {
            status: 204,
            headers: vec![
                ("access-control-allow-origin", "*".to_owned()),
                ("access-control-allow-methods", "GET, POST, OPTIONS".to_owned()),
                (
                    "access-control-allow-headers",
                    "authorization, content-type, anonymousid, x-retry-count".to_owned(),
                ),
                ("access-control-expose-headers", "Retry-After".to_owned()),
                ("access-control-max-age", PREFLIGHT_SECONDS.to_owned()),
            ],
            body: String::new(),
            accepted: 0,
            refused: 0,
        }
    }

    /// HEAD is GET without the body.
    pub(super) fn without_body(mut self) -> Reply {
        self.body.clear();
        self
    }

    pub(super) fn missed(miss: &Miss) -> Reply {
        match miss {
            Miss::Path => Reply::failure(
                404,
                "not_found",
                "there is nothing at this path; events are posted to /v1/track, /v1/identify, \
                 /v1/page, /v1/screen, /v1/group, /v1/alias, /v1/batch or /v1/import",
            ),
            Miss::Method { allowed } => {
                let message = format!("this path takes {allowed}");
                Reply::failure(405, "method_not_allowed", &message)
                    .with("allow", (*allowed).to_owned())
            }
        }
    }

    pub(super) fn accepted(told: &Told) -> Reply {
        told.log();
        let (accepted, refused) = (told.accepted, told.refused.len());
        let everything_refused = accepted == 0 && refused > 0;
        let rejected = told.refused.iter().take(REJECTED_MAX).map(|refusal| Rejected {
            index: refusal.index.unwrap_or(0),
            reason: refusal.to_string(),
        });
        let first = told.refused.first().filter(|_| everything_refused).map(ToString::to_string);
        let answer = Answer {
            success: !everything_refused,
            code: everything_refused.then_some("invalid_events"),
            message: first.as_deref(),
            rejected: rejected.collect(),
            rejected_beyond: refused.checked_sub(REJECTED_MAX).filter(|beyond| *beyond > 0),
        };
        let reply = Reply::json(if everything_refused { 400 } else { 200 }, answer.text());
        Reply { accepted, refused, ..reply }
    }

    pub(super) fn refused(refused: &Refused) -> Reply {
        let message = refused.to_string();
        match refused {
            Refused::NoWriteKey => Reply::failure(401, "no_write_key", &message),
            Refused::UnknownWriteKey => Reply::failure(401, "unknown_write_key", &message),
            Refused::Inflate(error) => match error {
                BodyError::Damaged { .. } => Reply::failure(400, "damaged_body", &message),
                BodyError::Encoding => Reply::failure(415, "unknown_encoding", &message),
                BodyError::Raw { .. } | BodyError::Inflated | BodyError::Event { .. } => {
                    Reply::failure(413, "too_large", &message)
                }
            },
            Refused::Body(_) => Reply::failure(400, "invalid_request", &message),
            Refused::NoHost => Reply::failure(400, "no_host", &message),
            Refused::Catalog(error) => {
                tracing::error!(cause = %error, "the workspace cannot be read");
                match error {
                    CatalogError::Unpublished => {
                        Reply::retried("unpublished", &message, RETRY_AFTER_PUBLISHING)
                    }
                    _ => unavailable(),
                }
            }
            Refused::Bus(_) | Refused::Left { .. } | Refused::Unwritable => {
                tracing::error!(cause = %refused, "events were not stored");
                unavailable()
            }
        }
    }
}

/// Says nothing of what is broken inside; the log does.
fn unavailable() -> Reply {
    Reply::retried("unavailable", "the events could not be stored; send them again", RETRY_AFTER)
}

impl Told {
    /// One line a request, with places and reasons, never content.
    fn log(&self) {
        if self.refused.is_empty() {
            return;
        }
        let reasons: Vec<String> =
            self.refused.iter().take(LOGGED_MAX).map(ToString::to_string).collect();
        tracing::warn!(
            request = %self.request,
            source = %self.source,
            accepted = self.accepted,
            refused = self.refused.len(),
            reasons = %reasons.join("; "),
            "events were refused"
        );
    }
}
