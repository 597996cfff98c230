//! What AWS would bill: every call by caller and operation, chunks, capacity units, log bytes.

use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The unit in which SQS, EventBridge and SNS bill: 64 KiB.
pub const CHUNK_BYTES: usize = 64 * 1024;

/// What calls of one kind added up to.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Calls {
    /// Calls.
    pub calls: u64,
    /// Entries in them: messages, events, items; at least one for each call.
    pub entries: u64,
    /// 64 KiB units: of each entry for EventBridge, of each call for SQS.
    pub chunks: u64,
    /// DynamoDB read request units.
    pub read_units: f64,
    /// DynamoDB write request units.
    pub write_units: f64,
    /// Bytes of the request bodies.
    pub bytes: u64,
    /// Calls that were refused or failed.
    pub failed: u64,
}

impl Calls {
    fn add(&mut self, other: &Calls) {
        self.calls += other.calls;
        self.entries += other.entries;
        self.chunks += other.chunks;
        self.read_units += other.read_units;
        self.write_units += other.write_units;
        self.bytes += other.bytes;
        self.failed += other.failed;
    }
}

/// What a function's invocations added up to.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Invocations {
    /// How many.
    pub count: u64,
    /// Records in them.
    pub records: u64,
    /// That a process was started for.
    pub cold: u64,
    /// That failed, timed out or crashed.
    pub failed: u64,
    /// Their real time together, in microseconds.
    pub micros: u64,
    /// The function's memory, megabytes.
    pub memory: u32,
    /// Bytes written to the log.
    pub log_bytes: u64,
    /// Lines written to the log.
    pub log_lines: u64,
}

/// Everything counted since the stack started, or since it was reset.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Usage {
    /// By caller (a function's logical id; `EventBridge`, `SNS`, `Lambda <function>` for what AWS
    /// calls by itself; `operator`), then by operation (`dynamodb:PutItem`).
    pub calls: BTreeMap<String, BTreeMap<String, Calls>>,
    /// By function.
    pub invocations: BTreeMap<String, Invocations>,
    /// Requests to the HTTP API.
    pub http_requests: u64,
    /// 512 KiB units of them, which is how HTTP APIs bill.
    pub http_units: u64,
    /// Starts by a schedule.
    pub scheduled: u64,
    /// Mails that SES took.
    pub mails: u64,
}

impl Usage {
    /// The calls of one operation, by whomever; `operator` left out.
    #[must_use]
    pub fn operation(&self, operation: &str) -> Calls {
        let mut sum = Calls::default();
        for (caller, operations) in &self.calls {
            if caller != crate::wire::OPERATOR {
                operations.get(operation).into_iter().for_each(|calls| sum.add(calls));
            }
        }
        sum
    }
}

/// The counters.
#[derive(Debug, Default)]
pub(crate) struct Book {
    usage: Mutex<Usage>,
}

/// 64 KiB units of so many bytes; at least one.
pub(crate) fn chunks(bytes: usize) -> u64 {
    u64::try_from(bytes.div_ceil(CHUNK_BYTES).max(1)).unwrap_or(u64::MAX)
}

impl Book {
    fn with<T>(&self, change: impl FnOnce(&mut Usage) -> T) -> T {
        change(&mut self.usage.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts calls.
    pub(crate) fn call(&self, caller: &str, operation: &str, calls: &Calls) {
        self.with(|usage| {
            let operations = usage.calls.entry(caller.to_owned()).or_default();
            operations.entry(operation.to_owned()).or_default().add(calls);
        });
    }

    /// Counts an invocation.
    pub(crate) fn invocation(
        &self,
        function: &str,
        memory: u32,
        records: usize,
        took: Duration,
        cold: bool,
        failed: bool,
    ) {
        self.with(|usage| {
            let sum = usage.invocations.entry(function.to_owned()).or_default();
            sum.count += 1;
            sum.records += u64::try_from(records).unwrap_or(0);
            sum.cold += u64::from(cold);
            sum.failed += u64::from(failed);
            sum.micros += u64::try_from(took.as_micros()).unwrap_or(0);
            sum.memory = memory;
        });
    }

    /// Counts a log line.
    pub(crate) fn logged(&self, function: &str, bytes: usize) {
        self.with(|usage| {
            let sum = usage.invocations.entry(function.to_owned()).or_default();
            sum.log_bytes += u64::try_from(bytes).unwrap_or(0);
            sum.log_lines += 1;
        });
    }

    /// Counts a request to the API.
    pub(crate) fn http(&self, bytes: usize) {
        self.with(|usage| {
            usage.http_requests += 1;
            usage.http_units += u64::try_from(bytes.div_ceil(512 * 1024).max(1)).unwrap_or(1);
        });
    }

    /// Counts a scheduled start.
    pub(crate) fn scheduled(&self) {
        self.with(|usage| usage.scheduled += 1);
    }

    /// Counts a mail.
    pub(crate) fn mailed(&self) {
        self.with(|usage| usage.mails += 1);
    }

    /// What was counted.
    pub(crate) fn read(&self) -> Usage {
        self.with(|usage| usage.clone())
    }

    /// Starts from nothing.
    pub(crate) fn reset(&self) -> Usage {
        self.with(std::mem::take)
    }
}
