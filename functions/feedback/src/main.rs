//! `feedback`: settles sends by SES's own events and suppresses the addresses that bounced or
//! complained.

mod config;
mod handler;

use odyssey_telemetry::Fatal;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Fatal> {
    odyssey_telemetry::init();
    let config = config::Config::read().await?;
    let handle =
        |records, now| handler::handle(&config.tables, &config.bus, &config.keys, records, now);
    let dead_letters = config.dead_letters.clone();
    Box::pin(odyssey_aws::lambda::run_queue("feedback", dead_letters, handle)).await?;
    Ok(())
}
