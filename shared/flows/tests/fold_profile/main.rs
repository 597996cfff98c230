//! `profile`'s queue flow over the ports in memory.
#![expect(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test has no one outside, and what goes wrong in it has failed it"
)]

mod addresses;
mod backfill;
mod bad_input;
mod crossings;
mod crowds;
mod echo;
mod feedback;
mod history;
mod identifiers;
mod laws;
mod links;
mod plan;
mod redelivery;
mod requests;
mod segments;
mod silences;
mod sizes;
mod splits;
mod world;
