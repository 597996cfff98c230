//! Whether a message may be sent now: a pure decision with its reasons.

mod confirmation;
mod hold;
#[cfg(test)]
mod laws;
mod reason;
#[cfg(test)]
mod tests;

pub use confirmation::{ASK_WITHIN, decide_confirmation};
pub use hold::Paced;
pub use reason::{Reason, ReasonCode};

use crate::catalog::{Topic, TopicKind};
use crate::contact::{Claims, Consent, ConsentState, Contact, TopicId};
use crate::journey::Ending;
use crate::profile::ProfileView;
use crate::time::Stamp;
use hold::Hold;
use std::fmt;

/// What a message went out on, kept in the ledger: prints as `granted 2026-… via confirmation`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// The consent to the topic.
    Consent(Consent),
    /// A transactional message to an address that was verified then.
    Verified(Stamp),
    /// The one confirmation mail, asked for then.
    Asked(Stamp),
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Evidence::Consent(Consent { at, via, .. }) => write!(f, "granted {at} via {via}"),
            Evidence::Verified(at) => write!(f, "transactional, verified {at}"),
            Evidence::Asked(at) => write!(f, "confirmation, asked for {at}"),
        }
    }
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Send it, on this.
    Send(Evidence),
    /// Not now: decide again at that time, for these reasons.
    Defer {
        /// When: an instant that is not quiet and, as far as is known now, not capped.
        until: Stamp,
        /// What holds it back.
        reasons: Vec<Reason>,
    },
    /// Do not send it: every reason there is, not only the first.
    Skip(Vec<Reason>),
}

/// What a decision is made over.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The address's contact; none where nobody ever said anything of it.
    pub contact: Option<&'a Contact>,
    /// The profile; none where it was erased.
    pub profile: Option<&'a ProfileView>,
    /// The topic's name.
    pub topic: &'a TopicId,
    /// The topic in the published workspace, where it has it.
    pub published: Option<&'a Topic>,
    /// How its journey is over for it by what is known now, where it is.
    pub over: Option<(Ending, Stamp)>,
    /// What caps and quiet hours are asked with.
    pub paced: Paced<'a>,
    /// When it is decided.
    pub now: Stamp,
}

/// Whether a journey's message may be sent.
///
/// Marketing needs a verified address, a granted consent to the topic and no suppression.
/// Transactional needs a verified address and no suppression, and a withdrawn consent to its topic
/// stops it as well. A profile that was erased, or has no address, gets nothing; nor does one whose
/// journey is over. What is allowed so far may still be held back: by its journey, which stands
/// still, and by frequency caps and quiet hours, which leave exempt topics alone.
#[must_use]
pub fn decide(question: Question<'_>) -> Decision {
    let Some(profile) = question.profile else {
        return Decision::Skip(vec![Reason::new(ReasonCode::Erased, "the profile was erased")]);
    };
    let mut reasons = Vec::new();
    reasons.extend(question.over.map(journey_over));
    if question.published.is_none() {
        reasons.push(Reason::new(
            ReasonCode::ContentMissing,
            format!("topic {}: not in the published workspace", question.topic),
        ));
    }
    if profile.email.is_none() {
        reasons.push(Reason::new(ReasonCode::NoAddress, "the profile has no trait email"));
        return Decision::Skip(reasons);
    }
    let verified = question.contact.and_then(|contact| contact.verified);
    if verified.is_none() {
        reasons.push(Reason::new(ReasonCode::NotVerified, "the address was never verified"));
    }
    let kind = question.published.map_or(TopicKind::Marketing, |topic| topic.kind);
    let consent = question.contact.and_then(|contact| contact.answer(question.topic));
    reasons.extend(missing_consent(question.topic, kind, consent));
    reasons.extend(question.contact.and_then(suppressed));
    let evidence = match (kind, consent, verified) {
        (TopicKind::Marketing, Some(consent), Some(_)) => Evidence::Consent(consent.clone()),
        (TopicKind::Transactional, _, Some(verified)) => Evidence::Verified(verified),
        _ => return Decision::Skip(reasons),
    };
    if !reasons.is_empty() {
        return Decision::Skip(reasons);
    }
    let paused = question.paced.paused(question.now);
    match paused.or_else(|| held(question, profile)) {
        None => Decision::Send(evidence),
        Some(Hold::Skip(reasons)) => Decision::Skip(reasons),
        Some(Hold::Defer { until, reasons }) => Decision::Defer { until, reasons },
    }
}

/// What caps and quiet hours say of a message that is allowed.
fn held(question: Question<'_>, profile: &ProfileView) -> Option<Hold> {
    if question.published.is_none_or(Topic::is_exempt) {
        return None;
    }
    let none = Claims::default();
    let claims = question.contact.map_or(&none, |contact| &contact.claims);
    let zone = profile.facts.get("context.timezone").and_then(|zone| zone.as_str());
    question.paced.hold(question.topic, claims, zone, question.now)
}

fn journey_over((ending, at): (Ending, Stamp)) -> Reason {
    let how = match ending {
        Ending::Completed => "completed",
        Ending::Exited => "an exit rule held",
        Ending::GoalReached => "the goal was reached",
        Ending::Erased => "erased",
    };
    Reason::new(ReasonCode::JourneyOver, format!("{how} at {at}"))
}

fn missing_consent(topic: &TopicId, kind: TopicKind, consent: Option<&Consent>) -> Option<Reason> {
    match (kind, consent) {
        (_, Some(Consent { state: ConsentState::Withdrawn, at, via })) => Some(Reason::new(
            ReasonCode::ConsentWithdrawn,
            format!("topic {topic}: withdrawn {at} via {via}"),
        )),
        (TopicKind::Marketing, None) => {
            Some(Reason::new(ReasonCode::NoConsent, format!("topic {topic}: no consent")))
        }
        (_, Some(Consent { state: ConsentState::Granted, .. }))
        | (TopicKind::Transactional, None) => None,
    }
}

fn suppressed(contact: &Contact) -> Option<Reason> {
    let suppression = contact.suppression.as_ref()?;
    let why = match suppression.reason {
        crate::contact::SuppressionReason::HardBounce => "hard bounce",
        crate::contact::SuppressionReason::Complaint => "complaint",
        crate::contact::SuppressionReason::Manual => "by an operator",
    };
    Some(Reason::new(ReasonCode::Suppressed, format!("suppressed since {}: {why}", suppression.at)))
}
