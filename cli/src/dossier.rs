//! Everything that was decided about one address: what `explain`, the demo and the pages show.

use odyssey_domain::catalog::{Catalog, JourneyState, TopicKind};
use odyssey_domain::contact::{ConsentState, Contact};
use odyssey_domain::ids::{ProfileId, SendId};
use odyssey_domain::journey::{Ending, Enrollment, Journey, StepKind};
use odyssey_domain::keyring::Keyring;
use odyssey_domain::message::{Delivery, LedgerItem, SendState};
use odyssey_domain::personal::EmailAddress;
use odyssey_domain::profile::Said;
use odyssey_domain::signal::Outcome;
use odyssey_domain::time::Stamp;
use odyssey_flows::catalog::{current_key, document_key};
use odyssey_flows::ports::{Consistency, Query, Table, Tables};
use odyssey_flows::profiles::{self, Found};
use odyssey_flows::stored::{StoredError, decode, load};
use odyssey_flows::{contacts, ledger};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Profiles of one address that are looked at.
const PROFILES_MAX: usize = 20;
/// Enrollments of one profile that are looked at.
const ENROLLMENTS_MAX: usize = 200;
/// Days back in which a confirmation mail is looked for.
const CONFIRMATION_DAYS: i64 = 30;

/// Everything about one address.
#[derive(Debug, Clone, Serialize)]
pub struct Dossier {
    /// When it was looked up; customer time.
    pub at: Stamp,
    /// The address as contacts know it.
    pub contact: ContactPart,
    /// Each profile that names it.
    pub profiles: Vec<ProfilePart>,
    /// Confirmation mails of the last 30 days.
    pub confirmations: Vec<Send>,
}

/// The contact.
#[derive(Debug, Clone, Serialize)]
pub struct ContactPart {
    /// When its owner confirmed it, or a server vouched for it.
    pub verified: Option<Stamp>,
    /// Why it must not be mailed, and since when.
    pub suppressed: Option<(String, Stamp)>,
    /// For each topic what is known and what would change it.
    pub topics: Vec<TopicPart>,
}

/// One topic of a contact.
#[derive(Debug, Clone, Serialize)]
pub struct TopicPart {
    /// Its name.
    pub topic: String,
    /// Its title.
    pub title: String,
    /// Whether a mail under it would go out now.
    pub mailable: bool,
    /// `granted 2026-… via confirmation`, `no consent` …
    pub state: String,
    /// What would change it.
    pub remedy: String,
}

/// One profile.
#[derive(Debug, Clone, Serialize)]
pub struct ProfilePart {
    /// Its id.
    pub profile: ProfileId,
    /// Facts worth a line, by name.
    pub facts: BTreeMap<String, Value>,
    /// Signals by rule: what was decided last.
    pub signals: Vec<SignalPart>,
    /// Its enrollments.
    pub enrollments: Vec<EnrollmentPart>,
}

/// What a rule last decided.
#[derive(Debug, Clone, Serialize)]
pub struct SignalPart {
    /// `Cart Abandoned/4h`.
    pub rule: String,
    /// When the silence began, or what was reached happened.
    pub since: Stamp,
    /// When it was decided.
    pub at: Stamp,
    /// `raised`, `raised, number 3`, `superseded by Cart Abandoned`, `found too late`, `noted …`.
    pub outcome: String,
}

/// One enrollment.
#[derive(Debug, Clone, Serialize)]
pub struct EnrollmentPart {
    /// The journey.
    pub journey: String,
    /// `event Order Completed`, `signal Cart Abandoned after 4h`.
    pub trigger: String,
    /// When the trigger happened.
    pub started: Stamp,
    /// When it was let in.
    pub entered: Stamp,
    /// The step it stands at, or ended at.
    pub step: String,
    /// What that step waits for, in words.
    pub waits_for: Option<String>,
    /// When its timer is due.
    pub due: Option<Stamp>,
    /// How and when it ended.
    pub ended: Option<(String, Stamp)>,
    /// Conditions that were asked on the way, with the values they were decided on.
    pub conditions: Vec<odyssey_domain::predicate::Answer>,
    /// Its sends.
    pub sends: Vec<Send>,
}

/// One send, or the decision against it.
#[derive(Debug, Clone, Serialize)]
pub struct Send {
    /// Its id.
    pub send: SendId,
    /// The journey's step; none for a confirmation.
    pub step: Option<String>,
    /// The mail.
    pub mail: String,
    /// The topic.
    pub topic: String,
    /// `sent`, `skipped`, `deferred`, `failed`, `unconfirmed`, `under way`.
    pub state: String,
    /// When it was decided, or accepted.
    pub at: Stamp,
    /// When it is decided again, while it is deferred.
    pub until: Option<Stamp>,
    /// That it was put off before: since when, and for what.
    pub waited: Option<String>,
    /// SES's message id.
    pub ses_id: Option<String>,
    /// The consent it went out on.
    pub consent: Option<String>,
    /// `delivered`, `bounced` …
    pub delivery: Option<String>,
    /// Why not: code, value, and what would change it.
    pub reasons: Vec<ReasonPart>,
}

/// Why a mail was not sent.
#[derive(Debug, Clone, Serialize)]
pub struct ReasonPart {
    /// The stable code.
    pub code: String,
    /// What it was decided on.
    pub found: String,
    /// What would change it.
    pub remedy: String,
}

/// Gathers what is known of an address.
///
/// # Errors
/// Where a table cannot be read.
pub async fn gather(
    tables: &impl Tables,
    keys: &Keyring,
    address: &EmailAddress,
    now: Stamp,
) -> Result<Dossier, StoredError> {
    let key = keys.contact_key(address);
    let catalog = load::<Catalog>(tables, current_key(), Consistency::Strong).await?;
    let catalog = catalog.map(|found| found.item);
    let contact = load::<Contact>(tables, contacts::key(key), Consistency::Strong).await?;
    let contact = contact.map(|found| found.item);
    let mut confirmations = Vec::new();
    if let Some(catalog) = &catalog {
        for topic in catalog.topics.keys() {
            for day in (now.day() - CONFIRMATION_DAYS)..=now.day() {
                let id = SendId::derive_confirmation(key, topic.as_str(), day);
                confirmations.extend(load_send(tables, id).await?);
            }
        }
    }
    confirmations.sort_by_key(|send| send.at);
    let mut found = Vec::new();
    for id in profile_ids(tables, &format!("email#{key}")).await? {
        let part = profile(tables, catalog.as_ref(), id).await?;
        if !found.iter().any(|known: &ProfilePart| known.profile == part.profile) {
            found.push(part);
        }
    }
    Ok(Dossier {
        at: now,
        contact: contact_part(contact.as_ref(), catalog.as_ref()),
        profiles: found,
        confirmations,
    })
}

async fn profile_ids(tables: &impl Tables, partition: &str) -> Result<Vec<ProfileId>, StoredError> {
    let query = Query {
        table: Table::Profiles,
        pk: partition.to_owned(),
        from: " ".to_owned(),
        to: "~".to_owned(),
        limit: PROFILES_MAX,
        descending: false,
        consistency: Consistency::Strong,
    };
    let rows = tables.query(&query).await?;
    Ok(rows.iter().filter_map(|row| row.key.sk.parse().ok()).collect())
}

async fn profile(
    tables: &impl Tables,
    catalog: Option<&Catalog>,
    asked: ProfileId,
) -> Result<ProfilePart, StoredError> {
    let (id, owners, facts, signals) = match profiles::find(tables, asked.into()).await? {
        Found::Profile(id, root) => {
            let view = root.item.view(id);
            (id, view.owners, view.facts, signals_of(&root.item.said))
        }
        Found::Nobody | Found::Erased => (asked, vec![asked.into()], BTreeMap::new(), Vec::new()),
    };
    let facts = facts.into_iter().filter(|(name, value)| is_shown(name, value)).collect();
    let mut enrollments = Vec::new();
    for owner in owners {
        let query = Query {
            table: Table::Enrollments,
            pk: ProfileId::from(owner).to_string(),
            from: "a".to_owned(),
            to: "~".to_owned(),
            limit: ENROLLMENTS_MAX,
            descending: false,
            consistency: Consistency::Strong,
        };
        for row in tables.query(&query).await? {
            let item: Enrollment = decode(&row)?;
            enrollments.push(enrollment(tables, catalog, &item).await?);
        }
    }
    enrollments.sort_by_key(|part| part.entered);
    Ok(ProfilePart { profile: id, facts, signals, enrollments })
}

/// Facts worth a line whatever they are.
const FACTS_SHOWN: [&str; 6] =
    ["orders.count", "orders.value", "cart.items", "cart.value", "seen.first", "seen.last"];
/// Facts worth a line where there is something to them.
const FACTS_SHOWN_IF_ANY: [&str; 22] = [
    "activity.last",
    "channels.last",
    "checkout.items",
    "content.genre",
    "content.started",
    "context.campaign",
    "context.country",
    "context.device",
    "forms.open",
    "interest.category",
    "mails.by_machines",
    "mails.clicked",
    "mails.opened",
    "orders.average",
    "orders.days_between",
    "orders.price_band",
    "sessions.count",
    "sessions.pages",
    "subscription.renews",
    "support.complaints",
    "support.open",
    "trimmed.parts",
];

fn is_shown(name: &str, value: &Value) -> bool {
    let nothing = match value {
        Value::Null => true,
        Value::Number(number) => number.as_u64() == Some(0),
        Value::Array(items) => items.is_empty(),
        _ => false,
    };
    FACTS_SHOWN.contains(&name) || (!nothing && FACTS_SHOWN_IF_ANY.contains(&name))
}

/// What each rule last decided, silences and crossings together.
fn signals_of(said: &Said) -> Vec<SignalPart> {
    let silences = said.marks.iter().map(|(rule, mark)| SignalPart {
        rule: rule.clone(),
        since: mark.episode.at,
        at: mark.at,
        outcome: match &mark.outcome {
            Outcome::Raised => "raised".to_owned(),
            Outcome::Superseded(by) => format!("superseded by {by}"),
            Outcome::Stale => "found too late".to_owned(),
            Outcome::Noted => "noted: the return will be raised".to_owned(),
        },
    });
    let crossings = said.crossed.iter().map(|(rule, crossed)| SignalPart {
        rule: rule.clone(),
        since: crossed.since,
        at: crossed.at,
        outcome: match (crossed.raised, crossed.number) {
            (false, _) => "found too late".to_owned(),
            (true, 0) => format!("raised, {} so far", crossed.keys.len()),
            (true, number) => format!("raised, number {number}"),
        },
    });
    silences.chain(crossings).collect()
}

async fn enrollment(
    tables: &impl Tables,
    catalog: Option<&Catalog>,
    item: &Enrollment,
) -> Result<EnrollmentPart, StoredError> {
    let key = document_key(item.version);
    let journey = load::<Journey>(tables, key, Consistency::Eventual).await?.map(|f| f.item);
    let mut sends = Vec::new();
    let steps = journey.as_ref().map(|journey| journey.steps.keys().cloned().collect::<Vec<_>>());
    for step in steps.unwrap_or_default() {
        for iteration in 0..=item.iteration {
            let id = SendId::derive(item.id, step.as_str(), iteration);
            sends.extend(load_send(tables, id).await?);
        }
    }
    sends.sort_by_key(|send| send.at);
    let paused = catalog
        .and_then(|catalog| catalog.journeys.get(&item.slot.journey))
        .is_some_and(|entry| entry.state == JourneyState::Paused);
    let standing = journey.as_ref().and_then(|journey| journey.steps.get(&item.step));
    let waits_for = match standing.map(|step| &step.kind) {
        _ if item.ended.is_some() => None,
        _ if item.parked.is_some() => {
            Some("the journey to be resumed: it was paused when the wait was over".to_owned())
        }
        _ if paused => Some("the journey to be resumed: it is paused".to_owned()),
        Some(StepKind::WaitUntil { event, timeout, .. }) => {
            Some(format!("{}, at most {timeout}", event.event))
        }
        Some(StepKind::Delay { length }) => Some(format!("{length} to pass")),
        _ => None,
    };
    Ok(EnrollmentPart {
        journey: item.slot.journey.to_string(),
        trigger: item.why.trigger.clone(),
        started: item.started,
        entered: item.entered,
        step: item.step.to_string(),
        waits_for,
        due: item.due.filter(|_| item.ended.is_none()),
        ended: item.ended.map(|(ending, at)| (ending_word(ending).to_owned(), at)),
        conditions: item.why.conditions.clone(),
        sends,
    })
}

async fn load_send(tables: &impl Tables, id: SendId) -> Result<Option<Send>, StoredError> {
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
        SendState::Failed { reason } => vec![ReasonPart {
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

/// A stable code as it is written: what serde writes.
pub(crate) fn word_of(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => word,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}

/// An ending as it is written in files.
#[must_use]
pub const fn ending_word(ending: Ending) -> &'static str {
    match ending {
        Ending::Completed => "completed",
        Ending::Exited => "exited",
        Ending::GoalReached => "goal_reached",
        Ending::Erased => "erased",
    }
}

fn contact_part(contact: Option<&Contact>, catalog: Option<&Catalog>) -> ContactPart {
    use odyssey_domain::policy::ReasonCode;
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
