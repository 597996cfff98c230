//! `/customers`, a look-up, and `/customers/ID`: everything about one customer.
//!
//! Plain HTML without a script: what customers call themselves is text here and nothing else.

mod card;
mod history;
mod layout;

use super::{Pages, escape, without_script};
use crate::customer::find::{Whom, find};
use crate::customer::text::clean;
use crate::customer::{Wanted, gather};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use odyssey_domain::ids::ProfileId;
use odyssey_domain::profile::Root;
use odyssey_flows::read_timeline::{Cursor, Direction};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fmt::Write as _;

pub use layout::body;

/// Events of one page of the history.
const EVENTS: usize = 50;
/// Addresses of the mailbox that are offered.
const OFFERED_MAX: usize = 12;

/// The look-up's form.
#[derive(Deserialize)]
pub(super) struct Asked {
    q: Option<String>,
}

/// Which part of the history is shown.
#[derive(Deserialize)]
pub(super) struct Part {
    before: Option<String>,
    order: Option<String>,
}

/// Text in the path of a URL.
pub(crate) fn in_path(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            // Writing to a String cannot fail.
            byte => drop(write!(out, "%{byte:02X}")),
        }
    }
    out
}

pub(super) async fn look_up(State(pages): State<Pages>, Query(asked): Query<Asked>) -> Response {
    if let Some(wanted) = asked.q.as_deref().map(str::trim).filter(|q| !q.is_empty()) {
        return Redirect::to(&format!("/customers/{}", in_path(wanted))).into_response();
    }
    form(&pages, "", StatusCode::OK)
}

/// The look-up, with a word on what did not work.
fn form(pages: &Pages, note: &str, status: StatusCode) -> Response {
    let mut body = format!(
        "<h1>Customers</h1>{note}<form class=\"card lookup\" action=\"/customers\" role=\"search\">\
         <label for=\"q\">E-mail or id</label><div class=\"row\"><input type=\"text\" id=\"q\" name=\"q\" required \
         maxlength=\"400\" autocomplete=\"off\" autofocus placeholder=\"ann@example.com, user:42, anonymous:…\">\
         <button>Show</button></div><p class=\"soft\">A profile's own id does as well. Nothing here changes anything.</p></form>"
    );
    let mails = pages.stack.mailbox().all();
    let known: BTreeSet<&String> = mails.iter().rev().flat_map(|mail| &mail.to).collect();
    if !known.is_empty() {
        body.push_str("<h2>Written to lately</h2><ul class=\"people\">");
        for address in known.into_iter().take(OFFERED_MAX) {
            let _ = write!(
                body,
                "<li><a class=\"card\" href=\"/customers/{}\">{}</a></li>",
                in_path(address),
                escape(&clean(address, 80))
            );
        }
        body.push_str("</ul>");
    }
    let page = without_script(pages.frame("Customers", "customers", &body));
    (status, page).into_response()
}

pub(super) async fn page(
    State(pages): State<Pages>,
    Path(id): Path<String>,
    Query(part): Query<Part>,
) -> Response {
    let Ok(keys) = pages.stack.keyring() else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let tables = pages.stack.tables();
    let not_found = |said: &str| form(&pages, &note(said), StatusCode::NOT_FOUND);
    match find(&tables, &keys, &id).await {
        Ok(Whom::One(profile, root)) => {
            // The page's own address names nobody.
            if id != profile.to_string() {
                return Redirect::to(&format!("/customers/{profile}")).into_response();
            }
            show(&pages, profile, &root, &part).await
        }
        Ok(Whom::Several(profiles)) => several(&pages, &profiles),
        Ok(Whom::Nobody) => not_found("No event was ever folded under this address or id."),
        Ok(Whom::Erased) => not_found("This customer was erased."),
        Ok(Whom::NoId(error)) => not_found(&error),
        Err(error) => form(&pages, &note(&error.to_string()), StatusCode::BAD_GATEWAY),
    }
}

fn note(said: &str) -> String {
    format!("<p class=\"note\" role=\"alert\">{}</p>", escape(&clean(said, 400)))
}

async fn show(pages: &Pages, profile: ProfileId, root: &Root, part: &Part) -> Response {
    let direction = match part.order.as_deref() {
        Some("oldest") => Direction::OldestFirst,
        _ => Direction::NewestFirst,
    };
    let after = match part.before.as_deref().map(str::parse::<Cursor>).transpose() {
        Ok(after) => after,
        Err(error) => {
            return form(pages, &note(&format!("before: {error}")), StatusCode::BAD_REQUEST);
        }
    };
    let Ok(keys) = pages.stack.keyring() else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let wanted = Wanted { direction, after, events: EVENTS };
    let tables = pages.stack.tables();
    match gather(&tables, &keys, profile, root, wanted, pages.stack.now()).await {
        Ok(customer) => {
            let body = body(&customer, &wanted);
            let title = format!("{} · customer", customer.name);
            without_script(pages.frame(&title, "customers", &body)).into_response()
        }
        Err(error) => form(pages, &note(&error.to_string()), StatusCode::BAD_GATEWAY),
    }
}

fn several(pages: &Pages, profiles: &[(ProfileId, bool)]) -> Response {
    let head = if profiles.len() == 1 { "A customer" } else { "Several customers" };
    let mut body = format!(
        "<h1>{head} gave this address</h1><p class=\"soft\">An address is an attribute, not a key: \
        a browser's word welds nobody.</p><ul class=\"people\">"
    );
    for (profile, theirs) in profiles {
        let word = if *theirs { "it is theirs" } else { "it was theirs before" };
        let _ = write!(
            body,
            "<li><a class=\"card\" href=\"/customers/{profile}\"><code>{profile}</code><br>{word}</a></li>"
        );
    }
    body.push_str("</ul>");
    without_script(pages.frame("Customers", "customers", &body)).into_response()
}

#[cfg(test)]
mod tests {
    use super::in_path;

    #[test]
    fn ids_in_paths() {
        assert_eq!(in_path("user:4/2?é"), "user%3A4%2F2%3F%C3%A9");
    }
}
