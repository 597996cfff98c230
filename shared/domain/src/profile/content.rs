//! What was watched: the Segment Spec's `Video Content` events.

use super::described::{Described, Fields};
use super::number::{self, whole};
use super::sessions::is_zero;
use super::tally::{Days, Tally};
use super::text::{clip, exceeds};
use super::top::{Top, latest};
use crate::event::Event;
use crate::ids::Position;
use crate::time::Stamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::mem::swap;

/// Videos kept one by one; of more, those watched last.
pub const WATCHED_MAX: usize = 12;
/// Days of viewing kept, the latest.
pub const CONTENT_DAYS_MAX: usize = 14;
/// Videos and genres counted on one day; see [`Tally`].
const TITLES_PER_DAY_MAX: usize = 16;
const GENRES_PER_DAY_MAX: usize = 8;
/// Genres of one event beyond this are not looked at.
const GENRES_PER_EVENT_MAX: usize = 3;
/// The longest video, in seconds: a day.
const SECONDS_MAX: u32 = 86_400;
pub(super) const ID_BYTES_MAX: usize = 64;
pub(super) const TITLE_BYTES_MAX: usize = 80;

/// Content consumption's part of the facts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Content {
    /// `Video Content Started`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub started: u64,
    /// `Video Content Completed`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub completed: u64,
    /// What was watched last, by `content_asset_id`.
    #[serde(default, skip_serializing_if = "Described::is_empty")]
    pub recent: Described<String, Video, WATCHED_MAX>,
    /// What was watched to its end last.
    #[serde(default, skip_serializing_if = "Top::is_empty")]
    finished: Top<String, (), WATCHED_MAX>,
    /// The last of these events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Stamp>,
    #[serde(default, skip_serializing_if = "Days::is_empty")]
    days: Days<Viewing, CONTENT_DAYS_MAX>,
}

/// What is kept of a video: enough to go on with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Video {
    /// Its title.
    #[serde(default, rename = "n", skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The series it is of.
    #[serde(default, rename = "p", skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// How far it was watched, in seconds.
    #[serde(default, rename = "s", skip_serializing_if = "Option::is_none")]
    pub position: Option<u32>,
    /// How long it is, in seconds.
    #[serde(default, rename = "l", skip_serializing_if = "Option::is_none")]
    pub length: Option<u32>,
}

impl Fields for Video {
    const LETTERS: &'static str = "npsl";

    fn has(&self, field: char) -> bool {
        match field {
            'n' => self.title.is_some(),
            'p' => self.program.is_some(),
            's' => self.position.is_some(),
            'l' => self.length.is_some(),
            _ => false,
        }
    }

    fn swap(&mut self, field: char, other: &mut Video) {
        match field {
            'n' => swap(&mut self.title, &mut other.title),
            'p' => swap(&mut self.program, &mut other.program),
            's' => swap(&mut self.position, &mut other.position),
            'l' => swap(&mut self.length, &mut other.length),
            _ => {}
        }
    }
}

impl Video {
    /// How far it was watched, in percent, where both are known.
    #[must_use]
    pub fn percent(&self) -> Option<u64> {
        let (position, length) = (u64::from(self.position?), u64::from(self.length?));
        (position.min(length) * 100).checked_div(length)
    }
}

/// Videos and genres that were started on one day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
struct Viewing {
    #[serde(default, rename = "v", skip_serializing_if = "Tally::is_empty")]
    titles: Tally<TITLES_PER_DAY_MAX>,
    #[serde(default, rename = "g", skip_serializing_if = "Tally::is_empty")]
    genres: Tally<GENRES_PER_DAY_MAX>,
}

impl Viewing {
    fn merge(&mut self, other: &Viewing) {
        self.titles.merge(&other.titles);
        self.genres.merge(&other.genres);
    }
}

impl Content {
    pub(super) fn is_empty(&self) -> bool {
        *self == Content::default()
    }

    /// Whether something is no longer kept.
    #[must_use]
    pub fn is_trimmed(&self) -> bool {
        let of_day = |day: &Viewing| day.titles.is_trimmed() || day.genres.is_trimmed();
        self.recent.is_trimmed()
            || self.finished.is_trimmed()
            || self.days.is_trimmed()
            || self.days.iter().any(|(_, day)| of_day(day))
    }

    pub(super) fn fold(&mut self, name: &str, event: &Event, at: Position) {
        let asset = number::id(event.properties.get("content_asset_id"), ID_BYTES_MAX);
        match name {
            "Video Content Started" => {
                self.started = self.started.saturating_add(1);
                if let Some(day) = self.days.at(at.at.day()) {
                    if let Some(asset) = &asset {
                        day.titles.add(asset, 1);
                    }
                    for genre in genres(&event.properties) {
                        day.genres.add(genre, 1);
                    }
                }
            }
            "Video Content Completed" => {
                self.completed = self.completed.saturating_add(1);
                if let Some(asset) = &asset {
                    self.finished.write(&**asset, at, || ());
                }
            }
            "Video Content Playing" => {}
            _ => return,
        }
        latest(&mut self.last, Some(at.at));
        if let Some(asset) = &asset {
            self.recent.write(&**asset, at, || video(&event.properties));
        }
    }

    pub(super) fn bound_to(&mut self, max: usize) {
        self.recent.bound(max);
        self.finished.bound(max);
        self.days.bound(max);
        self.days.each(|day| {
            day.titles.bound(max);
            day.genres.bound(max);
        });
    }

    pub(super) fn merge(&mut self, other: &Content) {
        self.started = self.started.saturating_add(other.started);
        self.completed = self.completed.saturating_add(other.completed);
        self.recent.merge(&other.recent);
        self.finished.merge(&other.finished);
        latest(&mut self.last, other.last);
        self.days.merge(&other.days, Viewing::merge);
    }

    /// Whether a video was watched to its end and not begun again since.
    #[must_use]
    pub fn is_finished(&self, asset: &str) -> bool {
        let finished = self.finished.get(asset).map(|register| register.at);
        let last = self.recent.get(asset).map(|register| register.at);
        finished.is_some_and(|finished| last.is_none_or(|last| finished >= last))
    }

    /// How often videos of each genre were started on the days that are kept.
    #[must_use]
    pub fn genres(&self) -> BTreeMap<&str, u64> {
        let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
        for (_, day) in self.days.iter() {
            for (genre, times) in day.genres.iter() {
                *sums.entry(genre).or_default() += times;
            }
        }
        sums
    }

    /// How many different videos were started on each UTC day that is kept; at most 16 are told
    /// apart.
    pub fn per_day(&self) -> impl Iterator<Item = (i64, usize)> {
        self.days.iter().map(|(day, viewing)| (day, viewing.titles.len()))
    }
}

fn video(properties: &Map<String, Value>) -> Video {
    let text = |name: &str| {
        let text = properties.get(name).and_then(Value::as_str)?.trim();
        (!text.is_empty()).then(|| clip(text, TITLE_BYTES_MAX).to_owned())
    };
    Video {
        title: text("title"),
        program: text("program"),
        position: whole(properties.get("position"), SECONDS_MAX),
        length: whole(properties.get("total_length"), SECONDS_MAX),
    }
}

/// `genre`, a text or a list, or `genres`.
fn given_genres(properties: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    let given = properties.get("genre").or_else(|| properties.get("genres"));
    let one = given.filter(|value| value.is_string());
    let many = given.and_then(Value::as_array).into_iter().flatten();
    one.into_iter().chain(many)
}

/// Whether one of the genres that are looked at is not kept whole, and whether there are more.
pub(super) fn too_long_genres(properties: &Map<String, Value>) -> (bool, bool) {
    let mut given = given_genres(properties);
    let mut is_cut = false;
    for genre in given.by_ref().take(GENRES_PER_EVENT_MAX) {
        is_cut |= exceeds(Some(genre), ID_BYTES_MAX);
    }
    (is_cut, given.next().is_some())
}

fn genres(properties: &Map<String, Value>) -> impl Iterator<Item = &str> {
    given_genres(properties)
        .take(GENRES_PER_EVENT_MAX)
        .filter_map(|genre| number::text(Some(genre), ID_BYTES_MAX))
}
