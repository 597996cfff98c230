//! A shop's month, event by event, through what `ingest`, `profile` and `tick` do, over the ports in
//! memory: for measuring, and for seeing that nothing is lost on the way.
//!
//! Everything follows from the [`Shape`]. Time is the shop's own: visits are spread over thirty
//! days, timers are swept each hour of it. Some requests come twice, some days late.

use crate::{Memory, row_bytes, run};
use odyssey_domain::catalog::Catalog;
use odyssey_domain::ids::IdentityKey;
use odyssey_domain::keyring::Keyring;
use odyssey_domain::profile::{IdentityItem, Root};
use odyssey_domain::signal::{SignalKind, SignalRule};
use odyssey_domain::time::{Span, Stamp};
use odyssey_domain::wire::detail_type;
use odyssey_flows::accept_events::{ApiRequest, Ingest};
use odyssey_flows::catalog::{CatalogCache, Publication, publish};
use odyssey_flows::fold_profile::{Counts, run_counted};
use odyssey_flows::ports::{Queue, Table};
use odyssey_flows::queue::{Disposition, QueueRecord};
use odyssey_flows::read_timeline::{Direction, page};
use odyssey_flows::{stored, sweep_due};
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// When the month begins.
const START: Stamp = Stamp::from_ms(1_795_000_000_000);
/// How long it is.
const MONTH: Span = Span::DAY.times(30);
/// Records of one invocation of `profile`, as the template has it.
const RECORDS: usize = 10;
/// One request in so many is sent again; as many come three days late.
const ONE_IN: u64 = 50;

/// What is replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// How many events, at least one; rounded up to whole requests.
    pub events: u64,
    /// Of how many customers.
    pub customers: u64,
    /// How many of one customer are in one request.
    pub per_request: u64,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    /// Distinct events that were sent.
    pub sent: u64,
    /// Requests, those that came twice among them.
    pub requests: u64,
    /// Events that are new in a profile.
    pub folded: u64,
    /// Events that were known already.
    pub duplicates: u64,
    /// Signals published.
    pub signals: u64,
    /// Timers that fired.
    pub woken: u64,
    /// Rows and their bytes, by table.
    pub stored: BTreeMap<&'static str, (u64, u64)>,
    /// The largest profile's item, in bytes.
    pub largest: u64,
}

/// Why a replay is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The workspace or its key is not accepted.
    #[error("the replay's own workspace is refused: {0}")]
    Workspace(String),
    /// A request was not accepted.
    #[error("a request was answered with {0}")]
    Refused(u16),
    /// A record was not folded.
    #[error("a record was not folded: {0}")]
    NotFolded(String),
    /// What was sent and what is in the profiles differ.
    #[error("{sent} events were sent, {folded} are in profiles")]
    Lost {
        /// Distinct events sent.
        sent: u64,
        /// Their number by the profiles' own facts.
        folded: u64,
    },
    /// A row cannot be read, or a history does not hold what its profile does.
    #[error("{0}")]
    Stored(String),
}

/// A replay under way.
#[derive(Debug)]
pub struct Replay {
    shape: Shape,
    memory: Memory,
    keyring: Keyring,
    cache: CatalogCache,
    key: String,
    now: Stamp,
    swept: Stamp,
    records: Vec<QueueRecord>,
    request: u64,
    figures: Figures,
}

/// The rules that a shop would publish; the catalog is read from JSON, so that what it does not
/// say has its default.
fn catalog() -> Result<Catalog, serde_json::Error> {
    let kinds = [
        SignalKind::CartAbandoned,
        SignalKind::BrowseAbandoned,
        SignalKind::CheckoutAbandoned,
        SignalKind::FirstPurchase,
        SignalKind::RepeatPurchase,
        SignalKind::InterestShown,
    ];
    let rules = kinds.map(|kind| SignalRule::new(kind, &[kind.default_threshold()]));
    serde_json::from_value(json!({
        "published": START,
        "sources": {"web": {"kind": "browser", "key_generation": 1}},
        "topics": {}, "journeys": {}, "mails": {}, "confirmation_mail": "confirm",
        "brand": {"name": "Replay", "from": "hello@replay.example", "postal_address": "1 Street",
            "website": "https://replay.example", "allowed_hosts": []},
        "signals": rules,
        "watched": [{"event": "Order Completed", "tests": []}],
        "forwarded": ["Order Completed"],
    }))
}

impl Replay {
    /// An empty stack with a published workspace.
    ///
    /// # Errors
    /// Never in fact: the workspace is written here.
    pub fn new(shape: Shape) -> Result<Replay, ReplayError> {
        let workspace = |error: &dyn std::fmt::Display| ReplayError::Workspace(error.to_string());
        let memory = Memory::new();
        memory.set_now(START);
        let catalog = catalog().map_err(|error| workspace(&error))?;
        let publication =
            Publication { catalog, journeys: BTreeMap::new(), mails: BTreeMap::new() };
        run(publish(&memory, &publication)).map_err(|error| workspace(&error))?;
        let keyring = Keyring::parse(r#"{"k1":"0123456789abcdef0123456789abcdef"}"#)
            .map_err(|error| workspace(&error))?;
        let key = keyring.write_key("web", 1);
        Ok(Replay {
            shape,
            memory,
            keyring,
            cache: CatalogCache::default(),
            key,
            now: START,
            swept: START,
            records: Vec::new(),
            request: 0,
            figures: Figures::default(),
        })
    }

    /// Distinct events sent so far.
    #[must_use]
    pub const fn sent(&self) -> u64 {
        self.figures.sent
    }

    /// Sends the next request; false where there is none.
    ///
    /// # Errors
    /// Where it is not accepted, or not folded.
    pub fn step(&mut self) -> Result<bool, ReplayError> {
        let per_request = self.shape.per_request.max(1);
        let requests = self.shape.events.div_ceil(per_request);
        if self.request >= requests {
            self.fold()?;
            return Ok(false);
        }
        let n = self.request;
        self.request += 1;
        let passed = u128::from(MONTH.ms()) * u128::from(n) / u128::from(requests.max(1));
        self.now = START.plus(Span::from_ms(u64::try_from(passed).unwrap_or(0)));
        self.memory.set_now(self.now);
        let body = self.body(n, per_request);
        self.figures.sent += per_request;
        let again = mixed(n ^ 0xA6A1).is_multiple_of(ONE_IN);
        for _ in 0..=u8::from(again) {
            self.post(n, body.clone())?;
        }
        if self.records.len() >= RECORDS {
            self.fold()?;
        }
        if self.now.since(self.swept) >= Span::HOUR {
            self.fold()?;
            self.sweep()?;
        }
        Ok(true)
    }

    fn post(&mut self, n: u64, body: Vec<u8>) -> Result<(), ReplayError> {
        let ingest = Ingest {
            tables: &self.memory,
            bus: &self.memory,
            keyring: &self.keyring,
            catalog: &self.cache,
        };
        let request = ApiRequest {
            method: "POST".to_owned(),
            path: "/v1/batch".to_owned(),
            body,
            id: format!("request-{n}"),
            ..ApiRequest::default()
        };
        let reply = run(ingest.accept(request, self.now));
        self.figures.requests += 1;
        if reply.status != 200 || reply.refused > 0 {
            return Err(ReplayError::Refused(reply.status));
        }
        self.take_bus();
        Ok(())
    }

    /// Brings what is on the bus to `profile`'s queue; signals are counted.
    fn take_bus(&mut self) {
        for entry in self.memory.take_bus_entries() {
            match entry.detail_type {
                detail_type::EVENTS_ACCEPTED => {
                    let body = format!(
                        r#"{{"id":"e","source":"{}","detail-type":"{}","detail":{}}}"#,
                        entry.source, entry.detail_type, entry.detail
                    );
                    let at = self.records.len();
                    self.records.push(record(at, body));
                }
                detail_type::SIGNAL_RAISED => self.figures.signals += 1,
                _ => {}
            }
        }
    }

    fn fold(&mut self) -> Result<(), ReplayError> {
        let records = std::mem::take(&mut self.records);
        if !records.is_empty() {
            let counts = self.run_profile(records)?;
            self.figures.folded += u64::try_from(counts.folded).unwrap_or(0);
            self.figures.duplicates += u64::try_from(counts.duplicates).unwrap_or(0);
        }
        Ok(())
    }

    fn run_profile(&mut self, records: Vec<QueueRecord>) -> Result<Counts, ReplayError> {
        let Replay { memory, keyring, cache, .. } = self;
        let (dispositions, counts) =
            run(run_counted(memory, memory, memory, keyring, cache, records, self.now));
        if let Some(other) = dispositions.iter().find(|done| **done != Disposition::Done) {
            return Err(ReplayError::NotFolded(format!("{other:?}")));
        }
        self.memory.forget_tokens();
        self.take_bus();
        Ok(counts)
    }

    /// An hour has passed: what is due by now fires.
    fn sweep(&mut self) -> Result<(), ReplayError> {
        self.swept = self.now;
        run(sweep_due::run(&self.memory, &self.memory, self.now, || false));
        let due = self.memory.take(Queue::Profile, self.now);
        for some in due.chunks(RECORDS) {
            self.figures.woken += u64::try_from(some.len()).unwrap_or(0);
            self.run_profile(some.to_vec())?;
        }
        Ok(())
    }

    /// Counts what is stored, and holds it to what was sent: each profile's own number of events,
    /// and the whole history of `histories` of them.
    ///
    /// # Errors
    /// Where they differ.
    pub fn end(mut self, histories: usize) -> Result<Figures, ReplayError> {
        let unreadable = |error: &dyn std::fmt::Display| ReplayError::Stored(error.to_string());
        let mut folded = 0;
        let mut checked = 0;
        let tables =
            [("profiles", Table::Profiles), ("timeline", Table::Timeline), ("due", Table::Due)];
        for (name, table) in tables {
            let rows = self.memory.rows_of(table);
            let bytes = |row| u64::try_from(row_bytes(row)).unwrap_or(u64::MAX);
            let all: u64 = rows.iter().map(bytes).sum();
            self.figures.stored.insert(name, (u64::try_from(rows.len()).unwrap_or(0), all));
            for row in rows.iter().filter(|row| row.key.sk == "identity") {
                self.figures.largest = self.figures.largest.max(bytes(row));
                let item: IdentityItem = stored::decode(row).map_err(|e| unreadable(&e))?;
                let IdentityItem::Root(root) = item else { continue };
                let total = root.facts().total;
                folded += total;
                if checked < histories
                    && let Ok(own) = row.key.pk.parse::<IdentityKey>()
                {
                    checked += 1;
                    self.is_whole(own, &root, total)?;
                }
            }
        }
        if folded != self.figures.sent {
            return Err(ReplayError::Lost { sent: self.figures.sent, folded });
        }
        Ok(self.figures)
    }

    fn is_whole(&self, own: IdentityKey, root: &Root, total: u64) -> Result<(), ReplayError> {
        let owners = root.owners(own.into());
        let (mut told, mut after) = (0, None);
        loop {
            let page = run(page(&self.memory, &owners, Direction::NewestFirst, after, 500))
                .map_err(|error| ReplayError::Stored(error.to_string()))?;
            told += u64::try_from(page.events.len()).unwrap_or(0);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        if told == total {
            return Ok(());
        }
        Err(ReplayError::Stored(format!("a profile has {total} events, its history {told}")))
    }

    /// A request of one customer: what a visit of ten events looks like, over and over.
    fn body(&self, n: u64, events: u64) -> Vec<u8> {
        let customer = mixed(n) % self.shape.customers.max(1);
        let late =
            if mixed(n ^ 0x1A7E).is_multiple_of(ONE_IN) { Span::DAY.times(3) } else { Span::ZERO };
        let begun = self.now.minus(late).minus(Span::MINUTE);
        let mut body = format!(r#"{{"writeKey":"{}","sentAt":"{}","batch":["#, self.key, self.now);
        for at in 0..events {
            let comma = if at == 0 { "" } else { "," };
            let stamp = begun.plus(Span::SECOND.times(at * 50 / events.max(1)));
            // Writing to a String cannot fail.
            let _ = write!(body, "{comma}{}", event(n, at, customer, stamp));
        }
        body.push_str("]}");
        body.into_bytes()
    }
}

fn record(at: usize, body: String) -> QueueRecord {
    QueueRecord {
        message_id: format!("message-{at}"),
        request_id: "request".to_owned(),
        receive_count: 1,
        body,
    }
}

/// Numbers (the finalizer of `SplitMix64`) without a pattern, the same in every run.
const fn mixed(n: u64) -> u64 {
    let n = n.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    n ^ (n >> 31)
}

/// One event of about a kilobyte.
fn event(n: u64, at: u64, customer: u64, stamp: Stamp) -> String {
    let draw = mixed(n.wrapping_mul(31).wrapping_add(at));
    let product = draw % 200;
    let thing = format!(
        r#""product_id":"p-{product}","name":"Product number {product}","category":"Category {}","brand":"Brand {}","price":{}.50,"currency":"EUR","quantity":{},"url":"https://replay.example/products/p-{product}","image_url":"https://replay.example/images/p-{product}.jpg""#,
        product % 12,
        product % 30,
        product + 5,
        1 + draw % 2
    );
    let (call, properties) = match (at % 10, n % 10) {
        (0, _) => (r#""type":"page","name":"Home""#, r#""path":"/","title":"Home""#.to_owned()),
        (3 | 6, _) => (
            r#""type":"track","event":"Page Left""#,
            format!(
                r#""path":"/products/p-{product}","seconds":{},"scroll_depth":{},"dwell":[{{"product_id":"p-{product}","category":"Category {}","seconds":{},"hovers":2}}]"#,
                10 + draw % 90,
                draw % 101,
                product % 12,
                5 + draw % 30
            ),
        ),
        (7, 0..3) => (r#""type":"track","event":"Product Added""#, thing),
        (8, 0) => (r#""type":"track","event":"Checkout Started""#, thing),
        (9, 0) => (
            r#""type":"track","event":"Order Completed""#,
            format!(
                r#""order_id":"o-{n}-{at}","total":{}.50,"currency":"EUR","products":[{{{thing}}}]"#,
                product + 5
            ),
        ),
        _ => (r#""type":"track","event":"Product Viewed""#, thing),
    };
    // Every second customer signs in, on a device of their own.
    let user = if customer.is_multiple_of(2) && at > 0 {
        format!(r#""userId":"user-{customer}","#)
    } else {
        String::new()
    };
    format!(
        r#"{{{call},{user}"anonymousId":"device-{customer}","messageId":"ajs-next-{n}-{at}","timestamp":"{stamp}","properties":{{{properties}}},"context":{{"sessionId":"{n}","locale":"en-GB","timezone":"Europe/Berlin","library":{{"name":"odyssey.js","version":"1.0.0"}},"page":{{"path":"/products/p-{product}","referrer":"https://www.search.example/","title":"Product number {product}","url":"https://replay.example/products/p-{product}?utm_source=mail"}},"screen":{{"width":1440,"height":900,"density":2}},"campaign":{{"name":"autumn","source":"mail","medium":"newsletter"}},"ip":"203.0.113.7","userAgent":"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15"}}}}"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_month_is_all_there() {
        let shape = Shape { events: 3_000, customers: 40, per_request: 10 };
        let mut replay = Replay::new(shape).unwrap();
        while replay.step().unwrap() {}
        let figures = replay.end(usize::MAX).unwrap();
        assert_eq!((figures.sent, figures.folded), (3_000, 3_000));
        assert!(figures.duplicates > 0 && figures.signals > 0 && figures.woken > 0, "{figures:?}");
        let bytes = event(1, 1, 1, START).len();
        assert!((900..1_200).contains(&bytes), "{bytes}");
    }
}
