//! The local stack: `infra/template.yaml` on one machine, with nothing but the Rust toolchain.
//!
//! It has no wiring of its own. It reads the template, gives every resource a name, and runs what
//! it finds: the functions' own binaries over the Lambda Runtime API, DynamoDB in process, and
//! endpoints that speak AWS's protocols for exactly the operations that functions call. Each
//! function has its own access key, so that its role is enforced; any other operation is an error
//! that names it.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use odyssey_local::{Build, Functions, LocalStack, Options};
//! let root = std::path::Path::new(".");
//! let binaries = Build::functions(root)?.run(|_| {}).await?;
//! let mut options = Options::of_workspace(root, Functions::Binaries(binaries))?;
//! options.rate = 1_800; // an hour in two seconds
//! let stack = LocalStack::start(options).await?;
//! println!("{}", stack.api_url());
//! stack.idle(stack.now()).await;
//! # Ok(())
//! # }
//! ```

mod activity;
mod broker;
mod builds;
mod clock;
mod closing;
mod faults;
mod feed;
mod gateway;
mod iam;
mod identifiers;
mod kept;
mod lambda;
mod mailbox;
mod options;
mod pace;
mod pattern;
mod secrets;
mod stack;
mod start;
mod state;
pub mod template;
mod usage;
mod wire;

pub use activity::Busy;
pub use broker::{Depth, Received};
pub use builds::{Beside, Build, BuildError, Progress};
pub use clock::{Clock, shown};
pub use faults::{Fault, Faults, Injection, Service};
pub use feed::{Ended, Happening, What};
pub use gateway::BODY_BYTES_MAX;
pub use iam::{Denied, Iam, Unused};
pub use kept::KeptError;
pub use lambda::{CONCURRENCY, InvokeError};
pub use mailbox::{Mail, Mailbox};
pub use options::{Functions, MAIL_IDENTITY, Options, Pages, Storage};
pub use pace::Pace;
pub use pattern::{Pattern, PatternError};
pub use secrets::SecretsError;
pub use stack::{DeadLetter, Stack, queue_variable};
pub use start::{LocalStack, StartError};
pub use usage::{CHUNK_BYTES, Calls, Invocations, Usage};
