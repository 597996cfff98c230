//! Evaluating conditions: an answer for every leaf that was asked.

use super::{Answer, Comparison, Condition, ConsentAsked, EventPredicate, cut, path, shown};
use crate::ids::{EventHash, Position, PredicateKey};
use crate::profile::ProfileView;
use crate::time::{Span, Stamp};
use crate::wire::Why;
use serde_json::Value;

/// The deepest nesting of `all`, `any` and `not`; below it nothing holds. Workspace files are
/// checked against the same limit.
pub const CONDITION_DEPTH_MAX: usize = 16;

/// What conditions are asked about.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The profile as it is now.
    pub view: &'a ProfileView,
    /// The trigger and what it carried.
    pub why: &'a Why,
    /// When the trigger happened.
    pub started: Stamp,
    /// The time of asking.
    pub now: Stamp,
}

impl Facts<'_> {
    /// The last event of this predicate at or after `from`; the triggering event itself, and the one
    /// that a signal speaks of (the last visit before a silence), do not count, or "again" could not
    /// be asked.
    #[must_use]
    pub fn last_since(&self, key: PredicateKey, from: Stamp) -> Option<Position> {
        let position = self.view.matches.get(&key).copied()?;
        let is_trigger = || {
            position.at == self.started
                && (self.why.is_of_signal() || position.id == EventHash::of(&self.why.trigger_id))
        };
        (position.at >= from && !is_trigger()).then_some(position)
    }
}

/// The answers so far; none where nobody wants to see them.
struct Answers(Option<Vec<Answer>>);

impl Answers {
    /// Notes what was asked and found, and says whether it held.
    fn note(&mut self, held: bool, words: impl FnOnce() -> (String, String)) -> bool {
        if let Some(answers) = &mut self.0 {
            let (asked, found) = words();
            answers.push(Answer { asked, found, held });
        }
        held
    }
}

fn since_then(last: Option<Stamp>) -> String {
    last.map_or_else(|| "not since then".to_owned(), |at| at.to_string())
}

impl Condition {
    /// Whether it holds, and the answer of every leaf that was asked, in order. All leaves are
    /// asked, so that a trace shows what would have to change.
    #[must_use]
    pub fn evaluate(&self, facts: &Facts<'_>) -> (bool, Vec<Answer>) {
        let mut answers = Answers(Some(Vec::new()));
        let held = self.ask(facts, &mut answers, CONDITION_DEPTH_MAX);
        (held, answers.0.unwrap_or_default())
    }

    /// Whether it holds, without the answers, which take most of the time.
    #[must_use]
    pub fn holds(&self, facts: &Facts<'_>) -> bool {
        self.ask(facts, &mut Answers(None), CONDITION_DEPTH_MAX)
    }

    fn ask(&self, facts: &Facts<'_>, answers: &mut Answers, depth: usize) -> bool {
        let Some(deeper) = depth.checked_sub(1) else {
            return false;
        };
        match self {
            Condition::All(all) => {
                // Counted and not cut short: every leaf is to have its answer.
                all.iter().filter(|c| !c.ask(facts, answers, deeper)).count() == 0
            }
            Condition::Any(any) => any.iter().filter(|c| c.ask(facts, answers, deeper)).count() > 0,
            Condition::Not(inner) => !inner.ask(facts, answers, deeper),
            Condition::Trait { name, is } => {
                let found = trait_values(facts.view, name);
                self.answer(is, &found, answers)
            }
            Condition::Fact { name, is } => {
                let zero = Value::from(0);
                let mut found = fact_values(facts.view, name);
                // What never happened was not counted: its count is zero.
                if found.is_empty() && is.asks_for_a_number() {
                    found.push(&zero);
                }
                self.answer(is, &found, answers)
            }
            Condition::Trigger { property, is } => {
                let found = path::values(&facts.why.evidence, property);
                self.answer(is, &found, answers)
            }
            Condition::Performed { event, within } => {
                self.performed(facts, event, *within, answers)
            }
            Condition::Signal { name, within } => self.raised(facts, name, *within, answers),
            Condition::Counted { state, at_least, .. } => {
                let count = facts.view.traits.get(state).and_then(Value::as_u64);
                answers.note(count.is_some_and(|count| count >= *at_least), || {
                    let found =
                        count.map_or("not counted yet".to_owned(), |n| format!("{n} times"));
                    (self.describe(), found)
                })
            }
            Condition::Consent { topic, is } => {
                let found = ConsentAsked::of(facts.view.consents.get(topic).copied());
                answers.note(found == *is, || (self.describe(), found.word().to_owned()))
            }
            Condition::Segment { name } => {
                let since = facts.view.segments.get(name);
                answers.note(since.is_some(), || {
                    let since = since.map(|at| format!("since {at}"));
                    (self.describe(), since.unwrap_or_else(|| "not in it".to_owned()))
                })
            }
        }
    }

    fn raised(
        &self,
        facts: &Facts<'_>,
        name: &str,
        within: Option<Span>,
        answers: &mut Answers,
    ) -> bool {
        let from = within.map_or(Stamp::MIN, |span| facts.now.minus(span));
        let last = facts.view.raised.get(name).copied().filter(|at| *at >= from);
        answers.note(last.is_some(), || (self.describe(), since_then(last)))
    }

    /// Shows every leaf, in the order in which they are asked.
    pub fn each_leaf<'c>(&'c self, see: &mut dyn FnMut(&'c Condition)) {
        self.each_leaf_to(see, CONDITION_DEPTH_MAX);
    }

    fn each_leaf_to<'c>(&'c self, see: &mut dyn FnMut(&'c Condition), depth: usize) {
        let Some(deeper) = depth.checked_sub(1) else { return };
        match self {
            Condition::All(parts) | Condition::Any(parts) => {
                for part in parts {
                    part.each_leaf_to(see, deeper);
                }
            }
            Condition::Not(part) => part.each_leaf_to(see, deeper),
            leaf => see(leaf),
        }
    }

    /// Whether it holds, by the answers of its leaves in the order in which they are asked.
    #[must_use]
    pub fn held_by(&self, answers: &[bool]) -> bool {
        self.held_by_to(&mut answers.iter().copied(), CONDITION_DEPTH_MAX)
    }

    fn held_by_to(&self, answers: &mut dyn Iterator<Item = bool>, depth: usize) -> bool {
        let Some(deeper) = depth.checked_sub(1) else { return false };
        match self {
            Condition::All(all) => {
                all.iter().filter(|part| !part.held_by_to(answers, deeper)).count() == 0
            }
            Condition::Any(any) => {
                any.iter().filter(|part| part.held_by_to(answers, deeper)).count() > 0
            }
            Condition::Not(part) => !part.held_by_to(answers, deeper),
            _ => answers.next().unwrap_or(false),
        }
    }

    /// The instants after now at which the answer of a leaf turns if nothing else happens, in no
    /// order. Between them the whole tree answers alike.
    #[must_use]
    pub fn turns(&self, facts: &Facts<'_>) -> Vec<Stamp> {
        let mut turns = Vec::new();
        self.each_leaf(&mut |leaf| {
            let (last, window) = match leaf {
                Condition::Performed { event, within: Some(window) } => {
                    (facts.view.matches.get(&event.key()).map(|last| last.at), window)
                }
                Condition::Signal { name, within: Some(window) } => {
                    (facts.view.raised.get(name).copied(), window)
                }
                _ => return,
            };
            // The last instant of a window that reaches back to `last` is its length later.
            turns.extend(last.map(|last| last.plus(*window).plus(Span::from_ms(1))));
        });
        turns.retain(|at| *at > facts.now);
        turns
    }

    fn answer(&self, is: &Comparison, found: &[&Value], answers: &mut Answers) -> bool {
        answers.note(is.holds_of(found), || {
            let found = match found {
                [] => "nothing".to_owned(),
                [one] => shown(one),
                several => cut(&several.iter().map(|v| shown(v)).collect::<Vec<_>>().join(", ")),
            };
            (self.describe(), found)
        })
    }

    fn performed(
        &self,
        facts: &Facts<'_>,
        event: &EventPredicate,
        within: Option<Span>,
        answers: &mut Answers,
    ) -> bool {
        let from = within.map_or(facts.started, |span| facts.now.minus(span));
        let last = facts.last_since(event.key(), from);
        answers.note(last.is_some(), || {
            let ever = within.is_none() && facts.started == Stamp::MIN;
            let asked = if ever { format!("{event} ever") } else { self.describe() };
            (asked, since_then(last.map(|last| last.at)))
        })
    }

    /// As people read it: `orders.count at least 2`, `all of (…; …)`.
    #[must_use]
    pub fn describe(&self) -> String {
        self.describe_to(CONDITION_DEPTH_MAX)
    }

    fn describe_to(&self, depth: usize) -> String {
        let Some(deeper) = depth.checked_sub(1) else {
            return "…".to_owned();
        };
        let list = |conditions: &[Condition]| {
            conditions.iter().map(|c| c.describe_to(deeper)).collect::<Vec<_>>().join("; ")
        };
        match self {
            Condition::All(all) => format!("all of ({})", list(all)),
            Condition::Any(any) => format!("any of ({})", list(any)),
            Condition::Not(inner) => format!("not ({})", inner.describe_to(deeper)),
            Condition::Trait { name, is } => format!("trait {name} {is}"),
            Condition::Fact { name, is } => format!("{name} {is}"),
            Condition::Trigger { property, is } => format!("trigger's {property} {is}"),
            Condition::Performed { event, within: None } => {
                format!("{event} since the start")
            }
            Condition::Performed { event, within: Some(span) } => {
                format!("{event} within {span}")
            }
            Condition::Counted { event, days, at_least, .. } => {
                let window =
                    days.map_or_else(|| "ever".to_owned(), |days| format!("within {days}d"));
                format!("{event} at least {at_least} times {window}")
            }
            Condition::Signal { name, within: None } => format!("signal {name} ever"),
            Condition::Signal { name, within: Some(span) } => {
                format!("signal {name} within {span}")
            }
            Condition::Consent { topic, is } => format!("consent to {topic} {}", is.word()),
            Condition::Segment { name } => format!("in segment {name}"),
        }
    }
}

fn trait_values<'v>(view: &'v ProfileView, name: &str) -> Vec<&'v Value> {
    dotted(&view.traits, name)
}

fn fact_values<'v>(view: &'v ProfileView, name: &str) -> Vec<&'v Value> {
    dotted(&view.facts, name)
}

/// Names hold dots themselves (`cart.lines`), so the longest name that is there wins and the rest
/// is a path into its value (`cart.lines.sku`).
fn dotted<'v>(map: &'v std::collections::BTreeMap<String, Value>, name: &str) -> Vec<&'v Value> {
    if let Some(value) = map.get(name) {
        return path::values_in(value, "");
    }
    name.rmatch_indices('.')
        .find_map(|(at, _)| {
            let value = map.get(name.get(..at)?)?;
            Some(path::values_in(value, name.get(at + 1..)?))
        })
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ProfileId;
    use serde_json::json;

    fn view() -> ProfileView {
        let mut view = ProfileView::empty(ProfileId::from_bytes([1; 16]));
        view.traits.insert("plan".to_owned(), json!("gold"));
        view.traits.insert("address".to_owned(), json!({"city": "Ulm"}));
        view.facts.insert("orders.count".to_owned(), json!(2));
        view.facts.insert("cart.lines".to_owned(), json!([{"sku": "a"}, {"sku": "b"}]));
        view.facts.insert("events.Order Completed".to_owned(), json!(2));
        let order = EventPredicate { event: "Order Completed".to_owned(), tests: Vec::new() };
        let at = Stamp::from_ms(5_000);
        view.matches.insert(order.key(), Position { at, id: EventHash::of("o1") });
        view
    }

    fn ask(condition: &Value, started: i64, trigger: &str) -> (bool, Vec<Answer>) {
        let why = Why {
            trigger_id: trigger.to_owned(),
            evidence: json!({"value": 12.5}).as_object().cloned().unwrap(),
            ..Why::default()
        };
        let condition: Condition = serde_json::from_value(condition.clone()).unwrap();
        condition.evaluate(&Facts {
            view: &view(),
            why: &why,
            started: Stamp::from_ms(started),
            now: Stamp::from_ms(60_000),
        })
    }

    #[test]
    fn leaves_answer_with_what_they_found() {
        let cases = [
            (json!({"trait": {"name": "plan", "is": {"equals": "gold"}}}), true, "gold"),
            (json!({"trait": {"name": "address.city", "is": {"equals": "Ulm"}}}), true, "Ulm"),
            (json!({"trait": {"name": "age", "is": {"below": 9}}}), false, "nothing"),
            (json!({"fact": {"name": "orders.count", "is": {"at_least": 2}}}), true, "2"),
            (json!({"fact": {"name": "events.Nothing", "is": {"below": 1}}}), true, "0"),
            (json!({"fact": {"name": "events.Nothing", "is": {"exists": true}}}), false, "nothing"),
            (json!({"fact": {"name": "cart.lines.sku", "is": {"equals": "b"}}}), true, "a, b"),
            (json!({"fact": {"name": "events.Order Completed", "is": {"above": 1}}}), true, "2"),
            (json!({"trigger": {"property": "value", "is": {"above": 12}}}), true, "12.5"),
        ];
        for (condition, held, found) in cases {
            let (all, answers) = ask(&condition, 0, "t");
            assert_eq!(all, held, "{condition}");
            assert_eq!(answers.len(), 1);
            assert_eq!((answers[0].found.as_str(), answers[0].held), (found, held), "{condition}");
        }
    }

    #[test]
    fn performed_counts_from_the_start_or_the_span_and_not_the_trigger() {
        let ever = json!({"performed": {"event": {"event": "Order Completed"}, "within": null}});
        assert!(ask(&ever, 5_000, "t").0);
        assert!(!ask(&ever, 5_001, "t").0);
        assert!(!ask(&ever, 5_000, "o1").0, "the trigger is not a second order");
        let lately = |span: &str| json!({"performed": {"event": {"event": "Order Completed"}, "within": span}});
        assert!(ask(&lately("55s"), 50_000, "t").0);
        assert!(!ask(&lately("54s"), 50_000, "t").0);
    }

    #[test]
    fn trees_ask_every_leaf() {
        let no = json!({"trait": {"name": "x", "is": {"exists": true}}});
        let yes = json!({"trait": {"name": "plan", "is": {"exists": true}}});
        let (held, answers) = ask(&json!({"all": [no, yes]}), 0, "t");
        assert!(!held);
        assert_eq!(answers.len(), 2);
        assert!(ask(&json!({"any": [no, yes]}), 0, "t").0);
        assert!(ask(&json!({"not": no}), 0, "t").0);
        assert!(ask(&json!({"all": []}), 0, "t").0);
        assert!(!ask(&json!({"any": []}), 0, "t").0);
        let tree: Condition = serde_json::from_value(json!({"any": [{"not": no}, yes]})).unwrap();
        assert_eq!(tree.describe(), "any of (not (trait x is known); trait plan is known)");
    }

    #[test]
    fn a_condition_nested_without_end_does_not_hold() {
        let mut condition = Condition::All(Vec::new());
        for _ in 0..10_000 {
            condition = Condition::Any(vec![condition]);
        }
        let facts_view = view();
        let why = Why::default();
        let facts = Facts { view: &facts_view, why: &why, started: Stamp::MIN, now: Stamp::MIN };
        assert!(!condition.evaluate(&facts).0);
        assert!(condition.describe().ends_with("…)))))))))))))))) ".trim_end()));
    }
}
