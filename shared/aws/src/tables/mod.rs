//! `Tables` on DynamoDB.
//!
//! Every row is one item: `pk` and `sk` (S), `v` (N, version), `s` (N, schema), `b` (B, body),
//! `t` (N, seconds, TTL), `ipk` and `isk` (S, the sparse index `by_index`), `ids` (BS, id sets).

mod reads;
mod rows;
mod writes;

use aws_sdk_dynamodb::Client;
use aws_types::SdkConfig;
use odyssey_domain::ids::EventHash;
use odyssey_domain::time::Stamp;
use odyssey_flows::ports::{
    Consistency, Key, PortError, Query, Row, Scan, Scanned, Table, Tables, Write, Written,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The name of the sparse index, in every table that has one.
pub(crate) const INDEX: &str = "by_index";

/// The tables on DynamoDB. A handle: clones share one client.
#[derive(Debug, Clone)]
pub struct DynamoTables {
    client: Client,
    names: Arc<BTreeMap<Table, String>>,
}

impl DynamoTables {
    pub(crate) fn new(config: &SdkConfig, names: BTreeMap<Table, String>) -> DynamoTables {
        DynamoTables { client: Client::new(config), names: Arc::new(names) }
    }

    /// The name of a table that this function said it uses.
    fn name(&self, operation: &'static str, table: Table) -> Result<&str, PortError> {
        self.names.get(&table).map(String::as_str).ok_or_else(|| PortError::Permanent {
            operation,
            cause: format!("this function is not connected to {table:?} ({})", table.env()),
        })
    }
}

impl Tables for DynamoTables {
    async fn get(&self, key: &Key, consistency: Consistency) -> Result<Option<Row>, PortError> {
        self.get_row(key, consistency).await
    }

    async fn get_many(
        &self,
        keys: &[Key],
        consistency: Consistency,
    ) -> Result<Vec<Option<Row>>, PortError> {
        self.get_rows(keys, consistency).await
    }

    async fn write(&self, write: Write) -> Result<Written, PortError> {
        self.write_one(write).await
    }

    async fn transact(&self, writes: Vec<Write>, token: &str) -> Result<Written, PortError> {
        self.write_all(writes, token).await
    }

    async fn query(&self, query: &Query) -> Result<Vec<Row>, PortError> {
        self.query_rows(query).await
    }

    async fn query_index(
        &self,
        table: Table,
        index_pk: &str,
        limit: usize,
    ) -> Result<Vec<Row>, PortError> {
        self.query_index_rows(table, index_pk, limit).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Scanned, PortError> {
        self.scan_rows(scan).await
    }

    async fn add_ids(&self, key: &Key, ids: &[EventHash], expires: Stamp) -> Result<(), PortError> {
        self.add_to_set(key, ids, expires).await
    }

    async fn have_ids(&self, keys: &[Key], ids: &[EventHash]) -> Result<Vec<EventHash>, PortError> {
        self.find_in_sets(keys, ids).await
    }
}
