//! The invariants: what is looked at after every write, message and mail, and what at the end.
//!
//! The checks keep their own account of what clients were told, what was committed and what left,
//! and compare the system with it. They decide nothing by the functions they check: consent, for
//! one, is judged by what customers asked for and were told, not by `domain::policy`.

mod backfills;
mod causes;
mod consents;
mod contacts;
mod ending;
mod invariants;
mod journeys;
mod links;
mod outcomes;
mod pacing;
mod past;
mod profiles;
mod reports;
mod segments;
mod sends;
mod signals;
mod timers;
mod ways;

use super::core::Actor;
use super::deeds::schema_of;
use super::faults::CallFault;
use super::functions::{Function, Inbox};
use super::people::{Customer, Said, Told};
use super::poison::is_poison;
use super::running::Trigger;
use super::store::Store;
use super::workspace::Version;
use crate::Operation;
pub use invariants::INVARIANTS;
use odyssey_domain::contact::{ConsentState, Contact, TopicId};
use odyssey_domain::ids::{ContactKey, EventHash, SendId};
use odyssey_domain::personal::EmailAddress;
use odyssey_domain::time::Stamp;
use odyssey_domain::wire::{
    BusEnvelope, Command, ConsentChanged, ConsentRequested, Parked, detail_type,
};
use odyssey_flows::ports::{BusEntry, Key, OutgoingMail, Queue, QueueMessage, Row, Table};
use odyssey_flows::queue::{Disposition, QueueRecord};
use odyssey_flows::stored::{self, Stored};
pub(super) use sends::state;
use std::collections::{BTreeMap, BTreeSet};

/// An invariant that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Its name.
    pub invariant: &'static str,
    /// What was found.
    pub text: String,
}

/// What is known of one invocation.
#[derive(Debug)]
struct Invocation {
    started: Stamp,
    function: Function,
    /// Of `profile`: what its records hold.
    events: Vec<profiles::Delivered>,
    /// Of `journey`: the triggers in its records, by record.
    triggers: Vec<Option<journeys::Occasion>>,
    /// Of `feedback`: the reports in its records, by record.
    reports: Vec<Option<reports::Report>>,
    /// A call was refused for good.
    refused: bool,
    /// Some fault struck it, or it died.
    troubled: bool,
    /// A call for a contact failed, or met another's write.
    contact_troubled: bool,
}

/// Whether a call reads or writes a contact alone.
const fn is_of_contact(operation: Operation) -> bool {
    matches!(operation, Operation::Get(Table::Contacts) | Operation::Write(Table::Contacts))
}

/// The account of a run.
#[derive(Debug)]
pub(crate) struct Check {
    /// The first invariant that did not hold.
    pub(crate) violation: Option<Violation>,
    /// Sends that stayed unconfirmed.
    pub(crate) unconfirmed: u64,
    counts: BTreeMap<&'static str, u64>,
    skew_ms: u64,
    customers: Vec<Customer>,
    invocations: BTreeMap<u32, Invocation>,
    consents: consents::Consents,
    sends: sends::Sends,
    told: reports::Told,
    /// Messages that are none.
    poisons: Vec<(Inbox, String)>,
    pacing: pacing::Pacing,
    profiles: profiles::Profiles,
    raised: causes::Raised,
    journeys: journeys::Journeys,
    segments: segments::Segments,
    backfills: backfills::Backfills,
    timers: timers::Timers,
    contacts: BTreeMap<ContactKey, Contact>,
    /// The workspace was another than the first for a while.
    republished: bool,
    blind: bool,
    expiring: bool,
}

/// An item of either release.
fn item<T: Stored>(row: &Row) -> Option<T> {
    if row.schema <= T::SCHEMA {
        return stored::decode(row).ok();
    }
    stored::decode(&Row { schema: T::SCHEMA, ..row.clone() }).ok()
}

impl Check {
    pub(crate) fn new(skew_ms: u64) -> Check {
        Check {
            violation: None,
            unconfirmed: 0,
            counts: BTreeMap::new(),
            skew_ms,
            customers: Vec::new(),
            invocations: BTreeMap::new(),
            consents: consents::Consents::default(),
            sends: sends::Sends::default(),
            told: reports::Told::new(),
            poisons: Vec::new(),
            pacing: pacing::Pacing::default(),
            profiles: profiles::Profiles::default(),
            raised: causes::Raised::default(),
            journeys: journeys::Journeys::default(),
            segments: segments::Segments::default(),
            backfills: backfills::Backfills::default(),
            timers: timers::Timers::default(),
            contacts: BTreeMap::new(),
            republished: false,
            blind: false,
            expiring: false,
        }
    }

    /// One that looks at nothing: for runs that were not set up before its eyes.
    pub(crate) fn blind() -> Check {
        Check { blind: true, ..Check::new(0) }
    }

    /// Says who there is.
    pub(crate) fn know(&mut self, customers: &[Customer]) {
        self.customers = customers.to_vec();
    }

    /// How often each invariant was looked at.
    pub(crate) fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.counts.clone()
    }

    /// An invariant does not hold. The first one counts.
    pub(crate) fn fail(&mut self, invariant: &'static str, text: String) {
        if self.violation.is_none() {
            self.violation = Some(Violation { invariant, text });
        }
    }

    /// Looks at an invariant.
    pub(crate) fn holds(
        &mut self,
        invariant: &'static str,
        held: bool,
        text: impl FnOnce() -> String,
    ) {
        *self.counts.entry(invariant).or_default() += 1;
        if !held && !self.blind {
            self.fail(invariant, text());
        }
    }

    // ---- invocations ---------------------------------------------------------------------------

    /// An invocation begins.
    pub(crate) fn started(&mut self, now: Stamp, actor: Actor, trigger: &Trigger) {
        let (mut events, mut triggers, mut reports) = (Vec::new(), Vec::new(), Vec::new());
        if let Trigger::Batch { inbox, messages } = trigger {
            for (_, message) in messages {
                match inbox {
                    Inbox::Profile => events.extend(profiles::delivered(&message.body)),
                    Inbox::Journey => triggers.push(journeys::occasion(&message.body)),
                    Inbox::Feedback => reports.push(reports::report(&message.body)),
                    Inbox::Sender => {}
                }
            }
        }
        let known = Invocation {
            started: now,
            function: actor.function,
            events,
            triggers,
            reports,
            refused: false,
            troubled: false,
            contact_troubled: false,
        };
        self.invocations.insert(actor.invocation, known);
    }

    /// Some fault struck a call of it.
    pub(crate) fn troubled(&mut self, actor: Actor, operation: Operation, fault: CallFault) {
        if let Some(known) = self.invocations.get_mut(&actor.invocation) {
            known.troubled = true;
            known.contact_troubled |= is_of_contact(operation);
            known.refused |= fault == CallFault::Refused;
        }
    }

    /// A condition of its write failed, or it read what it cannot read.
    pub(crate) fn hindered(&mut self, actor: Actor, operation: Operation) {
        if let Some(known) = self.invocations.get_mut(&actor.invocation) {
            known.contact_troubled |= is_of_contact(operation);
        }
    }

    /// Its process died.
    pub(crate) fn died(&mut self, actor: Actor) {
        if let Some(known) = self.invocations.get_mut(&actor.invocation) {
            known.troubled = true;
        }
    }

    /// What a flow decided about its records.
    pub(crate) fn disposed(
        &mut self,
        actor: Actor,
        records: &[QueueRecord],
        dispositions: &[Disposition],
    ) {
        let function = actor.function.name();
        let (held, decided) = (records.len(), dispositions.len());
        self.holds("every-record-decided", held == decided, || {
            format!("{function} decided {decided} of {held} records")
        });
        let refused = self.invocations.get(&actor.invocation).is_some_and(|known| known.refused);
        for (record, disposition) in records.iter().zip(dispositions) {
            let poison = is_poison(&record.body);
            if let Disposition::Park { reason, chain } = disposition {
                self.holds("parked-with-cause", refused || poison, || {
                    format!("{function} parks a good record: {reason}: {chain:?}")
                });
            }
            self.holds("poison-kept", !poison || *disposition != Disposition::Done, || {
                format!("{function} is done with what is no message: {}", record.body)
            });
        }
        let Some(known) = self.invocations.get_mut(&actor.invocation) else { return };
        let reports = std::mem::take(&mut known.reports);
        self.reports_disposed(&reports, dispositions);
        let Some(known) = self.invocations.get_mut(&actor.invocation) else { return };
        if known.function == Function::Journey {
            let (begun, triggers) = (known.started, std::mem::take(&mut known.triggers));
            for (occasion, disposition) in triggers.into_iter().zip(dispositions) {
                if let (Some(occasion), Disposition::Done) = (occasion, disposition) {
                    self.occasion_processed(occasion, begun);
                }
            }
        }
    }

    /// A message that is none comes onto a queue.
    pub(crate) fn poisoned(&mut self, inbox: Inbox, body: &str) {
        self.poisons.push((inbox, body.to_owned()));
    }

    /// A record went into the dead letters.
    pub(crate) fn parked(&mut self, actor: Actor, _: &Parked) {
        self.holds("parked-with-cause", actor.function != Function::Ingest, String::new);
    }

    // ---- clients and customers -----------------------------------------------------------------

    /// A client has events to post.
    pub(crate) fn said(&mut self, source: &'static str, events: &[Said]) {
        self.profiles.said(source, events);
    }

    /// A client was told that its events are stored.
    pub(crate) fn acknowledged(&mut self, events: &[Said]) {
        self.profiles.acknowledged(events);
    }

    /// Somebody sets out to change a consent at a time; the number of that wish.
    pub(crate) fn wished(
        &mut self,
        at: Stamp,
        email: &EmailAddress,
        topic: &TopicId,
        state: ConsentState,
    ) -> usize {
        self.consents.wished(at, email, topic, state)
    }

    /// They were answered.
    pub(crate) fn answered(&mut self, now: Stamp, number: usize, told: Told) {
        self.consents.answered(now, number, told);
    }

    /// A version may be published from now on.
    pub(crate) const fn publishing(&mut self, version: Version) {
        self.segments.changed |= version.is_changed();
    }

    /// The workspace was published anew, by the so many-th publication.
    pub(crate) fn republished(&mut self, version: Version, number: u32) {
        self.republished = true;
        self.segments.declared(version, number);
    }

    /// An invocation follows a link in a confirmation mail, which was made then.
    pub(crate) fn link_followed(&mut self, invocation: u32, issued: Stamp) {
        self.sends.followed.insert(invocation, issued);
    }

    // ---- the wires -----------------------------------------------------------------------------

    /// An entry is on the bus.
    pub(crate) fn published(&mut self, _: Actor, entry: &BusEntry) {
        match entry.detail_type {
            detail_type::SIGNAL_RAISED => self.signal_told(&entry.detail),
            detail_type::MESSAGE_FEEDBACK => self.report_told(&entry.detail),
            detail_type::CONSENT_CHANGED => {
                if let Ok(changed) = serde_json::from_str::<ConsentChanged>(&entry.detail) {
                    self.consents.told(changed);
                }
            }
            detail_type::CONSENT_REQUESTED => {
                if let Ok(asked) = serde_json::from_str::<ConsentRequested>(&entry.detail) {
                    self.sends.asked_to_confirm(&asked);
                }
            }
            _ => {}
        }
    }

    /// A function put a message on a queue.
    pub(crate) fn enqueued(
        &mut self,
        now: Stamp,
        actor: Actor,
        queue: Queue,
        message: &QueueMessage,
    ) {
        match queue {
            Queue::Profile => self.backfills.asked(actor.invocation, message),
            Queue::Journey => {}
            Queue::Sender => {
                if let Ok(Command::Send(request)) = serde_json::from_str(&message.body) {
                    self.sends.asked(now, *request);
                }
            }
        }
    }

    /// A message stands on a queue.
    pub(crate) fn queued(&mut self, inbox: Inbox, body: &str) {
        if let (true, Some(wake)) = (inbox != Inbox::Feedback, timers::wake(body)) {
            self.timers.wake_added(&wake);
        }
    }

    /// A message left a queue.
    pub(crate) fn unqueued(&mut self, inbox: Inbox, body: &str) {
        if let (true, Some(wake)) = (inbox != Inbox::Feedback, timers::wake(body)) {
            self.timers.wake_removed(&wake);
        }
    }

    /// No message of this queue is under way or was ever received, and nothing runs that could
    /// still arm its timers.
    pub(crate) fn idle(&mut self, inbox: Inbox) {
        let lost = self.timers.lost(inbox);
        self.holds("timers-armed", lost.is_none(), || {
            lost.map(|(owner, arm)| format!("nothing will wake {owner:?}, armed as number {arm}"))
                .unwrap_or_default()
        });
    }

    // ---- the tables ----------------------------------------------------------------------------

    /// Rows were written together.
    pub(crate) fn written(
        &mut self,
        now: Stamp,
        actor: Actor,
        keys: &[Key],
        before: &[Option<Row>],
        after: &[Option<Row>],
    ) {
        for ((key, before), after) in keys.iter().zip(before).zip(after) {
            self.versions(actor, key, before.as_ref(), after.as_ref());
            match key.table {
                Table::Profiles if key.sk == "identity" => {
                    self.identity_written(now, actor, key, after.as_ref());
                }
                Table::Timeline => self.timeline_written(key, after.as_ref()),
                Table::Enrollments => self.enrollment_written(now, actor, key, after.as_ref()),
                Table::Due => self.due_written(before.as_ref(), after.as_ref()),
                Table::Ledger => self.ledger_written(now, actor, keys, after.as_ref()),
                Table::Profiles | Table::Contacts | Table::Workspace => {}
            }
        }
        self.segments_written(keys, after);
        self.backfills.written(keys, after);
        // After the ledger, which looks at contacts as they stood before.
        for (key, after) in keys.iter().zip(after) {
            if let (Table::Contacts, Some(row)) = (key.table, after) {
                self.contact_written(actor, row);
            }
        }
    }

    fn versions(&mut self, actor: Actor, key: &Key, before: Option<&Row>, after: Option<&Row>) {
        let overwritten = key.table == Table::Due
            || key.pk.starts_with("email#")
            || segments::of_counter(key).is_some();
        let (Some(after), false) = (after, overwritten) else { return };
        let expected = before.map_or(1, |before| before.version + 1);
        self.holds("versions-rise-by-one", after.version == expected, || {
            format!("{key:?}: version {} was written, expected {expected}", after.version)
        });
        let newer = before.is_some_and(|before| before.schema > schema_of(key.table));
        self.holds("newer-items-kept", !newer || actor.newer, || {
            format!("{key:?}: an older release wrote over schema {}", after.schema)
        });
    }

    /// Ids were spilled.
    pub(crate) fn ids_added(&mut self, key: &Key, ids: &[EventHash]) {
        self.profiles_spilled(key, ids);
    }

    /// A row's time to live was over.
    pub(crate) fn expired(&mut self, key: &Key) {
        self.expiring = true;
        self.journeys.forget(key);
    }

    // ---- SES -----------------------------------------------------------------------------------

    /// SES accepted a mail, for the `times`-th time.
    pub(crate) fn accepted(
        &mut self,
        now: Stamp,
        actor: Actor,
        mail: &OutgoingMail,
        times: usize,
        _: &Store,
    ) {
        self.mail_accepted(now, actor, mail, times);
    }

    /// SES refused a mail for good.
    pub(crate) fn refused_mail(&mut self, send: SendId) {
        self.sends.refused.insert(send);
    }

    /// A report of SES is on its way.
    pub(crate) fn report_made(&mut self, send: SendId, kind: &str, to: &str) {
        self.sends.reported.insert(send);
        if kind == "Reject" {
            self.sends.refused.insert(send);
        }
        let hard = self.is_bounce_hard(to);
        if kind == "Complaint" || (kind == "Bounce" && hard) {
            self.sends.to_suppress.insert(to.to_owned());
        }
    }

    fn is_bounce_hard(&self, to: &str) -> bool {
        self.sends.hard.contains(to)
    }

    /// Says whose mailbox does not exist.
    pub(crate) fn know_hard_bounces(&mut self, addresses: BTreeSet<String>) {
        self.sends.hard = addresses;
    }
}

/// The detail of a bus event in a queue message.
fn envelope(body: &str) -> Option<BusEnvelope> {
    serde_json::from_str(body).ok()
}
