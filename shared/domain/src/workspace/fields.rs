//! Reading mappings field by field, with every mistake noted and none of them final.

use super::fault::{Fault, Faults, Place};
use super::names::nearest;
use super::yaml::{Key, Kind, Node, quoted};
use crate::time::Span;

/// One file under reading.
pub(crate) struct Reading<'r> {
    pub(crate) file: &'r str,
    pub(crate) faults: &'r mut Faults,
}

/// A mapping whose keys have been checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'n> {
    entries: &'n [(Key, Node)],
    pub(crate) place: Place,
}

impl<'n> Fields<'n> {
    /// The value of a key.
    pub(crate) fn get(&self, name: &str) -> Option<&'n Node> {
        self.entries.iter().find(|(key, _)| key.name == name).map(|(_, node)| node)
    }

    /// Every key with its value.
    pub(crate) fn entries(&self) -> &'n [(Key, Node)] {
        self.entries
    }
}

impl Reading<'_> {
    /// Notes a mistake.
    pub(crate) fn fault(
        &mut self,
        place: Place,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) {
        self.faults.at(self.file, place, found, expected);
    }

    /// Notes a mistake and what to do about it.
    pub(crate) fn fault_with_hint(
        &mut self,
        place: Place,
        found: impl Into<String>,
        expected: impl Into<String>,
        hint: Option<String>,
    ) {
        self.faults.push(Fault {
            file: self.file.to_owned(),
            place,
            found: found.into(),
            expected: expected.into(),
            hint,
        });
    }

    /// Notes a name that is none of the known ones.
    pub(crate) fn unknown<'c>(
        &mut self,
        place: Place,
        what: &str,
        name: &str,
        known: impl IntoIterator<Item = &'c str> + Clone,
    ) {
        let near = nearest(name, known.clone()).map(|near| format!("did you mean `{near}`?"));
        let list: Vec<String> = known.into_iter().take(12).map(|n| format!("`{n}`")).collect();
        let expected = if list.is_empty() {
            format!("a {what}, but there is none")
        } else {
            format!("one of {}", list.join(", "))
        };
        self.fault_with_hint(place, format!("{what} {}", quoted(name)), expected, near);
    }

    /// A mapping with no other keys than `known`, none twice.
    pub(crate) fn fields<'n>(
        &mut self,
        node: &'n Node,
        what: &str,
        known: &[&str],
    ) -> Option<Fields<'n>> {
        let fields = self.open(node, what)?;
        for (key, _) in fields.entries {
            if !known.contains(&key.name.as_str()) {
                self.unknown(key.place, "key", &key.name, known.iter().copied());
            }
        }
        Some(fields)
    }

    /// A mapping whose keys are names of the author's own.
    pub(crate) fn open<'n>(&mut self, node: &'n Node, what: &str) -> Option<Fields<'n>> {
        let Kind::Map(entries) = &node.kind else {
            self.fault(node.place, node.describe(), format!("{what}: a mapping"));
            return None;
        };
        for (at, (key, _)) in entries.iter().enumerate() {
            if entries.iter().take(at).any(|(earlier, _)| earlier.name == key.name) {
                let found = format!("key {} a second time", quoted(&key.name));
                self.fault(key.place, found, "each key once");
            }
        }
        Some(Fields { entries, place: node.place })
    }

    /// The value of a key that must be there.
    pub(crate) fn need<'n>(
        &mut self,
        fields: Fields<'n>,
        name: &str,
        example: &str,
    ) -> Option<&'n Node> {
        let found = fields.get(name);
        if found.is_none() {
            let expected = format!("`{name}: {example}`");
            self.fault(fields.place, format!("no key `{name}`"), expected);
        }
        found
    }

    /// A text that is not empty.
    pub(crate) fn text<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n str> {
        match &node.kind {
            Kind::Text(text) if !text.trim().is_empty() => Some(text),
            Kind::Text(_) => {
                self.fault(node.place, "an empty text", what);
                None
            }
            Kind::Bool(_) | Kind::Number(_) => {
                let hint = Some("put it between quotes to make it text".to_owned());
                self.fault_with_hint(node.place, node.describe(), what, hint);
                None
            }
            Kind::Map(_) => {
                let hint = "a value that begins with { must stand between quotes".to_owned();
                self.fault_with_hint(node.place, node.describe(), what, Some(hint));
                None
            }
            Kind::Null | Kind::List(_) => {
                self.fault(node.place, node.describe(), what);
                None
            }
        }
    }

    /// A list.
    pub(crate) fn list<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n [Node]> {
        if let Kind::List(items) = &node.kind {
            return Some(items);
        }
        self.fault(node.place, node.describe(), what);
        None
    }

    /// A length of time of at least a second.
    pub(crate) fn span(&mut self, node: &Node) -> Option<Span> {
        const EXPECTED: &str = "a length of time such as 90s, 15m, 4h, 3d or 1w, at most 730d";
        let Kind::Text(text) = &node.kind else {
            let hint = matches!(node.kind, Kind::Number(_))
                .then(|| "a number needs its unit: s, m, h, d or w".to_owned());
            self.fault_with_hint(node.place, node.describe(), EXPECTED, hint);
            return None;
        };
        match text.parse::<Span>() {
            Ok(span) if span >= Span::SECOND => Some(span),
            Ok(_) => {
                self.fault(node.place, quoted(text), "a length of time of at least 1s");
                None
            }
            Err(_) => {
                self.fault(node.place, quoted(text), EXPECTED);
                None
            }
        }
    }

    /// A name of the author's own.
    pub(crate) fn slug<T>(
        &mut self,
        name: &str,
        place: Place,
        what: &str,
        parse: impl Fn(&str) -> Result<T, crate::slug::SlugError>,
    ) -> Option<T> {
        if let Ok(slug) = parse(name) {
            return Some(slug);
        }
        let expected = format!(
            "a {what} of lower-case letters, digits and hyphens that begins with a letter, at most {} long",
            crate::slug::SLUG_BYTES_MAX
        );
        let better = suggestion(name).map(|better| format!("for example `{better}`"));
        self.fault_with_hint(place, quoted(name), expected, better);
        None
    }
}

/// The nearest text that is a name.
pub(crate) fn suggestion(name: &str) -> Option<String> {
    let mut slug = String::new();
    for c in name.to_lowercase().chars() {
        if c.is_ascii_lowercase() || (c.is_ascii_digit() && !slug.is_empty()) {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug: String = slug.chars().take(crate::slug::SLUG_BYTES_MAX).collect();
    let slug = slug.trim_end_matches('-');
    crate::slug::is_slug(slug).then(|| slug.to_owned())
}
