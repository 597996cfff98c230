//! `workspace.yaml`: topics, signals, sources, the brand.

use super::fault::{Faults, Place};
use super::fields::{Fields, Reading};
use super::names::{CALLS, SPEC_EVENTS};
use super::yaml::{self, Kind, Node, quoted};
use super::{Files, Known, SETTINGS_FILE, SOURCES_MAX, TOPICS_MAX, computed, pacing, signals};
use crate::catalog::{Brand, Source, SourceName, Topic, TopicKind};
use crate::contact::TopicId;
use crate::message::MailId;
use crate::pacing::Pacing;
use crate::personal::EmailAddress;
use crate::profile::ComputedTraits;
use crate::signal::{Stages, Threshold};
use crate::wire::{SourceKind, SourceRef};
use std::collections::{BTreeMap, BTreeSet};

/// What `workspace.yaml` says.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Who writes.
    pub brand: Brand,
    /// Who may post.
    pub sources: BTreeMap<SourceName, Source>,
    /// What one can subscribe to.
    pub topics: BTreeMap<TopicId, Topic>,
    /// How often and when people are written to.
    pub pacing: Pacing,
    /// The signals in use, whatever journeys say, with their default thresholds.
    pub signals: BTreeMap<String, Threshold>,
    /// What the stages of `Stage Changed` are told apart by.
    pub stages: Stages,
    /// Events of the author's own, besides the Spec's.
    pub events: BTreeSet<String>,
    /// Values that profiles keep up to date, by name.
    pub computed_traits: ComputedTraits,
    /// The mail that asks an address's owner to confirm.
    pub confirmation_mail: MailId,
}

/// The keys of `workspace.yaml`.
pub const KEYS: &[&str] = &[
    "brand",
    "sources",
    "topics",
    "signals",
    "events",
    "computed_traits",
    "confirmation_mail",
    "frequency_caps",
    "quiet_hours",
    "when_capped",
    "when_quiet",
    "deferral",
];
/// The keys of its `brand`.
pub const BRAND_KEYS: &[&str] =
    &["name", "from", "reply_to", "postal_address", "website", "allowed_hosts"];
const SOURCE_KEYS: &[&str] = &["kind", "key_generation"];
/// The keys of a topic.
pub const TOPIC_KEYS: &[&str] = &["title", "kind", "exempt"];

pub(crate) fn read(files: &Files, known: &mut Known, faults: &mut Faults) -> Option<Settings> {
    known.signals = signals::defaults();
    let Some(text) = files.get(SETTINGS_FILE) else {
        faults.at(SETTINGS_FILE, Place::START, "no such file", "the workspace's settings");
        return None;
    };
    let root = yaml::parse(SETTINGS_FILE, text, 0, faults)?;
    let mut reading = Reading { file: SETTINGS_FILE, faults };
    let fields = reading.fields(&root, "the workspace", KEYS)?;

    let brand = reading.need(fields, "brand", "{name: …, from: …, …}");
    let brand = brand.and_then(|node| read_brand(&mut reading, node));
    let sources = reading.need(fields, "sources", "{web: {kind: browser}}");
    let sources = sources.map(|node| read_sources(&mut reading, node));
    let topics = reading.need(fields, "topics", "{offers: {title: Offers, kind: marketing}}");
    known.topics = topics.and_then(key_names);
    let topics = topics.map(|node| read_topics(&mut reading, node));
    let pacing = pacing::read(&mut reading, fields, topics.as_ref());
    let signals = signals::read(&mut reading, fields.get("signals"));
    known.signals.extend(signals.clone());
    let stages = signals::stages(&mut reading, fields.get("signals"), &signals);
    let events = fields.get("events").map(|node| read_events(&mut reading, node));
    let events = events.unwrap_or_default();
    let known_events = SPEC_EVENTS.iter().chain(CALLS).map(|name| (*name).to_owned());
    known.events = Some(known_events.chain(events.clone()).collect());
    let computed_traits = computed::read(&mut reading, fields.get("computed_traits"), known);
    let confirmation = reading.need(fields, "confirmation_mail", "confirm");
    let confirmation_mail =
        confirmation.and_then(|node| read_mail_name(&mut reading, node, &known.mails));

    Some(Settings {
        brand: brand?,
        sources: sources?,
        topics: topics?,
        pacing,
        signals,
        stages,
        events,
        computed_traits,
        confirmation_mail: confirmation_mail?,
    })
}

fn key_names(node: &Node) -> Option<BTreeSet<String>> {
    match &node.kind {
        Kind::Map(entries) => Some(entries.iter().map(|(key, _)| key.name.clone()).collect()),
        _ => None,
    }
}

/// The name of a mail that exists.
pub(crate) fn read_mail_name(
    reading: &mut Reading<'_>,
    node: &Node,
    mails: &BTreeSet<String>,
) -> Option<MailId> {
    let name = reading.text(node, "the name of a mail")?;
    if !mails.contains(name) {
        reading.unknown(node.place, "mail", name, mails.iter().map(String::as_str));
        return None;
    }
    MailId::parse(name).ok()
}

fn read_brand(reading: &mut Reading<'_>, node: &Node) -> Option<Brand> {
    let fields = reading.fields(node, "the brand", BRAND_KEYS)?;
    let name = one_line(reading, fields, "name", "Northwind Outfitters");
    let from = reading.need(fields, "from", "hello@example.com");
    let from = from.and_then(|node| address(reading, node));
    let reply_to = match fields.get("reply_to") {
        None => Some(None),
        Some(node) => address(reading, node).map(Some),
    };
    let postal = reading.need(fields, "postal_address", "\"12 Harbour Street, 20457 Hamburg\"");
    let postal = postal.and_then(|node| postal_address(reading, node));
    let website = reading.need(fields, "website", "https://shop.example.com");
    let website = website.and_then(|node| read_website(reading, node));
    let hosts = fields.get("allowed_hosts").map(|node| read_hosts(reading, node));
    let (website, host) = website?;
    let mut allowed_hosts = hosts.unwrap_or_default();
    if !allowed_hosts.contains(&host) {
        allowed_hosts.insert(0, host);
    }
    Some(Brand {
        name: name?,
        from: from?,
        reply_to: reply_to?,
        postal_address: postal?,
        website,
        allowed_hosts,
    })
}

/// A text of one line, of at most 100 characters.
fn one_line(
    reading: &mut Reading<'_>,
    fields: Fields<'_>,
    key: &str,
    example: &str,
) -> Option<String> {
    let node = reading.need(fields, key, example)?;
    let text = reading.text(node, "a text of one line")?.trim();
    if text.chars().count() > 100 || text.chars().any(char::is_control) {
        reading.fault(node.place, quoted(text), "a text of one line, at most 100 characters");
        return None;
    }
    Some(text.to_owned())
}

fn address(reading: &mut Reading<'_>, node: &Node) -> Option<EmailAddress> {
    let text = reading.text(node, "an e-mail address")?;
    match EmailAddress::parse(text) {
        Ok(address) => Some(address),
        Err(error) => {
            let found = format!("{}, which {error}", quoted(text));
            reading.fault(node.place, found, "an e-mail address such as hello@example.com");
            None
        }
    }
}

/// The shortest text that can be a postal address.
const POSTAL_CHARS_MIN: usize = 15;

fn postal_address(reading: &mut Reading<'_>, node: &Node) -> Option<String> {
    const EXPECTED: &str = "a valid physical postal address, which marketing mail must show (CAN-SPAM, 15 U.S.C. 7704)";
    let text = reading.text(node, EXPECTED)?.trim();
    if text.chars().count() < POSTAL_CHARS_MIN {
        reading.fault(node.place, quoted(text), EXPECTED);
        return None;
    }
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The site and its host.
fn read_website(reading: &mut Reading<'_>, node: &Node) -> Option<(String, String)> {
    const EXPECTED: &str = "an address such as https://shop.example.com";
    let text = reading.text(node, EXPECTED)?.trim().trim_end_matches('/');
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let authority = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or(""));
    let host = authority.map(|authority| authority.split(':').next().unwrap_or(""));
    match host {
        Some(host) if is_host(host) => Some((text.to_owned(), host.to_ascii_lowercase())),
        _ => {
            reading.fault(node.place, quoted(text), EXPECTED);
            None
        }
    }
}

fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    !text.is_empty() && text.len() <= 253 && text.split('.').all(label)
}

fn read_hosts(reading: &mut Reading<'_>, node: &Node) -> Vec<String> {
    let items = reading.list(node, "a list of hosts").unwrap_or_default();
    let mut hosts = Vec::new();
    for item in items {
        let Some(text) = reading.text(item, "a host such as cdn.example.com") else { continue };
        let bare = text.strip_prefix("*.").unwrap_or(text);
        let bare = bare.split_once(':').map_or(bare, |(host, port)| {
            if port.bytes().all(|b| b.is_ascii_digit()) { host } else { "" }
        });
        if is_host(bare) {
            hosts.push(text.to_ascii_lowercase());
        } else {
            let expected = "a host such as cdn.example.com, *.example.com or localhost:8080";
            reading.fault(item.place, quoted(text), expected);
        }
    }
    hosts
}

fn read_sources(reading: &mut Reading<'_>, node: &Node) -> BTreeMap<SourceName, Source> {
    let mut sources = BTreeMap::new();
    let Some(fields) = reading.open(node, "the sources") else { return sources };
    limit(reading, fields, "sources", SOURCES_MAX);
    for (key, node) in fields.entries() {
        let name = reading.slug(&key.name, key.place, "source's name", SourceName::parse);
        if [SourceRef::FEEDBACK, SourceRef::CONSENT].contains(&key.name.as_str()) {
            let expected = "another name: under this one the stack itself speaks";
            reading.fault(key.place, format!("source {}", quoted(&key.name)), expected);
        }
        let Some(fields) = reading.fields(node, "a source", SOURCE_KEYS) else { continue };
        let kind = reading.need(fields, "kind", "browser").and_then(|node| {
            let kinds = [("browser", SourceKind::Browser), ("server", SourceKind::Server)];
            one_of(reading, node, "kind of source", &kinds)
        });
        let key_generation = match fields.get("key_generation") {
            None => Some(1),
            Some(node) => match &node.kind {
                Kind::Number(number) => number.as_u64().and_then(|n| u32::try_from(n).ok()),
                _ => None,
            }
            .filter(|n| *n > 0)
            .or_else(|| {
                reading.fault(
                    node.place,
                    node.describe(),
                    "a number from 1, raised to revoke keys",
                );
                None
            }),
        };
        if let (Some(name), Some(kind), Some(key_generation)) = (name, kind, key_generation) {
            sources.insert(name, Source { kind, key_generation });
        }
    }
    sources
}

fn read_topics(reading: &mut Reading<'_>, node: &Node) -> BTreeMap<TopicId, Topic> {
    let mut topics = BTreeMap::new();
    let Some(fields) = reading.open(node, "the topics") else { return topics };
    limit(reading, fields, "topics", TOPICS_MAX);
    for (key, node) in fields.entries() {
        let id = reading.slug(&key.name, key.place, "topic's name", TopicId::parse);
        let Some(fields) = reading.fields(node, "a topic", TOPIC_KEYS) else { continue };
        let title = one_line(reading, fields, "title", "Offers and reminders");
        let kind = reading.need(fields, "kind", "marketing").and_then(|node| {
            let kinds =
                [("marketing", TopicKind::Marketing), ("transactional", TopicKind::Transactional)];
            one_of(reading, node, "kind of topic", &kinds)
        });
        let exempt = fields.get("exempt").and_then(|node| {
            if let Kind::Bool(exempt) = node.kind {
                return Some(exempt);
            }
            let expected = "true or false: whether frequency caps and quiet hours leave it alone";
            reading.fault(node.place, node.describe(), expected);
            None
        });
        if let (Some(id), Some(title), Some(kind)) = (id, title, kind) {
            topics.insert(id, Topic { exempt, ..Topic::new(title, kind) });
        }
    }
    topics
}

fn limit(reading: &mut Reading<'_>, fields: Fields<'_>, what: &str, max: usize) {
    let count = fields.entries().len();
    if count == 0 {
        reading.fault(fields.place, format!("no {what}"), "at least one");
    }
    if count > max {
        reading.fault(fields.place, format!("{count} {what}"), format!("at most {max}"));
    }
}

/// One of a few words.
pub(crate) fn one_of<T: Copy>(
    reading: &mut Reading<'_>,
    node: &Node,
    what: &str,
    words: &[(&'static str, T)],
) -> Option<T> {
    let names = words.iter().map(|(word, _)| *word);
    let text = reading.text(node, what)?;
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
        return Some(*value);
    }
    reading.unknown(node.place, what, text, names);
    None
}

fn read_events(reading: &mut Reading<'_>, node: &Node) -> BTreeSet<String> {
    let items = reading.list(node, "a list of events of your own").unwrap_or_default();
    items
        .iter()
        .filter_map(|item| reading.text(item, "the name of an event").map(str::to_owned))
        .collect()
}
