//! Forms: begun, sent off, given up.

use super::called::Called;
use super::number::{self, whole};
use super::sessions::is_zero;
use super::tally::Earliest;
use super::text::exceeds;
use super::top::{Top, latest};
use crate::event::Event;
use crate::ids::Position;
use crate::signal::NUMBERED_MAX;
use crate::time::Stamp;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Forms kept one by one; of more, those touched last.
pub const FORMS_MAX: usize = 8;
const NAME_BYTES_MAX: usize = 64;
/// What is believed of one visit to a form: a day, and so many fields.
const SECONDS_MAX: u32 = 86_400;
const FIELDS_MAX: u32 = 1_000;

/// The forms' part of the facts. A form goes by its `form`, else by its `path`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Forms {
    /// `Form Started`.
    #[serde(default, rename = "b", skip_serializing_if = "Top::is_empty")]
    pub started: Top<String, (), FORMS_MAX>,
    /// `Form Submitted`.
    #[serde(default, rename = "s", skip_serializing_if = "Top::is_empty")]
    pub submitted: Top<String, (), FORMS_MAX>,
    /// `Form Abandoned`: fields filled in and seconds spent.
    #[serde(default, rename = "a", skip_serializing_if = "Top::is_empty")]
    pub abandoned: Top<String, (u32, u32), FORMS_MAX>,
    /// `Form Submitted`, of any form.
    #[serde(default, rename = "n", skip_serializing_if = "is_zero")]
    pub submissions: u64,
    /// The first of them that say something of who sends them: no searches.
    #[serde(default, rename = "f", skip_serializing_if = "Earliest::is_empty")]
    firsts: Earliest<NUMBERED_MAX>,
    /// Which form each of these was.
    #[serde(default, rename = "fn", skip_serializing_if = "Called::is_empty")]
    called: Called,
    /// The last `Form Submitted`.
    #[serde(default, rename = "l", skip_serializing_if = "Option::is_none")]
    pub last: Option<Position>,
    /// The last `Signed Up` or `Account Created`: whatever form led there.
    #[serde(default, rename = "r", skip_serializing_if = "Option::is_none")]
    pub registered: Option<Position>,
}

/// What an event's form goes by.
fn form_of(event: &Event) -> Option<Cow<'_, str>> {
    let given = ["form", "form_id", "path"].map(|name| event.properties.get(name));
    given.into_iter().find_map(|value| number::id(value, NAME_BYTES_MAX))
}

/// Whether the name that it goes by is cut.
pub(super) fn is_name_too_long(event: &Event) -> bool {
    let given = ["form", "form_id", "path"].map(|name| event.properties.get(name));
    let named = given.into_iter().flatten();
    let mut named = named.filter(|value| number::id(Some(value), NAME_BYTES_MAX).is_some());
    exceeds(named.next(), NAME_BYTES_MAX)
}

/// A search form says nothing of who sends it off.
pub(super) fn is_search(event: &Event) -> bool {
    form_of(event).is_some_and(|form| is_search_form(&form))
}

/// Whether a form of this name is one to search with.
pub(crate) fn is_search_form(form: &str) -> bool {
    form.to_ascii_lowercase().contains("search")
}

impl Forms {
    pub(super) fn is_empty(&self) -> bool {
        *self == Forms::default()
    }

    /// Whether something is no longer kept.
    #[must_use]
    pub fn is_trimmed(&self) -> bool {
        self.started.is_trimmed() || self.submitted.is_trimmed() || self.abandoned.is_trimmed()
    }

    pub(super) fn fold(&mut self, name: &str, event: &Event, at: Position) {
        let properties = &event.properties;
        let form = || form_of(event);
        match name {
            "Form Started" => {
                if let Some(form) = form() {
                    self.started.write(&*form, at, || ());
                }
            }
            "Form Submitted" => {
                self.submissions = self.submissions.saturating_add(1);
                if !is_search(event) {
                    self.called.add(&mut self.firsts, (at.id, at.at), form().as_deref());
                }
                latest(&mut self.last, Some(at));
                if let Some(form) = form() {
                    self.submitted.write(&*form, at, || ());
                }
            }
            "Form Abandoned" => {
                let fields = whole(properties.get("fields"), FIELDS_MAX).unwrap_or(0);
                let seconds = whole(properties.get("seconds"), SECONDS_MAX).unwrap_or(0);
                if let Some(form) = form() {
                    self.abandoned.write(&*form, at, || (fields, seconds));
                }
            }
            "Signed Up" | "Account Created" => latest(&mut self.registered, Some(at)),
            _ => {}
        }
    }

    pub(super) fn bound_to(&mut self, max: usize) {
        self.started.bound(max);
        self.submitted.bound(max);
        self.abandoned.bound(max);
        self.called.bound(max);
    }

    pub(super) fn merge(&mut self, other: &Forms) {
        self.started.merge(&other.started);
        self.submitted.merge(&other.submitted);
        self.abandoned.merge(&other.abandoned);
        self.submissions = self.submissions.saturating_add(other.submissions);
        self.called.merge(&mut self.firsts, (&other.firsts, &other.called));
        latest(&mut self.last, other.last);
        latest(&mut self.registered, other.registered);
    }

    /// When the first forms but searches were sent off, the earliest first; at most 31.
    pub(crate) fn submitted_at(&self) -> Vec<Stamp> {
        self.firsts.stamps()
    }

    /// Which form the so many-th of them was, counted from 1; none where it had no name, or where an
    /// earlier release kept none.
    pub(crate) fn sent_as(&self, n: u64) -> Option<&str> {
        self.called.nth(&self.firsts, n)
    }

    /// The forms that were begun or given up after they were last sent off, the latest first: the
    /// form, and when it was last touched.
    #[must_use]
    pub fn open(&self) -> Vec<(&str, Position)> {
        let begun = self.started.iter().map(|(form, register)| (form, register.at));
        let left = self.abandoned.iter().map(|(form, register)| (form, register.at));
        let mut open: Vec<(&str, Position)> = Vec::new();
        for (form, at) in begun.chain(left) {
            let sent = self.submitted.get(form).is_some_and(|sent| sent.at.at >= at.at);
            match open.iter_mut().find(|(known, _)| *known == form) {
                _ if sent => {}
                Some((_, held)) => *held = (*held).max(at),
                None => open.push((form, at)),
            }
        }
        open.sort_by_key(|(_, at)| std::cmp::Reverse(*at));
        open
    }
}
