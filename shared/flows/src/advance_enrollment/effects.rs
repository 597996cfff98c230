//! Carrying out what was decided: first every send, then the wakes.
//!
//! All effects have deterministic ids and receivers that know them, so carrying one out again
//! changes nothing. A wake follows the sends of its own write: a wake that comes back is proof
//! that they went out.

use crate::due;
use crate::ports::{QUEUE_DELAY_MAX, Queue, QueueMessage, Queues, Tables};
use crate::stored::StoredError;
use futures_util::future::join_all;
use odyssey_domain::ids::SendId;
use odyssey_domain::journey::{Enrollment, JourneyEffect};
use odyssey_domain::time::{Span, Stamp};
use odyssey_domain::wire::{Command, Enrolled, Owner, SendRequested, Wake};

/// What one record wants carried out.
#[derive(Debug, Default)]
pub(super) struct Effects {
    sends: Vec<QueueMessage>,
    wakes: Vec<Wake>,
}

impl Effects {
    /// Adds effects of an enrollment.
    pub(super) fn add(
        &mut self,
        enrollment: &Enrollment,
        effects: &[JourneyEffect],
    ) -> Result<(), StoredError> {
        for effect in effects {
            match effect {
                JourneyEffect::Send { .. } => self.sends.extend(send(enrollment, effect)?),
                JourneyEffect::Wake { arm, due } => self.wakes.push(Wake {
                    owner: Owner::Enrollment(enrollment.slot.clone()),
                    arm: *arm,
                    due: *due,
                }),
            }
        }
        Ok(())
    }
}

fn send(
    enrollment: &Enrollment,
    effect: &JourneyEffect,
) -> Result<Option<QueueMessage>, StoredError> {
    let JourneyEffect::Send { step, iteration, mail, topic, due } = effect else {
        return Ok(None);
    };
    let command = Command::Send(Box::new(SendRequested {
        send: SendId::derive(enrollment.id, step.as_str(), *iteration),
        profile: enrollment.slot.profile,
        slot: enrollment.slot.clone(),
        journey: enrollment.slot.journey.clone(),
        step: step.clone(),
        mail: mail.clone(),
        topic: topic.clone(),
        due: *due,
        enrolled: Some(Enrolled {
            version: enrollment.version,
            started: enrollment.started,
            entered: enrollment.entered,
        }),
        why: enrollment.why.as_ref().clone(),
    }));
    let body = serde_json::to_string(&command)
        .map_err(|e| StoredError::Corrupt { name: "send request", cause: e.to_string() })?;
    Ok(Some(QueueMessage { body, delay: Span::ZERO }))
}

/// Carries out one enrollment's effects, now.
pub(super) async fn carry_out(
    tables: &impl Tables,
    queues: &impl Queues,
    effects: Effects,
    now: Stamp,
) -> Result<(), StoredError> {
    carry_out_all(tables, queues, vec![effects], now).await.pop().unwrap_or(Ok(()))
}

/// Carries out the effects of many records with as few calls as may be; a result for each.
pub(super) async fn carry_out_all(
    tables: &impl Tables,
    queues: &impl Queues,
    records: Vec<Effects>,
    now: Stamp,
) -> Vec<Result<(), StoredError>> {
    let mut results: Vec<Result<(), StoredError>> = records.iter().map(|_| Ok(())).collect();
    let mut sends = Vec::new();
    let mut wakes = Vec::new();
    for (record, effects) in records.into_iter().enumerate() {
        sends.extend(effects.sends.into_iter().map(|message| (record, message)));
        wakes.extend(effects.wakes.into_iter().map(|wake| (record, wake)));
    }
    put_on(queues, Queue::Sender, sends, &mut results).await;

    let mut soon = Vec::new();
    let mut later = Vec::new();
    for (record, wake) in wakes {
        if results.get(record).is_none_or(Result::is_err) {
            continue;
        }
        if wake.due.since(now) > QUEUE_DELAY_MAX {
            later.push((record, wake));
        } else {
            match due::message(&wake, now) {
                Ok(message) => soon.push((record, message)),
                Err(error) => fail(&mut results, record, error),
            }
        }
    }
    put_on(queues, Queue::Journey, soon, &mut results).await;
    let puts = later.iter().map(|(_, wake)| due::put(tables, wake));
    let put = join_all(puts).await;
    for ((record, _), result) in later.iter().zip(put) {
        if let Err(error) = result {
            fail(&mut results, *record, error);
        }
    }
    results
}

async fn put_on(
    queues: &impl Queues,
    queue: Queue,
    messages: Vec<(usize, QueueMessage)>,
    results: &mut [Result<(), StoredError>],
) {
    if messages.is_empty() {
        return;
    }
    let (records, messages): (Vec<usize>, Vec<QueueMessage>) = messages.into_iter().unzip();
    let operation = match queue {
        Queue::Sender => "ask for a mail",
        Queue::Journey | Queue::Profile => "send a wake",
    };
    match queues.send(queue, &messages).await {
        Ok(unsent) => {
            for index in unsent {
                if let Some(record) = records.get(index) {
                    fail(results, *record, due::not_sent(operation));
                }
            }
        }
        Err(error) => {
            // The call failed for all alike; the error itself goes to the first.
            let mut error = Some(StoredError::Port(error));
            for record in records {
                let error = error.take().unwrap_or_else(|| due::not_sent(operation));
                fail(results, record, error);
            }
        }
    }
}

fn fail(results: &mut [Result<(), StoredError>], record: usize, error: StoredError) {
    if let Some(result) = results.get_mut(record)
        && result.is_ok()
    {
        *result = Err(error);
    }
}
