//! The one line of an invocation: a log line that is also an EMF document
//! ("Embedded metric format specification", CloudWatch user guide, read 2026-11), so that it is
//! paid for once.

use crate::metrics::{self, Metrics, NAMESPACE};
use serde_json::{Map, Value, json};

/// What is said about one invocation.
#[derive(Debug)]
pub struct Summary {
    fields: Map<String, Value>,
    function: &'static str,
}

impl Summary {
    /// Begins the summary of one invocation of `function`; `request` is Lambda's id of it.
    #[must_use]
    pub fn new(function: &'static str, request: &str) -> Summary {
        let mut fields = Map::new();
        fields.insert("request".to_owned(), json!(request));
        Summary { fields, function }
    }

    /// Adds a field. Values that say nothing (zero, false, empty, null) are left out: CloudWatch
    /// charges by the byte.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        let value = value.into();
        let says_nothing = match &value {
            Value::Null => true,
            Value::Bool(is) => !is,
            Value::Number(number) => number.as_u64() == Some(0),
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Object(entries) => entries.is_empty(),
        };
        if !says_nothing {
            self.fields.insert(name.to_owned(), value);
        }
    }

    /// Writes the line, with the metrics reported since the last one. `at_ms` is the real time in
    /// milliseconds since 1970: CloudWatch drops documents far from its own clock.
    pub fn write(self, at_ms: u64) {
        let line = self.line(&metrics::take(), at_ms);
        crate::write_line(&line);
    }

    fn line(self, metrics: &Metrics, at_ms: u64) -> String {
        let mut line = Map::new();
        line.insert("function".to_owned(), json!(self.function));
        line.extend(self.fields);
        if !metrics.is_empty() {
            let definitions: Vec<Value> = metrics
                .iter()
                .map(|(name, (unit, _))| json!({"Name": name, "Unit": unit.name()}))
                .collect();
            for (name, (_, value)) in metrics {
                line.insert((*name).to_owned(), json!(value));
            }
            let directive = json!({
                "Namespace": NAMESPACE,
                "Dimensions": [["function"]],
                "Metrics": definitions,
            });
            line.insert(
                "_aws".to_owned(),
                json!({"Timestamp": at_ms, "CloudWatchMetrics": [directive]}),
            );
        }
        Value::Object(line).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Unit;

    #[test]
    fn a_line_is_an_emf_document() {
        let mut summary = Summary::new("tick", "r-1");
        summary.set("due", 3);
        summary.set("late", 0);
        let metrics = Metrics::from([("TickLag", (Unit::Milliseconds, 1_200))]);
        let line: Value = serde_json::from_str(&summary.line(&metrics, 1_795_289_075_839)).unwrap();
        let expected = json!({
            "function": "tick",
            "request": "r-1",
            "due": 3,
            "TickLag": 1200,
            "_aws": {
                "Timestamp": 1_795_289_075_839_u64,
                "CloudWatchMetrics": [{
                    "Namespace": "Odyssey",
                    "Dimensions": [["function"]],
                    "Metrics": [{"Name": "TickLag", "Unit": "Milliseconds"}],
                }],
            },
        });
        assert_eq!(line, expected);
    }

    #[test]
    fn without_metrics_there_is_no_document() {
        let line = Summary::new("tick", "r-1").line(&Metrics::new(), 0);
        assert_eq!(line, r#"{"function":"tick","request":"r-1"}"#);
    }

    #[test]
    fn counts_add_and_the_longest_time_counts() {
        crate::count("Parked", 1);
        crate::count("Parked", 2);
        crate::count("Retried", 0);
        crate::measure("Lag", 5);
        crate::measure("Lag", 3);
        let expected =
            Metrics::from([("Parked", (Unit::Count, 3)), ("Lag", (Unit::Milliseconds, 5))]);
        assert_eq!(metrics::take(), expected);
    }
}
