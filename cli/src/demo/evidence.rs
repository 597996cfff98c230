//! A signal's evidence on one line.

use serde_json::{Map, Value};

/// `category tents, seconds 140`: each part by its name, times as the telling shows them, lists by
/// the names of what is in them.
pub(super) fn line(evidence: &Map<String, Value>) -> String {
    words(evidence.iter())
}

fn words<'e>(parts: impl Iterator<Item = (&'e String, &'e Value)>) -> String {
    let parts: Vec<String> =
        parts.map(|(name, value)| format!("{} {}", name.replace('_', " "), word(value))).collect();
    parts.join(", ")
}

/// What tells least, and goes first where there is no room.
const LAST: [&str; 3] = ["currency", "cart_id", "last"];

/// The same in `width` characters; what is left out is what tells least.
pub(super) fn short(evidence: &Map<String, Value>, width: usize) -> String {
    let mut parts: Vec<(&String, &Value)> = evidence.iter().collect();
    parts.sort_by_key(|(name, _)| LAST.iter().position(|last| last == name));
    let line = words(parts.into_iter());
    if line.chars().count() <= width {
        return line;
    }
    let kept: String = line.chars().take(width.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end_matches([' ', ',']))
}

fn word(value: &Value) -> String {
    match value {
        Value::String(text) => match odyssey_domain::time::Stamp::parse(text) {
            Ok(at) if text.contains('T') => crate::explain::clock(at),
            _ => text.clone(),
        },
        Value::Array(items) => items.iter().map(word).collect::<Vec<_>>().join(" + "),
        Value::Object(fields) => match (fields.get("name"), fields.get("quantity")) {
            (Some(name), Some(quantity)) => format!("{quantity} × {}", word(name)),
            (Some(name), None) => word(name),
            _ => answer(fields).unwrap_or_else(|| value.to_string()),
        },
        other => other.to_string(),
    }
}

/// A condition that a segment asked, with what it found.
fn answer(fields: &Map<String, Value>) -> Option<String> {
    let (asked, found) = (fields.get("asked")?, fields.get("found")?);
    let held = if fields.get("held")?.as_bool()? { "yes" } else { "no" };
    Some(format!("{}: {held} ({})", word(asked), word(found)))
}

/// Whether `evidence` shows all of `wanted`.
pub(super) fn shows(evidence: &Map<String, Value>, wanted: &Map<String, Value>) -> bool {
    wanted.iter().all(|(name, value)| evidence.get(name) == Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn evidence_reads() {
        let evidence = json!({"items": 2, "last": "2027-03-01T09:05:00.000Z",
            "lines": [{"name": "Stove", "quantity": 2}, {"name": "Tent", "price": "2.00"}]});
        let evidence = evidence.as_object().unwrap();
        assert_eq!(line(evidence), "items 2, last 03-01 09:05, lines 2 × Stove + Tent");
        assert_eq!(short(evidence, 60), "items 2, lines 2 × Stove + Tent, last 03-01 09:05");
        assert_eq!(short(evidence, 40), "items 2, lines 2 × Stove + Tent, last 0…");
        assert_eq!(short(evidence, 10), "items 2…");
        let answers = json!({"answers": [{"asked": "orders.count at least 2", "found": "3", "held": true},
            {"asked": "Order Completed within 60d", "found": "not since then", "held": false}]});
        assert_eq!(
            line(answers.as_object().unwrap()),
            "answers orders.count at least 2: yes (3) + Order Completed within 60d: no (not since then)"
        );
        assert!(shows(evidence, json!({"items": 2}).as_object().unwrap()));
        assert!(!shows(evidence, json!({"items": 3}).as_object().unwrap()));
    }
}
