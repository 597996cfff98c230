//! Predicates: structured trees, not code, so that every answer can show the value it was decided on.

use crate::ids::PredicateKey;
use crate::time::Span;
use serde::{Deserialize, Serialize};
use serde_json::Value;

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
}

/// A condition on a profile, for entry filters and branches.
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
        /// How far back; since the enrollment began where absent.
        within: Option<Span>,
    },
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
