//! What was too long for the facts: which kinds of texts were cut and of lists left out, so that
//! nobody takes what is kept for all there was.
//!
//! Each kind is a function of the event alone, whether or not what it says is the last word: a set
//! of them is the same in every order, grouping and repetition.

use super::product::{self, PRODUCTS_PER_EVENT_MAX, ProductFields};
use super::text::{TRAIT_TEXT_BYTES_MAX, exceeds};
use super::{bought, cart, content, forms, mailings, sessions, support};
use crate::event::Event;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// A kind of what was too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TooLong {
    /// A trait of such a name is not kept.
    #[serde(rename = "n")]
    TraitName,
    /// Of a trait's text the beginning is kept.
    #[serde(rename = "t")]
    TraitText,
    /// A trait that is such a list or object is not kept.
    #[serde(rename = "v")]
    TraitList,
    /// Of a text among properties or in `context` the beginning is kept; of a URL nothing.
    #[serde(rename = "x")]
    Text,
    /// Of a list among properties the first entries are looked at.
    #[serde(rename = "l")]
    List,
}

impl TooLong {
    /// Its name in the fact `trimmed.parts`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            TooLong::TraitName => "trait names",
            TooLong::TraitText => "trait texts",
            TooLong::TraitList => "trait lists",
            TooLong::Text => "texts",
            TooLong::List => "lists",
        }
    }
}

/// The kinds that an accumulator's events had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Shortened(BTreeSet<TooLong>);

impl Shortened {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn add(&mut self, kind: TooLong, is_so: bool) {
        if is_so {
            self.0.insert(kind);
        }
    }

    pub(super) fn merge(&mut self, other: &Shortened) {
        self.0.extend(&other.0);
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|kind| kind.name())
    }

    /// Notes what of a trait that is not as it was told could not be kept.
    pub(super) fn of_trait(&mut self, told: &Value, is_kept: bool) {
        self.add(TooLong::TraitText, has_long_text(told));
        self.add(TooLong::TraitList, !is_kept);
    }

    /// Notes what of a track event's properties is too long, of those that the facts read.
    pub(super) fn of_properties(&mut self, name: &str, event: &Event) {
        let properties = &event.properties;
        let long = |property: &str, limit| exceeds(properties.get(property), limit);
        let listed =
            || product::products(properties).any(|entry| ProductFields::of(entry).is_too_long());
        let list = |property: &str, limit| {
            properties.get(property).and_then(Value::as_array).is_some_and(|l| l.len() > limit)
        };
        let (text, rest) = match name {
            "Product Viewed" => (ProductFields::of(properties).is_too_long(), false),
            "Product List Viewed" => (ProductFields::of(properties).is_category_too_long(), false),
            "Product Added" | "Product Removed" => {
                let fields = ProductFields::of(properties);
                let one = fields.id().is_some();
                let text = if one { fields.is_too_long() } else { listed() };
                let rest = !one && list("products", PRODUCTS_PER_EVENT_MAX);
                (text || long("cart_id", cart::CART_ID_BYTES_MAX), rest)
            }
            "Cart Viewed" | "Checkout Started" => {
                let text = listed();
                let rest = list("products", PRODUCTS_PER_EVENT_MAX);
                (text || long("cart_id", cart::CART_ID_BYTES_MAX), rest)
            }
            "Checkout Step Viewed"
            | "Checkout Step Completed"
            | "Payment Info Entered"
            | "Coupon Entered"
            | "Coupon Applied" => (long("cart_id", cart::CART_ID_BYTES_MAX), false),
            "Order Completed" => {
                let of = |entry: &Map<String, Value>| {
                    exceeds(entry.get("category"), bought::NAME_BYTES_MAX)
                        || exceeds(entry.get("brand"), bought::NAME_BYTES_MAX)
                };
                let text = product::products(properties).any(of);
                (text, list("products", PRODUCTS_PER_EVENT_MAX))
            }
            "Page Left" => {
                let dwell = properties.get("dwell").and_then(Value::as_array);
                let mut dwell = dwell.into_iter().flatten().take(sessions::DWELL_MAX);
                let text = dwell.any(|entry| {
                    exceeds(entry.get("category"), sessions::NAME_BYTES_MAX)
                        || exceeds(entry.get("product_id"), sessions::NAME_BYTES_MAX)
                });
                let own = event.context.get("sessionId").is_none()
                    && long("session_id", sessions::NAME_BYTES_MAX);
                (text || own, list("dwell", sessions::DWELL_MAX))
            }
            "Video Content Started" | "Video Content Playing" | "Video Content Completed" => {
                let text = long("content_asset_id", content::ID_BYTES_MAX)
                    || long("title", content::TITLE_BYTES_MAX)
                    || long("program", content::TITLE_BYTES_MAX);
                let (genre, rest) = if name == "Video Content Started" {
                    content::too_long_genres(properties)
                } else {
                    (false, false)
                };
                (text || genre, rest)
            }
            "Form Started" | "Form Submitted" | "Form Abandoned" => {
                (forms::is_name_too_long(event), false)
            }
            "Ticket Opened" | "Ticket Created" | "Ticket Closed" | "Ticket Solved"
            | "Ticket Resolved" | "Complaint Filed" => (support::is_too_long(name, event), false),
            "Email Delivered" | "Email Opened" | "Email Link Clicked" => {
                (mailings::is_id_too_long(event), false)
            }
            _ => return,
        };
        self.add(TooLong::Text, text);
        self.add(TooLong::List, rest);
    }
}

/// Whether a text in it, at any depth, is cut.
fn has_long_text(value: &Value) -> bool {
    match value {
        Value::String(text) => text.len() > TRAIT_TEXT_BYTES_MAX,
        Value::Array(items) => items.iter().any(has_long_text),
        Value::Object(fields) => fields.values().any(has_long_text),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{Accumulator, COUNTED_EVENTS, Facts, Watched};
    use crate::wire::{SourceKind, SourceRef};
    use serde_json::json;

    fn facts_of(event: &Value) -> Facts {
        let mut accumulator = Accumulator::default();
        let source = SourceRef { name: "s".to_owned(), kind: SourceKind::Server };
        let _ = accumulator.fold(
            &serde_json::from_value(event.clone()).unwrap(),
            &source,
            &Watched::default(),
        );
        accumulator.facts
    }

    fn names(event: &Value) -> Vec<&'static str> {
        facts_of(event).shortened.names().collect()
    }

    fn identify(traits: &Value) -> Value {
        json!({"id": "e", "at": 0, "type": "identify", "traits": traits})
    }

    fn track(name: &str, properties: &Value) -> Value {
        json!({"id": "e", "at": 0, "type": "track", "name": name, "properties": properties})
    }

    #[test]
    fn traits_that_are_not_kept_as_they_are() {
        for (traits, expected) in [
            (json!({"n".repeat(96): "x".repeat(512), "email": "no address"}), vec![]),
            (json!({"n".repeat(97): 1}), vec!["trait names"]),
            (json!({"note": "x".repeat(513)}), vec!["trait texts"]),
            (json!({"note": {"of": ["x".repeat(513)]}}), vec!["trait texts"]),
            (json!({"many": vec!["x".repeat(100); 20]}), vec!["trait lists"]),
            (json!({"many": vec!["x".repeat(600); 20]}), vec!["trait texts", "trait lists"]),
        ] {
            assert_eq!(names(&identify(&traits)), expected, "{traits}");
        }
        let group = json!({"id": "e", "at": 0, "type": "group", "traits": {"n".repeat(97): 1}});
        assert!(names(&group).is_empty(), "a group's traits are no customer's");
        let repeated = json!({"id": "e", "at": 0, "type": "page",
            "context": {"traits": {"note": "x".repeat(513)}}});
        assert_eq!(names(&repeated), ["trait texts"]);
    }

    #[test]
    fn a_part_that_is_said_stays_said() {
        let mut one = facts_of(&identify(&json!({"note": "x".repeat(513)})));
        let other = facts_of(&track("Product Viewed", &json!({"product_id": "x".repeat(65)})));
        one.merge(&other);
        assert_eq!(one.shortened.names().collect::<Vec<_>>(), ["trait texts", "texts"]);
        assert!(one.is_trimmed());
        let stored = serde_json::to_string(&one).unwrap();
        assert_eq!(serde_json::from_str::<Facts>(&stored).unwrap(), one);
    }

    /// A text of 3,000 bytes and one of 2,999: where the facts cannot tell one from the other, and
    /// can tell both from none, it was cut. Nothing here knows which property is cut to what.
    #[test]
    fn whatever_is_cut_is_named() {
        let properties = [
            "product_id",
            "sku",
            "id",
            "name",
            "category",
            "brand",
            "url",
            "image_url",
            "cart_id",
            "order_id",
            "content_asset_id",
            "title",
            "program",
            "genre",
            "genres",
            "form",
            "form_id",
            "path",
            "session_id",
            "ticket_id",
            "complaint_id",
            "about",
            "subject",
            "email_id",
            "message_id",
            "send_id",
            "topic",
            "email",
            "subscription_id",
        ];
        let places = [
            |name: &str, value: Value| json!({name: value}),
            |name: &str, value: Value| json!({"products": [{"product_id": "p", name: value}]}),
            |name: &str, value: Value| json!({"products": [{name: value}]}),
            |name: &str, value: Value| json!({"dwell": [{"seconds": 5, name: value}]}),
            |name: &str, value: Value| json!({"product_id": "p", name: value}),
        ];
        let mut cut = 0;
        for event in COUNTED_EVENTS {
            for property in properties {
                for place in places {
                    let of = |value: Value| facts_of(&track(event, &place(property, value)));
                    let (none, long) = (of(Value::Null), of("x".repeat(3_000).into()));
                    let other = of("x".repeat(2_999).into());
                    if long == other && long != none {
                        let named = long.shortened.names().any(|name| name == "texts");
                        assert!(named, "{event}: {property}");
                        cut += 1;
                    }
                    let short = of("x".into());
                    assert_eq!(short.shortened, Shortened::default(), "{event}: {property}");
                }
            }
        }
        assert!(cut > 60, "{cut} looked at");
        for context in [
            json!({"locale": "x".repeat(97)}),
            json!({"timezone": "x".repeat(97)}),
            json!({"sessionId": "x".repeat(65)}),
            json!({"location": {"city": "x".repeat(65)}}),
            json!({"campaign": {"source": "x".repeat(65)}}),
        ] {
            let event = json!({"id": "e", "at": 0, "type": "page", "context": context});
            assert_eq!(names(&event), ["texts"], "{context}");
        }
    }

    #[test]
    fn lists_of_which_a_part_is_looked_at() {
        let products: Vec<Value> = (0..65).map(|n| json!({"product_id": n})).collect();
        let genres = ["a", "b", "c", "d"];
        for (event, properties) in [
            ("Product Added", json!({"products": products})),
            ("Cart Viewed", json!({"products": products})),
            ("Order Completed", json!({"products": products})),
            ("Page Left", json!({"dwell": vec![json!({"product_id": 1, "seconds": 1}); 11]})),
            ("Video Content Started", json!({"genre": genres})),
        ] {
            assert_eq!(names(&track(event, &properties)), ["lists"], "{event}");
        }
        assert!(names(&track("Product Viewed", &json!({"products": products}))).is_empty());
    }
}
