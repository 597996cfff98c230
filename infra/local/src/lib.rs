//! The local stack.
pub mod template;
