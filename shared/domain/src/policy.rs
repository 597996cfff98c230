//! Whether a message may be sent now: a pure decision with its reasons.

use crate::catalog::{Topic, TopicKind};
use crate::contact::{Consent, ConsentState, Contact, TopicId};
use crate::profile::ProfileView;
use crate::time::{Span, Stamp};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a message was skipped or deferred, and what it was decided on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// What was found wanting.
    pub code: ReasonCode,
    /// The value it was decided on, without personal data: `topic offers: no consent`.
    pub found: String,
}

impl Reason {
    /// A reason; `found` is cut at [`Reason::FOUND_BYTES_MAX`].
    #[must_use]
    pub fn new(code: ReasonCode, found: impl Into<String>) -> Reason {
        let mut found: String = found.into();
        while found.len() > Reason::FOUND_BYTES_MAX {
            found.pop();
        }
        Reason { code, found }
    }

    /// The longest `found`, in bytes: several reasons fit into one ledger item.
    pub const FOUND_BYTES_MAX: usize = 120;
}

/// Stable codes, one for each way not to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasonCode {
    /// The profile has no e-mail address.
    NoAddress,
    /// The address's owner never confirmed it.
    NotVerified,
    /// No consent to the topic was ever given.
    NoConsent,
    /// Consent to the topic was withdrawn.
    ConsentWithdrawn,
    /// The address is suppressed.
    Suppressed,
    /// The enrollment is over: an exit rule or the goal held just before sending.
    JourneyOver,
    /// The workspace no longer has the mail or the topic.
    ContentMissing,
    /// The mail could not be rendered for this profile.
    RenderFailed,
    /// The profile was erased.
    Erased,
    /// Asked for too often: the one confirmation was already sent.
    AlreadyAsked,
    /// Of a confirmation mail: the address is verified and has consented, so there is nothing to
    /// ask.
    AlreadyGranted,
    /// Of a confirmation mail: it was asked for too long ago, in an imported history for instance.
    TooOld,
}

impl ReasonCode {
    /// What would have to change for the message to be sent, for people.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            ReasonCode::NoAddress => "identify the customer with a trait `email`",
            ReasonCode::NotVerified => {
                "the address's owner must follow the link in the confirmation mail, or a server source must grant consent"
            }
            ReasonCode::NoConsent => {
                "the customer must consent to the topic: a confirmed `Consent Requested` event, the form, or the consent API with a server key"
            }
            ReasonCode::ConsentWithdrawn => "only the customer can consent again",
            ReasonCode::Suppressed => {
                "the address bounced or complained; an operator may lift a suppression once its cause is gone"
            }
            ReasonCode::JourneyOver => "nothing: the customer did what the journey waits for",
            ReasonCode::ContentMissing => "publish a workspace that has this mail and topic",
            ReasonCode::RenderFailed => {
                "correct the mail's template or give the profile the values it needs, and publish"
            }
            ReasonCode::Erased => "nothing: the customer asked to be forgotten",
            ReasonCode::AlreadyAsked => "wait a day: an address is asked for one topic once a day",
            ReasonCode::AlreadyGranted => "nothing: the address has consented already",
            ReasonCode::TooOld => "the customer must ask for the topic again",
        }
    }
}

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

/// What was decided. Deferring comes with the rules that can defer (quiet hours, caps).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Send it, on this.
    Send(Evidence),
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
}

/// Whether a journey's message may be sent.
///
/// Marketing needs a verified address, a granted consent to the topic and no suppression.
/// Transactional needs a verified address and no suppression, and a withdrawn consent to its topic
/// stops it as well. A profile that was erased, or has no address, gets nothing.
#[must_use]
pub fn decide(question: Question<'_>) -> Decision {
    let Some(profile) = question.profile else {
        return Decision::Skip(vec![Reason::new(ReasonCode::Erased, "the profile was erased")]);
    };
    let mut reasons = Vec::new();
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
    match (kind, consent, verified) {
        (TopicKind::Marketing, Some(consent), Some(_)) if reasons.is_empty() => {
            Decision::Send(Evidence::Consent(consent.clone()))
        }
        (TopicKind::Transactional, _, Some(verified)) if reasons.is_empty() => {
            Decision::Send(Evidence::Verified(verified))
        }
        _ => Decision::Skip(reasons),
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contact::SuppressionReason;
    use crate::ids::{ContactKey, ProfileId};
    use crate::personal::EmailAddress;
    use proptest::prelude::*;

    const AT: Stamp = Stamp::from_ms(1_790_000_000_000);

    fn topic(kind: TopicKind) -> Topic {
        Topic::new("Offers", kind)
    }

    fn name() -> TopicId {
        TopicId::parse("offers").unwrap()
    }

    fn profile(address: bool) -> ProfileView {
        let mut view = ProfileView::empty(ProfileId::from_bytes([3; 16]));
        view.email = address.then(|| EmailAddress::parse("ann@example.com").unwrap());
        view
    }

    /// A contact with everything it takes, less what is told.
    fn contact(verified: bool, answer: Option<ConsentState>, suppressed: bool) -> Contact {
        let mut contact = Contact::new(ContactKey::from_bytes([2; 16]));
        if verified {
            contact.verify(AT);
        }
        if let Some(state) = answer {
            contact.answers(&name(), state, AT, "confirmation").unwrap();
        }
        if suppressed {
            contact.suppress(SuppressionReason::Complaint, AT);
        }
        contact
    }

    fn codes(decision: &Decision) -> Vec<ReasonCode> {
        match decision {
            Decision::Send(_) => Vec::new(),
            Decision::Skip(reasons) => reasons.iter().map(|reason| reason.code).collect(),
        }
    }

    #[test]
    fn the_decision_table() {
        use ConsentState::{Granted, Withdrawn};
        use ReasonCode::{ConsentWithdrawn, NoConsent, NotVerified, Suppressed};
        use TopicKind::{Marketing, Transactional};
        type Row<'a> = (TopicKind, bool, Option<ConsentState>, bool, &'a [ReasonCode]);
        let rows: [Row<'_>; 14] = [
            (Marketing, true, Some(Granted), false, &[]),
            (Marketing, true, Some(Granted), true, &[Suppressed]),
            (Marketing, true, Some(Withdrawn), false, &[ConsentWithdrawn]),
            (Marketing, true, None, false, &[NoConsent]),
            (Marketing, false, Some(Granted), false, &[NotVerified]),
            (Marketing, false, None, true, &[NotVerified, NoConsent, Suppressed]),
            (Marketing, false, Some(Withdrawn), true, &[NotVerified, ConsentWithdrawn, Suppressed]),
            (Transactional, true, None, false, &[]),
            (Transactional, true, Some(Granted), false, &[]),
            (Transactional, true, Some(Withdrawn), false, &[ConsentWithdrawn]),
            (Transactional, true, None, true, &[Suppressed]),
            (Transactional, false, None, false, &[NotVerified]),
            (Transactional, false, Some(Granted), true, &[NotVerified, Suppressed]),
            (
                Transactional,
                false,
                Some(Withdrawn),
                true,
                &[NotVerified, ConsentWithdrawn, Suppressed],
            ),
        ];
        for (kind, verified, answer, suppressed, expected) in rows {
            let contact = contact(verified, answer, suppressed);
            let decision = decide(Question {
                contact: Some(&contact),
                profile: Some(&profile(true)),
                topic: &name(),
                published: Some(&topic(kind)),
            });
            assert_eq!(codes(&decision), expected, "{kind:?} {verified} {answer:?} {suppressed}");
            assert_eq!(matches!(decision, Decision::Send(_)), expected.is_empty());
        }
    }

    #[test]
    fn nobody_and_nothing() {
        let ask = |contact: Option<&Contact>, profile: Option<&ProfileView>, published| {
            codes(&decide(Question { contact, profile, topic: &name(), published }))
        };
        let good = contact(true, Some(ConsentState::Granted), false);
        let marketing = topic(TopicKind::Marketing);
        let (with, without) = (profile(true), profile(false));
        assert_eq!(ask(Some(&good), None, Some(&marketing)), [ReasonCode::Erased]);
        assert_eq!(ask(Some(&good), Some(&without), Some(&marketing)), [ReasonCode::NoAddress]);
        assert_eq!(ask(Some(&good), Some(&with), None), [ReasonCode::ContentMissing]);
        assert_eq!(
            ask(None, Some(&with), Some(&marketing)),
            [ReasonCode::NotVerified, ReasonCode::NoConsent]
        );
    }

    #[test]
    fn a_confirmation_is_asked_for_where_there_is_something_to_ask() {
        let ask = |contact: Option<&Contact>| {
            let topic = topic(TopicKind::Marketing);
            codes(&decide_confirmation(contact, &name(), Some(&topic), AT, AT))
        };
        assert_eq!(ask(None), []);
        assert_eq!(ask(Some(&contact(true, None, false))), []);
        assert_eq!(ask(Some(&contact(false, Some(ConsentState::Granted), false))), []);
        assert_eq!(ask(Some(&contact(true, Some(ConsentState::Withdrawn), false))), []);
        assert_eq!(ask(Some(&contact(false, None, true))), [ReasonCode::Suppressed]);
        let granted = contact(true, Some(ConsentState::Granted), false);
        assert_eq!(ask(Some(&granted)), [ReasonCode::AlreadyGranted]);
        let late = AT.plus(ASK_WITHIN).plus(Span::SECOND);
        let unknown = decide_confirmation(None, &name(), None, AT, late);
        assert_eq!(codes(&unknown), [ReasonCode::TooOld, ReasonCode::ContentMissing]);
    }

    #[test]
    fn evidence_reads_well() {
        let granted = contact(true, Some(ConsentState::Granted), false);
        let decision = decide(Question {
            contact: Some(&granted),
            profile: Some(&profile(true)),
            topic: &name(),
            published: Some(&topic(TopicKind::Marketing)),
        });
        let Decision::Send(evidence) = decision else { panic!("{decision:?}") };
        assert_eq!(evidence.to_string(), "granted 2026-09-21T14:13:20.000Z via confirmation");
    }

    proptest! {
        #[test]
        fn nothing_goes_out_without_what_it_takes(
            verified in any::<bool>(),
            answer in prop::option::of(any::<bool>()),
            other in prop::option::of(any::<bool>()),
            suppressed in any::<bool>(),
            marketing in any::<bool>(),
            known in any::<bool>(),
            address in any::<bool>(),
        ) {
            let state = |granted| {
                if granted { ConsentState::Granted } else { ConsentState::Withdrawn }
            };
            let mut contact = contact(verified, answer.map(state), suppressed);
            if let Some(granted) = other {
                let other = TopicId::parse("other").unwrap();
                contact.answers(&other, state(granted), AT, "api:shop").unwrap();
            }
            let kind = if marketing { TopicKind::Marketing } else { TopicKind::Transactional };
            let (profile, topic) = (profile(address), topic(kind));
            let decision = decide(Question {
                contact: known.then_some(&contact),
                profile: Some(&profile),
                topic: &name(),
                published: Some(&topic),
            });
            let allowed = known && address && verified && !suppressed
                && if marketing { answer == Some(true) } else { answer != Some(false) };
            match decision {
                Decision::Send(_) => prop_assert!(allowed),
                Decision::Skip(reasons) => {
                    prop_assert!(!allowed);
                    prop_assert!(!reasons.is_empty());
                    for reason in reasons {
                        prop_assert!(!reason.found.contains("example"), "{}", reason.found);
                    }
                }
            }
        }
    }
}
