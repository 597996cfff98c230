//! `profile`'s queue flow over the ports in memory.
#![expect(unreachable_pub, reason = "a test has no one outside")]

mod links;
mod redelivery;
mod silences;
mod world;
