//! The command line of Odyssey as a library, so that tests reach into it.

pub mod publish;
