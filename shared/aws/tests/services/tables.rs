//! The tables on DynamoDB keep the laws of the port: the SDK itself, against an emulator.

use crate::emulator::Emulator;
use odyssey_flows::ports::{Consistency, Expect, Key, Row, Table, Tables, Write, Written};
use odyssey_testkit::port_suite;

#[tokio::test]
async fn dynamodb_keeps_the_laws_of_tables() {
    let emulator = Emulator::start().await;
    port_suite::tables(&emulator.aws().tables(&Table::ALL)).await;
}

fn row(version: u64) -> Row {
    let key = Key { table: Table::Ledger, pk: "p".to_owned(), sk: "s".to_owned() };
    let index = Some(("unconfirmed".to_owned(), "1".to_owned()));
    Row { key, version, schema: 1, body: vec![1; 900], expires: None, index }
}

#[tokio::test]
async fn the_emulator_counts_capacity_and_returns_what_stands() {
    let emulator = Emulator::start().await;
    let tables = emulator.aws().tables(&[Table::Ledger]);
    let put = Write::Put { row: row(1), expect: Expect::Absent };
    assert_eq!(tables.write(put.clone()).await.unwrap(), Written::Done);
    let stands = Written::Conflict { index: 0, current: Some(row(1)) };
    assert_eq!(tables.write(put).await.unwrap(), stands);
    let put = Write::Put { row: Row { index: None, ..row(2) }, expect: Expect::Version(1) };
    assert_eq!(tables.transact(vec![put], "t").await.unwrap(), Written::Done);
    tables.get(&row(1).key, Consistency::Strong).await.unwrap();
    let units: Vec<_> = emulator
        .calls()
        .iter()
        .map(|(operation, _, answer)| {
            let capacity = &answer["ConsumedCapacity"];
            let first = capacity.get(0).unwrap_or(capacity);
            (operation.clone(), first["CapacityUnits"].as_f64())
        })
        .collect();
    let expected = [
        // One unit for the item and one for its entry in the index.
        ("PutItem", Some(2.0)),
        ("PutItem", None),
        // Twice one for the item; the entry leaves the index.
        ("TransactWriteItems", Some(3.0)),
        ("GetItem", Some(1.0)),
    ];
    assert_eq!(units, expected.map(|(operation, units)| (operation.to_owned(), units)));
}

#[tokio::test]
async fn a_table_that_was_not_asked_for_is_refused() {
    let emulator = Emulator::start().await;
    let tables = emulator.aws().tables(&[Table::Ledger]);
    let key = Key { table: Table::Contacts, pk: "p".to_owned(), sk: "s".to_owned() };
    let error = tables.get(&key, Consistency::Strong).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "GetItem was refused: this function is not connected to Contacts (CONTACTS_TABLE)"
    );
    assert!(emulator.calls().is_empty());
}
