//! What was kept from a customer's profile: claims that were refused, and what an operator split off.

use super::ids::{exposed, named};
use super::text::{clean, several};
use super::when;
use odyssey_domain::ids::{IdentityKey, ProfileId};
use odyssey_domain::keyring::Keyring;
use odyssey_domain::profile::Root;
use odyssey_domain::time::Stamp;
use odyssey_flows::links::{NotLinked, Refusal, event_name, refusals};
use odyssey_flows::ports::Tables;
use odyssey_flows::read_timeline::{Direction, EVENTS_PER_PAGE_MAX, page};
use odyssey_flows::stored::StoredError;
use serde::Serialize;

/// Refused claims, and splits, that are told one by one; the last ones.
const LAST_MAX: usize = 5;
/// Events of a split-off id that are looked into for what it is in plain.
const EVENTS_LOOKED_INTO: usize = 3;

/// What was kept from a profile.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct LinksPart {
    /// Refused claims, by reason.
    pub refused: Vec<RefusedCount>,
    /// The last of them, each id once, as far as the timeline still tells.
    pub last_refused: Vec<RefusedPart>,
    /// How many ids an operator split off.
    pub splits: usize,
    /// The last of them.
    pub last_split: Vec<SplitPart>,
}

/// Claims that were refused for one reason.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RefusedCount {
    /// The reason's code.
    pub code: &'static str,
    /// The reason in words.
    pub reason: String,
    /// How many events made such a claim.
    pub events: u64,
}

/// The last refused claim of an id.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RefusedPart {
    /// The id's key.
    pub key: IdentityKey,
    /// The id itself.
    pub id: Option<String>,
    /// The reason's code.
    pub code: &'static str,
    /// When the event happened that claimed it.
    pub at: Stamp,
    /// That event: `identify`, `track Order Completed`.
    pub event: String,
    /// The source it came through.
    pub source: String,
}

/// An id that an operator split off.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SplitPart {
    /// The id's key.
    pub key: IdentityKey,
    /// The id itself, as its latest events say it.
    pub id: Option<String>,
    /// When.
    pub at: Stamp,
}

/// What was kept from a profile.
pub(super) async fn of(
    tables: &impl Tables,
    keys: &Keyring,
    profile: ProfileId,
    root: &Root,
) -> Result<LinksPart, StoredError> {
    let counts = root.refused.iter().map(|(reason, events)| RefusedCount {
        code: reason.code(),
        reason: reason.to_string(),
        events: *events,
    });
    let mut part =
        LinksPart { refused: counts.collect(), splits: root.split.len(), ..LinksPart::default() };
    if !part.refused.is_empty() {
        let all = refusals(tables, keys, profile, root, None, usize::MAX).await?;
        part.last_refused =
            all.into_iter().filter_map(|one| refused(keys, one)).take(LAST_MAX).collect();
    }
    part.last_split = last_split(tables, keys, profile, root).await?;
    Ok(part)
}

/// The ids that were split off last. An address has no events of its own as a rule: it is those of the
/// user that say it.
async fn last_split(
    tables: &impl Tables,
    keys: &Keyring,
    profile: ProfileId,
    root: &Root,
) -> Result<Vec<SplitPart>, StoredError> {
    let mut all: Vec<(Stamp, IdentityKey)> =
        root.split.iter().map(|(key, at)| (*at, *key)).collect();
    all.sort_unstable_by(|a, b| b.cmp(a));
    let mut parts = Vec::new();
    for (at, key) in all.into_iter().take(LAST_MAX) {
        let mut id = None;
        for (owner, most) in [(key, EVENTS_LOOKED_INTO), (profile.into(), EVENTS_PER_PAGE_MAX)] {
            if id.is_none() {
                let latest = page(tables, &[owner], Direction::NewestFirst, None, most).await?;
                id = latest.events.iter().find_map(|told| named(keys, key, &told.event));
            }
        }
        parts.push(SplitPart { key, id: id.as_ref().map(exposed), at });
    }
    Ok(parts)
}

fn refused(keys: &Keyring, refusal: Refusal) -> Option<RefusedPart> {
    let NotLinked::Refused(reason) = refusal.why else { return None };
    Some(RefusedPart {
        key: refusal.identity,
        id: named(keys, refusal.identity, &refusal.event).as_ref().map(exposed),
        code: reason.code(),
        at: refusal.event.at,
        event: event_name(&refusal.event),
        source: refusal.source.name,
    })
}

impl LinksPart {
    /// Line by line; nothing where nothing was kept from the profile.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let plain = |id: &Option<String>, key: &IdentityKey| {
            id.as_deref().map_or_else(|| key.to_string(), |id| clean(id, 80))
        };
        for count in &self.refused {
            let claims = several(count.events, "claim");
            lines.push(format!("refused {claims} of other ids: {}", count.reason));
            let last = self.last_refused.iter().filter(|last| last.code == count.code);
            lines.extend(last.map(|last| {
                format!(
                    "last of {} by {} through {}, {}",
                    plain(&last.id, &last.key),
                    clean(&last.event, 60),
                    clean(&last.source, 40),
                    when::both(last.at)
                )
            }));
        }
        for split in &self.last_split {
            let id = plain(&split.id, &split.key);
            lines.push(format!("an operator split off {id}, {}", when::both(split.at)));
        }
        let more = u64::try_from(self.splits.saturating_sub(self.last_split.len()));
        if let Ok(more @ 1..) = more {
            lines.push(format!("and {} before", several(more, "split")));
        }
        lines
    }
}
