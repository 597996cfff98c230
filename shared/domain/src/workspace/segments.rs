//! `segments/*.yaml`: who is in a segment.
//!
//! ```yaml
//! name: at-risk
//! title: At risk
//! when:
//!   all:
//!     - {fact: orders.count, at_least: 2}
//!     - not: {performed: Order Completed, within: 60d}
//! ```

use super::fault::{Faults, Place};
use super::fields::{Fields, Reading, suggestion};
use super::yaml::{self, Node, quoted};
use super::{Files, Known, conditions, in_folder};
use crate::predicate::Condition;
use crate::segment::{LEAVES_MAX, SEGMENT_NAME_BYTES_MAX, SEGMENTS_MAX, Segment, SegmentName};
use crate::time::Stamp;
use std::collections::BTreeMap;

/// The keys of a segment.
pub const KEYS: &[&str] = &["name", "title", "description", "when"];
/// The longest title, in characters.
const TITLE_CHARS_MAX: usize = 100;

/// A segment as its file says it.
#[derive(Debug, Clone, PartialEq)]
pub struct SegmentFile {
    /// Where it is written.
    pub file: String,
    /// Its title for people.
    pub title: String,
    /// Who is in it.
    pub when: Condition,
}

impl SegmentFile {
    /// As it is published at an instant.
    #[must_use]
    pub fn segment(&self, published: Stamp) -> Segment {
        Segment {
            title: self.title.clone(),
            when: self.when.clone(),
            since: published,
            watched: published,
        }
    }
}

/// The names of the segments that have a file, whatever is in it: journeys may name them.
pub(crate) fn names(files: &Files) -> Vec<String> {
    in_folder(files, "segments", ".yaml").map(|(_, name, _)| name.to_owned()).collect()
}

/// Reads every segment.
pub(crate) fn read(
    files: &Files,
    known: &Known,
    faults: &mut Faults,
) -> BTreeMap<SegmentName, SegmentFile> {
    let mut segments = BTreeMap::new();
    for (file, stem, text) in in_folder(files, "segments", ".yaml") {
        let Some(root) = yaml::parse(file, text, 0, faults) else { continue };
        let mut reading = Reading { file, faults };
        if let Some((name, segment)) = read_one(&mut reading, &root, stem, known) {
            segments.insert(name, segment);
        }
    }
    for (file, _, _) in in_folder(files, "segments", ".yml") {
        faults.at(file, Place::START, "a file that ends in .yml", "the ending .yaml");
    }
    if segments.len() > SEGMENTS_MAX {
        let found = format!("{} segments", segments.len());
        faults.at("segments", Place::START, found, format!("at most {SEGMENTS_MAX}"));
    }
    segments
}

fn read_one(
    reading: &mut Reading<'_>,
    root: &Node,
    stem: &str,
    known: &Known,
) -> Option<(SegmentName, SegmentFile)> {
    let fields = reading.fields(root, "a segment", KEYS)?;
    let name = name(reading, fields, stem);
    let title = reading.need(fields, "title", "At risk").and_then(|node| title(reading, node));
    if let Some(node) = fields.get("description") {
        reading.text(node, "a text");
    }
    let example = "{fact: orders.count, at_least: 2}";
    let when = reading.need(fields, "when", example).and_then(|node| {
        let when = conditions::of_segment(reading, node, known)?;
        let mut leaves = 0;
        when.each_leaf(&mut |_| leaves += 1);
        if !(1..=LEAVES_MAX).contains(&leaves) {
            let found = format!("{leaves} conditions");
            reading.fault(node.place, found, format!("from 1 to {LEAVES_MAX}"));
            return None;
        }
        Some(when)
    });
    let file = reading.file.to_owned();
    Some((name?, SegmentFile { file, title: title?, when: when? }))
}

/// The segment's name is its file's, said twice as a journey's is.
fn name(reading: &mut Reading<'_>, fields: Fields<'_>, stem: &str) -> Option<SegmentName> {
    let node = reading.need(fields, "name", stem)?;
    let text = reading.text(node, "the segment's name")?;
    let Ok(name) = SegmentName::parse(text) else {
        let expected = format!(
            "a segment's name of lower-case letters, digits and hyphens that begins with a letter, at most {SEGMENT_NAME_BYTES_MAX} long"
        );
        let better = suggestion(text).map(|better| format!("for example `{better}`"));
        reading.fault_with_hint(node.place, quoted(text), expected, better);
        return None;
    };
    if text != stem {
        let expected = format!("`{stem}`, the name of the file");
        reading.fault(node.place, format!("name {}", quoted(text)), expected);
        return None;
    }
    Some(name)
}

fn title(reading: &mut Reading<'_>, node: &Node) -> Option<String> {
    let text = reading.text(node, "a title of one line")?.trim();
    if text.chars().count() > TITLE_CHARS_MAX || text.chars().any(char::is_control) {
        let expected = format!("a title of one line, at most {TITLE_CHARS_MAX} characters");
        reading.fault(node.place, quoted(text), expected);
        return None;
    }
    Some(text.to_owned())
}
