//! `tick`: every minute, hands over the timers that are due or soon will be.

mod config;
mod handler;

use odyssey_telemetry::Fatal;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Fatal> {
    odyssey_telemetry::init();
    let config = config::Config::read()?;
    let handle = |now, deadline| handler::handle(&config.tables, &config.queues, now, deadline);
    odyssey_aws::lambda::run_schedule("tick", handle).await?;
    Ok(())
}
