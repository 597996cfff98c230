//! From what was inferred to a plan to start from.

use super::declared::{Declared, DeclaredEvent, DeclaredProperty};
use super::inferred::{Inferred, SeenEvent, SeenProperty, is_call};
use super::value::ValueType;
use std::fmt::Write as _;

/// An event that came fewer times has no property that is called required.
pub const REQUIRED_FROM: u64 = 20;

impl Inferred {
    /// What came, as a plan that all of it keeps to: each event with its properties, those
    /// required that every one had (of an event that came [`REQUIRED_FROM`] times or more). Names
    /// that had data in them are left out, and so are allowed values, which only people know.
    #[must_use]
    pub fn draft(&self) -> Declared {
        let named = self.events.iter().filter(|(name, _)| !name.contains('…'));
        let events = named.map(|(name, seen)| (name.clone(), event(name, seen)));
        Declared { events: events.collect() }
    }
}

fn event(name: &str, seen: &SeenEvent) -> DeclaredEvent {
    let open = seen.trimmed > 0 || seen.properties.keys().any(|name| name.contains('…'));
    let properties = seen.properties.iter().filter(|(name, _)| !name.contains('…'));
    DeclaredEvent {
        description: None,
        properties: properties
            .map(|(property, found)| (property.clone(), self::property(name, seen, found)))
            .collect(),
        open,
    }
}

fn property(event: &str, of: &SeenEvent, seen: &SeenProperty) -> DeclaredProperty {
    let kind = common_type(seen);
    // Traits are said again only where they change.
    let required = !is_call(event) && of.count >= REQUIRED_FROM && seen.present() == of.count;
    DeclaredProperty { description: None, kind, required, values: Vec::new() }
}

/// The narrowest type that takes every value that was seen; none where there is none.
fn common_type(seen: &SeenProperty) -> Option<ValueType> {
    let found = || seen.types.keys().filter(|kind| **kind != ValueType::Null);
    let narrow = [
        ValueType::Whole,
        ValueType::Number,
        ValueType::Boolean,
        ValueType::List,
        ValueType::Object,
    ];
    if found().all(|kind| *kind == ValueType::Time) && found().count() > 0 {
        return Some(ValueType::Time);
    }
    let candidates = narrow.into_iter().chain([ValueType::Text]);
    candidates.filter(|_| found().count() > 0).find(|kind| found().all(|one| kind.takes(*one)))
}

impl Declared {
    /// It as the text of a `plan.yaml`.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let mut out = String::from("events:\n");
        if self.events.is_empty() {
            return "events: {}\n".to_owned();
        }
        for (name, event) in &self.events {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "  {}:", quoted(name));
            if let Some(description) = &event.description {
                let _ = writeln!(out, "    description: {}", quoted(description));
            }
            if event.open {
                out.push_str("    open: true\n");
            }
            if event.properties.is_empty() {
                out.push_str("    properties: {}\n");
                continue;
            }
            out.push_str("    properties:\n");
            for (name, property) in &event.properties {
                let _ = writeln!(out, "      {}: {}", quoted(name), property.flow());
            }
        }
        out
    }
}

impl DeclaredProperty {
    /// On one line: `{type: number, required: true}`.
    fn flow(&self) -> String {
        let mut parts = Vec::new();
        if let Some(description) = &self.description {
            parts.push(format!("description: {}", quoted(description)));
        }
        if let Some(kind) = self.kind {
            parts.push(format!("type: {kind}"));
        }
        if self.required {
            parts.push("required: true".to_owned());
        }
        if !self.values.is_empty() {
            // JSON is YAML.
            let values: Vec<String> = self.values.iter().map(ToString::to_string).collect();
            parts.push(format!("values: [{}]", values.join(", ")));
        }
        format!("{{{}}}", parts.join(", "))
    }
}

/// A text that YAML reads as this text: plain where that is certain, else as JSON has it.
fn quoted(text: &str) -> String {
    let simple = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == ' ' || c == '_')
        && !text.ends_with(' ')
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    if simple { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

/// What YAML takes for something else than text.
const WORDS: [&str; 11] =
    ["true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf"];
