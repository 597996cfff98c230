//! The lifecycle: each way from one stage to another, and above all what is none.

use super::*;
use crate::profile::Said;
use crate::signal::{Bounds, Stage, Stages};

fn told() -> Told {
    let kind = SignalKind::StageChanged;
    Told::under(vec![SignalRule::new(kind, &[kind.default_threshold()])])
}

fn identify(told: &mut Told) {
    told.events += 1;
    let event: Event = serde_json::from_value(json!({"type": "identify", "at": told.now.ms(),
        "id": format!("e{}", told.events), "traits": {"email": "ann@example.com"}}))
    .unwrap();
    let source = SourceRef { name: "web".to_owned(), kind: SourceKind::Browser };
    let own = IdentityKey::from(Told::profile());
    let _ = told.root.accumulator_of(own, own).1.fold(&event, &source, &Watched::default());
    told.write();
}

/// From where to where, of what was raised since this was asked last.
fn changes(told: &mut Told) -> Vec<(String, String)> {
    let text = |raise: &Raise, name: &str| raise.evidence[name].as_str().unwrap().to_owned();
    let changes = told.raised.iter().map(|raise| (text(raise, "from"), text(raise, "to")));
    let changes = changes.collect();
    told.raised.clear();
    // What conditions read is where it ended.
    let stage = told.root.view(Told::profile()).facts["stage"].clone();
    let Some(Threshold::After(at_risk)) = told.rules[0].each().next() else { panic!() };
    let bounds = Bounds { at_risk, stages: Stages::default() };
    assert_eq!(stage, Stage::of(&told.root.facts(), &bounds, told.now).name());
    changes
}

fn of(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect()
}

#[test]
fn a_whole_life() {
    let mut told = told();
    told.tell("Looked In", &json!({}));
    assert_eq!(changes(&mut told), [], "everybody begins as a visitor");
    identify(&mut told);
    assert_eq!(changes(&mut told), of(&[("visitor", "lead")]));
    told.pass(DAY.times(3)).tell("Order Completed", &order(1));
    assert_eq!(changes(&mut told), of(&[("lead", "new")]));
    told.pass(DAY.times(20)).tell("Looked In", &json!({})).pass(DAY.times(11));
    assert_eq!(changes(&mut told), of(&[("new", "active")]), "thirty days after the order");
    told.tell("Order Completed", &order(2));
    assert_eq!(changes(&mut told), [], "already active");
    told.tell("Order Completed", &order(3));
    assert_eq!(changes(&mut told), of(&[("active", "loyal")]));
    told.pass(DAY.times(200));
    let silence = [("loyal", "at risk"), ("at risk", "dormant"), ("dormant", "lapsed")];
    assert_eq!(changes(&mut told), of(&silence));
    told.pass(DAY.times(400)).tell("Looked In", &json!({}));
    assert_eq!(changes(&mut told), of(&[("lapsed", "loyal")]));
    // The next silence is another one.
    told.pass(DAY.times(31));
    assert_eq!(changes(&mut told), of(&[("loyal", "at risk")]));
}

#[test]
fn a_visitor_or_a_lead_is_never_at_risk() {
    let mut told = told();
    told.tell("Looked In", &json!({})).pass(DAY.times(400));
    told.tell("Form Submitted", &json!({"form": "Search the shop"}));
    assert_eq!(changes(&mut told), [], "a search is no lead");
    told.tell("Form Submitted", &json!({"form": "quote"})).pass(DAY.times(400));
    assert_eq!(changes(&mut told), of(&[("visitor", "lead")]));
}

#[test]
fn others_doings_end_no_silence_and_the_same_order_twice_is_one() {
    let mut told = told();
    told.tell("Order Completed", &order(1)).tell("Order Completed", &order(1));
    assert_eq!(changes(&mut told), of(&[("visitor", "lead"), ("lead", "new")]));
    told.pass(DAY.times(25));
    for name in ["Email Delivered", "Email Opened", "Order Refunded", "Order Updated"] {
        told.tell(name, &order(1));
    }
    told.pass(DAY.times(6));
    // Thirty days of silence and thirty days as a customer end together: the silence is said.
    assert_eq!(changes(&mut told), of(&[("new", "at risk")]));
    told.tell("Looked In", &json!({}));
    assert_eq!(changes(&mut told), of(&[("at risk", "new"), ("new", "active")]));
    told.pass(DAY.times(40)).tell("Looked In", &json!({}));
    assert_eq!(changes(&mut told), of(&[("active", "at risk"), ("at risk", "active")]));
}

/// The simulator's seed 5578: an order came late, in one write with the timer of the silence after it.
/// The customer was at risk as a visitor, and a visitor again when they came back.
#[test]
fn what_was_reached_before_a_silence_is_said_before_it() {
    let stage = SignalRule::new(SignalKind::StageChanged, &[Threshold::After(DAY)]);
    let browse = SignalRule::new(SignalKind::BrowseAbandoned, &[Threshold::After(DAY.times(2))]);
    let mut told = Told::under(vec![stage, browse]);
    told.tell("Product Viewed", &product("a"));
    // Nothing but the order is told between the two.
    told.now = told.now.plus(DAY.times(2)).minus(HOUR);
    told.fold("Order Completed", &order(1), HOUR.times(44));
    told.now = told.now.plus(HOUR);
    told.pass(Span::ZERO);
    let expected = [("visitor", "lead"), ("lead", "new"), ("new", "at risk")];
    assert_eq!(changes(&mut told), of(&expected));
    told.pass(HOUR).tell("Looked In", &json!({}));
    assert_eq!(changes(&mut told), of(&[("at risk", "new")]));
}

#[test]
fn subscriptions_are_purchases() {
    let mut told = told();
    told.tell("Trial Started", &json!({}));
    assert_eq!(changes(&mut told), of(&[("visitor", "lead")]));
    told.tell("Subscription Started", &json!({}));
    assert_eq!(changes(&mut told), of(&[("lead", "new")]));
    told.tell("Subscription Renewed", &json!({})).tell("Subscription Renewed", &json!({}));
    assert_eq!(changes(&mut told), of(&[("new", "active"), ("active", "loyal")]));
}

#[test]
fn an_import_says_where_somebody_stands_and_raises_nothing() {
    let mut told = told();
    for n in 0..4 {
        told.fold("Order Completed", &order(n), DAY.times(700 - u64::from(n)));
    }
    told.write();
    // The timer of a silence that is long over fires a minute later.
    told.pass(HOUR);
    assert_eq!(changes(&mut told), []);
    assert_eq!(told.root.view(Told::profile()).facts["stage"], "lapsed");
    told.tell("Looked In", &json!({}));
    assert_eq!(changes(&mut told), of(&[("lapsed", "loyal")]));
}

#[test]
fn late_deeds_belong_to_the_silence_they_fell_into() {
    let mut told = told();
    told.tell("Order Completed", &order(1)).tell("Order Completed", &order(2));
    told.pass(DAY.times(30));
    let expected = [("visitor", "lead"), ("lead", "new"), ("new", "active"), ("active", "at risk")];
    assert_eq!(changes(&mut told), of(&expected));
    // It was done before that was decided, and is told now: nobody is back.
    told.pass(DAY).late("Looked In", &json!({}), DAY.times(5));
    assert!(told.names().is_empty());
    assert_eq!(told.root.said.stages["Stage Changed/30d"].stage, Stage::AtRisk);
    told.tell("Looked In", &json!({}));
    assert_eq!(changes(&mut told), of(&[("at risk", "active")]));
}

#[test]
fn what_a_linked_profile_reached_is_not_said_again() {
    let mut user = told();
    user.tell("Order Completed", &order(1));
    let mut anonymous = told();
    anonymous.tell("Form Submitted", &json!({"form": "quote"}));
    let said = anonymous.root.said.clone();
    user.raised.clear();
    user.root.said.absorb(said.clone());
    let mut other = anonymous.root.clone();
    other.said = Said::default();
    other.said.absorb(said);
    assert_eq!(other.said.stages, anonymous.root.said.stages);
    user.write();
    assert_eq!(changes(&mut user), []);
}
