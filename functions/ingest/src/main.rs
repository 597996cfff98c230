//! `ingest`: the Segment tracking API. Validates, stamps once, publishes.

mod config;
mod handler;

use config::Config;
use odyssey_aws::{Env, lambda};
use odyssey_telemetry::Fatal;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Fatal> {
    odyssey_telemetry::init();
    let Config { tables, bus, keyring, catalog } = Config::load(&Env::from_process()).await?;
    lambda::run_http("ingest", async |request, now| {
        handler::handle(&tables, &bus, &keyring, &catalog, request, now).await
    })
    .await?;
    Ok(())
}
