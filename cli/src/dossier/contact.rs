//! Whether an address may be written to, and what would change it.

use super::{ContactPart, TopicPart, word_of};
use odyssey_domain::catalog::{Catalog, TopicKind};
use odyssey_domain::contact::{ConsentState, Contact};
use odyssey_domain::ids::ContactKey;
use odyssey_domain::policy::ReasonCode;
use odyssey_flows::contacts;
use odyssey_flows::ports::{Consistency, Tables};
use odyssey_flows::stored::{StoredError, load};

/// What is known of an address.
pub(crate) async fn contact(
    tables: &impl Tables,
    catalog: Option<&Catalog>,
    key: ContactKey,
) -> Result<ContactPart, StoredError> {
    let found = load::<Contact>(tables, contacts::key(key), Consistency::Strong).await?;
    Ok(contact_part(found.map(|found| found.item).as_ref(), catalog))
}

fn contact_part(contact: Option<&Contact>, catalog: Option<&Catalog>) -> ContactPart {
    let verified = contact.and_then(|contact| contact.verified);
    let suppression = contact.and_then(|contact| contact.suppression.as_ref());
    let mut topics = Vec::new();
    for (id, topic) in catalog.map(|catalog| &catalog.topics).into_iter().flatten() {
        let consent = contact.and_then(|contact| contact.consents.get(id));
        let said = consent.map(|consent| {
            let word = match consent.state {
                ConsentState::Granted => "granted",
                ConsentState::Withdrawn => "withdrawn",
            };
            format!("{word} {} via {}", consent.at, consent.via)
        });
        let withdrawn = consent.is_some_and(|c| c.state == ConsentState::Withdrawn);
        let lacks = if suppression.is_some() {
            Some(ReasonCode::Suppressed)
        } else if withdrawn {
            Some(ReasonCode::ConsentWithdrawn)
        } else if verified.is_none() {
            Some(ReasonCode::NotVerified)
        } else if consent.is_none() && topic.kind == TopicKind::Marketing {
            Some(ReasonCode::NoConsent)
        } else {
            None
        };
        let silent = match topic.kind {
            TopicKind::Marketing => "no consent",
            TopicKind::Transactional => "transactional: needs a verified address alone",
        };
        topics.push(TopicPart {
            topic: id.to_string(),
            title: topic.title.clone(),
            mailable: lacks.is_none(),
            state: said.unwrap_or_else(|| silent.to_owned()),
            remedy: lacks.map_or_else(String::new, |code| code.remedy().to_owned()),
        });
    }
    ContactPart { verified, suppressed: suppression.map(|s| (word_of(&s.reason), s.at)), topics }
}
