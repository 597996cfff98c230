//! Policy statements of roles, queues and topics.

use super::TemplateError;
use super::intrinsics::{unexpected, unknown};
use super::properties::{Properties, texts};
use serde_json::Value;

/// What a statement does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Allows.
    Allow,
    /// Denies, whatever else allows.
    Deny,
}

/// How a condition compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `StringEquals`: byte for byte.
    StringEquals,
    /// `StringLike`, `ArnEquals` and `ArnLike`: `*` and `?` are wildcards.
    Like,
}

/// One condition: the key's value must match one of the patterns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// How.
    pub operator: Operator,
    /// The condition key, in lower case: `events:source`.
    pub key: String,
    /// The patterns.
    pub patterns: Vec<String>,
}

/// Who a resource's own policy speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// The role that holds the statement.
    Holder,
    /// An AWS service: `events.amazonaws.com`.
    Service(String),
}

/// One statement of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Its `Sid`, or its place in the template.
    pub name: String,
    /// Allow or deny.
    pub effect: Effect,
    /// Who.
    pub principal: Principal,
    /// Action patterns: `dynamodb:GetItem`.
    pub actions: Vec<String>,
    /// Resource patterns.
    pub resources: Vec<String>,
    /// All must hold.
    pub conditions: Vec<Condition>,
}

/// The statements of a resolved policy document.
pub(super) fn statements(document: &Properties) -> Result<Vec<Statement>, TemplateError> {
    document.only(&["Version", "Statement"])?;
    document.list("Statement")?.iter().map(statement).collect()
}

fn statement(body: &Properties) -> Result<Statement, TemplateError> {
    body.only(&["Sid", "Effect", "Principal", "Action", "Resource", "Condition"])?;
    let effect = match body.text("Effect")?.as_str() {
        "Allow" => Effect::Allow,
        "Deny" => Effect::Deny,
        other => {
            return Err(unexpected(&body.at("Effect"), &Value::from(other), "Allow or Deny"));
        }
    };
    let principal = if body.has("Principal") {
        let principal = body.within("Principal")?;
        principal.only(&["Service"])?;
        Principal::Service(principal.text("Service")?)
    } else {
        Principal::Holder
    };
    let actions = body.texts("Action")?;
    let resources = body.texts("Resource")?;
    if actions.is_empty() || resources.is_empty() {
        return Err(unexpected(&body.place, &Value::Null, "an Action and a Resource"));
    }
    Ok(Statement {
        name: body.text_opt("Sid")?.unwrap_or_else(|| body.place.clone()),
        effect,
        principal,
        actions,
        resources,
        conditions: conditions(&body.within("Condition")?)?,
    })
}

fn conditions(body: &Properties) -> Result<Vec<Condition>, TemplateError> {
    let mut found = Vec::new();
    for (name, _) in body.entries() {
        // A multi-valued key, such as the recipients of a mail, holds where each of its values
        // does; the local stack asks about one value at a time.
        let plain = name.strip_prefix("ForAllValues:").unwrap_or(name);
        let operator = match plain {
            "StringEquals" => Operator::StringEquals,
            "StringLike" | "ArnEquals" | "ArnLike" => Operator::Like,
            _ => return Err(unknown(&body.place, format!("condition operator {name}"))),
        };
        for (key, value) in body.within(name)?.entries() {
            let patterns = texts(value, &body.at(name))?;
            found.push(Condition { operator, key: key.to_ascii_lowercase(), patterns });
        }
    }
    Ok(found)
}
