//! Benchmarks that anyone can run.

pub mod cost;
mod load;
pub mod prices;
