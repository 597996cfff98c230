//! The profile as journeys, conditions and templates see it: the merge of its accumulators.

use crate::ids::{IdentityKey, Position, PredicateKey, ProfileId};
use crate::personal::EmailAddress;
use serde_json::Value;
use std::collections::BTreeMap;

/// A profile, computed on read; never stored.
#[derive(Debug, Clone, PartialEq)]
pub struct ProfileView {
    /// The profile.
    pub profile: ProfileId,
    /// Every identity key linked to it, its own first.
    pub owners: Vec<IdentityKey>,
    /// The address to mail: a server source's word before a browser's, then the latest.
    pub email: Option<EmailAddress>,
    /// Traits, last writer wins.
    pub traits: BTreeMap<String, Value>,
    /// Facts by dotted name, as conditions and templates name them: `orders.count`,
    /// `orders.value` (minor units), `cart.items`, `cart.value`, `cart.lines`, `events.<name>`,
    /// `browse.products`, `browse.categories`, `seen.first`, `seen.last`.
    pub facts: BTreeMap<String, Value>,
    /// The last match of each event predicate that a live journey mentions.
    pub matches: BTreeMap<PredicateKey, Position>,
}

impl ProfileView {
    /// A profile of which nothing is known.
    #[must_use]
    pub fn empty(profile: ProfileId) -> ProfileView {
        ProfileView {
            profile,
            owners: vec![profile.into()],
            email: None,
            traits: BTreeMap::new(),
            facts: BTreeMap::new(),
            matches: BTreeMap::new(),
        }
    }
}
