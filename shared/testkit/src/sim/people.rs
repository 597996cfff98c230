//! Those who use the system: customers with what they do, and the clients that report it.

use super::workspace::Version;
use odyssey_domain::contact::{ConsentState, TopicId};
use odyssey_domain::ids::IdentityKey;
use odyssey_domain::personal::{AnonymousId, EmailAddress, UserId};
use odyssey_domain::time::Stamp;
use serde_json::{Map, Value, json};

/// One customer.
#[derive(Debug, Clone)]
pub(crate) struct Customer {
    pub(crate) number: u64,
    pub(crate) user: String,
    pub(crate) devices: Vec<String>,
    pub(crate) email: String,
    /// Follows the link in a confirmation mail, so often of 1,000.
    pub(crate) confirms: u64,
    /// Uses one-click unsubscribe, so often of 1,000 marketing mails.
    pub(crate) unsubscribes: u64,
}

/// One event as a client has it in its queue.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    pub(crate) id: String,
    pub(crate) kind: &'static str,
    pub(crate) name: Option<&'static str>,
    pub(crate) user: Option<String>,
    pub(crate) device: Option<String>,
    pub(crate) previous: Option<String>,
    pub(crate) at: Stamp,
    pub(crate) properties: Map<String, Value>,
    pub(crate) traits: Map<String, Value>,
}

impl Said {
    /// The identity it folds under.
    pub(crate) fn own(&self) -> Option<IdentityKey> {
        let keys = super::workspace::keyring();
        let user = self.user.as_ref().and_then(|id| UserId::parse(id).ok());
        let device = self.device.as_ref().and_then(|id| AnonymousId::parse(id).ok());
        user.map(|id| keys.user_key(&id)).or_else(|| device.map(|id| keys.anonymous_key(&id)))
    }

    /// As the Segment API takes it.
    pub(crate) fn json(&self) -> Value {
        let mut call = json!({
            "type": self.kind,
            "messageId": self.id,
            "timestamp": self.at.to_string(),
        });
        if let Some(fields) = call.as_object_mut() {
            let mut set = |name: &str, value: Option<Value>| {
                if let Some(value) = value {
                    fields.insert(name.to_owned(), value);
                }
            };
            set("event", self.name.map(Value::from));
            set("userId", self.user.clone().map(Value::from));
            set("anonymousId", self.device.clone().map(Value::from));
            set("previousId", self.previous.clone().map(Value::from));
            set(
                "properties",
                (!self.properties.is_empty()).then(|| self.properties.clone().into()),
            );
            set("traits", (!self.traits.is_empty()).then(|| self.traits.clone().into()));
        }
        call
    }
}

/// What somebody sets out to do, and tries until it is done.
#[derive(Debug, Clone)]
pub(crate) struct Errand {
    pub(crate) what: What,
    /// How often it was tried.
    pub(crate) tries: u32,
}

/// What it is.
#[derive(Debug, Clone)]
pub(crate) enum What {
    /// A client posts events.
    Post { source: &'static str, events: Vec<Said> },
    /// A consent changes; `number` is the checks' own number of it.
    Consent { number: usize, change: ConsentWish },
    /// A form asks for a confirmation mail.
    Ask { email: EmailAddress, topic: TopicId },
    /// The operator publishes; of several such errands only the latest is tried again.
    Publish { version: Version, number: u32 },
}

/// How a consent is to change.
#[derive(Debug, Clone)]
pub(crate) enum ConsentWish {
    /// A server says so.
    Server { email: EmailAddress, user: Option<String>, topic: TopicId, state: ConsentState },
    /// The link in a confirmation mail is followed.
    Confirm(String),
    /// A mail program's button, or the page behind the link.
    Unsubscribe { token: String, one_click: bool },
}

/// What the client was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// It is done.
    Done,
    /// Not now: try again.
    Later,
    /// Never.
    Refused,
}
