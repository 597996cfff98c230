//! Sets of ids.

use super::{key, must, must_be_done};
use odyssey_domain::ids::EventHash;
use odyssey_domain::time::Stamp;
use odyssey_flows::ports::{Consistency, Expect, Query, Table, Tables, Write};

pub(super) async fn all(tables: &impl Tables) {
    ids_are_added_once(tables).await;
    a_set_is_a_row(tables).await;
}

fn ids(range: std::ops::Range<u32>) -> Vec<EventHash> {
    range.map(|n| EventHash::of(&n.to_string())).collect()
}

async fn ids_are_added_once(tables: &impl Tables) {
    const LAW: &str = "adding ids twice is adding them once; all are found at once";
    let expires = Stamp::from_ms(1_800_000_000_000);
    let (a, b) = (key(Table::Profiles, "ids", "ids#a"), key(Table::Profiles, "ids", "ids#b"));
    let both = [a.clone(), b.clone()];
    assert_eq!(must(LAW, tables.have_ids(&both, &ids(0..3)).await), [], "{LAW}");
    must(LAW, tables.add_ids(&a, &ids(0..5), expires).await);
    must(LAW, tables.add_ids(&a, &ids(3..8), expires).await);
    must(LAW, tables.add_ids(&a, &ids(3..8), expires).await);
    must(LAW, tables.add_ids(&b, &ids(20..21), expires).await);
    let doubled = [ids(20..21), ids(20..21)].concat();
    must(LAW, tables.add_ids(&b, &doubled, expires).await);
    must(LAW, tables.add_ids(&b, &[], expires).await);
    let found = must(LAW, tables.have_ids(&both, &ids(0..30)).await);
    assert_eq!(found, [ids(0..8), ids(20..21)].concat(), "{LAW}");
    let found = must(LAW, tables.have_ids(std::slice::from_ref(&b), &ids(0..30)).await);
    assert_eq!(found, ids(20..21), "{LAW}");
    // A set asked for twice is asked for once.
    let found = must(LAW, tables.have_ids(&[b.clone(), b], &ids(20..21)).await);
    assert_eq!(found, ids(20..21), "{LAW}");
    assert_eq!(must(LAW, tables.have_ids(&[], &ids(0..3)).await), [], "{LAW}");

    let many = "sets may be asked for in any number";
    let keys: Vec<_> = (0..150).map(|n| key(Table::Profiles, "ids", &format!("n#{n}"))).collect();
    if let Some(last) = keys.last() {
        must(many, tables.add_ids(last, &ids(40..41), expires).await);
    }
    assert_eq!(must(many, tables.have_ids(&keys, &ids(40..42)).await), ids(40..41), "{many}");
}

async fn a_set_is_a_row(tables: &impl Tables) {
    const LAW: &str = "a set reads as a row of version 0 without a body, and can be deleted";
    let at = key(Table::Profiles, "set", "ids#x");
    must(LAW, tables.add_ids(&at, &ids(0..1), Stamp::from_ms(7_001)).await);
    let query = Query {
        table: Table::Profiles,
        pk: "set".to_owned(),
        from: "ids#".to_owned(),
        to: "ids#\u{10FFFF}".to_owned(),
        limit: 10,
        descending: false,
        consistency: Consistency::Strong,
    };
    let found = must(LAW, tables.query(&query).await);
    let shown: Vec<_> = found.iter().map(|r| (r.version, r.body.len(), r.expires)).collect();
    assert_eq!(shown, [(0, 0, Some(Stamp::from_ms(8_000)))], "{LAW}");
    let delete = Write::Delete { key: at.clone(), expect: Expect::Any };
    must_be_done(LAW, tables.write(delete).await);
    assert_eq!(must(LAW, tables.have_ids(&[at], &ids(0..1)).await), [], "{LAW}");
}
