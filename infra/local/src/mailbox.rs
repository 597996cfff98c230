//! The mails that SES took.

use odyssey_domain::time::Stamp;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// One mail. Its `Debug` shows ids alone.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Mail {
    /// SES's message id.
    pub id: String,
    /// When SES took it; customer time.
    pub at: Stamp,
    /// `From`, as it was given.
    pub from: String,
    /// Recipients.
    pub to: Vec<String>,
    /// `Reply-To`.
    pub reply_to: Vec<String>,
    /// Subject.
    pub subject: String,
    /// The HTML part.
    pub html: String,
    /// The text part.
    pub text: String,
    /// Further headers, in order.
    pub headers: Vec<(String, String)>,
    /// E-mail tags.
    pub tags: BTreeMap<String, String>,
    /// The configuration set.
    pub configuration_set: Option<String>,
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail").field("id", &self.id).field("at", &self.at).finish_non_exhaustive()
    }
}

impl Mail {
    /// A header's value; names in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// Every mail since the stack started, oldest first.
#[derive(Debug, Default)]
pub struct Mailbox {
    mails: Mutex<Vec<Arc<Mail>>>,
}

impl Mailbox {
    fn with<T>(&self, change: impl FnOnce(&mut Vec<Arc<Mail>>) -> T) -> T {
        change(&mut self.mails.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Keeps a mail.
    pub(crate) fn keep(&self, mail: Arc<Mail>) {
        self.with(|mails| mails.push(mail));
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Mail>> {
        self.with(|mails| mails.clone())
    }

    /// Those to an address, in any case.
    #[must_use]
    pub fn to(&self, address: &str) -> Vec<Arc<Mail>> {
        let is_to = |mail: &Arc<Mail>| mail.to.iter().any(|to| to.eq_ignore_ascii_case(address));
        self.all().into_iter().filter(is_to).collect()
    }

    /// The one with SES's message id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<Arc<Mail>> {
        self.all().into_iter().find(|mail| mail.id == id)
    }
}
