//! When an event happened: what clients write as times, and the one stamp made of them.
//!
//! The rules, with `skew = received - sentAt`:
//!
//! | the client says | the stamp is |
//! | --- | --- |
//! | no `timestamp` | `received` |
//! | `timestamp`, and no `sentAt` or a skew below 60 s | `timestamp` |
//! | `timestamp`, and a skew of 60 s or more | `timestamp + skew`: the device's clock is wrong |
//! | anything that comes out later than `received` | `received` |
//!
//! Small skews are ignored so that a retry, whose `sentAt` is another, gets the same stamp. What
//! the client said is kept beside the stamp where the two differ.
//!
//! Times far in the past are believed (imports are old), those before 1970 count as 1970; times
//! past the year 9999, or past what a calendar holds, are later than receipt like any other future.

use crate::time::{Span, Stamp};

/// A smaller difference between `sentAt` and receipt is the network's, not the clock's.
pub const SKEW_IGNORED: Span = Span::MINUTE;

/// When an event happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamped {
    /// The stamp: never after receipt, never changed again.
    pub at: Stamp,
    /// What the client said, where that differs.
    pub original: Option<Stamp>,
}

/// Stamps an event by the rules above.
#[must_use]
pub fn stamp(timestamp: Option<Stamp>, sent_at: Option<Stamp>, received: Stamp) -> Stamped {
    let Some(said) = timestamp else {
        return Stamped { at: received, original: None };
    };
    let at = sent_at.map_or(said, |sent| correct(said, sent, received)).min(received);
    Stamped { at, original: (at != said).then_some(said) }
}

/// The device's `said` on our clock.
fn correct(said: Stamp, sent: Stamp, received: Stamp) -> Stamp {
    let skew = received.ms() - sent.ms();
    if skew.unsigned_abs() < SKEW_IGNORED.ms() {
        return said;
    }
    let corrected = said.ms().saturating_add(skew);
    // Before 1970 there were no events: then it is `sentAt` that is wrong, not the clock.
    if corrected < Stamp::MIN.ms() { said } else { Stamp::from_ms(corrected) }
}

/// Reads a time as clients write it; `None` where it is none.
///
/// `2026-01-02T03:04:05.678Z`, with an offset (`+02:00`, `+0200`, `+02`) or without one (then it is
/// UTC), with a space for the `T`, any number of fractional digits, a date alone (its midnight in
/// UTC), JavaScript's six-digit years, or a number ([`from_number`]).
#[must_use]
pub fn read(text: &str) -> Option<Stamp> {
    let text = text.trim();
    if let Some(ms) = iso(text.as_bytes()) {
        return Some(Stamp::from_ms(ms));
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return from_number(text);
    }
    // Whatever else RFC 9557 and its kin allow: basic formats, a zone in brackets.
    let stamp: jiff::Timestamp = text.parse().ok()?;
    Some(Stamp::from_ms(stamp.as_millisecond()))
}

/// Reads a number as seconds, milliseconds, microseconds or nanoseconds since 1970, whichever puts
/// it before the year 5138: below 10¹¹ seconds, below 10¹⁴ milliseconds, below 10¹⁷ microseconds.
#[must_use]
pub fn from_number(text: &str) -> Option<Stamp> {
    let number: f64 = text.parse().ok()?;
    if !number.is_finite() {
        return None;
    }
    let size = number.abs();
    let ms = if size < 1e11 {
        number * 1e3
    } else if size < 1e14 {
        number
    } else if size < 1e17 {
        number / 1e3
    } else {
        number / 1e6
    };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "casts to integers saturate, and a stamp is clamped to a smaller range"
    )]
    let ms = ms.round() as i64;
    Some(Stamp::from_ms(ms))
}

/// Milliseconds since 1970 of the common forms; about ten times faster than a general parser, and
/// not bound to the range of one. `None` where it is another form.
fn iso(text: &[u8]) -> Option<i64> {
    // JavaScript's years beyond four digits: past either end of what a stamp holds.
    match text {
        [b'+', d @ .., b'Z'] if d.len() > 10 && digits(d.get(..6)?).is_some() => {
            return Some(i64::MAX);
        }
        [b'-', d @ .., b'Z'] if d.len() > 10 && digits(d.get(..6)?).is_some() => {
            return Some(i64::MIN);
        }
        _ => {}
    }
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, clock @ ..] = text else { return None };
    let year = digits(&[*y1, *y2, *y3, *y4])?;
    let (month, day) = (digits(&[*m1, *m2])?, digits(&[*d1, *d2])?);
    if !(1..=12).contains(&month) || day < 1 || day > month_days(year, month) {
        return None;
    }
    let midnight = days_from_civil(year, month, day) * 86_400_000;
    match clock {
        [] => Some(midnight),
        [b'T' | b't' | b' ', clock @ ..] => Some(midnight + clock_ms(clock)?),
        _ => None,
    }
}

/// `HH:MM[:SS[.fraction]][offset]` as milliseconds since midnight in UTC.
fn clock_ms(clock: &[u8]) -> Option<i64> {
    let [h1, h2, b':', m1, m2, rest @ ..] = clock else { return None };
    let (hour, minute) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?);
    let (second, fraction, offset) = match rest {
        [b':', s1, s2, rest @ ..] => {
            let (fraction, offset) = fraction_ms(rest)?;
            (digits(&[*s1, *s2])?, fraction, offset)
        }
        offset => (0, 0, offset),
    };
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // A leap second is the second before it, as in POSIX.
    let seconds = hour * 3_600 + minute * 60 + second.min(59);
    Some(seconds * 1_000 + fraction - offset_ms(offset)?)
}

/// A fraction of a second, cut to milliseconds, and what follows it.
fn fraction_ms(rest: &[u8]) -> Option<(i64, &[u8])> {
    let [b'.' | b',', rest @ ..] = rest else { return Some((0, rest)) };
    let count = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let (fraction, offset) = rest.split_at(count);
    let mut ms = 0;
    for place in 0..3 {
        ms = ms * 10 + i64::from(fraction.get(place).map_or(0, |b| b - b'0'));
    }
    (count > 0).then_some((ms, offset))
}

fn offset_ms(offset: &[u8]) -> Option<i64> {
    let (sign, hours, minutes) = match offset {
        [] | [b'Z' | b'z'] => return Some(0),
        [sign, h1, h2] => (sign, [*h1, *h2], [b'0', b'0']),
        [sign, h1, h2, b':', m1, m2] | [sign, h1, h2, m1, m2] => (sign, [*h1, *h2], [*m1, *m2]),
        _ => return None,
    };
    let (hours, minutes) = (digits(&hours)?, digits(&minutes)?);
    if hours > 25 || minutes > 59 {
        return None;
    }
    let ms = (hours * 60 + minutes) * 60_000;
    match sign {
        b'+' => Some(ms),
        b'-' => Some(-ms),
        _ => None,
    }
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0_i64, |number, byte| {
        byte.is_ascii_digit().then(|| number * 10 + i64::from(byte - b'0'))
    })
}

const fn month_days(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a date of the proleptic Gregorian calendar (H. Hinnant,
/// "chrono-compatible low-level date algorithms", `days_from_civil`).
const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Stamp {
        read(text).unwrap()
    }

    #[test]
    fn times_as_clients_write_them() {
        let same = at("2026-11-21T19:24:44.048Z");
        assert_eq!(same.ms(), 1_795_289_084_048);
        for text in [
            "2026-11-21T19:24:44.048+00:00",
            "2026-11-21T19:24:44.048",
            "2026-11-21 19:24:44.048",
            "2026-11-21T21:24:44.048+02:00",
            "2026-11-21T14:24:44.048-0500",
            "2026-11-21T19:24:44.048005885Z",
            " 2026-11-21t19:24:44,048z ",
            "20261121T192444.048Z",
            "2026-11-21T19:24:44.048+00:00[UTC]",
            "1795289084048",
            "1795289084.048",
        ] {
            assert_eq!(at(text), same, "{text}");
        }
        assert_eq!(from_number("1.795289084048e12"), Some(same));
        assert_eq!(from_number("1795289084048000"), Some(same));
        assert_eq!(from_number("1795289084048000000"), Some(same));
        assert_eq!(at("2026-11-21"), at("2026-11-21T00:00Z"));
        assert_eq!(at("2016-12-31T23:59:60Z"), at("2016-12-31T23:59:59Z"));
        for text in [
            "",
            "now",
            "Invalid date",
            "2026-02-29T00:00:00Z",
            "2026-13-01",
            "2026-11-21T25:00:00Z",
            "2026-11-21T19:24:44.Z",
            "21/11/2026",
            "NaN",
            "1e999",
            "-",
            ".",
            "2026-11-21T19:24:44+9",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(from_number("1e999"), None);
    }

    #[test]
    fn the_ends_of_time() {
        assert_eq!(at("1970-01-01T00:00:00Z"), Stamp::MIN);
        assert_eq!(at("0"), Stamp::MIN);
        assert_eq!(at("1969-12-31T23:59:59Z"), Stamp::MIN);
        assert_eq!(at("0001-01-01T00:00:00Z"), Stamp::MIN);
        assert_eq!(at("-271821-04-20T00:00:00.000Z"), Stamp::MIN);
        assert_eq!(at("9999-12-31T23:59:59.999Z"), Stamp::MAX);
        assert_eq!(at("+275760-09-13T00:00:00.000Z"), Stamp::MAX);
    }

    #[test]
    fn the_table_of_rules() {
        let received = at("2026-11-21T12:00:00Z");
        let told = |timestamp: &str, sent: &str| stamp(read(timestamp), read(sent), received);
        let kept = |text: &str| Stamped { at: at(text), original: None };
        let moved = |to: &str, from: &str| Stamped { at: at(to), original: Some(at(from)) };
        assert_eq!(told("", ""), Stamped { at: received, original: None });
        assert_eq!(told("", "2026-11-20T12:00:00Z"), Stamped { at: received, original: None });
        assert_eq!(told("2026-11-21T11:59:00Z", ""), kept("2026-11-21T11:59:00Z"));
        assert_eq!(
            told("2026-11-21T11:58:00Z", "2026-11-21T11:59:00.001Z"),
            kept("2026-11-21T11:58:00Z")
        );
        // A clock two hours behind, and one two hours ahead.
        assert_eq!(
            told("2026-11-21T09:58:00Z", "2026-11-21T10:00:00Z"),
            moved("2026-11-21T11:58:00Z", "2026-11-21T09:58:00Z")
        );
        assert_eq!(
            told("2026-11-21T13:58:00Z", "2026-11-21T14:00:00Z"),
            moved("2026-11-21T11:58:00Z", "2026-11-21T13:58:00Z")
        );
        // The future, near and far.
        let now = "2026-11-21T12:00:00Z";
        assert_eq!(told("2026-11-21T12:00:01Z", ""), moved(now, "2026-11-21T12:00:01Z"));
        let far = Stamped { at: received, original: Some(Stamp::MAX) };
        assert_eq!(told("9999-12-31T23:59:59Z", "2026-11-21T12:00:00Z"), far);
        // The past is believed; a device that starts in 1970 is corrected by its own `sentAt`.
        assert_eq!(told("1970-01-01T00:00:00Z", now), kept("1970-01-01T00:00:00Z"));
        assert_eq!(
            told("1970-01-01T00:01:00Z", "1970-01-01T00:02:00Z"),
            moved("2026-11-21T11:59:00Z", "1970-01-01T00:01:00Z")
        );
        // A `sentAt` that cannot be: nothing to correct by.
        assert_eq!(
            told("2026-11-21T11:00:00Z", "9999-12-31T00:00:00Z"),
            kept("2026-11-21T11:00:00Z")
        );
    }

    proptest! {
        #[test]
        fn reads_what_a_general_parser_reads(ms in 0..=Stamp::MAX.ms(), offset in -1_439_i32..1_440) {
            let stamp = jiff::Timestamp::from_millisecond(ms).unwrap();
            prop_assert_eq!(read(&stamp.to_string()), Some(Stamp::from_ms(ms)));
            let zone = jiff::tz::Offset::from_seconds(offset * 60).unwrap();
            let shown = stamp.display_with_offset(zone).to_string();
            prop_assert_eq!(read(&shown), Some(Stamp::from_ms(ms)), "{}", shown);
        }

        #[test]
        fn never_panics_on_any_text(text in ".{0,40}") {
            let _ = read(&text);
            let _ = from_number(&text);
        }

        /// A retry within the ignored skew is stamped the same.
        #[test]
        fn a_retry_is_stamped_the_same(
            said in 0_i64..4_000_000_000_000,
            received in 1_000_000_000_000_i64..3_000_000_000_000,
            first in -59_999_i64..60_000,
            later in 0_i64..30_000,
        ) {
            let received = Stamp::from_ms(received);
            let said = Stamp::from_ms(said.min(received.ms()));
            let stamped = |skew: i64, received: Stamp| {
                stamp(Some(said), Some(Stamp::from_ms(received.ms() - skew)), received)
            };
            let again = Stamp::from_ms(received.ms() + later);
            prop_assert_eq!(stamped(first, received), stamped(first / 2, again));
        }

        #[test]
        fn never_after_receipt_and_the_original_is_kept(
            said in proptest::option::of(0..=Stamp::MAX.ms()),
            sent in proptest::option::of(0..=Stamp::MAX.ms()),
            received in 0..=Stamp::MAX.ms(),
        ) {
            let (said, sent) = (said.map(Stamp::from_ms), sent.map(Stamp::from_ms));
            let received = Stamp::from_ms(received);
            let stamped = stamp(said, sent, received);
            prop_assert!(stamped.at <= received);
            if let Some(said) = said {
                prop_assert_eq!(stamped.original.unwrap_or(stamped.at), said);
            } else {
                prop_assert_eq!(stamped.original, None);
            }
        }
    }
}
