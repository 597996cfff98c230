//! What an event can have against the plan.

use super::value::Shape;
use crate::ids::Position;
use crate::time::Stamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ViolationKind {
    /// The plan does not name the event.
    UnknownEvent,
    /// The plan names the event, but not this property of it.
    UnknownProperty,
    /// The property is of another type.
    WrongType,
    /// The property must be there and is not, or is `null`.
    MissingRequired,
    /// The property is of the right type, but not one of the values that the plan lists.
    ValueNotAllowed,
}

impl ViolationKind {
    /// Its stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            ViolationKind::UnknownEvent => "unknown_event",
            ViolationKind::UnknownProperty => "unknown_property",
            ViolationKind::WrongType => "wrong_type",
            ViolationKind::MissingRequired => "missing_required",
            ViolationKind::ValueNotAllowed => "value_not_allowed",
        }
    }
}

impl fmt::Display for ViolationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ViolationKind::UnknownEvent | ViolationKind::UnknownProperty => "not in the plan",
            ViolationKind::WrongType => "wrong type",
            ViolationKind::MissingRequired => "missing, and required",
            ViolationKind::ValueNotAllowed => "not among the allowed values",
        })
    }
}

/// One thing that one event has against the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation<'e> {
    /// What is wrong.
    pub kind: ViolationKind,
    /// The property, as the event names it; empty where it is the event itself.
    pub property: &'e str,
    /// What was found there.
    pub found: Shape,
}

/// One event with a violation: its shape, and what it can be found by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Example {
    /// Its stamp and the hash of its message id: the sort key of its row in the timeline.
    #[serde(flatten)]
    pub position: Position,
    /// The source it came through.
    pub source: String,
    /// What was found in place of what the plan asks for.
    pub found: Shape,
}

/// How often a violation was seen, and once how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenViolation {
    /// How many events have it.
    #[serde(rename = "n")]
    pub count: u64,
    /// When the first of them was received.
    pub first: Stamp,
    /// When the last of them was received.
    pub last: Stamp,
    /// The one with the latest stamp.
    pub example: Example,
}

impl SeenViolation {
    pub(super) fn merge(&mut self, other: &SeenViolation) {
        self.count = self.count.saturating_add(other.count);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        if other.example > self.example {
            self.example = other.example.clone();
        }
    }
}
