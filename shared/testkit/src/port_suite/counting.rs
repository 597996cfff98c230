//! Counters.

use super::{key, must, must_be_done, must_conflict, row};
use odyssey_flows::ports::{Consistency, Expect, Key, Query, Table, Tables, Write};

pub(super) async fn all(tables: &impl Tables) {
    counters_add_up(tables).await;
    counters_change_with_their_transaction(tables).await;
}

fn add(key: &Key, by: i64) -> Write {
    Write::Add { key: key.clone(), by }
}

async fn body(tables: &impl Tables, law: &str, key: &Key) -> Option<(u64, String)> {
    let found = must(law, tables.get(key, Consistency::Strong).await)?;
    Some((found.version, String::from_utf8_lossy(&found.body).into_owned()))
}

async fn counters_add_up(tables: &impl Tables) {
    const LAW: &str = "a counter begins at zero, adds up, and reads as a row of version 0";
    let at = key(Table::Workspace, "count", "a");
    assert_eq!(body(tables, LAW, &at).await, None, "{LAW}");
    for by in [2, -5, 0, 1] {
        must_be_done(LAW, tables.write(add(&at, by)).await);
    }
    assert_eq!(body(tables, LAW, &at).await, Some((0, "-2".to_owned())), "{LAW}");
    must_be_done(LAW, tables.write(add(&key(Table::Workspace, "count", "b"), 40)).await);
    let query = Query {
        table: Table::Workspace,
        pk: "count".to_owned(),
        from: "a".to_owned(),
        to: "z".to_owned(),
        limit: 10,
        descending: false,
        consistency: Consistency::Strong,
    };
    let found = must(LAW, tables.query(&query).await);
    let shown: Vec<_> = found.iter().map(|row| row.body.as_slice()).collect();
    assert_eq!(shown, [b"-2".as_slice(), b"40"], "{LAW}");
    let delete = Write::Delete { key: at.clone(), expect: Expect::Any };
    must_be_done(LAW, tables.write(delete).await);
    must_be_done(LAW, tables.write(add(&at, 1)).await);
    assert_eq!(body(tables, LAW, &at).await, Some((0, "1".to_owned())), "{LAW}");
}

async fn counters_change_with_their_transaction(tables: &impl Tables) {
    const LAW: &str = "a counter changes with the transaction it is in, once, or not at all";
    let (at, put) = (key(Table::Workspace, "count", "t"), key(Table::Profiles, "count", "t"));
    let writes = |version| {
        let expect = if version == 1 { Expect::Absent } else { Expect::Version(version - 1) };
        vec![Write::Put { row: row(put.clone(), version, b"x"), expect }, add(&at, 7)]
    };
    must_be_done(LAW, tables.transact(writes(1), "count 1").await);
    must_be_done(LAW, tables.transact(writes(1), "count 1").await);
    assert_eq!(body(tables, LAW, &at).await, Some((0, "7".to_owned())), "{LAW}");
    let current = Some(row(put.clone(), 1, b"x"));
    must_conflict(LAW, tables.transact(writes(3), "count 2").await, 0, current);
    assert_eq!(body(tables, LAW, &at).await, Some((0, "7".to_owned())), "{LAW}");
    must_be_done(LAW, tables.transact(writes(2), "count 3").await);
    assert_eq!(body(tables, LAW, &at).await, Some((0, "14".to_owned())), "{LAW}");
}
