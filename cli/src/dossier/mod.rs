//! Everything that was decided about one address: what `explain`, the demo and the pages show.

mod contact;
mod enrollments;
mod sends;

pub(crate) use contact::contact;
pub use enrollments::ending_word;
pub(crate) use enrollments::enrollments;
pub(crate) use sends::confirmations;
pub use sends::send_part;

use odyssey_domain::catalog::Catalog;
use odyssey_domain::ids::{ProfileId, SendId};
use odyssey_domain::keyring::Keyring;
use odyssey_domain::personal::EmailAddress;
use odyssey_domain::profile::Said;
use odyssey_domain::signal::Outcome;
use odyssey_domain::time::Stamp;
use odyssey_flows::catalog::current_key;
use odyssey_flows::ports::{Consistency, Tables};
use odyssey_flows::profiles::{self, Found};
use odyssey_flows::stored::{StoredError, load};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Profiles of one address that are looked at.
const PROFILES_MAX: usize = 20;

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
    let catalog = catalog(tables).await?;
    let mut found = Vec::new();
    for (id, _) in profiles::email_profiles(tables, key).await?.into_iter().take(PROFILES_MAX) {
        let part = profile(tables, catalog.as_ref(), id, now).await?;
        if !found.iter().any(|known: &ProfilePart| known.profile == part.profile) {
            found.push(part);
        }
    }
    Ok(Dossier {
        at: now,
        contact: contact(tables, catalog.as_ref(), key).await?,
        profiles: found,
        confirmations: confirmations(tables, catalog.as_ref(), key, now).await?,
    })
}

/// The published workspace; none before the first publication.
pub(crate) async fn catalog(tables: &impl Tables) -> Result<Option<Catalog>, StoredError> {
    let found = load::<Catalog>(tables, current_key(), Consistency::Strong).await?;
    Ok(found.map(|found| found.item))
}

async fn profile(
    tables: &impl Tables,
    catalog: Option<&Catalog>,
    asked: ProfileId,
    now: Stamp,
) -> Result<ProfilePart, StoredError> {
    let traits = catalog.map(|catalog| catalog.computed_traits.clone()).unwrap_or_default();
    let (id, owners, facts, signals) = match profiles::find(tables, asked.into()).await? {
        Found::Profile(id, root) => {
            let view = root.item.view_at(id, &traits, now);
            (id, view.owners, view.facts, signals_of(&root.item.said))
        }
        Found::Nobody | Found::Erased => (asked, vec![asked.into()], BTreeMap::new(), Vec::new()),
    };
    let facts = facts.into_iter().filter(|(name, value)| is_shown(name, value)).collect();
    let enrollments = enrollments(tables, catalog, &owners).await?;
    Ok(ProfilePart { profile: id, facts, signals, enrollments })
}

/// Facts worth a line whatever they are.
const FACTS_SHOWN: [&str; 6] =
    ["orders.count", "orders.value", "cart.items", "cart.value", "seen.first", "seen.last"];
/// Facts worth a line where there is something to them.
const FACTS_SHOWN_IF_ANY: [&str; 25] = [
    "activity.last",
    "channels.last",
    "checkout.items",
    "computed.filling",
    "computed.partial",
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
    "stage",
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
    let stages = said.stages.iter().map(|(rule, mark)| SignalPart {
        rule: rule.clone(),
        since: mark.since,
        at: mark.at,
        outcome: if mark.raised {
            format!("raised: {}", mark.stage.name())
        } else {
            format!("{}, not raised", mark.stage.name())
        },
    });
    silences.chain(crossings).chain(stages).collect()
}

/// A stable code as it is written: what serde writes.
pub(crate) fn word_of(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => word,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}
