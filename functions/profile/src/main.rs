//! `profile`: folds events into profiles and raises signals.

mod config;
mod handler;

use config::Config;
use odyssey_aws::lambda;
use odyssey_telemetry::Fatal;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Fatal> {
    odyssey_telemetry::init();
    let Config { tables, bus, queues, dead_letters, keyring, kept } =
        Config::from_process().await?;
    lambda::run_queue("profile", dead_letters, async |records, now| {
        handler::handle(&tables, &bus, &queues, &keyring, &kept, records, now).await
    })
    .await?;
    Ok(())
}
