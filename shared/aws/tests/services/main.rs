//! The ports on AWS against services on this machine: an emulator of DynamoDB, and a service that
//! answers by a script.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod clock;
mod emulator;
mod mail;
mod sending;
mod tables;
mod twins;
mod wire;
