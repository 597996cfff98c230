//! A backlog: how long many requests for mails take where SES accepts only so many a second.
//!
//! Nothing fails here but what SES refuses with 429. Time is simulated: a call takes 4 to 16 ms.

use super::core::{Core, lock};
use super::faults::{Faults, Filter, WireFault};
use super::functions::{Function, Inbox, SENDERS_MAX};
use super::setup::Setup;
use super::trace::Trace;
use super::workspace::keyring;
use super::world::{World, first_rows};
use crate::fault::Operation;
use crate::memory::StoredRow;
use odyssey_domain::contact::{ConsentState, Contact, TopicId};
use odyssey_domain::event::Event;
use odyssey_domain::ids::{EnrollmentId, EnrollmentKeyHash, IdentityKey, SendId};
use odyssey_domain::journey::{JourneyId, SlotId, StepId};
use odyssey_domain::message::MailId;
use odyssey_domain::personal::{EmailAddress, UserId};
use odyssey_domain::profile::{IdentityItem, Root, Watched};
use odyssey_domain::time::{Span, Stamp};
use odyssey_domain::wire::{Command, SendRequested, SourceKind, SourceRef, Why};
use odyssey_flows::ports::{Row, Table};
use odyssey_flows::{contacts, profiles, stored};
use serde_json::json;
use std::collections::BTreeSet;

/// What is to be drained.
#[derive(Debug, Clone, Copy)]
pub struct Backlog {
    /// Requests on the sender's queue, each of another customer.
    pub messages: usize,
    /// What SES accepts in any one second.
    pub per_second: usize,
}

/// How it went.
#[derive(Debug, Clone, Copy)]
pub struct Drained {
    /// From the beginning to the last mail.
    pub lasted: Span,
    /// Mails that SES accepted.
    pub mails: usize,
    /// Calls of SES, those it refused included.
    pub tries: u64,
    /// Writes to ledger and contacts, transactions counted once.
    pub writes: u64,
    /// Messages that ended in the dead letters.
    pub dead: usize,
}

/// Drains a backlog.
///
/// # Errors
/// Where a customer cannot be made, or an invariant is broken.
pub fn drain(backlog: Backlog) -> Result<Drained, Box<dyn std::error::Error>> {
    let setup = Setup::calm(SENDERS_MAX);
    let start = setup.start;
    let wires = [(WireFault::ReportMissing, 100_000)].into_iter().collect();
    let faults = Faults::new(0, setup.calls.clone(), wires, Filter::default());
    let mut core = Core::new(0, start, faults, Trace::new(false), super::check::Check::blind());
    core.ses.per_second = Some(backlog.per_second);
    core.steady = true;
    for row in first_rows() {
        insert(&mut core, row.clone());
    }
    for number in 0..backlog.messages {
        let customer = Customer::of(number, start)?;
        insert(&mut core, customer.profile);
        insert(&mut core, customer.contact);
        core.enqueue(Inbox::Sender, customer.request.into(), 0);
    }
    let mut world = World::of(0, setup, core);
    world.go();
    let core = lock(&world.shared);
    if let Some(found) = &core.check.violation {
        return Err(format!("{}: {}", found.invariant, found.text).into());
    }
    let last = core.ses.accepted.values().flatten().max().copied().unwrap_or(start);
    let calls = |operation| {
        let site = core.faults.coverage.sites.get(&(Function::Sender, operation));
        site.map_or(0, |site| site.calls)
    };
    let written =
        [Operation::Transact, Operation::Write(Table::Ledger), Operation::Write(Table::Contacts)];
    Ok(Drained {
        lasted: last.since(start),
        mails: core.ses.accepted.len(),
        tries: calls(Operation::SendMail),
        writes: written.map(calls).iter().sum(),
        dead: core.queues.of_all(|held| held.dead.len()),
    })
}

fn insert(core: &mut Core, row: Row) {
    let stored = StoredRow { row: row.clone(), ids: BTreeSet::new() };
    core.store.state.rows.insert(row.key, stored);
}

/// Somebody who has consented, and the mail they are to have.
struct Customer {
    profile: Row,
    contact: Row,
    request: String,
}

impl Customer {
    fn of(number: usize, start: Stamp) -> Result<Customer, Box<dyn std::error::Error>> {
        let (topic, before) = (TopicId::parse("offers")?, start.minus(Span::DAY));
        let email = EmailAddress::parse(&format!("customer-{number}@mail.example"))?;
        let own: IdentityKey = keyring().user_key(&UserId::parse(&format!("user-{number}"))?);
        let event: Event = serde_json::from_value(json!({
            "id": format!("event-{number}"), "at": before, "type": "identify",
            "userId": format!("user-{number}"), "traits": {"email": email.expose()},
        }))?;
        let source = SourceRef { name: "backend".to_owned(), kind: SourceKind::Server };
        let mut root = Root::default();
        let (_, accumulator) = root.accumulator_of(own, own);
        accumulator.fold(&event, &source, &Watched::default());
        let item = IdentityItem::Root(Box::new(root));

        let mut contact = Contact::new(keyring().contact_key(&email));
        contact.verify(before);
        let _ = contact.answers(&topic, ConsentState::Granted, before, "api:backend");

        let (journey, step) = (JourneyId::parse("quick")?, StepId::parse("soon")?);
        let enrollment = EnrollmentId::derive(journey.as_str(), &number.to_string(), "backlog");
        let key = EnrollmentKeyHash::of("");
        let request = SendRequested {
            send: SendId::derive(enrollment, step.as_str(), 0),
            profile: own.into(),
            slot: SlotId { profile: own.into(), journey: journey.clone(), key },
            journey,
            step,
            mail: MailId::parse("plain")?,
            topic,
            due: start,
            enrolled: None,
            why: Why::default(),
        };
        Ok(Customer {
            profile: stored::row(profiles::identity_key(own), &item, 1)?,
            contact: stored::row(contacts::key(contact.key), &contact, 1)?,
            request: serde_json::to_string(&Command::Send(Box::new(request)))?,
        })
    }
}
