//! The simulator: the whole system in one thread, every fault injected, everything from one seed.
//!
//! The real flows of `odyssey-flows` run over ports whose every call waits before its effect and
//! after it; which waiting call goes on next is drawn from the seed, so that invocations interleave
//! at every call. A process dies by having its future dropped. Time is virtual: an agenda of what
//! is to happen, in order.
//!
//! | part | what it is |
//! | --- | --- |
//! | `functions` | the functions and the wiring, held to the template by a contract test |
//! | `setup`, `workload`, `workspace`, `people` | what a seed is like and what happens in it |
//! | `core`, `world`, `running`, `operator` | the agenda, the loop, and the flows and commands as invocations |
//! | `ports`, `deeds`, `store`, `queues`, `ses` | the AWS of a run |
//! | `poison` | messages that can never be dealt with |
//! | `faults` | which faults strike where, counted |
//! | `check` | the invariants |
//! | `drain` | a backlog, drained |
//! | `shrink` | the smallest run that still breaks the invariant |

mod campaign;
mod check;
mod clients;
mod core;
mod deeds;
mod drain;
mod faults;
pub mod functions;
pub mod mutants;
mod operator;
mod people;
mod poison;
mod ports;
mod queues;
pub mod report;
mod rng;
mod running;
mod ses;
mod setup;
mod shrink;
mod store;
mod trace;
mod workload;
mod workspace;
mod world;

pub use campaign::{Plan, Tally, all_signals, campaign};
pub use check::{INVARIANTS, Violation};
pub use drain::{Backlog, Drained, drain};
pub use faults::{CallFault, Coverage, Filter, Rates, Site, WireFault};
pub use shrink::{Shrunk, shrink};
pub use world::{Outcome, run};
