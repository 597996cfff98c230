//! What happens in a local stack, in words and as JSON: for `tail` and the feed's HTTP endpoint.

use odyssey_domain::signal::Threshold;
use odyssey_domain::wire::{
    Command, ConsentChanged, ConsentRequested, EventFolded, EventsAccepted, MessageFeedback, Owner,
    SignalRaised, Wake, detail_type,
};
use odyssey_local::{Ended, Happening, What};
use serde_json::{Value, json};

/// How much of the feed is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// What customers did and what was decided.
    Story,
    /// Invocations, queue messages, log lines as well.
    Everything,
}

/// A happening as one JSON object with at least `at`, `kind` and `text`. `None` where the detail
/// asked for leaves it out.
#[must_use]
pub fn to_json(happening: &Happening, detail: Detail) -> Option<Value> {
    let (kind, text, more) = words(&happening.what, detail)?;
    let mut object = json!({"at": happening.at.to_string(), "kind": kind, "text": text});
    if let (Value::Object(object), Value::Object(more)) = (&mut object, more) {
        object.extend(more);
    }
    Some(object)
}

fn words(what: &What, detail: Detail) -> Option<(&'static str, String, Value)> {
    let everything = detail == Detail::Everything;
    Some(match what {
        What::Http { method, path, status, .. } => {
            let internal =
                ["/_odyssey", "/shop", "/odyssey.js"].iter().any(|p| path.starts_with(p));
            if internal && !everything {
                return None;
            }
            // The token in a mail's link stands for its owner's word: it is not shown.
            let link = ["/c/", "/u/"].into_iter().find(|link| path.starts_with(link));
            let path = link.map_or_else(|| path.clone(), |link| format!("{link}…"));
            ("http", format!("{method} {path} → {status}"), json!({"status": status}))
        }
        What::BusEvent { detail_type, detail, .. } => return bus(detail_type, detail, everything),
        What::Queued { queue, sender, body, .. } => {
            if let Ok(Command::Send(send)) = serde_json::from_str::<Command>(body) {
                let text =
                    format!("{} asks for mail {} at step {}", send.journey, send.mail, send.step);
                return Some(("asked", text, json!({"send": send.send.to_string()})));
            }
            if let Ok(Command::Wake(Wake { owner: Owner::Send(send), due, .. })) =
                serde_json::from_str::<Command>(body)
            {
                let at = crate::explain::clock(due);
                let text = format!("a mail that was put off is decided again at {at}");
                return Some(("deferred", text, json!({"send": send.to_string()})));
            }
            if !everything {
                return None;
            }
            ("queued", format!("{sender} → {queue}"), Value::Null)
        }
        What::DeadLettered { queue, id } => (
            "dead_letter",
            format!("message {id} of {queue} went to the dead letters"),
            Value::Null,
        ),
        What::Invoked { function, records, failed, took, cold, ended, .. } => {
            let how = match ended {
                Ended::Answered if *failed > 0 => format!("{failed} given back"),
                Ended::Answered => "answered".to_owned(),
                Ended::Failed(error) => format!("failed: {error}"),
                Ended::TimedOut => "timed out".to_owned(),
                Ended::Crashed(error) => format!("crashed: {error}"),
            };
            if !everything && matches!(ended, Ended::Answered) {
                return None;
            }
            let start = if *cold { " (cold)" } else { "" };
            let text =
                format!("{function}{start}: {records} records in {} ms, {how}", took.as_millis());
            ("invoked", text, Value::Null)
        }
        What::Logged { function, line } if everything => {
            ("log", format!("{function}: {line}"), Value::Null)
        }
        What::Mailed(mail) => (
            "mailed",
            format!("mail to {}: {}", mail.to.join(", "), mail.subject),
            json!({"id": mail.id, "to": mail.to, "subject": mail.subject, "tags": mail.tags}),
        ),
        What::Reported { message, event } => {
            ("ses", format!("SES reports {event} of {message}"), json!({"id": message}))
        }
        What::Denied { caller, action, resource } => {
            ("denied", format!("{caller} may not {action} on {resource}"), Value::Null)
        }
        What::Faulted { caller, operation, fault } => {
            ("fault", format!("{caller} {operation}: {fault}"), Value::Null)
        }
        What::Unknown { caller, operation } => {
            ("unknown", format!("{caller} called {operation}, which is not emulated"), Value::Null)
        }
        _ => return None,
    })
}

fn bus(kind: &str, detail: &str, everything: bool) -> Option<(&'static str, String, Value)> {
    Some(match kind {
        detail_type::EVENTS_ACCEPTED => {
            let accepted: EventsAccepted = serde_json::from_str(detail).ok()?;
            let names: Vec<String> = accepted
                .events
                .iter()
                .map(|event| match &event.name {
                    Some(name) => name.clone(),
                    None => crate::dossier::word_of(&event.kind),
                })
                .collect();
            let who = accepted.events.first().and_then(|event| {
                let user = event.user_id.as_ref().map(|id| id.expose().to_owned());
                user.or_else(|| event.anonymous_id.as_ref().map(|id| id.expose().to_owned()))
            });
            let text = format!(
                "{} from {}: {}",
                who.as_deref().unwrap_or("somebody"),
                accepted.source.name,
                names.join(", ")
            );
            ("events", text, json!({"who": who, "events": names}))
        }
        detail_type::SIGNAL_RAISED => {
            let raised: SignalRaised = serde_json::from_str(detail).ok()?;
            let since = crate::explain::clock(raised.since);
            let text = match raised.threshold {
                Threshold::After(span) => {
                    format!("signal {} after {span} of silence, since {since}", raised.signal)
                }
                threshold => format!("signal {}, {threshold}, at {since}", raised.signal),
            };
            ("signal", text, json!({"profile": raised.profile.to_string()}))
        }
        detail_type::CONSENT_REQUESTED => {
            let asked: ConsentRequested = serde_json::from_str(detail).ok()?;
            let text = format!("{} is said to want {}", asked.email.expose(), asked.topic);
            ("consent_requested", text, Value::Null)
        }
        detail_type::CONSENT_CHANGED => {
            let changed: ConsentChanged = serde_json::from_str(detail).ok()?;
            let state = crate::dossier::word_of(&changed.state);
            let text = format!("consent to {} {state} via {}", changed.topic, changed.via);
            ("consent", text, json!({"contact": changed.contact.to_string()}))
        }
        detail_type::MESSAGE_FEEDBACK => {
            let fed: MessageFeedback = serde_json::from_str(detail).ok()?;
            let word = crate::dossier::word_of(&fed.kind);
            ("feedback", format!("message {word}"), json!({"send": fed.send.to_string()}))
        }
        detail_type::EVENT_FOLDED if everything => {
            let folded: EventFolded = serde_json::from_str(detail).ok()?;
            let name = folded.event.name.unwrap_or_default();
            ("folded", format!("{name} is in profile {}", folded.profile), Value::Null)
        }
        _ => return None,
    })
}
