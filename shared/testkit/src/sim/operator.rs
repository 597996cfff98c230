//! What the operator's commands do.

use super::core::lock;
use super::people::Told;
use super::ports::Ports;
use super::workspace::{Version, keyring, publication};
use odyssey_domain::catalog::{Catalog, JourneyState};
use odyssey_domain::ids::IdentityKey;
use odyssey_domain::message::{SendState, Verdict};
use odyssey_domain::predicate::EventPredicate;
use odyssey_domain::time::{Span, Stamp};
use odyssey_flows::catalog::{self, Publication, current_key};
use odyssey_flows::links::{self, SplitError};
use odyssey_flows::ports::Consistency;
use odyssey_flows::settle_unconfirmed::{self, SettleError};
use odyssey_flows::{backfill, ledger, segments, stored};

/// The tables of a seed are small.
const BACKFILL_PARTS: u32 = 2;
/// Unconfirmed sends that the list shows.
const LISTED_MAX: usize = 25;

/// `odyssey profile split ID`; an operator who is told that it cannot be done leaves it.
pub(super) async fn split(ports: &Ports, identity: IdentityKey, now: Stamp) -> Told {
    match links::split(ports, identity, now).await {
        Ok(_) => Told::Done,
        Err(SplitError::Contended) => Told::Later,
        Err(error) if error.is_answer() => Told::Done,
        Err(_) => Told::Later,
    }
}

/// `odyssey unconfirmed settle`, for each that the list says to look up. Who does not find what SES
/// accepted says that it was not sent.
pub(super) async fn settle(ports: &Ports, finds: bool, now: Stamp) -> Told {
    let Ok(listed) = ledger::unconfirmed(ports, LISTED_MAX).await else { return Told::Later };
    let old = |state: &SendState| matches!(state, SendState::Unconfirmed { since } if now.since(*since) > Span::HOUR);
    for item in listed.iter().filter(|item| old(&item.state)) {
        let accepted = lock(&ports.shared).ses.accepted.contains_key(&item.send);
        let found = (finds && accepted).then(|| format!("ses-of-{}", item.send));
        let verdict = found.map_or(Verdict::NotSent, Verdict::Sent);
        match settle_unconfirmed::settle(ports, item.send, &verdict, now).await {
            Ok(_) | Err(SettleError::Unknown(_) | SettleError::Known { .. }) => {}
            Err(SettleError::Contended | SettleError::Stored(_)) => return Told::Later,
        }
    }
    Told::Done
}

/// `odyssey publish --yes`.
pub(super) async fn publish(ports: &Ports, version: Version, now: Stamp) -> Told {
    let mut publication = publication(version).clone();
    publication.catalog.published = now;
    let found = stored::load::<Catalog>(ports, current_key(), Consistency::Strong).await;
    let Ok(found) = found else { return Told::Later };
    lock(&ports.shared).check.publishing(version);
    if let Some(before) = &found {
        follow(&mut publication, &before.item);
    }
    match catalog::publish(ports, &publication).await {
        Ok(()) => Told::Done,
        Err(_) => Told::Later,
    }
}

/// What the command's plan completes a publication by: it is dated later than the one before; a
/// journey that is gone stays, archived; segments keep since when they are known; and whatever was
/// watched is watched on, as where more customers wait than the plan looks at.
fn follow(publication: &mut Publication, before: &Catalog) {
    let catalog = &mut publication.catalog;
    catalog.date_after(before);
    for (id, entry) in &before.journeys {
        let gone = || {
            let mut entry = entry.clone();
            entry.state = JourneyState::Archived;
            entry
        };
        catalog.journeys.entry(id.clone()).or_insert_with(gone);
    }
    let retired = before.retired.iter().map(|retired| retired.event.clone());
    let waited_for: Vec<EventPredicate> = retired.collect();
    catalog.retire(before, &waited_for);
}

/// `odyssey backfill`. Whoever is told that profiles were left as they were runs it again, a few
/// times.
pub(super) async fn fill(ports: &Ports, now: Stamp) -> Told {
    let invocation = ports.actor.invocation;
    lock(&ports.shared).check.filling(invocation);
    let filled = backfill::run_in(ports, keyring(), BACKFILL_PARTS, &|| now, |_| {}).await;
    let Ok(filled) = filled else { return Told::Later };
    let Ok(looked) = segments::look_at_all(ports, ports, now, |_| {}).await else {
        return Told::Later;
    };
    let left = filled.left_in_all() + looked.passed_over.profiles;
    lock(&ports.shared).check.filled(invocation, left);
    if left == 0 { Told::Done } else { Told::Later }
}
