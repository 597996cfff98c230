//! Writing.

use super::DynamoTables;
use super::rows::{self, Item};
use crate::failure::port_error;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, ConditionCheck, Delete, Put,
    ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use odyssey_domain::ids::{ContentHash, EventHash};
use odyssey_domain::time::Stamp;
use odyssey_flows::ports::{Consistency, Expect, Key, PortError, Row, Table, Write, Written};
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

/// The most writes of a transaction.
const WRITES_MAX: usize = 100;

/// A condition as DynamoDB takes it.
struct Condition {
    expression: Option<&'static str>,
    values: Option<HashMap<String, AttributeValue>>,
}

fn condition(expect: Expect) -> Condition {
    match expect {
        Expect::Any => Condition { expression: None, values: None },
        Expect::Absent => Condition { expression: Some("attribute_not_exists(pk)"), values: None },
        Expect::Version(version) => Condition {
            expression: Some("v = :v"),
            values: Some(HashMap::from([(":v".to_owned(), rows::number(version))])),
        },
    }
}

/// Adds to a counter, an item whose number is `n`.
const ADD: &str = "ADD n :by";

const ALL_OLD: ReturnValuesOnConditionCheckFailure = ReturnValuesOnConditionCheckFailure::AllOld;

const fn key_of(write: &Write) -> &Key {
    match write {
        Write::Put { row, .. } => &row.key,
        Write::Delete { key, .. } | Write::Check { key, .. } | Write::Add { key, .. } => key,
    }
}

fn conflict(
    operation: &'static str,
    table: Table,
    index: usize,
    item: Option<&Item>,
) -> Result<Written, PortError> {
    let current = item.map(|item| rows::row(operation, table, item.clone())).transpose()?;
    Ok(Written::Conflict { index, current })
}

impl DynamoTables {
    pub(super) async fn write_one(&self, write: Write) -> Result<Written, PortError> {
        match write {
            Write::Put { row, expect } => self.put(row, expect).await,
            Write::Delete { key, expect } => self.delete(&key, expect).await,
            Write::Check { key, expect } => self.check(&key, expect).await,
            Write::Add { key, by } => self.add(&key, by).await,
        }
    }

    async fn add(&self, key: &Key, by: i64) -> Result<Written, PortError> {
        const AT: &str = "UpdateItem";
        self.client
            .update_item()
            .table_name(self.name(AT, key.table)?)
            .set_key(Some(rows::key_item(key)))
            .update_expression(ADD)
            .expression_attribute_values(":by", rows::number(by))
            .send()
            .await
            .map_err(|error| port_error(AT, &error))?;
        Ok(Written::Done)
    }

    async fn put(&self, row: Row, expect: Expect) -> Result<Written, PortError> {
        const AT: &str = "PutItem";
        let table = row.key.table;
        let condition = condition(expect);
        let sent = self
            .client
            .put_item()
            .table_name(self.name(AT, table)?)
            .set_item(Some(rows::item(row)))
            .set_condition_expression(condition.expression.map(str::to_owned))
            .set_expression_attribute_values(condition.values)
            .return_values_on_condition_check_failure(ALL_OLD)
            .send()
            .await;
        match sent {
            Ok(_) => Ok(Written::Done),
            Err(error) => match error.as_service_error() {
                Some(aws_sdk_dynamodb::operation::put_item::PutItemError::ConditionalCheckFailedException(failed)) => {
                    conflict(AT, table, 0, failed.item())
                }
                _ => Err(port_error(AT, &error)),
            },
        }
    }

    async fn delete(&self, key: &Key, expect: Expect) -> Result<Written, PortError> {
        const AT: &str = "DeleteItem";
        let condition = condition(expect);
        let sent = self
            .client
            .delete_item()
            .table_name(self.name(AT, key.table)?)
            .set_key(Some(rows::key_item(key)))
            .set_condition_expression(condition.expression.map(str::to_owned))
            .set_expression_attribute_values(condition.values)
            .return_values_on_condition_check_failure(ALL_OLD)
            .send()
            .await;
        match sent {
            Ok(_) => Ok(Written::Done),
            Err(error) => match error.as_service_error() {
                Some(aws_sdk_dynamodb::operation::delete_item::DeleteItemError::ConditionalCheckFailedException(failed)) => {
                    conflict(AT, key.table, 0, failed.item())
                }
                _ => Err(port_error(AT, &error)),
            },
        }
    }

    /// A check alone is a strong read.
    async fn check(&self, key: &Key, expect: Expect) -> Result<Written, PortError> {
        let current = self.get_row(key, Consistency::Strong).await?;
        let holds = match expect {
            Expect::Any => true,
            Expect::Absent => current.is_none(),
            Expect::Version(version) => current.as_ref().is_some_and(|row| row.version == version),
        };
        Ok(if holds { Written::Done } else { Written::Conflict { index: 0, current } })
    }

    pub(super) async fn write_all(
        &self,
        writes: Vec<Write>,
        token: &str,
    ) -> Result<Written, PortError> {
        const AT: &str = "TransactWriteItems";
        let refused = |cause: String| PortError::Permanent { operation: AT, cause };
        if writes.len() > WRITES_MAX {
            return Err(refused(format!("{} writes, at most {WRITES_MAX}", writes.len())));
        }
        let mut keys = BTreeSet::new();
        if !writes.iter().all(|write| keys.insert(key_of(write).clone())) {
            return Err(refused("two writes to one row".to_owned()));
        }
        // A check of nothing has no place in a transaction; `places` leads back from what is sent.
        let mut places = Vec::with_capacity(writes.len());
        let mut items = Vec::with_capacity(writes.len());
        for (index, write) in writes.into_iter().enumerate() {
            let table = key_of(&write).table;
            let name = self.name(AT, table)?;
            if let Some(item) = action(name, write).map_err(refused)? {
                places.push((index, table));
                items.push(item);
            }
        }
        if items.is_empty() {
            return Ok(Written::Done);
        }
        let sent = self
            .client
            .transact_write_items()
            .set_transact_items(Some(items))
            // At most 36 characters, whatever the caller's token is.
            .client_request_token(ContentHash::of(token.as_bytes()).to_string())
            .send()
            .await;
        match sent {
            Ok(_) => Ok(Written::Done),
            Err(error) => match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(canceled)) => {
                    let told = canceled_by(AT, &places, canceled.cancellation_reasons());
                    if told.as_ref().is_err_and(PortError::is_transient) {
                        tokio::time::sleep(pause(token)).await;
                    }
                    told
                }
                _ => Err(port_error(AT, &error)),
            },
        }
    }

    pub(super) async fn add_to_set(
        &self,
        key: &Key,
        ids: &[EventHash],
        expires: Stamp,
    ) -> Result<(), PortError> {
        const AT: &str = "UpdateItem";
        let ids: BTreeSet<EventHash> = ids.iter().copied().collect();
        if ids.is_empty() {
            return Ok(());
        }
        self.client
            .update_item()
            .table_name(self.name(AT, key.table)?)
            .set_key(Some(rows::key_item(key)))
            .update_expression("ADD ids :ids SET t = :t")
            .expression_attribute_values(":ids", rows::id_set(&ids))
            .expression_attribute_values(":t", rows::seconds(expires))
            .send()
            .await
            .map_err(|error| port_error(AT, &error))?;
        Ok(())
    }
}

/// A transaction that met another lets it pass before it says so: whoever tries again at once would
/// meet it again.
const PAUSE_MIN: Duration = Duration::from_millis(20);

/// Between [`PAUSE_MIN`] and four times that, by the token: two that met are not to meet again.
fn pause(token: &str) -> Duration {
    let byte = EventHash::of(token).0.first().copied().unwrap_or(0);
    PAUSE_MIN + PAUSE_MIN * 3 * u32::from(byte) / 255
}

/// One write of a transaction; none for a check of nothing.
fn action(table: &str, write: Write) -> Result<Option<TransactWriteItem>, String> {
    let unbuilt = |_| "a write cannot be built".to_owned();
    let item = TransactWriteItem::builder();
    Ok(Some(match write {
        Write::Put { row, expect } => {
            let condition = condition(expect);
            let put = Put::builder()
                .table_name(table)
                .set_item(Some(rows::item(row)))
                .set_condition_expression(condition.expression.map(str::to_owned))
                .set_expression_attribute_values(condition.values)
                .return_values_on_condition_check_failure(ALL_OLD);
            item.put(put.build().map_err(unbuilt)?).build()
        }
        Write::Delete { key, expect } => {
            let condition = condition(expect);
            let delete = Delete::builder()
                .table_name(table)
                .set_key(Some(rows::key_item(&key)))
                .set_condition_expression(condition.expression.map(str::to_owned))
                .set_expression_attribute_values(condition.values)
                .return_values_on_condition_check_failure(ALL_OLD);
            item.delete(delete.build().map_err(unbuilt)?).build()
        }
        Write::Check { key, expect } => {
            let condition = condition(expect);
            let Some(expression) = condition.expression else { return Ok(None) };
            let check = ConditionCheck::builder()
                .table_name(table)
                .set_key(Some(rows::key_item(&key)))
                .condition_expression(expression)
                .set_expression_attribute_values(condition.values)
                .return_values_on_condition_check_failure(ALL_OLD);
            item.condition_check(check.build().map_err(unbuilt)?).build()
        }
        Write::Add { key, by } => {
            let update = Update::builder()
                .table_name(table)
                .set_key(Some(rows::key_item(&key)))
                .update_expression(ADD)
                .expression_attribute_values(":by", rows::number(by));
            item.update(update.build().map_err(unbuilt)?).build()
        }
    }))
}

/// Reasons that will be the same the next time.
const FINAL_REASONS: [&str; 4] =
    ["ValidationError", "AccessDenied", "ItemCollectionSizeLimitExceeded", "DuplicateItem"];

/// What a cancelled transaction means: a failed condition is a conflict, whatever else was busy;
/// other transactions, throttling and the like pass.
fn canceled_by(
    operation: &'static str,
    places: &[(usize, Table)],
    reasons: &[CancellationReason],
) -> Result<Written, PortError> {
    let code = |reason: &CancellationReason| reason.code().unwrap_or("None").to_owned();
    for (reason, (index, table)) in reasons.iter().zip(places) {
        if reason.code() == Some("ConditionalCheckFailed") {
            return conflict(operation, *table, *index, reason.item());
        }
    }
    let codes: BTreeSet<String> = reasons.iter().map(code).filter(|c| c != "None").collect();
    let is_final = codes.iter().any(|code| FINAL_REASONS.contains(&code.as_str()));
    let codes = codes.into_iter().collect::<Vec<_>>().join(", ");
    let cause = format!("the transaction was cancelled: {codes}");
    Err(if is_final {
        PortError::Permanent { operation, cause }
    } else {
        PortError::Transient { operation, cause }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons(codes: &[&str]) -> Vec<CancellationReason> {
        codes.iter().map(|code| CancellationReason::builder().code(*code).build()).collect()
    }

    #[test]
    fn pauses_differ_and_are_short() {
        let pauses: BTreeSet<Duration> = (0..50).map(|n| pause(&n.to_string())).collect();
        assert!(pauses.len() > 20);
        assert!(pauses.iter().all(|pause| (PAUSE_MIN..=PAUSE_MIN * 4).contains(pause)));
    }

    #[test]
    fn what_a_cancellation_means() {
        let places = [(0, Table::Contacts), (2, Table::Ledger)];
        let told = |codes: &[&str]| canceled_by("test", &places, &reasons(codes));
        assert_eq!(
            told(&["TransactionConflict", "ConditionalCheckFailed"]).unwrap(),
            Written::Conflict { index: 2, current: None }
        );
        assert!(told(&["None", "TransactionConflict"]).unwrap_err().is_transient());
        assert!(told(&["ThrottlingError", "None"]).unwrap_err().is_transient());
        assert!(!told(&["ValidationError", "None"]).unwrap_err().is_transient());
    }
}
