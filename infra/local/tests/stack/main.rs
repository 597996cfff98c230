//! The local stack under the real template, with one stand-in for every function: this test's own
//! executable, run again as a Lambda process that does what its events say.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "clippy knows tests by their attribute, and not what they call; a function's log is its output"
)]

mod function;
mod gateway;
mod harness;
mod lambda;
mod mail;
mod template;
mod wire;
