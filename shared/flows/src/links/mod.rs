//! Links in an operator's hands: why two identifiers are one profile, and how they become two.

mod split;
mod why;

pub use split::{Split, SplitError, plan, split};
pub use why::{Claimed, Placed, Stands, place};
