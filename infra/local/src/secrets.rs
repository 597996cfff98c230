//! The template's secrets: generated once, and kept beside a database that is kept.

use crate::identifiers::password;
use crate::options::Storage;
use crate::template::Secret;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Secrets that cannot be kept or read back.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {cause}")]
pub struct SecretsError {
    /// The file, or the secret's logical id.
    pub path: String,
    /// What is wrong.
    pub cause: String,
}

fn fresh(secret: &Secret) -> Result<String, SecretsError> {
    let mut value = secret.generated.template.clone();
    let password = password(secret.generated.length)
        .map_err(|error| SecretsError { path: secret.id.clone(), cause: error.to_string() })?;
    value.insert(secret.generated.key.clone(), Value::from(password));
    Ok(Value::Object(value).to_string())
}

/// The text of each secret, by ARN.
pub(crate) fn generate(
    secrets: &[Secret],
    storage: &Storage,
) -> Result<BTreeMap<String, String>, SecretsError> {
    let path = match storage {
        Storage::Memory => None,
        Storage::File(path) => {
            let mut path = path.clone().into_os_string();
            path.push(".secrets.json");
            Some(PathBuf::from(path))
        }
    };
    let failed =
        |path: &PathBuf, cause: String| SecretsError { path: path.display().to_string(), cause };
    let mut known: BTreeMap<String, String> = match &path {
        Some(path) if path.exists() => {
            let text = std::fs::read_to_string(path).map_err(|e| failed(path, e.to_string()))?;
            serde_json::from_str(&text).map_err(|_| failed(path, "not secrets".to_owned()))?
        }
        _ => BTreeMap::new(),
    };
    for secret in secrets {
        if !known.contains_key(&secret.arn) {
            known.insert(secret.arn.clone(), fresh(secret)?);
        }
    }
    if let Some(path) = &path {
        let text = serde_json::to_string(&known).map_err(|e| failed(path, e.to_string()))?;
        std::fs::write(path, text).map_err(|e| failed(path, e.to_string()))?;
    }
    Ok(known)
}
