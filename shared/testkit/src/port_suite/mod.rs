//! The laws of the ports, as suites that every implementation runs.
//!
//! A suite expects empty tables, writes under its own keys, and panics with the law that was
//! broken.

mod counting;
mod reading;
mod sets;
mod transacting;
mod writing;

use odyssey_flows::ports::{Key, PortError, Row, Table, Tables, Written};

/// Every law of [`Tables`].
///
/// # Panics
/// Where a law is broken.
pub async fn tables(tables: &impl Tables) {
    writing::all(tables).await;
    transacting::all(tables).await;
    reading::all(tables).await;
    sets::all(tables).await;
    counting::all(tables).await;
}

fn key(table: Table, pk: &str, sk: &str) -> Key {
    Key { table, pk: pk.to_owned(), sk: sk.to_owned() }
}

fn row(key: Key, version: u64, body: &[u8]) -> Row {
    Row { key, version, schema: 1, body: body.to_vec(), expires: None, index: None }
}

/// The value of a call that must not fail.
#[track_caller]
#[expect(clippy::panic, reason = "a broken law ends the suite")]
fn must<T>(law: &str, result: Result<T, PortError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{law}: {error}"),
    }
}

#[track_caller]
fn must_be_done(law: &str, result: Result<Written, PortError>) {
    let written = must(law, result);
    assert_eq!(written, Written::Done, "{law}");
}

#[track_caller]
fn must_conflict(
    law: &str,
    result: Result<Written, PortError>,
    index: usize,
    current: Option<Row>,
) {
    let written = must(law, result);
    assert_eq!(written, Written::Conflict { index, current }, "{law}");
}

/// A call that can never succeed must say so.
#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "it reads like the other three")]
fn must_refuse<T: std::fmt::Debug>(law: &str, result: Result<T, PortError>) {
    let is_permanent = result.as_ref().is_err_and(|error| !error.is_transient());
    assert!(is_permanent, "{law}: expected a permanent error, found {result:?}");
}
