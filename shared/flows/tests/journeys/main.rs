//! `journey`'s flow and the tick's, over the ports in memory.

mod advance;
mod faults;
mod race;
mod sweep;
mod world;
