//! Claims that did not link, and why.
//!
//! A profile counts what it refused by reason and keeps nothing else of it, since whoever knows a
//! user id could fill it with claims. Which claims those were follows from the events of the user's
//! timeline, held against where the ids stand now.

use super::why::{Placed, Stands, place};
use crate::fold_profile::{Claim, claims};
use crate::ports::Tables;
use crate::read_timeline::{Direction, EVENTS_PER_PAGE_MAX, Told, page};
use crate::stored::StoredError;
use odyssey_domain::event::Event;
use odyssey_domain::identity::IdKind;
use odyssey_domain::ids::{IdentityKey, ProfileId};
use odyssey_domain::keyring::Keyring;
use odyssey_domain::profile::{RefusedLink, Root};
use odyssey_domain::wire::{SourceKind, SourceRef};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// The latest events of a user that are looked into for claims.
pub const EVENTS_LOOKED_INTO: usize = 2_000;
/// Ids whose place is read, one by one.
const IDS_LOOKED_AT: usize = 64;

/// Why a claim did not link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotLinked {
    /// It was refused.
    Refused(RefusedLink),
    /// Another profile has the id by an earlier claim. That is no refusal, and is not counted.
    Earlier,
}

/// The last claim of an id that did not link.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// The id that was claimed.
    pub identity: IdentityKey,
    /// What sort of identifier it is.
    pub kind: Option<IdKind>,
    /// Why not.
    pub why: NotLinked,
    /// The event that claimed it, and through which source.
    pub source: SourceRef,
    /// That event.
    pub event: Event,
}

/// The ids that a user's events claimed in vain, the last claimed first, at most `most`: of all ids,
/// or of one. Of a profile that is no user's there are none.
///
/// # Errors
/// Where the port fails or an item cannot be read.
pub async fn refusals(
    tables: &impl Tables,
    keys: &Keyring,
    user: ProfileId,
    root: &Root,
    of: Option<IdentityKey>,
    most: usize,
) -> Result<Vec<Refusal>, StoredError> {
    let mut found: Vec<Refusal> = Vec::new();
    let mut known: BTreeMap<IdentityKey, Placed> = BTreeMap::new();
    let (mut after, mut read) = (None, 0);
    loop {
        let next = page(tables, &[user.into()], Direction::NewestFirst, after, EVENTS_PER_PAGE_MAX)
            .await?;
        read += next.events.len();
        for told in &next.events {
            for claim in claims(keys, told.source.kind, told.received, &told.event) {
                for (identity, kind) in claimed(&claim) {
                    // Linked ids are claimed again by every event of theirs.
                    let is_linked = root.links.contains_key(&identity);
                    let is_new = found.iter().all(|refusal| refusal.identity != identity);
                    if is_linked || !is_new || of.is_some_and(|of| of != identity) {
                        continue;
                    }
                    if known.len() >= IDS_LOOKED_AT && !known.contains_key(&identity) {
                        return Ok(found);
                    }
                    let placed = match known.entry(identity) {
                        Entry::Occupied(there) => there.into_mut(),
                        Entry::Vacant(free) => free.insert(place(tables, identity).await?),
                    };
                    let Some(why) = why(user, root, told, &claim, kind.as_ref(), placed) else {
                        continue;
                    };
                    let (source, event) = (told.source.clone(), told.event.clone());
                    found.push(Refusal { identity, kind, why, source, event });
                    if found.len() >= most {
                        return Ok(found);
                    }
                }
            }
        }
        after = next.next;
        if after.is_none() || read >= EVENTS_LOOKED_INTO {
            return Ok(found);
        }
    }
}

/// The ids that a claim is about: what it links, and the user whose id has the same text.
fn claimed(claim: &Claim) -> impl Iterator<Item = (IdentityKey, Option<IdKind>)> + use<> {
    let user = claim.maybe_user.map(|user| (user, None));
    std::iter::once((claim.identity, Some(claim.kind.clone()))).chain(user)
}

/// Why a claim did not link; none where it did, or where nobody can say. A user id has no kind here.
fn why(
    user: ProfileId,
    root: &Root,
    told: &Told,
    claim: &Claim,
    kind: Option<&IdKind>,
    placed: &Placed,
) -> Option<NotLinked> {
    let counted = |reason| root.refused.contains_key(&reason).then_some(NotLinked::Refused(reason));
    if kind.is_none() {
        let is_somebody = placed.profile().is_some();
        return counted(match told.source.kind {
            SourceKind::Browser => RefusedLink::TwoUsersFromBrowser,
            SourceKind::Server => RefusedLink::TwoUsersFromServer,
        })
        .filter(|_| is_somebody);
    }
    if let Some(split) = root.split.get(&placed.identity) {
        // What was claimed before was linked, until the operator said otherwise.
        return (told.received > *split).then_some(NotLinked::Refused(RefusedLink::Split));
    }
    match &placed.stands {
        Stands::Erased(_) => None,
        Stands::Linked(claimed) if claimed.to == user => None,
        Stands::Linked(claimed)
            if claimed.is_final || claimed.claim.is_some_and(|held| held <= claim.at) =>
        {
            Some(NotLinked::Earlier)
        }
        // Nothing else keeps an id from the user who claims it.
        Stands::Linked(_) | Stands::Nobody | Stands::Profile(_) => counted(RefusedLink::Full),
    }
}
