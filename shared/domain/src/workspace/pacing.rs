//! Frequency caps, quiet hours and deferral, as `workspace.yaml` and journeys write them.

use super::fault::{Faults, Place};
use super::fields::{Fields, Reading};
use super::settings::one_of;
use super::yaml::{Kind, Node, quoted};
use super::{JourneyFile, SETTINGS_FILE, Settings};
use crate::catalog::Topic;
use crate::contact::{CLAIMS_MAX, JourneyTag, TopicId, TopicTag};
use crate::journey::JourneyId;
use crate::pacing::{
    CAPS_MAX, DEFER_AT_MOST_MAX, FrequencyCap, Instead, OPEN_MINUTES_MIN, Pacing, QuietHours,
    SPREAD_MAX, TimeOfDay, WINDOW_MAX, Zone,
};
use crate::time::Span;
use std::collections::BTreeMap;

/// The keys of a cap of the workspace.
pub const CAP_KEYS: &[&str] = &["at_most", "within", "topic"];
/// The keys of a cap of a journey.
pub const JOURNEY_CAP_KEYS: &[&str] = &["at_most", "within"];
/// The keys of the quiet hours.
pub const QUIET_KEYS: &[&str] = &["from", "to", "timezone"];
/// The keys of `deferral`.
pub const DEFERRAL_KEYS: &[&str] = &["at_most", "spread"];

/// What `workspace.yaml` says of pacing.
pub(crate) fn read(
    reading: &mut Reading<'_>,
    fields: Fields<'_>,
    topics: Option<&BTreeMap<TopicId, Topic>>,
) -> Pacing {
    let mut pacing = Pacing::default();
    if let Some(node) = fields.get("frequency_caps") {
        pacing.frequency_caps = caps(reading, node, CAP_KEYS, topics);
    }
    pacing.quiet_hours = fields.get("quiet_hours").and_then(|node| quiet_hours(reading, node));
    if let Some(word) = instead(reading, fields, "when_capped") {
        pacing.when_capped = word;
    }
    if let Some(word) = instead(reading, fields, "when_quiet") {
        pacing.when_quiet = word;
    }
    if let Some(node) = fields.get("deferral") {
        deferral(reading, node, &mut pacing);
    }
    pacing
}

/// The caps of a journey.
pub(crate) fn journey_caps(reading: &mut Reading<'_>, node: &Node) -> Vec<FrequencyCap> {
    caps(reading, node, JOURNEY_CAP_KEYS, None)
}

/// `skip` or `defer`, where the key is there.
pub(crate) fn instead(reading: &mut Reading<'_>, fields: Fields<'_>, key: &str) -> Option<Instead> {
    let words = [("skip", Instead::Skip), ("defer", Instead::Defer)];
    fields.get(key).and_then(|node| one_of(reading, node, key, &words))
}

fn caps(
    reading: &mut Reading<'_>,
    node: &Node,
    keys: &[&str],
    topics: Option<&BTreeMap<TopicId, Topic>>,
) -> Vec<FrequencyCap> {
    const EXPECTED: &str = "a list of caps, as [{at_most: 2, within: 1d}]";
    let items = reading.list(node, EXPECTED).unwrap_or_default();
    if items.len() > CAPS_MAX {
        reading.fault(node.place, format!("{} caps", items.len()), format!("at most {CAPS_MAX}"));
    }
    let mut caps: Vec<FrequencyCap> = Vec::new();
    for item in items {
        let Some(cap) = cap(reading, item, keys, topics) else { continue };
        if caps.iter().any(|other| (other.within, &other.topic) == (cap.within, &cap.topic)) {
            let found = format!("a second cap within {}", cap.within);
            reading.fault(item.place, found, "one cap for each window");
            continue;
        }
        caps.push(cap);
    }
    caps
}

fn cap(
    reading: &mut Reading<'_>,
    node: &Node,
    keys: &[&str],
    topics: Option<&BTreeMap<TopicId, Topic>>,
) -> Option<FrequencyCap> {
    let fields = reading.fields(node, "a cap, as {at_most: 2, within: 1d}", keys)?;
    let at_most = reading.need(fields, "at_most", "2").and_then(|node| at_most(reading, node));
    let within = reading.need(fields, "within", "1d").and_then(|node| {
        let within = reading.span(node)?;
        up_to(reading, node, within, WINDOW_MAX)
    });
    let topic = match fields.get("topic").filter(|_| keys.contains(&"topic")) {
        None => Some(None),
        Some(node) => capped_topic(reading, node, topics).map(Some),
    };
    Some(FrequencyCap { at_most: at_most?, within: within?, topic: topic? })
}

fn at_most(reading: &mut Reading<'_>, node: &Node) -> Option<u32> {
    let number = match &node.kind {
        Kind::Number(number) => number.as_u64().and_then(|n| u32::try_from(n).ok()),
        _ => None,
    };
    let fits = |n: &u32| *n >= 1 && usize::try_from(*n).is_ok_and(|n| n <= CLAIMS_MAX);
    let number = number.filter(fits);
    if number.is_none() {
        let expected = format!(
            "a number from 1 to {CLAIMS_MAX}: an address's last {CLAIMS_MAX} messages are counted"
        );
        reading.fault(node.place, node.describe(), expected);
    }
    number
}

/// A topic that exists and that caps bind.
fn capped_topic(
    reading: &mut Reading<'_>,
    node: &Node,
    topics: Option<&BTreeMap<TopicId, Topic>>,
) -> Option<TopicId> {
    let text = reading.text(node, "a topic")?;
    let id = reading.slug(text, node.place, "topic's name", TopicId::parse)?;
    // Where the topics could not be read nothing is said of names.
    let Some(topics) = topics else { return Some(id) };
    match topics.get(&id) {
        None => {
            reading.unknown(node.place, "topic", text, topics.keys().map(TopicId::as_str));
            None
        }
        Some(topic) if topic.is_exempt() => {
            let found = format!("topic {}, which is exempt from caps", quoted(text));
            let hint = format!("give `{id}` the key `exempt: false`");
            let expected = "a topic that caps bind";
            reading.fault_with_hint(node.place, found, expected, Some(hint));
            None
        }
        Some(_) => Some(id),
    }
}

fn up_to(reading: &mut Reading<'_>, node: &Node, span: Span, most: Span) -> Option<Span> {
    if span <= most {
        return Some(span);
    }
    reading.fault(node.place, node.describe(), format!("at most {most}"));
    None
}

fn quiet_hours(reading: &mut Reading<'_>, node: &Node) -> Option<QuietHours> {
    const WHAT: &str = "quiet hours, as {from: \"21:00\", to: \"08:00\", timezone: Europe/Berlin}";
    let fields = reading.fields(node, WHAT, QUIET_KEYS)?;
    let from =
        reading.need(fields, "from", "\"21:00\"").and_then(|node| time_of_day(reading, node));
    let to = reading.need(fields, "to", "\"08:00\"").and_then(|node| time_of_day(reading, node));
    let timezone =
        reading.need(fields, "timezone", "Europe/Berlin").and_then(|node| zone(reading, node));
    let hours = QuietHours { from: from?, to: to?, timezone: timezone? };
    let open = hours.open_minutes();
    if open < OPEN_MINUTES_MIN {
        let found = format!("quiet hours {hours}, which leave {open} minutes of a day");
        let expected = format!("at least {OPEN_MINUTES_MIN} minutes in which mails may go out");
        reading.fault(node.place, found, expected);
        return None;
    }
    Some(hours)
}

fn time_of_day(reading: &mut Reading<'_>, node: &Node) -> Option<TimeOfDay> {
    const EXPECTED: &str = "a time on the 24-hour clock such as \"21:00\"";
    let text = reading.text(node, EXPECTED)?;
    let time = text.parse().ok();
    if time.is_none() {
        reading.fault(node.place, quoted(text), EXPECTED);
    }
    time
}

fn zone(reading: &mut Reading<'_>, node: &Node) -> Option<Zone> {
    const EXPECTED: &str = "a time zone of the IANA database such as Europe/Berlin";
    let text = reading.text(node, EXPECTED)?;
    if let Ok(zone) = Zone::parse(text) {
        return Some(zone);
    }
    let names = Zone::names();
    let city = format!("/{}", text.trim().replace(' ', "_").to_lowercase());
    let same_city = names.iter().find(|name| name.to_lowercase().ends_with(&city));
    let near = super::names::nearest(text, names.iter().map(String::as_str));
    let near = same_city.map(String::as_str).or(near);
    let hint = near.map(|near| format!("did you mean `{near}`?"));
    reading.fault_with_hint(node.place, quoted(text), EXPECTED, hint);
    None
}

fn deferral(reading: &mut Reading<'_>, node: &Node, pacing: &mut Pacing) {
    let what = "a deferral, as {at_most: 3d, spread: 1h}";
    let Some(fields) = reading.fields(node, what, DEFERRAL_KEYS) else { return };
    let mut length = |key: &str, most: Span, into: &mut Span| {
        let Some(node) = fields.get(key) else { return };
        if let Some(span) = reading.span(node)
            && let Some(span) = up_to(reading, node, span, most)
        {
            *into = span;
        }
    };
    length("at_most", DEFER_AT_MOST_MAX, &mut pacing.defer_at_most);
    length("spread", SPREAD_MAX, &mut pacing.spread);
}

/// Where the caps of a journey stand in its file, for what only all files together show.
pub(crate) fn check_all(
    settings: &Settings,
    journeys: &BTreeMap<JourneyId, JourneyFile>,
    faults: &mut Faults,
) {
    check_tags(settings, journeys, faults);
    // The claims that the workspace's caps need at once: those in the longest window of all
    // topics, and of each topic's own.
    let mut needed: BTreeMap<Option<&TopicId>, &FrequencyCap> = BTreeMap::new();
    for cap in &settings.pacing.frequency_caps {
        let longest = needed.entry(cap.topic.as_ref()).or_insert(cap);
        if cap.within > longest.within {
            *longest = cap;
        }
    }
    let count = |cap: &FrequencyCap| usize::try_from(cap.at_most).unwrap_or(usize::MAX);
    let total: usize = needed.values().map(|cap| count(cap)).sum();
    if total > CLAIMS_MAX {
        let caps: Vec<String> = needed.values().map(ToString::to_string).collect();
        let found = format!("frequency caps that count {total} messages: {}", caps.join(", "));
        let expected = format!("at most {CLAIMS_MAX}: an address's last {CLAIMS_MAX} are counted");
        faults.at(SETTINGS_FILE, Place::START, found, expected);
    }
}

/// Claims name journeys and topics by short hashes, which must differ.
fn check_tags(
    settings: &Settings,
    journeys: &BTreeMap<JourneyId, JourneyFile>,
    faults: &mut Faults,
) {
    let expected = "another name: caps tell the two apart by a short hash, which is the same";
    let mut topics: BTreeMap<TopicTag, &TopicId> = BTreeMap::new();
    for topic in settings.topics.keys() {
        if let Some(other) = topics.insert(TopicTag::of(topic), topic) {
            let found = format!("topics `{other}` and `{topic}`");
            faults.at(SETTINGS_FILE, Place::START, found, expected);
        }
    }
    let mut tags: BTreeMap<JourneyTag, &JourneyId> = BTreeMap::new();
    for (id, file) in journeys {
        if let Some(other) = tags.insert(JourneyTag::of(Some(id)), id) {
            let found = format!("journeys `{other}` and `{id}`");
            faults.at(&file.file, Place::START, found, expected);
        }
    }
}
