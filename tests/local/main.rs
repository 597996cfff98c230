//! The whole system on one machine: the real function binaries under the real template.

mod bad_input;
mod http;
mod journey;
mod poison;
mod roles;
mod world;
