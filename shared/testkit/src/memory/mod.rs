//! The four ports in one process's memory, with the tables' exact semantics.

mod sends;
pub(crate) mod tables;

use crate::fault::{Call, Fault, Operation};
use odyssey_domain::ids::EventHash;
use odyssey_domain::time::Stamp;
use odyssey_flows::ports::{
    BusEntry, Key, OutgoingMail, PortError, Queue, QueueMessage, Row, SendAnswer, Table, Write,
};
use odyssey_flows::queue::QueueRecord;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// All four ports in memory. A handle: clones share one state.
#[derive(Clone, Default)]
pub struct Memory {
    state: Arc<Mutex<State>>,
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Memory")
            .field("rows", &state.rows.len())
            .field("calls", &state.calls.len())
            .finish_non_exhaustive()
    }
}

type Hook = Box<dyn FnMut(Call) -> Fault + Send>;

/// The tables, the bus, the queues and the mailbox.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) rows: BTreeMap<Key, StoredRow>,
    /// Tokens of committed transactions with what they wrote.
    pub(crate) tokens: BTreeMap<String, Vec<Write>>,
    bus: Vec<BusEntry>,
    queues: BTreeMap<Queue, Vec<QueuedMessage>>,
    answers: VecDeque<ScriptedAnswer>,
    mails: Vec<AcceptedMail>,
    mail_calls: usize,
    messages: usize,
    now: Stamp,
    calls: Vec<Operation>,
    hook: Option<Hook>,
}

#[derive(Debug, Clone)]
pub(crate) struct StoredRow {
    pub(crate) row: Row,
    pub(crate) ids: BTreeSet<EventHash>,
}

/// A message on a queue in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedMessage {
    /// `message-<n>`, counted over all queues.
    pub id: String,
    /// As it was sent.
    pub message: QueueMessage,
    /// When it may be taken: the memory's time at sending and the delay.
    pub due: Stamp,
}

/// A mail that "SES" accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedMail {
    /// The id SES gave it: `ses-<n>`.
    pub ses_id: String,
    /// The mail.
    pub mail: OutgoingMail,
}

/// What the mailer shall answer to one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScriptedAnswer {
    /// This; the mail counts as accepted only where it is `SendAnswer::Accepted`.
    Answer(SendAnswer),
    /// The mail is accepted, but the answer is this (an ambiguous one, for instance).
    AcceptedBut(SendAnswer),
}

impl Memory {
    /// Empty, at 1970, without faults.
    #[must_use]
    pub fn new() -> Memory {
        Memory::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every row of every table, by key. Rows that hold id sets have version 0 and no body.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        self.state().rows.values().map(|stored| stored.row.clone()).collect()
    }

    /// The rows of one table, by key.
    #[must_use]
    pub fn rows_of(&self, table: Table) -> Vec<Row> {
        let state = self.state();
        let rows = state.rows.values().filter(|stored| stored.row.key.table == table);
        rows.map(|stored| stored.row.clone()).collect()
    }

    /// The ids in the set at a key.
    #[must_use]
    pub fn ids(&self, key: &Key) -> BTreeSet<EventHash> {
        self.state().rows.get(key).map(|stored| stored.ids.clone()).unwrap_or_default()
    }

    /// Puts a row past every condition and fault: for stored items of other releases.
    pub fn seed(&self, row: Row) {
        self.state().rows.insert(row.key.clone(), StoredRow { row, ids: BTreeSet::new() });
    }

    /// Everything on the bus, oldest first.
    #[must_use]
    pub fn bus_entries(&self) -> Vec<BusEntry> {
        self.state().bus.clone()
    }

    /// Takes everything off the bus, oldest first.
    #[must_use]
    pub fn take_bus_entries(&self) -> Vec<BusEntry> {
        std::mem::take(&mut self.state().bus)
    }

    /// What is on a queue, oldest first, due or not.
    #[must_use]
    pub fn queue(&self, queue: Queue) -> Vec<QueuedMessage> {
        self.state().queues.get(&queue).cloned().unwrap_or_default()
    }

    /// Takes what is due at `now` off a queue, as first receipts, oldest first, and moves the
    /// memory's time to `now`.
    #[must_use]
    pub fn take(&self, queue: Queue, now: Stamp) -> Vec<QueueRecord> {
        let mut state = self.state();
        state.now = state.now.max(now);
        let waiting = std::mem::take(state.queues.entry(queue).or_default());
        let (due, later): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|m| m.due <= now);
        state.queues.insert(queue, later);
        let request = format!("request-{}", state.calls.len());
        due.into_iter()
            .map(|message| QueueRecord {
                message_id: message.id,
                request_id: request.clone(),
                receive_count: 1,
                body: message.message.body,
            })
            .collect()
    }

    /// The time that delays count from.
    pub fn set_now(&self, now: Stamp) {
        self.state().now = now;
    }

    /// The mails that were accepted, oldest first.
    #[must_use]
    pub fn mails(&self) -> Vec<AcceptedMail> {
        self.state().mails.clone()
    }

    /// How often the mailer was called, accepted or not.
    #[must_use]
    pub fn mail_calls(&self) -> usize {
        self.state().mail_calls
    }

    /// Appends to what the mailer answers; beyond the script every mail is accepted.
    pub fn script(&self, answers: impl IntoIterator<Item = ScriptedAnswer>) {
        self.state().answers.extend(answers);
    }

    /// The port calls made so far, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<Operation> {
        self.state().calls.clone()
    }

    /// Calls `hook` at every port call from now on; what it returns goes wrong there. What it calls
    /// of this memory itself is not told to it.
    pub fn on_call(&self, hook: impl FnMut(Call) -> Fault + Send + 'static) {
        self.state().hook = Some(Box::new(hook));
    }

    /// Has something happen once, just before the `nth` call from now on (from 0) that `of` picks.
    pub fn meanwhile(
        &self,
        of: impl Fn(Operation) -> bool + Send + 'static,
        nth: usize,
        happen: impl FnOnce() + Send + 'static,
    ) {
        let (mut seen, mut happen) = (0, Some(happen));
        self.on_call(move |call| {
            if of(call.operation) {
                if seen == nth
                    && let Some(happen) = happen.take()
                {
                    happen();
                }
                seen += 1;
            }
            Fault::None
        });
    }

    /// No faults from now on.
    pub fn calm(&self) {
        self.state().hook = None;
    }

    /// Forgets the tokens of past transactions, as DynamoDB does after ten minutes.
    pub fn forget_tokens(&self) {
        self.state().tokens.clear();
    }

    /// Counts the call and asks the hook. Halts where it says so.
    async fn enter(&self, operation: Operation) -> Fault {
        let (call, hook) = {
            let mut state = self.state();
            let call = Call { ordinal: state.calls.len(), operation };
            state.calls.push(operation);
            (call, state.hook.take())
        };
        let fault = match hook {
            None => Fault::None,
            Some(mut hook) => {
                let fault = hook(call);
                self.state().hook.get_or_insert(hook);
                fault
            }
        };
        if fault == Fault::HaltBefore {
            std::future::pending::<()>().await;
        }
        fault
    }

    /// Runs `effect` at a call of a table with whatever fault the hook wants.
    async fn call<T>(
        &self,
        operation: Operation,
        mut effect: impl FnMut(&mut State) -> Result<T, PortError> + Send,
    ) -> Result<T, PortError> {
        let fault = self.enter(operation).await;
        match fault {
            Fault::FailBefore | Fault::Partial(_) => return Err(lost(operation)),
            Fault::Refuse => return Err(refused(operation)),
            _ => {}
        }
        if fault == Fault::Echo {
            drop(effect(&mut self.state()));
        }
        let result = effect(&mut self.state());
        match fault {
            Fault::FailAfter => Err(lost(operation)),
            Fault::HaltAfter => std::future::pending().await,
            _ => result,
        }
    }
}

fn lost(operation: Operation) -> PortError {
    PortError::Transient { operation: operation.name(), cause: "injected".to_owned() }
}

fn refused(operation: Operation) -> PortError {
    PortError::Permanent { operation: operation.name(), cause: "injected".to_owned() }
}
