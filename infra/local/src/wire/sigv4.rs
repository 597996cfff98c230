//! Who calls: the access key in a Signature Version 4 `Authorization` header.
//!
//! Signatures are not verified: the endpoint is reachable from this machine alone, and what is
//! wanted is which role the call is made under.

use super::{Caller, Failure, OPERATOR};
use crate::state::Shared;
use http::request::Parts;
use std::sync::Arc;

/// The operator's access key.
const OPERATOR_KEY: &str = "AKIAOPERATOR";

/// The access key of a function, or of the operator.
pub(crate) fn access_key(name: &str) -> String {
    if name == OPERATOR {
        OPERATOR_KEY.to_owned()
    } else {
        format!("AKIA{}", name.to_ascii_uppercase())
    }
}

/// The caller of a request.
pub(super) fn caller(shared: &Arc<Shared>, parts: &Parts) -> Result<Caller, Failure> {
    let header = parts.headers.get("authorization").and_then(|value| value.to_str().ok());
    let key = header.and_then(key_of).ok_or_else(|| {
        Failure::new(403, "MissingAuthenticationTokenException", "the request is not signed")
    })?;
    if key == OPERATOR_KEY {
        return Ok(Caller { name: Arc::from(OPERATOR), role: None });
    }
    let known = shared.resources.functions.iter().find(|f| access_key(&f.id) == key);
    match known {
        Some(function) => {
            Ok(Caller { name: Arc::from(function.id.as_str()), role: Some(function.role.clone()) })
        }
        None => Err(Failure::new(
            403,
            "UnrecognizedClientException",
            format!("the access key {key} belongs to no function of this stack"),
        )),
    }
}

fn key_of(header: &str) -> Option<&str> {
    let credential = header.strip_prefix("AWS4-HMAC-SHA256 ")?.split_once("Credential=")?.1;
    credential.split(['/', ',']).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_found() {
        let header = "AWS4-HMAC-SHA256 Credential=AKIAINGESTFUNCTION/20260101/us-east-1/dynamodb/\
                      aws4_request, SignedHeaders=host;x-amz-date, Signature=00";
        assert_eq!(key_of(header), Some("AKIAINGESTFUNCTION"));
        assert_eq!(key_of(header).map(str::to_owned), Some(access_key("IngestFunction")));
        assert_eq!(key_of("Basic abc"), None);
    }
}
