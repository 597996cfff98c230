//! What a signal was decided on, readable, about 400 bytes.

use super::crossing::{Key, Reached};
use super::rule::Threshold;
use super::stage::Stage;
use crate::ids::Position;
use crate::profile::{Cart, CartLine, Facts, Money, Product, clip};
use crate::time::{Span, Stamp};
use serde_json::{Map, Value, json};

/// Lines of a cart, or products, that evidence names; the rest is counted.
const EVIDENCE_LINES_MAX: usize = 3;
/// The longest name in evidence, in bytes.
const EVIDENCE_NAME_BYTES_MAX: usize = 48;

fn put(evidence: &mut Map<String, Value>, name: &str, value: impl Into<Value>) {
    evidence.insert(name.to_owned(), value.into());
}

fn number_of(reached: &Reached) -> u64 {
    match &reached.key {
        Key::Number(n) => *n,
        Key::Named(_) => 0,
    }
}

/// `{order, orders, value, currency, last}`: which order it is of how many, what all are worth.
pub(super) fn purchase(facts: &Facts, reached: &Reached) -> Map<String, Value> {
    let mut evidence = Map::new();
    put(&mut evidence, "order", number_of(reached));
    put(&mut evidence, "orders", facts.orders.number());
    let totals = facts.orders.totals();
    let main = totals.iter().max_by(|(a, x), (b, y)| x.count.cmp(&y.count).then(b.cmp(a)));
    if let Some((currency, total)) = main {
        put(&mut evidence, "value", Money(total.value, *currency).amount());
        put(&mut evidence, "currency", currency.code());
    }
    put(&mut evidence, "last", reached.since.to_string());
    evidence
}

/// `{form, submissions, last}`: which form was sent off then, which submission it is, and when.
pub(super) fn lead(facts: &Facts, reached: &Reached) -> Map<String, Value> {
    let mut evidence = Map::new();
    if let Some(form) = facts.forms.sent_as(number_of(reached)) {
        put(&mut evidence, "form", clip(form, EVIDENCE_NAME_BYTES_MAX));
    }
    put(&mut evidence, "submissions", number_of(reached));
    put(&mut evidence, "last", reached.since.to_string());
    evidence
}

/// `{about, complaints, last}`: what that complaint is about, which it is, and when it was filed.
pub(super) fn complaint(facts: &Facts, reached: &Reached) -> Map<String, Value> {
    let mut evidence = Map::new();
    if let Some(about) = facts.support.complained_about(number_of(reached)) {
        put(&mut evidence, "about", clip(about, EVIDENCE_NAME_BYTES_MAX));
    }
    put(&mut evidence, "complaints", number_of(reached));
    put(&mut evidence, "last", reached.since.to_string());
    evidence
}

/// `{category, seconds, at_least, last}`.
pub(super) fn interest(threshold: Threshold, reached: &Reached) -> Map<String, Value> {
    let mut evidence = Map::new();
    if let Some((category, seconds)) = &reached.subject {
        put(&mut evidence, "category", clip(category, EVIDENCE_NAME_BYTES_MAX));
        put(&mut evidence, "seconds", *seconds);
    }
    if let Threshold::AtLeast(least) = threshold {
        put(&mut evidence, "at_least", least);
    }
    put(&mut evidence, "last", reached.since.to_string());
    evidence
}

/// `{videos, day, titles}`: of the videos of that day those titles that are known still, the latest
/// first.
pub(super) fn binge(facts: &Facts, reached: &Reached) -> Map<String, Value> {
    let mut evidence = Map::new();
    if let Some((day, videos)) = &reached.subject {
        put(&mut evidence, "day", day.as_str());
        put(&mut evidence, "videos", *videos);
    }
    let recent = facts.content.recent.latest_first();
    let of_day = recent.iter().filter(|(_, video)| video.at.at.day() == reached.since.day());
    let titles = of_day.filter_map(|(_, video)| video.value.title.as_deref());
    let titles: Vec<Value> = titles
        .take(EVIDENCE_LINES_MAX)
        .map(|title| clip(title, EVIDENCE_NAME_BYTES_MAX).into())
        .collect();
    put(&mut evidence, "titles", titles);
    evidence
}

/// `{form, fields, seconds, last}`: fields and seconds where the last deed at the form was to give it
/// up.
pub(super) fn form(facts: &Facts, form: Option<&str>, episode: Position) -> Map<String, Value> {
    let mut evidence = Map::new();
    if let Some(form) = form {
        put(&mut evidence, "form", clip(form, EVIDENCE_NAME_BYTES_MAX));
        // It may have been given up before, and begun again since.
        let left = facts.forms.abandoned.get(form).filter(|left| left.at.at == episode.at);
        if let Some(left) = left {
            put(&mut evidence, "fields", left.value.0);
            put(&mut evidence, "seconds", left.value.1);
        }
    }
    put(&mut evidence, "last", episode.at.to_string());
    evidence
}

/// `{renews, last}`.
pub(super) fn renewal(facts: &Facts, episode: Position) -> Map<String, Value> {
    let mut evidence = Map::new();
    if let Some((renews, _)) = facts.rhythm.renews() {
        put(&mut evidence, "renews", renews.to_string());
    }
    put(&mut evidence, "last", episode.at.to_string());
    evidence
}

/// `{from, to, orders, active_days, last}`.
pub(super) fn stage(facts: &Facts, from: Stage, to: Stage, since: Stamp) -> Map<String, Value> {
    let mut evidence = Map::new();
    put(&mut evidence, "from", from.name());
    put(&mut evidence, "to", to.name());
    put(&mut evidence, "orders", facts.orders.number());
    put(&mut evidence, "active_days", facts.rhythm.days());
    put(&mut evidence, "last", since.to_string());
    evidence
}

/// `{active_days, usual_gap_hours, orders, last}`: on how many of the last 64 days there was a
/// deed, and how long it usually is between two of them.
pub(super) fn absence(facts: &Facts, usual: Option<Span>, episode: Position) -> Map<String, Value> {
    let mut evidence = Map::new();
    put(&mut evidence, "active_days", facts.rhythm.days());
    if let Some(usual) = usual {
        put(&mut evidence, "usual_gap_hours", usual.ms() / Span::HOUR.ms());
    }
    put(&mut evidence, "orders", facts.orders.number());
    put(&mut evidence, "last", episode.at.to_string());
    evidence
}

/// `{lines: [{name, quantity, price}], more, items, value, currency, cart_id, last}`; `value` in
/// minor units as the fact `cart.value` is, `price` as people write it.
pub(super) fn cart(cart: &Cart, episode: Position) -> Map<String, Value> {
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
pub(super) fn browse(facts: &Facts, episode: Position) -> Map<String, Value> {
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
