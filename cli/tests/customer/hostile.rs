//! What customers send is text: it comes out escaped, bounded, and turns nothing around.

use crate::world::{World, newest};
use odyssey_domain::wire::SourceKind;
use serde_json::{Map, Value, json};

/// Fits on a screen several times over, and in no case grows with what was sent.
const PAGE_BYTES_MAX: usize = 250_000;

fn assert_harmless(body: &str) {
    for part in ["<script", "<img", "onerror=\"", "\u{202e}", "\u{1b}", "\u{0}"] {
        assert!(!body.contains(part), "{part:?} came through");
    }
    assert!(body.len() < PAGE_BYTES_MAX, "{} bytes", body.len());
    // Every tag that is opened is one of the page's own.
    let tags = body.split('<').skip(1);
    for tag in tags {
        let name: String =
            tag.trim_start_matches('/').chars().take_while(char::is_ascii_alphanumeric).collect();
        assert!(
            [
                "a",
                "article",
                "bdi",
                "br",
                "code",
                "dd",
                "details",
                "div",
                "dl",
                "dt",
                "figcaption",
                "figure",
                "h1",
                "h2",
                "h3",
                "h4",
                "li",
                "nav",
                "ol",
                "p",
                "rect",
                "section",
                "span",
                "strong",
                "summary",
                "svg",
                "time",
                "ul"
            ]
            .contains(&name.as_str()),
            "<{name}"
        );
    }
}

#[test]
fn markup_is_text() {
    let mut world = World::new();
    let attack = "\"><script>alert(1)</script><img src=x onerror=\"alert(2)\">{body}{title}";
    let who = json!({"userId": attack, "anonymousId": attack});
    let mut traits = Map::new();
    traits.insert(attack.to_owned(), attack.into());
    traits.insert("name".to_owned(), attack.into());
    let said = json!({"type": "identify", "traits": traits, "context": {"campaign": {"name": attack},
        "location": {"city": attack}, "locale": attack}});
    world.say(SourceKind::Browser, &who, &said);
    let product = json!({"product_id": attack, "name": attack, "category": attack, "brand": attack,
        "price": 1, "currency": attack, attack: attack, "about": attack, "form": attack, "title": attack,
        "content_asset_id": attack, "genre": attack, "order_id": attack, "subject": attack, "channel": attack});
    for name in [
        "Product Viewed",
        "Product Added",
        "Order Completed",
        "Complaint Filed",
        "Form Started",
        "Form Submitted",
        "Video Content Started",
        "Ticket Opened",
        "Page Left",
        attack,
    ] {
        world.track(&who, name, &product);
    }
    world.pass(odyssey_domain::time::Span::HOUR.times(5));
    let (body, whole) = world.page(&format!("user:{attack}"));
    assert_harmless(&body);
    assert!(body.contains("&lt;script&gt;alert(1)"), "it is shown as what it is");
    assert!(!whole.contains("<script"));
    assert_eq!(whole.matches("<title>").count(), 1);
}

#[test]
fn what_turns_a_line_around_is_named() {
    let mut world = World::new();
    let who = json!({"userId": "u"});
    let turned = "paid\u{202e}drawer\u{1b}[2J\u{0}";
    world.say(SourceKind::Browser, &who, &json!({"type": "identify", "traits": {"name": turned}}));
    world.track(&who, turned, &json!({turned: turned}));
    let (body, _) = world.page("user:u");
    assert_harmless(&body);
    assert!(body.contains("⟨U+202E⟩"));
}

#[test]
fn a_megabyte_is_a_line() {
    let mut world = World::new();
    let who = json!({"userId": "u"});
    let long = "ä".repeat(500_000);
    world.say(
        SourceKind::Server,
        &who,
        &json!({"type": "identify", "traits": {"note": long, "name": long}}),
    );
    world.track(
        &who,
        "Product Viewed",
        &json!({"name": long, "product_id": long, "x": {"y": [long]}}),
    );
    let (body, _) = world.page("user:u");
    assert_harmless(&body);
    assert!(body.contains("of 1.0 MB in all"), "what is left out is said");
}

#[test]
fn ten_thousand_keys_are_forty() {
    let mut world = World::new();
    let who = json!({"userId": "u"});
    let bomb: Map<String, Value> = (0..10_000).map(|n| (format!("key {n}"), n.into())).collect();
    world.say(SourceKind::Server, &who, &json!({"type": "identify", "traits": bomb}));
    world.track(&who, "Bomb", &Value::Object(bomb));
    world.say(
        SourceKind::Server,
        &who,
        &json!({"type": "identify", "traits": {"n".repeat(97): 1}}),
    );
    let (body, _) = world.page("user:u");
    assert_harmless(&body);
    assert!(body.contains("too long to be kept whole") && body.contains(">trait names<"));
    assert!(body.contains("9,960 more are not shown"));
    assert!(body.contains("<h2 id=\"trimmed\">Trimmed</h2>") && body.contains(">traits<"));
    // JSON is for programs, which bound for themselves; its history's lines are bounded all the same.
    let customer = world.customer("user:u", newest(50));
    assert!(serde_json::to_string(&customer.history).unwrap().len() < 50_000);
}
