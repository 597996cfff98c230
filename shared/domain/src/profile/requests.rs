//! Consent that was asked for without saying for which address: it is asked of the profile's own,
//! which may come later, since queues keep no order.

use super::text::clip;
use super::top::Top;
use crate::contact::{TopicId, VIA_BYTES_MAX};
use crate::event::{Event, EventKind};
use crate::ids::Position;
use crate::personal::EmailAddress;
use crate::time::Stamp;
use crate::wire::detail_type;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Topics of which the last request is kept; of more, those asked for last.
pub const REQUESTS_MAX: usize = 16;

/// What a track event `Consent Requested` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requested {
    /// The topic.
    pub topic: TopicId,
    /// Which address is to be asked; the profile's own where none is given.
    pub email: Option<EmailAddress>,
}

impl Requested {
    /// What `event` asks for. One without a topic, or with an address that is none, asks for nothing.
    #[must_use]
    pub fn of(event: &Event) -> Option<Requested> {
        let name = event.name.as_deref();
        if event.kind != EventKind::Track || name != Some(detail_type::CONSENT_REQUESTED) {
            return None;
        }
        let text = |name: &str| event.properties.get(name).and_then(Value::as_str);
        let topic = TopicId::parse(text("topic")?).ok()?;
        let email = text("email").map(EmailAddress::parse).transpose().ok()?;
        Some(Requested { topic, email })
    }
}

/// The last request for each topic that gave no address: when, and the source's name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Requests(Top<TopicId, String, REQUESTS_MAX>);

impl Requests {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn is_trimmed(&self) -> bool {
        self.0.is_trimmed()
    }

    pub(super) fn fold(&mut self, event: &Event, at: Position, source: &str) {
        if let Some(Requested { topic, email: None }) = Requested::of(event) {
            self.0.write(&topic, at, || clip(source, VIA_BYTES_MAX).to_owned());
        }
    }

    pub(super) fn merge(&mut self, other: &Requests) {
        self.0.merge(&other.0);
    }

    pub(super) fn bound_to(&mut self, max: usize) {
        self.0.bound(max);
    }

    /// Whether a topic was requested.
    pub(super) fn has(&self, topic: &TopicId) -> bool {
        self.0.get(topic).is_some()
    }

    /// The requests after what was asked: topic, when, and through which source.
    pub fn open<'a>(
        &'a self,
        asked: &'a BTreeMap<TopicId, Stamp>,
    ) -> impl Iterator<Item = (&'a TopicId, Stamp, &'a str)> {
        let open = self.0.iter().filter(|(topic, request)| {
            asked.get(*topic).is_none_or(|asked| *asked < request.at.at)
        });
        open.map(|(topic, request)| (topic, request.at.at, request.value.as_str()))
    }
}
