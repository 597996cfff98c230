//! What every part of the stack shares.

use crate::activity::Activity;
use crate::broker::Broker;
use crate::clock::Clock;
use crate::closing::Closing;
use crate::faults::Faults;
use crate::feed::{Feed, What};
use crate::iam::Iam;
use crate::lambda::Lambda;
use crate::mailbox::Mailbox;
use crate::template::{Place, Resources};
use crate::usage::Book;
use crate::wire::Bus;
use odyssey_domain::time::Stamp;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Once};

/// The stack's state.
pub(crate) struct Shared {
    pub(crate) resources: Resources,
    pub(crate) place: Place,
    pub(crate) clock: Clock,
    pub(crate) feed: Arc<Feed>,
    pub(crate) book: Book,
    pub(crate) iam: Iam,
    pub(crate) bus: Bus,
    pub(crate) broker: Broker,
    pub(crate) mailbox: Mailbox,
    pub(crate) database: dynoxide::Database,
    /// Secrets' texts by ARN.
    pub(crate) secrets: BTreeMap<String, String>,
    pub(crate) faults: Faults,
    pub(crate) activity: Activity,
    /// Whether a patient clock has begun.
    pub(crate) pacing: Once,
    pub(crate) lambda: Lambda,
    pub(crate) closing: Closing,
}

impl Shared {
    /// Tells the feed.
    pub(crate) fn tell(&self, what: What) {
        self.feed.tell(self.clock.now(), what);
    }

    /// Whether nothing goes on, and no message is being handled or due until `until`.
    pub(crate) fn is_quiet(&self, until: Stamp) -> bool {
        self.activity.is_quiet() && !self.broker.has_work(until)
    }

    /// Returns when all that is due is done.
    pub(crate) async fn quiet(&self) {
        let mut changes = self.activity.watch();
        loop {
            changes.mark_unchanged();
            if self.is_quiet(self.clock.now()) || changes.changed().await.is_err() {
                return;
            }
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Secrets stay out.
        f.debug_struct("Shared").field("place", &self.place).finish_non_exhaustive()
    }
}
