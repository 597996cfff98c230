//! Rules that wait for a silence: what began it, and when it is over.
//!
//! One mechanism for all of them: a rule says under which *episode* it waits and when that is over
//! ([`Silences::of_rule`]); arming, deciding, marks and ids are the same for each.

use super::rule::{SignalKind, SignalRule, Threshold};
use super::{SESSION_CLOSE, evidence};
use crate::ids::Position;
use crate::profile::Facts;
use crate::time::{Span, Stamp};
use serde_json::{Map, Value};

/// A silence under which a rule waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Silence {
    /// The event that began it.
    pub(super) episode: Position,
    /// When it has lasted long enough.
    pub(super) over: Stamp,
    /// What it speaks of is past from then on.
    pub(super) past: Option<Stamp>,
}

impl Silence {
    /// Whether it is too late to say so at `now`.
    pub(super) fn is_stale(&self, now: Stamp) -> bool {
        self.over.plus(SESSION_CLOSE) < now || self.past.is_some_and(|past| past <= now)
    }
}

/// What ends the search for a rhythm: fewer days with a deed have none.
const RHYTHM_DAYS_MIN: usize = 4;
/// A rhythm is never taken for closer than this, or a customer of three days in a row would decline
/// on the weekend.
const USUAL_GAP_MIN: Span = Span::DAY.times(2);

/// The episodes under which the rules wait, computed once for all of them.
pub(super) struct Silences<'a> {
    facts: &'a Facts,
    cart: Option<Position>,
    browse: Option<Position>,
    checkout: Option<Position>,
    /// The rules that a cart's and a browsing episode give way to.
    over_cart: Option<&'a str>,
    over_browse: Option<&'a str>,
}

impl<'a> Silences<'a> {
    pub(super) fn of(facts: &'a Facts, rules: &'a [SignalRule]) -> Silences<'a> {
        let mut silences = Silences {
            facts,
            cart: None,
            browse: None,
            checkout: None,
            over_cart: None,
            over_browse: None,
        };
        if facts.cart.activity.is_some() || facts.browse.activity.is_some() {
            silences.abandonments(rules);
        }
        silences
    }

    /// The deepest abandonment of a session wins: checkout, cart, browse.
    fn abandonments(&mut self, rules: &'a [SignalRule]) {
        let facts = self.facts;
        let rule =
            |kind| rules.iter().find(|rule| rule.kind == kind).map(|rule| rule.name.as_str());
        let cleared = facts.cart.cleared;
        let since_order = |at: &Position| cleared.is_none_or(|cleared| at.at > cleared);
        let filled = !facts.cart.lines().is_empty();
        let activity = facts.cart.activity.filter(since_order);
        let cart = activity.filter(|_| filled);
        let begun = facts.cart.open_checkout();
        let of_session =
            |cart: &Position| begun.is_some_and(|begun| begun.at.plus(SESSION_CLOSE) >= cart.at);
        self.cart = cart;
        self.checkout = cart.filter(of_session);
        self.over_cart = rule(SignalKind::CheckoutAbandoned).filter(|_| self.checkout.is_some());

        let viewed = facts.browse.activity.filter(since_order);
        let same_session =
            |viewed: &Position| cart.is_some_and(|cart| cart.at.plus(SESSION_CLOSE) >= viewed.at);
        let put_in = |viewed: &Position| activity.is_some_and(|activity| activity.at >= viewed.at);
        let deeper = self.over_cart.or_else(|| rule(SignalKind::CartAbandoned));
        let deeper = deeper.filter(|_| viewed.as_ref().is_some_and(same_session));
        // Without a rule for the cart, a product that went into it is simply no browsing episode.
        self.browse =
            viewed.filter(|viewed| deeper.is_some() || !(put_in(viewed) || same_session(viewed)));
        self.over_browse = deeper;
    }

    /// The silence that a rule waits under at a threshold; none for rules that wait for none.
    pub(super) fn of_rule(&self, kind: SignalKind, threshold: Threshold) -> Option<Silence> {
        let facts = self.facts;
        let after = |episode: Option<Position>| match threshold {
            Threshold::After(span) => {
                episode.map(|episode| Silence { episode, over: episode.at.plus(span), past: None })
            }
            Threshold::Before(_) | Threshold::AtLeast(_) | Threshold::Segment(_) => None,
        };
        match kind {
            SignalKind::CartAbandoned => after(self.cart),
            SignalKind::BrowseAbandoned => after(self.browse),
            SignalKind::CheckoutAbandoned => after(self.checkout),
            SignalKind::RegistrationAbandoned => after(open_registration(facts).map(|form| form.1)),
            SignalKind::BecameDormant => after(facts.rhythm.last.filter(|_| is_acquainted(facts))),
            SignalKind::BackAfterAbsence => after(facts.rhythm.last),
            SignalKind::RenewalDue => {
                let Threshold::Before(span) = threshold else { return None };
                // A date that had passed when it was said comes no more.
                let (renews, said) =
                    facts.rhythm.renews().filter(|(renews, said)| *renews > said.at)?;
                let over = renews.minus(span).max(said.at);
                Some(Silence { episode: said, over, past: Some(renews) })
            }
            SignalKind::EngagementDeclining => {
                let Threshold::AtLeast(times) = threshold else { return None };
                let episode = facts.rhythm.last?;
                let over = episode.at.plus(usual_gap(facts)?.times(times));
                Some(Silence { episode, over, past: None })
            }
            SignalKind::FirstPurchase
            | SignalKind::RepeatPurchase
            | SignalKind::LeadSubmitted
            | SignalKind::ComplaintReceived
            | SignalKind::InterestShown
            | SignalKind::BingeStarted
            | SignalKind::StageChanged => None,
        }
    }

    /// The deeper abandonment that takes a rule's place.
    pub(super) const fn deeper(&self, kind: SignalKind) -> Option<&'a str> {
        match kind {
            SignalKind::CartAbandoned => self.over_cart,
            SignalKind::BrowseAbandoned => self.over_browse,
            _ => None,
        }
    }

    pub(super) fn evidence(&self, kind: SignalKind, episode: Position) -> Map<String, Value> {
        let facts = self.facts;
        match kind {
            SignalKind::BrowseAbandoned => evidence::browse(facts, episode),
            SignalKind::RegistrationAbandoned => {
                evidence::form(facts, open_registration(facts).map(|form| form.0), episode)
            }
            SignalKind::RenewalDue => evidence::renewal(facts, episode),
            SignalKind::BecameDormant
            | SignalKind::EngagementDeclining
            | SignalKind::BackAfterAbsence => evidence::absence(facts, usual_gap(facts), episode),
            SignalKind::CartAbandoned | SignalKind::CheckoutAbandoned => {
                evidence::cart(&facts.cart, episode)
            }
            // None of these waits for a silence.
            SignalKind::FirstPurchase
            | SignalKind::RepeatPurchase
            | SignalKind::LeadSubmitted
            | SignalKind::ComplaintReceived
            | SignalKind::InterestShown
            | SignalKind::BingeStarted
            | SignalKind::StageChanged => Map::new(),
        }
    }
}

/// Somebody who came on two of the last 64 days, or ordered something. A stranger who looked in once
/// does not become dormant.
fn is_acquainted(facts: &Facts) -> bool {
    facts.rhythm.days() >= 2 || facts.orders.number() > 0
}

/// How long it usually is between two days with a deed, of the last 64 days.
fn usual_gap(facts: &Facts) -> Option<Span> {
    let days: Vec<i64> = facts.rhythm.each_day().collect();
    let (latest, first) = (days.first()?, days.last()?);
    if days.len() < RHYTHM_DAYS_MIN {
        return None;
    }
    let gaps = u64::try_from(days.len() - 1).unwrap_or(1);
    let all = u64::try_from(latest - first).unwrap_or(0);
    Some(Span::from_ms(Span::DAY.ms() * all / gaps).max(USUAL_GAP_MIN))
}

/// Parts of the names of forms that register somebody.
const REGISTRATIONS: [&str; 7] =
    ["sign-up", "signup", "sign_up", "regist", "join", "trial", "create-account"];

/// The form to register that was left last and not sent off, and nobody has registered since.
fn open_registration(facts: &Facts) -> Option<(&str, Position)> {
    let is_registration = |form: &str| {
        let form = form.to_ascii_lowercase();
        REGISTRATIONS.iter().any(|part| form.contains(part))
    };
    let since =
        |at: Position| facts.forms.registered.is_none_or(|registered| registered.at < at.at);
    facts.forms.open().into_iter().find(|(form, at)| is_registration(form) && since(*at))
}
