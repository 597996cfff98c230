//! Times as people say them, in UTC.

use odyssey_domain::time::{Span, Stamp};

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `Sun 22 Nov 2026`
#[must_use]
pub fn day(at: Stamp) -> String {
    let text = at.to_string();
    // 1970-01-01 was a Thursday.
    let weekday = usize::try_from(at.day().rem_euclid(7)).ok().and_then(|n| DAYS.get(n));
    let month = text.get(5..7).and_then(|month| month.parse::<usize>().ok());
    let month = month.and_then(|month| MONTHS.get(month.checked_sub(1)?));
    match (weekday, text.get(8..10), month, text.get(..4)) {
        (Some(weekday), Some(day), Some(month), Some(year)) => {
            format!("{weekday} {} {month} {year}", day.trim_start_matches('0'))
        }
        _ => text,
    }
}

/// `08:55`
#[must_use]
pub fn time(at: Stamp) -> String {
    at.to_string().get(11..16).map(str::to_owned).unwrap_or_default()
}

/// `22 Nov 2026, 08:55`
#[must_use]
pub fn both(at: Stamp) -> String {
    let day = day(at);
    format!("{}, {}", day.split_once(' ').map_or(day.as_str(), |(_, date)| date), time(at))
}

/// A length in its greatest unit: `3 days`.
#[must_use]
pub fn length(span: Span) -> String {
    let (n, unit) = match span.ms() {
        ms if ms >= Span::DAY.ms() * 2 => (ms / Span::DAY.ms(), "day"),
        ms if ms >= Span::HOUR.ms() * 2 => (ms / Span::HOUR.ms(), "hour"),
        ms if ms >= Span::MINUTE.ms() * 2 => (ms / Span::MINUTE.ms(), "minute"),
        ms => (ms / 1_000, "second"),
    };
    super::text::several(n, unit)
}

/// `3 days ago`, `in 2 hours`, `just now`
#[must_use]
pub fn ago(now: Stamp, at: Stamp) -> String {
    let (past, future) = (now.since(at), at.since(now));
    match past.max(future) {
        span if span < Span::MINUTE.times(2) => "just now".to_owned(),
        _ if at <= now => format!("{} ago", length(past)),
        _ => format!("in {}", length(future)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_people_say_it() {
        let at = Stamp::parse("2026-11-02T08:05:09.000Z").unwrap();
        assert_eq!(day(at), "Mon 2 Nov 2026");
        assert_eq!(both(at), "2 Nov 2026, 08:05");
        assert_eq!(day(Stamp::MIN), "Thu 1 Jan 1970");
        for (span, text) in [
            (Span::SECOND.times(90), "just now"),
            (Span::MINUTE.times(90), "90 minutes ago"),
            (Span::HOUR.times(47), "47 hours ago"),
            (Span::DAY.times(400), "400 days ago"),
        ] {
            assert_eq!(ago(at, at.minus(span)), text);
        }
        assert_eq!(ago(at, at.plus(Span::HOUR.times(3))), "in 3 hours");
    }
}
