//! From validated events to the details of bus entries: stamping, grouping, encoding.
//!
//! The detail is [`crate::wire::EventsAccepted`] as JSON, written from the borrowed events so that
//! properties, traits and context are copied once, as they came.

use super::EventKind;
use super::item::{Draft, Json};
use super::message_id;
use super::stamp::stamp;
use crate::identity::Identifier;
use crate::time::Stamp;
use crate::wire::{BUS_SCHEMA, SourceRef};
use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The longest detail of one bus entry. `PutEvents` takes 256 KB a call, the entry's other fields
/// included (`EventBridge` quotas, read 2026-11); the rest is room for them.
pub const DETAIL_BYTES_MAX: usize = 200 * 1024;

/// The request that the events came in.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// API Gateway's id of it.
    pub request: &'a str,
    /// When it was received.
    pub received: Stamp,
    /// Through which source.
    pub source: &'a SourceRef,
}

#[derive(Serialize)]
struct Header<'a> {
    v: u16,
    request: &'a str,
    received: Stamp,
    source: &'a SourceRef,
}

/// The written form of [`super::Event`].
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    id: &'a str,
    at: Stamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    original: Option<Stamp>,
    #[serde(rename = "type")]
    kind: EventKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    anonymous_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    properties: Option<&'a Json<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traits: Option<&'a Json<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<&'a Json<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    integrations: Option<&'a Json<'a>>,
}

/// The details of the bus entries for these events: those of one customer together and in their
/// order, in more than one entry only where they pass [`DETAIL_BYTES_MAX`].
///
/// Two events are one customer's where they share a user id or an anonymous id, or where other
/// events of the request join their ids; those with neither, where their strongest identifier is
/// one.
///
/// # Errors
/// Never in practice: writing JSON fails only for maps whose keys are no strings.
pub fn details(
    events: &[(usize, Draft<'_>)],
    origin: &Origin<'_>,
) -> Result<Vec<String>, serde_json::Error> {
    let header = Header {
        v: BUS_SCHEMA,
        request: origin.request,
        received: origin.received,
        source: origin.source,
    };
    let mut prefix = serde_json::to_vec(&header)?;
    prefix.pop();
    prefix.extend_from_slice(b",\"events\":[");
    let mut details = Vec::new();
    for customer in customers(events) {
        let mut detail = prefix.clone();
        for (index, draft) in customer.into_iter().filter_map(|place| events.get(place)) {
            let before = detail.len();
            if before > prefix.len() {
                detail.push(b',');
            }
            write(&mut detail, *index, draft, origin)?;
            if detail.len() + SUFFIX.len() > DETAIL_BYTES_MAX && before > prefix.len() {
                let mut next = prefix.clone();
                next.extend(detail.drain(before..).skip(1));
                details.push(finish(std::mem::replace(&mut detail, next)));
            }
        }
        details.push(finish(detail));
    }
    Ok(details)
}

const SUFFIX: &str = "]}";

fn finish(mut detail: Vec<u8>) -> String {
    detail.extend_from_slice(SUFFIX.as_bytes());
    // `serde_json` writes UTF-8, so nothing is ever replaced here.
    String::from_utf8(detail)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn write(
    detail: &mut Vec<u8>,
    index: usize,
    draft: &Draft<'_>,
    origin: &Origin<'_>,
) -> Result<(), serde_json::Error> {
    let id = match &draft.message_id {
        Some(id) => Cow::Borrowed(id.as_ref()),
        None => Cow::Owned(message_id::derived(origin.request, index)),
    };
    let stamped = stamp(draft.timestamp, draft.sent_at, origin.received);
    let written = Written {
        id: &id,
        at: stamped.at,
        original: stamped.original,
        kind: draft.kind,
        name: draft.name.as_deref(),
        user_id: draft.user_id.as_deref(),
        anonymous_id: draft.anonymous_id.as_deref(),
        previous_id: draft.previous_id.as_deref(),
        group_id: draft.group_id.as_deref(),
        properties: draft.properties.as_ref(),
        traits: draft.traits.as_ref(),
        context: draft.context.as_ref(),
        integrations: draft.integrations.as_ref(),
    };
    serde_json::to_writer(detail, &written)
}

/// An id in its name space.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Id<'a> {
    User(&'a str),
    Anonymous(&'a str),
    Vouched(&'a Identifier),
}

/// The places of the events of each customer, customers in the order of their first event.
fn customers(events: &[(usize, Draft<'_>)]) -> Vec<Vec<usize>> {
    let mut first_with: BTreeMap<Id<'_>, usize> = BTreeMap::new();
    let mut joined = Joined { parent: (0..events.len()).collect() };
    for (place, (_, draft)) in events.iter().enumerate() {
        let user = draft.user_id.as_deref().map(Id::User);
        let anonymous = draft.anonymous_id.as_deref().map(Id::Anonymous);
        // An alias's other id may be of either kind.
        let previous = draft.previous_id.as_deref();
        let vouched = draft.vouched.as_deref().map(Id::Vouched);
        let ids = [user, anonymous, previous.map(Id::User), previous.map(Id::Anonymous), vouched];
        for id in ids.into_iter().flatten() {
            let first = *first_with.entry(id).or_insert(place);
            joined.join(first, place);
        }
    }
    let mut of_first: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for place in 0..events.len() {
        of_first.entry(joined.first(place)).or_default().push(place);
    }
    of_first.into_values().collect()
}

/// Disjoint sets of places; each set is named by its first place.
struct Joined {
    parent: Vec<usize>,
}

impl Joined {
    fn first(&mut self, place: usize) -> usize {
        let mut at = place;
        while let Some(&parent) = self.parent.get(at)
            && parent != at
        {
            // Halving the path keeps it short.
            let grandparent = self.parent.get(parent).copied().unwrap_or(parent);
            if let Some(slot) = self.parent.get_mut(at) {
                *slot = grandparent;
            }
            at = grandparent;
        }
        at
    }

    fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.first(one), self.first(other));
        if let Some(slot) = self.parent.get_mut(one.max(other)) {
            *slot = one.min(other);
        }
    }
}
