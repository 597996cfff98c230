//! A record as stamped events, exactly as ingest would make them of a request at the time.

use odyssey_domain::event::problem::Problem;
use odyssey_domain::event::publish::{Origin, details};
use odyssey_domain::event::request::{Request, Shape, parse};
use odyssey_domain::event::{Event, EventKind, stamp};
use odyssey_domain::time::Stamp;
use odyssey_domain::wire::{EventsAccepted, SourceKind, SourceRef};
use serde::Deserialize;
use serde_json::value::RawValue;

const NO_TIME: &str = "no time: imported as it is, it would count as happening now";
const OTHER_TIME: &str = "timestamp: expected an ISO 8601 time such as 2026-01-02T03:04:05Z, or a number since 1970, found another";

/// Makes events of records.
#[derive(Debug)]
pub struct Calls {
    source: SourceRef,
}

/// What a record came to.
#[derive(Debug, Default)]
pub struct Called {
    /// Its events.
    pub events: Vec<Event>,
    /// What was refused of it, in words that say nothing of the content.
    pub refused: Vec<String>,
}

/// What has to be known of a record before it is read as a request.
#[derive(Deserialize, Default)]
struct Outline<'a> {
    #[serde(borrow, default, rename = "type", alias = "action")]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default)]
    event: Option<&'a RawValue>,
    #[serde(borrow, default)]
    batch: Option<&'a RawValue>,
    #[serde(borrow, default)]
    timestamp: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "originalTimestamp", alias = "original_timestamp")]
    original_timestamp: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "sentAt", alias = "sent_at")]
    sent_at: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "receivedAt", alias = "received_at")]
    received_at: Option<&'a RawValue>,
}

impl Outline<'_> {
    /// When it was received: an export says so, else the client's own times are the best guess.
    fn received(&self) -> Option<Stamp> {
        let all = [self.received_at, self.sent_at, self.timestamp, self.original_timestamp];
        all.into_iter().flatten().find_map(time).or_else(|| {
            let items: Vec<Outline<'_>> = serde_json::from_str(self.batch?.get()).ok()?;
            items.iter().filter_map(Outline::received).max()
        })
    }
}

fn time(raw: &RawValue) -> Option<Stamp> {
    match serde_json::from_str::<serde_json::Value>(raw.get()).ok()? {
        serde_json::Value::String(text) => stamp::read(&text),
        serde_json::Value::Number(number) => stamp::from_number(&number.to_string()),
        _ => None,
    }
}

impl Default for Calls {
    fn default() -> Self {
        Calls { source: SourceRef { name: "export".to_owned(), kind: SourceKind::Server } }
    }
}

impl Calls {
    /// The source that the events come through.
    #[must_use]
    pub fn source(&self) -> &SourceRef {
        &self.source
    }

    /// Reads a record.
    #[must_use]
    pub fn read(&self, json: &str, line: u64) -> Called {
        let outline: Outline<'_> = match serde_json::from_str(json) {
            Ok(outline) if json.starts_with('{') => outline,
            Ok(_) => return refused("not a JSON object"),
            Err(error) if error.is_data() => return refused("not a JSON object"),
            Err(error) => {
                return refused(&format!("malformed JSON at column {}", error.column()));
            }
        };
        let Some(received) = outline.received() else {
            let said = outline.timestamp.or(outline.original_timestamp);
            return refused(match said.map(RawValue::get) {
                None | Some("null" | "\"\"") => NO_TIME,
                Some(_) => OTHER_TIME,
            });
        };
        let request = if outline.batch.is_some() {
            parse(json, Shape::Batch)
        } else if outline.kind.is_none() && outline.event.is_some() {
            parse(json, Shape::Single(EventKind::Track))
        } else {
            let batch = format!("{{\"batch\":[{json}]}}");
            return match parse(&batch, Shape::Batch) {
                Ok(request) => self.stamp(&request, received, line),
                Err(refusal) => refused(&words(&refusal.problem, refusal.field)),
            };
        };
        match request {
            Ok(request) => self.stamp(&request, received, line),
            Err(refusal) => refused(&words(&refusal.problem, refusal.field)),
        }
    }

    fn stamp(&self, request: &Request<'_>, received: Stamp, line: u64) -> Called {
        let refused = request.refused.iter().map(|one| words(&one.problem, one.field)).collect();
        let name = format!("line-{line}");
        let origin = Origin { request: &name, received, source: &self.source };
        let mut called = Called { events: Vec::new(), refused };
        for detail in details(&request.events, &origin).unwrap_or_default() {
            match serde_json::from_str::<EventsAccepted>(&detail) {
                Ok(accepted) => called.events.extend(accepted.events),
                Err(_) => called.refused.push("not an event".to_owned()),
            }
        }
        called
    }
}

fn refused(why: &str) -> Called {
    Called { events: Vec::new(), refused: vec![why.to_owned()] }
}

fn words(problem: &Problem, field: &str) -> String {
    if field.is_empty() { problem.to_string() } else { format!("{field}: {problem}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Called {
        Calls::default().read(json, 7)
    }

    #[test]
    fn exported_calls_keep_their_own_times() {
        let called = read(
            r#"{"type":"track","event":"A","userId":"u","timestamp":"2024-01-02T00:00:00Z","sentAt":"2024-01-02T00:00:01Z","receivedAt":"2024-01-02T00:00:02Z"}"#,
        );
        assert_eq!(called.events.len(), 1);
        assert_eq!(called.events[0].at.to_string(), "2024-01-02T00:00:00.000Z");
        // A device whose clock was an hour slow, as its batch said.
        let called = read(
            r#"{"batch":[{"type":"track","event":"A","userId":"u","timestamp":"2024-01-01T23:00:00Z"},{"type":"x","userId":"u"}],"sentAt":"2024-01-01T23:00:00Z","receivedAt":"2024-01-02T00:00:00Z"}"#,
        );
        assert_eq!(called.events[0].at.to_string(), "2024-01-02T00:00:00.000Z");
        assert_eq!(
            called.refused,
            [
                "type: expected one of track, identify, page, screen, group and alias, found another string"
            ]
        );
    }

    #[test]
    fn what_has_no_type_but_an_event_is_a_track() {
        let called = read(r#"{"event":"A","user_id":5,"timestamp":1704153600}"#);
        assert_eq!(called.events[0].name.as_deref(), Some("A"));
        assert_eq!(called.events[0].at.to_string(), "2024-01-02T00:00:00.000Z");
    }

    #[test]
    fn what_cannot_be_used_says_why_and_nothing_else() {
        for (json, expected) in [
            ("nonsense", "malformed JSON at column 2"),
            ("[1]", "not a JSON object"),
            ("7", "not a JSON object"),
            (
                r#"{"type":"track","event":"A","userId":"ann"}"#,
                "no time: imported as it is, it would count as happening now",
            ),
            (
                r#"{"type":"track","userId":"ann","timestamp":"2024-01-02"}"#,
                "event: expected the event's name (a string), found nothing",
            ),
            (
                r#"{"type":"track","event":"A","timestamp":"2024-01-02"}"#,
                "userId: expected a userId or an anonymousId that names somebody, or from a server an entry of context.externalIds or an identify's trait email or phone, found none",
            ),
            (
                r#"{"type":"track","event":"A","userId":"ann","timestamp":"soon","receivedAt":"2024-01-02"}"#,
                "timestamp: expected an ISO 8601 time such as 2026-01-02T03:04:05.678Z, or milliseconds since 1970, found a string that is neither",
            ),
        ] {
            assert_eq!(read(json).refused, [expected], "{json}");
            assert!(read(json).events.is_empty());
        }
    }
}
