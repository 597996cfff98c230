//! Contacts: one address on one channel, with its consent, its suppression and its recent claims.

use crate::ids::{ContactKey, SendId};
use crate::slug::slug;
use crate::time::Stamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

slug! {
    /// A topic of the workspace: what one can subscribe to.
    TopicId,
}

/// What a contact said of one topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsentState {
    /// Yes.
    Granted,
    /// No, after a yes or before one.
    Withdrawn,
}

/// One answer and its evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// The answer.
    pub state: ConsentState,
    /// When it was given.
    pub at: Stamp,
    /// How: `confirmation`, `one_click`, `unsubscribe_page`, `api:<source>`.
    pub via: String,
}

/// Why an address must not be mailed, whatever was consented to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SuppressionReason {
    /// It does not exist.
    HardBounce,
    /// Its owner called a mail of ours spam.
    Complaint,
    /// An operator said so.
    Manual,
}

/// A suppression and when it began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suppression {
    /// Why.
    pub reason: SuppressionReason,
    /// Since when.
    pub at: Stamp,
}

/// The stored item of one contact; at most 1 KB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// Its key, from the normalised address.
    pub key: ContactKey,
    /// When its owner confirmed it, or a server source vouched for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<Stamp>,
    /// Per topic.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub consents: BTreeMap<TopicId, Consent>,
    /// Whether it must not be mailed at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suppression: Option<Suppression>,
    /// Recent claims: what the frequency caps count. Bounded: the oldest go first.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub claims: BTreeMap<SendId, Stamp>,
}
