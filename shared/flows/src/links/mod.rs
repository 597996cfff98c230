//! Links in an operator's hands: why two identifiers are one profile, and how they become two.

mod refused;
mod split;
mod why;

pub use refused::{EVENTS_LOOKED_INTO, NotLinked, Refusal, refusals};
pub use split::{Split, SplitError, plan, split};
pub use why::{Claimed, Placed, Stands, event_name, place};
