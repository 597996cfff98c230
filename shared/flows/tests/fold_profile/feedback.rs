//! What becomes of this stack's own mails reaches the profile that they were sent to.

use crate::world::*;
use odyssey_domain::ids::{ProfileId, SendId};
use odyssey_domain::message::machine::Machine;
use odyssey_domain::time::{Span, Stamp};
use odyssey_domain::wire::{BUS_SCHEMA, FeedbackKind, MessageFeedback, detail_type};
use odyssey_flows::queue::{Disposition, QueueRecord};
use odyssey_flows::read_timeline::{Direction, page};
use odyssey_testkit::run;
use serde_json::{Value, json};

fn send(n: u8) -> SendId {
    SendId::from_bytes([n; 16])
}

/// A report on a mail that SES had accepted at `minute(0)`.
fn fed(to: Option<ProfileId>, n: u8, kind: FeedbackKind, after: Span) -> QueueRecord {
    fed_by(None, to, n, kind, after)
}

/// The same, where its user agent says which machine it is.
fn fed_by(
    machine: Option<Machine>,
    to: Option<ProfileId>,
    n: u8,
    kind: FeedbackKind,
    after: Span,
) -> QueueRecord {
    let accepted = minute(0);
    let event = MessageFeedback {
        v: BUS_SCHEMA,
        send: send(n),
        profile: to,
        kind,
        at: accepted.plus(after),
        accepted: Some(accepted),
        machine,
    };
    envelope(detail_type::MESSAGE_FEEDBACK, &serde_json::to_value(event).unwrap())
}

fn fact(world: &World, name: &str) -> Value {
    world.view(world.user("ann")).facts.get(name).cloned().unwrap_or(Value::Null)
}

fn ann_of(world: &World) -> ProfileId {
    world.user("ann").into()
}

/// Somebody who looked in on the first minute, and nothing else.
fn visited() -> (World, Stamp) {
    let world = World::new();
    let visit = track("v", 0, "Looked In", &json!({"userId": "ann"}), &json!({}));
    world.fold_done(vec![accepted(0, vec![visit])], minute(0));
    (world, minute(0))
}

#[test]
fn opens_and_clicks_of_people_and_machines_are_told_apart() {
    let (world, visit) = visited();
    let ann = Some(ann_of(&world));
    let records = vec![
        // A scanner follows the link at once; the person opens it an hour later, and clicks.
        fed(ann, 1, FeedbackKind::Clicked, Span::SECOND),
        fed(ann, 1, FeedbackKind::Opened, Span::HOUR),
        fed(ann, 2, FeedbackKind::Opened, Span::SECOND.times(3)),
    ];
    world.fold_done(records, minute(61));
    assert_eq!(fact(&world, "mails.opened"), 1);
    assert_eq!(fact(&world, "mails.clicked"), 0);
    assert_eq!(fact(&world, "mails.by_machines"), 2);
    // Neither a scanner's click nor an open is a deed of the customer's.
    assert_eq!(fact(&world, "activity.last"), visit.to_string());
    world.fold_done(vec![fed(ann, 1, FeedbackKind::Clicked, Span::HOUR.times(2))], minute(121));
    assert_eq!(fact(&world, "mails.clicked"), 1);
    assert_eq!(fact(&world, "mails.last_clicked"), minute(120).to_string());
    assert_eq!(fact(&world, "activity.last"), minute(120).to_string());
}

/// However late it comes: a mail program fetches pictures when it likes, and a scanner may look again
/// days later.
#[test]
fn what_says_that_it_is_a_machine_is_one_at_any_time() {
    let (world, visit) = visited();
    let ann = Some(ann_of(&world));
    let records = vec![
        fed_by(Some(Machine::Prefetch), ann, 1, FeedbackKind::Opened, Span::HOUR),
        fed_by(Some(Machine::Scanner), ann, 1, FeedbackKind::Clicked, Span::HOUR.times(2)),
        fed(ann, 2, FeedbackKind::Clicked, Span::SECOND),
        fed(ann, 3, FeedbackKind::Clicked, Span::HOUR.times(3)),
    ];
    world.fold_done(records, minute(200));
    assert_eq!(fact(&world, "mails.opened"), 0);
    assert_eq!(
        (fact(&world, "mails.clicked"), fact(&world, "mails.by_machines")),
        (json!(1), json!(3))
    );
    assert_ne!(fact(&world, "activity.last"), visit.to_string(), "a person's click is a deed");
    // The history says by what each was judged.
    let owners = world.view(world.user("ann")).owners;
    let page = run(page(&world.memory, &owners, Direction::OldestFirst, None, 100)).unwrap();
    let by: Vec<(&str, Option<&str>)> = page
        .events
        .iter()
        .filter_map(|told| Some((told.event.name.as_deref()?, told)))
        .filter(|(name, _)| name.starts_with("Email"))
        .map(|(name, told)| (name, told.event.properties.get("machine_by").and_then(Value::as_str)))
        .collect();
    assert_eq!(
        by,
        [
            ("Email Link Clicked", Some("haste")),
            ("Email Opened", Some("prefetch")),
            ("Email Link Clicked", Some("scanner")),
            ("Email Link Clicked", None),
        ]
    );
}

#[test]
fn a_report_that_comes_twice_counts_once() {
    let (world, _) = visited();
    let ann = Some(ann_of(&world));
    let reports = || {
        vec![
            fed(ann, 1, FeedbackKind::Opened, Span::HOUR),
            fed(ann, 1, FeedbackKind::BouncedHard, Span::MINUTE),
            fed(ann, 1, FeedbackKind::Complained, Span::HOUR.times(3)),
        ]
    };
    world.fold_done(reports(), minute(200));
    let once = world.view(world.user("ann")).facts;
    // Again within the batch, later, and a month later.
    for later in [200, 201, 43_000] {
        let both = reports().into_iter().chain(reports()).collect();
        world.fold_done(both, minute(later));
    }
    assert_eq!(world.view(world.user("ann")).facts, once);
    assert_eq!((once["mails.bounced"].clone(), once["mails.spam"].clone()), (json!(1), json!(1)));
    assert_eq!(once["mails.opened"], 1);
}

#[test]
fn what_says_nothing_of_the_customer_changes_nothing() {
    let (world, _) = visited();
    let before = world.view(world.user("ann"));
    let ann = Some(ann_of(&world));
    let records = vec![
        fed(ann, 1, FeedbackKind::BouncedSoft, Span::HOUR),
        fed(ann, 1, FeedbackKind::Rejected, Span::HOUR),
        // A mail of which the ledger knows no profile.
        fed(None, 1, FeedbackKind::Opened, Span::HOUR),
    ];
    world.fold_done(records, minute(70));
    assert_eq!(world.view(world.user("ann")), before);
}

/// The mail went to a device that has signed in since: its profile is the user's now.
#[test]
fn feedback_follows_a_link() {
    let world = World::new();
    let device: ProfileId = world.anonymous("a1").into();
    let visit = track("v", 0, "Looked In", &json!({"anonymousId": "a1"}), &json!({}));
    world.fold_done(vec![accepted(0, vec![visit])], minute(0));
    let both = json!({"userId": "ann", "anonymousId": "a1"});
    world.fold_done(vec![accepted(1, vec![identify("i", 1, &both, &json!({}))])], minute(1));
    world.fold_done(vec![fed(Some(device), 1, FeedbackKind::Opened, Span::HOUR)], minute(60));
    assert_eq!(fact(&world, "mails.opened"), 1);
}

#[test]
fn a_newer_schema_is_parked_and_not_guessed_at() {
    let (world, _) = visited();
    let record = fed(Some(ann_of(&world)), 1, FeedbackKind::Opened, Span::HOUR);
    let body = record.body.replace(r#""v":1"#, r#""v":99"#);
    let (dispositions, _) = world.fold(vec![QueueRecord { body, ..record }], minute(60));
    assert!(matches!(dispositions[0], Disposition::Park { .. }), "{dispositions:?}");
}
