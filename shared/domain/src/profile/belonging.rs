//! A profile's segments: decided in the write that changes what they are decided on.

use super::Root;
use super::said::ProfileEffect;
use crate::contact::{ConsentState, TopicId};
use crate::ids::ProfileId;
use crate::segment::{Cause, Declared};
use crate::time::Stamp;
use std::collections::BTreeMap;

impl Root {
    /// Decides on the segments of a publication at an instant, given what the contact behind the
    /// profile's address has said; after [`Root::cross`], since segments ask for signals. The
    /// profile's timer is armed for when an answer turns with time alone. Says whether anything
    /// changed that must be written.
    pub fn settle_segments(
        &mut self,
        profile: ProfileId,
        declared: Declared<'_>,
        consents: BTreeMap<TopicId, ConsentState>,
        cause: Cause,
        now: Stamp,
    ) -> bool {
        if declared.segments.is_empty() && self.said.segments.published.is_none() {
            return false;
        }
        let mut view = self.view(profile);
        view.consents = consents;
        let last = self.facts().seen.map_or(now, |seen| seen.last.min(now));
        let since = match cause {
            // What follows the deed that let somebody in follows the entering.
            Cause::Event => last,
            Cause::Time | Cause::Backfill => now,
        };
        let settled = self.said.segments.settle(profile, declared, &view, cause, since, now);
        let raises = settled.raises.into_iter();
        self.said.pending.extend(raises.map(ProfileEffect::Raise));
        settled.due.is_some_and(|due| self.arm_by(due)) || settled.changed
    }
}
