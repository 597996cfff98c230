//! What people and their programs do: post, consent, publish, read their mails; and try again until
//! they are answered.

use super::core::{Next, lock};
use super::faults::WireFault;
use super::functions::Function;
use super::people::{ConsentWish, Customer, Errand, Told, What};
use super::running::{Trigger, http};
use super::setup::Feature;
use super::workload::Does;
use super::workspace::PUBLIC_URL;
use super::world::World;
use odyssey_domain::contact::ConsentState;
use odyssey_domain::personal::EmailAddress;
use odyssey_domain::time::Span;
use odyssey_flows::ports::OutgoingMail;

/// How long after a publication the operator is told to back-fill: a minute, and what a function
/// may take that began before it.
const FILL_AFTER: Span = Span::SECOND.times(100);
/// An operator tries a back-fill no more often.
const FILLS_MAX: u32 = 8;
/// A client that was refused so often will never be answered; outages end before.
const TRIES_MAX: u32 = 2_000;

impl World {
    pub(super) fn act(&mut self, number: usize) {
        let Some(action) = self.workload.actions.get(number).cloned() else { return };
        let customer = |index: usize| self.workload.customers.get(index).cloned();
        let what = match action.does {
            Does::Post { source, events } => {
                lock(&self.shared).check.said(source, &events);
                Some(What::Post { source, events })
            }
            Does::Consent { customer: index, topic, state } => {
                customer(index).and_then(|customer| {
                    let email = EmailAddress::parse(&customer.email).ok()?;
                    let mut core = lock(&self.shared);
                    let now = core.now;
                    let number = core.check.wished(now, &email, &topic, state);
                    let user = Some(customer.user);
                    let change = ConsentWish::Server { email, user, topic, state };
                    Some(What::Consent { number, change })
                })
            }
            Does::Ask { customer: index, topic } => customer(index).and_then(|customer| {
                let email = EmailAddress::parse(&customer.email).ok()?;
                Some(What::Ask { email, topic })
            }),
            Does::Poison { inbox, body } => {
                let mut core = lock(&self.shared);
                core.faults.note(WireFault::Poisoned);
                core.check.poisoned(inbox, &body);
                core.enqueue(inbox, body.into(), 0);
                None
            }
            Does::Split { identity } => Some(What::Split { identity }),
            Does::Publish(version) => {
                lock(&self.shared).faults.note(WireFault::Published);
                self.publications += 1;
                Some(What::Publish { version, number: self.publications })
            }
        };
        if let Some(what) = what {
            self.errand(Errand { what, tries: 0 });
        }
    }

    pub(super) fn errand(&mut self, mut errand: Errand) {
        let outdated = |what: &What| match what {
            What::Publish { number, .. } | What::Fill { number } => *number < self.publications,
            _ => false,
        };
        if outdated(&errand.what) {
            return;
        }
        errand.tries += 1;
        let function = match &errand.what {
            What::Post { .. } => Function::Ingest,
            What::Consent { .. } | What::Ask { .. } => Function::Consent,
            What::Publish { .. } | What::Fill { .. } | What::Split { .. } | What::Settle { .. } => {
                Function::Operator
            }
        };
        let Some(instance) = self.take_instance(function) else {
            self.told(errand, Told::Later);
            return;
        };
        let trigger = Trigger::Http(Box::new(errand));
        self.start(function, instance, trigger, |ports, process, now, trigger| match trigger {
            Trigger::Http(errand) => http(ports, process, errand.what.clone(), now),
            _ => Box::pin(std::future::pending()),
        });
    }

    /// A client has its answer, or none.
    pub(super) fn told(&mut self, errand: Errand, told: Told) {
        let mut core = lock(&self.shared);
        let core = &mut *core;
        let now = core.now;
        let enough = matches!(errand.what, What::Fill { .. }) && errand.tries >= FILLS_MAX;
        let gives_up = told == Told::Later && (core.faults.of_wire(WireFault::GaveUp) || enough);
        core.trace.note(now, &[8, u64::from(told == Told::Done)], || {
            format!("told {told:?} of {:?}", errand.what)
        });
        if told == Told::Later && !gives_up {
            let in_time = errand.tries <= TRIES_MAX;
            core.check.holds("requests-succeed", in_time, || {
                format!("never answered: {:?}", errand.what)
            });
            if !in_time {
                return;
            }
            let ms = (1_000_u64 << errand.tries.min(6)).min(60_000);
            let ms = core.wires.between(ms / 2, ms);
            core.plan_in(ms, Next::Errand(Box::new(errand)));
            return;
        }
        if let What::Post { .. } = errand.what {
            core.check.holds("requests-succeed", told != Told::Refused, || {
                format!("refused: {:?}", errand.what)
            });
        }
        match &errand.what {
            What::Post { events, .. } if told == Told::Done => core.check.acknowledged(events),
            What::Consent { number, .. } => core.check.answered(now, *number, told),
            What::Publish { version, number } if told == Told::Done => {
                core.check.republished(*version, *number);
                // By then every function has taken it up.
                let ms = core.wires.between(FILL_AFTER.ms(), 3 * FILL_AFTER.ms());
                let what = What::Fill { number: *number };
                core.plan_in(ms, Next::Errand(Box::new(Errand { what, tries: 0 })));
            }
            _ => {}
        }
    }

    /// The operator hears of unconfirmed sends, and looks them up once they are old enough; now and
    /// then in the wrong place.
    pub(super) fn heed_alarm(&mut self) {
        let mut core = lock(&self.shared);
        if !std::mem::take(&mut core.alarm) || !self.setup.has(Feature::Settles) {
            return;
        }
        let ms = self.people.between(61 * 60_000, 5 * 3_600_000);
        let what = What::Settle { finds: self.people.chance(400) };
        core.plan_in(ms, Next::Errand(Box::new(Errand { what, tries: 0 })));
    }

    /// Customers look at the mails that have reached them.
    pub(super) fn welcome_mails(&mut self) {
        let mails = std::mem::take(&mut lock(&self.shared).ses.arrivals);
        for mail in mails {
            let customer = self.workload.customers.iter().find(|c| c.email == mail.to.expose());
            if let Some(customer) = customer.cloned() {
                self.read_mail(&mail, &customer);
            }
        }
    }

    fn read_mail(&mut self, mail: &OutgoingMail, customer: &Customer) {
        let prefix = format!("{PUBLIC_URL}/c/");
        let confirm = mail.text.trim().strip_prefix(&prefix).map(str::to_owned);
        let unsubscribe = mail.headers.iter().find_map(|(name, value)| {
            let url = value.trim_matches(|c| c == '<' || c == '>');
            let token = url.strip_prefix(&format!("{PUBLIC_URL}/u/"))?;
            (name == "List-Unsubscribe").then(|| token.to_owned())
        });
        let topic = mail.tags.iter().find(|(name, _)| name == "topic");
        let Some(Ok(topic)) =
            topic.map(|(_, topic)| odyssey_domain::contact::TopicId::parse(topic))
        else {
            return;
        };
        let (state, change) = match (confirm, unsubscribe) {
            (Some(token), _) if self.people.chance(customer.confirms) => {
                (ConsentState::Granted, ConsentWish::Confirm(token))
            }
            (None, Some(token)) if self.people.chance(customer.unsubscribes) => {
                let one_click = self.people.chance(700);
                (ConsentState::Withdrawn, ConsentWish::Unsubscribe { token, one_click })
            }
            _ => return,
        };
        let ms = match self.people.below(3) {
            0 => self.people.between(2_000, 120_000),
            1 => self.people.between(60_000, 4 * 3_600_000),
            _ => self.people.between(3_600_000, 8 * 86_400_000),
        };
        // Mails are looked at again, and so are their links.
        let again = matches!(change, ConsentWish::Confirm(_)) && self.people.chance(400);
        let later = ms + self.people.between(60_000, 6 * 86_400_000);
        let mut core = lock(&self.shared);
        for ms in std::iter::once(ms).chain(again.then_some(later)) {
            let at = core.now.plus(Span::from_ms(ms));
            let number = core.check.wished(at, &mail.to, &topic, state);
            let what = What::Consent { number, change: change.clone() };
            core.plan(at, Next::Errand(Box::new(Errand { what, tries: 0 })));
        }
    }
}
