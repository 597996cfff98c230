//! A customer's past: what the events that a profile holds come to, worked out from the events alone.

use odyssey_domain::event::{Event, EventKind};
use odyssey_domain::ids::Position;
use odyssey_domain::time::{Span, Stamp};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Events that are nobody's deed, of those that happen here.
const NO_DEEDS: [&str; 8] = [
    "Consent Changed",
    "Email Bounced",
    "Email Marked as Spam",
    "Email Opened",
    "Order Cancelled",
    "Subscription Cancelled",
    "Subscription Renewed",
    "Trial Ended",
];
/// Numbers stop here.
const NUMBERED_MAX: usize = 31;
/// Days with a deed that are looked back on.
const RHYTHM_DAYS: i64 = 64;
/// Fewer such days have no rhythm.
const RHYTHM_DAYS_MIN: usize = 4;
/// Changes of a cart that are kept.
const CHANGES_MAX: usize = 64;
/// The forms of the workload that register somebody, and the one that is a search.
const REGISTRATIONS: [&str; 2] = ["newsletter-signup", "trial-start"];
const SEARCH: &str = "site-search";

/// The events of one profile.
#[derive(Debug)]
pub(super) struct Past<'e> {
    events: Vec<&'e Event>,
}

/// A cart with something in it since the last order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Filled {
    /// The last thing done to it.
    pub(super) last: Position,
    /// A checkout was begun while something was in it that has not left it since.
    pub(super) checkout: Option<Stamp>,
}

/// What a cart came to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cart {
    Empty,
    Filled(Filled),
    /// Changes of the same millisecond, or more than are kept: nobody can say.
    Unclear,
}

/// What an event is called, where it is a track event.
pub(super) fn name_of(event: &Event) -> &str {
    if event.kind == EventKind::Track { event.name.as_deref().unwrap_or("") } else { "" }
}

/// A deed of the customer's own.
fn is_deed(event: &Event) -> bool {
    match event.kind {
        EventKind::Page | EventKind::Screen => true,
        EventKind::Track => !NO_DEEDS.contains(&name_of(event)),
        EventKind::Identify | EventKind::Group | EventKind::Alias => false,
    }
}

fn text<'e>(event: &'e Event, name: &str) -> Option<&'e str> {
    event.properties.get(name).and_then(Value::as_str)
}

impl<'e> Past<'e> {
    pub(super) fn of(events: impl IntoIterator<Item = &'e Event>) -> Past<'e> {
        let mut events: Vec<&Event> = events.into_iter().collect();
        events.sort_by_key(|event| event.position());
        Past { events }
    }

    /// The track events of a name, the earliest first.
    pub(super) fn named<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'e Event> + 's {
        self.events.iter().copied().filter(move |event| name_of(event) == name)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.named(name).next().is_some()
    }

    /// Whether any event says a trait.
    pub(super) fn has_trait(&self, name: &str) -> bool {
        self.events.iter().any(|event| event.traits.get(name).is_some_and(Value::is_string))
    }

    fn last_of(&self, names: &[&str]) -> Option<Position> {
        let of = self.events.iter().filter(|event| names.contains(&name_of(event)));
        of.map(|event| event.position()).max()
    }

    pub(super) fn deeds(&self) -> impl Iterator<Item = Position> + '_ {
        self.events.iter().filter(|event| is_deed(event)).map(|event| event.position())
    }

    pub(super) fn last_deed(&self) -> Option<Position> {
        self.deeds().max()
    }

    /// The days with a deed that are looked back on from the last.
    pub(super) fn days(&self) -> BTreeSet<i64> {
        let latest = self.last_deed().map_or(0, |last| last.at.day());
        let days = self.deeds().map(|at| at.at.day());
        days.filter(|day| latest - day < RHYTHM_DAYS).collect()
    }

    /// How long it usually is between two of those days; never below two days.
    pub(super) fn usual_gap(&self) -> Option<Span> {
        let days = self.days();
        let (first, last) = (days.first()?, days.last()?);
        if days.len() < RHYTHM_DAYS_MIN {
            return None;
        }
        let between = u64::try_from(last - first).ok()? * Span::DAY.ms();
        let gap = Span::from_ms(between / (days.len() as u64 - 1));
        Some(gap.max(Span::DAY.times(2)))
    }

    /// When each different thing of a name happened first, by the property that says which it is; the
    /// earliest first, and no more than are numbered.
    pub(super) fn firsts(&self, name: &str, key: &str) -> Vec<Stamp> {
        let mut firsts: BTreeMap<&str, Stamp> = BTreeMap::new();
        for event in self.named(name) {
            let which = text(event, key).unwrap_or(&event.id);
            let first = firsts.entry(which).or_insert(event.at);
            *first = event.at.min(*first);
        }
        let mut stamps: Vec<Stamp> = firsts.into_values().collect();
        stamps.sort_unstable();
        stamps.truncate(NUMBERED_MAX);
        stamps
    }

    pub(super) fn orders(&self) -> Vec<Stamp> {
        self.firsts("Order Completed", "order_id")
    }

    pub(super) fn complaints(&self) -> Vec<Stamp> {
        self.firsts("Complaint Filed", "complaint_id")
    }

    /// Forms that were sent off and are no searches.
    pub(super) fn leads(&self) -> Vec<Stamp> {
        let sent = self.named("Form Submitted").filter(|event| text(event, "form") != Some(SEARCH));
        let mut stamps: Vec<Stamp> = sent.map(|event| event.at).collect();
        stamps.truncate(NUMBERED_MAX);
        stamps
    }

    /// Orders and subscriptions that were paid for.
    pub(super) fn purchases(&self) -> Vec<Stamp> {
        let mut stamps = self.orders();
        // A subscription begins once; each renewal has a date of its own.
        stamps.extend(self.firsts("Subscription Started", "subscription_id"));
        let mut renewed: BTreeMap<(&str, &str), Stamp> = BTreeMap::new();
        for event in self.named("Subscription Renewed") {
            let both = text(event, "subscription_id").zip(text(event, "renews_at"));
            let first = renewed.entry(both.unwrap_or((&event.id, ""))).or_insert(event.at);
            *first = event.at.min(*first);
        }
        stamps.extend(renewed.into_values());
        stamps.sort_unstable();
        stamps
    }

    /// Whether somebody left an address, signed up, began a trial or sent a form off.
    pub(super) fn is_known(&self) -> bool {
        let address = |event: &&Event| matches!(event.traits.get("email"), Some(Value::String(_)));
        !self.leads().is_empty()
            || self.has("Signed Up")
            || self.has("Trial Started")
            || self.events.iter().any(address)
    }

    /// The form to register that was left last: neither sent off since, nor has anybody registered.
    pub(super) fn open_registration(&self) -> Option<Position> {
        let registered = self.named("Signed Up").map(|event| event.at).max();
        let open = |form: &&str| {
            let of_form = |name: &'static str| {
                self.named(name).filter(|event| text(event, "form") == Some(form))
            };
            let left = of_form("Form Started").chain(of_form("Form Abandoned"));
            let left = left.map(Event::position).max()?;
            let sent = of_form("Form Submitted").map(|event| event.at).max();
            let is_open = sent.is_none_or(|sent| sent < left.at)
                && registered.is_none_or(|registered| registered < left.at);
            is_open.then_some(left)
        };
        REGISTRATIONS.iter().filter_map(open).max()
    }

    /// Until when a subscription runs, or else a trial, and the event that said so.
    pub(super) fn renews(&self) -> Option<(Stamp, Position)> {
        let said = |names: &[&str], ended: &[&str]| {
            let of = |event: &&&Event| {
                names.contains(&name_of(event)) || ended.contains(&name_of(event))
            };
            let last = self.events.iter().filter(of).max_by_key(|event| event.position())?;
            let until = text(last, "renews_at").filter(|_| names.contains(&name_of(last)));
            Some((Stamp::parse(until?).ok()?, last.position()))
        };
        let subscribed = ["Subscription Started", "Subscription Renewed"];
        said(&subscribed, &["Subscription Cancelled"])
            .or_else(|| said(&["Trial Started"], &["Trial Ended", "Subscription Cancelled"]))
    }

    /// How many different videos were started on each day.
    pub(super) fn watched(&self) -> BTreeMap<i64, u64> {
        let mut days: BTreeMap<i64, BTreeSet<&str>> = BTreeMap::new();
        for event in self.named("Video Content Started") {
            if let Some(asset) = text(event, "content_asset_id") {
                days.entry(event.at.day()).or_default().insert(asset);
            }
        }
        days.into_iter().map(|(day, videos)| (day, videos.len() as u64)).collect()
    }

    /// Seconds of lingering by week and category, each with its last day.
    pub(super) fn lingered(&self) -> BTreeMap<(i64, String), (u64, i64)> {
        let mut weeks: BTreeMap<(i64, String), (u64, i64)> = BTreeMap::new();
        for event in self.named("Page Left") {
            let day = event.at.day();
            let dwell = event.properties.get("dwell").and_then(Value::as_array);
            for entry in dwell.into_iter().flatten() {
                let (Some(category), Some(seconds)) =
                    (entry["category"].as_str(), entry["seconds"].as_u64())
                else {
                    continue;
                };
                let key = (day.div_euclid(7), category.to_owned());
                let sum = weeks.entry(key).or_insert((0, day));
                *sum = (sum.0 + seconds, sum.1.max(day));
            }
        }
        weeks
    }

    /// The days on which something was lingered on.
    pub(super) fn lingering_days(&self) -> usize {
        self.named("Page Left").map(|event| event.at.day()).collect::<BTreeSet<i64>>().len()
    }

    /// The last product looked at since the last order.
    pub(super) fn viewed(&self) -> Option<Position> {
        let viewed = self.last_of(&["Product Viewed"])?;
        self.ordered_last().is_none_or(|ordered| ordered < viewed.at).then_some(viewed)
    }

    fn ordered_last(&self) -> Option<Stamp> {
        self.last_of(&["Order Completed"]).map(|at| at.at)
    }

    /// The last thing done to the cart since the last order, whatever is in it.
    pub(super) fn at_the_cart(&self) -> Option<Position> {
        let last = self.last_of(&["Product Added", "Product Removed", "Checkout Started"])?;
        self.ordered_last().is_none_or(|ordered| ordered < last.at).then_some(last)
    }

    /// The cart, put together anew from what was put in and taken out since the last order.
    pub(super) fn cart(&self) -> Cart {
        let since = self.ordered_last();
        let counts = |at: Stamp| since.is_none_or(|since| since < at);
        // What is in it: how many, and since when without a break.
        let mut held: BTreeMap<&str, (u64, Stamp)> = BTreeMap::new();
        let mut touched: BTreeMap<&str, Stamp> = BTreeMap::new();
        let mut changes = 0;
        for event in self.events.iter().filter(|event| counts(event.at)) {
            let name = name_of(event);
            if !["Product Added", "Product Removed"].contains(&name) {
                continue;
            }
            let Some(product) = text(event, "product_id") else { continue };
            let many = event.properties.get("quantity").and_then(Value::as_u64).unwrap_or(1);
            changes += 1;
            if touched.insert(product, event.at) == Some(event.at) || changes > CHANGES_MAX {
                return Cart::Unclear;
            }
            if name == "Product Added" && many > 0 {
                held.entry(product).or_insert((0, event.at)).0 += many;
            } else if let Some((left, _)) = held.get_mut(product) {
                *left = left.saturating_sub(many);
                if *left == 0 {
                    held.remove(product);
                }
            }
        }
        let first = held.values().map(|(_, since)| *since).min();
        let (Some(first), Some(last)) = (first, self.at_the_cart()) else { return Cart::Empty };
        let begun = self.last_of(&["Checkout Started"]).map(|at| at.at);
        let checkout = begun.filter(|begun| counts(*begun) && first <= *begun);
        Cart::Filled(Filled { last, checkout })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_put_in_again_was_not_there_at_the_checkout() {
        let checkout = |told: &[(&str, &str)]| {
            let events = told.iter().enumerate().map(|(n, (name, product))| -> Event {
                let properties = json!({"product_id": product, "quantity": 1});
                let event = json!({"type": "track", "name": name, "id": format!("e{n}"),
                    "at": (n + 1) * 1_000, "properties": properties});
                serde_json::from_value(event).unwrap()
            });
            match Past::of(&events.collect::<Vec<Event>>()).cart() {
                Cart::Filled(filled) => filled.checkout,
                Cart::Empty | Cart::Unclear => None,
            }
        };
        let begun = [("Product Added", "a"), ("Checkout Started", "")];
        let again = [("Product Removed", "a"), ("Product Added", "a")];
        assert_eq!(checkout(&begun), Some(Stamp::from_ms(2_000)));
        assert_eq!(checkout(&[begun, again].concat()), None);
        let more = [("Product Added", "a"), ("Product Removed", "a")];
        assert_eq!(checkout(&[begun, more].concat()), Some(Stamp::from_ms(2_000)));
        let other = [("Product Added", "b"), ("Checkout Started", "")];
        assert_eq!(
            checkout(&[begun, other, again].concat()),
            Some(Stamp::from_ms(4_000)),
            "b has been there since before the checkout"
        );
    }
}
