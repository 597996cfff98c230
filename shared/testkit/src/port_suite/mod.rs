//! The laws of each port, as suites that every implementation runs.
//!
//! A suite writes under its own keys only and expects empty tables; it panics with the law that
//! was broken.

mod tables;

pub use tables::tables;
