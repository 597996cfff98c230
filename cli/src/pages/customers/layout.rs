//! The customer's page from top to bottom.

use super::card::{ago, date, own, pairs, pill, section, strip};
use super::history::history;
use crate::customer::sections::{self, Section};
use crate::customer::signals::{Decision, Verdict, in_words};
use crate::customer::text::{MEMBERS_MAX, SHOWN_MAX, clean, more, number, several, value};
use crate::customer::{Customer, Wanted};
use crate::dossier::{EnrollmentPart, Send};
use crate::pages::escape;
use std::fmt::Write as _;

/// Signals that are shown before they are folded away.
const SIGNALS_SHOWN: usize = 6;
/// Mails that are shown before they are folded away.
const MAILS_SHOWN: usize = 8;
/// Colours of faces.
const FACES: u8 = 6;

/// The page's body.
#[must_use]
pub fn body(customer: &Customer, wanted: &Wanted) -> String {
    let facts = sections::of(&customer.facts);
    let mut out = "<p class=\"crumbs\"><a href=\"/customers\">Customers</a></p>".to_owned();
    hero(&mut out, customer, &facts);
    out.push_str("<div class=\"customer\"><div>");
    signals(&mut out, customer);
    journeys(&mut out, customer);
    mails(&mut out, customer);
    out.push_str("</div><div>");
    reachable(&mut out, customer);
    who(&mut out, customer);
    segments(&mut out, customer);
    traits(&mut out, customer);
    trimmed(&mut out, customer);
    out.push_str("</div></div>");
    if !facts.is_empty() {
        out.push_str("<h2 id=\"known\">What is known</h2><div class=\"facts\">");
        out.extend(facts.iter().map(section));
        out.push_str("</div>");
    }
    out.push_str(&history(customer, wanted));
    out
}

fn hero(out: &mut String, customer: &Customer, facts: &[Section]) {
    let initials: String = customer
        .name
        .split_whitespace()
        .filter_map(|word| word.chars().find(|c| c.is_alphanumeric()))
        .take(2)
        .flat_map(char::to_uppercase)
        .collect();
    let face = customer.profile.bytes().first().copied().unwrap_or(0) % FACES;
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "<section class=\"card hero\"><span class=\"face face-{face}\" aria-hidden=\"true\">{}</span><div class=\"name\"><h1>{}</h1>",
        escape(&initials),
        own(&customer.name)
    );
    if let Some(email) = customer.email.as_deref().filter(|email| *email != customer.name) {
        let _ = write!(out, "<p>{}</p>", own(email));
    }
    let _ = write!(out, "<p class=\"soft\"><code>{}</code></p></div>", customer.profile);
    out.push_str("<dl class=\"tiles\">");
    let mut tile = |label: &str, shown: String| {
        let _ = write!(out, "<div><dt>{label}</dt><dd>{shown}</dd></div>");
    };
    let stamp = |name: &str| {
        let text = customer.facts.get(name).and_then(|at| at.as_str());
        text.and_then(|at| odyssey_domain::time::Stamp::parse(at).ok())
    };
    if let Some(last) = stamp("seen.last") {
        tile("Last seen", ago(customer.at, last));
    }
    if let Some(first) = stamp("seen.first") {
        tile("First seen", ago(customer.at, first));
    }
    for title in ["Orders", "Cart", "Visits", "Watching"] {
        let found = facts.iter().find(|section| section.title == title);
        if let Some(head) = found.and_then(|section| section.head.as_ref()) {
            tile(title, escape(head));
        }
    }
    out.push_str("</dl>");
    out.push_str(&strip(customer.at, &customer.active_days));
    out.push_str(
        "<p class=\"jump\"><a href=\"#known\">What is known</a> <a href=\"#history\">What happened</a></p></section>",
    );
}

fn signals(out: &mut String, customer: &Customer) {
    out.push_str(
        "<section class=\"card\" aria-labelledby=\"signals\"><h2 id=\"signals\">Signals</h2>",
    );
    let (raised, others): (Vec<&Decision>, Vec<&Decision>) =
        customer.signals.iter().partition(|decision| decision.verdict == Verdict::Raised);
    if raised.is_empty() {
        out.push_str("<p class=\"soft\">None was raised: nothing they did, or stopped doing, has reached a threshold.</p>");
    }
    let (first, rest) = raised.split_at(raised.len().min(SIGNALS_SHOWN));
    list(out, customer, first);
    if !rest.is_empty() {
        let _ = write!(out, "<details><summary>{}</summary>", several(len(rest), "earlier signal"));
        list(out, customer, rest);
        out.push_str("</details>");
    }
    if let Some(more) = customer.signals_left_out() {
        let _ = write!(out, "<p class=\"soft\">{}</p>", escape(&more));
    }
    if !others.is_empty() {
        let _ = write!(
            out,
            "<details><summary>{}</summary>",
            several(len(&others), "decision against")
        );
        list(out, customer, &others);
        out.push_str("</details>");
    }
    out.push_str("</section>");
}

fn len<T>(items: &[T]) -> u64 {
    u64::try_from(items.len()).unwrap_or(u64::MAX)
}

fn list(out: &mut String, customer: &Customer, decisions: &[&Decision]) {
    out.push_str("<ul class=\"signals\">");
    for decision in decisions {
        let (class, tone) = match decision.verdict {
            Verdict::Raised => ("raised", "signal"),
            _ => ("quiet", ""),
        };
        let _ = write!(
            out,
            "<li class=\"{class}\"><h3>{} {}</h3><p>{} {}, since {}</p>",
            escape(&clean(&decision.signal, 60)),
            pill(tone, &decision.threshold),
            escape(&decision.verdict.words()),
            ago(customer.at, decision.at),
            date(decision.since)
        );
        match &decision.evidence {
            Some(evidence) => {
                let lines = in_words(evidence);
                out.push_str(&pairs(
                    lines.iter().map(|(name, value)| (name.as_str(), value.as_str())),
                ));
            }
            None if decision.verdict == Verdict::Raised => {
                out.push_str("<p class=\"soft\">What it was decided on is not kept any more.</p>");
            }
            None => {}
        }
        out.push_str("</li>");
    }
    out.push_str("</ul>");
}

fn journeys(out: &mut String, customer: &Customer) {
    out.push_str(
        "<section class=\"card\" aria-labelledby=\"journeys\"><h2 id=\"journeys\">Journeys</h2>",
    );
    if customer.enrollments.is_empty() {
        out.push_str("<p class=\"soft\">In none: no trigger of a live journey has happened.</p>");
    }
    for enrollment in &customer.enrollments {
        journey(out, customer, enrollment);
    }
    out.push_str("</section>");
}

fn journey(out: &mut String, customer: &Customer, enrollment: &EnrollmentPart) {
    let state = match &enrollment.ended {
        Some((how, at)) => format!(
            "{} {} at step <code>{}</code>",
            pill(if how == "goal_reached" { "good" } else { "" }, &how.replace('_', " ")),
            ago(customer.at, *at),
            escape(&enrollment.step)
        ),
        None => format!(
            "{} at step <code>{}</code>",
            pill("signal", "inside"),
            escape(&enrollment.step)
        ),
    };
    let _ = write!(
        out,
        "<article class=\"journey\"><h3>{}</h3><p>{state}</p><p class=\"soft\">because {} at {}</p>",
        escape(&enrollment.journey),
        own(&clean(&enrollment.trigger, 120)),
        date(enrollment.started)
    );
    if let Some(waits) = &enrollment.waits_for {
        let due = enrollment.due.map(|due| format!(", next at {}", date(due))).unwrap_or_default();
        let _ = write!(out, "<p>Waits for {}{due}</p>", own(&clean(waits, 160)));
    }
    if !enrollment.conditions.is_empty() {
        let asked = several(len(&enrollment.conditions), "condition");
        let _ = write!(out, "<details><summary>{asked} asked</summary><ul>");
        for answer in enrollment.conditions.iter().take(MEMBERS_MAX) {
            let (class, word) = if answer.held { ("good", "yes") } else { ("bad", "no") };
            let _ = write!(
                out,
                "<li>{}: <strong class=\"{class}\">{word}</strong>, found <code>{}</code></li>",
                own(&clean(&answer.asked, SHOWN_MAX)),
                escape(&clean(&answer.found, SHOWN_MAX))
            );
        }
        out.push_str("</ul></details>");
    }
    out.push_str("</article>");
}

fn mails(out: &mut String, customer: &Customer) {
    out.push_str("<section class=\"card\" aria-labelledby=\"mails\"><h2 id=\"mails\">Mails</h2>");
    if customer.messages.is_empty() {
        out.push_str("<p class=\"soft\">None was asked for yet.</p>");
    }
    let shown = customer.messages.len().min(MAILS_SHOWN);
    let (first, rest) = customer.messages.split_at(shown);
    sends(out, customer, first);
    if !rest.is_empty() {
        let _ = write!(out, "<details><summary>{}</summary>", several(len(rest), "earlier mail"));
        sends(out, customer, rest);
        out.push_str("</details>");
    }
    out.push_str("</section>");
}

fn sends(out: &mut String, customer: &Customer, sends: &[Send]) {
    out.push_str("<ul class=\"sends\">");
    for send in sends {
        let tone = match send.state.as_str() {
            "sent" => "good",
            "skipped" | "failed" | "unconfirmed" => "bad",
            _ => "signal",
        };
        let _ = write!(
            out,
            "<li><p><strong>{}</strong> {} {}</p><p class=\"soft\">{} · topic {} · <a href=\"/messages/{}/why\">why</a></p>",
            escape(&send.mail),
            pill(tone, &send.state),
            send.delivery.as_deref().map(|word| pill("", word)).unwrap_or_default(),
            ago(customer.at, send.at),
            escape(&send.topic),
            send.send
        );
        if let Some(until) = send.until {
            let _ = write!(out, "<p>Decided again at {}</p>", date(until));
        }
        for reason in &send.reasons {
            let _ = write!(
                out,
                "<p><code>{}</code> {}</p><p class=\"remedy\">{}</p>",
                escape(&reason.code),
                own(&clean(&reason.found, SHOWN_MAX)),
                escape(&reason.remedy)
            );
        }
        out.push_str("</li>");
    }
    out.push_str("</ul>");
}

fn reachable(out: &mut String, customer: &Customer) {
    out.push_str(
        "<section class=\"card\" aria-labelledby=\"reach\"><h2 id=\"reach\">May we write?</h2>",
    );
    let Some(contact) = &customer.contact else {
        out.push_str("<p>No: no address is known.</p>");
        for asked in &customer.waiting {
            let _ = write!(
                out,
                "<p class=\"soft\">Consent to {} was requested {}: it waits for one.</p>",
                escape(&asked.topic),
                ago(customer.at, asked.at)
            );
        }
        out.push_str(
            "<p class=\"remedy\">identify the customer with a trait <code>email</code></p></section>",
        );
        return;
    };
    match (&contact.suppressed, contact.verified) {
        (Some((reason, at)), _) => {
            let _ = write!(
                out,
                "<p class=\"bad\">Never: suppressed ({}) {}</p>",
                escape(reason),
                ago(customer.at, *at)
            );
        }
        (None, Some(at)) => {
            let _ = write!(
                out,
                "<p class=\"good\">The address was verified {}</p>",
                ago(customer.at, at)
            );
        }
        (None, None) => out.push_str("<p class=\"bad\">The address is not verified</p>"),
    }
    out.push_str("<ul class=\"topics\">");
    for topic in &contact.topics {
        let (tone, word) = if topic.mailable { ("good", "yes") } else { ("bad", "no") };
        let _ = write!(
            out,
            "<li><p><strong>{}</strong> {}</p><p class=\"soft\">{}</p>",
            escape(&topic.title),
            pill(tone, word),
            escape(&topic.state)
        );
        if !topic.remedy.is_empty() {
            let _ = write!(out, "<p class=\"remedy\">{}</p>", escape(&topic.remedy));
        }
        out.push_str("</li>");
    }
    out.push_str("</ul></section>");
}

fn who(out: &mut String, customer: &Customer) {
    out.push_str(
        "<section class=\"card\" aria-labelledby=\"ids\"><h2 id=\"ids\">Who</h2><ul class=\"ids\">",
    );
    for id in &customer.ids {
        let kind = id.kind.as_deref().unwrap_or("an id");
        let plain = match &id.id {
            Some(id) => format!("<code>{}</code>", own(&clean(id, 80))),
            None => "<span class=\"soft\">in no event that is still kept</span>".to_owned(),
        };
        let _ = write!(out, "<li><p>{} {plain}</p><p class=\"soft\">", pill("", kind));
        match &id.linked {
            None => out.push_str("the profile's own"),
            Some(link) => {
                let by =
                    link.event.as_deref().map(|event| format!(" by {}", own(&clean(event, 60))));
                let through = link
                    .source
                    .as_deref()
                    .map(|name| format!(" through {}", escape(&clean(name, 40))));
                let at = link.at.map(|at| format!(" {}", ago(customer.at, at)));
                let _ = write!(
                    out,
                    "linked{}{}{}{}",
                    at.unwrap_or_default(),
                    by.unwrap_or_default(),
                    through.unwrap_or_default(),
                    if link.is_final { ", for good" } else { "" }
                );
            }
        }
        if let Some(events) = id.events {
            let _ = write!(out, " · {}", several(events, "event"));
        }
        if let Some(last) = id.last {
            let _ = write!(out, " · seen {}", ago(customer.at, last));
        }
        let _ = write!(out, "</p><p class=\"soft\"><code>{}</code></p></li>", id.key);
    }
    out.push_str("</ul>");
    if customer.ids_left_out > 0 {
        let more = several(u64::try_from(customer.ids_left_out).unwrap_or(u64::MAX), "further id");
        let _ = write!(out, "<p class=\"soft\">and {more}</p>");
    }
    for line in customer.links.lines() {
        let _ = write!(out, "<p class=\"soft\">{}</p>", own(&line));
    }
    out.push_str("</section>");
}

fn segments(out: &mut String, customer: &Customer) {
    if customer.segments.is_empty() {
        return;
    }
    out.push_str("<section class=\"card\" aria-labelledby=\"segments\"><h2 id=\"segments\">Segments</h2><ul class=\"ids\">");
    for segment in &customer.segments {
        let _ = write!(
            out,
            "<li><p>{} <span class=\"soft\">since {}, by {}</span></p></li>",
            pill("signal", &segment.name),
            ago(customer.at, segment.since),
            escape(&segment.by)
        );
    }
    out.push_str("</ul></section>");
}

fn traits(out: &mut String, customer: &Customer) {
    if customer.traits.is_empty() {
        return;
    }
    out.push_str(
        "<section class=\"card\" aria-labelledby=\"traits\"><h2 id=\"traits\">Traits</h2>",
    );
    let shown: Vec<(String, String)> = customer
        .traits
        .iter()
        .take(MEMBERS_MAX)
        .map(|(name, found)| {
            let computed = if customer.computed.contains(name) { " (computed)" } else { "" };
            (clean(name, 60) + computed, value(found, SHOWN_MAX))
        })
        .collect();
    out.push_str(&pairs(shown.iter().map(|(name, value)| (name.as_str(), value.as_str()))));
    let more = more(customer.traits.len());
    if !more.is_empty() {
        let _ = write!(out, "<p class=\"soft\">{}</p>", escape(more.trim_start_matches(", ")));
    }
    out.push_str("</section>");
}

fn trimmed(out: &mut String, customer: &Customer) {
    if customer.trimmed.is_empty() && customer.shortened.is_empty() && !customer.cut {
        return;
    }
    out.push_str(
        "<section class=\"card\" aria-labelledby=\"trimmed\"><h2 id=\"trimmed\">Trimmed</h2>",
    );
    if customer.cut {
        out.push_str("<p class=\"bad\">The profile once grew past what one item may hold and was cut: its facts are those of the latest events.</p>");
    }
    if !customer.trimmed.is_empty() {
        let _ = write!(
            out,
            "<p>Of these the latest is kept and the rest left out; counts and sums still hold all of it.</p><p>{}</p>",
            customer.trimmed.iter().map(|name| pill("", name)).collect::<String>()
        );
    }
    if !customer.shortened.is_empty() {
        let _ = write!(
            out,
            "<p>Of these some were too long to be kept whole.</p><p>{}</p>",
            customer.shortened.iter().map(|name| pill("", name)).collect::<String>()
        );
    }
    let total = customer.facts.get("events.total").and_then(serde_json::Value::as_u64).unwrap_or(0);
    let _ = write!(
        out,
        "<p class=\"soft\">Every one of the {} events is in the history below, for 400 days.</p></section>",
        number(total)
    );
}
