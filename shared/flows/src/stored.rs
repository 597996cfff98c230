//! Stored items: how a typed item becomes a row and comes back.
//!
//! A body is one tag byte and the item as JSON with sorted keys: `0` plain, `1` deflated (RFC
//! 1951), whichever is smaller. Readers take the current schema and the one before it, and refuse
//! what is newer without writing over it.

use crate::ports::{Consistency, Expect, Key, PortError, Row, Tables, Write, Written};
use flate2::{Compress, FlushCompress, Status};
use odyssey_domain::ids::ContentHash;
use odyssey_domain::time::Stamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::Read as _;

/// A type that is stored in one row.
pub trait Stored: Serialize + DeserializeOwned + Send + Sync {
    /// Its name in errors and in ARCHITECTURE's table.
    const NAME: &'static str;
    /// The schema it is written in.
    const SCHEMA: u16;
    /// The most bytes its body may take.
    const BYTES_MAX: usize;

    /// When the table may forget it.
    fn expires(&self) -> Option<Stamp> {
        None
    }

    /// Its entry in the table's sparse index.
    fn index(&self) -> Option<(String, String)> {
        None
    }
}

/// An item and the version it was read at.
#[derive(Debug, Clone, PartialEq)]
pub struct Versioned<T> {
    /// Where it stands.
    pub key: Key,
    /// Its version; the next write is conditional on it.
    pub version: u64,
    /// The item.
    pub item: T,
}

/// Why a row is not the item it should be, or an item not a row.
#[derive(Debug, thiserror::Error)]
pub enum StoredError {
    /// Written by a newer release; it is left as it is.
    #[error("{name} has schema {found}, this release reads up to {supported}")]
    Newer {
        /// The item's type.
        name: &'static str,
        /// What the row says.
        found: u16,
        /// What this release knows.
        supported: u16,
    },
    /// Not readable at all.
    #[error("{name} cannot be read: {cause}")]
    Corrupt {
        /// The item's type.
        name: &'static str,
        /// What is wrong, without the content.
        cause: String,
    },
    /// It would pass the item's limit.
    #[error("{name} would take {bytes} bytes, the limit is {limit}")]
    TooLarge {
        /// The item's type.
        name: &'static str,
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The port failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl StoredError {
    /// Whether trying again may work.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, StoredError::Port(error) if error.is_transient())
    }
}

const PLAIN: u8 = 0;
const DEFLATED: u8 = 1;
/// Bytes of JSON from which deflating is tried.
const DEFLATED_FROM: usize = 64;
/// No stored body inflates to more.
const INFLATED_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The tag and the deflated bytes.
fn deflate(json: &[u8]) -> Result<Vec<u8>, String> {
    // A new state for each item: what is kept between items must not reach their bytes, which
    // whoever looks for their own write compares.
    let mut deflater = Compress::new(flate2::Compression::default(), false);
    // Room for the worst case: what does not shrink is kept in blocks, at 5 bytes for each.
    let mut out = Vec::with_capacity(json.len() + json.len() / 1_000 + 64);
    out.push(DEFLATED);
    match deflater.compress_vec(json, &mut out, FlushCompress::Finish) {
        Ok(Status::StreamEnd) => Ok(out),
        Ok(status) => Err(format!("deflating stopped at {status:?}")),
        Err(error) => Err(error.to_string()),
    }
}

/// What was deflated, up to [`INFLATED_BYTES_MAX`].
fn inflate(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut json = Vec::with_capacity(bytes.len().saturating_mul(3));
    let inflating = flate2::bufread::DeflateDecoder::new(bytes);
    inflating.take(INFLATED_BYTES_MAX).read_to_end(&mut json).map_err(|e| e.to_string())?;
    Ok(json)
}

/// An item's body.
///
/// # Errors
/// Where it passes its limit, or what any stored item may inflate to.
pub fn encode<T: Stored>(item: &T) -> Result<Vec<u8>, StoredError> {
    let corrupt = |cause: String| StoredError::Corrupt { name: T::NAME, cause };
    let json = serde_json::to_vec(item).map_err(|e| corrupt(e.to_string()))?;
    // However well it deflates: nobody could read it back.
    if u64::try_from(json.len()).unwrap_or(u64::MAX) > INFLATED_BYTES_MAX {
        let limit = usize::try_from(INFLATED_BYTES_MAX).unwrap_or(usize::MAX);
        return Err(StoredError::TooLarge { name: T::NAME, bytes: json.len(), limit });
    }
    // A few words do not get smaller, and a deflater clears 300 KB before it looks at them.
    let deflated =
        if json.len() < DEFLATED_FROM { None } else { Some(deflate(&json).map_err(corrupt)?) };
    let body = deflated.filter(|deflated| deflated.len() <= json.len()).unwrap_or_else(|| {
        let mut plain = Vec::with_capacity(json.len() + 1);
        plain.push(PLAIN);
        plain.extend_from_slice(&json);
        plain
    });
    if body.len() > T::BYTES_MAX {
        return Err(StoredError::TooLarge {
            name: T::NAME,
            bytes: body.len(),
            limit: T::BYTES_MAX,
        });
    }
    Ok(body)
}

/// The item in a row.
///
/// # Errors
/// Where the row is of a newer schema, or cannot be read.
pub fn decode<T: Stored>(row: &Row) -> Result<T, StoredError> {
    if row.schema > T::SCHEMA {
        return Err(StoredError::Newer { name: T::NAME, found: row.schema, supported: T::SCHEMA });
    }
    let corrupt = |cause: String| StoredError::Corrupt { name: T::NAME, cause };
    // serde's own messages may quote the content, so only the place of the fault is kept.
    let place = |e: serde_json::Error| corrupt(format!("line {} column {}", e.line(), e.column()));
    match row.body.split_first() {
        Some((&PLAIN, json)) => serde_json::from_slice(json).map_err(place),
        Some((&DEFLATED, bytes)) => {
            let json = inflate(bytes).map_err(corrupt)?;
            serde_json::from_slice(&json).map_err(place)
        }
        Some((tag, _)) => Err(corrupt(format!("unknown body tag {tag}"))),
        None => Err(corrupt("empty body".to_owned())),
    }
}

/// Reads one item.
///
/// # Errors
/// Where the port fails or the row cannot be read.
pub async fn load<T: Stored>(
    tables: &impl Tables,
    key: Key,
    consistency: Consistency,
) -> Result<Option<Versioned<T>>, StoredError> {
    match tables.get(&key, consistency).await? {
        None => Ok(None),
        Some(row) => Ok(Some(Versioned { item: decode(&row)?, version: row.version, key })),
    }
}

/// A put of `item` at `key`, conditional on the version it was read at (`None`: on its absence).
///
/// # Errors
/// Where the item passes its limit.
pub fn put<T: Stored>(key: Key, item: &T, read_at: Option<u64>) -> Result<Write, StoredError> {
    let (version, expect) = match read_at {
        None => (1, Expect::Absent),
        Some(version) => (version + 1, Expect::Version(version)),
    };
    Ok(Write::Put { row: row(key, item, version)?, expect })
}

/// The row of an item.
///
/// # Errors
/// Where the item passes its limit.
pub fn row<T: Stored>(key: Key, item: &T, version: u64) -> Result<Row, StoredError> {
    Ok(Row {
        key,
        version,
        schema: T::SCHEMA,
        body: encode(item)?,
        expires: item.expires(),
        index: item.index(),
    })
}

/// What became of a committed write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Committed {
    /// It is durable.
    Done,
    /// Nothing was written; this stands there instead, where the table told.
    Conflict(Option<Row>),
}

/// How often a write whose answer was lost is sent again at once.
const COMMIT_ATTEMPTS: usize = 3;

/// Writes one row. A write whose answer was lost is sent again, and its own trace is recognised:
/// a conflict with the very row it wanted to write is success.
///
/// # Errors
/// Where the port fails; whether it took effect is then not known.
pub async fn commit(tables: &impl Tables, write: Write) -> Result<Committed, StoredError> {
    let mut attempt = 1;
    loop {
        match tables.write(write.clone()).await {
            Ok(Written::Done) => return Ok(Committed::Done),
            Ok(Written::Conflict { current, .. }) => {
                let mine = current.as_ref().is_some_and(|row| is_row_of(&write, row));
                return Ok(if mine { Committed::Done } else { Committed::Conflict(current) });
            }
            Err(error) if error.is_transient() && attempt < COMMIT_ATTEMPTS => attempt += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

/// A transaction that meets another at a counter, or whose answer is lost, is tried so often; its
/// token makes it happen once.
const TRANSACT_ATTEMPTS: u32 = 3;

/// Writes rows, all or none; whether they were written, or another write came between. No rows are
/// written at once, one needs no transaction.
///
/// # Errors
/// Where the port fails; whether it took effect is then not known.
pub async fn commit_all(tables: &impl Tables, mut writes: Vec<Write>) -> Result<bool, StoredError> {
    if writes.len() < 2 {
        return match writes.pop() {
            None => Ok(true),
            Some(only) => Ok(commit(tables, only).await? == Committed::Done),
        };
    }
    let token = token(&writes);
    let mut attempt = 1;
    loop {
        match tables.transact(writes.clone(), &token).await {
            Ok(written) => return Ok(written == Written::Done),
            Err(error) if error.is_transient() && attempt < TRANSACT_ATTEMPTS => attempt += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

/// A token by which a repeated transaction is recognised: the hash of what it writes.
pub(crate) fn token(writes: &[Write]) -> String {
    let mut bytes = Vec::new();
    for write in writes {
        match write {
            Write::Put { row, expect } => {
                let key = format!("{:?}/{}/{expect:?}/", row.key, row.schema);
                bytes.extend_from_slice(key.as_bytes());
                bytes.extend_from_slice(&row.body);
            }
            other => bytes.extend_from_slice(format!("{other:?}").as_bytes()),
        }
    }
    ContentHash::of(&bytes).to_string()
}

/// Whether `found` is the row that `write` puts.
#[must_use]
pub fn is_row_of(write: &Write, found: &Row) -> bool {
    match write {
        Write::Put { row, .. } => {
            row.version == found.version && row.schema == found.schema && row.body == found.body
        }
        Write::Delete { .. } | Write::Check { .. } | Write::Add { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whoever compares a row with the one they wanted to write compares bytes.
        #[test]
        fn deflating_leaves_no_trace_behind(
            one in prop::collection::vec(0_u8..4, 0..2_000), other in prop::collection::vec(0_u8..4, 0..2_000),
        ) {
            let first = deflate(&one).unwrap();
            let _ = deflate(&other).unwrap();
            prop_assert_eq!(deflate(&one).unwrap(), first);
        }

        #[test]
        fn what_is_deflated_inflates(bytes in prop::collection::vec(any::<u8>(), 0..300), times in 1..2_000_usize) {
            let json = bytes.repeat(times);
            let deflated = deflate(&json).unwrap();
            prop_assert_eq!(inflate(&deflated[1..]).unwrap(), json);
        }

        #[test]
        fn what_is_cut_or_damaged_is_an_error_or_other_bytes(
            bytes in prop::collection::vec(any::<u8>(), 1..300), cut in 0..300_usize,
        ) {
            let deflated = deflate(&bytes).unwrap();
            let cut = 1 + cut % (deflated.len() - 1);
            if let Ok(found) = inflate(&deflated[1..cut]) {
                prop_assert_ne!(found, bytes);
            }
        }
    }

    #[derive(Debug, Serialize, serde::Deserialize)]
    struct Wide(String);

    impl Stored for Wide {
        const NAME: &'static str = "wide";
        const SCHEMA: u16 = 1;
        const BYTES_MAX: usize = 256 * 1024;
    }

    /// What deflates to little and would inflate to too much is refused when it is written, not
    /// when it is read.
    #[test]
    fn nothing_is_written_that_nobody_can_read() {
        let most = usize::try_from(INFLATED_BYTES_MAX).unwrap();
        let wide = |bytes: usize| encode(&Wide(" ".repeat(bytes - 2)));
        assert!(wide(most).is_ok());
        assert!(matches!(wide(most + 1), Err(StoredError::TooLarge { .. })));
    }

    #[test]
    fn no_body_inflates_without_end() {
        let most = usize::try_from(INFLATED_BYTES_MAX).unwrap();
        let deflated = deflate(&vec![b' '; most * 2]).unwrap();
        assert_eq!(inflate(&deflated[1..]).unwrap().len(), most);
    }
}
