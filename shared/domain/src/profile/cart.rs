//! The cart: a bounded log of its changes, replayed on read.
//!
//! A quantity is not a register: adding one twice makes two. So the facts keep the changes
//! themselves, ordered by (stamp, event), drop those at or before the last order, and compute the
//! lines when they are asked for. Any order of arrival leaves the same log.

use super::described::Described;
use super::money::Money;
use super::product::{self, Product, ProductFields};
use super::text::clip;
use super::top::{Register, latest};
use crate::event::Event;
use crate::ids::{EventHash, Position};
use crate::time::Stamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Changes kept since the last order; of more, the latest.
pub const CART_CHANGES_MAX: usize = 64;
/// Products described; of more, those changed last.
pub const CART_PRODUCTS_MAX: usize = 32;
/// The longest cart id kept, in bytes.
pub(super) const CART_ID_BYTES_MAX: usize = 64;

/// What an event did to one product in the cart. The order is the one in which changes of the same
/// millisecond count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Change {
    /// It was in the cart, in this quantity (`Cart Viewed`, `Checkout Started`).
    #[serde(rename = "s")]
    Set(u32),
    /// It was in the cart, in a quantity that was not said.
    #[serde(rename = "p")]
    Present,
    /// So many were put in.
    #[serde(rename = "a")]
    Add(u32),
    /// So many were taken out.
    #[serde(rename = "r")]
    Remove(u32),
    /// It was taken out altogether.
    #[serde(rename = "x")]
    Drop,
}

impl Change {
    const fn apply(self, quantity: u32) -> u32 {
        match self {
            Change::Set(n) => n,
            Change::Present if quantity == 0 => 1,
            Change::Present => quantity,
            Change::Add(n) => quantity.saturating_add(n),
            Change::Remove(n) => quantity.saturating_sub(n),
            Change::Drop => 0,
        }
    }
}

/// The cart's part of the facts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Cart {
    /// Changes up to this instant no longer count: an order took what was there. Of an order and a
    /// change in the same millisecond, the order is the later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleared: Option<Stamp>,
    /// The last time anything was done to the cart or at the checkout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activity: Option<Position>,
    /// The last `Checkout Started`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkout: Option<Position>,
    /// The property's own id of the cart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Register<String>>,
    /// The log: when, by which event, of which product, what.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    log: Vec<(Stamp, EventHash, String, Change)>,
    /// The latest change that is not kept, of those after `cleared`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    log_trimmed: Option<Position>,
    /// What the products are, by the same ids as in the log.
    #[serde(default, skip_serializing_if = "Described::is_empty")]
    products: Described<String, Product, CART_PRODUCTS_MAX>,
}

/// One line of the cart as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct CartLine<'a> {
    /// The product's id.
    pub id: &'a str,
    /// How many; at least one.
    pub quantity: u32,
    /// The product, where it is still described.
    pub product: Option<&'a Product>,
    /// When it was last changed.
    pub changed: Position,
    /// Since when there has been at least one of it without a break, as far back as changes are
    /// kept.
    pub since: Stamp,
}

impl CartLine<'_> {
    /// What the line is worth, where the price is known.
    #[must_use]
    pub fn value(&self) -> Option<Money> {
        self.product?.price?.times(self.quantity)
    }
}

impl Cart {
    /// Whether nothing was ever done to it.
    pub(super) fn is_empty(&self) -> bool {
        *self == Cart::default()
    }

    /// Whether changes were dropped that would still count.
    #[must_use]
    pub fn is_trimmed(&self) -> bool {
        self.log_trimmed.is_some() || self.products.is_trimmed()
    }

    /// Folds one event; others than the cart's change nothing.
    pub(super) fn fold(&mut self, name: &str, event: &Event, at: Position) {
        match name {
            "Product Added" => self.change(&event.properties, at, |n| Change::Add(n.unwrap_or(1))),
            "Product Removed" => {
                self.change(&event.properties, at, |n| n.map_or(Change::Drop, Change::Remove));
            }
            "Cart Viewed" => self.snapshot(&event.properties, at),
            "Checkout Started" => {
                self.snapshot(&event.properties, at);
                latest(&mut self.checkout, Some(at));
            }
            "Checkout Step Viewed"
            | "Checkout Step Completed"
            | "Payment Info Entered"
            | "Coupon Entered"
            | "Coupon Applied" => {}
            "Order Completed" => {
                latest(&mut self.cleared, Some(at.at));
                self.clear();
                return;
            }
            _ => return,
        }
        latest(&mut self.activity, Some(at));
        if let Some(id) = event.properties.get("cart_id").and_then(Value::as_str) {
            Register::write(&mut self.id, at, || clip(id, CART_ID_BYTES_MAX).to_owned());
        }
        self.bound();
    }

    /// An event about one product, or about each of its `products`.
    fn change(
        &mut self,
        properties: &Map<String, Value>,
        at: Position,
        change: impl Fn(Option<u32>) -> Change,
    ) {
        if self.is_over(at) {
            return;
        }
        let fields = ProductFields::of(properties);
        if let Some(id) = fields.id() {
            self.products.write(&*id, at, || fields.product(None));
            self.log(at, id, change(fields.quantity()));
            return;
        }
        self.each(properties, at, change);
    }

    /// An event that lists what is in the cart. What it does not list stays: lists are often cut.
    fn snapshot(&mut self, properties: &Map<String, Value>, at: Position) {
        if !self.is_over(at) {
            self.each(properties, at, |n| n.map_or(Change::Present, Change::Set));
        }
    }

    fn each(
        &mut self,
        properties: &Map<String, Value>,
        at: Position,
        change: impl Fn(Option<u32>) -> Change,
    ) {
        let currency = ProductFields::of(properties).currency();
        // One event may list one product twice, in two variants: their quantities add up.
        let mut listed: BTreeMap<Cow<'_, str>, Option<u32>> = BTreeMap::new();
        for entry in product::products(properties) {
            let fields = ProductFields::of(entry);
            let Some(id) = fields.id() else { continue };
            let quantity = fields.quantity();
            self.products.write(&*id, at, || fields.product(currency));
            let sum = listed.entry(id).or_insert(None);
            *sum = match (*sum, quantity) {
                (Some(a), Some(b)) => Some(a.saturating_add(b).min(product::QUANTITY_MAX)),
                (a, b) => a.or(b),
            };
        }
        for (id, quantity) in listed {
            self.log(at, id, change(quantity));
        }
    }

    fn is_over(&self, at: Position) -> bool {
        self.cleared.is_some_and(|cleared| at.at <= cleared)
    }

    fn log(&mut self, at: Position, id: Cow<'_, str>, change: Change) {
        let key = (at.at, at.id, &*id);
        if let Err(place) =
            self.log.binary_search_by(|(at, event, id, _)| (*at, *event, id.as_str()).cmp(&key))
        {
            self.log.insert(place, (at.at, at.id, id.into_owned(), change));
        }
    }

    fn bound(&mut self) {
        self.bound_to(CART_CHANGES_MAX, CART_PRODUCTS_MAX);
    }

    pub(super) fn bound_to(&mut self, changes: usize, products: usize) {
        let over = self.log.len().saturating_sub(changes);
        for (at, id, _, _) in self.log.drain(..over) {
            latest(&mut self.log_trimmed, Some(Position { at, id }));
        }
        self.products.bound(products);
    }

    fn clear(&mut self) {
        if let Some(cleared) = self.cleared {
            self.log.retain(|(at, ..)| *at > cleared);
            self.log_trimmed = self.log_trimmed.filter(|trimmed| trimmed.at > cleared);
            self.products.clear_until(cleared);
        }
    }

    pub(super) fn merge(&mut self, other: &Cart) {
        latest(&mut self.cleared, other.cleared);
        latest(&mut self.activity, other.activity);
        latest(&mut self.checkout, other.checkout);
        Register::merge(&mut self.id, other.id.as_ref());
        for (at, event, id, change) in &other.log {
            self.log(Position { at: *at, id: *event }, id.into(), *change);
        }
        latest(&mut self.log_trimmed, other.log_trimmed);
        self.products.merge(&other.products);
        self.clear();
        self.bound();
    }

    /// What is in the cart, the last changed first.
    #[must_use]
    pub fn lines(&self) -> Vec<CartLine<'_>> {
        let mut changes: BTreeMap<&str, Vec<(Stamp, Change, EventHash)>> = BTreeMap::new();
        for (at, event, id, change) in &self.log {
            changes.entry(id).or_default().push((*at, *change, *event));
        }
        let mut lines = Vec::new();
        for (id, mut changes) in changes {
            changes.sort_unstable();
            let mut quantity = 0;
            let mut put_in = None;
            for (at, change, _) in &changes {
                quantity = change.apply(quantity);
                // What was taken out and put in again is there since it was put in again.
                put_in = put_in.filter(|_| quantity > 0).or((quantity > 0).then_some(*at));
            }
            let (Some(since), Some((at, _, event))) = (put_in, changes.last().copied()) else {
                continue;
            };
            lines.push(CartLine {
                id,
                quantity: quantity.min(product::QUANTITY_MAX),
                product: self.products.get(id).map(|register| &register.value),
                changed: Position { at, id: event },
                since,
            });
        }
        lines.sort_by(|a, b| b.changed.cmp(&a.changed).then_with(|| a.id.cmp(b.id)));
        lines
    }

    /// Since when there has been something in the cart that still is: the earliest of its lines.
    #[must_use]
    pub fn since(&self) -> Option<Stamp> {
        self.lines().iter().map(|line| line.since).min()
    }

    /// The checkout that was begun last and that no order has ended, while something is in the cart
    /// that has been there since before it was begun.
    #[must_use]
    pub fn open_checkout(&self) -> Option<Position> {
        let begun = self.checkout.filter(|at| !self.is_over(*at))?;
        self.since().filter(|since| *since <= begun.at).map(|_| begun)
    }

    /// What the lines are worth together, in the currency of the first that has a price; lines in
    /// another currency are not counted.
    #[must_use]
    pub fn value(lines: &[CartLine<'_>]) -> Option<Money> {
        let mut values = lines.iter().filter_map(CartLine::value);
        let first = values.next()?;
        let sum = values
            .filter(|value| value.1 == first.1)
            .fold(first.0, |sum, value| sum.saturating_add(value.0));
        Some(Money(sum, first.1))
    }
}
