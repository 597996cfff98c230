//! How long an invocation may still take.

use odyssey_domain::time::Span;
use std::time::{Duration, Instant};

/// When Lambda ends an invocation, by the machine's own clock.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    at: Option<Instant>,
}

impl Deadline {
    /// From the Runtime API's milliseconds since 1970. One in the past is unknown: `cargo lambda
    /// watch` always says 1970-01-01T00:10Z.
    pub(crate) fn from_epoch_ms(deadline: u64, now: u64) -> Deadline {
        let left = deadline.checked_sub(now).filter(|left| *left > 0);
        Deadline { at: left.and_then(|ms| Instant::now().checked_add(Duration::from_millis(ms))) }
    }

    /// No deadline; for tests.
    #[must_use]
    pub const fn unknown() -> Deadline {
        Deadline { at: None }
    }

    /// What is left of it, in real time; `None` where it is unknown.
    #[must_use]
    pub fn left(&self) -> Option<Span> {
        let left = self.at?.saturating_duration_since(Instant::now());
        Some(Span::from_ms(u64::try_from(left.as_millis()).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_in_the_past_is_unknown() {
        assert_eq!(Deadline::from_epoch_ms(600_000, 1_795_289_075_839).left(), None);
        let left = Deadline::from_epoch_ms(1_795_289_105_839, 1_795_289_075_839).left().unwrap();
        assert!(left > Span::from_ms(29_000) && left <= Span::from_ms(30_000), "{left}");
    }
}
