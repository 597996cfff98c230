//! Those who use the system: customers with what they do, and the clients that report it.

use super::workspace::Version;
use odyssey_domain::contact::{ConsentState, TopicId};
use odyssey_domain::ids::IdentityKey;
use odyssey_domain::personal::{AnonymousId, EmailAddress, UserId};
use odyssey_domain::time::Stamp;
use odyssey_domain::wire::SourceKind;
use serde_json::{Map, Value, json};

/// One customer.
#[derive(Debug, Clone)]
pub(crate) struct Customer {
    pub(crate) number: u64,
    pub(crate) user: String,
    pub(crate) devices: Vec<String>,
    pub(crate) email: String,
    /// The id by which the shop's back office knows them.
    pub(crate) crm: String,
    /// The zone they live in, where their devices say it.
    pub(crate) zone: Option<&'static str>,
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
    /// `context.externalIds`: type and id.
    pub(crate) ids: Vec<(&'static str, String)>,
    /// `context.timezone`
    pub(crate) zone: Option<&'static str>,
    pub(crate) at: Stamp,
    pub(crate) properties: Map<String, Value>,
    pub(crate) traits: Map<String, Value>,
}

impl Said {
    /// The identifiers it has beside user id and device, if a server says it: strongest first.
    /// Worked out from what was said, not as the domain does it.
    pub(crate) fn vouched(&self) -> Vec<IdentityKey> {
        let mut named: Vec<(u8, String)> = Vec::new();
        for (kind, id) in &self.ids {
            named.push(match *kind {
                "email" => (1, format!("email:{id}")),
                kind => (0, format!("external:{kind}:{id}")),
            });
        }
        if let ("identify", Some(Value::String(address))) = (self.kind, self.traits.get("email")) {
            named.push((1, format!("email:{address}")));
        }
        named.sort();
        named.dedup();
        let keys = super::workspace::keyring();
        let key = |(_, text): (u8, String)| text.parse().ok().map(|id| keys.identity_key(&id));
        named.into_iter().filter_map(key).collect()
    }

    /// The identity it folds under.
    pub(crate) fn own(&self, source: SourceKind) -> Option<IdentityKey> {
        let keys = super::workspace::keyring();
        let user = self.user.as_ref().and_then(|id| UserId::parse(id).ok());
        let device = self.device.as_ref().and_then(|id| AnonymousId::parse(id).ok());
        let vouched = match source {
            SourceKind::Server => self.vouched().into_iter().next(),
            SourceKind::Browser => None,
        };
        let user = user.map(|id| keys.user_key(&id));
        user.or(vouched).or_else(|| device.map(|id| keys.anonymous_key(&id)))
    }

    /// `context`, where it has one.
    pub(crate) fn context(&self) -> Option<Value> {
        let entry = |(kind, id): &(&str, String)| json!({"type": kind, "id": id, "collection": "users", "encoding": "none"});
        let ids: Vec<Value> = self.ids.iter().map(entry).collect();
        let mut context = Map::new();
        if !ids.is_empty() {
            context.insert("externalIds".to_owned(), ids.into());
        }
        if let Some(zone) = self.zone {
            context.insert("timezone".to_owned(), zone.into());
        }
        (!context.is_empty()).then(|| context.into())
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
            set("context", self.context());
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
    /// The operator back-fills what that publication declares, as they were told to.
    Fill { number: u32 },
    /// The operator splits an id off the profile it is linked to.
    Split { identity: IdentityKey },
    /// The operator says of unconfirmed sends whether SES accepted them; who looks in the wrong
    /// place does not find what it did.
    Settle { finds: bool },
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
