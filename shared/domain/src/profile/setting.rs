//! The circumstances: device, language, time zone, place, campaign, as `context` carries them.

use super::sessions;
use super::text::{NAME_BYTES_MAX, clip, exceeds};
use super::top::Register;
use crate::event::Event;
use crate::ids::Position;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The longest name of a campaign or a place that is kept, in bytes.
const PLACE_BYTES_MAX: usize = 64;

/// What kind of device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceClass {
    /// A telephone.
    Mobile,
    /// A tablet.
    Tablet,
    /// A computer.
    Desktop,
    /// A television.
    Tv,
}

impl DeviceClass {
    /// Its name in facts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            DeviceClass::Mobile => "mobile",
            DeviceClass::Tablet => "tablet",
            DeviceClass::Desktop => "desktop",
            DeviceClass::Tv => "tv",
        }
    }

    /// By `context.device.type`, else by what the user agent calls itself. A tablet names itself
    /// before it names its system; an Android that is not `Mobile` is a tablet.
    fn of(device: Option<&Value>, agent: Option<&Value>) -> Option<DeviceClass> {
        let kind = device.and_then(Value::as_object).and_then(|device| device.get("type"));
        if let Some(kind) = kind.and_then(Value::as_str) {
            let words = [
                ("ios", DeviceClass::Mobile),
                ("android", DeviceClass::Mobile),
                ("mobile", DeviceClass::Mobile),
                ("phone", DeviceClass::Mobile),
                ("tablet", DeviceClass::Tablet),
                ("desktop", DeviceClass::Desktop),
                ("tv", DeviceClass::Tv),
            ];
            let known = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(kind.trim()));
            if let Some((_, class)) = known {
                return Some(*class);
            }
        }
        // What says which device it is stands at the beginning.
        let agent = clip(agent.and_then(Value::as_str)?, 256);
        let has = |word: &str| agent.contains(word);
        if has("TV") || has("AppleTV") || has("Roku") {
            Some(DeviceClass::Tv)
        } else if has("iPad") || has("Tablet") || (has("Android") && !has("Mobile")) {
            Some(DeviceClass::Tablet)
        } else if has("Mobile") || has("iPhone") {
            Some(DeviceClass::Mobile)
        } else if has("Windows NT") || has("Macintosh") || has("X11") || has("CrOS") {
            Some(DeviceClass::Desktop)
        } else {
            None
        }
    }
}

/// Where somebody was: `context.location`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// The country, as it was written.
    #[serde(default, rename = "c", skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// The region.
    #[serde(default, rename = "r", skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The city.
    #[serde(default, rename = "t", skip_serializing_if = "Option::is_none")]
    pub city: Option<String>,
}

/// What led somebody here: `context.campaign`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Campaign {
    /// `utm_campaign`
    #[serde(default, rename = "n", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `utm_source`
    #[serde(default, rename = "s", skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// `utm_medium`
    #[serde(default, rename = "m", skip_serializing_if = "Option::is_none")]
    pub medium: Option<String>,
}

/// The circumstances' part of the facts: the last word on each, and the first campaign.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Setting {
    /// Of the last event that says.
    #[serde(default, rename = "d", skip_serializing_if = "Option::is_none")]
    pub device: Option<Register<DeviceClass>>,
    /// Of the last event that says.
    #[serde(default, rename = "p", skip_serializing_if = "Option::is_none")]
    pub place: Option<Register<Location>>,
    /// The last.
    #[serde(default, rename = "c", skip_serializing_if = "Option::is_none")]
    pub campaign: Option<Register<Campaign>>,
    /// The first.
    #[serde(default, rename = "f", skip_serializing_if = "Option::is_none")]
    pub first_campaign: Option<Register<Campaign>>,
}

/// What is kept of `context` apart: the two texts that were there before the rest.
pub(super) struct Texts<'a> {
    pub(super) locale: Option<&'a str>,
    pub(super) timezone: Option<&'a str>,
    /// Whether a text of `context` that facts read is cut.
    pub(super) is_cut: bool,
}

impl Setting {
    pub(super) fn is_empty(&self) -> bool {
        *self == Setting::default()
    }

    /// Folds `context` in one pass, since it comes with every event.
    pub(super) fn fold<'e>(&mut self, event: &'e Event, at: Position) -> Texts<'e> {
        let mut texts = Texts { locale: None, timezone: None, is_cut: false };
        let (mut device, mut agent) = (None, None);
        for (name, value) in &event.context {
            match name.as_str() {
                "locale" => {
                    texts.is_cut |= exceeds(Some(value), NAME_BYTES_MAX);
                    texts.locale = some_text(value);
                }
                "timezone" => {
                    texts.is_cut |= exceeds(Some(value), NAME_BYTES_MAX);
                    texts.timezone = some_text(value);
                }
                "sessionId" => texts.is_cut |= exceeds(Some(value), sessions::NAME_BYTES_MAX),
                "device" => device = Some(value),
                "userAgent" => agent = Some(value),
                "location" => {
                    texts.is_cut |= is_cut(value, ["country", "region", "city"]);
                    if let Some(place) = value.as_object().and_then(location) {
                        Register::rewrite(&mut self.place, at, &place);
                    }
                }
                "campaign" => {
                    texts.is_cut |= is_cut(value, ["name", "source", "medium"]);
                    if let Some(campaign) = value.as_object().and_then(campaign) {
                        Register::rewrite_first(&mut self.first_campaign, at, &campaign);
                        Register::rewrite(&mut self.campaign, at, &campaign);
                    }
                }
                _ => {}
            }
        }
        let later = self.device.as_ref().is_none_or(|held| held.at < at);
        if later
            && (device.is_some() || agent.is_some())
            && let Some(class) = DeviceClass::of(device, agent)
        {
            Register::rewrite(&mut self.device, at, &class);
        }
        texts
    }

    pub(super) fn merge(&mut self, other: &Setting) {
        Register::merge(&mut self.device, other.device.as_ref());
        Register::merge(&mut self.place, other.place.as_ref());
        Register::merge(&mut self.campaign, other.campaign.as_ref());
        if let Some(first) = &other.first_campaign {
            Register::rewrite_first(&mut self.first_campaign, first.at, &first.value);
        }
    }
}

fn some_text(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.is_empty()).map(|text| clip(text, NAME_BYTES_MAX))
}

fn part(of: &Map<String, Value>, name: &str) -> Option<String> {
    let text = of.get(name).and_then(Value::as_str)?.trim();
    (!text.is_empty()).then(|| clip(text, PLACE_BYTES_MAX).to_owned())
}

/// Whether one of these parts is cut.
fn is_cut(of: &Value, parts: [&str; 3]) -> bool {
    let fields = of.as_object().into_iter().flatten();
    let mut long = fields.filter(|(_, value)| exceeds(Some(value), PLACE_BYTES_MAX));
    long.any(|(name, _)| parts.contains(&name.as_str()))
}

fn location(of: &Map<String, Value>) -> Option<Location> {
    let place = Location {
        country: part(of, "country"),
        region: part(of, "region"),
        city: part(of, "city"),
    };
    (place.country.is_some() || place.region.is_some() || place.city.is_some()).then_some(place)
}

fn campaign(of: &Map<String, Value>) -> Option<Campaign> {
    let campaign =
        Campaign { name: part(of, "name"), source: part(of, "source"), medium: part(of, "medium") };
    let any = campaign.name.is_some() || campaign.source.is_some() || campaign.medium.is_some();
    any.then_some(campaign)
}
