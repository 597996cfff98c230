//! Messages: published mails, rendering, links, the ledger of sends, and what SES reports of them.

pub mod feedback;
mod guard;
pub mod header;
mod ledger;
#[cfg(test)]
mod ledger_tests;
pub mod link;
pub mod machine;
mod money;
mod rate;
pub mod render;

pub use guard::{STRING_CHARS_MAX, UrlGuard};
pub use ledger::{
    CallOutcome, Deferral, Delivery, LedgerItem, OnDelivery, SENDING_STALE, SendState, Verdict,
    Witness,
};
pub use rate::{SendRate, Turn, WAIT_MAX};

use crate::slug::slug;
use serde::{Deserialize, Serialize};

slug! {
    /// A mail of the workspace.
    MailId,
}

/// A mail as published: MJML already compiled to HTML, Jinja placeholders still in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// Its name.
    pub id: MailId,
    /// Jinja, one line.
    pub subject: String,
    /// The line an inbox shows beside the subject; Jinja, may be empty. It reaches `html` as
    /// `{{ preview }}`; where `html` does not name it, it is put, hidden, at the body's start.
    #[serde(default)]
    pub preview: String,
    /// Jinja in HTML.
    pub html: String,
    /// Jinja in plain text.
    pub text: String,
}
