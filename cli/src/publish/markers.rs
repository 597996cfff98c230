//! Jinja tags as opaque markers, so that an MJML parser never sees a quote or a `<` of theirs.
//!
//! `{{ … }}`, `{% … %}`, `{# … #}` and whole `{% raw %}` blocks each become one word of letters and
//! digits. A tag that stands where MJML allows elements alone (`{% if %}` between two sections) is
//! wrapped in `<mj-raw>`, which every such place allows. Restoring puts the tags back as they were.

use std::fmt::Write as _;
use std::ops::Range;

/// A Jinja tag that does not end, or an element that does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkupFault {
    /// The byte of the source it begins at.
    pub at: usize,
    /// What is there.
    pub found: String,
    /// What should be.
    pub expected: String,
}

/// A template with its tags hidden.
#[derive(Debug, Clone)]
pub struct Marked {
    /// The template with markers in place of tags.
    pub text: String,
    /// The tags, by their place in the source, in order.
    pub tags: Vec<Tag>,
    /// The elements' names in lower case, and the byte of the source each begins at.
    pub elements: Vec<(String, usize)>,
    prefix: String,
    /// Where pieces of `text` come from: start in `text`, range in the source.
    pieces: Vec<(usize, Range<usize>)>,
}

/// One Jinja tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// As it is written.
    pub text: String,
    /// The byte of the source it begins at.
    pub at: usize,
}

/// Hides the tags of `source`.
///
/// # Errors
/// Where a tag or an element is not ended.
pub fn mark(source: &str) -> Result<Marked, MarkupFault> {
    let prefix = free_prefix(source);
    let mut marked = Marked {
        text: String::with_capacity(source.len()),
        tags: Vec::new(),
        elements: Vec::new(),
        prefix,
        pieces: Vec::new(),
    };
    let mut elements = Elements::default();
    let mut at = 0;
    while let Some(open) = next_tag(source, at) {
        let end = tag_end(source, open)?;
        marked.keep(source, at..open);
        elements.read(source, at..open)?;
        marked.hide(source, open..end, elements.takes_elements_only());
        at = end;
    }
    marked.keep(source, at..source.len());
    elements.read(source, at..source.len())?;
    marked.elements = elements.finish()?;
    Ok(marked)
}

impl Marked {
    /// Puts the tags back into `text`, which was made from [`Marked::text`].
    #[must_use]
    pub fn restore(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find(&self.prefix) {
            let (before, marker) = rest.split_at(at);
            out.push_str(before);
            let digits = marker.get(self.prefix.len()..).unwrap_or("");
            let length = digits.bytes().take_while(u8::is_ascii_digit).count();
            let number = digits.get(..length).unwrap_or("");
            let tag = number.parse::<usize>().ok().and_then(|n| self.tags.get(n));
            match tag {
                Some(tag) => out.push_str(&tag.text),
                None => out.push_str(marker.get(..self.prefix.len() + length).unwrap_or("")),
            }
            // The marker's closing letter.
            rest = digits.get(length + 1..).unwrap_or("");
        }
        out.push_str(rest);
        out
    }

    /// [`Marked::restore`] of a plain text, where a line that holds nothing but `{% … %}` and
    /// `{# … #}` leaves no empty line behind.
    #[must_use]
    pub fn restore_lines(&self, text: &str) -> String {
        let mut joined = String::with_capacity(text.len());
        let mut after_tags = false;
        for line in text.split_inclusive('\n') {
            if after_tags && line.trim().is_empty() {
                continue;
            }
            after_tags = !line.trim().is_empty() && self.prints_nothing(line.trim());
            joined.push_str(if after_tags { line.trim_end() } else { line });
        }
        self.restore(&joined)
    }

    /// Whether a line is markers of tags that print nothing.
    fn prints_nothing(&self, line: &str) -> bool {
        line.split_whitespace().all(|word| {
            let mut rest = word;
            while let Some(marker) = rest.strip_prefix(&self.prefix) {
                let length = marker.bytes().take_while(u8::is_ascii_digit).count();
                let number = marker.get(..length).and_then(|n| n.parse::<usize>().ok());
                match number.and_then(|n| self.tags.get(n)) {
                    Some(tag) if !tag.text.starts_with("{{") => {}
                    _ => return false,
                }
                rest = marker.get(length + 1..).unwrap_or("");
            }
            rest.is_empty()
        })
    }

    /// The tags of which no marker is in `text`.
    #[must_use]
    pub fn lost(&self, text: &str) -> Vec<&Tag> {
        let lost = |(n, _): &(usize, &Tag)| !text.contains(&self.marker(*n));
        self.tags.iter().enumerate().filter(lost).map(|(_, tag)| tag).collect()
    }

    /// The byte of the source that a byte of [`Marked::text`] stands for.
    #[must_use]
    pub fn source_byte(&self, byte: usize) -> usize {
        let piece = self.pieces.iter().rev().find(|(start, _)| *start <= byte);
        piece.map_or(0, |(start, source)| (source.start + (byte - start)).min(source.end))
    }

    fn marker(&self, n: usize) -> String {
        format!("{}{n}x", self.prefix)
    }

    fn keep(&mut self, source: &str, range: Range<usize>) {
        self.pieces.push((self.text.len(), range.clone()));
        self.text.push_str(source.get(range).unwrap_or(""));
    }

    fn hide(&mut self, source: &str, range: Range<usize>, as_element: bool) {
        self.pieces.push((self.text.len(), range.start..range.start));
        let text = source.get(range.clone()).unwrap_or("");
        // The same tag twice is the same marker, so that a link whose label is its address is
        // seen to be one.
        let known = self.tags.iter().position(|tag| tag.text == text);
        let number = known.unwrap_or(self.tags.len());
        if known.is_none() {
            self.tags.push(Tag { text: text.to_owned(), at: range.start });
        }
        let marker = self.marker(number);
        // Writing to a String cannot fail.
        let _ = if as_element {
            write!(self.text, "<mj-raw>{marker}</mj-raw>")
        } else {
            write!(self.text, "{marker}")
        };
    }
}

/// Letters that the source does not contain.
fn free_prefix(source: &str) -> String {
    let mut prefix = "jinjax".to_owned();
    while source.contains(&prefix) {
        prefix.push('q');
    }
    prefix
}

fn next_tag(source: &str, from: usize) -> Option<usize> {
    let rest = source.get(from..)?;
    ["{{", "{%", "{#"].iter().filter_map(|open| rest.find(open)).min().map(|at| from + at)
}

/// Where the tag that begins at `open` ends.
fn tag_end(source: &str, open: usize) -> Result<usize, MarkupFault> {
    let rest = source.get(open..).unwrap_or("");
    let close = match rest.get(..2) {
        Some("{{") => "}}",
        Some("{%") => "%}",
        _ => "#}",
    };
    let unended = || MarkupFault {
        at: open,
        found: format!("`{}` without its end", rest.get(..2).unwrap_or("{")),
        expected: format!("`{close}`"),
    };
    let end = if close == "#}" {
        rest.find(close).map(|at| at + 2)
    } else {
        find_outside_quotes(rest, close)
    };
    let end = end.ok_or_else(unended)?;
    let inside = rest.get(2..end - 2).unwrap_or("").trim_matches(['-', '+']).trim();
    if close == "%}" && inside == "raw" {
        return raw_end(source, open + end).ok_or_else(unended);
    }
    Ok(open + end)
}

/// The byte after the first `close` that no quotes enclose, past the two bytes that open the tag.
fn find_outside_quotes(rest: &str, close: &str) -> Option<usize> {
    let mut quote: Option<char> = None;
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(2) {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            None if c == '"' || c == '\'' => quote = Some(c),
            None if rest.get(at..).is_some_and(|rest| rest.starts_with(close)) => {
                return Some(at + close.len());
            }
            Some(_) | None => {}
        }
    }
    None
}

/// The end of the `{% endraw %}` after `from`.
fn raw_end(source: &str, from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        let open = at + source.get(at..)?.find("{%")?;
        let end = open + source.get(open..)?.find("%}")? + 2;
        let inside = source.get(open + 2..end - 2)?.trim_matches(['-', '+']).trim();
        if inside == "endraw" {
            return Some(end);
        }
        at = end;
    }
}

/// Elements of MJML that hold no text of their own.
const ELEMENTS_ONLY: [&str; 14] = [
    "mjml",
    "mj-head",
    "mj-attributes",
    "mj-body",
    "mj-wrapper",
    "mj-section",
    "mj-group",
    "mj-column",
    "mj-hero",
    "mj-social",
    "mj-navbar",
    "mj-carousel",
    "mj-accordion",
    "mj-accordion-element",
];

/// Elements of HTML without an end.
const VOID: [&str; 14] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source",
    "track", "wbr",
];

/// Which elements are open, read piece by piece between the Jinja tags.
#[derive(Default)]
struct Elements {
    open: Vec<(String, usize)>,
    /// Inside `<…`: the text so far and where it began.
    tag: Option<(String, usize)>,
    quote: Option<char>,
    comment: bool,
    /// Every element that was opened.
    seen: Vec<(String, usize)>,
}

impl Elements {
    fn takes_elements_only(&self) -> bool {
        self.tag.is_none()
            && !self.comment
            && self.open.last().is_some_and(|(name, _)| ELEMENTS_ONLY.contains(&name.as_str()))
    }

    fn read(&mut self, source: &str, range: Range<usize>) -> Result<(), MarkupFault> {
        let start = range.start;
        let piece = source.get(range).unwrap_or("");
        for (offset, c) in piece.char_indices() {
            let rest = piece.get(offset..).unwrap_or("");
            if self.comment {
                self.comment = !piece.get(..offset).unwrap_or("").ends_with("--") || c != '>';
                continue;
            }
            match (&mut self.tag, self.quote) {
                (None, _) if rest.starts_with("<!--") => self.comment = true,
                (None, _) if c == '<' => self.tag = Some((String::new(), start + offset)),
                (None, _) => {}
                (Some((text, _)), Some(quote)) => {
                    text.push(c);
                    if c == quote {
                        self.quote = None;
                    }
                }
                (Some((text, _)), None) if c == '"' || c == '\'' => {
                    text.push(c);
                    self.quote = Some(c);
                }
                (Some(_), None) if c == '>' => self.close_tag()?,
                (Some((text, _)), None) => text.push(c),
            }
        }
        Ok(())
    }

    fn close_tag(&mut self) -> Result<(), MarkupFault> {
        let Some((text, at)) = self.tag.take() else { return Ok(()) };
        let name = |text: &str| {
            text.split(|c: char| c.is_whitespace() || c == '/').next().unwrap_or("").to_lowercase()
        };
        if let Some(closing) = text.strip_prefix('/') {
            let closing = name(closing);
            return match self.open.pop() {
                Some((opened, _)) if opened == closing => Ok(()),
                Some((opened, _)) => Err(MarkupFault {
                    at,
                    found: format!("`</{closing}>`"),
                    expected: format!("`</{opened}>`, which is still open"),
                }),
                None => Err(MarkupFault {
                    at,
                    found: format!("`</{closing}>`"),
                    expected: "its opening tag before it".to_owned(),
                }),
            };
        }
        let opening = name(&text);
        self.seen.push((opening.clone(), at));
        let empty = text.ends_with('/') || text.starts_with(['!', '?']);
        if !empty && !VOID.contains(&opening.as_str()) {
            self.open.push((opening, at));
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<(String, usize)>, MarkupFault> {
        if let Some((text, at)) = self.tag {
            let found = format!("`<{}` without its `>`", text.chars().take(20).collect::<String>());
            return Err(MarkupFault { at, found, expected: "`>`".to_owned() });
        }
        match self.open.pop() {
            Some((name, at)) => Err(MarkupFault {
                at,
                found: format!("`<{name}>` without its end"),
                expected: format!("`</{name}>`"),
            }),
            None => Ok(self.seen),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tags_come_back_as_they_were() {
        let source = r#"<mj-text a="{{ x["}}"] }}">{# <b> #}{% if a > "%}" %}x{% endif %}{% raw %}{{ no }}{% endraw %}</mj-text>"#;
        let marked = mark(source).unwrap();
        assert_eq!(marked.tags.len(), 5);
        assert!(!marked.text.contains('{'));
        assert_eq!(marked.restore(&marked.text), source);
    }

    #[test]
    fn tags_between_elements_are_wrapped() {
        let marked =
            mark("<mj-body>{% if a %}<mj-section></mj-section>{% endif %}</mj-body>").unwrap();
        assert_eq!(
            marked.text,
            "<mj-body><mj-raw>jinjax0x</mj-raw><mj-section></mj-section><mj-raw>jinjax1x</mj-raw></mj-body>"
        );
    }

    #[test]
    fn what_does_not_end_is_told_where_it_began() {
        let cases = [
            ("<mjml>{{ x </mjml>", 6, "`{{` without its end", "`}}`"),
            ("<mjml>{% raw %}</mjml>", 6, "`{%` without its end", "`%}`"),
            ("<mjml><mj-body></mjml>", 15, "`</mjml>`", "`</mj-body>`, which is still open"),
            ("<mjml><mj-body>", 6, "`<mj-body>` without its end", "`</mj-body>`"),
            ("</mjml>", 0, "`</mjml>`", "its opening tag before it"),
            ("<mjml><mj-te", 6, "`<mj-te` without its `>`", "`>`"),
        ];
        for (source, at, found, expected) in cases {
            let fault = mark(source).unwrap_err();
            assert_eq!(
                (fault.at, &*fault.found, &*fault.expected),
                (at, found, expected),
                "{source}"
            );
        }
    }

    fn jinja() -> impl Strategy<Value = String> {
        let inside = "[ a-z0-9.<>='/&é|-]{0,12}(\"[^\"\\\\\n]{0,8}\")?";
        prop_oneof![
            inside.prop_map(|text| format!("{{{{{}}}}}", text.replace('\'', ""))),
            inside.prop_map(|text| format!("{{% if {}%}}", text.replace('\'', ""))),
            "[a-z<>\"' ]{0,12}".prop_map(|text| format!("{{#{text}#}}")),
        ]
    }

    proptest! {
        #[test]
        fn any_tag_survives_anywhere(parts in proptest::collection::vec(("[a-z \n]{0,6}", jinja()), 0..8)) {
            let mut source = String::from("<mj-text title=\"");
            for (text, tag) in &parts {
                source.push_str(text);
                source.push_str(tag);
            }
            source.push_str("\">");
            for (text, tag) in &parts {
                source.push_str(tag);
                source.push_str(text);
            }
            source.push_str("</mj-text>");
            let marked = mark(&source).unwrap();
            let hidden = !marked.text.contains("{{") && !marked.text.contains("{%");
            prop_assert!(hidden);
            prop_assert_eq!(marked.restore(&marked.text), source.clone());
            for tag in &marked.tags {
                prop_assert!(source[tag.at..].starts_with(&tag.text));
            }
        }

        #[test]
        fn no_text_is_a_panic(source in "[<>/a-z{}%#\"' =!-]{0,80}") {
            if let Ok(marked) = mark(&source) {
                let _ = marked.restore(&marked.text);
                let _ = marked.source_byte(source.len());
            }
        }
    }
}
