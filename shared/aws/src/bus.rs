//! `Bus` on EventBridge.

use crate::failure::{describe, is_transient, port_error};
use crate::lazy::Lazy;
use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_types::SdkConfig;
use futures_util::stream::{self, StreamExt as _};
use odyssey_flows::ports::{Bus, BusEntry, PortError};
use std::time::Duration;

/// The most entries of one `PutEvents`.
const ENTRIES_MAX: usize = 10;
/// One `PutEvents` is smaller than 256 KB, counted as [`entry_bytes`] does (API reference,
/// `PutEvents`, read 2026-11).
const CALL_BYTES_MAX: usize = 256 * 1024 - 1;
/// How many calls are under way at once: a request of 500 customers is 50 calls.
const CALLS_AT_ONCE: usize = 8;
/// How often the failed entries of a call are sent again, after 50, 100 and 200 ms.
const ROUNDS: u32 = 4;

/// The bus on EventBridge. A handle: clones share one client.
#[derive(Debug, Clone)]
pub struct EventBridgeBus {
    client: Lazy<Client>,
    name: String,
}

/// An entry's size by EventBridge's formula ("Calculating `PutEvents` event entry size"): the UTF-8
/// bytes of source, detail-type and detail; a time would add 14, and no entry here has one.
const fn entry_bytes(entry: &BusEntry) -> usize {
    entry.source.len() + entry.detail_type.len() + entry.detail.len()
}

/// Indices in calls that EventBridge takes; and those of entries too large for any call.
fn calls(entries: &[BusEntry], wanted: &[usize]) -> (Vec<Vec<usize>>, Vec<usize>) {
    let (mut calls, mut too_large) = (Vec::new(), Vec::new());
    let (mut call, mut bytes) = (Vec::new(), 0);
    for index in wanted.iter().copied() {
        let Some(entry) = entries.get(index) else { continue };
        let size = entry_bytes(entry);
        if size > CALL_BYTES_MAX {
            too_large.push(index);
            continue;
        }
        if call.len() == ENTRIES_MAX || bytes + size > CALL_BYTES_MAX {
            calls.push(std::mem::take(&mut call));
            bytes = 0;
        }
        call.push(index);
        bytes += size;
    }
    if !call.is_empty() {
        calls.push(call);
    }
    (calls, too_large)
}

/// What became of one call.
struct Outcome {
    /// Worth another try.
    again: Vec<usize>,
    /// Refused for good.
    refused: Vec<usize>,
}

impl EventBridgeBus {
    pub(crate) fn new(config: &SdkConfig, name: String) -> EventBridgeBus {
        EventBridgeBus { client: Lazy::new(config, Client::new), name }
    }

    /// Makes all calls, a few at a time; results in the order of the calls.
    async fn put_all(
        &self,
        entries: &[BusEntry],
        calls: &[Vec<usize>],
    ) -> Vec<Result<Outcome, PortError>> {
        let puts: Vec<_> = calls.iter().map(|call| self.put(entries, call)).collect();
        stream::iter(puts).buffered(CALLS_AT_ONCE).collect().await
    }

    async fn put(&self, entries: &[BusEntry], call: &[usize]) -> Result<Outcome, PortError> {
        const AT: &str = "PutEvents";
        let request = call.iter().filter_map(|index| entries.get(*index)).map(|entry| {
            PutEventsRequestEntry::builder()
                .event_bus_name(&self.name)
                .source(entry.source)
                .detail_type(entry.detail_type)
                .detail(&entry.detail)
                .build()
        });
        let answer = self
            .client
            .get()
            .put_events()
            .set_entries(Some(request.collect()))
            .send()
            .await
            .map_err(|error| port_error(AT, &error))?;
        let mut outcome = Outcome { again: Vec::new(), refused: Vec::new() };
        if answer.failed_entry_count() == 0 {
            return Ok(outcome);
        }
        for (index, result) in call.iter().zip(answer.entries()) {
            // A per-entry failure has no HTTP status of its own.
            match result.error_code() {
                None => {}
                Some(code) if is_transient(code, 0) => outcome.again.push(*index),
                Some(code) => {
                    tracing::error!(cause = describe(code, 200, None), "an entry was refused");
                    outcome.refused.push(*index);
                }
            }
        }
        Ok(outcome)
    }
}

impl Bus for EventBridgeBus {
    async fn publish(&self, entries: &[BusEntry]) -> Result<Vec<usize>, PortError> {
        let mut wanted: Vec<usize> = (0..entries.len()).collect();
        let mut failed = Vec::new();
        let mut any_stored = false;
        for round in 0..ROUNDS {
            if wanted.is_empty() {
                break;
            }
            if round > 0 {
                tokio::time::sleep(Duration::from_millis(50) * 2_u32.pow(round - 1)).await;
            }
            let (calls, too_large) = calls(entries, &wanted);
            failed.extend(too_large);
            wanted.clear();
            let mut lost = None;
            for (call, result) in calls.iter().zip(self.put_all(entries, &calls).await) {
                match result {
                    Ok(outcome) => {
                        any_stored |= outcome.again.len() + outcome.refused.len() < call.len();
                        wanted.extend(outcome.again);
                        failed.extend(outcome.refused);
                    }
                    // The SDK has tried this call several times already.
                    Err(error) if error.is_transient() => {
                        failed.extend(call);
                        lost = Some(error);
                    }
                    Err(error) => return Err(error),
                }
            }
            if let Some(error) = lost
                && !any_stored
            {
                return Err(error);
            }
        }
        failed.extend(wanted);
        failed.sort_unstable();
        Ok(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(bytes: usize) -> BusEntry {
        BusEntry { source: "s", detail_type: "d", detail: "x".repeat(bytes.saturating_sub(2)) }
    }

    #[test]
    fn calls_keep_both_limits() {
        let entries: Vec<BusEntry> = (0..25).map(|_| entry(1_000)).collect();
        let all: Vec<usize> = (0..25).collect();
        let (split, too_large) = calls(&entries, &all);
        assert_eq!(split.iter().map(Vec::len).collect::<Vec<_>>(), [10, 10, 5]);
        assert!(too_large.is_empty());

        let entries = [entry(200_000), entry(62_143), entry(1), entry(300_000), entry(262_143)];
        let (split, too_large) = calls(&entries, &[0, 1, 2, 3, 4]);
        assert_eq!(split, [vec![0, 1], vec![2], vec![4]]);
        assert_eq!(too_large, [3]);
    }
}
