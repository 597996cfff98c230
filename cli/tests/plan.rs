//! What `publish` plans, on tables in memory.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use odyssey::publish::build::build;
use odyssey::publish::directory;
use odyssey::publish::plan::{Change, Plan, plan};
use odyssey_domain::catalog::JourneyState;
use odyssey_domain::ids::{EnrollmentId, EnrollmentKeyHash, ProfileId};
use odyssey_domain::journey::{Enrollment, JourneyId, SlotId, StepId};
use odyssey_domain::time::{Span, Stamp};
use odyssey_domain::wire::{Owner, Wake, Why};
use odyssey_domain::workspace::Files;
use odyssey_flows::advance_enrollment::slot_key;
use odyssey_flows::catalog::{Publication, publish};
use odyssey_flows::due;
use odyssey_flows::ports::Tables;
use odyssey_flows::stored::put;
use odyssey_testkit::{Memory, run};
use std::collections::BTreeSet;
use std::path::Path;

fn files() -> Files {
    directory::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/storefront")).unwrap()
}

fn publication(files: &Files) -> Publication {
    build(files, Stamp::MIN).unwrap().publication
}

fn planned(memory: &Memory, files: &Files) -> (Plan, Publication) {
    let mut publication = publication(files);
    let plan = run(plan(memory, &mut publication)).unwrap();
    (plan, publication)
}

/// A stack with the storefront and one customer waiting for a day in cart-recovery.
fn stack() -> Memory {
    let memory = Memory::default();
    let (first, publication) = planned(&memory, &files());
    assert!(first.first && !first.empty && first.refused.is_empty());
    assert!(first.mails.iter().all(|mail| mail.change == Change::Added));
    run(publish(&memory, &publication)).unwrap();
    let journey = JourneyId::parse("cart-recovery").unwrap();
    let version = publication.catalog.journeys[&journey].version;
    let profile = ProfileId::from_bytes([1; 16]);
    let slot = SlotId { profile, journey, key: EnrollmentKeyHash::of("") };
    let due = Stamp::from_ms(1_000_000_000);
    let enrollment = Enrollment {
        id: EnrollmentId::derive("cart-recovery", "", "signal"),
        slot: slot.clone(),
        version,
        started: Stamp::MIN,
        entered: Stamp::MIN,
        step: StepId::parse("wait-a-day").unwrap(),
        reached: Stamp::MIN,
        iteration: 0,
        arm: 2,
        due: Some(due),
        parked: None,
        ended: None,
        forget: None,
        why: Why::default().into(),
        earlier: Vec::new(),
        pending: Vec::new(),
    };
    run(memory.write(put(slot_key(&slot), &enrollment, None).unwrap())).unwrap();
    for arm in [1, 2] {
        // The first arming is stale: it must not be counted as another customer.
        let wake = Wake { owner: Owner::Enrollment(slot.clone()), arm, due };
        run(due::put(&memory, &wake)).unwrap();
    }
    memory
}

fn waiting(plan: &Plan, mail: &str) -> usize {
    plan.mails.iter().find(|change| change.name == mail).unwrap().waiting
}

#[test]
fn the_same_again_changes_nothing() {
    let (plan, _) = planned(&stack(), &files());
    assert!(plan.empty && plan.settings.is_empty(), "{plan:?}");
}

/// What a timer decides on has none for who does nothing; what is counted needs none.
#[test]
fn signals_that_need_a_back_fill_are_told() {
    assert!(planned(&stack(), &files()).0.to_arm.is_empty());
    let mut changed = files();
    let text = changed.get_mut("workspace.yaml").unwrap();
    *text = text
        .replace("Checkout Abandoned: {after: 1h}", "Checkout Abandoned: {after: 90m}")
        .replace("Repeat Purchase: {at_least: 3}", "Repeat Purchase: {at_least: 4}")
        .replace("  First Purchase: {}", "  First Purchase: {}\n  Became Dormant: {after: 60d}");
    let mut to_arm = planned(&stack(), &changed).0.to_arm;
    to_arm.sort_unstable();
    assert_eq!(to_arm, ["Became Dormant", "Checkout Abandoned"]);
}

#[test]
fn a_changed_mail_reaches_those_who_wait_for_it() {
    let mut changed = files();
    for mail in ["cart-advice", "cart-reminder"] {
        let text = changed.get_mut(&format!("mails/{mail}.mjml")).unwrap();
        *text = text.replace("lang=\"en\"", "lang=\"en-GB\"");
    }
    let (plan, _) = planned(&stack(), &changed);
    assert!(!plan.empty);
    // They stand behind the reminder and before the advice.
    assert_eq!((waiting(&plan, "cart-advice"), waiting(&plan, "cart-reminder")), (1, 0));
    let changed: Vec<&str> = plan
        .mails
        .iter()
        .filter(|mail| mail.change == Change::Changed)
        .map(|mail| mail.name.as_str())
        .collect();
    assert_eq!(changed, ["cart-advice", "cart-reminder"]);
}

/// Plans and publishes files at a time; what is watched afterwards.
fn published(memory: &Memory, files: &Files, at: Stamp) -> BTreeSet<String> {
    let mut publication = publication(files);
    publication.catalog.published = at;
    assert!(run(plan(memory, &mut publication)).unwrap().refused.is_empty());
    run(publish(memory, &publication)).unwrap();
    let catalog = publication.catalog;
    assert!(catalog.retired.iter().all(|retired| catalog.forwarded.contains(&retired.event.event)));
    catalog.watched.into_iter().map(|event| event.event).collect()
}

#[test]
fn what_those_inside_earlier_versions_wait_for_is_watched_on() {
    let memory = stack();
    let mut others = files();
    for (journey, from, to) in [
        ("cart-recovery", "Order Completed", "Order Refunded"),
        ("browse-nudge", "Order Completed", "Order Refunded"),
        ("order-thanks", "Order Cancelled", "Order Refunded"),
        ("checkout-help", "Order Completed", "Order Refunded"),
        ("first-order", "Order Cancelled", "Order Refunded"),
    ] {
        let text = others.get_mut(&format!("journeys/{journey}.yaml")).unwrap();
        *text = text.replace(from, to);
    }
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    let day = |n: u64| Stamp::from_ms(1_790_000_000_000).plus(Span::DAY.times(n));
    assert_eq!(
        published(&memory, &files(), day(0)),
        names(&["Order Completed", "Order Cancelled", "Product Added"])
    );
    let all = ["Order Refunded", "Product Added", "Order Completed", "Order Cancelled"];
    assert_eq!(published(&memory, &others, day(1)), names(&all));
    assert_eq!(published(&memory, &others, day(90)), names(&all));
    // A customer still waits in the first version of cart-recovery, and none is seen in
    // order-thanks.
    assert_eq!(published(&memory, &others, day(92)), names(&all[..3]));
    assert_eq!(
        published(&memory, &files(), day(93)),
        names(&["Order Completed", "Order Cancelled", "Product Added", "Order Refunded"])
    );
}

#[test]
fn a_journey_taken_out_of_the_files_is_archived_with_its_mails() {
    let mut without = files();
    without.remove("journeys/cart-recovery.yaml");
    without.remove("mails/cart-advice.mjml");
    let memory = stack();
    let (plan, publication) = planned(&memory, &without);
    let change = plan.journeys.iter().find(|j| j.name == "cart-recovery").unwrap();
    assert_eq!((change.change, change.waiting), (Change::Removed, 1));
    assert!(plan.refused.is_empty());
    let catalog = &publication.catalog;
    let id = JourneyId::parse("cart-recovery").unwrap();
    assert_eq!(catalog.journeys[&id].state, JourneyState::Archived);
    assert!(catalog.mails.keys().any(|mail| mail.as_str() == "cart-advice"));
    assert!(catalog.forwarded.contains(&"Order Completed".to_owned()));
    run(publish(&memory, &publication)).unwrap();
    assert!(planned(&memory, &without).0.empty, "archiving happens once");
}

#[test]
fn what_would_strand_customers_is_refused() {
    let mut draft = files();
    let text = draft.get_mut("journeys/cart-recovery.yaml").unwrap();
    *text = text.replace("state: live", "state: draft");
    let (plan, _) = planned(&stack(), &draft);
    assert_eq!(
        plan.refused,
        ["journey cart-recovery would become a draft with 1 waiting in it: use paused or archived"]
    );
    // Their steps are those they entered on, so the old topic is still needed.
    let mut renamed = files();
    for text in renamed.values_mut() {
        *text = text.replace("offers:", "news:").replace("topic: offers", "topic: news");
        *text = text.replace("consent: offers", "consent: news");
    }
    let (plan, _) = planned(&stack(), &renamed);
    assert_eq!(
        plan.refused,
        [
            "topic offers is gone, and journey cart-recovery has customers waiting who would be sent under it"
        ]
    );
}
