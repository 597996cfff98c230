//! Benchmarks that anyone can run.

pub mod cold;
pub mod cost;
mod deployable;
mod figures;
pub mod ingest;
pub mod latency;
mod load;
pub mod prices;
pub mod replay;
mod runtime;
