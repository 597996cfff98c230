//! How a stack's time passes.
//!
//! A story in which an hour passes in two seconds would be another story on a machine that is slow
//! for a moment: an order would come after the cart was told abandoned. At a patient pace the clock
//! is granted a slice at a time, each when nothing that is due is unfinished. A slow machine makes
//! the story longer and never later: whatever is done about a moment is done within one slice of it.

use crate::feed::What;
use crate::state::Shared;
use std::sync::Arc;
use std::time::Duration;

/// How a stack's time passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// At its rate, whatever the machine does.
    Steady,
    /// At its rate while the machine keeps up, and not at all while it does not. It stands still
    /// until [`Stack::warm`](crate::Stack::warm) has returned.
    Patient,
}

/// So much of the wall's time is granted at once.
const SLICE: Duration = Duration::from_millis(25);
/// What hangs longer than this is no longer waited for, until all is quiet again.
const PATIENCE: Duration = Duration::from_mins(1);

/// Grants the clock its time until the stack closes.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut patience = PATIENCE;
    loop {
        patience = tokio::select! {
            waited = tokio::time::timeout(patience, shared.quiet()) => match waited {
                Ok(()) => PATIENCE,
                Err(_) => Duration::ZERO,
            },
            () = shared.closing.wait() => return,
        };
        if let Err(error) = shared.clock.grant(SLICE) {
            // The functions' clock stands where it was told last; what they wait for comes late.
            let line = format!("the functions cannot be told the time: {error}");
            shared.tell(What::Logged { function: "Clock".to_owned(), line });
        }
        tokio::time::sleep(SLICE).await;
    }
}
