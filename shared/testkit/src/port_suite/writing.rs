//! Single writes.

use super::{key, must, must_be_done, must_conflict, must_refuse, row};
use crate::row_size::{ITEM_BYTES_MAX, PARTITION_KEY_BYTES_MAX, SORT_KEY_BYTES_MAX, row_bytes};
use odyssey_domain::time::Stamp;
use odyssey_flows::ports::{Consistency, Expect, Row, Table, Tables, Write};

pub(super) async fn all(tables: &impl Tables) {
    rows_come_back_whole(tables).await;
    puts_are_conditional(tables).await;
    deletes_are_conditional(tables).await;
    checks_write_nothing(tables).await;
    tables_are_apart(tables).await;
    sizes_are_limited(tables).await;
}

async fn rows_come_back_whole(tables: &impl Tables) {
    const LAW: &str = "a row comes back as it was written, at once";
    let full = Row {
        key: key(Table::Ledger, "whole", "full"),
        version: u64::from(u32::MAX) + 1,
        schema: u16::MAX,
        body: (0..=255).collect(),
        expires: Some(Stamp::from_ms(1_795_289_075_839)),
        index: Some(("whole".to_owned(), "000000000000001".to_owned())),
    };
    let bare = row(key(Table::Ledger, "whole", "ünicode#\u{10FFFF}"), 1, b"");
    for written in [full, bare] {
        let put = Write::Put { row: written.clone(), expect: Expect::Absent };
        must_be_done(LAW, tables.write(put).await);
        let found = must(LAW, tables.get(&written.key, Consistency::Strong).await);
        // Expiry is kept in whole seconds, rounded up.
        let expires = written.expires.map(|_| Stamp::from_ms(1_795_289_076_000));
        assert_eq!(found, Some(Row { expires, ..written }), "{LAW}");
    }
    let nowhere = key(Table::Ledger, "whole", "nowhere");
    assert_eq!(must(LAW, tables.get(&nowhere, Consistency::Strong).await), None, "{LAW}");

    let law = "what has expired can still be read and still counts as there";
    let mut expired = row(key(Table::Profiles, "whole", "expired"), 1, b"old");
    expired.expires = Some(Stamp::from_ms(1_000));
    let put = Write::Put { row: expired.clone(), expect: Expect::Absent };
    must_be_done(law, tables.write(put.clone()).await);
    let found = must(law, tables.get(&expired.key, Consistency::Strong).await);
    assert_eq!(found.as_ref(), Some(&expired), "{law}");
    must_conflict(law, tables.write(put).await, 0, Some(expired));
}

async fn puts_are_conditional(tables: &impl Tables) {
    const LAW: &str = "a put happens where its condition holds, else tells what is there";
    let at = key(Table::Profiles, "put", "a");
    let put = |version, expect| Write::Put {
        row: row(at.clone(), version, format!("v{version}").as_bytes()),
        expect,
    };
    let stands = |version: u64| Some(row(at.clone(), version, format!("v{version}").as_bytes()));
    must_conflict(LAW, tables.write(put(2, Expect::Version(1))).await, 0, None);
    must_be_done(LAW, tables.write(put(1, Expect::Absent)).await);
    must_conflict(LAW, tables.write(put(1, Expect::Absent)).await, 0, stands(1));
    must_be_done(LAW, tables.write(put(2, Expect::Version(1))).await);
    must_conflict(LAW, tables.write(put(2, Expect::Version(1))).await, 0, stands(2));
    must_conflict(LAW, tables.write(put(4, Expect::Version(3))).await, 0, stands(2));
    must_be_done(LAW, tables.write(put(9, Expect::Any)).await);
    let found = must(LAW, tables.get(&at, Consistency::Strong).await);
    assert_eq!(found, stands(9), "{LAW}");

    let replace = "a put replaces the whole row";
    let full = Row {
        expires: Some(Stamp::from_ms(5_000)),
        index: Some(("put".to_owned(), "1".to_owned())),
        ..row(key(Table::Ledger, "put", "whole"), 1, b"first")
    };
    let bare = row(full.key.clone(), 2, b"second");
    must_be_done(replace, tables.write(Write::Put { row: full, expect: Expect::Any }).await);
    let put = Write::Put { row: bare.clone(), expect: Expect::Version(1) };
    must_be_done(replace, tables.write(put).await);
    let found = must(replace, tables.get(&bare.key, Consistency::Strong).await);
    assert_eq!(found, Some(bare), "{replace}");
}

async fn deletes_are_conditional(tables: &impl Tables) {
    const LAW: &str = "a delete happens where its condition holds, else tells what is there";
    let there = row(key(Table::Due, "delete", "a"), 3, b"x");
    let delete = |expect| Write::Delete { key: there.key.clone(), expect };
    must_be_done(LAW, tables.write(delete(Expect::Any)).await);
    must_conflict(LAW, tables.write(delete(Expect::Version(3))).await, 0, None);
    let put = Write::Put { row: there.clone(), expect: Expect::Any };
    must_be_done(LAW, tables.write(put).await);
    must_conflict(LAW, tables.write(delete(Expect::Version(2))).await, 0, Some(there.clone()));
    must_conflict(LAW, tables.write(delete(Expect::Absent)).await, 0, Some(there.clone()));
    must_be_done(LAW, tables.write(delete(Expect::Version(3))).await);
    assert_eq!(must(LAW, tables.get(&there.key, Consistency::Strong).await), None, "{LAW}");
    must_be_done(LAW, tables.write(delete(Expect::Absent)).await);
}

async fn checks_write_nothing(tables: &impl Tables) {
    const LAW: &str = "a check alone tells whether its condition holds, and changes nothing";
    let there = row(key(Table::Contacts, "check", "a"), 1, b"x");
    let check = |expect| Write::Check { key: there.key.clone(), expect };
    must_be_done(LAW, tables.write(check(Expect::Absent)).await);
    must_conflict(LAW, tables.write(check(Expect::Version(1))).await, 0, None);
    let put = Write::Put { row: there.clone(), expect: Expect::Any };
    must_be_done(LAW, tables.write(put).await);
    must_be_done(LAW, tables.write(check(Expect::Version(1))).await);
    must_be_done(LAW, tables.write(check(Expect::Any)).await);
    must_conflict(LAW, tables.write(check(Expect::Absent)).await, 0, Some(there.clone()));
    let found = must(LAW, tables.get(&there.key, Consistency::Strong).await);
    assert_eq!(found, Some(there), "{LAW}");
}

async fn tables_are_apart(tables: &impl Tables) {
    const LAW: &str = "the same key in two tables is two rows";
    for (version, table) in (1..).zip(Table::ALL) {
        let put =
            Write::Put { row: row(key(table, "apart", "a"), version, b""), expect: Expect::Absent };
        must_be_done(LAW, tables.write(put).await);
    }
    for (version, table) in (1..).zip(Table::ALL) {
        let found = must(LAW, tables.get(&key(table, "apart", "a"), Consistency::Strong).await);
        assert_eq!(found.map(|row| row.version), Some(version), "{LAW}");
    }
}

async fn sizes_are_limited(tables: &impl Tables) {
    const LAW: &str = "keys and items have DynamoDB's limits";
    let put = |row: Row| Write::Put { row, expect: Expect::Any };
    for (pk, sk) in [
        (String::new(), "a".to_owned()),
        ("sizes".to_owned(), String::new()),
        ("p".repeat(PARTITION_KEY_BYTES_MAX + 1), "a".to_owned()),
        ("sizes".to_owned(), "s".repeat(SORT_KEY_BYTES_MAX + 1)),
    ] {
        let bad = key(Table::Profiles, &pk, &sk);
        must_refuse(LAW, tables.write(put(row(bad.clone(), 1, b""))).await);
        must_refuse(LAW, tables.get(&bad, Consistency::Strong).await);
        let delete = Write::Delete { key: bad, expect: Expect::Any };
        must_refuse(LAW, tables.transact(vec![delete], "sizes of keys").await);
    }
    let longest = "s".repeat(SORT_KEY_BYTES_MAX);
    let longest = key(Table::Profiles, &"p".repeat(PARTITION_KEY_BYTES_MAX), &longest);
    must_be_done(LAW, tables.write(put(row(longest, 1, b""))).await);

    let at = key(Table::Profiles, "sizes", "item");
    let head = row_bytes(&row(at.clone(), 1, b""));
    let body = |bytes| vec![7; bytes];
    let fits = row(at.clone(), 1, &body(ITEM_BYTES_MAX - head));
    must_be_done(LAW, tables.write(put(fits.clone())).await);
    let too_large = row(at.clone(), 2, &body(ITEM_BYTES_MAX - head + 1));
    must_refuse(LAW, tables.write(put(too_large.clone())).await);
    must_refuse(LAW, tables.transact(vec![put(too_large)], "size of an item").await);
    let found = must(LAW, tables.get(&at, Consistency::Strong).await);
    assert_eq!(found, Some(fits), "{LAW}");
}
