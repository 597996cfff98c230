//! Where an identifier stands, and on whose word.

use crate::fold_profile::timeline;
use crate::ports::{Consistency, Tables};
use crate::profiles::identity_key;
use crate::stored::{StoredError, load};
use odyssey_domain::event::Event;
use odyssey_domain::identity::IdKind;
use odyssey_domain::ids::{IdentityKey, Position, ProfileId};
use odyssey_domain::profile::{IdentityItem, Link, Root};
use odyssey_domain::time::Stamp;
use odyssey_domain::wire::SourceRef;

/// Where one identifier stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Placed {
    /// The key asked for.
    pub identity: IdentityKey,
    /// What stands there.
    pub stands: Stands,
}

/// What stands at an identifier's key.
#[derive(Debug, Clone, PartialEq)]
pub enum Stands {
    /// No event was ever folded under it, and nobody claimed it.
    Nobody,
    /// It was erased then.
    Erased(Stamp),
    /// It is a profile of its own; its kind, where the item tells.
    Profile(Option<IdKind>),
    /// It belongs to another profile.
    Linked(Box<Claimed>),
}

/// A link, and the claim that made it.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    /// The profile.
    pub to: ProfileId,
    /// What sort of identifier it is.
    pub kind: Option<IdKind>,
    /// The claim: the position of the event that named the user. None where the link is final and
    /// its claim is no longer known.
    pub claim: Option<Position>,
    /// Whether its accumulator was compacted into the profile's own.
    pub is_final: bool,
    /// The event that claimed, where the timeline still holds it.
    pub event: Option<(SourceRef, Event)>,
}

impl Placed {
    /// The profile that its events are in; none where it is nobody's or erased.
    #[must_use]
    pub fn profile(&self) -> Option<ProfileId> {
        match &self.stands {
            Stands::Nobody | Stands::Erased(_) => None,
            Stands::Profile(_) => Some(self.identity.into()),
            Stands::Linked(claimed) => Some(claimed.to),
        }
    }
}

impl Claimed {
    /// How the event that claimed is called: `identify`, `track Order Completed`.
    #[must_use]
    pub fn event_name(&self) -> Option<String> {
        self.event.as_ref().map(|(_, event)| event_name(event))
    }
}

/// How an event is called: `identify`, `track Order Completed`.
#[must_use]
pub fn event_name(event: &Event) -> String {
    let kind = event.kind.name();
    event.name.as_ref().map_or_else(|| kind.to_owned(), |name| format!("{kind} {name}"))
}

/// Where an identifier stands, and on which event's word; strongly consistent, but for the event.
///
/// # Errors
/// Where the port fails or an item cannot be read.
pub async fn place(tables: &impl Tables, identity: IdentityKey) -> Result<Placed, StoredError> {
    let stands = match read(tables, identity).await? {
        None => Stands::Nobody,
        Some(IdentityItem::Tombstone { erased }) => Stands::Erased(erased),
        Some(IdentityItem::Root(root)) => Stands::Profile(root.kind),
        Some(IdentityItem::Pointer { to, claim }) => {
            let root = match read(tables, to).await? {
                Some(IdentityItem::Root(root)) => root,
                _ => Box::default(),
            };
            let link = root.links.get(&identity);
            let is_final = claim == Root::final_claim() || link.is_some_and(Link::is_final);
            // The pointer of a final link carries no claim; the link remembers.
            let known = link.map_or(claim, Link::claim);
            let claim = (known != Root::final_claim()).then_some(known);
            let kind = link.map(|link| link.kind.clone());
            let event = match claim {
                Some(claim) => event_at(tables, to, claim).await?,
                None => None,
            };
            Stands::Linked(Box::new(Claimed { to: to.into(), kind, claim, is_final, event }))
        }
    };
    Ok(Placed { identity, stands })
}

async fn read(
    tables: &impl Tables,
    identity: IdentityKey,
) -> Result<Option<IdentityItem>, StoredError> {
    let found = load::<IdentityItem>(tables, identity_key(identity), Consistency::Strong).await?;
    Ok(found.map(|found| found.item))
}

/// The event that made a claim, from the timeline of the user whose it is. A browser's event that
/// came late claims as of a later time than its own.
async fn event_at(
    tables: &impl Tables,
    user: IdentityKey,
    claim: Position,
) -> Result<Option<(SourceRef, Event)>, StoredError> {
    for from in [claim.at, Stamp::MIN] {
        let events = timeline::read(tables, user, from, claim.at).await?;
        let found = events.into_iter().find(|(_, event)| event.position().id == claim.id);
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}
