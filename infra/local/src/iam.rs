//! Who may do what: the statements of the template, evaluated for every call.
//!
//! A function's call needs its role's leave; a delivery by EventBridge, SNS or SES needs the leave
//! of the policy on what it delivers to. What no test ever uses is told by [`Iam::unused`].

use crate::template::{Effect, Operator, Principal, Statement};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// A call that no statement allows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{who} is not authorized to perform {action} on {resource}: {why}")]
pub struct Denied {
    /// The role or service.
    pub who: String,
    /// `dynamodb:PutItem`
    pub action: String,
    /// The ARN.
    pub resource: String,
    /// What is missing.
    pub why: &'static str,
}

/// A statement's action that nothing has used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unused {
    /// The ARN of the role, queue or topic that holds the statement.
    pub holder: String,
    /// Its `Sid`.
    pub statement: String,
    /// The action; `*` where the whole statement was never used.
    pub action: String,
}

/// One question: may this be done?
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question<'a> {
    /// `dynamodb:PutItem`
    pub(crate) action: &'a str,
    /// The ARN.
    pub(crate) resource: &'a str,
    /// Condition keys, in lower case, with their values.
    pub(crate) context: &'a [(&'a str, &'a str)],
}

/// The statements and which were used.
#[derive(Debug, Default)]
pub struct Iam {
    roles: BTreeMap<String, Vec<Statement>>,
    guards: BTreeMap<String, Vec<Statement>>,
    used: Mutex<BTreeSet<(String, usize, String)>>,
}

/// `*` stands for any text, `?` for any one character.
pub(crate) fn wildcard(pattern: &str, text: &str) -> bool {
    let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut from) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while from < t.len() {
        match p.get(at) {
            Some('*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(c) if *c == '?' || Some(c) == t.get(from) => {
                at += 1;
                from += 1;
            }
            _ => match star {
                Some((star_at, star_from)) => {
                    at = star_at + 1;
                    from = star_from + 1;
                    star = Some((star_at, from));
                }
                None => return false,
            },
        }
    }
    p.iter().skip(at).all(|c| *c == '*')
}

fn speaks_of(statement: &Statement, question: &Question<'_>) -> bool {
    let action = |pattern: &String| {
        wildcard(&pattern.to_ascii_lowercase(), &question.action.to_ascii_lowercase())
    };
    statement.actions.iter().any(action)
        && statement.resources.iter().any(|pattern| wildcard(pattern, question.resource))
        && statement.conditions.iter().all(|condition| {
            question.context.iter().filter(|(key, _)| *key == condition.key).any(|(_, value)| {
                condition.patterns.iter().any(|pattern| match condition.operator {
                    Operator::StringEquals => pattern == value,
                    Operator::Like => wildcard(pattern, value),
                })
            })
        })
}

impl Iam {
    /// Of the template's roles and of its queues' and topics' own policies.
    pub(crate) fn new(
        roles: BTreeMap<String, Vec<Statement>>,
        guards: BTreeMap<String, Vec<Statement>>,
    ) -> Self {
        Self { roles, guards, used: Mutex::default() }
    }

    /// Whether a role allows a call.
    pub(crate) fn role(&self, role: &str, question: &Question<'_>) -> Result<(), Denied> {
        let statements = self.roles.get(role).map(Vec::as_slice).unwrap_or_default();
        self.decide(role, role, statements, question, |_| true)
    }

    /// Whether the policy on a resource lets a service deliver to it.
    pub(crate) fn guard(&self, service: &str, question: &Question<'_>) -> Result<(), Denied> {
        let holder = question.resource;
        let statements = self.guards.get(holder).map(Vec::as_slice).unwrap_or_default();
        let who = Principal::Service(service.to_owned());
        self.decide(service, holder, statements, question, |found| *found == who)
    }

    fn decide(
        &self,
        who: &str,
        holder: &str,
        statements: &[Statement],
        question: &Question<'_>,
        is_who: impl Fn(&Principal) -> bool,
    ) -> Result<(), Denied> {
        let denied = |why| Denied {
            who: who.to_owned(),
            action: question.action.to_owned(),
            resource: question.resource.to_owned(),
            why,
        };
        let mut allowed = false;
        for (at, statement) in statements.iter().enumerate() {
            if !is_who(&statement.principal) || !speaks_of(statement, question) {
                continue;
            }
            let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
            used.insert((holder.to_owned(), at, question.action.to_owned()));
            if statement.effect == Effect::Deny {
                return Err(denied("a statement of the template denies it"));
            }
            allowed = true;
        }
        if allowed { Ok(()) } else { Err(denied("no statement of the template allows it")) }
    }

    /// What was never used: whole statements, and single actions of used ones.
    #[must_use]
    pub fn unused(&self) -> Vec<Unused> {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = Vec::new();
        for (holder, statements) in self.roles.iter().chain(&self.guards) {
            for (at, statement) in statements.iter().enumerate() {
                let of_this = |(h, a, _): &&(String, usize, String)| h == holder && *a == at;
                let actions: Vec<&String> =
                    used.iter().filter(of_this).map(|(_, _, x)| x).collect();
                let never = |pattern: &&String| !actions.iter().any(|used| wildcard(pattern, used));
                let missing: Vec<&String> = statement.actions.iter().filter(never).collect();
                let named: Vec<&str> = if actions.is_empty() {
                    vec!["*"]
                } else {
                    missing.iter().map(|pattern| pattern.as_str()).collect()
                };
                found.extend(named.into_iter().map(|action| Unused {
                    holder: holder.clone(),
                    statement: statement.name.clone(),
                    action: action.to_owned(),
                }));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::Condition;

    fn statement(effect: Effect, action: &str, resource: &str) -> Statement {
        Statement {
            name: action.to_owned(),
            effect,
            principal: Principal::Holder,
            actions: vec![action.to_owned()],
            resources: vec![resource.to_owned()],
            conditions: vec![],
        }
    }

    fn iam(statements: Vec<Statement>) -> Iam {
        Iam::new(BTreeMap::from([("role".to_owned(), statements)]), BTreeMap::new())
    }

    fn ask(iam: &Iam, action: &str, resource: &str, context: &[(&str, &str)]) -> bool {
        iam.role("role", &Question { action, resource, context }).is_ok()
    }

    #[test]
    fn wildcards() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abcd", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("arn:*:table/x*", "arn:aws:dynamodb:table/xyz", true),
            ("**b", "aab", true),
            ("", "a", false),
        ] {
            assert_eq!(wildcard(pattern, text), fits, "{pattern} {text}");
        }
    }

    /// The definition, without the cleverness.
    fn plain(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|at| plain(rest, &text[at..])),
            Some((c, rest)) => match text.split_first() {
                Some((t, others)) => (*c == '?' || c == t) && plain(rest, others),
                None => false,
            },
        }
    }

    proptest::proptest! {
        #[test]
        fn wildcards_match_by_their_definition(pattern in "[ab*?]{0,7}", text in "[ab]{0,9}") {
            let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
            proptest::prop_assert_eq!(wildcard(&pattern, &text), plain(&p, &t));
        }
    }

    #[test]
    fn nothing_is_allowed_that_is_not_written() {
        let iam = iam(vec![
            statement(Effect::Allow, "dynamodb:Get*", "arn:table/a"),
            statement(Effect::Allow, "sqs:*", "*"),
            statement(Effect::Deny, "sqs:SendMessage", "arn:queue/x"),
        ]);
        assert!(ask(&iam, "dynamodb:GetItem", "arn:table/a", &[]));
        assert!(!ask(&iam, "dynamodb:GetItem", "arn:table/b", &[]));
        assert!(!ask(&iam, "dynamodb:PutItem", "arn:table/a", &[]));
        assert!(ask(&iam, "sqs:SendMessage", "arn:queue/y", &[]));
        assert!(!ask(&iam, "sqs:SendMessage", "arn:queue/x", &[]));
        let question = Question { action: "x:Y", resource: "z", context: &[] };
        assert!(iam.role("another role", &question).is_err());
    }

    #[test]
    fn a_condition_without_its_key_does_not_hold() {
        let mut publish = statement(Effect::Allow, "events:PutEvents", "*");
        publish.conditions = vec![Condition {
            operator: Operator::StringEquals,
            key: "events:source".to_owned(),
            patterns: vec!["odyssey.ingest".to_owned()],
        }];
        let iam = iam(vec![publish]);
        assert!(!ask(&iam, "events:PutEvents", "bus", &[]));
        assert!(!ask(&iam, "events:PutEvents", "bus", &[("events:source", "odyssey.profile")]));
        assert!(ask(&iam, "events:PutEvents", "bus", &[("events:source", "odyssey.ingest")]));
    }

    #[test]
    fn what_was_not_used_is_told() {
        let mut both = statement(Effect::Allow, "sqs:SendMessage", "*");
        both.actions.push("sqs:DeleteMessage".to_owned());
        let iam = iam(vec![both, statement(Effect::Allow, "ses:SendEmail", "*")]);
        assert!(ask(&iam, "sqs:SendMessage", "q", &[]));
        let unused: Vec<(String, String)> =
            iam.unused().into_iter().map(|unused| (unused.statement, unused.action)).collect();
        let expected = [("sqs:SendMessage", "sqs:DeleteMessage"), ("ses:SendEmail", "*")]
            .map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(unused, expected);
    }
}
