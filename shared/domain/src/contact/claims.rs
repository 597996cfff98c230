//! The recent claims of a contact: what frequency caps count.
//!
//! A claim is kept as 15 bytes, so that two dozen of them and the answers to a dozen topics fit
//! one write unit: six bytes of the send's id (itself a hash), the time in seconds, rounded up so
//! that a claim counts a moment too long rather than too short, and short hashes of the journey
//! and the topic. Publishing refuses a workspace in which two journeys or two topics have the same
//! short hash.

use super::TopicId;
use crate::ids::{SendId, digest};
use crate::journey::JourneyId;
use crate::time::{Span, Stamp};
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;

/// The most claims a contact keeps: what a frequency cap can count to.
pub const CLAIMS_MAX: usize = 24;
/// How long a claim is kept at least where there is room, so that a cap that is published today
/// counts what went out lately.
pub const CLAIMS_KEPT: Span = Span::DAY.times(7);

/// The first bytes of a longer hash.
fn first<const N: usize>(hash: &[u8]) -> [u8; N] {
    hash.first_chunk().copied().unwrap_or([0; N])
}

/// What stands for a send in its contact's claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClaimKey([u8; 6]);

impl From<SendId> for ClaimKey {
    fn from(send: SendId) -> ClaimKey {
        ClaimKey(first(send.bytes()))
    }
}

/// What stands for a topic in a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TopicTag([u8; 2]);

impl TopicTag {
    /// The tag of a topic.
    #[must_use]
    pub fn of(topic: &TopicId) -> TopicTag {
        TopicTag(first(&digest("topic-tag.v1", &[topic.as_str().as_bytes()])))
    }
}

/// What stands for a journey in a claim; all zeros where no journey asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct JourneyTag([u8; 3]);

impl JourneyTag {
    /// The tag of a journey; of none where there is none.
    #[must_use]
    pub fn of(journey: Option<&JourneyId>) -> JourneyTag {
        let Some(journey) = journey else { return JourneyTag([0; 3]) };
        let tag = first(&digest("journey-tag.v1", &[journey.as_str().as_bytes()]));
        // Zeros mean none.
        JourneyTag(if tag == [0; 3] { [0, 0, 1] } else { tag })
    }
}

/// One message that is about to go out, went out, or may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// When it was claimed, in whole seconds.
    pub at: Stamp,
    /// By which journey.
    pub journey: JourneyTag,
    /// Under which topic.
    pub topic: TopicTag,
}

/// 2020-01-01T00:00:00Z; with 32 bits of seconds claims have times until 2156.
const EPOCH_MS: i64 = 1_577_836_800_000;
/// What a claim takes.
const BYTES: usize = 15;

impl Claim {
    /// A claim at a time, which is rounded up to a second.
    #[must_use]
    pub fn new(at: Stamp, topic: &TopicId, journey: Option<&JourneyId>) -> Claim {
        let at = from_seconds(seconds(at));
        Claim { at, journey: JourneyTag::of(journey), topic: TopicTag::of(topic) }
    }
}

fn seconds(at: Stamp) -> u32 {
    let seconds = (at.ms() - EPOCH_MS).div_euclid(1_000);
    let up = i64::from((at.ms() - EPOCH_MS).rem_euclid(1_000) > 0);
    u32::try_from((seconds + up).max(0)).unwrap_or(u32::MAX)
}

fn from_seconds(seconds: u32) -> Stamp {
    Stamp::from_ms(EPOCH_MS + i64::from(seconds) * 1_000)
}

/// The recent claims, by send.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Claims(BTreeMap<ClaimKey, Claim>);

impl Claims {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The claim of a send.
    #[must_use]
    pub fn get(&self, send: SendId) -> Option<&Claim> {
        self.0.get(&send.into())
    }

    /// Whether a send has a claim.
    #[must_use]
    pub fn contains(&self, send: SendId) -> bool {
        self.get(send).is_some()
    }

    /// Every claim.
    pub fn iter(&self) -> impl Iterator<Item = &Claim> {
        self.0.values()
    }

    /// Every claim but that of one send: a message never counts against itself.
    pub fn others(&self, send: SendId) -> impl Iterator<Item = &Claim> {
        let own = ClaimKey::from(send);
        self.0.iter().filter(move |(key, _)| **key != own).map(|(_, claim)| claim)
    }

    pub(super) fn insert(&mut self, send: SendId, claim: Claim) {
        let claim = match self.get(send) {
            Some(earlier) if earlier.at > claim.at => *earlier,
            _ => claim,
        };
        self.0.insert(send.into(), claim);
    }

    pub(super) fn remove(&mut self, send: SendId) -> bool {
        self.0.remove(&send.into()).is_some()
    }

    /// Keeps those that are told to be kept.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&Claim) -> bool) {
        self.0.retain(|_, claim| keep(claim));
    }

    /// Forgets the oldest but that of `keep`; says whether there was one to forget.
    pub(super) fn forget_oldest(&mut self, keep: Option<SendId>) -> bool {
        let keep = keep.map(ClaimKey::from);
        let others = self.0.iter().filter(|(key, _)| Some(**key) != keep);
        let oldest = others.min_by_key(|(key, claim)| (claim.at, **key)).map(|(key, _)| *key);
        oldest.is_some_and(|key| self.0.remove(&key).is_some())
    }

    fn packed(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len() * BYTES);
        for (ClaimKey(key), claim) in &self.0 {
            bytes.extend_from_slice(key);
            bytes.extend_from_slice(&seconds(claim.at).to_be_bytes());
            bytes.extend_from_slice(&claim.journey.0);
            bytes.extend_from_slice(&claim.topic.0);
        }
        bytes
    }

    fn unpacked(bytes: &[u8]) -> Option<Claims> {
        let (claims, rest) = bytes.as_chunks::<BYTES>();
        let mut read = BTreeMap::new();
        for claim in claims {
            let (key, claim) = claim.split_first_chunk()?;
            let (at, claim) = claim.split_first_chunk()?;
            let (journey, topic) = claim.split_first_chunk()?;
            let at = from_seconds(u32::from_be_bytes(*at));
            let (journey, topic) = (JourneyTag(*journey), TopicTag(*topic.first_chunk()?));
            read.insert(ClaimKey(*key), Claim { at, journey, topic });
        }
        rest.is_empty().then_some(Claims(read))
    }
}

impl Serialize for Claims {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&data_encoding::BASE64URL_NOPAD.encode(&self.packed()))
    }
}

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Claims, D::Error> {
        deserializer.deserialize_any(ClaimsVisitor)
    }
}

struct ClaimsVisitor;

impl<'de> Visitor<'de> for ClaimsVisitor {
    type Value = Claims;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("claims of 15 bytes each in base64")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Claims, E> {
        let bytes = data_encoding::BASE64URL_NOPAD.decode(text.as_bytes());
        let claims = bytes.ok().and_then(|bytes| Claims::unpacked(&bytes));
        claims.ok_or_else(|| E::custom("expected claims of 15 bytes each in base64"))
    }

    /// Schema 1: a map of send ids to times, without topic and journey.
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Claims, A::Error> {
        let mut claims = Claims::default();
        while let Some((send, at)) = entries.next_entry::<SendId, Stamp>()? {
            let at = from_seconds(seconds(at));
            let (journey, topic) = (JourneyTag([0; 3]), TopicTag([0; 2]));
            claims.insert(send, Claim { at, journey, topic });
        }
        Ok(claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn topic() -> TopicId {
        TopicId::parse("offers").unwrap()
    }

    fn journey() -> JourneyId {
        JourneyId::parse("cart-recovery").unwrap()
    }

    /// What stands in people's items: a change here needs a new schema.
    #[test]
    fn golden_bytes() {
        let mut claims = Claims::default();
        let at = Stamp::parse("2026-11-22T08:00:00.001Z").unwrap();
        claims.insert(SendId::from_bytes([7; 16]), Claim::new(at, &topic(), Some(&journey())));
        claims.insert(SendId::from_bytes([9; 16]), Claim::new(at, &topic(), None));
        let json = serde_json::to_string(&claims).unwrap();
        assert_eq!(json, "\"BwcHBwcHDPbAATV5qczACQkJCQkJDPbAAQAAAMzA\"");
        assert_eq!(serde_json::from_str::<Claims>(&json).unwrap(), claims);
        assert_eq!(claims.iter().next().unwrap().at.to_string(), "2026-11-22T08:00:01.000Z");
    }

    #[test]
    fn claims_of_schema_1_are_read() {
        let send = SendId::from_bytes([7; 16]);
        let claims: Claims =
            serde_json::from_str(&format!("{{\"{send}\":1795000000001}}")).unwrap();
        assert_eq!(claims.get(send).unwrap().at.ms(), 1_795_000_001_000);
    }

    #[test]
    fn what_is_no_claims_is_refused() {
        for json in ["\"a\"", "\"AAAA\"", "7", "\"????\""] {
            assert!(serde_json::from_str::<Claims>(json).is_err(), "{json}");
        }
        assert_eq!(serde_json::from_str::<Claims>("\"\"").unwrap(), Claims::default());
    }

    proptest! {
        #[test]
        fn claims_come_back_as_they_were_stored(
            sends in prop::collection::vec((any::<[u8; 16]>(), 0_i64..253_000_000_000_000), 0..30),
        ) {
            let mut claims = Claims::default();
            for (id, ms) in sends {
                let claim = Claim::new(Stamp::from_ms(ms), &topic(), Some(&journey()));
                claims.insert(SendId::from_bytes(id), claim);
            }
            let json = serde_json::to_string(&claims).unwrap();
            prop_assert_eq!(serde_json::from_str::<Claims>(&json).unwrap(), claims);
        }

        #[test]
        fn a_claim_is_never_earlier_than_its_message(ms in EPOCH_MS..5_000_000_000_000) {
            let claim = Claim::new(Stamp::from_ms(ms), &topic(), None);
            prop_assert!(claim.at.ms() >= ms && claim.at.ms() < ms + 1_000);
        }
    }
}
