//! The storm: faults drawn from a seed, one after the other, while customers keep coming.

use super::field::{FUNCTIONS, Field};
use super::people::People;
use crate::Failure;
use crate::screen::{Screen, Style};
use odyssey_local::{Fault, Injection, LocalStack, Service};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use std::time::Duration;

/// Customers that come between two faults.
const MORE: usize = 3;
/// The longest that a service is away.
const AWAY_MS: u64 = 4_000;
/// Whole-stack restarts, evenly over the storm.
const RESTARTS: u32 = 3;

/// What was done to the stack.
#[derive(Debug, Default, Serialize)]
pub(super) struct Counts {
    /// Processes killed right after a mail was accepted, in the set plan.
    pub(super) sender_kills: usize,
    /// Processes killed at random.
    pub(super) kills: usize,
    /// Services cut off for up to four seconds.
    pub(super) cuts: usize,
    /// Services that throttled for up to four seconds.
    pub(super) throttles: usize,
    /// Calls that were carried out and whose answer was lost, or that killed their caller.
    pub(super) answers_lost: usize,
    /// Calls that reused a connection and were reset.
    pub(super) resets: usize,
    /// Batches whose events were delivered twice, or could not be delivered.
    pub(super) deliveries: usize,
    /// Restarts of the whole stack on its database file.
    pub(super) restarts: usize,
    /// Dead letters put back.
    pub(super) redriven: usize,
}

impl Counts {
    pub(super) fn tell(&self, screen: &Screen) {
        screen.line(&screen.paint(Style::Strong, "What was done to it"));
        for (count, what) in [
            (self.sender_kills, "kills right after a mail was accepted"),
            (self.kills, "processes killed at random"),
            (self.cuts, "services cut off"),
            (self.throttles, "services throttling"),
            (self.answers_lost, "answers lost after the deed, or callers killed after it"),
            (self.resets, "reused connections reset"),
            (self.deliveries, "batches of events delivered twice, or not"),
            (self.restarts, "restarts of the whole stack on its database file"),
            (self.redriven, "dead letters put back"),
        ] {
            screen.line(&format!("{count:>8}  {what}"));
        }
    }
}

/// Faults and customers until the time is up.
pub(super) async fn rage(
    screen: &Screen,
    field: &mut Field,
    people: &mut People,
    counts: &mut Counts,
    lasts: Duration,
    seed: u64,
) -> Result<(), Failure> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let began = super::now();
    let mut told = Duration::ZERO;
    while began.elapsed() < lasts {
        let away = Duration::from_millis(random.random_range(500..AWAY_MS));
        strike(field.stack()?, &mut random, counts);
        // One fault at a time, so that the stack gets on; customers wait until it is over.
        let over = async {
            tokio::time::sleep(away).await;
            field.mend();
        };
        let ((), came) = tokio::join!(over, people.come(field, MORE));
        came?;
        let restarts = u32::try_from(counts.restarts).unwrap_or(u32::MAX);
        if began.elapsed() > lasts * (restarts + 1) / (RESTARTS + 1) {
            field.restart().await?;
            counts.restarts += 1;
            counts.redriven += field.redrive().await?;
            super::tell(screen, began, "restarted the whole stack on its database file");
        }
        if began.elapsed() > told + Duration::from_secs(30) {
            told = began.elapsed();
            counts.redriven += field.redrive().await?;
            super::tell(screen, began, &format!("{} customers; {}", people.count, field.depths()));
        }
    }
    Ok(())
}

fn strike(stack: &LocalStack, random: &mut ChaCha8Rng, counts: &mut Counts) {
    let services = [Service::DynamoDb, Service::EventBridge, Service::Sqs, Service::Ses];
    let service = services[random.random_range(0..services.len())];
    let inject = |fault: Fault, every: usize| {
        stack.faults().inject(Injection {
            service,
            operation: None,
            caller: None,
            fault,
            times: None,
            every,
        });
    };
    match random.random_range(0..10) {
        0..=2 => {
            let function = FUNCTIONS[random.random_range(0..FUNCTIONS.len())];
            counts.kills += stack.kill(function);
        }
        3 => {
            inject(Fault::Reset, 1);
            counts.cuts += 1;
        }
        4 => {
            inject(Fault::Throttle, 1);
            counts.throttles += 1;
        }
        5 => {
            inject(Fault::DoneThenReset, random.random_range(2..20));
            counts.answers_lost += 1;
        }
        6 => {
            inject(Fault::DoneThenKill, random.random_range(5..50));
            counts.answers_lost += 1;
        }
        7 => {
            inject(Fault::ResetReused, random.random_range(1..5));
            counts.resets += 1;
        }
        8 => {
            inject(Fault::Entries(vec![0]), random.random_range(1..4));
            counts.answers_lost += 1;
        }
        _ => {
            let fault = if random.random_bool(0.5) { Fault::Twice } else { Fault::Undeliverable };
            stack.faults().inject(Injection {
                service: Service::EventBridge,
                operation: None,
                caller: None,
                fault,
                times: None,
                every: 2,
            });
            counts.deliveries += 1;
        }
    }
}
