//! A stack with a published workspace, and events for it.

use odyssey_domain::catalog::{Brand, Catalog, SignalKind, SignalRule, Threshold};
use odyssey_domain::event::Event;
use odyssey_domain::ids::{IdentityKey, ProfileId, SignalId};
use odyssey_domain::keyring::Keyring;
use odyssey_domain::pacing::Pacing;
use odyssey_domain::personal::{AnonymousId, EmailAddress, UserId};
use odyssey_domain::predicate::EventPredicate;
use odyssey_domain::profile::{IdentityItem, ProfileView, Root};
use odyssey_domain::time::{Span, Stamp};
use odyssey_domain::wire::{EventsAccepted, SignalRaised, SourceKind, SourceRef, detail_type};
use odyssey_flows::catalog::{CatalogCache, Publication, publish};
use odyssey_flows::fold_profile::{Counts, run_counted};
use odyssey_flows::ports::{Queue, Table};
use odyssey_flows::profiles::{self, Found, identity_key};
use odyssey_flows::queue::{Disposition, QueueRecord};
use odyssey_flows::stored;
use odyssey_testkit::{Memory, run};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

pub const START: i64 = 1_795_000_000_000;

/// `START` and so many minutes.
pub fn minute(n: i64) -> Stamp {
    Stamp::from_ms(START + n * 60_000)
}

pub struct World {
    pub memory: Memory,
    pub keyring: Keyring,
    pub catalog: CatalogCache,
    pub heard: Mutex<BTreeSet<SignalId>>,
}

pub fn catalog() -> Catalog {
    Catalog {
        published: Stamp::MIN,
        sources: BTreeMap::new(),
        topics: BTreeMap::new(),
        pacing: Pacing::default(),
        brand: Brand {
            name: "Shop".to_owned(),
            from: EmailAddress::parse("shop@example.com").unwrap(),
            reply_to: None,
            postal_address: "1 Main Street".to_owned(),
            website: "https://example.com".to_owned(),
            allowed_hosts: Vec::new(),
        },
        signals: vec![
            SignalRule::new(
                SignalKind::CartAbandoned,
                &[Span::HOUR.times(4), Span::MINUTE.times(10)].map(Threshold::After),
            ),
            SignalRule::new(SignalKind::BrowseAbandoned, &[Threshold::After(Span::HOUR.times(2))]),
        ],
        segments: BTreeMap::new(),
        journeys: BTreeMap::new(),
        mails: BTreeMap::new(),
        confirmation_mail: serde_json::from_value(json!("confirm")).unwrap(),
        watched: vec![EventPredicate { event: "Order Completed".to_owned(), tests: Vec::new() }],
        retired: Vec::new(),
        computed_traits: odyssey_domain::profile::ComputedTraits::default(),
        forwarded: vec!["Signed Up".to_owned()],
        plan: odyssey_domain::plan::Declared::default(),
    }
}

impl World {
    pub fn new() -> World {
        World::of(catalog())
    }

    /// One whose workspace also raises these signals, at their defaults.
    pub fn raising(kinds: &[SignalKind]) -> World {
        let mut catalog = catalog();
        let rules = kinds.iter().map(|kind| SignalRule::new(*kind, &[kind.default_threshold()]));
        catalog.signals.extend(rules);
        World::of(catalog)
    }

    /// One with this workspace.
    pub fn of(catalog: Catalog) -> World {
        let memory = Memory::new();
        memory.set_now(minute(0));
        let publication =
            Publication { catalog, journeys: BTreeMap::new(), mails: BTreeMap::new() };
        run(publish(&memory, &publication)).unwrap();
        let keyring = Keyring::parse(r#"{"k1":"0123456789abcdef0123456789abcdef"}"#).unwrap();
        World { memory, keyring, catalog: CatalogCache::default(), heard: Mutex::default() }
    }

    /// Another process of the same stack.
    pub fn beside(&self) -> World {
        let (memory, keyring) = (self.memory.clone(), self.keyring.clone());
        World { memory, keyring, catalog: CatalogCache::default(), heard: Mutex::default() }
    }

    /// Publishes another workspace; the world's own process sees it half a minute later.
    pub fn publish(&self, catalog: Catalog, now: Stamp) {
        let catalog = Catalog { published: now, ..catalog };
        let publication =
            Publication { catalog, journeys: BTreeMap::new(), mails: BTreeMap::new() };
        run(publish(&self.memory, &publication)).unwrap();
    }

    pub fn user(&self, id: &str) -> IdentityKey {
        self.keyring.user_key(&UserId::parse(id).unwrap())
    }

    pub fn anonymous(&self, id: &str) -> IdentityKey {
        self.keyring.anonymous_key(&AnonymousId::parse(id).unwrap())
    }

    /// Runs the flow.
    pub fn fold(&self, records: Vec<QueueRecord>, now: Stamp) -> (Vec<Disposition>, Counts) {
        self.memory.set_now(now);
        let World { memory, keyring, catalog, .. } = self;
        run(run_counted(memory, memory, memory, keyring, catalog, records, now))
    }

    /// Runs the flow where every record must be done.
    pub fn fold_done(&self, records: Vec<QueueRecord>, now: Stamp) -> Counts {
        let (dispositions, counts) = self.fold(records, now);
        assert!(dispositions.iter().all(|d| *d == Disposition::Done), "{dispositions:?}");
        counts
    }

    pub fn item(&self, key: IdentityKey) -> Option<IdentityItem> {
        let key = identity_key(key);
        let row = self.memory.rows().into_iter().find(|row| row.key == key)?;
        Some(stored::decode(&row).unwrap())
    }

    pub fn root(&self, key: IdentityKey) -> (ProfileId, Root) {
        match run(profiles::find(&self.memory, key)).unwrap() {
            Found::Profile(profile, root) => (profile, root.item),
            other => panic!("no profile: {other:?}"),
        }
    }

    pub fn view(&self, key: IdentityKey) -> ProfileView {
        let (profile, root) = self.root(key);
        root.view(profile)
    }

    /// The facts of every accumulator, by identity, as bytes.
    pub fn facts(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        for row in self.memory.rows_of(Table::Profiles) {
            if row.key.sk != "identity" {
                continue;
            }
            let item: IdentityItem = stored::decode(&row).unwrap();
            let shown = match item {
                IdentityItem::Root(root) => {
                    let facts: BTreeMap<_, _> =
                        root.accumulators.iter().map(|(key, held)| (key, &held.facts)).collect();
                    serde_json::to_string(&(facts, root.links)).unwrap()
                }
                other => serde_json::to_string(&other).unwrap(),
            };
            all.insert(row.key.pk, shown);
        }
        all
    }

    /// Takes the signals off the bus that were not on it before, as receivers do.
    pub fn signals(&self) -> Vec<SignalRaised> {
        let entries = self.memory.take_bus_entries();
        let signals = entries.iter().filter(|e| e.detail_type == detail_type::SIGNAL_RAISED);
        let signals = signals.map(|entry| serde_json::from_str(&entry.detail).unwrap());
        signals
            .filter(|raised: &SignalRaised| self.heard.lock().unwrap().insert(raised.id))
            .collect()
    }

    /// Delivers every timer that is due by `now`, however it was armed, until none is left.
    pub fn wake_until(&self, now: Stamp) {
        for _ in 0..20 {
            let mut records = self.memory.take(Queue::Profile, now);
            for row in self.memory.rows_of(Table::Due) {
                let wake: odyssey_domain::wire::Wake = stored::decode(&row).unwrap();
                if wake.due <= now {
                    let body = odyssey_domain::wire::Command::Wake(wake);
                    records.push(record("wake", &serde_json::to_string(&body).unwrap()));
                    let key = row.key;
                    let expect = odyssey_flows::ports::Expect::Any;
                    let delete = odyssey_flows::ports::Write::Delete { key, expect };
                    run(odyssey_flows::ports::Tables::write(&self.memory, delete)).unwrap();
                }
            }
            if records.is_empty() {
                return;
            }
            for record in records {
                self.fold_done(vec![record], now);
            }
        }
        panic!("timers keep firing");
    }
}

pub fn record(id: &str, body: &str) -> QueueRecord {
    QueueRecord {
        message_id: id.to_owned(),
        request_id: "request".to_owned(),
        receive_count: 1,
        body: body.to_owned(),
    }
}

/// An event from JSON, with an id, a minute and a name.
pub fn track(id: &str, at: i64, name: &str, who: &Value, properties: &Value) -> Event {
    let mut event = json!({"id": id, "at": minute(at), "type": "track", "name": name,
        "properties": properties});
    for (name, value) in who.as_object().unwrap() {
        event[name] = value.clone();
    }
    serde_json::from_value(event).unwrap()
}

pub fn identify(id: &str, at: i64, who: &Value, traits: &Value) -> Event {
    let mut event = json!({"id": id, "at": minute(at), "type": "identify", "traits": traits});
    for (name, value) in who.as_object().unwrap() {
        event[name] = value.clone();
    }
    serde_json::from_value(event).unwrap()
}

pub fn accepted_from(kind: SourceKind, received: i64, events: Vec<Event>) -> QueueRecord {
    accepted_at(kind, minute(received), events)
}

pub fn accepted_at(kind: SourceKind, received: Stamp, events: Vec<Event>) -> QueueRecord {
    let detail = EventsAccepted {
        v: 1,
        request: "r".to_owned(),
        received,
        source: SourceRef { name: "web".to_owned(), kind },
        events,
    };
    envelope(detail_type::EVENTS_ACCEPTED, &serde_json::to_value(detail).unwrap())
}

pub fn accepted(received: i64, events: Vec<Event>) -> QueueRecord {
    accepted_from(SourceKind::Browser, received, events)
}

pub fn envelope(detail_type: &str, detail: &Value) -> QueueRecord {
    let body = json!({"id": "e", "source": "odyssey.ingest", "detail-type": detail_type,
        "detail": detail});
    record("m", &body.to_string())
}
