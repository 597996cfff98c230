//! The names a journey may use without declaring them, and the one that was probably meant.

#[cfg(doc)]
use crate::profile::COUNTED_EVENTS;

/// The track events of the Segment Spec (e-commerce v2, video, lifecycle, B2B, e-mail and live
/// chat; read 2026-11), and Odyssey's own for what the Spec lacks.
pub const SPEC_EVENTS: &[&str] = &[
    // E-commerce v2
    "Products Searched",
    "Product List Viewed",
    "Product List Filtered",
    "Promotion Viewed",
    "Promotion Clicked",
    "Product Clicked",
    "Product Viewed",
    "Product Added",
    "Product Removed",
    "Cart Viewed",
    "Checkout Started",
    "Checkout Step Viewed",
    "Checkout Step Completed",
    "Payment Info Entered",
    "Order Completed",
    "Order Updated",
    "Order Refunded",
    "Order Cancelled",
    "Coupon Entered",
    "Coupon Applied",
    "Coupon Denied",
    "Coupon Removed",
    "Product Added to Wishlist",
    "Product Removed from Wishlist",
    "Wishlist Product Added to Cart",
    "Product Shared",
    "Cart Shared",
    "Product Reviewed",
    // Video
    "Video Playback Started",
    "Video Playback Paused",
    "Video Playback Interrupted",
    "Video Playback Buffer Started",
    "Video Playback Buffer Completed",
    "Video Playback Seek Started",
    "Video Playback Seek Completed",
    "Video Playback Resumed",
    "Video Playback Completed",
    "Video Playback Exited",
    "Video Content Started",
    "Video Content Playing",
    "Video Content Completed",
    "Video Ad Started",
    "Video Ad Playing",
    "Video Ad Completed",
    "Video Quality Updated",
    // Mobile and B2B
    "Application Installed",
    "Application Opened",
    "Application Updated",
    "Application Backgrounded",
    "Application Crashed",
    "Application Uninstalled",
    "Push Notification Received",
    "Push Notification Tapped",
    "Push Notification Bounced",
    "Install Attributed",
    "Deep Link Clicked",
    "Deep Link Opened",
    "Account Created",
    "Account Deleted",
    "Signed Up",
    "Signed In",
    "Signed Out",
    "Invite Sent",
    "Account Added User",
    "Account Removed User",
    "Trial Started",
    "Trial Ended",
    // E-mail
    "Email Bounced",
    "Email Delivered",
    "Email Link Clicked",
    "Email Marked as Spam",
    "Email Opened",
    "Unsubscribed",
    // Live chat
    "Live Chat Conversation Started",
    "Live Chat Conversation Ended",
    "Live Chat Message Sent",
    "Live Chat Message Received",
    // Odyssey's own
    "Element Hovered",
    "Page Scrolled",
    "Session Ended",
    "Page Left",
    "Form Started",
    "Form Submitted",
    "Form Abandoned",
    "Subscription Started",
    "Subscription Renewed",
    "Subscription Cancelled",
    "Ticket Opened",
    "Ticket Created",
    "Ticket Closed",
    "Ticket Solved",
    "Ticket Resolved",
    "Complaint Filed",
    "Score Given",
    "Consent Requested",
    "Consent Changed",
];

/// The words by which calls other than `track` are events.
pub(super) const CALLS: &[&str] = &["page", "screen", "identify", "group", "alias"];

/// The facts a condition may ask for by name ([`crate::profile::ProfileView::facts`]);
/// `events.<name>` counts each of [`COUNTED_EVENTS`] besides, `browse.<category>` the views of a category.
pub const FACTS: &[&str] = &[
    "orders.count",
    "orders.value",
    "orders.currency",
    "orders.values",
    "orders.last",
    "cart.items",
    "cart.products",
    "cart.value",
    "cart.currency",
    "cart.lines",
    "cart.id",
    "cart.updated",
    "cart.checkout",
    "browse.products",
    "browse.categories",
    "seen.first",
    "seen.last",
    "events.total",
    "context.locale",
    "context.timezone",
    "orders.first",
    "orders.average",
    "orders.days_between",
    "orders.price_band",
    "orders.categories",
    "orders.brands",
    "cart.since",
    "checkout.items",
    "checkout.since",
    "interest.category",
    "interest.categories",
    "interest.products",
    "sessions.count",
    "sessions.pages",
    "sessions.seconds",
    "sessions.average_seconds",
    "sessions.scroll_depth",
    "sessions.scroll_deepest",
    "sessions.hovers",
    "sessions.last",
    "activity.last",
    "activity.days",
    "content.started",
    "content.completed",
    "content.last",
    "content.genre",
    "content.genres",
    "content.recent",
    "forms.submitted",
    "forms.open",
    "support.tickets",
    "support.open",
    "support.complaints",
    "support.complaint",
    "support.score",
    "support.average_score",
    "mails.delivered",
    "mails.bounced",
    "mails.spam",
    "mails.unsubscribed",
    "mails.opened",
    "mails.clicked",
    "mails.by_machines",
    "mails.last_opened",
    "mails.last_clicked",
    "channels.email",
    "channels.chat",
    "channels.phone",
    "channels.social",
    "channels.in_person",
    "channels.sms",
    "channels.push",
    "channels.web",
    "channels.app",
    "channels.letter",
    "channels.other",
    "channels.last",
    "channels.last_at",
    "context.device",
    "context.country",
    "context.region",
    "context.city",
    "context.campaign",
    "context.campaign_source",
    "context.campaign_medium",
    "context.first_campaign",
    "context.first_campaign_source",
    "context.first_campaign_medium",
    "subscription.renews",
    "computed.filling",
    "computed.partial",
    "computed.hides",
    "stage",
    "trimmed",
    "trimmed.parts",
];

/// The candidate that `name` is most likely a misspelling of: at most a third of its letters
/// differ, letter case apart.
#[must_use]
pub fn nearest<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let wanted: Vec<char> = name.to_lowercase().chars().collect();
    let limit = (wanted.len() / 3).clamp(1, 6);
    candidates
        .into_iter()
        .map(|candidate| {
            let letters: Vec<char> = candidate.to_lowercase().chars().collect();
            (distance(&wanted, &letters), candidate)
        })
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// How many letters must be inserted, removed, replaced or swapped with a neighbour (optimal
/// string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut previous: Option<char> = None;
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        let mut left: Option<char> = None;
        for (j, y) in b.iter().enumerate() {
            let get = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX / 2);
            let mut best = (get(&row, j) + 1)
                .min(get(&last, j + 1) + 1)
                .min(get(&last, j) + usize::from(x != y));
            if j > 0 && left == Some(*x) && previous == Some(*y) {
                best = best.min(get(&before, j - 1) + 1);
            }
            row.push(best);
            left = Some(*y);
        }
        before = std::mem::replace(&mut last, row);
        previous = Some(*x);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::COUNTED_EVENTS;

    #[test]
    fn near_names() {
        let topics = ["offers", "orders"];
        assert_eq!(nearest("ofers", topics), Some("offers"));
        assert_eq!(nearest("order", topics), Some("orders"));
        assert_eq!(nearest("newsletter", topics), None);
        let event = |name| nearest(name, SPEC_EVENTS.iter().copied());
        assert_eq!(event("Order Complete"), Some("Order Completed"));
        assert_eq!(event("order completed"), Some("Order Completed"));
        assert_eq!(event("Porduct Viewed"), Some("Product Viewed"));
        assert_eq!(event("x"), None);
    }

    /// What every profile counts needs no line under `events`, and is no other event misspelt.
    #[test]
    fn whatever_feeds_a_fact_is_known() {
        for name in COUNTED_EVENTS {
            assert!(SPEC_EVENTS.contains(&name), "{name}");
            assert_eq!(crate::plan::near_spec(name), None, "{name}");
        }
    }

    #[test]
    fn no_name_stands_twice() {
        let mut names = SPEC_EVENTS.to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), SPEC_EVENTS.len());
    }
}
