//! The facts of one accumulator, and their fold.

use super::browse::Browse;
use super::cart::Cart;
use super::computed::{Computed, ComputedTraits, Computing};
use super::content::Content;
use super::forms::Forms;
use super::mailings::Mailings;
use super::names::is_counted;
use super::orders::Orders;
use super::requests::Requests;
use super::rhythm::Rhythm;
use super::sessions::Sessions;
use super::setting::Setting;
use super::shortened::{Shortened, TooLong};
use super::support::{Channel, Channels, Support};
use super::text::{NAME_BYTES_MAX, TRAIT_TEXT_BYTES_MAX, trait_value};
use super::top::{Register, Top};
use crate::event::{Event, EventKind};
use crate::ids::{Position, PredicateKey};
use crate::personal::EmailAddress;
use crate::predicate::EventPredicate;
use crate::time::Stamp;
use crate::wire::{SourceKind, SourceRef};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Traits kept; of more, those written last.
pub const TRAITS_MAX: usize = 64;
/// Watched predicates whose last match is kept; of more, those that matched last.
pub const MATCHES_MAX: usize = 256;

/// The event predicates that the published workspace watches, by the name of the events they are
/// about; made once for a batch of events.
#[derive(Debug, Clone, Default)]
pub struct Watched {
    by_name: BTreeMap<String, Vec<(PredicateKey, EventPredicate)>>,
    pub(super) computing: Computing,
    pub(super) published: Option<Stamp>,
}

impl Watched {
    /// These predicates.
    #[must_use]
    pub fn of(predicates: &[EventPredicate]) -> Watched {
        let mut by_name: BTreeMap<String, Vec<(PredicateKey, EventPredicate)>> = BTreeMap::new();
        for predicate in predicates {
            let named = by_name.entry(predicate.event.clone()).or_default();
            named.push((predicate.key(), predicate.clone()));
        }
        Watched { by_name, ..Watched::default() }
    }

    /// The same, and these computed traits.
    #[must_use]
    pub fn computing(self, traits: &ComputedTraits) -> Watched {
        Watched { computing: Computing::of(traits), ..self }
    }

    /// The same, as of this publication; see
    /// [`Catalog::watches_under`](crate::catalog::Catalog::watches_under).
    #[must_use]
    pub fn under(self, published: Option<Stamp>) -> Watched {
        Watched { published, ..self }
    }

    pub(super) fn named(&self, name: &str) -> &[(PredicateKey, EventPredicate)] {
        self.by_name.get(name).map_or(&[], Vec::as_slice)
    }
}

/// The facts of one accumulator: any order, grouping and duplication of the same events gives the
/// same bytes. Registers are last-writer-wins by [`Position`], counters add, bounded collections
/// keep what does not depend on the order of arrival and say that they are trimmed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Facts {
    /// The first and the last stamp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Seen>,
    /// Distinct events, whatever they are.
    #[serde(default)]
    pub total: u64,
    /// Events by name: those of the Segment Spec and those the workspace watches.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counts: BTreeMap<String, u64>,
    /// Traits but for `email`; `null` where one was taken back.
    #[serde(default, skip_serializing_if = "Top::is_empty")]
    pub traits: Top<String, Value, TRAITS_MAX>,
    /// The trait `email`, as servers say and as browsers say.
    #[serde(default, skip_serializing_if = "EmailWord::is_empty")]
    pub email: EmailWord,
    /// The cart.
    #[serde(default, skip_serializing_if = "Cart::is_empty")]
    pub cart: Cart,
    /// What was bought.
    #[serde(default, skip_serializing_if = "Orders::is_empty")]
    pub orders: Orders,
    /// What was looked at.
    #[serde(default, skip_serializing_if = "Browse::is_empty")]
    pub browse: Browse,
    /// Sessions, pages, attention.
    #[serde(default, skip_serializing_if = "Sessions::is_empty")]
    pub sessions: Sessions,
    /// What was watched.
    #[serde(default, skip_serializing_if = "Content::is_empty")]
    pub content: Content,
    /// Forms that were begun, sent off, given up.
    #[serde(default, skip_serializing_if = "Forms::is_empty")]
    pub forms: Forms,
    /// Consent that was asked for without an address.
    #[serde(default, skip_serializing_if = "Requests::is_empty")]
    pub requests: Requests,
    /// Tickets, complaints, scores.
    #[serde(default, skip_serializing_if = "Support::is_empty")]
    pub support: Support,
    /// What became of mails.
    #[serde(default, skip_serializing_if = "Mailings::is_empty")]
    pub mailings: Mailings,
    /// Where the customer was spoken to.
    #[serde(default, skip_serializing_if = "Channels::is_empty")]
    pub channels: Channels,
    /// Device, place, campaign.
    #[serde(default, skip_serializing_if = "Setting::is_empty")]
    pub setting: Setting,
    /// When the customer was here.
    #[serde(default, skip_serializing_if = "Rhythm::is_empty")]
    pub rhythm: Rhythm,
    /// The last match of each watched predicate.
    #[serde(default, skip_serializing_if = "Top::is_empty")]
    pub matches: Top<PredicateKey, (), MATCHES_MAX>,
    /// The states of computed traits.
    #[serde(default, skip_serializing_if = "Computed::is_empty")]
    pub computed: Computed,
    /// `context.locale`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<Register<String>>,
    /// `context.timezone`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<Register<String>>,
    /// Which kinds of texts and lists were too long to be kept whole.
    #[serde(default, skip_serializing_if = "Shortened::is_empty")]
    pub shortened: Shortened,
    /// Whether the item once grew past its limit and was cut beyond the bounds above; from then on
    /// the facts are those of the latest events only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}

/// From when to when somebody was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The least stamp.
    pub first: Stamp,
    /// The greatest stamp.
    pub last: Stamp,
}

impl Seen {
    fn include(slot: &mut Option<Seen>, other: Seen) {
        *slot = Some(match *slot {
            None => other,
            Some(held) => {
                Seen { first: held.first.min(other.first), last: held.last.max(other.last) }
            }
        });
    }
}

/// An e-mail address as it was said by either kind of source. A browser's word never replaces a
/// server's, in whichever order they come: they stand apart and are weighed when read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct EmailWord {
    /// A server's last word; an empty one takes the address back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<Register<Option<EmailAddress>>>,
    /// A browser's last word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub browser: Option<Register<Option<EmailAddress>>>,
}

impl EmailWord {
    fn is_empty(&self) -> bool {
        self.server.is_none() && self.browser.is_none()
    }

    /// The address to mail.
    #[must_use]
    pub fn address(&self) -> Option<&EmailAddress> {
        self.server.as_ref().or(self.browser.as_ref()).and_then(|word| word.value.as_ref())
    }
}

/// Traits as an event carries them.
type Traits<'a> = Option<&'a Map<String, Value>>;

/// The traits of the customer that an event carries: an identify's own, and those that SDKs repeat
/// in `context.traits`. A group's `traits` are the group's.
fn customer_traits(event: &Event) -> (Traits<'_>, Traits<'_>) {
    let own = (event.kind != EventKind::Group && !event.traits.is_empty()).then_some(&event.traits);
    (own, event.context.get("traits").and_then(Value::as_object))
}

/// The address that an event gives as the customer's own, whoever says so.
#[must_use]
pub fn email_of(event: &Event) -> Option<EmailAddress> {
    match email_word(event) {
        Word::Said(email) => Some(email),
        Word::TakenBack | Word::Nothing => None,
    }
}

/// What an event says of the address.
enum Word {
    Nothing,
    TakenBack,
    Said(EmailAddress),
}

fn email_word(event: &Event) -> Word {
    let (own, context) = customer_traits(event);
    let mut both = own.into_iter().chain(context);
    match both.find_map(|traits| traits.get("email")) {
        Some(Value::Null) => Word::TakenBack,
        Some(Value::String(text)) => EmailAddress::parse(text).map_or(Word::Nothing, Word::Said),
        _ => Word::Nothing,
    }
}

impl Facts {
    /// Folds one event that was never folded before, at its position.
    pub(super) fn fold(
        &mut self,
        event: &Event,
        at: Position,
        source: &SourceRef,
        watched: &Watched,
    ) {
        Seen::include(&mut self.seen, Seen { first: at.at, last: at.at });
        if self.total == 0 {
            self.computed.begin(&watched.computing);
        }
        self.total = self.total.saturating_add(1);
        self.fold_traits(event, at, source.kind);
        self.fold_context(event, at);
        let known_as = EventPredicate::name_of(event).unwrap_or("");
        self.computed.fold(&watched.computing, known_as, event, at);
        let named = watched.named(known_as);
        for (key, predicate) in named {
            if predicate.matches(event) {
                self.matches.write::<PredicateKey>(key, at, || ());
            }
        }
        let is_track = event.kind == EventKind::Track;
        if let Some(count) = self.counts.get_mut(known_as) {
            *count = count.saturating_add(1);
        } else if !named.is_empty() || (is_track && is_counted(known_as)) {
            self.counts.insert(known_as.to_owned(), 1);
        }
        let track = if is_track { known_as } else { "" };
        self.sessions.fold(track, event, at);
        self.rhythm.fold(track, event, at);
        if is_track {
            self.shortened.of_properties(known_as, event);
            self.fold_track(known_as, event, at);
            self.requests.fold(event, at, &source.name);
        }
    }

    fn fold_track(&mut self, name: &str, event: &Event, at: Position) {
        self.cart.fold(name, event, at);
        self.orders.fold(name, event, at);
        self.browse.fold(name, event, at);
        self.content.fold(name, event, at);
        self.forms.fold(name, event, at);
        self.support.fold(name, event, at);
        self.mailings.fold(name, event, at);
        if let Some(channel) = Channel::of(name, event) {
            self.channels.add(channel, 1, at.at);
        }
    }

    fn count(&mut self, name: &str, times: u64) {
        if let Some(count) = self.counts.get_mut(name) {
            *count = count.saturating_add(times);
        } else {
            self.counts.insert(name.to_owned(), times);
        }
    }

    fn fold_traits(&mut self, event: &Event, at: Position, source: SourceKind) {
        let (own, context) = customer_traits(event);
        // What the call says itself is written first: the same event cannot write over it.
        for (name, value) in own.into_iter().chain(context).flatten() {
            if name == "email" {
                continue;
            }
            if name.len() > NAME_BYTES_MAX {
                self.shortened.add(TooLong::TraitName, true);
                continue;
            }
            // A value that is held is one that can be kept as it is.
            if self.traits.repeat(name.as_str(), at, value) {
                continue;
            }
            let kept = trait_value(value);
            self.shortened.of_trait(value, kept.is_some());
            if let Some(value) = kept {
                self.traits.write(name.as_str(), at, || value);
            }
        }
        let word = match email_word(event) {
            Word::Nothing => return,
            Word::TakenBack => None,
            Word::Said(email) => {
                super::top::earliest(&mut self.rhythm.known, Some(at.at));
                Some(email)
            }
        };
        let slot = match source {
            SourceKind::Server => &mut self.email.server,
            SourceKind::Browser => &mut self.email.browser,
        };
        Register::write(slot, at, || word);
    }

    fn fold_context(&mut self, event: &Event, at: Position) {
        let texts = self.setting.fold(event, at);
        self.shortened.add(TooLong::Text, texts.is_cut);
        let both = [(texts.locale, &mut self.locale), (texts.timezone, &mut self.timezone)];
        for (text, slot) in both {
            if let Some(text) = text {
                Register::rewrite(slot, at, text);
            }
        }
    }

    /// Adds the facts of other events. The events must be disjoint: counters add.
    pub fn merge(&mut self, other: &Facts) {
        // Without events there is nothing that a state could lack.
        match (self.total, other.total) {
            (_, 0) => {}
            (0, _) => self.computed = other.computed.clone(),
            _ => self.computed.merge(&other.computed),
        }
        if let Some(seen) = other.seen {
            Seen::include(&mut self.seen, seen);
        }
        self.total = self.total.saturating_add(other.total);
        for (name, times) in &other.counts {
            self.count(name, *times);
        }
        self.traits.merge(&other.traits);
        Register::merge(&mut self.email.server, other.email.server.as_ref());
        Register::merge(&mut self.email.browser, other.email.browser.as_ref());
        self.cart.merge(&other.cart);
        self.orders.merge(&other.orders);
        self.browse.merge(&other.browse);
        self.sessions.merge(&other.sessions);
        self.content.merge(&other.content);
        self.forms.merge(&other.forms);
        self.requests.merge(&other.requests);
        self.support.merge(&other.support);
        self.mailings.merge(&other.mailings);
        self.channels.merge(&other.channels);
        self.setting.merge(&other.setting);
        self.rhythm.merge(&other.rhythm);
        self.matches.merge(&other.matches);
        Register::merge(&mut self.locale, other.locale.as_ref());
        Register::merge(&mut self.timezone, other.timezone.as_ref());
        self.shortened.merge(&other.shortened);
        self.cut |= other.cut;
    }

    /// Whether some collection holds less than there was, or something was too long to be kept.
    #[must_use]
    pub fn is_trimmed(&self) -> bool {
        self.cut || !self.shortened.is_empty() || !self.trimmed().is_empty()
    }

    /// The collections that hold less than there was, by the names of their facts.
    #[must_use]
    pub fn trimmed(&self) -> Vec<&'static str> {
        let parts = [
            ("traits", self.traits.is_trimmed()),
            ("cart", self.cart.is_trimmed()),
            ("orders", self.orders.is_trimmed()),
            ("browse", self.browse.is_trimmed()),
            ("sessions", self.sessions.is_trimmed()),
            ("content", self.content.is_trimmed()),
            ("forms", self.forms.is_trimmed()),
            ("support", self.support.is_trimmed()),
            ("consent requests", self.requests.is_trimmed()),
            ("mails", self.mailings.is_trimmed()),
            ("matches", self.matches.is_trimmed()),
        ];
        parts.into_iter().filter(|(_, trimmed)| *trimmed).map(|(name, _)| name).collect()
    }

    /// Cuts every collection to at most `max`, for an item that would pass its limit. Counters and
    /// single registers stay.
    pub(super) fn cut_to(&mut self, max: usize) {
        self.cut = true;
        self.traits.bound(max);
        self.cart.bound_to(max, max);
        self.orders.bound_to(max);
        self.browse.bound_to(max);
        self.sessions.bound_to(max);
        self.content.bound_to(max);
        self.forms.bound_to(max);
        self.requests.bound_to(max);
        self.support.bound_to(max);
        self.mailings.bound_to(max);
        self.matches.bound(max.max(16));
        self.computed.bound(max);
    }

    /// The most bytes that one trait takes, for the table of stored items.
    pub const TRAIT_BYTES_MAX: usize = NAME_BYTES_MAX + 2 * TRAIT_TEXT_BYTES_MAX;
}
