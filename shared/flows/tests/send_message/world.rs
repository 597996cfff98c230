//! A stack with a published workspace, a customer, and requests to send.

use odyssey_domain::catalog::{Brand, Catalog, SourceName, Topic, TopicKind};
use odyssey_domain::contact::{ConsentState, Contact, TopicId};
use odyssey_domain::event::Event;
use odyssey_domain::ids::{ContactKey, ContentHash, EnrollmentId, ProfileId, SendId};
use odyssey_domain::journey::{JourneyId, SlotId, StepId};
use odyssey_domain::keyring::Keyring;
use odyssey_domain::message::{LedgerItem, Mail, MailId};
use odyssey_domain::pacing::Pacing;
use odyssey_domain::personal::{EmailAddress, UserId};
use odyssey_domain::time::{Span, Stamp};
use odyssey_domain::wire::{
    Command, ConsentRequested, EventsAccepted, SendRequested, SourceKind, SourceRef, Why,
    detail_type,
};
use odyssey_flows::catalog::{CatalogCache, Publication, publish};
use odyssey_flows::ports::{Consistency, Row, Table};
use odyssey_flows::queue::{Disposition, QueueRecord};
use odyssey_flows::send_message::{self, Sending};
use odyssey_flows::set_consent::{self, Change, Manner};
use odyssey_flows::{contacts, fold_profile, ledger, record_feedback};
use odyssey_testkit::{Memory, run, run_or_halt};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::OnceLock;

pub const NOW: Stamp = Stamp::from_ms(1_795_000_000_000);
pub const ADDRESS: &str = "ann@example.com";

pub struct World {
    pub memory: Memory,
    pub sending: Sending,
}

pub fn keys() -> Keyring {
    Keyring::parse(r#"{"k1":"0123456789abcdef0123456789abcdef"}"#).unwrap()
}

pub fn topic(name: &str) -> TopicId {
    TopicId::parse(name).unwrap()
}

pub fn address() -> EmailAddress {
    EmailAddress::parse(ADDRESS).unwrap()
}

pub fn ann() -> ProfileId {
    keys().user_key(&UserId::parse("ann").unwrap()).into()
}

pub fn contact_key() -> ContactKey {
    keys().contact_key(&address())
}

fn mail(id: &str, subject: &str, html: &str, text: &str) -> Mail {
    Mail {
        id: MailId::parse(id).unwrap(),
        subject: subject.to_owned(),
        preview: String::new(),
        html: html.to_owned(),
        text: text.to_owned(),
    }
}

fn mails() -> Vec<Mail> {
    vec![
        mail(
            "remind",
            "{{ profile.first_name|default('Hello') }}, your cart waits",
            "<body>{{ profile.first_name|default('you') }} \
             <a href=\"{{ links.unsubscribe }}\">leave</a></body>",
            "Leave: {{ links.unsubscribe }}",
        ),
        mail(
            "confirm",
            "Confirm {{ topic.title }}",
            "<body>{{ links.confirm }}</body>",
            "{{ links.confirm }}",
        ),
        mail("broken", "Hi", "<body>{{ profile.shoe_size }}</body>", ""),
    ]
}

pub fn publication() -> Publication {
    let mails: BTreeMap<ContentHash, Mail> = mails()
        .into_iter()
        .map(|mail| (ContentHash::of(&serde_json::to_vec(&mail).unwrap()), mail))
        .collect();
    let kind = |title: &str, kind| Topic::new(title, kind);
    Publication {
        catalog: Catalog {
            published: Stamp::MIN,
            sources: BTreeMap::new(),
            pacing: Pacing::default(),
            topics: BTreeMap::from([
                (topic("offers"), kind("Offers", TopicKind::Marketing)),
                (topic("receipts"), kind("Receipts", TopicKind::Transactional)),
            ]),
            brand: Brand {
                name: "Käse & Co".to_owned(),
                from: EmailAddress::parse("shop@example.com").unwrap(),
                reply_to: Some(EmailAddress::parse("help@example.com").unwrap()),
                postal_address: "1 Road, Town".to_owned(),
                website: "https://shop.example.com".to_owned(),
                allowed_hosts: Vec::new(),
            },
            signals: Vec::new(),
            segments: BTreeMap::new(),
            journeys: BTreeMap::new(),
            mails: mails.iter().map(|(hash, mail)| (mail.id.clone(), *hash)).collect(),
            confirmation_mail: MailId::parse("confirm").unwrap(),
            watched: Vec::new(),
            retired: Vec::new(),
            computed_traits: odyssey_domain::profile::ComputedTraits::default(),
            forwarded: Vec::new(),
            plan: odyssey_domain::plan::Declared::default(),
        },
        journeys: BTreeMap::new(),
        mails,
    }
}

impl World {
    /// A published workspace and nobody.
    pub fn empty() -> World {
        let memory = Memory::new();
        memory.set_now(NOW);
        run(publish(&memory, &publication())).unwrap();
        World { memory, sending: Sending::new(keys(), "https://o.example.com/") }
    }

    /// With Ann, who has an address, and whose server granted offers.
    pub fn with_ann() -> World {
        static ROWS: OnceLock<Vec<Row>> = OnceLock::new();
        let rows = ROWS.get_or_init(|| {
            let world = World::empty();
            world.identify(&json!({ "email": ADDRESS, "first_name": "Ann" }));
            world.set("offers", ConsentState::Granted);
            world.memory.rows()
        });
        let memory = Memory::new();
        memory.set_now(NOW);
        for row in rows {
            memory.seed(row.clone());
        }
        World { memory, sending: Sending::new(keys(), "https://o.example.com/") }
    }

    /// What a server says of Ann.
    pub fn identify(&self, traits: &Value) {
        let id = ContentHash::of(traits.to_string().as_bytes()).to_string();
        let event: Event = serde_json::from_value(json!({
            "id": id, "at": NOW, "type": "identify", "userId": "ann", "user_id": "ann",
            "traits": traits,
        }))
        .unwrap();
        self.fold(event, NOW);
    }

    /// A server's event reaches its profile.
    pub fn fold(&self, event: Event, now: Stamp) {
        let detail = EventsAccepted {
            v: 1,
            request: "r".to_owned(),
            received: now,
            source: SourceRef { name: "shop".to_owned(), kind: SourceKind::Server },
            events: vec![event],
        };
        let record = envelope(detail_type::EVENTS_ACCEPTED, &serde_json::to_value(detail).unwrap());
        let (memory, cache) = (&self.memory, CatalogCache::default());
        let folded =
            run(fold_profile::run(memory, memory, memory, &keys(), &cache, vec![record], now));
        assert_eq!(folded, [Disposition::Done]);
    }

    /// A server sets a consent of Ann's address.
    pub fn set(&self, name: &str, state: ConsentState) {
        run(set_consent::change(&self.memory, &self.memory, &change(name, state), NOW)).unwrap();
    }

    async fn sender(&self, records: Vec<QueueRecord>, now: Stamp) -> Vec<Disposition> {
        let memory = &self.memory;
        send_message::run(&self.sending, memory, memory, memory, records, now).await
    }

    pub fn deliver(&self, records: Vec<QueueRecord>, now: Stamp) -> Vec<Disposition> {
        run(self.sender(records, now))
    }

    /// None where the function was killed.
    pub fn deliver_or_halt(&self, record: QueueRecord, now: Stamp) -> Option<Disposition> {
        let records = vec![record];
        run_or_halt(self.sender(records, now)).map(|dispositions| dispositions[0].clone())
    }

    pub fn deliver_done(&self, record: QueueRecord) {
        assert_eq!(self.deliver(vec![record], NOW), [Disposition::Done]);
    }

    /// A count since it was last asked for; the others begin again, too.
    pub fn counted(&self, metric: &str) -> u64 {
        let counts = self.sending.tally.take();
        counts.into_iter().find(|(name, _)| *name == metric).unwrap().1
    }

    pub fn feedback(&self, body: &str) -> Disposition {
        let records = vec![record("f", 1, body)];
        run(record_feedback::run(&self.memory, &self.memory, &keys(), records, NOW)).remove(0)
    }

    pub fn ledger(&self, send: SendId) -> Option<LedgerItem> {
        run(ledger::load(&self.memory, send, Consistency::Strong)).unwrap().map(|found| found.item)
    }

    pub fn contact(&self) -> Option<Contact> {
        run(contacts::load(&self.memory, contact_key(), Consistency::Strong))
            .unwrap()
            .map(|found| found.item)
    }

    /// The rows that sending may change.
    pub fn stored(&self) -> Vec<Row> {
        let mut rows = self.memory.rows_of(Table::Ledger);
        rows.extend(self.memory.rows_of(Table::Contacts));
        rows
    }
}

pub fn change(name: &str, state: ConsentState) -> Change {
    Change {
        contact: contact_key(),
        profile: None,
        topic: topic(name),
        state,
        manner: Manner::Api(SourceName::parse("shop").unwrap()),
    }
}

pub fn send_id() -> SendId {
    SendId::derive(EnrollmentId::derive("cart-recovery", "", "signal"), "remind", 0)
}

pub fn request(mail: &str, name: &str) -> SendRequested {
    SendRequested {
        send: send_id(),
        profile: ann(),
        slot: SlotId {
            profile: ann(),
            journey: JourneyId::parse("cart-recovery").unwrap(),
            key: odyssey_domain::ids::EnrollmentKeyHash::of(""),
        },
        journey: JourneyId::parse("cart-recovery").unwrap(),
        step: StepId::parse("remind").unwrap(),
        mail: MailId::parse(mail).unwrap(),
        topic: topic(name),
        due: NOW,
        enrolled: None,
        why: Why { trigger: "signal Cart Abandoned after 4h".to_owned(), ..Why::default() },
    }
}

/// The `receipt`-th delivery of a request.
pub fn asked(mail: &str, name: &str, receipt: u32) -> QueueRecord {
    let command = Command::Send(Box::new(request(mail, name)));
    record("m", receipt, &serde_json::to_string(&command).unwrap())
}

pub fn offers(receipt: u32) -> QueueRecord {
    asked("remind", "offers", receipt)
}

pub fn wants(name: &str, at: Stamp, receipt: u32) -> QueueRecord {
    let detail = ConsentRequested {
        v: 1,
        email: address(),
        topic: topic(name),
        profile: Some(ann()),
        at,
        via: "web".to_owned(),
    };
    let event = envelope(detail_type::CONSENT_REQUESTED, &serde_json::to_value(detail).unwrap());
    QueueRecord {
        receive_count: receipt,
        request_id: format!("request-{receipt}-{}", at.ms()),
        ..event
    }
}

pub fn record(id: &str, receipt: u32, body: &str) -> QueueRecord {
    QueueRecord {
        message_id: id.to_owned(),
        request_id: format!("request-{receipt}"),
        receive_count: receipt,
        body: body.to_owned(),
    }
}

pub fn envelope(detail_type: &str, detail: &Value) -> QueueRecord {
    let body = json!({"id": "e", "source": "odyssey.x", "detail-type": detail_type,
        "detail": detail});
    record("m", 1, &body.to_string())
}

pub fn seconds(n: u64) -> Stamp {
    NOW.plus(Span::SECOND.times(n))
}

/// SES's event of a mail of ours.
pub fn ses_event(kind: &str, send: SendId, ses_id: &str, part: &Value) -> String {
    let mut event = json!({
        "eventType": kind,
        "mail": {
            "timestamp": "2026-11-18T12:00:00.000Z", "messageId": ses_id,
            "destination": [ADDRESS], "tags": { "send_id": [send.to_string()] },
        },
    });
    if let (Some(event), Some(part)) = (event.as_object_mut(), part.as_object()) {
        event.extend(part.clone());
    }
    event.to_string()
}
