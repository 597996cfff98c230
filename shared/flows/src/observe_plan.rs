//! The inferred tracking plan: what each process saw, brought together in one row.
//!
//! A process adds up what its batches saw and writes it down when something new is in it (a name,
//! a type, a source, a violation), and otherwise once a minute: no write for each event. A process
//! that is lost takes with it the counts since its last write, at most those of a minute's work.
//! Only events that were new in their profile are seen, so a redelivery is not counted twice.

use crate::ports::{Consistency, Key, Table, Tables};
use crate::stored::{self, Committed, Stored, StoredError, Versioned};
use odyssey_domain::plan::Inferred;
use odyssey_domain::time::{Span, Stamp};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Counts wait this long for their write.
pub const FLUSH_AFTER: Span = Span::MINUTE;
/// What is new is written at once, but so many times in [`FLUSH_AFTER`] at most: whoever makes up
/// names must not make a write of each.
pub const NEWS_MAX: u32 = 12;
/// A write that meets another process's is tried so often.
const ATTEMPTS: usize = 4;
/// A plan that takes too many bytes is cut so often, harder each time.
const CUTS_MAX: u32 = 8;

impl Stored for Inferred {
    const NAME: &'static str = "plan";
    const SCHEMA: u16 = 1;
    const BYTES_MAX: usize = 128 * 1024;
}

/// Where the inferred plan stands.
#[must_use]
pub fn inferred_key() -> Key {
    Key { table: Table::Workspace, pk: PARTITION.to_owned(), sk: "current".to_owned() }
}

/// The one partition of the workspace's table that a function may write to.
pub const PARTITION: &str = "plan#inferred";

/// The inferred plan as it was last written.
///
/// # Errors
/// Where it cannot be read.
pub async fn inferred(tables: &impl Tables) -> Result<Inferred, StoredError> {
    let found = stored::load::<Inferred>(tables, inferred_key(), Consistency::Eventual).await?;
    Ok(found.map(|found| found.item).unwrap_or_default())
}

/// What became of what a batch saw.
#[derive(Debug)]
pub enum Noted {
    /// It waits for its write.
    Kept,
    /// It is written down, with what had waited.
    Written,
    /// It could not be written; it waits for the next batch.
    Failed(StoredError),
}

/// What one process has seen since it last wrote.
#[derive(Debug, Default)]
pub struct PlanWatch {
    state: Mutex<Watching>,
}

#[derive(Debug, Default)]
struct Watching {
    /// Not written yet.
    waiting: Inferred,
    /// As it stood after this process's last write.
    known: Inferred,
    /// When that was.
    written: Option<Stamp>,
    /// How many writes there were for the sake of news since `counted_from`.
    news: u32,
    counted_from: Stamp,
}

impl Watching {
    fn is_due(&mut self, now: Stamp) -> bool {
        let Some(written) = self.written else { return true };
        let long = |since: Stamp| now.since(since) >= FLUSH_AFTER || now < since;
        if long(self.counted_from) {
            (self.news, self.counted_from) = (0, now);
        }
        if long(written) {
            return true;
        }
        let news = self.news < NEWS_MAX && self.waiting.is_news_to(&self.known);
        self.news += u32::from(news);
        news
    }
}

impl PlanWatch {
    fn state(&self) -> MutexGuard<'_, Watching> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what a batch saw, and writes it down where it is time. A failure costs the batch
    /// nothing.
    pub async fn note(&self, tables: &impl Tables, seen: &Inferred, now: Stamp) -> Noted {
        let waiting = {
            let mut state = self.state();
            state.waiting.merge(seen);
            if state.waiting.is_empty() || !state.is_due(now) {
                return Noted::Kept;
            }
            std::mem::take(&mut state.waiting)
        };
        let added = add(tables, &waiting, now).await;
        let mut state = self.state();
        match added {
            Ok(known) => {
                (state.known, state.written) = (known, Some(now));
                Noted::Written
            }
            Err(error) => {
                // Whether it took effect is not known; counted twice is better than not at all.
                state.waiting.merge(&waiting);
                Noted::Failed(error)
            }
        }
    }
}

/// Adds to what is stored; what stands there then.
async fn add(tables: &impl Tables, seen: &Inferred, now: Stamp) -> Result<Inferred, StoredError> {
    let mut attempt = 1;
    let mut found = stored::load::<Inferred>(tables, inferred_key(), Consistency::Strong).await?;
    loop {
        let (version, mut plan) = match found.take() {
            Some(Versioned { version, item, .. }) => (Some(version), item),
            None => (None, Inferred::default()),
        };
        plan.merge(seen);
        plan.forget(now);
        let write = fitting(&mut plan, version)?;
        match stored::commit(tables, write).await? {
            Committed::Done => return Ok(plan),
            Committed::Conflict(_) if attempt < ATTEMPTS => attempt += 1,
            Committed::Conflict(_) => {
                return Err(StoredError::Port(crate::ports::PortError::Transient {
                    operation: "PutItem",
                    cause: format!("the plan was written by others {ATTEMPTS} times in a row"),
                }));
            }
        }
        found = stored::load::<Inferred>(tables, inferred_key(), Consistency::Strong).await?;
    }
}

/// The write of a plan, which is cut where it takes too many bytes.
fn fitting(plan: &mut Inferred, version: Option<u64>) -> Result<crate::ports::Write, StoredError> {
    let mut step = 0;
    loop {
        match stored::put(inferred_key(), plan, version) {
            Err(StoredError::TooLarge { .. }) if step < CUTS_MAX => {
                step += 1;
                plan.cut(step);
            }
            done => return done,
        }
    }
}
