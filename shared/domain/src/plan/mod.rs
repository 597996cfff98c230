//! The tracking plan: which events come with which properties, as inferred from what arrives and
//! as declared by the workspace.
//!
//! [`Inferred`] is what was seen: a bounded sum that any number of processes add to, in any order.
//! [`Declared`] is what `plan.yaml` says, and [`Declared::check`] compares an event with it. An
//! event that violates the plan is folded all the same: the violation is counted, with the *shape*
//! of one example, because its value may be personal.
//!
//! `name` keeps data out of names, `value` says what a value is, `near` knows what others call the
//! Spec's events, and `draft` turns what was inferred into a plan to start from.

mod declared;
mod draft;
mod inferred;
mod name;
mod near;
mod value;
mod violation;

#[cfg(test)]
mod laws;

pub use declared::{Declared, DeclaredEvent, DeclaredProperty};
pub use draft::REQUIRED_FROM;
pub use inferred::{
    DAYS_MAX, FORGET_AFTER, Inferred, SeenEvent, SeenProperty, VIOLATIONS_KEPT, is_call,
};
pub use name::plain;
pub use near::{near_spec, spec};
pub use value::{Shape, ValueType};
pub use violation::{Example, SeenViolation, Violation, ViolationKind};

/// The most events of one plan, inferred or declared.
pub const EVENTS_MAX: usize = 200;
/// The most properties of one event.
pub const PROPERTIES_MAX: usize = 50;
/// The longest name of an event or a property that a plan holds, in bytes; an inferred one that is
/// longer is data, and trimmed.
pub const NAME_BYTES_MAX: usize = 96;
/// The most sources that are told apart for one event.
pub const SOURCES_MAX: usize = 50;
/// The most different violations of one event.
pub const VIOLATIONS_MAX: usize = 60;
