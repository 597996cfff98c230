//! What happens in a run, drawn from the seed before it begins, so that shrinking can leave any
//! part of it out.

mod masses;
mod visits;

use super::functions::Inbox;
use super::people::{Customer, Said};
use super::poison::poison;
use super::rng::{Rng, Stream};
use super::ses::Fate;
use super::setup::{Feature, Setup};
use super::workspace::{Version, ZONES};
use odyssey_domain::contact::{ConsentState, TopicId};
use odyssey_domain::ids::IdentityKey;
use odyssey_domain::time::{Span, Stamp};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Something that happens at a set time.
#[derive(Debug, Clone)]
pub(crate) struct Action {
    pub(crate) at: Stamp,
    pub(crate) does: Does,
}

/// What.
#[derive(Debug, Clone)]
pub(crate) enum Does {
    /// A client posts.
    Post { source: &'static str, events: Vec<Said> },
    /// A server says what a customer consents to.
    Consent { customer: usize, topic: TopicId, state: ConsentState },
    /// A form asks.
    Ask { customer: usize, topic: TopicId },
    /// The operator publishes.
    Publish(Version),
    /// The operator splits an id off the profile it is linked to, where it is.
    Split { identity: IdentityKey },
    /// A message comes that is none.
    Poison { inbox: Inbox, body: String },
}

/// Everything that happens.
#[derive(Debug, Clone, Default)]
pub(crate) struct Workload {
    pub(crate) customers: Vec<Customer>,
    pub(crate) actions: Vec<Action>,
    pub(crate) fates: BTreeMap<String, Fate>,
}

/// The names of topics, most mails' first.
const TOPICS: [&str; 3] = ["offers", "tips", "orders"];

/// So many seeds of a thousand have visits beside everything else, and so many of those have more.
const VISITS: u64 = 550;

struct Draw<'a> {
    rng: Rng,
    setup: &'a Setup,
    events: u64,
}

impl Workload {
    pub(crate) fn of(seed: u64, setup: &Setup) -> Workload {
        let mut draw = Draw { rng: Rng::new(seed, Stream::Workload), setup, events: 0 };
        let mut customers: Vec<Customer> = Vec::new();
        for number in 0..setup.customers {
            // Now and then two customers share a mailbox.
            let shared = customers.first().filter(|_| draw.rng.chance(80)).map(|c| c.email.clone());
            customers.push(draw.customer(number, shared));
        }
        let mut actions = draw.beginnings(&customers);
        for _ in 0..setup.actions {
            let action = draw.action(&customers);
            actions.extend(action);
        }
        while draw.rng.chance(VISITS) {
            actions.extend(draw.visits(&customers));
        }
        if setup.has(Feature::Publishes) {
            actions.extend(draw.publications());
        }
        if setup.has(Feature::Splits) {
            actions.extend(draw.splits(&customers));
        }
        if setup.has(Feature::Heavy) {
            actions.extend(draw.history(&customers));
        }
        if setup.has(Feature::Hot) {
            actions.extend(draw.crowd(&customers));
        }
        let mut fates = BTreeMap::new();
        for customer in &customers {
            let fate = match draw.rng.below(20) {
                0 => Fate::HardBounce,
                1 => Fate::SoftBounce,
                2 => Fate::Complaint,
                3 if draw.rng.chance(300) => Fate::Reject,
                _ => Fate::Delivered,
            };
            fates.insert(customer.email.clone(), fate);
        }
        if setup.has(Feature::Poisons) {
            actions.extend(draw.poison());
        }
        actions.sort_by_key(|action| action.at);
        Workload { customers, actions, fates }
    }
}

impl Draw<'_> {
    fn customer(&mut self, number: u64, shared: Option<String>) -> Customer {
        let devices = (0..self.rng.between(1, 2)).map(|n| format!("device-{number}-{n}")).collect();
        Customer {
            number,
            user: format!("user-{number}"),
            devices,
            email: shared.unwrap_or_else(|| format!("customer-{number}@mail.example")),
            crm: format!("{}", 4_711 + number),
            zone: self.rng.pick(&ZONES).flatten().map(|(zone, _)| zone),
            confirms: self.rng.pick(&[0, 700, 1_000]).unwrap_or(700),
            unsubscribes: self.rng.pick(&[0, 0, 150, 600]).unwrap_or(0),
        }
    }

    fn topic(&mut self) -> Option<TopicId> {
        let name = self.rng.pick(&TOPICS)?;
        TopicId::parse(name).ok()
    }

    fn moment(&mut self) -> Stamp {
        self.setup.start.plus(Span::from_ms(self.rng.below(self.setup.lasts.ms())))
    }

    /// Most customers are known and consent to something, early on.
    fn beginnings(&mut self, customers: &[Customer]) -> Vec<Action> {
        let mut actions = Vec::new();
        for (index, customer) in customers.iter().enumerate() {
            let early = self.setup.lasts.ms() / 10 + 1;
            let at = self.setup.start.plus(Span::from_ms(self.rng.below(early)));
            if self.rng.chance(850) {
                let events = vec![self.identify(customer, at)];
                actions.push(Action { at, does: Does::Post { source: "backend", events } });
            }
            for name in TOPICS {
                let at = at.plus(Span::from_ms(self.rng.below(early)));
                let Ok(topic) = TopicId::parse(name) else { continue };
                if self.rng.chance(600) {
                    let state = ConsentState::Granted;
                    actions
                        .push(Action { at, does: Does::Consent { customer: index, topic, state } });
                } else if self.rng.chance(300) {
                    actions.push(Action { at, does: Does::Ask { customer: index, topic } });
                }
            }
        }
        actions
    }

    /// The user's id, with or without a device's, or a device's alone.
    fn ids(&mut self, customer: &Customer) -> (Option<String>, Option<String>) {
        let device = self.rng.pick(&customer.devices);
        match self.rng.below(10) {
            0..=3 => (Some(customer.user.clone()), None),
            4..=6 => (Some(customer.user.clone()), device),
            _ => (None, device),
        }
    }

    fn said(&mut self, customer: &Customer, at: Stamp, name: &'static str) -> Said {
        self.events += 1;
        let (user, device) = self.ids(customer);
        Said {
            id: format!("event-{}-{}", customer.number, self.events),
            kind: "track",
            name: Some(name),
            user,
            device,
            previous: None,
            ids: Vec::new(),
            zone: customer.zone,
            at,
            properties: Map::new(),
            traits: Map::new(),
        }
    }

    fn identify(&mut self, customer: &Customer, at: Stamp) -> Said {
        let mut said = self.said(customer, at, "");
        said.kind = "identify";
        said.name = None;
        said.user = Some(customer.user.clone());
        said.traits.insert("email".to_owned(), customer.email.as_str().into());
        said.traits.insert("first_name".to_owned(), format!("Ann {}", self.events).into());
        said
    }

    fn product(&mut self) -> Map<String, Value> {
        let price = self.rng.pick(&[4.5, 19.95, 120.0, 210.0]).unwrap_or(4.5);
        let product = json!({
            "product_id": format!("p-{}", self.rng.below(4)), "name": "Socks",
            "price": price, "quantity": self.rng.between(1, 2), "currency": "EUR",
            "category": "wool",
        });
        product.as_object().cloned().unwrap_or_default()
    }

    fn event(&mut self, customer: &Customer, at: Stamp) -> Said {
        match self.rng.below(22) {
            0..=2 => self.with_product(customer, at, "Product Viewed"),
            3..=7 => self.with_product(customer, at, "Product Added"),
            8 => self.with_product(customer, at, "Product Removed"),
            9 => self.said(customer, at, "Checkout Started"),
            10..=12 => self.order(customer, at, "Order Completed"),
            13 => self.order(customer, at, "Order Cancelled"),
            14 | 15 => self.said(customer, at, "Signed Up"),
            16 if self.rng.chance(350) => {
                let mut said = self.said(customer, at, "Complaint Filed");
                let id = format!("c-{}-{}", customer.number, self.rng.below(3));
                said.properties.insert("complaint_id".to_owned(), id.into());
                said
            }
            16 => self.said(customer, at, "Profile Completed"),
            17 => self.identify(customer, at),
            18 => {
                let mut said = self.said(customer, at, "Consent Requested");
                let topic = self.rng.pick(&TOPICS).unwrap_or("offers");
                said.properties.insert("topic".to_owned(), topic.into());
                if self.rng.chance(700) {
                    said.properties.insert("email".to_owned(), customer.email.as_str().into());
                }
                said
            }
            19 | 20 => self.visit(customer, at),
            _ => {
                let mut said = self.said(customer, at, "");
                if self.rng.chance(500) {
                    said.kind = "page";
                    said.name = None;
                } else {
                    said.kind = "alias";
                    said.name = None;
                    said.user = Some(customer.user.clone());
                    said.previous = self.rng.pick(&customer.devices);
                    said.device = None;
                }
                said
            }
        }
    }

    fn with_product(&mut self, customer: &Customer, at: Stamp, name: &'static str) -> Said {
        let mut said = self.said(customer, at, name);
        said.properties = self.product();
        said
    }

    fn order(&mut self, customer: &Customer, at: Stamp, name: &'static str) -> Said {
        let mut said = self.said(customer, at, name);
        let order = format!("o-{}-{}", customer.number, self.rng.below(3));
        let order = json!({"order_id": order, "total": 49.9, "currency": "EUR"});
        said.properties = order.as_object().cloned().unwrap_or_default();
        said
    }

    fn action(&mut self, customers: &[Customer]) -> Option<Action> {
        let at = self.moment();
        let index = self.rng.index(customers.len());
        let customer = customers.get(index)?;
        let does = match self.rng.below(20) {
            0 => Does::Ask { customer: index, topic: self.topic()? },
            1 | 2 => Does::Consent {
                customer: index,
                topic: self.topic()?,
                state: ConsentState::Withdrawn,
            },
            3 => Does::Consent {
                customer: index,
                topic: self.topic()?,
                state: ConsentState::Granted,
            },
            _ => self.post(customers, customer, at),
        };
        Some(Action { at, does })
    }

    /// One to five events, of one customer or now and then of two; some from a device that was
    /// offline for hours, some from an import of months ago.
    fn post(&mut self, customers: &[Customer], customer: &Customer, at: Stamp) -> Does {
        let mut events = Vec::new();
        let source = if self.rng.chance(300) { "backend" } else { "web" };
        for _ in 0..self.rng.between(1, 4) {
            let late = match self.rng.below(30) {
                0 => self.rng.between(600_000, 40 * 3_600_000),
                1 => self.rng.between(8 * 86_400_000, 200 * 86_400_000),
                _ => self.rng.below(4_000),
            };
            let whose = match self.rng.below(25) {
                0 => self.rng.pick(customers),
                _ => Some(customer.clone()),
            };
            let Some(whose) = whose else { continue };
            let stamp = at.minus(Span::from_ms(late));
            let mut said = self.event(&whose, stamp);
            if self.rng.chance(15) {
                // A device that two share.
                said.device = customers.first().and_then(|c| c.devices.first().cloned());
            }
            self.name(&mut said, &whose, source);
            events.push(said);
        }
        if let Some(first) = events.first().filter(|_| self.rng.chance(40)) {
            // The client's own queue doubled it.
            events.push(first.clone());
        }
        Does::Post { source, events }
    }

    /// Other systems know a customer by an address or an id of their own, some by nothing else; what
    /// a browser says of such ids is an attribute.
    fn name(&mut self, said: &mut Said, customer: &Customer, source: &str) {
        if said.kind == "alias" || !self.rng.chance(350) {
            return;
        }
        let (crm, email) = (("crm", customer.crm.clone()), ("email", customer.email.clone()));
        said.ids = match self.rng.below(4) {
            0 => vec![email, crm],
            1 | 2 => vec![crm],
            _ => vec![email],
        };
        if source == "backend" && self.rng.chance(600) {
            said.user = None;
            if self.rng.chance(700) {
                said.device = None;
            }
        }
    }

    /// A version, another, and back.
    fn publications(&mut self) -> Vec<Action> {
        let many = self.rng.between(1, 3);
        let mut actions = Vec::new();
        for _ in 0..many {
            let at = self.moment();
            let Some(version) = self.rng.pick(&Version::ALL) else { continue };
            actions.push(Action { at, does: Does::Publish(version) });
        }
        actions
    }

    /// The operator takes one of a customer's ids out of the profile, late enough to be linked as a
    /// rule, and now and then again.
    fn splits(&mut self, customers: &[Customer]) -> Vec<Action> {
        let mut actions = Vec::new();
        for _ in 0..self.rng.between(1, 3) {
            let Some(customer) = self.rng.pick(customers) else { continue };
            let device = self.rng.pick(&customer.devices).unwrap_or_default();
            let id = match self.rng.below(4) {
                0 => format!("external:crm:{}", customer.crm),
                1 => format!("email:{}", customer.email),
                _ => format!("anonymous:{device}"),
            };
            let Ok(id) = id.parse() else { continue };
            let identity = super::workspace::keyring().identity_key(&id);
            let at = self.moment().max(self.moment());
            actions.push(Action { at, does: Does::Split { identity } });
        }
        actions
    }

    /// A few messages that can never be dealt with.
    fn poison(&mut self) -> Vec<Action> {
        let many = self.rng.between(1, 3);
        let of = |draw: &mut Self, number| {
            let inbox = draw.rng.pick(&Inbox::ALL)?;
            let body = poison(inbox, draw.rng.below(4), number);
            Some(Action { at: draw.moment(), does: Does::Poison { inbox, body } })
        };
        (0..many).filter_map(|number| of(self, number)).collect()
    }
}
