//! `consent`: the pages behind the links in mails, and the consent API.

mod auth;
mod config;
mod fields;
mod handler;
mod pages;
mod words;

use odyssey_telemetry::Fatal;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Fatal> {
    odyssey_telemetry::init();
    let door = config::read().await?;
    let handle = |request, now| door.handle(request, now);
    Box::pin(odyssey_aws::lambda::run_http("consent", handle)).await?;
    Ok(())
}
