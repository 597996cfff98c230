//! Signals raised by silence.
//!
//! A silence begins with an *episode*: the last thing done to the cart, or the last product looked
//! at. When nothing follows for a rule's threshold, the signal is raised, once: its id is
//! hash(rule, profile, episode). Everything here is a function of the facts, so events that arrive
//! late or in another order change what is decided only until it is decided.

use crate::catalog::{SignalKind, SignalRule};
use crate::ids::{Position, ProfileId, SignalId};
use crate::profile::{Cart, CartLine, Facts, Product, clip};
use crate::time::{Span, Stamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What happened within this long of each other is one session: of its abandonments the deepest is
/// raised (the cart's before the browsing's). A silence found this long after it was over (an
/// import of old events, an outage of a week) is not raised either.
pub const SESSION_CLOSE: Span = Span::DAY.times(7);
/// Lines of a cart, or products, that evidence names; the rest is counted.
const EVIDENCE_LINES_MAX: usize = 3;
/// The longest name in evidence, in bytes.
const EVIDENCE_NAME_BYTES_MAX: usize = 48;

/// What a rule last decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The event that began the silence. No episode at or before it is decided on again.
    pub episode: Position,
    /// When it was decided. An episode that began before this and arrives later is the same
    /// silence, and is not decided on either.
    pub at: Stamp,
    /// What was decided.
    pub outcome: Outcome,
}

/// What became of an episode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The signal was raised.
    Raised,
    /// The session holds a deeper abandonment, of this name.
    Superseded(String),
    /// It was found more than [`SESSION_CLOSE`] after it was over.
    Stale,
}

/// A signal to be published.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Raise {
    /// Its id.
    pub id: SignalId,
    /// Its name.
    pub signal: String,
    /// The threshold it was raised at.
    pub after: Span,
    /// When the silence began.
    pub since: Stamp,
    /// When it was raised.
    pub at: Stamp,
    /// What it was decided on, readable, about 400 bytes.
    pub evidence: Map<String, Value>,
}

/// What is decided at one instant.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Decided {
    /// Signals to publish.
    pub raises: Vec<Raise>,
    /// The new marks, by rule id.
    pub marks: BTreeMap<String, Mark>,
}

/// The id of a rule at one threshold: `Cart Abandoned/4h`.
#[must_use]
pub fn rule_id(name: &str, after: Span) -> String {
    format!("{name}/{after}")
}

/// Whether `id` is a rule of the published workspace.
#[must_use]
pub fn is_published(rules: &[SignalRule], id: &str) -> bool {
    each_threshold(rules).any(|(rule, after)| rule_id(&rule.name, after) == id)
}

fn each_threshold(rules: &[SignalRule]) -> impl Iterator<Item = (&SignalRule, Span)> {
    rules.iter().flat_map(|rule| rule.thresholds.iter().map(move |after| (rule, *after)))
}

/// The episodes under which the rules wait, computed once for all of them.
struct Episodes<'a> {
    cart: Option<Position>,
    browse: Option<Position>,
    /// The rule that a browsing episode gives way to.
    deeper: Option<&'a str>,
}

impl<'a> Episodes<'a> {
    fn of(facts: &Facts, rules: &'a [SignalRule]) -> Episodes<'a> {
        let cleared = facts.cart.cleared;
        let since_order = |at: &Position| cleared.is_none_or(|cleared| at.at > cleared);
        let filled = !facts.cart.lines().is_empty();
        let activity = facts.cart.activity.filter(since_order);
        let cart = activity.filter(|_| filled);
        let viewed = facts.browse.activity.filter(since_order);
        let same_session =
            |viewed: &Position| cart.is_some_and(|cart| cart.at.plus(SESSION_CLOSE) >= viewed.at);
        let put_in = |viewed: &Position| activity.is_some_and(|activity| activity.at >= viewed.at);
        let cart_rule = rules.iter().find(|rule| rule.kind == SignalKind::CartAbandoned);
        let deeper = cart_rule.filter(|_| viewed.as_ref().is_some_and(same_session));
        // Without a rule for the cart, a product that went into it is simply no browsing episode.
        let browse =
            viewed.filter(|viewed| deeper.is_some() || !(put_in(viewed) || same_session(viewed)));
        Episodes { cart, browse, deeper: deeper.map(|rule| rule.name.as_str()) }
    }

    const fn episode(&self, kind: SignalKind) -> Option<Position> {
        match kind {
            SignalKind::CartAbandoned => self.cart,
            SignalKind::BrowseAbandoned => self.browse,
        }
    }
}

fn is_decided(mark: Option<&Mark>, episode: Position) -> bool {
    mark.is_some_and(|mark| episode <= mark.episode || episode.at <= mark.at)
}

/// When the next silence would be over, among those not decided on; it may be past.
#[must_use]
pub fn next_due(
    facts: &Facts,
    marks: &BTreeMap<String, Mark>,
    rules: &[SignalRule],
) -> Option<Stamp> {
    if facts.cart.activity.is_none() && facts.browse.activity.is_none() {
        return None;
    }
    let episodes = Episodes::of(facts, rules);
    each_threshold(rules)
        .filter_map(|(rule, after)| {
            let episode = episodes.episode(rule.kind)?;
            let mark = marks.get(&rule_id(&rule.name, after));
            (!is_decided(mark, episode)).then(|| episode.at.plus(after))
        })
        .min()
}

/// Decides on every silence that is over by `now`.
#[must_use]
pub fn due(
    facts: &Facts,
    marks: &BTreeMap<String, Mark>,
    profile: ProfileId,
    rules: &[SignalRule],
    now: Stamp,
) -> Decided {
    let episodes = Episodes::of(facts, rules);
    let mut decided = Decided::default();
    for (rule, after) in each_threshold(rules) {
        let id = rule_id(&rule.name, after);
        let Some(episode) = episodes.episode(rule.kind) else { continue };
        let over = episode.at.plus(after);
        if is_decided(marks.get(&id), episode) || over > now {
            continue;
        }
        let outcome = match (rule.kind, episodes.deeper) {
            (SignalKind::BrowseAbandoned, Some(deeper)) => Outcome::Superseded(deeper.to_owned()),
            _ if over.plus(SESSION_CLOSE) < now => Outcome::Stale,
            _ => Outcome::Raised,
        };
        if outcome == Outcome::Raised {
            decided.raises.push(Raise {
                id: SignalId::derive(&id, profile, episode.id),
                signal: rule.name.clone(),
                after,
                since: episode.at,
                at: now,
                evidence: match rule.kind {
                    SignalKind::CartAbandoned => cart_evidence(&facts.cart, episode),
                    SignalKind::BrowseAbandoned => browse_evidence(facts, episode),
                },
            });
        }
        decided.marks.insert(id, Mark { episode, at: now, outcome });
    }
    decided
}

/// `{lines: [{name, quantity, price}], more, items, value, currency, cart_id, last}`; `value` in
/// minor units as the fact `cart.value` is, `price` as people write it.
fn cart_evidence(cart: &Cart, episode: Position) -> Map<String, Value> {
    let lines = cart.lines();
    let mut evidence = Map::new();
    let named = lines.iter().take(EVIDENCE_LINES_MAX).map(|line| {
        let mut fields = product_evidence(line.id, line.product);
        fields.insert("quantity".to_owned(), line.quantity.into());
        Value::Object(fields)
    });
    evidence.insert("lines".to_owned(), named.collect());
    more(&mut evidence, lines.len());
    let items: u64 = lines.iter().map(|line: &CartLine<'_>| u64::from(line.quantity)).sum();
    evidence.insert("items".to_owned(), items.into());
    if let Some(value) = Cart::value(&lines) {
        evidence.insert("value".to_owned(), value.0.into());
        evidence.insert("currency".to_owned(), value.1.code().into());
    }
    if let Some(id) = &cart.id {
        evidence.insert("cart_id".to_owned(), id.value.as_str().into());
    }
    evidence.insert("last".to_owned(), json!(episode.at.to_string()));
    evidence
}

/// `{products: [{name, price}], more, last}`.
fn browse_evidence(facts: &Facts, episode: Position) -> Map<String, Value> {
    let viewed = facts.browse.viewed.latest_first();
    let mut evidence = Map::new();
    let named = viewed.iter().take(EVIDENCE_LINES_MAX);
    let named =
        named.map(|(id, register)| Value::Object(product_evidence(id, Some(&register.value))));
    evidence.insert("products".to_owned(), named.collect());
    more(&mut evidence, viewed.len());
    evidence.insert("last".to_owned(), json!(episode.at.to_string()));
    evidence
}

fn more(evidence: &mut Map<String, Value>, all: usize) {
    let more = all.saturating_sub(EVIDENCE_LINES_MAX);
    if more > 0 {
        evidence.insert("more".to_owned(), more.into());
    }
}

fn product_evidence(id: &str, product: Option<&Product>) -> Map<String, Value> {
    let name = product.and_then(|product| product.name.as_deref()).unwrap_or(id);
    let mut fields = Map::new();
    fields.insert("name".to_owned(), clip(name, EVIDENCE_NAME_BYTES_MAX).into());
    if let Some(price) = product.and_then(|product| product.price) {
        fields.insert("price".to_owned(), price.amount().into());
    }
    fields
}
