//! Who is in a file: ids, which of them are one customer, who can be reached.

use odyssey_domain::event::{Event, EventKind};
use odyssey_domain::identity;
use odyssey_domain::ids::{IdentityKey, Position};
use odyssey_domain::keyring::Keyring;
use odyssey_domain::personal::{AnonymousId, UserId};
use odyssey_domain::profile::email_of;
use std::collections::BTreeMap;

/// The most ids that are told apart: about 150 MB.
pub const IDS_MAX: usize = 1_000_000;

/// What the keys of ids are made with. They leave nobody's machine, so it need not be secret.
const NO_SECRET: &str = r#"{"k1":"an audit keeps nothing, so this is no secret"}"#;

/// An id in the file.
#[derive(Debug, Clone, Copy, Default)]
struct Person {
    kind: Kind,
    email: bool,
    consent: bool,
    /// Whose it is, by the earliest event that says so.
    claim: Option<(Position, IdentityKey)>,
}

/// What somebody is known by, the weaker first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    #[default]
    Device,
    /// An external id, an address, a phone number.
    Named,
    User,
}

/// Everybody in the file.
#[derive(Debug)]
pub struct People {
    keyring: Keyring,
    ids: BTreeMap<IdentityKey, Person>,
    /// Events of ids beyond [`IDS_MAX`].
    pub beyond: u64,
}

/// How many of them there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Heads {
    /// Customers: ids, but those that are another's, such as a user's devices.
    pub customers: u64,
    /// Those known by more than a device: a user id, an external id, an address.
    pub identified: u64,
    /// Those with an address.
    pub reachable: u64,
    /// Those with an address, and an event or a trait about consent.
    pub consented: u64,
}

impl Person {
    /// Whose it is; a user is nobody else's.
    fn owner(&self) -> Option<IdentityKey> {
        self.claim.map(|(_, by)| by).filter(|_| self.kind < Kind::User)
    }
}

impl People {
    /// Nobody yet.
    ///
    /// # Errors
    /// Never: the keyring's text is a constant.
    pub fn new() -> Result<People, odyssey_domain::keyring::KeyringError> {
        Ok(People { keyring: Keyring::parse(NO_SECRET)?, ids: BTreeMap::new(), beyond: 0 })
    }

    /// The id that an event folds under, and whether it is a device's alone.
    #[must_use]
    pub fn own(&self, event: &Event) -> Option<(IdentityKey, bool)> {
        if let Some(user) = &event.user_id {
            return Some((self.keyring.user_key(user), false));
        }
        if let Some(named) = self.vouched(event).first() {
            return Some((*named, false));
        }
        event.anonymous_id.as_ref().map(|id| (self.keyring.anonymous_key(id), true))
    }

    /// What an export vouches for, as a server does: external ids, address, phone.
    fn vouched(&self, event: &Event) -> Vec<IdentityKey> {
        let ids = identity::vouched(event.kind, &event.traits, &event.context);
        ids.iter().map(|id| self.keyring.identity_key(id)).collect()
    }

    /// The other ids that an event says are its user's: devices, addresses and external ids link to
    /// users alone.
    #[must_use]
    pub fn claimed(&self, event: &Event) -> Vec<IdentityKey> {
        let Some(user) = &event.user_id else { return Vec::new() };
        let mut claimed = self.vouched(event);
        let device = event.anonymous_id.as_ref().map(|id| self.keyring.anonymous_key(id));
        claimed.extend(device);
        claimed.extend(self.aliased(event, user));
        claimed
    }

    /// The device that an alias names. Where that is a user's id, no event has such a device, and
    /// the two users stay two.
    fn aliased(&self, event: &Event, user: &UserId) -> Option<IdentityKey> {
        let previous = event.previous_id.as_deref().filter(|_| event.kind == EventKind::Alias)?;
        let is_itself = UserId::parse(previous).is_ok_and(|previous| previous == *user);
        let device = AnonymousId::parse(previous).ok().filter(|_| !is_itself)?;
        Some(self.keyring.anonymous_key(&device))
    }

    /// Notes who an event is of.
    pub fn note(&mut self, event: &Event) {
        let Some((own, device)) = self.own(event) else { return };
        let claimed = self.claimed(event);
        let (email, consent) = (email_of(event).is_some(), speaks_of_consent(event));
        let Some(person) = slot(&mut self.ids, own) else {
            self.beyond += 1;
            return;
        };
        person.kind = person.kind.max(match (&event.user_id, device) {
            (Some(_), _) => Kind::User,
            (None, false) => Kind::Named,
            (None, true) => Kind::Device,
        });
        person.email |= email;
        person.consent |= consent;
        let at = event.position();
        for id in claimed {
            let Some(claimed) = slot(&mut self.ids, id) else { continue };
            if claimed.claim.is_none_or(|(held, _)| at < held) {
                claimed.claim = Some((at, own));
            }
        }
    }

    /// The customer that an id belongs to.
    #[must_use]
    pub fn customer(&self, id: IdentityKey) -> IdentityKey {
        // Whoever claims is a user, and a user is nobody else's.
        self.ids.get(&id).and_then(Person::owner).unwrap_or(id)
    }

    /// When an id was first said to be its customer's.
    #[must_use]
    pub fn claim(&self, id: IdentityKey) -> Option<Position> {
        self.ids.get(&id)?.claim.map(|(at, _)| at)
    }

    /// Counts them.
    #[must_use]
    pub fn heads(&self) -> Heads {
        let mut customers: BTreeMap<IdentityKey, Person> = BTreeMap::new();
        for (id, person) in &self.ids {
            let customer = customers.entry(self.customer(*id)).or_default();
            customer.kind = customer.kind.max(person.kind);
            customer.email |= person.email;
            customer.consent |= person.consent;
        }
        let count = |is: fn(&Person) -> bool| {
            u64::try_from(customers.values().filter(|person| is(person)).count()).unwrap_or(0)
        };
        Heads {
            customers: count(|_| true),
            identified: count(|person| person.kind > Kind::Device),
            reachable: count(|person| person.email),
            consented: count(|person| person.email && person.consent),
        }
    }
}

fn slot(ids: &mut BTreeMap<IdentityKey, Person>, id: IdentityKey) -> Option<&mut Person> {
    if ids.len() >= IDS_MAX && !ids.contains_key(&id) {
        return None;
    }
    Some(ids.entry(id).or_default())
}

/// Whether an event says something of consent: by its name, or by the name of a trait.
fn speaks_of_consent(event: &Event) -> bool {
    const WORDS: [&str; 6] =
        ["consent", "opt_in", "optin", "opted", "newsletter", "accepts_marketing"];
    let speaks = |name: &str| {
        let name = name.to_lowercase().replace([' ', '-'], "_");
        WORDS.iter().any(|word| name.contains(word))
    };
    event.name.as_deref().is_some_and(speaks) || event.traits.keys().any(|name| speaks(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn event(at: i64, fields: &Value) -> Event {
        let mut event = json!({"id": format!("m{at}"), "at": at, "type": "track", "name": "x"});
        for (name, value) in fields.as_object().unwrap() {
            event[name] = value.clone();
        }
        serde_json::from_value(event).unwrap()
    }

    #[test]
    fn devices_belong_to_the_first_user_that_they_are_said_to_be_of() {
        let all = [
            event(1, &json!({"anonymousId": "d1"})),
            event(
                9,
                &json!({"userId": "ann", "anonymousId": "d1", "traits": {"email": "ann@example.com"}}),
            ),
            event(5, &json!({"userId": "bob", "anonymousId": "d1"})),
            event(6, &json!({"anonymousId": "d2", "name": "Consent Requested"})),
            event(7, &json!({"type": "alias", "userId": "ann", "previousId": "d2"})),
            event(8, &json!({"type": "alias", "userId": "ann", "previousId": "bob"})),
            event(9, &json!({"anonymousId": "d3"})),
        ];
        for turn in 0..all.len() {
            let mut people = People::new().unwrap();
            for n in 0..all.len() {
                people.note(&all[(n + turn) % all.len()]);
            }
            let key = |event: &Event| people.own(event).unwrap().0;
            assert_eq!(people.customer(key(&all[0])), key(&all[2]), "{turn}");
            assert_eq!(people.customer(key(&all[3])), key(&all[1]), "{turn}");
            let heads = Heads { customers: 3, identified: 2, reachable: 1, consented: 1 };
            assert_eq!(people.heads(), heads, "{turn}");
        }
    }

    #[test]
    fn users_alone_link_what_is_said_to_be_theirs() {
        let mut people = People::new().unwrap();
        let address = json!([{"id": "ann@example.com", "type": "email", "collection": "users",
            "encoding": "none"}]);
        let device = event(1, &json!({"anonymousId": "d1"}));
        let named =
            event(2, &json!({"anonymousId": "d1", "context": {"externalIds": address.clone()}}));
        // An alias that says both where it was sent and what it was before.
        let alias = event(
            3,
            &json!({"type": "alias", "userId": "ann", "anonymousId": "d3", "previousId": "d2"}),
        );
        let before = event(4, &json!({"anonymousId": "d2"}));
        let (sent, user) =
            (event(5, &json!({"anonymousId": "d3"})), event(6, &json!({"userId": "ann"})));
        for event in [&device, &named, &alias, &before, &sent] {
            people.note(event);
        }
        let of = |event: &Event| people.customer(people.own(event).unwrap().0);
        assert_ne!(of(&device), of(&named), "an address links no device");
        assert_eq!((of(&before), of(&sent)), (of(&user), of(&user)));
        assert_eq!(people.heads().customers, 3);
        people.note(&event(7, &json!({"userId": "ann", "context": {"externalIds": address}})));
        assert_eq!(people.heads().customers, 2, "a user links an address");
    }
}
