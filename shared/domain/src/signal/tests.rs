//! Each signal: that it is raised, and above all when it is not.

use super::*;
use crate::event::Event;
use crate::ids::IdentityKey;
use crate::profile::{ProfileEffect, Root, Watched, Woken};
use crate::wire::{SourceKind, SourceRef};
use serde_json::json;

/// 2026-09-21, a Monday, noon.
const NOON: Stamp = Stamp::from_ms(1_790_000_000_000 - 1_790_000_000_000 % 86_400_000 + 43_200_000);

/// A customer whose events and timers come in order.
struct Told {
    root: Root,
    rules: Vec<SignalRule>,
    now: Stamp,
    events: u32,
    raised: Vec<Raise>,
}

impl Told {
    /// Under every rule at its default, but for the lifecycle's, which speaks of all of it.
    fn new() -> Told {
        let kinds = SignalKind::ALL.into_iter().filter(|kind| *kind != SignalKind::StageChanged);
        let rules = kinds.map(|kind| SignalRule::new(kind, &[kind.default_threshold()]));
        Told::under(rules.collect())
    }

    fn under(rules: Vec<SignalRule>) -> Told {
        Told { root: Root::default(), rules, now: NOON, events: 0, raised: Vec::new() }
    }

    fn profile() -> ProfileId {
        ProfileId::from_bytes([1; 16])
    }

    fn take(&mut self) {
        for effect in std::mem::take(&mut self.root.said.pending) {
            if let ProfileEffect::Raise(raise) = effect {
                self.raised.push(raise);
            }
        }
    }

    /// Folds an event that happened so long ago, without the write that decides.
    fn fold(&mut self, name: &str, properties: &Value, ago: Span) {
        self.events += 1;
        let event: Event = serde_json::from_value(json!({"type": "track", "name": name,
            "id": format!("e{}", self.events), "at": self.now.minus(ago).ms(),
            "properties": properties}))
        .unwrap();
        let source = SourceRef { name: "web".to_owned(), kind: SourceKind::Browser };
        let own = IdentityKey::from(Told::profile());
        let _ = self.root.accumulator_of(own, own).1.fold(&event, &source, &Watched::default());
    }

    fn write(&mut self) {
        self.root.cross(Told::profile(), &self.rules, self.now);
        self.root.rearm(&self.rules, self.now);
        self.take();
    }

    fn late(&mut self, name: &str, properties: &Value, ago: Span) -> &mut Told {
        self.fold(name, properties, ago);
        self.write();
        self
    }

    fn tell(&mut self, name: &str, properties: &Value) -> &mut Told {
        self.late(name, properties, Span::ZERO)
    }

    /// Lets time pass, and timers run in it.
    fn pass(&mut self, span: Span) -> &mut Told {
        let until = self.now.plus(span);
        while let Some(due) = self.root.said.due.filter(|due| *due <= until) {
            let arm = self.root.said.arm;
            let woken = self.root.wake(Told::profile(), arm, &self.rules, due);
            assert_eq!(woken, Woken::Decided);
            self.root.cross(Told::profile(), &self.rules, due);
            self.take();
        }
        self.now = until;
        self
    }

    /// The names of what was raised since this was asked last.
    fn names(&mut self) -> Vec<String> {
        let names = self.raised.iter().map(|raise| raise.signal.clone()).collect();
        self.raised.clear();
        names
    }

    fn evidence(&self, signal: &str) -> &Map<String, Value> {
        &self.raised.iter().find(|raise| raise.signal == signal).unwrap().evidence
    }
}

fn product(id: &str) -> Value {
    json!({"product_id": id, "name": "Two-person tent", "price": 249, "category": "Tents"})
}

fn order(id: u32) -> Value {
    json!({"order_id": id, "total": 100, "currency": "EUR"})
}

const HOUR: Span = Span::HOUR;
const DAY: Span = Span::DAY;

#[test]
fn the_deepest_abandonment_wins() {
    let mut told = Told::new();
    told.tell("Product Viewed", &product("a")).tell("Product Added", &product("a"));
    told.tell("Checkout Started", &json!({})).pass(HOUR.times(12));
    assert_eq!(told.evidence("Checkout Abandoned")["items"], 1);
    assert_eq!(told.names(), ["Checkout Abandoned"]);
    let superseded = Outcome::Superseded("Checkout Abandoned".to_owned());
    for rule in ["Cart Abandoned/4h", "Browse Abandoned/2h"] {
        assert_eq!(told.root.said.marks[rule].outcome, superseded, "{rule}");
    }
}

#[test]
fn a_checkout_that_was_paid_or_emptied_is_not_abandoned() {
    let mut told = Told::new();
    told.tell("Product Added", &product("a")).tell("Checkout Started", &json!({}));
    told.tell("Order Completed", &order(1)).pass(HOUR.times(12));
    assert_eq!(told.names(), ["First Purchase"]);
    told.tell("Product Added", &product("b")).tell("Checkout Started", &json!({}));
    told.tell("Product Removed", &product("b")).pass(HOUR.times(12));
    assert!(told.names().is_empty());
    // What goes into the cart after the order is a new cart without a checkout.
    told.tell("Product Added", &product("c")).pass(HOUR.times(12));
    assert_eq!(told.names(), ["Cart Abandoned"]);
}

/// What is put in after everything of the checkout was taken out is no part of it.
#[test]
fn a_checkout_that_was_emptied_is_not_taken_up_by_the_same_product() {
    let mut told = Told::new();
    told.tell("Product Added", &product("a")).tell("Checkout Started", &json!({}));
    told.tell("Product Removed", &product("a")).pass(DAY);
    assert!(told.names().is_empty());
    told.tell("Product Added", &product("a")).pass(HOUR.times(12));
    assert_eq!(told.names(), ["Cart Abandoned"]);
}

#[test]
fn without_its_rule_the_cart_speaks_for_the_checkout() {
    let rules = [SignalKind::CartAbandoned, SignalKind::BrowseAbandoned];
    let rules = rules.map(|kind| SignalRule::new(kind, &[kind.default_threshold()]));
    let mut told = Told::under(rules.to_vec());
    told.tell("Product Added", &product("a")).tell("Checkout Started", &json!({}));
    told.pass(DAY);
    assert_eq!(told.names(), ["Cart Abandoned"]);
}

#[test]
fn purchases_are_numbered() {
    let mut told = Told::new();
    told.tell("Order Completed", &order(1));
    assert_eq!(told.names(), ["First Purchase"]);
    // The server tells of the same order, then corrects it.
    told.tell("Order Completed", &order(1)).tell("Order Updated", &order(1));
    assert!(told.names().is_empty());
    // Two orders in one write are two signals.
    told.fold("Order Completed", &order(2), Span::ZERO);
    told.fold("Order Completed", &order(3), HOUR);
    told.write();
    assert_eq!(told.evidence("Repeat Purchase")["orders"], 3);
    assert_eq!(told.names(), ["Repeat Purchase", "Repeat Purchase"]);
    for n in 4..80 {
        told.tell("Order Completed", &order(n));
    }
    assert_eq!(told.names().len(), NUMBERED_MAX - 3);
}

#[test]
fn an_import_of_old_orders_is_no_first_purchase() {
    let mut told = Told::new();
    told.late("Order Completed", &order(1), DAY.times(400));
    told.late("Order Completed", &order(2), DAY.times(300));
    assert!(told.names().is_empty());
    assert!(!told.root.said.crossed["First Purchase/1"].raised);
    told.tell("Order Completed", &order(3));
    assert_eq!(told.names(), ["Repeat Purchase"]);
}

#[test]
fn a_rule_that_comes_later_says_nothing_of_the_past() {
    let mut told = Told::under(Vec::new());
    for n in 0..5 {
        told.tell("Order Completed", &order(n)).tell("Form Submitted", &json!({"form": "quote"}));
        told.pass(DAY.times(10));
    }
    told.rules = Told::new().rules;
    told.tell("Order Completed", &order(9));
    assert_eq!(told.evidence("Repeat Purchase")["order"], 6);
    assert_eq!(told.names(), ["Repeat Purchase"]);
}

#[test]
fn dormant_after_a_long_silence_of_somebody_known() {
    let mut told = Told::new();
    told.tell("Looked In", &json!({})).pass(DAY.times(3)).tell("Looked In", &json!({}));
    told.pass(DAY.times(59));
    assert!(told.names().is_empty());
    // A delivered mail, a refund, an open by whoever: none of them is a deed.
    for name in ["Email Delivered", "Email Opened", "Order Refunded", "Subscription Renewed"] {
        told.tell(name, &json!({}));
    }
    told.pass(DAY.times(2));
    assert_eq!(told.evidence("Became Dormant")["active_days"], 2);
    assert_eq!(told.names(), ["Became Dormant"]);
    told.pass(DAY.times(300));
    assert!(told.names().is_empty(), "once for each silence");
}

#[test]
fn a_stranger_who_looked_in_once_does_not_become_dormant() {
    let mut told = Told::new();
    told.tell("Looked In", &json!({})).pass(DAY.times(200));
    assert!(told.names().is_empty());
}

#[test]
fn back_after_an_absence() {
    let rule = SignalRule::new(SignalKind::BackAfterAbsence, &[Threshold::After(DAY.times(30))]);
    let mut told = Told::under(vec![rule]);
    told.tell("Looked In", &json!({})).pass(DAY.times(29)).tell("Looked In", &json!({}));
    assert!(told.names().is_empty());
    told.pass(DAY.times(41));
    assert!(told.names().is_empty(), "nobody is back yet");
    // It was done before the absence was noted, and arrives now: nobody is back.
    told.late("Looked In", &json!({}), DAY.times(20));
    assert!(told.names().is_empty());
    told.tell("Looked In", &json!({})).tell("Looked In", &json!({}));
    assert_eq!(told.evidence("Back After Absence")["absent_days"], 41);
    assert_eq!(told.names(), ["Back After Absence"]);
}

#[test]
fn a_registration_is_abandoned() {
    let started = json!({"form": "Sign-Up", "path": "/join"});
    let mut told = Told::new();
    told.tell("Form Started", &started);
    told.tell("Form Abandoned", &json!({"form": "Sign-Up", "fields": 2, "seconds": 31}));
    told.pass(HOUR.times(2));
    assert_eq!(told.evidence("Registration Abandoned")["fields"], 2);
    assert_eq!(told.names(), ["Registration Abandoned"]);
    // Begun again and sent off; begun and registered another way; another kind of form.
    told.tell("Form Started", &started).tell("Form Submitted", &started).pass(DAY);
    told.tell("Form Started", &started).tell("Signed Up", &json!({})).pass(DAY);
    told.tell("Form Started", &json!({"form": "search"})).pass(DAY);
    assert_eq!(told.names(), ["Lead Submitted"]);
}

#[test]
fn leads_and_complaints_are_numbered() {
    let mut told = Told::new();
    told.tell("Form Submitted", &json!({"form": "quote"}));
    assert_eq!(told.evidence("Lead Submitted")["form"], "quote");
    told.tell("Complaint Filed", &json!({"ticket_id": 7, "about": "late parcel"}));
    assert_eq!(told.evidence("Complaint Received")["about"], "late parcel");
    // The same complaint, told by another system.
    told.tell("Complaint Filed", &json!({"ticket_id": 7}));
    told.tell("Complaint Filed", &json!({"ticket_id": 8}));
    assert_eq!(told.names(), ["Lead Submitted", "Complaint Received", "Complaint Received"]);
}

#[test]
fn interest_is_lingering_and_not_a_glance() {
    let left = |category: &str, seconds: u32| json!({"seconds": 600, "dwell": [{"category": category, "seconds": seconds, "hovers": 9}]});
    let mut told = Told::new();
    told.tell("Page Left", &left("Tents", 60)).tell("Page Left", &left("Stoves", 80));
    assert!(told.names().is_empty());
    told.tell("Page Left", &left("Tents", 30)).tell("Page Left", &left("Tents", 300));
    assert_eq!(told.evidence("Interest Shown")["category"], "Tents");
    assert_eq!(told.raised[0].since, told.now, "exit rules are asked from then on");
    assert_eq!(told.names(), ["Interest Shown"], "once in a week");
    told.pass(DAY.times(8)).tell("Page Left", &left("Tents", 100));
    assert_eq!(told.names(), ["Interest Shown"]);
}

#[test]
fn a_binge_is_several_videos_on_one_day() {
    let video = |id: &str| json!({"content_asset_id": id, "title": id});
    let mut told = Told::new();
    // One video, begun again and again, is no binge, nor are three on three days.
    for _ in 0..5 {
        told.tell("Video Content Started", &video("pilot"));
    }
    told.pass(DAY).tell("Video Content Started", &video("two"));
    told.pass(DAY).tell("Video Content Started", &video("three"));
    assert!(told.names().is_empty());
    told.tell("Video Content Started", &video("four"));
    told.tell("Video Content Started", &video("five"));
    assert_eq!(told.evidence("Binge Started")["videos"], 3);
    told.tell("Video Content Started", &video("six"));
    assert_eq!(told.names(), ["Binge Started"]);
}

#[test]
fn each_of_many_interests_is_said_in_any_order() {
    let rule = SignalRule::new(SignalKind::InterestShown, &[Threshold::AtLeast(100)]);
    let told = |parts: &[Vec<usize>]| {
        let mut told = Told::under(vec![rule.clone()]);
        for part in parts {
            let dwell: Vec<Value> = part
                .iter()
                .map(|n| json!({"category": format!("category {n}"), "seconds": 100}))
                .collect();
            told.tell("Page Left", &json!({"dwell": dwell}));
        }
        let subject = |raise: &Raise| raise.evidence["category"].as_str().unwrap().to_owned();
        let said: std::collections::BTreeSet<String> = told.raised.iter().map(subject).collect();
        assert_eq!(said.len(), told.raised.len(), "each once");
        said
    };
    // Forty categories on one day: nobody looks at more.
    let parts: Vec<Vec<usize>> = (0..40).collect::<Vec<_>>().chunks(8).map(<[_]>::to_vec).collect();
    let turned: Vec<Vec<usize>> = parts.iter().rev().cloned().collect();
    assert_eq!(told(&parts).len(), 40);
    assert_eq!(told(&parts), told(&turned));
}

#[test]
fn a_renewal_is_due() {
    let renews = |days: u64| json!({"renews_at": NOON.plus(DAY.times(days)).to_string()});
    let mut told = Told::new();
    told.tell("Subscription Started", &renews(30)).pass(DAY.times(22));
    assert!(told.names().is_empty());
    told.pass(DAY.times(2));
    assert!(told.names().contains(&"Renewal Due".to_owned()));
    told.tell("Subscription Renewed", &renews(60)).pass(DAY.times(10));
    told.tell("Subscription Cancelled", &json!({})).pass(DAY.times(60));
    assert!(!told.names().contains(&"Renewal Due".to_owned()), "it was cancelled");
}

#[test]
fn a_search_is_no_lead() {
    let mut told = Told::new();
    let forms =
        [json!({"form": "Site-Search"}), json!({"form_id": "search"}), json!({"path": "/search"})];
    for form in &forms {
        told.tell("Form Submitted", form);
    }
    assert!(told.names().is_empty());
    told.tell("Form Submitted", &json!({"form": "contact", "path": "/search"})).pass(Span::MINUTE);
    told.tell("Form Submitted", &forms[0]);
    let evidence = told.raised[0].evidence.clone();
    assert_eq!(told.names(), ["Lead Submitted"]);
    assert_eq!((&evidence["form"], &evidence["submissions"]), (&json!("contact"), &json!(1)));
}

#[test]
fn a_date_that_has_passed_is_not_due() {
    let renews = |at: Stamp| json!({"renews_at": at.to_string()});
    for at in [NOON.minus(DAY.times(400)), NOON.minus(Span::MINUTE), NOON] {
        let mut told = Told::new();
        told.tell("Subscription Renewed", &renews(at)).pass(DAY.times(40));
        assert!(!told.names().contains(&"Renewal Due".to_owned()), "{at}");
    }
    let mut told = Told::new();
    told.tell("Subscription Renewed", &renews(NOON.plus(DAY))).pass(DAY);
    assert!(told.names().contains(&"Renewal Due".to_owned()), "as soon as it is said");
}

#[test]
fn a_trial_that_ends_leaves_the_subscription_its_date() {
    let until = |days: u64| json!({"renews_at": NOON.plus(DAY.times(days)).to_string()});
    let renews = |told: &Told| told.root.facts().rhythm.renews().map(|(renews, _)| renews);
    let date = |days: u64| Some(NOON.plus(DAY.times(days)));
    let mut told = Told::new();
    told.tell("Trial Started", &until(14));
    assert_eq!(renews(&told), date(14));
    told.pass(DAY.times(13)).tell("Subscription Started", &until(43));
    assert_eq!(renews(&told), date(43));
    told.pass(DAY).tell("Trial Ended", &json!({}));
    assert_eq!(renews(&told), date(43));
    told.pass(DAY.times(24));
    assert!(told.names().contains(&"Renewal Due".to_owned()), "of the subscription");
    told.tell("Subscription Cancelled", &json!({}));
    assert_eq!(renews(&told), None);
    let mut told = Told::new();
    told.tell("Trial Started", &until(30)).pass(DAY);
    told.tell("Trial Ended", &json!({})).pass(DAY.times(40));
    assert!(!told.names().contains(&"Renewal Due".to_owned()));
}

#[test]
fn engagement_declines_against_the_own_rhythm() {
    let rule = SignalRule::new(SignalKind::EngagementDeclining, &[Threshold::AtLeast(3)]);
    let mut told = Told::under(vec![rule]);
    // Every fourth day; then silence.
    for n in 0..6 {
        told.tell("Looked In", &json!({}));
        if n < 5 {
            told.pass(DAY.times(4));
        }
    }
    assert!(told.names().is_empty());
    told.pass(DAY.times(11));
    assert!(told.names().is_empty());
    told.pass(DAY.times(2));
    assert_eq!(told.evidence("Engagement Declining")["usual_gap_hours"], 96);
    assert_eq!(told.names(), ["Engagement Declining"]);
}

/// Fewer than four days have no rhythm, however close they are, and the last of five after a break
/// of more than 64 days stands alone.
#[test]
fn few_days_are_no_rhythm_that_could_decline() {
    let rule = SignalRule::new(SignalKind::EngagementDeclining, &[Threshold::AtLeast(3)]);
    for days in 1..=4 {
        let mut told = Told::under(vec![rule.clone()]);
        for _ in 0..days {
            told.tell("Looked In", &json!({})).tell("Looked In", &json!({})).pass(DAY);
        }
        told.pass(DAY.times(60));
        assert_eq!(told.names().len(), usize::from(days == 4), "{days} days");
        told.pass(DAY.times(10)).tell("Looked In", &json!({})).pass(DAY.times(60));
        assert!(told.names().is_empty(), "{days} days, and one much later");
    }
}

/// Who comes every day does not decline on the weekend: three times two days, not three days.
#[test]
fn a_rhythm_is_never_closer_than_two_days() {
    let rule = SignalRule::new(SignalKind::EngagementDeclining, &[Threshold::AtLeast(3)]);
    let mut told = Told::under(vec![rule]);
    for _ in 0..5 {
        told.tell("Looked In", &json!({})).pass(DAY);
    }
    // A day has passed since the last.
    told.pass(HOUR.times(119));
    assert!(told.names().is_empty());
    told.pass(HOUR);
    assert_eq!(told.evidence("Engagement Declining")["usual_gap_hours"], 48);
    assert_eq!(told.names(), ["Engagement Declining"]);
}

/// Somebody who buys at once, as by a button beside the product, has abandoned nothing.
#[test]
fn what_was_ordered_without_a_cart_is_not_abandoned() {
    let mut told = Told::new();
    told.tell("Product Viewed", &product("a")).pass(HOUR);
    told.tell("Order Completed", &order(1)).pass(DAY);
    assert_eq!(told.names(), ["First Purchase"]);
    // Nor is it where the order, done within the time, arrives before the view does.
    told.tell("Order Completed", &order(2));
    told.late("Product Viewed", &product("b"), Span::MINUTE).pass(DAY);
    assert_eq!(told.names(), ["Repeat Purchase"]);
    // What is looked at after it is a visit of its own.
    told.tell("Product Viewed", &product("c")).pass(DAY);
    assert_eq!(told.names(), ["Browse Abandoned"]);
}

/// Thresholds stand where older releases and other systems read them.
#[test]
fn thresholds_are_stored_by_their_key() {
    let raise = |threshold| Raise {
        id: SignalId::from_bytes([1; 16]),
        signal: "s".to_owned(),
        threshold,
        since: NOON,
        at: NOON,
        evidence: Map::new(),
    };
    for (threshold, expected) in [
        (Threshold::After(HOUR.times(4)), json!("4h")),
        (Threshold::Before(DAY.times(7)), json!("7d")),
        (Threshold::AtLeast(3), json!(3)),
    ] {
        let stored = serde_json::to_value(raise(threshold)).unwrap();
        assert_eq!(stored[threshold.key()], expected);
        assert_eq!(serde_json::from_value::<Raise>(stored).unwrap().threshold, threshold);
    }
    let old = json!({"name": "Cart Abandoned", "kind": "cart_abandoned", "thresholds": ["4h"]});
    let rule: SignalRule = serde_json::from_value(old.clone()).unwrap();
    assert_eq!(rule.each().collect::<Vec<_>>(), [Threshold::After(HOUR.times(4))]);
    assert_eq!(serde_json::to_value(&rule).unwrap(), old);
}

mod about;
mod stages;
