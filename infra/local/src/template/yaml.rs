//! YAML with CloudFormation's short forms (`!Ref`, `!Sub` …), read as JSON with the long forms.
//!
//! serde-saphyr hands a node's tag over through its [`Tagged`] wrapper; everything else about the
//! document is plain YAML.

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use serde_saphyr::Tagged;
use std::fmt;

/// A document could not be read as YAML.
#[derive(Debug, thiserror::Error)]
#[error("not readable as YAML: {0}")]
pub struct YamlError(String);

/// Reads a template's text; `!Ref x` becomes `{"Ref": "x"}` and `!Name x` `{"Fn::Name": x}`.
///
/// # Errors
/// Where it is not YAML.
pub(super) fn parse(text: &str) -> Result<Value, YamlError> {
    let node: Tagged<Node> =
        serde_saphyr::from_str(text).map_err(|error| YamlError(error.to_string()))?;
    Ok(untag(node))
}

struct Node(Value);

fn untag(node: Tagged<Node>) -> Value {
    let Tagged(Node(value), tag) = node;
    match tag.as_deref().and_then(|tag| tag.strip_prefix('!')) {
        None | Some("") => value,
        Some(name @ ("Ref" | "Condition")) => long_form(name, value),
        Some(name) => long_form(&format!("Fn::{name}"), value),
    }
}

fn long_form(name: &str, value: Value) -> Value {
    Value::Object(Map::from_iter([(name.to_owned(), value)]))
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(NodeVisitor).map(Node)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }
    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(node) = seq.next_element::<Tagged<Node>>()? {
            items.push(untag(node));
        }
        Ok(Value::Array(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            let node = map.next_value::<Tagged<Node>>()?;
            entries.insert(key, untag(node));
        }
        Ok(Value::Object(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn short_forms_become_long_forms() {
        let text = "
Version: 2012-10-17
A: !Ref Table
B: !GetAtt Table.Arn
C: !Sub 'x-${A}'
D: !Join ['-', [a, !Ref B, 1, true, null]]
E: !If [IsProd, !Ref X, {F: !Sub yy}]
F: !Sub
  - '${a}'
  - a: !Ref B
G: {'Fn::Sub': z}
H: !Equals
- 1
- !Ref Q
I: !Condition Other
'J': \"0\"
";
        let expected = json!({
            "Version": "2012-10-17",
            "A": {"Ref": "Table"},
            "B": {"Fn::GetAtt": "Table.Arn"},
            "C": {"Fn::Sub": "x-${A}"},
            "D": {"Fn::Join": ["-", ["a", {"Ref": "B"}, 1, true, null]]},
            "E": {"Fn::If": ["IsProd", {"Ref": "X"}, {"F": {"Fn::Sub": "yy"}}]},
            "F": {"Fn::Sub": ["${a}", {"a": {"Ref": "B"}}]},
            "G": {"Fn::Sub": "z"},
            "H": {"Fn::Equals": [1, {"Ref": "Q"}]},
            "I": {"Condition": "Other"},
            "J": "0",
        });
        assert_eq!(parse(text).unwrap(), expected);
    }

    #[test]
    fn what_is_not_yaml_is_refused_with_its_place() {
        let error = parse("A: [1, 2\nB: }").unwrap_err().to_string();
        assert!(error.contains("line"), "{error}");
    }
}
