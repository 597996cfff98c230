//! A profile's enrollments, with the sends of each.

use super::EnrollmentPart;
use super::sends::load_send;
use odyssey_domain::catalog::{Catalog, JourneyState};
use odyssey_domain::ids::{IdentityKey, ProfileId, SendId};
use odyssey_domain::journey::{Ending, Enrollment, Journey, StepKind};
use odyssey_flows::catalog::document_key;
use odyssey_flows::ports::{Consistency, Query, Table, Tables};
use odyssey_flows::stored::{StoredError, decode, load};

/// Enrollments of one identity that are looked at.
const ENROLLMENTS_MAX: usize = 200;

/// The enrollments under these identities, the first entered first.
pub(crate) async fn enrollments(
    tables: &impl Tables,
    catalog: Option<&Catalog>,
    owners: &[IdentityKey],
) -> Result<Vec<EnrollmentPart>, StoredError> {
    let mut enrollments = Vec::new();
    for owner in owners {
        let query = Query {
            table: Table::Enrollments,
            pk: ProfileId::from(*owner).to_string(),
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
    Ok(enrollments)
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
