//! The queues: delays, visibility, receive counts and redrive, as SQS standard queues have them.
//!
//! A delay is customer time; visibility is real time.

use crate::activity::Activity;
use crate::clock::Clock;
use crate::feed::{Feed, What};
use crate::identifiers::uuid;
use crate::template::Queue;
use odyssey_domain::time::{Span, Stamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// A message as it was received.
#[derive(Debug, Clone)]
pub struct Received {
    /// The message's id.
    pub id: String,
    /// Deletes it, or changes its visibility.
    pub receipt: String,
    /// The body.
    pub body: Arc<str>,
    /// How often it was received, this time included.
    pub receive_count: u32,
    /// When it was sent; customer time.
    pub sent: Stamp,
    /// When it was received first; customer time.
    pub first_received: Stamp,
    /// Who sent it.
    pub sender: Arc<str>,
}

#[derive(Debug)]
struct Message {
    id: String,
    body: Arc<str>,
    sender: Arc<str>,
    sent: Stamp,
    /// The end of its delay; customer time.
    due: Stamp,
    /// The end of its invisibility; real time.
    visible: Instant,
    first_received: Option<Stamp>,
    receive_count: u32,
    receipt: Option<String>,
}

impl Message {
    fn can_be_received(&self, customer_now: Stamp, now: Instant) -> bool {
        self.due <= customer_now && self.visible <= now
    }
}

/// A message as it is kept while no stack runs. What was being worked on is visible at once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct KeptMessage {
    queue: String,
    id: String,
    body: String,
    sender: String,
    sent: Stamp,
    due: Stamp,
    first_received: Option<Stamp>,
    receive_count: u32,
}

#[derive(Debug)]
struct State {
    spec: Queue,
    messages: Mutex<Vec<Message>>,
    arrival: Notify,
    has_consumer: std::sync::atomic::AtomicBool,
}

/// How many messages a queue holds, as `GetQueueAttributes` counts them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Could be received now.
    pub visible: usize,
    /// Received and not deleted.
    pub in_flight: usize,
    /// Not received yet, delayed.
    pub delayed: usize,
}

/// The queues of the stack.
#[derive(Debug)]
pub(crate) struct Broker {
    queues: BTreeMap<String, State>,
    clock: Clock,
    feed: Arc<Feed>,
    activity: Activity,
}

/// Visibility never lasts longer: twelve hours.
pub(crate) const VISIBILITY_MAX: Duration = Duration::from_hours(12);

impl State {
    fn messages(&self) -> MutexGuard<'_, Vec<Message>> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Broker {
    /// The queues of a template, empty.
    pub(crate) fn new(specs: &[Queue], clock: Clock, feed: Arc<Feed>, activity: Activity) -> Self {
        let queues = specs
            .iter()
            .map(|spec| {
                let state = State {
                    spec: spec.clone(),
                    messages: Mutex::default(),
                    arrival: Notify::new(),
                    has_consumer: std::sync::atomic::AtomicBool::new(false),
                };
                (spec.name.clone(), state)
            })
            .collect();
        Self { queues, clock, feed, activity }
    }

    /// The queue at a URL or an ARN, whose last part is its name.
    pub(crate) fn find(&self, address: &str) -> Option<&Queue> {
        let name = address.rsplit(['/', ':']).next()?;
        self.queues.get(name).map(|state| &state.spec)
    }

    /// Every queue, by name.
    pub(crate) fn specs(&self) -> impl Iterator<Item = &Queue> {
        self.queues.values().map(|state| &state.spec)
    }

    /// Somebody takes from it: its messages count as work to come.
    pub(crate) fn consumed(&self, queue: &str) {
        if let Some(state) = self.queues.get(queue) {
            state.has_consumer.store(true, std::sync::atomic::Ordering::SeqCst);
        }
    }

    /// Puts a message on a queue; it can be received after `delay`. Returns its id.
    pub(crate) fn send(&self, queue: &str, body: &str, delay: Span, sender: &str) -> String {
        let id = uuid();
        let Some(state) = self.queues.get(queue) else {
            return id;
        };
        let now = self.clock.now();
        let own_delay = Span::from_ms(u64::from(state.spec.delay) * 1_000);
        let delay = if delay == Span::ZERO { own_delay } else { delay };
        let body: Arc<str> = Arc::from(body);
        let message = Message {
            id: id.clone(),
            body: body.clone(),
            sender: Arc::from(sender),
            sent: now,
            due: now.plus(delay),
            visible: Instant::now(),
            first_received: None,
            receive_count: 0,
            receipt: None,
        };
        state.messages().push(message);
        self.feed.tell(
            now,
            What::Queued {
                queue: queue.to_owned(),
                id: id.clone(),
                sender: sender.to_owned(),
                visible: now.plus(delay),
                body,
            },
        );
        state.arrival.notify_waiters();
        self.activity.changed();
        id
    }

    /// Takes up to `max` visible messages, those that are due longest first; what was received too often
    /// goes to the dead-letter queue instead.
    pub(crate) fn receive(
        &self,
        queue: &str,
        max: usize,
        visibility: Option<Duration>,
    ) -> Vec<Received> {
        let Some(state) = self.queues.get(queue) else {
            return Vec::new();
        };
        let now = Instant::now();
        let customer_now = self.clock.now();
        let lasts = visibility.unwrap_or(Duration::from_secs(state.spec.visibility.into()));
        let mut dead = Vec::new();
        let mut received = Vec::new();
        {
            let mut messages = state.messages();
            if let Some(redrive) = &state.spec.redrive {
                let spent = |m: &Message| {
                    m.can_be_received(customer_now, now)
                        && m.receive_count >= redrive.max_receive_count
                };
                let (out, keep) = std::mem::take(&mut *messages).into_iter().partition(spent);
                *messages = keep;
                dead = out;
            }
            let mut due: Vec<&mut Message> =
                messages.iter_mut().filter(|m| m.can_be_received(customer_now, now)).collect();
            due.sort_by_key(|message| (message.due, message.visible));
            for message in due.into_iter().take(max) {
                message.receive_count += 1;
                message.visible = now + lasts.min(VISIBILITY_MAX);
                let first_received = *message.first_received.get_or_insert(customer_now);
                let receipt = uuid();
                message.receipt = Some(receipt.clone());
                received.push(Received {
                    id: message.id.clone(),
                    receipt,
                    body: message.body.clone(),
                    receive_count: message.receive_count,
                    sent: message.sent,
                    first_received,
                    sender: message.sender.clone(),
                });
            }
        }
        for message in dead {
            self.bury(state, message);
        }
        received
    }

    fn bury(&self, from: &State, mut message: Message) {
        let target = from.spec.redrive.as_ref().and_then(|redrive| self.find(&redrive.target));
        let what = What::DeadLettered { queue: from.spec.name.clone(), id: message.id.clone() };
        self.feed.tell(self.clock.now(), what);
        if let Some(state) = target.and_then(|queue| self.queues.get(&queue.name)) {
            message.receipt = None;
            message.visible = Instant::now();
            state.messages().push(message);
            state.arrival.notify_waiters();
        }
        self.activity.changed();
    }

    /// Deletes what a receipt stands for. An old receipt still deletes, as long as the message was
    /// not received again.
    pub(crate) fn delete(&self, queue: &str, receipt: &str) -> bool {
        let Some(state) = self.queues.get(queue) else {
            return false;
        };
        let mut messages = state.messages();
        let before = messages.len();
        messages.retain(|message| message.receipt.as_deref() != Some(receipt));
        let deleted = messages.len() < before;
        drop(messages);
        self.activity.changed();
        deleted
    }

    /// Makes a received message visible after `lasts`; false where the receipt stands for nothing
    /// in flight.
    pub(crate) fn change_visibility(&self, queue: &str, receipt: &str, lasts: Duration) -> bool {
        let Some(state) = self.queues.get(queue) else {
            return false;
        };
        let now = Instant::now();
        let mut messages = state.messages();
        let found = messages
            .iter_mut()
            .find(|message| message.receipt.as_deref() == Some(receipt) && message.visible > now);
        let changed = found.is_some();
        if let Some(message) = found {
            message.visible = now + lasts.min(VISIBILITY_MAX);
        }
        drop(messages);
        state.arrival.notify_waiters();
        self.activity.changed();
        changed
    }

    /// Returns when a message of the queue is visible.
    pub(crate) async fn wait(&self, queue: &str) {
        let Some(state) = self.queues.get(queue) else {
            return std::future::pending().await;
        };
        loop {
            let arrival = state.arrival.notified();
            tokio::pin!(arrival);
            arrival.as_mut().enable();
            let (customer_now, now) = (self.clock.now(), Instant::now());
            if state.messages().iter().any(|m| m.can_be_received(customer_now, now)) {
                return;
            }
            self.next(state, arrival, customer_now, now).await;
        }
    }

    /// Returns when a delay or an invisibility ends, or `arrival` does.
    async fn next(
        &self,
        state: &State,
        arrival: impl Future<Output = ()>,
        customer_now: Stamp,
        now: Instant,
    ) {
        let (due, visible) = {
            let messages = state.messages();
            let due = messages.iter().map(|message| message.due).filter(|due| *due > customer_now);
            let visible = messages.iter().map(|message| message.visible).filter(|at| *at > now);
            (due.min(), visible.min())
        };
        let delay = async {
            match due {
                Some(due) => self.clock.until(due).await,
                None => std::future::pending().await,
            }
        };
        let invisibility = async {
            match visible {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = arrival => {}
            () = delay => {}
            () = invisibility => {}
        }
    }

    /// Returns when another message of the queue becomes visible, or one arrives.
    pub(crate) async fn wait_for_change(&self, queue: &str) {
        let Some(state) = self.queues.get(queue) else {
            return std::future::pending().await;
        };
        let arrival = state.arrival.notified();
        self.next(state, arrival, self.clock.now(), Instant::now()).await;
    }

    /// How many messages it holds.
    pub(crate) fn depth(&self, queue: &str) -> Depth {
        let Some(state) = self.queues.get(queue) else {
            return Depth::default();
        };
        let (customer_now, now) = (self.clock.now(), Instant::now());
        let mut depth = Depth::default();
        for message in state.messages().iter() {
            if message.can_be_received(customer_now, now) {
                depth.visible += 1;
            } else if message.receive_count > 0 {
                depth.in_flight += 1;
            } else {
                depth.delayed += 1;
            }
        }
        depth
    }

    /// Everything that it holds, oldest first, without receiving it.
    pub(crate) fn peek(&self, queue: &str) -> Vec<Received> {
        let Some(state) = self.queues.get(queue) else {
            return Vec::new();
        };
        let messages = state.messages();
        let seen = messages.iter().map(|message| Received {
            id: message.id.clone(),
            receipt: String::new(),
            body: message.body.clone(),
            receive_count: message.receive_count,
            sent: message.sent,
            first_received: message.first_received.unwrap_or(message.sent),
            sender: message.sender.clone(),
        });
        seen.collect()
    }

    /// Everything on every queue, to be kept.
    pub(crate) fn kept(&self) -> Vec<KeptMessage> {
        let mut all = Vec::new();
        for (queue, state) in &self.queues {
            all.extend(state.messages().iter().map(|message| KeptMessage {
                queue: queue.clone(),
                id: message.id.clone(),
                body: message.body.to_string(),
                sender: message.sender.to_string(),
                sent: message.sent,
                due: message.due,
                first_received: message.first_received,
                receive_count: message.receive_count,
            }));
        }
        all
    }

    /// Puts kept messages back where they were; those of a queue that is no longer in the template
    /// are dropped.
    pub(crate) fn restore(&self, kept: Vec<KeptMessage>) {
        for message in kept {
            let Some(state) = self.queues.get(&message.queue) else { continue };
            state.messages().push(Message {
                id: message.id,
                body: Arc::from(message.body),
                sender: Arc::from(message.sender),
                sent: message.sent,
                due: message.due,
                visible: Instant::now(),
                first_received: message.first_received,
                receive_count: message.receive_count,
                receipt: None,
            });
            state.arrival.notify_waiters();
        }
        self.activity.changed();
    }

    /// Whether a queue that somebody takes from holds anything that is not delayed past `until`.
    pub(crate) fn has_work(&self, until: Stamp) -> bool {
        self.queues.values().any(|state| {
            state.has_consumer.load(std::sync::atomic::Ordering::SeqCst)
                && state.messages().iter().any(|m| m.receive_count > 0 || m.due <= until)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::Redrive;

    fn queue(name: &str, redrive: Option<Redrive>) -> Queue {
        Queue {
            id: name.to_owned(),
            name: name.to_owned(),
            arn: format!("arn:aws:sqs:eu-west-1:1:{name}"),
            url: format!("http://localhost/1/{name}"),
            visibility: 30,
            delay: 0,
            redrive,
        }
    }

    fn broker(rate: u32) -> Broker {
        let redrive =
            Redrive { target: "arn:aws:sqs:eu-west-1:1:dead".into(), max_receive_count: 2 };
        let specs = [queue("work", Some(redrive)), queue("dead", None)];
        let clock = Clock::steady(rate, Some(Stamp::from_ms(1_800_000_000_000)));
        let broker = Broker::new(&specs, clock, Arc::new(Feed::new()), Activity::new());
        broker.consumed("work");
        broker
    }

    /// Waits for the condition, not for time; returns how long it took.
    async fn waited(broker: &Broker) -> Duration {
        let started = Instant::now();
        broker.wait("work").await;
        started.elapsed()
    }

    #[tokio::test]
    async fn a_received_message_is_invisible_until_its_visibility_ends() {
        let broker = broker(1);
        let id = broker.send("work", "{}", Span::ZERO, "test");
        let lasts = Some(Duration::from_millis(40));
        let first = broker.receive("work", 10, lasts);
        assert_eq!((first[0].id.clone(), first[0].receive_count), (id.clone(), 1));
        assert!(broker.receive("work", 10, lasts).is_empty());
        assert_eq!(broker.depth("work").in_flight, 1);
        assert!(waited(&broker).await > Duration::from_millis(20));
        let again = broker.receive("work", 10, None);
        assert_eq!((again[0].id.clone(), again[0].receive_count), (id, 2));
        assert!(!broker.delete("work", &first[0].receipt), "the first receipt is void");
        assert!(broker.delete("work", &again[0].receipt));
        assert!(!broker.has_work(Stamp::MAX));
    }

    #[tokio::test]
    async fn a_delay_passes_at_the_rate_and_visibility_does_not() {
        let broker = broker(18_000);
        let started = Instant::now();
        broker.send("work", "later", Span::from_ms(900_000), "test");
        assert!(broker.receive("work", 10, None).is_empty());
        assert!(!broker.has_work(Stamp::from_ms(1_800_000_800_000)), "it is due later");
        assert!(broker.has_work(Stamp::MAX));
        broker.wait("work").await;
        let passed = started.elapsed();
        assert!(passed >= Duration::from_millis(50), "15 minutes at 18,000 to 1: {passed:?}");
        assert!(passed < Duration::from_secs(10));
        let message = broker.receive("work", 10, None).remove(0);
        let lasts = Duration::from_millis(40);
        assert!(broker.change_visibility("work", &message.receipt, lasts));
        assert!(waited(&broker).await > Duration::from_millis(20));
        assert!(!broker.change_visibility("work", &message.receipt, Duration::ZERO));
    }

    #[tokio::test]
    async fn what_is_received_too_often_is_buried() {
        let broker = broker(1);
        broker.send("work", "poison", Span::ZERO, "test");
        for _ in 0..2 {
            assert_eq!(broker.receive("work", 1, Some(Duration::ZERO)).len(), 1);
        }
        assert!(broker.receive("work", 1, None).is_empty());
        assert!(!broker.has_work(Stamp::MAX));
        let dead = broker.peek("dead");
        assert_eq!((&*dead[0].body, dead[0].receive_count), ("poison", 2));
    }
}
