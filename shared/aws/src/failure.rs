//! What an SDK error means: transient or permanent, in words that hold nothing of the request.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use odyssey_flows::ports::PortError;

/// Codes of the five services (and of the signature check before them) that may pass by
/// themselves. HTTP 5xx and 429 always may.
const TRANSIENT: [&str; 18] = [
    "ExpiredTokenException",
    // Another release made other writes of the same delivery. What is decided anew has another token.
    "IdempotentParameterMismatchException",
    "InternalFailure",
    "InternalServerError",
    "InternalServiceError",
    "KmsThrottled",
    "LimitExceededException",
    "OverLimit",
    "ProvisionedThroughputExceededException",
    "RequestExpired",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestTimeout",
    "ServiceUnavailable",
    "Throttling",
    "ThrottlingException",
    "TransactionConflictException",
    "TransactionInProgressException",
];

/// Codes whose messages name resources and principals, never the contents of a request.
const TELLING: [&str; 9] = [
    "AccessDenied",
    "AccessDeniedException",
    "AWS.SimpleQueueService.NonExistentQueue",
    "ProvisionedThroughputExceededException",
    "QueueDoesNotExist",
    "ResourceNotFoundException",
    "ThrottlingException",
    "UnrecognizedClientException",
    "UnknownOperationException",
];

/// Whether a service error may pass by itself.
pub(crate) fn is_transient(code: &str, status: u16) -> bool {
    status >= 500 || status == 429 || TRANSIENT.contains(&code)
}

/// A service error in words: its code, its HTTP status, and its message where that is safe.
pub(crate) fn describe(code: &str, status: u16, message: Option<&str>) -> String {
    match message {
        Some(message) if TELLING.contains(&code) => format!("{code} (HTTP {status}): {message}"),
        _ => format!("{code} (HTTP {status})"),
    }
}

/// The code of a service error, `Unknown` where it has none.
pub(crate) fn code<E: ProvideErrorMetadata>(error: &E) -> &str {
    error.code().unwrap_or("Unknown")
}

/// What an SDK error means for a flow.
pub(crate) fn port_error<E: ProvideErrorMetadata>(
    operation: &'static str,
    error: &SdkError<E, HttpResponse>,
) -> PortError {
    let transient = |cause: String| PortError::Transient { operation, cause };
    match error {
        SdkError::TimeoutError(_) => transient("no answer in time".to_owned()),
        SdkError::DispatchFailure(failure) => {
            let kind = if failure.is_timeout() {
                "no answer in time"
            } else if failure.is_io() {
                "the connection failed"
            } else if failure.is_user() {
                let cause = "the request cannot be sent".to_owned();
                return PortError::Permanent { operation, cause };
            } else {
                "the call failed"
            };
            transient(kind.to_owned())
        }
        SdkError::ResponseError(response) => {
            transient(format!("unreadable answer (HTTP {})", response.raw().status().as_u16()))
        }
        SdkError::ServiceError(service) => {
            let status = service.raw().status().as_u16();
            if status < 400 {
                // The SDK counts a success that it cannot read as an error of the service.
                return transient(format!("unreadable answer (HTTP {status})"));
            }
            let code = code(service.err());
            let cause = describe(code, status, service.err().message());
            if is_transient(code, status) {
                transient(cause)
            } else {
                PortError::Permanent { operation, cause }
            }
        }
        _ => PortError::Permanent { operation, cause: "the request cannot be built".to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_and_what_does_not() {
        assert!(is_transient("ThrottlingException", 400));
        assert!(is_transient("Whatever", 503));
        assert!(is_transient("Whatever", 429));
        assert!(!is_transient("ValidationException", 400));
        assert!(!is_transient("AccessDeniedException", 400));
    }

    #[test]
    fn messages_that_may_repeat_the_request_are_left_out() {
        let message = Some("The value ann@example.com is not valid");
        assert_eq!(describe("ValidationException", 400, message), "ValidationException (HTTP 400)");
        let denied = describe("AccessDeniedException", 400, Some("not authorized: dynamodb:Scan"));
        assert_eq!(denied, "AccessDeniedException (HTTP 400): not authorized: dynamodb:Scan");
    }
}
