//! `sender`'s and `feedback`'s queue flows over the ports in memory.
#![expect(unreachable_pub, reason = "a test has no one outside")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that fails shall say so at once")]

mod confirming;
mod deciding;
mod deferring;
mod faults;
mod feedback;
mod interleaving;
mod order;
mod sending;
mod sizes;
mod world;
