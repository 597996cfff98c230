//! Real clients and recorded payloads, unchanged, against the real binaries on the local stack.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod chromium;
mod lost_answer;
mod payloads;
mod runtime;
mod sdk;
mod snippet;
mod suites;
mod triggers;
mod world;
