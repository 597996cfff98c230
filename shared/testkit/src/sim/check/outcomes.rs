//! What becomes of what is decided on: it is raised, unless it is over for too long or a deeper
//! abandonment of the session takes its place.

use super::Check;
use super::past::{Cart, Filled, Past};
use odyssey_domain::ids::{IdentityKey, Position};
use odyssey_domain::profile::Root;
use odyssey_domain::signal::{Crossed, Mark, Outcome, Raise};
use odyssey_domain::time::{Span, Stamp};
use serde_json::Value;
use std::collections::BTreeSet;

/// What was over for longer is noted and not raised; and of one session what lies no further apart.
pub(super) const STALE: Span = Span::DAY.times(7);

/// Whether a checkout was begun in the session of a cart.
pub(super) fn has_checkout(cart: Filled) -> bool {
    cart.checkout.is_some_and(|begun| begun.plus(STALE) >= cart.last.at)
}

/// What a rule waits under, and until when; none where there is nothing, or nobody can say.
pub(super) fn silence(past: &Past<'_>, rule: &str) -> Option<(Position, Stamp)> {
    let (name, value) = rule.split_once('/')?;
    let span = || value.parse::<Span>().ok();
    let after = |last: Option<Position>| {
        let last = last?;
        Some((last, last.at.plus(span()?)))
    };
    match name {
        "Cart Abandoned" => match past.cart() {
            Cart::Filled(cart) => after(Some(cart.last)),
            Cart::Empty | Cart::Unclear => None,
        },
        "Checkout Abandoned" => match past.cart() {
            Cart::Filled(cart) if has_checkout(cart) => after(Some(cart.last)),
            Cart::Filled(_) | Cart::Empty | Cart::Unclear => None,
        },
        "Browse Abandoned" => after(past.viewed()),
        "Registration Abandoned" => after(past.open_registration()),
        "Became Dormant" | "Back After Absence" => after(past.last_deed()),
        "Engagement Declining" => {
            let last = past.last_deed()?;
            Some((last, last.at.plus(past.usual_gap()?.times(value.parse().ok()?))))
        }
        "Renewal Due" => {
            let (renews, said) = past.renews().filter(|(renews, said)| *renews > said.at)?;
            Some((said, renews.minus(span()?).max(said.at)))
        }
        _ => None,
    }
}

impl Check {
    /// Silences were decided on that no profile had decided on before.
    pub(super) fn marked(
        &mut self,
        key: IdentityKey,
        past: &Past<'_>,
        raised: &[&Raise],
        marks: &[(String, Mark)],
    ) {
        for (rule, mark) in marks {
            let Mark { episode, at, outcome } = mark;
            let name = rule.split('/').next().unwrap_or_default();
            let found = silence(past, rule);
            let cart = past.cart();
            let over = |(last, over): (Position, Stamp)| last == *episode && over <= *at;
            let held = match (outcome, found) {
                (Outcome::Raised, _) => {
                    let of = |raise: &&&Raise| raise.signal == name && raise.since == episode.at;
                    raised.iter().any(|raise| of(&raise))
                }
                (_, None) => matches!(cart, Cart::Unclear) && name.ends_with("Abandoned"),
                (Outcome::Noted, Some(found)) => name == "Back After Absence" && over(found),
                (Outcome::Stale, Some(found)) => {
                    // A date that is found to have passed is not announced.
                    let renews = past.renews().filter(|_| name == "Renewal Due");
                    let passed = renews.is_some_and(|(renews, _)| renews <= *at);
                    over(found) && (passed || found.1.plus(STALE) < *at)
                }
                (Outcome::Superseded(by), Some(found)) => {
                    over(found)
                        && match (name, by.as_str(), cart) {
                            (_, _, Cart::Unclear) => true,
                            ("Cart Abandoned", "Checkout Abandoned", Cart::Filled(cart)) => {
                                has_checkout(cart)
                            }
                            ("Browse Abandoned", "Cart Abandoned", Cart::Filled(cart)) => {
                                cart.last.at.plus(STALE) >= episode.at && !has_checkout(cart)
                            }
                            ("Browse Abandoned", "Checkout Abandoned", Cart::Filled(cart)) => {
                                cart.last.at.plus(STALE) >= episode.at && has_checkout(cart)
                            }
                            _ => false,
                        }
                }
            };
            self.holds("raised-where-due", held, || {
                format!("{key} decides on {rule} of {} at {at}: {outcome:?}", episode.at)
            });
        }
    }

    /// What has been reached since the write before is raised. Of roots that took nothing over: what
    /// was said of that is not said again.
    pub(super) fn reached(
        &mut self,
        key: IdentityKey,
        before: Option<&Root>,
        after: &Root,
        past: &Past<'_>,
        raised: &[&Raise],
    ) {
        let same = match before {
            Some(before) => before.accumulators.keys().eq(after.accumulators.keys()),
            None => after.accumulators.len() == 1,
        };
        if !same || !self.profiles.was_never_parted(key) {
            return;
        }
        for (rule, crossed) in &after.said.crossed {
            let held = before.and_then(|before| before.said.crossed.get(rule));
            if held == Some(crossed) {
                continue;
            }
            for one in unraised(past, rule, held, crossed, raised) {
                self.holds("raised-where-due", one.is_none(), || {
                    let at = crossed.at;
                    format!("{key} decides on {rule} {} at {at} unsaid", one.unwrap_or_default())
                });
            }
        }
    }
}

/// What a rule has newly decided on: each that is neither raised nor over for too long, by name.
fn unraised(
    past: &Past<'_>,
    rule: &str,
    held: Option<&Crossed>,
    crossed: &Crossed,
    raised: &[&Raise],
) -> Vec<Option<String>> {
    let name = rule.split('/').next().unwrap_or_default();
    let (stamps, which) = match name {
        "First Purchase" | "Repeat Purchase" => (past.orders(), "order"),
        "Lead Submitted" => (past.leads(), "submissions"),
        "Complaint Received" => (past.complaints(), "complaints"),
        _ => (Vec::new(), ""),
    };
    let of_rule = || raised.iter().filter(|raise| raise.signal == name);
    let mut found = Vec::new();
    let first = held.map_or(0, |held| held.number) + 1;
    let least = if name == "Repeat Purchase" { 2 } else { 1 };
    for n in first.max(least)..=crossed.number {
        let nth = usize::try_from(n - 1).ok().and_then(|n| stamps.get(n));
        let stale = nth.is_some_and(|nth| nth.plus(STALE) < crossed.at);
        let said =
            of_rule().any(|raise| raise.evidence.get(which).and_then(Value::as_u64) == Some(n));
        found.push((!stale && !said).then(|| n.to_string()));
    }
    let none = BTreeSet::new();
    let lingered = past.lingered();
    for one in crossed.keys.difference(held.map_or(&none, |held| &held.keys)) {
        let (number, category) = one.split_once('#').unwrap_or((one, ""));
        let Ok(number) = number.parse::<i64>() else { continue };
        let day = match name {
            "Interest Shown" => lingered.get(&(number, category.to_owned())).map(|sum| sum.1),
            _ => Some(number),
        };
        let Some(day) = day else { continue };
        let stale = Stamp::from_ms((day + 1) * 86_400_000).plus(STALE) < crossed.at;
        let said = of_rule().any(|raise| {
            let about = raise.evidence.get("category").and_then(Value::as_str).unwrap_or_default();
            raise.since.day() == day && about == category
        });
        found.push((!stale && !said).then(|| one.clone()));
    }
    found
}
