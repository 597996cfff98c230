//! Consents as customers know them: what they asked for, when, and what they were told.
//!
//! A wish takes effect at some instant between its first try and its answer. So a claim at an
//! instant was allowed where *some* order of the wishes, each within its own time, has a grant last.

use super::super::people::Told;
use super::super::workspace::keyring;
use odyssey_domain::contact::{Consent, ConsentState, TopicId};
use odyssey_domain::ids::ContactKey;
use odyssey_domain::personal::EmailAddress;
use odyssey_domain::time::Stamp;
use odyssey_domain::wire::ConsentChanged;
use std::collections::{BTreeMap, BTreeSet};

/// One wish to change a consent.
#[derive(Debug)]
struct Wish {
    contact: ContactKey,
    topic: TopicId,
    state: ConsentState,
    begun: Stamp,
    /// When its answer came; none while it may still take effect.
    done: Option<Stamp>,
    /// It was refused, and had no effect.
    refused: bool,
}

impl Wish {
    fn of(&self, contact: ContactKey, topic: &TopicId) -> bool {
        self.contact == contact && self.topic == *topic && !self.refused
    }

    fn is_done_by(&self, at: Stamp) -> bool {
        self.done.is_some_and(|done| done <= at)
    }

    /// Whether this one may have taken effect after the other.
    fn may_follow(&self, other: &Wish) -> bool {
        self.done.is_none_or(|done| done >= other.begun)
    }
}

/// All wishes, and what the bus was told of each consent.
#[derive(Debug, Default)]
pub(super) struct Consents {
    wishes: Vec<Wish>,
    told: BTreeMap<(ContactKey, TopicId), Vec<(ConsentState, Stamp)>>,
}

/// What may be true of a consent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct May {
    /// It may be granted.
    pub(super) granted: bool,
    /// It may be withdrawn.
    pub(super) withdrawn: bool,
    /// It may be without an answer.
    pub(super) unknown: bool,
}

impl Consents {
    pub(super) fn wished(
        &mut self,
        at: Stamp,
        email: &EmailAddress,
        topic: &TopicId,
        state: ConsentState,
    ) -> usize {
        let contact = keyring().contact_key(email);
        let topic = topic.clone();
        self.wishes.push(Wish { contact, topic, state, begun: at, done: None, refused: false });
        self.wishes.len() - 1
    }

    pub(super) fn answered(&mut self, now: Stamp, number: usize, told: Told) {
        let Some(wish) = self.wishes.get_mut(number) else { return };
        match told {
            Told::Done => wish.done = Some(now),
            Told::Refused => wish.refused = true,
            // Whoever gave up does not know.
            Told::Later => {}
        }
    }

    /// The bus was told of a consent.
    pub(super) fn told(&mut self, changed: ConsentChanged) {
        let of = self.told.entry((changed.contact, changed.topic)).or_default();
        of.push((changed.state, changed.at));
    }

    /// Whether somebody was told of an answer that stands in its contact: the bus, or else customers
    /// who were answered so that nothing else can stand there. Who is answered 503 is to ask again,
    /// which tells the bus; whoever gave up instead may have changed the contact and told nobody.
    pub(super) fn is_told(&self, contact: ContactKey, topic: &TopicId, said: &Consent) -> bool {
        let of = self.told.get(&(contact, topic.clone()));
        let on_the_bus = of.is_some_and(|told| told.contains(&(said.state, said.at)));
        let May { granted, withdrawn, unknown } = self.may(contact, topic, Stamp::MAX);
        on_the_bus || (granted != withdrawn && !unknown)
    }

    /// What may be true of a consent at an instant.
    pub(super) fn may(&self, contact: ContactKey, topic: &TopicId, at: Stamp) -> May {
        let of = || self.wishes.iter().filter(|w| w.of(contact, topic) && w.begun <= at);
        let last = |wish: &Wish| {
            let mut others = of().filter(|other| other.is_done_by(at));
            others.all(|other| other.state == wish.state || wish.may_follow(other))
        };
        let may = |state| of().any(|wish| wish.state == state && last(wish));
        May {
            granted: may(ConsentState::Granted),
            withdrawn: may(ConsentState::Withdrawn),
            unknown: !of().any(|wish| wish.is_done_by(at)),
        }
    }

    /// Whether the address may be verified, and whether it surely is: by any grant.
    pub(super) fn verified(&self, contact: ContactKey, at: Stamp) -> (bool, bool) {
        let grants = self.wishes.iter().filter(|wish| {
            wish.contact == contact
                && wish.state == ConsentState::Granted
                && !wish.refused
                && wish.begun <= at
        });
        let (mut may, mut surely) = (false, false);
        for wish in grants {
            may = true;
            surely |= wish.is_done_by(at);
        }
        (may, surely)
    }

    /// Everything that was ever wished for.
    pub(super) fn all(&self) -> BTreeSet<(ContactKey, TopicId)> {
        self.wishes.iter().map(|wish| (wish.contact, wish.topic.clone())).collect()
    }
}
