//! Whether the owner of an address is asked to confirm it.

use super::{Decision, Evidence, Reason, ReasonCode, suppressed};
use crate::catalog::Topic;
use crate::contact::{Consent, ConsentState, Contact, TopicId};
use crate::time::{Span, Stamp};

/// How old a request may be that still causes a confirmation mail: longer than an outage of a
/// day, shorter than any history that is imported.
pub const ASK_WITHIN: Span = Span::from_ms(2 * 86_400_000);

/// Whether the owner of an address is asked to confirm it and the topic: unless it is suppressed,
/// there is nothing to ask, or the request is older than [`ASK_WITHIN`]. The ledger sees to it
/// that it is asked once a day at most.
#[must_use]
pub fn decide_confirmation(
    contact: Option<&Contact>,
    topic: &TopicId,
    published: Option<&Topic>,
    asked: Stamp,
    now: Stamp,
) -> Decision {
    let mut reasons = Vec::new();
    if now.since(asked) > ASK_WITHIN {
        reasons.push(Reason::new(ReasonCode::TooOld, format!("asked for {asked}")));
    }
    if published.is_none() {
        reasons.push(Reason::new(
            ReasonCode::ContentMissing,
            format!("topic {topic}: not in the published workspace"),
        ));
    }
    if let Some(contact) = contact {
        reasons.extend(suppressed(contact));
        if let (Some(verified), Some(Consent { state: ConsentState::Granted, at, .. })) =
            (contact.verified, contact.answer(topic))
        {
            reasons.push(Reason::new(
                ReasonCode::AlreadyGranted,
                format!("topic {topic}: granted {at}, verified {verified}"),
            ));
        }
    }
    if reasons.is_empty() {
        Decision::Send(Evidence::Asked(asked))
    } else {
        Decision::Skip(reasons)
    }
}
