//! The ports of `odyssey-flows` on AWS, and the way in from Lambda.
//!
//! This is the only crate (but tests) that names an SDK type. A function's `main` looks like this:
//!
//! ```no_run
//! use odyssey_aws::{Aws, Env, lambda};
//! use odyssey_flows::ports::{Queue, Table};
//! use odyssey_telemetry::Fatal;
//! # mod handler {
//! #     use odyssey_flows::queue::{Disposition, QueueRecord};
//! #     pub async fn handle<T>(_: &T, _: Vec<QueueRecord>, _: odyssey_domain::time::Stamp)
//! #         -> Vec<Disposition> { Vec::new() }
//! # }
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), Fatal> {
//!     odyssey_telemetry::init();
//!     let env = Env::from_process();
//!     let aws = Aws::connect(&env);
//!     let tables = aws.tables(&[Table::Profiles, Table::Timeline]);
//!     let bus = aws.bus();
//!     let queues = aws.queues(&[Queue::Profile]);
//!     let dead_letters = aws.dead_letters();
//!     let public_url = env.text("PUBLIC_URL");
//!     env.finish()?; // every missing or malformed variable in one error
//!     let keyring = aws.keyring().await?;
//!     # let _ = (bus, queues, public_url, keyring);
//!     lambda::run_queue("profile", dead_letters, async |records, now| {
//!         handler::handle(&tables, records, now).await
//!     })
//!     .await?;
//!     Ok(())
//! }
//! ```
//!
//! Clients are made only for what a function asks for. Credentials come from the environment, as
//! Lambda sets them; there is no profile file, no instance metadata and no STS.

mod bus;
pub mod clock;
mod connect;
mod env;
mod failure;
pub mod lambda;
mod lazy;
mod mail;
mod operator;
mod queues;
mod secret;
mod tables;

pub use bus::EventBridgeBus;
pub use connect::Aws;
pub use env::{Env, EnvError, EnvFault};
pub use mail::SesMailer;
pub use operator::{Held, OperatorQueue};
pub use queues::SqsQueues;
pub use secret::SecretError;
pub use tables::DynamoTables;
