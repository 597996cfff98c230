//! What a publication changes, before it is made.

use odyssey_domain::catalog::{Catalog, JourneyEntry, JourneyState};
use odyssey_domain::ids::ContentHash;
use odyssey_domain::journey::{Enrollment, Journey, JourneyId, StepId, StepKind};
use odyssey_domain::message::MailId;
use odyssey_domain::predicate::EventPredicate;
use odyssey_domain::wire::{Owner, Wake};
use odyssey_domain::workspace::{WATCHED_MAX, watched};
use odyssey_flows::advance_enrollment::slot_key;
use odyssey_flows::catalog::{CatalogError, Publication, current_key, document_key};
use odyssey_flows::due::{SHARDS, shard_key};
use odyssey_flows::ports::{Consistency, Query, Table, Tables};
use odyssey_flows::stored::{StoredError, decode, load};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Waiting enrollments that are looked at one by one; beyond them the plan says "more than".
pub const WAITING_MAX: usize = 2_000;

/// What becomes of one named thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is new.
    Added,
    /// It is another than before.
    Changed,
    /// It is as it was.
    Same,
    /// It is no longer in the files.
    Removed,
}

/// One line of the plan about a journey.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JourneyChange {
    /// Its name.
    pub name: String,
    /// What becomes of its steps.
    pub change: Change,
    /// Its state before.
    pub before: Option<JourneyState>,
    /// Its state after.
    pub after: JourneyState,
    /// Enrollments that wait in it now: they keep the steps they entered on.
    pub waiting: usize,
}

/// One line of the plan about a mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MailChange {
    /// Its name.
    pub name: String,
    /// What becomes of its content.
    pub change: Change,
    /// Waiting enrollments that have yet to be sent it, and will get the new content.
    pub waiting: usize,
}

/// What a publication changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Nothing was published before.
    pub first: bool,
    /// The version of the catalog's row that it was made of.
    #[serde(skip)]
    pub over: Option<u64>,
    /// Nothing changes.
    pub empty: bool,
    /// Journeys.
    pub journeys: Vec<JourneyChange>,
    /// Mails.
    pub mails: Vec<MailChange>,
    /// Other settings that change, by name.
    pub settings: Vec<String>,
    /// Computed traits that profiles with events lack until a back-fill, by name.
    pub to_fill: Vec<String>,
    /// Segments that are new or another than before, by name: profiles from before are decided on
    /// by a back-fill, or when something happens to them.
    pub to_find: Vec<String>,
    /// Signals of silence whose rules are new or another than before, by name: customers who do
    /// nothing have no timer for them until a back-fill.
    pub to_arm: Vec<String>,
    /// There are more waiting enrollments than were looked at.
    pub more_waiting: bool,
    /// Why it must not be published.
    pub refused: Vec<String>,
}

/// An enrollment that waits in the due index, and the steps it may still take.
struct Waiting {
    journey: JourneyId,
    mails: BTreeSet<MailId>,
}

/// Compares with what is published, and completes `publication`: it is dated later, and a journey
/// that is no longer in the files stays, archived, with its mails, so that those inside it go on.
///
/// # Errors
/// Where the tables cannot be read.
pub async fn plan(
    tables: &impl Tables,
    publication: &mut Publication,
) -> Result<Plan, CatalogError> {
    let current = load::<Catalog>(tables, current_key(), Consistency::Strong).await?;
    let over = current.as_ref().map(|found| found.version);
    let before = current.map(|found| found.item);
    if let Some(before) = &before {
        publication.catalog.date_after(before);
    }
    let Waits { waiting, more: more_waiting, waited_for } = waiting(tables).await?;
    let mut refused = Vec::new();
    let old = before.clone().unwrap_or_else(|| empty_of(&publication.catalog));
    let mut journeys = Vec::new();
    let count = |id: &JourneyId| waiting.iter().filter(|w| w.journey == *id).count();
    for (id, entry) in &publication.catalog.journeys {
        let was = old.journeys.get(id);
        let change = match was {
            None => Change::Added,
            Some(was) if was.version != entry.version => Change::Changed,
            Some(_) => Change::Same,
        };
        journeys.push(JourneyChange {
            name: id.to_string(),
            change,
            before: was.map(|was| was.state),
            after: entry.state,
            waiting: count(id),
        });
        if entry.state == JourneyState::Draft && count(id) > 0 {
            refused.push(format!(
                "journey {id} would become a draft with {} waiting in it: use paused or archived",
                count(id)
            ));
        }
    }
    for (id, entry) in &old.journeys {
        if publication.catalog.journeys.contains_key(id) {
            continue;
        }
        journeys.push(JourneyChange {
            name: id.to_string(),
            change: match entry.state {
                JourneyState::Archived => Change::Same,
                _ => Change::Removed,
            },
            before: Some(entry.state),
            after: JourneyState::Archived,
            waiting: count(id),
        });
        archive(tables, publication, &old, id, entry.version).await?;
    }
    refused.extend(retire(&mut publication.catalog, &old, waited_for, more_waiting));
    let mails = mail_changes(&old, &publication.catalog, &waiting);
    for (id, topic) in removed_topics(&old, &publication.catalog, tables, &waiting).await? {
        refused.push(format!(
            "topic {topic} is gone, and journey {id} has customers waiting who would be sent under it"
        ));
    }
    let settings = settings_changes(&old, &publication.catalog);
    let new = &publication.catalog;
    let (to_fill, to_find, to_arm) = match &before {
        Some(before) => (to_fill(before, new), to_find(new), to_arm(before, new)),
        None => (Vec::new(), Vec::new(), Vec::new()),
    };
    let same = |change: Change| change == Change::Same;
    let empty = before.is_some()
        && settings.is_empty()
        && mails.iter().all(|mail| same(mail.change))
        && journeys.iter().all(|j| same(j.change) && j.before == Some(j.after));
    Ok(Plan {
        first: before.is_none(),
        over,
        empty,
        journeys,
        mails,
        settings,
        to_fill,
        to_find,
        to_arm,
        more_waiting,
        refused,
    })
}

/// A catalog like `of` in which nothing is published.
fn empty_of(of: &Catalog) -> Catalog {
    let (journeys, mails, segments) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    Catalog { journeys, mails, segments, ..of.clone() }
}

/// Keeps a journey that is no longer in the files, and what those inside it still need.
async fn archive(
    tables: &impl Tables,
    publication: &mut Publication,
    old: &Catalog,
    id: &JourneyId,
    version: ContentHash,
) -> Result<(), CatalogError> {
    let catalog = &mut publication.catalog;
    let state = JourneyState::Archived;
    let frequency_caps = old.journeys.get(id).map(|entry| entry.frequency_caps.clone());
    let frequency_caps = frequency_caps.unwrap_or_default();
    catalog.journeys.insert(id.clone(), JourneyEntry { version, state, frequency_caps });
    let Some(found) = load::<Journey>(tables, document_key(version), Consistency::Strong).await?
    else {
        return Ok(());
    };
    let journey = found.item;
    for step in journey.steps.values() {
        if let StepKind::Send { mail, .. } = &step.kind
            && let Some(hash) = old.mails.get(mail)
        {
            catalog.mails.entry(mail.clone()).or_insert(*hash);
        }
    }
    Ok(())
}

/// Goes on watching what those inside earlier versions may wait for; a refusal where that is more
/// than profiles can watch.
fn retire(
    catalog: &mut Catalog,
    old: &Catalog,
    mut waited_for: Vec<EventPredicate>,
    more_waiting: bool,
) -> Option<String> {
    if more_waiting {
        waited_for.extend(old.retired.iter().map(|retired| retired.event.clone()));
    }
    catalog.retire(old, &waited_for);
    let (all, retired) = (catalog.watched.len(), catalog.retired.len());
    (all > WATCHED_MAX).then(|| {
        format!(
            "{all} different events in exit rules, goals and conditions, {retired} of them only for customers \
             inside earlier versions; at most {WATCHED_MAX}: keep to events that are watched already, or wait \
             until those customers are through"
        )
    })
}

/// What the due index shows.
struct Waits {
    waiting: Vec<Waiting>,
    /// There are more than were looked at.
    more: bool,
    /// The event predicates of every version that somebody waits in.
    waited_for: Vec<EventPredicate>,
}

/// Enrollments with a timer in the due index. Those that wait at most 15 minutes stand in a queue
/// and are not counted.
async fn waiting(tables: &impl Tables) -> Result<Waits, CatalogError> {
    let mut journeys: BTreeMap<ContentHash, Option<Journey>> = BTreeMap::new();
    let mut found = Vec::new();
    let mut looked_at = 0;
    for shard in 0..SHARDS {
        let query = Query {
            table: Table::Due,
            pk: shard_key(shard),
            from: "0".to_owned(),
            to: "~".to_owned(),
            limit: 1_000,
            descending: false,
            consistency: Consistency::Eventual,
        };
        for row in tables.query(&query).await.map_err(StoredError::Port)? {
            let wake: Wake = decode(&row)?;
            let Owner::Enrollment(slot) = &wake.owner else { continue };
            looked_at += 1;
            if looked_at > WAITING_MAX {
                return Ok(Waits { waiting: found, more: true, waited_for: named(&journeys) });
            }
            let key = slot_key(slot);
            let Some(item) = load::<Enrollment>(tables, key, Consistency::Eventual).await? else {
                continue;
            };
            let enrollment = item.item;
            // An older arming is stale: its enrollment is counted by the newer one.
            if enrollment.arm != wake.arm || enrollment.ended.is_some() {
                continue;
            }
            let version = enrollment.version;
            if let std::collections::btree_map::Entry::Vacant(entry) = journeys.entry(version) {
                let key = document_key(version);
                let document = load::<Journey>(tables, key, Consistency::Eventual).await?;
                entry.insert(document.map(|found| found.item));
            }
            let ahead = journeys.get(&version).and_then(Option::as_ref);
            let mails = ahead.map(|j| mails_ahead(j, &enrollment.step)).unwrap_or_default();
            found.push(Waiting { journey: slot.journey.clone(), mails });
        }
    }
    Ok(Waits { waiting: found, more: false, waited_for: named(&journeys) })
}

fn named(journeys: &BTreeMap<ContentHash, Option<Journey>>) -> Vec<EventPredicate> {
    watched(journeys.values().flatten())
}

/// The mails of every step that may follow a step.
fn mails_ahead(journey: &Journey, from: &StepId) -> BTreeSet<MailId> {
    let mut mails = BTreeSet::new();
    let mut seen: BTreeSet<&StepId> = BTreeSet::new();
    let mut open: Vec<&StepId> = vec![from];
    while let Some(id) = open.pop() {
        let Some(step) = journey.steps.get(id) else { continue };
        if !seen.insert(id) {
            continue;
        }
        open.extend(&step.next);
        match &step.kind {
            StepKind::Send { mail, .. } => {
                mails.insert(mail.clone());
            }
            StepKind::WaitUntil { on_event, on_timeout, .. } => {
                open.extend(on_event.iter().chain(on_timeout));
            }
            StepKind::Branch { arms } => open.extend(arms.iter().map(|(_, to)| to)),
            StepKind::Delay { .. } | StepKind::Exit => {}
        }
    }
    mails
}

fn mail_changes(old: &Catalog, new: &Catalog, waiting: &[Waiting]) -> Vec<MailChange> {
    let names: BTreeSet<&MailId> = old.mails.keys().chain(new.mails.keys()).collect();
    names
        .into_iter()
        .map(|id| MailChange {
            name: id.to_string(),
            change: match (old.mails.get(id), new.mails.get(id)) {
                (None, _) => Change::Added,
                (_, None) => Change::Removed,
                (Some(a), Some(b)) if a == b => Change::Same,
                _ => Change::Changed,
            },
            waiting: waiting.iter().filter(|w| w.mails.contains(id)).count(),
        })
        .collect()
}

/// Topics that waiting enrollments may still be sent under and that are no longer there.
async fn removed_topics(
    old: &Catalog,
    new: &Catalog,
    tables: &impl Tables,
    waiting: &[Waiting],
) -> Result<BTreeSet<(JourneyId, String)>, CatalogError> {
    let mut gone = BTreeSet::new();
    for (id, entry) in &old.journeys {
        if !waiting.iter().any(|w| w.journey == *id) {
            continue;
        }
        let key = document_key(entry.version);
        let Some(found) = load::<Journey>(tables, key, Consistency::Eventual).await? else {
            continue;
        };
        for step in found.item.steps.values() {
            if let StepKind::Send { topic, .. } = &step.kind
                && !new.topics.contains_key(topic)
            {
                gone.insert((id.clone(), topic.to_string()));
            }
        }
    }
    Ok(gone)
}

/// Computed traits whose rules were not published before. Where nothing was, there are no profiles.
fn to_fill(old: &Catalog, new: &Catalog) -> Vec<String> {
    let known = old.computed_traits.by_key();
    let all = new.computed_traits.iter();
    all.filter(|(_, key, _)| !known.contains_key(key)).map(|(name, ..)| name.to_owned()).collect()
}

/// Segments that begin with this publication.
fn to_find(new: &Catalog) -> Vec<String> {
    let begun = new.segments.iter().filter(|(_, segment)| segment.since == new.published);
    begun.map(|(name, _)| name.to_string()).collect()
}

/// Signals that a timer decides on, whose rules were not published so before.
fn to_arm(old: &Catalog, new: &Catalog) -> Vec<String> {
    let timed = new.signals.iter().filter(|rule| rule.kind.is_timed());
    let anew = timed.filter(|rule| !old.signals.contains(rule));
    anew.map(|rule| rule.name.clone()).collect()
}

fn settings_changes(old: &Catalog, new: &Catalog) -> Vec<String> {
    let mut changes = Vec::new();
    let mut note = |differs: bool, name: &str| {
        if differs {
            changes.push(name.to_owned());
        }
    };
    note(old.brand != new.brand, "brand");
    note(old.sources != new.sources, "sources");
    note(old.topics != new.topics, "topics");
    note(old.signals != new.signals, "signals");
    note(old.computed_traits != new.computed_traits, "computed_traits");
    note(old.confirmation_mail != new.confirmation_mail, "confirmation_mail");
    note(old.pacing != new.pacing, "frequency caps, quiet hours and deferral");
    let names: BTreeSet<_> = old.segments.keys().chain(new.segments.keys()).collect();
    for name in names {
        let of = |catalog: &Catalog| {
            catalog.segments.get(name).map(|segment| (segment.title.clone(), segment.when.clone()))
        };
        note(of(old) != of(new), &format!("segment {name}"));
    }
    changes
}
