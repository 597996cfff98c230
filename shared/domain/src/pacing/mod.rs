//! Pacing: how often one person is written to, and at which hours they are left alone.
//!
//! Frequency caps count messages to one address over rolling windows; quiet hours are the nights
//! of its owner's own time zone. Both are settings of the workspace, caps also of a journey; what
//! they lead to is decided in [`crate::policy`].

mod quiet;
mod zone;

pub use quiet::{OPEN_MINUTES_MIN, QuietHours, TimeOfDay, TimeOfDayError};
pub use zone::{Zone, ZoneError};

use crate::contact::TopicId;
use crate::time::Span;
use serde::{Deserialize, Serialize};
use std::fmt;

/// At most so many messages to one address in any window of a length. Windows roll: `1d` is any
/// 24 hours, not a calendar day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrequencyCap {
    /// How many, from 1 to [`crate::contact::CLAIMS_MAX`].
    pub at_most: u32,
    /// In any window of this length, at most [`WINDOW_MAX`].
    pub within: Span,
    /// Only messages under this topic; of all topics that are not exempt where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<TopicId>,
}

impl fmt::Display for FrequencyCap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {} within {}", self.at_most, self.within)?;
        match &self.topic {
            Some(topic) => write!(f, " under {topic}"),
            None => Ok(()),
        }
    }
}

/// The longest window of a cap.
pub const WINDOW_MAX: Span = Span::DAY.times(90);
/// The most caps of the workspace, and of each journey.
pub const CAPS_MAX: usize = 8;

/// What becomes of a message that must not go out now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Instead {
    /// It is not sent at all.
    Skip,
    /// It waits until it may.
    Defer,
}

impl fmt::Display for Instead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Instead::Skip => "skip",
            Instead::Defer => "defer",
        })
    }
}

/// The workspace's pacing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pacing {
    /// Every one of them must hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub frequency_caps: Vec<FrequencyCap>,
    /// When nobody is written to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quiet_hours: Option<QuietHours>,
    /// What becomes of a message that a cap holds back, unless its step says otherwise.
    pub when_capped: Instead,
    /// What becomes of a message in quiet hours, unless its step says otherwise.
    pub when_quiet: Instead,
    /// The longest a message waits for caps and quiet hours; then it is skipped.
    pub defer_at_most: Span,
    /// Deferred messages go out over this long after the first instant they may, each at a moment
    /// of its own.
    pub spread: Span,
}

impl Default for Pacing {
    fn default() -> Pacing {
        Pacing {
            frequency_caps: Vec::new(),
            quiet_hours: None,
            when_capped: Instead::Skip,
            when_quiet: Instead::Defer,
            defer_at_most: DEFER_AT_MOST,
            spread: SPREAD,
        }
    }
}

/// How long a message waits at most where the workspace does not say: past three days a reminder
/// speaks of something else.
pub const DEFER_AT_MOST: Span = Span::DAY.times(3);
/// The longest a workspace may let messages wait: a month, after which nobody remembers why.
pub const DEFER_AT_MOST_MAX: Span = Span::DAY.times(30);
/// Over how long deferred messages are spread where the workspace does not say.
pub const SPREAD: Span = Span::MINUTE.times(60);
/// The longest spread.
pub const SPREAD_MAX: Span = Span::HOUR.times(12);
