//! `plan.yaml`: the tracking plan that the workspace declares.

use super::Files;
use super::fault::{Faults, Place};
use super::fields::{Fields, Reading};
use super::settings::one_of;
use super::yaml::{self, Kind, Node, quoted};
use crate::plan::{
    Declared, DeclaredEvent, DeclaredProperty, EVENTS_MAX, NAME_BYTES_MAX, PROPERTIES_MAX,
    ValueType,
};
use serde_json::Value;

/// The file that may declare a tracking plan.
pub const PLAN_FILE: &str = "plan.yaml";
/// The keys of `plan.yaml`.
pub const KEYS: &[&str] = &["events"];
/// The keys of an event.
pub const PLANNED_EVENT_KEYS: &[&str] = &["description", "properties", "open"];
/// The keys of a property.
pub const PROPERTY_KEYS: &[&str] = &["type", "required", "values", "description"];
/// The most values that a property can be limited to.
const VALUES_MAX: usize = 50;
/// The longest such value, in bytes.
const VALUE_BYTES_MAX: usize = 100;
/// The longest description, in characters.
const DESCRIPTION_CHARS_MAX: usize = 300;

/// Reads the plan; an empty one where there is no file.
pub(crate) fn read(files: &Files, faults: &mut Faults) -> Declared {
    let mut plan = Declared::default();
    let Some(text) = files.get(PLAN_FILE) else { return plan };
    let Some(root) = yaml::parse(PLAN_FILE, text, 0, faults) else { return plan };
    let mut reading = Reading { file: PLAN_FILE, faults };
    let Some(fields) = reading.fields(&root, "the tracking plan", KEYS) else { return plan };
    let Some(node) = reading.need(fields, "events", "{Product Added: {properties: …}}") else {
        return plan;
    };
    let Some(events) = reading.open(node, "the events of the plan") else { return plan };
    limit(&mut reading, events, "events", EVENTS_MAX);
    for (key, node) in events.entries() {
        let name = is_name(&mut reading, key.place, &key.name);
        let event = read_event(&mut reading, node);
        if let (true, Some(event)) = (name, event) {
            plan.events.insert(key.name.clone(), event);
        }
    }
    plan
}

fn limit(reading: &mut Reading<'_>, fields: Fields<'_>, what: &str, max: usize) {
    let count = fields.entries().len();
    if count > max {
        reading.fault(fields.place, format!("{count} {what}"), format!("at most {max}"));
    }
}

fn is_name(reading: &mut Reading<'_>, place: Place, name: &str) -> bool {
    let good = !name.trim().is_empty()
        && name.len() <= NAME_BYTES_MAX
        && !name.chars().any(char::is_control);
    if !good {
        let expected = format!("a name of one line, at most {NAME_BYTES_MAX} bytes");
        reading.fault(place, quoted(name), expected);
    }
    good
}

/// An event: a mapping, or nothing where its properties do not matter.
fn read_event(reading: &mut Reading<'_>, node: &Node) -> Option<DeclaredEvent> {
    if matches!(node.kind, Kind::Null) {
        return Some(DeclaredEvent { open: true, ..DeclaredEvent::default() });
    }
    let fields = reading.fields(node, "an event of the plan", PLANNED_EVENT_KEYS)?;
    let mut event = DeclaredEvent {
        description: description(reading, fields),
        open: flag(reading, fields, "open", "whether properties beside these are fine"),
        ..DeclaredEvent::default()
    };
    match fields.get("properties") {
        // Who lists no properties has nothing against any.
        None => event.open = true,
        Some(node) => {
            let properties = reading.open(node, "the properties")?;
            limit(reading, properties, "properties", PROPERTIES_MAX);
            for (key, node) in properties.entries() {
                let name = is_name(reading, key.place, &key.name);
                let property = read_property(reading, node);
                if let (true, Some(property)) = (name, property) {
                    event.properties.insert(key.name.clone(), property);
                }
            }
        }
    }
    Some(event)
}

/// A property: a mapping, the word of a type, or nothing.
fn read_property(reading: &mut Reading<'_>, node: &Node) -> Option<DeclaredProperty> {
    match &node.kind {
        Kind::Null => Some(DeclaredProperty::default()),
        Kind::Text(_) => {
            let kind = read_type(reading, node)?;
            Some(DeclaredProperty { kind: Some(kind), ..DeclaredProperty::default() })
        }
        _ => {
            let fields = reading.fields(node, "a property of the plan", PROPERTY_KEYS)?;
            let kind = fields.get("type").and_then(|node| read_type(reading, node));
            let values = fields.get("values").map(|node| read_values(reading, node, kind));
            Some(DeclaredProperty {
                description: description(reading, fields),
                kind,
                required: flag(reading, fields, "required", "whether each event must have it"),
                values: values.unwrap_or_default(),
            })
        }
    }
}

fn read_type(reading: &mut Reading<'_>, node: &Node) -> Option<ValueType> {
    let words = ValueType::DECLARABLE.map(|kind| (kind.word(), kind));
    one_of(reading, node, "type", &words)
}

fn flag(reading: &mut Reading<'_>, fields: Fields<'_>, key: &str, meaning: &str) -> bool {
    match fields.get(key).map(|node| (&node.kind, node)) {
        None => false,
        Some((Kind::Bool(flag), _)) => *flag,
        Some((_, node)) => {
            reading.fault(node.place, node.describe(), format!("true or false: {meaning}"));
            false
        }
    }
}

fn description(reading: &mut Reading<'_>, fields: Fields<'_>) -> Option<String> {
    let node = fields.get("description")?;
    let text = reading.text(node, "a text that describes it")?.trim();
    let chars = text.chars().count();
    if chars > DESCRIPTION_CHARS_MAX {
        let expected = format!("at most {DESCRIPTION_CHARS_MAX}");
        reading.fault(node.place, format!("{chars} characters"), expected);
        return None;
    }
    Some(text.to_owned())
}

fn read_values(reading: &mut Reading<'_>, node: &Node, kind: Option<ValueType>) -> Vec<Value> {
    let items = reading.list(node, "a list of the values that are allowed").unwrap_or_default();
    if items.is_empty() || items.len() > VALUES_MAX {
        let found = format!("a list of {}", items.len());
        reading.fault(node.place, found, format!("from 1 to {VALUES_MAX} values"));
    }
    let mut values = Vec::new();
    for item in items {
        let value = item.to_json();
        let simple = match &value {
            Value::String(text) => text.len() <= VALUE_BYTES_MAX,
            Value::Number(_) | Value::Bool(_) => true,
            _ => false,
        };
        let found = ValueType::of(&value);
        // Of a list it is the items that are limited.
        let fits = kind.is_none_or(|kind| kind == ValueType::List || kind.takes(found));
        if simple && fits {
            values.push(value);
        } else if simple {
            let expected =
                kind.map_or_else(String::new, |kind| format!("a {kind}, as its type says"));
            reading.fault(item.place, item.describe(), expected);
        } else {
            let expected =
                format!("a text of at most {VALUE_BYTES_MAX} bytes, a number, true or false");
            reading.fault(item.place, item.describe(), expected);
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Workspace;

    fn read_text(text: &str) -> Result<Declared, Vec<String>> {
        let files = Files::from([(PLAN_FILE.to_owned(), text.to_owned())]);
        Workspace::read_plan(&files)
            .map_err(|faults| faults.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_plan_is_read() {
        let plan = read_text(
            "events:\n  Product Added:\n    description: In the cart now.\n    properties:\n      \
             product_id: {type: text, required: true}\n      price: number\n      any:\n      \
             size: {values: [1, 2]}\n  Quote Requested:\n  identify:\n    open: true\n    properties: {}\n",
        )
        .unwrap();
        let added = &plan.events["Product Added"];
        assert!(!added.open && added.properties["product_id"].required);
        assert_eq!(added.properties["price"].kind, Some(ValueType::Number));
        assert_eq!(added.properties["any"], DeclaredProperty::default());
        assert_eq!(added.properties["size"].values.len(), 2);
        assert!(plan.events["Quote Requested"].open && plan.events["identify"].open);
        assert_eq!(Workspace::read_plan(&Files::new()).unwrap(), Declared::default());
    }

    #[test]
    fn every_mistake_is_told_with_its_place() {
        let faults = read_text(
            "events:\n  Product Added:\n    propertys: {}\n    open: maybe\n  \"\":\n  Video:\n    \
             properties:\n      a: {type: txt}\n      b: {type: number, values: [x]}\n      \
             c: {values: []}\n      d: {values: [[1]]}\n      e: [1]\n      f: {required: 1}\n      a: text\n",
        )
        .unwrap_err();
        let expected = [
            "plan.yaml:3:5: found key `propertys`, expected one of `description`, `properties`, `open`; did you mean `properties`?",
            "plan.yaml:4:11: found `maybe`, expected true or false: whether properties beside these are fine",
            "plan.yaml:5:3: found ``, expected a name of one line, at most 96 bytes",
            "plan.yaml:8:17: found type `txt`, expected one of `text`, `number`, `whole number`, `boolean`, `list`, `object`, `time`; did you mean `text`?",
            "plan.yaml:9:34: found `x`, expected a number, as its type says",
            "plan.yaml:10:19: found a list of 0, expected from 1 to 50 values",
            "plan.yaml:11:20: found a list of 1, expected a text of at most 100 bytes, a number, true or false",
            "plan.yaml:12:10: found a list of 1, expected a property of the plan: a mapping",
            "plan.yaml:13:21: found the number 1, expected true or false: whether each event must have it",
            "plan.yaml:14:7: found key `a` a second time, expected each key once",
        ];
        assert_eq!(faults, expected);
        assert_eq!(
            read_text("event: {}\n").unwrap_err(),
            [
                "plan.yaml:1:1: found key `event`, expected one of `events`; did you mean `events`?",
                "plan.yaml:1:1: found no key `events`, expected `events: {Product Added: {properties: …}}`",
            ]
        );
    }
}
