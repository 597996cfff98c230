//! `sender`: decides, claims, renders and sends what its queue asks for.

mod config;
mod handler;

use config::Config;
use odyssey_telemetry::Fatal;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Fatal> {
    odyssey_telemetry::init();
    let config = Config::read().await?;
    let handle = |records, now| {
        let Config { sending, tables, queues, mailer, .. } = &config;
        handler::handle(sending, tables, queues, mailer, records, now)
    };
    let dead_letters = config.dead_letters.clone();
    Box::pin(odyssey_aws::lambda::run_queue("sender", dead_letters, handle)).await?;
    Ok(())
}
