//! `events/`: what travels, as the schemas, the Rust types and the functions see it.

use odyssey_domain::event::Event;
use odyssey_domain::wire::{
    BusEnvelope, Command, ConsentChanged, ConsentRequested, EventFolded, EventsAccepted,
    MessageFeedback, SignalRaised, detail_type, source,
};
use odyssey_flows::queue::QueueBody;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../events")
}

fn json(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Every detail-type with its publishers: the file is named after it.
pub(crate) const BUS: [(&str, &[&str]); 6] = [
    (detail_type::EVENTS_ACCEPTED, &[source::INGEST]),
    (detail_type::EVENT_FOLDED, &[source::PROFILE]),
    (detail_type::SIGNAL_RAISED, &[source::PROFILE]),
    (detail_type::CONSENT_REQUESTED, &[source::PROFILE, source::CONSENT]),
    (detail_type::CONSENT_CHANGED, &[source::CONSENT]),
    (detail_type::MESSAGE_FEEDBACK, &[source::FEEDBACK]),
];

fn stem(detail_type: &str) -> String {
    format!("{}.v1", detail_type.to_lowercase().replace(' ', "-"))
}

/// Parses into the type and writes it back: nothing is lost, nothing renamed.
fn round_trip<T: Serialize + DeserializeOwned>(detail: &Value) {
    let typed: T = serde_json::from_value(detail.clone()).unwrap();
    assert_eq!(&serde_json::to_value(typed).unwrap(), detail);
}

fn round_trip_as(detail_type: &str, detail: &Value) {
    match detail_type {
        detail_type::EVENTS_ACCEPTED => round_trip::<EventsAccepted>(detail),
        detail_type::EVENT_FOLDED => round_trip::<EventFolded>(detail),
        detail_type::SIGNAL_RAISED => round_trip::<SignalRaised>(detail),
        detail_type::CONSENT_REQUESTED => round_trip::<ConsentRequested>(detail),
        detail_type::CONSENT_CHANGED => round_trip::<ConsentChanged>(detail),
        detail_type::MESSAGE_FEEDBACK => round_trip::<MessageFeedback>(detail),
        other => panic!("{other} has no type"),
    }
}

fn schema(detail_type: &str) -> Value {
    json(&folder().join(format!("{}.schema.json", stem(detail_type))))
}

#[test]
fn each_bus_event_is_as_its_schema_and_its_type_say() {
    for (detail_type, sources) in BUS {
        let envelope = json(&folder().join(format!("{}.json", stem(detail_type))));
        let typed: BusEnvelope = serde_json::from_value(envelope.clone()).unwrap();
        assert_eq!(typed.detail_type, detail_type);
        assert!(sources.contains(&typed.source.as_str()), "{detail_type}: {}", typed.source);

        let detail = &envelope["detail"];
        let schema = schema(detail_type);
        jsonschema::meta::validate(&schema).unwrap_or_else(|e| panic!("{detail_type}: {e}"));
        let validator = jsonschema::validator_for(&schema).unwrap();
        let faults: Vec<String> = validator.iter_errors(detail).map(|e| e.to_string()).collect();
        assert!(faults.is_empty(), "{detail_type}: {faults:?}");
        round_trip_as(detail_type, detail);
    }
}

/// A change of a segment is a signal like the others.
#[test]
fn a_segment_entered_is_a_signal() {
    let mut detail =
        json(&folder().join(format!("{}.json", stem(detail_type::SIGNAL_RAISED))))["detail"]
            .clone();
    for threshold in ["after", "before", "at_least"] {
        detail.as_object_mut().unwrap().remove(threshold);
    }
    detail["signal"] = "Segment Entered".into();
    let validator = jsonschema::validator_for(&schema(detail_type::SIGNAL_RAISED)).unwrap();
    assert!(!validator.is_valid(&detail));
    detail["segment"] = "At Risk".into();
    assert!(!validator.is_valid(&detail));
    detail["segment"] = "at-risk".into();
    assert!(validator.is_valid(&detail));
    round_trip::<SignalRaised>(&detail);
}

/// A schema that lets everything pass would hold nothing.
#[test]
fn schemas_refuse_what_the_types_refuse() {
    for (detail_type, _) in BUS {
        let detail = &json(&folder().join(format!("{}.json", stem(detail_type))))["detail"];
        let validator = jsonschema::validator_for(&schema(detail_type)).unwrap();
        for name in detail.as_object().unwrap().keys() {
            let mut wrong = detail.clone();
            wrong[name] = Value::from(vec![Value::Bool(true)]);
            assert!(!validator.is_valid(&wrong), "{detail_type}: {name} may be anything");
            let mut unknown = detail.clone();
            unknown[format!("{name}x")] = Value::Null;
            assert!(!validator.is_valid(&unknown), "{detail_type}: {name}x may be there");
        }
        let mut newer = detail.clone();
        newer["v"] = Value::from(2);
        assert!(!validator.is_valid(&newer), "{detail_type}: another version passes");
    }
}

#[test]
fn the_same_event_has_one_schema() {
    let accepted = schema(detail_type::EVENTS_ACCEPTED);
    let folded = schema(detail_type::EVENT_FOLDED);
    assert_eq!(accepted["$defs"]["event"], folded["$defs"]["event"]);
    let known = accepted["$defs"]["event"]["properties"].as_object().unwrap();
    let sample = json(&folder().join("events-accepted.v1.json"));
    for event in sample["detail"]["events"].as_array().unwrap() {
        round_trip::<Event>(event);
        assert!(event.as_object().unwrap().keys().all(|name| known.contains_key(name)));
    }
}

#[test]
fn nothing_else_lies_about() {
    let mut expected = BTreeSet::from(["README.md".to_owned()]);
    for (detail_type, _) in BUS {
        expected.insert(format!("{}.json", stem(detail_type)));
        expected.insert(format!("{}.schema.json", stem(detail_type)));
    }
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            found.insert(entry.file_name().into_string().unwrap());
        }
    }
    assert_eq!(found, expected);
}

/// The triggers of a function, by file name.
fn triggers() -> Vec<(String, String, Value)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder().join("triggers")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let function = name.split('.').next().unwrap().to_owned();
        found.push((function, name, json(&path)));
    }
    found.sort_by(|a, b| a.1.cmp(&b.1));
    found
}

#[test]
fn every_function_has_a_trigger() {
    let functions: BTreeSet<String> = triggers().into_iter().map(|(f, _, _)| f).collect();
    let all = ["ingest", "profile", "journey", "tick", "sender", "feedback", "consent"];
    assert_eq!(functions, all.map(str::to_owned).into());
}

#[test]
fn batches_hold_bodies_that_their_functions_understand() {
    for (function, name, trigger) in triggers() {
        for record in trigger["Records"].as_array().into_iter().flatten() {
            let body = record["body"].as_str().unwrap();
            if function == "feedback" {
                odyssey_domain::message::feedback::parse(body)
                    .unwrap_or_else(|e| panic!("{name}: {e}"));
                continue;
            }
            match QueueBody::parse(body).unwrap_or_else(|e| panic!("{name}: {e}")) {
                QueueBody::Event(event) => {
                    let sample = json(&folder().join(format!("{}.json", stem(&event.detail_type))));
                    let body: Value = serde_json::from_str(body).unwrap();
                    assert_eq!(body, sample, "{name} and the sample of {}", event.detail_type);
                }
                QueueBody::Command(command) => {
                    let again = serde_json::to_value(&command).unwrap();
                    assert_eq!(again, serde_json::from_str::<Value>(body).unwrap(), "{name}");
                    let to_sender = matches!(command, Command::Send(_));
                    assert_eq!(to_sender, function == "sender", "{name}");
                }
            }
        }
    }
}

#[test]
fn requests_match_their_routes() {
    for (function, name, trigger) in triggers() {
        if !["ingest", "consent"].contains(&function.as_str()) {
            continue;
        }
        let http = &trigger["requestContext"]["http"];
        assert_eq!(trigger["version"], "2.0", "{name}");
        assert_eq!(trigger["rawPath"], http["path"], "{name}");
        let key = trigger["routeKey"].as_str().unwrap();
        assert_eq!(trigger["requestContext"]["routeKey"], key, "{name}");
        if let Some((method, path)) = key.split_once(' ') {
            assert_eq!(http["method"], method, "{name}");
            let fixed = path.split('{').next().unwrap();
            assert!(http["path"].as_str().unwrap().starts_with(fixed), "{name}");
        }
    }
}
