//! The storefront is right and its mistakes are found; the schemas that editors use name every key.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use odyssey::publish::build::build;
use odyssey::publish::directory;
use odyssey_domain::time::Stamp;
use odyssey_domain::workspace::{Files, keys};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/storefront")
}

fn files() -> Files {
    directory::read(&folder()).unwrap()
}

fn faults(files: &Files) -> Vec<String> {
    build(files, Stamp::MIN).unwrap_err().iter().map(ToString::to_string).collect()
}

/// The storefront with one text of one file replaced.
fn changed(file: &str, from: &str, to: &str) -> Files {
    let mut files = files();
    let text = files.get_mut(file).unwrap();
    assert!(text.contains(from), "{file}: {from}");
    *text = text.replace(from, to);
    files
}

#[test]
fn it_compiles_without_a_word() {
    let built = build(&files(), Stamp::MIN).unwrap();
    assert_eq!(built.warnings, []);
    assert_eq!(built.samples.len(), built.workspace.mails.len());
    for (id, rendered) in &built.samples {
        assert!(rendered.html.len() < 100 * 1024, "{id}: Gmail cuts off what is longer");
        assert!(!rendered.html.contains("jinjax") && !rendered.text.contains("jinjax"), "{id}");
        assert!(!rendered.html.contains("fonts.googleapis"), "{id}: no font is fetched");
        assert!(rendered.text.contains("20457 Hamburg"), "{id}:\n{}", rendered.text);
    }
    let forwarded = &built.publication.catalog.forwarded;
    assert_eq!(forwarded, &["Order Cancelled", "Order Completed", "Product Added"]);
}

#[test]
fn marketing_mail_without_its_duties_is_refused() {
    let without_link =
        changed("mails/cart-reminder.mjml", "{{ links.unsubscribe }}", "https://northwind.example");
    let found = faults(&without_link);
    assert_eq!(
        found,
        [
            "mails/cart-reminder.mjml:5:1: found a HTML part without `{{ links.unsubscribe }}`, expected an unsubscribe link, since `offers` is a marketing topic",
            "mails/cart-reminder.mjml:5:1: found a text part without `{{ links.unsubscribe }}`, expected an unsubscribe link, since `offers` is a marketing topic",
        ]
    );
    let without_address = changed("mails/cart-reminder.mjml", "{{ brand.postal_address }}", "");
    let found = faults(&without_address);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("the postal address, since `offers` is a marketing topic"));
    // The same mail under a transactional topic needs neither.
    let mut orders = without_link;
    let journey = orders.get_mut("journeys/cart-recovery.yaml").unwrap();
    *journey =
        journey.replace("send: cart-reminder, topic: offers", "send: cart-reminder, topic: orders");
    assert!(build(&orders, Stamp::MIN).is_ok());
}

#[test]
fn a_link_in_a_comment_is_no_link() {
    let hidden = changed(
        "mails/cart-reminder.mjml",
        "<a href=\"{{ links.unsubscribe }}\">Unsubscribe with one click</a>",
        "<span title=\"{{ links.unsubscribe }}\">no link</span>",
    );
    assert!(faults(&hidden)[0].contains("found a HTML part without"));
}

#[test]
fn templates_fail_on_the_authors_own_line() {
    let cases = [
        (
            "Your cart is still packed\n",
            "{{ profile.shoe_size }}\n",
            "mails/cart-reminder.mjml:31:1: found `profile.shoe_size` is undefined, expected values that every customer of the journey has; not every customer has it",
        ),
        (
            "Your cart is still packed\n",
            "{{ profile.first_name }}\n",
            "mails/cart-reminder.mjml:31:1: found `profile.first_name` is undefined, expected values that every customer of the journey has; not every customer has it",
        ),
        (
            "Your cart is still packed\n",
            "{{ facts.cart.value|monney(\"EUR\") }}\n",
            "mails/cart-reminder.mjml:31:1: found ",
        ),
        ("{% endfor %}", "", "mails/cart-reminder.mjml:"),
    ];
    for (from, to, expected) in cases {
        let found = faults(&changed("mails/cart-reminder.mjml", from, to));
        assert!(found.iter().any(|f| f.starts_with(expected)), "{expected}\n{}", found.join("\n"));
    }
}

#[test]
fn a_confirmation_mail_without_its_link_is_refused() {
    let found = faults(&changed("mails/confirm.mjml", "{{ links.confirm }}", "https://x.example"));
    assert!(found[0].contains("no `{{ links.confirm }}`"), "{}", found[0]);
}

fn schema(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// What an editor offers is what the reader takes.
#[test]
fn the_schemas_name_the_readers_keys() {
    let names = |value: &Value| -> BTreeSet<String> {
        value.as_object().map(|object| object.keys().cloned().collect()).unwrap_or_default()
    };
    let set =
        |keys: &[&str]| -> BTreeSet<String> { keys.iter().map(|k| (*k).to_owned()).collect() };
    let workspace = schema(odyssey::WORKSPACE_SCHEMA);
    assert_eq!(names(&workspace["properties"]), set(keys::SETTINGS_KEYS));
    assert_eq!(names(&workspace["properties"]["brand"]["properties"]), set(keys::BRAND_KEYS));
    let parts = &workspace["properties"];
    let of = |node: &Value| names(&node["properties"]);
    assert_eq!(of(&parts["topics"]["additionalProperties"]), set(keys::TOPIC_KEYS));
    assert_eq!(of(&parts["frequency_caps"]["items"]), set(keys::CAP_KEYS));
    assert_eq!(of(&parts["quiet_hours"]), set(keys::QUIET_KEYS));
    assert_eq!(of(&parts["deferral"]), set(keys::DEFERRAL_KEYS));
    let computed = &parts["computed_traits"]["additionalProperties"];
    assert_eq!(of(computed), set(keys::COMPUTED_KEYS));
    let kinds = computed["properties"]["kind"]["enum"].as_array().unwrap();
    assert_eq!(kinds.iter().map(|k| k.as_str().unwrap()).collect::<Vec<_>>(), keys::COMPUTED_KINDS);
    let limits = [&parts["computed_traits"]["maxProperties"]];
    assert_eq!(limits, [odyssey_domain::profile::COMPUTED_TRAITS_MAX]);
    let plan = schema(odyssey::PLAN_SCHEMA);
    assert_eq!(of(&plan), set(keys::PLAN_KEYS));
    let event = &plan["properties"]["events"]["additionalProperties"];
    assert_eq!(of(event), set(keys::PLANNED_EVENT_KEYS));
    let property = &event["properties"]["properties"]["additionalProperties"]["anyOf"][2];
    assert_eq!(of(property), set(keys::PROPERTY_KEYS));
    let journey = schema(odyssey::JOURNEY_SCHEMA);
    assert_eq!(names(&journey["properties"]), set(keys::JOURNEY_KEYS));
    let caps = &journey["properties"]["frequency_caps"]["items"];
    assert_eq!(of(caps), set(keys::JOURNEY_CAP_KEYS));
    let defs = &journey["$defs"];
    assert_eq!(names(&defs["event"]["properties"]), set(keys::EVENT_KEYS));
    let steps = defs["step"]["oneOf"].as_array().unwrap();
    assert_eq!(steps.len(), keys::STEP_KINDS.len());
    for (kind, keys) in keys::STEP_KINDS {
        let step = steps.iter().find(|s| s["properties"].get(*kind).is_some()).unwrap();
        assert_eq!(names(&step["properties"]), set(keys), "{kind}");
    }
    let segment = schema(odyssey::SEGMENT_SCHEMA);
    assert_eq!(names(&segment["properties"]), set(keys::SEGMENT_KEYS));
    let words = |schema: &Value| -> BTreeSet<String> {
        let conditions = schema["$defs"]["condition"]["oneOf"].as_array().unwrap();
        conditions.iter().map(|c| c["required"][0].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(words(&journey), set(keys::JOURNEY_CONDITION_KEYS));
    assert_eq!(words(&segment), set(keys::SEGMENT_CONDITION_KEYS));
    let conditions = defs["condition"]["oneOf"].as_array().unwrap();
    let leaf = conditions.iter().find(|c| c["required"][0] == "fact").unwrap();
    let mut comparisons = set(keys::COMPARISON_KEYS);
    comparisons.insert("fact".to_owned());
    assert_eq!(names(&leaf["properties"]), comparisons);
}
