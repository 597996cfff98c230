//! The ids of one customer, and how each came to be theirs.
//!
//! Keys are hashes: what an id is in plain is known only as long as some event in the timeline
//! still says it.

use odyssey_domain::event::Event;
use odyssey_domain::identity::{Identifier, vouched};
use odyssey_domain::ids::{IdentityKey, ProfileId};
use odyssey_domain::keyring::Keyring;
use odyssey_domain::profile::Root;
use odyssey_domain::time::Stamp;
use odyssey_flows::links::{self, Stands};
use odyssey_flows::ports::Tables;
use odyssey_flows::read_timeline::{Direction, page};
use odyssey_flows::stored::StoredError;
use serde::Serialize;

/// Ids that are told of; a profile has at most 129.
pub const IDS_MAX: usize = 24;
/// Events of an id that are looked into for what it is in plain.
const EVENTS_LOOKED_INTO: usize = 3;

/// One id.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IdPart {
    /// The key at which its events stand.
    pub key: IdentityKey,
    /// `user`, `anonymous`, `email` …; none where neither its item nor an event says it any more.
    pub kind: Option<String>,
    /// The id itself, as the latest event that carries it says it.
    pub id: Option<String>,
    /// Distinct events folded under it; none where it was compacted into the profile's own.
    pub events: Option<u64>,
    /// When it was seen last.
    pub last: Option<Stamp>,
    /// How it came to be this customer's; none of the profile's own.
    pub linked: Option<LinkPart>,
}

/// A link.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LinkPart {
    /// When the event happened that named both; none where the link is final.
    pub at: Option<Stamp>,
    /// That event: `identify`, `track Order Completed`.
    pub event: Option<String>,
    /// The source it came through.
    pub source: Option<String>,
    /// Whether it was compacted, so that no earlier claim takes it away.
    pub is_final: bool,
}

/// The ids of a profile, its own first, at most [`IDS_MAX`], and how many more there are.
pub(super) async fn of(
    tables: &impl Tables,
    keys: &Keyring,
    profile: ProfileId,
    root: &Root,
) -> Result<(Vec<IdPart>, usize), StoredError> {
    let owners = root.owners(profile);
    let mut parts = Vec::new();
    for owner in owners.iter().take(IDS_MAX) {
        parts.push(one(tables, keys, root, *owner).await?);
    }
    Ok((parts, owners.len().saturating_sub(IDS_MAX)))
}

async fn one(
    tables: &impl Tables,
    keys: &Keyring,
    root: &Root,
    owner: IdentityKey,
) -> Result<IdPart, StoredError> {
    let latest =
        page(tables, &[owner], Direction::NewestFirst, None, EVENTS_LOOKED_INTO).await?.events;
    let mut found = latest.iter().find_map(|told| named(keys, owner, &told.event));
    let placed = links::place(tables, owner).await?;
    let mut kind = None;
    let linked = match placed.stands {
        Stands::Linked(claimed) => {
            kind.clone_from(&claimed.kind);
            let claim = claimed.event.as_ref();
            found = found.or_else(|| named(keys, owner, &claim?.1));
            Some(LinkPart {
                at: claimed.claim.map(|claim| claim.at),
                event: claimed.event_name(),
                source: claim.map(|(source, _)| source.name.clone()),
                is_final: claimed.is_final,
            })
        }
        Stands::Profile(known) => {
            kind = known;
            None
        }
        Stands::Nobody | Stands::Erased(_) => None,
    };
    let held = root.accumulators.get(&owner);
    let kind = kind.or_else(|| found.as_ref().map(Identifier::kind)).map(|kind| kind.to_string());
    let id = found.as_ref().map(exposed);
    Ok(IdPart {
        key: owner,
        kind,
        id,
        events: held.map(|held| held.facts.total),
        last: held.and_then(|held| held.facts.seen).map(|seen| seen.last),
        linked,
    })
}

/// The identifier of an event that has this key.
pub(super) fn named(keys: &Keyring, owner: IdentityKey, event: &Event) -> Option<Identifier> {
    let own = event.user_id.clone().map(Identifier::User);
    let device = event.anonymous_id.clone().map(Identifier::Anonymous);
    let before = event.previous_id.as_deref().into_iter().flat_map(|id| {
        ["user", "anonymous"]
            .into_iter()
            .filter_map(move |kind| format!("{kind}:{id}").parse().ok())
    });
    let mut all = own.into_iter().chain(device).chain(before).chain(vouched(
        event.kind,
        &event.traits,
        &event.context,
    ));
    all.find(|id| keys.identity_key(id) == owner)
}

/// For the customer's own page, never for a log.
pub(super) fn exposed(id: &Identifier) -> String {
    match id {
        Identifier::User(id) => id.expose(),
        Identifier::External(_, id) => id.expose(),
        Identifier::Email(address) => address.expose(),
        Identifier::Phone(number) => number.expose(),
        Identifier::Anonymous(id) => id.expose(),
    }
    .to_owned()
}
