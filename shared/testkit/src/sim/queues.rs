//! The four queues and their dead letters: delays, visibility, receive counts, doubles.

use super::core::{Core, Next};
use super::faults::WireFault;
use super::functions::{BATCH_MAX, Inbox, RETENTION_S};
use super::poison::is_poison;
use odyssey_domain::time::{Span, Stamp};
use odyssey_domain::wire::Parked;
use odyssey_flows::queue::redriven;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A message on a queue.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    /// SQS's id of it; a double has the same.
    pub(crate) id: u64,
    pub(crate) body: Arc<str>,
    pub(crate) visible: Stamp,
    pub(crate) receives: u32,
    pub(crate) sent: Stamp,
    /// The invocation that has it; its receipt.
    pub(crate) held_by: Option<u32>,
}

/// What a queue holds.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// By number, which tells doubles apart.
    pub(crate) messages: BTreeMap<u64, Message>,
    /// Bodies in the dead letters, parked ones still wrapped.
    pub(crate) dead: Vec<Arc<str>>,
    /// What the bus could not bring here.
    pub(crate) bus_dead: Vec<Arc<str>>,
    /// When it is asked next.
    poll_at: Option<Stamp>,
}

impl Held {
    /// Whether there are dead letters of which something can become.
    pub(crate) fn has_dead(&self) -> bool {
        self.dead.iter().any(|letter| !is_poison(letter))
    }
}

/// All queues.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    pub(crate) held: BTreeMap<Inbox, Held>,
}

impl Queues {
    pub(crate) fn of(&mut self, inbox: Inbox) -> &mut Held {
        self.held.entry(inbox).or_default()
    }

    /// A queue was asked.
    pub(crate) fn asked(&mut self, inbox: Inbox, now: Stamp) {
        let held = self.of(inbox);
        held.poll_at = held.poll_at.filter(|planned| *planned > now);
    }

    /// Puts a body into the dead letters.
    pub(crate) fn bury(&mut self, inbox: Inbox, body: Arc<str>) {
        self.of(inbox).dead.push(body);
    }

    /// Puts an entry into the bus's dead letters.
    pub(crate) fn bury_entry(&mut self, inbox: Inbox, body: Arc<str>) {
        self.of(inbox).bus_dead.push(body);
    }

    /// Whether everything is empty, dead letters included but for what can never be dealt with.
    pub(crate) fn are_empty(&self) -> bool {
        self.held
            .values()
            .all(|held| held.messages.is_empty() && !held.has_dead() && held.bus_dead.is_empty())
    }

    /// The sum of a number over all queues.
    pub(crate) fn of_all(&self, number: impl Fn(&Held) -> usize) -> usize {
        self.held.values().map(number).sum()
    }

    /// Whether there are dead letters.
    pub(crate) fn have_dead(&self) -> bool {
        self.held.values().any(|held| held.has_dead() || !held.bus_dead.is_empty())
    }
}

impl Core {
    /// Puts a message into a queue, now or after a delay, and whatever goes wrong with that.
    pub(crate) fn enqueue(&mut self, inbox: Inbox, body: Arc<str>, delay_s: u64) {
        let id = self.number();
        let mut visible = self.now.plus(Span::SECOND.times(delay_s));
        if self.faults.of_wire(WireFault::MessageDelayed) {
            visible = visible.plus(Span::from_ms(self.wires.between(200, 20_000)));
        } else if self.faults.of_wire(WireFault::MessageHours) {
            visible = visible.plus(Span::from_ms(self.wires.between(600_000, 20 * 3_600_000)));
            self.check.held_up(visible);
        }
        if self.faults.of_wire(WireFault::MessageDeadLettered) {
            self.queues.bury(inbox, body);
            let ms = self.wires.between(600_000, 13 * 86_400_000 / 4);
            self.check.held_up(self.now.plus(Span::from_ms(ms)));
            self.plan_in(ms, Next::Redrive);
            return;
        }
        if self.faults.of_wire(WireFault::MessageRedriven) {
            let ms = self.wires.between(60_000, 6 * 86_400_000);
            let body = redriven(&body).into();
            self.plan_in(ms, Next::Arrive { to: inbox, body });
        }
        let doubled = self.faults.of_wire(WireFault::MessageDoubled);
        self.put(inbox, id, body.clone(), visible);
        if doubled {
            let visible = visible.plus(Span::from_ms(self.wires.between(0, 5_000)));
            self.put(inbox, id, body, visible);
        }
    }

    fn put(&mut self, inbox: Inbox, id: u64, body: Arc<str>, visible: Stamp) {
        let number = self.number();
        self.check.queued(inbox, &body);
        let sent = self.now;
        let message = Message { id, body, visible, receives: 0, sent, held_by: None };
        self.queues.of(inbox).messages.insert(number, message);
        self.poll_at(inbox, visible);
    }

    /// Has a queue asked at a time, or sooner where it is already to be.
    pub(crate) fn poll_at(&mut self, inbox: Inbox, at: Stamp) {
        let window = inbox.settings().window_s * 1_000;
        let at = at.max(self.now).plus(Span::from_ms(self.wires.between(2, 20 + window)));
        let held = self.queues.of(inbox);
        if held.poll_at.is_none_or(|planned| planned > at || planned < self.now) {
            held.poll_at = Some(at);
            self.plan(at, Next::Poll(inbox));
        }
    }

    /// Receives a batch: visible messages, in any order, seldom all that are there.
    pub(crate) fn receive(&mut self, inbox: Inbox, invocation: u32) -> Vec<(u64, Message)> {
        let now = self.now;
        let settings = inbox.settings();
        let hidden_until = now.plus(Span::SECOND.times(settings.visibility_s));
        let most = match self.wires.below(4) {
            _ if self.steady => BATCH_MAX as u64,
            0 => 1,
            1 => self.wires.between(1, 4),
            _ => BATCH_MAX as u64,
        };
        let mut visible: Vec<u64> = Vec::new();
        let mut dead: Vec<u64> = Vec::new();
        for (number, message) in &self.queues.of(inbox).messages {
            if message.visible > now {
                continue;
            }
            let old = now.since(message.sent) > Span::SECOND.times(RETENTION_S);
            if message.receives >= settings.receives_max || old {
                dead.push(*number);
            } else {
                visible.push(*number);
            }
        }
        for number in dead {
            if let Some(message) = self.queues.of(inbox).messages.remove(&number) {
                self.check.unqueued(inbox, &message.body);
                self.queues.bury(inbox, message.body);
            }
        }
        let mut taken = Vec::new();
        while (taken.len() as u64) < most && !visible.is_empty() {
            let number = visible.swap_remove(self.wires.index(visible.len()));
            if let Some(message) = self.queues.of(inbox).messages.get_mut(&number) {
                message.receives += 1;
                message.visible = hidden_until;
                message.held_by = Some(invocation);
                taken.push((number, message.clone()));
            }
        }
        if !taken.is_empty() {
            self.poll_at(inbox, hidden_until);
        }
        if visible.is_empty() {
            let next = self.queues.of(inbox).messages.values().map(|message| message.visible).min();
            if let Some(next) = next {
                self.poll_at(inbox, next);
            }
        } else {
            self.poll_at(inbox, now);
        }
        taken
    }

    /// Hides a message for some seconds from now.
    pub(crate) fn hide(&mut self, inbox: Inbox, number: u64, seconds: u32) {
        let visible = self.now.plus(Span::SECOND.times(u64::from(seconds)));
        if let Some(message) = self.queues.of(inbox).messages.get_mut(&number) {
            message.visible = visible;
            self.poll_at(inbox, visible);
        }
    }

    /// Deletes a message that was done with, where the receipt is still the newest.
    pub(crate) fn delete(&mut self, inbox: Inbox, number: u64, invocation: u32) {
        if self.faults.of_wire(WireFault::DeleteLost) {
            return;
        }
        let held = self.queues.of(inbox);
        let mine = held.messages.get(&number).is_some_and(|m| m.held_by == Some(invocation));
        if mine && let Some(message) = held.messages.remove(&number) {
            self.check.unqueued(inbox, &message.body);
        }
    }

    /// Puts every dead letter back into its queue, as `odyssey dlq redrive` does: parked ones
    /// unwrapped.
    pub(crate) fn redrive(&mut self) {
        if self.queues.have_dead() {
            self.check.held_up(self.now);
        }
        for inbox in Inbox::ALL {
            let mut dead = std::mem::take(&mut self.queues.of(inbox).dead);
            if self.faults.is_quiet() {
                // The operator has read them by then.
                let held = dead.extract_if(.., |letter| is_poison(letter)).collect();
                self.queues.of(inbox).dead = held;
            }
            let entries = std::mem::take(&mut self.queues.of(inbox).bus_dead);
            let bodies = dead.into_iter().map(|body| match serde_json::from_str::<Parked>(&body) {
                Ok(parked) => redriven(&parked.body).into(),
                Err(_) => redriven(&body).into(),
            });
            for body in bodies.chain(entries).collect::<Vec<Arc<str>>>() {
                let (id, now) = (self.number(), self.now);
                self.put(inbox, id, body, now);
            }
        }
    }
}
