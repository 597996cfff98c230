//! `journey`: lets profiles into journeys, moves enrollments on, asks for sends.

// The future of a whole invocation, from the runtime down to an SDK call, is nested deeper than
// the default of 128.
#![recursion_limit = "256"]

mod config;
mod handler;

use odyssey_telemetry::Fatal;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Fatal> {
    odyssey_telemetry::init();
    let config = config::Config::read().await?;
    let handle =
        |records, now| handler::handle(&config.tables, &config.queues, &config.cache, records, now);
    odyssey_aws::lambda::run_queue("journey", config.dead_letters.clone(), handle).await?;
    Ok(())
}
