//! What each signal rule decided, with what it was decided on.

use super::sections::money;
use super::text::{SHOWN_MAX, clean, several, value};
use super::when;
use odyssey_domain::profile::Said;
use odyssey_domain::signal::{Outcome, Raise, rule_id};
use odyssey_domain::time::{Span, Stamp};
use serde::Serialize;
use serde_json::{Map, Value};

/// One decision.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Decision {
    /// `Cart Abandoned`
    pub signal: String,
    /// `after 4h`; empty where only the rule is known.
    pub threshold: String,
    /// What was decided.
    pub verdict: Verdict,
    /// When the silence began, or what was reached happened.
    pub since: Stamp,
    /// When it was decided.
    pub at: Stamp,
    /// What it was decided on; none where that is not kept.
    pub evidence: Option<Map<String, Value>>,
}

/// What a rule decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It was published.
    Raised,
    /// The session holds a deeper abandonment, which was raised in its place.
    Superseded(String),
    /// It was found too late to be said.
    Stale,
    /// An absence was noted; the return from it will be raised.
    Noted,
}

impl Verdict {
    /// In words.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Verdict::Raised => "raised".to_owned(),
            Verdict::Superseded(by) => format!("superseded by {by}"),
            Verdict::Stale => "found too late, not raised".to_owned(),
            Verdict::Noted => "noted: the return will be raised".to_owned(),
        }
    }
}

/// Everything that was decided and is still known, the last first: what was raised with its
/// evidence, and of each rule the last decision where that was another.
#[must_use]
pub fn decisions(said: &Said, raises: &[Raise]) -> Vec<Decision> {
    let published = raises.iter().map(|raise| Decision {
        signal: raise.signal.clone(),
        threshold: raise.threshold.to_string(),
        verdict: Verdict::Raised,
        since: raise.since,
        at: raise.at,
        evidence: Some(raise.evidence.clone()),
    });
    let mut all: Vec<Decision> = published.collect();
    let is_kept = |rule: &str, at: Stamp| {
        raises.iter().any(|raise| raise.at == at && rule_id(&raise.signal, raise.threshold) == rule)
    };
    let named = |rule: &str, verdict: Verdict, since: Stamp, at: Stamp| {
        let (signal, threshold) = rule.split_once('/').unwrap_or((rule, ""));
        Decision {
            signal: signal.to_owned(),
            threshold: threshold.to_owned(),
            verdict,
            since,
            at,
            evidence: None,
        }
    };
    for (rule, mark) in &said.marks {
        let verdict = match &mark.outcome {
            Outcome::Raised if is_kept(rule, mark.at) => continue,
            // The return was raised, at a later time than the absence was noted.
            Outcome::Raised if raises.iter().any(|r| rule_id(&r.signal, r.threshold) == *rule) => {
                continue;
            }
            Outcome::Raised => Verdict::Raised,
            Outcome::Superseded(by) => Verdict::Superseded(by.clone()),
            Outcome::Stale => Verdict::Stale,
            Outcome::Noted => Verdict::Noted,
        };
        all.push(named(rule, verdict, mark.episode.at, mark.at));
    }
    for (rule, crossed) in &said.crossed {
        match crossed.raised {
            true if is_kept(rule, crossed.at) => {}
            true => all.push(named(rule, Verdict::Raised, crossed.since, crossed.at)),
            false => all.push(named(rule, Verdict::Stale, crossed.since, crossed.at)),
        }
    }
    all.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| a.signal.cmp(&b.signal)));
    all
}

/// What is to be read last; before it comes what is not named here, by name.
const ORDER: [&str; 8] =
    ["value", "items", "order", "orders", "at_least", "cart_id", "absent_since", "last"];

/// Evidence, line by line, in words.
#[must_use]
pub fn in_words(evidence: &Map<String, Value>) -> Vec<(String, String)> {
    let text = |name: &str| evidence.get(name).map(|found| value(found, SHOWN_MAX));
    let number = |name: &str| evidence.get(name).and_then(Value::as_u64);
    let code = evidence.get("currency").and_then(Value::as_str);
    let more = number("more").map(|n| format!(", and {n} more")).unwrap_or_default();
    let mut lines = Vec::new();
    let mut all: Vec<(&String, &Value)> = evidence.iter().collect();
    all.sort_by_key(|(name, _)| ORDER.iter().position(|first| first == name));
    for (name, found) in all {
        let (label, shown) = match name.as_str() {
            "currency" | "more" => continue,
            "lines" => ("in the cart", things(found) + &more),
            "products" => ("looked at", things(found) + &more),
            "items" => ("pieces", value(found, SHOWN_MAX)),
            // Minor units from a cart, an amount as people write it from orders.
            "value" => match found.as_u64() {
                Some(minor) => ("worth", money(minor, code)),
                None => ("worth", format!("{} {}", value(found, 40), code.unwrap_or_default())),
            },
            "last" | "renews" | "absent_since" | "day" => {
                let at = found.as_str().and_then(|at| Stamp::parse(at).ok());
                let label = match name.as_str() {
                    "last" => "last deed",
                    "renews" => "runs until",
                    "absent_since" => "away since",
                    _ => "on",
                };
                (label, at.map_or_else(|| value(found, 40), when::both))
            }
            "seconds" => {
                let seconds = number("seconds").map(|n| when::length(Span::SECOND.times(n)));
                ("time spent", seconds.unwrap_or_default())
            }
            "usual_gap_hours" => {
                let gap = number(name).map(|n| when::length(Span::HOUR.times(n)));
                ("usually away for", gap.unwrap_or_default())
            }
            "active_days" => {
                let days = number(name).map(|n| several(n, "day"));
                ("active, of 64 days", days.unwrap_or_default())
            }
            "absent_days" => {
                ("away for", number(name).map(|n| several(n, "day")).unwrap_or_default())
            }
            "order" => ("order number", text(name).unwrap_or_default()),
            "cart_id" => ("cart", text(name).unwrap_or_default()),
            "fields" => ("fields touched", text(name).unwrap_or_default()),
            "at_least" => ("threshold", format!("{} s", text(name).unwrap_or_default())),
            "trimmed" => ("evidence", "too large to be kept".to_owned()),
            other => {
                lines.push((clean(&other.replace('_', " "), 40), value(found, SHOWN_MAX)));
                continue;
            }
        };
        lines.push((label.to_owned(), shown));
    }
    lines
}

/// `2 × Two-person tent (249.00), Stove (39.00)`
fn things(list: &Value) -> String {
    let of = |fields: &Map<String, Value>| {
        let name = fields.get("name").map(|name| value(name, 60)).unwrap_or_default();
        let price = fields.get("price").map(|price| format!(" ({})", value(price, 20)));
        let many = fields.get("quantity").and_then(Value::as_u64).filter(|n| *n > 1);
        let many = many.map(|n| format!("{n} × ")).unwrap_or_default();
        format!("{many}{name}{}", price.unwrap_or_default())
    };
    let list: Vec<String> =
        list.as_array().into_iter().flatten().filter_map(Value::as_object).map(of).collect();
    list.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use odyssey_domain::ids::{EventHash, Position, SignalId};
    use odyssey_domain::signal::{Mark, Threshold};
    use serde_json::json;

    fn at(hours: u64) -> Stamp {
        Stamp::MIN.plus(Span::HOUR.times(hours))
    }

    #[test]
    fn a_raise_is_told_once_and_the_others_too() {
        let raise = Raise {
            id: SignalId::from_bytes([1; 16]),
            signal: "Cart Abandoned".to_owned(),
            threshold: Threshold::After(Span::HOUR.times(4)),
            since: at(1),
            at: at(5),
            evidence: Map::new(),
        };
        let mark = |hours, outcome| Mark {
            episode: Position { at: at(1), id: EventHash([0; 8]) },
            at: at(hours),
            outcome,
        };
        let mut said = Said::default();
        said.marks.insert("Cart Abandoned/4h".to_owned(), mark(5, Outcome::Raised));
        said.marks.insert(
            "Browse Abandoned/2h".to_owned(),
            mark(3, Outcome::Superseded("Cart Abandoned".to_owned())),
        );
        said.marks.insert("Became Dormant/60d".to_owned(), mark(9, Outcome::Raised));
        let found: Vec<String> = decisions(&said, &[raise])
            .iter()
            .map(|d| {
                format!(
                    "{} {} {} {}",
                    d.signal,
                    d.threshold,
                    d.verdict.words(),
                    d.evidence.is_some()
                )
            })
            .collect();
        assert_eq!(
            found,
            [
                "Became Dormant 60d raised false",
                "Cart Abandoned after 4h raised true",
                "Browse Abandoned 2h superseded by Cart Abandoned false",
            ]
        );
    }

    #[test]
    fn evidence_in_words() {
        let cart = json!({"lines": [{"name": "Tent", "price": "249.00", "quantity": 2}], "more": 3,
            "items": 9, "value": 49_800, "currency": "EUR", "last": "2026-11-22T08:55:00.000Z"});
        let lines = in_words(cart.as_object().unwrap());
        let lines: Vec<String> =
            lines.iter().map(|(label, text)| format!("{label}: {text}")).collect();
        assert_eq!(
            lines,
            [
                "in the cart: 2 × Tent (249.00), and 3 more",
                "worth: 498.00 EUR",
                "pieces: 9",
                "last deed: 22 Nov 2026, 08:55",
            ]
        );
        let order = json!({"value": "18.99", "currency": "USD", "order": 2, "whatever_else": true});
        let lines = in_words(order.as_object().unwrap());
        assert!(lines.contains(&("worth".to_owned(), "18.99 USD".to_owned())));
        assert!(lines.contains(&("whatever else".to_owned(), "yes".to_owned())));
    }
}
