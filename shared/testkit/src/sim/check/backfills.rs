//! Back-fills: whoever a publication is new to, or holds what it no longer declares, is looked at.

use super::Check;
use odyssey_domain::catalog::Catalog;
use odyssey_domain::ids::{IdentityKey, ProfileId};
use odyssey_domain::time::Stamp;
use odyssey_domain::wire::Command;
use odyssey_flows::catalog::current_key;
use odyssey_flows::ports::{Key, QueueMessage, Row};
use std::collections::{BTreeMap, BTreeSet};

/// A back-fill under way.
#[derive(Debug)]
struct Filling {
    /// What was published when it began.
    published: Stamp,
    /// Who was behind it then.
    behind: BTreeSet<IdentityKey>,
    /// Whom `profile` was asked to look at.
    looks: BTreeSet<IdentityKey>,
}

/// What is known of back-fills.
#[derive(Debug, Default)]
pub(super) struct Backfills {
    catalog: Option<Box<Catalog>>,
    /// By invocation.
    filling: BTreeMap<u32, Filling>,
    /// Profiles that the last one left as they were.
    pub(super) left: u64,
}

impl Backfills {
    /// Rows were written.
    pub(super) fn written(&mut self, keys: &[Key], after: &[Option<Row>]) {
        for (key, after) in keys.iter().zip(after) {
            if let (true, Some(row)) = (*key == current_key(), after) {
                self.catalog = super::item::<Catalog>(row).map(Box::new);
            }
        }
    }

    /// A message to `profile`.
    pub(super) fn asked(&mut self, invocation: u32, message: &QueueMessage) {
        let Some(filling) = self.filling.get_mut(&invocation) else { return };
        if let Ok(Command::Look { profile }) = serde_json::from_str(&message.body) {
            filling.looks.insert(ProfileId::into(profile));
        }
    }
}

impl Check {
    /// Profiles that hold what the published workspace does not declare, or know less than it does.
    fn behind(&self, catalog: &Catalog) -> BTreeSet<IdentityKey> {
        let roots = self.profiles.roots().into_iter();
        let behind = roots.filter(|(_, root)| root.said.segments.lag(catalog.declared()));
        behind.map(|(key, _)| key).collect()
    }

    /// A back-fill begins.
    pub(crate) fn filling(&mut self, invocation: u32) {
        let Some(catalog) = self.backfills.catalog.as_deref() else { return };
        let (published, behind) = (catalog.published, self.behind(catalog));
        let filling = Filling { published, behind, looks: BTreeSet::new() };
        self.backfills.filling.insert(invocation, filling);
    }

    /// A back-fill is through and has left so many profiles as they were.
    pub(crate) fn filled(&mut self, invocation: u32, left: u64) {
        self.backfills.left = left;
        let filling = self.backfills.filling.remove(&invocation);
        let (Some(filling), Some(catalog)) = (filling, self.backfills.catalog.as_deref()) else {
            return;
        };
        if left > 0 || catalog.published != filling.published {
            return;
        }
        let behind = self.behind(catalog);
        let still = behind.intersection(&filling.behind);
        let forgotten = still.into_iter().find(|key| !filling.looks.contains(key)).copied();
        self.holds("found-by-back-fill", forgotten.is_none(), || {
            format!("{forgotten:?} was behind the publication before the back-fill and is behind it still")
        });
    }
}
