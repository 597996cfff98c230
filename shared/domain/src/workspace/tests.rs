//! What the reader says of right and wrong files.

use super::*;
use crate::catalog::JourneyState;
use crate::journey::{ReEntry, StepId, StepKind, Trigger};
use crate::pacing::Instead;
use crate::signal::Threshold;
use crate::time::{Span, Stamp};
use proptest::prelude::*;

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
  orders: {title: Orders, kind: transactional}
confirmation_mail: confirm
";

const JOURNEY: &str = "\
name: cart
state: live
trigger: {signal: Cart Abandoned, after: 2h}
entry_filter: {fact: cart.value, at_least: 1}
re_entry: {after: 7d}
exit_when: [{event: Order Completed}]
goal: {event: Order Completed, within: 3d}
steps:
  - {id: remind, send: remind, topic: offers}
  - {id: wait, wait_until: {event: Order Completed, timeout: 20h}}
  - id: big
    branch:
      - if: {fact: cart.value, at_least: 10000}
        steps:
          - {id: call, send: remind, topic: orders}
    else:
      - {id: later, delay: 1d}
  - {id: last, send: remind, topic: offers}
";

const MAIL: &str = "---\nsubject: Hello\n---\n<mjml></mjml>\n";

fn files(changes: &[(&str, &str)]) -> Files {
    let mut files: Files = [
        ("workspace.yaml", SETTINGS),
        ("journeys/cart.yaml", JOURNEY),
        ("mails/remind.mjml", MAIL),
        ("mails/confirm.mjml", MAIL),
    ]
    .into_iter()
    .map(|(path, text)| (path.to_owned(), text.to_owned()))
    .collect();
    for (path, text) in changes {
        files.insert((*path).to_owned(), (*text).to_owned());
    }
    files
}

fn faults(changes: &[(&str, &str)]) -> Vec<String> {
    Workspace::read(&files(changes)).unwrap_err().iter().map(ToString::to_string).collect()
}

/// The fault of a journey in which one text is replaced by another.
fn journey_faults(from: &str, to: &str) -> Vec<String> {
    assert!(JOURNEY.contains(from), "{from}");
    faults(&[("journeys/cart.yaml", &JOURNEY.replacen(from, to, 1))])
}

fn step(id: &str) -> StepId {
    StepId::parse(id).unwrap()
}

/// A count that begins when somebody happens to ask, and says nothing of before, answers nothing.
#[test]
fn a_fact_that_is_not_always_counted_is_refused_with_what_to_ask() {
    let filter = |fact: &str| journey_faults("fact: cart.value, at_least: 1}", fact);
    let found = filter("fact: events.Quote Requested, at_least: 1}");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("{performed: Quote Requested, at_least: 3}"), "{found:?}");
    let found = filter("fact: events.Order Complete, at_least: 1}");
    assert!(found[0].contains("did you mean `events.Order Completed`?"), "{found:?}");
    for counted in ["events.total", "events.Ticket Solved", "events.Order Completed"] {
        let to = format!("fact: {counted}, at_least: 1}}");
        let text = JOURNEY.replacen("fact: cart.value, at_least: 1}", &to, 1);
        assert!(Workspace::read(&files(&[("journeys/cart.yaml", &text)])).is_ok(), "{counted}");
    }
}

#[test]
fn a_right_workspace_becomes_a_graph_and_a_catalog() {
    let workspace = Workspace::read(&files(&[])).unwrap();
    let file = workspace.journeys.values().next().unwrap();
    let journey = &file.journey;
    assert_eq!(file.state, JourneyState::Live);
    assert_eq!(journey.re_entry, ReEntry::After(Span::DAY.times(7)));
    assert_eq!(
        journey.trigger,
        Trigger::Signal {
            name: "Cart Abandoned".to_owned(),
            threshold: Threshold::After(Span::HOUR.times(2))
        }
    );
    assert_eq!(journey.first, step("remind"));
    let next = |id: &str| journey.steps.get(&step(id)).unwrap().next.clone();
    assert_eq!(next("remind"), Some(step("wait")));
    assert_eq!(next("wait"), Some(step("big")));
    assert_eq!(next("big"), Some(step("later")));
    assert_eq!(next("later"), Some(step("last")));
    assert_eq!(next("call"), Some(step("last")));
    assert_eq!(next("last"), None);
    let StepKind::Branch { arms } = &journey.steps.get(&step("big")).unwrap().kind else {
        panic!("a branch")
    };
    assert_eq!(arms.first().unwrap().1, step("call"));
    assert_eq!(workspace.settings.brand.allowed_hosts, ["northwind.example"]);

    let published = workspace.publish(Vec::new(), Stamp::from_ms(1));
    let thresholds: Vec<_> =
        published.catalog.signals.iter().map(|rule| rule.thresholds.clone()).collect();
    assert_eq!(thresholds[0], [Span::HOUR.times(4), Span::HOUR.times(2)]);
    assert_eq!(published.catalog.watched.len(), 1);
    assert_eq!(published.catalog.forwarded, ["Order Completed"]);
    assert!(workspace.is_marketing(&MailId::parse("remind").unwrap()));
    assert!(!workspace.is_marketing(&MailId::parse("confirm").unwrap()));
}

/// The golden messages: place, what was found, what was expected, what was meant.
#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn golden_faults_of_journeys() {
    let cases = [
        (
            "topic: offers}",
            "topic: ofers}",
            "journeys/cart.yaml:9:39: found topic `ofers`, expected one of `offers`, `orders`; did you mean `offers`?",
        ),
        (
            "send: remind,",
            "send: reminder,",
            "journeys/cart.yaml:9:24: found mail `reminder`, expected one of `confirm`, `remind`; did you mean `remind`?",
        ),
        (
            "[{event: Order Completed}]",
            "[{event: Order Complete}]",
            "journeys/cart.yaml:6:21: found event `Order Complete`, expected an event of the Segment Spec or one listed under `events` in workspace.yaml; did you mean `Order Completed`?",
        ),
        (
            "after: 2h}",
            "after: 2 hours}",
            "journeys/cart.yaml:3:42: found `2 hours`, expected a length of time such as 90s, 15m, 4h, 3d or 1w, at most 730d",
        ),
        (
            "after: 2h}",
            "after: 2}",
            "journeys/cart.yaml:3:42: found the number 2, expected a length of time such as 90s, 15m, 4h, 3d or 1w, at most 730d; a number needs its unit: s, m, h, d or w",
        ),
        (
            "signal: Cart Abandoned",
            "signal: Cart Abandonned",
            "journeys/cart.yaml:3:19: found signal `Cart Abandonned`, expected one of `Back After Absence`, `Became Dormant`, `Binge Started`, `Browse Abandoned`, `Cart Abandoned`, `Checkout Abandoned`, `Complaint Received`, `Engagement Declining`, `First Purchase`, `Interest Shown`, `Lead Submitted`, `Registration Abandoned`; did you mean `Cart Abandoned`?",
        ),
        (
            "state: live",
            "state: lvie",
            "journeys/cart.yaml:2:8: found state `lvie`, expected one of `draft`, `live`, `paused`, `archived`; did you mean `live`?",
        ),
        (
            "name: cart",
            "name: kart",
            "journeys/cart.yaml:1:7: found name `kart`, expected `cart`, the name of the file",
        ),
        (
            "fact: cart.value, at_least: 1}",
            "fact: cart.values, at_least: 1}",
            "journeys/cart.yaml:4:22: found fact `cart.values`, expected one of `orders.count`, `orders.value`, `orders.currency`, `orders.values`, `orders.last`, `cart.items`, `cart.products`, `cart.value`, `cart.currency`, `cart.lines`, `cart.id`, `cart.updated`; did you mean `cart.value`?",
        ),
        (
            "at_least: 1}",
            "at_least: many}",
            "journeys/cart.yaml:4:44: found `many`, expected a number",
        ),
        (
            "at_least: 1}",
            "atleast: 1}",
            "journeys/cart.yaml:4:34: found key `atleast`, expected one of `fact`, `equals`, `not_equals`, `exists`, `above`, `at_least`, `below`, `at_most`, `contains`, `one_of`; did you mean `at_least`?",
        ),
        (
            "re_entry: {after: 7d}",
            "re_entry: sometimes",
            "journeys/cart.yaml:5:11: found `sometimes`, expected never, after_exit or {after: 7d}",
        ),
        (
            "id: later",
            "id: last",
            "journeys/cart.yaml:18:10: found step id `last` a second time, expected each id once; the first is on line 17",
        ),
        (
            "delay: 1d}",
            "dely: 1d}",
            "journeys/cart.yaml:17:21: found step `dely`, expected one of `send`, `delay`, `wait_until`, `branch`, `exit`; did you mean `delay`?",
        ),
        (
            "{id: later, delay: 1d}",
            "{id: later, delay: 1d, next: lst}",
            "journeys/cart.yaml:17:38: found step `lst`, expected one of `big`, `call`, `last`, `later`, `remind`, `wait`; did you mean `last`?",
        ),
        (
            "{id: later, delay: 1d}",
            "{id: later, delay: 1d, next: remind}",
            "journeys/cart.yaml:17:14: found a loop: remind → wait → big → later → remind, expected steps that only lead forward",
        ),
        (
            "  - {id: wait, wait_until: {event: Order Completed, timeout: 20h}}",
            "  - {id: wait, exit: true}",
            "journeys/cart.yaml:11:9: found step `big`, which nothing leads to, expected steps that can be reached",
        ),
        (
            "timeout: 20h}}",
            "}}",
            "journeys/cart.yaml:10:28: found no key `timeout`, expected `timeout: 20h`",
        ),
        (
            "id: remind,",
            "id: Remind Me,",
            "journeys/cart.yaml:9:10: found `Remind Me`, expected a step's id of lower-case letters, digits and hyphens that begins with a letter, at most 48 long; for example `remind-me`",
        ),
    ];
    for (from, to, expected) in cases {
        let found = journey_faults(from, to);
        assert!(found.contains(&expected.to_owned()), "{to}:\n{}", found.join("\n"));
    }
}

#[test]
fn golden_faults_of_settings_and_mails() {
    let cases: [(&str, String, &str); 10] = [
        (
            "workspace.yaml",
            SETTINGS.replace("hello@northwind.example", "hello@northwind"),
            "workspace.yaml:3:9: found `hello@northwind`, which is not an e-mail address, expected an e-mail address such as hello@example.com",
        ),
        (
            "workspace.yaml",
            SETTINGS.replace("confirmation_mail: confirm", "confirmation_mail: confrim"),
            "workspace.yaml:11:20: found mail `confrim`, expected one of `confirm`, `remind`; did you mean `confirm`?",
        ),
        (
            "workspace.yaml",
            SETTINGS.replace("  postal_address: 12 Harbour Street, 20457 Hamburg\n", ""),
            "workspace.yaml:2:3: found no key `postal_address`, expected `postal_address: \"12 Harbour Street, 20457 Hamburg\"`",
        ),
        (
            "workspace.yaml",
            SETTINGS.replace("kind: browser", "kind: browsr"),
            "workspace.yaml:7:15: found kind of source `browsr`, expected one of `browser`, `server`; did you mean `browser`?",
        ),
        (
            "workspace.yaml",
            SETTINGS.replace("sources:\n", "sources:\n  feedback: {kind: server}\n"),
            "workspace.yaml:7:3: found source `feedback`, expected another name: under this one the stack itself speaks",
        ),
        (
            "workspace.yaml",
            SETTINGS.replace("topics:\n", "topics:\n  offers: {title: Offers, kind: marketing}\n"),
            "workspace.yaml:10:3: found key `offers` a second time, expected each key once",
        ),
        (
            "mails/remind.mjml",
            "<mjml></mjml>".to_owned(),
            "mails/remind.mjml:1:1: found no front matter, expected lines `---`, `subject: …`, `---` before the MJML",
        ),
        (
            "mails/remind.mjml",
            MAIL.replace("subject: Hello", "subject: {{ name }}"),
            "mails/remind.mjml:2:10: found a mapping, expected a subject of one line; a value that begins with { must stand between quotes",
        ),
        (
            "mails/remind.mjml",
            MAIL.replace("subject: Hello", "subjekt: Hello"),
            "mails/remind.mjml:2:1: found key `subjekt`, expected one of `subject`, `preview`; did you mean `subject`?",
        ),
        (
            "mails/stray.txt",
            "hello".to_owned(),
            "mails/stray.txt:1:1: found a text part without its mail, expected mails/stray.mjml beside it",
        ),
    ];
    for (file, text, expected) in cases {
        let found = faults(&[(file, &text)]);
        assert!(found.contains(&expected.to_owned()), "{expected}\n--\n{}", found.join("\n"));
    }
}

#[test]
fn golden_faults_of_signals() {
    let settings = |lines: &str| format!("{SETTINGS}signals:\n{lines}");
    let cases = [
        (
            "  Repeat Purchas: {at_least: 3}",
            "workspace.yaml:13:3: found signal `Repeat Purchas`, expected one of `Cart Abandoned`, `Browse Abandoned`, `Checkout Abandoned`, `First Purchase`, `Repeat Purchase`, `Became Dormant`, `Registration Abandoned`, `Lead Submitted`, `Back After Absence`, `Complaint Received`, `Interest Shown`, `Binge Started`; did you mean `Repeat Purchase`?",
        ),
        (
            "  Repeat Purchase: {after: 4h}",
            "workspace.yaml:13:21: found key `after` of the signal `Repeat Purchase`, expected `at_least: 2`",
        ),
        (
            "  Repeat Purchase: {atleast: 4}",
            "workspace.yaml:13:21: found key `atleast`, expected one of `at_least`; did you mean `at_least`?",
        ),
        (
            "  Repeat Purchase: {at_least: 1}",
            "workspace.yaml:13:31: found the number 1, expected a whole number of orders, from 2 to 31",
        ),
        (
            "  Interest Shown: {at_least: -5}",
            "workspace.yaml:13:30: found the number -5, expected a whole number of seconds in one week, from 1 to 86400",
        ),
        (
            "  Renewal Due: {before: soon}",
            "workspace.yaml:13:25: found `soon`, expected a length of time such as 90s, 15m, 4h, 3d or 1w, at most 730d",
        ),
    ];
    for (lines, expected) in cases {
        let found = faults(&[("workspace.yaml", &settings(lines))]);
        assert!(found.contains(&expected.to_owned()), "{expected}\n--\n{}", found.join("\n"));
    }
    let trigger = |trigger: &str| journey_faults("signal: Cart Abandoned, after: 2h", trigger);
    let found = trigger("signal: Became Dormant, at_least: 2");
    let expected = "journeys/cart.yaml:3:35: found key `at_least` of the signal `Became Dormant`, expected `after: 60d`";
    assert_eq!(found, [expected]);
}

/// What the file names, what a live journey begins with, and what is always on.
#[test]
fn signals_in_use() {
    let rules = |settings: &str, trigger: &str| -> Vec<(String, Vec<Threshold>)> {
        let journey = JOURNEY.replace("signal: Cart Abandoned, after: 2h", trigger);
        let given = [("workspace.yaml", settings), ("journeys/cart.yaml", &*journey)];
        let workspace = Workspace::read(&files(&given)).unwrap();
        let signals = workspace.publish(Vec::new(), Stamp::from_ms(1)).catalog.signals;
        signals.iter().map(|rule| (rule.name.clone(), rule.each().collect())).collect()
    };
    let after = |hours| Threshold::After(Span::HOUR.times(hours));
    let always = [
        ("Cart Abandoned".to_owned(), vec![after(4)]),
        ("Browse Abandoned".to_owned(), vec![after(2)]),
    ];
    assert_eq!(rules(SETTINGS, "event: Order Completed"), always);
    let named = format!("{SETTINGS}signals:\n  First Purchase: {{}}\n  Repeat Purchase:\n");
    let found = rules(&named, "signal: Repeat Purchase, at_least: 5");
    assert_eq!(found[2], ("First Purchase".to_owned(), vec![Threshold::AtLeast(1)]));
    let both = vec![Threshold::AtLeast(2), Threshold::AtLeast(5)];
    assert_eq!(found[3], ("Repeat Purchase".to_owned(), both));
    let found = rules(SETTINGS, "signal: Renewal Due");
    let due = vec![Threshold::Before(Span::DAY.times(7))];
    assert_eq!(found[2..], [("Renewal Due".to_owned(), due)]);
}

/// Settings with more lines, a journey with another send step.
const PACED: &str = "\
frequency_caps:
  - {at_most: 2, within: 1d}
  - {at_most: 5, within: 7d, topic: offers}
quiet_hours: {from: 22:00, to: \"07:00\", timezone: europe/berlin}
when_capped: defer
when_quiet: skip
deferral: {at_most: 2d, spread: 30m}
";

#[test]
fn pacing_is_read() {
    let settings = format!("{SETTINGS}{PACED}");
    let journey = JOURNEY
        .replace("steps:\n  - {id: remind,", "steps:\n  - {id: remind, when_quiet: defer,")
        .replace("goal:", "frequency_caps: [{at_most: 3, within: 30d}]\ngoal:");
    let read =
        Workspace::read(&files(&[("workspace.yaml", &settings), ("journeys/cart.yaml", &journey)]));
    let workspace = read.unwrap();
    let published = workspace.publish(Vec::new(), Stamp::from_ms(1));
    let pacing = &published.catalog.pacing;
    let caps: Vec<String> = pacing.frequency_caps.iter().map(ToString::to_string).collect();
    assert_eq!(caps, ["at most 2 within 1d", "at most 5 within 7d under offers"]);
    let quiet = pacing.quiet_hours.as_ref().unwrap();
    assert_eq!(
        (quiet.to_string().as_str(), quiet.timezone.name()),
        ("22:00–07:00", "Europe/Berlin")
    );
    assert_eq!((pacing.when_capped, pacing.when_quiet), (Instead::Defer, Instead::Skip));
    assert_eq!((pacing.defer_at_most, pacing.spread), (Span::DAY.times(2), Span::MINUTE.times(30)));
    let entry = published.catalog.journeys.values().next().unwrap();
    assert_eq!(entry.frequency_caps[0].to_string(), "at most 3 within 30d");
    let journey = published.journeys.values().next().unwrap();
    assert!(matches!(
        journey.steps.get(&step("remind")).unwrap().kind,
        StepKind::Send { when_capped: None, when_quiet: Some(Instead::Defer), .. }
    ));
    // Nothing said is nothing held back, and the addresses of such journeys stay what they were.
    let plain = Workspace::read(&files(&[])).unwrap().publish(Vec::new(), Stamp::from_ms(1));
    assert_eq!(plain.catalog.pacing, crate::pacing::Pacing::default());
    let json = serde_json::to_string(plain.journeys.values().next().unwrap()).unwrap();
    assert!(!json.contains("when_") && !json.contains("frequency_caps"), "{json}");
}

#[test]
fn golden_faults_of_pacing() {
    let cases = [
        (
            "at_most: 2,",
            "at_most: 0,",
            "workspace.yaml:13:15: found the number 0, expected a number from 1 to 24: an address's last 24 messages are counted",
        ),
        (
            "at_most: 2,",
            "at_most: 50,",
            "workspace.yaml:13:15: found the number 50, expected a number from 1 to 24: an address's last 24 messages are counted",
        ),
        ("within: 1d", "within: 100d", "workspace.yaml:13:26: found `100d`, expected at most 90d"),
        (
            "within: 1d",
            "within: 1",
            "workspace.yaml:13:26: found the number 1, expected a length of time such as 90s, 15m, 4h, 3d or 1w, at most 730d; a number needs its unit: s, m, h, d or w",
        ),
        (
            "within: 7d, topic: offers",
            "within: 1d",
            "workspace.yaml:14:5: found a second cap within 1d, expected one cap for each window",
        ),
        (
            "topic: offers}",
            "topic: ofers}",
            "workspace.yaml:14:37: found topic `ofers`, expected one of `offers`, `orders`; did you mean `offers`?",
        ),
        (
            "topic: offers}",
            "topic: orders}",
            "workspace.yaml:14:37: found topic `orders`, which is exempt from caps, expected a topic that caps bind; give `orders` the key `exempt: false`",
        ),
        (
            "from: 22:00",
            "from: 24:30",
            "workspace.yaml:15:21: found `24:30`, expected a time on the 24-hour clock such as \"21:00\"",
        ),
        (
            "from: 22:00",
            "from: \"07:30\"",
            "workspace.yaml:15:14: found quiet hours 07:30–07:00, which leave 30 minutes of a day, expected at least 60 minutes in which mails may go out",
        ),
        (
            "europe/berlin",
            "Berlin",
            "workspace.yaml:15:51: found `Berlin`, expected a time zone of the IANA database such as Europe/Berlin; did you mean `Europe/Berlin`?",
        ),
        (
            "when_capped: defer",
            "when_capped: wait",
            "workspace.yaml:16:14: found when_capped `wait`, expected one of `skip`, `defer`",
        ),
        ("at_most: 2d", "at_most: 60d", "workspace.yaml:18:21: found `60d`, expected at most 30d"),
        (
            "spread:",
            "spred:",
            "workspace.yaml:18:25: found key `spred`, expected one of `at_most`, `spread`; did you mean `spread`?",
        ),
    ];
    for (from, to, expected) in cases {
        assert!(PACED.contains(from), "{from}");
        let settings = format!("{SETTINGS}{}", PACED.replacen(from, to, 1));
        let found = faults(&[("workspace.yaml", &settings)]);
        assert!(found.contains(&expected.to_owned()), "{to}:\n{}", found.join("\n"));
    }
    let exempt = SETTINGS.replace("kind: marketing}", "kind: marketing, exempt: perhaps}");
    let found = faults(&[("workspace.yaml", &exempt)]);
    assert!(found[0].contains("expected true or false: whether frequency caps"), "{}", found[0]);
    let journey = JOURNEY
        .replace("goal:", "frequency_caps: [{at_most: 3, within: 30d, topic: offers}]\ngoal:");
    let found = faults(&[("journeys/cart.yaml", &journey)]);
    assert!(
        found[0].contains("found key `topic`, expected one of `at_most`, `within`"),
        "{}",
        found[0]
    );
}

#[test]
fn caps_that_need_more_than_a_contact_remembers_are_refused() {
    let caps = "frequency_caps:\n  - {at_most: 20, within: 30d}\n  - {at_most: 20, within: 30d, topic: offers}\n";
    let found = faults(&[("workspace.yaml", &format!("{SETTINGS}{caps}"))]);
    assert_eq!(
        found,
        [
            "workspace.yaml:1:1: found frequency caps that count 40 messages: at most 20 within 30d, at most 20 within 30d under offers, expected at most 24: an address's last 24 are counted"
        ]
    );
}

#[test]
fn all_faults_are_told_at_once() {
    let journey = JOURNEY
        .replace("topic: offers}", "topic: ofers}")
        .replace("Order Completed", "Order Complete")
        .replace("after: 2h", "after: 2");
    let settings = SETTINGS.replace("kind: browser", "kind: browsr");
    let found = faults(&[("journeys/cart.yaml", &journey), ("workspace.yaml", &settings)]);
    // Three events, two topics, one span, one source.
    assert_eq!(found.len(), 7, "{}", found.join("\n"));
}

#[test]
fn what_is_no_yaml_names_its_line() {
    let found = faults(&[("journeys/cart.yaml", "name: cart\n  state: [live\n")]);
    assert!(found[0].starts_with("journeys/cart.yaml:2:"), "{}", found[0]);
    assert!(found[0].contains("expected YAML"), "{}", found[0]);
    let found = faults(&[("journeys/cart.yaml", "")]);
    assert_eq!(found, ["journeys/cart.yaml:1:1: found an empty file, expected a mapping"]);
    let mut none = files(&[]);
    none.remove("workspace.yaml");
    let found = Workspace::read(&none).unwrap_err();
    assert!(found.iter().any(|f| f.to_string().starts_with("workspace.yaml:1:1: found no such")));
}

proptest! {
    /// Whatever stands in a file, reading it ends, and each fault has a place.
    #[test]
    fn no_text_is_a_panic(text in "[a-z:{}\\[\\]\"'&*!|>#\\-\n ?,%@0-9.é]{0,200}") {
        for file in ["workspace.yaml", "journeys/cart.yaml", "mails/remind.mjml"] {
            if let Err(faults) = Workspace::read(&files(&[(file, &text)])) {
                prop_assert!(faults.iter().all(|f| f.place.line > 0 && f.place.column > 0));
            }
        }
    }

    /// A right file cut anywhere or with a line taken out is right or has faults, never a panic.
    #[test]
    fn cut_files(at in 0..JOURNEY.len(), line in 0..18_usize) {
        let cut = JOURNEY.get(..at).unwrap_or_default();
        let _ = Workspace::read(&files(&[("journeys/cart.yaml", cut)]));
        let without: Vec<&str> =
            JOURNEY.lines().enumerate().filter(|(i, _)| *i != line).map(|(_, l)| l).collect();
        let _ = Workspace::read(&files(&[("journeys/cart.yaml", &without.join("\n"))]));
    }
}
