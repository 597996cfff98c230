//! The declared plan, and an event compared with it.

use super::inferred::is_call;
use super::value::{Shape, ValueType};
use super::violation::{Violation, ViolationKind};
use crate::event::{Event, EventKind};
use crate::predicate::EventPredicate;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What `plan.yaml` says. Without events nothing is checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Declared {
    /// The events by name: track events by their own, the other calls by the call's word
    /// (`identify`, `page`, `screen`, `group`, `alias`).
    pub events: BTreeMap<String, DeclaredEvent>,
}

/// An event of the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct DeclaredEvent {
    /// What it means, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its properties (of `identify` and `group`: the traits) by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, DeclaredProperty>,
    /// Whether properties beside these are fine.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub open: bool,
}

/// A property of the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct DeclaredProperty {
    /// What it means, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What its values are; anything where absent.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<ValueType>,
    /// Whether each event must have it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
    /// The only values there are: texts, numbers and booleans; any where empty. Of a list, those
    /// of its items.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Value>,
}

/// What a plan looks at in an event: traits of identify and group, else properties.
pub(super) fn fields_of(event: &Event) -> &Map<String, Value> {
    match event.kind {
        EventKind::Identify | EventKind::Group => &event.traits,
        EventKind::Track | EventKind::Page | EventKind::Screen | EventKind::Alias => {
            &event.properties
        }
    }
}

impl Declared {
    /// Whether nothing is declared, so that nothing is checked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Everything that `event` has against the plan. Calls that are no track events violate
    /// nothing where the plan does not name them.
    #[must_use]
    pub fn check<'a>(&'a self, event: &'a Event) -> Vec<Violation<'a>> {
        let Some(name) = EventPredicate::name_of(event).filter(|_| !self.is_empty()) else {
            return Vec::new();
        };
        let fields = fields_of(event);
        match self.events.get(name) {
            Some(declared) => declared.check(fields),
            None if is_call(name) => Vec::new(),
            None => vec![Violation {
                kind: ViolationKind::UnknownEvent,
                property: "",
                found: Shape::Object(fields.len()),
            }],
        }
    }

    /// Whether a violation that was counted once could still come up: a plan that was mended since
    /// takes its old violations with it.
    #[must_use]
    pub fn still_asks(&self, event: &str, kind: ViolationKind, property: &str) -> bool {
        let declared = self.events.get(event);
        let of_property = declared.and_then(|declared| declared.properties.get(property));
        match kind {
            ViolationKind::UnknownEvent => declared.is_none() && !self.is_empty(),
            ViolationKind::UnknownProperty => {
                of_property.is_none() && declared.is_some_and(|declared| !declared.open)
            }
            ViolationKind::WrongType => of_property.is_some_and(|asked| asked.kind.is_some()),
            ViolationKind::MissingRequired => of_property.is_some_and(|asked| asked.required),
            ViolationKind::ValueNotAllowed => {
                of_property.is_some_and(|asked| !asked.values.is_empty())
            }
        }
    }
}

impl DeclaredEvent {
    fn check<'a>(&'a self, fields: &'a Map<String, Value>) -> Vec<Violation<'a>> {
        let mut found = Vec::new();
        for (property, value) in fields {
            let kind = match self.properties.get(property) {
                Some(asked) => asked.check(value),
                None => (!self.open).then_some(ViolationKind::UnknownProperty),
            };
            if let Some(kind) = kind {
                found.push(Violation { kind, property, found: Shape::of(value) });
            }
        }
        let required = self.properties.iter().filter(|(_, asked)| asked.required);
        for (property, _) in required.filter(|(name, _)| !fields.contains_key(*name)) {
            let kind = ViolationKind::MissingRequired;
            found.push(Violation { kind, property, found: Shape::Absent });
        }
        found
    }
}

impl DeclaredProperty {
    /// What is wrong with a value.
    fn check(&self, value: &Value) -> Option<ViolationKind> {
        if value.is_null() {
            return self.required.then_some(ViolationKind::MissingRequired);
        }
        if self.kind.is_some_and(|kind| !kind.takes(ValueType::of(value))) {
            return Some(ViolationKind::WrongType);
        }
        let allowed = |value: &Value| self.values.iter().any(|listed| is_same(listed, value));
        let all = match value {
            _ if self.values.is_empty() => true,
            Value::Array(items) => items.iter().all(allowed),
            one => allowed(one),
        };
        (!all).then_some(ViolationKind::ValueNotAllowed)
    }
}

/// Whether two values are one: `1` and `1.0` are.
fn is_same(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a.total_cmp(&b).is_eq(),
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(kind: &str, name: &str, fields: Value) -> Event {
        let mut event = json!({"id": "m", "at": 0, "type": kind, "name": name, "userId": "u"});
        event[if kind == "identify" { "traits" } else { "properties" }] = fields;
        serde_json::from_value(event).unwrap()
    }

    fn plan() -> Declared {
        serde_json::from_value(json!({"events": {
            "Product Added": {"properties": {
                "product_id": {"type": "text", "required": true},
                "price": {"type": "number"},
                "quantity": {"type": "whole number"},
                "currency": {"values": ["EUR", "USD"]},
                "size": {"values": [1, 2]},
                "tags": {"type": "list", "values": ["new", "sale"]},
                "when": {"type": "time"},
            }},
            "Quote Requested": {"open": true, "properties": {"by": {"required": true}}},
            "identify": {"properties": {"email": {"type": "text"}}},
        }}))
        .unwrap()
    }

    fn found(kind: &str, name: &str, fields: Value) -> Vec<String> {
        let event = event(kind, name, fields);
        let plan = plan();
        let all = plan.check(&event);
        all.iter().map(|v| format!("{} {} {}", v.kind.code(), v.property, v.found)).collect()
    }

    #[test]
    fn an_event_as_planned_violates_nothing() {
        let good = json!({"product_id": "p", "price": 10, "quantity": 2.0, "currency": "EUR",
            "size": 1.0, "tags": ["new"], "when": "2026-01-02"});
        assert_eq!(found("track", "Product Added", good), [""; 0]);
        assert_eq!(found("track", "Quote Requested", json!({"by": "x", "more": 1})), [""; 0]);
        assert_eq!(found("page", "Home", json!({"url": "x"})), [""; 0]);
        let optional = json!({"product_id": "p", "price": null, "currency": null});
        assert_eq!(found("track", "Product Added", optional), [""; 0]);
    }

    #[test]
    fn everything_that_is_wrong_is_told_without_values() {
        let bad = json!({"price": "12.50 for Ann", "quantity": 1.5, "currency": "EURO",
            "size": 3, "tags": ["new", "old"], "when": "yesterday", "colour": "red"});
        assert_eq!(
            found("track", "Product Added", bad),
            [
                "unknown_property colour a text of 3 characters",
                "value_not_allowed currency a text of 4 characters",
                "wrong_type price a text of 13 characters",
                "wrong_type quantity the number 1.5",
                "value_not_allowed size the number 3",
                "value_not_allowed tags a list of 2",
                "wrong_type when a text of 9 characters",
                "missing_required product_id nothing",
            ]
        );
        let null = json!({"product_id": null});
        assert_eq!(found("track", "Product Added", null), ["missing_required product_id null"]);
        assert_eq!(found("track", "Other", json!({"a": 1})), ["unknown_event  an object of 1"]);
        let traits = json!({"email": 5});
        assert_eq!(found("identify", "", traits), ["wrong_type email the number 5"]);
    }

    #[test]
    fn nothing_is_asked_without_a_plan() {
        let event = event("track", "Whatever", json!({}));
        assert!(Declared::default().check(&event).is_empty());
    }

    #[test]
    fn a_mended_plan_asks_no_longer() {
        let plan = plan();
        let kind = ViolationKind::UnknownProperty;
        assert!(plan.still_asks("Product Added", kind, "colour"));
        assert!(!plan.still_asks("Product Added", kind, "price"));
        assert!(!plan.still_asks("Quote Requested", kind, "colour"));
        assert!(plan.still_asks("Other", ViolationKind::UnknownEvent, ""));
        assert!(!plan.still_asks("Product Added", ViolationKind::UnknownEvent, ""));
        assert!(!plan.still_asks("Product Added", ViolationKind::WrongType, "currency"));
        assert!(plan.still_asks("Product Added", ViolationKind::MissingRequired, "product_id"));
        assert!(!Declared::default().still_asks("Other", ViolationKind::UnknownEvent, ""));
    }
}
