//! Several deliveries of one request at once, call by call in any order; a withdrawal among them.

use crate::world::{World, change, keys, offers, record, seconds, send_id, ses_event};
use odyssey_domain::contact::ConsentState;
use odyssey_domain::ids::EventHash;
use odyssey_domain::message::SendState;
use odyssey_domain::time::{Span, Stamp};
use odyssey_flows::ports::{
    Consistency, Key, Mailer, OutgoingMail, PortError, Query, Queue, QueueMessage, Queues, Row,
    Scan, Scanned, SendAnswer, Table, Tables, Write, Written,
};
use odyssey_flows::{record_feedback, send_message, set_consent};
use odyssey_testkit::{Memory, Operation, ScriptedAnswer};
use proptest::prelude::*;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// The memory, but every call waits for its turn: one poll of a flow is one call of it. And where
/// it lags, reads that may be a moment old do not see contacts and sends yet.
struct Turns<'a> {
    memory: &'a Memory,
    lags: bool,
}

struct Turn(bool);

impl Future for Turn {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Tables for Turns<'_> {
    async fn get(&self, key: &Key, consistency: Consistency) -> Result<Option<Row>, PortError> {
        Turn(false).await;
        let young = matches!(key.table, Table::Contacts | Table::Ledger);
        if self.lags && young && consistency == Consistency::Eventual {
            return Ok(None);
        }
        self.memory.get(key, consistency).await
    }
    async fn get_many(&self, keys: &[Key], c: Consistency) -> Result<Vec<Option<Row>>, PortError> {
        Turn(false).await;
        self.memory.get_many(keys, c).await
    }
    async fn write(&self, write: Write) -> Result<Written, PortError> {
        Turn(false).await;
        self.memory.write(write).await
    }
    async fn transact(&self, writes: Vec<Write>, token: &str) -> Result<Written, PortError> {
        Turn(false).await;
        self.memory.transact(writes, token).await
    }
    async fn query(&self, query: &Query) -> Result<Vec<Row>, PortError> {
        Turn(false).await;
        self.memory.query(query).await
    }
    async fn query_index(&self, t: Table, pk: &str, limit: usize) -> Result<Vec<Row>, PortError> {
        Turn(false).await;
        self.memory.query_index(t, pk, limit).await
    }
    async fn scan(&self, scan: &Scan) -> Result<Scanned, PortError> {
        Turn(false).await;
        self.memory.scan(scan).await
    }
    async fn add_ids(&self, key: &Key, ids: &[EventHash], until: Stamp) -> Result<(), PortError> {
        Turn(false).await;
        self.memory.add_ids(key, ids, until).await
    }
    async fn have_ids(&self, k: &[Key], ids: &[EventHash]) -> Result<Vec<EventHash>, PortError> {
        Turn(false).await;
        self.memory.have_ids(k, ids).await
    }
}

impl Queues for Turns<'_> {
    async fn send(&self, queue: Queue, m: &[QueueMessage]) -> Result<Vec<usize>, PortError> {
        Turn(false).await;
        Queues::send(self.memory, queue, m).await
    }
}

impl Mailer for Turns<'_> {
    async fn send(&self, mail: &OutgoingMail) -> SendAnswer {
        Turn(false).await;
        Mailer::send(self.memory, mail).await
    }

    async fn wait(&self, _: Span) {
        Turn(false).await;
    }
}

/// Polls the futures in the order of `turns`, then each to its end.
fn interleave(mut flows: Vec<Pin<Box<dyn Future<Output = ()> + '_>>>, turns: &[usize]) {
    let mut context = Context::from_waker(Waker::noop());
    let mut open: Vec<bool> = vec![true; flows.len()];
    let mut turn = |at: usize, open: &mut Vec<bool>| {
        if open[at] && flows[at].as_mut().poll(&mut context).is_ready() {
            open[at] = false;
        }
    };
    for at in turns {
        turn(at % open.len(), &mut open);
    }
    for at in 0..open.len() {
        for _ in 0..500 {
            turn(at, &mut open);
        }
        assert!(!open[at], "flow {at} came to no end");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn three_deliveries_are_one_mail(
        turns in prop::collection::vec(0_usize..3, 0..60),
        late in prop::collection::vec(prop::bool::ANY, 3),
        lags in prop::bool::ANY,
        answers in prop::collection::vec(0_u8..4, 0..3),
    ) {
        let world = World::with_ann();
        world.memory.script(answers.iter().map(|answer| match answer {
            0 => ScriptedAnswer::Answer(SendAnswer::Released("429".to_owned())),
            1 => ScriptedAnswer::AcceptedBut(SendAnswer::Ambiguous("?".to_owned())),
            2 => ScriptedAnswer::Answer(SendAnswer::Ambiguous("?".to_owned())),
            _ => ScriptedAnswer::Answer(SendAnswer::Accepted("ses-x".to_owned())),
        }));
        let ports = Turns { memory: &world.memory, lags };
        let deliver = |receipt: u32, late: bool| {
            let (ports, sending) = (&ports, &world.sending);
            // A late one may find SENDING and give it up while its owner is still at it.
            let now = seconds(if late { 31 } else { 0 });
            let flow: Pin<Box<dyn Future<Output = ()> + '_>> = Box::pin(async move {
                send_message::run(sending, ports, ports, ports, vec![offers(receipt)], now).await;
            });
            flow
        };
        let flows = late.iter().zip(1_u32..).map(|(late, n)| deliver(n, *late)).collect();
        interleave(flows, &turns);
        prop_assert!(world.memory.mails().len() <= 1, "{}", world.memory.mails().len());
        let claims = world.contact().map_or(0, |contact| contact.claims.len());
        prop_assert!(claims >= world.memory.mails().len(), "sent, and not counted");
    }

    #[test]
    fn a_withdrawal_before_the_claim_blocks(
        turns in prop::collection::vec(0_usize..2, 0..40),
        lags in prop::bool::ANY,
    ) {
        let world = World::with_ann();
        let before = world.memory.calls().len();
        let ports = Turns { memory: &world.memory, lags };
        let withdrawal = change("offers", ConsentState::Withdrawn);
        let flows: Vec<Pin<Box<dyn Future<Output = ()> + '_>>> = vec![
            Box::pin(async {
                let (ports, records) = (&ports, vec![offers(1)]);
                send_message::run(&world.sending, ports, ports, ports, records, seconds(1)).await;
            }),
            Box::pin(async {
                set_consent::change(&ports, &world.memory, &withdrawal, seconds(1)).await.unwrap();
            }),
        ];
        interleave(flows, &turns);
        let calls = world.memory.calls().split_off(before);
        let last = |wanted| calls.iter().rposition(|call| *call == wanted);
        let withdrawn = last(Operation::Write(Table::Contacts)).unwrap();
        let topic = crate::world::topic("offers");
        let contact = world.contact().unwrap();
        prop_assert_eq!(contact.answer(&topic).unwrap().state, ConsentState::Withdrawn);
        match world.memory.mails().len() {
            0 => {}
            // The claim that was committed came before.
            _ => prop_assert!(last(Operation::Transact).unwrap() < withdrawn),
        }
    }
}

#[test]
fn consent_of_a_moment_ago_counts() {
    let world = World::with_ann();
    let ports = Turns { memory: &world.memory, lags: true };
    let delivery = async {
        let (ports, records) = (&ports, vec![offers(1)]);
        send_message::run(&world.sending, ports, ports, ports, records, seconds(1)).await;
    };
    interleave(vec![Box::pin(delivery)], &[]);
    assert_eq!(world.memory.mails().len(), 1);
}

#[test]
fn a_report_finds_the_send_of_a_moment_ago() {
    let world = World::with_ann();
    world.memory.script([ScriptedAnswer::AcceptedBut(SendAnswer::Ambiguous("?".to_owned()))]);
    world.deliver_done(offers(1));
    let ports = Turns { memory: &world.memory, lags: true };
    let event = ses_event("Delivery", send_id(), "ses-1", &serde_json::json!({"delivery": {}}));
    let report = async {
        let records = vec![record("feedback", 1, &event)];
        record_feedback::run(&ports, &world.memory, &keys(), records, seconds(2)).await;
    };
    interleave(vec![Box::pin(report)], &[]);
    assert!(matches!(world.ledger(send_id()).unwrap().state, SendState::Sent { .. }));
}
