//! The decision table, and what holds of every decision.

use super::*;
use crate::contact::{CLAIMS_MAX, SuppressionReason};
use crate::ids::{ContactKey, ProfileId, SendId};
use crate::pacing::Pacing;
use crate::personal::EmailAddress;
use crate::time::Span;
use proptest::prelude::*;
use std::collections::BTreeMap;

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

/// The decision where nothing is capped and nothing quiet.
fn asked(
    contact: Option<&Contact>,
    profile: Option<&ProfileView>,
    published: Option<&Topic>,
) -> Decision {
    let (pacing, journeys) = (Pacing::default(), BTreeMap::new());
    let paced = Paced {
        send: SendId::from_bytes([9; 16]),
        journey: None,
        pacing: &pacing,
        journeys: &journeys,
        when_capped: None,
        when_quiet: None,
        deferred_since: None,
        room: CLAIMS_MAX,
    };
    let topic = name();
    decide(Question { contact, profile, topic: &topic, published, over: None, paced, now: AT })
}

fn codes(decision: &Decision) -> Vec<ReasonCode> {
    match decision {
        Decision::Send(_) => Vec::new(),
        Decision::Skip(reasons) | Decision::Defer { reasons, .. } => {
            reasons.iter().map(|reason| reason.code).collect()
        }
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
        (Transactional, false, Some(Withdrawn), true, &[NotVerified, ConsentWithdrawn, Suppressed]),
    ];
    for (kind, verified, answer, suppressed, expected) in rows {
        let contact = contact(verified, answer, suppressed);
        let decision = asked(Some(&contact), Some(&profile(true)), Some(&topic(kind)));
        assert_eq!(codes(&decision), expected, "{kind:?} {verified} {answer:?} {suppressed}");
        assert_eq!(matches!(decision, Decision::Send(_)), expected.is_empty());
    }
}

#[test]
fn nobody_and_nothing() {
    let ask = |contact: Option<&Contact>, profile: Option<&ProfileView>, published| {
        codes(&asked(contact, profile, published))
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
    let marketing = topic(TopicKind::Marketing);
    let decision = asked(Some(&granted), Some(&profile(true)), Some(&marketing));
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
        let decision = asked(known.then_some(&contact), Some(&profile), Some(&topic));
        let allowed = known && address && verified && !suppressed
            && if marketing { answer == Some(true) } else { answer != Some(false) };
        match decision {
            Decision::Send(_) => prop_assert!(allowed),
            Decision::Defer { .. } => prop_assert!(false, "nothing is capped, nothing quiet"),
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
