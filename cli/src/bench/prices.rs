//! One table of prices: us-east-1, on demand, as of 2026-03; `docs/COST.md` names the sources.

/// US dollars for a million, or for the unit named.
pub mod usd {
    /// A million requests to an HTTP API, in units of 512 KiB.
    pub const HTTP_API: f64 = 1.00;
    /// A million Lambda requests.
    pub const LAMBDA_REQUEST: f64 = 0.20;
    /// A GB-second of Lambda on arm64.
    pub const LAMBDA_GB_SECOND: f64 = 0.000_013_333_4;
    /// A million custom events, in units of 64 KiB; delivery to the account's own queues is free.
    pub const EVENTBRIDGE: f64 = 1.00;
    /// A million SQS calls, in units of 64 KiB.
    pub const SQS: f64 = 0.40;
    /// A million messages published to SNS, in units of 64 KiB; delivery to SQS is free.
    pub const SNS: f64 = 0.50;
    /// A million DynamoDB read request units.
    pub const READ_UNIT: f64 = 0.125;
    /// A million DynamoDB write request units.
    pub const WRITE_UNIT: f64 = 0.625;
    /// A GB of logs taken in.
    pub const LOG_GB: f64 = 0.50;
    /// A million calls of Secrets Manager.
    pub const SECRET_CALLS: f64 = 5.00;
}

/// Bytes of one line of the HTTP API's access log, by the format in `infra/template.yaml`.
pub const ACCESS_LOG_BYTES: f64 = 190.0;

/// What an idle stack costs a month, by what is in it; `tests/contract` recounts it from the
/// template.
pub const IDLE: [(&str, f64); 8] = [
    ("SQS: four event sources, five pollers each", 1.05),
    ("KMS: one key and the tick's use of it", 1.03),
    ("the secret", 0.40),
    ("alarms: twenty-four metrics", 2.40),
    ("the metric TickLagMs", 0.30),
    ("the tick: 43,800 starts", 0.06),
    ("the due index: 700,800 queries", 0.04),
    ("logs of the tick", 0.02),
];
