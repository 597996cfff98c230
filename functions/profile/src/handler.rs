//! One invocation: a batch of the profile queue.

use odyssey_domain::keyring::Keyring;
use odyssey_domain::profile::RefusedLink;
use odyssey_domain::time::Stamp;
use odyssey_flows::catalog::CatalogCache;
use odyssey_flows::fold_profile::{Counts, run_counted};
use odyssey_flows::observe_plan::{Noted, PlanWatch};
use odyssey_flows::ports::{Bus, Queues, Tables};
use odyssey_flows::queue::{Disposition, QueueRecord};
use odyssey_telemetry::count;

/// What this process keeps from batch to batch.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) catalog: CatalogCache,
    pub(crate) plan: PlanWatch,
}

/// Folds the batch, counts what came of it, and notes what it saw for the tracking plan.
pub(crate) async fn handle(
    tables: &impl Tables,
    bus: &impl Bus,
    queues: &impl Queues,
    keyring: &Keyring,
    kept: &Kept,
    records: Vec<QueueRecord>,
    now: Stamp,
) -> Vec<Disposition> {
    let (dispositions, counts) =
        run_counted(tables, bus, queues, keyring, &kept.catalog, records, now).await;
    report(&counts);
    match kept.plan.note(tables, &counts.seen, now).await {
        Noted::Kept => {}
        Noted::Written => count("PlanWrites", 1),
        Noted::Failed(_) => count("PlanWritesFailed", 1),
    }
    dispositions
}

/// A count that is zero is not reported, so a healthy system pays for the first three alone.
fn report(counts: &Counts) {
    let whole = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    count("EventsFolded", whole(counts.folded));
    count("EventsDuplicate", whole(counts.duplicates));
    count("SignalsRaised", whole(counts.raised));
    count("EventsErased", whole(counts.erased));
    count("ProfilesHot", whole(counts.hot));
    count("PlanViolations", whole(counts.violations));
    for (reason, times) in &counts.refused_links {
        let name = match reason {
            RefusedLink::Full => "LinksRefusedFull",
            RefusedLink::Split => "LinksRefusedSplit",
            RefusedLink::TwoUsersFromBrowser => "LinksRefusedBrowser",
            RefusedLink::TwoUsersFromServer => "LinksRefusedServer",
        };
        count(name, whole(*times));
    }
}
