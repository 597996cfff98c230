//! A published workspace, one customer, and the queues and timers around `journey`, in memory.

use odyssey_domain::catalog::{Catalog, JourneyEntry, JourneyState};
use odyssey_domain::event::Event;
use odyssey_domain::ids::{ContentHash, EnrollmentKeyHash, ProfileId, SendId};
use odyssey_domain::journey::{Enrollment, Journey, SlotId};
use odyssey_domain::predicate::EventPredicate;
use odyssey_domain::profile::{IdentityItem, Root, Watched};
use odyssey_domain::time::{Span, Stamp};
use odyssey_domain::wire::{Command, SourceKind, SourceRef, Wake};
use odyssey_flows::advance_enrollment::{run as advance, slot_key};
use odyssey_flows::catalog::{CatalogCache, Publication, publish};
use odyssey_flows::ports::{Expect, Queue, Table, Tables, Write};
use odyssey_flows::profiles::identity_key;
use odyssey_flows::queue::{Disposition, QueueRecord};
use odyssey_flows::stored;
use odyssey_flows::sweep_due;
use odyssey_testkit::{Memory, run, run_or_halt};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(crate) const START: Stamp = Stamp::from_ms(1_700_000_000_000);

pub(crate) fn after(text: &str) -> Stamp {
    START.plus(text.parse().unwrap())
}

pub(crate) fn ada() -> ProfileId {
    ProfileId::from_bytes([1; 16])
}

pub(crate) struct World {
    pub(crate) memory: Memory,
    cache: CatalogCache,
    journey: Journey,
    version: ContentHash,
    /// Delivered and not acknowledged: when they come back.
    hidden: Vec<(Stamp, QueueRecord)>,
    pub(crate) parked: Vec<&'static str>,
}

/// Two mails, an hour and a day after a product was put into the cart, unless it was ordered.
pub(crate) fn two_mails() -> Value {
    json!({
        "id": "cart-recovery",
        "trigger": {"event": {"event": "Product Added"}},
        "enrollment_key": "cart_id",
        "re_entry": "after_exit",
        "exit_when": [{"event": "Order Completed"}],
        "first": "hour",
        "steps": {
            "hour": {"kind": "delay", "length": "1h", "next": "remind"},
            "remind": {"kind": "send", "mail": "reminder", "topic": "offers", "next": "day"},
            "day": {"kind": "delay", "length": "1d", "next": "last"},
            "last": {"kind": "send", "mail": "last-call", "topic": "offers"},
        },
    })
}

impl World {
    pub(crate) fn new(journey: &Value) -> World {
        let journey: Journey = serde_json::from_value(journey.clone()).unwrap();
        let version = ContentHash::of(&serde_json::to_vec(&journey).unwrap());
        let world = World {
            memory: Memory::new(),
            cache: CatalogCache::default(),
            journey,
            version,
            hidden: Vec::new(),
            parked: Vec::new(),
        };
        world.memory.set_now(START);
        world.publish(JourneyState::Live);
        world
    }

    /// Publishes the journey in this state. Caches notice after half a minute.
    pub(crate) fn publish(&self, state: JourneyState) {
        let mut catalog: Catalog = serde_json::from_value(json!({
            "published": START, "sources": {}, "topics": {}, "signals": [], "journeys": {},
            "mails": {}, "confirmation_mail": "confirm", "watched": [], "forwarded": [],
            "brand": {"name": "Shop", "from": "shop@shop.example", "reply_to": null,
                      "postal_address": "1 Street", "website": "https://shop.example",
                      "allowed_hosts": []},
        }))
        .unwrap();
        let entry = JourneyEntry { version: self.version, state, frequency_caps: Vec::new() };
        catalog.journeys.insert(self.journey.id.clone(), entry);
        let journeys = BTreeMap::from([(self.version, self.journey.clone())]);
        let publication = Publication { catalog, journeys, mails: BTreeMap::new() };
        run(publish(&self.memory, &publication)).unwrap();
    }

    /// Folds an event into the profile, as `profile` would have before it forwards it.
    pub(crate) fn fold(&self, profile: ProfileId, event: &Event) {
        let key = identity_key(profile.into());
        let found = run(stored::load::<IdentityItem>(
            &self.memory,
            key.clone(),
            odyssey_flows::ports::Consistency::Strong,
        ))
        .unwrap();
        let (version, mut root) = match found {
            Some(stored::Versioned { version, item: IdentityItem::Root(root), .. }) => {
                (Some(version), root)
            }
            _ => (None, Box::<Root>::default()),
        };
        let watched = ["Order Completed", "Product Added", "Checkout Started"]
            .map(|event| EventPredicate { event: event.to_owned(), tests: Vec::new() });
        let source = SourceRef { name: "web".to_owned(), kind: SourceKind::Browser };
        root.accumulators.entry(profile.into()).or_default().fold(
            event,
            &source,
            &Watched::of(&watched),
        );
        let put = stored::put(key, &IdentityItem::Root(root), version).unwrap();
        run(self.memory.write(put)).unwrap();
    }

    /// The profile is erased.
    pub(crate) fn erase(&self, profile: ProfileId) {
        let item = IdentityItem::Tombstone { erased: START };
        let row = stored::row(identity_key(profile.into()), &item, 99).unwrap();
        run(self.memory.write(Write::Put { row, expect: Expect::Any })).unwrap();
    }

    /// Delivers messages together, as often as `receive_count` says already.
    pub(crate) fn deliver(
        &mut self,
        bodies: &[String],
        count: u32,
        now: Stamp,
    ) -> Vec<Disposition> {
        let records = bodies.iter().enumerate().map(|(i, body)| QueueRecord {
            message_id: format!("record-{i}"),
            request_id: "request".to_owned(),
            receive_count: count,
            body: body.clone(),
        });
        self.memory.set_now(now);
        run(advance(&self.memory, &self.memory, &self.cache, records.collect(), now))
    }

    /// One delivery that may be killed half-way; what is not done comes back 30 s later.
    pub(crate) fn deliver_records(&mut self, records: Vec<QueueRecord>, now: Stamp) {
        if records.is_empty() {
            return;
        }
        self.memory.set_now(now);
        let all = records.clone();
        let answer = run_or_halt(advance(&self.memory, &self.memory, &self.cache, records, now));
        let dispositions = answer.unwrap_or_else(|| {
            let killed = |_| Disposition::Retry { reason: "killed".to_owned(), after: None };
            all.iter().map(killed).collect()
        });
        for (mut record, disposition) in all.into_iter().zip(dispositions) {
            match disposition {
                Disposition::Done => {}
                Disposition::Retry { .. } => {
                    record.receive_count += 1;
                    self.hidden.push((now.plus(Span::SECOND.times(30)), record));
                }
                Disposition::Park { reason, .. } => self.parked.push(reason),
            }
        }
    }

    /// Runs queue and tick from one time to another: the tick each minute, the queue every 30 s.
    pub(crate) fn live(&mut self, from: Stamp, to: Stamp) {
        let mut now = from;
        while now <= to {
            if now.ms() % 60_000 < 30_000 {
                let swept = sweep_due::run(&self.memory, &self.memory, now, || false);
                let _killed = run_or_halt(swept);
            }
            let mut records = self.memory.take(Queue::Journey, now);
            let hidden = std::mem::take(&mut self.hidden);
            let (back, hidden) = hidden.into_iter().partition(|(at, _)| *at <= now);
            self.hidden = hidden;
            let back: Vec<(Stamp, QueueRecord)> = back;
            records.extend(back.into_iter().map(|(_, record)| record));
            self.deliver_records(records, now);
            now = self.next_time(now);
        }
    }

    /// Half a minute later, or shortly before the first timer where nothing happens until then.
    fn next_time(&self, now: Stamp) -> Stamp {
        let next = now.plus(Span::SECOND.times(30));
        if !self.hidden.is_empty() || !self.memory.queue(Queue::Journey).is_empty() {
            return next;
        }
        let dues = self.memory.rows_of(Table::Due);
        let first = dues.iter().filter_map(|row| stored::decode::<Wake>(row).ok()).map(|w| w.due);
        let quiet = first.min().map_or(Stamp::MAX, |due| due.minus(Span::MINUTE.times(4)));
        next.max(Stamp::from_ms(quiet.ms() / 60_000 * 60_000))
    }

    pub(crate) fn slot(&self, profile: ProfileId, key: &str) -> SlotId {
        let key = EnrollmentKeyHash::of(key);
        SlotId { profile, journey: self.journey.id.clone(), key }
    }

    pub(crate) fn enrollment(&self, slot: &SlotId) -> Option<Enrollment> {
        let rows = self.memory.rows_of(Table::Enrollments);
        let row = rows.into_iter().find(|row| row.key == slot_key(slot))?;
        Some(stored::decode(&row).unwrap())
    }

    /// Ada's enrollment for cart `c-1`.
    pub(crate) fn hers(&self) -> Enrollment {
        self.enrollment(&self.slot(ada(), "c-1")).expect("she is enrolled")
    }

    /// Every send asked for so far, repetitions included.
    pub(crate) fn sends(&self) -> Vec<(SendId, String)> {
        self.commands(Queue::Sender)
            .into_iter()
            .filter_map(|command| match command {
                Command::Send(send) => Some((send.send, send.step.to_string())),
                Command::Wake(_) | Command::Look { .. } => None,
            })
            .collect()
    }

    /// The steps whose sends were asked for, each once.
    pub(crate) fn sent_steps(&self) -> Vec<String> {
        let mut sends = self.sends();
        sends.sort();
        sends.dedup();
        let mut steps: Vec<String> = sends.into_iter().map(|(_, step)| step).collect();
        steps.sort();
        steps
    }

    fn commands(&self, queue: Queue) -> Vec<Command> {
        let messages = self.memory.queue(queue);
        messages.iter().filter_map(|m| serde_json::from_str(&m.message.body).ok()).collect()
    }
}

pub(crate) fn event(name: &str, id: &str, at: Stamp) -> Event {
    serde_json::from_value(json!({
        "id": id, "at": at, "type": "track", "name": name,
        "properties": {"cart_id": "c-1", "name": "Wool socks"},
    }))
    .unwrap()
}

/// An `Event Folded` as a rule delivers it.
pub(crate) fn folded(profile: ProfileId, owners: &[ProfileId], event: &Event) -> String {
    envelope("Event Folded", &json!({"v": 1, "profile": profile, "owners": owners, "event": event}))
}

/// A `Signal Raised` as a rule delivers it.
pub(crate) fn raised(profile: ProfileId, id: &str, since: Stamp, at: Stamp) -> String {
    envelope(
        "Signal Raised",
        &json!({"v": 1, "id": id, "profile": profile, "owners": [], "signal": "Cart Abandoned",
                "after": "4h", "since": since, "at": at,
                "evidence": {"cart_id": "c-1", "lines": [{"name": "Wool socks"}]}}),
    )
}

pub(crate) fn envelope(detail_type: &str, detail: &Value) -> String {
    json!({"id": "e-1", "source": "odyssey.profile", "detail-type": detail_type,
           "detail": detail})
    .to_string()
}

pub(crate) fn wake_of(enrollment: &Enrollment) -> String {
    let wake = json!({"command": "wake", "owner": {"enrollment": enrollment.slot},
                      "arm": enrollment.arm, "due": enrollment.due.unwrap_or(START)});
    wake.to_string()
}
