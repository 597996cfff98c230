//! Faults at port calls: what a test can make go wrong, and where.

use odyssey_flows::ports::{Queue, Table};

/// Which port call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// `Tables::get`
    Get(Table),
    /// `Tables::get_many`
    GetMany,
    /// `Tables::write`
    Write(Table),
    /// `Tables::transact`
    Transact,
    /// `Tables::query`
    Query(Table),
    /// `Tables::query_index`
    QueryIndex(Table),
    /// `Tables::scan`
    Scan(Table),
    /// `Tables::add_ids`
    AddIds,
    /// `Tables::have_ids`
    HaveIds,
    /// `Bus::publish`
    Publish,
    /// `Queues::send`
    Enqueue(Queue),
    /// `Mailer::send`
    SendMail,
    /// The Lambda adaptor puts a record into the dead letters. Simulation only.
    Park,
    /// The Lambda adaptor hides records until they are tried again. Simulation only.
    Hide,
}

impl Operation {
    /// Its name in errors.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Operation::Get(_) => "get",
            Operation::GetMany => "get_many",
            Operation::Write(_) => "write",
            Operation::Transact => "transact",
            Operation::Query(_) => "query",
            Operation::QueryIndex(_) => "query_index",
            Operation::Scan(_) => "scan",
            Operation::AddIds => "add_ids",
            Operation::HaveIds => "have_ids",
            Operation::Publish => "publish",
            Operation::Enqueue(_) => "enqueue",
            Operation::SendMail => "send_mail",
            Operation::Park => "park",
            Operation::Hide => "hide",
        }
    }
}

/// One call of a port, as the hook sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// Counted from 0 over all ports of one [`crate::Memory`].
    pub ordinal: usize,
    /// What is called.
    pub operation: Operation,
}

/// What goes wrong at a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// A transient error; nothing took effect.
    FailBefore,
    /// It took effect, and the answer was lost: a transient error. Of the mailer: accepted, and
    /// the answer is ambiguous.
    FailAfter,
    /// Of table writes: the answer was lost and the SDK sent it again, so that it took effect twice
    /// and the second answer counts. Of others: like [`Fault::None`].
    Echo,
    /// A permanent error; nothing took effect. Of the mailer: refused for good.
    Refuse,
    /// The process is killed before the call: the future never becomes ready.
    HaltBefore,
    /// The process is killed after the call took effect.
    HaltAfter,
    /// Of `publish` and `enqueue`: these indices are not taken. Of others: like
    /// [`Fault::FailBefore`].
    Partial(Vec<usize>),
}
