//! Customer time: the clock that the whole stack lives by, which may run faster than the wall's.

use odyssey_domain::time::{Span, Stamp};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How fast customer time runs, and from when.
///
/// Function time-outs and queue visibility are real time; queue delays, batching windows, the
/// schedule and every stamp are customer time.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    real_start: Stamp,
    start: Stamp,
    rate: u32,
}

/// The wall's clock.
#[expect(clippy::disallowed_methods, reason = "the local stack is where time comes from")]
pub(crate) fn wall() -> Stamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Stamp::from_ms(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

impl Clock {
    /// A clock that shows `start`, stands still for `standstill`, and then runs `rate` (1 or more) times
    /// as fast as the wall's.
    pub(crate) fn start(rate: u32, start: Option<Stamp>, standstill: Duration) -> Self {
        let now = wall();
        let real_start = now.plus(Span::from_ms(standstill.as_millis().try_into().unwrap_or(0)));
        Self { real_start, start: start.unwrap_or(now), rate: rate.max(1) }
    }

    /// What it shows.
    #[must_use]
    pub fn now(&self) -> Stamp {
        let passed = wall().since(self.real_start);
        self.start.plus(Span::from_ms(passed.ms().saturating_mul(self.rate.into())))
    }

    /// How long it still stands still.
    #[must_use]
    pub fn standstill(&self) -> Duration {
        Duration::from_millis(self.real_start.since(wall()).ms())
    }

    /// Seconds of customer time in a second.
    #[must_use]
    pub const fn rate(&self) -> u32 {
        self.rate
    }

    /// How long one really waits for a length of customer time.
    #[must_use]
    pub fn real(&self, span: Span) -> Duration {
        Duration::from_micros(span.ms().saturating_mul(1_000) / u64::from(self.rate))
    }

    /// The `ODYSSEY_CLOCK` that makes a process show the same time:
    /// `<real epoch ms>,<customer epoch ms>,<rate>`.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("{},{},{}", self.real_start.ms(), self.start.ms(), self.rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_in_two_seconds() {
        let start = Stamp::from_ms(1_700_000_000_000);
        let clock = Clock::start(1_800, Some(start), Duration::ZERO);
        assert_eq!(clock.real(Span::HOUR), Duration::from_secs(2));
        assert!(clock.now() >= start);
        assert!(clock.variable().ends_with(",1700000000000,1800"));
    }

    #[test]
    fn a_rate_of_nothing_is_the_walls() {
        assert_eq!(Clock::start(0, None, Duration::ZERO).rate(), 1);
    }

    #[test]
    fn it_stands_still_first() {
        let start = Stamp::from_ms(1_700_000_000_000);
        let clock = Clock::start(1_800, Some(start), Duration::from_hours(1));
        assert_eq!(clock.now(), start);
        assert!(clock.standstill() > Duration::from_mins(50));
    }
}
