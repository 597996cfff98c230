//! Reading a resource's properties with errors that name their place.

use super::TemplateError;
use super::intrinsics::{scalar, unexpected, unknown};
use serde_json::{Map, Value};

/// A resolved mapping and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Properties {
    /// Its path within the template.
    pub(super) place: String,
    map: Map<String, Value>,
}

impl Properties {
    /// Of a resolved value; nothing counts as an empty mapping.
    pub(super) fn new(place: impl Into<String>, value: Value) -> Result<Self, TemplateError> {
        let place = place.into();
        match value {
            Value::Object(map) => Ok(Self { place, map }),
            Value::Null => Ok(Self { place, map: Map::new() }),
            other => Err(unexpected(&place, &other, "a mapping")),
        }
    }

    /// Refuses a property outside this list.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), TemplateError> {
        match self.map.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(unknown(&self.place, format!("property {key}"))),
            None => Ok(()),
        }
    }

    /// The path of a property.
    pub(super) fn at(&self, name: &str) -> String {
        format!("{}.{name}", self.place)
    }

    /// A property as it is.
    pub(super) fn value(&self, name: &str) -> &Value {
        self.map.get(name).unwrap_or(&Value::Null)
    }

    /// A text, where given.
    pub(super) fn text_opt(&self, name: &str) -> Result<Option<String>, TemplateError> {
        match self.value(name) {
            Value::Null => Ok(None),
            value => match scalar(value) {
                Some(text) => Ok(Some(text)),
                None => Err(unexpected(&self.at(name), value, "a text")),
            },
        }
    }

    /// A text.
    pub(super) fn text(&self, name: &str) -> Result<String, TemplateError> {
        self.text_opt(name)?.ok_or_else(|| unexpected(&self.at(name), &Value::Null, "a text"))
    }

    /// A whole number, where given.
    pub(super) fn number_opt(&self, name: &str) -> Result<Option<u32>, TemplateError> {
        match self.text_opt(name)? {
            None => Ok(None),
            Some(text) => match text.parse() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(unexpected(&self.at(name), &Value::from(text), "a whole number")),
            },
        }
    }

    /// A yes or no; no where it is not given.
    pub(super) fn truth(&self, name: &str) -> Result<bool, TemplateError> {
        match self.text_opt(name)?.as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(unexpected(&self.at(name), &Value::from(other), "true or false")),
        }
    }

    /// A list of texts; one text counts as a list of one, nothing as an empty one.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>, TemplateError> {
        texts(self.value(name), &self.at(name))
    }

    /// A list of mappings; nothing counts as an empty one.
    pub(super) fn list(&self, name: &str) -> Result<Vec<Properties>, TemplateError> {
        let place = self.at(name);
        match self.value(name) {
            Value::Null => Ok(Vec::new()),
            Value::Array(items) => items
                .iter()
                .enumerate()
                .map(|(at, item)| Properties::new(format!("{place}[{at}]"), item.clone()))
                .collect(),
            other => Err(unexpected(&place, other, "a list")),
        }
    }

    /// A mapping within; nothing counts as an empty one.
    pub(super) fn within(&self, name: &str) -> Result<Properties, TemplateError> {
        Properties::new(self.at(name), self.value(name).clone())
    }

    /// Whether a property is given.
    pub(super) fn has(&self, name: &str) -> bool {
        !self.value(name).is_null()
    }

    /// Its entries, in the order of their names.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.map.iter().map(|(key, value)| (key.as_str(), value))
    }
}

/// A list of texts; one text counts as a list of one, nothing as an empty one.
pub(super) fn texts(value: &Value, place: &str) -> Result<Vec<String>, TemplateError> {
    let one = |value: &Value| scalar(value).ok_or_else(|| unexpected(place, value, "a text"));
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(items) => items.iter().map(one).collect(),
        value => Ok(vec![one(value)?]),
    }
}
