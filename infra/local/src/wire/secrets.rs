//! Secrets Manager: `GetSecretValue`.

use super::{Call, Done, Failure};
use crate::usage::Calls;
use serde_json::json;

/// Answers a call.
pub(super) fn handle(call: &Call<'_>) -> Result<Done, Failure> {
    if call.operation != "GetSecretValue" {
        return Err(Failure::unknown_operation(&format!("secretsmanager:{}", call.operation)));
    }
    let wanted = call.text("SecretId")?;
    let secrets = &call.shared.resources.secrets;
    let Some(secret) = secrets.iter().find(|s| s.arn == wanted || s.name == wanted) else {
        let message = "Secrets Manager can't find the specified secret.";
        return Err(Failure::new(400, "ResourceNotFoundException", message));
    };
    call.may("secretsmanager:GetSecretValue", &secret.arn, &[])?;
    let text = call.shared.secrets.get(&secret.arn).cloned().unwrap_or_default();
    let output = json!({
        "ARN": secret.arn,
        "Name": secret.name,
        "VersionId": "00000000-0000-4000-8000-000000000001",
        "VersionStages": ["AWSCURRENT"],
        "SecretString": text,
        "CreatedDate": call.shared.clock.now().ms() / 1_000,
    });
    Ok(Done { output, cost: Calls { entries: 1, ..Calls::default() } })
}
