//! Predicates: structured trees, not code, so that every answer can show the value it was decided on.

mod comparison;
mod condition;
mod decimal;
pub mod path;

pub use condition::{CONDITION_DEPTH_MAX, Facts};

use crate::contact::{ConsentState, TopicId};
use crate::event::{Event, EventKind};
use crate::ids::PredicateKey;
use crate::profile::{ComputedKind, ComputedRule};
use crate::segment::SegmentName;
use crate::time::Span;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;

/// The longest value shown in an [`Answer`] or a description, in characters.
pub const SHOWN_CHARS_MAX: usize = 40;

/// A value as people read it: texts without quotes, everything cut at [`SHOWN_CHARS_MAX`].
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => cut(text),
        other => cut(&other.to_string()),
    }
}

/// The first [`SHOWN_CHARS_MAX`] characters, with an ellipsis for what was left out.
fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// How one value is compared with another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    /// The same value.
    Equals(Value),
    /// Another value, or none.
    NotEquals(Value),
    /// Any value at all (`true`), or none (`false`).
    Exists(bool),
    /// A number above this.
    Above(Value),
    /// A number of this or more.
    AtLeast(Value),
    /// A number below this.
    Below(Value),
    /// A number of this or less.
    AtMost(Value),
    /// A text or a list that has this in it.
    Contains(Value),
    /// One of these values.
    OneOf(Vec<Value>),
}

/// A test of one property of an event, by its dotted path (`cart_id`, `products.category`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PropertyTest {
    /// Where the value is.
    pub property: String,
    /// What it must be.
    pub is: Comparison,
}

/// Which events are meant: those of this name that pass every test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventPredicate {
    /// The event's name as the Spec writes it (`Order Completed`).
    pub event: String,
    /// All must hold.
    #[serde(default, rename = "where", skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<PropertyTest>,
}

impl EventPredicate {
    /// What profiles keep the last match under.
    #[must_use]
    pub fn key(&self) -> PredicateKey {
        // Field order is the structs' and maps are sorted, so one predicate has one text.
        PredicateKey::of(&serde_json::to_string(self).unwrap_or_default())
    }

    /// The name that predicates know an event by: a track event's own, and for the other calls
    /// the call's word (`page`, `screen`, `identify`, `group`, `alias`).
    #[must_use]
    pub fn name_of(event: &Event) -> Option<&str> {
        match event.kind {
            EventKind::Track => event.name.as_deref(),
            EventKind::Page => Some("page"),
            EventKind::Screen => Some("screen"),
            EventKind::Identify => Some("identify"),
            EventKind::Group => Some("group"),
            EventKind::Alias => Some("alias"),
        }
    }

    /// Whether this event is meant. Tests look into `properties` (into `traits` for identify and
    /// group), and into `context` by paths that begin with `context.`. A page's or screen's name
    /// is its property `name`.
    #[must_use]
    pub fn matches(&self, event: &Event) -> bool {
        EventPredicate::name_of(event) == Some(self.event.as_str())
            && self.tests.iter().all(|test| test.holds(event))
    }
}

impl PropertyTest {
    fn holds(&self, event: &Event) -> bool {
        let found = property_values(event, &self.property);
        if found.is_empty() && is_page_name(event, &self.property) {
            let name = event.name.clone().map(Value::String);
            return self.is.holds(name.as_ref());
        }
        self.is.holds_of(&found)
    }
}

/// What a dotted path leads to in an event: in its `properties` (its `traits` for identify and
/// group), else in its `context` by a path that begins with `context.`.
pub(crate) fn property_values<'e>(event: &'e Event, property: &str) -> Vec<&'e Value> {
    let found = path::values(properties(event), property);
    match property.strip_prefix("context.") {
        Some(rest) if found.is_empty() => path::values(&event.context, rest),
        _ => found,
    }
}

/// As [`property_values`], each with the text that stands under `beside` in the nearest object
/// around it.
pub(crate) fn property_values_beside<'e>(
    event: &'e Event,
    property: &str,
    beside: &str,
) -> Vec<(&'e Value, Option<&'e str>)> {
    let found = path::values_beside(properties(event), property, beside);
    match property.strip_prefix("context.") {
        Some(rest) if found.is_empty() => path::values_beside(&event.context, rest, beside),
        _ => found,
    }
}

const fn properties(event: &Event) -> &Map<String, Value> {
    match event.kind {
        EventKind::Identify | EventKind::Group => &event.traits,
        EventKind::Track | EventKind::Page | EventKind::Screen | EventKind::Alias => {
            &event.properties
        }
    }
}

/// Whether a property stands for the name of a page or screen, which is no property of its own.
pub(crate) fn is_page_name(event: &Event, property: &str) -> bool {
    property == "name" && matches!(event.kind, EventKind::Page | EventKind::Screen)
}

/// As people read it: `Order Completed where value at least 100`.
impl fmt::Display for EventPredicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.event)?;
        for (i, test) in self.tests.iter().enumerate() {
            let joint = if i == 0 { "where" } else { "and" };
            write!(f, " {joint} {} {}", test.property, test.is)?;
        }
        Ok(())
    }
}

/// What a contact says of a topic, as conditions ask for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsentAsked {
    /// It said yes.
    Granted,
    /// It said no.
    Withdrawn,
    /// It said nothing, or there is no address.
    Unanswered,
}

impl ConsentAsked {
    /// As files write it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            ConsentAsked::Granted => "granted",
            ConsentAsked::Withdrawn => "withdrawn",
            ConsentAsked::Unanswered => "unanswered",
        }
    }

    /// What stands there.
    #[must_use]
    pub const fn of(state: Option<ConsentState>) -> ConsentAsked {
        match state {
            Some(ConsentState::Granted) => ConsentAsked::Granted,
            Some(ConsentState::Withdrawn) => ConsentAsked::Withdrawn,
            None => ConsentAsked::Unanswered,
        }
    }
}

/// A condition on a profile, for entry filters, branches and segments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Every one of them; true where there is none.
    All(Vec<Condition>),
    /// At least one of them; false where there is none.
    Any(Vec<Condition>),
    /// Not this.
    Not(Box<Condition>),
    /// A trait.
    Trait {
        /// Its name.
        name: String,
        /// What it must be.
        is: Comparison,
    },
    /// A fact of the profile, by name: `orders.count`, `orders.value`, `cart.items`, `cart.value`,
    /// `events.<name>`, `browse.<category>`.
    Fact {
        /// Its name.
        name: String,
        /// What it must be.
        is: Comparison,
    },
    /// A value the trigger carried: an event's property or a signal's evidence.
    Trigger {
        /// Its dotted path.
        property: String,
        /// What it must be.
        is: Comparison,
    },
    /// Such an event happened since the enrollment began, or within a span before now.
    Performed {
        /// Which.
        event: EventPredicate,
        /// How far back; since the enrollment began where absent, and ever in a segment.
        within: Option<Span>,
    },
    /// So many such events happened, ever or on so many days up to today. Counted by a computed trait
    /// that publishing declares for it, so that it holds from a back-fill on.
    Counted {
        /// The computed trait that counts them: [`Condition::counted`].
        state: String,
        /// Which.
        event: EventPredicate,
        /// UTC days, today among them; ever where absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        days: Option<u32>,
        /// How many.
        at_least: u64,
    },
    /// A signal of this name was raised, ever or within a span before now.
    Signal {
        /// Its name.
        name: String,
        /// How far back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        within: Option<Span>,
    },
    /// What the contact behind the profile's address says of a topic. For segments: journeys do
    /// not read contacts.
    Consent {
        /// The topic.
        topic: TopicId,
        /// What it must say.
        is: ConsentAsked,
    },
    /// The profile is in a segment, as it was last decided.
    Segment {
        /// Which.
        name: SegmentName,
    },
}

impl Condition {
    /// The condition that so many such events happened.
    #[must_use]
    pub fn counted(event: EventPredicate, days: Option<u32>, at_least: u64) -> Condition {
        let rule = ComputedRule { kind: ComputedKind::Count, event, days };
        let key = rule.key().to_string();
        let window = days.map_or_else(|| "ever".to_owned(), |days| format!("{days}d"));
        // No author's name of a computed trait has a space in it.
        let mark: String = key.chars().take(8).collect();
        let state = format!("{} {window} #{mark}", rule.event.event);
        Condition::Counted { state, event: rule.event, days, at_least }
    }

    /// The computed trait that counts what it asks for, with its name; none of other conditions.
    #[must_use]
    pub fn counter(&self) -> Option<(String, ComputedRule)> {
        let Condition::Counted { state, event, days, .. } = self else { return None };
        let rule = ComputedRule { kind: ComputedKind::Count, event: event.clone(), days: *days };
        Some((state.clone(), rule))
    }
}

/// One leaf's answer, with the value it was decided on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The condition, readable: `orders.count at least 2`.
    pub asked: String,
    /// The value found, trimmed.
    pub found: String,
    /// Whether it held.
    pub held: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Stamp;
    use serde_json::json;

    fn event(kind: EventKind, name: Option<&str>, values: &Value) -> Event {
        let map = |key: &str| values.get(key).and_then(Value::as_object).cloned();
        Event {
            id: "m".to_owned(),
            at: Stamp::from_ms(1),
            original: None,
            kind,
            name: name.map(str::to_owned),
            user_id: None,
            anonymous_id: None,
            previous_id: None,
            group_id: None,
            properties: map("properties").unwrap_or_default(),
            traits: map("traits").unwrap_or_default(),
            context: map("context").unwrap_or_default(),
            integrations: Map::new(),
        }
    }

    fn predicate(text: &Value) -> EventPredicate {
        serde_json::from_value(text.clone()).unwrap()
    }

    #[test]
    fn predicates_match_by_name_and_tests() {
        let order = event(
            EventKind::Track,
            Some("Order Completed"),
            &json!({"properties": {"value": 120.5, "products": [{"category": "shoes"}, {"category": "hats"}]},
                    "context": {"campaign": {"source": "mail"}}}),
        );
        let large = json!({"event": "Order Completed", "where": [
            {"property": "value", "is": {"at_least": 100}},
            {"property": "products.category", "is": {"equals": "hats"}},
            {"property": "context.campaign.source", "is": {"equals": "mail"}},
        ]});
        assert!(predicate(&large).matches(&order));
        assert!(predicate(&json!({"event": "Order Completed"})).matches(&order));
        assert!(!predicate(&json!({"event": "order completed"})).matches(&order));
        let coupon = json!({"event": "Order Completed", "where": [
            {"property": "coupon", "is": {"exists": true}}]});
        assert!(!predicate(&coupon).matches(&order));
    }

    #[test]
    fn other_calls_go_by_their_word() {
        let page = event(EventKind::Page, Some("Pricing"), &json!({}));
        let named = json!({"event": "page", "where": [
            {"property": "name", "is": {"equals": "Pricing"}}]});
        assert!(predicate(&named).matches(&page));
        assert!(!predicate(&json!({"event": "Pricing"})).matches(&page));
        let identify = event(EventKind::Identify, None, &json!({"traits": {"plan": "gold"}}));
        let gold = json!({"event": "identify", "where": [
            {"property": "plan", "is": {"equals": "gold"}}]});
        assert!(predicate(&gold).matches(&identify));
    }

    #[test]
    fn a_predicate_reads_as_a_sentence() {
        let large = predicate(&json!({"event": "Order Completed", "where": [
            {"property": "value", "is": {"at_least": 100}},
            {"property": "coupon", "is": {"exists": false}}]}));
        assert_eq!(
            large.to_string(),
            "Order Completed where value at least 100 and coupon is not known"
        );
    }

    #[test]
    fn long_values_are_cut() {
        let long = "ä".repeat(60);
        assert_eq!(shown(&json!(long)).chars().count(), SHOWN_CHARS_MAX + 1);
    }
}
