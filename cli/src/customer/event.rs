//! One event in words.

use super::text::{MEMBERS_MAX, SHOWN_MAX, clean, value};
use odyssey_domain::event::{Event, EventKind};
use serde_json::{Map, Value};

/// The longest name of a thing in a sentence, in characters.
const NAME_MAX: usize = 60;

/// What happened, as somebody would say it who watched.
#[must_use]
pub fn sentence(event: &Event) -> String {
    let name = event.name.as_deref().map(|name| clean(name, NAME_MAX));
    match event.kind {
        EventKind::Track => {
            let name = name.unwrap_or_default();
            track(&name, &event.properties).unwrap_or(name)
        }
        EventKind::Page => format!("Saw {}", place(name, &event.properties, "a page")),
        EventKind::Screen => format!("Saw {}", place(name, &event.properties, "a screen")),
        EventKind::Identify => match names(&event.traits) {
            given if given.is_empty() => "Said who they are".to_owned(),
            given => format!("Said who they are: {given}"),
        },
        EventKind::Group => {
            let group = event.group_id.as_deref().map(|id| clean(id, NAME_MAX));
            format!("Joined {}", group.as_deref().unwrap_or("a group"))
        }
        EventKind::Alias => "Two ids were said to be one person".to_owned(),
    }
}

/// The call and, where the sentence does not say it, the event's name: `track · Product Viewed`.
#[must_use]
pub fn call(event: &Event) -> String {
    let kind = event.kind.name();
    match &event.name {
        Some(name) => format!("{kind} · {}", clean(name, NAME_MAX)),
        None => kind.to_owned(),
    }
}

/// Everything it carried, name by name; values in one line each.
#[must_use]
pub fn members(event: &Event) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (part, map) in
        [("", &event.properties), ("traits.", &event.traits), ("context.", &event.context)]
    {
        for (name, found) in map.iter().take(MEMBERS_MAX) {
            all.push((format!("{part}{}", clean(name, NAME_MAX)), value(found, SHOWN_MAX)));
        }
        let left = map.len().saturating_sub(MEMBERS_MAX);
        if left > 0 {
            let left = super::text::number(u64::try_from(left).unwrap_or(u64::MAX));
            all.push((format!("{part}…"), format!("{left} more are not shown")));
        }
    }
    all
}

fn text(properties: &Map<String, Value>, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| match properties.get(*name)? {
        Value::String(text) if text.trim().is_empty() => None,
        Value::String(text) => Some(clean(text, NAME_MAX)),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    })
}

/// `249 EUR`
fn amount(properties: &Map<String, Value>, names: &[&str]) -> Option<String> {
    let amount = text(properties, names)?;
    Some(match text(properties, &["currency"]) {
        Some(currency) => format!("{amount} {currency}"),
        None => amount,
    })
}

fn product(properties: &Map<String, Value>) -> String {
    let name = text(properties, &["name", "product_name", "title", "product_id", "sku", "id"]);
    let name = name.unwrap_or_else(|| "a product".to_owned());
    match amount(properties, &["price"]) {
        Some(price) => format!("{name} ({price})"),
        None => name,
    }
}

fn pieces(properties: &Map<String, Value>) -> String {
    match properties.get("quantity").and_then(Value::as_u64) {
        Some(n) if n > 1 => format!("{n} × {}", product(properties)),
        _ => product(properties),
    }
}

fn place(name: Option<String>, properties: &Map<String, Value>, else_: &str) -> String {
    let known = text(properties, &["title", "path", "url"]);
    name.or(known).unwrap_or_else(|| else_.to_owned())
}

fn names(traits: &Map<String, Value>) -> String {
    let shown: Vec<String> = traits.keys().take(6).map(|name| clean(name, 24)).collect();
    let dots = if traits.len() > shown.len() { " …" } else { "" };
    shown.join(", ") + dots
}

/// What is known of how an event of the Segment Spec, or of this product's own, is told. `None`
/// where its name must speak for itself.
fn track(name: &str, p: &Map<String, Value>) -> Option<String> {
    let form = || text(p, &["form"]).unwrap_or_else(|| "a form".to_owned());
    let video = || text(p, &["title", "content_asset_id"]).unwrap_or_else(|| "a video".to_owned());
    let ticket = || text(p, &["subject", "about", "ticket_id"]).unwrap_or_default();
    let with = |lead: &str, more: Option<String>| match more.filter(|more| !more.is_empty()) {
        Some(more) => format!("{lead}: {more}"),
        None => lead.to_owned(),
    };
    Some(match name {
        "Product Viewed" => format!("Looked at {}", product(p)),
        "Product Clicked" => format!("Picked {} from a list", product(p)),
        "Product List Viewed" => {
            format!(
                "Looked through {}",
                text(p, &["category", "list_id"]).unwrap_or_else(|| "a list".to_owned())
            )
        }
        "Products Searched" => with("Searched", text(p, &["query"])),
        "Product Added" => format!("Put {} into the cart", pieces(p)),
        "Product Removed" => format!("Took {} out of the cart", pieces(p)),
        "Product Added to Wishlist" => format!("Wished for {}", product(p)),
        "Cart Viewed" => "Looked into the cart".to_owned(),
        "Checkout Started" => {
            with("Went to the checkout", amount(p, &["value", "total", "revenue"]))
        }
        "Order Completed" => with("Ordered", amount(p, &["total", "revenue", "value"])),
        "Order Cancelled" => with("The order was cancelled", text(p, &["order_id"])),
        "Order Refunded" => with("The order was refunded", amount(p, &["total", "value"])),
        "Page Left" => {
            let spent = p.get("seconds").and_then(Value::as_u64);
            let read = p.get("scroll_depth").and_then(Value::as_u64);
            let mut said = format!("Left {}", place(None, p, "a page"));
            if let Some(seconds) = spent {
                said = format!("{said} after {seconds} s");
            }
            match read {
                Some(percent) => format!("{said}, {percent} % read"),
                None => said,
            }
        }
        "Form Started" => format!("Began {}", form()),
        "Form Submitted" => format!("Sent {}", form()),
        "Form Abandoned" => format!("Gave up {}", form()),
        "Signed Up" => "Signed up".to_owned(),
        "Signed In" => "Signed in".to_owned(),
        "Video Content Started" | "Video Playback Started" => format!("Began to watch {}", video()),
        "Video Content Playing" => format!("Is watching {}", video()),
        "Video Content Completed" | "Video Playback Completed" => {
            format!("Watched {} to the end", video())
        }
        "Ticket Opened" | "Ticket Created" => with("Asked for help", Some(ticket())),
        "Ticket Closed" | "Ticket Solved" | "Ticket Resolved" => with("Was helped", Some(ticket())),
        "Complaint Filed" => with("Complained", Some(ticket())),
        "Score Given" => with("Gave a score", text(p, &["score"])),
        "Email Delivered" => with("A mail was delivered", text(p, &["email_subject", "subject"])),
        "Email Opened" => with("Opened a mail", text(p, &["email_subject", "subject"])),
        "Email Link Clicked" => with("Clicked a link in a mail", text(p, &["link_url", "url"])),
        "Email Bounced" => "A mail bounced".to_owned(),
        "Email Marked as Spam" => "Marked a mail as spam".to_owned(),
        "Unsubscribed" => "Unsubscribed".to_owned(),
        "Consent Requested" => with("Is said to want", text(p, &["topic"])),
        "Live Chat Conversation Started" => "Began a chat".to_owned(),
        "Subscription Started" => "Began a subscription".to_owned(),
        "Subscription Renewed" => "The subscription was renewed".to_owned(),
        "Subscription Cancelled" => "Cancelled the subscription".to_owned(),
        "Trial Started" => "Began a trial".to_owned(),
        _ => return None,
    })
}

/// Which colour it has in the history.
#[must_use]
pub fn tone(event: &Event) -> &'static str {
    match event.name.as_deref() {
        Some("Order Completed" | "Signed Up" | "Subscription Started" | "Subscription Renewed") => {
            "good"
        }
        Some(
            "Complaint Filed"
            | "Order Cancelled"
            | "Order Refunded"
            | "Subscription Cancelled"
            | "Email Bounced"
            | "Email Marked as Spam"
            | "Unsubscribed",
        ) => "bad",
        Some("Product Added" | "Checkout Started" | "Form Started" | "Form Submitted") => "warm",
        _ => "plain",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(event: Value) -> String {
        let mut event = event;
        (event["id"], event["at"]) = (json!("1"), json!(0));
        sentence(&serde_json::from_value(event).unwrap())
    }

    #[test]
    fn as_people_say_it() {
        let tent =
            json!({"name": "Two-person tent", "price": 249, "currency": "EUR", "quantity": 2});
        for (event, expected) in [
            (
                json!({"type": "track", "name": "Product Added", "properties": tent}),
                "Put 2 × Two-person tent (249 EUR) into the cart",
            ),
            (
                json!({"type": "track", "name": "Order Completed", "properties": {"total": 498.5, "currency": "EUR"}}),
                "Ordered: 498.5 EUR",
            ),
            (
                json!({"type": "track", "name": "Page Left", "properties": {"path": "/tents", "seconds": 41, "scroll_depth": 80}}),
                "Left /tents after 41 s, 80 % read",
            ),
            (json!({"type": "track", "name": "Tent Slept In"}), "Tent Slept In"),
            (json!({"type": "page", "properties": {"path": "/"}}), "Saw /"),
            (
                json!({"type": "identify", "traits": {"email": "a@b.c", "plan": "pro"}}),
                "Said who they are: email, plan",
            ),
            (
                json!({"type": "track", "name": "Product Viewed", "properties": {"name": ["not", "text"]}}),
                "Looked at a product",
            ),
        ] {
            assert_eq!(told(event), expected);
        }
    }

    #[test]
    fn what_is_hostile_is_bounded() {
        let bomb: Map<String, Value> =
            (0..10_000).map(|n| (format!("\u{202e}key {n}"), json!("x".repeat(100)))).collect();
        let event = json!({"id": "1", "at": 0, "type": "track", "name": "\u{1b}".repeat(9_999),
            "properties": bomb, "traits": {"a": "y".repeat(1_000_000)}});
        let event: Event = serde_json::from_value(event).unwrap();
        assert!(sentence(&event).len() < 1_000);
        let members = members(&event);
        assert!(members.len() < 50);
        assert!(
            members.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() < 20_000
        );
        assert!(members.iter().any(|(_, value)| value == "9,960 more are not shown"));
        assert!(!format!("{members:?}").contains('\u{202e}'));
    }
}
