//! `docs/EVENTS.md` names every event, fact, signal and bus event that the code knows, and
//! `docs/TRACKING_PLAN.md` every violation; its example is a plan.

use crate::events::BUS;
use odyssey_domain::event::Event;
use odyssey_domain::ids::{IdentityKey, ProfileId};
use odyssey_domain::plan::{ValueType, ViolationKind};
use odyssey_domain::profile::{
    COUNTED_EVENTS, Channel, NOT_THE_CUSTOMERS, Root, TRAITS_MAX, Watched,
};
use odyssey_domain::segment::{SEGMENT_ENTERED, SEGMENT_EXITED};
use odyssey_domain::signal::{SignalKind, Stage, Threshold};
use odyssey_domain::wire::{SourceKind, SourceRef};
use odyssey_domain::workspace::{FACTS, Files, PLAN_FILE, SPEC_EVENTS, Workspace};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    std::fs::read_to_string(path).unwrap()
}

fn text() -> String {
    page("EVENTS.md")
}

/// What stands in backticks, outside of blocks of code. A name that begins with a dot is short for
/// one of the family that was named before it on its line: `` `cart.items`, `.value` ``.
fn named(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut in_block = false;
    for line in text.lines() {
        let fence = line.starts_with("```");
        in_block ^= fence;
        if fence || in_block {
            continue;
        }
        let mut family = "";
        for name in line.split('`').skip(1).step_by(2) {
            match (name.strip_prefix('.'), name.rsplit_once('.')) {
                (Some(_), _) => drop(found.insert(format!("{family}{name}"))),
                (None, before) => {
                    family = before.map_or("", |(family, _)| family);
                    found.insert(name.to_owned());
                }
            }
        }
    }
    found
}

/// Fails with every name that is not there.
fn assert_named<'n>(what: &str, names: impl IntoIterator<Item = &'n str>) {
    let held = named(&text());
    let missing: Vec<&str> = names.into_iter().filter(|name| !held.contains(*name)).collect();
    assert!(missing.is_empty(), "docs/EVENTS.md does not name these {what}: {missing:?}");
}

#[test]
fn short_names_belong_to_the_family_before_them() {
    let found = named("| `cart.items`, `.value`; `a b` | `.x` |\n```\n`no`\n```\n`c.d.e` `.f`");
    let expected = ["cart.items", "cart.value", "a b", ".x", "c.d.e", "c.d.f"];
    assert_eq!(found, expected.map(str::to_owned).into());
}

#[test]
fn every_event_is_documented() {
    assert_named("events", COUNTED_EVENTS.into_iter().chain(SPEC_EVENTS.iter().copied()));
}

#[test]
fn what_is_no_deed_is_documented_as_such() {
    let text = text();
    let part = text.split("\n### Deeds\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let named = named(part);
    for name in NOT_THE_CUSTOMERS {
        assert!(named.contains(name), "{name} is no deed");
    }
    let deeds = COUNTED_EVENTS.into_iter().filter(|name| !NOT_THE_CUSTOMERS.contains(name));
    // Named there for the machines' clicks.
    for name in deeds.filter(|name| *name != "Email Link Clicked") {
        assert!(!named.contains(name), "{name} is a deed");
    }
}

#[test]
fn every_signal_is_documented_with_its_threshold() {
    assert_named("signals", SignalKind::ALL.map(SignalKind::name));
    assert_named("signals", [SEGMENT_ENTERED, SEGMENT_EXITED]);
    let text = text();
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| `")).collect();
    for kind in SignalKind::ALL {
        let threshold = kind.default_threshold();
        let begins = format!("| `{}` | `{}: {}`", kind.name(), threshold.key(), threshold.value());
        assert!(rows.iter().any(|row| row.starts_with(&begins)), "no row begins with {begins}");
    }
}

#[test]
fn the_bounds_of_thresholds_are_documented() {
    let text = text();
    for kind in SignalKind::ALL {
        let Some((_, least, most)) = kind.levels() else { continue };
        let begins = format!("| `{}` | `at_least: ", kind.name());
        let row = text.lines().find(|line| line.starts_with(&begins)).unwrap();
        let bounds = format!("({least} to {most}").replace("86400", "86,400");
        assert!(least == most || row.contains(&bounds), "{row} does not say {bounds}");
    }
}

#[test]
fn every_fact_is_documented() {
    assert_named("facts", FACTS.iter().copied());
    assert_named("facts", ["events.<name>", "browse.<category>"]);
}

/// The names in the first column of the table that follows a heading: what stands in backticks there.
fn rows_of(text: &str, heading: &str) -> BTreeSet<String> {
    let part = text.split(&format!("\n{heading}\n")).nth(1).unwrap_or_default();
    let rows = part.lines().skip_while(|line| !line.starts_with("| "));
    let cells =
        rows.take_while(|line| line.starts_with('|')).filter_map(|row| row.split('|').nth(1));
    cells.flat_map(named).collect()
}

#[test]
fn the_first_column_of_a_table_is_found() {
    let text = "x `no`\n### A\n`no`\n\n| a | b |\n| --- | --- |\n| `c.d`, `.e` | `no` |\n| `f` | |\n\n| `no` | |\n";
    assert_eq!(rows_of(text, "### A"), ["c.d", "c.e", "f"].map(str::to_owned).into());
}

/// The other direction: what the page promises, the code knows. A name that was taken out or is
/// misspelt would be a condition that never holds.
#[test]
fn no_fact_or_signal_is_documented_that_is_none() {
    let text = text();
    let signals = SignalKind::ALL.map(SignalKind::name);
    let signals: BTreeSet<&str> =
        signals.into_iter().chain([SEGMENT_ENTERED, SEGMENT_EXITED]).collect();
    let facts: BTreeSet<&str> =
        FACTS.iter().copied().chain(["events.<name>", "browse.<category>"]).collect();
    for (heading, known) in [("### Facts", facts), ("### Signals", signals)] {
        let rows = rows_of(&text, heading);
        let strange: Vec<&String> =
            rows.iter().filter(|name| !known.contains(name.as_str())).collect();
        assert!(strange.is_empty(), "{heading} names what the code does not know: {strange:?}");
        // Each has a row of its own, and is not only mentioned somewhere.
        let missing: Vec<&&str> = known.iter().filter(|name| !rows.contains(**name)).collect();
        assert!(missing.is_empty(), "{heading} has no row for {missing:?}");
    }
}

#[test]
fn stages_channels_and_bus_events_are_documented() {
    let stages = [
        Stage::Visitor,
        Stage::Lead,
        Stage::New,
        Stage::Active,
        Stage::Loyal,
        Stage::AtRisk,
        Stage::Dormant,
        Stage::Lapsed,
    ];
    assert_named("stages", stages.map(Stage::name));
    assert_named("words for channels", Channel::WORDS.map(|(word, _)| word));
    assert_named("detail-types", BUS.map(|(detail_type, _)| detail_type));
    let sources = BUS.iter().flat_map(|(_, sources)| sources.iter().copied());
    assert_named("sources of the bus", sources);
    let keys = SignalKind::ALL.map(|kind| kind.default_threshold().key());
    assert_named("keys of thresholds", keys);
    assert_named("keys of thresholds", [Threshold::AtLeast(1).key(), "segment"]);
}

/// Properties that every touchpoint finds something in.
fn rich(n: u64) -> Value {
    json!({"product_id": "p", "name": "Tent", "price": 20, "quantity": 2, "currency": "EUR",
        "category": "tents", "brand": "Hart", "cart_id": "c", "order_id": format!("o-{n}"), "total": 40,
        "products": [{"product_id": "p", "price": 20, "category": "tents", "brand": "Hart"}],
        "seconds": 9, "scroll_depth": 50, "dwell": [{"category": "tents", "product_id": "p",
        "seconds": 5, "hovers": 1}], "form": format!("form-{n}"), "content_asset_id": "v",
        "genre": "drama", "position": 1, "total_length": 9, "ticket_id": "t", "about": "socks",
        "score": 4, "renews_at": "2026-12-01", "email_id": "m"})
}

/// Everything that a profile knows in which every event happened, in which every channel was used.
fn of_everybody() -> BTreeSet<String> {
    let mut root = Root::default();
    let own = IdentityKey::from_bytes([1; 16]);
    let source = SourceRef { name: "shop".to_owned(), kind: SourceKind::Server };
    let context = json!({"sessionId": "s", "locale": "de-DE", "timezone": "Europe/Berlin",
        "device": {"type": "tv"}, "location": {"country": "DE", "region": "BE", "city": "Berlin"},
        "campaign": {"name": "c", "source": "s", "medium": "m"}});
    let last = ["Product Added", "Checkout Started", "Subscription Started"];
    let names = COUNTED_EVENTS.into_iter().filter(|name| !last.contains(name));
    // A second order, so that there is a time between two; then a cart that nothing empties.
    let names = names.chain(["Order Completed"]).chain(last);
    let channels = Channel::WORDS.into_iter().map(|(word, _)| word).chain(["carrier pigeon"]);
    let tracked = names.map(|name| (name, None));
    let talked = channels.map(|word| ("Spoken To", Some(word)));
    let mut traits = serde_json::Map::new();
    for n in 0..=TRAITS_MAX {
        traits.insert(format!("trait-{n}"), n.into());
    }
    for (n, (name, channel)) in (0_u64..).zip(tracked.chain(talked)) {
        let mut properties = rich(n);
        if let Some(channel) = channel {
            properties["channel"] = channel.into();
        }
        let event: Event = serde_json::from_value(json!({"id": format!("e{n}"),
            "at": 1_790_000_000_000_u64 + n * 60_000, "type": "track", "name": name,
            "properties": properties, "traits": traits, "context": context}))
        .unwrap();
        root.accumulator_of(own, own).1.fold(&event, &source, &Watched::default());
    }
    root.view(ProfileId::from(own)).facts.into_keys().collect()
}

/// The list that the test above and the checks of conditions go by is what profiles give.
#[test]
fn the_list_of_facts_is_whole() {
    let found = of_everybody();
    let of_a_name = |fact: &str| {
        let counted = fact.strip_prefix("events.").is_some_and(|name| name != "total");
        counted || fact == "browse.tents"
    };
    let found: BTreeSet<&str> =
        found.iter().map(String::as_str).filter(|fact| !of_a_name(fact)).collect();
    // What the published workspace adds to the facts of events.
    let of_the_workspace = ["computed.filling", "computed.partial", "computed.hides", "stage"];
    let listed: BTreeSet<&str> =
        FACTS.iter().copied().filter(|fact| !of_the_workspace.contains(fact)).collect();
    let missing: Vec<&&str> = found.difference(&listed).collect();
    let too_many: Vec<&&str> = listed.difference(&found).collect();
    assert!(missing.is_empty(), "facts that no list names: {missing:?}");
    assert!(too_many.is_empty(), "facts that no event gave: {too_many:?}");
}

#[test]
fn the_tracking_plan_is_documented() {
    let text = page("TRACKING_PLAN.md");
    let named = named(&text);
    let kinds = [
        ViolationKind::UnknownEvent,
        ViolationKind::UnknownProperty,
        ViolationKind::WrongType,
        ViolationKind::MissingRequired,
        ViolationKind::ValueNotAllowed,
    ];
    for kind in kinds {
        assert!(named.contains(kind.code()), "{} is not named", kind.code());
        assert!(text.contains(&format!("| {kind} |")), "`{kind}` is not said");
    }
    for kind in ValueType::DECLARABLE {
        assert!(named.contains(kind.word()), "{kind} is not named");
    }
    let example = text.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let files = Files::from([(PLAN_FILE.to_owned(), example.to_owned())]);
    let plan = Workspace::read_plan(&files).unwrap();
    assert_eq!(plan.events.len(), 4);
    assert!(plan.events["Quote Requested"].open);
}
