//! Consent: granted, withdrawn, confirmed, read.
//!
//! A change is one conditional write of the contact, and `Consent Changed` on the bus, which is
//! repeated whenever the same is asked again: a caller whose answer was lost, or who was told 503,
//! asks again and so completes it.

use crate::contacts::{self, ContactError};
use crate::ports::{Bus, BusEntry, Consistency, PortError, Tables};
use crate::stored::StoredError;
use odyssey_domain::catalog::SourceName;
use odyssey_domain::contact::{Consent, ConsentState, Contact, TopicId};
use odyssey_domain::ids::{ContactKey, ProfileId};
use odyssey_domain::message::link::Link;
use odyssey_domain::time::Stamp;
use odyssey_domain::wire::{BUS_SCHEMA, ConsentChanged, ConsentRequested, detail_type, source};

/// Who changes a consent, and so how it is evidenced and what else it says of the address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manner {
    /// The address's owner, by the link in the confirmation mail, which was made at this time.
    Confirmation {
        /// When the link was made.
        issued: Stamp,
    },
    /// The address's owner, by the mail program's button (RFC 8058).
    OneClick,
    /// The address's owner, on the page behind the link.
    UnsubscribePage,
    /// A server source, which vouches for the address when it grants.
    Api(SourceName),
}

impl Manner {
    /// As it is kept with the consent: `confirmation`, `api:shop`.
    #[must_use]
    pub fn via(&self) -> String {
        match self {
            Manner::Confirmation { .. } => "confirmation".to_owned(),
            Manner::OneClick => "one_click".to_owned(),
            Manner::UnsubscribePage => "unsubscribe_page".to_owned(),
            Manner::Api(source) => format!("api:{source}"),
        }
    }
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Whose.
    pub contact: ContactKey,
    /// The profile that is told, where it is known.
    pub profile: Option<ProfileId>,
    /// Of which topic.
    pub topic: TopicId,
    /// To what.
    pub state: ConsentState,
    /// By whom.
    pub manner: Manner,
}

impl Change {
    /// What following the link in a confirmation mail changes.
    #[must_use]
    pub fn confirm(link: Link) -> Change {
        Change {
            contact: link.contact,
            profile: link.profile,
            topic: link.topic,
            state: ConsentState::Granted,
            manner: Manner::Confirmation { issued: link.issued },
        }
    }

    /// What following an unsubscribe link changes.
    #[must_use]
    pub fn unsubscribe(link: Link, manner: Manner) -> Change {
        Change {
            contact: link.contact,
            profile: link.profile,
            topic: link.topic,
            state: ConsentState::Withdrawn,
            manner,
        }
    }
}

/// Why a consent was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ConsentError {
    /// The confirmation link is older than a withdrawal of the same topic: whoever withdrew must
    /// ask again.
    #[error("the link is older than a withdrawal")]
    Outdated,
    /// The bus did not take the event; the change itself is durable.
    #[error("the bus did not take the event")]
    NotPublished,
    /// The contact could not be read or written.
    #[error(transparent)]
    Contact(#[from] ContactError),
    /// The bus failed; the change itself is durable.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl ConsentError {
    /// Whether asking again may work.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            ConsentError::Outdated => false,
            ConsentError::NotPublished => true,
            ConsentError::Contact(error) => error.is_transient(),
            ConsentError::Port(error) => error.is_transient(),
        }
    }
}

/// Changes a consent and tells the bus; the same again tells the bus again. Returns the answer as
/// it now stands.
///
/// # Errors
/// Where the contact or the bus fails, or a confirmation link is older than a withdrawal.
pub async fn change(
    tables: &impl Tables,
    bus: &impl Bus,
    change: &Change,
    now: Stamp,
) -> Result<Consent, ConsentError> {
    let mut outdated = false;
    let via = change.manner.via();
    let contact = contacts::change(tables, change.contact, |contact| {
        outdated = is_outdated(contact, change);
        if outdated {
            return Ok(false);
        }
        let vouched = change.state == ConsentState::Granted && contact.verify(now);
        Ok(contact.answers(&change.topic, change.state, now, &via)? || vouched)
    })
    .await?;
    let consent = contact.answer(&change.topic).filter(|_| !outdated).cloned();
    let consent = consent.ok_or(ConsentError::Outdated)?;
    let event = ConsentChanged {
        v: BUS_SCHEMA,
        contact: change.contact,
        profile: change.profile,
        topic: change.topic.clone(),
        state: consent.state,
        at: consent.at,
        via: consent.via.clone(),
    };
    publish(bus, detail_type::CONSENT_CHANGED, &event).await?;
    Ok(consent)
}

/// Whether a confirmation link was made before its topic was withdrawn.
fn is_outdated(contact: &Contact, change: &Change) -> bool {
    match (&change.manner, contact.answer(&change.topic)) {
        (
            Manner::Confirmation { issued },
            Some(Consent { state: ConsentState::Withdrawn, at, .. }),
        ) => at >= issued,
        _ => false,
    }
}

/// Passes on that somebody says an address wants a topic; `sender` asks its owner.
///
/// # Errors
/// Where the bus does not take it.
pub async fn request(bus: &impl Bus, request: &ConsentRequested) -> Result<(), ConsentError> {
    publish(bus, detail_type::CONSENT_REQUESTED, request).await
}

/// What is known of a contact; nothing where nobody ever said anything of it.
///
/// # Errors
/// Where the port fails or the row cannot be read.
pub async fn read(
    tables: &impl Tables,
    contact: ContactKey,
) -> Result<Option<Contact>, StoredError> {
    Ok(contacts::load(tables, contact, Consistency::Strong).await?.map(|found| found.item))
}

async fn publish<E: serde::Serialize>(
    bus: &impl Bus,
    detail_type: &'static str,
    event: &E,
) -> Result<(), ConsentError> {
    let detail = serde_json::to_string(event).map_err(|_| ConsentError::NotPublished)?;
    let entry = BusEntry { source: source::CONSENT, detail_type, detail };
    let left = bus.publish(&[entry]).await?;
    if left.is_empty() { Ok(()) } else { Err(ConsentError::NotPublished) }
}
