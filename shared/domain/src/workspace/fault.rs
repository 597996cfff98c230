//! Mistakes in a workspace's files, as they are shown to their author.

use std::fmt;

/// A place in a file. Lines and columns count from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

impl Place {
    /// The first character of a file.
    pub const START: Place = Place { line: 1, column: 1 };

    /// The place of a byte of `text`; its end where `byte` lies past it.
    #[must_use]
    pub fn of_byte(text: &str, byte: usize) -> Place {
        let before: String =
            text.char_indices().take_while(|(at, _)| *at < byte).map(|(_, c)| c).collect();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        Place {
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: u32::try_from(column).unwrap_or(u32::MAX),
        }
    }

    /// This place, `lines` further down.
    #[must_use]
    pub const fn down(self, lines: u32) -> Place {
        Place { line: self.line.saturating_add(lines), column: self.column }
    }
}

/// One mistake. Its text names the place, what was found and what was expected:
/// ``journeys/cart.yaml:12:31: found topic `ofers`, expected one of `offers`, `orders`; did you mean `offers`?``
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The file, by its path in the workspace.
    pub file: String,
    /// Where in it.
    pub place: Place,
    /// What is there.
    pub found: String,
    /// What should be there.
    pub expected: String,
    /// What was probably meant, or what to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { line, column } = self.place;
        write!(
            f,
            "{}:{line}:{column}: found {}, expected {}",
            self.file, self.found, self.expected
        )?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Fault {}

/// The most mistakes that are collected; a file that is no workspace at all would fill pages.
const FAULTS_MAX: usize = 200;

/// The mistakes found so far.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    /// Adds one.
    pub(crate) fn push(&mut self, fault: Fault) {
        if self.0.len() < FAULTS_MAX && !self.0.contains(&fault) {
            self.0.push(fault);
        }
    }

    /// Adds one without a hint.
    pub(crate) fn at(
        &mut self,
        file: &str,
        place: Place,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) {
        self.push(Fault {
            file: file.to_owned(),
            place,
            found: found.into(),
            expected: expected.into(),
            hint: None,
        });
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// All of them, by file and place.
    pub(crate) fn into_sorted(mut self) -> Vec<Fault> {
        self.0.sort();
        self.0
    }
}
