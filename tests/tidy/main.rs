//! The house's invariants: what must not depend on what, and how long a file may be.

mod dependencies;
mod sources;
