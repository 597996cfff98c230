//! How many generated histories the laws look at.

/// So many as `HISTORIES` says where a test is run, otherwise as many as are usual for this law:
/// `HISTORIES=100000 cargo test --profile sim -p odyssey-domain laws`.
#[expect(
    clippy::disallowed_methods,
    reason = "no configuration of the domain, but of the run of its tests"
)]
pub(crate) fn histories(usual: u32) -> u32 {
    let told = std::env::var("HISTORIES").ok().and_then(|text| text.parse().ok());
    told.unwrap_or(usual)
}

/// The same for a law whose histories are so many times as long as the others': it takes that share
/// of `HISTORIES`.
pub(crate) fn long_histories(usual: u32, times: u32) -> u32 {
    match histories(0) {
        0 => usual,
        told => told.div_ceil(times),
    }
}
