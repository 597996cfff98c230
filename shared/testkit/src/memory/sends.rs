//! `Bus`, `Queues` and `Mailer` in memory.

use super::{AcceptedMail, Memory, QueuedMessage, ScriptedAnswer, lost, refused};
use crate::fault::{Fault, Operation};
use odyssey_domain::time::Span;
use odyssey_flows::ports::{
    Bus, BusEntry, Mailer, OutgoingMail, PortError, QUEUE_DELAY_MAX, Queue, QueueMessage, Queues,
    SendAnswer,
};

impl Memory {
    /// Takes items for which no fault speaks; returns the indices that were not taken.
    async fn take_in<T: Clone + Sync>(
        &self,
        operation: Operation,
        items: &[T],
        put: impl Fn(&mut super::State, &T) + Send + Sync,
    ) -> Result<Vec<usize>, PortError> {
        let fault = self.enter(operation).await;
        let skipped = match &fault {
            Fault::FailBefore => return Err(lost(operation)),
            Fault::Refuse => return Err(refused(operation)),
            Fault::Partial(indices) => indices.clone(),
            _ => Vec::new(),
        };
        {
            let mut state = self.state();
            for (_, item) in items.iter().enumerate().filter(|(at, _)| !skipped.contains(at)) {
                put(&mut state, item);
            }
        }
        match fault {
            Fault::FailAfter => Err(lost(operation)),
            Fault::HaltAfter => std::future::pending().await,
            _ => Ok(skipped.into_iter().filter(|at| *at < items.len()).collect()),
        }
    }
}

impl Bus for Memory {
    async fn publish(&self, entries: &[BusEntry]) -> Result<Vec<usize>, PortError> {
        self.take_in(Operation::Publish, entries, |state, entry| state.bus.push(entry.clone()))
            .await
    }
}

impl Queues for Memory {
    async fn send(&self, queue: Queue, messages: &[QueueMessage]) -> Result<Vec<usize>, PortError> {
        let operation = Operation::Enqueue(queue);
        if messages.iter().any(|message| message.delay > QUEUE_DELAY_MAX) {
            return Err(PortError::Permanent {
                operation: operation.name(),
                cause: format!("a delay above {QUEUE_DELAY_MAX}"),
            });
        }
        self.take_in(operation, messages, |state, message| {
            let delay = Span::SECOND.times(message.delay.seconds_up());
            let queued = QueuedMessage {
                id: format!("message-{}", state.messages),
                message: message.clone(),
                due: state.now.plus(delay),
            };
            state.messages += 1;
            state.queues.entry(queue).or_default().push(queued);
        })
        .await
    }
}

impl Mailer for Memory {
    async fn send(&self, mail: &OutgoingMail) -> SendAnswer {
        let fault = self.enter(Operation::SendMail).await;
        let injected = || "injected".to_owned();
        match fault {
            Fault::FailBefore | Fault::Partial(_) => return SendAnswer::Ambiguous(injected()),
            Fault::Refuse => return SendAnswer::Failed(injected()),
            _ => {}
        }
        let answer = {
            let mut state = self.state();
            state.mail_calls += 1;
            let ses_id = format!("ses-{}", state.mails.len());
            let (accepted, answer) = match state.answers.pop_front() {
                None => (true, SendAnswer::Accepted(ses_id.clone())),
                Some(ScriptedAnswer::Answer(answer)) => {
                    (matches!(answer, SendAnswer::Accepted(_)), answer)
                }
                Some(ScriptedAnswer::AcceptedBut(answer)) => (true, answer),
            };
            if accepted {
                let ses_id = match &answer {
                    SendAnswer::Accepted(id) => id.clone(),
                    _ => ses_id,
                };
                state.mails.push(AcceptedMail { ses_id, mail: mail.clone() });
            }
            answer
        };
        match fault {
            Fault::FailAfter => SendAnswer::Ambiguous(injected()),
            Fault::HaltAfter => std::future::pending().await,
            _ => answer,
        }
    }

    /// Time does not pass here.
    async fn wait(&self, _: Span) {}
}
