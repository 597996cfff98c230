//! What came of it, read from the tables and the mailbox.

use super::field::{Field, NAME, STEPS};
use super::people::{DEEDS, People, name};
use crate::Failure;
use crate::screen::{Screen, Style};
use odyssey_domain::ids::{ProfileId, SendId};
use odyssey_domain::message::SendState;
use odyssey_domain::personal::UserId;
use odyssey_flows::ledger;
use odyssey_flows::ports::{Consistency, Query, Table, Tables};
use odyssey_flows::profiles;
use odyssey_flows::stored::decode;
use serde::Serialize;
use std::collections::BTreeMap;

/// What came of it.
#[derive(Debug, Default, Serialize)]
pub(super) struct Verdict {
    /// Customers, each with a journey of three mails.
    pub(super) journeys: usize,
    /// Mails that SES accepted.
    pub(super) messages: usize,
    /// Sends that SES accepted twice or more.
    pub(super) duplicates: usize,
    /// Sends that SES never accepted and nobody can see: not in the ledger, or not at an end there.
    pub(super) lost: usize,
    /// Sends that the ledger calls sent and SES never accepted.
    pub(super) phantom: usize,
    /// Sends still unconfirmed, and so on the operator's list.
    pub(super) unconfirmed: usize,
    /// Sends on record as refused by SES for good.
    pub(super) failed: usize,
    /// Sends on record as skipped, with the reason. An address that was on its way back from the
    /// dead letters when a mail was due is such a reason.
    pub(super) skipped: usize,
    /// Mails that belong to no send of these journeys.
    pub(super) unknown: usize,
    /// Customers whose profile does not hold exactly the acknowledged events.
    pub(super) wrong_profiles: usize,
    /// Panics of functions.
    pub(super) panics: usize,
    /// Messages left on queues.
    pub(super) left_over: usize,
    /// The first few things that are wrong.
    pub(super) examples: Vec<String>,
}

/// Wrong things that are told one by one.
const EXAMPLES_MAX: usize = 20;

impl Verdict {
    /// Nothing twice, nothing lost, nothing made up.
    pub(super) const fn is_right(&self) -> bool {
        self.duplicates == 0
            && self.lost == 0
            && self.phantom == 0
            && self.failed == 0
            && self.unknown == 0
            && self.wrong_profiles == 0
            && self.panics == 0
            && self.left_over == 0
    }

    /// Counts one send, accepted so many times, as the ledger has it; whether that is as it must be.
    fn counts(&mut self, times: usize, ledger: Option<&SendState>) -> bool {
        self.duplicates += usize::from(times > 1);
        match ledger {
            Some(SendState::Sent { .. }) => {
                self.phantom += usize::from(times == 0);
                times == 1
            }
            Some(SendState::Unconfirmed { .. }) => {
                self.unconfirmed += 1;
                times <= 1
            }
            Some(SendState::Skipped { .. }) => {
                self.skipped += 1;
                times == 0
            }
            Some(SendState::Failed { .. }) => {
                self.failed += 1;
                false
            }
            _ => {
                self.lost += 1;
                false
            }
        }
    }

    fn example(&mut self, text: impl FnOnce() -> String) {
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(text());
        }
    }

    pub(super) fn tell(&self, screen: &Screen) {
        screen.line(&screen.paint(Style::Strong, "What came of it"));
        let row = |count: usize, what: &str, wrong: bool| {
            let style = match (wrong, count) {
                (true, 0) => Style::Good,
                (true, _) => Style::Bad,
                (false, _) => Style::Plain,
            };
            screen.line(&format!("{}  {what}", screen.paint(style, &format!("{count:>8}"))));
        };
        row(self.journeys, "journeys of three mails", false);
        row(self.messages, "mails accepted by SES", false);
        row(self.duplicates, "sends accepted twice or more", true);
        row(self.lost, "sends lost: never accepted, and nobody can see it", true);
        row(self.phantom, "sends on record as sent that SES never accepted", true);
        row(self.failed, "sends on record as refused by SES", true);
        row(self.unknown, "mails of no send", true);
        row(self.unconfirmed, "sends unconfirmed, on the operator's list", false);
        row(self.skipped, "sends skipped, with the reason on record", false);
        row(self.wrong_profiles, "profiles that do not hold exactly what was acknowledged", true);
        row(self.panics, "panics of functions", true);
        row(self.left_over, "messages left on queues", true);
        for example in &self.examples {
            screen.line(&format!("          {example}"));
        }
    }
}

/// Reads everything and compares.
pub(super) async fn judge(field: &mut Field, people: &People) -> Result<Verdict, Failure> {
    let stack = field.stack()?;
    let failed = |error: &dyn std::fmt::Display| Failure::Stack(error.to_string());
    let keys = stack.keyring().map_err(|e| failed(&e))?;
    let tables = stack.tables();
    let mut accepted: BTreeMap<String, usize> = BTreeMap::new();
    let mails = field.mails();
    for mail in &mails {
        *accepted.entry(mail.tags.get("send_id").cloned().unwrap_or_default()).or_default() += 1;
    }
    let mut verdict =
        Verdict { journeys: people.count, messages: mails.len(), ..Verdict::default() };
    for number in 0..people.count {
        let user = UserId::parse(&name(number)).map_err(|e| failed(&e))?;
        let profile = ProfileId::from(keys.user_key(&user));
        let found = profiles::find(&tables, profile.into()).await.map_err(|e| failed(&e))?;
        let total = match found {
            profiles::Found::Profile(_, root) => Some(root.item.facts().total),
            profiles::Found::Nobody | profiles::Found::Erased => None,
        };
        // Signing up and wanting the journey are events too.
        if total != u64::try_from(DEEDS + 2).ok() {
            verdict.wrong_profiles += 1;
            verdict.example(|| format!("{}: {total:?} events", name(number)));
        }
        let query = Query {
            table: Table::Enrollments,
            pk: profile.to_string(),
            from: format!("{NAME}#"),
            to: format!("{NAME}#~"),
            limit: 10,
            descending: false,
            consistency: Consistency::Strong,
        };
        let slots = tables.query(&query).await.map_err(|e| failed(&e))?;
        let Some(row) = slots.first() else {
            verdict.lost += STEPS.len();
            verdict.example(|| format!("{}: never entered the journey", name(number)));
            continue;
        };
        let enrollment: odyssey_domain::journey::Enrollment =
            decode(row).map_err(|e| failed(&e))?;
        for step in STEPS {
            let send = SendId::derive(enrollment.id, step, 0);
            let times = accepted.remove(&send.to_string()).unwrap_or(0);
            let found = ledger::load(&tables, send, Consistency::Strong).await;
            let found = found.map_err(|e| failed(&e))?.map(|found| found.item.state);
            if !verdict.counts(times, found.as_ref()) {
                let at = &enrollment.step;
                verdict.example(|| {
                    format!("{} {step}, at {at}: accepted {times} times, {found:?}", name(number))
                });
            }
        }
    }
    let panics = field.panics();
    verdict.panics = panics.len();
    verdict.examples.extend(panics.into_iter().take(EXAMPLES_MAX));
    verdict.unknown = accepted.len();
    let queues = ["ProfileQueue", "JourneyQueue", "SenderQueue", "FeedbackQueue"];
    verdict.left_over = queues.iter().map(|queue| stack.peek(queue).len()).sum::<usize>()
        + stack.dead_letters().len();
    Ok(verdict)
}
