//! `/messages/ID/why`: the chain of reasons behind one mail, or behind its not being sent.

use super::{Pages, escape, without_script};
use crate::dossier::send_part;
use crate::explain::clock;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use odyssey_domain::ids::SendId;
use odyssey_domain::message::LedgerItem;
use odyssey_flows::ledger;
use odyssey_flows::ports::Consistency;
use odyssey_flows::stored::load;
use serde_json::Value;
use std::fmt::Write as _;

pub(super) async fn page(State(pages): State<Pages>, Path(id): Path<String>) -> Response {
    let mail = pages.stack.mailbox().get(&id);
    let tagged = mail.as_ref().and_then(|mail| mail.tags.get("send_id").cloned());
    let send = tagged.as_deref().unwrap_or(&id).parse::<SendId>();
    let missing = |what: &str| {
        let body = format!(
            "<h1>Not here</h1><p>{}</p><p><a href=\"/mail\">To the mailbox</a></p>",
            escape(what)
        );
        (StatusCode::NOT_FOUND, without_script(pages.frame("Why", "mail", &body))).into_response()
    };
    let Ok(send) = send else {
        return missing("No mail has this id, and it is no send id.");
    };
    let tables = pages.stack.tables();
    match load::<LedgerItem>(&tables, ledger::key(send), Consistency::Strong).await {
        Ok(Some(found)) => {
            let subject = mail.as_ref().map(|mail| mail.subject.as_str());
            let body = chain(&found.item, subject);
            without_script(pages.frame("Why this mail", "mail", &body))
        }
        Ok(None) => missing("The ledger of sends has no such entry."),
        Err(error) => {
            let body =
                format!("<h1>The ledger cannot be read</h1><p>{}</p>", escape(&error.to_string()));
            (StatusCode::BAD_GATEWAY, without_script(pages.frame("Why", "mail", &body)))
                .into_response()
        }
    }
}

/// One link of the chain.
fn link(out: &mut String, title: &str, body: &str) {
    // Writing to a String cannot fail.
    let _ = write!(out, "<li><h2>{}</h2>{body}</li>", escape(title));
}

fn chain(item: &LedgerItem, subject: Option<&str>) -> String {
    let part = send_part(item);
    let why = &item.why;
    let mut out = String::new();
    let title = subject.unwrap_or(&part.mail);
    let sent = part.state == "sent";
    let verdict = if sent { "Why this mail was sent" } else { "What became of this mail" };
    let _ = write!(
        out,
        "<p class=\"soft\">{verdict}</p><h1>{}</h1><p><span class=\"pill\">mail {}</span> <span class=\"pill\">topic {}</span> <span class=\"pill\">{}</span></p><ol class=\"chain\">",
        escape(title),
        escape(&part.mail),
        escape(&part.topic),
        escape(&part.state),
    );
    trigger(&mut out, item);
    if let Some((journey, step)) = &item.asked_by {
        let body = format!(
            "<p>Journey <code>{}</code> reached step <code>{}</code>.</p>",
            escape(journey.as_str()),
            escape(step.as_str())
        );
        link(&mut out, "The journey", &body);
        let mut rows = String::new();
        for answer in &why.conditions {
            let (class, word) = if answer.held { ("good", "yes") } else { ("bad", "no") };
            let _ = write!(
                rows,
                "<tr><td>{}</td><td><code>{}</code></td><td class=\"{class}\">{word}</td></tr>",
                escape(&answer.asked),
                escape(&answer.found)
            );
        }
        let body = if rows.is_empty() {
            "<p class=\"soft\">None was asked on the way.</p>".to_owned()
        } else {
            format!(
                "<table><thead><tr><th scope=\"col\">Asked</th><th scope=\"col\">Found</th><th scope=\"col\">Held</th></tr></thead><tbody>{rows}</tbody></table>"
            )
        };
        link(&mut out, "The conditions", &body);
    }
    consent(&mut out, &part);
    outcome(&mut out, &part);
    out.push_str("</ol><p><a href=\"/mail\">To the mailbox</a>");
    if let Some(profile) = item.profile {
        let _ = write!(out, " · <a href=\"/customers/{profile}\">All about this customer</a>");
    }
    out.push_str("</p>");
    out
}

fn trigger(out: &mut String, item: &LedgerItem) {
    let why = &item.why;
    if why.trigger.is_empty() {
        link(
            out,
            "The request",
            "<p>Somebody said that this address wants the topic; its owner was asked.</p>",
        );
        return;
    }
    let (title, id) = if why.trigger.starts_with("signal") {
        ("The signal", "signal id")
    } else {
        ("The event", "message id")
    };
    if let Some(last) = why.evidence.get("last").and_then(Value::as_str) {
        let body = format!(
            "<p>The last thing they did: <time>{}</time> UTC. Then silence.</p>",
            escape(&last.chars().take(16).collect::<String>().replace('T', " "))
        );
        link(out, "The events", &body);
    }
    let mut body = format!(
        "<p>{} at <time>{}</time> UTC</p><p class=\"soft\">{id} <code>{}</code></p>",
        escape(&why.trigger),
        clock(why.trigger_at),
        escape(&why.trigger_id)
    );
    if !why.evidence.is_empty() {
        let _ = write!(body, "<table><tbody>");
        for (name, value) in &why.evidence {
            let shown = match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let _ = write!(
                body,
                "<tr><th scope=\"row\">{}</th><td><code>{}</code></td></tr>",
                escape(name),
                escape(&shown)
            );
        }
        let _ = write!(body, "</tbody></table>");
    }
    link(out, title, &body);
}

fn consent(out: &mut String, part: &crate::dossier::Send) {
    let body = match (&part.consent, part.reasons.is_empty()) {
        (Some(consent), _) => format!("<p class=\"good\">{}</p>", escape(consent)),
        (None, true) => "<p>This mail needs no consent: it asks for it.</p>".to_owned(),
        (None, false) => {
            let mut body = String::new();
            for reason in &part.reasons {
                let _ = write!(
                    body,
                    "<p class=\"bad\"><code>{}</code> {}</p><p>What would change it: {}</p>",
                    escape(&reason.code),
                    escape(&reason.found),
                    escape(&reason.remedy)
                );
            }
            body
        }
    };
    let consented = part.consent.is_some() || part.reasons.is_empty();
    let title = if consented { "The consent" } else { "The decision" };
    link(out, title, &body);
}

fn outcome(out: &mut String, part: &crate::dossier::Send) {
    let mut body = format!("<p>{} at <time>{}</time> UTC", escape(&part.state), clock(part.at));
    if let Some(delivery) = &part.delivery {
        let _ = write!(body, ", {}", escape(delivery));
    }
    if let Some(until) = part.until {
        let _ = write!(body, ", decided again at <time>{}</time> UTC", clock(until));
    }
    if let Some(waited) = &part.waited {
        let _ = write!(body, ", put off since {}", escape(waited));
    }
    let _ = write!(body, "</p>");
    if let Some(ses) = &part.ses_id {
        let _ = write!(body, "<p class=\"soft\">SES message id <code>{}</code></p>", escape(ses));
    }
    let _ = write!(body, "<p class=\"soft\">send id <code>{}</code></p>", part.send);
    link(out, "The outcome", &body);
}
