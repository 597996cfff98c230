//! What others call the Segment Spec's events.

use crate::workspace::{SPEC_EVENTS, nearest};
use std::collections::BTreeSet;

/// Whether an event's name is one of the Spec's, or of Odyssey's own for what the Spec lacks.
#[must_use]
pub fn spec(name: &str) -> bool {
    SPEC_EVENTS.contains(&name)
}

/// Names in wide use for the Spec's events, as the stems of their words: of Google Analytics 4
/// (recommended events, read 2026-11), of Shopify's and Klaviyo's commerce events, and of habit.
const SYNONYMS: &[(&str, &str)] = &[
    ("add to cart", "Product Added"),
    ("add cart", "Product Added"),
    ("add basket", "Product Added"),
    ("cart add", "Product Added"),
    ("add item", "Product Added"),
    ("remove from cart", "Product Removed"),
    ("remove cart", "Product Removed"),
    ("remove item", "Product Removed"),
    ("view item", "Product Viewed"),
    ("item view", "Product Viewed"),
    ("product detail view", "Product Viewed"),
    ("product page view", "Product Viewed"),
    ("product impression", "Product List Viewed"),
    ("view content", "Product Viewed"),
    ("view item list", "Product List Viewed"),
    ("view category", "Product List Viewed"),
    ("category view", "Product List Viewed"),
    ("collection view", "Product List Viewed"),
    ("select item", "Product Clicked"),
    ("view cart", "Cart Viewed"),
    ("basket view", "Cart Viewed"),
    ("begin checkout", "Checkout Started"),
    ("initiate checkout", "Checkout Started"),
    ("checkout", "Checkout Started"),
    ("checkout begin", "Checkout Started"),
    ("add payment info", "Payment Info Entered"),
    ("payment info submit", "Payment Info Entered"),
    ("add shipping info", "Checkout Step Completed"),
    ("purchase", "Order Completed"),
    ("place order", "Order Completed"),
    ("order place", "Order Completed"),
    ("order create", "Order Completed"),
    ("order paid", "Order Completed"),
    ("checkout complete", "Order Completed"),
    ("transaction", "Order Completed"),
    ("transaction complete", "Order Completed"),
    ("buy", "Order Completed"),
    ("refund", "Order Refunded"),
    ("cancel order", "Order Cancelled"),
    ("order canceled", "Order Cancelled"),
    ("search", "Products Searched"),
    ("site search", "Products Searched"),
    ("view search result", "Products Searched"),
    ("add to wishlist", "Product Added to Wishlist"),
    ("view promotion", "Promotion Viewed"),
    ("select promotion", "Promotion Clicked"),
    ("apply coupon", "Coupon Applied"),
    ("share", "Product Shared"),
    ("review", "Product Reviewed"),
    ("sign up", "Signed Up"),
    ("signup", "Signed Up"),
    ("register", "Signed Up"),
    ("registration complete", "Signed Up"),
    ("user sign up", "Signed Up"),
    ("create account", "Account Created"),
    ("login", "Signed In"),
    ("log in", "Signed In"),
    ("user login", "Signed In"),
    ("sign in", "Signed In"),
    ("logout", "Signed Out"),
    ("log out", "Signed Out"),
    ("start trial", "Trial Started"),
    ("subscribe", "Subscription Started"),
    ("subscription create", "Subscription Started"),
    ("subscription cancel", "Subscription Cancelled"),
    ("cancel subscription", "Subscription Cancelled"),
    ("subscription renew", "Subscription Renewed"),
    ("generate lead", "Form Submitted"),
    ("lead", "Form Submitted"),
    ("form submit", "Form Submitted"),
    ("form start", "Form Started"),
    ("video start", "Video Content Started"),
    ("video play", "Video Content Started"),
    ("video progress", "Video Content Playing"),
    ("video complete", "Video Content Completed"),
    ("video finish", "Video Content Completed"),
    ("email open", "Email Opened"),
    ("open email", "Email Opened"),
    ("email click", "Email Link Clicked"),
    ("click email", "Email Link Clicked"),
    ("receive email", "Email Delivered"),
    ("bounce email", "Email Bounced"),
    ("unsubscribe", "Unsubscribed"),
    ("ticket create", "Ticket Opened"),
    ("case open", "Ticket Opened"),
    ("ticket solve", "Ticket Closed"),
    ("nps score", "Score Given"),
    ("app open", "Application Opened"),
    ("app install", "Application Installed"),
    ("first open", "Application Installed"),
    ("scroll", "Page Scrolled"),
];

/// The name of the Spec that `name` most likely means; none where it is one of them, or where
/// nothing is near.
#[must_use]
pub fn near_spec(name: &str) -> Option<&'static str> {
    if spec(name) {
        return None;
    }
    let words = stems(name);
    let said: Vec<&str> = words.iter().map(String::as_str).collect();
    if let Some((_, meant)) = SYNONYMS.iter().find(|(other, _)| is_said(&said, other)) {
        return Some(meant);
    }
    let set: BTreeSet<&str> = said.iter().copied().collect();
    let same_words = |candidate: &&&str| {
        let other = stems(candidate);
        !set.is_empty() && other.iter().map(String::as_str).collect::<BTreeSet<_>>() == set
    };
    if let Some(found) = SPEC_EVENTS.iter().find(same_words) {
        return Some(found);
    }
    let candidate = nearest(name, SPEC_EVENTS.iter().copied())?;
    let other = stems(candidate);
    // A slip of the pen is one in a word, not another word.
    let same = |(a, b): (&&str, &String)| nearest(a, [b.as_str()]).is_some();
    (said.len() == other.len() && said.iter().zip(&other).all(same)).then_some(candidate)
}

/// Whether these are the words of a synonym, in its order.
fn is_said(words: &[&str], synonym: &str) -> bool {
    let other = stems(synonym);
    other.len() == words.len() && other.iter().map(String::as_str).eq(words.iter().copied())
}

/// Words that say nothing.
const FILLERS: [&str; 9] = ["the", "a", "an", "to", "from", "into", "event", "user", "customer"];

/// The stems of a name's words: `Added to cart`, `add_to_cart` and `AddToCart` have the same.
fn stems(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut was_lower = false;
    for c in name.chars() {
        let breaks = c.is_uppercase() && was_lower;
        if (!c.is_alphanumeric() || breaks) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
        was_lower = c.is_lowercase();
    }
    if !word.is_empty() {
        words.push(word);
    }
    let all = words.len();
    words.retain(|word| all == 1 || !FILLERS.contains(&word.as_str()));
    words.iter().map(|word| stem(word)).collect()
}

/// A word without its ending: `viewed`, `views`, `viewing` and `view` are one; `added` and `add`.
fn stem(word: &str) -> String {
    let cut = ["ations", "ation", "ings", "ing", "ed", "es", "s", "e"]
        .iter()
        .find_map(|ending| word.strip_suffix(ending).filter(|rest| rest.len() >= 3))
        .unwrap_or(word);
    let cut = cut.strip_suffix('e').filter(|rest| rest.len() >= 3).unwrap_or(cut);
    // `cancelled`, `submitted`: the consonant that was doubled.
    let mut letters = cut.chars().rev();
    match (letters.next(), letters.next()) {
        (Some(a), Some(b)) if a == b && cut.len() > 4 => {
            cut.get(..cut.len() - a.len_utf8()).unwrap_or(cut).to_owned()
        }
        _ => cut.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_use_are_understood() {
        for (name, meant) in [
            ("order_completed", "Order Completed"),
            ("OrderCompleted", "Order Completed"),
            ("Completed Order", "Order Completed"),
            ("order completed", "Order Completed"),
            ("Placed Order", "Order Completed"),
            ("purchase", "Order Completed"),
            ("Purchased", "Order Completed"),
            ("Added to cart", "Product Added"),
            ("add_to_cart", "Product Added"),
            ("Add To Basket", "Product Added"),
            ("Added Product", "Product Added"),
            ("product-added", "Product Added"),
            ("view_item", "Product Viewed"),
            ("Viewed Product", "Product Viewed"),
            ("Product View", "Product Viewed"),
            ("view_item_list", "Product List Viewed"),
            ("begin_checkout", "Checkout Started"),
            ("Started Checkout", "Checkout Started"),
            ("remove_from_cart", "Product Removed"),
            ("sign_up", "Signed Up"),
            ("User Signed Up", "Signed Up"),
            ("login", "Signed In"),
            ("Cancelled Order", "Order Cancelled"),
            ("order_canceled", "Order Cancelled"),
            ("Refunded Order", "Order Refunded"),
            ("form_submitted", "Form Submitted"),
            ("Clicked Email", "Email Link Clicked"),
            ("Opened Email", "Email Opened"),
            ("video_start", "Video Content Started"),
            ("Porduct Viewed", "Product Viewed"),
            ("search", "Products Searched"),
        ] {
            assert_eq!(near_spec(name), Some(meant), "{name}");
        }
    }

    #[test]
    fn other_names_are_left_alone() {
        for name in [
            "Quote Requested",
            "Report Submitted",
            "Port Started",
            "Newsletter Read",
            "x",
            "",
            "Garage Door",
            "…",
            "页面",
        ] {
            assert_eq!(near_spec(name), None, "{name}");
        }
        assert_eq!(near_spec("Order Completed"), None);
    }

    #[test]
    fn every_synonym_means_an_event_of_the_spec() {
        for (said, meant) in SYNONYMS {
            assert!(spec(meant), "{meant}");
            assert_eq!(near_spec(said), Some(*meant), "{said}");
        }
    }
}
