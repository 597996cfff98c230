//! What each signal needs to see.

use odyssey_domain::signal::SignalKind;

/// What a signal is made of.
#[derive(Debug, Clone, Copy)]
pub struct Need {
    /// Events one of which it cannot do without; empty where any deed will do.
    pub events: &'static [&'static str],
    /// What must be in them, or how often they must come, in words.
    pub what: &'static str,
}

/// What a kind of signal needs.
#[must_use]
pub const fn of(kind: SignalKind) -> Need {
    match kind {
        SignalKind::CartAbandoned => need(&["Product Added"], "with a product_id, and a silence"),
        SignalKind::BrowseAbandoned => {
            need(&["Product Viewed"], "with a product_id, and a silence")
        }
        SignalKind::CheckoutAbandoned => {
            need(&["Checkout Started"], "with something in the cart, and a silence")
        }
        SignalKind::FirstPurchase => need(&["Order Completed"], "with an order_id"),
        SignalKind::RepeatPurchase => need(&["Order Completed"], "twice, with different order_ids"),
        SignalKind::BecameDormant => {
            need(&[], "deeds on two days, or an order, and then a long silence")
        }
        SignalKind::RegistrationAbandoned => {
            need(&["Form Started"], "of a form to register, and a silence")
        }
        SignalKind::LeadSubmitted => need(&["Form Submitted"], ""),
        SignalKind::BackAfterAbsence => need(&[], "a long absence, and a return from it"),
        SignalKind::ComplaintReceived => need(&["Complaint Filed"], ""),
        SignalKind::InterestShown => {
            need(&["Page Left"], "with dwell on products or categories (the browser snippet's)")
        }
        SignalKind::BingeStarted => {
            need(&["Video Content Started"], "several on one day, with content_asset_id")
        }
        SignalKind::RenewalDue => need(
            &["Subscription Started", "Subscription Renewed", "Trial Started"],
            "with renews_at",
        ),
        SignalKind::StageChanged => need(&[], "any deed, and then others or none"),
        SignalKind::EngagementDeclining => {
            need(&[], "deeds on four days, and then a silence longer than usual")
        }
    }
}

const fn need(events: &'static [&'static str], what: &'static str) -> Need {
    Need { events, what }
}
