//! The recorded day and what must come of it.

use crate::Failure;
use odyssey_domain::time::{Span, Stamp};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// One deed of the day.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deed {
    /// `HH:MM` of the first day, or `1d HH:MM` of the next.
    pub at: String,
    /// Who.
    pub shopper: String,
    /// What is told.
    pub says: String,
    /// What is posted.
    #[serde(default)]
    pub request: Option<Request>,
    /// Which link of a mail is followed.
    #[serde(default)]
    pub follows: Option<Follows>,
}

/// A request as an SDK makes it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// Whose write key goes into Basic auth.
    #[serde(default)]
    pub source: Option<String>,
    /// Further headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body, with `@…` to be filled in.
    pub body: Value,
}

/// A link that is followed with a POST.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Follows {
    /// The confirmation mail's.
    Confirm,
    /// The last mail's `List-Unsubscribe`.
    Unsubscribe,
}

/// What must come of the day.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// What the clock shows when the stack starts.
    pub start: String,
    /// When the day is over.
    pub until: String,
    /// Customer seconds in a second.
    pub speed: u32,
    /// Each shopper.
    pub shoppers: BTreeMap<String, Shopper>,
}

/// What one shopper must get.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shopper {
    /// A name.
    pub name: String,
    /// An address.
    pub email: String,
    /// The user id in the requests.
    pub user_id: String,
    /// The anonymous id in the requests.
    pub anonymous_id: String,
    /// `abandons a cart`.
    pub story: String,
    /// Mails that go out, in order.
    pub mails: Vec<String>,
    /// Mails that are decided against, with the first reason's code.
    pub skips: Vec<(String, String)>,
    /// How each journey ends.
    pub journeys: BTreeMap<String, String>,
    /// What SES reports of a mail, where it is not delivery.
    #[serde(default)]
    pub delivery: BTreeMap<String, String>,
}

/// The day, read.
#[derive(Debug, Clone)]
pub struct Day {
    /// Midnight of the first day.
    pub midnight: Stamp,
    /// When the stack's clock starts.
    pub start: Stamp,
    /// When the day is over.
    pub until: Stamp,
    /// The deeds with their times, by time.
    pub deeds: Vec<(Stamp, Deed)>,
    /// What must come of it.
    pub expected: Expected,
}

/// Reads `events/demo`.
///
/// # Errors
/// Where a file is missing or not what it should be, with its line.
pub fn read(folder: &Path) -> Result<Day, Failure> {
    let text = |name: &str| {
        let path = folder.join(name);
        std::fs::read_to_string(&path).map_err(|cause| Failure::File { path, cause })
    };
    let expected: Expected = serde_json::from_str(&text("expected.json")?)
        .map_err(|error| Failure::Asked(format!("events/demo/expected.json: {error}")))?;
    let wrong = |what: String| Failure::Asked(format!("events/demo: {what}"));
    let start = Stamp::parse(&expected.start).map_err(|e| wrong(format!("start: {e}")))?;
    let midnight = Stamp::from_ms(start.day().saturating_mul(Span::DAY.ms_i64()));
    let time = |text: &str| {
        moment(midnight, text).ok_or_else(|| wrong(format!("`{text}` is no HH:MM or 1d HH:MM")))
    };
    let until = time(&expected.until)?;
    let mut deeds = Vec::new();
    for (number, line) in text("day.jsonl")?.lines().enumerate() {
        let deed: Deed = serde_json::from_str(line)
            .map_err(|error| wrong(format!("day.jsonl:{}: {error}", number + 1)))?;
        if !expected.shoppers.contains_key(&deed.shopper) {
            return Err(wrong(format!(
                "day.jsonl:{}: nobody is called {}",
                number + 1,
                deed.shopper
            )));
        }
        deeds.push((time(&deed.at)?, deed));
    }
    deeds.sort_by_key(|(at, _)| *at);
    Ok(Day { midnight, start, until, deeds, expected })
}

/// `08:55` or `1d 08:55` as an instant.
#[must_use]
pub fn moment(midnight: Stamp, text: &str) -> Option<Stamp> {
    let (days, time) = match text.split_once("d ") {
        Some((days, time)) => (days.parse::<u64>().ok()?, time),
        None => (0, text),
    };
    let (hours, minutes) = time.split_once(':')?;
    let (hours, minutes) = (hours.parse::<u64>().ok()?, minutes.parse::<u64>().ok()?);
    (hours < 24 && minutes < 60).then(|| {
        midnight
            .plus(Span::DAY.times(days))
            .plus(Span::HOUR.times(hours))
            .plus(Span::MINUTE.times(minutes))
    })
}

/// Fills in `@HH:MM`, `@now` and `@source`.
#[must_use]
pub fn fill(
    value: &Value,
    midnight: Stamp,
    now: Stamp,
    write_keys: &BTreeMap<String, String>,
) -> Value {
    match value {
        Value::String(text) => match text.strip_prefix('@') {
            Some("now") => now.to_string().into(),
            Some(word) => match (moment(midnight, word), write_keys.get(word)) {
                (Some(at), _) => at.to_string().into(),
                (None, Some(key)) => key.clone().into(),
                (None, None) => value.clone(),
            },
            None => value.clone(),
        },
        Value::Array(items) => {
            items.iter().map(|item| fill(item, midnight, now, write_keys)).collect()
        }
        Value::Object(map) => map
            .iter()
            .map(|(name, item)| (name.clone(), fill(item, midnight, now, write_keys)))
            .collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../events/demo")
    }

    #[test]
    fn the_day_reads() {
        let day = read(&folder()).unwrap();
        assert_eq!(day.expected.shoppers.len(), 7);
        assert!(day.deeds.iter().all(|(_, deed)| deed.request.is_some() != deed.follows.is_some()));
        assert!(day.deeds.iter().all(|(at, _)| *at >= day.start && *at < day.until));
    }

    #[test]
    fn placeholders() {
        let midnight = Stamp::from_ms(0);
        let keys = [("web".to_owned(), "web.key".to_owned())].into();
        let value = serde_json::json!({"a": ["@08:30", "@web", "@1d 00:01", "a@b.io", "@nobody"]});
        let filled = fill(&value, midnight, midnight, &keys);
        let wanted = serde_json::json!({"a": ["1970-01-01T08:30:00.000Z", "web.key", "1970-01-02T00:01:00.000Z", "a@b.io", "@nobody"]});
        assert_eq!(filled, wanted);
        assert_eq!(moment(midnight, "25:00"), None);
    }
}
