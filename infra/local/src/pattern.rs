//! EventBridge's event patterns, as far as the template uses them and a little further.

use serde_json::{Map, Value};

/// A pattern uses something that the local stack does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event pattern {place}: the local stack does not know {what}")]
pub struct PatternError {
    /// The path within the pattern.
    pub place: String,
    /// What it found there.
    pub what: String,
}

/// A pattern, ready to be matched.
#[derive(Debug, Clone)]
pub struct Pattern(Node);

#[derive(Debug, Clone)]
enum Node {
    /// Every field must match.
    Fields(Vec<(String, Node)>),
    /// One of the tests must hold for the field, or for one element of the list in it.
    Tests(Vec<Test>),
}

#[derive(Debug, Clone)]
enum Test {
    Equals(Value),
    Prefix(String),
    Suffix(String),
    IgnoringCase(String),
    Wildcard(String),
    Exists(bool),
    AnythingBut(Vec<Test>),
    Numeric(Vec<(Comparison, f64)>),
}

#[derive(Debug, Clone, Copy)]
enum Comparison {
    Less,
    AtMost,
    Equal,
    AtLeast,
    Greater,
}

fn unknown(place: &str, found: &Value) -> PatternError {
    PatternError { place: place.to_owned(), what: found.to_string() }
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// Where it uses an operator that is not known here.
    pub fn parse(pattern: &Value) -> Result<Pattern, PatternError> {
        Ok(Pattern(node(pattern, "$")?))
    }

    /// Whether an event matches.
    #[must_use]
    pub fn matches(&self, event: &Value) -> bool {
        holds(&self.0, Some(event))
    }
}

fn node(value: &Value, place: &str) -> Result<Node, PatternError> {
    match value {
        Value::Object(fields) => {
            let mut nodes = Vec::new();
            for (name, inner) in fields {
                if name.starts_with('$') {
                    return Err(unknown(place, &Value::from(name.clone())));
                }
                nodes.push((name.clone(), node(inner, &format!("{place}.{name}"))?));
            }
            Ok(Node::Fields(nodes))
        }
        Value::Array(tests) => {
            let tests: Result<Vec<Test>, _> = tests.iter().map(|item| test(item, place)).collect();
            Ok(Node::Tests(tests?))
        }
        other => Err(unknown(place, other)),
    }
}

fn test(value: &Value, place: &str) -> Result<Test, PatternError> {
    let Value::Object(operator) = value else {
        return Ok(Test::Equals(value.clone()));
    };
    let mut entries = operator.iter();
    let (Some((name, argument)), None) = (entries.next(), entries.next()) else {
        return Err(unknown(place, value));
    };
    match (name.as_str(), argument) {
        ("prefix", Value::String(text)) => Ok(Test::Prefix(text.clone())),
        ("suffix", Value::String(text)) => Ok(Test::Suffix(text.clone())),
        ("equals-ignore-case", Value::String(text)) => Ok(Test::IgnoringCase(text.to_lowercase())),
        ("wildcard", Value::String(text)) => Ok(Test::Wildcard(text.clone())),
        ("exists", Value::Bool(truth)) => Ok(Test::Exists(*truth)),
        ("anything-but", Value::Array(items)) => {
            let items: Result<Vec<Test>, _> = items.iter().map(|item| test(item, place)).collect();
            Ok(Test::AnythingBut(items?))
        }
        ("anything-but", item) => Ok(Test::AnythingBut(vec![test(item, place)?])),
        ("numeric", Value::Array(items)) => numeric(items, place).map(Test::Numeric),
        _ => Err(unknown(place, &Value::Object(Map::clone(operator)))),
    }
}

fn numeric(items: &[Value], place: &str) -> Result<Vec<(Comparison, f64)>, PatternError> {
    let mut found = Vec::new();
    for pair in items.chunks(2) {
        let comparison = match pair.first().and_then(Value::as_str) {
            Some("<") => Comparison::Less,
            Some("<=") => Comparison::AtMost,
            Some("=") => Comparison::Equal,
            Some(">=") => Comparison::AtLeast,
            Some(">") => Comparison::Greater,
            _ => return Err(unknown(place, &Value::from(items.to_vec()))),
        };
        let Some(number) = pair.get(1).and_then(Value::as_f64) else {
            return Err(unknown(place, &Value::from(items.to_vec())));
        };
        found.push((comparison, number));
    }
    Ok(found)
}

fn holds(node: &Node, value: Option<&Value>) -> bool {
    match node {
        Node::Fields(fields) => {
            // A field that is absent is still asked about: `exists: false` may want it so.
            fields.iter().all(|(name, inner)| holds(inner, value.and_then(|v| v.get(name))))
        }
        Node::Tests(tests) => tests.iter().any(|test| match value {
            None => matches!(test, Test::Exists(false)),
            Some(Value::Array(items)) => items.iter().any(|item| passes(test, item)),
            Some(value) => passes(test, value),
        }),
    }
}

fn passes(test: &Test, value: &Value) -> bool {
    let found = value.as_str();
    match test {
        Test::Equals(wanted) => match (wanted.as_f64(), value.as_f64()) {
            (Some(a), Some(b)) => a.total_cmp(&b).is_eq(),
            _ => wanted == value,
        },
        Test::Prefix(prefix) => found.is_some_and(|text| text.starts_with(prefix.as_str())),
        Test::Suffix(suffix) => found.is_some_and(|text| text.ends_with(suffix.as_str())),
        Test::IgnoringCase(wanted) => found.is_some_and(|text| text.to_lowercase() == *wanted),
        Test::Wildcard(pattern) => found.is_some_and(|text| crate::iam::wildcard(pattern, text)),
        Test::Exists(wanted) => *wanted,
        Test::AnythingBut(tests) => !tests.iter().any(|test| passes(test, value)),
        Test::Numeric(bounds) => value.as_f64().is_some_and(|number| {
            bounds.iter().all(|(comparison, bound)| match comparison {
                Comparison::Less => number < *bound,
                Comparison::AtMost => number <= *bound,
                Comparison::Equal => number.total_cmp(bound).is_eq(),
                Comparison::AtLeast => number >= *bound,
                Comparison::Greater => number > *bound,
            })
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn patterns_match_as_eventbridge_documents_them() {
        let event = json!({
            "source": "odyssey.ingest",
            "detail-type": "Events Accepted",
            "detail": {"n": 7, "tags": ["a", "b"], "name": "Cart Abandoned", "no": null},
        });
        for (pattern, expected) in [
            (json!({"source": ["odyssey.ingest"]}), true),
            (json!({"source": ["x", "odyssey.ingest"], "detail-type": ["Other"]}), false),
            (json!({"source": [{"prefix": "odyssey."}]}), true),
            (json!({"source": [{"suffix": ".profile"}]}), false),
            (json!({"source": [{"anything-but": ["odyssey.ingest"]}]}), false),
            (json!({"source": [{"anything-but": {"prefix": "aws."}}]}), true),
            (json!({"detail": {"n": [{"numeric": [">", 5, "<=", 7]}]}}), true),
            (json!({"detail": {"n": [7.0]}}), true),
            (json!({"detail": {"n": [{"numeric": ["<", 7]}]}}), false),
            (json!({"detail": {"tags": ["b"]}}), true),
            (json!({"detail": {"tags": ["c"]}}), false),
            (json!({"detail": {"gone": [{"exists": false}]}}), true),
            (json!({"detail": {"n": [{"exists": false}]}}), false),
            (json!({"detail": {"n": [{"exists": true}]}}), true),
            (json!({"detail": {"no": [null]}}), true),
            (json!({"detail": {"name": [{"equals-ignore-case": "cart abandoned"}]}}), true),
            (json!({"detail": {"name": [{"wildcard": "Cart*"}]}}), true),
        ] {
            let found = Pattern::parse(&pattern).unwrap().matches(&event);
            assert_eq!(found, expected, "{pattern}");
        }
    }

    #[test]
    fn an_unknown_operator_is_named() {
        for bad in [
            json!({"a": [{"cidr": "10.0.0.0/8"}]}),
            json!({"$or": [{"a": [1]}]}),
            json!({"a": "b"}),
            json!({"a": [{"numeric": ["~", 1]}]}),
        ] {
            assert!(Pattern::parse(&bad).is_err(), "{bad}");
        }
    }
}
