//! Links in an operator's hands: why two identifiers are one profile.

mod why;

pub use why::{Claimed, Placed, Stands, place};
