//! `ingest` with a bus that takes everything and does nothing, for `cargo odyssey bench ingest`: the same handler behind the same runtime, so that what it takes beside the call to `EventBridge`
//! can be measured in a process of its own.

#[path = "../../../functions/ingest/src/handler.rs"]
mod handler;

use odyssey_aws::{Aws, Env, lambda};
use odyssey_flows::catalog::CatalogCache;
use odyssey_flows::ports::{Bus, BusEntry, PortError, Table};
use odyssey_telemetry::Fatal;
use std::hint::black_box;

/// Every entry is on it as soon as it is offered.
struct NoBus;

impl Bus for NoBus {
    async fn publish(&self, entries: &[BusEntry]) -> Result<Vec<usize>, PortError> {
        black_box(entries);
        Ok(Vec::new())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Fatal> {
    odyssey_telemetry::init();
    let env = Env::from_process();
    let aws = Aws::connect(&env);
    let tables = aws.tables(&[Table::Workspace]);
    env.finish()?;
    let keyring = aws.keyring().await?;
    let catalog = CatalogCache::default();
    lambda::run_http("ingest", async |request, now| {
        handler::handle(&tables, &NoBus, &keyring, &catalog, request, now).await
    })
    .await?;
    Ok(())
}
