//! Keeping the chain of reasons small: it travels with every send and is stored twice.

use crate::personal::EmailAddress;
use crate::wire::Why;
use serde_json::{Map, Value};

/// A longer text in the evidence is left out: cut in two, a URL leads nowhere.
const TEXT_BYTES_MAX: usize = 200;
/// What the answers may take where the evidence needs the room.
const CONDITIONS_BYTES_MAX: usize = 160;
/// The name under which trimmed evidence says so.
const TRIMMED: &str = "trimmed";

/// Stores a shared chain as a plain one.
pub(super) mod shared {
    use crate::wire::Why;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::sync::Arc;

    pub(crate) fn serialize<S: Serializer>(why: &Arc<Why>, to: S) -> Result<S::Ok, S::Error> {
        Why::serialize(why, to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<Why>, D::Error> {
        Why::deserialize(from).map(Arc::new)
    }
}

impl Why {
    /// Trims to [`Why::BYTES_MAX`] of JSON, the least needed first: e-mail addresses and long
    /// texts, old answers, the ends of lists (a cart keeps its first lines), the largest values.
    /// Evidence of which something was left out says `trimmed`. Trimming again changes nothing.
    pub fn trim(&mut self) {
        self.trim_to(Why::BYTES_MAX);
    }

    /// As [`Why::trim`], to a smaller size.
    pub fn trim_to(&mut self, limit: usize) {
        let mut cut = false;
        let mut depth_left = 16;
        clean(&mut self.evidence, &mut cut, &mut depth_left);
        if self.evidence.contains_key(TRIMMED) {
            cut = true;
        }
        if cut {
            self.evidence.insert(TRIMMED.to_owned(), Value::Bool(true));
        }
        while self.bytes() > limit && self.drop_something() {}
    }

    fn bytes(&self) -> usize {
        serde_json::to_vec(self).map_or(0, |json| json.len())
    }

    /// Drops what is needed least; false where only the trigger is left.
    fn drop_something(&mut self) -> bool {
        let conditions = serde_json::to_vec(&self.conditions).map_or(0, |json| json.len());
        if conditions > CONDITIONS_BYTES_MAX {
            self.conditions.remove(0);
            return true;
        }
        if shorten_longest_list(&mut self.evidence) || drop_largest(&mut self.evidence) {
            self.evidence.insert(TRIMMED.to_owned(), Value::Bool(true));
            return true;
        }
        if !self.conditions.is_empty() {
            self.conditions.remove(0);
            return true;
        }
        !std::mem::take(&mut self.evidence).is_empty()
    }
}

/// Takes out what must not or need not be kept, at any depth.
fn clean(map: &mut Map<String, Value>, cut: &mut bool, depth_left: &mut usize) {
    let before = map.len();
    map.retain(|_, value| is_kept(value));
    *cut |= map.len() != before;
    for value in map.values_mut() {
        clean_value(value, cut, depth_left);
    }
}

fn clean_value(value: &mut Value, cut: &mut bool, depth_left: &mut usize) {
    let Some(deeper) = depth_left.checked_sub(1) else {
        *value = Value::Null;
        *cut = true;
        return;
    };
    match value {
        Value::Object(map) => clean(map, cut, &mut { deeper }),
        Value::Array(list) => {
            let before = list.len();
            list.retain(is_kept);
            *cut |= list.len() != before;
            for element in list {
                clean_value(element, cut, &mut { deeper });
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn is_kept(value: &Value) -> bool {
    match value {
        // Mails find the address in the profile; the ledger must not hold it.
        Value::String(text) => text.len() <= TEXT_BYTES_MAX && EmailAddress::parse(text).is_err(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            true
        }
    }
}

/// Takes the last element off the longest list directly in `map`; the first element stays.
fn shorten_longest_list(map: &mut Map<String, Value>) -> bool {
    let lists = map.values_mut().filter_map(Value::as_array_mut);
    match lists.max_by_key(|list| list.len()) {
        Some(list) if list.len() > 1 => list.pop().is_some(),
        _ => false,
    }
}

/// Drops the largest value in `map`; of equal ones the last by name.
fn drop_largest(map: &mut Map<String, Value>) -> bool {
    let size = |value: &Value| serde_json::to_vec(value).map_or(0, |json| json.len());
    let values = map.iter().filter(|(name, _)| name.as_str() != TRIMMED);
    let largest = values.max_by_key(|(_, value)| size(value)).map(|(name, _)| name.clone());
    largest.is_some_and(|name| map.remove(&name).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::predicate::Answer;
    use proptest::prelude::*;
    use serde_json::json;

    fn why(evidence: &Value, answers: usize) -> Why {
        Why {
            trigger: "signal Cart Abandoned after 4h".to_owned(),
            trigger_id: "akoe5luqwxeoxo3ts5iujhikjq".to_owned(),
            evidence: evidence.as_object().cloned().unwrap(),
            conditions: (0..answers)
                .map(|i| Answer {
                    asked: format!("orders.count at least {i}"),
                    found: i.to_string(),
                    held: true,
                })
                .collect(),
            ..Why::default()
        }
    }

    fn line(i: usize) -> Value {
        json!({"product_id": format!("p{i}"), "name": "Wool socks", "price": 1290, "quantity": 2,
               "url": format!("https://shop.example/p/{i}")})
    }

    #[test]
    fn a_small_chain_is_left_alone() {
        let mut small = why(&json!({"cart_id": "c1", "lines": [line(1)]}), 1);
        let before = small.clone();
        small.trim();
        assert_eq!(small, before);
    }

    #[test]
    fn a_cart_keeps_its_first_lines_and_says_it_was_trimmed() {
        let lines: Vec<Value> = (0..20).map(line).collect();
        let mut long = why(&json!({"cart_id": "c1", "lines": lines, "value": 25_800}), 9);
        long.trim();
        assert!(long.bytes() <= Why::BYTES_MAX);
        assert_eq!(long.evidence["lines"][0], line(0));
        assert_eq!(long.evidence["cart_id"], "c1");
        assert_eq!(long.evidence["value"], 25_800);
        assert_eq!(long.evidence[TRIMMED], true);
        let last = long.conditions.last().unwrap();
        assert_eq!(last.asked, "orders.count at least 8", "the latest answers stay");
    }

    #[test]
    fn addresses_are_left_out_at_any_depth() {
        let mut found = why(
            &json!({"email": "ada@shop.example", "who": {"mails": ["ada@shop.example", "x"]}}),
            0,
        );
        found.trim();
        let text = serde_json::to_string(&found).unwrap();
        assert!(!text.contains('@'), "{text}");
        assert_eq!(found.evidence["who"]["mails"], json!(["x"]));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::from),
            ".{0,250}".prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 64, 12, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..12).prop_map(Value::from),
                prop::collection::btree_map("[a-z]{1,6}", inner, 0..8)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_chain_fits_and_trimming_again_changes_nothing(
            map in prop::collection::btree_map("[a-z]{1,6}", any_json(), 0..8),
            answers in 0_usize..20,
        ) {
            let mut chain = why(&Value::Object(map.into_iter().collect()), answers);
            chain.trim();
            prop_assert!(chain.bytes() <= Why::BYTES_MAX);
            let again = { let mut again = chain.clone(); again.trim(); again };
            prop_assert_eq!(chain, again);
        }
    }
}
