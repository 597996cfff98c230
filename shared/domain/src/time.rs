//! Instants and lengths of time, both in whole milliseconds.
//!
//! [`Stamp`] is a point on the UTC time line, [`Span`] an exact length; neither knows a time zone.
//! Local times (quiet hours, "at nine in the customer's morning") are made from them with `jiff`
//! where they are needed.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A point in time: milliseconds since 1970-01-01T00:00:00Z, from 1970 to the end of 9999.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Stamp(i64);

impl Stamp {
    /// 1970-01-01T00:00:00Z.
    pub const MIN: Stamp = Stamp(0);
    /// 9999-12-30T22:00:00Z, the last second that has a civil time in every zone, and the last
    /// millisecond that `jiff::Timestamp::from_millisecond` takes.
    pub const MAX: Stamp = Stamp(253_402_207_200_000);

    /// The instant `ms` milliseconds after the epoch, clamped to [`Stamp::MIN`]..=[`Stamp::MAX`].
    #[must_use]
    pub const fn from_ms(ms: i64) -> Stamp {
        if ms < Stamp::MIN.0 {
            Stamp::MIN
        } else if ms > Stamp::MAX.0 {
            Stamp::MAX
        } else {
            Stamp(ms)
        }
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn ms(self) -> i64 {
        self.0
    }

    /// `self + span`, clamped to [`Stamp::MAX`].
    #[must_use]
    pub const fn plus(self, span: Span) -> Stamp {
        Stamp::from_ms(self.0.saturating_add(span.ms_i64()))
    }

    /// `self - span`, clamped to [`Stamp::MIN`].
    #[must_use]
    pub const fn minus(self, span: Span) -> Stamp {
        Stamp::from_ms(self.0.saturating_sub(span.ms_i64()))
    }

    /// How long after `earlier` this is; zero where it is not after it.
    #[must_use]
    pub const fn since(self, earlier: Stamp) -> Span {
        let ms = self.0 - earlier.0;
        Span(if ms < 0 { 0 } else { ms.unsigned_abs() })
    }

    /// The day of this instant in UTC, counted from 1970-01-01.
    #[must_use]
    pub const fn day(self) -> i64 {
        self.0.div_euclid(Span::DAY.ms_i64())
    }

    /// Reads RFC 3339 / ISO 8601 with an offset (`2026-01-02T03:04:05.678Z`, `…+02:00`, any number
    /// of fractional digits; what is finer than a millisecond is cut off).
    ///
    /// # Errors
    /// Where the text is not such a time, or lies outside 1970..=9999.
    pub fn parse(text: &str) -> Result<Stamp, StampError> {
        let stamp: jiff::Timestamp = text.parse().map_err(|_| StampError::Malformed)?;
        let ms = stamp.as_millisecond();
        if !(Stamp::MIN.0..=Stamp::MAX.0).contains(&ms) {
            return Err(StampError::OutOfRange);
        }
        Ok(Stamp(ms))
    }
}

/// Why a text is not a [`Stamp`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StampError {
    /// Not RFC 3339.
    #[error("expected an RFC 3339 time with an offset, such as 2026-01-02T03:04:05.678Z")]
    Malformed,
    /// A time, but before 1970 or after 9999.
    #[error("expected a time between 1970 and 9999")]
    OutOfRange,
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not `from_millisecond`, which ends 999 ms before the last instant there is.
        let nanoseconds = i32::try_from(self.0.rem_euclid(1_000) * 1_000_000).unwrap_or(0);
        match jiff::Timestamp::new(self.0.div_euclid(1_000), nanoseconds) {
            Ok(stamp) => write!(f, "{stamp:.3}"),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

impl fmt::Debug for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An exact length of time in milliseconds. Written `90s`, `15m`, `4h`, `2d`, `1w`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(u64);

impl Span {
    /// Nothing.
    pub const ZERO: Span = Span(0);
    /// 1,000 ms.
    pub const SECOND: Span = Span(1_000);
    /// 60 s.
    pub const MINUTE: Span = Span(60_000);
    /// 60 min.
    pub const HOUR: Span = Span(3_600_000);
    /// 24 h; days here are lengths, not calendar days.
    pub const DAY: Span = Span(86_400_000);
    /// The longest a workspace file may name: two years.
    pub const MAX: Span = Span(2 * 365 * 86_400_000);

    /// A span of `ms` milliseconds.
    #[must_use]
    pub const fn from_ms(ms: u64) -> Span {
        Span(ms)
    }

    /// Its length in milliseconds.
    #[must_use]
    pub const fn ms(self) -> u64 {
        self.0
    }

    /// Its length in milliseconds as a signed number, at most `i64::MAX`.
    #[must_use]
    pub const fn ms_i64(self) -> i64 {
        if self.0 > i64::MAX as u64 { i64::MAX } else { self.0.cast_signed() }
    }

    /// Whole seconds, rounded up.
    #[must_use]
    pub const fn seconds_up(self) -> u64 {
        self.0.div_ceil(1_000)
    }

    /// This length `n` times over.
    #[must_use]
    pub const fn times(self, n: u64) -> Span {
        Span(self.0.saturating_mul(n))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u64, &str); 4] =
            [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
        for (ms, unit) in UNITS {
            if self.0 >= ms && self.0.is_multiple_of(ms) {
                return write!(f, "{}{unit}", self.0 / ms);
            }
        }
        if self.0 == 0 { write!(f, "0s") } else { write!(f, "{}ms", self.0) }
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text is not a [`Span`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a length of time such as 30s, 15m, 4h, 2d or 1w, at most 730d")]
pub struct SpanError;

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Span, SpanError> {
        let text = text.trim();
        let split = text.find(|c: char| !c.is_ascii_digit()).ok_or(SpanError)?;
        let (digits, unit) = text.split_at(split);
        let count: u64 = digits.parse().map_err(|_| SpanError)?;
        let unit_ms = match unit.trim() {
            "ms" => 1,
            "s" => Span::SECOND.0,
            "m" | "min" => Span::MINUTE.0,
            "h" => Span::HOUR.0,
            "d" => Span::DAY.0,
            "w" => 7 * Span::DAY.0,
            _ => return Err(SpanError),
        };
        let span = Span(count.checked_mul(unit_ms).ok_or(SpanError)?);
        if span > Span::MAX { Err(SpanError) } else { Ok(span) }
    }
}

impl Serialize for Span {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_print_as_they_parse() {
        for text in ["30s", "15m", "4h", "2d", "90m", "0s", "1500ms", "730d"] {
            let span: Span = text.parse().unwrap();
            let again: Span = span.to_string().parse().unwrap();
            assert_eq!(span, again, "{text}");
        }
        assert_eq!("1w".parse::<Span>().unwrap().to_string(), "7d");
        for text in ["", "4", "h", "4 parsecs", "-1h", "731d", "99999999999999999999d"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }

    #[test]
    fn stamps_print_as_they_parse() {
        for (text, ms) in [
            ("1970-01-01T00:00:00.000Z", 0),
            ("2026-11-21T19:24:35.839Z", 1_795_289_075_839),
            ("9999-12-30T22:00:00.000Z", 253_402_207_200_000),
        ] {
            assert_eq!(Stamp::parse(text).unwrap().ms(), ms);
            assert_eq!(Stamp::from_ms(ms).to_string(), text);
        }
        let cut = Stamp::parse("2026-11-21T20:07:52.762005885Z").unwrap();
        assert_eq!(cut.to_string(), "2026-11-21T20:07:52.762Z");
        assert_eq!(Stamp::parse("1969-12-31T23:59:59Z"), Err(StampError::OutOfRange));
        assert_eq!(Stamp::parse("2000-01-02T00:00:00"), Err(StampError::Malformed));
    }
}
