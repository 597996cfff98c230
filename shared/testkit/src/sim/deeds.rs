//! What a port call does when it takes effect, whoever still waits for its answer.

use super::core::{Actor, Core, Next};
use super::functions::{Inbox, RULES};
use crate::fault::Operation;
use crate::memory::tables::{parts, stored_as, validate};
use odyssey_domain::contact::Contact;
use odyssey_domain::ids::EventHash;
use odyssey_domain::message::LedgerItem;
use odyssey_domain::time::Stamp;
use odyssey_domain::wire::Parked;
use odyssey_flows::ports::{
    BusEntry, Key, OutgoingMail, PortError, Queue, QueueMessage, Row, Table, Write, Written,
};
use odyssey_flows::stored::Stored;
use serde_json::value::RawValue;
use std::sync::Arc;

/// A call that changes something.
#[derive(Debug, Clone)]
pub(crate) enum Deed {
    Write(Write),
    Transact(Vec<Write>, String),
    AddIds(Key, Vec<EventHash>, Stamp),
    Publish(Vec<BusEntry>),
    Enqueue(Queue, Vec<QueueMessage>),
    Mail(Box<OutgoingMail>),
    Park(Inbox, Box<Parked>),
    /// Messages by number, each with the seconds it stays hidden.
    Later(Inbox, Vec<(u64, u32)>),
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Done {
    Written(Written),
    /// By SES, under this id.
    Accepted,
    Nothing,
}

/// The schema that this release writes into a table.
pub(crate) fn schema_of(table: Table) -> u16 {
    match table {
        Table::Contacts => Contact::SCHEMA,
        Table::Ledger => LedgerItem::SCHEMA,
        Table::Profiles | Table::Timeline | Table::Enrollments | Table::Due | Table::Workspace => 1,
    }
}

/// A row as this release and the next one see it. The next release writes schema N + 1 and reads N
/// as its own N − 1.
pub(crate) fn seen(newer: bool, mut row: Row) -> Row {
    if newer {
        row.schema = row.schema.saturating_sub(1);
    }
    row
}

fn stored(newer: bool, write: Write) -> Write {
    match stored_as(write) {
        Write::Put { mut row, expect } => {
            row.schema += u16::from(newer);
            Write::Put { row, expect }
        }
        other => other,
    }
}

impl Core {
    /// Carries a deed out.
    pub(crate) fn perform(&mut self, actor: Actor, deed: Deed) -> Result<Done, PortError> {
        match deed {
            Deed::Write(write) => {
                let write = stored(actor.newer, write);
                validate(Operation::Write(parts(&write).0.table), &write)?;
                let written = self.commit(actor, vec![write], |core, writes| {
                    Ok(core.store.state.write(writes))
                })?;
                Ok(Done::Written(written))
            }
            Deed::Transact(writes, token) => {
                let writes = writes.into_iter().map(|write| stored(actor.newer, write)).collect();
                let written = self.commit(actor, writes, |core, writes| {
                    core.store.state.transact(writes, &token)
                })?;
                Ok(Done::Written(written))
            }
            Deed::AddIds(key, ids, expires) => {
                self.store.state.add_ids(&key, &ids, expires)?;
                self.check.ids_added(&key, &ids);
                Ok(Done::Nothing)
            }
            Deed::Publish(entries) => {
                for entry in entries {
                    self.take_entry(actor, &entry);
                }
                Ok(Done::Nothing)
            }
            Deed::Enqueue(queue, messages) => {
                for message in messages {
                    self.check.enqueued(self.now, actor, queue, &message);
                    self.enqueue(queue.into(), message.body.into(), message.delay.seconds_up());
                }
                Ok(Done::Nothing)
            }
            Deed::Mail(mail) => {
                let _ = self.accept(actor, *mail);
                Ok(Done::Accepted)
            }
            Deed::Park(inbox, parked) => {
                self.check.parked(actor, &parked);
                let body = serde_json::to_string(&parked).unwrap_or_default();
                self.queues.bury(inbox, body.into());
                Ok(Done::Nothing)
            }
            Deed::Later(inbox, messages) => {
                for (number, seconds) in messages {
                    self.hide(inbox, number, seconds);
                }
                Ok(Done::Nothing)
            }
        }
    }

    /// Writes, and shows the checks every row before and after.
    fn commit(
        &mut self,
        actor: Actor,
        writes: Vec<Write>,
        write: impl FnOnce(&mut Core, Vec<Write>) -> Result<Written, PortError>,
    ) -> Result<Written, PortError> {
        let keys: Vec<Key> = writes.iter().map(|write| parts(write).0.clone()).collect();
        let before: Vec<Option<Row>> = keys.iter().map(|key| self.store.row(key)).collect();
        for key in &keys {
            self.store.remember(self.now, key);
        }
        let written = write(self, writes)?;
        match written {
            Written::Done => {
                let after: Vec<Option<Row>> = keys.iter().map(|key| self.store.row(key)).collect();
                if before == after {
                    // A transaction's token was recognised, or an item was put as it stood.
                    return Ok(Written::Done);
                }
                for row in after.iter().flatten() {
                    self.alarm |= super::check::state(row) == Some("unconfirmed");
                    self.trace.bytes(&row.body);
                    self.trace.bytes(&row.version.to_le_bytes());
                    self.trace.tell(self.now, || {
                        let Key { table, pk, sk } = &row.key;
                        let (function, number) = (actor.function.name(), actor.invocation);
                        let state = super::check::state(row).unwrap_or_default();
                        format!("{function}#{number} wrote {table:?} {pk} {sk} {state}")
                    });
                }
                self.check.written(self.now, actor, &keys, &before, &after);
                if keys.iter().any(|key| key.table == Table::Due) {
                    self.plan_tick();
                }
                Ok(Written::Done)
            }
            Written::Conflict { index, current } => {
                let operation = match keys.len() {
                    1 => Operation::Write(keys.first().map_or(Table::Due, |key| key.table)),
                    _ => Operation::Transact,
                };
                self.faults.conflict(actor.function, operation);
                self.check.hindered(actor, operation);
                let current = current.map(|row| seen(actor.newer, row));
                Ok(Written::Conflict { index, current })
            }
        }
    }

    /// Takes an entry onto the bus: each rule that picks it brings it to its queue.
    fn take_entry(&mut self, actor: Actor, entry: &BusEntry) {
        use super::faults::WireFault;
        self.check.published(actor, entry);
        let id = self.number();
        let detail = RawValue::from_string(entry.detail.clone());
        self.check.holds("bus-entries-are-json", detail.is_ok(), || {
            "an entry's detail is no JSON".to_owned()
        });
        let Ok(detail) = detail else { return };
        let envelope = odyssey_domain::wire::BusEnvelope {
            id: format!("entry-{id}"),
            time: self.now.to_string(),
            source: entry.source.to_owned(),
            detail_type: entry.detail_type.to_owned(),
            detail,
        };
        let body: Arc<str> = serde_json::to_string(&envelope).unwrap_or_default().into();
        for rule in RULES {
            if rule.detail_type != entry.detail_type || !rule.sources.contains(&entry.source) {
                continue;
            }
            if self.faults.of_wire(WireFault::EntryDeadLettered) {
                self.queues.bury_entry(rule.to, body.clone());
                continue;
            }
            let times = if self.faults.of_wire(WireFault::EntryDoubled) { 2 } else { 1 };
            for _ in 0..times {
                let ms = self.wires.between(5, 400);
                let next = Next::Deliver { to: rule.to, body: body.clone() };
                self.plan_in(ms, next);
            }
        }
    }
}
