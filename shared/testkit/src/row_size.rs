//! How large DynamoDB finds a row ("Item sizes and formats", developer guide, read 2026-11).

use odyssey_flows::ports::{Key, PortError, Row};

/// The most an item may take, attribute names included.
pub const ITEM_BYTES_MAX: usize = 400 * 1024;
/// The longest partition key.
pub const PARTITION_KEY_BYTES_MAX: usize = 2_048;
/// The longest sort key.
pub const SORT_KEY_BYTES_MAX: usize = 1_024;

/// A number takes about one byte for two digits, and one more.
const fn number_bytes(number: u64) -> usize {
    let digits = match number {
        0 => 1,
        n => n.ilog10() as usize + 1,
    };
    digits.div_ceil(2) + 1
}

/// The bytes of a row with its attribute names (`pk`, `sk`, `v`, `s`, `b`, `t`, `ipk`, `isk`).
#[must_use]
pub fn row_bytes(row: &Row) -> usize {
    let key = "pk".len() + row.key.pk.len() + "sk".len() + row.key.sk.len();
    let head = 1 + number_bytes(row.version) + 1 + number_bytes(u64::from(row.schema));
    let body = 1 + row.body.len();
    let expires = row.expires.map_or(0, |at| 1 + number_bytes(at.ms().unsigned_abs() / 1_000));
    let index = row.index.as_ref().map_or(0, |(pk, sk)| 3 + pk.len() + 3 + sk.len());
    key + head + body + expires + index
}

/// Refuses what DynamoDB refuses.
pub(crate) fn check_key(operation: &'static str, key: &Key) -> Result<(), PortError> {
    for (name, text, limit) in
        [("pk", &key.pk, PARTITION_KEY_BYTES_MAX), ("sk", &key.sk, SORT_KEY_BYTES_MAX)]
    {
        if text.is_empty() || text.len() > limit {
            return Err(PortError::Permanent {
                operation,
                cause: format!("{name} has {} bytes, expected 1..={limit}", text.len()),
            });
        }
    }
    Ok(())
}

/// Refuses what DynamoDB refuses.
pub(crate) fn check_row(operation: &'static str, row: &Row) -> Result<(), PortError> {
    check_key(operation, &row.key)?;
    let bytes = row_bytes(row);
    if bytes > ITEM_BYTES_MAX {
        return Err(PortError::Permanent {
            operation,
            cause: format!("the item has {bytes} bytes, the limit is {ITEM_BYTES_MAX}"),
        });
    }
    Ok(())
}
