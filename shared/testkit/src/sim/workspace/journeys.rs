//! The journeys of the simulated workspace.

pub(super) const CART: &str = "
name: cart
state: live
trigger: {signal: Cart Abandoned, after: 4h}
entry_filter: {fact: cart.items, at_least: 1}
re_entry: {after: 1d}
exit_when: [{event: Order Completed}]
goal: {event: Order Completed, within: 3d}
steps:
  - {id: remind, send: plain, topic: offers}
  - {id: wait, wait_until: {event: Order Completed, timeout: 20h}}
  - id: how-big
    branch:
      - if: {fact: cart.value, at_least: 15000}
        steps:
          - {id: advise, send: plain, topic: tips}
    else:
      - {id: nudge, send: plain, topic: offers}
";

pub(super) const QUICK: &str = "
name: quick
state: live
trigger: {signal: Cart Abandoned, after: 8m}
re_entry: after_exit
exit_when: [{event: Order Completed}]
frequency_caps: [{at_most: 3, within: 18h}]
steps:
  - {id: soon, send: plain, topic: offers, when_capped: defer}
  - {id: rest, delay: 5m}
  - {id: again, send: plain, topic: offers}
";

pub(super) const BROWSE: &str = "
name: browse
state: live
trigger: {signal: Browse Abandoned}
re_entry: {after: 6h}
exit_when: [{event: Order Completed}, {event: Product Added}]
steps:
  - {id: nudge, send: plain, topic: tips, when_quiet: skip}
";

pub(super) const THANKS: &str = "
name: thanks
state: live
trigger: {event: Order Completed}
enrollment_key: order_id
re_entry: never
exit_when: [{event: Order Cancelled}]
steps:
  - {id: thanks, send: receipt, topic: orders}
  - {id: use-it-first, delay: 30h}
  - {id: ask, send: plain, topic: offers}
";

pub(super) const WELCOME: &str = "
name: welcome
state: live
trigger: {event: Signed Up}
re_entry: after_exit
steps:
  - {id: hello, send: plain, topic: offers}
  - {id: second, send: plain, topic: tips}
  - {id: third, send: receipt, topic: orders}
  - {id: moment, delay: 90s}
  - id: profile
    wait_until: {event: Profile Completed, timeout: 10m}
    on_event:
      - {id: well-done, send: plain, topic: tips}
    on_timeout:
      - {id: finish-it, send: plain, topic: offers}
      - {id: later, delay: 2h}
      - {id: last, send: plain, topic: tips}
";

pub(super) const CONSENTED: &str = "
name: consented
state: live
trigger: {event: Consent Changed, where: {state: granted}}
re_entry: {after: 10m}
steps:
  - {id: gift, send: plain, topic: offers}
";

pub(super) const REACHED: &str = "
name: reached
state: live
trigger: {signal: Segment Entered, segment: reachable}
re_entry: {after: 2h}
exit_when: [{event: Order Completed}]
steps:
  - {id: now-that-we-may, send: plain, topic: tips}
";
