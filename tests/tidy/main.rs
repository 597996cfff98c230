//! The house's invariants: what must not depend on what, and how long a file may be.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod dependencies;
mod sources;
