//! The segments of the simulated workspace. What [`crate::sim::check`] expects of them it says once
//! more, by their names.

/// Those of every version; how far back `busy` looks depends on it.
const ALWAYS: [(&str, &str); 5] = [
    ("busy", "{performed: Product Viewed, within: 40m}"),
    (
        "waiting",
        "{all: [{fact: cart.items, at_least: 1}, {not: {performed: Order Completed, within: 6h}}]}",
    ),
    ("warned", "{signal: Cart Abandoned, within: 3h}"),
    ("reachable", "{consent: offers, is: granted}"),
    ("named", "{trait: first_name, exists: true}"),
];
/// Those that a later version has besides: profiles that do nothing any more are to be found in
/// them as well, and what they ask for is of the time before.
const LATER: [(&str, &str); 2] = [
    ("spender", "{trait: spent_7d, at_least: 9000}"),
    ("regular", "{performed: Order Completed, at_least: 2}"),
];

/// Name and condition of each.
pub(super) fn of(changed: bool) -> Vec<(&'static str, String)> {
    let later = if changed { LATER.as_slice() } else { &[] };
    let text = |(name, when): &(&'static str, &str)| {
        let when = if changed { when.replace("40m", "90m") } else { (*when).to_owned() };
        (*name, when)
    };
    ALWAYS.iter().chain(later).map(text).collect()
}
