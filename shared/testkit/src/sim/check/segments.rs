//! Segments: who is in them, and how many are counted.

use super::super::workspace::{Version, keyring};
use super::Check;
use super::consents::May;
use super::past::{Cart, Past};
use odyssey_domain::contact::{ConsentState, TopicId};
use odyssey_domain::event::Event;
use odyssey_domain::ids::ContactKey;
use odyssey_domain::profile::{IdentityItem, Root};
use odyssey_domain::segment::{SEGMENT_ENTERED, SegmentName};
use odyssey_domain::signal::Raise;
use odyssey_domain::time::{Span, Stamp};
use odyssey_flows::ports::{Key, Row, Table};
use std::collections::BTreeMap;

/// Every segment of any version.
const NAMES: [&str; 7] = ["busy", "waiting", "warned", "reachable", "named", "spender", "regular"];
/// What `spender` asks for: days, today among them, and minor units; and what each order comes to.
const SPENDER_DAYS: i64 = 7;
const SPENDER: usize = 9_000;
const ORDER: usize = 4_990;

/// What is known of segments.
#[derive(Debug, Default)]
pub(super) struct Segments {
    /// The counters as they stand, by segment and shard.
    counters: BTreeMap<(String, String), i64>,
    /// What was published last, by number.
    published: Option<(u32, Version)>,
    /// A version with the later segments may have been published.
    pub(super) changed: bool,
}

/// What somebody's past says of their being in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    Yes,
    No,
    /// Nobody can say.
    Either,
    /// There is no such segment in that version.
    Absent,
}

impl Says {
    const fn of(held: bool) -> Says {
        if held { Says::Yes } else { Says::No }
    }
}

/// What segments are asked of, at an instant.
struct Asked<'a> {
    past: &'a Past<'a>,
    root: &'a Root,
    /// What the contact says of offers.
    offers: Says,
    at: Stamp,
}

impl Asked<'_> {
    fn lately(&self, name: &str, minutes: u64) -> bool {
        let from = self.at.minus(Span::MINUTE.times(minutes));
        self.past.named(name).any(|event| event.at >= from)
    }

    /// The segments of the simulated workspace, said once more.
    fn says(&self, name: &str, changed: bool) -> Says {
        let Asked { past, root, .. } = self;
        match name {
            "busy" => Says::of(self.lately("Product Viewed", if changed { 90 } else { 40 })),
            "waiting" if self.lately("Order Completed", 360) => Says::No,
            "waiting" => match past.cart() {
                Cart::Empty => Says::No,
                Cart::Filled(_) => Says::Yes,
                Cart::Unclear => Says::Either,
            },
            "warned" => {
                let raised = root.said.raised.get("Cart Abandoned");
                let from = self.at.minus(Span::HOUR.times(3));
                Says::of(raised.is_some_and(|at| *at >= from))
            }
            "reachable" => self.offers,
            "named" => Says::of(past.has_trait("first_name")),
            "regular" if changed => Says::of(past.named("Order Completed").count() >= 2),
            "spender" if changed => {
                let from = self.at.day() - SPENDER_DAYS;
                let days = || past.named("Order Completed").map(|event| event.at.day());
                // A window goes with its day: an order that is dated ahead of the clock may count.
                if days().any(|day| day > self.at.day()) {
                    return Says::Either;
                }
                Says::of(days().filter(|day| *day > from).count() * ORDER >= SPENDER)
            }
            _ => Says::Absent,
        }
    }
}

impl Segments {
    pub(super) fn declared(&mut self, version: Version, number: u32) {
        if self.published.is_none_or(|(before, _)| before <= number) {
            self.published = Some((number, version));
        }
    }

    fn is_changed(&self) -> bool {
        self.published.is_some_and(|(_, version)| version.is_changed())
    }
}

/// The segment whose counter stands at a key.
pub(super) fn of_counter(key: &Key) -> Option<&str> {
    key.pk.strip_prefix("segment#").filter(|_| key.table == Table::Workspace)
}

/// The contact behind a profile's address.
fn contact_of(root: &Root) -> Option<ContactKey> {
    root.facts().email.address().map(|email| keyring().contact_key(email))
}

impl Check {
    /// Rows were written together: now, and at any time, counts are the numbers of members.
    pub(super) fn segments_written(&mut self, keys: &[Key], after: &[Option<Row>]) {
        let mut touched = false;
        for (key, after) in keys.iter().zip(after) {
            touched |= key.table == Table::Profiles && key.sk == "identity";
            let (Some(segment), Some(row)) = (of_counter(key), after) else { continue };
            touched = true;
            let count = std::str::from_utf8(&row.body).ok().and_then(|text| text.parse().ok());
            let place = (segment.to_owned(), key.sk.clone());
            self.segments.counters.insert(place, count.unwrap_or(i64::MAX));
        }
        if !touched {
            return;
        }
        let mut members: BTreeMap<&str, i64> = BTreeMap::new();
        for item in self.profiles.items.values() {
            let IdentityItem::Root(root) = item else { continue };
            for name in root.said.segments.members.keys() {
                *members.entry(name.as_str()).or_default() += 1;
            }
        }
        let mut counted: BTreeMap<&str, i64> = BTreeMap::new();
        for ((segment, _), count) in &self.segments.counters {
            *counted.entry(segment).or_default() += count;
        }
        counted.retain(|_, count| *count != 0);
        let held = members == counted;
        let found = format!("counted are {counted:?}, members are {members:?}");
        self.holds("segment-count", held, || found);
    }

    /// Somebody enters or leaves a segment aloud: some version of it that a function may have held
    /// says the same of what was known then.
    pub(super) fn segment_change(
        &mut self,
        started: Stamp,
        root: &Root,
        past: &Past<'_>,
        raise: &Raise,
        name: SegmentName,
    ) {
        let entered = raise.signal == SEGMENT_ENTERED;
        let Ok(topic) = TopicId::parse("offers") else { return };
        // The contact was read at some instant since: a change that was on its way may count.
        let may = contact_of(root).map(|contact| {
            let May { granted, withdrawn, unknown } = self.consents.may(contact, &topic, started);
            let late = self.consents.may(contact, &topic, Stamp::MAX);
            (granted || late.granted, withdrawn || unknown || late.withdrawn)
        });
        let offers = match may {
            None | Some((false, _)) => Says::No,
            Some((true, true)) => Says::Either,
            Some((true, false)) => Says::Yes,
        };
        let asked = Asked { past, root, offers, at: raise.at };
        let versions = if self.segments.changed { &[false, true][..] } else { &[false] };
        let wanted = if entered { Says::Yes } else { Says::No };
        let said: Vec<Says> =
            versions.iter().map(|changed| asked.says(name.as_str(), *changed)).collect();
        let held = said.iter().any(|says| *says == wanted || *says == Says::Either);
        self.holds("segment-change-with-cause", held, || {
            format!("{} {name} at {}: its past says {said:?}", raise.signal, raise.at)
        });
    }

    /// At rest, when every timer has fired, each profile is in the segments that what is known of it
    /// says; none waits for a back-fill that has left nobody out.
    pub(super) fn segments_end(&mut self, now: Stamp) {
        let changed = self.segments.is_changed();
        for (key, root) in self.profiles.roots() {
            let events: Vec<Event> = self.profiles.events_in(&root).into_iter().cloned().collect();
            let past = Past::of(&events);
            let offers = self.offers_at_rest(&root);
            let asked = Asked { past: &past, root: &root, offers, at: now };
            let belongs = &root.said.segments;
            for name in NAMES {
                let is_named = |held: &SegmentName| held.as_str() == name;
                if belongs.waiting.iter().any(is_named) && self.backfills.left > 0 {
                    continue;
                }
                let member = belongs.members.keys().any(is_named);
                let says = asked.says(name, changed);
                let held = match says {
                    Says::Yes => member,
                    Says::No | Says::Absent => !member,
                    Says::Either => continue,
                };
                self.holds("segment-as-evaluated", held, || {
                    format!("{key}: member of {name} {member}, its past says {says:?}")
                });
            }
            let strange = belongs.members.keys().find(|held| !NAMES.contains(&held.as_str()));
            self.holds("segment-as-evaluated", strange.is_none(), || {
                format!("{key} is in {strange:?}, which is no segment")
            });
        }
    }

    /// What stands in the contact behind a profile's address. An answer of which nobody was told
    /// moves no profile before something else does.
    fn offers_at_rest(&self, root: &Root) -> Says {
        let Some(contact) = contact_of(root).and_then(|key| self.contacts.get(&key)) else {
            return Says::No;
        };
        let mut answers = contact.consents.iter();
        match answers.find(|(topic, _)| topic.as_str() == "offers") {
            None => Says::No,
            Some((topic, said)) if self.consents.is_told(contact.key, topic, said) => {
                Says::of(said.state == ConsentState::Granted)
            }
            Some(_) => Says::Either,
        }
    }
}
