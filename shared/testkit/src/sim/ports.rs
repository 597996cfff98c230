//! The four ports as a running function has them: every call waits before its effect and after
//! it, and what is to go wrong goes wrong there.

use super::core::{Actor, Core, Shared, lock};
use super::deeds::{Deed, Done, schema_of, seen};
use super::faults::{CallFault, WireFault};
use super::functions::Inbox;
use super::store::STALE_MAX;
use crate::fault::Operation;
use crate::memory::tables::parts;
use crate::row_size::check_key;
use odyssey_domain::ids::EventHash;
use odyssey_domain::time::{Span, Stamp};
use odyssey_domain::wire::Parked;
use odyssey_flows::ports::{
    Bus, BusEntry, Consistency, Key, Mailer, OutgoingMail, PortError, Query, Queue, QueueMessage,
    Queues, Row, Scan, Scanned, SendAnswer, Table, Tables, Write, Written,
};
use std::pin::Pin;
use std::task::{Context, Poll};

/// The ports of one invocation.
#[derive(Debug, Clone)]
pub(crate) struct Ports {
    pub(crate) shared: Shared,
    pub(crate) actor: Actor,
}

/// Waits until a gate opens.
struct Pass {
    shared: Shared,
    gate: u64,
}

impl Future for Pass {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if lock(&self.shared).pass(self.gate, context.waker()) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        lock(&self.shared).gates.remove(&self.gate);
    }
}

fn transient(operation: Operation, cause: &str) -> PortError {
    PortError::Transient { operation: operation.name(), cause: cause.to_owned() }
}

/// The error of a fault that has no effect; none where it is no such fault.
fn failure(operation: Operation, fault: Option<CallFault>) -> Option<PortError> {
    let cause = match fault? {
        CallFault::Unavailable => "unavailable",
        CallFault::Throttled => "throttled",
        CallFault::TimeOut | CallFault::Late => "timed out",
        CallFault::TransactionConflict => "a transaction is under way",
        CallFault::Refused => {
            let cause = "denied".to_owned();
            return Some(PortError::Permanent { operation: operation.name(), cause });
        }
        _ => return None,
    };
    Some(transient(operation, cause))
}

impl Ports {
    async fn pass(&self, gate: u64) {
        Pass { shared: self.shared.clone(), gate }.await;
    }

    /// Draws a call's fault and makes its first gate.
    fn begin(
        &self,
        operation: Operation,
        eventual: bool,
        deed: impl FnOnce() -> Deed,
    ) -> (u64, Option<CallFault>) {
        let mut core = lock(&self.shared);
        let actor = self.actor;
        let (ordinal, mut fault) = core.faults.of_call(actor.function, operation, eventual);
        if core.is_down(operation) {
            fault = Some(CallFault::Unavailable);
        }
        if let Some(fault) = fault {
            core.check.troubled(actor, operation, fault);
        }
        let now = core.now;
        let words =
            [1, u64::from(actor.invocation), ordinal, fault.map_or(0, |fault| fault as u64 + 1)];
        core.trace.note(now, &words, || {
            let broken = fault.map_or("", CallFault::name);
            format!(
                "{}#{} calls {} {broken} (call {ordinal})",
                actor.function.name(),
                actor.invocation,
                site(operation)
            )
        });
        let gate = core.gate(actor, fault, true);
        if matches!(fault, Some(CallFault::CrashInFlight | CallFault::Slow)) {
            let deed = Box::new(deed());
            if let Some(held) = core.gates.get_mut(&gate) {
                held.in_flight = Some((actor, deed));
            }
        }
        (gate, fault)
    }

    /// A read: `effect` looks at the state, which may be seconds old.
    async fn read<T>(
        &self,
        operation: Operation,
        eventual: bool,
        effect: impl FnOnce(&Core, Option<Stamp>) -> Result<T, PortError>,
    ) -> Result<T, PortError> {
        // Reads leave nothing behind.
        let (gate, fault) = self.begin(operation, eventual, || Deed::Publish(Vec::new()));
        self.pass(gate).await;
        let result = {
            let mut core = lock(&self.shared);
            if let Some(error) = failure(operation, fault) {
                Err(error)
            } else {
                let then = (fault == Some(CallFault::Stale)).then(|| {
                    let ms = core.latency.between(50, STALE_MAX.ms());
                    core.now.minus(Span::from_ms(ms))
                });
                effect(&core, then)
            }
        };
        self.leave(fault).await;
        result
    }

    /// The wait after the effect.
    async fn leave(&self, fault: Option<CallFault>) {
        let gate = lock(&self.shared).gate(self.actor, fault, false);
        self.pass(gate).await;
    }

    /// A call that changes something.
    async fn change(&self, operation: Operation, deed: Deed) -> Result<Done, PortError> {
        let (gate, fault) = self.begin(operation, false, || deed.clone());
        let writes: &[Write] = match &deed {
            Deed::Write(write) => std::slice::from_ref(write),
            Deed::Transact(writes, _) => writes,
            _ => &[],
        };
        lock(&self.shared).store.begin(self.actor.invocation, writes);
        self.pass(gate).await;
        let result = {
            let mut core = lock(&self.shared);
            core.store.end(self.actor.invocation, writes);
            self.effect(&mut core, operation, fault, deed)
        };
        self.leave(fault).await;
        result
    }

    fn effect(
        &self,
        core: &mut Core,
        operation: Operation,
        fault: Option<CallFault>,
        deed: Deed,
    ) -> Result<Done, PortError> {
        let actor = self.actor;
        if fault == Some(CallFault::Late) {
            let ms = core.latency.between(100, 9_000);
            core.plan_in(ms, super::core::Next::Land(actor, Box::new(deed)));
            return Err(transient(operation, "timed out"));
        }
        if let Some(error) = failure(operation, fault) {
            return Err(error);
        }
        let meets = match &deed {
            Deed::Transact(writes, _) => core.store.meets(actor.invocation, writes),
            _ => false,
        };
        if meets && !core.faults.is_quiet() && core.latency.chance(300) {
            let site = core.faults.coverage.sites.entry((actor.function, operation)).or_default();
            *site.faults.entry(CallFault::TransactionConflict).or_default() += 1;
            core.check.troubled(actor, operation, CallFault::TransactionConflict);
            return Err(transient(operation, "a transaction is under way"));
        }
        if fault == Some(CallFault::Echoed) {
            // The first answer is lost on its way.
            let _ = core.perform(actor, deed.clone());
        }
        let done = core.perform(actor, deed);
        if fault == Some(CallFault::AnswerLost) {
            return Err(transient(operation, "the answer was lost"));
        }
        done
    }

    /// A batch of which some entries may not be taken.
    async fn batch<T: Clone + Send + Sync>(
        &self,
        operation: Operation,
        items: &[T],
        deed: impl Fn(Vec<T>) -> Deed + Send + Sync,
    ) -> Result<Vec<usize>, PortError> {
        let (gate, fault) = self.begin(operation, false, || deed(items.to_vec()));
        self.pass(gate).await;
        let result = {
            let mut core = lock(&self.shared);
            let untaken: Vec<usize> = if fault == Some(CallFault::Partial) {
                let sure = core.latency.index(items.len());
                let mut lost = |at: &usize| *at == sure || core.latency.chance(300);
                (0..items.len()).filter(|at| lost(at)).collect()
            } else {
                Vec::new()
            };
            let taken = items.iter().enumerate().filter(|(at, _)| !untaken.contains(at));
            let taken = taken.map(|(_, item)| item.clone()).collect();
            self.effect(&mut core, operation, fault, deed(taken)).map(|_| untaken)
        };
        self.leave(fault).await;
        result
    }

    /// Puts a record into its function's dead letters.
    pub(crate) async fn park(&self, inbox: Inbox, parked: Parked) -> Result<(), PortError> {
        let deed = Deed::Park(inbox, Box::new(parked));
        self.change(Operation::Park, deed).await.map(drop)
    }

    /// Hides messages for a while.
    pub(crate) async fn later(
        &self,
        inbox: Inbox,
        messages: Vec<(u64, u32)>,
    ) -> Result<(), PortError> {
        self.change(Operation::Hide, Deed::Later(inbox, messages)).await.map(drop)
    }
}

/// A call site as people read it.
pub(crate) fn site(operation: Operation) -> String {
    let on = |table: Table| format!("{table:?}").to_lowercase();
    match operation {
        Operation::Get(table)
        | Operation::Write(table)
        | Operation::Query(table)
        | Operation::QueryIndex(table)
        | Operation::Scan(table) => format!("{} {}", operation.name(), on(table)),
        Operation::Enqueue(queue) => format!("enqueue {}", format!("{queue:?}").to_lowercase()),
        other => other.name().to_owned(),
    }
}

impl Ports {
    fn seen(&self, row: Option<Row>) -> Option<Row> {
        let row = row?;
        if !self.actor.newer && row.schema > schema_of(row.key.table) {
            let mut core = lock(&self.shared);
            core.faults.note(WireFault::NewerItem);
            core.check.hindered(self.actor, Operation::Get(row.key.table));
        }
        Some(seen(self.actor.newer, row))
    }
}

impl Tables for Ports {
    async fn get(&self, key: &Key, consistency: Consistency) -> Result<Option<Row>, PortError> {
        let eventual = consistency == Consistency::Eventual;
        let row = self
            .read(Operation::Get(key.table), eventual, |core, then| {
                check_key("get", key)?;
                Ok(then.map_or_else(|| core.store.row(key), |then| core.store.row_at(key, then)))
            })
            .await?;
        Ok(self.seen(row))
    }

    async fn get_many(
        &self,
        keys: &[Key],
        consistency: Consistency,
    ) -> Result<Vec<Option<Row>>, PortError> {
        let eventual = consistency == Consistency::Eventual;
        let rows = self
            .read(Operation::GetMany, eventual, |core, then| {
                keys.iter().try_for_each(|key| check_key("get_many", key))?;
                let at = |key| {
                    then.map_or_else(|| core.store.row(key), |then| core.store.row_at(key, then))
                };
                Ok(keys.iter().map(at).collect::<Vec<_>>())
            })
            .await?;
        Ok(rows.into_iter().map(|row| self.seen(row)).collect())
    }

    async fn write(&self, write: Write) -> Result<Written, PortError> {
        let operation = Operation::Write(parts(&write).0.table);
        match self.change(operation, Deed::Write(write)).await? {
            Done::Written(written) => Ok(written),
            Done::Accepted | Done::Nothing => Ok(Written::Done),
        }
    }

    async fn transact(&self, writes: Vec<Write>, token: &str) -> Result<Written, PortError> {
        let deed = Deed::Transact(writes, token.to_owned());
        match self.change(Operation::Transact, deed).await? {
            Done::Written(written) => Ok(written),
            Done::Accepted | Done::Nothing => Ok(Written::Done),
        }
    }

    async fn query(&self, query: &Query) -> Result<Vec<Row>, PortError> {
        let eventual = query.consistency == Consistency::Eventual;
        // Fifteen of the tick's sixteen reads find nothing; only one in sixteen of them may fail.
        let idle = {
            let mut core = lock(&self.shared);
            query.table == Table::Due
                && core.store.is_empty(query.table, &query.pk)
                && !core.latency.chance(62)
        };
        if idle {
            return Ok(Vec::new());
        }
        let rows = self
            .read(Operation::Query(query.table), eventual, |core, then| {
                let rows = core.store.state.query(query)?;
                Ok(match then {
                    Some(then) => core.store.query_at(query, then, rows),
                    None => rows,
                })
            })
            .await?;
        Ok(rows.into_iter().filter_map(|row| self.seen(Some(row))).collect())
    }

    async fn query_index(
        &self,
        table: Table,
        index_pk: &str,
        limit: usize,
    ) -> Result<Vec<Row>, PortError> {
        let rows = self
            .read(Operation::QueryIndex(table), false, |core, _| {
                core.store.state.query_index(table, index_pk, limit)
            })
            .await?;
        Ok(rows.into_iter().filter_map(|row| self.seen(Some(row))).collect())
    }

    async fn scan(&self, scan: &Scan) -> Result<Scanned, PortError> {
        // What is read a moment late of a scan is what was written behind its back anyway.
        let page = self
            .read(Operation::Scan(scan.table), false, |core, _| core.store.state.scan(scan))
            .await?;
        let rows = page.rows.into_iter().filter_map(|row| self.seen(Some(row))).collect();
        Ok(Scanned { rows, ..page })
    }

    async fn add_ids(&self, key: &Key, ids: &[EventHash], expires: Stamp) -> Result<(), PortError> {
        if ids.is_empty() {
            return Ok(());
        }
        let deed = Deed::AddIds(key.clone(), ids.to_vec(), expires);
        self.change(Operation::AddIds, deed).await.map(drop)
    }

    async fn have_ids(&self, keys: &[Key], ids: &[EventHash]) -> Result<Vec<EventHash>, PortError> {
        self.read(Operation::HaveIds, false, |core, _| Ok(core.store.state.have_ids(keys, ids)))
            .await
    }
}

impl Bus for Ports {
    async fn publish(&self, entries: &[BusEntry]) -> Result<Vec<usize>, PortError> {
        self.batch(Operation::Publish, entries, Deed::Publish).await
    }
}

impl Queues for Ports {
    async fn send(&self, queue: Queue, messages: &[QueueMessage]) -> Result<Vec<usize>, PortError> {
        let operation = Operation::Enqueue(queue);
        if messages.iter().any(|m| m.delay > odyssey_flows::ports::QUEUE_DELAY_MAX) {
            let cause = "a delay above the longest there is".to_owned();
            return Err(PortError::Permanent { operation: operation.name(), cause });
        }
        self.batch(operation, messages, |taken| Deed::Enqueue(queue, taken)).await
    }
}

impl Mailer for Ports {
    async fn send(&self, mail: &OutgoingMail) -> SendAnswer {
        let operation = Operation::SendMail;
        let deed = || Deed::Mail(Box::new(mail.clone()));
        let (gate, fault) = self.begin(operation, false, deed);
        self.pass(gate).await;
        let answer = {
            let mut core = lock(&self.shared);
            let ambiguous = || SendAnswer::Ambiguous("no answer".to_owned());
            match fault {
                Some(CallFault::Unavailable) => SendAnswer::Released("no connection".to_owned()),
                Some(CallFault::Throttled) => SendAnswer::Released("429".to_owned()),
                None if !core.has_room() => SendAnswer::Released("429".to_owned()),
                Some(CallFault::Refused) => SendAnswer::Failed("400".to_owned()),
                Some(CallFault::TimeOut) => ambiguous(),
                Some(CallFault::Late) => {
                    let ms = core.latency.between(100, 9_000);
                    core.plan_in(ms, super::core::Next::Land(self.actor, Box::new(deed())));
                    ambiguous()
                }
                other => {
                    let id = core.accept(self.actor, mail.clone());
                    match other {
                        Some(CallFault::AnswerLost) => ambiguous(),
                        _ => SendAnswer::Accepted(id),
                    }
                }
            }
        };
        if matches!(answer, SendAnswer::Failed(_)) {
            lock(&self.shared).check.refused_mail(mail.send);
        }
        self.leave(fault).await;
        answer
    }

    async fn wait(&self, span: Span) {
        let gate = lock(&self.shared).pause(self.actor, span.ms());
        self.pass(gate).await;
    }
}
