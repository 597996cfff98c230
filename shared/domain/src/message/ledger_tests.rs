//! The table of the ledger's states, row by row, and that reports commute.

use super::feedback::Report;
use super::ledger::*;
use crate::contact::TopicId;
use crate::ids::{OwnerToken, SendId};
use crate::journey::{JourneyId, StepId};
use crate::message::MailId;
use crate::policy::{Reason, ReasonCode};
use crate::time::{Span, Stamp};
use crate::wire::{FeedbackKind, Why};
use proptest::prelude::*;

fn item(state: SendState) -> LedgerItem {
    LedgerItem {
        send: SendId::from_bytes([1; 16]),
        profile: None,
        contact: None,
        asked_by: Some((
            JourneyId::parse("cart-recovery").unwrap(),
            StepId::parse("remind").unwrap(),
        )),
        mail: MailId::parse("remind").unwrap(),
        topic: TopicId::parse("offers").unwrap(),
        state,
        owner: owner(1),
        at: Stamp::from_ms(1_000),
        sending_at: Some(Stamp::from_ms(1_000)),
        consent: None,
        delivery: None,
        deferral: Some(Deferral {
            arm: 3,
            since: Stamp::MIN,
            codes: vec![ReasonCode::QuietHours],
            enrolled: None,
        }),
        why: Why::default(),
    }
}

fn owner(n: u8) -> OwnerToken {
    OwnerToken::from_bytes([n; 16])
}

fn states() -> Vec<SendState> {
    vec![
        SendState::Claimed,
        SendState::Released { reason: "429".to_owned() },
        SendState::Sending,
        SendState::Sent { ses_id: "ses-1".to_owned(), accepted: Stamp::MIN },
        SendState::Failed { reason: "400".to_owned(), witness: Witness::Ses },
        SendState::Failed { reason: "lost".to_owned(), witness: Witness::Operator },
        SendState::Unconfirmed { since: Stamp::MIN },
        SendState::Skipped { reasons: Vec::new() },
        SendState::Deferred { until: Stamp::from_ms(20_000), reasons: Vec::new() },
    ]
}

fn report(kind: FeedbackKind) -> Report {
    Report {
        kind,
        send: Some(SendId::from_bytes([1; 16])),
        ses_id: "ses-1".to_owned(),
        accepted: Some(Stamp::MIN),
        at: Some(Stamp::from_ms(9_000)),
        machine: None,
        suppress: Vec::new(),
    }
}

#[test]
fn a_delivery_by_state() {
    use OnDelivery::{Acknowledge, Arm, Decide, GiveUp, Wait};
    let soon = Stamp::from_ms(11_000);
    let late = Stamp::from_ms(31_001);
    let at = |state: &SendState, now| LedgerItem::on_delivery(Some(&item(state.clone())), now);
    let young = [Decide, Decide, Wait(Span::from_ms(20_001)), Acknowledge, Acknowledge]
        .into_iter()
        .chain([Acknowledge; 3])
        .chain([Arm { arm: 3, due: Stamp::from_ms(20_000) }]);
    let old = [Decide, Decide, GiveUp].into_iter().chain([Acknowledge; 5]).chain([Decide]);
    for ((state, young), old) in states().iter().zip(young).zip(old) {
        assert_eq!(at(state, soon), young, "{state:?}");
        assert_eq!(at(state, late), old, "{state:?}");
    }
    assert_eq!(LedgerItem::on_delivery(None, soon), Decide);
    let confirmation =
        LedgerItem { asked_by: None, ..item(SendState::Skipped { reasons: Vec::new() }) };
    assert_eq!(LedgerItem::on_delivery(Some(&confirmation), soon), Decide);
}

#[test]
fn a_wake_is_a_delivery_of_what_is_known() {
    for now in [Stamp::from_ms(11_000), Stamp::from_ms(31_001)] {
        assert_eq!(LedgerItem::on_wake(None, now), OnDelivery::Acknowledge);
        for state in states() {
            let found = item(state);
            let delivered = LedgerItem::on_delivery(Some(&found), now);
            assert_eq!(LedgerItem::on_wake(Some(&found), now), delivered);
        }
    }
}

#[test]
fn a_deferred_send_keeps_what_its_mail_needs_the_longest() {
    let reasons = vec![Reason::new(ReasonCode::QuietHours, "22:00")];
    let mut deferred = item(SendState::Deferred { until: Stamp::MIN, reasons });
    deferred.why.evidence.insert("value".to_owned(), 1.into());
    assert!(deferred.slim() && !deferred.why.evidence.is_empty());
    assert!(deferred.slim() && deferred.why.evidence.is_empty());
    assert!(!deferred.slim());
}

#[test]
fn waiting_ends_where_giving_up_begins() {
    let found = item(SendState::Sending);
    let now = Stamp::from_ms(11_000);
    let OnDelivery::Wait(span) = LedgerItem::on_delivery(Some(&found), now) else { panic!() };
    assert_eq!(LedgerItem::on_delivery(Some(&found), now.plus(span)), OnDelivery::GiveUp);
}

#[test]
fn only_the_owner_moves_it_and_only_while_it_is_open() {
    let outcomes = [
        CallOutcome::Sent("ses-1".to_owned()),
        CallOutcome::Failed("400".to_owned()),
        CallOutcome::Released("429".to_owned()),
        CallOutcome::Unconfirmed,
    ];
    for state in states() {
        let found = item(state.clone());
        let open = matches!(state, SendState::Sending | SendState::Unconfirmed { .. });
        for outcome in &outcomes {
            assert_eq!(found.after_call(owner(2), outcome, Stamp::MAX), None);
            let moved = found.after_call(owner(1), outcome, Stamp::MAX);
            let still = matches!(state, SendState::Unconfirmed { .. })
                && matches!(outcome, CallOutcome::Unconfirmed | CallOutcome::Released(_));
            let corrected = matches!(state, SendState::Failed { witness: Witness::Operator, .. })
                && matches!(outcome, CallOutcome::Sent(_));
            assert_eq!(moved.is_some(), (open && !still) || corrected, "{state:?} {outcome:?}");
        }
        let claimed = state == SendState::Claimed;
        assert_eq!(found.sending(owner(1), Stamp::MAX).is_some(), claimed);
        assert_eq!(found.sending(owner(2), Stamp::MAX), None);
        assert_eq!(found.given_up(Stamp::MAX).is_some(), state == SendState::Sending);
    }
}

#[test]
fn an_event_settles_what_was_unclear() {
    for state in states() {
        let settled = item(state.clone()).settled(&report(FeedbackKind::Sent));
        let open = !matches!(
            state,
            SendState::Sent { .. }
                | SendState::Failed { witness: Witness::Ses, .. }
                | SendState::Skipped { .. }
        );
        assert_eq!(settled.is_some(), open, "{state:?}");
        if let Some(LedgerItem { state, .. }) = settled {
            assert!(matches!(state, SendState::Sent { ses_id, .. } if ses_id == "ses-1"));
        }
    }
}

#[test]
fn it_is_stored_flat() {
    for state in states() {
        let item = item(state);
        let json = serde_json::to_string(&item).unwrap();
        assert_eq!(serde_json::from_str::<LedgerItem>(&json).unwrap(), item, "{json}");
    }
}

proptest! {
    #[test]
    fn reports_commute_and_double(
        from in prop::sample::select(states()),
        kinds in prop::collection::vec(prop::sample::select(vec![
            FeedbackKind::Sent,
            FeedbackKind::Delivered,
            FeedbackKind::Delayed,
            FeedbackKind::BouncedHard,
            FeedbackKind::BouncedSoft,
            FeedbackKind::Complained,
            FeedbackKind::Rejected,
            FeedbackKind::Opened,
            FeedbackKind::Clicked,
            FeedbackKind::Subscription,
        ]), 0..8),
        rotate in 0_usize..8,
    ) {
        let fold = |kinds: &[FeedbackKind]| {
            kinds.iter().fold(item(from.clone()), |item, kind| {
                item.settled(&report(*kind)).unwrap_or(item)
            })
        };
        let mut other = kinds.clone();
        other.reverse();
        let turn = rotate % other.len().max(1);
        other.rotate_left(turn);
        other.extend(kinds.clone());
        prop_assert_eq!(fold(&kinds), fold(&other));
    }
}
