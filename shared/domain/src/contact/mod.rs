//! Contacts: one address on one channel, with its consent, its suppression and its recent claims.
//!
//! A contact never holds its address: its key is an HMAC of it. Merging profiles never touches a
//! contact, and a new address inherits nobody's consent.

mod claims;

pub use claims::{CLAIMS_KEPT, CLAIMS_MAX, Claim, ClaimKey, Claims, JourneyTag, TopicTag};

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
    /// How: `confirmation`, `one_click`, `unsubscribe_page`, `api:<source>`; at most
    /// [`VIA_BYTES_MAX`].
    pub via: String,
}

/// Why an address must not be mailed, whatever was consented to. In the order of their weight: of
/// two, the weightier is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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

/// The most answers a contact keeps, one for each topic: what keeps its item within 1 KB.
pub const CONSENTS_MAX: usize = 12;
/// The longest text that says how a consent was given.
pub const VIA_BYTES_MAX: usize = 32;

/// A contact has answered for [`CONSENTS_MAX`] topics already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a contact keeps its answers for at most {CONSENTS_MAX} topics")]
pub struct TooManyTopics;

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
    /// Recent claims of messages that caps may count; exempt ones are not among them.
    #[serde(default, skip_serializing_if = "Claims::is_empty")]
    pub claims: Claims,
}

impl Contact {
    /// An address of which nothing is known: not verified, no answer, not suppressed.
    #[must_use]
    pub fn new(key: ContactKey) -> Contact {
        Contact {
            key,
            verified: None,
            consents: BTreeMap::new(),
            suppression: None,
            claims: Claims::default(),
        }
    }

    /// The answer to a topic.
    #[must_use]
    pub fn answer(&self, topic: &TopicId) -> Option<&Consent> {
        self.consents.get(topic)
    }

    /// Notes an answer. The same answer again keeps the first one's time and manner, which are
    /// its evidence. Says whether anything changed.
    ///
    /// # Errors
    /// Where it would be the answer to one topic too many.
    pub fn answers(
        &mut self,
        topic: &TopicId,
        state: ConsentState,
        at: Stamp,
        via: &str,
    ) -> Result<bool, TooManyTopics> {
        if self.answer(topic).is_some_and(|consent| consent.state == state) {
            return Ok(false);
        }
        if !self.consents.contains_key(topic) && self.consents.len() >= CONSENTS_MAX {
            return Err(TooManyTopics);
        }
        let via = cut(via, VIA_BYTES_MAX).to_owned();
        self.consents.insert(topic.clone(), Consent { state, at, via });
        Ok(true)
    }

    /// Notes that the address's owner answered from it, or that a server vouched for it. The first
    /// time counts. Says whether anything changed.
    pub fn verify(&mut self, at: Stamp) -> bool {
        let first = self.verified.is_none();
        self.verified.get_or_insert(at);
        first
    }

    /// Suppresses the address. Any order and doubling of the same reports gives the same: the
    /// weightiest reason since the earliest time. Says whether anything changed.
    pub fn suppress(&mut self, reason: SuppressionReason, at: Stamp) -> bool {
        let after = match &self.suppression {
            None => Suppression { reason, at },
            Some(before) => {
                Suppression { reason: before.reason.max(reason), at: before.at.min(at) }
            }
        };
        let changed = self.suppression.as_ref() != Some(&after);
        self.suppression = Some(after);
        changed
    }

    /// Notes that a message is about to go out. Twice is once; a later claim of the same send, which
    /// was decided afresh, counts from then. Claims that `needed` does not want and that are older
    /// than [`CLAIMS_KEPT`] go; past [`CLAIMS_MAX`] first those that are not needed, then the
    /// oldest.
    pub fn claim(&mut self, send: SendId, claim: Claim, needed: impl Fn(&Claim) -> bool) {
        let horizon = claim.at.minus(CLAIMS_KEPT);
        self.claims.retain(|other| needed(other) || other.at > horizon);
        self.claims.insert(send, claim);
        if self.claims.len() > CLAIMS_MAX {
            self.claims.retain(|other| needed(other) || *other == claim);
        }
        while self.claims.len() > CLAIMS_MAX && self.forget_oldest_claim(Some(send)) {}
    }

    /// Takes a claim back: the message certainly did not go out. Says whether it was there.
    pub fn release(&mut self, send: SendId) -> bool {
        self.claims.remove(send)
    }

    /// Forgets the oldest claim but `keep`; says whether there was one to forget.
    pub fn forget_oldest_claim(&mut self, keep: Option<SendId>) -> bool {
        self.claims.forget_oldest(keep)
    }
}

/// The longest beginning of `text` of at most `bytes` bytes that ends between characters.
fn cut(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn contact() -> Contact {
        Contact::new(ContactKey::from_bytes([1; 16]))
    }

    fn send(n: u8) -> SendId {
        SendId::from_bytes([n; 16])
    }

    #[test]
    fn the_first_of_equal_answers_is_the_evidence() {
        let topic = TopicId::parse("offers").unwrap();
        let mut contact = contact();
        let mut answer =
            |state, ms| contact.answers(&topic, state, Stamp::from_ms(ms), "confirmation").unwrap();
        assert!(answer(ConsentState::Granted, 1));
        assert!(!answer(ConsentState::Granted, 2));
        assert!(answer(ConsentState::Withdrawn, 3));
        assert!(answer(ConsentState::Granted, 4));
        assert_eq!(contact.answer(&topic).unwrap().at.ms(), 4);
    }

    #[test]
    fn one_topic_too_many_is_refused() {
        let mut contact = contact();
        let topic = |n: usize| TopicId::parse(&format!("topic-{n}")).unwrap();
        let mut grant = |n| contact.answers(&topic(n), ConsentState::Granted, Stamp::MIN, "api");
        for n in 0..CONSENTS_MAX {
            grant(n).unwrap();
        }
        assert_eq!(grant(CONSENTS_MAX), Err(TooManyTopics));
        assert_eq!(grant(0), Ok(false));
    }

    #[test]
    fn how_it_was_given_is_cut_between_characters() {
        assert_eq!(cut("añb", 2), "a");
        assert_eq!(cut("añb", 3), "añ");
        assert_eq!(cut("", 3), "");
    }

    proptest! {
        #[test]
        fn claims_are_bounded_and_the_newest_stay(
            order in prop::collection::vec(0_u8..60, 0..80),
            needed in any::<bool>(),
        ) {
            let mut contact = contact();
            let topic = TopicId::parse("offers").unwrap();
            for (at, n) in order.iter().enumerate() {
                let at = 1_795_000_000_000 + i64::try_from(at).unwrap() * 1_000;
                let claim = Claim::new(Stamp::from_ms(at), &topic, None);
                contact.claim(send(*n), claim, |_| needed);
                prop_assert!(contact.claims.len() <= CLAIMS_MAX);
                prop_assert_eq!(contact.claims.get(send(*n)), Some(&claim));
                let before = contact.clone();
                contact.claim(send(*n), claim, |_| needed);
                prop_assert_eq!(&contact, &before, "claiming twice is claiming once");
            }
            for n in &order {
                contact.release(send(*n));
                prop_assert!(!contact.release(send(*n)), "releasing twice is releasing once");
            }
            prop_assert!(contact.claims.is_empty());
        }

        #[test]
        fn suppressions_commute(
            reports in prop::collection::vec((0_u8..3, 0_i64..1_000), 1..8).prop_shuffle(),
        ) {
            let reason = |n| match n {
                0 => SuppressionReason::HardBounce,
                1 => SuppressionReason::Complaint,
                _ => SuppressionReason::Manual,
            };
            let fold = |reports: &[(u8, i64)]| {
                let mut contact = contact();
                for (n, at) in reports {
                    contact.suppress(reason(*n), Stamp::from_ms(*at));
                }
                contact
            };
            let mut sorted = reports.clone();
            sorted.sort_unstable();
            let doubled: Vec<_> = reports.iter().chain(&reports).copied().collect();
            prop_assert_eq!(fold(&reports), fold(&sorted));
            prop_assert_eq!(fold(&doubled), fold(&sorted));
        }
    }
}
