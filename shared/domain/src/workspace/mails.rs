//! `mails/*.mjml`: front matter, MJML, and the text part where the author wrote one.
//!
//! ```text
//! ---
//! subject: You left something behind
//! preview: It is still in your cart
//! ---
//! <mjml>…</mjml>
//! ```

use super::fault::{Faults, Place};
use super::fields::Reading;
use super::{Files, MAILS_MAX, in_folder, yaml};
use crate::message::MailId;
use std::collections::BTreeMap;

/// The keys of a mail's front matter.
pub(crate) const KEYS: &[&str] = &["subject", "preview"];
/// The longest subject, in characters, before its placeholders are filled: RFC 5322 §2.1.1 allows
/// a line 998, inboxes show about 60.
const SUBJECT_CHARS_MAX: usize = 200;
/// The longest preview, in characters.
const PREVIEW_CHARS_MAX: usize = 300;

/// A mail as its files say it, not compiled yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailSource {
    /// Its name.
    pub id: MailId,
    /// Its file.
    pub file: String,
    /// Jinja, one line.
    pub subject: String,
    /// Where the subject is written.
    pub subject_place: Place,
    /// Jinja, one line, may be empty.
    pub preview: String,
    /// Where the preview is written; the start of the file where there is none.
    pub preview_place: Place,
    /// MJML with Jinja in it.
    pub mjml: String,
    /// The lines of the file before the MJML.
    pub lines_before: u32,
    /// The text part and its file, where the author wrote one: Jinja in plain text.
    pub text: Option<(String, String)>,
}

/// The front matter and what follows it: byte ranges' ends in `text`. `None` where there is no
/// front matter.
#[must_use]
pub fn front_matter_end(text: &str) -> Option<(&str, &str)> {
    let body = text.strip_prefix("---\n").or_else(|| text.strip_prefix("---\r\n"))?;
    let mut at = 0;
    for line in body.split_inclusive('\n') {
        if line.trim_end() == "---" {
            return Some((body.get(..at)?, body.get(at + line.len()..)?));
        }
        at += line.len();
    }
    None
}

/// The names of all mails, readable or not.
pub(crate) fn names(files: &Files) -> Vec<String> {
    in_folder(files, "mails", ".mjml").map(|(_, name, _)| name.to_owned()).collect()
}

pub(crate) fn read(files: &Files, faults: &mut Faults) -> BTreeMap<MailId, MailSource> {
    let mut mails = BTreeMap::new();
    for (file, stem, text) in in_folder(files, "mails", ".mjml") {
        let mut reading = Reading { file, faults };
        if let Some(mail) = read_one(&mut reading, files, stem, text) {
            mails.insert(mail.id.clone(), mail);
        }
    }
    for (file, stem, _) in in_folder(files, "mails", ".txt") {
        if !files.contains_key(&format!("mails/{stem}.mjml")) {
            let expected = format!("mails/{stem}.mjml beside it");
            faults.at(file, Place::START, "a text part without its mail", expected);
        }
    }
    if mails.len() > MAILS_MAX {
        let found = format!("{} mails", mails.len());
        faults.at("mails", Place::START, found, format!("at most {MAILS_MAX}"));
    }
    mails
}

fn read_one(
    reading: &mut Reading<'_>,
    files: &Files,
    stem: &str,
    text: &str,
) -> Option<MailSource> {
    let id = reading.slug(stem, Place::START, "mail's name", MailId::parse);
    let Some((front, mjml)) = front_matter_end(text) else {
        let found = "no front matter";
        reading.fault(Place::START, found, "lines `---`, `subject: …`, `---` before the MJML");
        return None;
    };
    let lines_before = u32::try_from(front.matches('\n').count() + 2).unwrap_or(u32::MAX);
    let root = yaml::parse(reading.file, front, 1, reading.faults)?;
    let fields = reading.fields(&root, "the front matter", KEYS)?;
    let subject = reading.need(fields, "subject", "You left something behind");
    let subject_place = subject.map_or(Place::START, |node| node.place);
    let subject =
        subject.and_then(|node| line(reading, node, "a subject of one line", SUBJECT_CHARS_MAX));
    let preview = fields.get("preview");
    let preview_place = preview.map_or(Place::START, |node| node.place);
    let preview = match preview {
        None => Some(String::new()),
        Some(node) => line(reading, node, "a preview of one line", PREVIEW_CHARS_MAX),
    };
    let text_file = format!("mails/{stem}.txt");
    let text = files.get(&text_file).map(|text| (text_file, text.clone()));
    Some(MailSource {
        id: id?,
        file: reading.file.to_owned(),
        subject: subject?,
        subject_place,
        preview: preview?,
        preview_place,
        mjml: mjml.to_owned(),
        lines_before,
        text,
    })
}

fn line(
    reading: &mut Reading<'_>,
    node: &yaml::Node,
    what: &str,
    chars_max: usize,
) -> Option<String> {
    let text = reading.text(node, what)?.trim();
    let chars = text.chars().count();
    if chars > chars_max {
        reading.fault(node.place, format!("{chars} characters"), format!("at most {chars_max}"));
        return None;
    }
    if text.chars().any(char::is_control) {
        reading.fault(node.place, "a text of more than one line", what);
        return None;
    }
    Some(text.to_owned())
}
