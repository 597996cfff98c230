//! The profile as journeys, conditions and templates see it: the merge of its accumulators.

use super::Root;
use super::cart::{Cart, CartLine};
use super::computed::{ComputedTraits, Reading};
use super::facts::Facts;
use super::money::Money;
use super::product::Product;
use crate::contact::{ConsentState, TopicId};
use crate::ids::{IdentityKey, Position, PredicateKey, ProfileId};
use crate::personal::EmailAddress;
use crate::segment::SegmentName;
use crate::time::Stamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The fact that names the computed traits without a value.
const FILLING: &str = "computed.filling";

/// A profile, computed on read; never stored.
#[derive(Debug, Clone, PartialEq)]
pub struct ProfileView {
    /// The profile.
    pub profile: ProfileId,
    /// Every identity key linked to it, its own first.
    pub owners: Vec<IdentityKey>,
    /// The address to mail: a server source's word before a browser's, then the latest.
    pub email: Option<EmailAddress>,
    /// Traits, last writer wins; `email` is the address above. A computed trait stands among them and
    /// hides a sent one of its name, or anybody could claim it.
    pub traits: BTreeMap<String, Value>,
    /// Facts by dotted name, as conditions and templates name them:
    ///
    /// | name | value |
    /// | --- | --- |
    /// | `events.total`, `events.<name>` | how many |
    /// | `seen.first`, `seen.last` | RFC 3339 |
    /// | `cart.items`, `cart.products` | how many pieces, how many lines |
    /// | `cart.value`, `cart.currency` | minor units, ISO code; absent where no price is known |
    /// | `cart.lines` | list of `{id, quantity, name, price, amount, currency, category, url, image}` |
    /// | `cart.id`, `cart.updated`, `cart.since`, `cart.checkout` | the property's id; RFC 3339 |
    /// | `checkout.items`, `checkout.since` | pieces in an open checkout; RFC 3339 |
    /// | `orders.count` | how many, cancelled ones left out |
    /// | `orders.value`, `orders.currency` | minor units in the currency with most orders, its code |
    /// | `orders.values` | minor units by currency |
    /// | `orders.first`, `orders.last` | RFC 3339 |
    /// | `orders.average`, `orders.days_between` | minor units; whole days on average |
    /// | `orders.price_band` | `25 to 50`: where the middle price of a piece lies, whole units |
    /// | `orders.categories`, `orders.brands` | orders by name, of those kept |
    /// | `browse.products` | list like `cart.lines`, with `viewed` for `quantity`, the last first |
    /// | `browse.categories`, `browse.<category>` | views by category in the last 14 days seen |
    /// | `interest.category`, `interest.categories`, `interest.products` | seconds of lingering |
    /// | `sessions.count`, `.pages`, `.hovers`, `.last` | how many; RFC 3339 |
    /// | `sessions.seconds`, `.average_seconds` | visible time; of one session |
    /// | `sessions.scroll_depth`, `.scroll_deepest` | percent, on average and at most |
    /// | `activity.last`, `activity.days` | the last own deed; days with one, of the last 64 |
    /// | `content.started`, `.completed`, `.last`, `.genre`, `.genres`, `.recent` | videos |
    /// | `forms.submitted`, `forms.open` | how many; the names of those begun and not sent off |
    /// | `support.tickets`, `.open`, `.complaints`, `.complaint`, `.score`, `.average_score` | |
    /// | `mails.delivered`, `.bounced`, `.spam`, `.unsubscribed`, `.by_machines` | how many |
    /// | `mails.opened`, `.clicked`, `.last_opened`, `.last_clicked` | by people, of the last 16 |
    /// | `channels.<channel>`, `channels.last`, `channels.last_at` | how often; which last |
    /// | `context.locale`, `.timezone`, `.device`, `.country`, `.region`, `.city` | text |
    /// | `context.campaign`, `.campaign_source`, `.campaign_medium`; the same `first_…` | text |
    /// | `subscription.renews` | RFC 3339 |
    /// | `computed.filling` | the computed traits that have no value until a back-fill |
    /// | `computed.partial` | those that lack what is no longer kept, and estimates |
    /// | `computed.hides` | those that hide a trait that was sent under their name |
    /// | `stage` | `visitor`, `lead`, `new`, `active`, `loyal`, `at risk`, `dormant` or `lapsed`, as was decided last; absent without a rule for `Stage Changed` |
    /// | `trimmed`, `trimmed.parts` | `true` where some collection holds less than there was, or something was too long; which |
    pub facts: BTreeMap<String, Value>,
    /// The last match of each event predicate that a live journey mentions.
    pub matches: BTreeMap<PredicateKey, Position>,
    /// When each signal was last raised, by its name.
    pub raised: BTreeMap<String, Stamp>,
    /// The segments it is in as last decided, and since when.
    pub segments: BTreeMap<SegmentName, Stamp>,
    /// What the contact behind its address said of each topic. Contacts are no part of a profile:
    /// empty but where somebody has read the contact and put its answers here.
    pub consents: BTreeMap<TopicId, ConsentState>,
}

impl ProfileView {
    /// A profile of which nothing is known.
    #[must_use]
    pub fn empty(profile: ProfileId) -> ProfileView {
        ProfileView {
            profile,
            owners: vec![profile.into()],
            email: None,
            traits: BTreeMap::new(),
            facts: BTreeMap::new(),
            matches: BTreeMap::new(),
            raised: BTreeMap::new(),
            segments: BTreeMap::new(),
            consents: BTreeMap::new(),
        }
    }

    /// That profile with the computed traits of somebody who never did anything.
    #[must_use]
    pub fn nobody(profile: ProfileId, traits: &ComputedTraits, now: Stamp) -> ProfileView {
        let mut view = ProfileView::empty(profile);
        view.compute(&Facts::default(), traits, now);
        view
    }

    /// Sets the computed traits to what they are `now`.
    pub(super) fn compute(&mut self, facts: &Facts, traits: &ComputedTraits, now: Stamp) {
        let (mut filling, mut lacking, mut hiding) = (Vec::new(), Vec::new(), Vec::new());
        for (name, reading) in traits.read(facts, now) {
            if self.traits.remove(name).is_some() {
                hiding.push(name);
            }
            match reading {
                Reading::BeingFilled => filling.push(name),
                Reading::Complete { value, partial } => {
                    if partial {
                        lacking.push(name);
                    }
                    if let Some(value) = value {
                        self.traits.insert(name.to_owned(), value);
                    }
                }
            }
        }
        let lists = [(FILLING, filling), ("computed.partial", lacking), ("computed.hides", hiding)];
        for (fact, names) in lists {
            if !names.is_empty() {
                self.set(fact, names);
            }
        }
    }

    /// The computed traits of which nobody knows a value, by name, until a back-fill.
    pub fn being_filled(&self) -> impl Iterator<Item = &str> {
        let names = self.facts.get(FILLING).and_then(Value::as_array);
        names.into_iter().flatten().filter_map(Value::as_str)
    }

    pub(super) fn of(profile: ProfileId, root: &Root, facts: &Facts) -> ProfileView {
        let mut view = ProfileView::empty(profile);
        view.owners = root.owners(profile);
        view.email = facts.email.address().cloned();
        view.traits = facts
            .traits
            .iter()
            .filter(|(_, register)| !register.value.is_null())
            .map(|(name, register)| (name.clone(), register.value.clone()))
            .collect();
        if let Some(email) = &view.email {
            view.traits.insert("email".to_owned(), email.expose().into());
        }
        view.matches = facts.matches.iter().map(|(key, register)| (*key, register.at)).collect();
        view.counts(facts);
        view.raised = root.said.last_raised();
        let members = root.said.segments.members.iter();
        view.segments = members.map(|(name, member)| (*name, member.since)).collect();
        view.cart(&facts.cart);
        view.orders(facts);
        view.browse(facts);
        view.touchpoints(facts);
        if let Some(mark) = root.said.stages.values().next() {
            view.set("stage", mark.stage.name());
        }
        view
    }

    pub(super) fn set(&mut self, name: impl Into<String>, value: impl Into<Value>) {
        self.facts.insert(name.into(), value.into());
    }

    fn counts(&mut self, facts: &Facts) {
        for (name, count) in &facts.counts {
            self.set(format!("events.{name}"), *count);
        }
        self.set("events.total", facts.total);
        if let Some(seen) = facts.seen {
            self.set("seen.first", seen.first.to_string());
            self.set("seen.last", seen.last.to_string());
        }
        for (name, slot) in [("locale", &facts.locale), ("timezone", &facts.timezone)] {
            if let Some(register) = slot {
                self.set(format!("context.{name}"), register.value.clone());
            }
        }
        if facts.is_trimmed() {
            self.set("trimmed", true);
        }
    }

    fn cart(&mut self, cart: &Cart) {
        let lines = cart.lines();
        let items: u64 = lines.iter().map(|line| u64::from(line.quantity)).sum();
        self.set("cart.items", items);
        self.set("cart.products", lines.len());
        if let Some(Money(minor, currency)) = Cart::value(&lines) {
            self.set("cart.value", minor);
            self.set("cart.currency", currency.code());
        }
        self.set("cart.lines", lines.iter().map(line_json).collect::<Vec<Value>>());
        if let (Some(id), false) = (&cart.id, lines.is_empty()) {
            self.set("cart.id", id.value.clone());
        }
        if let Some(activity) = cart.activity {
            self.set("cart.updated", activity.at.to_string());
        }
        if let Some(checkout) = cart.checkout {
            self.set("cart.checkout", checkout.at.to_string());
        }
    }

    fn orders(&mut self, facts: &Facts) {
        let totals = facts.orders.totals();
        self.set("orders.count", totals.values().map(|total| total.count).sum::<u64>());
        let main = totals.iter().max_by(|(a, x), (b, y)| x.count.cmp(&y.count).then(b.cmp(a)));
        self.set("orders.value", main.map_or(0, |(_, total)| total.value));
        if let Some((currency, _)) = main {
            self.set("orders.currency", currency.code());
            let values: Map<String, Value> = totals
                .iter()
                .map(|(currency, total)| (currency.code().to_owned(), total.value.into()))
                .collect();
            self.set("orders.values", values);
        }
        if let Some(last) = facts.orders.last {
            self.set("orders.last", last.to_string());
        }
        self.purchases(facts, main.map(|(currency, total)| (*currency, total.count, total.value)));
    }

    fn browse(&mut self, facts: &Facts) {
        let viewed: Vec<Value> = facts
            .browse
            .viewed
            .latest_first()
            .into_iter()
            .map(|(id, register)| {
                let mut fields = product_json(id, Some(&register.value));
                fields.insert("viewed".to_owned(), register.at.at.to_string().into());
                Value::Object(fields)
            })
            .collect();
        self.set("browse.products", viewed);
        let categories = facts.browse.categories();
        let sums: Map<String, Value> =
            categories.iter().map(|(name, count)| ((*name).to_owned(), (*count).into())).collect();
        for (name, count) in categories {
            let fact = format!("browse.{name}");
            // A category of this very name must not hide the lists.
            if fact != "browse.products" && fact != "browse.categories" {
                self.set(fact, count);
            }
        }
        self.set("browse.categories", sums);
    }
}

fn line_json(line: &CartLine<'_>) -> Value {
    let mut fields = product_json(line.id, line.product);
    fields.insert("quantity".to_owned(), json!(line.quantity));
    Value::Object(fields)
}

/// A product for templates: `price` in minor units, `amount` as people write it.
fn product_json(id: &str, product: Option<&Product>) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("id".to_owned(), id.into());
    let Some(product) = product else { return fields };
    let texts = [
        ("name", &product.name),
        ("category", &product.category),
        ("url", &product.url),
        ("image", &product.image),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            fields.insert(name.to_owned(), text.as_str().into());
        }
    }
    if let Some(price) = product.price {
        fields.insert("price".to_owned(), price.0.into());
        fields.insert("amount".to_owned(), price.amount().into());
        fields.insert("currency".to_owned(), price.1.code().into());
    }
    fields
}
