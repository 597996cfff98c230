//! Transactions.

use super::{key, must, must_be_done, must_conflict, must_refuse, row};
use odyssey_flows::ports::{Consistency, Expect, Key, PortError, Row, Table, Tables, Write};

pub(super) async fn all(tables: &impl Tables) {
    all_or_nothing(tables).await;
    conflicts_name_their_write(tables).await;
    tokens_make_repetition_safe(tables).await;
    limits_are_kept(tables).await;
}

const fn put(row: Row, expect: Expect) -> Write {
    Write::Put { row, expect }
}

async fn version(tables: &impl Tables, law: &str, key: &Key) -> Option<u64> {
    must(law, tables.get(key, Consistency::Strong).await).map(|row| row.version)
}

async fn all_or_nothing(tables: &impl Tables) {
    const LAW: &str = "all writes of a transaction happen, or none";
    let contact = key(Table::Contacts, "all", "contact");
    let send = key(Table::Ledger, "all", "send");
    let old = key(Table::Ledger, "all", "old");
    must_be_done(LAW, tables.write(put(row(old.clone(), 1, b"old"), Expect::Absent)).await);
    let writes = |seen: Expect, version| {
        vec![
            put(row(contact.clone(), version, b"claim"), seen),
            put(row(send.clone(), version, b"claimed"), seen),
            Write::Delete { key: old.clone(), expect: Expect::Version(1) },
            Write::Check { key: key(Table::Profiles, "all", "nobody"), expect: Expect::Absent },
            Write::Check { key: key(Table::Profiles, "all", "anybody"), expect: Expect::Any },
        ]
    };
    must_be_done(LAW, tables.transact(writes(Expect::Absent, 1), "all 1").await);
    assert_eq!(version(tables, LAW, &contact).await, Some(1), "{LAW}");
    assert_eq!(version(tables, LAW, &send).await, Some(1), "{LAW}");
    assert_eq!(version(tables, LAW, &old).await, None, "{LAW}");
    // The delete's condition no longer holds.
    must_conflict(LAW, tables.transact(writes(Expect::Version(1), 2), "all 2").await, 2, None);
    assert_eq!(version(tables, LAW, &contact).await, Some(1), "{LAW}");
    assert_eq!(version(tables, LAW, &send).await, Some(1), "{LAW}");
    must_be_done(LAW, tables.transact(Vec::new(), "nothing").await);
}

async fn conflicts_name_their_write(tables: &impl Tables) {
    const LAW: &str = "a conflict names the first write whose condition failed, and what is there";
    let a = row(key(Table::Ledger, "named", "a"), 1, b"a");
    let b = row(key(Table::Ledger, "named", "b"), 7, b"b");
    for there in [&a, &b] {
        must_be_done(LAW, tables.write(put(there.clone(), Expect::Absent)).await);
    }
    let check_any = Write::Check { key: key(Table::Contacts, "named", "x"), expect: Expect::Any };
    let writes = vec![
        check_any.clone(),
        put(row(a.key.clone(), 2, b"new"), Expect::Version(1)),
        put(row(b.key.clone(), 2, b"new"), Expect::Absent),
    ];
    must_conflict(LAW, tables.transact(writes, "named 1").await, 2, Some(b.clone()));
    let writes = vec![
        check_any,
        Write::Check { key: b.key.clone(), expect: Expect::Version(6) },
        Write::Delete { key: a.key.clone(), expect: Expect::Version(9) },
    ];
    must_conflict(LAW, tables.transact(writes, "named 2").await, 1, Some(b));
    let writes = vec![Write::Delete { key: a.key.clone(), expect: Expect::Version(9) }];
    must_conflict(LAW, tables.transact(writes, "named 3").await, 0, Some(a));
}

async fn tokens_make_repetition_safe(tables: &impl Tables) {
    const LAW: &str = "a transaction repeated under its token is done, and done once";
    let at = key(Table::Ledger, "token", "a");
    let first = vec![put(row(at.clone(), 1, b"first"), Expect::Absent)];
    // Longer than the 36 characters that DynamoDB takes.
    let token = "a token that is as long as any that a flow may make of its ids";
    must_be_done(LAW, tables.transact(first.clone(), token).await);
    let second = put(row(at.clone(), 2, b"second"), Expect::Version(1));
    must_be_done(LAW, tables.write(second).await);
    must_be_done(LAW, tables.transact(first.clone(), token).await);
    assert_eq!(version(tables, LAW, &at).await, Some(2), "{LAW}");
    // Under another token it is another transaction.
    let current = row(at.clone(), 2, b"second");
    must_conflict(LAW, tables.transact(first, "token 2").await, 0, Some(current));

    // Another release made other writes of the same delivery: it is decided anew.
    let reused = "a token used for other writes is refused, and what is decided anew has another";
    let other = vec![put(row(at, 3, b"third"), Expect::Any)];
    let answer = tables.transact(other, token).await;
    assert!(answer.as_ref().is_err_and(PortError::is_transient), "{reused}: {answer:?}");

    let failed = "a transaction that conflicted may be tried again under its token";
    let at = key(Table::Ledger, "token", "b");
    let writes = vec![put(row(at.clone(), 2, b"next"), Expect::Version(1))];
    must_conflict(failed, tables.transact(writes.clone(), "token 3").await, 0, None);
    must_be_done(failed, tables.write(put(row(at, 1, b"first"), Expect::Absent)).await);
    must_be_done(failed, tables.transact(writes, "token 3").await);
}

async fn limits_are_kept(tables: &impl Tables) {
    const LAW: &str = "a transaction has at most 100 writes, no two to one row";
    let put_at =
        |n: usize| put(row(key(Table::Due, "limits", &format!("{n:03}")), 1, b""), Expect::Any);
    must_be_done(LAW, tables.transact((0..100).map(put_at).collect(), "limits 1").await);
    must_refuse(LAW, tables.transact((0..101).map(put_at).collect(), "limits 2").await);
    must_refuse(LAW, tables.transact(vec![put_at(1), put_at(1)], "limits 3").await);
    let check = Write::Check { key: key(Table::Due, "limits", "001"), expect: Expect::Any };
    must_refuse(LAW, tables.transact(vec![put_at(1), check], "limits 4").await);
}
