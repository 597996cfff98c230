//! Dotted paths into JSON: `cart_id`, `products.category`, `products.0.price`.

use serde_json::{Map, Value};

/// What a path leads to. A path through a list leads into each of its elements, or into one of
/// them by its number; a key that holds dots itself is found by its whole name. Nulls are nothing.
#[must_use]
pub fn values<'v>(root: &'v Map<String, Value>, path: &str) -> Vec<&'v Value> {
    let mut found = Vec::new();
    in_object(root, path, &mut |value, ()| found.push(value), ());
    found
}

/// As [`values`], each with the text that stands under `beside` in the nearest object around it.
pub(crate) fn values_beside<'v>(
    root: &'v Map<String, Value>,
    path: &str,
    beside: &str,
) -> Vec<(&'v Value, Option<&'v str>)> {
    let mut found = Vec::new();
    let near = Near { beside, text: None };
    in_object(root, path, &mut |value, near: Near<'v, '_>| found.push((value, near.text)), near);
    found
}

/// As [`values`], from any value; an empty path leads to the value itself.
pub(super) fn values_in<'v>(root: &'v Value, path: &str) -> Vec<&'v Value> {
    let mut found = Vec::new();
    let path = Some(path).filter(|p| !p.is_empty());
    walk(root, path, &mut |value, ()| found.push(value), ());
    found
}

/// What is known of the objects that a path leads through.
trait Way<'v>: Copy {
    /// The same from inside this one.
    fn inside(self, map: &'v Map<String, Value>) -> Self;
}

impl<'v> Way<'v> for () {
    fn inside(self, _: &'v Map<String, Value>) {}
}

/// The text under a name, in the nearest of them that has one.
#[derive(Clone, Copy)]
struct Near<'v, 'n> {
    beside: &'n str,
    text: Option<&'v str>,
}

impl<'v> Way<'v> for Near<'v, '_> {
    fn inside(self, map: &'v Map<String, Value>) -> Self {
        let text = map.get(self.beside).and_then(Value::as_str).or(self.text);
        Near { text, ..self }
    }
}

fn in_object<'v, W: Way<'v>>(
    map: &'v Map<String, Value>,
    path: &str,
    found: &mut impl FnMut(&'v Value, W),
    way: W,
) {
    let way = way.inside(map);
    if let Some(value) = map.get(path) {
        walk(value, None, found, way);
    } else if let Some((head, rest)) = path.split_once('.')
        && let Some(value) = map.get(head)
    {
        walk(value, Some(rest), found, way);
    }
}

// The depth is bounded by the path's own length: each call uses up a segment or enters a list,
// and lists within lists are as deep as the event parser lets them be.
fn walk<'v, W: Way<'v>>(
    value: &'v Value,
    path: Option<&str>,
    found: &mut impl FnMut(&'v Value, W),
    way: W,
) {
    match (value, path) {
        // Nothing is there, or nothing further down.
        (Value::Null, _) | (Value::Bool(_) | Value::Number(_) | Value::String(_), Some(_)) => {}
        (value, None) => found(value, way),
        (Value::Object(map), Some(path)) => in_object(map, path, found, way),
        (Value::Array(list), Some(path)) => {
            let (head, rest) = match path.split_once('.') {
                Some((head, rest)) => (head, Some(rest)),
                None => (path, None),
            };
            if let Ok(number) = head.parse::<usize>() {
                if let Some(element) = list.get(number) {
                    walk(element, rest, found, way);
                }
            } else {
                for element in list {
                    walk(element, Some(path), found, way);
                }
            }
        }
    }
}

/// The text of the first thing a path leads to, where that is a text, a number or a boolean.
#[must_use]
pub fn text(root: &Map<String, Value>, path: &str) -> Option<String> {
    values(root, path).into_iter().find_map(|value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(yes.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_lead_where_they_say() {
        let value = json!({
            "cart_id": "c1", "none": null, "a.b": 1, "n": 7, "yes": true,
            "products": [{"sku": "x", "tags": ["new", "red"]}, {"sku": "y"}, null],
            "shipping": {"city": {"name": "Ulm"}},
        });
        let root = value.as_object().unwrap();
        let cases = [
            ("cart_id", json!(["c1"])),
            ("none", json!([])),
            ("absent", json!([])),
            ("a.b", json!([1])),
            ("products.sku", json!(["x", "y"])),
            ("products.1.sku", json!(["y"])),
            ("products.9.sku", json!([])),
            ("products.tags.1", json!(["red"])),
            ("products.tags", json!([["new", "red"]])),
            ("shipping.city.name", json!(["Ulm"])),
            ("cart_id.deeper", json!([])),
            ("", json!([])),
            (".", json!([])),
        ];
        for (path, expected) in cases {
            assert_eq!(json!(values(root, path)), expected, "{path}");
        }
        assert_eq!(text(root, "n").as_deref(), Some("7"));
        assert_eq!(text(root, "yes").as_deref(), Some("true"));
        assert_eq!(text(root, "shipping"), None);
        assert_eq!(json!(values_in(&json!([{"a": 1}, {"a": 2}]), "a")), json!([1, 2]));
        assert_eq!(json!(values_in(&json!(5), "")), json!([5]));
    }
}
