//! `/plan`: which events arrive, with which properties, and what of it is not as planned.

use super::{Pages, escape, without_script};
use crate::tracking::{EventPart, Report, minute, read, sentence};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use std::fmt::Write as _;

pub(super) async fn page(State(pages): State<Pages>) -> Response {
    match read(&pages.stack.tables()).await {
        Ok((inferred, declared)) => {
            let report = Report::new(&inferred, &declared, pages.stack.now());
            without_script(pages.frame("Events", "plan", &body(&report)))
        }
        Err(error) => {
            let body =
                format!("<h1>The plan cannot be read</h1><p>{}</p>", escape(&error.to_string()));
            let page = without_script(pages.frame("Events", "plan", &body));
            (StatusCode::BAD_GATEWAY, page).into_response()
        }
    }
}

fn body(report: &Report) -> String {
    let mut out = String::from("<h1>What arrives</h1>");
    let (kinds, times) = report.violations();
    let verdict = match (report.events.is_empty(), report.planned, kinds) {
        (true, ..) => "<p>Nothing yet. Go to <a href=\"/shop\">the shop</a> and do something.</p>".to_owned(),
        (_, false, _) => "<p>No plan is declared. <code>cargo odyssey plan --yaml</code> makes one of what arrives.</p>".to_owned(),
        (_, true, 0) => "<p class=\"good\">Everything that arrives is as planned.</p>".to_owned(),
        (_, true, kinds) => format!("<p class=\"bad\">{kinds} kinds of things are not as planned, {times} times in all. The events are in their profiles all the same.</p>"),
    };
    out.push_str(&verdict);
    for event in &report.events {
        event_part(&mut out, event, report.planned);
    }
    out
}

fn event_part(out: &mut String, event: &EventPart, any_plan: bool) {
    // Writing to a String cannot fail.
    let _ = write!(out, "<section><h2>{}</h2><p>", escape(&event.event));
    match &event.last {
        None => out.push_str("Never seen."),
        Some(last) => {
            let sources: Vec<&str> = event.sources.keys().map(String::as_str).collect();
            let first = event.first.as_deref().map(minute).unwrap_or_default();
            let _ = write!(
                out,
                "{} seen, {:.1} a day, first <time>{}</time> UTC, last <time>{}</time> UTC, from {}",
                event.count,
                event.per_day,
                escape(&first),
                escape(&minute(last)),
                escape(&sources.join(", "))
            );
        }
    }
    if any_plan {
        let word = if event.planned { "planned" } else { "not planned" };
        let _ = write!(out, " <span class=\"pill\">{word}</span>");
    }
    out.push_str("</p>");
    if let Some(description) = &event.description {
        let _ = write!(out, "<p class=\"soft\">{}</p>", escape(description));
    }
    if let Some(meant) = event.meant {
        let _ = write!(
            out,
            "<p class=\"bad\">Probably the Spec's <code>{meant}</code>: under this name it feeds no fact.</p>"
        );
    }
    for violation in &event.violations {
        let about =
            violation.property.as_ref().map(|name| format!("<code>{}</code>: ", escape(name)));
        let _ = write!(
            out,
            "<p class=\"bad\">{}{}, {}</p>",
            about.unwrap_or_default(),
            escape(&violation.what),
            escape(&sentence(violation))
        );
    }
    if !event.properties.is_empty() {
        out.push_str("<table><thead><tr><th scope=\"col\">Property</th><th scope=\"col\">Found</th><th scope=\"col\">In</th><th scope=\"col\">First and last on</th><th scope=\"col\">Planned</th></tr></thead><tbody>");
        for part in &event.properties {
            let types: Vec<&str> = part.types.keys().copied().collect();
            let percent = part.percent.map_or_else(String::new, |percent| format!("{percent} %"));
            let _ = write!(
                out,
                "<tr><th scope=\"row\"><code>{}</code></th><td>{}</td><td>{percent}</td><td>{}</td><td>{}</td></tr>",
                escape(&part.property),
                escape(&types.join(" or ")),
                escape(&part.days()),
                escape(part.planned.as_deref().unwrap_or_default())
            );
        }
        out.push_str("</tbody></table>");
    }
    out.push_str("</section>");
}

#[cfg(test)]
mod tests {
    use super::*;
    use odyssey_domain::plan::{Declared, Inferred};
    use odyssey_domain::time::{Span, Stamp};
    use serde_json::json;

    #[test]
    fn first_and_last_are_on_the_page() {
        let start = Stamp::parse("2026-11-20T08:00:00Z").unwrap();
        let mut inferred = Inferred::default();
        for (day, properties) in [(0, json!({"price": 5})), (1, json!({})), (2, json!({"sku": 1}))]
        {
            let at = start.plus(Span::DAY.times(day));
            let event = json!({"id": day.to_string(), "at": at, "type": "track",
                "name": "Product Added", "userId": "ann", "properties": properties});
            let event = serde_json::from_value(event).unwrap();
            inferred.see(&event, "web", at, &Declared::default());
        }
        let now = start.plus(Span::DAY.times(3));
        let body = body(&Report::new(&inferred, &Declared::default(), now));
        for part in [
            "first <time>2026-11-20 08:00</time> UTC, last <time>2026-11-22 08:00</time> UTC",
            "<td>2026-11-20 – 2026-11-20</td>",
            "<td>2026-11-22 – 2026-11-22</td>",
        ] {
            assert!(body.contains(part), "{part} is not in {body}");
        }
    }
}
