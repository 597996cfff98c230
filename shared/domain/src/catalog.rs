//! The published workspace, as functions read it.
//!
//! A [`Catalog`] is the small item every function loads; journeys and mails are documents of their
//! own, immutable and addressed by their hash.

use crate::contact::TopicId;
use crate::ids::{ComputedKey, ContentHash};
use crate::journey::JourneyId;
use crate::message::MailId;
use crate::pacing::{FrequencyCap, Pacing};
use crate::personal::EmailAddress;
use crate::plan;
use crate::predicate::EventPredicate;
use crate::profile::ComputedTraits;
use crate::segment::{Declared, Segment, SegmentName};
use crate::slug::slug;
use crate::time::{Span, Stamp};
use crate::wire::SourceKind;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

pub use crate::signal::{SignalKind, SignalRule, Threshold};

slug! {
    /// A source of events.
    SourceName,
}

/// A property or server that may post events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Whether its key is public.
    pub kind: SourceKind,
    /// Raised to revoke its write keys.
    pub key_generation: u32,
}

/// What one can subscribe to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topic {
    /// Its title on pages and in mails.
    pub title: String,
    /// Marketing needs consent and an unsubscribe link; transactional needs a verified address.
    pub kind: TopicKind,
    /// Whether frequency caps and quiet hours leave it alone, where the workspace says so; see
    /// [`Topic::is_exempt`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exempt: Option<bool>,
}

impl Topic {
    /// A topic that its kind alone exempts from caps and quiet hours, or does not.
    #[must_use]
    pub fn new(title: impl Into<String>, kind: TopicKind) -> Topic {
        Topic { title: title.into(), kind, exempt: None }
    }

    /// Whether frequency caps and quiet hours leave its messages alone and do not count them: as
    /// the workspace says, else transactional ones.
    #[must_use]
    pub fn is_exempt(&self) -> bool {
        self.exempt.unwrap_or(self.kind == TopicKind::Transactional)
    }
}

/// What a topic's mails are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TopicKind {
    /// Needs a granted consent.
    Marketing,
    /// What the customer's own deed makes necessary.
    Transactional,
}

/// Who the mails are from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brand {
    /// The name in `From` and on pages.
    pub name: String,
    /// The address in `From`; its domain is verified in SES.
    pub from: EmailAddress,
    /// Where answers go; `from` where absent.
    pub reply_to: Option<EmailAddress>,
    /// The postal address that marketing mail must show (CAN-SPAM, 15 U.S.C. §7704(a)(5)(A)).
    pub postal_address: String,
    /// The shop's own site.
    pub website: String,
    /// Hosts that URLs from events may point to when they are rendered.
    pub allowed_hosts: Vec<String>,
}

/// Whether a journey takes people in and moves them on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JourneyState {
    /// Not running.
    Draft,
    /// Running.
    Live,
    /// Nobody enters; those inside stand still.
    Paused,
    /// Over: nobody enters, those inside go on.
    Archived,
}

/// A journey in the catalog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JourneyEntry {
    /// The address of its current version.
    pub version: ContentHash,
    /// Whether it runs.
    pub state: JourneyState,
    /// Caps on its own messages, beside the workspace's. As of the last publication: like content,
    /// and unlike steps, they are not pinned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frequency_caps: Vec<FrequencyCap>,
}

/// An event predicate that customers inside an earlier version of a journey may still wait for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Retired {
    /// The predicate.
    pub event: EventPredicate,
    /// When the last journey that mentioned it was replaced.
    pub since: Stamp,
}

/// How long a retired predicate is watched at least; longer while somebody waits in a version that
/// mentions it. A publication sees those who wait in the due index, and neither those whose timer
/// is minutes away nor those who are parked in a paused journey: for these it is a quarter.
pub const RETIRED_KEPT: Span = Span::DAY.times(90);

/// The published workspace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Catalog {
    /// When it was published.
    pub published: Stamp,
    /// Who may post.
    pub sources: BTreeMap<SourceName, Source>,
    /// What one can subscribe to.
    pub topics: BTreeMap<TopicId, Topic>,
    /// How often and when people are written to.
    #[serde(default)]
    pub pacing: Pacing,
    /// Who writes.
    pub brand: Brand,
    /// The signals in use.
    pub signals: Vec<SignalRule>,
    /// The segments.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub segments: BTreeMap<SegmentName, Segment>,
    /// The journeys.
    pub journeys: BTreeMap<JourneyId, JourneyEntry>,
    /// The mails, by name, at the address of their current content.
    pub mails: BTreeMap<MailId, ContentHash>,
    /// The mail that asks an address's owner to confirm.
    pub confirmation_mail: MailId,
    /// Every event predicate that a live journey mentions, and the retired ones: profiles keep the
    /// last match of each.
    pub watched: Vec<EventPredicate>,
    /// Predicates that no published journey mentions any more; see [`Catalog::retire`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retired: Vec<Retired>,
    /// The computed traits.
    #[serde(default, skip_serializing_if = "ComputedTraits::is_empty")]
    pub computed_traits: ComputedTraits,
    /// The names of events that start, move or end an enrollment of a live journey: these are
    /// forwarded to it.
    pub forwarded: Vec<String>,
    /// The tracking plan that events are compared with; nothing is where it is empty.
    #[serde(default, skip_serializing_if = "plan::Declared::is_empty")]
    pub plan: plan::Declared,
}

impl Catalog {
    /// Its segments, as profiles are decided on by them.
    #[must_use]
    pub const fn declared(&self) -> Declared<'_> {
        Declared {
            published: self.published,
            segments: &self.segments,
            computed: &self.computed_traits,
        }
    }

    /// Every event predicate whose last match profiles keep: those of journeys and of segments.
    #[must_use]
    pub fn kept_matches(&self) -> Vec<EventPredicate> {
        let mut kept = self.watched.clone();
        for event in crate::segment::watched(self.segments.values()) {
            if !kept.contains(&event) {
                kept.push(event);
            }
        }
        kept
    }

    /// What a profile notes of an event that is folded under this publication: when it was made, where
    /// its segments ask for events, so that it matters which were watched.
    #[must_use]
    pub fn watches_under(&self) -> Option<Stamp> {
        self.declared().watched().map(|_| self.published)
    }

    /// The earliest publication since which every event that a segment asks for is known to be
    /// watched without a break; none where one is not watched.
    #[must_use]
    pub fn watches_since(&self, segment: &Segment) -> Option<Stamp> {
        let since = |event: &EventPredicate| {
            let asked = |known: &&Segment| crate::segment::watched([*known]).contains(event);
            let by_segments = self.segments.values().filter(asked).map(|known| known.watched);
            // Since when a journey's are is not noted.
            let by_journeys = self.watched.contains(event).then_some(self.published);
            by_segments.chain(by_journeys).min()
        };
        let all = crate::segment::watched([segment]);
        all.iter().map(since).try_fold(Stamp::MIN, |latest, since| Some(latest.max(since?)))
    }

    /// The rules by which what a segment asks for is worked out, where this workspace declares them:
    /// those of computed traits and of signals.
    fn rules_of(&self, segment: &Segment) -> (BTreeSet<ComputedKey>, Vec<&SignalRule>) {
        let traits = self.computed_traits.iter();
        let traits = traits.filter(|(name, ..)| segment.asks_trait(name)).map(|(_, key, _)| key);
        let signals = self.signals.iter().filter(|rule| segment.asks_signal(&rule.name));
        (traits.collect(), signals.collect())
    }

    /// Lets the segments go on that `before` has with the same predicate, over the same rules of
    /// computed traits and signals: profiles that were decided on by them are not new to them. The
    /// others begin with this publication.
    pub fn keep_segments(&mut self, before: &Catalog) {
        let mut segments = std::mem::take(&mut self.segments);
        for (name, segment) in &mut segments {
            let is_known = |known: &&Segment| {
                known.when == segment.when && before.rules_of(known) == self.rules_of(segment)
            };
            let known = before.segments.get(name).filter(is_known);
            segment.since = known.map_or(self.published, |known| known.since);
            segment.watched = before.watches_since(segment).unwrap_or(self.published);
        }
        self.segments = segments;
    }

    /// Dates it after `before`, whatever the publisher's clock says: profiles that were decided on
    /// under a later publication wait for that one.
    pub fn date_after(&mut self, before: &Catalog) {
        self.published = self.published.max(before.published.plus(Span::from_ms(1)));
    }

    /// Goes on watching what `before` watched and this catalog's journeys do not mention: an
    /// enrollment keeps the steps it entered on, and with them the events that end or move it.
    /// What was retired longer than [`RETIRED_KEPT`] ago is dropped, unless it is one of
    /// `waited_for`, the predicates of the versions that somebody is seen waiting in.
    pub fn retire(&mut self, before: &Catalog, waited_for: &[EventPredicate]) {
        self.keep_segments(before);
        let since = |event: &EventPredicate| {
            let known = before.retired.iter().find(|retired| retired.event == *event);
            known.map_or(self.published, |retired| retired.since)
        };
        let mut retired: Vec<Retired> = Vec::new();
        for event in before.watched.iter().chain(waited_for) {
            let since = since(event);
            let mentioned = self.watched.contains(event);
            let known = retired.iter().any(|retired| retired.event == *event);
            let due = self.published.since(since) <= RETIRED_KEPT || waited_for.contains(event);
            if !mentioned && !known && due {
                retired.push(Retired { event: event.clone(), since });
            }
        }
        for Retired { event, .. } in &retired {
            self.watched.push(event.clone());
            if !self.forwarded.contains(&event.event) {
                self.forwarded.push(event.event.clone());
            }
        }
        self.retired = retired;
    }
}
