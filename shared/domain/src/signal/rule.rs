//! The rules: which signals there are, at which thresholds.

use super::stage::Stages;
use crate::segment::SegmentName;
use crate::time::Span;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How much of it raises a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Threshold {
    /// So long a silence.
    After(Span),
    /// So long before a date.
    Before(Span),
    /// So many, in the unit of the signal.
    AtLeast(u64),
    /// Of `Segment Entered` and `Segment Exited`: which segment.
    Segment(SegmentName),
}

impl Threshold {
    /// The key that names it in files.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Threshold::After(_) => "after",
            Threshold::Before(_) => "before",
            Threshold::AtLeast(_) => "at_least",
            Threshold::Segment(_) => "segment",
        }
    }

    /// Its value as files write it: `4h`, `3`, `vip`.
    #[must_use]
    pub fn value(self) -> String {
        match self {
            Threshold::After(span) | Threshold::Before(span) => span.to_string(),
            Threshold::AtLeast(n) => n.to_string(),
            Threshold::Segment(name) => name.to_string(),
        }
    }
}

/// `after 4h`, `before 7d`, `at least 3`, `vip`.
impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Threshold::After(span) => write!(f, "after {span}"),
            Threshold::Before(span) => write!(f, "before {span}"),
            Threshold::AtLeast(n) => write!(f, "at least {n}"),
            Threshold::Segment(name) => write!(f, "{name}"),
        }
    }
}

/// A signal and the thresholds it is raised at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalRule {
    /// Its name: `Cart Abandoned`.
    pub name: String,
    /// Which built-in definition it has.
    pub kind: SignalKind,
    /// Every length in use: its own default first, then the overrides of live triggers.
    #[serde(default)]
    pub thresholds: Vec<Span>,
    /// Every number in use, in the same order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<u64>,
    /// What the stages are told apart by, of `Stage Changed`; its defaults where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stages: Option<Stages>,
}

impl SignalRule {
    /// A rule of this kind at these thresholds; what is of another sort than the kind's is left
    /// out.
    #[must_use]
    pub fn new(kind: SignalKind, thresholds: &[Threshold]) -> SignalRule {
        let mut rule = SignalRule {
            name: kind.name().to_owned(),
            kind,
            thresholds: Vec::new(),
            levels: Vec::new(),
            stages: None,
        };
        for threshold in thresholds {
            match (*threshold, kind.default_threshold()) {
                (Threshold::After(span), Threshold::After(_))
                | (Threshold::Before(span), Threshold::Before(_)) => rule.thresholds.push(span),
                (Threshold::AtLeast(n), Threshold::AtLeast(_)) => rule.levels.push(n),
                _ => {}
            }
        }
        rule
    }

    /// Its thresholds, the default first.
    pub fn each(&self) -> impl Iterator<Item = Threshold> {
        let before = matches!(self.kind.default_threshold(), Threshold::Before(_));
        let span =
            move |span| if before { Threshold::Before(span) } else { Threshold::After(span) };
        let lengths = self.thresholds.iter().copied().map(span);
        lengths.chain(self.levels.iter().copied().map(Threshold::AtLeast))
    }
}

/// The built-in signals of this release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignalKind {
    /// Something is in the cart, and nothing was done to it for a while.
    CartAbandoned,
    /// Products were looked at, none put into the cart, and none looked at for a while.
    BrowseAbandoned,
    /// A checkout was begun, no order followed, and nothing was done there for a while.
    CheckoutAbandoned,
    /// The first order ever.
    FirstPurchase,
    /// The second order, and each one after it.
    RepeatPurchase,
    /// Somebody who had come more than once, or bought, has not been here for long.
    BecameDormant,
    /// A form to register was begun and not sent off.
    RegistrationAbandoned,
    /// A form was sent off.
    LeadSubmitted,
    /// Somebody is here again after a long absence.
    BackAfterAbsence,
    /// A complaint was filed.
    ComplaintReceived,
    /// Somebody lingered on one category within a week.
    InterestShown,
    /// Several videos were started on one day.
    BingeStarted,
    /// A subscription or a trial is about to end or renew.
    RenewalDue,
    /// The silence is several times as long as the customer's own usual one.
    EngagementDeclining,
    /// Somebody stands elsewhere in the lifecycle than before.
    StageChanged,
}

impl SignalKind {
    /// All of them, those first that need not be named in the workspace file.
    pub const ALL: [SignalKind; 15] = [
        SignalKind::CartAbandoned,
        SignalKind::BrowseAbandoned,
        SignalKind::CheckoutAbandoned,
        SignalKind::FirstPurchase,
        SignalKind::RepeatPurchase,
        SignalKind::BecameDormant,
        SignalKind::RegistrationAbandoned,
        SignalKind::LeadSubmitted,
        SignalKind::BackAfterAbsence,
        SignalKind::ComplaintReceived,
        SignalKind::InterestShown,
        SignalKind::BingeStarted,
        SignalKind::RenewalDue,
        SignalKind::EngagementDeclining,
        SignalKind::StageChanged,
    ];

    /// Its name in files and on the bus.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            SignalKind::CartAbandoned => "Cart Abandoned",
            SignalKind::BrowseAbandoned => "Browse Abandoned",
            SignalKind::CheckoutAbandoned => "Checkout Abandoned",
            SignalKind::FirstPurchase => "First Purchase",
            SignalKind::RepeatPurchase => "Repeat Purchase",
            SignalKind::BecameDormant => "Became Dormant",
            SignalKind::RegistrationAbandoned => "Registration Abandoned",
            SignalKind::LeadSubmitted => "Lead Submitted",
            SignalKind::BackAfterAbsence => "Back After Absence",
            SignalKind::ComplaintReceived => "Complaint Received",
            SignalKind::InterestShown => "Interest Shown",
            SignalKind::BingeStarted => "Binge Started",
            SignalKind::RenewalDue => "Renewal Due",
            SignalKind::EngagementDeclining => "Engagement Declining",
            SignalKind::StageChanged => "Stage Changed",
        }
    }

    /// The signal of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<SignalKind> {
        SignalKind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The threshold where the workspace file names none: four hours is the usual first reminder
    /// of a cart, one of a checkout, two of a visit without a cart.
    #[must_use]
    pub const fn default_threshold(self) -> Threshold {
        match self {
            SignalKind::CartAbandoned => Threshold::After(Span::HOUR.times(4)),
            SignalKind::BrowseAbandoned => Threshold::After(Span::HOUR.times(2)),
            SignalKind::CheckoutAbandoned | SignalKind::RegistrationAbandoned => {
                Threshold::After(Span::HOUR)
            }
            SignalKind::BecameDormant => Threshold::After(Span::DAY.times(60)),
            SignalKind::BackAfterAbsence | SignalKind::StageChanged => {
                Threshold::After(Span::DAY.times(30))
            }
            SignalKind::RenewalDue => Threshold::Before(Span::DAY.times(7)),
            SignalKind::FirstPurchase
            | SignalKind::LeadSubmitted
            | SignalKind::ComplaintReceived => Threshold::AtLeast(1),
            SignalKind::RepeatPurchase => Threshold::AtLeast(2),
            SignalKind::BingeStarted | SignalKind::EngagementDeclining => Threshold::AtLeast(3),
            SignalKind::InterestShown => Threshold::AtLeast(90),
        }
    }

    /// What a number of it counts, and between which bounds it may lie.
    #[must_use]
    pub const fn levels(self) -> Option<(&'static str, u64, u64)> {
        match self {
            SignalKind::FirstPurchase => Some(("orders, always 1", 1, 1)),
            SignalKind::RepeatPurchase => Some(("orders", 2, NUMBERED_MAX as u64)),
            SignalKind::LeadSubmitted => Some(("forms sent off", 1, NUMBERED_MAX as u64)),
            SignalKind::ComplaintReceived => Some(("complaints", 1, NUMBERED_MAX as u64)),
            SignalKind::InterestShown => Some(("seconds in one week", 1, 86_400)),
            SignalKind::BingeStarted => Some(("videos on one day", 2, 16)),
            SignalKind::EngagementDeclining => Some(("times the usual silence", 2, 20)),
            _ => None,
        }
    }

    /// Whether it is raised even where the workspace file does not name it. The others cost
    /// nothing until the file names them, or a live journey begins with them.
    #[must_use]
    pub const fn is_always_on(self) -> bool {
        matches!(self, SignalKind::CartAbandoned | SignalKind::BrowseAbandoned)
    }

    /// Whether a timer decides on it: one published anew is nothing to somebody who does nothing
    /// until their profile is looked at.
    #[must_use]
    pub const fn is_timed(self) -> bool {
        !matches!(self.default_threshold(), Threshold::AtLeast(_))
            || matches!(self, SignalKind::EngagementDeclining)
    }
}

/// Signals that are numbered (the third order, the fourth) stop at this number.
pub const NUMBERED_MAX: usize = 31;
