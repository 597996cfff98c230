//! `workspace.yaml`, as it is published first and later.

/// The first.
pub(super) const SETTINGS: &str = "
brand:
  name: Shop
  from: shop@shop.example
  reply_to: care@shop.example
  postal_address: Shop GmbH, 12 Harbour Street, 20457 Hamburg, Germany
  website: https://shop.example
  allowed_hosts: []
sources:
  web: {kind: browser}
  backend: {kind: server}
topics:
  offers: {title: Offers, kind: marketing}
  tips: {title: Tips, kind: marketing}
  orders: {title: Orders, kind: transactional}
signals:
  Cart Abandoned: {after: 4h}
  Browse Abandoned: {after: 2h}
  Checkout Abandoned: {after: 2h}
  Repeat Purchase: {at_least: 2}
  Complaint Received: {}
  Became Dormant: {after: 20h}
  Stage Changed: {after: 6h, dormant: 18h, lapsed: 30h, new: 9h, loyal: 3}
  First Purchase: {}
  Lead Submitted: {}
  Registration Abandoned: {after: 2h}
  Back After Absence: {after: 20h}
  Engagement Declining: {at_least: 2}
  Renewal Due: {before: 30h}
  Binge Started: {at_least: 2}
  Interest Shown: {at_least: 90}
confirmation_mail: confirm
events: [Profile Completed, Consent Changed]
frequency_caps:
  - {at_most: 4, within: 1d}
  - {at_most: 9, within: 7d}
quiet_hours: {from: 23:00, to: 05:00, timezone: UTC}
deferral: {at_most: 3d, spread: 25m}
computed_traits:
  orders: {kind: count, event: Order Completed}
";
/// What later versions compute besides, of profiles that have events already.
pub(super) const COMPUTED_LATER: &str =
    "\x20 spent_7d: {kind: sum, of: total, currency: EUR, event: Order Completed, within: 7d}
  last_viewed: {kind: latest, of: product_id, event: Product Viewed}
";
