//! Journeys: what they are, where a customer stands in one, and the step function between.

mod enter;
#[cfg(test)]
mod enter_tests;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod laws;
mod plan;
mod step;
#[cfg(test)]
mod step_tests;
mod why;

use enter::is_over;

pub use enter::{Application, Entry, Occasion, Refusal, TRIGGER_AGE_MAX, enter, over};
pub use plan::Plan;
pub use step::{
    ENDED_KEPT, Input, NODES_PER_STEP_MAX, PARKED_CHECK_MAX, PARKED_CHECK_MIN, SENDS_PER_STEP_MAX,
    Transition, erase, park, step,
};

use crate::contact::TopicId;
use crate::ids::{ContentHash, EnrollmentId, EnrollmentKeyHash, ProfileId};
use crate::message::MailId;
use crate::pacing::{FrequencyCap, Instead};
use crate::predicate::{Condition, EventPredicate};
use crate::signal::Threshold;
use crate::slug::slug;
use crate::time::{Span, Stamp};
use crate::wire::Why;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How long past its time a timer is taken for lost and a step for late: whoever loads the owner
/// of such a timer arms it again, and waits count from when a late step is really taken, so that
/// an outage of hours does not make mails meant days apart go out together.
pub const OVERDUE: Span = Span::from_ms(5 * 60_000);

slug! {
    /// A journey of the workspace.
    JourneyId,
    /// A step of a journey; the same across versions.
    StepId,
}

/// What makes a profile enter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// An event.
    Event(EventPredicate),
    /// A signal at one threshold: its own default, or the trigger's override.
    Signal {
        /// Its name.
        name: String,
        /// The threshold.
        #[serde(flatten)]
        threshold: Threshold,
    },
}

/// Whether a profile may enter again under the same enrollment key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReEntry {
    /// Once for ever.
    Never,
    /// As soon as it has left.
    AfterExit,
    /// So long after it entered, and not while it is inside.
    After(Span),
}

/// What the journey is for: reaching it ends the enrollment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Goal {
    /// The event that reaches it.
    pub event: EventPredicate,
    /// The conversion window, from the start of the enrollment.
    pub within: Span,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum StepKind {
    /// Sends a mail.
    Send {
        /// Which.
        mail: MailId,
        /// Under which topic.
        topic: TopicId,
        /// What becomes of it where a frequency cap holds it back; the workspace's word where
        /// absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        when_capped: Option<Instead>,
        /// What becomes of it in quiet hours; the workspace's word where absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        when_quiet: Option<Instead>,
    },
    /// Waits.
    Delay {
        /// How long, from when the step was reached.
        length: Span,
    },
    /// Waits for an event since the step was reached, or for the time-out.
    WaitUntil {
        /// For what.
        event: EventPredicate,
        /// How long at most.
        timeout: Span,
        /// Where to go when it happened; `next` where absent.
        on_event: Option<StepId>,
        /// Where to go when it did not; `next` where absent.
        on_timeout: Option<StepId>,
    },
    /// Goes where the first condition that holds says, else to `next`.
    Branch {
        /// In order.
        arms: Vec<(Condition, StepId)>,
    },
    /// Ends the enrollment as completed.
    Exit,
}

/// One step. Steps without a `next` end the journey.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// What it does.
    #[serde(flatten)]
    pub kind: StepKind,
    /// Where it leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<StepId>,
}

/// A published journey: immutable, addressed by its content hash.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Journey {
    /// Its name.
    pub id: JourneyId,
    /// What starts it.
    pub trigger: Trigger,
    /// Who may enter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry_filter: Option<Condition>,
    /// The trigger's property that tells two concurrent enrollments of one profile apart
    /// (`cart_id`); one enrollment at a time where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrollment_key: Option<String>,
    /// Whether one may come again.
    pub re_entry: ReEntry,
    /// Events that end it from any step, on facts: at or after the enrollment's start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exit_when: Vec<EventPredicate>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<Goal>,
    /// Caps on its own messages to one address, beside the workspace's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frequency_caps: Vec<FrequencyCap>,
    /// The first step.
    pub first: StepId,
    /// All steps.
    pub steps: BTreeMap<StepId, Step>,
}

/// Where an enrollment is stored: at most one lives in a slot at a time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SlotId {
    /// The profile it entered under; it stays when that profile is later linked to another.
    pub profile: ProfileId,
    /// The journey.
    pub journey: JourneyId,
    /// The enrollment key.
    pub key: EnrollmentKeyHash,
}

/// How an enrollment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// It took its last step.
    Completed,
    /// An exit rule held.
    Exited,
    /// The goal was reached.
    GoalReached,
    /// Its profile was erased.
    Erased,
}

/// One profile in one journey: the stored item of a slot; at most 1 KB.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Enrollment {
    /// Its id, which survives merges.
    pub id: EnrollmentId,
    /// Its slot.
    pub slot: SlotId,
    /// The steps it entered on.
    pub version: ContentHash,
    /// When the trigger happened: what exit rules and goals count from.
    pub started: Stamp,
    /// When it was let in.
    pub entered: Stamp,
    /// The step it stands at.
    pub step: StepId,
    /// When it reached that step, by the facts: when the wait before it was due or its event
    /// happened, not when somebody got round to it. Waits and [`StepKind::WaitUntil`] count from it.
    pub reached: Stamp,
    /// Which passage this is, from 0: raised each time the enrollment goes round a loop, so that
    /// (step, iteration) never repeats.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub iteration: u32,
    /// The last arming's number; never reused.
    #[serde(default)]
    pub arm: u64,
    /// When the armed timer is due; none once it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Stamp>,
    /// Parked: its journey was paused when its wait was due, at this time; `due` is when it is
    /// next looked at. It resumes when the journey does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parked: Option<Stamp>,
    /// How it ended, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<(Ending, Stamp)>,
    /// When the slot may be forgotten: at least 60 days after the end, longer where re-entry asks
    /// for it; never while it runs, nor where one may enter only once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forget: Option<Stamp>,
    /// Whom the slot held before, the latest first, at most [`EARLIER_MAX`]: their triggers let
    /// nobody in again, whatever stamp a late copy of one carries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<EnrollmentId>,
    /// What led here so far; shared, because most steps leave it as it is.
    #[serde(with = "why::shared")]
    pub why: Arc<Why>,
    /// Sends and wakes that the last write decided and that somebody may still have to carry out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending: Vec<JourneyEffect>,
}

/// Earlier enrollments that a slot remembers. A retry comes within hours, and of fewer re-entries
/// than this.
pub const EARLIER_MAX: usize = 8;

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde's skip_serializing_if passes a reference"
)]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// What a step wants done. Carried out after the write that stores it, on every redelivery, by
/// deterministic ids.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JourneyEffect {
    /// Ask the sender for a mail.
    Send {
        /// The step.
        step: StepId,
        /// Its passage.
        iteration: u32,
        /// Which mail.
        mail: MailId,
        /// Under which topic.
        topic: TopicId,
        /// When the step was due.
        due: Stamp,
    },
    /// Wake the enrollment. Carried out after its other effects.
    Wake {
        /// The arming.
        arm: u64,
        /// When.
        due: Stamp,
    },
}
