//! Rows as DynamoDB items and back.

use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_types::Blob;
use odyssey_domain::ids::EventHash;
use odyssey_domain::time::Stamp;
use odyssey_flows::ports::{Key, PortError, Row, Table};
use std::collections::HashMap;

/// An item as the SDK has it.
pub(super) type Item = HashMap<String, AttributeValue>;

pub(super) fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

pub(super) fn number(value: impl Into<i128>) -> AttributeValue {
    AttributeValue::N(value.into().to_string())
}

/// Time-to-live is counted in whole seconds; rounding up never shortens a life.
pub(super) fn seconds(at: Stamp) -> AttributeValue {
    number((at.ms() + 999) / 1_000)
}

pub(super) fn key_item(key: &Key) -> Item {
    Item::from([("pk".to_owned(), text(&key.pk)), ("sk".to_owned(), text(&key.sk))])
}

pub(super) fn item(row: Row) -> Item {
    let mut item = Item::from([
        ("pk".to_owned(), AttributeValue::S(row.key.pk)),
        ("sk".to_owned(), AttributeValue::S(row.key.sk)),
        ("v".to_owned(), number(row.version)),
        ("s".to_owned(), number(row.schema)),
        ("b".to_owned(), AttributeValue::B(Blob::new(row.body))),
    ]);
    if let Some(at) = row.expires {
        item.insert("t".to_owned(), seconds(at));
    }
    if let Some((pk, sk)) = row.index {
        item.insert("ipk".to_owned(), AttributeValue::S(pk));
        item.insert("isk".to_owned(), AttributeValue::S(sk));
    }
    item
}

/// The row in an item. Absent numbers are 0 and an absent body is empty: so a set of ids reads. A
/// counter's body is its number.
pub(super) fn row(operation: &'static str, table: Table, mut item: Item) -> Result<Row, PortError> {
    let unreadable = |attribute: &str| PortError::Permanent {
        operation,
        cause: format!("attribute {attribute} of an item in {table:?} is not of its type"),
    };
    let mut text = |attribute: &'static str| match item.remove(attribute) {
        None => Ok(None),
        Some(AttributeValue::S(value)) => Ok(Some(value)),
        Some(_) => Err(unreadable(attribute)),
    };
    let pk = text("pk")?.ok_or_else(|| unreadable("pk"))?;
    let sk = text("sk")?.ok_or_else(|| unreadable("sk"))?;
    let index = text("ipk")?.zip(text("isk")?);
    let number = |attribute: &'static str| match item.get(attribute) {
        None => Ok(None),
        Some(AttributeValue::N(value)) => {
            value.parse::<u64>().map(Some).map_err(|_| unreadable(attribute))
        }
        Some(_) => Err(unreadable(attribute)),
    };
    let version = number("v")?.unwrap_or(0);
    let schema = u16::try_from(number("s")?.unwrap_or(0)).map_err(|_| unreadable("s"))?;
    let expires = number("t")?.map(|seconds| {
        Stamp::from_ms(i64::try_from(seconds.saturating_mul(1_000)).unwrap_or(i64::MAX))
    });
    let body = match item.remove("b").or_else(|| item.remove("n")) {
        None => Vec::new(),
        Some(AttributeValue::N(count)) => count.into_bytes(),
        Some(AttributeValue::B(body)) => body.into_inner(),
        Some(_) => return Err(unreadable("b")),
    };
    Ok(Row { key: Key { table, pk, sk }, version, schema, body, expires, index })
}

/// The ids in a set's item.
pub(super) fn ids(item: &Item) -> impl Iterator<Item = EventHash> {
    let blobs = match item.get("ids") {
        Some(AttributeValue::Bs(blobs)) => blobs.as_slice(),
        _ => &[],
    };
    blobs.iter().filter_map(|blob| blob.as_ref().try_into().ok().map(EventHash))
}

/// An attribute of ids; DynamoDB refuses an empty set and one that names an id twice.
pub(super) fn id_set(ids: &std::collections::BTreeSet<EventHash>) -> AttributeValue {
    AttributeValue::Bs(ids.iter().map(|id| Blob::new(id.0.to_vec())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Row {
        Row {
            key: Key { table: Table::Ledger, pk: "p".to_owned(), sk: "s".to_owned() },
            version: 3,
            schema: 2,
            body: vec![0, 1, 255],
            expires: Some(Stamp::from_ms(1_795_289_076_000)),
            index: Some(("unconfirmed".to_owned(), "000".to_owned())),
        }
    }

    #[test]
    fn rows_come_back() {
        assert_eq!(row("test", Table::Ledger, item(sample())).unwrap(), sample());
        let bare = Row { expires: None, index: None, body: Vec::new(), ..sample() };
        assert_eq!(row("test", Table::Ledger, item(bare.clone())).unwrap(), bare);
    }

    #[test]
    fn a_wrong_type_is_named_without_its_value() {
        let mut bad = item(sample());
        bad.insert("v".to_owned(), text("ann@example.com"));
        let error = row("test", Table::Ledger, bad).unwrap_err();
        assert!(!error.is_transient());
        assert_eq!(
            error.to_string(),
            "test was refused: attribute v of an item in Ledger is not of its type"
        );
    }
}
