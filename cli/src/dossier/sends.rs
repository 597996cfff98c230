//! Sends, and decisions against them, for people.

use super::{ReasonPart, Send, word_of};
use odyssey_domain::catalog::Catalog;
use odyssey_domain::ids::{ContactKey, SendId};
use odyssey_domain::message::{Delivery, LedgerItem, SendState, Witness};
use odyssey_domain::time::Stamp;
use odyssey_flows::ledger;
use odyssey_flows::ports::{Consistency, Tables};
use odyssey_flows::stored::{StoredError, load};

/// Days back in which a confirmation mail is looked for.
const CONFIRMATION_DAYS: i64 = 30;

/// The mails that asked an address to confirm in the last days, the first first.
pub(crate) async fn confirmations(
    tables: &impl Tables,
    catalog: Option<&Catalog>,
    contact: ContactKey,
    now: Stamp,
) -> Result<Vec<Send>, StoredError> {
    let mut found = Vec::new();
    for topic in catalog.iter().flat_map(|catalog| catalog.topics.keys()) {
        for day in (now.day() - CONFIRMATION_DAYS)..=now.day() {
            let id = SendId::derive_confirmation(contact, topic.as_str(), day);
            found.extend(load_send(tables, id).await?);
        }
    }
    found.sort_by_key(|send| send.at);
    Ok(found)
}

pub(super) async fn load_send(
    tables: &impl Tables,
    id: SendId,
) -> Result<Option<Send>, StoredError> {
    let found = load::<LedgerItem>(tables, ledger::key(id), Consistency::Strong).await?;
    Ok(found.map(|found| send_part(&found.item)))
}

/// A ledger item for people.
#[must_use]
pub fn send_part(item: &LedgerItem) -> Send {
    let (state, at, ses_id) = match &item.state {
        SendState::Sent { ses_id, accepted } => ("sent", *accepted, Some(ses_id.clone())),
        SendState::Skipped { .. } => ("skipped", item.at, None),
        SendState::Deferred { .. } => ("deferred", item.at, None),
        SendState::Failed { .. } => ("failed", item.at, None),
        SendState::Unconfirmed { since } => ("unconfirmed", *since, None),
        SendState::Claimed | SendState::Released { .. } | SendState::Sending => {
            ("under way", item.at, None)
        }
    };
    let reasons = match &item.state {
        SendState::Skipped { reasons } | SendState::Deferred { reasons, .. } => reasons
            .iter()
            .map(|reason| ReasonPart {
                code: word_of(&reason.code),
                found: reason.found.clone(),
                remedy: reason.code.remedy().to_owned(),
            })
            .collect(),
        SendState::Failed { reason, witness: Witness::Operator } => vec![ReasonPart {
            code: "not_sent".to_owned(),
            found: reason.clone(),
            remedy: "SES's own event, where it comes, says otherwise; this send is not tried again"
                .to_owned(),
        }],
        SendState::Failed { reason, witness: Witness::Ses } => vec![ReasonPart {
            code: "refused_by_ses".to_owned(),
            found: reason.clone(),
            remedy: "correct what SES refused; this send is not tried again".to_owned(),
        }],
        SendState::Unconfirmed { .. } => vec![ReasonPart {
            code: "answer_lost".to_owned(),
            found: "SES's answer was lost".to_owned(),
            remedy: "SES's own event settles it; it is never sent twice".to_owned(),
        }],
        _ => Vec::new(),
    };
    let delivery = item.delivery.map(|delivery| {
        match delivery {
            Delivery::BouncedSoft => "bounced for now",
            Delivery::Delivered => "delivered",
            Delivery::Bounced => "bounced",
            Delivery::Complained => "complained",
        }
        .to_owned()
    });
    let until = match item.state {
        SendState::Deferred { until, .. } => Some(until),
        _ => None,
    };
    let waited = item.deferral.as_ref().filter(|_| until.is_none()).map(|deferral| {
        let codes: Vec<String> = deferral.codes.iter().map(word_of).collect();
        format!("{}, for {}", crate::explain::clock(deferral.since), codes.join(" and "))
    });
    Send {
        send: item.send,
        step: item.asked_by.as_ref().map(|(_, step)| step.to_string()),
        mail: item.mail.to_string(),
        topic: item.topic.to_string(),
        state: state.to_owned(),
        at,
        until,
        waited,
        ses_id,
        consent: item.consent.clone(),
        delivery,
        reasons,
    }
}
