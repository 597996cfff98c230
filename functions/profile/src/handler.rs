//! One invocation: a batch of the profile queue.

use odyssey_domain::keyring::Keyring;
use odyssey_domain::profile::RefusedLink;
use odyssey_domain::time::Stamp;
use odyssey_flows::catalog::CatalogCache;
use odyssey_flows::fold_profile::{Counts, run_counted};
use odyssey_flows::ports::{Bus, Queues, Tables};
use odyssey_flows::queue::{Disposition, QueueRecord};
use odyssey_telemetry::count;

/// Folds the batch and counts what came of it.
pub(crate) async fn handle(
    tables: &impl Tables,
    bus: &impl Bus,
    queues: &impl Queues,
    keyring: &Keyring,
    catalog: &CatalogCache,
    records: Vec<QueueRecord>,
    now: Stamp,
) -> Vec<Disposition> {
    let (dispositions, counts) =
        run_counted(tables, bus, queues, keyring, catalog, records, now).await;
    report(&counts);
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
