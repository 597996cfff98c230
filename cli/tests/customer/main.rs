//! The customer's page and `odyssey profile show`, over the real flows in memory.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test fails by panicking and has no one outside"
)]

mod browser;
mod hostile;
mod links;
mod page;
mod world;
