//! The instructions that accepting a request of 20 events of 1.15 KB takes, counted by callgrind:
//! everything between the HTTP request and the call to the bus. `docs/COST.md` keeps the count; a
//! rise of more than 1 % is explained there.
//!
//! `cargo bench -p odyssey-flows --features callgrind --bench instructions` needs valgrind and
//! `cargo install gungraun-runner` of the same version as the library.

#![expect(clippy::unwrap_used, reason = "a benchmark may fail")]
#![expect(missing_docs, unused_qualifications, reason = "what gungraun's macros expand to")]

#[path = "../../domain/benches/work/parsing.rs"]
mod parsing;

use gungraun::{library_benchmark, library_benchmark_group, main};
use odyssey_domain::catalog::Catalog;
use odyssey_domain::keyring::Keyring;
use odyssey_domain::time::Stamp;
use odyssey_flows::accept_events::{ApiRequest, Ingest, Reply};
use odyssey_flows::catalog::{CatalogCache, Publication, publish};
use odyssey_flows::ports::{Bus, BusEntry, PortError};
use odyssey_testkit::{Memory, run};
use serde_json::json;
use std::collections::BTreeMap;
use std::hint::black_box;

const NOW: Stamp = Stamp::from_ms(1_795_289_101_000);

/// Every entry is on it as soon as it is offered.
struct NoBus;

impl Bus for NoBus {
    async fn publish(&self, entries: &[BusEntry]) -> Result<Vec<usize>, PortError> {
        black_box(entries);
        Ok(Vec::new())
    }
}

/// A warm `ingest` and a request to it.
struct Warm {
    memory: Memory,
    keyring: Keyring,
    catalog: CatalogCache,
    request: ApiRequest,
}

impl Warm {
    fn accept(&self, request: ApiRequest) -> Reply {
        let ingest = Ingest {
            tables: &self.memory,
            bus: &NoBus,
            keyring: &self.keyring,
            catalog: &self.catalog,
        };
        run(ingest.accept(request, NOW))
    }
}

fn warm() -> Warm {
    let keyring = Keyring::parse(r#"{"k1":"0123456789abcdef0123456789abcdef"}"#).unwrap();
    let memory = Memory::new();
    let catalog: Catalog = serde_json::from_value(json!({
        "published": NOW, "sources": {"shop": {"kind": "server", "key_generation": 1}},
        "topics": {}, "signals": [], "journeys": {}, "mails": {}, "watched": [], "forwarded": [],
        "confirmation_mail": "confirm",
        "brand": {
            "name": "Shop", "from": "shop@example.com", "postal_address": "1 Street",
            "website": "https://example.com", "allowed_hosts": [],
        },
    }))
    .unwrap();
    let (journeys, mails) = (BTreeMap::new(), BTreeMap::new());
    run(publish(&memory, &Publication { catalog, journeys, mails })).unwrap();
    let pair = format!("{}:", keyring.write_key("shop", 1));
    let request = ApiRequest {
        method: "POST".to_owned(),
        path: "/v1/batch".to_owned(),
        authorization: Some(format!("Basic {}", data_encoding::BASE64.encode(pair.as_bytes()))),
        body: parsing::body().into_bytes(),
        id: "JKJaXmPLvHcESHA=".to_owned(),
        ..ApiRequest::default()
    };
    let warm = Warm { memory, keyring, catalog: CatalogCache::default(), request };
    let reply = warm.accept(warm.request.clone());
    assert_eq!((reply.status, reply.accepted), (200, 20), "{}", reply.body);
    warm
}

#[library_benchmark]
#[bench::twenty_events(warm())]
fn accept(mut warm: Warm) -> (Warm, Reply) {
    let request = std::mem::take(&mut warm.request);
    let reply = warm.accept(black_box(request));
    (warm, reply)
}

library_benchmark_group!(name = flows, benchmarks = [accept]);

main!(library_benchmark_groups = flows);
