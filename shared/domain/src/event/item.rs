//! One call of the Segment API: from its JSON object to a validated event, still borrowed.
//!
//! Every known field is taken as raw JSON first, so that reading cannot fail on a type; then each
//! is asked for what it is. Unknown fields are skipped. A field given twice counts with its last
//! value, as in `JSON.parse`.

use super::EventKind;
use super::message_id;
use super::problem::{Found, Problem};
use super::{sound, stamp};
use crate::identity::{Identifier, vouched};
use crate::personal::{PersonalError, check_id};
use crate::time::Stamp;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// The longest name of an event, page or screen, in bytes.
pub const NAME_BYTES_MAX: usize = 512;
/// Nothing in it says whose it is.
pub(super) const NOBODY: Fault = ("userId", Problem::Nobody);
/// What takes the place of text that is not Unicode ([`super::unicode`]).
const REPLACEMENT: char = '\u{fffd}';

/// A JSON value as it was sent, or as it was merged.
pub(super) type Json<'a> = Cow<'a, RawValue>;
/// A field's problem and its name.
pub(super) type Fault = (&'static str, Problem);

/// Declares the fields, the struct that holds them raw, and how it is read.
macro_rules! fields {
    ($($field:ident = $($name:literal)|+),+ $(,)?) => {
        /// The fields of one call, unread. Of those an item's own, `None` where it has none.
        #[derive(Debug, Default, Clone, Copy)]
        pub(super) struct RawItem<'a> {
            $(pub(super) $field: Option<&'a RawValue>,)+
        }

        #[derive(serde::Deserialize)]
        #[serde(field_identifier)]
        #[expect(non_camel_case_types, reason = "each is a field of the struct above")]
        enum Field {
            $($(#[serde(alias = $name)])+ $field,)+
            #[serde(other)]
            Other,
        }

        impl<'de> Visitor<'de> for ItemVisitor {
            type Value = RawItem<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawItem<'de>, A::Error> {
                let mut item = RawItem::default();
                while let Some(field) = map.next_key::<Field>()? {
                    match field {
                        $(Field::$field => item.$field = Some(map.next_value()?),)+
                        Field::Other => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(item)
            }
        }
    };
}

struct ItemVisitor;

fields! {
    kind = "type",
    // The Spec's own pages write these where SDKs write `type` and `userId`.
    action = "action",
    user_id = "userId" | "user_id",
    anonymous_id = "anonymousId" | "anonymous_id",
    previous_id = "previousId" | "previous_id",
    group_id = "groupId" | "group_id",
    message_id = "messageId" | "message_id",
    event = "event",
    name = "name",
    category = "category",
    timestamp = "timestamp",
    // RudderStack's SDKs call the client's own time so and send no `timestamp`.
    original_timestamp = "originalTimestamp",
    sent_at = "sentAt" | "sent_at",
    properties = "properties",
    traits = "traits",
    context = "context",
    integrations = "integrations",
    write_key = "writeKey",
}

impl<'de: 'a, 'a> Deserialize<'de> for RawItem<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RawItem<'a>, D::Error> {
        deserializer.deserialize_map(ItemVisitor)
    }
}

/// A validated event that waits for its stamp.
#[derive(Debug, Clone)]
pub struct Draft<'a> {
    pub(super) kind: EventKind,
    pub(super) message_id: Option<Cow<'a, str>>,
    pub(super) name: Option<Cow<'a, str>>,
    pub(super) user_id: Option<Cow<'a, str>>,
    pub(super) anonymous_id: Option<Cow<'a, str>>,
    pub(super) previous_id: Option<Cow<'a, str>>,
    pub(super) group_id: Option<Cow<'a, str>>,
    /// Who it is about, where neither user id nor anonymous id says so: only a server may.
    pub(super) vouched: Option<Box<Identifier>>,
    pub(super) timestamp: Option<Stamp>,
    pub(super) sent_at: Option<Stamp>,
    pub(super) properties: Option<Json<'a>>,
    pub(super) traits: Option<Json<'a>>,
    pub(super) context: Option<Json<'a>>,
    pub(super) integrations: Option<Json<'a>>,
}

/// What a batch says for all of its items.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Shared<'a> {
    pub(super) sent_at: Option<Stamp>,
    pub(super) context: Option<&'a RawValue>,
    pub(super) integrations: Option<&'a RawValue>,
}

impl<'a> RawItem<'a> {
    /// Validates an item. `call` is what the path said it is; `None` in a batch, where each item
    /// says it itself.
    pub(super) fn validate(
        &self,
        call: Option<EventKind>,
        shared: &Shared<'a>,
    ) -> Result<Draft<'a>, Fault> {
        let kind = match call {
            Some(kind) => kind,
            None => kind_of(self.kind.or(self.action)).map_err(|p| ("type", p))?,
        };
        let user_id = somebody(self.user_id).map_err(|p| ("userId", p))?;
        let mut anonymous_id = somebody(self.anonymous_id).map_err(|p| ("anonymousId", p))?;
        let mut previous_id = None;
        let mut vouched = None;
        if kind == EventKind::Alias {
            let named = somebody(self.previous_id).map_err(|p| ("previousId", p))?;
            // A browser that aliases without saying from whom means itself.
            previous_id = named.or_else(|| anonymous_id.take());
            if user_id.is_none() {
                return Err(("userId", missing_id(self.user_id)));
            }
            if previous_id.is_none() {
                return Err(("previousId", missing_id(self.previous_id)));
            }
        } else if user_id.is_none() && anonymous_id.is_none() {
            vouched = Some(Box::new(self.vouched(kind, shared).ok_or(NOBODY)?));
        }
        let group_id = match kind {
            EventKind::Group => Some(
                somebody(self.group_id)
                    .and_then(|id| id.ok_or_else(|| missing_id(self.group_id)))
                    .map_err(|p| ("groupId", p))?,
            ),
            _ => None,
        };
        let context = object(self.context).map_err(|p| ("context", p))?;
        let mut traits = object(self.traits).map_err(|p| ("traits", p))?;
        if traits.is_none() && kind == EventKind::Identify {
            // RudderStack's web SDK identifies by `context.traits` alone.
            traits = context.and_then(context_traits);
        }
        let properties = object(self.properties).map_err(|p| ("properties", p))?;
        Ok(Draft {
            kind,
            message_id: message_id(self.message_id).map_err(|p| ("messageId", p))?,
            name: self.name_of(kind)?,
            user_id,
            anonymous_id,
            previous_id,
            group_id,
            vouched,
            timestamp: self.time().map_err(|p| ("timestamp", p))?,
            sent_at: shared.sent_at.or_else(|| time(self.sent_at).ok().flatten()),
            properties: self.with_category(kind, properties),
            traits: traits.map(Cow::Borrowed),
            context: merged(shared.context, context),
            integrations: merged(shared.integrations, object(self.integrations).ok().flatten()),
        })
    }

    /// The strongest identifier that a server's event carries beside user id and anonymous id. Not
    /// asked of events that have one of those.
    fn vouched(&self, kind: EventKind, shared: &Shared<'a>) -> Option<Identifier> {
        let own = object(self.context).ok().flatten();
        let context = merged(shared.context, own);
        let map = |json: Option<&RawValue>| -> Map<String, Value> {
            json.and_then(|json| serde_json::from_str(json.get()).ok()).unwrap_or_default()
        };
        let traits = object(self.traits).ok().flatten();
        let traits = match kind {
            EventKind::Identify => map(traits.or_else(|| own.and_then(context_traits))),
            _ => Map::new(),
        };
        vouched(kind, &traits, &map(context.as_deref())).into_iter().next()
    }

    fn name_of(&self, kind: EventKind) -> Result<Option<Cow<'a, str>>, Fault> {
        match kind {
            EventKind::Track => {
                let expected = "the event's name (a string)";
                match name(self.event, expected).map_err(|p| ("event", p))? {
                    Some(name) if name.trim().is_empty() => {
                        Err(("event", Problem::Empty { expected }))
                    }
                    Some(name) => Ok(Some(name)),
                    None => Err(("event", Problem::Wrong { expected, found: found(self.event) })),
                }
            }
            EventKind::Page | EventKind::Screen => {
                let name = name(self.name, "a string").map_err(|p| ("name", p))?;
                Ok(name.filter(|name| !name.is_empty()))
            }
            EventKind::Identify | EventKind::Group | EventKind::Alias => Ok(None),
        }
    }

    fn time(&self) -> Result<Option<Stamp>, Problem> {
        match time(self.timestamp)? {
            Some(stamp) => Ok(Some(stamp)),
            None => time(self.original_timestamp),
        }
    }

    /// Pages and screens may have a `category` beside their properties; it belongs into them.
    fn with_category(&self, kind: EventKind, properties: Option<&'a RawValue>) -> Option<Json<'a>> {
        let category = self.category.filter(|raw| Found::of(raw.get()) == Found::Text);
        match category {
            Some(category) if matches!(kind, EventKind::Page | EventKind::Screen) => {
                let mut base = Members::new();
                base.insert(Cow::Borrowed("category"), category);
                over(base, properties)
            }
            _ => properties.map(Cow::Borrowed),
        }
    }
}

fn found(raw: Option<&RawValue>) -> Found {
    raw.map_or(Found::Nothing, |raw| Found::of(raw.get()))
}

/// The text of a JSON string; borrowed where it has no escapes.
fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    let inner = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    // Without branches, so that it becomes vector instructions.
    if inner.bytes().fold(0, |any, byte| any | u8::from(byte == b'\\')) != 0 {
        serde_json::from_str(raw.get()).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inner))
    }
}

/// The calls by their names in `type`.
const CALLS: [(&str, EventKind); 6] = [
    ("track", EventKind::Track),
    ("page", EventKind::Page),
    ("identify", EventKind::Identify),
    ("screen", EventKind::Screen),
    ("group", EventKind::Group),
    ("alias", EventKind::Alias),
];

fn kind_of(raw: Option<&RawValue>) -> Result<EventKind, Problem> {
    let expected = "one of track, identify, page, screen, group and alias";
    let text = raw.and_then(text).ok_or(Problem::Wrong { expected, found: found(raw) })?;
    CALLS
        .into_iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(&text))
        .map(|(_, kind)| kind)
        .ok_or(Problem::UnknownType)
}

/// A string, or a number as its text; `None` for `null` and for nothing.
fn text_or_number(raw: Option<&RawValue>) -> Result<Option<Cow<'_, str>>, Problem> {
    let Some(raw) = raw else { return Ok(None) };
    match Found::of(raw.get()) {
        Found::Nothing | Found::Null => Ok(None),
        Found::Text => Ok(text(raw)),
        Found::Number => Ok(Some(Cow::Borrowed(raw.get()))),
        found => Err(Problem::Wrong { expected: "a string or a number", found }),
    }
}

/// An id that names somebody; `None` for an empty one and for placeholders.
fn somebody(raw: Option<&RawValue>) -> Result<Option<Cow<'_, str>>, Problem> {
    let Some(text) = text_or_number(raw)? else { return Ok(None) };
    if !text.is_ascii() && text.contains(REPLACEMENT) {
        return Err(Problem::NotUnicode);
    }
    match check_id(&text) {
        Ok(id) if id.len() == text.len() => Ok(Some(text)),
        Ok(id) => Ok(Some(Cow::Owned(id.to_owned()))),
        Err(PersonalError::TooLong { limit }) => {
            Err(Problem::TooLong { limit, bytes: text.trim().len() })
        }
        Err(PersonalError::Control) => Err(Problem::Control),
        Err(_) => Ok(None),
    }
}

/// Why an id that must be there is not.
fn missing_id(raw: Option<&RawValue>) -> Problem {
    match found(raw) {
        Found::Text | Found::Number => Problem::Placeholder,
        found => Problem::Wrong { expected: "a string or a number", found },
    }
}

fn message_id(raw: Option<&RawValue>) -> Result<Option<Cow<'_, str>>, Problem> {
    Ok(text_or_number(raw)?.and_then(message_id::of_client))
}

fn name<'a>(
    raw: Option<&'a RawValue>,
    expected: &'static str,
) -> Result<Option<Cow<'a, str>>, Problem> {
    let Some(raw) = raw else { return Ok(None) };
    match Found::of(raw.get()) {
        Found::Null => Ok(None),
        Found::Text => match text(raw) {
            Some(name) if name.len() > NAME_BYTES_MAX => {
                Err(Problem::TooLong { limit: NAME_BYTES_MAX, bytes: name.len() })
            }
            name => Ok(name),
        },
        found => Err(Problem::Wrong { expected, found }),
    }
}

/// A time; `None` for `null`, for an empty string and for nothing.
pub(super) fn time(raw: Option<&RawValue>) -> Result<Option<Stamp>, Problem> {
    let Some(raw) = raw else { return Ok(None) };
    let found = Found::of(raw.get());
    let read = match found {
        Found::Null => return Ok(None),
        Found::Number => stamp::from_number(raw.get()),
        Found::Text => match text(raw) {
            Some(text) if text.trim().is_empty() => return Ok(None),
            text => text.as_deref().and_then(stamp::read),
        },
        _ => return Err(Problem::Wrong { expected: "a time", found }),
    };
    read.map(Some).ok_or(Problem::NoTime { found })
}

/// An object with something in it; `None` for `null`, `{}` and `[]` (PHP's empty object).
pub(super) fn object(raw: Option<&RawValue>) -> Result<Option<&RawValue>, Problem> {
    let Some(raw) = raw else { return Ok(None) };
    let empty =
        |json: &str| json.get(1..json.len() - 1).is_none_or(|in_it| in_it.trim().is_empty());
    match Found::of(raw.get()) {
        Found::Null => Ok(None),
        Found::Object | Found::List if empty(raw.get()) => Ok(None),
        Found::Object => sound::check(raw).map(|()| Some(raw)),
        found => Err(Problem::Wrong { expected: "an object", found }),
    }
}

fn context_traits(context: &RawValue) -> Option<&RawValue> {
    #[derive(serde::Deserialize)]
    struct Context<'a> {
        #[serde(borrow, default)]
        traits: Option<&'a RawValue>,
    }
    let context: Context<'_> = serde_json::from_str(context.get()).ok()?;
    // Sound, because the context around it is.
    context.traits.filter(|traits| Found::of(traits.get()) == Found::Object)
}

/// The members of an object, by name; the order they had is lost.
type Members<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

fn members(object: &RawValue) -> Members<'_> {
    serde_json::from_str(object.get()).unwrap_or_default()
}

/// The batch's object with the item's own members over it, not deep, as Segment merges them.
fn merged<'a>(shared: Option<&'a RawValue>, own: Option<&'a RawValue>) -> Option<Json<'a>> {
    match (shared, own) {
        (None, own) => own.map(Cow::Borrowed),
        (Some(shared), None) => Some(Cow::Borrowed(shared)),
        (Some(shared), own) => over(members(shared), own),
    }
}

fn over<'a>(mut base: Members<'a>, own: Option<&'a RawValue>) -> Option<Json<'a>> {
    if let Some(own) = own {
        base.extend(members(own));
    }
    serde_json::value::to_raw_value(&base).ok().map(Cow::Owned)
}
