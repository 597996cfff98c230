//! Reading.

use super::rows::{self, Item};
use super::{DynamoTables, INDEX};
use crate::failure::port_error;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use odyssey_domain::ids::EventHash;
use odyssey_flows::ports::{
    Consistency, Key, PortError, Query, Row, SEGMENTS_MAX, Scan, Scanned, Table,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

/// The most keys of one `get_many` and of one `BatchGetItem`.
const KEYS_MAX: usize = 100;
/// How often `UnprocessedKeys` are asked for again, after 25, 50, 100 … ms.
const UNPROCESSED_ROUNDS: u32 = 6;
/// The most rows of a query.
const ROWS_MAX: usize = 1_000;

const fn is_strong(consistency: Consistency) -> bool {
    matches!(consistency, Consistency::Strong)
}

fn too_many(operation: &'static str, found: usize, limit: usize) -> PortError {
    PortError::Permanent { operation, cause: format!("{found} asked for, expected 1..={limit}") }
}

/// Where an item stands, without its table.
type Place = (Table, String, String);

fn place(key: &Key) -> Place {
    (key.table, key.pk.clone(), key.sk.clone())
}

impl DynamoTables {
    pub(super) async fn get_row(
        &self,
        key: &Key,
        consistency: Consistency,
    ) -> Result<Option<Row>, PortError> {
        const AT: &str = "GetItem";
        let answer = self
            .client
            .get_item()
            .table_name(self.name(AT, key.table)?)
            .set_key(Some(rows::key_item(key)))
            .consistent_read(is_strong(consistency))
            .send()
            .await
            .map_err(|error| port_error(AT, &error))?;
        answer.item.map(|item| rows::row(AT, key.table, item)).transpose()
    }

    pub(super) async fn get_rows(
        &self,
        keys: &[Key],
        consistency: Consistency,
    ) -> Result<Vec<Option<Row>>, PortError> {
        const AT: &str = "BatchGetItem";
        if keys.len() > KEYS_MAX {
            return Err(too_many(AT, keys.len(), KEYS_MAX));
        }
        let mut found = BTreeMap::new();
        for (table, item) in self.batch_get(keys, is_strong(consistency)).await? {
            let row = rows::row(AT, table, item)?;
            found.insert(place(&row.key), row);
        }
        Ok(keys.iter().map(|key| found.get(&place(key)).cloned()).collect())
    }

    pub(super) async fn find_in_sets(
        &self,
        keys: &[Key],
        ids: &[EventHash],
    ) -> Result<Vec<EventHash>, PortError> {
        let mut known = BTreeSet::new();
        for keys in keys.chunks(KEYS_MAX) {
            for (_, item) in self.batch_get(keys, true).await? {
                known.extend(rows::ids(&item));
            }
        }
        Ok(ids.iter().copied().filter(|id| known.contains(id)).collect())
    }

    /// Items in any order. A key asked for twice is fetched once, as DynamoDB wants it.
    async fn batch_get(
        &self,
        keys: &[Key],
        consistent: bool,
    ) -> Result<Vec<(Table, Item)>, PortError> {
        const AT: &str = "BatchGetItem";
        let mut wanted: BTreeMap<Table, Vec<Item>> = BTreeMap::new();
        for key in keys.iter().collect::<BTreeSet<_>>() {
            wanted.entry(key.table).or_default().push(rows::key_item(key));
        }
        let mut tables: BTreeMap<String, Table> = BTreeMap::new();
        let mut request = HashMap::new();
        for (table, keys) in wanted {
            let name = self.name(AT, table)?.to_owned();
            let keys = KeysAndAttributes::builder()
                .set_keys(Some(keys))
                .consistent_read(consistent)
                .build()
                .map_err(|_| PortError::Permanent { operation: AT, cause: "no keys".to_owned() })?;
            request.insert(name.clone(), keys);
            tables.insert(name, table);
        }
        let mut items = Vec::new();
        for round in 0..=UNPROCESSED_ROUNDS {
            if request.is_empty() {
                return Ok(items);
            }
            if round > 0 {
                tokio::time::sleep(Duration::from_millis(25) * 2_u32.pow(round - 1)).await;
            }
            let answer = self
                .client
                .batch_get_item()
                .set_request_items(Some(request))
                .send()
                .await
                .map_err(|error| port_error(AT, &error))?;
            let mut responses = answer.responses.unwrap_or_default();
            for (name, table) in &tables {
                let found = responses.remove(name).unwrap_or_default();
                items.extend(found.into_iter().map(|item| (*table, item)));
            }
            request = answer.unprocessed_keys.unwrap_or_default();
        }
        let cause = "keys were left unprocessed".to_owned();
        Err(PortError::Transient { operation: AT, cause })
    }

    pub(super) async fn query_rows(&self, query: &Query) -> Result<Vec<Row>, PortError> {
        const AT: &str = "Query";
        if query.limit == 0 || query.limit > ROWS_MAX {
            return Err(too_many(AT, query.limit, ROWS_MAX));
        }
        // DynamoDB refuses a range that ends before it begins, and an empty bound.
        if query.from > query.to {
            return Ok(Vec::new());
        }
        let (condition, from) = if query.from.is_empty() {
            ("pk = :pk AND sk <= :to", None)
        } else {
            ("pk = :pk AND sk BETWEEN :from AND :to", Some(rows::text(&query.from)))
        };
        let mut values = HashMap::from([
            (":pk".to_owned(), rows::text(&query.pk)),
            (":to".to_owned(), rows::text(&query.to)),
        ]);
        values.extend(from.map(|from| (":from".to_owned(), from)));
        let ask = Ask {
            table: query.table,
            index: None,
            condition,
            values,
            limit: query.limit,
            descending: query.descending,
            consistent: is_strong(query.consistency),
        };
        self.pages(ask).await
    }

    pub(super) async fn query_index_rows(
        &self,
        table: Table,
        index_pk: &str,
        limit: usize,
    ) -> Result<Vec<Row>, PortError> {
        if limit == 0 || limit > ROWS_MAX {
            return Err(too_many("Query", limit, ROWS_MAX));
        }
        let ask = Ask {
            table,
            index: Some(INDEX),
            condition: "ipk = :ipk",
            values: HashMap::from([(":ipk".to_owned(), rows::text(index_pk))]),
            limit,
            descending: false,
            consistent: false,
        };
        self.pages(ask).await
    }

    /// One page, which ends at the limit or at 1 MB.
    pub(super) async fn scan_rows(&self, scan: &Scan) -> Result<Scanned, PortError> {
        const AT: &str = "Scan";
        if scan.limit == 0 || scan.limit > ROWS_MAX {
            return Err(too_many(AT, scan.limit, ROWS_MAX));
        }
        if scan.segments == 0 || scan.segments > SEGMENTS_MAX || scan.segment >= scan.segments {
            let cause = format!("segment {} of {}", scan.segment, scan.segments);
            return Err(PortError::Permanent { operation: AT, cause });
        }
        let number = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
        let mut call = self
            .client
            .scan()
            .table_name(self.name(AT, scan.table)?)
            .segment(number(scan.segment))
            .total_segments(number(scan.segments))
            .limit(i32::try_from(scan.limit).unwrap_or(i32::MAX))
            .set_exclusive_start_key(scan.after.as_ref().map(rows::key_item));
        if let Some(sk) = &scan.sk {
            call = call
                .filter_expression("sk = :sk")
                .expression_attribute_values(":sk", rows::text(sk));
        }
        let answer = call.send().await.map_err(|error| port_error(AT, &error))?;
        let items = answer.items.unwrap_or_default();
        let found: Result<Vec<Row>, PortError> =
            items.into_iter().map(|item| rows::row(AT, scan.table, item)).collect();
        let last = answer.last_evaluated_key.map(|item| rows::row(AT, scan.table, item));
        Ok(Scanned { rows: found?, next: last.transpose()?.map(|row| row.key) })
    }

    /// Pages of at most 1 MB each until the limit is reached or nothing is left.
    async fn pages(&self, ask: Ask) -> Result<Vec<Row>, PortError> {
        const AT: &str = "Query";
        let name = self.name(AT, ask.table)?;
        let mut rows = Vec::new();
        let mut next: Option<HashMap<String, AttributeValue>> = None;
        loop {
            let left = ask.limit.saturating_sub(rows.len());
            let answer = self
                .client
                .query()
                .table_name(name)
                .set_index_name(ask.index.map(str::to_owned))
                .key_condition_expression(ask.condition)
                .set_expression_attribute_values(Some(ask.values.clone()))
                .limit(i32::try_from(left).unwrap_or(i32::MAX))
                .scan_index_forward(!ask.descending)
                .consistent_read(ask.consistent)
                .set_exclusive_start_key(next)
                .send()
                .await
                .map_err(|error| port_error(AT, &error))?;
            for item in answer.items.unwrap_or_default() {
                rows.push(rows::row(AT, ask.table, item)?);
            }
            next = answer.last_evaluated_key;
            if next.is_none() || rows.len() >= ask.limit {
                return Ok(rows);
            }
        }
    }
}

/// One question, whatever index it goes to.
struct Ask {
    table: Table,
    index: Option<&'static str>,
    condition: &'static str,
    values: HashMap<String, AttributeValue>,
    limit: usize,
    descending: bool,
    consistent: bool,
}
