//! What was looked at: the last products, and categories by day.

use super::product::{Product, ProductFields};
use super::top::{Top, latest};
use crate::event::Event;
use crate::ids::{EventHash, Position};
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
    #[serde(default, skip_serializing_if = "Top::is_empty")]
    pub viewed: Top<String, Product, VIEWED_MAX>,
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

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
struct Day {
    #[serde(rename = "c")]
    categories: BTreeMap<String, u32>,
    #[serde(default, rename = "t", skip_serializing_if = "std::ops::Not::not")]
    trimmed: bool,
}

impl Day {
    fn add(&mut self, category: &str, times: u32) {
        if let Some(count) = self.categories.get_mut(category) {
            *count = count.saturating_add(times);
            return;
        }
        self.categories.insert(category.to_owned(), times);
        self.bound(CATEGORIES_PER_DAY_MAX);
    }

    fn bound(&mut self, max: usize) {
        while self.categories.len() > max {
            let greatest = self.categories.keys().max_by_key(|name| EventHash::of(name)).cloned();
            let Some(greatest) = greatest else { return };
            self.categories.remove(&greatest);
            self.trimmed = true;
        }
    }
}

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
            || self.days.values().any(|day| day.trimmed)
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

    fn count(&mut self, day: i64, category: &str, times: u32) {
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
            for (category, times) in &counts.categories {
                self.count(*day, category, *times);
            }
            if counts.trimmed
                && let Some(day) = self.days.get_mut(day)
            {
                day.trimmed = true;
            }
        }
    }

    /// How often each category was looked at on the days that are kept.
    #[must_use]
    pub fn categories(&self) -> BTreeMap<&str, u64> {
        let mut sums = BTreeMap::new();
        for day in self.days.values() {
            for (category, times) in &day.categories {
                *sums.entry(category.as_str()).or_default() += u64::from(*times);
            }
        }
        sums
    }
}
