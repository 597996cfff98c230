//! CloudFormation's intrinsic functions, resolved against one place.

use super::TemplateError;
use super::names;
use serde_json::{Map, Value};

/// Where the stack pretends to be.
#[derive(Debug, Clone)]
pub struct Place {
    /// `AWS::Region`.
    pub region: String,
    /// `AWS::AccountId`.
    pub account: String,
    /// `AWS::StackName`.
    pub stack: String,
    /// What queue URLs begin with: the endpoint that speaks the AWS protocols.
    pub endpoint_url: String,
    /// What the HTTP API's own address stands for.
    pub api_url: String,
    /// Values for the template's parameters; the others take their defaults.
    pub parameters: Vec<(String, String)>,
}

/// References may nest; this deep they go in a circle.
const DEPTH_MAX: usize = 64;

/// A document and the place it is resolved for.
#[derive(Debug)]
pub(super) struct Resolver<'a> {
    document: &'a Value,
    /// The place.
    pub(super) place: &'a Place,
    globals: Value,
}

static NOTHING: Value = Value::Null;

/// The shape of an error at a place.
pub(super) fn unexpected(place: &str, found: &Value, expected: &'static str) -> TemplateError {
    let mut found = found.to_string();
    if found.chars().count() > 120 {
        found = found.chars().take(120).chain("…".chars()).collect();
    }
    TemplateError::Unexpected { place: place.to_owned(), found, expected }
}

/// The shape of a refusal.
pub(super) fn unknown(place: &str, what: impl Into<String>) -> TemplateError {
    TemplateError::Unknown { place: place.to_owned(), what: what.into() }
}

impl<'a> Resolver<'a> {
    /// Of a parsed document.
    pub(super) fn new(document: &'a Value, place: &'a Place) -> Result<Self, TemplateError> {
        if !document.get("Resources").is_some_and(Value::is_object) {
            return Err(unexpected("Resources", &document["Resources"], "a mapping"));
        }
        let globals = document.get("Globals").cloned().unwrap_or(Value::Null);
        Ok(Self { document, place, globals })
    }

    /// Every resource whose condition holds: logical id, type, unresolved body.
    pub(super) fn resources(&self) -> Result<Vec<(&'a str, &'a str, &'a Value)>, TemplateError> {
        let mut found = Vec::new();
        for (id, body) in self.document["Resources"].as_object().into_iter().flatten() {
            let place = format!("Resources.{id}.Type");
            let Some(kind) = body["Type"].as_str() else {
                return Err(unexpected(&place, &body["Type"], "a resource type"));
            };
            if let Some(condition) = body.get("Condition")
                && !self.condition(condition, &place, 0)?
            {
                continue;
            }
            found.push((id.as_str(), kind, body));
        }
        Ok(found)
    }

    /// The outputs whose condition holds, resolved to texts.
    pub(super) fn outputs(&self) -> Result<Vec<(String, String)>, TemplateError> {
        let mut found = Vec::new();
        for (name, body) in self.document["Outputs"].as_object().into_iter().flatten() {
            let place = format!("Outputs.{name}");
            if let Some(condition) = body.get("Condition")
                && !self.condition(condition, &place, 0)?
            {
                continue;
            }
            let value = self.resolve(&body["Value"], &place)?;
            let text = scalar(&value).ok_or_else(|| unexpected(&place, &value, "a text"))?;
            found.push((name.clone(), text));
        }
        Ok(found)
    }

    /// A section of `Globals`, resolved.
    pub(super) fn globals(&self, section: &str) -> Result<Value, TemplateError> {
        match self.globals.get(section) {
            None => Ok(Value::Null),
            Some(value) => self.resolve(value, &format!("Globals.{section}")),
        }
    }

    /// A value with every intrinsic in it resolved.
    pub(super) fn resolve(&self, value: &Value, place: &str) -> Result<Value, TemplateError> {
        Ok(self.value(value, place, 0)?.unwrap_or(Value::Null))
    }

    /// `None` stands for `AWS::NoValue`.
    fn value(&self, v: &Value, place: &str, depth: usize) -> Result<Option<Value>, TemplateError> {
        if depth > DEPTH_MAX {
            return Err(unexpected(place, v, "references that do not go in a circle"));
        }
        let depth = depth + 1;
        match v {
            Value::Array(items) => {
                let mut out = Vec::with_capacity(items.len());
                for (at, item) in items.iter().enumerate() {
                    out.extend(self.value(item, &format!("{place}[{at}]"), depth)?);
                }
                Ok(Some(Value::Array(out)))
            }
            Value::Object(map) => {
                if let Some((name, argument)) = intrinsic(map) {
                    return self.call(name, argument, place, depth);
                }
                let mut out = Map::new();
                for (key, item) in map {
                    if let Some(value) = self.value(item, &format!("{place}.{key}"), depth)? {
                        out.insert(key.clone(), value);
                    }
                }
                Ok(Some(Value::Object(out)))
            }
            other => Ok(Some(other.clone())),
        }
    }

    fn call(
        &self,
        name: &str,
        argument: &Value,
        place: &str,
        depth: usize,
    ) -> Result<Option<Value>, TemplateError> {
        let bad = |expected| unexpected(place, argument, expected);
        match name {
            "Ref" => {
                let id = argument.as_str().ok_or_else(|| bad("a name to refer to"))?;
                if id == "AWS::NoValue" { Ok(None) } else { self.reference(id, place).map(Some) }
            }
            "Fn::GetAtt" => {
                let (id, attribute) = match argument {
                    Value::String(text) => {
                        text.split_once('.').ok_or_else(|| bad("Resource.Attribute"))?
                    }
                    Value::Array(parts) => match parts.as_slice() {
                        [Value::String(id), Value::String(attribute)] => {
                            (id.as_str(), attribute.as_str())
                        }
                        _ => return Err(bad("[resource, attribute]")),
                    },
                    _ => return Err(bad("Resource.Attribute")),
                };
                self.attribute(id, attribute, place).map(Some)
            }
            "Fn::Sub" => self.substitute(argument, place, depth).map(Some),
            "Fn::If" => match argument.as_array().map(Vec::as_slice) {
                Some([condition, yes, no]) => {
                    let holds = self.condition(condition, place, depth)?;
                    self.value(if holds { yes } else { no }, place, depth)
                }
                _ => Err(bad("[condition, then, else]")),
            },
            "Condition" | "Fn::Equals" | "Fn::And" | "Fn::Or" | "Fn::Not" => {
                let whole = Value::Object(Map::from_iter([(name.to_owned(), argument.clone())]));
                Ok(Some(Value::Bool(self.condition(&whole, place, depth)?)))
            }
            _ => {
                let resolved = self.value(argument, place, depth)?.unwrap_or(Value::Null);
                self.pure_call(name, &resolved, place).map(Some)
            }
        }
    }

    /// Functions of their resolved argument alone.
    fn pure_call(&self, name: &str, v: &Value, place: &str) -> Result<Value, TemplateError> {
        let parts = v.as_array().map(Vec::as_slice);
        match (name, parts) {
            ("Fn::Join", Some([Value::String(by), Value::Array(items)])) => {
                let texts: Option<Vec<String>> = items.iter().map(scalar).collect();
                let texts = texts.ok_or_else(|| unexpected(place, v, "a list of texts"))?;
                Ok(Value::from(texts.join(by)))
            }
            ("Fn::Select", Some([at, Value::Array(items)])) => {
                let at = scalar(at).and_then(|text| text.parse::<usize>().ok());
                at.and_then(|at| items.get(at))
                    .cloned()
                    .ok_or_else(|| unexpected(place, v, "an index within the list"))
            }
            ("Fn::Split", Some([Value::String(by), Value::String(text)])) => {
                Ok(text.split(by.as_str()).map(Value::from).collect())
            }
            ("Fn::Base64", _) => match v {
                Value::String(text) => {
                    Ok(Value::from(data_encoding::BASE64.encode(text.as_bytes())))
                }
                _ => Err(unexpected(place, v, "a text")),
            },
            ("Fn::FindInMap", Some([Value::String(map), Value::String(a), Value::String(b)])) => {
                match &self.document["Mappings"][map][a][b] {
                    Value::Null => Err(unexpected(place, v, "an entry of Mappings")),
                    found => Ok(found.clone()),
                }
            }
            ("Fn::ToJsonString", _) => Ok(Value::from(v.to_string())),
            _ => Err(unknown(place, format!("{name} with such an argument"))),
        }
    }

    fn substitute(&self, v: &Value, place: &str, depth: usize) -> Result<Value, TemplateError> {
        let (text, own) = match v {
            Value::String(text) => (text.as_str(), None),
            Value::Array(parts) => match parts.as_slice() {
                [Value::String(text), Value::Object(own)] => (text.as_str(), Some(own)),
                _ => return Err(unexpected(place, v, "[text, names]")),
            },
            _ => return Err(unexpected(place, v, "a text")),
        };
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            out.push_str(before);
            let (name, after) =
                after.split_once('}').ok_or_else(|| unexpected(place, v, "a closing brace"))?;
            rest = after;
            if let Some(literal) = name.strip_prefix('!') {
                out.push_str("${");
                out.push_str(literal);
                out.push('}');
                continue;
            }
            let value = if let Some(own) = own.and_then(|own| own.get(name)) {
                self.value(own, place, depth)?.unwrap_or(Value::Null)
            } else if let Some((id, attribute)) = name.split_once('.') {
                self.attribute(id, attribute, place)?
            } else {
                self.reference(name, place)?
            };
            out.push_str(&scalar(&value).ok_or_else(|| unexpected(place, &value, "a text"))?);
        }
        out.push_str(rest);
        Ok(Value::from(out.replace(&names::api_host(self.place), &self.place.api_url)))
    }

    fn condition(&self, v: &Value, place: &str, depth: usize) -> Result<bool, TemplateError> {
        if depth > DEPTH_MAX {
            return Err(unexpected(place, v, "conditions that do not go in a circle"));
        }
        let depth = depth + 1;
        let named = |name: &str| match self.document["Conditions"].get(name) {
            Some(body) => self.condition(body, &format!("Conditions.{name}"), depth),
            None => Err(unexpected(place, v, "the name of a condition")),
        };
        if let Value::String(name) = v {
            return named(name);
        }
        let found = v.as_object().and_then(intrinsic);
        let (name, argument) = found.ok_or_else(|| unexpected(place, v, "a condition"))?;
        let items = argument.as_array().map(Vec::as_slice);
        match (name, items) {
            ("Condition", _) => named(argument.as_str().unwrap_or_default()),
            ("Fn::Equals", Some([a, b])) => {
                Ok(self.value(a, place, depth)? == self.value(b, place, depth)?)
            }
            ("Fn::Not", Some([item])) => Ok(!self.condition(item, place, depth)?),
            ("Fn::And", Some(items)) => {
                items.iter().try_fold(true, |all, i| Ok(all & self.condition(i, place, depth)?))
            }
            ("Fn::Or", Some(items)) => {
                items.iter().try_fold(false, |any, i| Ok(any | self.condition(i, place, depth)?))
            }
            _ => Err(unexpected(place, v, "a condition")),
        }
    }

    /// What `Ref` gives.
    fn reference(&self, id: &str, place: &str) -> Result<Value, TemplateError> {
        let here = self.place;
        let pseudo = match id {
            "AWS::Region" => Some(here.region.as_str()),
            "AWS::AccountId" => Some(here.account.as_str()),
            "AWS::StackName" => Some(here.stack.as_str()),
            "AWS::Partition" => Some("aws"),
            "AWS::URLSuffix" => Some("amazonaws.com"),
            _ => None,
        };
        if let Some(text) = pseudo {
            return Ok(Value::from(text));
        }
        if id == "AWS::StackId" {
            let (region, account, stack) = (&here.region, &here.account, &here.stack);
            return Ok(Value::from(format!(
                "arn:aws:cloudformation:{region}:{account}:stack/{stack}/local"
            )));
        }
        if let Some(parameter) = self.document["Parameters"].get(id) {
            return self.parameter(id, parameter);
        }
        Ok(self.physical(id, place)?.reference(here))
    }

    fn attribute(&self, id: &str, attribute: &str, place: &str) -> Result<Value, TemplateError> {
        self.physical(id, place)?.attribute(attribute, self.place, place)
    }

    /// A resource's physical name.
    pub(super) fn physical(&self, id: &str, place: &str) -> Result<names::Physical, TemplateError> {
        let body = self.document["Resources"].get(id).unwrap_or(&NOTHING);
        let Some(kind) = body["Type"].as_str() else {
            return Err(unexpected(place, &Value::from(id), "a resource or parameter"));
        };
        let name = match names::name_property(kind).and_then(|p| body["Properties"].get(p)) {
            Some(name) => scalar(&self.resolve(name, &format!("Resources.{id}"))?),
            None => None,
        };
        let name = name.unwrap_or_else(|| format!("{}-{id}", self.place.stack));
        Ok(names::Physical { kind: kind.to_owned(), name })
    }

    fn parameter(&self, id: &str, body: &Value) -> Result<Value, TemplateError> {
        let given = self.place.parameters.iter().find(|(name, _)| name == id);
        let text = match (given, &body["Default"]) {
            (Some((_, value)), _) => value.clone(),
            (None, default) => scalar(default).ok_or_else(|| {
                unexpected(&format!("Parameters.{id}"), default, "a default or a given value")
            })?,
        };
        match body["Type"].as_str() {
            Some("CommaDelimitedList" | "List<String>" | "List<Number>") => {
                Ok(text.split(',').map(|part| Value::from(part.trim())).collect())
            }
            _ => Ok(Value::from(text)),
        }
    }
}

fn intrinsic(map: &Map<String, Value>) -> Option<(&str, &Value)> {
    let (name, argument) = map.iter().next()?;
    let alone = map.len() == 1;
    // A statement's own `Condition` is a mapping; the intrinsic's argument is a name.
    let is_one =
        name == "Ref" || name.starts_with("Fn::") || (name == "Condition" && argument.is_string());
    (alone && is_one).then_some((name.as_str(), argument))
}

/// A scalar as text, as CloudFormation turns numbers and booleans into texts.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}
