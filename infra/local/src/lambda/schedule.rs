//! EventBridge Scheduler: starts at a rate of customer time.

use super::{Ask, invoke};
use crate::identifiers::uuid;
use crate::state::Shared;
use crate::template::{Function, Schedule};
use bytes::Bytes;
use serde_json::json;
use std::sync::Arc;

/// Starts a function at its rate until the stack closes. A start that falls into the one before is
/// left out: the next comes as soon.
pub(crate) async fn run(shared: Arc<Shared>, function: Function, schedule: Schedule) {
    let mut next = shared.clock.now();
    loop {
        tokio::select! {
            () = shared.clock.until(next) => {}
            () = shared.closing.wait() => return,
        }
        next = shared.clock.now().plus(schedule.every);
        let Some(slot) = shared.lambda.slot(&function.id).await else {
            return;
        };
        shared.book.scheduled();
        let payload = schedule.input.clone().unwrap_or_else(|| payload(&shared, &schedule));
        let ask = Ask { function: function.id.clone(), payload: Bytes::from(payload), records: 0 };
        // A failure is told in the feed; nothing is retried, the next start is a minute away.
        let _ = invoke(&shared, slot, ask, |_| 0).await;
    }
}

fn payload(shared: &Shared, schedule: &Schedule) -> String {
    let time = shared.clock.now().to_string();
    let seconds = time.split('.').next().unwrap_or_default();
    json!({
        "version": "0",
        "id": uuid(),
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler",
        "account": shared.place.account,
        "time": format!("{seconds}Z"),
        "region": shared.place.region,
        "resources": [schedule.arn],
        "detail": "{}",
    })
    .to_string()
}
