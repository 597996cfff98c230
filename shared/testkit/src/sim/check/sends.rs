//! Sends: what was asked for, claimed, accepted, and what the ledger says of it.

use super::super::core::Actor;
use super::super::functions::Function;
use super::super::workspace::keyring;
use super::Check;
use odyssey_domain::contact::TopicId;
use odyssey_domain::ids::{ContactKey, IdentityKey, OwnerToken, SendId};
use odyssey_domain::message::{LedgerItem, SendState, Witness};
use odyssey_domain::time::{Span, Stamp};
use odyssey_domain::wire::{ConsentRequested, SendRequested};
use odyssey_flows::ports::{Key, OutgoingMail, Row, Table};
use std::collections::{BTreeMap, BTreeSet};

/// From the last claim to SES's acceptance: the function's time-out, and what is on the wire then.
const CLAIM_TO_ACCEPTANCE_MAX: Span = Span::from_ms(45_000);

/// A claim as it was committed.
#[derive(Debug, Clone, Copy)]
struct Claim {
    at: Stamp,
    owner: OwnerToken,
}

/// What is known of sends.
#[derive(Debug, Default)]
pub(super) struct Sends {
    /// What journeys asked for, when first.
    pub(super) asked: BTreeMap<SendId, (Stamp, SendRequested)>,
    /// Addresses and topics that were to be asked to confirm.
    pub(super) to_confirm: BTreeSet<(ContactKey, TopicId, Stamp)>,
    claims: BTreeMap<SendId, Claim>,
    pub(super) ledger: BTreeMap<SendId, LedgerItem>,
    /// Which invocation is to make the call.
    calling: BTreeMap<SendId, u32>,
    /// SES refused it for good, at once or later.
    pub(super) refused: BTreeSet<SendId>,
    /// SES reported something of it.
    pub(super) reported: BTreeSet<SendId>,
    /// Addresses of which SES reported a hard bounce or a complaint.
    pub(super) to_suppress: BTreeSet<String>,
    /// Addresses that bounce for good.
    pub(super) hard: BTreeSet<String>,
    /// What an operator said SES had not accepted, though it had.
    misjudged: BTreeSet<SendId>,
    /// When the links were made that invocations of `consent` followed.
    pub(super) followed: BTreeMap<u32, Stamp>,
    /// How often SES accepted each.
    pub(super) accepted: BTreeMap<SendId, usize>,
}

/// A state's name, for the table of edges.
pub(super) const fn name(state: &SendState) -> &'static str {
    match state {
        SendState::Deferred { .. } => "deferred",
        SendState::Claimed => "claimed",
        SendState::Released { .. } => "released",
        SendState::Sending => "sending",
        SendState::Sent { .. } => "sent",
        SendState::Failed { .. } => "failed",
        SendState::Unconfirmed { .. } => "unconfirmed",
        SendState::Skipped { .. } => "skipped",
    }
}

/// What the ledger says in a row, by one word.
pub(in super::super) fn state(row: &Row) -> Option<&'static str> {
    let item = super::item::<LedgerItem>(row).filter(|_| row.key.table == Table::Ledger)?;
    Some(name(&item.state))
}

/// Whether a function may move a send along this edge.
fn is_edge(by: Function, from: Option<&LedgerItem>, to: &LedgerItem) -> bool {
    let before = from.map_or("none", |item| name(&item.state));
    let mine = from.is_some_and(|item| item.owner == to.owner);
    match (by, before, name(&to.state)) {
        (
            Function::Sender,
            "none" | "claimed" | "released" | "deferred",
            "claimed" | "skipped" | "deferred",
        )
        | (Function::Feedback, "failed", "failed") => true,
        (Function::Sender, "skipped", "claimed" | "skipped") => to.asked_by.is_none(),
        (Function::Sender, "claimed", "sending")
        | (Function::Sender, "sending", "sent" | "failed" | "released" | "unconfirmed")
        | (Function::Sender | Function::Operator, "unconfirmed", "sent" | "failed")
        | (
            Function::Feedback,
            "claimed" | "released" | "deferred" | "sending" | "unconfirmed" | "sent",
            "sent" | "failed",
        ) => mine,
        (Function::Feedback, "failed", "sent") => mine && from.is_some_and(is_by_verdict),
        _ => false,
    }
}

/// Whether an operator said that it was not sent.
fn is_by_verdict(item: &LedgerItem) -> bool {
    matches!(item.state, SendState::Failed { witness: Witness::Operator, .. })
}

impl Sends {
    /// A journey's request is on `sender`'s queue.
    pub(super) fn asked(&mut self, now: Stamp, request: SendRequested) {
        self.asked.entry(request.send).or_insert((now, request));
    }

    /// A request for consent is on the bus.
    pub(super) fn asked_to_confirm(&mut self, asked: &ConsentRequested) {
        let contact = keyring().contact_key(&asked.email);
        self.to_confirm.insert((contact, asked.topic.clone(), asked.at));
    }
}

impl Check {
    pub(super) fn ledger_written(
        &mut self,
        now: Stamp,
        actor: Actor,
        keys: &[Key],
        after: Option<&Row>,
    ) {
        let Some(item) = after.and_then(super::item::<LedgerItem>) else { return };
        let send = item.send;
        let before = self.sends.ledger.get(&send).cloned();
        let edge = is_edge(actor.function, before.as_ref(), &item);
        self.holds("ledger-edges", edge, || {
            let from = before.as_ref().map_or("none", |item| name(&item.state));
            format!(
                "{send}: {} moved it from {from} to {}",
                actor.function.name(),
                name(&item.state)
            )
        });
        self.paced_written(now, actor, &item);
        self.outcome_written(now, before.as_ref(), &item);
        match &item.state {
            SendState::Claimed => self.claimed(now, keys, &item),
            SendState::Sending => {
                self.sends.calling.insert(send, actor.invocation);
            }
            SendState::Released { .. } | SendState::Failed { witness: Witness::Ses, .. }
                if actor.function == Function::Sender =>
            {
                self.taken_back(actor, &item);
            }
            SendState::Failed { witness: Witness::Operator, .. } => {
                self.paced_taken_back(send);
                if self.sends.accepted.contains_key(&send) {
                    self.sends.misjudged.insert(send);
                }
            }
            SendState::Skipped { reasons } => {
                let codes: Vec<String> =
                    reasons.iter().map(|reason| format!("{:?}", reason.code)).collect();
                self.skipped(actor, &item, &codes);
            }
            _ => {}
        }
        self.sends.ledger.insert(send, item);
    }

    /// What a journey asked for has its outcome in time.
    fn outcome_written(&mut self, now: Stamp, before: Option<&LedgerItem>, after: &LedgerItem) {
        let over = |item: &LedgerItem| {
            matches!(name(&item.state), "sent" | "failed" | "skipped" | "unconfirmed")
        };
        let Some((asked, _)) = self.sends.asked.get(&after.send) else { return };
        if !over(after) || before.is_some_and(over) {
            return;
        }
        let put_off = match before.map(|before| &before.state) {
            Some(SendState::Deferred { until, .. }) => *until,
            _ => *asked,
        };
        // A claim that died is taken over once its message comes again.
        let due = put_off.max(*asked).max(before.map_or(*asked, |before| before.at));
        self.is_on_time(now, due, || format!("{}", after.send));
    }

    /// The instant that everything about consent is an invariant of.
    fn claimed(&mut self, now: Stamp, keys: &[Key], item: &LedgerItem) {
        let send = item.send;
        let contact = item.contact;
        let together = contact.is_some_and(|contact| {
            let at = contact.to_string();
            keys.iter().any(|key| key.table == Table::Contacts && key.pk == at)
        });
        self.holds("claim-counts", together, || {
            format!("{send} was claimed without its contact in one transaction")
        });
        self.sends.claims.insert(send, Claim { at: now, owner: item.owner });
        let Some(contact) = contact else { return };
        // As it stands before this very write.
        let stood = self.contacts.get(&contact);
        let suppressed = stood.is_some_and(|contact| contact.suppression.is_some());
        self.holds("suppression-at-claim", !suppressed, || {
            format!("{send} was claimed for a suppressed address")
        });
        if item.asked_by.is_none() {
            return;
        }
        let may = self.consents.may(contact, &item.topic, now);
        let (verified, _) = self.consents.verified(contact, now);
        let transactional = item.topic.as_str() == "orders";
        let allowed = verified && (may.granted || (transactional && may.unknown));
        self.holds("consent-at-claim", allowed, || {
            format!("{send} was claimed under {} at {now} without consent: {may:?}", item.topic)
        });
        // And what the contact said at that very instant, word by word.
        let (said, known) = {
            let stood = self.contacts.get(&contact);
            let answer = stood.and_then(|stood| stood.consents.get(&item.topic));
            let state = answer.map(|consent| format!("{:?}", consent.state));
            (state, stood.is_some_and(|stood| stood.verified.is_some()))
        };
        let fits = match said.as_deref() {
            Some("Granted") => known,
            None => known && transactional,
            Some(_) => false,
        };
        self.holds("consent-at-claim", fits, || {
            format!("{send} was claimed under {} while its contact said {said:?}", item.topic)
        });
    }

    /// A skip must have a cause in what the customer did.
    fn skipped(&mut self, actor: Actor, item: &LedgerItem, codes: &[String]) {
        if item.asked_by.is_none() || self.republished {
            return;
        }
        let Some(started) = self.invocations.get(&actor.invocation).map(|known| known.started)
        else {
            return;
        };
        let Some(profile) = item.profile else { return };
        let Some(root) = self.profiles.root_of(profile.into()) else { return };
        // What it was decided on may just have become another's.
        if self.profiles.was_parted(root, started) {
            return;
        }
        // A read that is seconds old may not decide it.
        let before = started;
        let joined = |own: IdentityKey| !self.profiles.was_linked(own, started);
        // A profile that is part of another since was decided on while it stood alone.
        let own = IdentityKey::from(profile);
        let alone = joined(own);
        let mut email = None;
        for (of, folded) in self.profiles.events_of(root) {
            let said = folded.event.traits.get("email").and_then(serde_json::Value::as_str);
            let Some(said) = said.filter(|_| folded.at <= before && (!alone || of == own)) else {
                continue;
            };
            // An address that came with a link since may have been read or not.
            if !alone && joined(of) {
                return;
            }
            email = odyssey_domain::personal::EmailAddress::parse(said).ok();
        }
        let Some(email) = email else { return };
        let contact = keyring().contact_key(&email);
        let then = self.consents.may(contact, &item.topic, before);
        let now = self.consents.may(contact, &item.topic, Stamp::MAX);
        let (_, verified) = self.consents.verified(contact, before);
        let transactional = item.topic.as_str() == "orders";
        let unsure = now.withdrawn || then.withdrawn;
        let wanted = verified && !unsure && ((then.granted && !then.unknown) || transactional);
        let suppressed = self.contacts.get(&contact).is_some_and(|c| c.suppression.is_some());
        // The facts said that the journey was over by then.
        let over = codes.iter().any(|code| code == "JourneyOver");
        // Whether a cap or the night does is `held-with-cause`.
        let paced = codes.iter().any(|code| code == "FrequencyCap" || code == "QuietHours");
        let held = over || paced;
        self.holds("skip-with-cause", !wanted || suppressed || held, || {
            format!("{} was skipped for {codes:?}, but the customer wanted it", item.send)
        });
    }

    pub(super) fn mail_accepted(
        &mut self,
        now: Stamp,
        actor: Actor,
        mail: &OutgoingMail,
        times: usize,
    ) {
        let send = mail.send;
        self.sends.accepted.insert(send, times);
        self.holds("one-acceptance", times == 1, || {
            format!("SES accepted {send} for the {times}th time")
        });
        let item = self.sends.ledger.get(&send).cloned();
        let state = item.as_ref().map_or("none", |item| name(&item.state));
        let marked = self.sends.calling.get(&send) == Some(&actor.invocation);
        self.holds(
            "accepted-under-sending",
            matches!(state, "sending" | "unconfirmed") && marked,
            || format!("SES accepted {send} while the ledger said {state}, marked by it: {marked}"),
        );
        if let Some(item) = &item {
            self.paced_accepted(item);
        }
        let claim = self.sends.claims.get(&send).copied();
        let owner = item.map(|item| item.owner);
        let in_time = claim.is_some_and(|claim| {
            now.since(claim.at) <= CLAIM_TO_ACCEPTANCE_MAX && owner == Some(claim.owner)
        });
        self.holds("accepted-after-claim", in_time, || {
            format!("SES accepted {send} at {now}, claimed {:?}", claim.map(|claim| claim.at))
        });
        let to = keyring().contact_key(&mail.to);
        let contact = self.sends.ledger.get(&send).and_then(|item| item.contact);
        self.holds("accepted-after-claim", contact == Some(to), || {
            format!("{send} went to another address than was claimed for")
        });
    }

    // ---- at the end ----------------------------------------------------------------------------

    /// Every mail asked for has its outcome, and it is the true one.
    pub(super) fn sends_end(&mut self) {
        let asked: Vec<SendId> = self.sends.asked.keys().copied().collect();
        for send in asked {
            let there = self.sends.ledger.contains_key(&send);
            self.holds("sends-settled", there, || format!("{send} was asked for and forgotten"));
        }
        let items: Vec<LedgerItem> = self.sends.ledger.values().cloned().collect();
        for item in items {
            let send = item.send;
            let accepted = self.sends.accepted.contains_key(&send);
            let reported = self.sends.reported.contains(&send);
            let refused = self.sends.refused.contains(&send);
            let caller = self.sends.calling.get(&send);
            let troubled =
                caller.and_then(|id| self.invocations.get(id)).is_some_and(|i| i.troubled);
            let true_outcome = match &item.state {
                SendState::Sent { .. } => accepted,
                SendState::Failed { witness: Witness::Ses, .. } => refused,
                SendState::Failed { witness: Witness::Operator, .. } => {
                    !reported && accepted == self.sends.misjudged.contains(&send)
                }
                SendState::Skipped { .. } => !accepted,
                SendState::Unconfirmed { .. } => !reported && troubled,
                SendState::Claimed
                | SendState::Released { .. }
                | SendState::Sending
                | SendState::Deferred { .. } => false,
            };
            if matches!(item.state, SendState::Unconfirmed { .. }) {
                self.unconfirmed += 1;
            }
            self.holds("sends-settled", true_outcome, || {
                format!(
                    "{send} ended {}; SES accepted it: {accepted}, reported: {reported}, refused: {refused}",
                    name(&item.state)
                )
            });
        }
        for (contact, topic, at) in self.sends.to_confirm.clone() {
            // A clock that is behind may say that it is still the day before.
            let found = [at.day(), at.day() - 1].into_iter().any(|day| {
                let send = SendId::derive_confirmation(contact, topic.as_str(), day);
                self.sends.ledger.contains_key(&send)
            });
            self.holds("confirmations-asked", found, || {
                format!("{contact} was to be asked about {topic} at {at} and has no outcome")
            });
        }
        self.contacts_end();
    }
}
