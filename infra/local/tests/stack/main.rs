//! The local stack under the real template, with one stand-in for every function: this test's own
//! executable, run again as a Lambda process that does what its events say.

mod function;
mod gateway;
mod harness;
mod lambda;
mod mail;
mod real;
mod template;
mod wire;
