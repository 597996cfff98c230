//! Events: what a property says a customer did, as the Segment Spec words it.
//!
//! [`Event`] is the stamped form that travels on the bus and folds into profiles: what consumers
//! read. `ingest` writes the same JSON without building it: [`request::parse`] reads a body into
//! [`Draft`]s that borrow from it, and [`publish::details`] stamps, groups and writes them.

mod item;
pub mod message_id;
pub mod problem;
pub mod publish;
pub mod request;
mod sound;
pub mod stamp;
pub mod unicode;

pub use item::{Draft, NAME_BYTES_MAX};
pub use sound::DEPTH_MAX;

use crate::ids::{EventHash, Position};
use crate::personal::{AnonymousId, UserId};
use crate::time::Stamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Which call of the Segment API an event came by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// Somebody did something; it has a name.
    Track,
    /// Who somebody is: traits.
    Identify,
    /// A page was seen.
    Page,
    /// A screen of an app was seen.
    Screen,
    /// Somebody belongs to a group.
    Group,
    /// Two ids are one person.
    Alias,
}

impl EventKind {
    /// The call's name: `track`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            EventKind::Track => "track",
            EventKind::Identify => "identify",
            EventKind::Page => "page",
            EventKind::Screen => "screen",
            EventKind::Group => "group",
            EventKind::Alias => "alias",
        }
    }
}

/// One stamped event. Its stamp never changes again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// `messageId`: the client's, or hash(API request id, index) where it sent none. At most 100
    /// bytes.
    pub id: String,
    /// When it happened, by the rules that the module `stamp` states; never after it was received.
    pub at: Stamp,
    /// What the client had said, where the stamp differs from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<Stamp>,
    /// The call.
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// The name of a track event, or of a page or screen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Who, to the property.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// Who, to the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anonymous_id: Option<AnonymousId>,
    /// An alias's other id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_id: Option<String>,
    /// A group's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_id: Option<String>,
    /// `properties` of track, page and screen.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub properties: Map<String, Value>,
    /// `traits` of identify and group.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub traits: Map<String, Value>,
    /// `context`, batch-level context merged in.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub context: Map<String, Value>,
    /// `integrations`, batch-level ones merged in: kept as it was said, nothing here forwards yet.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub integrations: Map<String, Value>,
}

impl Event {
    /// Its place in the total order.
    #[must_use]
    pub fn position(&self) -> Position {
        Position { at: self.at, id: EventHash::of(&self.id) }
    }
}
