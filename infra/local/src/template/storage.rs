//! Tables and secrets.

use super::TemplateError;
use super::intrinsics::{unexpected, unknown};
use super::properties::Properties;
use serde_json::{Map, Value, json};

/// A DynamoDB table.
#[derive(Debug, Clone, PartialEq)]
pub struct TableSpec {
    /// Logical id.
    pub id: String,
    /// Table name.
    pub name: String,
    /// ARN.
    pub arn: String,
    /// The body of a `CreateTable` call.
    pub create: Value,
    /// The attribute that holds the time to live, where there is one.
    pub ttl: Option<String>,
}

/// How a secret is generated: one key of a JSON object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    /// The object that the key is added to.
    pub template: Map<String, Value>,
    /// The key.
    pub key: String,
    /// Characters.
    pub length: usize,
}

/// A secret of Secrets Manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// Logical id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// ARN.
    pub arn: String,
    /// How its value is made.
    pub generated: Generated,
}

/// Reads an `AWS::DynamoDB::Table`.
pub(super) fn table(
    id: &str,
    name: String,
    arn: String,
    body: &Properties,
) -> Result<TableSpec, TemplateError> {
    body.only(&[
        "TableName",
        "BillingMode",
        "AttributeDefinitions",
        "KeySchema",
        "GlobalSecondaryIndexes",
        "TimeToLiveSpecification",
        "PointInTimeRecoverySpecification",
        "SSESpecification",
        "DeletionProtectionEnabled",
        "Tags",
        "TableClass",
    ])?;
    if body.text_opt("BillingMode")?.as_deref() != Some("PAY_PER_REQUEST") {
        return Err(unknown(&body.place, "a table that is not PAY_PER_REQUEST"));
    }
    let mut create = Map::new();
    create.insert("TableName".to_owned(), Value::from(name.clone()));
    for key in ["BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes"] {
        if body.has(key) {
            create.insert(key.to_owned(), body.value(key).clone());
        }
    }
    let ttl = body.within("TimeToLiveSpecification")?;
    let ttl = if ttl.truth("Enabled")? { ttl.text_opt("AttributeName")? } else { None };
    Ok(TableSpec { id: id.to_owned(), name, arn, create: Value::Object(create), ttl })
}

/// Reads an `AWS::SecretsManager::Secret`.
pub(super) fn secret(
    id: &str,
    name: String,
    arn: String,
    body: &Properties,
) -> Result<Secret, TemplateError> {
    body.only(&["Name", "Description", "KmsKeyId", "GenerateSecretString", "Tags"])?;
    let generate = body.within("GenerateSecretString")?;
    generate.only(&[
        "SecretStringTemplate",
        "GenerateStringKey",
        "PasswordLength",
        "ExcludePunctuation",
    ])?;
    let template = generate.text("SecretStringTemplate")?;
    let Ok(Value::Object(template)) = serde_json::from_str(&template) else {
        let place = generate.at("SecretStringTemplate");
        return Err(unexpected(&place, &json!(template), "a JSON object"));
    };
    let generated = Generated {
        template,
        key: generate.text("GenerateStringKey")?,
        length: generate.number_opt("PasswordLength")?.unwrap_or(32) as usize,
    };
    Ok(Secret { id: id.to_owned(), name, arn, generated })
}
