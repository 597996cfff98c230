//! What was looked at: the last products, and categories by day.

use super::described::Described;
use super::product::{Product, ProductFields};
use super::tally::Tally;
use super::top::latest;
use crate::event::Event;
use crate::ids::Position;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Products kept; of more, those looked at last.
pub const VIEWED_MAX: usize = 12;
/// Days of category counts kept, the latest.
pub const CATEGORY_DAYS_MAX: usize = 14;
/// Categories counted on one day; of more, those whose hash is least, which no order of arrival
/// changes.
pub const CATEGORIES_PER_DAY_MAX: usize = 12;

/// Browse interest's part of the facts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Browse {
    /// The products looked at last.
    #[serde(default, skip_serializing_if = "Described::is_empty")]
    pub viewed: Described<String, Product, VIEWED_MAX>,
    /// The last `Product Viewed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activity: Option<Position>,
    /// How often each category was looked at, by UTC day since 1970.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    days: BTreeMap<i64, Day>,
    /// The latest day that is not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    days_trimmed: Option<i64>,
}

/// Views by category on one day.
type Day = Tally<CATEGORIES_PER_DAY_MAX>;

impl Browse {
    /// Whether nothing was ever looked at.
    pub(super) fn is_empty(&self) -> bool {
        *self == Browse::default()
    }

    /// Whether something is no longer kept.
    #[must_use]
    pub fn is_trimmed(&self) -> bool {
        self.viewed.is_trimmed()
            || self.days_trimmed.is_some()
            || self.days.values().any(Tally::is_trimmed)
    }

    /// Folds one event; others than the browsing ones change nothing.
    pub(super) fn fold(&mut self, name: &str, event: &Event, at: Position) {
        if !matches!(name, "Product Viewed" | "Product List Viewed") {
            return;
        }
        let fields = ProductFields::of(&event.properties);
        if let Some(id) = fields.id().filter(|_| name == "Product Viewed") {
            self.viewed.write(&*id, at, || fields.product(None));
            latest(&mut self.activity, Some(at));
        }
        if let Some(category) = fields.category() {
            self.count(at.at.day(), category, 1);
        }
    }

    fn count(&mut self, day: i64, category: &str, times: u64) {
        if self.days_trimmed.is_some_and(|trimmed| day <= trimmed) {
            return;
        }
        self.days.entry(day).or_default().add(category, times);
        self.bound_days(CATEGORY_DAYS_MAX);
    }

    fn bound_days(&mut self, max: usize) {
        while self.days.len() > max {
            if let Some((day, _)) = self.days.pop_first() {
                latest(&mut self.days_trimmed, Some(day));
            }
        }
    }

    pub(super) fn bound_to(&mut self, max: usize) {
        self.viewed.bound(max);
        self.bound_days(max);
        for day in self.days.values_mut() {
            day.bound(max);
        }
    }

    pub(super) fn merge(&mut self, other: &Browse) {
        self.viewed.merge(&other.viewed);
        latest(&mut self.activity, other.activity);
        latest(&mut self.days_trimmed, other.days_trimmed);
        if let Some(trimmed) = self.days_trimmed {
            self.days.retain(|day, _| *day > trimmed);
        }
        for (day, counts) in &other.days {
            if self.days_trimmed.is_none_or(|trimmed| *day > trimmed) {
                self.days.entry(*day).or_default().merge(counts);
                self.bound_days(CATEGORY_DAYS_MAX);
            }
        }
    }

    /// How often each category was looked at on the days that are kept.
    #[must_use]
    pub fn categories(&self) -> BTreeMap<&str, u64> {
        let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
        for day in self.days.values() {
            for (category, times) in day.iter() {
                *sums.entry(category).or_default() += times;
            }
        }
        sums
    }
}
