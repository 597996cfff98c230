//! What tests stand on: the ports in memory, faults on demand, and the suite of laws that every
//! implementation of the ports must keep.
//!
//! [`Memory`] implements all four ports of `odyssey-flows`. Its futures are ready at the first
//! poll (unless a [`Fault`] says otherwise), so a test may drive a flow without a runtime.
//!
//! ```
//! use odyssey_flows::ports::{Consistency, Key, Table, Tables};
//! use odyssey_testkit::Memory;
//!
//! let memory = Memory::new();
//! let key = Key { table: Table::Ledger, pk: "nobody".to_owned(), sk: "send".to_owned() };
//! let found = odyssey_testkit::run(memory.get(&key, Consistency::Strong));
//! assert_eq!(found.unwrap(), None);
//! ```

mod fault;
mod memory;
pub mod port_suite;
pub mod replay;
mod row_size;
pub mod sim;

pub use fault::{Call, Fault, Operation};
pub use memory::{AcceptedMail, Memory, QueuedMessage, ScriptedAnswer};
pub use row_size::{ITEM_BYTES_MAX, PARTITION_KEY_BYTES_MAX, SORT_KEY_BYTES_MAX, row_bytes};

/// Runs a future that never waits for anything outside this process: what flows over
/// [`Memory`] are.
///
/// # Panics
/// Where the future halts, as one does that meets [`Fault::HaltBefore`]; see [`run_or_halt`].
#[expect(clippy::expect_used, reason = "a test that halts unexpectedly has failed")]
pub fn run<F: Future>(future: F) -> F::Output {
    run_or_halt(future).expect("the future halted; did a fault stop it?")
}

/// Runs a future until it is done or waits: `None` where it halted, as a function does that is
/// killed.
pub fn run_or_halt<F: Future>(future: F) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}
