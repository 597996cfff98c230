//! The history: events, signals and mails along one line of time.

use super::card::{own, pairs};
use crate::customer::history::{Entry, EntryKind, History};
use crate::customer::{Customer, Wanted, text, when};
use crate::pages::escape;
use odyssey_flows::read_timeline::Direction;
use std::fmt::Write as _;

pub(super) fn history(customer: &Customer, wanted: &Wanted) -> String {
    let History { entries, next, crowded, unreadable } = &customer.history;
    let mut out = "<section id=\"history\" aria-labelledby=\"history-h\"><div class=\"row\">\
                   <h2 id=\"history-h\">What happened</h2>"
        .to_owned();
    let newest = wanted.direction == Direction::NewestFirst;
    let current = |is: bool| if is { " aria-current=\"true\"" } else { "" };
    let id = customer.profile;
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "<nav class=\"order\" aria-label=\"Order\"><a href=\"/customers/{id}#history\"{}>Newest first</a>\
         <a href=\"/customers/{id}?order=oldest#history\"{}>Oldest first</a></nav></div>",
        current(newest && wanted.after.is_none()),
        current(!newest && wanted.after.is_none())
    );
    if let Some((from, to)) = crowded {
        let _ = write!(
            out,
            "<p class=\"note\">Between {} and {} more happened than one page reads: some of it may be missing here, or out of order.</p>",
            when::both(*from),
            when::both(*to)
        );
    }
    if *unreadable > 0 {
        let rows = text::several(u64::try_from(*unreadable).unwrap_or(u64::MAX), "row");
        let _ = write!(
            out,
            "<p class=\"note\">{rows} of the timeline cannot be read by this release.</p>"
        );
    }
    if entries.is_empty() {
        out.push_str("<p class=\"soft\">Nothing that is still kept.</p>");
    }
    let mut day = String::new();
    for entry in entries {
        let of = when::day(entry.at);
        if of != day {
            if !day.is_empty() {
                out.push_str("</ol>");
            }
            let _ = write!(out, "<h3 class=\"day\">{of}</h3><ol class=\"line\">");
            day = of;
        }
        one(&mut out, entry);
    }
    if !day.is_empty() {
        out.push_str("</ol>");
    }
    out.push_str("<nav class=\"walk\" aria-label=\"Pages of the history\">");
    if wanted.after.is_some() {
        let order = if newest { "" } else { "?order=oldest" };
        let _ = write!(
            out,
            "<a class=\"button quiet\" href=\"/customers/{id}{order}#history\">Back to the beginning</a>"
        );
    }
    if let Some(next) = next {
        let (order, word) = if newest { ("", "Older") } else { ("&amp;order=oldest", "Newer") };
        let _ = write!(
            out,
            "<a class=\"button\" href=\"/customers/{id}?before={next}{order}#history\">{word}</a>"
        );
    }
    out.push_str("</nav></section>");
    out
}

fn one(out: &mut String, entry: &Entry) {
    let notes: Vec<String> =
        entry.notes.iter().filter(|note| !note.is_empty()).map(|note| own(note)).collect();
    let word = match entry.kind {
        EntryKind::Event => "event",
        EntryKind::Signal => "signal",
        EntryKind::Mail => "mail",
    };
    let _ = write!(
        out,
        "<li class=\"{word} {}\"><time datetime=\"{}\">{}</time><div><p>{}</p><p class=\"soft\">{}</p>",
        entry.tone,
        entry.at,
        when::time(entry.at),
        own(&entry.text),
        notes.join(" · ")
    );
    if !entry.members.is_empty() {
        let members = entry.members.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let summary = if entry.kind == EntryKind::Signal { "evidence" } else { "all of it" };
        let _ = write!(out, "<details><summary>{summary}</summary>{}</details>", pairs(members));
    }
    if let Some(send) = &entry.send {
        let _ = write!(out, "<p><a href=\"/messages/{}/why\">why</a></p>", escape(send));
    }
    out.push_str("</div></li>");
}
