//! Contacts: who may change what in them, and what they say in the end.

use super::super::core::Actor;
use super::super::functions::Function;
use super::super::workspace::keyring;
use super::Check;
use super::sends::name;
use odyssey_domain::contact::{ConsentState, Contact};
use odyssey_domain::ids::ContactKey;
use odyssey_domain::message::LedgerItem;
use odyssey_domain::personal::EmailAddress;
use odyssey_domain::time::Stamp;
use odyssey_flows::ports::Row;
use std::collections::BTreeSet;

impl Check {
    pub(super) fn contact_written(&mut self, actor: Actor, row: &Row) {
        let Some(after) = super::item::<Contact>(row) else { return };
        let before =
            self.contacts.get(&after.key).cloned().unwrap_or_else(|| Contact::new(after.key));
        let consents = before.consents == after.consents && before.verified == after.verified;
        let suppression = before.suppression == after.suppression;
        let (may_consent, may_suppress) = match actor.function {
            Function::Consent => (true, false),
            Function::Feedback => (false, true),
            _ => (false, false),
        };
        for (topic, consent) in &after.consents {
            let withdrawn =
                before.answer(topic).filter(|said| said.state == ConsentState::Withdrawn);
            let (Some(withdrawn), "confirmation") = (withdrawn, consent.via.as_str()) else {
                continue;
            };
            let issued = self.sends.followed.get(&actor.invocation).copied();
            let held = issued.is_some_and(|issued| withdrawn.at < issued);
            let said = withdrawn.at;
            self.holds("old-links-refused", held, || {
                format!("a link made at {issued:?} granted {topic}, withdrawn at {said}")
            });
        }
        self.holds("contact-writers", consents || may_consent, || {
            format!("{} changed the consents of {}", actor.function.name(), after.key)
        });
        self.holds("contact-writers", suppression || may_suppress, || {
            format!("{} changed the suppression of {}", actor.function.name(), after.key)
        });
        self.contacts.insert(after.key, after);
    }

    /// What certainly did not go out is no claim of its contact's any more, unless that very call
    /// failed.
    pub(super) fn taken_back(&mut self, actor: Actor, item: &LedgerItem) {
        let known = self.invocations.get(&actor.invocation);
        let troubled = known.is_none_or(|known| known.contact_troubled);
        let contact = item.contact.and_then(|key| self.contacts.get(&key));
        let counts = contact.is_some_and(|contact| contact.claims.contains(item.send));
        self.holds("claims-taken-back", !counts || troubled, || {
            format!("{} is {} and still a claim", item.send, name(&item.state))
        });
    }

    /// Consents are what customers were told, and who bounced or complained is suppressed.
    pub(super) fn contacts_end(&mut self) {
        for (contact, topic) in self.consents.all() {
            let may = self.consents.may(contact, &topic, Stamp::MAX);
            let stood = self.contacts.get(&contact);
            let answer = stood.and_then(|stood| stood.consents.get(&topic));
            let said = answer.map(|consent| format!("{:?}", consent.state));
            let fits = match said.as_deref() {
                Some("Granted") => may.granted,
                Some(_) => may.withdrawn,
                None => may.unknown,
            };
            let (_, verified) = self.consents.verified(contact, Stamp::MAX);
            let known = stood.is_some_and(|stood| stood.verified.is_some());
            self.holds("consents-as-answered", fits && (known || !verified), || {
                format!("{contact} says {said:?} to {topic}, verified: {known}; expected {may:?}")
            });
        }
        let reported: BTreeSet<ContactKey> = self
            .sends
            .to_suppress
            .iter()
            .filter_map(|email| EmailAddress::parse(email).ok())
            .map(|email| keyring().contact_key(&email))
            .collect();
        let suppressed: BTreeSet<ContactKey> = self
            .contacts
            .values()
            .filter(|contact| contact.suppression.is_some())
            .map(|contact| contact.key)
            .collect();
        self.holds("suppressed-as-reported", reported == suppressed, || {
            format!("suppressed are {suppressed:?}, reported were {reported:?}")
        });
    }
}
