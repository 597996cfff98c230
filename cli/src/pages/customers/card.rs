//! The small parts that the cards of the customer's page are made of.

use crate::customer::sections::{Bar, Line, Section, Shown, Thing};
use crate::customer::when;
use crate::pages::escape;
use odyssey_domain::time::Stamp;
use std::fmt::Write as _;

/// A customer's own word: text of whatever direction, which turns nothing around it.
pub(super) fn own(text: &str) -> String {
    format!("<bdi>{}</bdi>", escape(text))
}

/// A time, as long ago as it is.
pub(super) fn ago(now: Stamp, at: Stamp) -> String {
    format!(
        "<time datetime=\"{at}\" title=\"{} UTC\">{}</time>",
        when::both(at),
        when::ago(now, at)
    )
}

/// A time as it stands in a calendar.
pub(super) fn date(at: Stamp) -> String {
    format!("<time datetime=\"{at}\">{}</time>", when::both(at))
}

/// A pill: `tone` is a class.
pub(super) fn pill(tone: &str, text: &str) -> String {
    format!("<span class=\"pill {tone}\">{}</span>", escape(text))
}

/// Names with their values.
pub(super) fn pairs<'t>(lines: impl Iterator<Item = (&'t str, &'t str)>) -> String {
    let mut out = String::new();
    for (name, value) in lines {
        // Writing to a String cannot fail.
        let _ = write!(out, "<div><dt>{}</dt><dd>{}</dd></div>", own(name), own(value));
    }
    if out.is_empty() { out } else { format!("<dl class=\"pairs\">{out}</dl>") }
}

/// A section of the facts.
pub(super) fn section(section: &Section) -> String {
    let mut out = format!("<section class=\"card fact\"><h3>{}</h3>", escape(section.title));
    if let Some(head) = &section.head {
        let _ = write!(out, "<p class=\"head\">{}</p>", own(head));
    }
    let (short, long): (Vec<&Line>, Vec<&Line>) = section
        .lines
        .iter()
        .partition(|line| matches!(line.shown, Shown::Text(_) | Shown::When(_)));
    for line in long {
        let _ = write!(out, "<h4>{}</h4>{}", escape(&line.label), shown(&line.shown));
    }
    if !short.is_empty() {
        out.push_str("<dl class=\"pairs\">");
        for line in short {
            let label = own(&line.label);
            let _ = write!(out, "<div><dt>{label}</dt><dd>{}</dd></div>", shown(&line.shown));
        }
        out.push_str("</dl>");
    }
    out.push_str("</section>");
    out
}

fn shown(shown: &Shown) -> String {
    match shown {
        Shown::Text(text) => own(text),
        Shown::When(at) => date(*at),
        Shown::Bars(bars) => bars_of(bars),
        Shown::Things(things) => things_of(things),
    }
}

fn bars_of(bars: &[Bar]) -> String {
    let mut out = "<ul class=\"bars\">".to_owned();
    for Bar { name, much, percent } in bars {
        let _ = write!(
            out,
            "<li><span>{}</span><svg viewBox=\"0 0 100 6\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
             <rect class=\"rest\" width=\"100\" height=\"6\"/><rect width=\"{percent}\" height=\"6\"/></svg>\
             <span class=\"soft\">{}</span></li>",
            own(name),
            escape(much)
        );
    }
    out.push_str("</ul>");
    out
}

fn things_of(things: &[Thing]) -> String {
    let mut out = "<ul class=\"things\">".to_owned();
    for Thing { name, more } in things {
        let _ = write!(out, "<li>{}<span class=\"soft\">{}</span></li>", own(name), own(more));
    }
    out.push_str("</ul>");
    out
}

/// The last 64 days, one square each: those with a deed are filled.
pub(super) fn strip(now: Stamp, active: &[i64]) -> String {
    const DAYS: i64 = 64;
    let today = now.day();
    let mut squares = String::new();
    let mut filled = 0;
    for back in (0..DAYS).rev() {
        let is_active = active.contains(&(today - back));
        filled += usize::from(is_active);
        let class = if is_active { "on" } else { "off" };
        let x = (DAYS - 1 - back) * 10;
        let _ = write!(
            squares,
            "<rect class=\"{class}\" x=\"{x}\" width=\"8\" height=\"18\" rx=\"2\"/>"
        );
    }
    format!(
        "<figure class=\"strip\"><svg viewBox=\"0 0 638 18\" role=\"img\" aria-label=\"Active on {filled} of the last 64 days\">\
         {squares}</svg><figcaption class=\"soft\">Here on {filled} of the last 64 days; today is on the right</figcaption></figure>"
    )
}
