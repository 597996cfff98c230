//! The tables in memory and on DynamoDB's emulator answer alike to whatever is done to them.

use crate::emulator::Emulator;
use odyssey_domain::time::Stamp;
use odyssey_flows::ports::{Consistency, Expect, Key, Query, Row, Table, Tables, Write};
use odyssey_testkit::Memory;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

/// Sequences tried, each of up to [`STEPS_MAX`] steps on rows of its own.
const SEQUENCES: usize = 48;
const STEPS_MAX: usize = 24;

#[derive(Debug, Clone)]
enum Step {
    Write(Write),
    Transact(Vec<Write>, String),
    Query(Query),
    Index(usize),
    All,
}

fn key() -> impl Strategy<Value = Key> {
    (0..2_u8, 0..3_u8).prop_map(|(pk, sk)| Key {
        table: Table::Ledger,
        pk: pk.to_string(),
        sk: sk.to_string(),
    })
}

fn expect() -> impl Strategy<Value = Expect> {
    prop_oneof![
        2 => Just(Expect::Any),
        2 => Just(Expect::Absent),
        4 => (0..4_u64).prop_map(Expect::Version),
    ]
}

fn row() -> impl Strategy<Value = Row> {
    let expires = proptest::option::of(0..5_000_i64).prop_map(|ms| ms.map(Stamp::from_ms));
    let index = proptest::option::of((0..2_u8, 0..3_u8));
    (key(), 0..4_u64, 0..3_u16, proptest::collection::vec(any::<u8>(), 0..4), expires, index)
        .prop_map(|(key, version, schema, body, expires, index)| {
            // The index orders what is equal as it likes, so no two rows are equal in it.
            let unique = format!("{}{}", key.pk, key.sk);
            let index = index.map(|(pk, sk)| (format!("i{pk}"), format!("{sk}{unique}")));
            Row { key, version, schema, body, expires, index }
        })
}

fn write() -> impl Strategy<Value = Write> {
    prop_oneof![
        4 => (row(), expect()).prop_map(|(row, expect)| Write::Put { row, expect }),
        2 => (key(), expect()).prop_map(|(key, expect)| Write::Delete { key, expect }),
        1 => (key(), expect()).prop_map(|(key, expect)| Write::Check { key, expect }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let writes = proptest::collection::vec(write(), 0..4);
    let query =
        ("[0-3]?", "[0-3]", 1..4_usize, any::<bool>()).prop_map(|(from, to, limit, descending)| {
            Query {
                table: Table::Ledger,
                pk: "0".to_owned(),
                from,
                to,
                limit,
                descending,
                consistency: Consistency::Strong,
            }
        });
    prop_oneof![
        6 => write().prop_map(Step::Write),
        4 => (writes, "[a-c]").prop_map(|(writes, token)| Step::Transact(writes, token)),
        2 => query.prop_map(Step::Query),
        1 => (1..4_usize).prop_map(Step::Index),
        1 => Just(Step::All),
    ]
}

/// What came of a step; of errors only whether they may pass.
async fn told(tables: &impl Tables, step: Step) -> String {
    let shown = |told: Result<String, odyssey_flows::ports::PortError>| match told {
        Ok(told) => told,
        Err(error) => format!("transient: {}", error.is_transient()),
    };
    let all = |limit| Query {
        table: Table::Ledger,
        pk: "1".to_owned(),
        from: String::new(),
        to: "9".to_owned(),
        limit,
        descending: false,
        consistency: Consistency::Strong,
    };
    shown(match step {
        Step::Write(write) => tables.write(write).await.map(|w| format!("{w:?}")),
        Step::Transact(writes, token) => {
            tables.transact(writes, &token).await.map(|w| format!("{w:?}"))
        }
        Step::Query(query) => tables.query(&query).await.map(|rows| format!("{rows:?}")),
        Step::Index(limit) => {
            tables.query_index(Table::Ledger, "i0", limit).await.map(|rows| format!("{rows:?}"))
        }
        Step::All => tables.query(&all(1_000)).await.map(|rows| format!("{rows:?}")),
    })
}

#[tokio::test]
async fn twins_answer_alike() {
    // The seed is fixed, so that a failure is the same failure tomorrow.
    let mut runner = TestRunner::deterministic();
    let sequences = proptest::collection::vec(step(), 1..STEPS_MAX);
    for sequence in 0..SEQUENCES {
        let steps = sequences.new_tree(&mut runner).unwrap().current();
        let emulator = Emulator::start().await;
        let (memory, dynamo) = (Memory::new(), emulator.aws().tables(&[Table::Ledger]));
        for (at, step) in steps.iter().enumerate() {
            let expected = told(&dynamo, step.clone()).await;
            let found = told(&memory, step.clone()).await;
            assert_eq!(found, expected, "sequence {sequence}, step {at} of {steps:#?}");
        }
    }
}
