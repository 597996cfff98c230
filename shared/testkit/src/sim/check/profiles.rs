//! Profiles: which events are in them, once each, with their facts, links and timeline.

use super::super::core::Actor;
use super::super::people::Said;
use super::super::workspace::{Version, keyring, publication};
use super::Check;
use super::links::{Parted, vouched};
use odyssey_domain::event::{Event, EventKind};
use odyssey_domain::ids::{EventHash, IdentityKey, Position};
use odyssey_domain::profile::{Accumulator, Facts, IdentityItem, ProfileEffect, Root, Watched};
use odyssey_domain::time::Stamp;
use odyssey_domain::wire::{
    ConsentChanged, EventsAccepted, FeedbackKind, MessageFeedback, Owner, SourceKind, SourceRef,
    detail_type,
};
use odyssey_flows::fold_profile::timeline::TimelineRow;
use odyssey_flows::ports::{Key, Row};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

/// An event as a queue message holds it.
#[derive(Debug, Clone)]
pub(super) struct Delivered {
    pub(super) own: IdentityKey,
    pub(super) event: Event,
    pub(super) source: SourceRef,
    pub(super) received: Stamp,
}

/// An event that is in a profile.
#[derive(Debug, Clone)]
pub(super) struct Folded {
    pub(super) event: Event,
    /// Through what sort of source it came, and when.
    pub(super) kind: SourceKind,
    pub(super) received: Stamp,
    /// When it was committed.
    pub(super) at: Stamp,
    /// Which write of an identity's item committed it.
    pub(super) nth: u64,
}

/// What is known of profiles.
#[derive(Debug, Default)]
pub(super) struct Profiles {
    /// What clients set out to send, by message id.
    said: BTreeMap<String, (Said, SourceKind)>,
    /// What they were told is stored.
    pub(super) acknowledged: BTreeSet<String>,
    /// What is in profiles.
    pub(super) folded: BTreeMap<(IdentityKey, EventHash), Folded>,
    /// What the facts of each identity should be.
    reference: BTreeMap<IdentityKey, Accumulator>,
    timeline: BTreeSet<(IdentityKey, EventHash)>,
    spilled: BTreeSet<(IdentityKey, EventHash)>,
    /// When an identity was linked into the root it is in.
    linked: BTreeMap<IdentityKey, Stamp>,
    /// What each profile held once and does not any more: an earlier claim took it, or an operator.
    left: BTreeMap<IdentityKey, BTreeSet<IdentityKey>>,
    /// What the operator has split, in order.
    pub(super) parted: Vec<Parted>,
    /// Whose timelines hold an event under two stamps: its client posted it again with another skew.
    pub(super) twice_stamped: BTreeSet<IdentityKey>,
    /// How many writes of identities' items there were.
    pub(super) writes: u64,
    /// The items as they stand.
    pub(super) items: BTreeMap<IdentityKey, IdentityItem>,
}

fn watched() -> &'static Watched {
    static WATCHED: OnceLock<Watched> = OnceLock::new();
    // Every version of the workspace watches the same, and the second computes whatever any does.
    WATCHED.get_or_init(|| {
        let all = &publication(Version::Second).catalog.computed_traits;
        Watched::of(&publication(Version::First).catalog.kept_matches()).computing(all)
    })
}

/// The events in a message of `profile`'s queue.
pub(super) fn delivered(body: &str) -> Vec<Delivered> {
    let Some(envelope) = super::envelope(body) else { return Vec::new() };
    match envelope.detail_type.as_str() {
        detail_type::EVENTS_ACCEPTED => {
            let Ok(accepted) = serde_json::from_str::<EventsAccepted>(envelope.detail.get()) else {
                return Vec::new();
            };
            let (source, received) = (accepted.source, accepted.received);
            let of = |event: Event| {
                let user = event.user_id.as_ref().map(|id| keyring().user_key(id));
                let device = event.anonymous_id.as_ref().map(|id| keyring().anonymous_key(id));
                let named = match source.kind {
                    SourceKind::Server => vouched(&event).into_iter().next(),
                    SourceKind::Browser => None,
                };
                let own = user.or(named).or(device)?;
                Some(Delivered { own, event, source: source.clone(), received })
            };
            accepted.events.into_iter().filter_map(of).collect()
        }
        detail_type::CONSENT_CHANGED => {
            let changed: Option<ConsentChanged> = serde_json::from_str(envelope.detail.get()).ok();
            changed.and_then(|changed| of_consent(&changed)).into_iter().collect()
        }
        detail_type::MESSAGE_FEEDBACK => {
            let fed: Option<MessageFeedback> = serde_json::from_str(envelope.detail.get()).ok();
            fed.and_then(|fed| of_feedback(&fed)).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// The event that a change of consent is in a profile, as far as facts are concerned.
fn of_consent(changed: &ConsentChanged) -> Option<Delivered> {
    let own = changed.profile?.into();
    let state = serde_json::to_value(changed.state).ok()?;
    let said = format!("{}/{}/{state}/{}", changed.contact, changed.topic, changed.at.ms());
    let mut properties = Map::new();
    properties.insert("topic".to_owned(), Value::from(changed.topic.as_str()));
    properties.insert("state".to_owned(), state);
    properties.insert("via".to_owned(), changed.via.as_str().into());
    let event = Event {
        id: format!("consent-{}", odyssey_domain::ids::ContentHash::of(said.as_bytes())),
        at: changed.at,
        original: None,
        kind: EventKind::Track,
        name: Some(detail_type::CONSENT_CHANGED.to_owned()),
        user_id: None,
        anonymous_id: None,
        previous_id: None,
        group_id: None,
        properties,
        traits: Map::new(),
        context: Map::new(),
        integrations: Map::new(),
    };
    let source = SourceRef { name: "consent".to_owned(), kind: SourceKind::Server };
    Some(Delivered { own, event, source, received: changed.at })
}

/// The event that a report on a mail is in a profile, as far as facts are concerned.
fn of_feedback(fed: &MessageFeedback) -> Option<Delivered> {
    let own = fed.profile?.into();
    let name = match fed.kind {
        FeedbackKind::Opened => "Email Opened",
        FeedbackKind::Clicked => "Email Link Clicked",
        FeedbackKind::BouncedHard => "Email Bounced",
        FeedbackKind::Complained => "Email Marked as Spam",
        _ => return None,
    };
    let by_people = matches!(fed.kind, FeedbackKind::BouncedHard | FeedbackKind::Complained);
    let soon = fed.accepted.is_some_and(|accepted| fed.at.since(accepted).ms() < 10_000);
    let mut properties = Map::new();
    properties.insert("email_id".to_owned(), fed.send.to_string().into());
    if (soon || fed.machine.is_some()) && !by_people {
        properties.insert("machine".to_owned(), true.into());
    }
    let said = format!("{}/{name}/{}", fed.send, fed.at.ms());
    let event = Event {
        id: format!("feedback-{}", odyssey_domain::ids::ContentHash::of(said.as_bytes())),
        at: fed.at,
        original: None,
        kind: EventKind::Track,
        name: Some(name.to_owned()),
        user_id: None,
        anonymous_id: None,
        previous_id: None,
        group_id: None,
        properties,
        traits: Map::new(),
        context: Map::new(),
        integrations: Map::new(),
    };
    let source = SourceRef { name: "feedback".to_owned(), kind: SourceKind::Server };
    Some(Delivered { own, event, source, received: fed.at })
}

/// Names whose events are counted once more.
const COUNTED: [&str; 8] = [
    "Product Added",
    "Product Viewed",
    "Order Completed",
    "Order Cancelled",
    "Form Submitted",
    "Page Left",
    "Subscription Started",
    "Video Content Started",
];

/// Whether facts are those of the reference. A state of a computed trait may be missing, where its
/// rule was published later or was not known to who folded last; one that is there must be right,
/// unless a timeline has an event `twice`, under two stamps: a back-fill takes the earlier.
fn are_the_fold(facts: &Facts, reference: &Facts, twice: bool) -> bool {
    let computed = facts.computed.clone();
    (twice || facts.computed.is_part_of(&reference.computed))
        && *facts == Facts { computed, ..reference.clone() }
}

impl Profiles {
    pub(super) fn said(&mut self, source: &'static str, events: &[Said]) {
        let kind = if source == "web" { SourceKind::Browser } else { SourceKind::Server };
        for event in events {
            self.said.insert(event.id.clone(), (event.clone(), kind));
        }
    }

    pub(super) fn acknowledged(&mut self, events: &[Said]) {
        self.acknowledged.extend(events.iter().map(|event| event.id.clone()));
    }

    /// The root that an identity's events are in.
    pub(super) fn root_of(&self, identity: IdentityKey) -> Option<IdentityKey> {
        match self.items.get(&identity)? {
            IdentityItem::Root(_) => Some(identity),
            IdentityItem::Pointer { to, .. } => Some(*to),
            IdentityItem::Tombstone { .. } => None,
        }
    }

    /// Whether an identity has been in the root it is in since before `at`.
    pub(super) fn was_linked(&self, identity: IdentityKey, at: Stamp) -> bool {
        self.linked.get(&identity).is_none_or(|linked| *linked < at)
    }

    /// Whether a profile is the one it always was: never linked into another, nothing split off it.
    /// What an earlier claim took out of it is in `events_gone`.
    pub(super) fn was_never_parted(&self, root: IdentityKey) -> bool {
        !self.linked.contains_key(&root) && !self.was_parted(root, Stamp::MIN)
    }

    /// A root as it stands.
    pub(super) fn root(&self, identity: IdentityKey) -> Option<&Root> {
        match self.items.get(&identity)? {
            IdentityItem::Root(root) => Some(root),
            _ => None,
        }
    }

    /// All roots as they stand.
    pub(super) fn roots(&self) -> Vec<(IdentityKey, Root)> {
        let roots = self.items.iter().filter_map(|(key, item)| match item {
            IdentityItem::Root(root) => Some((*key, root.as_ref().clone())),
            _ => None,
        });
        roots.collect()
    }

    /// The events in a profile: those of its own identifier and of the linked ones.
    pub(super) fn events_of(&self, root: IdentityKey) -> Vec<(IdentityKey, &Folded)> {
        let of = |identity: &IdentityKey| self.root_of(*identity) == Some(root);
        let all = self.folded.iter().filter(|((identity, _), _)| of(identity));
        all.map(|((identity, _), folded)| (*identity, folded)).collect()
    }

    /// The events in a root as it was just written, whether it is the one that stands or not.
    pub(super) fn events_in(&self, root: &Root) -> Vec<&Event> {
        root.accumulators
            .keys()
            .flat_map(|own| self.folded_under(*own))
            .map(|folded| &folded.event)
            .collect()
    }

    /// The events of what has left a profile: what it decided on while it held them stays decided.
    pub(super) fn events_gone(&self, key: IdentityKey, root: &Root) -> Vec<&Event> {
        let left = self.left.get(&key).into_iter().flatten();
        let gone = left.filter(|own| !root.accumulators.contains_key(*own));
        gone.flat_map(|own| self.folded_under(*own)).map(|folded| &folded.event).collect()
    }

    /// The events under every identifier that an earlier claim ever took out of a profile.
    pub(super) fn ever_gone(&self, root: IdentityKey) -> impl Iterator<Item = &Folded> {
        let left = self.left.get(&root).into_iter().flatten();
        left.flat_map(|own| self.folded_under(*own))
    }

    fn folded_under(&self, own: IdentityKey) -> impl Iterator<Item = &Folded> {
        let all = self.folded.range((own, EventHash([0; 8]))..);
        let all = all.take_while(move |((identity, _), _)| *identity == own);
        all.map(|(_, folded)| folded)
    }

    /// Whose events a client's message was, as it was sent.
    pub(super) fn identity_of(&self, id: &str) -> Option<IdentityKey> {
        self.said.get(id).and_then(|(said, kind)| said.own(*kind))
    }
}

impl Check {
    pub(super) fn identity_written(
        &mut self,
        now: Stamp,
        actor: Actor,
        key: &Key,
        after: Option<&Row>,
    ) {
        let Ok(identity) = key.pk.parse::<IdentityKey>() else { return };
        self.profiles.writes += 1;
        let after = after.and_then(super::item::<IdentityItem>);
        let before = self.profiles.items.remove(&identity);
        if let Some(IdentityItem::Pointer { to, .. }) = &after
            && !matches!(&before, Some(IdentityItem::Pointer { to: held, .. }) if held == to)
        {
            self.profiles.linked.insert(identity, now);
        }
        self.link_written(now, actor, identity, before.as_ref(), after.as_ref());
        if let Some(IdentityItem::Root(root)) = &before {
            let kept = match &after {
                Some(IdentityItem::Root(root)) => root.said.pending.as_slice(),
                _ => &[],
            };
            self.effects_left(&root.said.pending, kept);
        }
        if let Some(IdentityItem::Root(root)) = &after {
            for (own, accumulator) in &root.accumulators {
                self.accumulator_written(now, actor, identity, *own, accumulator);
            }
            let stood = match &before {
                Some(IdentityItem::Root(root)) => Some(root.as_ref()),
                _ => None,
            };
            let held = stood.into_iter().flat_map(|stood| stood.links.keys());
            let gone = held.filter(|own| !root.links.contains_key(*own));
            self.profiles.left.entry(identity).or_default().extend(gone);
            self.raises_written(now, actor, identity, stood, root);
            let owner = Owner::Profile(identity.into());
            self.armed(now, owner, root.said.arm, root.said.due);
        } else {
            self.disarmed(identity);
        }
        if let Some(after) = after {
            self.profiles.items.insert(identity, after);
        }
    }

    /// Effects that are no longer in the item must have left it before.
    fn effects_left(&mut self, before: &[ProfileEffect], kept: &[ProfileEffect]) {
        for effect in before {
            if kept.contains(effect) {
                continue;
            }
            if let ProfileEffect::Raise(raise) = effect {
                let left = self.is_signal_told(raise.id);
                self.holds("effects-before-replaced", left, || {
                    format!("the signal {} {} was never published", raise.signal, raise.id)
                });
            }
            if let ProfileEffect::Ask { email, topic, at, .. } = effect {
                let asked = (keyring().contact_key(email), topic.clone(), *at);
                let left = self.sends.to_confirm.contains(&asked);
                self.holds("effects-before-replaced", left, || {
                    format!("nobody was asked for {topic}, which was requested at {at}")
                });
            }
        }
    }

    fn accumulator_written(
        &mut self,
        now: Stamp,
        actor: Actor,
        root: IdentityKey,
        own: IdentityKey,
        accumulator: &Accumulator,
    ) {
        let known = self.invocations.get(&actor.invocation);
        let of_invocation: &[Delivered] = known.map_or(&[], |known| &known.events);
        let mut new = Vec::new();
        let mut strange = None;
        for id in accumulator.recent.iter() {
            if self.profiles.folded.contains_key(&(own, id)) {
                continue;
            }
            // Of two stamps of one message id the first folded counts.
            let source = of_invocation
                .iter()
                .find(|delivered| delivered.own == own && EventHash::of(&delivered.event.id) == id);
            match source {
                Some(delivered) => new.push(delivered.clone()),
                None => strange = Some(id),
            }
        }
        self.holds("events-as-said", strange.is_none(), || {
            format!("{own} holds an event that its delivery did not: {strange:?}")
        });
        let is_new = !new.is_empty();
        for Delivered { own, event, source, received } in new {
            self.as_said(&event);
            let reference = self.profiles.reference.entry(own).or_default();
            let _ = reference.fold(&event, &source, watched());
            let id = EventHash::of(&event.id);
            let kind = source.kind;
            let nth = self.profiles.writes;
            let folded = Folded { event, kind, received, at: now, nth };
            self.profiles.folded.insert((own, id), folded);
        }
        let Some(reference) = self.profiles.reference.get(&own) else { return };
        let twice = self.profiles.twice_stamped.contains(&own);
        let same = are_the_fold(&accumulator.facts, &reference.facts, twice);
        let counted = self.profiles.folded.range((own, EventHash([0; 8]))..);
        let counted = counted.take_while(|((identity, _), _)| *identity == own).count() as u64;
        let total = accumulator.facts.total;
        self.holds("facts-are-the-fold", same, || {
            format!("the facts of {own} in {root} are not the fold of its {counted} events")
        });
        self.holds("facts-are-the-fold", total == counted, || {
            format!("{own} in {root} counts {total} events and holds {counted}")
        });
        if is_new {
            self.holds(
                "facts-are-the-fold",
                own == root || !accumulator.recent.is_empty(),
                String::new,
            );
        }
    }

    /// Compares an event with what its client sent.
    fn as_said(&mut self, event: &Event) {
        if event.id.starts_with("consent-") {
            return;
        }
        if event.id.starts_with("feedback-") {
            let told = self.is_told(event);
            self.holds("events-as-said", told, || {
                format!("the bus was not told what the event {} says: {event:?}", event.id)
            });
            return;
        }
        let slack = i64::try_from(self.skew_ms).unwrap_or(0);
        let same = self.profiles.said.get(&event.id).is_some_and(|(said, _)| {
            said.name.map(str::to_owned) == event.name
                && said.properties == event.properties
                && said.traits == event.traits
                && said.context().and_then(|context| context.get("externalIds").cloned()).as_ref()
                    == event.context.get("externalIds")
                && event.at <= said.at
                // A stamp past receipt is the receipt's, by a clock that may be behind.
                && event.at.ms() >= said.at.ms() - slack
        });
        self.holds("events-as-said", same, || {
            format!("the event {} is not what its client sent: {event:?}", event.id)
        });
    }

    pub(super) fn timeline_written(&mut self, key: &Key, after: Option<&Row>) {
        let (Ok(identity), Some(row)) =
            (key.pk.parse::<IdentityKey>(), after.and_then(super::item::<TimelineRow>))
        else {
            return;
        };
        for event in &row.events {
            let id = EventHash::of(&event.id);
            let folded = self.profiles.folded.get(&(identity, id)).map(|folded| folded.event.at);
            self.holds("timeline-after-fold", folded.is_some(), || {
                format!("the timeline of {identity} holds {}, its profile does not", event.id)
            });
            if folded.is_some_and(|at| at != event.at) {
                self.profiles.twice_stamped.insert(identity);
            }
            self.profiles.timeline.insert((identity, id));
        }
    }

    pub(super) fn profiles_spilled(&mut self, key: &Key, ids: &[EventHash]) {
        let Ok(identity) = key.pk.parse::<IdentityKey>() else { return };
        for id in ids {
            let folded = self.profiles.folded.contains_key(&(identity, *id));
            self.holds("timeline-after-fold", folded, || {
                format!("{identity} spilled {id}, which is not in its profile")
            });
            self.profiles.spilled.insert((identity, *id));
        }
    }

    // ---- at the end ----------------------------------------------------------------------------

    /// Acknowledged events are in profile and timeline; links are those of the first claims; the
    /// accumulators stand where the links say.
    pub(super) fn profiles_end(&mut self) {
        let missing: Option<String> = self
            .profiles
            .acknowledged
            .iter()
            .find(|id| {
                let hash = EventHash::of(id);
                let own = self.profiles.identity_of(id);
                own.is_none_or(|own| !self.profiles.folded.contains_key(&(own, hash)))
            })
            .cloned();
        self.holds("acknowledged-is-folded", missing.is_none(), || {
            format!("{missing:?} was acknowledged and is in no profile")
        });
        let untold = self.profiles.folded.keys().find(|key| !self.profiles.timeline.contains(*key));
        let untold =
            untold.and_then(|key| self.profiles.folded.get(key)).map(|f| f.event.id.clone());
        self.holds("acknowledged-is-folded", untold.is_none(), || {
            format!("{untold:?} is in a profile and in no timeline")
        });
        self.links_end();
        let identities: BTreeSet<IdentityKey> =
            self.profiles.folded.keys().map(|(identity, _)| *identity).collect();
        for identity in identities {
            let root = self.profiles.root_of(identity);
            let held = root.and_then(|root| self.profiles.root(root));
            let there = held.is_some_and(|root| root.accumulators.contains_key(&identity));
            self.holds("facts-are-the-fold", there, || {
                format!("the events of {identity} are in no profile any more")
            });
        }
        self.counted_anew();
    }

    /// Counts, the address and the last first name, worked out without the fold.
    fn counted_anew(&mut self) {
        for (key, root) in self.profiles.roots() {
            let events = self.profiles.events_of(key);
            let named = |name: &str| {
                let is = |f: &Folded| {
                    f.event.kind == EventKind::Track && f.event.name.as_deref() == Some(name)
                };
                events.iter().filter(|(_, folded)| is(folded)).count() as u64
            };
            let facts = root.facts().into_owned();
            let wrong = COUNTED
                .into_iter()
                .find(|name| facts.counts.get(*name).copied().unwrap_or(0) != named(name));
            let total = events.len() as u64;
            let mut first_names: Vec<(Position, &Value)> = events
                .iter()
                .filter_map(|(_, f)| Some((f.event.position(), f.event.traits.get("first_name")?)))
                .collect();
            first_names.sort_by_key(|(at, _)| *at);
            let last = first_names.last().map(|(_, name)| (*name).clone());
            let view = root.view(key.into());
            let held = view.traits.get("first_name").cloned();
            self.holds("facts-are-the-fold", wrong.is_none() && facts.total == total, || {
                format!("{key} counts {wrong:?} or its {total} events wrongly: {}", facts.total)
            });
            self.holds("facts-are-the-fold", held == last, || {
                format!("{key} has the first name {held:?}, last said was {last:?}")
            });
        }
    }
}
