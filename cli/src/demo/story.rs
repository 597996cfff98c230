//! The stories: who does what and when, and what must come of it, as the files beneath
//! `events/demo` tell it.

use super::deed::{Deed, moment};
use crate::Failure;
use odyssey_domain::time::{Span, Stamp};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;

/// The file that a story begins with.
const STORY_FILE: &str = "story.yaml";

/// A story's file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoryFile {
    title: String,
    start: String,
    until: String,
    speed: u32,
    #[serde(default)]
    recorded: Option<String>,
    #[serde(default)]
    deeds: Vec<Deed>,
    cast: BTreeMap<String, Customer>,
}

/// A customer of the story, and what must come of them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Customer {
    /// The name that the workspace's systems know.
    pub name: String,
    /// An address.
    pub email: String,
    /// The user id in the requests.
    pub user_id: String,
    /// The anonymous id in the requests.
    pub anonymous_id: String,
    /// Whether the browser knows the user id from the start, as one that was signed in before.
    #[serde(default)]
    pub signed_in: bool,
    /// `abandons a cart`.
    pub story: String,
    /// Signals that are raised, in any order.
    #[serde(default)]
    pub signals: Vec<Wanted>,
    /// Mails that go out, in order.
    #[serde(default)]
    pub mails: Vec<String>,
    /// Mails that are decided against, with the first reason's code.
    #[serde(default)]
    pub skips: Vec<(String, String)>,
    /// How each journey ends, `inside` where it does not. Several enrollments of one journey are
    /// several words.
    #[serde(default)]
    pub journeys: BTreeMap<String, String>,
    /// What SES reports of a mail, where it is not delivery.
    #[serde(default)]
    pub delivery: BTreeMap<String, String>,
    /// Facts that the profile shows at the end, by name.
    #[serde(default)]
    pub facts: BTreeMap<String, Value>,
}

/// A signal that must be raised.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Its name.
    pub signal: String,
    /// What its evidence must show, beside whatever else it shows.
    #[serde(default)]
    pub shows: Map<String, Value>,
}

/// A story, read.
#[derive(Debug, Clone)]
pub struct Story {
    /// The workspace's folder in `examples`, and the story's in `events/demo`.
    pub workspace: String,
    /// What is told first.
    pub title: String,
    /// Midnight of the first day.
    pub midnight: Stamp,
    /// When the stack's clock starts.
    pub start: Stamp,
    /// When the story is over.
    pub until: Stamp,
    /// Customer seconds in a second.
    pub speed: u32,
    /// The deeds with their times, by time.
    pub deeds: Vec<(Stamp, Deed)>,
    /// Who is in it.
    pub cast: BTreeMap<String, Customer>,
}

/// The names of the stories beneath `events/demo`, in order.
///
/// # Errors
/// Where the folder cannot be read.
pub fn names(folder: &Path) -> Result<Vec<String>, Failure> {
    let failed = |cause| Failure::File { path: folder.to_owned(), cause };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
        names.extend(name.filter(|_| path.join(STORY_FILE).is_file()));
    }
    names.sort_unstable();
    Ok(names)
}

/// Reads the story of a workspace beneath `folder`.
///
/// # Errors
/// Where a file is missing or not what it should be, with its place.
pub fn read(folder: &Path, workspace: &str) -> Result<Story, Failure> {
    let text = |name: &str| {
        let path = folder.join(workspace).join(name);
        std::fs::read_to_string(&path).map_err(|cause| Failure::File { path, cause })
    };
    let wrong = |what: String| Failure::Asked(format!("events/demo/{workspace}: {what}"));
    let file: StoryFile = serde_saphyr::from_str(&text(STORY_FILE)?)
        .map_err(|error| wrong(format!("{STORY_FILE}: {error}")))?;
    let start = Stamp::parse(&file.start).map_err(|e| wrong(format!("start: {e}")))?;
    let midnight = Stamp::from_ms(start.day().saturating_mul(Span::DAY.ms_i64()));
    let time = |text: &str| {
        moment(midnight, text).ok_or_else(|| wrong(format!("`{text}` is no HH:MM or 1d HH:MM")))
    };
    let mut deeds = file.deeds;
    if let Some(name) = &file.recorded {
        for (number, line) in text(name)?.lines().enumerate() {
            let deed = serde_json::from_str(line)
                .map_err(|error| wrong(format!("{name}:{}: {error}", number + 1)))?;
            deeds.push(deed);
        }
    }
    let mut timed = Vec::new();
    for (number, mut deed) in deeds.into_iter().enumerate() {
        let told = format!("the deed `{} {}`", deed.who, deed.says);
        if !file.cast.contains_key(&deed.who) {
            return Err(wrong(format!("{told}: nobody is called {}", deed.who)));
        }
        deed.check(midnight).map_err(|what| wrong(format!("{told}: {what}")))?;
        deed.number = number;
        timed.push((time(&deed.at)?, deed));
    }
    timed.sort_by_key(|(at, _)| *at);
    Ok(Story {
        workspace: workspace.to_owned(),
        title: file.title,
        midnight,
        start,
        until: time(&file.until)?,
        speed: file.speed.max(1),
        deeds: timed,
        cast: file.cast,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../events/demo")
    }

    #[test]
    fn every_story_reads() {
        let names = names(&folder()).unwrap();
        assert!(names.contains(&"storefront".to_owned()), "{names:?}");
        for name in names {
            let story = read(&folder(), &name).unwrap();
            assert!(story.cast.len() >= 5, "{name}");
            assert!(story.deeds.iter().all(|(at, _)| *at >= story.start && *at < story.until));
            assert!(folder().join("../../examples").join(&name).is_dir(), "{name}");
        }
    }

    /// What the stories show together is everything that can be shown, and each signal's evidence
    /// is held to something once at least.
    #[test]
    fn every_signal_is_in_a_story() {
        use odyssey_domain::segment::{SEGMENT_ENTERED, SEGMENT_EXITED};
        use odyssey_domain::signal::SignalKind;
        let mut shown = std::collections::BTreeSet::new();
        for name in names(&folder()).unwrap() {
            let story = read(&folder(), &name).unwrap();
            let wanted = story.cast.into_values().flat_map(|customer| customer.signals);
            let asserted = wanted.filter(|wanted| !wanted.shows.is_empty());
            shown.extend(asserted.map(|wanted| wanted.signal));
        }
        let all = SignalKind::ALL.map(SignalKind::name).into_iter();
        let all = all.chain([SEGMENT_ENTERED, SEGMENT_EXITED]);
        let missing: Vec<_> = all.filter(|name| !shown.contains(*name)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn faults_name_their_place() {
        let scratch = tempfile::tempdir().unwrap();
        std::fs::create_dir(scratch.path().join("x")).unwrap();
        let head = "title: t\nstart: 2027-03-01T07:00:00Z\nuntil: '08:00'\nspeed: 1\ncast: {}\n";
        for (rest, expected) in [
            ("deeds: [{at: '07:10', who: ann, says: hello}]", "nobody is called ann"),
            ("strange: 1", "strange"),
        ] {
            let path = scratch.path().join("x").join(STORY_FILE);
            std::fs::write(path, format!("{head}{rest}\n")).unwrap();
            let error = read(scratch.path(), "x").unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
