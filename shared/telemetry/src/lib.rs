//! What a function says about itself: JSON log lines, one summary of each invocation that is also
//! a CloudWatch metric document, and errors with their causes.
//!
//! No line ever carries personal data: types of personal data redact themselves in `Debug`, error
//! texts hold none, and a panic is reported by its place alone.

mod chain;
mod metrics;
mod summary;

pub use chain::{Fatal, chain, one_line};
pub use metrics::{NAMESPACE, Unit, count, measure};
pub use summary::Summary;

use std::io::Write as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;

/// Sets up logging: JSON lines on the standard output at the level in `LOG_LEVEL` (`INFO` where it
/// is absent or not a level), and a panic hook that reports where, never what. A second call
/// changes nothing.
pub fn init() {
    let level = std::env::var("LOG_LEVEL").ok().and_then(|text| text.parse().ok());
    let level = level.unwrap_or(LevelFilter::INFO);
    // The SDK and the runtime log request bodies at DEBUG; only our own crates go that low.
    let targets = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_targets(OWN.iter().map(|target| (*target, level)));
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false);
    let subscriber = tracing_subscriber::registry().with(lines).with(targets);
    // Fails only where a subscriber is set already, which then stays.
    let _ = tracing::subscriber::set_global_default(subscriber);
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panicked");
    }));
}

/// The crates whose lines follow `LOG_LEVEL`.
const OWN: [&str; 12] = [
    "odyssey_aws",
    "odyssey_flows",
    "odyssey_domain",
    "odyssey_telemetry",
    "ingest",
    "profile",
    "journey",
    "tick",
    "sender",
    "feedback",
    "consent",
    "odyssey_local",
];

/// Writes one line to the standard output; a closed output is no reason to fail an invocation.
pub(crate) fn write_line(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(line.as_bytes());
    let _ = out.write_all(b"\n");
    let _ = out.flush();
}
