//! The one reader of the clock.
//!
//! Under the Cargo feature `local-clock`, which no deployable build has, `ODYSSEY_CLOCK` may scale
//! time, and only where `AWS_ENDPOINT_URL` is on this machine.

use odyssey_domain::time::Stamp;
use std::time::{SystemTime, UNIX_EPOCH};

/// The time.
#[must_use]
pub fn now() -> Stamp {
    let real = real_ms();
    #[cfg(feature = "local-clock")]
    let real = local::scaled(real);
    Stamp::from_ms(i64::try_from(real).unwrap_or(i64::MAX))
}

/// The machine's own time in milliseconds since 1970, never scaled: for deadlines and metrics.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the clock adaptor")]
pub(crate) fn real_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Notes a fault where `ODYSSEY_CLOCK` may not be followed.
#[cfg(feature = "local-clock")]
pub(crate) fn check(env: &crate::Env) {
    if let Some(text) = env.optional(local::VARIABLE) {
        let endpoint = env.optional("AWS_ENDPOINT_URL").unwrap_or_default();
        if let Err(fault) = local::Source::parse(&text, &endpoint) {
            env.fault(local::VARIABLE, fault.expected(), fault.found());
        }
    }
}

#[cfg(feature = "local-clock")]
mod local {
    use std::path::PathBuf;
    use std::sync::{Mutex, OnceLock, PoisonError};

    /// `<real epoch ms>,<virtual epoch ms>,<rate>,<latest virtual epoch ms>`, or `file:` and the path
    /// of a file in which that is kept and replaced.
    pub(super) const VARIABLE: &str = "ODYSSEY_CLOCK";

    /// Where the scale is told.
    #[derive(Debug)]
    pub(super) enum Source {
        /// Once for all time.
        Fixed(Scale),
        /// In a file; this is what it said last, for when it has gone.
        File(PathBuf, Mutex<Scale>),
    }

    /// At `real` it was `shown`, and time runs `rate` times as fast, up to `latest`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(super) struct Scale {
        real: u64,
        shown: u64,
        rate: u64,
        latest: u64,
    }

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(super) enum ScaleFault {
        Malformed,
        NotLoopback,
    }

    impl ScaleFault {
        pub(super) const fn expected(self) -> &'static str {
            match self {
                ScaleFault::Malformed => {
                    "four whole numbers: real ms, shown ms, rate, latest ms; or file: and a path to them"
                }
                ScaleFault::NotLoopback => "an AWS_ENDPOINT_URL on this machine",
            }
        }

        pub(super) const fn found(self) -> &'static str {
            match self {
                ScaleFault::Malformed => "something else",
                ScaleFault::NotLoopback => "none, or one elsewhere",
            }
        }
    }

    impl Source {
        pub(super) fn parse(text: &str, endpoint: &str) -> Result<Source, ScaleFault> {
            if !is_loopback(endpoint) {
                return Err(ScaleFault::NotLoopback);
            }
            let Some(path) = text.strip_prefix("file:") else {
                return Ok(Source::Fixed(Scale::parse(text)?));
            };
            let told = std::fs::read_to_string(path).map_err(|_| ScaleFault::Malformed)?;
            Ok(Source::File(path.into(), Mutex::new(Scale::parse(&told)?)))
        }

        pub(super) fn scale(&self) -> Scale {
            match self {
                Source::Fixed(scale) => *scale,
                Source::File(path, last) => {
                    let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
                    let told = std::fs::read_to_string(path).ok();
                    if let Some(Ok(scale)) = told.map(|text| Scale::parse(&text)) {
                        *last = scale;
                    }
                    *last
                }
            }
        }
    }

    impl Scale {
        pub(super) fn parse(text: &str) -> Result<Scale, ScaleFault> {
            let mut numbers = text.split(',').map(|part| part.trim().parse::<u64>());
            let mut next = || numbers.next().and_then(Result::ok).ok_or(ScaleFault::Malformed);
            let scale = Scale { real: next()?, shown: next()?, rate: next()?, latest: next()? };
            if numbers.next().is_some() || scale.rate == 0 {
                return Err(ScaleFault::Malformed);
            }
            Ok(scale)
        }

        pub(super) fn at(self, real: u64) -> u64 {
            let passed = real.saturating_sub(self.real);
            self.shown.saturating_add(passed.saturating_mul(self.rate)).min(self.latest)
        }
    }

    /// Whether a URL's host is this machine's own loopback.
    fn is_loopback(endpoint: &str) -> bool {
        let Some(rest) = endpoint.strip_prefix("http://") else { return false };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        // `user@host` would hide the host behind a name that looks local.
        if authority.contains('@') {
            return false;
        }
        let host = match authority.strip_prefix('[') {
            Some(v6) => v6.split(']').next().unwrap_or_default(),
            None => authority.split(':').next().unwrap_or_default(),
        };
        let address = host.parse::<std::net::IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }

    pub(super) fn scaled(real: u64) -> u64 {
        static SOURCE: OnceLock<Option<Source>> = OnceLock::new();
        let source = SOURCE.get_or_init(|| {
            let text = std::env::var(VARIABLE).ok()?;
            let endpoint = std::env::var("AWS_ENDPOINT_URL").unwrap_or_default();
            Source::parse(&text, &endpoint).ok()
        });
        source.as_ref().map_or(real, |source| source.scale().at(real))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn time_runs_at_the_rate() {
            let scale = Scale::parse("1000, 500000,1800,510000").unwrap();
            assert_eq!(scale.at(1_000), 500_000);
            assert_eq!(scale.at(1_002), 503_600);
            assert_eq!(scale.at(0), 500_000);
            assert_eq!(scale.at(2_000), 510_000, "it was granted no more");
        }

        #[test]
        fn a_file_is_followed() {
            let file = tempfile::NamedTempFile::new().unwrap();
            let told = |text: &str| std::fs::write(file.path(), text).unwrap();
            let variable = format!("file:{}", file.path().display());
            let parse = || Source::parse(&variable, "http://127.0.0.1:1");
            assert!(matches!(parse(), Err(ScaleFault::Malformed)), "it is empty");
            told("0,1000,1,9000");
            let source = parse().unwrap();
            assert_eq!(source.scale().at(0), 1_000);
            told("0,2000,1,9000");
            assert_eq!(source.scale().at(0), 2_000);
            told("half of");
            assert_eq!(source.scale().at(0), 2_000);
            drop(file);
            assert_eq!(source.scale().at(0), 2_000, "what it said last");
        }

        #[test]
        fn only_on_this_machine() {
            for good in ["http://localhost:1", "http://127.0.0.1", "http://[::1]:80/x"] {
                assert!(Source::parse("1,1,1,1", good).is_ok(), "{good}");
            }
            for bad in [
                "",
                "https://dynamodb.eu-west-1.amazonaws.com",
                "http://10.0.0.1",
                "http://localhost.example.com",
                "http://127.0.0.1@example.com",
                "http://example.com/127.0.0.1",
            ] {
                let parsed = Source::parse("1,1,1,1", bad);
                assert!(matches!(parsed, Err(ScaleFault::NotLoopback)), "{bad}");
            }
        }

        #[test]
        fn a_malformed_scale_is_refused() {
            for bad in ["", "1", "1,2,3", "1,2,0,4", "1,2,3,4,5", "a,b,c,d", "1,2,-3,4"] {
                assert_eq!(Scale::parse(bad), Err(ScaleFault::Malformed), "{bad}");
            }
        }

        #[test]
        fn a_remote_endpoint_stops_the_start() {
            let variables =
                [("ODYSSEY_CLOCK", "1,1,1800,2"), ("AWS_ENDPOINT_URL", "http://10.1.2.3:4566")];
            let owned = |(n, v): (&str, &str)| (n.to_owned(), v.to_owned());
            let env = crate::Env::from_variables(variables.map(owned));
            super::super::check(&env);
            let error = env.finish().unwrap_err();
            assert_eq!(error.faults[0].name, "ODYSSEY_CLOCK");
        }
    }
}
