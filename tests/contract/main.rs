//! What is written twice says the same: `infra/template.yaml`, `events/`, `docs/` and the code.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod access;
mod cost;
mod documented;
mod events;
mod queues;
mod simulator;
mod stored;
mod tables;
mod yaml;

use serde_json::Value;

/// The template and the questions that several tests ask of it.
struct Template(Value);

impl Template {
    fn read() -> Template {
        Template(yaml::template())
    }

    /// A resource by its logical id.
    fn resource(&self, id: &str) -> &Value {
        let found = &self.0["Resources"][id];
        assert!(!found.is_null(), "the template has no resource {id}");
        found
    }

    /// A resource's properties.
    fn properties(&self, id: &str) -> &Value {
        &self.resource(id)["Properties"]
    }

    /// All resources of a type, by logical id.
    fn of_type(&self, kind: &str) -> Vec<(&str, &Value)> {
        let all = self.0["Resources"].as_object().unwrap();
        let found: Vec<_> = all.iter().filter(|(_, r)| r["Type"] == kind).collect();
        assert!(!found.is_empty(), "the template has no {kind}");
        found.into_iter().map(|(id, r)| (id.as_str(), &r["Properties"])).collect()
    }

    /// A function's own property, or the one it has from `Globals`.
    fn function_property<'a>(&'a self, function: &'a Value, name: &str) -> &'a Value {
        let own = &function[name];
        if own.is_null() { &self.0["Globals"]["Function"][name] } else { own }
    }

    /// The functions.
    fn functions(&self) -> Vec<(&str, &Value)> {
        let functions = self.of_type("AWS::Serverless::Function");
        assert_eq!(functions.len(), 7);
        functions
    }

    /// The statements of a function's role.
    fn statements(&self, function: &str) -> Vec<&Value> {
        let policies = &self.properties(&format!("{function}Role"))["Policies"];
        let policies = policies.as_array().unwrap().iter();
        policies.flat_map(|p| p["PolicyDocument"]["Statement"].as_array().unwrap()).collect()
    }
}

/// The texts of an array, or of one text.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(one) => vec![one],
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// The logical id in `!Ref x` or `!GetAtt x.Arn`.
fn logical_id(value: &Value) -> Option<&str> {
    let text = value["Ref"].as_str().or_else(|| value["Fn::GetAtt"].as_str())?;
    text.split('.').next()
}
