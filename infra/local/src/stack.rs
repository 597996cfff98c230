//! The handle of a running stack: what one asks it, and how one breaks it.

use crate::activity::Busy;
use crate::broker::{Depth, Received};
use crate::clock::Clock;
use crate::faults::Faults;
use crate::feed::Happening;
use crate::iam::Unused;
use crate::lambda::{self, process};
use crate::mailbox::Mailbox;
use crate::pace;
use crate::state::Shared;
use crate::template::{self, Resources};
use crate::usage::Usage;
use crate::wire::{self, OPERATOR, access_key};
use odyssey_aws::{Aws, DynamoTables, Env};
use odyssey_domain::keyring::{Keyring, KeyringError};
use odyssey_domain::time::{Span, Stamp};
use odyssey_flows::ports::Table;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::broadcast;

/// A message that ended in a dead-letter queue.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// The dead-letter queue's logical id.
    pub queue: String,
    /// The message.
    pub message: Received,
}

/// A running stack's handle; cheap to clone. The stack lives as long as its [`crate::LocalStack`].
#[derive(Debug, Clone)]
pub struct Stack {
    pub(crate) shared: Arc<Shared>,
}

/// The variable that holds the URL of the queue with a logical id: `PROFILE_QUEUE_URL` of
/// `ProfileQueue`, as [`odyssey_flows::ports::Queue::env`] has it.
#[must_use]
pub fn queue_variable(logical_id: &str) -> String {
    let mut name = String::new();
    for letter in logical_id.chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    format!("{name}_URL")
}

impl Stack {
    /// Where the HTTP API answers: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn api_url(&self) -> &str {
        &self.shared.place.api_url
    }

    /// Where AWS's protocols are spoken.
    #[must_use]
    pub fn endpoint_url(&self) -> &str {
        &self.shared.place.endpoint_url
    }

    /// The clock that the stack lives by.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.shared.clock.clone()
    }

    /// Customer time.
    #[must_use]
    pub fn now(&self) -> Stamp {
        self.shared.clock.now()
    }

    /// Has a process of every function ready; then a patient clock begins.
    pub async fn warm(&self) {
        lambda::warm(&self.shared).await;
        if self.shared.clock.is_granted() {
            self.shared.pacing.call_once(|| {
                tokio::spawn(pace::run(self.shared.clone()));
            });
        }
    }

    /// Somebody outside does something about this moment, until that is dropped: nobody takes the
    /// stack for idle, and a patient clock waits.
    pub fn busy(&self) -> Busy {
        self.shared.activity.begin()
    }

    /// What happens from now on. A listener that lags loses the oldest happenings.
    #[must_use]
    pub fn feed(&self) -> broadcast::Receiver<Arc<Happening>> {
        self.shared.feed.listen()
    }

    /// The mails that SES took.
    #[must_use]
    pub fn mailbox(&self) -> &Mailbox {
        &self.shared.mailbox
    }

    /// Faults on purpose.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// Kills every process of a function (by its logical id), as a crash would; returns how many.
    #[expect(clippy::must_use_candidate, reason = "killing is the point; the count is for tests")]
    pub fn kill(&self, function: &str) -> usize {
        self.shared.lambda.kill(function)
    }

    /// Puts a message on a queue (by its logical id), as the operator; false where there is no
    /// such queue.
    #[expect(clippy::must_use_candidate, reason = "sending is the point")]
    pub fn enqueue(&self, queue: &str, body: &str) -> bool {
        let spec = self.shared.broker.specs().find(|spec| spec.id == queue);
        spec.inspect(|spec| {
            self.shared.broker.send(&spec.name, body, Span::ZERO, OPERATOR);
        })
        .is_some()
    }

    /// Everything on a queue (by its logical id), without receiving it.
    #[must_use]
    pub fn peek(&self, queue: &str) -> Vec<Received> {
        let spec = self.shared.broker.specs().find(|spec| spec.id == queue);
        spec.map(|spec| self.shared.broker.peek(&spec.name)).unwrap_or_default()
    }

    /// The environment of one function's process, by the function's logical id: for whoever hosts
    /// functions elsewhere. Empty where there is no such function.
    #[must_use]
    pub fn function_environment(&self, function: &str) -> BTreeMap<String, String> {
        let spec = self.shared.resources.functions.iter().find(|spec| spec.id == function);
        spec.map(|spec| process::environment(&self.shared, spec)).unwrap_or_default()
    }

    /// What was counted so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.shared.book.read()
    }

    /// What was counted so far; counting starts from nothing.
    #[must_use]
    pub fn reset_usage(&self) -> Usage {
        self.shared.book.reset()
    }

    /// Statements of the template that nothing has used yet.
    #[must_use]
    pub fn unused_statements(&self) -> Vec<Unused> {
        self.shared.iam.unused()
    }

    /// What the template wires.
    #[must_use]
    pub fn resources(&self) -> &Resources {
        &self.shared.resources
    }

    /// The messages in every queue that is another's dead-letter queue.
    #[must_use]
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        let queues: Vec<&template::Queue> = self.shared.broker.specs().collect();
        let is_dead = |queue: &&&template::Queue| {
            let target = |other: &&template::Queue| {
                other.redrive.as_ref().is_some_and(|redrive| redrive.target == queue.arn)
            };
            let of_rule = |rule: &template::Rule| {
                rule.targets.iter().any(|t| t.dead_letters.as_deref() == Some(queue.arn.as_str()))
            };
            queues.iter().any(target) || self.shared.resources.rules.iter().any(of_rule)
        };
        let mut found = Vec::new();
        for queue in queues.iter().filter(is_dead) {
            let messages = self.shared.broker.peek(&queue.name);
            found.extend(
                messages.into_iter().map(|message| DeadLetter { queue: queue.id.clone(), message }),
            );
        }
        found
    }

    /// How many messages a queue (by its logical id) holds.
    #[must_use]
    pub fn depth(&self, queue: &str) -> Option<Depth> {
        let spec = self.shared.broker.specs().find(|spec| spec.id == queue)?;
        Some(self.shared.broker.depth(&spec.name))
    }

    /// The stack's keyring.
    ///
    /// # Errors
    /// Where the template's secret is no keyring.
    pub fn keyring(&self) -> Result<Keyring, KeyringError> {
        let text = self.shared.secrets.values().next().map(String::as_str).unwrap_or_default();
        Keyring::parse(text)
    }

    /// The operator's environment: every table, queue, bus and secret, under the names that
    /// functions know them by, with an access key that may do everything.
    #[must_use]
    pub fn environment(&self) -> BTreeMap<String, String> {
        let resources = &self.shared.resources;
        let mut all = BTreeMap::new();
        let mut put = |name: &str, value: &str| {
            all.insert(name.to_owned(), value.to_owned());
        };
        for function in &resources.functions {
            function.environment.iter().for_each(|(name, value)| put(name, value));
        }
        for table in Table::ALL {
            let id = format!("{table:?}Table");
            if let Some(spec) = resources.tables.iter().find(|spec| spec.id == id) {
                put(table.env(), &spec.name);
            }
        }
        for queue in &resources.queues {
            put(&queue_variable(&queue.id), &queue.url);
        }
        put("AWS_ENDPOINT_URL", self.endpoint_url());
        put("AWS_REGION", &self.shared.place.region);
        put("AWS_ACCESS_KEY_ID", &access_key(OPERATOR));
        put("AWS_SECRET_ACCESS_KEY", "local");
        put("ODYSSEY_CLOCK", &self.shared.clock.variable());
        all
    }

    /// The operator's way to the services.
    #[must_use]
    pub fn aws(&self) -> Aws {
        Aws::connect(&Env::from_variables(self.environment()))
    }

    /// The operator's way to every table.
    #[must_use]
    pub fn tables(&self) -> DynamoTables {
        self.aws().tables(&Table::ALL)
    }

    /// Every item of every table by the table's logical id, in DynamoDB's JSON, sorted by key.
    #[must_use]
    pub fn contents(&self) -> BTreeMap<String, Vec<serde_json::Value>> {
        let tables = self.shared.resources.tables.iter();
        tables.map(|t| (t.id.clone(), wire::items(&self.shared.database, &t.name))).collect()
    }

    /// Returns when nothing goes on: no request, no invocation, no message that could be received
    /// or is being handled, none that is delayed until `until` or before, and nothing in the due
    /// index up to then. A message that a function gave back counts until it is handled.
    pub async fn idle(&self, until: Stamp) {
        let mut changes = self.shared.activity.watch();
        loop {
            changes.mark_unchanged();
            if self.is_idle(until) || changes.changed().await.is_err() {
                return;
            }
        }
    }

    fn is_idle(&self, until: Stamp) -> bool {
        let shared = &self.shared;
        if !shared.is_quiet(until) {
            return false;
        }
        let due = shared.resources.tables.iter().find(|table| table.id == "DueTable");
        let last = format!("{}~", odyssey_flows::due::sort_key_at(until));
        let waits = due.is_some_and(|table| wire::any_up_to(&shared.database, &table.name, &last));
        // What was due may have been handed over between the two questions.
        !waits && shared.is_quiet(until)
    }
}
