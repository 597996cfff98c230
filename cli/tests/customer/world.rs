//! A stack in memory with a published workspace, through which customers' events run.

use odyssey::customer::find::{Whom, find};
use odyssey::customer::{Customer, Wanted, gather};
use odyssey::pages::customers::body;
use odyssey::pages::{Shown, framed};
use odyssey::publish::build::{Built, build};
use odyssey_domain::contact::{ConsentState, TopicId};
use odyssey_domain::event::Event;
use odyssey_domain::keyring::Keyring;
use odyssey_domain::personal::EmailAddress;
use odyssey_domain::time::{Span, Stamp};
use odyssey_domain::wire::{
    Command, EventsAccepted, Owner, SourceKind, SourceRef, Wake, detail_type,
};
use odyssey_flows::catalog::{CatalogCache, publish};
use odyssey_flows::ports::{Expect, Queue, Table, Tables as _, Write};
use odyssey_flows::queue::{Disposition, QueueRecord};
use odyssey_flows::read_timeline::Direction;
use odyssey_flows::send_message::{self, Sending};
use odyssey_flows::set_consent::{self, Change, Manner};
use odyssey_flows::{advance_enrollment, fold_profile, stored};
use odyssey_testkit::{Memory, run};
use serde_json::{Value, json};

/// 2026-11-20T09:00:00Z, a Friday.
pub const START: Stamp = Stamp::from_ms(1_795_165_200_000);
/// How finely time passes.
const STEP: Span = Span::MINUTE.times(10);

const WORKSPACE: &str = "
brand: {name: Northwind, from: hello@northwind.example, website: 'https://northwind.example',
  postal_address: 12 Harbour Street}
sources: {web: {kind: browser}, backend: {kind: server}}
topics:
  offers: {title: Reminders and offers, kind: marketing}
  orders: {title: Your orders, kind: transactional}
signals: {Cart Abandoned: {}, Browse Abandoned: {}, Checkout Abandoned: {}, First Purchase: {},
  Repeat Purchase: {}, Interest Shown: {}, Binge Started: {}, Complaint Received: {}, Lead Submitted: {}}
confirmation_mail: confirm
";
const JOURNEY: &str = "
name: cart-recovery
state: live
trigger: {signal: Cart Abandoned, after: 4h}
entry_filter: {fact: cart.items, at_least: 1}
exit_when: [{event: Order Completed}]
steps:
  - {id: remind, send: cart-reminder, topic: offers}
  - {id: wait, wait_until: {event: Order Completed, timeout: 20h}}
";
const MAIL: &str = "---\nsubject: Your cart\n---\n<mjml><mj-body><mj-section><mj-column>\
    <mj-text>Hello <a href=\"{{ links.unsubscribe }}\">leave</a> {{ brand.postal_address }}</mj-text>\
    </mj-column></mj-section></mj-body></mjml>\n";
const CONFIRM: &str = "---\nsubject: Confirm\n---\n<mjml><mj-body><mj-section><mj-column>\
    <mj-text><a href=\"{{ links.confirm }}\">yes</a></mj-text>\
    </mj-column></mj-section></mj-body></mjml>\n";

pub struct World {
    pub memory: Memory,
    pub keys: Keyring,
    built: Built,
    sending: Sending,
    now: Stamp,
    sent: u64,
}

pub fn keys() -> Keyring {
    Keyring::parse(r#"{"k1":"0123456789abcdef0123456789abcdef"}"#).unwrap()
}

impl World {
    pub fn new() -> World {
        let files = [
            ("workspace.yaml", WORKSPACE),
            ("journeys/cart-recovery.yaml", JOURNEY),
            ("mails/cart-reminder.mjml", MAIL),
            ("mails/confirm.mjml", CONFIRM),
        ];
        let files = files.map(|(name, text)| (name.to_owned(), text.to_owned())).into();
        let built = build(&files, Stamp::MIN).unwrap_or_else(|faults| panic!("{faults:?}"));
        let memory = Memory::new();
        memory.set_now(START);
        run(publish(&memory, &built.publication)).unwrap();
        let sending = Sending::new(keys(), "https://o.example.com/");
        World { memory, keys: keys(), built, sending, now: START, sent: 0 }
    }

    /// What one says now.
    pub fn say(&mut self, kind: SourceKind, who: &Value, what: &Value) {
        self.sent += 1;
        let mut event = json!({"id": format!("message-{}", self.sent), "at": self.now});
        for part in [who, what] {
            for (name, value) in part.as_object().unwrap() {
                event[name] = value.clone();
            }
        }
        let event: Event = serde_json::from_value(event).unwrap();
        self.deliver(kind, vec![event]);
    }

    /// The time.
    pub const fn now(&self) -> Stamp {
        self.now
    }

    /// Lets a minute pass.
    pub fn wait(&mut self) {
        self.now = self.now.plus(Span::MINUTE);
    }

    /// What one does, and half a minute for it.
    pub fn track(&mut self, who: &Value, name: &str, properties: &Value) {
        self.now = self.now.plus(Span::SECOND.times(30));
        self.say(
            SourceKind::Browser,
            who,
            &json!({"type": "track", "name": name, "properties": properties}),
        );
    }

    pub fn deliver(&self, kind: SourceKind, events: Vec<Event>) {
        let name = if kind == SourceKind::Server { "backend" } else { "web" };
        let source = SourceRef { name: name.to_owned(), kind };
        let detail = EventsAccepted {
            v: 1,
            request: format!("request-{}", self.sent),
            received: self.now,
            source,
            events,
        };
        self.fold(envelope(detail_type::EVENTS_ACCEPTED, &serde_json::to_value(detail).unwrap()));
        self.settle();
    }

    pub fn consents(&self, email: &str, topic: &str) {
        let change = Change {
            contact: self.keys.contact_key(&EmailAddress::parse(email).unwrap()),
            profile: None,
            topic: TopicId::parse(topic).unwrap(),
            state: ConsentState::Granted,
            manner: Manner::Api(serde_json::from_value(json!("backend")).unwrap()),
        };
        run(set_consent::change(&self.memory, &self.memory, &change, self.now)).unwrap();
        self.settle();
    }

    /// Time passes; what is due happens.
    pub fn pass(&mut self, span: Span) {
        let until = self.now.plus(span);
        while self.now < until {
            self.now = self.now.plus(STEP).min(until);
            self.memory.set_now(self.now);
            self.settle();
        }
    }

    fn done(dispositions: &[Disposition]) {
        assert!(dispositions.iter().all(|d| *d == Disposition::Done), "{dispositions:?}");
    }

    fn fold(&self, record: QueueRecord) {
        let (memory, cache) = (&self.memory, CatalogCache::default());
        let records = vec![record];
        Self::done(&run(fold_profile::run(
            memory, memory, memory, &self.keys, &cache, records, self.now,
        )));
    }

    fn advance(&self, record: QueueRecord) {
        let (memory, cache) = (&self.memory, CatalogCache::default());
        Self::done(&run(advance_enrollment::run(memory, memory, &cache, vec![record], self.now)));
    }

    fn send(&self, record: QueueRecord) {
        let memory = &self.memory;
        let records = vec![record];
        Self::done(&run(send_message::run(
            &self.sending,
            memory,
            memory,
            memory,
            records,
            self.now,
        )));
    }

    /// Brings everything that is due to where it goes, until nothing is left.
    fn settle(&self) {
        loop {
            let mut still = true;
            for entry in self.memory.take_bus_entries() {
                still = false;
                let detail: Value = serde_json::from_str(&entry.detail).unwrap();
                let record = envelope(entry.detail_type, &detail);
                match entry.detail_type {
                    detail_type::SIGNAL_RAISED | detail_type::EVENT_FOLDED => self.advance(record),
                    detail_type::CONSENT_REQUESTED => self.send(record),
                    detail_type::CONSENT_CHANGED => self.fold(record),
                    _ => {}
                }
            }
            for row in self.memory.rows_of(Table::Due) {
                let wake: Wake = stored::decode(&row).unwrap();
                if wake.due <= self.now {
                    still = false;
                    let delete = Write::Delete { key: row.key, expect: Expect::Any };
                    run(self.memory.write(delete)).unwrap();
                    let owner = wake.owner.clone();
                    let body = serde_json::to_string(&Command::Wake(wake)).unwrap();
                    match owner {
                        Owner::Profile(_) => self.fold(record(&body)),
                        Owner::Enrollment(_) => self.advance(record(&body)),
                        Owner::Send(_) => self.send(record(&body)),
                    }
                }
            }
            for queue in [Queue::Profile, Queue::Journey, Queue::Sender] {
                for record in self.memory.take(queue, self.now) {
                    still = false;
                    match queue {
                        Queue::Profile => self.fold(record),
                        Queue::Journey => self.advance(record),
                        Queue::Sender => self.send(record),
                    }
                }
            }
            if still {
                return;
            }
        }
    }

    pub fn customer(&self, text: &str, wanted: Wanted) -> Customer {
        match run(find(&self.memory, &self.keys, text)).unwrap() {
            Whom::One(profile, root) => {
                run(gather(&self.memory, &self.keys, profile, &root, wanted, self.now)).unwrap()
            }
            other => panic!("{text}: {other:?}"),
        }
    }

    /// The page about a customer: its body, and the whole of it.
    pub fn page(&self, text: &str) -> (String, String) {
        let customer = self.customer(text, newest(50));
        let body = body(&customer, &newest(50));
        let shown = Shown::new(&self.built.workspace, 1);
        let whole = framed(&shown, &customer.name, "customers", &body);
        (body, whole)
    }
}

pub fn newest(events: usize) -> Wanted {
    Wanted { direction: Direction::NewestFirst, after: None, events }
}

fn envelope(detail_type: &str, detail: &Value) -> QueueRecord {
    let body =
        json!({"id": "e", "source": "odyssey.x", "detail-type": detail_type, "detail": detail});
    record(&body.to_string())
}

fn record(body: &str) -> QueueRecord {
    QueueRecord {
        message_id: "m".to_owned(),
        request_id: "r".to_owned(),
        receive_count: 1,
        body: body.to_owned(),
    }
}

/// Ann, who shopped on two devices, watched, complained, and left her cart.
pub fn ann() -> World {
    let mut world = World::new();
    let phone = json!({"anonymousId": "phone-1", "context": {"sessionId": "s1", "locale": "en-GB",
        "timezone": "Europe/London", "device": {"type": "ios"}, "campaign": {"name": "autumn", "source": "instagram"},
        "location": {"city": "Bristol", "country": "United Kingdom"}}});
    let user = json!({"userId": "ann"});
    let both = json!({"userId": "ann", "anonymousId": "laptop-7", "context": {"sessionId": "s2"}});
    let tent = json!({"product_id": "tent-2", "name": "Two-person tent", "category": "Tents", "brand": "Skerry",
        "price": 249, "currency": "EUR", "quantity": 1});
    let stove = json!({"product_id": "stove", "name": "Gas stove", "category": "Stoves", "brand": "Ember",
        "price": "39.50", "currency": "EUR", "quantity": 2});
    world.say(
        SourceKind::Browser,
        &phone,
        &json!({"type": "page", "name": "Home", "properties": {"path": "/"}}),
    );
    world.track(&phone, "Product Viewed", &tent);
    world.pass(Span::MINUTE.times(10));
    let left = json!({"path": "/tents/two-person", "seconds": 140, "scroll_depth": 80,
        "dwell": [{"product_id": "tent-2", "category": "Tents", "seconds": 120, "hovers": 3}]});
    world.track(&phone, "Page Left", &left);
    let traits = json!({"email": "ann@example.com", "first_name": "Ann", "last_name": "Berger", "plan": "club"});
    let linked = json!({"userId": "ann", "anonymousId": "phone-1"});
    world.say(SourceKind::Server, &linked, &json!({"type": "identify", "traits": traits}));
    world.consents("ann@example.com", "offers");
    world.track(&phone, "Product Added", &stove);
    let order = json!({"order_id": "o-1", "total": 79, "currency": "EUR", "products": [stove]});
    world.track(&both, "Order Completed", &order);
    world.pass(Span::DAY);
    for (video, genre) in [("Knots", "How-to"), ("Rain", "How-to"), ("The Crossing", "Documentary")]
    {
        let video =
            json!({"content_asset_id": video, "title": video, "genre": genre, "total_length": 600});
        world.track(&both, "Video Content Started", &video);
    }
    world.say(
        SourceKind::Server,
        &user,
        &json!({"type": "track", "name": "Ticket Opened",
        "properties": {"ticket_id": 7, "subject": "A pole is missing", "channel": "phone"}}),
    );
    world.say(
        SourceKind::Server,
        &user,
        &json!({"type": "track", "name": "Complaint Filed",
        "properties": {"ticket_id": 7, "about": "late parcel", "channel": "email"}}),
    );
    world.pass(Span::HOUR.times(2));
    world.track(&both, "Product Viewed", &tent);
    world.track(&both, "Product Added", &tent);
    // Told a day late by a till.
    let mut late: Event = serde_json::from_value(json!({"id": "till-9", "at": START.plus(Span::HOUR), "type": "track",
        "name": "Store Visited", "userId": "ann", "properties": {"channel": "in_person", "shop": "Bristol"}}))
    .unwrap();
    late.original = None;
    world.deliver(SourceKind::Server, vec![late]);
    world.pass(Span::HOUR.times(5));
    world
}
