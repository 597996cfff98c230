//! The whole system on one machine: the real function binaries under the real template.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod bad_input;
mod http;
mod journey;
mod poison;
mod roles;
mod world;
