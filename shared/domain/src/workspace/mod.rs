//! The workspace's files, read and checked: `workspace.yaml`, `plan.yaml`, `segments/*.yaml`,
//! `journeys/*.yaml` and `mails/*.mjml`.
//!
//! Reading is a function of the files' text alone. It gives a [`Workspace`], or *every* mistake in
//! it at once: each a [`Fault`] with its file, line and column, what was found there and what was
//! expected, and the nearest name where one was probably meant.
//!
//! What is not done here, because it needs a compiler of MJML: turning mails into HTML. The
//! command line does it with [`Workspace::mails`], hands the compiled mails back to
//! [`Workspace::publish`], and gets what is to be stored.

mod computed;
mod conditions;
mod fault;
mod fields;
mod graph;
mod journeys;
mod mails;
mod names;
mod pacing;
mod plan;
mod published;
mod segments;
mod settings;
mod signals;
mod steps;
mod text;
mod yaml;

pub use fault::{Fault, Place};
pub use mails::{MailSource, front_matter_end};
pub use names::{FACTS, SPEC_EVENTS, nearest};
pub use plan::PLAN_FILE;
pub use published::{Published, watched};
pub use segments::SegmentFile;
pub use settings::Settings;
pub use text::plain_text;

/// The keys that each part of a file may have: what the JSON Schemas are held to.
pub mod keys {
    pub use super::computed::{COMPUTED_KEYS, COMPUTED_KINDS};
    pub use super::conditions::{
        COMPARISON_KEYS, CONDITION_KEYS, EVENT_KEYS, JOURNEY_CONDITION_KEYS, SEGMENT_CONDITION_KEYS,
    };
    pub use super::journeys::KEYS as JOURNEY_KEYS;
    pub use super::pacing::{CAP_KEYS, DEFERRAL_KEYS, JOURNEY_CAP_KEYS, QUIET_KEYS};
    pub use super::plan::{KEYS as PLAN_KEYS, PLANNED_EVENT_KEYS, PROPERTY_KEYS};
    pub use super::segments::KEYS as SEGMENT_KEYS;
    pub use super::settings::{BRAND_KEYS, KEYS as SETTINGS_KEYS, TOPIC_KEYS};
    pub use super::signals::THRESHOLD_KEYS;
    pub use super::steps::{ARM_KEYS, KINDS as STEP_KINDS, WAIT_KEYS};
}

use crate::contact::TopicId;
use crate::journey::{Journey, JourneyId};
use crate::message::MailId;
use crate::plan::Declared;
use crate::segment::SegmentName;
use crate::time::Stamp;
use fault::Faults;
use std::collections::{BTreeMap, BTreeSet};

/// The text of each file by its path inside the workspace, with `/` between its parts.
pub type Files = BTreeMap<String, String>;

/// The file that every workspace has.
pub const SETTINGS_FILE: &str = "workspace.yaml";
/// The most journeys of one workspace.
pub const JOURNEYS_MAX: usize = 200;
/// The most mails of one workspace.
pub const MAILS_MAX: usize = 400;
/// The most topics of one workspace: their consents fit the contact's item of 1 KB.
pub const TOPICS_MAX: usize = 12;
/// The most sources of one workspace.
pub const SOURCES_MAX: usize = 50;
/// The most steps of one journey, those in branches included.
pub const STEPS_MAX: usize = 200;
/// The most branches inside one another.
pub const NESTING_MAX: usize = 12;
/// The most event predicates that all live journeys and segments mention together: each is a
/// register in every profile.
pub const WATCHED_MAX: usize = 100;
/// The most counts of performed events that all conditions ask for together, besides the declared
/// computed traits.
pub const COUNTERS_MAX: usize = 32;
/// The longest text of one file, in bytes.
pub const FILE_BYTES_MAX: usize = 256 * 1024;

/// A journey as its file says it.
#[derive(Debug, Clone, PartialEq)]
pub struct JourneyFile {
    /// Where it is written.
    pub file: String,
    /// Whether it runs.
    pub state: crate::catalog::JourneyState,
    /// What it is.
    pub journey: Journey,
}

/// A workspace without mistakes that reading alone can find.
#[derive(Debug, Clone, PartialEq)]
pub struct Workspace {
    /// What `workspace.yaml` says.
    pub settings: Settings,
    /// The segments by name.
    pub segments: BTreeMap<SegmentName, SegmentFile>,
    /// The journeys by name, drafts included.
    pub journeys: BTreeMap<JourneyId, JourneyFile>,
    /// The mails by name, not compiled yet.
    pub mails: BTreeMap<MailId, MailSource>,
    /// The tracking plan that `plan.yaml` declares; empty where there is none.
    pub plan: Declared,
}

/// The names that journeys may use, as far as the files could be read. `None`: that part could not
/// be read, so that nothing is said of names in it.
#[derive(Debug, Default)]
pub(crate) struct Known {
    topics: Option<BTreeSet<String>>,
    mails: BTreeSet<String>,
    events: Option<BTreeSet<String>>,
    /// The segments that have a file.
    segments: BTreeSet<String>,
    /// Every signal there is, at its default threshold.
    signals: BTreeMap<String, crate::signal::Threshold>,
}

impl Workspace {
    /// Reads and checks a workspace.
    ///
    /// # Errors
    /// Every mistake that was found, in the order of files and lines.
    pub fn read(files: &Files) -> Result<Workspace, Vec<Fault>> {
        let mut faults = Faults::default();
        check_sizes(files, &mut faults);
        let mut known = Known::default();
        let mails = mails::read(files, &mut faults);
        known.mails = mails.keys().map(|id| id.as_str().to_owned()).collect();
        // A mail whose front matter is wrong still exists: journeys may name it.
        known.mails.extend(mails::names(files));
        let settings = settings::read(files, &mut known, &mut faults);
        known.segments = segments::names(files).into_iter().collect();
        let segments = segments::read(files, &known, &mut faults);
        let plan = plan::read(files, &mut faults);
        let journeys = journeys::read(files, &known, &mut faults);
        let mut watched = watched(journeys.values().map(|file| &file.journey));
        let asked = segments.values().map(|file| file.segment(Stamp::MIN)).collect::<Vec<_>>();
        watched.extend(crate::segment::watched(&asked));
        let watched: BTreeSet<_> =
            watched.iter().map(crate::predicate::EventPredicate::key).collect();
        if watched.len() > WATCHED_MAX {
            let found =
                format!("{} different events in exit rules, goals and conditions", watched.len());
            faults.at("journeys", Place::START, found, format!("at most {WATCHED_MAX}"));
        }
        if let Some(settings) = &settings {
            pacing::check_all(settings, &journeys, &mut faults);
        }
        match (settings, faults.into_sorted()) {
            (Some(settings), none) if none.is_empty() => {
                let workspace = Workspace { settings, segments, journeys, mails, plan };
                workspace.check_counters().map(|()| workspace)
            }
            (_, faults) => Err(faults),
        }
    }

    /// Reads and checks `plan.yaml` alone; an empty plan where there is none.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn read_plan(files: &Files) -> Result<Declared, Vec<Fault>> {
        let mut faults = Faults::default();
        let plan = plan::read(files, &mut faults);
        match faults.into_sorted() {
            none if none.is_empty() => Ok(plan),
            faults => Err(faults),
        }
    }

    /// Each count is a state in every profile.
    fn check_counters(&self) -> Result<(), Vec<Fault>> {
        let counters = self.counters().len();
        if counters <= COUNTERS_MAX {
            return Ok(());
        }
        let found = format!("{counters} different counts (`performed` with `at_least`)");
        let mut faults = Faults::default();
        faults.at("segments", Place::START, found, format!("at most {COUNTERS_MAX}"));
        Err(faults.into_sorted())
    }

    /// The topics under which live and draft journeys send each mail; the confirmation mail has
    /// none.
    #[must_use]
    pub fn topics_of(&self, mail: &MailId) -> BTreeSet<TopicId> {
        let steps = self.journeys.values().flat_map(|file| file.journey.steps.values());
        steps
            .filter_map(|step| match &step.kind {
                crate::journey::StepKind::Send { mail: sent, topic, .. } if sent == mail => {
                    Some(topic.clone())
                }
                _ => None,
            })
            .collect()
    }

    /// Whether any journey sends the mail under a marketing topic, so that it must carry an
    /// unsubscribe link and the postal address.
    #[must_use]
    pub fn is_marketing(&self, mail: &MailId) -> bool {
        self.topics_of(mail).iter().any(|topic| {
            self.settings
                .topics
                .get(topic)
                .is_some_and(|topic| topic.kind == crate::catalog::TopicKind::Marketing)
        })
    }
}

fn check_sizes(files: &Files, faults: &mut Faults) {
    for (file, text) in files {
        if text.len() > FILE_BYTES_MAX {
            let found = format!("{} bytes", text.len());
            faults.at(file, Place::START, found, format!("at most {FILE_BYTES_MAX} bytes"));
        }
    }
}

/// The files of one folder with one ending, and the name each gives to what it holds.
fn in_folder<'f>(
    files: &'f Files,
    folder: &'f str,
    ending: &'f str,
) -> impl Iterator<Item = (&'f str, &'f str, &'f str)> {
    files.iter().filter_map(move |(path, text)| {
        let name = path.strip_prefix(folder)?.strip_prefix('/')?.strip_suffix(ending)?;
        (!name.contains('/')).then_some((path.as_str(), name, text.as_str()))
    })
}

#[cfg(test)]
mod segments_tests;
#[cfg(test)]
mod tests;
