//! The ports: what flows need of the world, and how it may fail.

use odyssey_domain::ids::{EventHash, SendId};
use odyssey_domain::personal::EmailAddress;
use odyssey_domain::time::{Span, Stamp};
use std::fmt;
use std::future::Future;

/// The tables of the stack. Each has a partition key `pk` and a sort key `sk`, both text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Identity items (roots, pointers, tombstones), spilled ids, look-ups by e-mail.
    Profiles,
    /// What was folded, by identity and time.
    Timeline,
    /// Slots with their enrollments.
    Enrollments,
    /// The due index.
    Due,
    /// Contacts.
    Contacts,
    /// The ledger of sends.
    Ledger,
    /// The published workspace.
    Workspace,
}

impl Table {
    /// All of them.
    pub const ALL: [Table; 7] = [
        Table::Profiles,
        Table::Timeline,
        Table::Enrollments,
        Table::Due,
        Table::Contacts,
        Table::Ledger,
        Table::Workspace,
    ];

    /// The environment variable that holds its name.
    #[must_use]
    pub const fn env(self) -> &'static str {
        match self {
            Table::Profiles => "PROFILES_TABLE",
            Table::Timeline => "TIMELINE_TABLE",
            Table::Enrollments => "ENROLLMENTS_TABLE",
            Table::Due => "DUE_TABLE",
            Table::Contacts => "CONTACTS_TABLE",
            Table::Ledger => "LEDGER_TABLE",
            Table::Workspace => "WORKSPACE_TABLE",
        }
    }
}

/// Where a row stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The table.
    pub table: Table,
    /// Partition key, at most 2,048 bytes.
    pub pk: String,
    /// Sort key, at most 1,024 bytes.
    pub sk: String,
}

/// A stored row. `body` is opaque to the tables; [`crate::stored`] says what is in it. A set of ids
/// ([`Tables::add_ids`]) reads as a row of version 0 and schema 0 without a body, a counter
/// ([`Write::Add`]) as one whose body is its number in decimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Where it stands.
    pub key: Key,
    /// Raised by one with every write; what optimistic writes are conditional on.
    pub version: u64,
    /// The schema number of `body`.
    pub schema: u16,
    /// The item.
    pub body: Vec<u8>,
    /// When the table may delete it. Readers must not rely on that: deletion is days late.
    pub expires: Option<Stamp>,
    /// An entry in the table's sparse index (`index_pk`, `index_sk`); only the ledger has one.
    pub index: Option<(String, String)>,
}

/// What must be true of a row for a write to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Nothing: write over whatever is there.
    Any,
    /// No such row.
    Absent,
    /// Such a row at this version.
    Version(u64),
}

/// One write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Puts the whole row.
    Put {
        /// The row; its `version` is the one it will have.
        row: Row,
        /// The condition.
        expect: Expect,
    },
    /// Removes a row; one that is absent is no error under [`Expect::Any`].
    Delete {
        /// Which.
        key: Key,
        /// The condition.
        expect: Expect,
    },
    /// Adds to the counter at a key, creating it at zero; never conditional. Not idempotent by
    /// itself: it belongs into a transaction with a write that cannot happen twice.
    Add {
        /// Which; where a row of another sort stands its attributes are left alone.
        key: Key,
        /// By how much.
        by: i64,
    },
    /// Writes nothing; fails the transaction it is in where the condition does not hold.
    Check {
        /// Which.
        key: Key,
        /// The condition.
        expect: Expect,
    },
}

/// What became of a write or a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// All of it is durable.
    Done,
    /// Nothing was written: a condition failed. What stands there may be one's own write, whose
    /// answer was lost and which was tried again: compare it before taking it for another's.
    Conflict {
        /// Which write of the transaction (0 for a single one).
        index: usize,
        /// What stands there instead, where the table told (`ALL_OLD`).
        current: Option<Row>,
    },
}

/// How fresh a read must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consistency {
    /// Sees every write that was acknowledged before. Costs twice.
    Strong,
    /// May be a moment old.
    Eventual,
}

/// Rows of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The table.
    pub table: Table,
    /// The partition.
    pub pk: String,
    /// The least sort key, inclusive.
    pub from: String,
    /// The greatest sort key, inclusive.
    pub to: String,
    /// At most this many rows, 1..=1,000.
    pub limit: usize,
    /// Greatest first.
    pub descending: bool,
    /// How fresh.
    pub consistency: Consistency,
}

/// The most segments that a table can be scanned in.
pub const SEGMENTS_MAX: u32 = 1_000;

/// A part of a table, for reading all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// The table.
    pub table: Table,
    /// Which of the segments, from 0: each row is in one of them, whatever else is written.
    pub segment: u32,
    /// How many segments there are, 1..=[`SEGMENTS_MAX`].
    pub segments: u32,
    /// Where the page before ended; none for the first.
    pub after: Option<Key>,
    /// Only rows with this sort key, all where absent. The others are looked at, and paid for, too.
    pub sk: Option<String>,
    /// At most this many rows are looked at, 1..=1,000.
    pub limit: usize,
}

/// A page of a scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scanned {
    /// The rows, which may be none although more follow.
    pub rows: Vec<Row>,
    /// Where the next page begins; none where this was the last.
    pub next: Option<Key>,
}

/// Why a port failed; what it failed at is in the text, personal data is not.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// Trying again may work: throttled, timed out, unavailable, a transaction conflict. Whether
    /// it took effect is not known.
    #[error("{operation} failed for now: {cause}")]
    Transient {
        /// The call.
        operation: &'static str,
        /// What came back.
        cause: String,
    },
    /// Trying again will not help: denied, no such table, too large.
    #[error("{operation} was refused: {cause}")]
    Permanent {
        /// The call.
        operation: &'static str,
        /// What came back.
        cause: String,
    },
}

impl PortError {
    /// Whether trying again may work.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, PortError::Transient { .. })
    }
}

/// The tables.
pub trait Tables: Send + Sync {
    /// One row.
    fn get(
        &self,
        key: &Key,
        consistency: Consistency,
    ) -> impl Future<Output = Result<Option<Row>, PortError>> + Send;

    /// Many rows, at most 100, in the order asked for.
    fn get_many(
        &self,
        keys: &[Key],
        consistency: Consistency,
    ) -> impl Future<Output = Result<Vec<Option<Row>>, PortError>> + Send;

    /// One conditional write.
    fn write(&self, write: Write) -> impl Future<Output = Result<Written, PortError>> + Send;

    /// All or nothing, at most 100 writes, no two to one row. Idempotent by `token` (of any length)
    /// for ten minutes; the same token for other writes is refused. Costs twice.
    fn transact(
        &self,
        writes: Vec<Write>,
        token: &str,
    ) -> impl Future<Output = Result<Written, PortError>> + Send;

    /// Rows of a partition by sort key.
    fn query(&self, query: &Query) -> impl Future<Output = Result<Vec<Row>, PortError>> + Send;

    /// Rows of the sparse index, least `index_sk` first, at most `limit`. Eventually consistent.
    fn query_index(
        &self,
        table: Table,
        index_pk: &str,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Row>, PortError>> + Send;

    /// A page of all rows of a table, in no order. Eventually consistent: what is written meanwhile
    /// may be in it or not.
    fn scan(&self, scan: &Scan) -> impl Future<Output = Result<Scanned, PortError>> + Send;

    /// Adds ids to the set at a key, creating it; adding twice is adding once.
    fn add_ids(
        &self,
        key: &Key,
        ids: &[EventHash],
        expires: Stamp,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Which of `ids` are in the sets at `keys`. Strongly consistent.
    fn have_ids(
        &self,
        keys: &[Key],
        ids: &[EventHash],
    ) -> impl Future<Output = Result<Vec<EventHash>, PortError>> + Send;
}

/// One entry for the bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusEntry {
    /// `odyssey.<function>`
    pub source: &'static str,
    /// A name in [`odyssey_domain::wire::detail_type`].
    pub detail_type: &'static str,
    /// JSON.
    pub detail: String,
}

/// The bus.
pub trait Bus: Send + Sync {
    /// Publishes entries in calls of at most 10 entries and 256 KB, retrying the failed entries of
    /// a partly failed call a few times. Returns the indices that are still not on the bus.
    ///
    /// # Errors
    /// Only what fails for all entries alike.
    fn publish(
        &self,
        entries: &[BusEntry],
    ) -> impl Future<Output = Result<Vec<usize>, PortError>> + Send;
}

/// The queues that functions send to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Queue {
    /// `profile`'s.
    Profile,
    /// `journey`'s.
    Journey,
    /// `sender`'s.
    Sender,
}

impl Queue {
    /// Its logical id in `infra/template.yaml`.
    #[must_use]
    pub const fn logical_id(self) -> &'static str {
        match self {
            Queue::Profile => "ProfileQueue",
            Queue::Journey => "JourneyQueue",
            Queue::Sender => "SenderQueue",
        }
    }

    /// The environment variable that holds its URL.
    #[must_use]
    pub const fn env(self) -> &'static str {
        match self {
            Queue::Profile => "PROFILE_QUEUE_URL",
            Queue::Journey => "JOURNEY_QUEUE_URL",
            Queue::Sender => "SENDER_QUEUE_URL",
        }
    }
}

/// The longest delay of a queue message (SQS `DelaySeconds`).
pub const QUEUE_DELAY_MAX: Span = Span::from_ms(900_000);

/// One message for a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueMessage {
    /// JSON.
    pub body: String,
    /// From 0 to [`QUEUE_DELAY_MAX`], rounded up to whole seconds.
    pub delay: Span,
}

/// The queues.
pub trait Queues: Send + Sync {
    /// Sends messages in calls of at most 10. Returns the indices that were not sent.
    fn send(
        &self,
        queue: Queue,
        messages: &[QueueMessage],
    ) -> impl Future<Output = Result<Vec<usize>, PortError>> + Send;
}

/// A rendered mail for SES.
#[derive(Clone, PartialEq, Eq)]
pub struct OutgoingMail {
    /// Goes into the e-mail tag `send_id`.
    pub send: SendId,
    /// `Name <address>`.
    pub from: String,
    /// To whom.
    pub to: EmailAddress,
    /// Where answers go.
    pub reply_to: Option<EmailAddress>,
    /// One line.
    pub subject: String,
    /// HTML part.
    pub html: String,
    /// Text part.
    pub text: String,
    /// Further headers, such as `List-Unsubscribe`.
    pub headers: Vec<(String, String)>,
    /// Further tags: journey, step, topic. SES allows letters, digits, `_` and `-`.
    pub tags: Vec<(String, String)>,
}

impl fmt::Debug for OutgoingMail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutgoingMail").field("send", &self.send).finish_non_exhaustive()
    }
}

/// What SES's answer means for the ledger: whether the send may be tried again, has failed, or is
/// unconfirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendAnswer {
    /// Accepted, with SES's message id.
    Accepted(String),
    /// Certainly not accepted, and may be tried again: could not connect, 429, sending paused,
    /// account suspended.
    Released(String),
    /// Certainly not accepted, and never will be: every other 4xx.
    Failed(String),
    /// Nobody knows: time-outs, resets, 5xx.
    Ambiguous(String),
}

/// SES. One call, no retries.
pub trait Mailer: Send + Sync {
    /// Makes exactly one `SendEmail` call.
    fn send(&self, mail: &OutgoingMail) -> impl Future<Output = SendAnswer> + Send;

    /// Lets so much time pass, so that calls keep to SES's rate; at most
    /// [`odyssey_domain::message::WAIT_MAX`].
    fn wait(&self, span: Span) -> impl Future<Output = ()> + Send;
}
