//! Invocations: the real flows as futures, with what the Lambda adaptor does around them.

use super::core::{Actor, lock};
use super::functions::Inbox;
use super::operator;
use super::people::{ConsentWish, Said, Told, What};
use super::ports::Ports;
use super::queues::Message;
use super::workspace::{PUBLIC_URL, keyring};
use data_encoding::BASE64;
use odyssey_domain::catalog::SourceName;
use odyssey_domain::contact::ConsentState;
use odyssey_domain::keyring::Purpose;
use odyssey_domain::message::link::Link;
use odyssey_domain::personal::{EmailAddress, UserId};
use odyssey_domain::time::{Span, Stamp};
use odyssey_domain::wire::{BUS_SCHEMA, ConsentRequested, Parked};
use odyssey_flows::accept_events::{ApiRequest, Ingest};
use odyssey_flows::queue::{Disposition, QueueRecord, hidden_for};
use odyssey_flows::send_message::Sending;
use odyssey_flows::set_consent::{self, Change, ConsentError, Manner};
use odyssey_flows::{
    accept_events, advance_enrollment, fold_profile, record_feedback, send_message, sweep_due,
};
use serde_json::json;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

/// What one process of a function keeps between invocations.
#[derive(Debug)]
pub(crate) struct Process {
    sending: Sending,
}

impl Process {
    pub(crate) fn new() -> Process {
        Process { sending: Sending::new(keyring().clone(), PUBLIC_URL) }
    }
}

/// What an invocation came to.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The numbers of the messages that are done with, and whether any is to be tried again.
    Batch { done: Vec<u64> },
    /// What the client is told.
    Http(Told),
    /// A tick is over.
    Swept,
}

/// An invocation under way.
pub(crate) type Work = Pin<Box<dyn Future<Output = Answer>>>;

/// Why an invocation runs.
#[derive(Debug)]
pub(crate) enum Trigger {
    Batch { inbox: Inbox, messages: Vec<(u64, Message)> },
    Http(Box<super::people::Errand>),
    Tick,
}

/// One invocation.
pub(crate) struct Running {
    pub(crate) actor: Actor,
    pub(crate) instance: usize,
    pub(crate) trigger: Trigger,
    pub(crate) work: Work,
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("actor", &self.actor).finish_non_exhaustive()
    }
}

/// A batch of a queue's messages: the flow, then what the Lambda adaptor does with dispositions.
pub(crate) fn batch(
    ports: Ports,
    process: Arc<Process>,
    inbox: Inbox,
    messages: &[(u64, Message)],
    now: Stamp,
) -> Work {
    let request = format!("request-{}", ports.actor.invocation);
    let records: Vec<QueueRecord> = messages
        .iter()
        .map(|(_, message)| QueueRecord {
            message_id: format!("message-{}", message.id),
            request_id: request.clone(),
            receive_count: message.receives,
            body: message.body.as_ref().to_owned(),
        })
        .collect();
    let numbers: Vec<u64> = messages.iter().map(|(number, _)| *number).collect();
    Box::pin(async move {
        let sending = &process.sending;
        let (keys, cache) = (&sending.keys, &sending.catalog);
        let copies = records.clone();
        let dispositions = match inbox {
            Inbox::Profile => {
                let (t, b, q) = (&ports, &ports, &ports);
                Box::pin(fold_profile::run(t, b, q, keys, cache, copies, now)).await
            }
            Inbox::Journey => {
                Box::pin(advance_enrollment::run(&ports, &ports, cache, copies, now)).await
            }
            Inbox::Sender => {
                let (t, q, m) = (&ports, &ports, &ports);
                Box::pin(send_message::run(sending, t, q, m, copies, now)).await
            }
            Inbox::Feedback => {
                Box::pin(record_feedback::run(&ports, &ports, keys, copies, now)).await
            }
        };
        let done = carry_out(&ports, inbox, numbers, records, dispositions, now).await;
        Answer::Batch { done }
    })
}

/// What `odyssey_aws::lambda` does with dispositions: parks, hides, and reports the rest as done.
async fn carry_out(
    ports: &Ports,
    inbox: Inbox,
    numbers: Vec<u64>,
    records: Vec<QueueRecord>,
    mut dispositions: Vec<Disposition>,
    now: Stamp,
) -> Vec<u64> {
    {
        let mut core = lock(&ports.shared);
        core.check.disposed(ports.actor, &records, &dispositions);
    }
    let undecided = || Disposition::Retry { reason: "undecided".to_owned(), after: None };
    dispositions.resize_with(records.len(), undecided);
    let mut done = Vec::new();
    let mut later = Vec::new();
    for ((number, record), disposition) in numbers.into_iter().zip(records).zip(dispositions) {
        let after = match disposition {
            Disposition::Done => {
                done.push(number);
                continue;
            }
            Disposition::Park { reason, chain } => {
                let letter = Parked {
                    reason: reason.to_owned(),
                    chain,
                    queue: inbox.settings().name.to_owned(),
                    message_id: record.message_id.clone(),
                    at: now,
                    body: record.body,
                };
                if ports.park(inbox, letter).await.is_ok() {
                    done.push(number);
                    continue;
                }
                None
            }
            Disposition::Retry { after, .. } => after,
        };
        let seconds = after.map_or_else(
            || hidden_for(&record.message_id, record.receive_count),
            |after: Span| u32::try_from(after.seconds_up()).unwrap_or(u32::MAX),
        );
        later.push((number, seconds.clamp(1, 43_200)));
    }
    if !later.is_empty() {
        // Without it the messages come back when the queue's own time-out ends.
        let _ = ports.later(inbox, later).await;
    }
    done
}

/// A tick.
pub(crate) fn tick(ports: Ports, now: Stamp) -> Work {
    Box::pin(async move {
        let _ = Box::pin(sweep_due::run(&ports, &ports, now, || false)).await;
        Answer::Swept
    })
}

/// An HTTP request, or the operator's command.
pub(crate) fn http(ports: Ports, process: Arc<Process>, what: What, now: Stamp) -> Work {
    Box::pin(async move {
        let told = match what {
            What::Post { source, events } => {
                Box::pin(post(&ports, &process, source, &events, now)).await
            }
            What::Consent { change, .. } => Box::pin(consent(&ports, change, now)).await,
            What::Ask { email, topic } => {
                let request = ConsentRequested {
                    v: BUS_SCHEMA,
                    email,
                    topic,
                    profile: None,
                    at: now,
                    via: "form".to_owned(),
                };
                match set_consent::request(&ports, &request).await {
                    Ok(()) => Told::Done,
                    Err(_) => Told::Later,
                }
            }
            What::Publish { version, .. } => {
                Box::pin(operator::publish(&ports, version, now)).await
            }
            What::Fill { .. } => Box::pin(operator::fill(&ports, now)).await,
            What::Split { identity } => Box::pin(operator::split(&ports, identity, now)).await,
            What::Settle { finds } => Box::pin(operator::settle(&ports, finds, now)).await,
        };
        Answer::Http(told)
    })
}

async fn post(ports: &Ports, process: &Process, source: &str, events: &[Said], now: Stamp) -> Told {
    let key = keyring().write_key(source, 1);
    let batch: Vec<serde_json::Value> = events.iter().map(Said::json).collect();
    let request = ApiRequest {
        method: "POST".to_owned(),
        path: "/v1/batch".to_owned(),
        authorization: Some(format!("Basic {}", BASE64.encode(format!("{key}:").as_bytes()))),
        body: json!({ "batch": batch }).to_string().into_bytes(),
        id: format!("api-{}", ports.actor.invocation),
        ..ApiRequest::default()
    };
    let catalog = &process.sending.catalog;
    let ingest = Ingest { tables: ports, bus: ports, keyring: keyring(), catalog };
    let reply: accept_events::Reply = ingest.accept(request, now).await;
    match reply.status {
        200 if reply.accepted == events.len() => Told::Done,
        429 | 500..=599 => Told::Later,
        _ => Told::Refused,
    }
}

/// What `functions/consent` does with each of its routes.
async fn consent(ports: &Ports, wish: ConsentWish, now: Stamp) -> Told {
    let read = |purpose, token: &str| Link::read(keyring(), purpose, token, now).ok();
    let change = match wish {
        ConsentWish::Server { email, user, topic, state } => {
            Some(server_change(&email, user, topic, state))
        }
        ConsentWish::Confirm(token) => read(Purpose::Confirm, &token).map(|link| {
            lock(&ports.shared).check.link_followed(ports.actor.invocation, link.issued);
            Change::confirm(link)
        }),
        ConsentWish::Unsubscribe { token, one_click } => {
            let manner = if one_click { Manner::OneClick } else { Manner::UnsubscribePage };
            read(Purpose::Unsubscribe, &token).map(|link| Change::unsubscribe(link, manner))
        }
    };
    let Some(change) = change else { return Told::Refused };
    match set_consent::change(ports, ports, &change, now).await {
        Ok(_) => Told::Done,
        Err(ConsentError::Outdated) => Told::Refused,
        // Both the API's caller and the customer try again; what cannot succeed shows as a run
        // that never ends.
        Err(_) => Told::Later,
    }
}

fn server_change(
    email: &EmailAddress,
    user: Option<String>,
    topic: odyssey_domain::contact::TopicId,
    state: ConsentState,
) -> Change {
    #[expect(clippy::expect_used, reason = "a constant that parses")]
    let source = SourceName::parse("backend").expect("a source's name");
    let user = user.and_then(|user| UserId::parse(&user).ok());
    Change {
        contact: keyring().contact_key(email),
        profile: user.map(|user| keyring().user_key(&user).into()),
        topic,
        state,
        manner: Manner::Api(source),
    }
}
