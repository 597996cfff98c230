//! What a seed is like: which faults, how often, how many customers, how long.
//!
//! Swarm testing: each seed enables a random part of the faults and features at random rates, which
//! finds more than all of them at one middling rate.

use super::faults::{CallFault, Rates, WireFault};
use super::rng::{Rng, Stream};
use crate::fault::Operation;
use odyssey_domain::time::{Span, Stamp};
use odyssey_flows::ports::Table;
use std::collections::{BTreeMap, BTreeSet};

/// A dependency that is down for a while.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outage {
    pub(crate) what: Dependency,
    pub(crate) from: Stamp,
    pub(crate) until: Stamp,
}

/// What can be down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dependency {
    Table(Table),
    AllTables,
    Bus,
    Queues,
    Mailer,
}

impl Dependency {
    const ALL: [Dependency; 10] = [
        Dependency::Table(Table::Profiles),
        Dependency::Table(Table::Timeline),
        Dependency::Table(Table::Enrollments),
        Dependency::Table(Table::Due),
        Dependency::Table(Table::Contacts),
        Dependency::Table(Table::Ledger),
        Dependency::AllTables,
        Dependency::Bus,
        Dependency::Queues,
        Dependency::Mailer,
    ];

    /// Whether a call goes to it.
    pub(crate) fn hits(self, operation: Operation) -> bool {
        match (self, operation) {
            (
                Dependency::Table(table),
                Operation::Get(of)
                | Operation::Write(of)
                | Operation::Query(of)
                | Operation::QueryIndex(of)
                | Operation::Scan(of),
            ) => table == of,
            (
                Dependency::Table(table),
                Operation::GetMany | Operation::AddIds | Operation::HaveIds,
            ) => table == Table::Profiles,
            (Dependency::Table(table), Operation::Transact) => {
                matches!(table, Table::Ledger | Table::Contacts | Table::Profiles)
            }
            (
                Dependency::AllTables,
                Operation::Get(_)
                | Operation::GetMany
                | Operation::Write(_)
                | Operation::Transact
                | Operation::Query(_)
                | Operation::QueryIndex(_)
                | Operation::Scan(_)
                | Operation::AddIds
                | Operation::HaveIds,
            )
            | (Dependency::Bus, Operation::Publish)
            | (Dependency::Queues, Operation::Enqueue(_) | Operation::Park | Operation::Hide)
            | (Dependency::Mailer, Operation::SendMail) => true,
            _ => false,
        }
    }
}

/// What a seed is like.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) start: Stamp,
    /// How long the workload lasts.
    pub(crate) lasts: Span,
    pub(crate) customers: u64,
    pub(crate) actions: u64,
    pub(crate) calls: BTreeMap<CallFault, u64>,
    pub(crate) wires: BTreeMap<WireFault, u64>,
    pub(crate) outages: Vec<Outage>,
    /// A newer release is deployed: from when, until when both run.
    pub(crate) deploy: Option<(Stamp, Stamp)>,
    /// Instances' clocks are off by at most this.
    pub(crate) skew_ms: u64,
    /// At most so many instances of a function.
    pub(crate) instances: usize,
    /// What else it has.
    features: BTreeSet<Feature>,
}

/// What not every seed has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Feature {
    /// The workspace is published anew midway, journeys paused and resumed.
    Publishes,
    /// The operator splits ids off profiles.
    Splits,
    /// One customer comes with a history that spills.
    Heavy,
    /// Rows expire at the end.
    Expires,
    /// Messages that are none come onto the queues.
    Poisons,
    /// Many deliveries of one id come at once.
    Hot,
    /// SES's answers are lost and its reports late, and the operator is asked what became of mails.
    Settles,
}

/// The stated rates of calls, in a million of each: assumed, not measured anywhere.
const STATED_CALLS: [(CallFault, u64); 9] = [
    (CallFault::CrashBefore, 1),
    (CallFault::CrashAfter, 1),
    (CallFault::CrashInFlight, 1),
    (CallFault::TimeOut, 1),
    (CallFault::AnswerLost, 1),
    (CallFault::Late, 1),
    (CallFault::Unavailable, 10),
    (CallFault::Throttled, 10),
    (CallFault::Echoed, 10),
];
/// Those of wires, in 100,000 occasions of each.
const STATED_WIRES: [(WireFault, u64); 5] = [
    (WireFault::MessageDoubled, 10),
    (WireFault::EntryDoubled, 10),
    (WireFault::ReportMissing, 100),
    (WireFault::ReportLate, 100),
    (WireFault::ReportDoubled, 100),
];

/// The longest that two releases run beside each other: a client tries again for no more than a day.
const DEPLOY_MS_MAX: u64 = 12 * 3_600_000;
/// Where SES's answers are lost: so many of 100,000 of any call's, times [`SILENT_MAILS`] of those that
/// send; and so many of 100,000 of its reports are late.
const SILENT_CALLS: u64 = 900;
const SILENT_MAILS: u64 = 40;
const LATE_REPORTS: u64 = 70_000;

/// Instances of a function where many deliveries of one id come at once.
const HOT_INSTANCES: usize = 6;

/// 2026-11-21T00:00:00Z.
const EPOCH: Stamp = Stamp::from_ms(1_795_219_200_000);

impl Setup {
    /// Whether it has this.
    pub(crate) fn has(&self, feature: Feature) -> bool {
        self.features.contains(&feature)
    }

    /// How much more often calls go wrong that send a mail.
    pub(crate) fn mail_times(&self) -> u64 {
        if self.has(Feature::Settles) { SILENT_MAILS } else { 1 }
    }

    /// Nothing goes wrong.
    pub(crate) fn calm(instances: usize) -> Setup {
        // The day is quiet before five and after eleven.
        let start = EPOCH.plus(Span::HOUR.times(6));
        Setup { start, skew_ms: 0, instances, ..Setup::of(0).at(Rates::Stated { times: 0 }) }
    }

    /// The same at other rates: nothing is down, deployed, published, doubled or late but what the
    /// rates say.
    pub(crate) fn at(self, rates: Rates) -> Setup {
        let Rates::Stated { times } = rates else { return self };
        let calls = STATED_CALLS.map(|(fault, per_million)| (fault, per_million * times / 10));
        Setup {
            calls: calls.into_iter().collect(),
            wires: STATED_WIRES.into_iter().collect(),
            outages: Vec::new(),
            deploy: None,
            skew_ms: self.skew_ms.min(50),
            features: BTreeSet::new(),
            ..self
        }
    }

    /// What this seed is like.
    pub(crate) fn of(seed: u64) -> Setup {
        let mut rng = Rng::new(seed, Stream::Setup);
        let start = EPOCH.plus(Span::from_ms(rng.below(40 * 86_400_000)));
        let hours = rng.pick(&[1, 6, 12, 30, 72, 120, 1_200]).unwrap_or(6);
        let lasts = Span::HOUR.times(hours);
        let calm = rng.chance(40);
        let deploys = !calm && rng.chance(150);
        let deploy_at = start.plus(Span::from_ms(rng.below(lasts.ms())));
        // All at once, or so slowly that both releases see what the other wrote.
        let deploy_ms = rng.between(5_000, lasts.ms().min(DEPLOY_MS_MAX));
        let deploy_over = deploy_at.plus(Span::from_ms(deploy_ms)).min(start.plus(lasts));
        let mut setup = Setup {
            start,
            lasts,
            customers: rng.pick(&[1, 1, 2, 2, 3]).unwrap_or(1),
            actions: rng.between(2, 10),
            calls: if calm { BTreeMap::new() } else { calls(&mut rng) },
            wires: if calm { BTreeMap::new() } else { wires(&mut rng) },
            outages: if calm { Vec::new() } else { outages(&mut rng, start, lasts) },
            deploy: deploys.then_some((deploy_at, deploy_over)),
            skew_ms: rng.pick(&[0, 50, 800, 5_000, 30_000]).unwrap_or(0),
            instances: rng.pick(&[1, 2, 3, 5]).unwrap_or(2),
            features: features(&mut rng, calm),
        };
        if setup.has(Feature::Hot) {
            // One at a time would get in nobody's way.
            setup.instances = HOT_INSTANCES;
        }
        if setup.has(Feature::Settles) {
            setup.calls.insert(CallFault::AnswerLost, SILENT_CALLS);
            setup.wires.insert(WireFault::ReportLate, LATE_REPORTS);
        }
        setup
    }
}

fn features(rng: &mut Rng, calm: bool) -> BTreeSet<Feature> {
    let chances = [
        (Feature::Publishes, 300),
        (Feature::Heavy, 8),
        (Feature::Splits, 300),
        (Feature::Expires, 300),
        (Feature::Poisons, if calm { 0 } else { 250 }),
        (Feature::Hot, 10),
        (Feature::Settles, if calm { 0 } else { 120 }),
    ];
    chances
        .into_iter()
        .filter(|(_, often)| rng.chance(*often))
        .map(|(feature, _)| feature)
        .collect()
}

/// Faults of calls, in 100,000.
fn calls(rng: &mut Rng) -> BTreeMap<CallFault, u64> {
    let mut rates = BTreeMap::new();
    for fault in CallFault::ALL {
        if !rng.chance(550) {
            continue;
        }
        let base = rng.pick(&[60, 250, 900, 2_500]).unwrap_or(250);
        let rate = match fault {
            // These fit few calls, and are spread over all.
            CallFault::Stale | CallFault::Partial => base * 6,
            CallFault::Refused => base / 6,
            CallFault::Slow => base / 2,
            _ => base,
        };
        rates.insert(fault, rate);
    }
    rates
}

/// Faults of wires, in 100,000 occasions of each.
fn wires(rng: &mut Rng) -> BTreeMap<WireFault, u64> {
    let mut rates = BTreeMap::new();
    for fault in WireFault::ALL {
        if !rng.chance(550) {
            continue;
        }
        let often = rng.pick(&[600, 2_500, 8_000, 20_000]).unwrap_or(2_500);
        let rate = match fault {
            WireFault::MessageHours
            | WireFault::MessageDeadLettered
            | WireFault::MessageRedriven
            | WireFault::EntryDeadLettered
            | WireFault::GaveUp => often / 10,
            WireFault::BatchFailed => often / 4,
            _ => often,
        };
        rates.insert(fault, rate);
    }
    rates
}

fn outages(rng: &mut Rng, start: Stamp, lasts: Span) -> Vec<Outage> {
    let many = if rng.chance(250) { rng.between(1, 2) } else { 0 };
    let mut outages = Vec::new();
    for _ in 0..many {
        let Some(what) = rng.pick(&Dependency::ALL) else { continue };
        let from = start.plus(Span::from_ms(rng.below(lasts.ms())));
        let ms = rng.between(30_000, 6 * 3_600_000);
        outages.push(Outage { what, from, until: from.plus(Span::from_ms(ms)) });
    }
    outages
}
