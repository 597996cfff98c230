//! The stack's secret.

use crate::failure::port_error;
use aws_types::SdkConfig;
use odyssey_domain::keyring::{Keyring, KeyringError};
use odyssey_flows::ports::PortError;

/// Why there is no keyring.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Secrets Manager did not hand it out.
    #[error("the secret named by SECRET_ARN cannot be read")]
    Unavailable(#[source] PortError),
    /// It has no text.
    #[error("the secret named by SECRET_ARN holds no text")]
    NoText,
    /// Its text is no keyring.
    #[error("the secret named by SECRET_ARN is no keyring")]
    Malformed(#[source] KeyringError),
}

pub(crate) async fn fetch(config: &SdkConfig, arn: &str) -> Result<Keyring, SecretError> {
    let client = aws_sdk_secretsmanager::Client::new(config);
    let answer = client
        .get_secret_value()
        .secret_id(arn)
        .send()
        .await
        .map_err(|error| SecretError::Unavailable(port_error("GetSecretValue", &error)))?;
    let text = answer.secret_string().ok_or(SecretError::NoText)?;
    Keyring::parse(text).map_err(SecretError::Malformed)
}
