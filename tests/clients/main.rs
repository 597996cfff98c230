//! Real clients and recorded payloads, unchanged, against the real binaries on the local stack.

mod lost_answer;
mod payloads;
mod runtime;
mod sdk;
mod suites;
mod triggers;
mod world;
