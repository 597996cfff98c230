//! Visits: sessions, pages, how long and how far they were looked at, and what was lingered on.

use super::number::{self, whole};
use super::tally::{Days, Distinct, Tally};
use super::top::latest;
use crate::event::{Event, EventKind};
use crate::ids::Position;
use crate::time::Stamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Session ids that are told apart exactly; beyond, their number is an estimate.
const SESSIONS_EXACT_MAX: usize = 64;
/// Days of attention kept, the latest.
pub const ATTENTION_DAYS_MAX: usize = 14;
/// Categories lingered on in one day, more than anybody looks at: which are kept of more decides
/// which interests are ever said.
pub const LINGERED_CATEGORIES_PER_DAY_MAX: usize = 48;
/// Products of one day; see [`Tally`].
const PRODUCTS_PER_DAY_MAX: usize = 12;
/// Entries of `dwell` beyond this are not looked at: the snippet sends at most ten.
pub(super) const DWELL_MAX: usize = 10;
/// The longest time on one page, or on one product of it, that is believed: a day.
const SECONDS_MAX: u32 = 86_400;
/// The most hovers of one entry that are believed.
const HOVERS_MAX: u32 = 1_000;
pub(super) const NAME_BYTES_MAX: usize = 64;

/// The visits' part of the facts. A session is what clients call one (`context.sessionId`); where
/// they call none, pages and seconds are counted all the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Sessions {
    #[serde(default, skip_serializing_if = "Distinct::is_empty")]
    ids: Distinct<SESSIONS_EXACT_MAX>,
    /// `page` and `screen` calls.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub pages: u64,
    /// `Page Left`: how many, and their sums.
    #[serde(default, skip_serializing_if = "Left::is_empty")]
    pub left: Left,
    /// `Element Hovered` and the hovers of `Page Left`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub hovers: u64,
    /// The last event that belonged to a session, or was a page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Stamp>,
    /// Lingering by UTC day.
    #[serde(default, skip_serializing_if = "Days::is_empty")]
    attention: Days<Attention, ATTENTION_DAYS_MAX>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
pub(super) const fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// What pages said when they were left. Stored as `[times, seconds, percent, deepest]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(from = "(u64, u64, u64, u32)", into = "(u64, u64, u64, u32)")]
pub struct Left {
    /// How many.
    pub times: u64,
    /// Seconds visible, together.
    pub seconds: u64,
    /// Scroll depths in percent, added up.
    pub percent: u64,
    /// The greatest of them.
    pub deepest: u32,
}

impl From<(u64, u64, u64, u32)> for Left {
    fn from((times, seconds, percent, deepest): (u64, u64, u64, u32)) -> Left {
        Left { times, seconds, percent, deepest }
    }
}

impl From<Left> for (u64, u64, u64, u32) {
    fn from(left: Left) -> Self {
        (left.times, left.seconds, left.percent, left.deepest)
    }
}

impl Left {
    fn is_empty(&self) -> bool {
        *self == Left::default()
    }

    fn add(&mut self, other: Left) {
        self.times = self.times.saturating_add(other.times);
        self.seconds = self.seconds.saturating_add(other.seconds);
        self.percent = self.percent.saturating_add(other.percent);
        self.deepest = self.deepest.max(other.deepest);
    }
}

/// Seconds of lingering on one day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
struct Attention {
    #[serde(default, rename = "c", skip_serializing_if = "Tally::is_empty")]
    categories: Tally<LINGERED_CATEGORIES_PER_DAY_MAX>,
    #[serde(default, rename = "p", skip_serializing_if = "Tally::is_empty")]
    products: Tally<PRODUCTS_PER_DAY_MAX>,
}

impl Attention {
    fn merge(&mut self, other: &Attention) {
        self.categories.merge(&other.categories);
        self.products.merge(&other.products);
    }
}

impl Sessions {
    pub(super) fn is_empty(&self) -> bool {
        *self == Sessions::default()
    }

    /// Whether something is no longer kept.
    #[must_use]
    pub fn is_trimmed(&self) -> bool {
        let of_day = |day: &Attention| day.categories.is_trimmed() || day.products.is_trimmed();
        self.attention.is_trimmed() || self.attention.iter().any(|(_, day)| of_day(day))
    }

    /// How many sessions; exact below 64.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.ids.count()
    }

    /// The session that an event says it belongs to.
    fn id_of(event: &Event) -> Option<&Value> {
        let of_page = || {
            let left = event.name.as_deref() == Some("Page Left");
            left.then(|| event.properties.get("session_id")).flatten()
        };
        event.context.get("sessionId").or_else(of_page)
    }

    pub(super) fn fold(&mut self, name: &str, event: &Event, at: Position) {
        let page = matches!(event.kind, EventKind::Page | EventKind::Screen);
        let id = Sessions::id_of(event).and_then(|id| number::id(Some(id), NAME_BYTES_MAX));
        if let Some(id) = &id {
            self.ids.add(id);
        }
        if page {
            self.pages = self.pages.saturating_add(1);
        }
        if page || id.is_some() {
            latest(&mut self.last, Some(at.at));
        }
        match name {
            "Page Left" => self.page_left(&event.properties, at.at.day()),
            "Element Hovered" => self.hovers = self.hovers.saturating_add(1),
            _ => {}
        }
    }

    fn page_left(&mut self, properties: &Map<String, Value>, day: i64) {
        let percent = whole(properties.get("scroll_depth"), 100).unwrap_or(0);
        let seconds = whole(properties.get("seconds"), SECONDS_MAX).unwrap_or(0);
        self.left.add(Left {
            times: 1,
            seconds: seconds.into(),
            percent: percent.into(),
            deepest: percent,
        });
        let dwell = properties.get("dwell").and_then(Value::as_array).into_iter().flatten();
        for entry in dwell.take(DWELL_MAX).filter_map(Value::as_object) {
            let hovers = whole(entry.get("hovers"), HOVERS_MAX).unwrap_or(0);
            self.hovers = self.hovers.saturating_add(hovers.into());
            let seconds = whole(entry.get("seconds"), SECONDS_MAX).unwrap_or(0);
            let category = number::text(entry.get("category"), NAME_BYTES_MAX);
            let product = number::id(entry.get("product_id"), NAME_BYTES_MAX);
            if seconds == 0 || (category.is_none() && product.is_none()) {
                continue;
            }
            let Some(held) = self.attention.at(day) else { continue };
            if let Some(category) = category {
                held.categories.add(category, seconds.into());
            }
            if let Some(product) = product {
                held.products.add(&product, seconds.into());
            }
        }
    }

    pub(super) fn bound_to(&mut self, max: usize) {
        self.attention.bound(max);
        self.attention.each(|day| {
            day.categories.bound(max);
            day.products.bound(max);
        });
    }

    pub(super) fn merge(&mut self, other: &Sessions) {
        self.ids.merge(&other.ids);
        self.pages = self.pages.saturating_add(other.pages);
        self.left.add(other.left);
        self.hovers = self.hovers.saturating_add(other.hovers);
        latest(&mut self.last, other.last);
        self.attention.merge(&other.attention, Attention::merge);
    }

    /// Seconds of lingering by category on the days that are kept.
    #[must_use]
    pub fn categories(&self) -> BTreeMap<&str, u64> {
        self.sums(|day| &day.categories)
    }

    /// Seconds of lingering by product on the days that are kept.
    #[must_use]
    pub fn products(&self) -> BTreeMap<&str, u64> {
        self.sums(|day| &day.products)
    }

    fn sums<'a, const MAX: usize>(
        &'a self,
        of: impl Fn(&'a Attention) -> &'a Tally<MAX>,
    ) -> BTreeMap<&'a str, u64> {
        let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
        for (_, day) in self.attention.iter() {
            for (name, seconds) in of(day).iter() {
                let sum = sums.entry(name).or_default();
                *sum = sum.saturating_add(seconds);
            }
        }
        sums
    }

    /// Seconds of lingering by UTC day and category.
    pub(crate) fn lingered(&self) -> impl Iterator<Item = (i64, &str, u64)> {
        self.attention.iter().flat_map(|(day, held)| {
            held.categories.iter().map(move |(name, seconds)| (day, name, seconds))
        })
    }
}
