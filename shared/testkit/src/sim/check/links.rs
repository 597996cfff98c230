//! Links: which ids are whose, by the first claim of those who may claim them, and what the operator
//! has taken apart.

use super::super::core::Actor;
use super::super::functions::Function;
use super::super::workspace::keyring;
use super::Check;
use super::profiles::{Folded, Profiles};
use odyssey_domain::event::{Event, EventKind};
use odyssey_domain::ids::{IdentityKey, Position};
use odyssey_domain::personal::AnonymousId;
use odyssey_domain::profile::IdentityItem;
use odyssey_domain::time::{Span, Stamp};
use odyssey_domain::wire::SourceKind;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// An operator's split.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parted {
    id: IdentityKey,
    from: IdentityKey,
    at: Stamp,
    /// Which write of an identity's item it was.
    nth: u64,
}

/// The ids beside user id and device in an event of a server, strongest first; read without the
/// domain's help.
pub(super) fn vouched(event: &Event) -> Vec<IdentityKey> {
    let text = |entry: &Value, name: &str| entry.get(name)?.as_str().map(str::to_owned);
    let entries = event.context.get("externalIds").and_then(Value::as_array);
    let mut named: Vec<(bool, String)> = Vec::new();
    for entry in entries.into_iter().flatten() {
        if let (Some(kind), Some(id)) = (text(entry, "type"), text(entry, "id")) {
            let is_email = kind == "email";
            let prefix = if is_email { String::new() } else { "external:".to_owned() };
            named.push((is_email, format!("{prefix}{kind}:{id}")));
        }
    }
    if let (EventKind::Identify, Some(Value::String(address))) =
        (event.kind, event.traits.get("email"))
    {
        named.push((true, format!("email:{address}")));
    }
    named.sort();
    named.dedup();
    let key = |(_, text): (bool, String)| text.parse().ok().map(|id| keyring().identity_key(&id));
    named.into_iter().filter_map(key).collect()
}

impl Profiles {
    /// Whether an operator has split the two.
    fn is_parted(&self, id: IdentityKey, from: IdentityKey) -> bool {
        self.parted.iter().any(|parted| parted.id == id && parted.from == from)
    }

    /// Whether something was split off an identity's profile, or it off another, since `at`.
    pub(super) fn was_parted(&self, identity: IdentityKey, at: Stamp) -> bool {
        let of = |parted: &Parted| parted.id == identity || parted.from == identity;
        self.parted.iter().any(|parted| of(parted) && parted.at >= at)
    }

    /// The roots that an identity is or has been part of, as far as splits tell.
    pub(super) fn kin_of(&self, identity: IdentityKey) -> BTreeSet<IdentityKey> {
        let mut kin: BTreeSet<IdentityKey> = self.root_of(identity).into_iter().collect();
        kin.insert(identity);
        for _ in 0..self.parted.len() {
            for Parted { id, from, .. } in &self.parted {
                let both = [Some(*id), Some(*from), self.root_of(*id), self.root_of(*from)];
                if both.iter().flatten().any(|key| kin.contains(key)) {
                    kin.extend(both.into_iter().flatten());
                }
            }
        }
        kin
    }
}

impl Check {
    /// An identity's item was written.
    pub(super) fn link_written(
        &mut self,
        now: Stamp,
        actor: Actor,
        identity: IdentityKey,
        before: Option<&IdentityItem>,
        after: Option<&IdentityItem>,
    ) {
        if let (Some(IdentityItem::Pointer { to, .. }), Some(IdentityItem::Root(_))) =
            (before, after)
        {
            let (id, from) = (identity, *to);
            let operator = actor.function == Function::Operator;
            self.holds("splits-last", operator, || {
                format!("{id} left {from}, and no operator said so")
            });
            let nth = self.profiles.writes;
            self.profiles.parted.push(Parted { id, from, at: now, nth });
        }
        if let Some(IdentityItem::Pointer { to, .. }) = after {
            let parted = self.profiles.is_parted(identity, *to);
            self.holds("splits-last", !parted, || {
                format!("{identity} is linked again to {to}, from which it was split")
            });
        }
    }

    /// Links are those of the first claims; what was split off is linked only by what came after.
    pub(super) fn links_end(&mut self) {
        let mut claimed: BTreeMap<IdentityKey, Vec<(IdentityKey, Position, u64)>> = BTreeMap::new();
        for folded in self.profiles.folded.values() {
            for (id, (user, at)) in claims(folded) {
                claimed.entry(id).or_default().push((user, at, folded.nth));
            }
        }
        for (id, all) in &claimed {
            let last = self.profiles.parted.iter().filter(|parted| parted.id == *id);
            let last = last.map(|parted| parted.nth).max();
            let allowed = |user| !self.profiles.is_parted(*id, user);
            // Who lost against the one it was split off is not remembered. An event claims once, with
            // the write that folds it: no redelivery claims anew.
            let counts = |nth: u64| last.is_none_or(|last| nth > last);
            let first = all.iter().filter(|(user, _, nth)| allowed(*user) && counts(*nth));
            let first = first.map(|(user, at, _)| (*at, *user)).min();
            let found = self.profiles.items.get(id).cloned();
            let right = match (&found, first) {
                (Some(IdentityItem::Pointer { to, claim: held }), Some((claim, user))) => {
                    *to == user && *held == claim
                }
                (Some(IdentityItem::Pointer { .. }), None) => false,
                (_, first) => first.is_none(),
            };
            self.holds("links-by-first-claim", right, || {
                format!("{id} was first claimed by {first:?}, split {last:?}, found {found:?}")
            });
        }
        // What nobody may claim is linked to nobody.
        let is_link = |item: &IdentityItem| matches!(item, IdentityItem::Pointer { .. });
        let links = self.profiles.items.iter().filter(|(_, item)| is_link(item));
        let strange = links.map(|(id, _)| *id).find(|id| !claimed.contains_key(id));
        self.holds("links-by-first-claim", strange.is_none(), || {
            format!("{strange:?} is linked, and nobody who may has claimed it")
        });
    }
}

/// A browser's event that is older than that when it comes claims as of that long before.
const BROWSERS_REACH: Span = Span::DAY.times(7);

/// What an event claims for the user it names.
fn claims(folded: &Folded) -> Vec<(IdentityKey, (IdentityKey, Position))> {
    let event = &folded.event;
    let Some(user) = event.user_id.as_ref().map(|id| keyring().user_key(id)) else {
        return Vec::new();
    };
    let previous = event.previous_id.as_deref().filter(|_| event.kind == EventKind::Alias);
    let previous = previous.and_then(|id| AnonymousId::parse(id).ok());
    let devices = event.anonymous_id.iter().chain(previous.iter());
    let mut ids: Vec<IdentityKey> = devices.map(|id| keyring().anonymous_key(id)).collect();
    let mut at = event.position();
    match folded.kind {
        SourceKind::Server => ids.extend(vouched(event)),
        SourceKind::Browser => at.at = at.at.max(folded.received.minus(BROWSERS_REACH)),
    }
    ids.into_iter().map(|id| (id, (user, at))).collect()
}
