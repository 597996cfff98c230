//! Reading many rows.

use super::{key, must, must_be_done, must_refuse, row};
use odyssey_flows::ports::{Consistency, Expect, Key, Query, Row, Scan, Table, Tables, Write};

pub(super) async fn all(tables: &impl Tables) {
    many_in_the_order_asked_for(tables).await;
    queries_are_ranges(tables).await;
    queries_pass_a_page(tables).await;
    the_index_is_sparse(tables).await;
    scans_read_every_row_once(tables).await;
}

async fn put(tables: &impl Tables, law: &str, row: Row) {
    must_be_done(law, tables.write(Write::Put { row, expect: Expect::Any }).await);
}

async fn many_in_the_order_asked_for(tables: &impl Tables) {
    const LAW: &str = "many rows come in the order asked for, absent ones as none";
    let at = |n: usize| {
        let table = if n.is_multiple_of(2) { Table::Profiles } else { Table::Timeline };
        key(table, "many", &format!("{n:03}"))
    };
    for n in 0..100 {
        if n != 17 {
            put(tables, LAW, row(at(n), n as u64 + 1, b"x")).await;
        }
    }
    let keys: Vec<Key> = (0..100).rev().map(at).collect();
    let found = must(LAW, tables.get_many(&keys, Consistency::Strong).await);
    let versions: Vec<Option<u64>> = found.iter().map(|r| r.as_ref().map(|r| r.version)).collect();
    let expected: Vec<Option<u64>> =
        (0..100_u64).rev().map(|n| (n != 17).then_some(n + 1)).collect();
    assert_eq!(versions, expected, "{LAW}");
    let twice = [at(3), at(3), at(17)];
    let found = must(LAW, tables.get_many(&twice, Consistency::Eventual).await);
    let there: Vec<bool> = found.iter().map(Option::is_some).collect();
    assert_eq!(there, [true, true, false], "{LAW}");
    assert!(must(LAW, tables.get_many(&[], Consistency::Strong).await).is_empty(), "{LAW}");
    let keys: Vec<Key> = (0..101).map(at).collect();
    must_refuse(LAW, tables.get_many(&keys, Consistency::Strong).await);
}

async fn queries_are_ranges(tables: &impl Tables) {
    const LAW: &str = "a query is an inclusive range of one partition, in order, either way";
    for sk in ["a", "b", "b#1", "c", "d"] {
        put(tables, LAW, row(key(Table::Due, "range", sk), 1, b"")).await;
    }
    put(tables, LAW, row(key(Table::Due, "range2", "b"), 1, b"")).await;
    let cases: [(&str, &str, usize, bool, &[&str]); 9] = [
        ("a", "d", 10, false, &["a", "b", "b#1", "c", "d"]),
        ("a", "d", 10, true, &["d", "c", "b#1", "b", "a"]),
        ("b", "c", 10, false, &["b", "b#1", "c"]),
        ("b", "c", 2, false, &["b", "b#1"]),
        ("b", "c", 2, true, &["c", "b#1"]),
        ("", "b", 10, false, &["a", "b"]),
        ("c0", "\u{10FFFF}", 10, false, &["d"]),
        ("d", "a", 10, false, &[]),
        ("e", "f", 10, false, &[]),
    ];
    for (from, to, limit, descending, expected) in cases {
        let query = Query {
            table: Table::Due,
            pk: "range".to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
            limit,
            descending,
            consistency: Consistency::Strong,
        };
        let found = must(LAW, tables.query(&query).await);
        let found: Vec<&str> = found.iter().map(|row| row.key.sk.as_str()).collect();
        assert_eq!(found, expected, "{LAW}: {from}..={to} {limit} {descending}");
        for limit in [0, 1_001] {
            must_refuse(LAW, tables.query(&Query { limit, ..query.clone() }).await);
        }
    }
}

async fn queries_pass_a_page(tables: &impl Tables) {
    const LAW: &str = "a query returns all it was asked for, however large the rows";
    // DynamoDB returns at most 1 MB at a time.
    let body = vec![3; 300 * 1024];
    for n in 0..5 {
        put(tables, LAW, row(key(Table::Timeline, "pages", &n.to_string()), 1, &body)).await;
    }
    let query = Query {
        table: Table::Timeline,
        pk: "pages".to_owned(),
        from: "0".to_owned(),
        to: "9".to_owned(),
        limit: 1_000,
        descending: false,
        consistency: Consistency::Strong,
    };
    assert_eq!(must(LAW, tables.query(&query).await).len(), 5, "{LAW}");
    let four = Query { limit: 4, descending: true, ..query };
    let found = must(LAW, tables.query(&four).await);
    let found: Vec<&str> = found.iter().map(|row| row.key.sk.as_str()).collect();
    assert_eq!(found, ["4", "3", "2", "1"], "{LAW}");
}

async fn the_index_is_sparse(tables: &impl Tables) {
    const LAW: &str = "the index holds the rows that name it, whole, least first";
    let at = |n: u64, since: Option<&str>| Row {
        index: since.map(|since| ("unconfirmed".to_owned(), since.to_owned())),
        ..row(key(Table::Ledger, &format!("sparse{n}"), "send"), n, b"ledger")
    };
    let rows = [at(1, Some("3")), at(2, None), at(3, Some("1")), at(4, Some("2"))];
    for row in rows {
        put(tables, LAW, row).await;
    }
    let mut other = at(5, Some("0"));
    other.index = Some(("elsewhere".to_owned(), "0".to_owned()));
    put(tables, LAW, other).await;
    let found = must(LAW, tables.query_index(Table::Ledger, "unconfirmed", 10).await);
    assert_eq!(found, [at(3, Some("1")), at(4, Some("2")), at(1, Some("3"))], "{LAW}");
    let found = must(LAW, tables.query_index(Table::Ledger, "unconfirmed", 1).await);
    assert_eq!(found, [at(3, Some("1"))], "{LAW}");

    let leaves = "a row written without its index entry leaves the index";
    put(tables, leaves, at(3, None)).await;
    let found = must(leaves, tables.query_index(Table::Ledger, "unconfirmed", 10).await);
    assert_eq!(found, [at(4, Some("2")), at(1, Some("3"))], "{leaves}");

    let none = "a table without an index has none to ask";
    must_refuse(none, tables.query_index(Table::Profiles, "unconfirmed", 1).await);
    must_refuse(none, tables.query_index(Table::Ledger, "unconfirmed", 0).await);
}

async fn scans_read_every_row_once(tables: &impl Tables) {
    const LAW: &str = "the pages of all segments together hold every row of the table once";
    let at = |n: usize| key(Table::Enrollments, &format!("scan-{}", n % 17), &format!("{n:03}"));
    for n in 0..60 {
        put(tables, LAW, row(at(n), n as u64 + 1, b"x")).await;
    }
    let expected: Vec<Key> = {
        let mut keys: Vec<Key> = (0..60).map(at).collect();
        keys.sort();
        keys
    };
    for (segments, limit) in [(1, 1_000), (1, 7), (4, 3), (40, 1)] {
        let mut found = Vec::new();
        for segment in 0..segments {
            let table = Table::Enrollments;
            let mut scan = Scan { table, segment, segments, after: None, sk: None, limit };
            loop {
                let page = must(LAW, tables.scan(&scan).await);
                assert!(page.rows.len() <= limit, "{LAW}");
                found.extend(page.rows);
                scan.after = page.next;
                if scan.after.is_none() {
                    break;
                }
            }
        }
        let ours = found.into_iter().filter(|row| row.key.pk.starts_with("scan-"));
        let mut keys: Vec<Key> = ours.map(|row| row.key).collect();
        keys.sort();
        assert_eq!(keys, expected, "{LAW}: {segments} segments, {limit} rows a page");
    }
    let sk = Some("031".to_owned());
    let table = Table::Enrollments;
    let scan = Scan { table, segment: 0, segments: 1, after: None, sk, limit: 1_000 };
    let page = must(LAW, tables.scan(&scan).await);
    let found: Vec<(Key, u64)> = page.rows.into_iter().map(|row| (row.key, row.version)).collect();
    assert_eq!(found, [(at(31), 32)], "{LAW}: of one sort key");
    for wrong in [
        Scan { limit: 0, ..scan.clone() },
        Scan { limit: 1_001, ..scan.clone() },
        Scan { segment: 1, ..scan.clone() },
        Scan { segments: 0, ..scan.clone() },
    ] {
        must_refuse(LAW, tables.scan(&wrong).await);
    }
}
