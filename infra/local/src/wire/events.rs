//! EventBridge: `PutEvents`, and the rules that carry events to queues.

use super::{Call, Done, Failure, sns};
use crate::faults::Fault;
use crate::feed::What;
use crate::identifiers::uuid;
use crate::pattern::{Pattern, PatternError};
use crate::state::Shared;
use crate::template::{Resources, Rule};
use crate::usage::{Calls, chunks};
use serde_json::{Value, json};
use std::sync::Arc;

/// Entries in one call, at most.
const ENTRIES_MAX: usize = 10;
/// Bytes of a call's entries together, at most.
const BYTES_MAX: usize = 256 * 1024;

/// The rules, ready to be matched.
#[derive(Debug)]
pub(crate) struct Bus {
    rules: Vec<(Rule, Pattern)>,
}

impl Bus {
    /// Of a template.
    pub(crate) fn new(resources: &Resources) -> Result<Self, PatternError> {
        let mut rules = Vec::new();
        for rule in &resources.rules {
            let pattern = Pattern::parse(&rule.pattern).map_err(|error| PatternError {
                place: format!("{} {}", rule.id, error.place),
                what: error.what,
            })?;
            rules.push((rule.clone(), pattern));
        }
        Ok(Self { rules })
    }
}

/// An entry of the call, checked.
struct Entry<'a> {
    bus: &'a (String, String),
    source: &'a str,
    detail_type: &'a str,
    detail: &'a str,
}

/// Answers a call.
pub(super) fn handle(call: &Call<'_>) -> Result<Done, Failure> {
    if call.operation != "PutEvents" {
        return Err(Failure::unknown_operation(&format!("events:{}", call.operation)));
    }
    let entries = call.input["Entries"].as_array().map(Vec::as_slice).unwrap_or_default();
    if entries.is_empty() || entries.len() > ENTRIES_MAX {
        let message = format!("expected 1 to {ENTRIES_MAX} entries, found {}", entries.len());
        return Err(Failure::invalid(message));
    }
    let sizes: Vec<usize> = entries.iter().map(size).collect();
    if sizes.iter().sum::<usize>() > BYTES_MAX {
        let message = format!("Total size of the entries in the request is over {BYTES_MAX} bytes");
        return Err(Failure::invalid(message));
    }
    for entry in entries {
        authorize(call, entry)?;
    }
    let mut results = Vec::new();
    let mut failed = 0;
    let mut cost = Calls::default();
    for (at, (entry, size)) in entries.iter().zip(sizes).enumerate() {
        let checked = if call.entry_fails(at) {
            Err(("InternalFailure", "injected by the local stack".to_owned()))
        } else {
            check(call.shared, entry)
        };
        match checked {
            Ok(entry) => {
                cost.entries += 1;
                cost.chunks += chunks(size);
                let id = uuid();
                let times = if call.fault == Some(Fault::Twice) { 2 } else { 1 };
                let deliverable = call.fault != Some(Fault::Undeliverable);
                for _ in 0..times {
                    deliver(call.shared, &entry, &id, deliverable);
                }
                results.push(json!({"EventId": id}));
            }
            Err((code, message)) => {
                failed += 1;
                results.push(json!({"ErrorCode": code, "ErrorMessage": message}));
            }
        }
    }
    Ok(Done { output: json!({"FailedEntryCount": failed, "Entries": results}), cost })
}

fn text<'a>(entry: &'a Value, name: &str) -> &'a str {
    entry[name].as_str().unwrap_or_default()
}

/// What EventBridge counts: the texts, and 14 bytes where a time is given.
fn size(entry: &Value) -> usize {
    let texts: usize =
        ["Source", "DetailType", "Detail"].map(|n| text(entry, n).len()).iter().sum();
    let resources = entry["Resources"].as_array().into_iter().flatten();
    let resources: usize = resources.map(|item| item.as_str().unwrap_or_default().len()).sum();
    texts + resources + if entry["Time"].is_null() { 0 } else { 14 }
}

fn bus<'a>(shared: &'a Arc<Shared>, entry: &Value) -> Option<&'a (String, String)> {
    let wanted = text(entry, "EventBusName");
    shared.resources.buses.iter().find(|(name, arn)| name == wanted || arn == wanted)
}

fn authorize(call: &Call<'_>, entry: &Value) -> Result<(), Failure> {
    let Some((_, arn)) = bus(call.shared, entry) else {
        let message = format!("event bus {:?} does not exist", text(entry, "EventBusName"));
        return Err(Failure::new(400, "ResourceNotFoundException", message));
    };
    let context = [
        ("events:source", text(entry, "Source")),
        ("events:detail-type", text(entry, "DetailType")),
    ];
    call.may("events:PutEvents", arn, &context)
}

fn check<'a>(
    shared: &'a Arc<Shared>,
    entry: &'a Value,
) -> Result<Entry<'a>, (&'static str, String)> {
    for name in ["Source", "DetailType", "Detail"] {
        if text(entry, name).is_empty() {
            return Err((
                "InvalidArgument",
                format!("Parameter {name} is not valid. Reason: {name} is a required argument."),
            ));
        }
    }
    let detail = text(entry, "Detail");
    if !serde_json::from_str::<Value>(detail).is_ok_and(|value| value.is_object()) {
        return Err(("MalformedDetail", "Detail is malformed.".to_owned()));
    }
    let bus = bus(shared, entry).ok_or(("InvalidArgument", "no such bus".to_owned()))?;
    Ok(Entry { bus, source: text(entry, "Source"), detail_type: text(entry, "DetailType"), detail })
}

/// Carries an event to every queue that a rule names; what a queue's policy does not admit goes to
/// the target's dead letters.
fn deliver(shared: &Arc<Shared>, entry: &Entry<'_>, id: &str, deliverable: bool) {
    // The parsed detail is used for matching alone, so that what is delivered is the detail as it
    // was given, numbers and the order of its keys included.
    let detail: Value = serde_json::from_str(entry.detail).unwrap_or(Value::Null);
    let (account, region) = (&shared.place.account, &shared.place.region);
    let time = shared.clock.now();
    let event = json!({
        "version": "0", "id": id, "detail-type": entry.detail_type, "source": entry.source,
        "account": account, "time": time.to_string(), "region": region, "resources": [],
        "detail": detail,
    });
    let envelope = format!(
        r#"{{"version":"0","id":"{id}","detail-type":{},"source":{},"account":"{account}","time":"{}","region":"{region}","resources":[],"detail":{}}}"#,
        json!(entry.detail_type),
        json!(entry.source),
        // EventBridge's times are whole seconds.
        time.to_string().split('.').next().map(|text| format!("{text}Z")).unwrap_or_default(),
        entry.detail.trim(),
    );
    let mut queues = Vec::new();
    for (rule, pattern) in &shared.bus.rules {
        let same_bus = rule.bus == entry.bus.0 || rule.bus == entry.bus.1;
        if !same_bus || !pattern.matches(&event) {
            continue;
        }
        for target in &rule.targets {
            let body = match &target.input_path {
                None => envelope.clone(),
                Some(path) => part(&event, path).to_string(),
            };
            let by = ("EventBridge", "events.amazonaws.com", rule.arn.as_str());
            if deliverable && sns::deliver(shared, &target.queue, &body, by) {
                queues.extend(shared.broker.find(&target.queue).map(|queue| queue.name.clone()));
            } else if let Some(dead) = &target.dead_letters {
                sns::deliver(shared, dead, &body, by);
            }
        }
    }
    shared.tell(What::BusEvent {
        id: id.to_owned(),
        source: entry.source.to_owned(),
        detail_type: entry.detail_type.to_owned(),
        detail: entry.detail.to_owned(),
        queues,
    });
}

/// The part of an event at a path such as `$.detail.order`.
fn part(event: &Value, path: &str) -> Value {
    let names = path.trim_start_matches('$').split('.').filter(|name| !name.is_empty());
    names.fold(event.clone(), |value, name| value[name].clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
        let event = json!({"detail": {"order": {"id": 7}}});
        assert_eq!(part(&event, "$.detail.order"), json!({"id": 7}));
        assert_eq!(part(&event, "$"), event);
        assert_eq!(part(&event, "$.nothing"), Value::Null);
    }

    #[test]
    fn an_entrys_size_is_its_texts() {
        let entry = json!({"Source": "ab", "DetailType": "cde", "Detail": "{}", "Time": 1});
        assert_eq!(size(&entry), 2 + 3 + 2 + 14);
    }
}
