//! Use cases over ports: each flow decodes nothing and knows no AWS; it sequences reads, pure
//! decisions of `odyssey-domain`, writes, and effects.
//!
//! The ports are four: [`ports::Tables`], [`ports::Bus`], [`ports::Queues`] and [`ports::Mailer`].
//! `odyssey-aws` implements them on AWS, `odyssey-testkit` in memory.

pub mod accept_events;
pub mod advance_enrollment;
pub mod backfill;
pub mod catalog;
pub mod contacts;
pub mod due;
pub mod fold_profile;
pub mod ledger;
pub mod links;
pub mod observe_plan;
pub mod ports;
pub mod profiles;
pub mod queue;
pub mod read_timeline;
pub mod record_feedback;
pub mod segments;
pub mod send_message;
pub mod set_consent;
pub mod settle_unconfirmed;
pub mod signals;
pub mod stored;
pub mod sweep_due;
