//! DynamoDB: dynoxide in process, with the caller's role asked first and the consumed capacity
//! counted.

use super::{Call, Done, Failure};
use crate::usage::Calls;
use dynoxide::{Database, DynoxideError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Answers a call.
pub(super) fn handle(call: &Call<'_>) -> Result<Done, Failure> {
    authorize(call)?;
    let mut input = call.input.clone();
    let wants_capacity = input.get("ReturnConsumedCapacity").is_some_and(|v| v != "NONE");
    if !wants_capacity {
        input["ReturnConsumedCapacity"] = Value::from("TOTAL");
    }
    let database = &call.shared.database;
    let mut output = run(database, call.operation, input)?;
    let reads = matches!(
        call.operation,
        "GetItem" | "BatchGetItem" | "Query" | "TransactGetItems" | "Scan"
    );
    let mut cost = Calls { entries: entries(call), ..Calls::default() };
    let units = units(&output["ConsumedCapacity"]);
    if reads {
        cost.read_units = units;
    } else {
        cost.write_units = units;
    }
    if let Some(output) = output.as_object_mut()
        && !wants_capacity
    {
        output.remove("ConsumedCapacity");
    }
    if !reads {
        call.shared.activity.changed();
    }
    Ok(Done { output, cost })
}

fn entries(call: &Call<'_>) -> u64 {
    let count = match call.operation {
        "TransactWriteItems" | "TransactGetItems" => {
            call.input["TransactItems"].as_array().map_or(0, Vec::len)
        }
        "BatchGetItem" => call.input["RequestItems"]
            .as_object()
            .into_iter()
            .flat_map(Map::values)
            .map(|table| table["Keys"].as_array().map_or(0, Vec::len))
            .sum(),
        _ => 1,
    };
    u64::try_from(count).unwrap_or(0)
}

fn units(capacity: &Value) -> f64 {
    match capacity {
        Value::Array(tables) => tables.iter().map(units).sum(),
        table => table["CapacityUnits"].as_f64().unwrap_or(0.0),
    }
}

/// Asks the role for each table (or index) and for the action on each item.
fn authorize(call: &Call<'_>) -> Result<(), Failure> {
    let action = format!("dynamodb:{}", call.operation);
    let input = &call.input;
    match call.operation {
        "GetItem" | "PutItem" | "UpdateItem" | "DeleteItem" => {
            let table = arn(call, call.text("TableName")?)?;
            call.may(&action, &table, &leading_key(&input["Key"], &input["Item"]))
        }
        "Query" | "Scan" => {
            let table = arn(call, call.text("TableName")?)?;
            match input["IndexName"].as_str() {
                Some(index) => call.may(&action, &format!("{table}/index/{index}"), &[]),
                None => call.may(&action, &table, &[]),
            }
        }
        "BatchGetItem" | "BatchWriteItem" => {
            let tables = input["RequestItems"].as_object().into_iter().flat_map(Map::keys);
            for table in tables {
                call.may(&action, &arn(call, table)?, &[])?;
            }
            Ok(())
        }
        "TransactWriteItems" | "TransactGetItems" => {
            for item in input["TransactItems"].as_array().into_iter().flatten() {
                for (kind, body) in item.as_object().into_iter().flatten() {
                    let action = match kind.as_str() {
                        "Get" => "dynamodb:GetItem",
                        "Put" => "dynamodb:PutItem",
                        "Update" => "dynamodb:UpdateItem",
                        "Delete" => "dynamodb:DeleteItem",
                        "ConditionCheck" => "dynamodb:ConditionCheckItem",
                        other => return Err(Failure::invalid(format!("a transaction of {other}"))),
                    };
                    let table = body["TableName"].as_str().unwrap_or_default();
                    let leading = leading_key(&body["Key"], &body["Item"]);
                    call.may(action, &arn(call, table)?, &leading)?;
                }
            }
            Ok(())
        }
        other => Err(Failure::unknown_operation(&format!("dynamodb:{other}"))),
    }
}

/// The partition that a call on one item touches, as conditions ask for it.
fn leading_key<'a>(key: &'a Value, item: &'a Value) -> Vec<(&'static str, &'a str)> {
    let partition = key["pk"]["S"].as_str().or_else(|| item["pk"]["S"].as_str());
    partition.map(|partition| ("dynamodb:leadingkeys", partition)).into_iter().collect()
}

fn arn(call: &Call<'_>, table: &str) -> Result<String, Failure> {
    let tables = &call.shared.resources.tables;
    match tables.iter().find(|spec| spec.name == table || spec.arn == table) {
        Some(spec) => Ok(spec.arn.clone()),
        None => Err(Failure::new(
            400,
            "ResourceNotFoundException",
            format!("Requested resource not found: Table: {table} not found"),
        )),
    }
}

fn one<I: DeserializeOwned, O: Serialize>(
    input: Value,
    act: impl FnOnce(I) -> Result<O, DynoxideError>,
) -> Result<Value, Failure> {
    let request = serde_json::from_value(input).map_err(|e| Failure::invalid(e.to_string()))?;
    let output = act(request).map_err(|error| Failure {
        status: error.status_code(),
        code: error.error_type().to_owned(),
        message: String::new(),
        body: Some(error.to_json()),
    })?;
    serde_json::to_value(output)
        .map_err(|error| Failure::new(500, "InternalServerError", error.to_string()))
}

fn run(db: &Database, operation: &str, input: Value) -> Result<Value, Failure> {
    match operation {
        "GetItem" => one(input, |request| db.get_item(request)),
        "BatchGetItem" => one(input, |request| db.batch_get_item(request)),
        "Query" => one(input, |request| db.query(request)),
        "Scan" => one(input, |request| db.scan(request)),
        "PutItem" => one(input, |request| db.put_item(request)),
        "UpdateItem" => one(input, |request| db.update_item(request)),
        "DeleteItem" => one(input, |request| db.delete_item(request)),
        "BatchWriteItem" => one(input, |request| db.batch_write_item(request)),
        "TransactWriteItems" => one(input, |request| db.transact_write_items(request)),
        "TransactGetItems" => one(input, |request| db.transact_get_items(request)),
        other => Err(Failure::unknown_operation(&format!("dynamodb:{other}"))),
    }
}

/// Makes a table that does not exist yet.
pub(crate) fn create(db: &Database, create: &Value) -> Result<(), String> {
    match one(create.clone(), |request| db.create_table(request)) {
        Ok(_) => Ok(()),
        Err(failure) if failure.code.ends_with("ResourceInUseException") => Ok(()),
        Err(failure) => Err(failure.body.unwrap_or(failure.message)),
    }
}

/// The sort keys of a table at most `to`, for whoever waits until nothing is due.
pub(crate) fn any_up_to(db: &Database, table: &str, to: &str) -> bool {
    let query = serde_json::json!({
        "TableName": table,
        "FilterExpression": "sk <= :to",
        "ExpressionAttributeValues": {":to": {"S": to}},
    });
    match run(db, "Scan", query) {
        Ok(output) => output["Count"].as_u64().unwrap_or(0) > 0,
        Err(_) => false,
    }
}

/// Every item of a table, in the order of their keys.
pub(crate) fn items(db: &Database, table: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut scan = serde_json::json!({"TableName": table});
    while let Ok(mut output) = run(db, "Scan", scan.clone()) {
        if let Some(Value::Array(items)) = output.get_mut("Items").map(Value::take) {
            found.extend(items);
        }
        match output.get_mut("LastEvaluatedKey").map(Value::take) {
            Some(last) if last.is_object() => scan["ExclusiveStartKey"] = last,
            _ => break,
        }
    }
    let key = |item: &Value| (item["pk"]["S"].to_string(), item["sk"]["S"].to_string());
    found.sort_by_cached_key(key);
    found
}
