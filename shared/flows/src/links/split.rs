//! Splitting an identifier off a profile: one transaction, for good.

use crate::catalog::{CatalogCache, CatalogError};
use crate::due;
use crate::ports::{Consistency, Expect, Tables, Write, Written};
use crate::profiles::identity_key;
use crate::stored::{self, StoredError, load};
use odyssey_domain::catalog::Catalog;
use odyssey_domain::identity::IdKind;
use odyssey_domain::ids::{IdentityKey, Position, ProfileId};
use odyssey_domain::profile::{IdentityItem, NoSplit, Root, Seen};
use odyssey_domain::time::Stamp;
use odyssey_domain::wire::{Owner, Wake};
use std::sync::Arc;

/// A write that meets another's, or whose answer is lost, is tried so often.
const ATTEMPTS: usize = 5;

/// What a split moves.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// The identifier, and the profile that it becomes.
    pub identity: IdentityKey,
    /// What sort of identifier it is.
    pub kind: IdKind,
    /// The profile it leaves.
    pub from: ProfileId,
    /// The claim it was held by.
    pub claim: Position,
    /// Distinct events that move.
    pub events: u64,
    /// From when to when they happened; none where there are none.
    pub seen: Option<Seen>,
    /// When the new profile is looked at for silences and segments.
    pub due: Option<Stamp>,
}

/// Why nothing was split.
#[derive(Debug, thiserror::Error)]
pub enum SplitError {
    /// No event was folded under it, and nobody claimed it.
    #[error("nobody is known by that id")]
    Nobody,
    /// It was erased.
    #[error("that id was erased {0}")]
    Erased(Stamp),
    /// Nothing is to be split.
    #[error("that id is a profile of its own: name one that is linked to it")]
    Alone,
    /// The profile cannot let go of it.
    #[error("it cannot be split off: {0}")]
    Refused(#[from] NoSplit),
    /// Events kept coming in between.
    #[error("the profile was written by others {ATTEMPTS} times in a row: try again")]
    Contended,
    /// The workspace cannot be read.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A table failed, or an item cannot be read.
    #[error(transparent)]
    Stored(#[from] StoredError),
}

impl SplitError {
    /// Whether it is the answer to what was asked, and no fault of a table.
    #[must_use]
    pub const fn is_answer(&self) -> bool {
        match self {
            SplitError::Nobody
            | SplitError::Erased(_)
            | SplitError::Alone
            | SplitError::Refused(_)
            | SplitError::Contended => true,
            SplitError::Catalog(_) | SplitError::Stored(_) => false,
        }
    }
}

/// A split that was worked out and not written.
struct Planned {
    split: Split,
    writes: Vec<Write>,
}

/// What a split of this identifier would move. Writes nothing.
///
/// # Errors
/// Where it cannot be split, or a table fails.
pub async fn plan(
    tables: &impl Tables,
    identity: IdentityKey,
    now: Stamp,
) -> Result<Split, SplitError> {
    let catalog = catalog(tables, now).await?;
    Ok(work_out(tables, identity, catalog.as_deref(), now).await?.split)
}

/// Moves an identifier's accumulator back into a profile of its own and has the two remember it,
/// with the timers that follow, all in one transaction. Timeline rows and the look-ups of addresses
/// stand under the identifier's own key and stay; so do enrollments, messages and contacts, which
/// belong to whoever has them.
///
/// # Errors
/// Where it cannot be split, or a table fails; whether it was split is then not known.
pub async fn split(
    tables: &impl Tables,
    identity: IdentityKey,
    now: Stamp,
) -> Result<Split, SplitError> {
    let catalog = catalog(tables, now).await?;
    let mut tried: Option<Split> = None;
    for attempt in 1..=ATTEMPTS {
        let planned = match work_out(tables, identity, catalog.as_deref(), now).await {
            Err(SplitError::Contended) => continue,
            // An earlier try of this very split, whose answer was lost.
            Err(SplitError::Alone) if was_split(tables, tried.as_ref(), now).await? => {
                return tried.ok_or(SplitError::Alone);
            }
            planned => planned?,
        };
        let Planned { split, writes } = planned;
        tried = Some(split.clone());
        let token = stored::token(&writes);
        match tables.transact(writes, &token).await {
            Ok(Written::Done) => return Ok(split),
            Ok(Written::Conflict { .. }) => {}
            Err(error) if error.is_transient() && attempt < ATTEMPTS => {}
            Err(error) => return Err(StoredError::from(error).into()),
        }
    }
    Err(SplitError::Contended)
}

/// The published workspace, where there is one.
async fn catalog(tables: &impl Tables, now: Stamp) -> Result<Option<Arc<Catalog>>, SplitError> {
    match CatalogCache::default().catalog(tables, now).await {
        Ok(catalog) => Ok(Some(catalog)),
        Err(CatalogError::Unpublished) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

type Read = Option<(u64, IdentityItem)>;

async fn read(tables: &impl Tables, identity: IdentityKey) -> Result<Read, StoredError> {
    let found = load::<IdentityItem>(tables, identity_key(identity), Consistency::Strong).await?;
    Ok(found.map(|found| (found.version, found.item)))
}

async fn was_split(
    tables: &impl Tables,
    tried: Option<&Split>,
    now: Stamp,
) -> Result<bool, StoredError> {
    let Some(tried) = tried else { return Ok(false) };
    let from = read(tables, tried.from.into()).await?;
    Ok(matches!(from, Some((_, IdentityItem::Root(root)))
        if root.split.get(&tried.identity) == Some(&now)))
}

async fn work_out(
    tables: &impl Tables,
    identity: IdentityKey,
    catalog: Option<&Catalog>,
    now: Stamp,
) -> Result<Planned, SplitError> {
    let (pointer_at, user) = match read(tables, identity).await? {
        None => return Err(SplitError::Nobody),
        Some((_, IdentityItem::Tombstone { erased })) => return Err(SplitError::Erased(erased)),
        Some((_, IdentityItem::Root(_))) => return Err(SplitError::Alone),
        Some((version, IdentityItem::Pointer { to, .. })) => (version, to),
    };
    // Another write came between the two reads.
    let Some((root_at, IdentityItem::Root(mut root))) = read(tables, user).await? else {
        return Err(SplitError::Contended);
    };
    let link = root.links.get(&identity).cloned();
    let rules = catalog.map_or(&[][..], |catalog| catalog.signals.as_slice());
    let own = root.split_off(identity, rules, now)?;
    let link = link.ok_or(NoSplit::NotLinked)?;
    let mut writes: Vec<Write> =
        arm(user, &root)?.into_iter().chain(arm(identity, &own)?).collect();
    let facts = own.facts().into_owned();
    let split = Split {
        identity,
        kind: link.kind.clone(),
        from: user.into(),
        claim: link.claim(),
        events: facts.total,
        seen: facts.seen,
        due: own.said.due,
    };
    for (key, root, version) in [(user, root, root_at), (identity, Box::new(own), pointer_at)] {
        let item = IdentityItem::Root(root);
        writes.push(stored::put(identity_key(key), &item, Some(version))?);
    }
    Ok(Planned { split, writes })
}

/// The due item of a profile's timer, which is written with the split, so that nobody has to arm it.
fn arm(key: IdentityKey, root: &Root) -> Result<Option<Write>, StoredError> {
    let Some(due) = root.said.due else { return Ok(None) };
    let wake = Wake { owner: Owner::Profile(key.into()), arm: root.said.arm, due };
    let row = stored::row(due::key(&wake), &wake, 1)?;
    Ok(Some(Write::Put { row, expect: Expect::Any }))
}
