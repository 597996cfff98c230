//! The event names that every profile counts.

/// The Segment Spec's commerce, media, e-mail, live chat and lifecycle names, and those this system
/// adds; sorted. Other names are counted where the published workspace watches them. So a counter
/// can appear for each of these and for each watched name, and for nothing a client makes up: that
/// bounds them without an eviction, which no order-free counter survives.
pub const COUNTED_EVENTS: [&str; 89] = [
    "Account Created",
    "Account Deleted",
    "Application Backgrounded",
    "Application Installed",
    "Application Opened",
    "Application Uninstalled",
    "Application Updated",
    "Cart Shared",
    "Cart Viewed",
    "Checkout Started",
    "Checkout Step Completed",
    "Checkout Step Viewed",
    "Complaint Filed",
    "Consent Changed",
    "Consent Requested",
    "Coupon Applied",
    "Coupon Denied",
    "Coupon Entered",
    "Coupon Removed",
    "Element Hovered",
    "Email Bounced",
    "Email Delivered",
    "Email Link Clicked",
    "Email Marked as Spam",
    "Email Opened",
    "Form Abandoned",
    "Form Started",
    "Form Submitted",
    "Live Chat Conversation Ended",
    "Live Chat Conversation Started",
    "Live Chat Message Received",
    "Live Chat Message Sent",
    "Order Cancelled",
    "Order Completed",
    "Order Refunded",
    "Order Updated",
    "Page Left",
    "Page Scrolled",
    "Payment Info Entered",
    "Product Added",
    "Product Added to Wishlist",
    "Product Clicked",
    "Product List Filtered",
    "Product List Viewed",
    "Product Removed",
    "Product Removed from Wishlist",
    "Product Reviewed",
    "Product Shared",
    "Product Viewed",
    "Products Searched",
    "Promotion Clicked",
    "Promotion Viewed",
    "Push Notification Bounced",
    "Push Notification Received",
    "Push Notification Tapped",
    "Score Given",
    "Session Ended",
    "Signed In",
    "Signed Out",
    "Signed Up",
    "Subscription Cancelled",
    "Subscription Renewed",
    "Subscription Started",
    "Ticket Closed",
    "Ticket Created",
    "Ticket Opened",
    "Ticket Resolved",
    "Ticket Solved",
    "Trial Ended",
    "Trial Started",
    "Unsubscribed",
    "Video Ad Completed",
    "Video Ad Playing",
    "Video Ad Started",
    "Video Content Completed",
    "Video Content Playing",
    "Video Content Started",
    "Video Playback Buffer Completed",
    "Video Playback Buffer Started",
    "Video Playback Completed",
    "Video Playback Exited",
    "Video Playback Interrupted",
    "Video Playback Paused",
    "Video Playback Resumed",
    "Video Playback Seek Completed",
    "Video Playback Seek Started",
    "Video Playback Started",
    "Video Quality Updated",
    "Wishlist Product Added to Cart",
];

/// Whether every profile counts events of this name.
#[must_use]
pub(super) fn is_counted(name: &str) -> bool {
    COUNTED_EVENTS.binary_search(&name).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorted_without_doubles() {
        assert!(COUNTED_EVENTS.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(is_counted("Order Completed") && !is_counted("order completed"));
    }
}
