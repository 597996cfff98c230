//! The terminal: what a command says, with colours where there is a terminal that shows them.

use std::io::{self, IsTerminal, Write};

/// How a piece of text stands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// It does not.
    Plain,
    /// What to read first.
    Strong,
    /// What may be passed over.
    Faint,
    /// Right.
    Good,
    /// Worth a look.
    Warn,
    /// Wrong.
    Bad,
    /// A name, an address, a command.
    Name,
}

/// Where a command writes.
#[derive(Debug, Clone)]
pub struct Screen {
    colours: bool,
    terminal: bool,
}

impl Screen {
    /// The process's own terminal. Colours follow <https://no-color.org>.
    #[must_use]
    pub fn new() -> Screen {
        let terminal = io::stdout().is_terminal();
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Screen { colours: terminal && !refused, terminal }
    }

    /// Whether somebody is watching.
    #[must_use]
    pub const fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// A line on standard output. A closed pipe (`odyssey tail | head`) is no error.
    pub fn line(&self, text: &str) {
        let _ = writeln!(io::stdout().lock(), "{text}");
    }

    /// A line on standard error.
    pub fn error(&self, text: &str) {
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// A text in a style.
    #[must_use]
    pub fn paint(&self, style: Style, text: &str) -> String {
        let code = match style {
            Style::Plain => return text.to_owned(),
            Style::Strong => "1",
            Style::Faint => "2",
            Style::Good => "32",
            Style::Warn => "33",
            Style::Bad => "31",
            Style::Name => "36",
        };
        if self.colours { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

impl Default for Screen {
    fn default() -> Self {
        Self::new()
    }
}
