//! `journey`'s flow and the tick's, over the ports in memory.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed test says so by panicking; the ports' futures are only named in tests"
)]

mod advance;
mod faults;
mod race;
mod segments;
mod sweep;
mod world;
