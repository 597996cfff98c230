//! Orders: what was bought, once for each order id.

use super::bought::Bought;
use super::described::Described;
use super::money::{Currency, Money};
use super::tally::Earliest;
use super::top::{Top, earliest, latest};
use crate::event::Event;
use crate::ids::{EventHash, Position};
use crate::signal::NUMBERED_MAX;
use crate::time::Stamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Orders kept one by one; of more, the latest, and counts fall back on the plain counters.
pub const ORDERS_MAX: usize = 32;

/// The one field of what an order's events say; see [`Fields`](super::Fields).
const AMOUNT: char = 'v';

/// Where an order's value stands, in this order: what the customer paid comes first.
const VALUE_NAMES: [&str; 4] = ["total", "revenue", "value", "subtotal"];

/// The orders' part of the facts.
///
/// An order goes by the hash of its `order_id`; one without an id is an order of its own. What was
/// said about it by different events stands in registers of its own, so that an `Order Updated`
/// that arrives before its `Order Completed` corrects it all the same; and what is told again
/// without an amount leaves the one that was told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Orders {
    /// `Order Completed`.
    #[serde(default, skip_serializing_if = "Described::is_empty")]
    placed: Described<OrderKey, Option<Money>, ORDERS_MAX>,
    /// `Order Updated`.
    #[serde(default, skip_serializing_if = "Described::is_empty")]
    updated: Described<OrderKey, Option<Money>, ORDERS_MAX>,
    /// `Order Cancelled`.
    #[serde(default, skip_serializing_if = "Top::is_empty")]
    cancelled: Top<OrderKey, (), ORDERS_MAX>,
    /// `Order Refunded`; without an amount, all of it.
    #[serde(default, skip_serializing_if = "Top::is_empty")]
    refunded: Top<OrderKey, Option<Money>, ORDERS_MAX>,
    /// The sum of every `Order Completed`, by currency.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    gross: BTreeMap<Currency, (u64, u64)>,
    /// The last `Order Completed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Stamp>,
    /// The first `Order Completed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Stamp>,
    /// When the first orders were completed.
    #[serde(default, skip_serializing_if = "Earliest::is_empty")]
    firsts: Earliest<NUMBERED_MAX>,
    /// What was in the orders that listed it.
    #[serde(default, skip_serializing_if = "Described::is_empty")]
    bought: Described<OrderKey, Bought, ORDERS_MAX>,
}

/// The hash of an order id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OrderKey(EventHash);

/// What the orders come to in one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OrderTotal {
    /// How many, cancelled ones left out.
    pub count: u64,
    /// What was paid less what was paid back, in minor units.
    pub value: u64,
}

impl Orders {
    /// Whether nothing was ever ordered.
    pub(super) fn is_empty(&self) -> bool {
        *self == Orders::default()
    }

    /// Whether there were more orders than are kept one by one.
    #[must_use]
    pub fn is_trimmed(&self) -> bool {
        self.placed.is_trimmed()
    }

    /// Folds one event; others than the orders' change nothing.
    pub(super) fn fold(&mut self, name: &str, event: &Event, at: Position) {
        let key = || match event.properties.get("order_id") {
            Some(Value::String(id)) if !id.trim().is_empty() => {
                OrderKey(EventHash::of(&format!("order:{}", id.trim())))
            }
            Some(Value::Number(id)) => OrderKey(EventHash::of(&format!("order:{id}"))),
            _ => OrderKey(at.id),
        };
        let value = || Money::of(&event.properties, &VALUE_NAMES);
        match name {
            "Order Completed" => {
                let value = value();
                self.placed.write(&key(), at, || value);
                if let Some(Money(minor, currency)) = value {
                    self.add_gross(currency, 1, minor);
                } else {
                    self.add_gross(Currency::UNKNOWN, 1, 0);
                }
                latest(&mut self.last, Some(at.at));
                earliest(&mut self.first, Some(at.at));
                self.firsts.add(key().0, at.at);
                if event.properties.get("products").is_some_and(Value::is_array) {
                    self.bought.write(&key(), at, || Bought::of(&event.properties));
                }
            }
            "Order Updated" => self.updated.write(&key(), at, value),
            "Order Cancelled" => self.cancelled.write(&key(), at, || ()),
            "Order Refunded" => self.refunded.write(&key(), at, value),
            _ => {}
        }
    }

    fn add_gross(&mut self, currency: Currency, count: u64, minor: u64) {
        let sum = self.gross.entry(currency).or_default();
        *sum = (sum.0.saturating_add(count), sum.1.saturating_add(minor));
    }

    pub(super) fn bound_to(&mut self, max: usize) {
        self.placed.bound(max);
        self.updated.bound(max);
        self.cancelled.bound(max);
        self.refunded.bound(max);
        self.bought.bound(max);
    }

    pub(super) fn merge(&mut self, other: &Orders) {
        self.placed.merge(&other.placed);
        self.updated.merge(&other.updated);
        self.cancelled.merge(&other.cancelled);
        self.refunded.merge(&other.refunded);
        for (currency, (count, minor)) in &other.gross {
            self.add_gross(*currency, *count, *minor);
        }
        latest(&mut self.last, other.last);
        earliest(&mut self.first, other.first);
        self.firsts.merge(&other.firsts);
        self.bought.merge(&other.bought);
    }

    /// When the first orders were completed, the earliest first, at most 31. An order that was
    /// folded before such stamps were kept stands as if it were of 1970.
    pub(crate) fn completed_at(&self) -> Vec<Stamp> {
        let stamps = self.firsts.stamps();
        let unknown = self.placed.len().min(NUMBERED_MAX).saturating_sub(stamps.len());
        std::iter::repeat_n(Stamp::MIN, unknown).chain(stamps).collect()
    }

    /// How many different orders were completed, cancelled ones among them; of more than are kept
    /// one by one, as many as that. It never falls when events are added.
    #[must_use]
    pub fn number(&self) -> u64 {
        u64::try_from(self.placed.len()).unwrap_or(u64::MAX)
    }

    /// How many orders were completed, cancelled ones among them: different ones while all are kept
    /// one by one, beyond that every `Order Completed`.
    #[must_use]
    pub fn placed_in_all(&self) -> u64 {
        if self.is_trimmed() {
            return self.gross.values().map(|(count, _)| *count).sum();
        }
        self.number()
    }

    /// What was in the orders that are kept and not cancelled, each once.
    pub fn bought(&self) -> impl Iterator<Item = &Bought> {
        let kept = self.bought.iter().filter(|(key, _)| self.cancelled.get(key).is_none());
        kept.map(|(_, register)| &register.value)
    }

    /// The amount of an order's last update, unless `Order Completed` told one after it.
    fn updated_to(&self, key: OrderKey) -> Option<Money> {
        let placed = self.placed.given(&key, AMOUNT);
        let updated = self.updated.given(&key, AMOUNT)?;
        let stands = placed.is_none_or(|placed| updated > placed);
        self.updated.get(&key).filter(|_| stands).and_then(|updated| updated.value)
    }

    /// Counts and values by currency. Exact while every order is kept; beyond that, every
    /// `Order Completed` counts, corrections left out.
    #[must_use]
    pub fn totals(&self) -> BTreeMap<Currency, OrderTotal> {
        if self.is_trimmed() {
            return self
                .gross
                .iter()
                .map(|(currency, (count, value))| {
                    (*currency, OrderTotal { count: *count, value: *value })
                })
                .collect();
        }
        let mut totals: BTreeMap<Currency, OrderTotal> = BTreeMap::new();
        for (key, placed) in self.placed.iter() {
            if self.cancelled.get(key).is_some() {
                continue;
            }
            let paid = self.updated_to(*key).or(placed.value);
            let currency = paid.map_or(Currency::UNKNOWN, |paid| paid.1);
            let back = self.refunded.get(key).map_or(0, |refund| match refund.value {
                Some(Money(minor, of)) if of == currency => minor,
                Some(_) => 0,
                None => u64::MAX,
            });
            let total = totals.entry(currency).or_default();
            total.count += 1;
            let net = paid.map_or(0, |paid| paid.0).saturating_sub(back);
            total.value = total.value.saturating_add(net);
        }
        totals
    }
}
