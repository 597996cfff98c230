//! The pure core: what Odyssey *decides*, without a clock, randomness, network or disk.
//!
//! Every function here is a function of its arguments; the time is one of them, called `now`.
//! What this crate must not do is enforced: its `Cargo.toml` names no async runtime and no AWS
//! crate, its `clippy.toml` bans clocks, the environment and hash maps, and a test walks its
//! dependency tree.

pub mod catalog;
pub mod contact;
pub mod event;
#[cfg(test)]
mod histories;
pub mod identity;
pub mod ids;
pub mod journey;
pub mod keyring;
pub mod message;
pub mod pacing;
pub mod personal;
pub mod plan;
pub mod policy;
pub mod predicate;
pub mod profile;
pub mod segment;
pub mod signal;
pub mod slug;
pub mod time;
pub mod wire;
pub mod workspace;
