//! What the reader says of right and wrong segments.

use super::*;
use crate::journey::Trigger;
use crate::segment::{LEAVES_MAX, SEGMENTS_MAX};
use crate::signal::{SignalKind, SignalRule, Threshold};
use crate::time::{Span, Stamp};
use proptest::prelude::*;
use serde_json::json;

const SETTINGS: &str = "\
brand:
  name: Northwind
  from: hello@northwind.example
  postal_address: 12 Harbour Street, 20457 Hamburg
  website: https://northwind.example/
sources:
  web: {kind: browser}
topics:
  offers: {title: Offers, kind: marketing}
confirmation_mail: confirm
";
const MAIL: &str = "---\nsubject: Hello\n---\n<mjml></mjml>\n";
const SEGMENT: &str = "\
name: at-risk
title: At risk
when:
  all:
    - {fact: orders.count, at_least: 2}
    - not: {performed: Order Completed, where: {total: {above: 10}}, within: 60d}
    - {consent: offers, is: granted}
    - any: [{signal: Became Dormant, within: 30d}, {trait: plan, equals: gold}]
";
const JOURNEY: &str = "\
name: win-back
state: live
trigger: {signal: Segment Entered, segment: at-risk}
entry_filter: {not: {segment: at-risk}}
steps:
  - id: again
    branch: [{if: {signal: Cart Abandoned, within: 7d}, steps: [{id: out, exit: true}]}]
";

fn files(changes: &[(&str, &str)]) -> Files {
    let known = [
        ("workspace.yaml", SETTINGS),
        ("segments/at-risk.yaml", SEGMENT),
        ("journeys/win-back.yaml", JOURNEY),
        ("mails/confirm.mjml", MAIL),
    ];
    let all = known.iter().chain(changes);
    all.map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

fn faults(changes: &[(&str, &str)]) -> Vec<String> {
    Workspace::read(&files(changes)).unwrap_err().iter().map(ToString::to_string).collect()
}

fn name(text: &str) -> SegmentName {
    SegmentName::parse(text).unwrap()
}

#[test]
fn a_right_segment_is_published() {
    let workspace = Workspace::read(&files(&[])).unwrap();
    let now = Stamp::from_ms(7);
    let catalog = workspace.publish(Vec::new(), now).catalog;
    let segment = catalog.segments.get(&name("at-risk")).unwrap();
    assert_eq!((segment.title.as_str(), segment.since), ("At risk", now));
    assert_eq!(
        segment.when.describe(),
        "all of (orders.count at least 2; not (Order Completed where total above 10 within 60d); \
         consent to offers granted; any of (signal Became Dormant within 30d; trait plan is gold))"
    );
    assert_eq!(catalog.kept_matches().len(), 1);
    assert!(catalog.declared().ask_consent());
    // Whom a segment asks is in use, though the file does not name it.
    let used: Vec<SignalKind> = catalog.signals.iter().map(|rule| rule.kind).collect();
    assert!(used.contains(&SignalKind::BecameDormant), "{used:?}");
    let file = workspace.journeys.values().next().unwrap();
    let threshold = Threshold::Segment(name("at-risk"));
    assert_eq!(
        file.journey.trigger,
        Trigger::Signal { name: "Segment Entered".to_owned(), threshold }
    );
    // As it is stored.
    let text = serde_json::to_string(&catalog).unwrap();
    assert_eq!(serde_json::from_str::<crate::catalog::Catalog>(&text).unwrap(), catalog);
}

#[test]
fn a_segment_that_goes_on_is_no_new_one() {
    let (first, second) = (Stamp::from_ms(1), Stamp::from_ms(2));
    let catalog =
        |files: &Files, now| Workspace::read(files).unwrap().publish(Vec::new(), now).catalog;
    let before = catalog(&files(&[]), first);
    let titled = SEGMENT.replace("title: At risk", "title: Going away");
    let mut same = catalog(&files(&[("segments/at-risk.yaml", &titled)]), second);
    same.retire(&before, &[]);
    assert_eq!(same.segments.get(&name("at-risk")).unwrap().since, first);
    let other = SEGMENT.replace("at_least: 2", "at_least: 3");
    let mut changed = catalog(&files(&[("segments/at-risk.yaml", &other)]), second);
    changed.retire(&before, &[]);
    assert_eq!(changed.segments.get(&name("at-risk")).unwrap().since, second);
    // It is dated by when it is published, not by when it was read.
    let mut read = catalog(&files(&[]), Stamp::MIN);
    read.published = second;
    read.retire(&crate::catalog::Catalog { segments: BTreeMap::new(), ..before }, &[]);
    assert_eq!(read.segments.get(&name("at-risk")).unwrap().since, second);
}

/// It asks for other things then, though it says the same.
#[test]
fn a_segment_over_another_rule_is_a_new_one() {
    let (first, second) = (Stamp::from_ms(1), Stamp::from_ms(2));
    let counting = |name: &str, days: u32| {
        let rule = json!({name: {"kind": "count", "event": {"event": "Signed In"}, "days": days}});
        serde_json::from_value::<crate::profile::ComputedTraits>(rule).unwrap()
    };
    let catalog = |published, computed_traits| {
        let read = Workspace::read(&files(&[])).unwrap().publish(Vec::new(), published).catalog;
        crate::catalog::Catalog { computed_traits, ..read }
    };
    let since = |catalog: &crate::catalog::Catalog| catalog.segments[&name("at-risk")].since;
    let before = catalog(first, counting("plan", 30));
    let mut same = catalog(second, counting("plan", 30));
    same.retire(&before, &[]);
    assert_eq!(since(&same), first);
    let mut changed = catalog(second, counting("plan", 60));
    changed.retire(&before, &[]);
    assert_eq!(since(&changed), second);
    for (kind, expected) in
        [(SignalKind::BecameDormant, second), (SignalKind::CartAbandoned, first)]
    {
        let mut other = catalog(second, counting("plan", 30));
        other.signals.retain(|rule| rule.kind != kind);
        other.signals.push(SignalRule::new(kind, &[Threshold::After(Span::DAY.times(9))]));
        other.retire(&before, &[]);
        assert_eq!(since(&other), expected, "{kind:?}");
    }
    // What it does not ask for is nothing to it.
    let mut beside = catalog(second, counting("plan", 30));
    let mut more: BTreeMap<_, _> = beside.computed_traits.clone().into();
    more.extend(BTreeMap::from(counting("planet", 7)));
    beside.computed_traits = more.into();
    beside.retire(&before, &[]);
    assert_eq!(since(&beside), first);
}

#[test]
fn a_publication_is_later_than_the_one_before() {
    let at = Stamp::from_ms;
    let catalog = |now| Workspace::read(&files(&[])).unwrap().publish(Vec::new(), now).catalog;
    for (clock, dated) in [(3, 8), (7, 8), (8, 8), (9, 9)] {
        let mut next = catalog(at(clock));
        next.date_after(&catalog(at(7)));
        assert_eq!(next.published, at(dated));
    }
}

/// What it asks for is watched since the first publication that does, by a segment or a journey.
#[test]
fn what_is_watched_already_is_noted() {
    let at = Stamp::from_ms;
    let catalog = |text: &str, now| {
        let files = files(&[("segments/at-risk.yaml", text)]);
        Workspace::read(&files).unwrap().publish(Vec::new(), now).catalog
    };
    let watched =
        |catalog: &crate::catalog::Catalog| catalog.segments.get(&name("at-risk")).unwrap().watched;
    let first = catalog(SEGMENT, at(1));
    assert_eq!((watched(&first), first.watches_under()), (at(1), Some(at(1))));
    // Another window over the same events.
    let mut second = catalog(&SEGMENT.replace("within: 60d", "within: 30d"), at(2));
    second.retire(&first, &[]);
    assert_eq!(watched(&second), at(1));
    let mut third = catalog(&SEGMENT.replace("Order Completed", "Order Refunded"), at(3));
    third.retire(&second, &[]);
    assert_eq!(watched(&third), at(3));
    // What was let go of begins anew.
    let mut fourth = catalog(SEGMENT, at(4));
    fourth.retire(&third, &[]);
    assert_eq!(watched(&fourth), at(4));
    // A journey's events are watched since its publication at the latest.
    let event = crate::segment::watched(first.segments.values());
    let before = crate::catalog::Catalog { watched: event, segments: BTreeMap::new(), ..first };
    let mut fifth = catalog(SEGMENT, at(5));
    fifth.retire(&before, &[]);
    assert_eq!(watched(&fifth), at(1));
    let none = crate::catalog::Catalog { watched: Vec::new(), ..before };
    assert_eq!(
        (none.watches_under(), none.watches_since(&fifth.segments[&name("at-risk")])),
        (None, None)
    );
}

#[test]
fn golden_faults_of_segments() {
    let all = "one of all, any, not, trait, fact, performed, signal, consent";
    let cases = [
        ("name: at-risk", "name: at_risk", "1:7: found `at_risk`, expected a segment's name of lower-case letters, digits and hyphens that begins with a letter, at most 40 long; for example `at-risk`".to_owned()),
        ("name: at-risk", "name: risk", "1:7: found name `risk`, expected `at-risk`, the name of the file".to_owned()),
        ("title: At risk", "titel: At risk", "2:1: found key `titel`".to_owned()),
        ("title: At risk", "title: ''", "2:8: found an empty text".to_owned()),
        ("orders.count", "orders.cuont", "5:14: found fact `orders.cuont`".to_owned()),
        ("is: granted", "is: yes", "7:29: found ".to_owned()),
        ("is: granted", "is: refused", "7:29: found consent `refused`".to_owned()),
        ("consent: offers", "consent: ofers", "7:17: found topic `ofers`".to_owned()),
        ("signal: Became Dormant", "signal: Became Dorment", "8:22: found signal `Became Dorment`".to_owned()),
        ("signal: Became Dormant", "signal: Segment Entered", "8:22: found signal `Segment Entered`".to_owned()),
        ("within: 30d", "within: 30", "8:46: found the number 30, expected a length of time".to_owned()),
        ("{trait: plan, equals: gold}", "{segment: vip}", format!("8:53: found condition `segment`, expected {all}; write here what that segment says")),
        ("{trait: plan, equals: gold}", "{trigger: a, equals: b}", format!("8:53: found condition `trigger`, expected {all}; nothing triggers a segment")),
        ("{fact: orders.count, at_least: 2}", "{all: []}", String::new()),
    ];
    for (from, to, expected) in cases {
        assert!(SEGMENT.contains(from), "{from}");
        let wrong = SEGMENT.replacen(from, to, 1);
        let changes = [("segments/at-risk.yaml", wrong.as_str())];
        if expected.is_empty() {
            assert!(Workspace::read(&files(&changes)).is_ok(), "{to}");
            continue;
        }
        let found = faults(&changes);
        let expected = format!("segments/at-risk.yaml:{expected}");
        assert!(found.iter().any(|fault| fault.starts_with(&expected)), "{expected}\n{found:#?}");
    }
}

#[test]
fn journeys_name_segments_that_are_there() {
    let cases = [
        (
            "segment: at-risk}\nentry",
            "segment: at-rusk}\nentry",
            "found segment `at-rusk`, expected one of `at-risk`; did you mean `at-risk`?",
        ),
        (", segment: at-risk}\nentry", "}\nentry", "found no key `segment`"),
        ("{segment: at-risk}", "{segment: vip}", "found segment `vip`"),
        (
            "{not: {segment: at-risk}}",
            "{consent: offers, is: granted}",
            "found condition `consent`",
        ),
        ("Segment Entered", "Segment Entred", "found signal `Segment Entred`"),
        ("Segment Entered, segment", "Segment Entered, after: 4h, segment", "found key `after`"),
    ];
    for (from, to, expected) in cases {
        assert!(JOURNEY.contains(from), "{from}");
        let found = faults(&[("journeys/win-back.yaml", &JOURNEY.replacen(from, to, 1))]);
        assert!(found.iter().any(|fault| fault.contains(expected)), "{expected}\n{found:#?}");
    }
    let found = faults(&[("segments/vip.yml", SEGMENT)]);
    assert!(found[0].contains("the ending .yaml"), "{found:?}");
}

#[test]
fn bounds_are_named() {
    let leaf = "    - {fact: orders.count, at_least: 2}\n";
    let many = format!("name: many\ntitle: Many\nwhen:\n  all:\n{}", leaf.repeat(LEAVES_MAX + 1));
    let found = faults(&[("segments/many.yaml", &many)]);
    assert!(found[0].contains("found 33 conditions, expected from 1 to 32"), "{found:?}");
    let none = "name: none\ntitle: None\nwhen: {all: []}\n";
    assert!(faults(&[("segments/none.yaml", none)])[0].contains("found 0 conditions"));
    let deep = format!("name: deep\ntitle: Deep\nwhen: {}", "{not: ".repeat(40) + &"}".repeat(40));
    assert!(faults(&[("segments/deep.yaml", &deep)])[0].contains("inside one another"));
    let names: Vec<String> = (0..=SEGMENTS_MAX).map(|n| format!("s{n}")).collect();
    let texts: Vec<(String, String)> = names
        .iter()
        .map(|name| (format!("segments/{name}.yaml"), SEGMENT.replace("at-risk", name)))
        .collect();
    let changes: Vec<(&str, &str)> = texts.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let found = faults(&changes);
    assert!(found.iter().any(|fault| fault.contains("expected at most 50")), "{found:?}");
}

proptest! {
    #[test]
    fn any_text_is_read_without_a_panic(text in "[ -~\n]{0,200}", cut in 0..SEGMENT.len()) {
        let _ = Workspace::read(&files(&[("segments/at-risk.yaml", &text)]));
        let cut = SEGMENT.get(..cut).unwrap_or_default();
        let _ = Workspace::read(&files(&[("segments/at-risk.yaml", &format!("{cut}{text}"))]));
    }
}
